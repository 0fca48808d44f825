/*
 * MOS_ON_CONN_NEW_DATA on the bench: behind the RCV hook of each packet that brought its receiver
 * bytes in order, before the next packet and before the half ends.
 */
#include "test/eal/worker_tests.h"

/* clang-format off */
#define HANDSHAKE SYN(1000), SYN_ACK(5000, 1001), ACK(1001, 5001)
#define NEW(side, states) "NULL " side ": NEW_DATA [" states "]\n"
#define EST "ESTABLISHED/ESTABLISHED"
/* clang-format on */

static void send_burst(const struct hs_pkt *p, unsigned n)
{
	hs_clear();
	for (unsigned i = 0; i < n; i++)
		hs_send(&p[i]);
	ck_assert_uint_eq(hs_round(), n);
}

#define BURST(...)                                            \
	do {                                                  \
		const struct hs_pkt burst_[] = {__VA_ARGS__}; \
		send_burst(burst_, RTE_DIM(burst_));          \
	} while (0)

/* A socket that hears of new data and of the end, and of nothing else. */
static int open_listener(void)
{
	int sock;

	hs_open(NULL);
	sock = mtcp_socket(hs_mctx(), AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	ck_assert_int_eq(
		mtcp_register_callback(hs_mctx(), sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, hs_on_null),
		0);
	ck_assert_int_eq(
		mtcp_register_callback(hs_mctx(), sock, MOS_ON_CONN_END, MOS_HK_RCV, hs_on_rcv), 0);
	return sock;
}

static void nothing_is_left(void)
{
	ck_assert_uint_eq(hs.c->streams.tail.len, 0);
	ck_assert_uint_eq(hs.shard->ledger.stage, MOS_STAGE_IDLE);
}

/* ---- packets ---- */

START_TEST(half_is_told_with_each_packet)
{
	open_listener();
	hs_handshake(0);
	BURST(DATA(1001, 5001, 10), DATA(1011, 5001, 10), DATA(1021, 5001, 10));
	ck_assert_str_eq(hs.log, NEW("SVR", EST) NEW("SVR", EST) NEW("SVR", EST));
	hs_clear();
	hs_round();
	ck_assert_str_eq(hs.log, "");
	BURST(DATA(1031, 5001, 10));
	ck_assert_str_eq(hs.log, NEW("SVR", EST));
	nothing_is_left();
}
END_TEST

START_TEST(both_halves_are_told_in_the_order_of_their_packets)
{
	open_listener();
	hs_handshake(0);
	BURST(S_DATA(5001, 1001, 10), DATA(1001, 5011, 10), S_DATA(5011, 1011, 10));
	ck_assert_str_eq(hs.log, NEW("CLI", EST) NEW("SVR", EST) NEW("CLI", EST));
	nothing_is_left();
}
END_TEST

START_TEST(it_comes_before_the_next_packet)
{
	const struct hs_pkt other = {MOS_CLI, MOS_TCP_SYN, 1, .flow = 1};

	hs_open(NULL);
	hs_passive_all();
	hs_handshake(0);
	BURST(DATA(1001, 5001, 10), other);
	ck_assert_str_eq(hs.log, "SND CLI: PKT_IN [" EST "]\n"
	                         "RCV SVR: PKT_IN [" EST "]\n" //
	                 NEW("SVR", EST)                       //
	                 "SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	                 "RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n");
}
END_TEST

START_TEST(each_packet_of_a_full_burst_may_bring_data_to_another_half)
{
	unsigned told = 0;

	open_listener();
	for (uint32_t i = 0; i < MOS_BURST_MAX; i++)
		hs_handshake(i);
	for (uint32_t i = 0; i < MOS_BURST_MAX; i++) {
		struct hs_pkt p = DATA(1001, 5001, 10);

		p.flow = i;
		hs_send(&p);
	}
	ck_assert_uint_eq(hs_round(), MOS_BURST_MAX);
	for (const char *at = hs.log; (at = strstr(at, NEW("SVR", EST))) != NULL; at++)
		told++;
	ck_assert_uint_eq(told, MOS_BURST_MAX);
	nothing_is_left();
}
END_TEST

START_TEST(nothing_is_kept_for_nobody)
{
	hs_open(NULL);
	hs_passive();
	hs_handshake(0);
	hs_send(&(struct hs_pkt)DATA(1001, 5001, 10));
	hs_send(&(struct hs_pkt)DATA(1021, 5001, 10));
	hs_round();
	ck_assert(!hs.c->streams_read);
	ck_assert_uint_eq(hs.c->streams.pool.free_count, hs.c->streams.pool.count);
	nothing_is_left();
}
END_TEST

/* Out of order, a second time, an ACK, a FIN: no byte is new. */
START_TEST(never_without_a_byte)
{
	open_listener();
	hs_handshake(0);
	BURST(DATA(1101, 5001, 10), ACK(1001, 5001), S_ACK(5001, 1001));
	ck_assert_str_eq(hs.log, "");
	BURST(DATA(1001, 5001, 10));
	BURST(DATA(1001, 5001, 10), FIN(1011, 5001), FIN(1011, 5001));
	ck_assert_str_eq(hs.log, "");
	BURST(S_ACK(5001, 1012), S_FIN(5001, 1012), ACK(1012, 5002));
	ck_assert_str_eq(hs.log, "RCV SVR: CONN_END [TIME_WAIT/CLOSED]\n"
	                         "RCV CLI: CONN_END [CLOSED/CLOSED]\n");
}
END_TEST

/* ---- the end ---- */

START_TEST(whole_connection_in_a_burst_is_told_before_its_end)
{
	open_listener();
	BURST(HANDSHAKE, DATA(1001, 5001, 10), S_DATA(5001, 1011, 10), FIN(1011, 5011),
	      S_FIN(5011, 1012), ACK(1012, 5012));
	ck_assert_str_eq(hs.log, NEW("SVR", EST) NEW("CLI", EST) //
	                 "RCV SVR: CONN_END [TIME_WAIT/CLOSED]\n"
	                 "RCV CLI: CONN_END [CLOSED/CLOSED]\n");
	nothing_is_left();
}
END_TEST

START_TEST(reset_in_the_burst_loses_no_data)
{
	open_listener();
	hs_handshake(0);
	BURST(DATA(1001, 5001, 10), S_RST(5001));
	ck_assert_str_eq(hs.log, NEW("SVR", EST) //
	                 "RCV CLI: CONN_END [CLOSED/CLOSED]\n"
	                 "RCV SVR: CONN_END [CLOSED/CLOSED]\n");
	nothing_is_left();
}
END_TEST

/* The record is used again within the burst. */
START_TEST(next_connection_of_the_tuple_has_its_own_data)
{
	open_listener();
	hs_handshake(0);
	BURST(DATA(1001, 5001, 10), S_DATA(5001, 1001, 10), SYN(900000), SYN_ACK(70000, 900001),
	      ACK(900001, 70001), DATA(900001, 70001, 10));
	ck_assert_uint_eq(hs.c->flows.count, 1);
	ck_assert_str_eq(hs.log, NEW("SVR", EST) NEW("CLI", EST) //
	                 "RCV SVR: CONN_END [ESTABLISHED/CLOSED]\n"
	                 "RCV CLI: CONN_END [CLOSED/CLOSED]\n" //
	                 NEW("SVR", EST));
	nothing_is_left();
}
END_TEST

/* Half a minute may lie between two packets of a capture. */
START_TEST(flow_that_idled_within_a_burst_is_told_before_its_end)
{
	open_listener();
	hs_handshake(0);
	hs_clear();
	hs_send(&(struct hs_pkt)DATA(1001, 5001, 10));
	hs.now_ns += UINT64_C(31) * 1000000000;
	hs_send(&(struct hs_pkt)DATA(1011, 5001, 10));
	hs_round();
	ck_assert_str_eq(hs.log, NEW("SVR", EST) //
	                 "RCV CLI: CONN_END [CLOSED/ESTABLISHED]\n"
	                 "RCV SVR: CONN_END [CLOSED/CLOSED]\n");
}
END_TEST

/* ---- the callback ---- */

static void no_packet_is_shown(int sock, int side)
{
	struct pkt_info p;

	fails(ENODATA, mtcp_getlastpkt(hs_mctx(), sock, side, &p));
}

START_TEST(no_packet_is_current)
{
	open_listener();
	hs_handshake(0);
	hs_act_on(MOS_ON_CONN_NEW_DATA, MOS_NULL, no_packet_is_shown);
	BURST(DATA(1001, 5001, 10));
	BURST(DATA(1011, 5001, 10), S_RST(5001)); /* nor when the end brings it */
	ck_assert_uint_eq(hs.acted, 2);
}
END_TEST

static void want_no_buffer(int sock, int side)
{
	const int zero = 0;

	ck_assert_int_eq(
		mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_CLIBUF, &zero, sizeof(zero)),
		0);
}

START_TEST(side_without_buffer_is_not_told)
{
	const int zero = 0;
	int sock = open_listener();

	ck_assert_int_eq(
		mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_SVRBUF, &zero, sizeof(zero)),
		0);
	hs_handshake(0);
	BURST(DATA(1001, 5001, 10), S_DATA(5001, 1011, 10));
	ck_assert_str_eq(hs.log, NEW("CLI", EST));
	hs_act_on(MOS_ON_CONN_NEW_DATA, MOS_NULL, want_no_buffer);
	BURST(S_DATA(5011, 1011, 10));
	ck_assert_str_eq(hs.log, NEW("CLI", EST));
	BURST(S_DATA(5021, 1011, 10)); /* from now on neither */
	ck_assert_str_eq(hs.log, "");
}
END_TEST

static int stopped_side;

static void stop(int sock, int side)
{
	ck_assert_int_eq(mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_STOP_MON,
	                                 &stopped_side, sizeof(stopped_side)),
	                 0);
}

START_TEST(flow_stopped_in_the_callback_is_forgotten)
{
	open_listener();
	hs_handshake(0);
	stopped_side = MOS_SIDE_BOTH;
	hs_act_on(MOS_ON_CONN_NEW_DATA, MOS_NULL, stop);
	BURST(DATA(1001, 5001, 10), S_DATA(5001, 1011, 10));
	ck_assert_str_eq(hs.log,
	                 NEW("SVR", EST)); /* the client's half is of no interest any more */
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_FORGOTTEN), 1);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_ENDED), 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), 1);
	BURST(DATA(1011, 5001, 10));
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), 2);
	nothing_is_left();
}
END_TEST

START_TEST(side_stopped_meanwhile_is_not_told)
{
	int sock = open_listener();

	ck_assert_int_eq(
		mtcp_register_callback(hs_mctx(), sock, MOS_ON_PKT_IN, MOS_HK_SND, hs_on_snd), 0);
	hs_handshake(0);
	stopped_side = MOS_SIDE_SVR;
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, stop);
	BURST(DATA(1001, 5001, 10), S_DATA(5001, 1011, 10));
	ck_assert_str_eq(hs.log, "SND CLI: PKT_IN [" EST "]\n" NEW("CLI", EST));
	ck_assert_uint_eq(hs.c->flows.count, 1);
	nothing_is_left();
}
END_TEST

TCase *new_data_case(void)
{
	TCase *tc = tcase_create("new_data");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, half_is_told_with_each_packet);
	tcase_add_test(tc, both_halves_are_told_in_the_order_of_their_packets);
	tcase_add_test(tc, it_comes_before_the_next_packet);
	tcase_add_test(tc, each_packet_of_a_full_burst_may_bring_data_to_another_half);
	tcase_add_test(tc, nothing_is_kept_for_nobody);
	tcase_add_test(tc, never_without_a_byte);
	tcase_add_test(tc, whole_connection_in_a_burst_is_told_before_its_end);
	tcase_add_test(tc, reset_in_the_burst_loses_no_data);
	tcase_add_test(tc, next_connection_of_the_tuple_has_its_own_data);
	tcase_add_test(tc, flow_that_idled_within_a_burst_is_told_before_its_end);
	tcase_add_test(tc, no_packet_is_current);
	tcase_add_test(tc, side_without_buffer_is_not_told);
	tcase_add_test(tc, flow_stopped_in_the_callback_is_forgotten);
	tcase_add_test(tc, side_stopped_meanwhile_is_not_told);
	return tc;
}
