/*
 * What the primary is made of, in one place: every object with its one writer.
 *
 *   main thread = EAL main lcore 0: the I/O loop (primary/dispatch)
 *   supervisor thread: control socket, pidfds, leases, crash recovery (primary/supervisor)
 *
 *   object            writer        readers
 *   root              main thread at start; later the fields marked P by supervisor or I/O lcore
 *   shard[i].rx       I/O lcore     worker i            (supervisor while PARKED)
 *   shard[i].tx       worker i      I/O lcore           (supervisor while PARKED)
 *   shard[i].blank    I/O lcore     worker i            (supervisor while PARKED)
 *   shard map         supervisor    I/O lcore           urcu-qsbr
 *   packet pool       I/O lcore and supervisor (both in this process; no worker)
 *
 * Start (primary/main.c), each step undone in reverse order at the end:
 *
 *   configuration -> run directory locked -> plans (ports, memory) -> EAL and its locks -> memory
 *     -> ports -> blank rings -> shard map -> dispatch -> root published -> supervisor -> I/O loop
 */
#ifndef MOS_PRIMARY_TOPOLOGY_H
#define MOS_PRIMARY_TOPOLOGY_H

#include <stdint.h>

#include <rte_mempool.h>

#include "primary/memory/pool_map.h"
#include "primary/memory/shard_guard.h"
#include "shared/config/config.h"
#include "shared/packet/packet.h"
#include "shared/root/root.h"
#include "shared/root/shard.h"

struct mos_dispatch;
struct mos_ports;

struct mos_primary {
	struct mos_config cfg;
	struct mos_root *root;        /* in memzone mos_root */
	void *readers;                /* root->readers, as it was made */
	struct rte_mempool *pool;     /* every packet */
	struct mos_pool_map pool_map; /* which addresses are packets of the pool */
	uint32_t pool_size;           /* mbufs in it */
	uint32_t buf_len;             /* bytes of each mbuf's buffer */
	/* By shard, its mbufs: those with its owner mark. I/O lcore; supervisor while PARKED. */
	uint32_t marked[MOS_SHARD_MAX];
	uint32_t pool_at_ports; /* mbufs that ports keep for themselves, measured at start */
	struct mos_shard_guard guard[MOS_SHARD_MAX]; /* its shards, as they were made */
	/* By shard, the packet that was left for another try. Supervisor; never followed. */
	const void *tried[MOS_SHARD_MAX];
	uint32_t ring_size;
	uint32_t blank_size; /* mbufs kept in each blank ring */

	struct mos_ports *ports;       /* primary/ports; NULL before they are started */
	struct mos_dispatch *dispatch; /* primary/dispatch; NULL before it exists */

	/* Written by signal handlers and by either thread. */
	uint32_t stop;    /* 1 = end in order, 2 = end at once */
	uint32_t report;  /* 1 = print counters and an audit */
	uint32_t damaged; /* bit per shard: the I/O lcore found its rings unsound */
	int wake_fd;      /* eventfd of the supervisor: something happened; -1 = none yet */
};

/* The meta data of an mbuf, at the offset that root->meta_offset names. */
static inline struct mos_pkt_meta *mos_meta(const struct mos_primary *p, const void *mbuf)
{
	return (struct mos_pkt_meta *)((uintptr_t)mbuf + (uintptr_t)p->root->meta_offset);
}

#endif
