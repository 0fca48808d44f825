/*
 * What the primary knows of its shards without asking them: their memory can be written by every
 * worker, and one that has gone wild may leave anything there.
 *
 *   struct mos_shard_guard    in the primary's own memory: where a shard and its rings lie, and how
 *                             large they are
 *
 *   mos_ring_sound()    before each use of a ring: its geometry is as it was made, or its entries
 *                       would be looked for anywhere. Costs a line that is needed anyway.
 *   mos_shard_sound()   now and then, and before a shard is repaired or given to a worker: all that
 *                       is fixed is as it was made
 *   mos_shard_renew()   when it is not: formatted afresh; flows and counters are lost
 *
 * A store that hits the geometry between its check and its use is not noticed in time; what else
 * a worker may scribble is found where it is used: entries of rings (reclaim.h), ledger and
 * records (primary/crash), records and chunks (the successor's joins).
 *
 * Memory: part of struct mos_primary. Written at start; read by the I/O lcore and the supervisor.
 */
#ifndef MOS_PRIMARY_SHARD_GUARD_H
#define MOS_PRIMARY_SHARD_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ring.h>

#include "shared/root/shard.h"

struct mos_primary;

struct mos_shard_guard {
	struct mos_shard *shard;
	struct rte_ring *rx, *tx, *blank;
	struct mos_shard_plan plan;
	uint32_t max_flows;
};

/* A ring of `size` slots (a power of two) as rte_ring_init has made it. */
static inline bool mos_ring_fixed(const struct rte_ring *r, uint32_t size)
{
	return r->size == size && r->mask == size - 1 && r->capacity == size - 1;
}

/* And it holds no more than it can. One of its two ends calls. */
static inline bool mos_ring_sound(const struct rte_ring *r, uint32_t size)
{
	return mos_ring_fixed(r, size) && r->prod.tail - r->cons.tail < size;
}

/* Is everything as it was made that no worker has to write? Any time. */
bool mos_shard_sound(const struct mos_primary *p, uint32_t shard);

/*
 * Format a shard afresh: rings empty, no flow, lease free. Packets that were in its rings are found
 * by the audit, as its others. Supervisor, while the shard is PARKED and no worker holds it; also at
 * start. 0 or -errno.
 */
int mos_shard_renew(struct mos_primary *p, uint32_t shard);

#endif
