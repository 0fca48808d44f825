/*
 * The outbox of one shard: packets that the program sent while a burst is in hand. Each goes out
 * in front of the packet at hand when it was sent, behind all that were finished by then.
 *
 *   burst    | 0 | 1 | 2 |            sent while packet 1 is worked on: A, B; behind the last: C
 *   outbox   A: before 1   B: before 1   C: before 3
 *   tx ring  0 A B 1 2 C
 *
 * The worker merges both when it hands the burst over. Without a burst in hand (timers, expiry)
 * nothing stands here: packets go straight into the tx ring.
 *
 * One writer, the worker that holds the shard. An entry is written first, then counted in the
 * ledger (mos_ledger_outbox), which is when the packet counts as sent. After a death the primary
 * sends the counted ones where they belong (primary/crash), each checked to be a packet of this
 * shard; what was taken from the blank ring and is not counted yet, the audit finds.
 *
 * Memory: part of struct mos_shard. Not its job: how many there are (ledger.h).
 */
#ifndef MOS_SHARED_OUTBOX_H
#define MOS_SHARED_OUTBOX_H

#include <stdint.h>

#include "shared/platform.h"

#define MOS_OUTBOX_MAX 256

struct rte_mbuf;

/* Letters: S the worker that holds the shard. */
struct mos_outbox_entry {
	struct rte_mbuf *mbuf; /* S hugepage VA */
	uint64_t before; /* S mos_ledger.cur when it was sent; never less than the one before */
};

struct mos_outbox {
	struct mos_outbox_entry entry[MOS_OUTBOX_MAX];
} MOS_CACHE_ALIGNED;

#endif
