/*
 * A shard on the bench: the primary's memory under EAL without hugepages and without ports. The
 * test is the I/O lcore, the worker up to its death, and the supervisor.
 *
 *   bench_put() -> shard[0].rx -> bench_die(): the worker's steps up to one store -> shard[0].tx
 *
 * Shard 1 is the neighbour that nothing may happen to.
 */
#ifndef MOS_PRIMARY_CRASH_TEST_SHARD_H
#define MOS_PRIMARY_CRASH_TEST_SHARD_H

#include <check.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "primary/crash/audit.h"
#include "primary/crash/crash.h"
#include "primary/memory/memory.h"
#include "primary/memory/reclaim.h"
#include "primary/topology.h"
#include "shared/flow_table/flow_table.h"

/* As ck_assert, which writes to a file each time, for what is asked a million times. */
#define must(condition)                                         \
	do {                                                    \
		if (!(condition))                               \
			ck_abort_msg("not so: %s", #condition); \
	} while (0)

#define BURST     8  /* packets the worker has in hand */
#define RING_SIZE 64 /* slots of rx and tx */
#define ROOM      (RING_SIZE - 1)
#define FLOWS     64

/* After which store the worker died. Packets before `cur` are finished. */
enum reach {
	TAKEN,      /* rx cons.head has moved, ledger_begin has not run */
	HALF_BEGUN, /* begin has written all but the count */
	BEGUN,      /* packet cur has not been started */
	WORKING,    /* in a stage of packet cur, with its flow if it has one */
	FLOW_STALE, /* between the stores to at and to flow of ledger_done(cur - 1) */
	ALL_DONE,   /* nothing is in the tx ring yet */
	TELLING,    /* in the callback for what a flow has lost: stage AFTER */
	HALF_SENT,  /* tx prod.head has moved, half of the slots are written */
	SENT,       /* tx prod.tail has moved */
	GIVEN_BACK, /* rx cons.tail has moved */
	ENDED,      /* the count is 0 */
	AFTER,      /* timers: stage AFTER, nothing in hand */
};

struct death {
	enum reach reach;
	uint32_t cur;
	enum mos_ledger_stage stage;
	uint32_t flow; /* UINT32_MAX = none */
};

struct bench {
	struct mos_primary p;
	struct mos_shard *s;             /* shard 0 */
	struct mos_flow *flow;           /* its records */
	uint32_t flow_slot;              /* one in use */
	uint32_t put;                    /* packets put since bench_start */
	struct rte_mbuf *pkt[RING_SIZE]; /* these, in order */
};

extern struct bench bench;

/* EAL was started, in main (primary/eal/test_eal.h). */
void bench_open(void);
/* Checks that the pool is whole. */
void bench_close(void);

/* Start afresh: rings empty at position pos, counters 0, one flow without strikes. */
void bench_start(uint32_t pos);

/* A packet of shard 0 as the I/O lcore hands it over, in no ring. */
struct rte_mbuf *bench_packet(void);
/* Hand n packets to the worker, as pkt[put...]. */
void bench_put(uint32_t n);
/* Put n packets into the tx ring, as bursts handed over before. */
void bench_fill_tx(uint32_t n);
/* Take all from tx, as the I/O lcore does. */
void bench_take_tx(void);

/* What the application says of packet i of a burst. */
static inline uint8_t bench_verdict(uint32_t i)
{
	return i % 3 == 1 ? MOS_VERDICT_DROP : MOS_VERDICT_FORWARD;
}

/* Work on the next BURST packets as the worker does, and die. */
void bench_die(const struct death *d);

/* Entry i of a ring, from its front. */
static inline void **bench_slot(struct rte_ring *r, uint32_t i)
{
	return &((void **)&r[1])[(r->cons.tail + i) & r->mask];
}

static inline uint64_t bench_count(enum mos_counter which)
{
	return mos_counter_get(&bench.p.root->supervisor, which);
}

/* The heads of all rings stand at their tails, every entry is a packet of its shard, once. */
void bench_rings_in_order(void);
/* And every mbuf of the pool is in it or in one ring; what is in the pool is sound. */
void bench_pool_is_whole(void);

#endif
