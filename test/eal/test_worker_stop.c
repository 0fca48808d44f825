/*
 * What ends or narrows monitoring, on the bench (see harness.h): MOS_STOP_MON, buffers of size 0;
 * and MOS_TIMESTAMP. Specification sections 6.6 and 7.6.
 */
#include "test/eal/worker_tests.h"

static const struct hs_pkt syn = SYN(1000), data = DATA(1001, 5001, 5), rst = RST(1001);
static const struct hs_pkt answer = S_DATA(5001, 1006, 5);

static int passive;

static void open_flow(void)
{
	hs_open(NULL);
	passive = hs_passive();
	hs_handshake(0);
}

static int set(int sock, int option, int value)
{
	return mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, option, &value, sizeof(value));
}

/* ---- MOS_STOP_MON ---- */

static void stop_cli(int sock, int side)
{
	ck_assert_int_eq(set(sock, MOS_STOP_MON, MOS_SIDE_CLI), 0);
}

static void stop_svr(int sock, int side)
{
	ck_assert_int_eq(set(sock, MOS_STOP_MON, MOS_SIDE_SVR), 0);
}

static void stop_both(int sock, int side)
{
	ck_assert_int_eq(set(sock, MOS_STOP_MON, MOS_SIDE_BOTH), 0);
}

START_TEST(stopped_side_raises_nothing_more)
{
	open_flow();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, stop_cli);
	hs_expect(data, "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	                "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	hs.act = NULL;
	hs_expect(data, "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	hs_expect(answer, "SND SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	hs_expect(rst, "RCV SVR: PKT_IN STATE_CHANGE [CLOSED/CLOSED]\n"
	               "RCV SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	               "SND SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n");
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

/* What is left of the dispatch under way too. */
START_TEST(stop_takes_effect_at_once)
{
	hs_open(NULL);
	passive = hs_passive();
	hs_act_on(MOS_ON_CONN_START, MOS_HK_SND, stop_cli);
	hs_expect(syn, "SND CLI: PKT_IN CONN_START [SYN_SENT/LISTEN]\n"
	               "RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n");
}
END_TEST

START_TEST(flow_nobody_watches_is_forgotten_after_its_packet)
{
	open_flow();
	ck_assert_int_eq(
		mtcp_register_callback(hs_mctx(), passive, MOS_ON_ORPHAN, MOS_NULL, hs_on_null), 0);
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, stop_both);
	hs_expect(data, "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	ck_assert_uint_eq(hs.c->flows.count, 0);
	hs.act = NULL;
	hs_expect(data, "NULL BOTH: ORPHAN []\n");
	hs_expect(syn, "SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	               "RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n");
}
END_TEST

START_TEST(first_syn_may_be_the_last_packet)
{
	static void (*const stops[])(int, int) = {stop_svr, stop_both};

	for (unsigned i = 0; i < RTE_DIM(stops); i++) {
		hs_open(NULL);
		hs_passive();
		hs_act_on(MOS_ON_CONN_START, MOS_HK_SND, stops[i]);
		hs_send(&syn);
		hs_round();
		ck_assert_uint_eq(hs.acted, 1);
		ck_assert_uint_eq(hs.c->flows.count, i == 0);
		if (i == 0)
			hs_close();
	}
}
END_TEST

static void stop_first(int sock, int side)
{
	if (sock == mos_active_id(&hs.c->sockets, 0, 0))
		stop_both(sock, side);
}

START_TEST(flow_goes_on_for_the_other_socket)
{
	hs_open(NULL);
	hs_passive();
	hs_passive();
	hs_handshake(0);
	hs.show_sock = true;
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, stop_first);
	hs_expect(data, "0 SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	                "1 SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	                "1 RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	ck_assert_uint_eq(hs.c->flows.count, 1);
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_RCV, stop_both);
	hs_expect(data, "1 SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	                "1 RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

static int to_stop;

static void stop_in_timer(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	ck_assert_int_eq(set(to_stop, MOS_STOP_MON, MOS_SIDE_SVR), 0);
	ck_assert_uint_eq(hs.c->flows.count, 1);
	ck_assert_int_eq(set(to_stop, MOS_STOP_MON, MOS_SIDE_CLI), 0);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	fails(EBADF, set(to_stop, MOS_STOP_MON, MOS_SIDE_CLI));
}

START_TEST(flow_that_is_not_in_hand_is_forgotten_at_once)
{
	struct timeval now = {0};

	open_flow();
	to_stop = mos_active_id(&hs.c->sockets, 0, 0);
	ck_assert_int_eq(mtcp_settimer(hs_mctx(), 1, &now, stop_in_timer), 0);
	hs_advance(1);
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

static void stop_the_other(int sock, int side)
{
	stop_both(sock == to_stop ? sock + 1 : to_stop, side);
	ck_assert_uint_eq(hs.c->flows.count, 1);
}

START_TEST(packet_of_one_flow_may_stop_another)
{
	open_flow();
	hs_handshake(1);
	to_stop = mos_active_id(&hs.c->sockets, 0, 0);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, stop_the_other, &data);
	hs_expect(data, "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	                "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
}
END_TEST

START_TEST(flow_may_be_stopped_while_it_ends)
{
	open_flow();
	hs_act_on(MOS_ON_CONN_END, MOS_HK_RCV, stop_both);
	hs_expect(rst, "SND CLI: PKT_IN STATE_CHANGE [CLOSED/ESTABLISHED]\n"
	               "RCV SVR: PKT_IN STATE_CHANGE [CLOSED/CLOSED]\n"
	               "RCV SVR: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n");
	ck_assert_uint_eq(hs.c->flows.count, 0);
	hs_handshake(0);
	hs_advance(60000); /* by the clock, too */
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

/* ---- errors ---- */

static void *set_elsewhere(void *arg)
{
	int active = *(int *)arg;

	fails(EPERM, set(active, MOS_STOP_MON, MOS_SIDE_BOTH));
	fails(EPERM, set(active, MOS_CLIBUF, 0));
	fails(EBADF, set(active + 1, MOS_STOP_MON, MOS_SIDE_BOTH));
	fails(EPERM, set(passive, MOS_STOP_MON, MOS_SIDE_BOTH));
	ck_assert_int_eq(set(passive, MOS_SVRBUF, 0), 0);
	return NULL;
}

static void set_wrong(int sock, int side)
{
	int raw = hs_raw(), both = MOS_SIDE_BOTH;
	mctx_t m = hs_mctx();
	pthread_t t;

	fails(EPERM, set(passive, MOS_STOP_MON, MOS_SIDE_BOTH));
	fails(ENOTSOCK, set(raw, MOS_STOP_MON, MOS_SIDE_BOTH));
	fails(ENOTSOCK, set(raw, MOS_CLIBUF, 0));
	fails(EINVAL, set(sock, MOS_STOP_MON, 3));
	fails(EINVAL, set(sock, MOS_STOP_MON, -1));
	fails(EBADF, set(50, MOS_STOP_MON, MOS_SIDE_BOTH));
	fails(EBADF, set(sock + 1, MOS_STOP_MON, MOS_SIDE_BOTH));
	fails(EFAULT, mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, NULL, 4));
	fails(EINVAL, mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, 3));
	fails(ENOSYS, mtcp_setsockopt(m, sock, SOL_SOCKET, MOS_STOP_MON, &both, 4));
	fails(EACCES, mtcp_setsockopt(NULL, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, 4));
	ck_assert_int_eq(pthread_create(&t, NULL, set_elsewhere, &sock), 0);
	pthread_join(t, NULL);
	ck_assert_int_eq(mtcp_close(m, raw), 0);
}

START_TEST(sockets_that_cannot_be_stopped_say_so)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, set_wrong, &data);
	hs_expect(data, "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	                "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
}
END_TEST

/* ---- buffers ---- */

static void want_no_client_buffer(int sock, int side)
{
	ck_assert_int_eq(set(sock, MOS_CLIBUF, 0), 0);
}

START_TEST(side_without_buffer_is_marked_on_the_flow)
{
	struct mos_flow *f;

	open_flow();
	f = mos_flow_at(&hs.c->flows, 0);
	ck_assert_uint_eq(f->stream[MOS_CLI].flags, 0);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, want_no_client_buffer, &data);
	ck_assert_uint_eq(f->stream[MOS_CLI].flags, MOS_STREAM_OFF);
	ck_assert_uint_eq(f->stream[MOS_SVR].flags, 0);
	hs_send(&rst);
	hs_round();
	ck_assert_int_eq(set(passive, MOS_SVRBUF, 0), 0); /* for flows to come */
	hs_handshake(0);
	ck_assert_uint_eq(f->stream[MOS_CLI].flags, 0);
	ck_assert_uint_eq(f->stream[MOS_SVR].flags, MOS_STREAM_OFF);
}
END_TEST

/* ---- MOS_TIMESTAMP ---- */

static void ask_time(int sock, int side)
{
	socklen_t len = 8, small = 3;
	uint32_t us[2] = {0, 77};
	mctx_t m = hs_mctx();

	ck_assert_int_eq(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_TIMESTAMP, us, &len), 0);
	ck_assert_uint_eq(us[0], (uint32_t)(hs.now_ns / 1000000 * 1000));
	ck_assert_uint_eq(us[1], 77);
	ck_assert_uint_eq(len, sizeof(us[0]));
	fails(EINVAL, mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_TIMESTAMP, us, &small));
	fails(EINVAL, mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_TIMESTAMP, us, NULL));
	fails(EINVAL, mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_TIMESTAMP, NULL, &len));
	fails(ENOTSOCK, mtcp_getsockopt(m, passive, SOL_MONSOCKET, MOS_TIMESTAMP, us, &len));
	fails(EBADF, mtcp_getsockopt(m, 50, SOL_MONSOCKET, MOS_TIMESTAMP, us, &len));
}

START_TEST(time_stamp_is_that_of_the_latest_packet)
{
	const struct hs_pkt *p[] = {&data, &answer};

	open_flow();
	for (int i = 0; i < 2; i++) {
		hs_advance(5000);
		hs_in_callback(MOS_ON_PKT_IN, MOS_HK_RCV, ask_time, p[i]);
	}
}
END_TEST

TCase *stop_case(void)
{
	TCase *tc = tcase_create("stop");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, stopped_side_raises_nothing_more);
	tcase_add_test(tc, stop_takes_effect_at_once);
	tcase_add_test(tc, flow_nobody_watches_is_forgotten_after_its_packet);
	tcase_add_test(tc, first_syn_may_be_the_last_packet);
	tcase_add_test(tc, flow_goes_on_for_the_other_socket);
	tcase_add_test(tc, flow_that_is_not_in_hand_is_forgotten_at_once);
	tcase_add_test(tc, packet_of_one_flow_may_stop_another);
	tcase_add_test(tc, flow_may_be_stopped_while_it_ends);
	tcase_add_test(tc, sockets_that_cannot_be_stopped_say_so);
	tcase_add_test(tc, side_without_buffer_is_marked_on_the_flow);
	tcase_add_test(tc, time_stamp_is_that_of_the_latest_packet);
	return tc;
}
