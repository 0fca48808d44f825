/*
 * A worker dies while it sends packets of its own: at every step of sending one, in every packet of
 * a burst, and whatever it leaves in the outbox. Bench: test_shard.h.
 */
#include "primary/crash/test_shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_ring_peek_zc.h>

#include "primary/eal/test_eal.h"

#define SENT_MAX 3 /* packets sent with each packet of the burst */

/* The last store before the death, in work on packet `cur` or behind the last one. */
enum point {
	BLANK_TAKEN,   /* out of the blank ring */
	ENTRY_WRITTEN, /* but not counted */
	COUNTED,       /* sent; packet cur is still worked on */
	FINISHED,      /* packet cur is done */
	HANDED_OVER,   /* after the last one: all is in the tx ring */
	DEQUEUED,      /* rx cons.tail has moved */
	CLOSED,        /* the ledger is closed */
	POINTS,
};

static struct rte_mbuf *sent[BURST * SENT_MAX]; /* in order */
static uint32_t sent_count;                     /* of these, counted by the ledger */

static struct rte_mbuf *take_blank(void)
{
	struct rte_mbuf *m = NULL;

	must(rte_ring_sc_dequeue(bench.s->blank, (void **)&m) == 0);
	memset(rte_pktmbuf_append(m, 60), 0, 60);
	return m;
}

/* Send a packet as the worker does, up to this point. */
static void send_one(enum point last)
{
	struct mos_ledger *l = &bench.s->ledger;
	uint32_t n = l->outbox;

	sent[sent_count] = take_blank();
	if (last == BLANK_TAKEN)
		return;
	bench.s->outbox.entry[n] =
		(struct mos_outbox_entry){.mbuf = sent[sent_count], .before = l->cur};
	if (last == ENTRY_WRITTEN)
		return;
	mos_ledger_outbox(l, n + 1);
	sent_count++;
}

static void take_burst(struct rte_mbuf **m)
{
	struct rte_ring_zc_data z;

	must(rte_ring_dequeue_zc_burst_start(bench.s->rx, BURST, &z, NULL) == BURST);
	for (uint32_t i = 0; i < BURST; i++)
		m[i] = i < z.n1 ? ((struct rte_mbuf **)z.ptr1)[i]
		                : ((struct rte_mbuf **)z.ptr2)[i - z.n1];
}

/* With `each` sent in each packet's callbacks; the death comes with the last of them in cur. */
static bool work(uint32_t cur, enum point last, uint32_t each)
{
	for (uint32_t i = 0; i < BURST; i++) {
		mos_ledger_stage(&bench.s->ledger, MOS_STAGE_SND);
		for (uint32_t k = 0; k < each; k++) {
			bool now = i == cur && k + 1 == each;

			send_one(now ? last : COUNTED);
			if (now && last <= COUNTED)
				return false;
		}
		mos_ledger_done(&bench.s->ledger, i);
		if (i == cur && last == FINISHED)
			return false;
	}
	return true;
}

static void hand_over(struct rte_mbuf **m, uint32_t each, enum point last)
{
	struct mos_shard *s = bench.s;
	void *all[BURST * (1 + SENT_MAX)];
	uint32_t n = 0;

	for (uint32_t i = 0; i < BURST; i++) {
		for (uint32_t k = 0; k < each; k++)
			all[n++] = sent[i * each + k];
		all[n++] = m[i];
	}
	must(rte_ring_sp_enqueue_bulk(s->tx, all, n, NULL) == n);
	if (last == HANDED_OVER)
		return;
	rte_ring_dequeue_zc_finish(s->rx, BURST);
	if (last == DEQUEUED)
		return;
	mos_ledger_end(&s->ledger);
}

static void die(uint32_t cur, enum point last, uint32_t each)
{
	struct rte_mbuf *m[BURST];

	sent_count = 0;
	take_burst(m);
	mos_ledger_begin(&bench.s->ledger, BURST, bench.s->rx->cons.tail, bench.s->tx->prod.tail);
	if (work(cur, last, each))
		hand_over(m, each, last);
}

/* Packets of the burst and sent ones, each where it belongs; then so many of the burst are left. */
static void expect_tx(uint32_t cur, enum point last, uint32_t each)
{
	uint32_t gone = last >= HANDED_OVER ? BURST : cur + 1, at = 0;

	for (uint32_t i = 0; i < gone; i++) {
		for (uint32_t k = 0; k < each && i * each + k < sent_count; k++)
			must(*bench_slot(bench.s->tx, at++) == sent[i * each + k]);
		must(*bench_slot(bench.s->tx, at++) == bench.pkt[i]);
	}
	must(rte_ring_count(bench.s->tx) == at);
	must(rte_ring_count(bench.s->rx) == BURST - gone);
	for (uint32_t i = gone; i < BURST; i++)
		must(*bench_slot(bench.s->rx, i - gone) == bench.pkt[i]);
}

static void die_and_repair(uint32_t pos, uint32_t cur, enum point last, uint32_t each)
{
	struct mos_crash_report r;
	uint32_t lost = last == BLANK_TAKEN || last == ENTRY_WRITTEN;

	bench_start(pos);
	bench_put(BURST);
	die(cur, last, each);
	mos_crash_repair(&bench.p, 0, true, &r);
	must(!r.ledger_bad);
	must(r.suspect == (last <= COUNTED));
	must(r.sent == (last >= HANDED_OVER ? 0 : sent_count));
	must(r.rescued == (last <= COUNTED ? cur : last == FINISHED ? cur + 1 : 0));
	must(bench_count(MOS_CTR_RESCUED) == r.rescued + r.sent);
	must(r.recovered == lost);
	expect_tx(cur, last, each);
	bench_rings_in_order();
}

START_TEST(what_was_sent_goes_out_in_order)
{
	bench_open();
	for (uint32_t cur = 0; cur < BURST; cur++) {
		for (uint32_t each = 1; each <= SENT_MAX; each++) {
			die_and_repair(0, cur, (enum point)_i, each);
			die_and_repair(0u - 5, cur, (enum point)_i, each);
		}
	}
	bench_close();
}
END_TEST

/* In the callbacks behind the last packet: they go out behind it. */
START_TEST(what_was_sent_behind_the_last_goes_out_last)
{
	struct mos_crash_report r;

	bench_open();
	bench_put(BURST);
	die(BURST - 1, FINISHED, 0);
	mos_ledger_stage(&bench.s->ledger, MOS_STAGE_AFTER);
	send_one(COUNTED);
	send_one(COUNTED);
	mos_crash_repair(&bench.p, 0, true, &r);
	ck_assert_uint_eq(r.rescued, BURST);
	ck_assert_uint_eq(r.sent, 2);
	for (uint32_t i = 0; i < BURST; i++)
		ck_assert_ptr_eq(*bench_slot(bench.s->tx, i), bench.pkt[i]);
	ck_assert_ptr_eq(*bench_slot(bench.s->tx, BURST), sent[0]);
	ck_assert_ptr_eq(*bench_slot(bench.s->tx, BURST + 1), sent[1]);
	bench_rings_in_order();
	bench_close();
}
END_TEST

/* ---- garbage ---- */

/* Something an entry may be after a wild store: packets that are elsewhere among them. */
static void *some_address(void)
{
	switch (random() % 8) {
	case 0: return NULL;
	case 1: return (void *)((uintptr_t)random() << 20);
	case 2: return bench.pkt[random() % BURST];
	case 3: return *bench_slot(bench.s->blank, (uint32_t)random() % 8);
	case 4: return *bench_slot(bench.p.root->shard[1]->blank, (uint32_t)random() % 8);
	case 5: return (char *)bench.pkt[0] + random() % 4096;
	case 6: return (void *)bench.p.pool_map.base;
	default: return &bench;
	}
}

static void scribble(void)
{
	struct mos_outbox_entry *e = bench.s->outbox.entry;

	for (int i = 0; i < 6; i++) {
		uint32_t k = (uint32_t)random() % 12;

		if (random() % 2)
			e[k].mbuf = some_address();
		if (random() % 4 == 0)
			e[k].before = random() % 2 ? (uint64_t)random() % BURST
			                           : (uint64_t)random() << 33;
	}
	if (random() % 4 == 0)
		bench.s->ledger.outbox = (uint32_t)random() % 16;
	if (random() % 16 == 0)
		bench.s->ledger.outbox = (uint32_t)random() << 1;
}

START_TEST(no_outbox_loses_or_doubles_a_packet)
{
	unsigned seed = (unsigned)time(NULL);
	struct mos_crash_report r;

	printf("seed %u\n", seed);
	srandom(seed);
	bench_open();
	for (int i = 0; i < 3000; i++) {
		bench_start(0);
		bench_put(BURST);
		die((uint32_t)random() % BURST, (enum point)(random() % (FINISHED + 1)),
		    1 + (uint32_t)random() % SENT_MAX);
		scribble();
		mos_crash_repair(&bench.p, 0, random() % 2, &r);
		bench_rings_in_order();
		if (i % 256 == 0)
			bench_pool_is_whole();
	}
	bench_close();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("outbox");
	TCase *tc = tcase_create("all");
	SRunner *r;
	int failed;

	test_eal_start("outbox", "96");
	tcase_add_loop_test(tc, what_was_sent_goes_out_in_order, 0, POINTS);
	tcase_add_test(tc, what_was_sent_behind_the_last_goes_out_last);
	tcase_add_test(tc, no_outbox_loses_or_doubles_a_packet);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
