/*
 * The calls of applications on the bench: who may call them from where, sockets and callbacks.
 */
#include <limits.h>

#include "test/eal/worker_tests.h"

static const struct hs_pkt data = DATA(1001, 5001, 5), rst = RST(1001);

static void no_callback(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
}

/* ---- one row per call: with a good context in a callback each of them succeeds ---- */

static int passive, active;
static struct timeval second = {.tv_sec = 1};

static int do_socket(mctx_t m)
{
	int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);

	if (sock >= 0)
		mtcp_close(m, sock);
	return sock < 0 ? -1 : 0;
}

static int do_close(mctx_t m)
{
	int sock = mtcp_socket(&hs.c->api, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
	int res = mtcp_close(m, sock), err = errno;

	mtcp_close(&hs.c->api, sock);
	errno = err;
	return res;
}

static int do_register(mctx_t m)
{
	return mtcp_register_callback(m, passive, MOS_ON_PKT_IN, MOS_HK_SND, hs_on_snd);
}

static int do_bind(mctx_t m)
{
	return mtcp_bind_monitor_filter(m, passive, NULL);
}

static int do_setsockopt(mctx_t m)
{
	int zero = 0;

	return mtcp_setsockopt(m, passive, SOL_MONSOCKET, MOS_CLIBUF, &zero, sizeof(zero));
}

static int do_getsockopt(mctx_t m)
{
	socklen_t len = sizeof(int);
	int state;

	return mtcp_getsockopt(m, active, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &state, &len);
}

static int do_getpeername(mctx_t m)
{
	struct sockaddr addr;
	socklen_t len = sizeof(addr);

	return mtcp_getpeername(m, active, &addr, &len, MOS_SIDE_CLI);
}

static int do_peek(mctx_t m)
{
	char buf[4];

	return mtcp_peek(m, active, MOS_SIDE_CLI, buf, sizeof(buf)) == 0 ? 0 : -1;
}

static int do_ppeek(mctx_t m)
{
	return mtcp_ppeek(m, active, MOS_SIDE_CLI, NULL, 0, 0) == 0 ? 0 : -1;
}

static int do_peekv(mctx_t m)
{
	struct iovec iov;

	return mtcp_peekv(m, active, MOS_SIDE_CLI, &iov, 1) == 0 ? 0 : -1;
}

/* There is none to tell of. */
static int do_stream_gap(mctx_t m)
{
	struct mos_stream_gap gap;

	return mtcp_stream_gap(m, active, MOS_SIDE_CLI, &gap) == -1 && errno == ENODATA ? 0 : -1;
}

static int do_set_uctx(mctx_t m)
{
	errno = 0;
	mtcp_set_uctx(m, active, &passive);
	return errno == 0 ? 0 : -1;
}

static int do_get_uctx(mctx_t m)
{
	errno = 0;
	mtcp_get_uctx(m, active);
	return errno == 0 ? 0 : -1;
}

static int do_getlastpkt(mctx_t m)
{
	struct pkt_info p;

	return mtcp_getlastpkt(m, active, MOS_SIDE_CLI, &p);
}

static int do_getlastpkt_ext(mctx_t m)
{
	struct pkt_info_ext x;
	struct pkt_info p;

	return mtcp_getlastpkt_ext(m, active, MOS_SIDE_CLI, &p, &x);
}

static int do_setlastpkt(mctx_t m)
{
	return mtcp_setlastpkt(m, active, MOS_SIDE_CLI, 0, NULL, 0, MOS_DROP);
}

static int do_get_ts(mctx_t m)
{
	return mtcp_cb_get_ts(m) != 0 ? 0 : -1;
}

static int do_get_ts_ns(mctx_t m)
{
	return mtcp_cb_get_ts_ns(m) != 0 ? 0 : -1;
}

static int do_settimer(mctx_t m)
{
	return mtcp_settimer(m, 7, &second, no_callback);
}

static int do_timer_set(mctx_t m)
{
	return mtcp_timer_set(m, 7, &second, no_callback) != 0 ? 0 : -1;
}

static int do_timer_cancel(mctx_t m)
{
	return mtcp_timer_cancel(m, mtcp_timer_set(&hs.c->api, 7, &second, no_callback));
}

static int do_connection_cnt(mctx_t m)
{
	return mtcp_get_connection_cnt(m) != UINT32_MAX ? 0 : -1;
}

static int do_flow_area_len(mctx_t m)
{
	return mtcp_flow_area_len(m) == (ssize_t)hs.root->settings.flow_area ? 0 : -1;
}

static const struct {
	const char *name;
	int (*call)(mctx_t m);
	bool any_thread;
} calls[] = {
	{"mtcp_socket", do_socket, true},
	{"mtcp_close", do_close, true},
	{"mtcp_register_callback", do_register, true},
	{"mtcp_bind_monitor_filter", do_bind, true},
	{"mtcp_setsockopt", do_setsockopt, true},
	{"mtcp_settimer", do_settimer, true},
	{"mtcp_timer_set", do_timer_set, true},
	{"mtcp_timer_cancel", do_timer_cancel, true},
	{"mtcp_get_connection_cnt", do_connection_cnt, true},
	{"mtcp_flow_area_len", do_flow_area_len, true},
	{"mtcp_restoring", mtcp_restoring, false},
	{"mtcp_getsockopt", do_getsockopt, false},
	{"mtcp_getpeername", do_getpeername, false},
	{"mtcp_set_uctx", do_set_uctx, false},
	{"mtcp_get_uctx", do_get_uctx, false},
	{"mtcp_getlastpkt", do_getlastpkt, false},
	{"mtcp_getlastpkt_ext", do_getlastpkt_ext, false},
	{"mtcp_setlastpkt", do_setlastpkt, false},
	{"mtcp_peek", do_peek, false},
	{"mtcp_ppeek", do_ppeek, false},
	{"mtcp_peekv", do_peekv, false},
	{"mtcp_stream_gap", do_stream_gap, false},
	{"mtcp_cb_get_ts", do_get_ts, false},
	{"mtcp_cb_get_ts_ns", do_get_ts_ns, false},
};

static void open_flow(void)
{
	hs_open(NULL);
	passive = hs_passive();
	active = mos_active_id(&hs.c->sockets, 0, 0);
	hs_handshake(0);
	ck_assert_ptr_nonnull(mos_socket_active(&hs.c->sockets, active, NULL));
}

static void call_all(int sock, int side)
{
	for (unsigned i = 0; i < RTE_DIM(calls); i++) {
		ck_assert_int_eq(sock, active);
		ck_assert_msg(calls[i].call(hs_mctx()) == 0, "%s: %s", calls[i].name,
		              strerror(errno));
	}
}

START_TEST(every_call_works_in_a_callback)
{
	open_flow();
	hs.may_drop = true;
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, call_all, &data);
}
END_TEST

static void call_with_bad_context(int sock, int side)
{
	struct mtcp_context stray = {0};

	for (unsigned i = 0; i < RTE_DIM(calls); i++) {
		errno = 0;
		ck_assert_msg(calls[i].call(NULL) == -1 && errno == EACCES, "%s", calls[i].name);
		errno = 0;
		ck_assert_msg(calls[i].call(&stray) == -1 && errno == EACCES, "%s", calls[i].name);
		errno = 0; /* another context of the process, which nobody has created */
		ck_assert_msg(calls[i].call(&mos_worker.ctx[3].api) == -1 && errno == EACCES, "%s",
		              calls[i].name);
	}
}

START_TEST(bad_context_is_refused_by_every_call)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, call_with_bad_context, &data);
}
END_TEST

static void *call_from_elsewhere(void *arg)
{
	for (unsigned i = 0; i < RTE_DIM(calls); i++) {
		int res;

		errno = 0;
		res = calls[i].call(hs_mctx());
		if (calls[i].any_thread ? res != 0 : res != -1 || errno != EPERM)
			return (void *)(uintptr_t)calls[i].name;
	}
	return arg;
}

static void call_on_another_thread(int sock, int side)
{
	void *wrong = NULL;
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, call_from_elsewhere, NULL), 0);
	pthread_join(t, &wrong);
	ck_assert_msg(wrong == NULL, "%s", (const char *)wrong);
}

START_TEST(stack_thread_calls_are_refused_elsewhere)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, call_on_another_thread, &data);
}
END_TEST

/* The system may end while a program still sets up. */
START_TEST(ended_context_takes_the_calls_of_a_program_that_sets_up)
{
	open_flow();
	atomic_store(&hs.c->state, MOS_CTX_ENDED);
	call_on_another_thread(active, MOS_SIDE_BOTH);
}
END_TEST

START_TEST(destroyed_context_is_refused_by_every_call)
{
	static const enum mos_ctx_state states[] = {MOS_CTX_BUSY, MOS_CTX_FREE};

	open_flow();
	for (unsigned i = 0; i < RTE_DIM(states) * RTE_DIM(calls); i++) {
		atomic_store(&hs.c->state, states[i / RTE_DIM(calls)]);
		errno = 0;
		if (calls[i % RTE_DIM(calls)].call == do_close)
			continue; /* it makes its socket first */
		ck_assert_msg(calls[i % RTE_DIM(calls)].call(hs_mctx()) == -1 && errno == EACCES,
		              "%s", calls[i % RTE_DIM(calls)].name);
	}
}
END_TEST

/* ---- sockets ---- */

START_TEST(socket_kinds_and_their_limits)
{
	hs_open(NULL);
	fails(EAFNOSUPPORT, mtcp_socket(hs_mctx(), AF_INET6, MOS_SOCK_MONITOR_STREAM, 0));
	fails(EINVAL, mtcp_socket(hs_mctx(), AF_INET, MOS_SOCK_MONITOR_STREAM_ACTIVE, 0));
	fails(EINVAL, mtcp_socket(hs_mctx(), AF_INET, 77, 0));
	fails(ENOSYS, mtcp_socket(hs_mctx(), AF_INET, MOS_SOCK_STREAM, 0));
	for (int i = 0; i < MOS_PASSIVE_MAX; i++)
		ck_assert_int_ge(mtcp_socket(hs_mctx(), AF_INET, MOS_SOCK_MONITOR_STREAM, 0), 0);
	fails(ENFILE, mtcp_socket(hs_mctx(), AF_INET, MOS_SOCK_MONITOR_STREAM, 0));
	fails(EBADF, mtcp_close(hs_mctx(), 99999));
	fails(EBADF, mtcp_close(hs_mctx(), -1));
}
END_TEST

/* ---- callbacks ---- */

/* 0, or the errno of registering the event at NULL, SND, RCV. */
static const struct {
	event_t event;
	int err[3];
} registrations[] = {
	{MOS_ON_PKT_IN, {0, 0, 0}},
	{MOS_ON_CONN_START, {EINVAL, 0, 0}},
	{MOS_ON_TCP_STATE_CHANGE, {EINVAL, 0, 0}},
	{MOS_ON_CONN_END, {EINVAL, 0, 0}},
	{MOS_ON_REXMIT, {EINVAL, 0, 0}},
	{MOS_ON_CONN_NEW_DATA, {0, EINVAL, EINVAL}},
	{MOS_ON_ERROR, {0, EINVAL, EINVAL}},
	{MOS_ON_ORPHAN, {0, EINVAL, EINVAL}},
	{MOS_NULL_EVENT, {EINVAL, EINVAL, EINVAL}},
	{MOS_ON_PKT_IN | MOS_ON_CONN_START, {EINVAL, EINVAL, EINVAL}},
	{MOS_ON_PKT_OUT, {EINVAL, EINVAL, EINVAL}},
	{MOS_ON_CONN_RESTORE, {0, EINVAL, EINVAL}},
	{1 << 13, {EINVAL, EINVAL, EINVAL}},
	{MOS_UDE_FIRST, {EINVAL, EINVAL, EINVAL}},
	{UINT64_C(1) << 40, {EINVAL, EINVAL, EINVAL}},
};

START_TEST(events_are_registered_only_where_they_occur)
{
	static const int hooks[] = {MOS_NULL, MOS_HK_SND, MOS_HK_RCV};

	hs_open(NULL);
	passive = hs_passive();
	for (unsigned i = 0; i < RTE_DIM(registrations); i++) {
		for (int h = 0; h < 3; h++) {
			int err = registrations[i].err[h], res;

			errno = 0;
			res = mtcp_register_callback(hs_mctx(), passive, registrations[i].event,
			                             hooks[h], no_callback);
			ck_assert_msg(res == (err ? -1 : 0) && errno == err, "row %u hook %d: %d",
			              i, h, errno);
		}
	}
	fails(EINVAL, mtcp_register_callback(hs_mctx(), passive, MOS_ON_PKT_IN, 0, no_callback));
	fails(EINVAL, mtcp_register_callback(hs_mctx(), passive, MOS_ON_PKT_IN, -1, no_callback));
	fails(EBADF, mtcp_register_callback(hs_mctx(), 40, MOS_ON_PKT_IN, MOS_NULL, no_callback));
	fails(EBADF,
	      mtcp_register_callback(hs_mctx(), INT_MAX, MOS_ON_PKT_IN, MOS_NULL, no_callback));
}
END_TEST

START_TEST(change_on_a_passive_socket_is_for_new_flows)
{
	const struct hs_pkt other = {MOS_CLI, MOS_TCP_SYN, 1, .flow = 1};

	open_flow();
	for (int hook = 0; hook < 2; hook++)
		ck_assert_int_eq(mtcp_register_callback(hs_mctx(), passive, MOS_ON_PKT_IN,
		                                        hook ? MOS_HK_SND : MOS_HK_RCV, NULL),
		                 0);
	hs_expect(data, "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	                "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	hs_expect(other, "SND CLI: CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	                 "RCV SVR: CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n");
}
END_TEST

static void drop_own_callbacks(int sock, int side)
{
	ck_assert_int_eq(
		mtcp_register_callback(hs_mctx(), sock, MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, NULL),
		0);
	ck_assert_int_eq(mtcp_register_callback(hs_mctx(), sock, MOS_ON_PKT_IN, MOS_HK_RCV, NULL),
	                 0);
}

/* The dispatch under way goes on with the set it began with. */
START_TEST(change_in_a_callback_counts_from_the_next_dispatch)
{
	const struct hs_pkt fin = FIN(1001, 5001), other = {MOS_CLI, MOS_TCP_SYN, 1, .flow = 1};

	open_flow();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, drop_own_callbacks);
	hs_expect(fin, "SND CLI: PKT_IN STATE_CHANGE [FIN_WAIT_1/ESTABLISHED]\n"
	               "RCV SVR: STATE_CHANGE [FIN_WAIT_1/CLOSE_WAIT]\n");
	hs.act = NULL;
	hs_expect(data, "SND CLI: PKT_IN [FIN_WAIT_1/CLOSE_WAIT]\n");
	hs_expect(other, "SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	                 "RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n");
}
END_TEST

static void close_both(int sock, int side)
{
	struct sockaddr addr;
	socklen_t len = sizeof(addr);

	ck_assert_int_eq(mtcp_close(hs_mctx(), 0), 0);
	fails(EBADF, mtcp_close(hs_mctx(), 0));
	fails(EBADF, mtcp_getpeername(hs_mctx(), sock, &addr, &len, MOS_SIDE_CLI));
	errno = 0;
	ck_assert_ptr_null(mtcp_get_uctx(hs_mctx(), sock));
	ck_assert_int_eq(errno, EBADF);
}

/* Its flows fall silent, without CONN_END, and nothing is tracked for nobody. */
START_TEST(socket_closed_in_its_own_callback_falls_silent)
{
	const struct hs_pkt other = {MOS_CLI, MOS_TCP_SYN, 1, .flow = 1};

	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, close_both, &data);
	hs_expect(data, "");
	hs_expect(rst, "");
	hs_expect(other, "");
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

static void close_first(int sock, int side)
{
	if (sock == mos_active_id(&hs.c->sockets, 0, 0))
		close_both(sock, side);
}

START_TEST(other_sockets_go_on_after_one_is_closed)
{
	hs_open(NULL);
	hs_passive();
	hs_passive();
	hs_handshake(0);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, close_first, &data);
	hs.show_sock = true;
	hs_expect(data, "1 SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	                "1 RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	ck_assert_int_eq(hs_passive(), 0); /* the id is free again */
}
END_TEST

TCase *api_case(void)
{
	TCase *tc = tcase_create("api");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, every_call_works_in_a_callback);
	tcase_add_test(tc, bad_context_is_refused_by_every_call);
	tcase_add_test(tc, stack_thread_calls_are_refused_elsewhere);
	tcase_add_test(tc, ended_context_takes_the_calls_of_a_program_that_sets_up);
	tcase_add_test(tc, destroyed_context_is_refused_by_every_call);
	tcase_add_test(tc, socket_kinds_and_their_limits);
	tcase_add_test(tc, events_are_registered_only_where_they_occur);
	tcase_add_test(tc, change_on_a_passive_socket_is_for_new_flows);
	tcase_add_test(tc, change_in_a_callback_counts_from_the_next_dispatch);
	tcase_add_test(tc, socket_closed_in_its_own_callback_falls_silent);
	tcase_add_test(tc, other_sockets_go_on_after_one_is_closed);
	return tc;
}
