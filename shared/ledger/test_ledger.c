/*
 * The ledger on the bench: a row says how far a worker came before it died, the worker's own calls
 * bring a ledger and the two ring positions there, and the row says what the primary must conclude.
 */
#include <check.h>
#include <stdlib.h>

#include "shared/ledger/ledger.h"
#include "shared/test_twice.h"

#define BURST 8
#define FLOW  42
#define NONE  UINT32_MAX

static struct twice mem;
static struct mos_ledger *worker, *primary; /* the same ledger */

static void setup(void)
{
	mem = map_twice(sizeof(struct mos_ledger));
	worker = mem.a;
	primary = mem.b;
	mos_ledger_reset(primary);
}

static void teardown(void)
{
	unmap_twice(&mem);
}

/* How far the burst came. Packets before `cur` are always done. */
enum reach {
	TAKEN,      /* cons.head has moved, begin has not run */
	BEGUN,      /* at packet cur, which has not been started */
	STAGE,      /* in a stage of packet cur, its flow not known */
	FLOW_KNOWN, /* in a stage of packet cur, which belongs to FLOW */
	FLOW_STALE, /* between the two stores of mos_ledger_done: packet cur is done */
	ALL_DONE,   /* every packet is done, the tx ring has nothing yet */
	NEW_DATA,   /* and the new data of FLOW is told */
	TOLD,       /* and has been told */
	SENT,       /* the tx ring has the burst */
	DEQUEUED,   /* and rx cons.tail has moved */
	ENDED,      /* and the ledger is closed */
	AFTER,      /* in timers and expiry, at FLOW */
};

struct death {
	enum reach reach;
	uint32_t cur;
	enum mos_ledger_stage stage;
	/* conclusion */
	uint32_t done;
	bool sent, suspect;
	uint32_t flow;
};

/* clang-format off */
static const struct death deaths[] = {
	/* reach       cur        stage             done   sent   suspect flow */
	{TAKEN,        0,         MOS_STAGE_IDLE,   0,     false, false,  NONE},
	{BEGUN,        0,         MOS_STAGE_IDLE,   0,     false, false,  NONE},
	{STAGE,        0,         MOS_STAGE_RAW,    0,     false, true,   NONE},
	{STAGE,        0,         MOS_STAGE_LOOKUP, 0,     false, true,   NONE},
	{FLOW_KNOWN,   0,         MOS_STAGE_LOOKUP, 0,     false, true,   FLOW},
	{FLOW_KNOWN,   0,         MOS_STAGE_SND,    0,     false, true,   FLOW},
	{FLOW_KNOWN,   3,         MOS_STAGE_RCV,    3,     false, true,   FLOW},
	{FLOW_KNOWN,   3,         MOS_STAGE_END,    3,     false, true,   FLOW},
	{FLOW_KNOWN,   3,         MOS_STAGE_DATA,   4,     false, false,  FLOW},
	{FLOW_KNOWN,   BURST - 1, MOS_STAGE_DATA,   BURST, false, false,  FLOW},
	{FLOW_STALE,   3,         MOS_STAGE_RCV,    4,     false, false,  NONE},
	{FLOW_STALE,   BURST - 1, MOS_STAGE_END,    BURST, false, false,  NONE},
	{BEGUN,        4,         MOS_STAGE_IDLE,   4,     false, false,  NONE},
	{STAGE,        BURST - 1, MOS_STAGE_RAW,    BURST - 1, false, true, NONE},
	{ALL_DONE,     BURST,     MOS_STAGE_IDLE,   BURST, false, false,  NONE},
	{NEW_DATA,     BURST,     MOS_STAGE_AFTER,  BURST, false, false,  FLOW},
	{TOLD,         BURST,     MOS_STAGE_IDLE,   BURST, false, false,  NONE},
	{SENT,         BURST,     MOS_STAGE_IDLE,   BURST, true,  false,  NONE},
	{DEQUEUED,     BURST,     MOS_STAGE_IDLE,   0,     false, false,  NONE},
	{ENDED,        BURST,     MOS_STAGE_IDLE,   0,     false, false,  NONE},
	{AFTER,        BURST,     MOS_STAGE_AFTER,  0,     false, false,  FLOW},
};
/* clang-format on */

struct rings {
	uint32_t rx_tail; /* rx cons.tail */
	uint32_t tx_tail; /* tx prod.tail */
	uint32_t waiting; /* rx prod.tail - cons.tail */
};

/* The worker's life up to its death, from rings that stand at `r`; it has sent `outbox` packets. */
static void live(const struct death *d, struct rings *r, uint32_t outbox)
{
	if (d->reach == TAKEN)
		return;
	mos_ledger_begin(worker, BURST, r->rx_tail, r->tx_tail);
	for (uint32_t i = 0; i < outbox && d->cur > 0; i++)
		mos_ledger_outbox(worker, i + 1);
	for (uint32_t i = 0; i < d->cur; i++) {
		mos_ledger_stage(worker, MOS_STAGE_LOOKUP);
		mos_ledger_flow(worker, 1000 + i);
		mos_ledger_stage(worker, MOS_STAGE_RCV);
		mos_ledger_done(worker, i);
	}
	if (d->reach == STAGE || d->reach == FLOW_KNOWN || d->reach == FLOW_STALE)
		mos_ledger_stage(worker, d->stage);
	if (d->reach == FLOW_KNOWN || d->reach == FLOW_STALE)
		mos_ledger_flow(worker, FLOW);
	if (d->reach == FLOW_STALE) {
		mos_ledger_done(worker, d->cur);
		worker->flow = FLOW;
	}
	if (d->reach >= NEW_DATA) {
		mos_ledger_flow(worker, FLOW);
		mos_ledger_stage(worker, MOS_STAGE_AFTER);
	}
	if (d->reach >= TOLD) {
		mos_ledger_stage(worker, MOS_STAGE_IDLE);
		mos_ledger_flow(worker, NONE);
	}
	if (d->reach >= SENT)
		r->tx_tail += BURST + worker->outbox;
	if (d->reach >= DEQUEUED) {
		r->rx_tail += BURST;
		r->waiting -= BURST;
	}
	if (d->reach >= ENDED)
		mos_ledger_end(worker);
	if (d->reach == AFTER) {
		mos_ledger_flow(worker, FLOW);
		mos_ledger_stage(worker, MOS_STAGE_AFTER);
	}
}

static void check_with(const struct death *d, struct rings r, uint32_t outbox)
{
	struct mos_ledger_verdict v;

	mos_ledger_reset(primary);
	live(d, &r, outbox);
	ck_assert(mos_ledger_resolve(primary, r.rx_tail, r.tx_tail, r.waiting, &v));
	ck_assert_uint_eq(v.done, d->done);
	ck_assert_uint_eq(v.outbox, d->reach >= SENT || d->cur == 0 ? 0 : outbox);
	ck_assert(v.sent == d->sent);
	ck_assert(v.suspect == d->suspect);
	ck_assert_uint_eq(v.flow, d->flow);
	if (d->reach != TAKEN)
		ck_assert_uint_eq(v.stage, d->reach == FLOW_STALE ? MOS_STAGE_IDLE : d->stage);
}

static void check(const struct death *d, struct rings r)
{
	check_with(d, r, 0);
	check_with(d, r, 1);
	check_with(d, r, 5);
	check_with(d, r, MOS_OUTBOX_MAX);
}

START_TEST(death_at_each_stage_is_resolved)
{
	check(&deaths[_i], (struct rings){.rx_tail = 100, .tx_tail = 200, .waiting = BURST});
}
END_TEST

START_TEST(packets_behind_the_burst_change_nothing)
{
	check(&deaths[_i], (struct rings){.rx_tail = 100, .tx_tail = 200, .waiting = 1000});
}
END_TEST

/* Ring positions run freely modulo 2^32. */
START_TEST(positions_may_wrap_within_the_burst)
{
	for (uint32_t back = 0; back <= BURST; back++) {
		check(&deaths[_i], (struct rings){0u - back, 500, BURST});
		check(&deaths[_i], (struct rings){500, 0u - back, BURST});
		check(&deaths[_i], (struct rings){0u - back, 0u - back, BURST});
	}
}
END_TEST

/* A ledger as a worker with a wild pointer may leave it: one lie at a time. */
static const struct {
	const char *lie;
	struct mos_ledger ledger;
	struct rings rings;
} garbage[] = {
	{"count over the burst", {.count = MOS_BURST_MAX + 1}, {0, 0, 1000}},
	{"count of all ones", {.count = UINT32_MAX}, {0, 0, 1000}},
	{"cur behind the burst", {.count = 8, .cur = 9}, {0, 0, 8}},
	{"cur of all ones", {.count = 8, .cur = UINT32_MAX}, {0, 0, 8}},
	{"unknown stage", {.count = 8, .stage = MOS_STAGE_AFTER + 1}, {0, 0, 8}},
	{"more than is waiting", {.count = 8}, {0, 0, 7}},
	{"nothing is waiting", {.count = 8}, {0, 0, 0}},
	{"rx moved by less", {.count = 8}, {7, 8, 8}},
	{"rx moved by more", {.count = 8}, {9, 8, 8}},
	{"rx moved back", {.count = 8, .rx_tail = 8}, {0, 8, 8}},
	{"tx moved by less", {.count = 8}, {0, 7, 8}},
	{"tx moved by more", {.count = 8}, {0, 9, 8}},
	{"outbox too full", {.count = 8, .outbox = MOS_OUTBOX_MAX + 1}, {0, 0, 8}},
	{"outbox of all ones", {.count = 8, .outbox = UINT32_MAX}, {0, 0, 8}},
	{"tx moved without the outbox", {.count = 8, .outbox = 3}, {0, 8, 8}},
	{"tx moved by the outbox alone", {.count = 8, .outbox = 3}, {0, 3, 8}},
	{"tx moved back", {.count = 8, .tx_tail = 8}, {0, 0, 8}},
};

START_TEST(ledger_without_sense_gives_an_empty_verdict)
{
	struct mos_ledger_verdict v;
	const struct rings *r = &garbage[_i].rings;

	*primary = garbage[_i].ledger;
	ck_assert_msg(!mos_ledger_resolve(primary, r->rx_tail, r->tx_tail, r->waiting, &v), "%s",
	              garbage[_i].lie);
	ck_assert_uint_eq(v.done, 0);
	ck_assert(!v.sent && !v.suspect);
	ck_assert_uint_eq(v.outbox, 0);
	ck_assert_uint_eq(v.flow, NONE);
}
END_TEST

/* A packet that was edited must not be worked on twice: there is no moment between the two. */
START_TEST(a_packet_is_in_work_or_finished_but_never_neither)
{
	mos_ledger_begin(worker, 8, 1, 2);
	mos_ledger_stage(worker, MOS_STAGE_SND);
	ck_assert_uint_eq(worker->at, (uint64_t)MOS_STAGE_SND << 32 | 0);
	mos_ledger_done(worker, 0);
	ck_assert_uint_eq(worker->at, (uint64_t)MOS_STAGE_IDLE << 32 | 1);
	ck_assert_uint_eq(primary->cur, 1);
	ck_assert_uint_eq(primary->stage, MOS_STAGE_IDLE);
}
END_TEST

START_TEST(a_new_burst_has_an_empty_outbox)
{
	mos_ledger_begin(worker, 8, 1, 2);
	ck_assert(mos_ledger_in_hand(worker));
	mos_ledger_outbox(worker, 7);
	mos_ledger_end(worker);
	ck_assert(!mos_ledger_in_hand(worker));
	mos_ledger_begin(worker, 3, 9, 17);
	ck_assert_uint_eq(primary->outbox, 0);
}
END_TEST

/* Whatever the bytes are, nothing the verdict names lies outside of the ring. */
START_TEST(random_bytes_never_point_outside)
{
	struct mos_ledger_verdict v;

	srandom(7);
	for (int i = 0; i < 300000; i++) {
		struct rings r = {(uint32_t)random() % 16, (uint32_t)random() % 16,
		                  (uint32_t)random() % 40};

		for (size_t k = 0; k < sizeof(*primary); k++)
			((uint8_t *)primary)[k] = random() % 4 ? 0 : (uint8_t)random() % 64;
		if (random() % 2)
			primary->count = (uint32_t)random() % (MOS_BURST_MAX + 2);
		if (!mos_ledger_resolve(primary, r.rx_tail, r.tx_tail, r.waiting, &v))
			continue;
		ck_assert_uint_le(v.done, r.waiting);
		ck_assert(!v.suspect || v.done < r.waiting);
		ck_assert_uint_le(v.done, MOS_BURST_MAX);
		ck_assert_uint_le(v.outbox, MOS_OUTBOX_MAX);
	}
}
END_TEST

START_TEST(reset_ledger_is_empty)
{
	struct mos_ledger_verdict v;

	mos_ledger_begin(worker, 8, 1, 2);
	mos_ledger_flow(worker, FLOW);
	mos_ledger_stage(worker, MOS_STAGE_SND);
	mos_ledger_reset(primary);
	ck_assert(mos_ledger_resolve(primary, 1, 2, 8, &v));
	ck_assert_uint_eq(v.done, 0);
	ck_assert(!v.suspect && !v.sent);
	ck_assert_uint_eq(v.flow, NONE);
	ck_assert_uint_eq(v.stage, MOS_STAGE_IDLE);
}
END_TEST

START_TEST(every_stage_has_a_name)
{
	ck_assert_str_eq(mos_ledger_stage_name(MOS_STAGE_IDLE), "idle");
	ck_assert_str_eq(mos_ledger_stage_name(MOS_STAGE_LOOKUP), "lookup");
	ck_assert_str_eq(mos_ledger_stage_name(MOS_STAGE_AFTER), "after");
	ck_assert_str_eq(mos_ledger_stage_name(MOS_STAGE_AFTER + 1), "?");
	ck_assert_str_eq(mos_ledger_stage_name(UINT32_MAX), "?");
}
END_TEST

int main(void)
{
	const int death_count = sizeof(deaths) / sizeof(deaths[0]);
	Suite *s = suite_create("ledger");
	TCase *tc = tcase_create("ledger");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, death_at_each_stage_is_resolved, 0, death_count);
	tcase_add_loop_test(tc, packets_behind_the_burst_change_nothing, 0, death_count);
	tcase_add_loop_test(tc, positions_may_wrap_within_the_burst, 0, death_count);
	tcase_add_loop_test(tc, ledger_without_sense_gives_an_empty_verdict, 0,
	                    sizeof(garbage) / sizeof(garbage[0]));
	tcase_add_test(tc, a_packet_is_in_work_or_finished_but_never_neither);
	tcase_add_test(tc, a_new_burst_has_an_empty_outbox);
	tcase_add_test(tc, random_bytes_never_point_outside);
	tcase_add_test(tc, reset_ledger_is_empty);
	tcase_add_test(tc, every_stage_has_a_name);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
