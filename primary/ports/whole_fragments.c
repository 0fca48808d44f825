/*
 * net_af_packet asks the kernel to join IPv4 fragments before it hands them over (a flag of its
 * fanout group), and has no argument against it. A box in line has to pass fragments as they are:
 * joined, they do not fit the frame, or the wire behind. So the driver's calls of setsockopt come by
 * here, where that flag is taken out. All other calls go to the kernel as they are.
 *
 * Linked into mos-primary itself: in a library nobody would ask for it before libc is.
 */
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The name is libc's: a definition in the program goes before it, also for drivers loaded later. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	unsigned int fanout;

	if (level == SOL_PACKET && name == PACKET_FANOUT && len == sizeof(fanout)) {
		memcpy(&fanout, value, sizeof(fanout));
		fanout &= ~((unsigned int)PACKET_FANOUT_FLAG_DEFRAG << 16);
		value = &fanout;
	}
	return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
}
