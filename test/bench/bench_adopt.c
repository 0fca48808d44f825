/*
 * How long a shard is without a worker while another takes it over: all that mos_context_adopt()
 * does, and what of it is the flow table; and what is done before (prepare) and behind it (the walk
 * that restores each flow).
 *
 *   full    as many flows as the table holds
 *   sparse  1000 flows in a table that has been full: the records of most are free
 *   dead    the last worker died while it changed the index
 *
 *   bench_adopt [CPU]
 *
 * Printed: microseconds, the least of some takeovers and the median.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mos_api.h"
#include "secondary/context/context.h"
#include "secondary/pipeline/pipeline.h"
#include "shared/flow_table/flow_table_layout.h"
#include "test/bench/bench_rig.h"

enum { TURNS = 9, SPARSE = 1000 };

struct times {
	uint64_t ns[TURNS];
};

static struct times prepare, table, adopt, walk;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void make_socket(void)
{
	if (mtcp_socket(&rig.ctx->api, AF_INET, MOS_SOCK_MONITOR_STREAM, 0) < 0)
		rig_die("no socket");
}

/* The table alone, as the context takes it over; with nothing changed. */
static uint64_t time_table(void)
{
	struct mos_flow_table t;
	uint32_t mended;
	uint64_t begin;

	if (mos_flow_table_prepare(&t, rig.shard->max_flows) != 0)
		rig_die("no memory");
	begin = now_ns();
	if (mos_flow_table_adopt(&t, rig.shard->flow_table, rig.shard->flow_table_bytes, &mended) !=
	    0)
		rig_die("the table is not sound");
	begin = now_ns() - begin;
	mos_flow_table_leave(&t);
	return begin;
}

static void take_over(unsigned turn, bool dead)
{
	struct mos_flow_table_hdr *hdr = rig.shard->flow_table;
	struct mos_ctx *c = rig.ctx;
	uint64_t begin;

	mos_context_clear(c);
	begin = now_ns();
	if (mos_context_prepare(c) != 0)
		rig_die("no context");
	make_socket();
	prepare.ns[turn] = now_ns() - begin;
	if (dead)
		hdr->whole = 0;
	table.ns[turn] = time_table();
	if (dead)
		hdr->whole = 0;
	begin = now_ns();
	if (mos_context_adopt(c) != 0)
		rig_die("no context");
	adopt.ns[turn] = now_ns() - begin;
	begin = now_ns();
	while (c->to_restore != NULL)
		mos_restore_step(c);
	walk.ns[turn] = now_ns() - begin;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print(struct times *t)
{
	qsort(t->ns, TURNS, sizeof(t->ns[0]), by_value);
	printf("  %9.1f %9.1f", (double)t->ns[0] / 1e3, (double)t->ns[TURNS / 2] / 1e3);
}

static void measure(const char *name, bool dead)
{
	for (unsigned turn = 0; turn < TURNS; turn++)
		take_over(turn, dead);
	printf("%8u %8u  %-6s", rig.ctx->flows.count, rig.flow_count, name);
	print(&table);
	print(&adopt);
	print(&prepare);
	print(&walk);
	printf("\n");
}

/* All but some end. */
static void thin_out(void)
{
	struct mos_ctx *c = rig.ctx;

	for (uint32_t i = 0; (i = mos_flow_table_next(&c->flows, i)) != MOS_FLOW_NONE; i++)
		if (i % (rig.flow_count / SPARSE) != 0)
			mos_flow_forget(c, i);
}

static void bench_size(uint32_t flows)
{
	rig_open(flows, false);
	make_socket();
	for (unsigned s = OPEN; s <= ACK; s++)
		rig_step((enum rig_step)s, NULL);
	measure("full", false);
	measure("dead", true);
	thin_out();
	measure("sparse", false);
	rig_close();
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = {1000, 100000, 1000000};
	char cpu[] = "0";

	rig_start(argc > 1 ? argv[1] : cpu);
	printf("%8s %8s  %-6s  %19s  %19s  %19s  %19s\n", "flows", "room", "", "table, us",
	       "adopt, us", "prepare, us", "walk, us");
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		bench_size(sizes[i]);
	return 0;
}
