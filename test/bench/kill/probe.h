/*
 * Packets at a fixed pace across the box, each with the time at which it was sent: how long was the
 * wire silent for them, and which never arrived? TCP flows that carry data both ways, from raw
 * sockets at end_a and end_b: nothing is sent again.
 *
 * The arrival is what the kernel stamped on the packet, so it does not matter when the thread that
 * reads it gets a CPU.
 */
#ifndef MOS_BENCH_KILL_PROBE_H
#define MOS_BENCH_KILL_PROBE_H

#include <stdbool.h>
#include <stdint.h>

struct probe_window {
	uint64_t sent, received;
	uint64_t delay_ns; /* the longest */
};

/* Establish the flows, and send. False with a line on stderr. */
bool probe_start(unsigned per_second);

/* What is sent from now on belongs to the window. */
void probe_begin(void);

/* The window ends; wait for what is under way no longer than that. */
struct probe_window probe_end(int timeout_ms);

#endif
