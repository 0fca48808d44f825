/*
 * The wires of the harness, with kernels at their ends: end_a and end_b move to namespaces of their
 * own, which end with the process.
 *
 *   client 10.9.1.1  end_a --- box_a [mos-primary] box_b --- end_b  server 10.9.1.2, 10.9.2.0/23
 *
 * No ARP is needed, and the kernels compute checksums and cut segments themselves: what they count
 * is what is on the wire.
 */
#ifndef MOS_BENCH_KILL_NETWORK_H
#define MOS_BENCH_KILL_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#define CLIENT_IP   UINT32_C(0x0a090101)
#define SERVER_IP   UINT32_C(0x0a090200) /* and the 511 behind it */
#define SERVER_PORT 9000

/* False with a line on stderr. From the thread that began the test, once. */
bool network_lay(void);

/* A socket in the namespace of an end: 0 client, 1 server. -1 and errno. Any thread. */
int network_socket(int end, int type);

/* Frames that the kernel of an end has sent (out) and got (in) so far. Any thread. */
struct network_frames {
	uint64_t in, out;
};
struct network_frames network_frames(int end);

#endif
