/*
 * A worker dies at every step of the loop, and what it had in hand is repaired. Bench: test_shard.h.
 */
#include "primary/crash/test_shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "primary/eal/test_eal.h"

#define NONE   UINT32_MAX
#define BEFORE 2 /* packets in the tx ring of bursts before */
#define BEHIND 5 /* packets in the rx ring behind the burst */
#define STRUCK (MOS_FLOW_IN_USE | MOS_FLOW_SUSPECT | MOS_FLOW_TORN)

/* What has to become of the burst. */
struct outcome {
	uint32_t in_hand, rescued;
	bool suspect, struck;
	uint32_t sent; /* of the burst, in the tx ring afterwards; the rest is in the rx ring */
	uint32_t gone; /* of the burst, not in the rx ring any more */
};

static void expect_report(const struct death *d, const struct outcome *o,
                          const struct mos_crash_report *r, uint32_t behind)
{
	must(!r->ledger_bad);
	must(r->in_hand == o->in_hand);
	must(r->rescued == o->rescued);
	must(r->suspect == o->suspect);
	must(r->waiting == BURST - o->gone + behind);
	must(r->recovered == 0);
	must(r->flow == (o->struck ? d->flow : NONE));
	must(r->strikes == (o->struck && d->flow == bench.flow_slot));
	if (d->reach == WORKING || d->reach == TELLING || d->reach == AFTER)
		must(r->stage == d->stage);
}

static void expect_counters(const struct outcome *o, bool forward)
{
	must(bench_count(MOS_CTR_WORKER_DEATHS) == 1);
	must(bench_count(MOS_CTR_RESCUED) == o->rescued);
	must(bench_count(MOS_CTR_SUSPECT_FORWARDED) == (o->suspect && forward));
	must(bench_count(MOS_CTR_SUSPECT_DROPPED) == (o->suspect && !forward));
	must(bench_count(MOS_CTR_MBUFS_RECOVERED) == 0);
}

/* In the tx ring: what was there before, the finished ones as they were, the suspect as told. */
static void expect_tx(const struct outcome *o, bool forward)
{
	must(rte_ring_count(bench.s->tx) == BEFORE + o->sent);
	for (uint32_t i = 0; i < o->sent; i++) {
		struct rte_mbuf *m = *bench_slot(bench.s->tx, BEFORE + i);
		uint8_t verdict = bench_verdict(i);

		if (o->suspect && i + 1 == o->sent)
			verdict = forward ? MOS_VERDICT_FORWARD : MOS_VERDICT_DROP;
		must(m == bench.pkt[i]);
		must(mos_meta(&bench.p, m)->verdict == verdict);
	}
}

/* In the rx ring: the others, in order, for the successor. */
static void expect_rx(const struct outcome *o, uint32_t behind)
{
	must(rte_ring_count(bench.s->rx) == BURST - o->gone + behind);
	for (uint32_t i = o->gone; i < BURST + behind; i++)
		must(*bench_slot(bench.s->rx, i - o->gone) == bench.pkt[i]);
}

static void expect_flow(const struct death *d, const struct outcome *o)
{
	bool struck = o->struck && d->flow == bench.flow_slot;
	const struct mos_flow *f = &bench.flow[bench.flow_slot];

	must(f->strikes == struck);
	must(f->flags == (struck ? STRUCK : MOS_FLOW_IN_USE));
	must(f->survived == (struck ? 0 : 100));
}

static void die_and_repair(const struct death *d, const struct outcome *o, uint32_t pos,
                           uint32_t behind, bool forward)
{
	struct mos_crash_report r;

	bench_start(pos);
	bench.flow[bench.flow_slot].survived = 100;
	bench_fill_tx(BEFORE);
	bench_put(BURST + behind);
	bench_die(d);
	mos_crash_repair(&bench.p, 0, forward, &r);
	expect_report(d, o, &r, behind);
	expect_counters(o, forward);
	expect_tx(o, forward);
	expect_rx(o, behind);
	expect_flow(d, o);
	bench_rings_in_order();

	must(bench.s->ledger.count == 0);
	must(bench.s->ledger.stage == MOS_STAGE_IDLE);
	must(bench.s->ledger.flow == NONE);
}

/*
 * Everywhere the burst can lie, in such steps: in the middle, over the end of the ring, over 2^32.
 */
static void everywhere(const struct death *d, const struct outcome *o, uint32_t step)
{
	for (uint32_t back = 0; back <= BURST + BEHIND; back += step) {
		for (int k = 0; k < 4; k++) {
			uint32_t behind = k & 1 ? BEHIND : 0;
			bool forward = (k & 2) != 0;

			die_and_repair(d, o, 0u - back, behind, forward);
			die_and_repair(d, o, 3 * RING_SIZE - back, behind, forward);
		}
	}
	die_and_repair(d, o, 1000, ROOM - BURST, true); /* the rx ring is full */
}

/* clang-format off */
static const struct {
	struct death death;
	struct outcome outcome;
} steps[] = {
	/* reach      cur        stage            flow    in hand rescued suspect struck sent gone */
	{{TAKEN,      0,         0,               NONE},   {0,     0,     false, false, 0,     0}},
	{{HALF_BEGUN, 0,         0,               NONE},   {0,     0,     false, false, 0,     0}},
	{{BEGUN,      0,         0,               0},      {BURST, 0,     false, false, 0,     0}},
	{{BEGUN,      3,         0,               0},      {BURST, 3,     false, false, 3,     3}},
	{{WORKING,    0,         MOS_STAGE_DATA,  0},      {BURST, 1,     false, true,  1,     1}},
	{{WORKING,    3,         MOS_STAGE_DATA,  NONE},   {BURST, 4,     false, false, 4,     4}},
	{{WORKING,    7,         MOS_STAGE_DATA,  FLOWS},  {BURST, BURST, false, true,  BURST, BURST}},
	{{FLOW_STALE, 1,         0,               0},      {BURST, 1,     false, false, 1,     1}},
	{{FLOW_STALE, BURST,     0,               0},      {BURST, BURST, false, false, BURST, BURST}},
	{{ALL_DONE,   BURST,     0,               0},      {BURST, BURST, false, false, BURST, BURST}},
	{{TELLING,    BURST,     MOS_STAGE_AFTER, 0},      {BURST, BURST, false, true,  BURST, BURST}},
	{{TELLING,    BURST,     MOS_STAGE_AFTER, FLOWS},  {BURST, BURST, false, true,  BURST, BURST}},
	{{HALF_SENT,  BURST,     0,               0},      {BURST, BURST, false, false, BURST, BURST}},
	{{SENT,       BURST,     0,               0},      {BURST, 0,     false, false, BURST, BURST}},
	{{GIVEN_BACK, BURST,     0,               0},      {BURST, 0,     false, false, BURST, BURST}},
	{{ENDED,      BURST,     0,               0},      {0,     0,     false, false, BURST, BURST}},
	{{AFTER,      BURST,     MOS_STAGE_AFTER, NONE},   {0,     0,     false, false, BURST, BURST}},
	{{AFTER,      BURST,     MOS_STAGE_AFTER, 0},      {0,     0,     false, true,  BURST, BURST}},
	{{AFTER,      BURST,     MOS_STAGE_AFTER, FLOWS},  {0,     0,     false, true,  BURST, BURST}},
};
/* clang-format on */

/* Flow 0 of the table above is the one in use. */
static uint32_t flow_of(uint32_t flow)
{
	return flow == 0 ? bench.flow_slot : flow;
}

START_TEST(each_step_of_a_burst_is_repaired)
{
	struct death d = steps[_i].death;

	bench_open();
	d.flow = flow_of(d.flow);
	everywhere(&d, &steps[_i].outcome, 1);
	bench_close();
}
END_TEST

/* In packet 0, 3 and the last, with a flow, without and with one that is none. */
static void in_each_packet(enum mos_ledger_stage stage, bool finished)
{
	static const uint32_t curs[] = {0, 3, BURST - 1}, flows[] = {NONE, 0, FLOWS, NONE - 1};

	bench_open();
	for (unsigned i = 0; i < RTE_DIM(curs); i++) {
		for (unsigned k = 0; k < RTE_DIM(flows); k++) {
			uint32_t cur = curs[i];
			struct death d = {WORKING, cur, stage, flow_of(flows[k])};
			bool again = stage == MOS_STAGE_LOOKUP && flows[k] == NONE;
			uint32_t out = cur + !again;
			struct outcome o = {
				BURST, cur + finished, !finished && !again, flows[k] != NONE, out,
				out};

			everywhere(&d, &o, 3); /* each place is another packet's and stage's */
		}
	}
	bench_close();
}

START_TEST(the_packet_in_hand_gets_the_fail_policy)
{
	if (_i != MOS_STAGE_DATA)
		in_each_packet((enum mos_ledger_stage)_i, false);
}
END_TEST

/* Its flow is in hand still: that has the strike. */
START_TEST(a_packet_whose_data_is_told_goes_out_by_its_verdict)
{
	in_each_packet(MOS_STAGE_DATA, true);
}
END_TEST

START_TEST(a_packet_that_no_callback_saw_is_tried_once_more)
{
	const struct death d = {WORKING, 0, MOS_STAGE_LOOKUP, NONE};
	struct mos_crash_report r;

	bench_open();
	bench_put(BURST);
	bench_die(&d);
	mos_crash_repair(&bench.p, 0, true, &r);
	ck_assert(!r.suspect);
	ck_assert_uint_eq(r.waiting, BURST);
	ck_assert_ptr_eq(*bench_slot(bench.s->rx, 0), bench.pkt[0]);

	/* The successor dies of it as well. */
	bench_die(&d);
	mos_crash_repair(&bench.p, 0, true, &r);
	ck_assert(r.suspect);
	ck_assert_uint_eq(r.waiting, BURST - 1);
	ck_assert_ptr_eq(*bench_slot(bench.s->tx, 0), bench.pkt[0]);
	bench_close();
}
END_TEST

START_TEST(what_the_application_said_of_the_suspect_stands)
{
	struct mos_crash_report r;

	bench_open();
	bench_put(BURST);
	mos_meta(&bench.p, bench.pkt[0])->verdict = MOS_VERDICT_CONSUME;
	bench_die(&(struct death){WORKING, 0, MOS_STAGE_RCV, NONE});
	mos_crash_repair(&bench.p, 0, true, &r);
	ck_assert_ptr_eq(*bench_slot(bench.s->tx, 0), bench.pkt[0]);
	ck_assert_uint_eq(mos_meta(&bench.p, bench.pkt[0])->verdict, MOS_VERDICT_CONSUME);
	bench_close();
}
END_TEST

/* ---- translated flows ---- */

/* Die over packet 3 with this flow in hand, whose hash is the packet's, with `forward`. */
static uint8_t verdict_of_suspect(uint32_t flow, uint8_t flags, uint32_t hash, uint32_t out_hash)
{
	struct mos_crash_report r;
	struct mos_flow *f;
	uint8_t verdict;

	bench_start(0);
	f = &bench.flow[bench.flow_slot];
	f->flags |= flags;
	f->hash = hash;
	f->out_hash = out_hash;
	bench_put(BURST);
	mos_meta(&bench.p, bench.pkt[3])->hash = 77;
	bench_die(&(struct death){WORKING, 3, MOS_STAGE_SND, flow});
	mos_crash_repair(&bench.p, 0, true, &r);
	must(r.suspect && r.rescued == 3);
	verdict = mos_meta(&bench.p, bench.pkt[3])->verdict;
	must(bench_count(MOS_CTR_SUSPECT_DROPPED) == (verdict == MOS_VERDICT_DROP));
	must(bench_count(MOS_CTR_SUSPECT_FORWARDED) == (verdict == MOS_VERDICT_FORWARD));
	bench_rings_in_order();
	return verdict;
}

START_TEST(the_packet_in_hand_of_a_translated_flow_is_never_sent)
{
	static const uint8_t flags[] = {MOS_FLOW_TWO_KEYS, MOS_FLOW_REMAP, MOS_FLOW_REMAP << 1};
	uint32_t flow;

	bench_open();
	flow = bench.flow_slot;
	ck_assert_uint_eq(verdict_of_suspect(flow, 0, 77, 77), MOS_VERDICT_FORWARD);
	ck_assert_uint_eq(verdict_of_suspect(NONE, 0, 77, 77), MOS_VERDICT_FORWARD);
	for (unsigned i = 0; i < RTE_DIM(flags); i++) {
		ck_assert_uint_eq(verdict_of_suspect(flow, flags[i], 1, 2), MOS_VERDICT_DROP);
		ck_assert_uint_eq(verdict_of_suspect(NONE, flags[i], 77, 2), MOS_VERDICT_DROP);
		ck_assert_uint_eq(verdict_of_suspect(FLOWS, flags[i], 77, 2), MOS_VERDICT_DROP);
		ck_assert_uint_eq(verdict_of_suspect(NONE, flags[i], 1, 2), MOS_VERDICT_FORWARD);
	}
	ck_assert_uint_eq(verdict_of_suspect(NONE, MOS_FLOW_TWO_KEYS, 1, 77), MOS_VERDICT_DROP);
	ck_assert_uint_eq(verdict_of_suspect(NONE, MOS_FLOW_REMAP, 1, 77), MOS_VERDICT_FORWARD);
	bench_close();
}
END_TEST

START_TEST(what_flow_it_is_of_a_damaged_table_does_not_tell)
{
	uint8_t *hdr;

	bench_open();
	hdr = bench.s->flow_table;
	hdr[0] ^= 1;
	bench_put(BURST);
	bench_die(&(struct death){WORKING, 0, MOS_STAGE_SND, bench.flow_slot});
	mos_crash_repair(&bench.p, 0, true, &(struct mos_crash_report){0});
	hdr[0] ^= 1;
	ck_assert_uint_eq(mos_meta(&bench.p, bench.pkt[0])->verdict, MOS_VERDICT_DROP);
	bench_close();
}
END_TEST

/* ---- rings ---- */

START_TEST(a_half_written_burst_was_never_in_the_ring)
{
	struct rte_ring *r;

	bench_open();
	r = bench.s->tx;
	for (uint32_t pos = 0u - RING_SIZE; pos != RING_SIZE; pos++) {
		bench_start(pos);
		bench_fill_tx(BEFORE);
		r->prod.head += BURST;
		mos_ring_repair_producer(r);
		must(r->prod.head == pos + BEFORE && r->prod.tail == pos + BEFORE);
		must(r->cons.head == pos && r->cons.tail == pos);
	}
	bench_close();
}
END_TEST

START_TEST(a_half_read_burst_is_still_in_the_ring)
{
	struct rte_ring *r;

	bench_open();
	r = bench.s->rx;
	for (uint32_t pos = 0u - RING_SIZE; pos != RING_SIZE; pos++) {
		bench_start(pos);
		bench_put(ROOM);
		r->cons.head += BURST;
		mos_ring_repair_consumer(r);
		must(r->prod.head == pos + ROOM && r->prod.tail == pos + ROOM);
		must(r->cons.head == pos && r->cons.tail == pos);
	}
	bench_close();
}
END_TEST

/* ---- strikes ---- */

static void strike(uint32_t flow, struct mos_crash_report *r)
{
	bench_put(BURST);
	bench_die(&(struct death){WORKING, 0, MOS_STAGE_SND, flow});
	mos_crash_repair(&bench.p, 0, true, r);
	ck_assert_uint_eq(r->flow, flow);
	bench_rings_in_order();
	bench_take_tx();
	mos_memory_drain(&bench.p);
}

START_TEST(strikes_add_up_and_stop_at_the_largest)
{
	struct mos_crash_report r;
	struct mos_flow *f;

	bench_open();
	f = &bench.flow[bench.flow_slot];
	for (unsigned i = 1; i <= UINT8_MAX + 3; i++) {
		f->survived = (uint16_t)(7 * i);
		strike(bench.flow_slot, &r);
		ck_assert_uint_eq(f->strikes, RTE_MIN(i, (unsigned)UINT8_MAX));
		ck_assert_uint_eq(r.strikes, f->strikes);
		ck_assert_mem_eq(&r.key, &f->key, sizeof(r.key));
		ck_assert_uint_eq(f->survived, 0);
		ck_assert_uint_eq(f->flags, STRUCK);
	}
	bench_close();
}
END_TEST

START_TEST(a_free_record_gets_no_strike)
{
	struct mos_crash_report r;
	struct mos_flow before[FLOWS];
	uint32_t other;

	bench_open();
	other = (bench.flow_slot + 1) % FLOWS;
	memcpy(before, bench.flow, sizeof(before));
	memset(bench.s->user_areas, 0xff, sizeof(before));
	strike(other, &r);
	strike(FLOWS, &r);
	ck_assert_uint_eq(r.strikes, 0);
	strike(NONE - 1, &r);
	ck_assert_uint_eq(r.strikes, 0);
	ck_assert_mem_eq(before, bench.flow, sizeof(before));
	for (size_t i = 0; i < sizeof(before); i++)
		must(((uint8_t *)bench.s->user_areas)[i] == 0xff);
	bench_close();
}
END_TEST

START_TEST(a_damaged_flow_table_gets_no_strike)
{
	struct mos_crash_report r;
	uint8_t *hdr;

	bench_open();
	hdr = bench.s->flow_table;
	for (size_t i = 0; i < MOS_CACHE_LINE; i++) {
		uint8_t was = hdr[i];

		hdr[i] ^= 0xff;
		strike(bench.flow_slot, &r);
		hdr[i] = was;
	}
	bench_close();
}
END_TEST

/* ---- no room ---- */

/* With room for _i packets: so many go out, in order; the others stay, in order. */
START_TEST(what_finds_no_room_stays_for_the_successor)
{
	const struct death d = {WORKING, 5, MOS_STAGE_RCV, bench.flow_slot};
	uint32_t room = (uint32_t)_i, go = RTE_MIN(room, 6u);
	struct mos_crash_report r;

	bench_open();
	bench_start(0u - 30);
	bench_fill_tx(ROOM - room);
	bench_put(BURST + BEHIND);
	bench_die(&d);
	mos_crash_repair(&bench.p, 0, false, &r);
	ck_assert_uint_eq(r.rescued, RTE_MIN(room, 5u));
	ck_assert(r.suspect == (room > 5));
	ck_assert_uint_eq(bench_count(MOS_CTR_RESCUED), RTE_MIN(room, 5u));
	ck_assert_uint_eq(bench_count(MOS_CTR_SUSPECT_DROPPED), room > 5);
	ck_assert_uint_eq(r.strikes, 1);
	ck_assert_uint_eq(r.recovered, 0);
	ck_assert_uint_eq(rte_ring_count(bench.s->tx), ROOM - room + go);
	for (uint32_t i = 0; i < go; i++)
		ck_assert_ptr_eq(*bench_slot(bench.s->tx, ROOM - room + i), bench.pkt[i]);
	ck_assert_uint_eq(r.waiting, BURST + BEHIND - go);
	for (uint32_t i = go; i < BURST + BEHIND; i++)
		ck_assert_ptr_eq(*bench_slot(bench.s->rx, i - go), bench.pkt[i]);
	bench_close();
}
END_TEST

/* The I/O lcore sent the burst, and gave the same mbufs out again, before the worker was missed. */
START_TEST(an_mbuf_that_came_round_again_is_kept)
{
	struct mos_crash_report r;

	bench_open();
	bench_put(BURST);
	bench_die(&(struct death){SENT, BURST, 0, NONE});
	ck_assert_uint_eq(rte_ring_sc_dequeue_bulk(bench.s->tx, (void *[BURST]){0}, BURST, NULL),
	                  BURST);
	ck_assert_uint_eq(rte_ring_sp_enqueue_bulk(bench.s->rx, (void **)bench.pkt, BURST, NULL),
	                  BURST);
	mos_crash_repair(&bench.p, 0, true, &r);
	ck_assert_uint_eq(r.waiting, BURST);
	ck_assert_uint_eq(r.recovered, 0);
	for (uint32_t i = 0; i < BURST; i++)
		ck_assert_ptr_eq(*bench_slot(bench.s->rx, i), bench.pkt[i]);
	bench_close();
}
END_TEST

/* Two deaths in a row: what the first left is what the second finds. */
START_TEST(a_second_repair_changes_nothing)
{
	struct mos_crash_report r;

	bench_open();
	for (unsigned i = 0; i < RTE_DIM(steps); i++) {
		uint32_t waiting, tx;

		bench_start(0);
		bench_put(BURST + BEHIND);
		bench_die(&steps[i].death);
		mos_crash_repair(&bench.p, 0, true, &r);
		waiting = r.waiting;
		tx = rte_ring_count(bench.s->tx);
		mos_crash_repair(&bench.p, 0, true, &r);
		ck_assert_uint_eq(r.waiting, waiting);
		ck_assert_uint_eq(rte_ring_count(bench.s->tx), tx);
		ck_assert_uint_eq(r.rescued + r.in_hand + r.recovered, 0);
		ck_assert_uint_eq(r.flow, NONE);
		bench_rings_in_order();
	}
	bench_close();
}
END_TEST

/* ---- garbage ---- */

static void scribble(struct mos_ledger *l)
{
	uint32_t *word[] = {&l->count, &l->rx_tail, &l->tx_tail, &l->cur, &l->stage, &l->flow};

	for (unsigned i = 0; i < RTE_DIM(word); i++) {
		switch (random() % 4) {
		case 0: *word[i] = (uint32_t)random() << 1 ^ (uint32_t)random(); break;
		case 1: *word[i] = (uint32_t)random() % (MOS_BURST_MAX + 2); break;
		case 2: *word[i] += (uint32_t)(random() % 5) - 2; break;
		}
	}
}

START_TEST(no_ledger_loses_or_doubles_a_packet)
{
	unsigned seed = (unsigned)time(NULL);
	struct mos_crash_report r;

	printf("seed %u\n", seed);
	srandom(seed);
	bench_open();
	bench_start(0u - 300000);
	for (int i = 0; i < 100000; i++) {
		struct death d = {(enum reach)(random() % (AFTER + 1)), (uint32_t)random() % BURST,
		                  (enum mos_ledger_stage)(random() % (MOS_STAGE_AFTER + 1)),
		                  (uint32_t)random() % (2 * FLOWS)};
		uint32_t waiting = rte_ring_count(bench.s->rx);

		if (waiting < BURST)
			bench_put(BURST - waiting + (uint32_t)random() % BURST);
		if (rte_ring_free_count(bench.s->tx) < BURST)
			bench_take_tx();
		bench_die(&d);
		scribble(&bench.s->ledger);
		mos_crash_repair(&bench.p, 0, random() % 2, &r);
		bench_rings_in_order();
		must(r.rescued <= MOS_BURST_MAX);
		must(r.waiting == rte_ring_count(bench.s->rx));
		if (i % 4096 == 0)
			bench_pool_is_whole();
	}
	bench_close();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("crash");
	TCase *tc = tcase_create("all");
	SRunner *r;
	int failed;

	test_eal_start("crash", "96");
	tcase_add_loop_test(tc, each_step_of_a_burst_is_repaired, 0, RTE_DIM(steps));
	tcase_add_loop_test(tc, the_packet_in_hand_gets_the_fail_policy, MOS_STAGE_RAW,
	                    MOS_STAGE_AFTER + 1);
	tcase_add_test(tc, a_packet_whose_data_is_told_goes_out_by_its_verdict);
	tcase_add_test(tc, what_the_application_said_of_the_suspect_stands);
	tcase_add_test(tc, a_packet_that_no_callback_saw_is_tried_once_more);
	tcase_add_test(tc, a_half_written_burst_was_never_in_the_ring);
	tcase_add_test(tc, a_half_read_burst_is_still_in_the_ring);
	tcase_add_test(tc, strikes_add_up_and_stop_at_the_largest);
	tcase_add_test(tc, a_free_record_gets_no_strike);
	tcase_add_test(tc, a_damaged_flow_table_gets_no_strike);
	tcase_add_test(tc, the_packet_in_hand_of_a_translated_flow_is_never_sent);
	tcase_add_test(tc, what_flow_it_is_of_a_damaged_table_does_not_tell);
	tcase_add_loop_test(tc, what_finds_no_room_stays_for_the_successor, 0, BURST);
	tcase_add_test(tc, an_mbuf_that_came_round_again_is_kept);
	tcase_add_test(tc, a_second_repair_changes_nothing);
	tcase_add_test(tc, no_ledger_loses_or_doubles_a_packet);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
