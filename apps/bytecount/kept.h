/*
 * What is counted of a connection, in memory that outlives the process: the flow area.
 *
 *   begun                     when it began is stored
 *   now[direction] = 0        no packet of that direction was counted
 *                    1, 2     slot[direction][0, 1] is whole; the other one is written next
 *
 * A packet changes the slot of its direction only, and counts with the one store to `now`: a death
 * anywhere leaves it counted or not. That is exact to the packet in hand; of a stream with more
 * than KEPT_RANGES ranges behind holes, the lowest holes are kept as given up (ranges.h).
 *
 * Memory: the flow's. Pure. One thread at a time; the successor's, once the process is dead.
 */
#ifndef BYTECOUNT_KEPT_H
#define BYTECOUNT_KEPT_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "apps/bytecount/flow_count.h"

/* "BYC", 1: MOS_AREA_VERSION; grows with each change of the layout. */
#define KEPT_VERSION 0x42594301u

#define KEPT_RANGES 4

struct kept_slot {
	struct volume volume;
	uint64_t end_ns; /* latest packet of both directions */
	uint64_t base, given_up;
	uint64_t fin_at;
	uint64_t peer_acked; /* what packets of this direction say of the other one */
	uint32_t seq_begin;
	uint8_t begun, fin, reset;
	uint8_t range_count;
	struct range range[KEPT_RANGES];
};

struct kept {
	_Atomic(uint32_t) begun; /* stored last */
	_Atomic(uint8_t) now[2]; /* by direction */
	uint8_t joined;
	uint64_t begin_ns;
	struct kept_slot slot[2][2]; /* by direction */
};
static_assert(sizeof(struct kept) == 624, "what README.md says of flow_area");

/* Nothing but f's begin is known. Whatever lies there counts no more. */
void kept_begin(struct kept *k, const struct flow_count *f);

/* A packet of that direction was counted. */
void kept_store(struct kept *k, const struct flow_count *f, int direction);

/* Count on from what is kept: *f is made. False: nothing is; *f is as it was. */
bool kept_load(const struct kept *k, struct flow_count *f);

#endif
