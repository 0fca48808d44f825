#include "test/bench/kill/network.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/mp/harness.h"

enum { HERE = 2 };

static int namespace_fd[3] = {-1, -1, -1}; /* client, server, box */

static const char *const device[2] = {END_A, END_B};

/* A thread has a namespace of its own: others do not notice. */
static void enter(int where)
{
	if (setns(namespace_fd[where], CLONE_NEWNET) < 0) {
		perror("bench_kill: setns");
		abort(); /* sockets in a wrong place would show nothing */
	}
}

static bool run(const char *script)
{
	const char *const argv[] = {"sh", "-ec", script, NULL};
	char output[400];

	if (proc_run(argv, output, sizeof(output), SOON_MS) == 0)
		return true;
	fprintf(stderr, "bench_kill: network: %s\n", output);
	return false;
}

static bool make_end(int end)
{
	char script[160];
	int fd;

	if (unshare(CLONE_NEWNET) < 0 || (fd = open("/proc/thread-self/ns/net", O_RDONLY)) < 0) {
		perror("bench_kill: network namespace");
		return false;
	}
	namespace_fd[end] = fd;
	enter(HERE);
	snprintf(script, sizeof(script), "ip link set %s netns /proc/%d/fd/%d", device[end],
	         (int)getpid(), fd);
	return run(script);
}

static bool raise_end(int end)
{
	static const char *const own[2] = {
		"ip route add 10.9.2.0/23 via 10.9.1.2 dev end_a",
		"ip route add local 10.9.2.0/23 dev lo",
	};
	char script[640];
	bool done;

	snprintf(script, sizeof(script),
	         "ip link set lo up; ip link set %s address 02:00:00:09:01:0%d up;"
	         " ethtool -K %s tx off tso off gso off gro off >/dev/null;"
	         " ip address add 10.9.1.%d/24 dev %s;"
	         " ip neighbour replace 10.9.1.%d lladdr 02:00:00:09:01:0%d dev %s; %s",
	         device[end], end + 1, device[end], end + 1, device[end], 2 - end, 2 - end,
	         device[end], own[end]);
	enter(end);
	done = run(script);
	enter(HERE);
	return done;
}

bool network_lay(void)
{
	namespace_fd[HERE] = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return namespace_fd[HERE] >= 0 && make_end(0) && make_end(1) && raise_end(0) &&
	       raise_end(1) && run("ethtool -K box_a gro off; ethtool -K box_b gro off");
}

int network_socket(int end, int type)
{
	int fd, error;

	enter(end);
	fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	error = errno;
	enter(HERE);
	errno = error;
	return fd;
}

struct network_frames network_frames(int end)
{
	struct network_frames n = {0};
	char line[512], *at;
	FILE *f;

	enter(end);
	f = fopen("/proc/thread-self/net/dev", "re");
	enter(HERE);
	while (f != NULL && fgets(line, sizeof(line), f))
		if ((at = strstr(line, device[end])) != NULL)
			sscanf(at + strlen(device[end]) + 1,
			       "%*u %lu %*u %*u %*u %*u %*u %*u %*u %lu", &n.in, &n.out);
	if (f != NULL)
		fclose(f);
	return n;
}
