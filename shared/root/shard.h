/*
 * One shard: everything a worker needs for the flows that hash to it, in one memzone.
 *
 *   | struct mos_shard | rx ring | tx ring | blank ring | flow table | user areas | chunk pool |
 *
 *   ring   producer   consumer   holds
 *   rx     I/O lcore  worker     packets to process; the burst in hand stays in it (see ledger.h)
 *   tx     worker     I/O lcore  the same mbufs with their verdicts, and those it made
 *   blank  I/O lcore  worker     empty mbufs for packets a worker makes
 *
 * All rings are single producer, single consumer, with positions that survive the death of either
 * end: the primary repairs them once the worker is proven dead (primary/crash).
 */
#ifndef MOS_SHARED_SHARD_H
#define MOS_SHARED_SHARD_H

#include <stddef.h>
#include <stdint.h>

#include "shared/counters/counters.h"
#include "shared/ledger/ledger.h"
#include "shared/ledger/outbox.h"
#include "shared/lease/lease.h"

struct mos_area;
struct rte_ring;

#define MOS_SHARD_MAGIC UINT64_C(0x6d6f732d73687264) /* "mos-shrd" */

/* Letters: I immutable after new, P primary, S the worker that holds the shard. */
struct mos_shard {
	uint64_t magic;            /* I stored last */
	uint32_t index;            /* I */
	uint32_t max_flows;        /* I */
	struct rte_ring *rx;       /* I hugepage VA */
	struct rte_ring *tx;       /* I hugepage VA */
	struct rte_ring *blank;    /* I hugepage VA */
	void *flow_table;          /* I hugepage VA; shared/flow_table */
	uint64_t flow_table_bytes; /* I */
	void *user_areas;          /* I hugepage VA, NULL without flow_area; user_area.h */
	uint64_t user_area_bytes;  /* I of one flow, struct mos_area included */
	void *chunk_pool;          /* I hugepage VA; shared/chunk_pool */
	uint64_t chunk_pool_bytes; /* I */
	uint64_t readers_seen;     /* S root->readers_now that its worker goes by */

	struct mos_lease lease;
	struct mos_ledger ledger;
	struct mos_counters counters; /* S */
	struct mos_outbox outbox;     /* S what the program sends while a burst is in hand */
} MOS_CACHE_ALIGNED;

/* Where the parts of a shard lie, as offsets from its start. */
struct mos_shard_plan {
	size_t rx, tx, blank; /* each ring_bytes long */
	size_t flow_table, flow_table_bytes;
	size_t user_areas, user_area_bytes; /* of one flow, struct mos_area included */
	size_t chunk_pool, chunk_pool_bytes;
	uint32_t chunk_count;
	size_t total;
};

/*
 * Compute the plan. ring_bytes: rte_ring_get_memsize of the three rings (rx and tx alike, blank).
 * user_area in [0, 4096], chunk_count as for mos_chunk_pool_new. 0 or -EINVAL. Any process, no side
 * effects.
 */
int mos_shard_plan(struct mos_shard_plan *plan, size_t ring_bytes, size_t blank_bytes,
                   uint32_t max_flows, uint32_t user_area, uint32_t chunk_count);

/*
 * Format a shard in mem (plan->total bytes, cache-line aligned, zeroed up to the chunk pool): sets
 * pointers, lease, ledger, flow table, chunk pool. The rings are initialised by the caller
 * (primary: DPDK) before mos_shard_publish. 0 or -errno. Primary only.
 */
int mos_shard_new(struct mos_shard *mem, const struct mos_shard_plan *plan, uint32_t index,
                  uint32_t max_flows);
void mos_shard_publish(struct mos_shard *shard);

/* Check a shard before work: 0, -EAGAIN not published, -EPROTO damaged. Worker. */
int mos_shard_join(const struct mos_shard *shard, uint32_t index);

/* The user area of a flow record; NULL without flow_area or for a record out of range. */
struct mos_area *mos_shard_user_area(const struct mos_shard *shard, uint32_t flow);

#endif
