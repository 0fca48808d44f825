/*
 * What applications ask the library for, on the bench: names, states, options, their own pointers,
 * the packet in hand, time.
 */
#include <limits.h>
#include <sys/socket.h>

#include "test/eal/worker_tests.h"

static const struct hs_pkt syn = SYN(1000), data = DATA(1001, 5001, 5), rst = RST(1001);

static int passive;

static void open_flow(void)
{
	hs_open(NULL);
	passive = hs_passive();
	hs_handshake(0);
}

/* ---- names, options, user context ---- */

static void check_in(const struct sockaddr *addr, const char *ip, uint16_t port)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)addr;

	ck_assert_int_eq(in->sin_family, AF_INET);
	ck_assert_str_eq(inet_ntoa(in->sin_addr), ip);
	ck_assert_uint_eq(ntohs(in->sin_port), port);
}

static void ask_names(int sock, int side)
{
	struct sockaddr addr[2];
	socklen_t one = sizeof(addr[0]), two = sizeof(addr), odd = 15;

	ck_assert_int_eq(mtcp_getpeername(hs_mctx(), sock, addr, &one, MOS_SIDE_CLI), 0);
	check_in(addr, "10.0.0.1", 40000);
	ck_assert_int_eq(mtcp_getpeername(hs_mctx(), sock, addr, &one, MOS_SIDE_SVR), 0);
	check_in(addr, "10.0.1.2", 443);
	ck_assert_int_eq(mtcp_getpeername(hs_mctx(), sock, addr, &two, MOS_SIDE_BOTH), 0);
	check_in(&addr[0], "10.0.0.1", 40000);
	check_in(&addr[1], "10.0.1.2", 443);
	ck_assert_uint_eq(one, 16);
	ck_assert_uint_eq(two, 32);

	fails(EINVAL, mtcp_getpeername(hs_mctx(), sock, NULL, &one, MOS_SIDE_CLI));
	fails(EINVAL, mtcp_getpeername(hs_mctx(), sock, addr, NULL, MOS_SIDE_CLI));
	fails(EINVAL, mtcp_getpeername(hs_mctx(), sock, addr, &odd, MOS_SIDE_CLI));
	fails(EINVAL, mtcp_getpeername(hs_mctx(), sock, addr, &two, MOS_SIDE_CLI));
	fails(EINVAL, mtcp_getpeername(hs_mctx(), sock, addr, &one, MOS_SIDE_BOTH));
	fails(EINVAL, mtcp_getpeername(hs_mctx(), sock, addr, &one, 3));
	fails(EINVAL, mtcp_getpeername(hs_mctx(), sock, addr, &one, -1));
	fails(ENOTCONN, mtcp_getpeername(hs_mctx(), passive, addr, &one, MOS_SIDE_CLI));
	fails(EBADF, mtcp_getpeername(hs_mctx(), 44, addr, &one, MOS_SIDE_CLI));
	fails(EBADF, mtcp_getpeername(hs_mctx(), INT_MIN, addr, &one, MOS_SIDE_CLI));
}

START_TEST(names_are_those_of_the_first_syn)
{
	const struct hs_pkt answer = S_DATA(5001, 1001, 1);

	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, ask_names, &data);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_RCV, ask_names, &answer); /* also on the way back */
	hs_in_callback(MOS_ON_CONN_END, MOS_HK_SND, ask_names, &rst);
}
END_TEST

static void ask_names_ip6(int sock, int side)
{
	struct sockaddr addr;
	socklen_t len = sizeof(addr);

	fails(EINVAL, mtcp_getpeername(hs_mctx(), sock, &addr, &len, MOS_SIDE_CLI));
}

START_TEST(ipv6_flow_has_no_name_in_sixteen_bytes)
{
	const struct hs_pkt syn6 = {MOS_CLI, MOS_TCP_SYN, 1000, .ip6 = true};

	hs_open(NULL);
	hs_passive();
	hs_in_callback(MOS_ON_CONN_START, MOS_HK_SND, ask_names_ip6, &syn6);
}
END_TEST

static void ask_options(int sock, int side)
{
	int state = -1;
	socklen_t len = 99;

	ck_assert_int_eq(
		mtcp_getsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_TCP_STATE_SVR, &state, &len),
		0);
	ck_assert_int_eq(state, TCP_ESTABLISHED);
	ck_assert_uint_eq(len, sizeof(state));
	ck_assert_int_eq(
		mtcp_getsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &state, NULL),
		0);
	fails(EINVAL,
	      mtcp_getsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_TCP_STATE_CLI, NULL, &len));
	fails(ENOTSOCK,
	      mtcp_getsockopt(hs_mctx(), passive, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &state, &len));
	fails(EBADF,
	      mtcp_getsockopt(hs_mctx(), 50, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &state, &len));
	fails(ENOSYS, mtcp_getsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_TIMESTAMP, &state, &len));
	fails(ENOSYS, mtcp_getsockopt(hs_mctx(), sock, SOL_SOCKET, SO_ERROR, &state, &len));
}

START_TEST(states_are_read_from_active_sockets_only)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, ask_options, &data);
}
END_TEST

static void set_options(int sock, int side)
{
	int zero = 0, big = 8192, negative = -1;
	const int bufs[] = {MOS_CLIBUF, MOS_SVRBUF}, socks[] = {sock, passive};

	for (int i = 0; i < 4; i++) {
		int s = socks[i / 2], o = bufs[i % 2];

		ck_assert_int_eq(mtcp_setsockopt(hs_mctx(), s, SOL_MONSOCKET, o, &zero, 4), 0);
		fails(ENOSYS, mtcp_setsockopt(hs_mctx(), s, SOL_MONSOCKET, o, &big, 4));
		fails(EINVAL, mtcp_setsockopt(hs_mctx(), s, SOL_MONSOCKET, o, &negative, 4));
		fails(EINVAL, mtcp_setsockopt(hs_mctx(), s, SOL_MONSOCKET, o, &zero, 3));
		fails(EFAULT, mtcp_setsockopt(hs_mctx(), s, SOL_MONSOCKET, o, NULL, 4));
		fails(ENOSYS, mtcp_setsockopt(hs_mctx(), s, SOL_MONSOCKET, MOS_STOP_MON, &zero, 4));
	}
	fails(EBADF, mtcp_setsockopt(hs_mctx(), 50, SOL_MONSOCKET, MOS_CLIBUF, &zero, 4));
	fails(ENOSYS, mtcp_setsockopt(hs_mctx(), sock, SOL_SOCKET, SO_DEBUG, &zero, 4));
}

START_TEST(no_buffer_is_granted_and_what_is_not_built_says_so)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, set_options, &data);
}
END_TEST

static int things[4]; /* to point at */

static void expect_none_and_keep(int sock, int side)
{
	errno = 0;
	ck_assert_ptr_null(mtcp_get_uctx(hs_mctx(), sock));
	ck_assert_int_eq(errno, 0);
	mtcp_set_uctx(hs_mctx(), sock, &things[(sock - MOS_MON_ID_MAX) / 64]);
	ck_assert_int_eq(errno, 0);
}

static void expect_kept(int sock, int side)
{
	ck_assert_ptr_eq(mtcp_get_uctx(hs_mctx(), sock), &things[(sock - MOS_MON_ID_MAX) / 64]);
}

static void keep_on_others(int sock, int side)
{
	mtcp_set_uctx(hs_mctx(), 0, &things[2]);
	ck_assert_ptr_eq(mtcp_get_uctx(hs_mctx(), 0), &things[2]);
	ck_assert_ptr_null(mtcp_get_uctx(hs_mctx(), 1));
	errno = 0;
	mtcp_set_uctx(hs_mctx(), 50, &things[0]);
	ck_assert_int_eq(errno, EBADF);
	errno = 0;
	ck_assert_ptr_null(mtcp_get_uctx(hs_mctx(), INT_MAX));
	ck_assert_int_eq(errno, EBADF);
}

START_TEST(each_socket_of_each_flow_keeps_its_own_pointer)
{
	hs_open(NULL);
	hs_passive();
	hs_passive();
	hs_in_callback(MOS_ON_CONN_START, MOS_HK_SND, expect_none_and_keep, &syn);
	ck_assert_uint_eq(hs.acted, 2);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_RCV, expect_kept, &syn);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, keep_on_others, &syn);
	hs_in_callback(MOS_ON_CONN_END, MOS_HK_SND, expect_kept,
	               &(struct hs_pkt)S_RST_ACK(0, 1001));
	ck_assert_uint_eq(hs.acted, 4); /* two halves, two sockets */
	hs_in_callback(MOS_ON_CONN_START, MOS_HK_SND, expect_none_and_keep, &syn);
}
END_TEST

/* ---- the packet in hand ---- */

static void look_at_data(int sock, int side)
{
	struct pkt_info p;

	memset(&p, 0xff, sizeof(p));
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	ck_assert_uint_eq(p.eth_len, 60);
	ck_assert_uint_eq(p.ip_len, 45);
	ck_assert_uint_eq(p.payloadlen, 5);
	ck_assert_uint_eq(p.seq, 1001);
	ck_assert_uint_eq(p.ack_seq, 5001);
	ck_assert_uint_eq(p.window, 0xff00);
	ck_assert_int_eq(p.in_ifidx, 0);
	ck_assert_uint_eq(p.cur_ts, (uint32_t)(hs.now_ns / 1000000));
	ck_assert_uint_eq(ntohs(p.ethh->h_proto), ETH_P_IP);
	ck_assert_uint_eq(p.iph->version, 4);
	ck_assert_uint_eq(ntohs(p.tcph->dest), 443);
	ck_assert_mem_eq(p.payload, "xxxxx", 5);
	memset(p.payload, 'y', 5); /* a copy: the real one stays */
	memset(p.iph, 0, sizeof(*p.iph));
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	ck_assert_mem_eq(p.payload, "xxxxx", 5);
	fails(EINVAL, mtcp_getlastpkt(hs_mctx(), sock, side, NULL));
	fails(EBADF, mtcp_getlastpkt(hs_mctx(), 50, side, &p));
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), passive, side, &p), 0);
}

static void look_at_nothing(int sock, int side)
{
	struct pkt_info p;

	fails(ENODATA, mtcp_getlastpkt(hs_mctx(), sock, side, &p));
}

static void look_at_raw(int sock, int side)
{
	struct pkt_info p;

	memset(&p, 0xff, sizeof(p));
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	ck_assert_ptr_nonnull(p.ethh);
	ck_assert_ptr_null(p.iph);
	ck_assert_ptr_null(p.tcph);
	ck_assert_ptr_null(p.payload);
}

START_TEST(packet_in_hand_is_shown_as_a_copy)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, look_at_data, &data);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_RCV, look_at_data, &data);
	hs_in_callback(MOS_ON_CONN_END, MOS_HK_SND, look_at_nothing, &rst);
	look_at_nothing(passive, 0); /* between packets */
}
END_TEST

/* The flow ends while the packet of its successor is in hand. */
START_TEST(end_of_a_flow_shows_no_packet_of_the_next)
{
	const struct hs_pkt again = SYN(900000);

	open_flow();
	hs_in_callback(MOS_ON_CONN_END, MOS_HK_RCV, look_at_nothing, &again);
}
END_TEST

START_TEST(socket_of_an_ended_flow_is_gone)
{
	int active, state;

	open_flow();
	active = mos_active_id(&hs.c->sockets, 0, mos_flow_table_next(&hs.c->flows, 0));
	hs_send(&rst);
	hs_round();
	ck_assert_uint_eq(hs.c->flows.count, 0);
	fails(EBADF,
	      mtcp_getsockopt(hs_mctx(), active, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &state, NULL));
	fails(EBADF, mtcp_register_callback(hs_mctx(), active, MOS_ON_PKT_IN, MOS_HK_SND, NULL));
}
END_TEST

START_TEST(parts_a_packet_lacks_are_null)
{
	const struct hs_pkt ip6 = {MOS_CLI, MOS_TCP_SYN, 1, .ip6 = true};

	hs_open(NULL);
	hs_raw();
	hs_in_callback(MOS_ON_PKT_IN, MOS_NULL, look_at_raw, &ip6);
}
END_TEST

/* ---- time ---- */

static int fired[64], fired_count;

static void on_timer(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
	struct pkt_info p;

	ck_assert_ptr_eq(m, hs_mctx());
	ck_assert_int_eq(side, 0);
	ck_assert_uint_eq(event, 0);
	ck_assert_ptr_null(arg);
	ck_assert_int_eq(mtcp_getlastpkt(m, 0, 0, &p), -1);
	ck_assert_uint_eq(hs.shard->ledger.stage, MOS_STAGE_AFTER);
	ck_assert_uint_eq(hs.shard->ledger.flow, MOS_FLOW_NONE);
	ck_assert_int_lt(fired_count, 64);
	fired[fired_count++] = id;
}

static void again(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
	struct timeval zero = {0};

	on_timer(m, id, side, event, arg);
	ck_assert_int_eq(mtcp_settimer(m, id, &zero, again), 0);
}

static void set_timer(int id, long ms, callback_t cb)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	ck_assert_int_eq(mtcp_settimer(hs_mctx(), id, &tv, cb), 0);
	memset(&tv, 0xff, sizeof(tv)); /* it was copied */
}

START_TEST(timers_fire_in_order_of_time_without_any_flow)
{
	hs_open(NULL);
	fired_count = 0;
	set_timer(1, 300, on_timer);
	set_timer(2, 100, on_timer);
	set_timer(3, 100, on_timer);
	set_timer(4, 3600000, on_timer);
	hs_advance(99);
	ck_assert_int_eq(fired_count, 0);
	hs_advance(1);
	ck_assert_int_eq(fired_count, 2);
	ck_assert_int_eq(fired[0], 2);
	ck_assert_int_eq(fired[1], 3);
	hs_advance(5000);
	ck_assert_int_eq(fired_count, 3);
	ck_assert_int_eq(fired[2], 1);
}
END_TEST

START_TEST(timer_set_again_at_once_runs_once_a_round)
{
	hs_open(NULL);
	fired_count = 0;
	set_timer(9, 0, again);
	for (int i = 1; i <= 10; i++) {
		hs_round();
		ck_assert_int_eq(fired_count, i);
	}
}
END_TEST

START_TEST(timer_fires_after_the_packets_of_its_round)
{
	open_flow();
	fired_count = 0;
	set_timer(1, 50, on_timer);
	hs.now_ns += 100 * UINT64_C(1000000);
	hs_send(&data);
	hs_round(); /* the packet's time stamp is the clock */
	ck_assert_int_eq(fired_count, 1);
}
END_TEST

START_TEST(times_that_are_none_are_refused)
{
	struct timeval second = {.tv_sec = 1};
	struct timeval bad[] = {{-1, 0}, {0, -1}, {0, 1000000}, {LONG_MAX, 0}};

	hs_open(NULL);
	for (unsigned i = 0; i < RTE_DIM(bad); i++)
		fails(EINVAL, mtcp_settimer(hs_mctx(), 1, &bad[i], on_timer));
	fails(EINVAL, mtcp_settimer(hs_mctx(), 1, NULL, on_timer));
	fails(EINVAL, mtcp_settimer(hs_mctx(), 1, &second, NULL));
}
END_TEST

START_TEST(clock_counts_microseconds)
{
	hs_open(NULL);
	ck_assert_uint_eq(mtcp_cb_get_ts(hs_mctx()), (uint32_t)(HS_START_NS / 1000));
	hs_advance(5);
	ck_assert_uint_eq(mtcp_cb_get_ts(hs_mctx()), (uint32_t)(HS_START_NS / 1000) + 5000);
}
END_TEST

START_TEST(connections_are_counted)
{
	open_flow();
	hs_handshake(1);
	ck_assert_uint_eq(mtcp_get_connection_cnt(hs_mctx()), 2);
	hs_send(&rst);
	hs_round();
	ck_assert_uint_eq(mtcp_get_connection_cnt(hs_mctx()), 1);
}
END_TEST

TCase *ask_case(void)
{
	TCase *tc = tcase_create("ask");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, names_are_those_of_the_first_syn);
	tcase_add_test(tc, ipv6_flow_has_no_name_in_sixteen_bytes);
	tcase_add_test(tc, states_are_read_from_active_sockets_only);
	tcase_add_test(tc, no_buffer_is_granted_and_what_is_not_built_says_so);
	tcase_add_test(tc, each_socket_of_each_flow_keeps_its_own_pointer);
	tcase_add_test(tc, packet_in_hand_is_shown_as_a_copy);
	tcase_add_test(tc, end_of_a_flow_shows_no_packet_of_the_next);
	tcase_add_test(tc, socket_of_an_ended_flow_is_gone);
	tcase_add_test(tc, parts_a_packet_lacks_are_null);
	tcase_add_test(tc, timers_fire_in_order_of_time_without_any_flow);
	tcase_add_test(tc, timer_set_again_at_once_runs_once_a_round);
	tcase_add_test(tc, timer_fires_after_the_packets_of_its_round);
	tcase_add_test(tc, times_that_are_none_are_refused);
	tcase_add_test(tc, clock_counts_microseconds);
	tcase_add_test(tc, connections_are_counted);
	return tc;
}
