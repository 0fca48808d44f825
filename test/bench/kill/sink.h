/*
 * What kill_sink keeps of a flow in the flow's area, and what it says.
 *
 * Of each side (MOS_SIDE_CLI: what the client received) it keeps how far it has read, and the hash
 * of that since the last hole. A death may come between any two stores: the hash lives in two
 * slots, of which the one that is not in use is written, and one store makes it the one in use. It
 * is made so before the library moves its read position on. So the library is never ahead of the
 * sink, but where it has lost bytes itself.
 *
 * One line of the file for each, written with one call:
 *   piece CLIENT SERVER SIDE FROM LEN SHA256   bytes without a hole
 *   end CLIENT SERVER PACKETS PACKETS ADOPTED  of the flow: data packets which the client and
 *                                              the server sent; times it was taken over
 *   wrong WHAT CLIENT SERVER SIDE NUMBER       what must not be
 * CLIENT is its port, SERVER the last two bytes of its address. A death may come behind the line:
 * then it is said twice.
 */
#ifndef MOS_BENCH_KILL_SINK_H
#define MOS_BENCH_KILL_SINK_H

#include <stdint.h>

#include "test/bench/kill/sha256.h"

/* Its exit status when no shard is free. */
#define SINK_BUSY 75

struct sink_slot {
	uint64_t from; /* where the piece begins */
	uint64_t next; /* and ends, so far */
	struct sha256 hash;
};

struct sink_side {
	uint64_t data_packets; /* which this side sent */
	uint64_t in_use;       /* slot: 0 or 1 */
	struct sink_slot slot[2];
};

/* Zero when the flow begins. */
struct sink_flow {
	uint64_t begun;   /* 1: all else is valid */
	uint64_t adopted; /* times */
	uint64_t ended;   /* 1: told */
	struct sink_side side[2];
};

#endif
