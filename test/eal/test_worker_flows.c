/*
 * Which packets belong to a flow, who watches it, and when it is forgotten: filters, orphans,
 * MOS_STOP_MON and adoption on the bench.
 */
#include "test/eal/worker_tests.h"

/* clang-format off */
#define EST "ESTABLISHED/ESTABLISHED"
#define ORPHAN "NULL BOTH: ORPHAN []\n"
#define START \
	"SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n" \
	"RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n"
/* clang-format on */

static const struct hs_pkt syn = SYN(1000), syn_ack = SYN_ACK(5000, 1001), ack = ACK(1001, 5001);
static const struct hs_pkt other_syn = {MOS_CLI, MOS_TCP_SYN, 1000, .flow = 1};
static const struct hs_pkt data = DATA(1001, 5001, 5), fin = FIN(1001, 5001);

static void bind_syn(int sock, const char *expr)
{
	union monitor_filter ft = {0};
	char text[64];

	snprintf(text, sizeof(text), "%s", expr);
	ft.stream_syn_filter = text;
	ck_assert_int_eq(mtcp_bind_monitor_filter(hs_mctx(), sock, &ft), 0);
}

static void open_all(void)
{
	hs_open(NULL);
	hs_passive_all();
}

/* ---- orphans ---- */

START_TEST(syn_that_no_filter_accepts_is_an_orphan)
{
	open_all();
	bind_syn(0, "dst port 80");
	bind_syn(hs_passive_all(), "dst net 192.168");
	hs_expect(syn, ORPHAN ORPHAN);
	hs_expect(syn_ack, ORPHAN ORPHAN); /* and so is all that follows */
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), 2);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_CREATED), 0);
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

START_TEST(syn_without_room_in_the_table_is_an_orphan)
{
	const struct hs_pkt third = {MOS_CLI, MOS_TCP_SYN, 1000, .flow = 2};

	hs_open(&(struct hs_opt){.flows = 2});
	hs_passive_all();
	hs_expect(syn, START);
	hs_expect(other_syn, START);
	hs_expect(third, ORPHAN);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOW_TABLE_FULL), 1);
	hs_advance(60000);
	hs_expect(third, START);
}
END_TEST

/* What is passed unmonitored is no orphan. */
START_TEST(what_is_not_monitored_is_no_orphan)
{
	struct hs_pkt bad = ack, ip6 = ack, struck = data;

	hs_open(&(struct hs_opt){.no_ipv6 = true});
	hs_passive_all();
	bad.bad_sum = true;
	hs_expect(bad, "");
	ip6.ip6 = true;
	hs_expect(ip6, "");
	hs_handshake(0);
	for (uint32_t i = 0; i < hs.shard->max_flows; i++)
		mos_flow_at(&hs.c->flows, i)->strikes = MOS_STRIKES_MAX;
	hs_expect(struck, "");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), 0);
}
END_TEST

static void packet_is_shown(int sock, int side)
{
	struct pkt_info p;

	ck_assert_int_eq(side, MOS_SIDE_BOTH);
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	ck_assert_uint_eq(p.seq, 1001);
}

START_TEST(orphan_has_its_packet)
{
	open_all();
	hs_in_callback(MOS_ON_ORPHAN, MOS_NULL, packet_is_shown, &ack);
}
END_TEST

static void flow_is_not_named(int sock, int side)
{
	ck_assert_uint_eq(hs.shard->ledger.flow, MOS_FLOW_NONE);
}

/* The SYN ends the flow of its tuple; a death in the callback for the SYN is not that flow's. */
START_TEST(orphan_that_ended_a_flow_does_not_name_it)
{
	const struct hs_pkt again = SYN(900000);

	open_all();
	hs_handshake(0);
	bind_syn(0, "dst port 80");
	hs_act_on(MOS_ON_ORPHAN, MOS_NULL, flow_is_not_named);
	hs_send(&again);
	hs_round();
	ck_assert_uint_eq(hs.acted, 1);
	ck_assert_ptr_nonnull(strstr(hs.log, "CONN_END"));
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

/* ---- filters ---- */

/* D-33: a socket that accepted one flow does not get the next that another accepts. */
START_TEST(flow_is_on_the_sockets_that_accepted_its_syn)
{
	hs_open(NULL);
	hs.show_sock = true;
	bind_syn(hs_passive(), "dst port 443");
	bind_syn(hs_passive(), "src host 10.0.0.2");
	bind_syn(hs_passive(), "not tcp");
	hs_expect(other_syn, "0 SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	                     "1 SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	                     "0 RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n"
	                     "1 RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n");
	hs_expect(syn, "0 SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	               "0 RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n");
	hs_expect(syn_ack, "0 SND SVR: PKT_IN [SYN_SENT/SYN_RCVD]\n"
	                   "0 RCV CLI: PKT_IN STATE_CHANGE [ESTABLISHED/SYN_RCVD]\n");
}
END_TEST

START_TEST(new_filter_leaves_flows_alone)
{
	open_all();
	hs_expect(syn, START);
	bind_syn(0, "not tcp");
	hs_expect(syn_ack, "SND SVR: PKT_IN [SYN_SENT/SYN_RCVD]\n"
	                   "RCV CLI: PKT_IN STATE_CHANGE [ESTABLISHED/SYN_RCVD]\n");
	hs_expect(other_syn, ORPHAN);
}
END_TEST

/* ---- MOS_STOP_MON ---- */

static int stop_what, stop_on = -1; /* side, and the passive number or -1: any */

static void stop(int sock, int side)
{
	if (stop_on >= 0 && sock != mos_active_id(&hs.c->sockets, stop_on, 0))
		return;
	ck_assert_int_eq(mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_STOP_MON, &stop_what,
	                                 sizeof(stop_what)),
	                 0);
}

static void stop_in(event_t event, int hook, int what)
{
	stop_what = what;
	stop_on = -1;
	hs_act_on(event, hook, stop);
}

START_TEST(flow_stopped_at_its_first_syn_is_forgotten_behind_it)
{
	open_all();
	stop_in(MOS_ON_CONN_START, MOS_HK_SND, MOS_SIDE_BOTH);
	hs_expect(syn, "SND CLI: PKT_IN CONN_START [SYN_SENT/LISTEN]\n");
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_FORGOTTEN), 1);
	hs_expect(syn_ack, ORPHAN);
	hs.act = NULL;
	hs_expect(syn, START); /* the next one of the tuple is new */
}
END_TEST

START_TEST(flow_with_one_side_stopped_goes_on_without_it)
{
	open_all();
	hs_handshake(0);
	stop_in(MOS_ON_PKT_IN, MOS_HK_SND, MOS_SIDE_CLI);
	hs_expect(data, "SND CLI: PKT_IN [" EST "]\n"
	                "RCV SVR: PKT_IN [" EST "]\n"
	                "NULL SVR: NEW_DATA [" EST "]\n");
	hs.act = NULL;
	hs_expect(((struct hs_pkt)S_RST(5001)),
	          "SND SVR: PKT_IN STATE_CHANGE [ESTABLISHED/CLOSED]\n"
	          "RCV SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	          "SND SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_FORGOTTEN), 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_ENDED), 1);
}
END_TEST

START_TEST(flow_is_kept_for_the_sockets_that_watch_on)
{
	hs_open(NULL);
	hs_passive();
	hs_passive();
	hs_handshake(0);
	hs.show_sock = true;
	stop_in(MOS_ON_PKT_IN, MOS_HK_SND, MOS_SIDE_BOTH);
	stop_on = 0;
	hs_expect(data, "0 SND CLI: PKT_IN [" EST "]\n"
	                "1 SND CLI: PKT_IN [" EST "]\n"
	                "1 RCV SVR: PKT_IN [" EST "]\n");
	ck_assert_uint_eq(hs.c->flows.count, 1);
	stop_on = 1;
	hs_expect(data, "1 SND CLI: PKT_IN [" EST "]\n");
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_FORGOTTEN), 1);
}
END_TEST

/* The packet would end the flow: nobody is left to be told. */
START_TEST(flow_stopped_at_its_last_packet_has_no_end)
{
	open_all();
	hs_handshake(0);
	stop_in(MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, MOS_SIDE_BOTH);
	hs_expect(((struct hs_pkt)S_RST(5001)),
	          "SND SVR: PKT_IN STATE_CHANGE [ESTABLISHED/CLOSED]\n"
	          "RCV CLI: PKT_IN STATE_CHANGE [CLOSED/CLOSED]\n");
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_FORGOTTEN), 1);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_ENDED), 0);
}
END_TEST

START_TEST(flow_stopped_in_its_end_ends_once)
{
	open_all();
	hs_handshake(0);
	stop_in(MOS_ON_CONN_END, MOS_HK_RCV, MOS_SIDE_BOTH);
	hs_send(&(struct hs_pkt)S_RST(5001));
	hs_round();
	ck_assert_uint_eq(hs.acted, 1);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_FORGOTTEN), 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_ENDED), 1);
}
END_TEST

START_TEST(error_of_a_stopped_or_unbuffered_side_is_not_told)
{
	const struct hs_pkt heard = S_ACK(5001, 1001), far = DATA(1001000, 5001, 10);
	const int zero = 0;

	open_all();
	ck_assert_int_eq(
		mtcp_setsockopt(hs_mctx(), 0, SOL_MONSOCKET, MOS_SVRBUF, &zero, sizeof(zero)), 0);
	hs_handshake(0);
	hs_send(&heard);
	hs_round();
	hs_expect(far, "SND CLI: PKT_IN [" EST "]\n"
	               "RCV SVR: PKT_IN [" EST "]\n");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_BEYOND_WINDOW), 1);
}
END_TEST

START_TEST(segments_sent_again_are_counted)
{
	open_all();
	hs_handshake(0);
	for (int i = 0; i < 3; i++) {
		hs_send(&data);
		hs_send(&fin); /* its number lies below the data: no FIN of this stream */
	}
	hs_round();
	ck_assert_uint_eq(hs_count(MOS_CTR_W_REXMIT), 2);
}
END_TEST

/* ---- adoption ---- */

#define START_AGAIN                       \
	"SND CLI: CONN_START [" EST "]\n" \
	"RCV SVR: CONN_START [" EST "]\n"

static void leave_flows(uint32_t n)
{
	hs_open(NULL);
	hs_passive();
	for (uint32_t i = 0; i < n; i++)
		hs_handshake(i);
	hs_bury();
	hs_attach(1);
	hs_clear();
}

START_TEST(adopted_flow_goes_to_the_sockets_that_would_have_accepted_it)
{
	leave_flows(2);
	bind_syn(hs_passive(), "src host 10.0.0.1");
	bind_syn(hs_passive(), "dst port 443");
	hs.show_sock = true;
	hs_round();
	ck_assert_str_eq(hs.log, "0 SND CLI: CONN_START [" EST "]\n"
	                         "1 SND CLI: CONN_START [" EST "]\n"
	                         "0 RCV SVR: CONN_START [" EST "]\n"
	                         "1 RCV SVR: CONN_START [" EST "]\n"
	                         "1 SND CLI: CONN_START [" EST "]\n"
	                         "1 RCV SVR: CONN_START [" EST "]\n");
	ck_assert_uint_eq(hs.c->flows.count, 2);
}
END_TEST

START_TEST(adopted_flow_that_nobody_wants_is_forgotten)
{
	leave_flows(2);
	bind_syn(hs_passive_all(), "src host 10.0.0.1");
	hs_round();
	ck_assert_str_eq(hs.log, START_AGAIN);
	ck_assert_uint_eq(hs.c->flows.count, 1);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_FORGOTTEN), 1);
}
END_TEST

/* Its packet comes before its turn: it is no flow of this program. */
START_TEST(packet_of_an_unwanted_adopted_flow_is_an_orphan)
{
	leave_flows(1);
	bind_syn(hs_passive_all(), "not tcp");
	hs_expect(data, ORPHAN);
	hs_expect(data, ORPHAN);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_FORGOTTEN), 1);
}
END_TEST

START_TEST(adopted_flow_may_be_stopped_when_it_is_told)
{
	leave_flows(1);
	hs_passive_all();
	stop_in(MOS_ON_CONN_START, MOS_HK_SND, MOS_SIDE_BOTH);
	hs_expect(data, "SND CLI: CONN_START [" EST "]\n" ORPHAN);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_FORGOTTEN), 1);
}
END_TEST

START_TEST(adopted_flow_that_nobody_wants_has_no_end)
{
	leave_flows(1);
	bind_syn(hs_passive_all(), "not tcp");
	hs.now_ns += UINT64_C(60) * 1000000000;
	hs_send(&data); /* its time is over meanwhile */
	hs_round();
	ck_assert_str_eq(hs.log, ORPHAN);
}
END_TEST

/* Nobody knows what an end has said of its window while no worker was there. */
START_TEST(adopted_flow_has_no_error_before_its_receiver_is_heard)
{
	const struct hs_pkt far = DATA(1001000, 5001, 10), heard = S_ACK(5001, 1001);

	hs_open(NULL);
	hs_passive();
	hs_handshake(0);
	hs_send(&heard);
	hs_round();
	hs_bury();
	hs_attach(1);
	hs_passive_all();
	hs_round();
	hs_expect(far, "SND CLI: PKT_IN [" EST "]\n"
	               "RCV SVR: PKT_IN [" EST "]\n");
	hs_send(&heard);
	hs_round();
	hs_expect(far, "SND CLI: PKT_IN [" EST "]\n"
	               "NULL SVR: ERROR [" EST "]\n"
	               "RCV SVR: PKT_IN [" EST "]\n");
}
END_TEST

TCase *flows_case(void)
{
	TCase *tc = tcase_create("flows");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, syn_that_no_filter_accepts_is_an_orphan);
	tcase_add_test(tc, syn_without_room_in_the_table_is_an_orphan);
	tcase_add_test(tc, what_is_not_monitored_is_no_orphan);
	tcase_add_test(tc, orphan_has_its_packet);
	tcase_add_test(tc, orphan_that_ended_a_flow_does_not_name_it);
	tcase_add_test(tc, flow_is_on_the_sockets_that_accepted_its_syn);
	tcase_add_test(tc, new_filter_leaves_flows_alone);
	tcase_add_test(tc, flow_stopped_at_its_first_syn_is_forgotten_behind_it);
	tcase_add_test(tc, flow_with_one_side_stopped_goes_on_without_it);
	tcase_add_test(tc, flow_is_kept_for_the_sockets_that_watch_on);
	tcase_add_test(tc, flow_stopped_at_its_last_packet_has_no_end);
	tcase_add_test(tc, flow_stopped_in_its_end_ends_once);
	tcase_add_test(tc, error_of_a_stopped_or_unbuffered_side_is_not_told);
	tcase_add_test(tc, segments_sent_again_are_counted);
	tcase_add_test(tc, adopted_flow_goes_to_the_sockets_that_would_have_accepted_it);
	tcase_add_test(tc, adopted_flow_that_nobody_wants_is_forgotten);
	tcase_add_test(tc, packet_of_an_unwanted_adopted_flow_is_an_orphan);
	tcase_add_test(tc, adopted_flow_may_be_stopped_when_it_is_told);
	tcase_add_test(tc, adopted_flow_that_nobody_wants_has_no_end);
	tcase_add_test(tc, adopted_flow_has_no_error_before_its_receiver_is_heard);
	return tc;
}
