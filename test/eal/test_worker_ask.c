/*
 * What applications ask the library for, on the bench: names, states, options, their own pointers.
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

/* ---- names ---- */

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

/* ---- names of other sizes ---- */

union any_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage storage;
	uint8_t bytes[128];
};

/* What getpeername writes for this side and element size; behind the elements nothing changes. */
static const uint8_t *ask_sized(int sock, int side, unsigned size)
{
	static uint8_t got[2 * 128 + 1];
	socklen_t whole = side == MOS_SIDE_BOTH ? 2 * size : size, len = whole;

	memset(got, 0xee, sizeof(got));
	ck_assert_int_eq(mtcp_getpeername(hs_mctx(), sock, (struct sockaddr *)got, &len, side), 0);
	ck_assert_uint_eq(len, whole);
	for (unsigned i = whole; i < sizeof(got); i++)
		ck_assert_uint_eq(got[i], 0xee);
	return got;
}

static void refuse_sizes(int sock, const int *bad, unsigned n)
{
	uint8_t room[600];

	for (unsigned i = 0; i < n; i++) {
		socklen_t len = (socklen_t)bad[i];
		int side = i % 2 ? MOS_SIDE_BOTH : MOS_SIDE_CLI;

		memset(room, 0xee, sizeof(room));
		fails(EINVAL,
		      mtcp_getpeername(hs_mctx(), sock, (struct sockaddr *)room, &len, side));
		ck_assert_uint_eq(room[0], 0xee);
	}
}

static const unsigned sizes[] = {16, 28, 128};

static void ask_sized_in(int sock, int side)
{
	static const int bad[] = {0, 0, 15, 16, 17, 33, 32, 57, 56, 28, 127, 255, 256, 128, -1, -1};

	for (unsigned i = 0; i < RTE_DIM(sizes); i++) {
		union any_addr a;

		memcpy(&a, ask_sized(sock, MOS_SIDE_CLI, sizes[i]), sizes[i]);
		check_in(&a.sa, "10.0.0.1", 40000);
		memcpy(&a, ask_sized(sock, MOS_SIDE_SVR, sizes[i]), sizes[i]);
		check_in(&a.sa, "10.0.1.2", 443);
		memcpy(&a, ask_sized(sock, MOS_SIDE_BOTH, sizes[i]), sizes[i]);
		check_in(&a.sa, "10.0.0.1", 40000);
		memcpy(&a, ask_sized(sock, MOS_SIDE_BOTH, sizes[i]) + sizes[i], sizes[i]);
		check_in(&a.sa, "10.0.1.2", 443);
	}
	refuse_sizes(sock, bad, RTE_DIM(bad));
}

START_TEST(names_fill_elements_of_three_sizes)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, ask_sized_in, &data);
}
END_TEST

static void check_in6(const uint8_t *bytes, const char *ip, uint16_t port)
{
	char text[INET6_ADDRSTRLEN];
	struct sockaddr_in6 in6;

	memcpy(&in6, bytes, sizeof(in6));
	ck_assert_int_eq(in6.sin6_family, AF_INET6);
	ck_assert_str_eq(inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text)), ip);
	ck_assert_uint_eq(ntohs(in6.sin6_port), port);
	ck_assert_uint_eq(in6.sin6_flowinfo, 0);
	ck_assert_uint_eq(in6.sin6_scope_id, 0);
}

static void ask_names_ip6(int sock, int side)
{
	static const int bad[] = {16, 32, 27, 57};

	for (unsigned i = 1; i < RTE_DIM(sizes); i++) {
		check_in6(ask_sized(sock, MOS_SIDE_CLI, sizes[i]), "2001:db8::1", 40000);
		check_in6(ask_sized(sock, MOS_SIDE_SVR, sizes[i]), "2001:db8:1::2", 443);
		check_in6(ask_sized(sock, MOS_SIDE_BOTH, sizes[i]), "2001:db8::1", 40000);
		check_in6(ask_sized(sock, MOS_SIDE_BOTH, sizes[i]) + sizes[i], "2001:db8:1::2",
		          443);
	}
	refuse_sizes(sock, bad, RTE_DIM(bad));
}

START_TEST(names_of_an_ipv6_flow_need_elements_that_hold_them)
{
	const struct hs_pkt syn6 = {MOS_CLI, MOS_TCP_SYN, 1000, .ip6 = true};
	const struct hs_pkt answer = {MOS_SVR, MOS_TCP_SYN | MOS_TCP_ACK, 1, 1001, .ip6 = true};

	hs_open(NULL);
	hs_passive();
	hs_in_callback(MOS_ON_CONN_START, MOS_HK_SND, ask_names_ip6, &syn6);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_RCV, ask_names_ip6, &answer);
}
END_TEST

/* ---- options, user context ---- */

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
	fails(ENOSYS, mtcp_getsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_CLIBUF, &state, &len));
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
		ck_assert_int_eq(mtcp_setsockopt(hs_mctx(), s, SOL_MONSOCKET, o, &big, 4), 0);
		fails(EINVAL, mtcp_setsockopt(hs_mctx(), s, SOL_MONSOCKET, o, &negative, 4));
		fails(EINVAL, mtcp_setsockopt(hs_mctx(), s, SOL_MONSOCKET, o, &zero, 3));
		fails(EFAULT, mtcp_setsockopt(hs_mctx(), s, SOL_MONSOCKET, o, NULL, 4));
		fails(ENOSYS,
		      mtcp_setsockopt(hs_mctx(), s, SOL_MONSOCKET, MOS_FRAG_CLIBUF, &zero, 4));
	}
	fails(EBADF, mtcp_setsockopt(hs_mctx(), 50, SOL_MONSOCKET, MOS_CLIBUF, &zero, 4));
	fails(ENOSYS, mtcp_setsockopt(hs_mctx(), sock, SOL_SOCKET, SO_DEBUG, &zero, 4));
}

START_TEST(any_buffer_is_granted_and_what_is_not_built_says_so)
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

/* ---- the end of a flow ---- */

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
	tcase_add_test(tc, names_fill_elements_of_three_sizes);
	tcase_add_test(tc, names_of_an_ipv6_flow_need_elements_that_hold_them);
	tcase_add_test(tc, states_are_read_from_active_sockets_only);
	tcase_add_test(tc, any_buffer_is_granted_and_what_is_not_built_says_so);
	tcase_add_test(tc, each_socket_of_each_flow_keeps_its_own_pointer);
	tcase_add_test(tc, socket_of_an_ended_flow_is_gone);
	tcase_add_test(tc, connections_are_counted);
	return tc;
}
