/*
 * What a worker leaves in its rings and in the headers of its mbufs, and what it has lost: after
 * the audit every mbuf is in one place. Bench: test_shard.h.
 */
#include "primary/crash/test_shard.h"

#include <stdlib.h>
#include <string.h>

#include "primary/eal/test_eal.h"

enum { RX, TX, BLANK, RINGS };

static struct rte_ring *ring(int which)
{
	return which == RX ? bench.s->rx : which == TX ? bench.s->tx : bench.s->blank;
}

static void fill(struct rte_ring *r, struct rte_mbuf **m, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		m[i] = bench_packet();
		must(rte_ring_sp_enqueue(r, m[i]) == 0);
	}
}

static uint32_t audit(void)
{
	uint32_t lost = mos_audit_shard(&bench.p, 0);

	bench_rings_in_order();
	bench_pool_is_whole();
	return lost;
}

START_TEST(an_audit_keeps_what_is_in_the_rings_in_order)
{
	static const uint32_t fills[] = {0, 1, ROOM - 1, ROOM};
	struct rte_mbuf *m[ROOM];
	struct rte_ring *r;

	bench_open();
	r = ring(_i);
	for (uint32_t back = 0; back <= RING_SIZE; back++) {
		for (unsigned k = 0; k < RTE_DIM(fills); k++) {
			bench_start(0u - back);
			mos_memory_drain(&bench.p); /* the blanks */
			fill(r, m, fills[k]);
			must(mos_audit_shard(&bench.p, 0) == 0);
			must(rte_ring_count(r) == fills[k]);
			for (uint32_t i = 0; i < fills[k]; i++)
				must(*bench_slot(r, i) == m[i]);
			bench_rings_in_order();
		}
	}
	bench_close();
}
END_TEST

START_TEST(mbufs_in_no_ring_are_freed_and_counted)
{
	struct mos_crash_report r;
	void *obj;

	bench_open();
	bench_put(3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(rte_ring_sc_dequeue(bench.s->rx, &obj), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(rte_ring_sc_dequeue(bench.s->blank, &obj), 0);
	ck_assert_uint_eq(mos_mbuf_audit(&bench.p), 8);
	mos_crash_repair(&bench.p, 0, true, &r);
	ck_assert_uint_eq(r.recovered, 8);
	ck_assert_uint_eq(bench_count(MOS_CTR_MBUFS_RECOVERED), 8);
	ck_assert_uint_eq(audit(), 0);
	bench_close();
}
END_TEST

/* The same mbuf twice in one ring, or in two. */
START_TEST(a_double_is_taken_out)
{
	bench_open();
	for (int a = 0; a < RINGS; a++) {
		for (int b = 0; b < RINGS; b++) {
			struct rte_mbuf *m;
			uint32_t before = rte_ring_count(ring(a));

			fill(ring(a), &m, 1);
			ck_assert_int_eq(rte_ring_sp_enqueue(ring(b), m), 0);
			ck_assert_int_eq(rte_ring_sp_enqueue(ring(b), m), 0);
			ck_assert_uint_eq(audit(), 0);
			ck_assert_uint_eq(rte_ring_count(ring(a)), before + (a <= b));
			bench_start(0);
		}
	}
	bench_close();
}
END_TEST

/* What is no packet of the shard: n of them. */
static uint32_t foreign(void **out)
{
	const struct mos_pool_map *map = &bench.p.pool_map;
	struct rte_mbuf *some[32], *m;
	uint32_t n = 0;

	ck_assert_int_eq(rte_pktmbuf_alloc_bulk(bench.p.pool, some, 32), 0);
	for (int i = 0; i < 32; i++)
		rte_pktmbuf_free(some[i]);
	m = some[0]; /* the pool is a stack: the last of these to be allocated again */
	out[n++] = NULL;
	out[n++] = (void *)(uintptr_t)1;
	out[n++] = (void *)(uintptr_t)0xdeadbeefdeadbeef;
	out[n++] = (void *)UINTPTR_MAX;
	out[n++] = (char *)m + 8;
	out[n++] = (char *)m + MOS_CACHE_LINE;
	out[n++] = (void *)(map->base - MOS_CACHE_LINE);
	out[n++] = (void *)(map->base + map->lines * MOS_CACHE_LINE);
	out[n++] = bench.p.root;
	out[n++] = m;                                             /* in the pool */
	out[n++] = *bench_slot(bench.p.root->shard[1]->blank, 0); /* the neighbour's */
	return n;
}

START_TEST(what_is_no_packet_of_the_shard_is_taken_out)
{
	struct rte_ring *r;
	struct rte_mbuf *m[2];
	void *odd[16];
	uint32_t n;

	bench_open();
	r = ring(_i);
	n = foreign(odd);
	for (uint32_t i = 0; i < n; i++) {
		bench_start(0);
		foreign(odd);
		fill(r, &m[0], 1);
		ck_assert_int_eq(rte_ring_sp_enqueue(r, odd[i]), 0);
		fill(r, &m[1], 1);
		ck_assert_uint_eq(audit(), 0);
		ck_assert_ptr_eq(*bench_slot(r, rte_ring_count(r) - 2), m[0]);
		ck_assert_ptr_eq(*bench_slot(r, rte_ring_count(r) - 1), m[1]);
	}
	bench_close();
}
END_TEST

/* The worker wrote over the slots of packets that the ledger names: 2 finished, 5 in hand. */
START_TEST(what_is_no_packet_of_the_shard_is_not_rescued)
{
	void *odd[16];
	uint32_t n;

	bench_open();
	n = foreign(odd);
	for (uint32_t i = 0; i < n; i++) {
		struct mos_crash_report r;
		struct mos_pkt_meta before = {0};
		bool ours;

		bench_start(0);
		foreign(odd);
		ours = mos_pool_map_has(&bench.p.pool_map, odd[i]);
		bench_put(BURST);
		bench_die(&(struct death){WORKING, 5, MOS_STAGE_RCV, UINT32_MAX});
		*bench_slot(bench.s->rx, 2) = odd[i];
		*bench_slot(bench.s->rx, 5) = odd[i];
		if (ours)
			before = *mos_meta(&bench.p, odd[i]);
		mos_crash_repair(&bench.p, 0, false, &r);
		ck_assert_uint_eq(r.rescued, 4);
		ck_assert_uint_eq(bench_count(MOS_CTR_RESCUED), 4);
		ck_assert(!r.suspect);
		ck_assert_uint_eq(bench_count(MOS_CTR_SUSPECT_DROPPED), 0);
		ck_assert_uint_eq(r.recovered, 2);
		ck_assert_uint_eq(r.waiting, BURST - 6);
		ck_assert_uint_eq(rte_ring_count(bench.s->tx), 4);
		if (ours)
			ck_assert_mem_eq(&before, mos_meta(&bench.p, odd[i]), sizeof(before));
		ck_assert_uint_eq(audit(), 0);
	}
	bench_close();
}
END_TEST

static void bend(struct rte_mbuf *m, int how)
{
	switch (how) {
	case 0: m->pool = NULL; break;
	case 1: m->buf_addr = NULL; break;
	case 2: rte_mbuf_refcnt_set(m, 7); break;
	case 3: rte_mbuf_refcnt_set(m, 0); break;
	case 4: m->ol_flags |= RTE_MBUF_F_EXTERNAL; break;
	case 5: m->ol_flags |= RTE_MBUF_F_INDIRECT; break;
	case 6: m->data_len = 0xffff; break;
	case 7: m->next = (struct rte_mbuf *)(uintptr_t)0x1000; break;
	case 8: m->nb_segs = 0; break;
	case 9: m->nb_segs = 3, m->next = m; break;
	case 10: memset(&m->buf_addr, 0xa5, 24); break;
	}
}
enum { BENT = 11 };

START_TEST(a_lost_mbuf_with_a_bent_header_is_made_new)
{
	bench_open();
	for (int i = 0; i < BENT; i++) {
		bend(bench_packet(), i);
		ck_assert_uint_eq(audit(), 1);
	}
	bench_close();
}
END_TEST

/* Headers are looked at when the packet is taken back: here it only has to be counted once. */
START_TEST(a_bent_header_in_a_ring_stays_there)
{
	struct mos_crash_report r;

	bench_open();
	for (int i = 0; i < BENT; i++) {
		bench_start(0);
		bench_put(BURST);
		for (int k = 0; k < BURST; k++)
			bend(bench.pkt[k], i);
		bench_die(&(struct death){WORKING, 4, MOS_STAGE_RCV, UINT32_MAX});
		mos_crash_repair(&bench.p, 0, true, &r);
		ck_assert_uint_eq(r.rescued, 4);
		ck_assert(r.suspect);
		ck_assert_uint_eq(r.waiting, 3);
		ck_assert_uint_eq(audit(), 0);
		bench_take_tx();
		mos_memory_drain(&bench.p);
		bench_pool_is_whole();
	}
	bench_close();
}
END_TEST

START_TEST(the_neighbour_keeps_what_it_lost)
{
	struct mos_shard *other;
	void *obj[4];

	bench_open();
	other = bench.p.root->shard[1];
	ck_assert_uint_eq(rte_ring_sc_dequeue_bulk(other->blank, obj, 4, NULL), 4);
	ck_assert_uint_eq(mos_audit_shard(&bench.p, 0), 0);
	ck_assert_uint_eq(mos_mbuf_audit(&bench.p), 4);
	ck_assert_uint_eq(mos_audit_shard(&bench.p, 1), 4);
	bench_close();
}
END_TEST

START_TEST(what_ports_keep_is_not_missing)
{
	struct rte_mbuf *m[3];

	bench_open();
	ck_assert_uint_eq(mos_mbuf_audit(&bench.p), 0);
	ck_assert_int_eq(rte_pktmbuf_alloc_bulk(bench.p.pool, m, 3), 0);
	ck_assert_uint_eq(mos_mbuf_audit(&bench.p), 3);
	bench.p.pool_at_ports = 2;
	ck_assert_uint_eq(mos_mbuf_audit(&bench.p), 1);
	bench.p.pool_at_ports = 4; /* they gave one back since it was measured */
	ck_assert_uint_eq(mos_mbuf_audit(&bench.p), 0);
	bench.p.pool_at_ports = 0;
	rte_pktmbuf_free_bulk(m, 3);
	bench_close();
}
END_TEST

/* A wild pointer moved the dead worker's own end: tails that cannot be are not gone on with. */
START_TEST(a_ring_with_impossible_positions_is_emptied)
{
	static const uint32_t off[] = {ROOM + 1, RING_SIZE + 3, 5 * RING_SIZE, 1u << 31, 0u - 1};
	struct mos_crash_report r;

	bench_open();
	for (unsigned i = 0; i < RTE_DIM(off); i++) {
		bench_start(1000);
		bench_put(BURST);
		bench_fill_tx(BURST);
		bench.s->rx->cons.tail = bench.s->rx->prod.tail - off[i];
		bench.s->tx->prod.tail = bench.s->tx->cons.tail + off[i];
		bench.s->blank->cons.tail = bench.s->blank->prod.tail - 10 * off[i];
		mos_crash_repair(&bench.p, 0, true, &r);
		ck_assert_uint_eq(r.waiting, 0);
		ck_assert(rte_ring_empty(bench.s->tx));
		ck_assert_uint_eq(audit(), 0);
		ck_assert_uint_eq(mos_mbuf_audit(&bench.p), 0);
	}
	bench_close();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("audit");
	TCase *tc = tcase_create("all");
	SRunner *r;
	int failed;

	test_eal_start("crash", "96");
	tcase_add_loop_test(tc, an_audit_keeps_what_is_in_the_rings_in_order, 0, RINGS);
	tcase_add_test(tc, mbufs_in_no_ring_are_freed_and_counted);
	tcase_add_test(tc, a_double_is_taken_out);
	tcase_add_loop_test(tc, what_is_no_packet_of_the_shard_is_taken_out, 0, RINGS);
	tcase_add_test(tc, what_is_no_packet_of_the_shard_is_not_rescued);
	tcase_add_test(tc, a_lost_mbuf_with_a_bent_header_is_made_new);
	tcase_add_test(tc, a_bent_header_in_a_ring_stays_there);
	tcase_add_test(tc, the_neighbour_keeps_what_it_lost);
	tcase_add_test(tc, what_ports_keep_is_not_missing);
	tcase_add_test(tc, a_ring_with_impossible_positions_is_emptied);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
