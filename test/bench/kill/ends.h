/*
 * Real connections between the two kernels, and what becomes of them. Some live as long as the run,
 * and carry small pieces both ways, at random moments; others come, carry some thousand bytes, and
 * go. Each end compares each byte that it receives.
 *
 * One thread does it all; the calls below may be made by any other one.
 */
#ifndef MOS_BENCH_KILL_ENDS_H
#define MOS_BENCH_KILL_ENDS_H

#include <stdbool.h>
#include <stdint.h>

struct ends_options {
	unsigned long_count, short_count; /* connections at a time */
	unsigned pause_ms;                /* between two pieces of an end, on average */
	uint64_t seed;
};

struct ends_sum {
	uint64_t opened, closed; /* connections; those in order */
	uint64_t bytes;          /* received and right */
	uint64_t longest_ms;     /* without a byte on a connection that waits for some */
	uint32_t open;           /* now */
	uint32_t last;           /* no connection has a higher number */
};

/* False when there are no sockets to be had. */
bool ends_start(const struct ends_options *options);

/* The first thing that went wrong, or NULL. Then nothing more happens. */
const char *ends_failure(void);

struct ends_sum ends_sum(void);

/* No new connections: all come to their end. */
void ends_finish(void);

/* Wait for it no longer than that. */
bool ends_wait(int timeout_ms);

#endif
