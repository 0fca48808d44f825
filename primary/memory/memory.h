/*
 * Everything the system will ever need, reserved once at start: the primary allocates nothing
 * through the EAL after the first worker was let in.
 *
 *   memzone mos_root       struct mos_root, struct rte_rcu_qsbr of readers
 *   memzone mos_shard_<i>  rings, flow table, user areas, chunk pool (shared/root/shard.h)
 *   mempool mos_pkt        every packet
 *   mbuf dynamic field     struct mos_pkt_meta
 *
 * The pool is as large as all places together where a packet can be, so that it cannot run empty
 * (an empty pool would make a capture port lose packets, and a blank ring stay empty):
 *
 *   per shard   rx ring + tx ring + blank ring + backlog of the I/O lcore
 *   per port    descriptors of both directions + bursts in hand + packets held for merging
 *   once        the I/O lcore's cache of free packets, which others cannot take from
 *
 * Units: bytes, packets. Called by the main thread only.
 */
#ifndef MOS_PRIMARY_MEMORY_H
#define MOS_PRIMARY_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "shared/config/config.h"
#include "shared/root/shard.h"

struct mos_primary;

enum {
	MOS_BLANK_SIZE = 1024,   /* packets kept in each blank ring */
	MOS_BLANK_BATCH = 256,   /* filled up at a time */
	MOS_BACKLOG_SIZE = 2048, /* packets that wait in the I/O lcore while a shard is PARKED */
	MOS_PORT_DESC = 1024,    /* descriptors of a NIC's queue that we ask for */
	MOS_PORT_HAND = 256,     /* packets of a port in the hands of the I/O loop */
	MOS_POOL_CACHE = 512,    /* mempool cache of the I/O lcore */
};

struct mos_memory_plan {
	struct mos_shard_plan shard;
	size_t ring_bytes, blank_bytes;
	uint32_t max_flows; /* per shard */
	uint32_t mbufs;
	uint32_t mbuf_bytes; /* of one, with its pool header */
	uint32_t data_room;  /* of one, headroom included */
	size_t total_bytes;
	uint32_t huge_mb; /* hugepage memory needed, MB, with EAL's own and rounding */
};

/*
 * Compute what cfg needs; no side effects, works before EAL starts. 0, or -EINVAL with one line in
 * err: `mbufs` too small, or flow table too large.
 */
int mos_memory_plan(struct mos_memory_plan *plan, const struct mos_config *cfg, char *err,
                    size_t err_len);

/*
 * Reserve and format: sets root, pool, pool_map, pool_size, ring_size and blank_size of *p. Shards
 * are published, the root is not (the port table is still empty). p->cfg is set. 0 or -errno with
 * one line in err; nothing is left behind then.
 */
int mos_memory_new(struct mos_primary *p, const struct mos_memory_plan *plan, char *err,
                   size_t err_len);

/* Put p->blank_size empty packets into each blank ring. 0 or -ENOMEM. */
int mos_memory_fill_blanks(struct mos_primary *p);

/*
 * Free every packet that is in a ring of a shard. No worker lives, nobody else uses the rings.
 * Entries that are no packets of the shard are passed over.
 */
void mos_memory_drain(struct mos_primary *p);

/* Give everything back. */
void mos_memory_delete(struct mos_primary *p);

#endif
