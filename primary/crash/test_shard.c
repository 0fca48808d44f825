#include "primary/crash/test_shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ring_peek_zc.h>

struct bench bench;

static uint8_t *seen; /* one for each line of the pool map */

void bench_open(void)
{
	struct mos_config *cfg = &bench.p.cfg;
	struct mos_memory_plan plan;
	char err[256] = "";

	if (bench.p.root != NULL)
		mos_memory_delete(&bench.p); /* the test before has failed */
	memset(&bench, 0, sizeof(bench));
	cfg->workers = 2;
	cfg->ring_size = RING_SIZE;
	cfg->mbuf_size = 256;
	cfg->max_concurrency = FLOWS;
	cfg->stream_memory = 1;
	cfg->flow_area = sizeof(struct mos_flow); /* behind the records: looks like one more */
	cfg->forward = true;
	strcpy(cfg->prefix, "crash");
	ck_assert_int_eq(mos_memory_plan(&plan, cfg, err, sizeof(err)), 0);
	ck_assert_msg(mos_memory_new(&bench.p, &plan, err, sizeof(err)) == 0, "%s", err);
	bench.s = bench.p.root->shard[0];
	seen = calloc(bench.p.pool_map.lines, 1);
	ck_assert_ptr_nonnull(seen);
	bench_start(0);
}

void bench_close(void)
{
	bench_pool_is_whole();
	mos_memory_drain(&bench.p);
	ck_assert_uint_eq(rte_mempool_avail_count(bench.p.pool), bench.p.pool_size);
	mos_memory_delete(&bench.p);
	free(seen);
}

static void start_ring(struct rte_ring *r, uint32_t pos)
{
	r->prod.head = r->prod.tail = pos;
	r->cons.head = r->cons.tail = pos;
}

static void start_flows(void)
{
	struct mos_shard *s = bench.s;
	const struct mos_flow_key key = {.ip_version = 4};
	struct mos_flow_table t;
	uint32_t capacity;

	ck_assert_int_eq(mos_flow_table_new(s->flow_table, FLOWS), 0);
	ck_assert_int_eq(mos_flow_table_join(&t, s->flow_table, s->flow_table_bytes, NULL), 0);
	bench.flow_slot = mos_flow_table_insert(&t, &key, 7);
	ck_assert_uint_ne(bench.flow_slot, MOS_FLOW_NONE);
	mos_flow_table_leave(&t);
	bench.flow = (struct mos_flow *)(uintptr_t)mos_flow_table_records(
		s->flow_table, s->flow_table_bytes, &capacity);
	ck_assert_ptr_nonnull(bench.flow);
}

void bench_start(uint32_t pos)
{
	mos_memory_drain(&bench.p);
	for (uint32_t i = 0; i < bench.p.root->shard_count; i++) {
		start_ring(bench.p.root->shard[i]->rx, pos);
		start_ring(bench.p.root->shard[i]->tx, pos);
		start_ring(bench.p.root->shard[i]->blank, pos);
	}
	ck_assert_int_eq(mos_memory_fill_blanks(&bench.p), 0);
	memset(&bench.p.root->supervisor, 0, sizeof(bench.p.root->supervisor));
	memset(bench.p.tried, 0, sizeof(bench.p.tried));
	mos_ledger_reset(&bench.s->ledger);
	start_flows();
	bench.put = 0;
}

struct rte_mbuf *bench_packet(void)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(bench.p.pool);

	must(m != NULL);
	memset(rte_pktmbuf_append(m, 60), 0, 60);
	*mos_meta(&bench.p, m) = (struct mos_pkt_meta){.owner = 1, .verdict = MOS_VERDICT_FORWARD};
	bench.p.marked[0]++;
	return m;
}

void bench_put(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = bench_packet();

		bench.pkt[bench.put++ % RING_SIZE] = m;
		must(rte_ring_sp_enqueue(bench.s->rx, m) == 0);
	}
}

void bench_fill_tx(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		ck_assert_int_eq(rte_ring_sp_enqueue(bench.s->tx, bench_packet()), 0);
}

void bench_take_tx(void)
{
	void *obj;

	while (rte_ring_sc_dequeue(bench.s->tx, &obj) == 0)
		rte_pktmbuf_free(mos_packet_reclaim(&bench.p, 0, obj));
}

/* ---- the worker ---- */

static void take(struct rte_mbuf **m)
{
	struct rte_ring_zc_data z;

	must(rte_ring_dequeue_zc_burst_start(bench.s->rx, BURST, &z, NULL) == BURST);
	for (uint32_t i = 0; i < BURST; i++)
		m[i] = i < z.n1 ? ((struct rte_mbuf **)z.ptr1)[i]
		                : ((struct rte_mbuf **)z.ptr2)[i - z.n1];
}

/* Packet i; false: dead. */
static bool work_on(const struct death *d, uint32_t i, struct rte_mbuf *m)
{
	struct mos_ledger *l = &bench.s->ledger;
	bool last = d->reach <= FLOW_STALE && i == d->cur;
	enum mos_ledger_stage stage = last && d->reach == WORKING ? d->stage : MOS_STAGE_LOOKUP;

	if (d->reach == BEGUN && last)
		return false;
	if (stage == MOS_STAGE_DATA)
		mos_meta(&bench.p, m)->verdict = bench_verdict(i);
	mos_ledger_stage(l, stage);
	mos_ledger_flow(l, d->flow);
	if (d->reach == WORKING && last)
		return false;
	mos_meta(&bench.p, m)->verdict = bench_verdict(i);
	mos_ledger_done(l, i);
	if (d->reach == FLOW_STALE && i + 1 == d->cur) {
		l->flow = d->flow;
		return false;
	}
	return true;
}

static void half_send(struct rte_mbuf **m)
{
	struct rte_ring *tx = bench.s->tx;

	for (uint32_t i = 0; i < BURST / 2; i++)
		((void **)&tx[1])[(tx->prod.tail + i) & tx->mask] = m[i];
	tx->prod.head += BURST;
}

/* In the callbacks behind the packets. */
static void after_packets(const struct death *d)
{
	mos_ledger_flow(&bench.s->ledger, d->flow);
	mos_ledger_stage(&bench.s->ledger, MOS_STAGE_AFTER);
}

static void hand_over(const struct death *d, struct rte_mbuf **m)
{
	struct mos_shard *s = bench.s;

	ck_assert_uint_eq(rte_ring_sp_enqueue_bulk(s->tx, (void **)m, BURST, NULL), BURST);
	if (d->reach == SENT)
		return;
	rte_ring_dequeue_zc_finish(s->rx, BURST);
	if (d->reach == GIVEN_BACK)
		return;
	mos_ledger_end(&s->ledger);
	if (d->reach == ENDED)
		return;
	after_packets(d);
}

void bench_die(const struct death *d)
{
	struct mos_shard *s = bench.s;
	struct rte_mbuf *m[BURST];

	take(m);
	if (d->reach == TAKEN)
		return;
	mos_ledger_begin(&s->ledger, BURST, s->rx->cons.tail, s->tx->prod.tail);
	if (d->reach == HALF_BEGUN)
		s->ledger.count = 0;
	if (d->reach == HALF_BEGUN)
		return;
	for (uint32_t i = 0; i < BURST; i++)
		if (!work_on(d, i, m[i]))
			return;
	if (d->reach == ALL_DONE)
		return;
	if (d->reach == TELLING) {
		after_packets(d);
		return;
	}
	if (d->reach == HALF_SENT)
		half_send(m);
	else
		hand_over(d, m);
}

/* ---- what has to be true after a repair ---- */

static void see(const void *m)
{
	uintptr_t line = ((uintptr_t)m - bench.p.pool_map.base) / MOS_CACHE_LINE;

	must(mos_pool_map_has(&bench.p.pool_map, m));
	must(!seen[line]); /* or it is in two places */
	seen[line] = 1;
}

/* Look at (true) or forget (false) what is in a ring. */
static uint32_t walk(struct rte_ring *r, uint32_t shard, bool look)
{
	uint32_t n = rte_ring_count(r);

	if (look) {
		must(r->prod.head == r->prod.tail);
		must(r->cons.head == r->cons.tail);
		must(r->prod.tail - r->cons.tail == n);
	}
	for (uint32_t i = 0; i < n; i++) {
		void *m = *bench_slot(r, i);

		if (look) {
			see(m);
			must(mos_meta(&bench.p, m)->owner == shard + 1);
		} else {
			seen[((uintptr_t)m - bench.p.pool_map.base) / MOS_CACHE_LINE] = 0;
		}
	}
	return n;
}

static uint32_t walk_all(bool look)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < bench.p.root->shard_count; i++) {
		struct mos_shard *s = bench.p.root->shard[i];

		n += walk(s->rx, i, look) + walk(s->tx, i, look) + walk(s->blank, i, look);
	}
	return n;
}

void bench_rings_in_order(void)
{
	walk_all(true);
	walk_all(false);
	must(mos_mbuf_audit(&bench.p) == 0);
}

static void may_be_allocated(const struct rte_mbuf *m)
{
	must(m->pool == bench.p.pool);
	must(m->buf_addr == m + 1);
	must(rte_mbuf_refcnt_read(m) == 1);
	must(m->nb_segs == 1);
	must(m->next == NULL);
	must(mos_meta(&bench.p, m)->owner == MOS_OWNER_PRIMARY);
}

void bench_pool_is_whole(void)
{
	uint32_t n = walk_all(true), avail = rte_mempool_avail_count(bench.p.pool);
	void **m = calloc(avail, sizeof(*m));

	must(n + avail == bench.p.pool_size);
	for (uint32_t i = 0; i < avail; i++) {
		must(rte_mempool_get(bench.p.pool, &m[i]) == 0);
		see(m[i]);
		may_be_allocated(m[i]);
	}
	for (uint32_t i = 0; i < avail; i++)
		rte_mempool_put(bench.p.pool, m[i]);
	free(m);
	memset(seen, 0, bench.p.pool_map.lines);
}
