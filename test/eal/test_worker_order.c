/*
 * Order of events on the bench (see harness.h): which callbacks run, with which states, for the
 * connections of specification section 4.3, by packet and by clock.
 */
#include "shared/packet/test_frame.h"
#include "test/eal/worker_tests.h"

static void open_usual(void)
{
	hs_open(NULL);
	hs_passive();
}

/* ---- order of events ---- */

struct step {
	struct hs_pkt p;
	const char *lines;
};

static void run(const struct step *steps, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		hs_expect(steps[i].p, steps[i].lines);
}

#define RUN(steps) run(steps, RTE_DIM(steps))

/* clang-format off */

/* A client that closes first, with whatever is sent twice or out of order on the way. */
static const struct step life[] = {
	{SYN(1000),
	 "SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	 "RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n"},
	{SYN(1000), /* again */
	 "SND CLI: PKT_IN [SYN_SENT/SYN_RCVD]\n"
	 "RCV SVR: PKT_IN [SYN_SENT/SYN_RCVD]\n"},
	{SYN_ACK(5000, 1001),
	 "SND SVR: PKT_IN [SYN_SENT/SYN_RCVD]\n"
	 "RCV CLI: PKT_IN STATE_CHANGE [ESTABLISHED/SYN_RCVD]\n"},
	{SYN_ACK(5000, 1001), /* again */
	 "SND SVR: PKT_IN [ESTABLISHED/SYN_RCVD]\n"
	 "RCV CLI: PKT_IN [ESTABLISHED/SYN_RCVD]\n"},
	{ACK(1001, 5001),
	 "SND CLI: PKT_IN [ESTABLISHED/SYN_RCVD]\n"
	 "RCV SVR: PKT_IN STATE_CHANGE [ESTABLISHED/ESTABLISHED]\n"},
	{DATA(1001, 5001, 100),
	 "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"},
	{S_ACK(5001, 1101),
	 "SND SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "RCV CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"},
	{DATA(1201, 5001, 100), /* behind a hole */
	 "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"},
	{DATA(1101, 5001, 200), /* fills it */
	 "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"},
	{S_DATA(5001, 1301, 500),
	 "SND SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "RCV CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"},
	{FIN(1301, 5501),
	 "SND CLI: PKT_IN STATE_CHANGE [FIN_WAIT_1/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN STATE_CHANGE [FIN_WAIT_1/CLOSE_WAIT]\n"},
	{FIN(1301, 5501), /* again */
	 "SND CLI: PKT_IN [FIN_WAIT_1/CLOSE_WAIT]\n"
	 "RCV SVR: PKT_IN [FIN_WAIT_1/CLOSE_WAIT]\n"},
	{S_ACK(5501, 1302),
	 "SND SVR: PKT_IN [FIN_WAIT_1/CLOSE_WAIT]\n"
	 "RCV CLI: PKT_IN STATE_CHANGE [FIN_WAIT_2/CLOSE_WAIT]\n"},
	{S_FIN(5501, 1302),
	 "SND SVR: PKT_IN STATE_CHANGE [FIN_WAIT_2/LAST_ACK]\n"
	 "RCV CLI: PKT_IN STATE_CHANGE [TIME_WAIT/LAST_ACK]\n"},
	{ACK(1302, 5502),
	 "SND CLI: PKT_IN [TIME_WAIT/LAST_ACK]\n"
	 "RCV SVR: PKT_IN STATE_CHANGE [TIME_WAIT/CLOSED]\n"
	 "RCV SVR: STATE_CHANGE CONN_END [TIME_WAIT/CLOSED]\n"
	 "SND SVR: STATE_CHANGE CONN_END [TIME_WAIT/CLOSED]\n"
	 "RCV CLI: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	 "SND CLI: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"},
	{FIN(1301, 5501), ""}, /* nobody knows it any more */
};

static const struct step server_closes[] = {
	{S_FIN(5001, 1001),
	 "SND SVR: PKT_IN STATE_CHANGE [ESTABLISHED/FIN_WAIT_1]\n"
	 "RCV CLI: PKT_IN STATE_CHANGE [CLOSE_WAIT/FIN_WAIT_1]\n"},
	{FIN(1001, 5002), /* FIN and ACK of the FIN in one: one change of state */
	 "SND CLI: PKT_IN STATE_CHANGE [LAST_ACK/FIN_WAIT_1]\n"
	 "RCV SVR: PKT_IN STATE_CHANGE [LAST_ACK/TIME_WAIT]\n"},
	{S_ACK(5002, 1002),
	 "SND SVR: PKT_IN [LAST_ACK/TIME_WAIT]\n"
	 "RCV CLI: PKT_IN STATE_CHANGE [CLOSED/TIME_WAIT]\n"
	 "RCV CLI: STATE_CHANGE CONN_END [CLOSED/TIME_WAIT]\n"
	 "SND CLI: STATE_CHANGE CONN_END [CLOSED/TIME_WAIT]\n"
	 "RCV SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	 "SND SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"},
};

static const struct step server_resets[] = {
	{S_RST(5001),
	 "SND SVR: PKT_IN STATE_CHANGE [ESTABLISHED/CLOSED]\n"
	 "RCV CLI: PKT_IN STATE_CHANGE [CLOSED/CLOSED]\n"
	 "RCV CLI: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	 "SND CLI: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	 "RCV SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	 "SND SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"},
};

static const struct step client_resets[] = {
	{RST(1001),
	 "SND CLI: PKT_IN STATE_CHANGE [CLOSED/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN STATE_CHANGE [CLOSED/CLOSED]\n"
	 "RCV SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	 "SND SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	 "RCV CLI: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	 "SND CLI: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"},
};

static const struct step reset_answers_syn[] = {
	{SYN(1000),
	 "SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	 "RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n"},
	{S_RST_ACK(0, 1001),
	 "SND SVR: PKT_IN STATE_CHANGE [SYN_SENT/CLOSED]\n"
	 "RCV CLI: PKT_IN STATE_CHANGE [CLOSED/CLOSED]\n"
	 "RCV CLI: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	 "SND CLI: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	 "RCV SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	 "SND SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"},
};

#define IDLE_END                                              \
	"RCV CLI: STATE_CHANGE CONN_END [CLOSED/ESTABLISHED]\n" \
	"SND CLI: STATE_CHANGE CONN_END [CLOSED/ESTABLISHED]\n" \
	"RCV SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"      \
	"SND SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"

/* clang-format on */

START_TEST(connection_runs_through_its_life)
{
	open_usual();
	RUN(life);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_CREATED), 1);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_ENDED), 1);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), 1);
	RUN(life); /* the record is good for another one */
}
END_TEST

START_TEST(server_may_close_first)
{
	open_usual();
	hs_handshake(0);
	RUN(server_closes);
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

START_TEST(reset_ends_both_halves_at_once)
{
	open_usual();
	hs_handshake(0);
	RUN(server_resets);
	hs_handshake(0);
	RUN(client_resets);
	RUN(reset_answers_syn);
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

/* RFC 5961: a reset out of the window is a blind attacker's. */
START_TEST(reset_out_of_the_window_ends_nothing)
{
	const struct hs_pkt blind = S_RST(5001 + (1u << 20));

	open_usual();
	hs_handshake(0);
	hs_expect(blind, "SND SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	                 "RCV CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_TCP_BOGUS), 1);
}
END_TEST

START_TEST(whole_burst_runs_packet_by_packet)
{
	open_usual();
	for (unsigned i = 0; i < RTE_DIM(life); i++)
		hs_send(&life[i].p);
	ck_assert_uint_eq(hs_round(), RTE_DIM(life));
	for (unsigned i = 0, at = 0; i < RTE_DIM(life); i++) {
		ck_assert(strncmp(hs.log + at, life[i].lines, strlen(life[i].lines)) == 0);
		at += (unsigned)strlen(life[i].lines);
	}
}
END_TEST

/* ---- time ---- */

START_TEST(idle_flow_ends_client_half_first)
{
	open_usual();
	hs_handshake(0);
	hs_advance(29990);
	ck_assert_str_eq(hs.log, "");
	hs_advance(40);
	ck_assert_str_eq(hs.log, IDLE_END);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_EXPIRED), 1);
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

/* Packets of a capture: half a minute may lie between two of one burst. */
START_TEST(flow_that_idled_within_a_burst_ends_between_its_packets)
{
	const struct hs_pkt late = DATA(1001, 5001, 1);

	open_usual();
	hs_handshake(0);
	hs_send(&late);
	hs.now_ns += UINT64_C(31) * 1000000000;
	hs_send(&late);
	hs_round();
	ck_assert_str_eq(hs.log, "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	                         "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n" IDLE_END);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), 1);
}
END_TEST

START_TEST(busy_flow_lives_and_does_not_hold_up_idle_ones)
{
	const struct hs_pkt data = DATA(1001, 5001, 1);

	open_usual();
	hs_handshake(0);
	hs_handshake(1);
	for (int i = 0; i < 5; i++) {
		hs_advance(10000);
		hs_send(&data); /* flow 0 */
		hs_round();
	}
	ck_assert_uint_eq(hs.c->flows.count, 1);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_EXPIRED), 1);
	hs_clear();
	hs_advance(30050);
	ck_assert_str_eq(hs.log, IDLE_END);
}
END_TEST

START_TEST(flow_waits_in_time_wait_and_a_late_fin_prolongs_it)
{
	const unsigned last = RTE_DIM(server_closes) - 1;
	const struct hs_pkt late = FIN(1001, 5002);

	hs_open(&(struct hs_opt){.tw_ms = 2000});
	hs_passive();
	hs_handshake(0);
	run(server_closes, last);
	hs_expect(server_closes[last].p, "SND SVR: PKT_IN [LAST_ACK/TIME_WAIT]\n"
	                                 "RCV CLI: PKT_IN STATE_CHANGE [CLOSED/TIME_WAIT]\n");
	hs_clear();
	hs_advance(1900);
	ck_assert_str_eq(hs.log, "");
	hs_expect(late, "SND CLI: PKT_IN [CLOSED/TIME_WAIT]\n"
	                "RCV SVR: PKT_IN [CLOSED/TIME_WAIT]\n");
	hs_clear();
	hs_advance(1900);
	ck_assert_str_eq(hs.log, "");
	hs_advance(150);
	ck_assert_str_eq(hs.log, "RCV SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	                         "SND SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	                         "RCV CLI: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	                         "SND CLI: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n");
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

START_TEST(many_flows_expire_within_bounded_rounds)
{
	hs_open(&(struct hs_opt){.flows = 2000, .trust_csum = true});
	hs_passive();
	hs.act = NULL;
	for (uint32_t i = 0; i < 1000; i++) {
		hs_handshake(i);
		hs_clear();
	}
	ck_assert_uint_eq(hs.c->flows.count, 1000);
	mos_sockets_fini(&hs.c->sockets); /* without callbacks: the log would be long */
	ck_assert_int_eq(mos_sockets_init(&hs.c->sockets, 2000), 0);
	hs_advance(60000);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_ENDED), 1000);
}
END_TEST

START_TEST(packet_clock_never_steps_back)
{
	const struct hs_pkt syn = SYN(1000);

	open_usual();
	hs_advance(5000);
	hs.now_ns -= 4000 * UINT64_C(1000000); /* a capture whose packets are out of order */
	hs_send(&syn);
	hs_round();
	ck_assert_uint_eq(hs.c->now_ns, HS_START_NS + 5000 * UINT64_C(1000000));
}
END_TEST

START_TEST(wall_clock_is_monotonic_time_and_an_offset)
{
	uint64_t before;

	hs_open(&(struct hs_opt){.wall_clock = true});
	before = hs.c->now_ns;
	ck_assert_uint_gt(before, 0);
	hs.root->wall_offset_ns = INT64_C(3600) * 1000000000;
	hs_round();
	ck_assert_uint_ge(hs.c->now_ns - before, UINT64_C(3600) * 1000000000);
	ck_assert_uint_lt(hs.c->now_ns - before, UINT64_C(3700) * 1000000000);
	before = hs.c->now_ns;
	hs.root->wall_offset_ns = 0;
	hs_round();
	ck_assert_uint_eq(hs.c->now_ns, before); /* it waits until time has caught up */
}
END_TEST

/* ---- several sockets ---- */

START_TEST(raw_socket_sees_each_ip_packet_once_and_first)
{
	const struct hs_pkt syn = SYN(1000), orphan = {MOS_SVR, MOS_TCP_ACK, 1, 1, .flow = 9};
	const struct hs_pkt bad = {MOS_CLI, MOS_TCP_ACK, 1, 1, .bad_sum = true};
	const struct hs_pkt ip6 = {MOS_CLI, MOS_TCP_SYN, 1, .ip6 = true};
	struct test_frame udp;

	hs_open(&(struct hs_opt){.no_ipv6 = true});
	hs_raw();
	hs_passive();
	hs_expect(syn, "NULL BOTH: PKT_IN []\n"
	               "SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	               "RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n");
	hs_expect(orphan, "NULL BOTH: PKT_IN []\n");
	hs_expect(bad, "NULL BOTH: PKT_IN []\n");
	hs_expect(ip6, "NULL BOTH: PKT_IN []\n");
	tf_start(&udp);
	tf_ip4(&udp, 0, IPPROTO_UDP);
	tf_payload(&udp, 8);
	tf_finish(&udp);
	hs_clear();
	hs_send_frame(udp.b, udp.len);
	hs_round();
	ck_assert_str_eq(hs.log, "NULL BOTH: PKT_IN []\n");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_OTHER_IP), 1);
}
END_TEST

START_TEST(passive_sockets_run_in_path_order_and_back)
{
	const struct hs_pkt syn = SYN(1000), answer = SYN_ACK(5000, 1001), ack = ACK(1001, 5001);

	hs_open(NULL);
	for (int i = 0; i < 3; i++)
		hs_passive();
	hs.show_sock = true;
	hs_expect(syn, "0 SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	               "1 SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	               "2 SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	               "0 RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n"
	               "1 RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n"
	               "2 RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n");
	hs_expect(answer, "2 SND SVR: PKT_IN [SYN_SENT/SYN_RCVD]\n"
	                  "1 SND SVR: PKT_IN [SYN_SENT/SYN_RCVD]\n"
	                  "0 SND SVR: PKT_IN [SYN_SENT/SYN_RCVD]\n"
	                  "2 RCV CLI: PKT_IN STATE_CHANGE [ESTABLISHED/SYN_RCVD]\n"
	                  "1 RCV CLI: PKT_IN STATE_CHANGE [ESTABLISHED/SYN_RCVD]\n"
	                  "0 RCV CLI: PKT_IN STATE_CHANGE [ESTABLISHED/SYN_RCVD]\n");
	mtcp_close(&hs.c->api, 1);
	hs_round();
	hs_passive(); /* the same number, but the end of the path; it does not see this flow */
	hs_expect(ack, "0 SND CLI: PKT_IN [ESTABLISHED/SYN_RCVD]\n"
	               "2 SND CLI: PKT_IN [ESTABLISHED/SYN_RCVD]\n"
	               "0 RCV SVR: PKT_IN STATE_CHANGE [ESTABLISHED/ESTABLISHED]\n"
	               "2 RCV SVR: PKT_IN STATE_CHANGE [ESTABLISHED/ESTABLISHED]\n");
}
END_TEST

TCase *order_case(void)
{
	TCase *tc = tcase_create("order");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, connection_runs_through_its_life);
	tcase_add_test(tc, server_may_close_first);
	tcase_add_test(tc, reset_ends_both_halves_at_once);
	tcase_add_test(tc, reset_out_of_the_window_ends_nothing);
	tcase_add_test(tc, whole_burst_runs_packet_by_packet);
	tcase_add_test(tc, idle_flow_ends_client_half_first);
	tcase_add_test(tc, flow_that_idled_within_a_burst_ends_between_its_packets);
	tcase_add_test(tc, busy_flow_lives_and_does_not_hold_up_idle_ones);
	tcase_add_test(tc, flow_waits_in_time_wait_and_a_late_fin_prolongs_it);
	tcase_add_test(tc, many_flows_expire_within_bounded_rounds);
	tcase_add_test(tc, packet_clock_never_steps_back);
	tcase_add_test(tc, wall_clock_is_monotonic_time_and_an_offset);
	tcase_add_test(tc, raw_socket_sees_each_ip_packet_once_and_first);
	tcase_add_test(tc, passive_sockets_run_in_path_order_and_back);
	return tc;
}
