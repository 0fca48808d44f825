/*
 * Deaths on the bench: a worker dies inside a callback (it jumps out of its round and is never
 * called again), hs_bury() resolves what it had in hand, and a second worker takes the shard.
 */
#include <setjmp.h>

#include "test/eal/worker_tests.h"

#define START_AGAIN(states)                  \
	"SND CLI: CONN_START [" states "]\n" \
	"RCV SVR: CONN_START [" states "]\n"

static const struct hs_pkt data = DATA(1001, 5001, 5), rst = RST(1001);

static jmp_buf death;
static int die_at; /* the callback, counted from 0, in which the worker dies */

static void die(int sock, int side, event_t event, int hook)
{
	if (die_at-- == 0)
		longjmp(death, 1);
}

/* Run rounds until the rx ring is empty or the worker dies. True when it died. */
static bool round_of_death(int callback)
{
	die_at = callback;
	hs.act = die;
	if (setjmp(death) == 0) {
		while (!rte_ring_empty(hs.shard->rx))
			mos_loop_round(hs.c);
		hs.act = NULL;
		return false;
	}
	hs.act = NULL;
	return true;
}

static void succeed(void)
{
	hs_attach(1);
	hs_passive();
	hs_clear();
}

static struct mos_flow *only_flow(void)
{
	uint32_t slot = mos_flow_table_next(&hs.c->flows, 0);

	ck_assert_uint_ne(slot, MOS_FLOW_NONE);
	ck_assert_uint_eq(mos_flow_table_next(&hs.c->flows, slot + 1), MOS_FLOW_NONE);
	return mos_flow_at(&hs.c->flows, slot);
}

/* A worker that leaves in good order, with one established flow. */
static void leave_one_flow(void)
{
	hs_open(NULL);
	hs_passive();
	hs_handshake(0);
	hs_bury();
}

START_TEST(successor_is_told_of_each_flow_and_goes_on)
{
	leave_one_flow();
	succeed();
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_ADOPTED), 1);
	hs_round();
	ck_assert_str_eq(hs.log, START_AGAIN("ESTABLISHED/ESTABLISHED"));
	hs_expect(data, "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	                "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
}
END_TEST

START_TEST(flow_is_told_before_its_first_packet)
{
	leave_one_flow();
	succeed();
	hs_expect(data, START_AGAIN("ESTABLISHED/ESTABLISHED") //
	          "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	          "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	hs_clear();
	hs_round();
	ck_assert_str_eq(hs.log, ""); /* and only once */
}
END_TEST

START_TEST(flow_is_told_before_its_end)
{
	const struct hs_pkt syn = SYN(900000);

	leave_one_flow();
	succeed();
	hs_send(&syn); /* the tuple is used again: the adopted flow ends */
	hs_round();
	ck_assert(strncmp(hs.log, START_AGAIN("ESTABLISHED/ESTABLISHED"),
	                  strlen(START_AGAIN("ESTABLISHED/ESTABLISHED"))) == 0);
	ck_assert_ptr_nonnull(strstr(hs.log, "CONN_END"));
}
END_TEST

START_TEST(flow_that_idled_too_long_meanwhile_ends_at_once)
{
	leave_one_flow();
	hs.now_ns += UINT64_C(60) * 1000000000;
	hs.root->clock_ns = hs.now_ns;
	succeed();
	hs_advance(100);
	ck_assert_str_eq(hs.log, START_AGAIN("ESTABLISHED/ESTABLISHED") //
	                 "RCV CLI: STATE_CHANGE CONN_END [CLOSED/ESTABLISHED]\n"
	                 "SND CLI: STATE_CHANGE CONN_END [CLOSED/ESTABLISHED]\n"
	                 "RCV SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	                 "SND SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n");
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

static void no_packet_is_shown(int sock, int side, event_t event, int hook)
{
	struct pkt_info p;

	if (event == MOS_ON_CONN_START)
		ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), -1);
	else
		ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	ck_assert_ptr_null(mtcp_get_uctx(hs_mctx(), sock)); /* the predecessor's died with it */
}

START_TEST(replayed_start_has_no_packet)
{
	leave_one_flow();
	succeed();
	hs.act = no_packet_is_shown;
	hs_send(&data);
	hs_round();
}
END_TEST

START_TEST(many_flows_are_told_over_several_rounds)
{
	unsigned starts = 0;

	hs_open(&(struct hs_opt){.flows = 1024});
	hs_passive();
	for (uint32_t i = 0; i < 1000; i++)
		hs_handshake(i);
	hs_bury();
	hs_attach(1);
	hs_passive();
	for (int round = 0; round < 6; round++) {
		hs_clear();
		hs_round();
		for (const char *p = hs.log; (p = strstr(p, "CONN_START")) != NULL; p++)
			starts++;
	}
	ck_assert_uint_eq(starts, 2000);
	ck_assert_ptr_null(hs.c->to_restore);
}
END_TEST

static unsigned rounds_of_restoring;

static void count_restoring(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
	struct timeval at_once = {0};

	rounds_of_restoring += mtcp_restoring(mctx) == 1;
	mtcp_settimer(mctx, id, &at_once, count_restoring);
}

/* 1000 flows at 256 a round; that none is left is known behind the timers of the fourth. */
START_TEST(successor_knows_when_it_has_been_told_of_all_flows)
{
	struct timeval at_once = {0};

	rounds_of_restoring = 0;
	hs_open(&(struct hs_opt){.flows = 1024});
	hs_passive();
	for (uint32_t i = 0; i < 1000; i++)
		hs_handshake(i);
	ck_assert_int_eq(mtcp_restoring(hs_mctx()), 0); /* its own */
	hs_bury();
	succeed();
	mtcp_settimer(hs_mctx(), 0, &at_once, count_restoring);
	for (int round = 0; round < 8; round++) {
		hs_clear();
		hs_round();
	}
	ck_assert_uint_eq(rounds_of_restoring, 4);
}
END_TEST

START_TEST(torn_record_is_mended_and_goes_on)
{
	hs_open(NULL);
	hs_passive();
	hs_handshake(0);
	mos_flow_write_begin(only_flow()); /* and never ends */
	hs_bury();
	succeed();
	hs_expect(data, START_AGAIN("ESTABLISHED/ESTABLISHED") //
	          "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	          "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_MENDED), 1);
	ck_assert_uint_eq(only_flow()->seqcount % 2, 0);
	hs_send(&rst);
	hs_round();
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

/* Ten packets in hand; the worker dies in a callback of the fifth. */
START_TEST(only_the_packet_of_the_death_is_suspect)
{
	struct mos_ledger_verdict v;

	hs_open(NULL);
	hs_passive();
	hs_handshake(0);
	for (int i = 0; i < 10; i++)
		hs_send(&data);
	ck_assert(round_of_death(4 * 2 + 1));
	ck_assert_uint_ne(hs.shard->rx->cons.head, hs.shard->rx->cons.tail);
	v = hs_bury();
	ck_assert_uint_eq(v.done, 4);
	ck_assert(v.suspect && !v.sent);
	ck_assert_uint_eq(v.stage, MOS_STAGE_RCV);
	ck_assert_uint_ne(v.flow, MOS_FLOW_NONE);
	ck_assert_uint_eq(rte_ring_count(hs.shard->rx), 5);
	succeed();
	ck_assert_uint_eq(hs_round(), 5);
	ck_assert_uint_eq(only_flow()->packets[MOS_CLI], 2 + 10); /* none was lost or seen twice */
}
END_TEST

/* The worker dies in the very first packet, before anything is known of it. */
START_TEST(death_in_a_raw_callback_names_no_flow)
{
	struct mos_ledger_verdict v;

	hs_open(NULL);
	hs_raw();
	hs_send(&data);
	ck_assert(round_of_death(0));
	v = hs_bury();
	ck_assert_uint_eq(v.stage, MOS_STAGE_RAW);
	ck_assert_uint_eq(v.flow, MOS_FLOW_NONE);
	ck_assert(v.suspect);
}
END_TEST

static void die_in_timer(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
	longjmp(death, 1);
}

START_TEST(death_in_a_timer_names_no_flow)
{
	struct timeval in_a_minute = {.tv_sec = 60};
	struct mos_ledger_verdict v;

	hs_open(NULL);
	hs_passive();
	hs_handshake(0);
	ck_assert_int_eq(mtcp_settimer(hs_mctx(), 1, &in_a_minute, die_in_timer), 0);
	hs_advance(45000); /* the flow expires before */
	ck_assert_uint_eq(hs.c->flows.count, 0);
	hs.root->clock_ns += UINT64_C(30) * 1000000000;
	if (setjmp(death) == 0)
		mos_loop_round(hs.c);
	v = hs_bury();
	ck_assert_uint_eq(v.stage, MOS_STAGE_AFTER);
	ck_assert_uint_eq(v.flow, MOS_FLOW_NONE);
	ck_assert(!v.suspect);
}
END_TEST

START_TEST(death_while_flows_expire_names_the_flow)
{
	struct mos_ledger_verdict v;

	hs_open(NULL);
	hs_passive();
	hs_handshake(0);
	die_at = 0;
	hs.act = die;
	if (setjmp(death) == 0)
		hs_advance(60000);
	hs.act = NULL;
	v = hs_bury();
	ck_assert_uint_eq(v.stage, MOS_STAGE_AFTER);
	ck_assert_uint_ne(v.flow, MOS_FLOW_NONE);
	succeed();
	hs_advance(100);
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

START_TEST(flow_on_which_workers_died_is_not_told_again)
{
	leave_one_flow();
	for (uint32_t i = 0; i < hs.shard->max_flows; i++)
		mos_flow_at(&hs.c->flows, i)->strikes = MOS_STRIKES_MAX;
	succeed();
	hs_round();
	hs_send(&data);
	hs_round();
	ck_assert_str_eq(hs.log, "");
	hs_advance(60000);
	ck_assert_str_eq(hs.log, "");
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

/* A connection whose every callback is the last of some worker. */
static const struct hs_pkt short_life[] = {
	SYN(1000),           SYN_ACK(5000, 1001),   ACK(1001, 5001),
	DATA(1001, 5001, 9), S_DATA(5001, 1010, 9), FIN(1010, 5010),
	S_FIN(5010, 1011),   ACK(1011, 5011),
};

/* True when the worker died in callback n of the connection's life. */
static bool live_and_die(int n)
{
	bool died;

	hs_open(NULL);
	hs_passive_all();
	for (unsigned i = 0; i < RTE_DIM(short_life); i++)
		hs_send(&short_life[i]);
	died = round_of_death(n);
	if (died) {
		struct mos_ledger_verdict v = hs_bury();

		ck_assert(v.suspect == (v.stage != MOS_STAGE_DATA));
		ck_assert_uint_ne(v.flow, MOS_FLOW_NONE);
		ck_assert_uint_eq(rte_ring_count(hs.shard->rx),
		                  RTE_DIM(short_life) - v.done - v.suspect);
		succeed();
		hs_round();
	}
	hs_advance(60000); /* a connection that lost its end in the death ends by time */
	ck_assert_uint_eq(hs.c->flows.count, 0);
	hs_close(); /* every packet came out, once */
	return died;
}

START_TEST(death_in_any_callback_loses_no_packet)
{
	int n = 0;

	while (live_and_die(n))
		n++;
	ck_assert_int_gt(n, 30);
	hs_open(NULL); /* for the fixture that closes it */
}
END_TEST

/* The packet is finished: it is not suspect, but its flow is. */
START_TEST(death_in_new_data_names_the_flow)
{
	struct hs_pkt other = DATA(1001, 5001, 5);
	struct mos_ledger_verdict v;

	hs_open(NULL);
	hs_passive_all();
	hs_handshake(0);
	hs_handshake(1);
	other.flow = 1;
	hs_send(&data);
	hs_send(&other);
	hs_send(&data);
	ck_assert(round_of_death(5)); /* SND, RCV and NEW_DATA of one, SND and RCV of the other */
	v = hs_bury();
	ck_assert_uint_eq(v.done, 2);
	ck_assert(!v.suspect && !v.sent);
	ck_assert_uint_eq(v.stage, MOS_STAGE_DATA);
	ck_assert_uint_eq(v.flow, 1);
	ck_assert_uint_eq(rte_ring_count(hs.shard->rx), 1);
	succeed();
	hs_round();
	ck_assert_uint_eq(hs.c->flows.count, 2);
}
END_TEST

START_TEST(death_in_an_orphan_names_no_flow)
{
	struct mos_ledger_verdict v;

	hs_open(NULL);
	hs_passive_all();
	hs_send(&data);
	ck_assert(round_of_death(0));
	v = hs_bury();
	ck_assert_uint_eq(v.stage, MOS_STAGE_RAW);
	ck_assert_uint_eq(v.flow, MOS_FLOW_NONE);
	ck_assert(v.suspect);
}
END_TEST

START_TEST(worker_after_worker_may_die_on_the_same_packets)
{
	hs_open(NULL);
	hs_passive();
	hs_handshake(0);
	for (int i = 0; i < 3; i++)
		hs_send(&data);
	for (unsigned w = 1; w <= 3; w++) {
		ck_assert(round_of_death(w == 1 ? 0 : 2)); /* two callbacks replay the start */
		ck_assert_uint_eq(hs_bury().done, 0);
		hs_attach(w);
		hs_passive();
	}
	ck_assert(rte_ring_empty(hs.shard->rx)); /* each death cost one packet its turn */
}
END_TEST

TCase *adopt_case(void)
{
	TCase *tc = tcase_create("adopt");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, successor_is_told_of_each_flow_and_goes_on);
	tcase_add_test(tc, flow_is_told_before_its_first_packet);
	tcase_add_test(tc, flow_is_told_before_its_end);
	tcase_add_test(tc, flow_that_idled_too_long_meanwhile_ends_at_once);
	tcase_add_test(tc, replayed_start_has_no_packet);
	tcase_add_test(tc, many_flows_are_told_over_several_rounds);
	tcase_add_test(tc, successor_knows_when_it_has_been_told_of_all_flows);
	tcase_add_test(tc, torn_record_is_mended_and_goes_on);
	tcase_add_test(tc, only_the_packet_of_the_death_is_suspect);
	tcase_add_test(tc, death_in_a_raw_callback_names_no_flow);
	tcase_add_test(tc, death_in_a_timer_names_no_flow);
	tcase_add_test(tc, death_while_flows_expire_names_the_flow);
	tcase_add_test(tc, flow_on_which_workers_died_is_not_told_again);
	tcase_add_test(tc, death_in_any_callback_loses_no_packet);
	tcase_add_test(tc, death_in_new_data_names_the_flow);
	tcase_add_test(tc, death_in_an_orphan_names_no_flow);
	tcase_add_test(tc, worker_after_worker_may_die_on_the_same_packets);
	return tc;
}
