/*
 * Edits on the bench: a flow table with one flow, and a chunk pool, in memory that is mapped twice.
 * What a worker keeps to itself can be thrown away at any time: bench_die().
 */
#ifndef MOS_SECONDARY_TEST_REMAP_H
#define MOS_SECONDARY_TEST_REMAP_H

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/remap/remap.h"
#include "shared/test_rng.h"
#include "shared/test_twice.h"

enum { FLOWS = 4, CHUNKS = 160, CLI = MOS_CLI, SVR = MOS_SVR };

struct bench {
	struct twice table_mem, pool_mem;
	struct mos_flow_table table;
	struct mos_chunk_pool pool;
	struct mos_remap r;
	uint32_t flow;
};

static struct bench b;

static inline struct mos_flow *bench_flow(void)
{
	return mos_flow_at(&b.table, b.flow);
}

static inline mos_chunk_list *bench_keep(void *arg, const struct mos_chunk *c, bool *out_of_order)
{
	return c->owner >> 63 ? mos_remap_keep(arg, c) : NULL;
}

static inline void bench_join(void)
{
	must(mos_flow_table_join(&b.table, b.table_mem.a, b.table_mem.len, NULL) == 0);
	for (uint32_t i = 0; (i = mos_flow_table_next(&b.table, i)) != MOS_FLOW_NONE; i++)
		memset(mos_flow_at(&b.table, i)->edits, 0, sizeof(b.table.flows[0].edits));
	must(mos_chunk_pool_join(&b.pool, b.pool_mem.a, b.pool_mem.len, bench_keep, &b.table,
	                         NULL) == 0);
	mos_remap_init(&b.r, &b.pool, &b.table);
	mos_remap_adopt(&b.pool, &b.table);
}

static inline void bench_leave(void)
{
	mos_chunk_pool_leave(&b.pool);
	mos_flow_table_leave(&b.table);
}

/* A worker dies, another takes over. */
static inline void bench_die(void)
{
	bench_leave();
	bench_join();
}

/* One flow; what its client sends is edited from this number on. */
static inline void bench_open(uint32_t decided)
{
	struct mos_flow_key key = {.ip_version = 4, .src_port_be = 1};

	memset(&b, 0, sizeof(b));
	b.table_mem = map_twice(mos_flow_table_footprint(FLOWS));
	b.pool_mem = map_twice(mos_chunk_pool_footprint(CHUNKS));
	must(mos_flow_table_new(b.table_mem.a, FLOWS) == 0);
	must(mos_chunk_pool_new(b.pool_mem.a, CHUNKS) == 0);
	bench_join();
	b.flow = mos_flow_table_insert(&b.table, &key, 1);
	must(b.flow != MOS_FLOW_NONE);
	mos_remap_switch_on(bench_flow(), CLI, true, decided);
}

static inline void bench_close(void)
{
	bench_leave();
	unmap_twice(&b.table_mem);
	unmap_twice(&b.pool_mem);
}

static inline uint32_t chunks_used(void)
{
	return b.pool.count - b.pool.free_count;
}

static inline uint32_t map(uint32_t seq)
{
	return mos_remap_map(&b.r, b.flow, CLI, seq);
}

static inline uint32_t unmap(uint32_t ack)
{
	return mos_remap_unmap(&b.r, b.flow, CLI, ack);
}

static inline uint32_t unmap_start(uint32_t start)
{
	return mos_remap_unmap_start(&b.r, b.flow, CLI, start);
}

#endif
