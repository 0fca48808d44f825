/*
 * The walk over all flows of a socket, on the bench: mtcp_foreach_flow(), also while flows of a
 * predecessor are pending.
 */
#include "test/eal/worker_tests.h"

#define ESTABLISHED " [ESTABLISHED/ESTABLISHED]\n"

static const struct hs_pkt data = DATA(1001, 5001, 5);

static int active(unsigned k, uint32_t flow)
{
	return mos_active_id(&hs.c->sockets, (int)k, flow);
}

static int stop(int sock, int side)
{
	return mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_STOP_MON, &side, sizeof(side));
}

static int passive;
static unsigned visited;
static int (*visit_act)(int sock);
static int last_result, last_errno;

static int visit(mctx_t mctx, int sock, void *arg)
{
	ck_assert_ptr_eq(mctx, hs_mctx());
	ck_assert_ptr_eq(arg, &visited);
	visited++;
	return visit_act != NULL ? visit_act(sock) : 0;
}

static void walk(void)
{
	errno = 0;
	visited = 0;
	last_result = mtcp_foreach_flow(hs_mctx(), passive, visit, &visited);
	last_errno = errno;
}

static void walk_in_timer(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
	walk();
}

/* In one round, which may beat several times. */
static void walk_from_timer(int (*act)(int sock))
{
	struct timeval at_once = {0};

	visit_act = act;
	last_result = -2;
	ck_assert_int_eq(mtcp_settimer(hs_mctx(), 0, &at_once, walk_in_timer), 0);
	mos_loop_round(hs.c);
	ck_assert_int_ne(last_result, -2);
	ck_assert_uint_eq(hs.shard->ledger.stage, MOS_STAGE_IDLE);
	ck_assert_uint_eq(hs.shard->ledger.flow, MOS_FLOW_NONE);
}

static void open_flows(uint32_t n)
{
	hs_open(&(struct hs_opt){.flows = 1024, .flow_area = 8});
	passive = hs_passive();
	for (uint32_t i = 0; i < n; i++)
		hs_handshake(i);
}

static bool seen[1024];

static int see(int sock)
{
	uint32_t flow = (uint32_t)(sock - active(0, 0));

	ck_assert_uint_lt(flow, RTE_DIM(seen));
	ck_assert(!seen[flow]);
	seen[flow] = true;
	ck_assert_ptr_nonnull(mtcp_flow_area(hs_mctx(), sock, NULL));
	return 0;
}

START_TEST(walk_visits_each_flow_once)
{
	memset(seen, 0, sizeof(seen));
	open_flows(20);
	walk_from_timer(see);
	ck_assert_int_eq(last_result, 0);
	ck_assert_uint_eq(visited, 20);
}
END_TEST

START_TEST(walk_visits_flows_of_its_socket_only)
{
	char expr[] = "src host 10.0.0.2";
	union monitor_filter ft = {.stream_syn_filter = expr};

	hs_open(NULL);
	hs_passive();
	passive = hs_passive();
	ck_assert_int_eq(mtcp_bind_monitor_filter(hs_mctx(), passive, &ft), 0);
	for (uint32_t i = 0; i < 4; i++)
		hs_handshake(i);
	walk_from_timer(NULL);
	ck_assert_uint_eq(visited, 1);
	passive = 0;
	walk_from_timer(NULL);
	ck_assert_uint_eq(visited, 4);
	ck_assert_int_eq(stop(active(0, 2), MOS_SIDE_CLI), 0);
	walk_from_timer(NULL);
	ck_assert_uint_eq(visited, 4); /* one side is left */
	ck_assert_int_eq(stop(active(0, 1), MOS_SIDE_BOTH), 0);
	walk_from_timer(NULL);
	ck_assert_uint_eq(visited, 3);
	ck_assert_uint_eq(hs.c->flows.count, 4); /* the other socket has it still */
}
END_TEST

static int stop_at_third(int sock)
{
	return visited == 3 ? 42 : 0;
}

START_TEST(walk_ends_when_the_callback_says_so)
{
	open_flows(5);
	walk_from_timer(stop_at_third);
	ck_assert_int_eq(last_result, 42);
	ck_assert_uint_eq(visited, 3);
}
END_TEST

static int no_packet(int sock)
{
	struct pkt_info p;

	fails(ENODATA, mtcp_getlastpkt(hs_mctx(), sock, MOS_SIDE_CLI, &p));
	fails(ENODATA, mtcp_setlastpkt(hs_mctx(), sock, MOS_SIDE_CLI, 0, NULL, 0, MOS_DROP));
	return 0;
}

static void walk_in_callback(int sock, int side)
{
	struct pkt_info p;

	visit_act = no_packet;
	walk();
	ck_assert_int_eq(last_result, 0);
	ck_assert_uint_eq(visited, 3);
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0); /* it is back */
	ck_assert_uint_eq(p.payloadlen, 5);
}

START_TEST(walk_in_a_callback_does_not_show_its_packet)
{
	open_flows(3);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, walk_in_callback, &data);
}
END_TEST

static int end_flow(int sock)
{
	return stop(sock, MOS_SIDE_BOTH);
}

/* The flow visited and the one behind it. */
static int end_two(int sock)
{
	stop(sock + 1, MOS_SIDE_BOTH);
	return stop(sock, MOS_SIDE_BOTH);
}

START_TEST(flows_may_end_in_the_walk)
{
	open_flows(21);
	walk_from_timer(end_two);
	ck_assert_int_eq(last_result, 0);
	ck_assert_uint_eq(visited, 11);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	for (uint32_t i = 0; i < 4; i++)
		hs_handshake(i); /* their records are good for others */
	walk_from_timer(end_flow);
	ck_assert_uint_eq(visited, 4);
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

static void end_all(int sock, int side)
{
	visit_act = end_flow;
	walk();
	ck_assert_int_eq(last_result, 0);
	ck_assert_uint_eq(hs.c->flows.count, 1); /* ours, until we are back */
	ck_assert_int_eq(mtcp_get_uctx(hs_mctx(), sock) == NULL && errno == 0, 1);
	hs.act = NULL;
}

START_TEST(flow_at_hand_ends_behind_the_callback)
{
	open_flows(3);
	hs_clear();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, end_all);
	hs_send(&data);
	hs_round();
	ck_assert_uint_eq(visited, 3);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_str_eq(hs.log, "SND CLI: PKT_IN" ESTABLISHED);
}
END_TEST

static int close_socket(int sock)
{
	return mtcp_close(hs_mctx(), passive);
}

START_TEST(walk_ends_with_its_socket)
{
	open_flows(5);
	walk_from_timer(close_socket);
	ck_assert_int_eq(last_result, 0);
	ck_assert_uint_eq(visited, 1);
	walk_from_timer(NULL);
	ck_assert_int_eq(last_result, -1);
	ck_assert_int_eq(last_errno, EBADF);
}
END_TEST

static unsigned inner;

static int count_inner(mctx_t mctx, int sock, void *arg)
{
	inner++;
	return 0;
}

static int walk_inside(int sock)
{
	return mtcp_foreach_flow(hs_mctx(), passive, count_inner, NULL);
}

START_TEST(walks_may_be_nested)
{
	open_flows(7);
	inner = 0;
	walk_from_timer(walk_inside);
	ck_assert_uint_eq(visited, 7);
	ck_assert_uint_eq(inner, 49);
}
END_TEST

START_TEST(long_walk_is_no_stall)
{
	uint64_t beats;

	open_flows(600);
	beats = hs.shard->lease.heartbeat;
	walk_from_timer(NULL);
	ck_assert_uint_eq(visited, 600);
	ck_assert_uint_eq(hs.shard->lease.heartbeat - beats, 1 + 600 / 256);
}
END_TEST

/* ---- the walk, with flows to be restored ---- */

static unsigned restored;

static void count_restored(int sock, int side)
{
	restored++;
	fails(EAGAIN, mtcp_foreach_flow(hs_mctx(), passive, visit, &visited));
}

static void succeed(uint32_t flows)
{
	open_flows(flows);
	hs_bury();
	hs_attach(1);
	passive = hs_passive();
	ck_assert_int_eq(mtcp_register_callback(hs_mctx(), passive, MOS_ON_CONN_RESTORE, MOS_NULL,
	                                        hs_on_null),
	                 0);
	restored = 0;
	hs_act_on(MOS_ON_CONN_RESTORE, MOS_NULL, count_restored);
	hs_clear();
}

/* All were told of before the first is visited. */
static int all_are_back(int sock)
{
	ck_assert_uint_eq(restored, 700);
	ck_assert_int_eq(mtcp_restoring(hs_mctx()), 0);
	ck_assert_uint_eq(hs.shard->ledger.stage, MOS_STAGE_AFTER); /* a death is a timer's */
	hs_clear();
	return see(sock);
}

START_TEST(walk_restores_what_is_pending_first)
{
	uint64_t beats;

	memset(seen, 0, sizeof(seen));
	succeed(700);
	beats = hs.shard->lease.heartbeat;
	walk_from_timer(all_are_back);
	ck_assert_int_eq(last_result, 0);
	ck_assert_uint_eq(visited, 700);
	ck_assert_uint_gt(hs.shard->lease.heartbeat - beats, 1 + 700 / 256);
	hs_round();
	ck_assert_uint_eq(restored, 700);
}
END_TEST

START_TEST(walk_in_the_middle_of_restoring_restores_the_rest)
{
	memset(seen, 0, sizeof(seen));
	succeed(700);
	mos_loop_round(hs.c);
	ck_assert_uint_gt(restored, 0);
	ck_assert_uint_lt(restored, 700);
	hs_clear();
	walk_from_timer(all_are_back);
	ck_assert_uint_eq(visited, 700);
}
END_TEST

static void walk_too_early(int sock, int side)
{
	walk();
	ck_assert_int_eq(last_result, -1);
	ck_assert_int_eq(last_errno, EAGAIN);
}

START_TEST(walk_waits_for_a_timer_while_flows_are_pending)
{
	const struct hs_pkt stray = {MOS_CLI, MOS_TCP_ACK, 1, 1, .flow = 900};

	succeed(3);
	visit_act = NULL;
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, walk_too_early);
	hs_send(&data);
	hs_round();
	ck_assert_uint_eq(hs.acted, 1);
	hs_close();

	succeed(3);
	ck_assert_int_eq(
		mtcp_register_callback(hs_mctx(), passive, MOS_ON_ORPHAN, MOS_NULL, hs_on_null), 0);
	hs_act_on(MOS_ON_ORPHAN, MOS_NULL, walk_too_early);
	hs_send(&stray);
	hs_round();
	ck_assert_uint_eq(hs.acted, 1);
}
END_TEST

static void decline_all_but_one(int sock, int side)
{
	restored++;
	if (sock != active(0, 1))
		ck_assert_int_eq(stop(sock, MOS_SIDE_BOTH), 0);
}

START_TEST(walk_does_not_visit_what_was_declined)
{
	succeed(5);
	hs_act_on(MOS_ON_CONN_RESTORE, MOS_NULL, decline_all_but_one);
	walk_from_timer(NULL);
	ck_assert_uint_eq(restored, 5);
	ck_assert_uint_eq(visited, 1);
	ck_assert_uint_eq(hs.c->flows.count, 1);
}
END_TEST

static void close_in_restore(int sock, int side)
{
	mtcp_close(hs_mctx(), passive);
}

START_TEST(socket_may_be_closed_while_its_flows_are_restored)
{
	succeed(5);
	hs_act_on(MOS_ON_CONN_RESTORE, MOS_NULL, close_in_restore);
	walk_from_timer(NULL);
	ck_assert_int_eq(last_result, 0);
	ck_assert_uint_eq(visited, 0);
	ck_assert_uint_eq(hs.acted, 1);
}
END_TEST

static void *walk_elsewhere(void *arg)
{
	errno = 0;
	mtcp_foreach_flow(hs_mctx(), passive, visit, &visited);
	return (void *)(uintptr_t)errno;
}

START_TEST(walk_is_refused_where_it_makes_no_sense)
{
	int raw, act;
	pthread_t t;
	void *err;

	open_flows(1);
	raw = hs_raw();
	act = active(0, 0);
	visited = 0;
	fails(EACCES, mtcp_foreach_flow(NULL, passive, visit, &visited));
	fails(EBADF, mtcp_foreach_flow(hs_mctx(), -1, visit, &visited));
	fails(EBADF, mtcp_foreach_flow(hs_mctx(), 63, visit, &visited));
	fails(EBADF, mtcp_foreach_flow(hs_mctx(), act, visit, &visited));
	fails(EINVAL, mtcp_foreach_flow(hs_mctx(), raw, visit, &visited));
	fails(EINVAL, mtcp_foreach_flow(hs_mctx(), passive, NULL, &visited));
	ck_assert_int_eq(pthread_create(&t, NULL, walk_elsewhere, NULL), 0);
	pthread_join(t, &err);
	ck_assert_uint_eq((uintptr_t)err, EPERM);
	ck_assert_uint_eq(visited, 0);
}
END_TEST

TCase *foreach_case(void)
{
	TCase *tc = tcase_create("foreach");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, walk_visits_each_flow_once);
	tcase_add_test(tc, walk_visits_flows_of_its_socket_only);
	tcase_add_test(tc, walk_ends_when_the_callback_says_so);
	tcase_add_test(tc, walk_in_a_callback_does_not_show_its_packet);
	tcase_add_test(tc, flows_may_end_in_the_walk);
	tcase_add_test(tc, flow_at_hand_ends_behind_the_callback);
	tcase_add_test(tc, walk_ends_with_its_socket);
	tcase_add_test(tc, walks_may_be_nested);
	tcase_add_test(tc, long_walk_is_no_stall);
	tcase_add_test(tc, walk_restores_what_is_pending_first);
	tcase_add_test(tc, walk_in_the_middle_of_restoring_restores_the_rest);
	tcase_add_test(tc, walk_waits_for_a_timer_while_flows_are_pending);
	tcase_add_test(tc, walk_does_not_visit_what_was_declined);
	tcase_add_test(tc, socket_may_be_closed_while_its_flows_are_restored);
	tcase_add_test(tc, walk_is_refused_where_it_makes_no_sense);
	return tc;
}
