/*
 * What a program finds of its predecessor, on the bench: MOS_ON_CONN_RESTORE, what lies in areas
 * in which version, and uctx that lead there.
 */
#include <arpa/inet.h>

#include "shared/root/user_area.h"
#include "test/eal/worker_tests.h"

#define AREA        24 /* bytes */
#define ESTABLISHED " [ESTABLISHED/ESTABLISHED]\n"
#define RESTORE     "NULL BOTH: RESTORE" ESTABLISHED
#define START_AGAIN "SND CLI: CONN_START" ESTABLISHED "RCV SVR: CONN_START" ESTABLISHED
#define PACKET      "SND CLI: PKT_IN" ESTABLISHED "RCV SVR: PKT_IN" ESTABLISHED

static const struct hs_pkt data = DATA(1001, 5001, 5);

static void await_restore(int sock)
{
	ck_assert_int_eq(
		mtcp_register_callback(hs_mctx(), sock, MOS_ON_CONN_RESTORE, MOS_NULL, hs_on_null),
		0);
}

static int restoring_socket(void)
{
	int sock = hs_passive();

	await_restore(sock);
	return sock;
}

static int active(unsigned k, uint32_t flow)
{
	return mos_active_id(&hs.c->sockets, (int)k, flow);
}

static struct mos_area *area_of(uint32_t flow)
{
	return mos_shard_user_area(hs.shard, flow);
}

static void open_areas(uint32_t flows)
{
	hs_open(&(struct hs_opt){.flows = flows, .flow_area = AREA});
}

/* A worker that leaves in good order, with n established flows on one socket. */
static void leave_flows(uint32_t n)
{
	open_areas(1024);
	hs_passive();
	for (uint32_t i = 0; i < n; i++)
		hs_handshake(i);
	hs_bury();
}

/* ---- the event ---- */

START_TEST(restore_comes_once_and_in_place_of_the_start)
{
	leave_flows(1);
	hs_attach(1);
	restoring_socket();
	hs_clear();
	hs_round();
	ck_assert_str_eq(hs.log, RESTORE);
	hs_expect(data, PACKET);
	hs_clear();
	hs_round();
	ck_assert_str_eq(hs.log, "");
}
END_TEST

START_TEST(restore_comes_before_the_first_packet)
{
	leave_flows(1);
	hs_attach(1);
	restoring_socket();
	hs_expect(data, RESTORE PACKET);
}
END_TEST

START_TEST(restore_comes_before_the_end)
{
	leave_flows(1);
	hs.now_ns += UINT64_C(60) * 1000000000;
	hs.root->clock_ns = hs.now_ns;
	hs_attach(1);
	restoring_socket();
	hs_advance(100);
	ck_assert(strncmp(hs.log, RESTORE "RCV CLI: STATE_CHANGE CONN_END",
	                  strlen(RESTORE "RCV CLI: STATE_CHANGE CONN_END")) == 0);
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

START_TEST(new_flow_is_not_restored)
{
	const struct hs_pkt syn = SYN(1000);

	hs_open(NULL);
	restoring_socket();
	hs_expect(syn, "SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	               "RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n");
}
END_TEST

START_TEST(each_socket_is_told_in_the_way_it_knows)
{
	leave_flows(1);
	hs_attach(1);
	hs_passive();
	restoring_socket();
	hs_passive();
	restoring_socket();
	hs.show_sock = true;
	hs_round();
	ck_assert_str_eq(hs.log,
	                 "1 NULL BOTH: RESTORE" ESTABLISHED "3 NULL BOTH: RESTORE" ESTABLISHED
	                 "0 SND CLI: CONN_START" ESTABLISHED "2 SND CLI: CONN_START" ESTABLISHED
	                 "0 RCV SVR: CONN_START" ESTABLISHED "2 RCV SVR: CONN_START" ESTABLISHED);
}
END_TEST

static bool yes(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	ck_assert_int_eq(side, MOS_SIDE_BOTH);
	return true;
}

static unsigned defined_seen;

static void on_defined(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	defined_seen++;
}

START_TEST(event_below_it_counts)
{
	event_t defined = mtcp_define_event(MOS_ON_CONN_RESTORE, yes, NULL);
	int sock;

	leave_flows(1);
	hs_attach(1);
	sock = hs_passive();
	defined_seen = 0;
	ck_assert_uint_ne(defined, MOS_NULL_EVENT);
	fails(EINVAL, mtcp_register_callback(hs_mctx(), sock, defined, MOS_HK_SND, on_defined));
	ck_assert_int_eq(mtcp_register_callback(hs_mctx(), sock, defined, MOS_NULL, on_defined), 0);
	hs_clear();
	hs_round();
	ck_assert_uint_eq(defined_seen, 1);
	ck_assert_str_eq(hs.log, "");
}
END_TEST

static void open_unread(void)
{
	const struct hs_pkt early = DATA(1011, 5001, 5);

	open_areas(64);
	hs_passive_all();
	hs_handshake(0);
	hs_send(&data);
	hs_send(&early);
	hs_round();
	hs_bury();
}

START_TEST(losses_are_told_behind_it)
{
	open_unread();
	mos_flow_at(&hs.c->flows, 0)->flags |= MOS_FLOW_TORN;
	hs_attach(1);
	await_restore(hs_passive_all());
	hs_clear();
	hs_round();
	ck_assert_str_eq(hs.log, RESTORE "NULL SVR: ERROR" ESTABLISHED);
}
END_TEST

static void all_is_known(int sock, int side)
{
	struct sockaddr_in ends[2];
	socklen_t len = sizeof(ends);
	struct tcp_buf_info info;
	struct pkt_info p;
	char got[16];

	ck_assert_int_eq(
		mtcp_getpeername(hs_mctx(), sock, (struct sockaddr *)ends, &len, MOS_SIDE_BOTH), 0);
	ck_assert_uint_eq(ends[0].sin_addr.s_addr, htonl(0x0a000001));
	ck_assert_uint_eq(ends[1].sin_port, htons(443));
	ck_assert_ptr_eq(mtcp_flow_area(hs_mctx(), sock, NULL), area_of(0)->bytes);
	fails(ENODATA, mtcp_getlastpkt(hs_mctx(), sock, MOS_SIDE_CLI, &p));
	fails(ENODATA, mtcp_setlastpkt(hs_mctx(), sock, MOS_SIDE_CLI, 0, NULL, 0, MOS_DROP));
	len = sizeof(info);
	ck_assert_int_eq(
		mtcp_getsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_INFO_SVRBUF, &info, &len), 0);
	ck_assert_uint_eq(info.tcpbi_next_byte_expected, 1006);
	ck_assert_uint_eq(info.tcpbi_last_byte_received, 1016);
	ck_assert_int_eq(mtcp_peek(hs_mctx(), sock, MOS_SIDE_SVR, got, sizeof(got)), 5);
	ck_assert_mem_eq(got, "xxxxx", 5);
}

START_TEST(all_is_known_in_it_but_no_packet)
{
	const struct hs_pkt more = DATA(1006, 5001, 1);

	for (int with_packet = 0; with_packet < 2; with_packet++) {
		open_unread();
		hs_attach(1);
		await_restore(hs_passive_all());
		if (with_packet)
			hs_send(&more);
		hs_act_on(MOS_ON_CONN_RESTORE, MOS_NULL, all_is_known);
		hs_round();
		ck_assert_uint_eq(hs.acted, 1);
		hs_clear();
		if (with_packet == 0)
			hs_close();
	}
}
END_TEST

static int stop(int sock, int side)
{
	return mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_STOP_MON, &side, sizeof(side));
}

static void decline(int sock, int side)
{
	ck_assert_int_eq(stop(sock, MOS_SIDE_BOTH), 0);
}

START_TEST(flow_is_declined_in_it)
{
	event_t below = mtcp_define_event(MOS_ON_CONN_RESTORE, yes, NULL);
	int sock;

	leave_flows(2);
	hs_attach(1);
	sock = restoring_socket();
	defined_seen = 0;
	ck_assert_int_eq(mtcp_register_callback(hs_mctx(), sock, below, MOS_NULL, on_defined), 0);
	hs_act_on(MOS_ON_CONN_RESTORE, MOS_NULL, decline);
	hs_send(&data);
	hs_round();
	ck_assert_uint_eq(hs.acted, 2);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), 1);
	ck_assert_uint_eq(defined_seen, 0); /* nothing more of these sides, at once */
	ck_assert_str_eq(hs.log, RESTORE RESTORE);
}
END_TEST

/* ---- uctx ---- */

static void *found;

static void find_uctx(int sock, int side)
{
	found = mtcp_get_uctx(hs_mctx(), sock);
}

/* What the successor of a program finds that has kept this, in RESTORE or in START. */
static void *uctx_after(void *kept, bool restore)
{
	mtcp_set_uctx(hs_mctx(), active(0, 0), kept);
	ck_assert_ptr_eq(mtcp_get_uctx(hs_mctx(), active(0, 0)), kept);
	if (area_of(0) != NULL)
		ck_assert_uint_le(area_of(0)->uctx[0], AREA);
	hs_bury();
	hs_attach(1);
	if (restore)
		restoring_socket();
	else
		hs_passive();
	found = &found;
	if (restore)
		hs_act_on(MOS_ON_CONN_RESTORE, MOS_NULL, find_uctx);
	else
		hs_act_on(MOS_ON_CONN_START, MOS_HK_SND, find_uctx);
	hs_round();
	ck_assert_uint_eq(hs.acted, 1);
	return found;
}

START_TEST(uctx_that_leads_into_the_area_survives)
{
	static const struct {
		ptrdiff_t off;
		bool survives;
	} rows[] = {{0, true},   {8, true},     {AREA - 1, true},
	            {-1, false}, {AREA, false}, {-(ptrdiff_t)sizeof(struct mos_area), false}};

	for (unsigned i = 0; i < 2 * RTE_DIM(rows); i++) {
		char *at;

		open_areas(64);
		hs_passive();
		hs_handshake(0);
		at = (char *)area_of(0)->bytes + rows[i / 2].off;
		ck_assert_ptr_eq(uctx_after(at, i % 2 != 0), rows[i / 2].survives ? at : NULL);
		hs_close();
	}
	hs_open(NULL);
}
END_TEST

START_TEST(uctx_that_leads_elsewhere_does_not)
{
	void *const elsewhere[] = {NULL, &found, (void *)UINTPTR_MAX, (void *)1};

	for (unsigned i = 0; i < RTE_DIM(elsewhere); i++) {
		open_areas(64);
		hs_passive();
		hs_handshake(0);
		mtcp_set_uctx(hs_mctx(), active(0, 0), area_of(0)->bytes); /* then changed */
		ck_assert_ptr_null(uctx_after(elsewhere[i], true));
		hs_close();
	}
	hs_open(NULL);
}
END_TEST

START_TEST(uctx_into_the_area_of_another_flow_does_not)
{
	open_areas(64);
	hs_passive();
	hs_handshake(0);
	hs_handshake(1);
	mtcp_set_uctx(hs_mctx(), active(0, 0), area_of(1)->bytes);
	ck_assert_uint_eq(area_of(0)->uctx[0], 0);
	mtcp_set_uctx(hs_mctx(), active(0, 1), area_of(0)->bytes);
	ck_assert_uint_eq(area_of(1)->uctx[0], 0);
}
END_TEST

START_TEST(damaged_offsets_lead_nowhere)
{
	static const uint16_t bad[] = {AREA + 1, AREA + 2, 4096, 0x8000, UINT16_MAX};

	for (unsigned i = 0; i < RTE_DIM(bad); i++) {
		leave_flows(1);
		for (unsigned n = 0; n < MOS_SOCKETS_MAX; n++)
			area_of(0)->uctx[n] = bad[i];
		hs_attach(1);
		restoring_socket();
		found = &found;
		hs_act_on(MOS_ON_CONN_RESTORE, MOS_NULL, find_uctx);
		hs_round();
		ck_assert_ptr_null(found);
		hs_close();
	}
	hs_open(NULL);
}
END_TEST

/* Without areas, and of the sockets themselves, nothing is kept. */
START_TEST(uctx_of_other_sockets_is_the_process_own)
{
	int sock;

	open_areas(64);
	sock = hs_passive();
	hs_handshake(0);
	mtcp_set_uctx(hs_mctx(), sock, area_of(0)->bytes);
	ck_assert_uint_eq(area_of(0)->uctx[0], 0);
	hs_bury();
	hs_attach(1);
	ck_assert_ptr_null(mtcp_get_uctx(hs_mctx(), restoring_socket()));
	hs_close();

	hs_open(NULL);
	hs_passive();
	hs_handshake(0);
	ck_assert_ptr_null(uctx_after(&found, true));
}
END_TEST

/* The first socket is closed, and its number given out again: order is what counts. */
START_TEST(sockets_correspond_by_order_of_creation)
{
	int first;

	open_areas(64);
	first = hs_passive();
	hs_passive();
	ck_assert_int_eq(mtcp_close(hs_mctx(), first), 0);
	hs_round();
	hs_passive();
	hs_handshake(0);
	mtcp_set_uctx(hs_mctx(), active(1, 0), area_of(0)->bytes + 1); /* the second */
	mtcp_set_uctx(hs_mctx(), active(0, 0), area_of(0)->bytes + 2); /* the third */
	hs_bury();

	hs_attach(1);
	for (int i = 0; i < 4; i++)
		hs_passive();
	hs_round();
	ck_assert_ptr_null(mtcp_get_uctx(hs_mctx(), active(0, 0)));
	ck_assert_ptr_eq(mtcp_get_uctx(hs_mctx(), active(1, 0)), area_of(0)->bytes + 1);
	ck_assert_ptr_eq(mtcp_get_uctx(hs_mctx(), active(2, 0)), area_of(0)->bytes + 2);
	ck_assert_ptr_null(mtcp_get_uctx(hs_mctx(), active(3, 0)));
}
END_TEST

START_TEST(ninth_socket_that_was_created_keeps_none)
{
	open_areas(64);
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(mtcp_close(hs_mctx(), hs_passive()), 0);
		hs_round();
	}
	hs_passive();
	hs_handshake(0);
	ck_assert_ptr_null(uctx_after(area_of(0)->bytes, true));
	for (unsigned n = 0; n < MOS_SOCKETS_MAX; n++)
		ck_assert_uint_eq(area_of(0)->uctx[n], 0);
}
END_TEST

/* ---- versions ---- */

static int set_version(int sock, uint32_t version)
{
	return mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_AREA_VERSION, &version,
	                       sizeof(version));
}

static uint32_t version_of(int sock)
{
	uint32_t version = 99;
	socklen_t len = sizeof(version);

	ck_assert_int_eq(
		mtcp_getsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_AREA_VERSION, &version, &len),
		0);
	ck_assert_uint_eq(len, sizeof(version));
	return version;
}

START_TEST(flows_to_come_have_the_version_of_their_socket)
{
	int sock;

	open_areas(64);
	sock = hs_passive();
	hs_handshake(0);
	ck_assert_uint_eq(version_of(active(0, 0)), 0);
	ck_assert_int_eq(set_version(sock, UINT32_MAX), 0);
	hs_handshake(1);
	ck_assert_uint_eq(version_of(active(0, 0)), 0); /* not for those that are there */
	ck_assert_uint_eq(version_of(active(0, 1)), UINT32_MAX);
	ck_assert_int_eq(set_version(active(0, 1), 7), 0);
	ck_assert_uint_eq(version_of(active(0, 1)), 7);
	hs_handshake(2);
	ck_assert_uint_eq(version_of(active(0, 2)), UINT32_MAX);
}
END_TEST

START_TEST(first_socket_that_says_a_version_counts)
{
	int sock[3];

	open_areas(64);
	for (int i = 0; i < 3; i++)
		sock[i] = hs_passive();
	ck_assert_int_eq(set_version(sock[2], 3), 0);
	ck_assert_int_eq(set_version(sock[1], 2), 0);
	hs_handshake(0);
	for (unsigned k = 0; k < 3; k++)
		ck_assert_uint_eq(version_of(active(k, 0)), 2);
}
END_TEST

static void *set_elsewhere(void *arg)
{
	return (void *)(uintptr_t)set_version(*(int *)arg, 5);
}

START_TEST(version_is_refused_where_it_makes_no_sense)
{
	uint32_t version = 1;
	socklen_t len = sizeof(version) - 1;
	int passive, raw;
	pthread_t t;
	void *res;

	open_areas(64);
	passive = hs_passive();
	raw = hs_raw();
	hs_handshake(0);
	fails(EFAULT,
	      mtcp_setsockopt(hs_mctx(), passive, SOL_MONSOCKET, MOS_AREA_VERSION, NULL, 4));
	fails(EINVAL,
	      mtcp_setsockopt(hs_mctx(), passive, SOL_MONSOCKET, MOS_AREA_VERSION, &version, len));
	fails(EBADF, set_version(63, 1));
	fails(ENOTSOCK, set_version(raw, 1));
	fails(EINVAL, mtcp_getsockopt(hs_mctx(), active(0, 0), SOL_MONSOCKET, MOS_AREA_VERSION,
	                              &version, &len));
	fails(EINVAL, mtcp_getsockopt(hs_mctx(), active(0, 0), SOL_MONSOCKET, MOS_AREA_VERSION,
	                              NULL, &len));
	fails(EINVAL, mtcp_getsockopt(hs_mctx(), active(0, 0), SOL_MONSOCKET, MOS_AREA_VERSION,
	                              &version, NULL));
	len = sizeof(version);
	fails(ENOTSOCK,
	      mtcp_getsockopt(hs_mctx(), passive, SOL_MONSOCKET, MOS_AREA_VERSION, &version, &len));
	ck_assert_int_eq(pthread_create(&t, NULL, set_elsewhere, &passive), 0);
	pthread_join(t, &res);
	ck_assert_ptr_null(res);
	hs_handshake(1);
	ck_assert_uint_eq(version_of(active(0, 1)), 5);
	passive = active(0, 1);
	ck_assert_int_eq(pthread_create(&t, NULL, set_elsewhere, &passive), 0);
	pthread_join(t, &res);
	ck_assert_ptr_nonnull(res); /* stack thread only */
	hs_close();

	hs_open(NULL);
	passive = hs_passive();
	hs_handshake(0);
	fails(ENOSYS, set_version(passive, 1));
	fails(ENOSYS, set_version(active(0, 0), 1));
	fails(ENOSYS, mtcp_getsockopt(hs_mctx(), active(0, 0), SOL_MONSOCKET, MOS_AREA_VERSION,
	                              &version, &len));
}
END_TEST

/* What the old and the new program store: a count, which has moved and grown. */
struct v1 {
	uint32_t count;
};

struct v2 {
	uint32_t flags;
	uint32_t spare;
	uint64_t count;
};

static void convert(int sock, int side)
{
	struct v2 *new = mtcp_flow_area(hs_mctx(), sock, NULL);
	struct v1 old;

	if (version_of(sock) != 1)
		return;
	memcpy(&old, new, sizeof(old));
	*new = (struct v2){.count = old.count};
	ck_assert_int_eq(set_version(sock, 2), 0);
}

START_TEST(new_program_converts_what_the_old_one_stored)
{
	open_areas(64);
	ck_assert_int_eq(set_version(hs_passive(), 1), 0);
	for (uint32_t i = 0; i < 3; i++) {
		hs_handshake(i);
		((struct v1 *)area_of(i)->bytes)->count = 100 + i;
	}
	hs_bury();
	for (unsigned w = 1; w < 3; w++) { /* the second finds it converted */
		hs_attach(w);
		ck_assert_int_eq(set_version(restoring_socket(), 2), 0);
		hs_act_on(MOS_ON_CONN_RESTORE, MOS_NULL, convert);
		hs_round();
		ck_assert_uint_eq(hs.acted, 3);
		for (uint32_t i = 0; i < 3; i++) {
			ck_assert_uint_eq(version_of(active(0, i)), 2);
			ck_assert_uint_eq(((struct v2 *)area_of(i)->bytes)->count, 100 + i);
		}
		hs_bury();
	}
}
END_TEST

START_TEST(version_goes_with_its_flow)
{
	const struct hs_pkt syn = SYN(900000);
	int sock;

	open_areas(64);
	sock = hs_passive();
	ck_assert_int_eq(set_version(sock, 4), 0);
	hs_handshake(0);
	mtcp_set_uctx(hs_mctx(), active(0, 0), area_of(0)->bytes);
	ck_assert_int_eq(set_version(sock, 0), 0);
	hs_advance(31000);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	hs_send(&syn);
	hs_round();
	ck_assert_uint_eq(version_of(active(0, 0)), 0);
	ck_assert_uint_eq(area_of(0)->uctx[0], 0);
}
END_TEST

/* ---- handed over ---- */

START_TEST(program_learns_that_its_shard_went_to_a_successor)
{
	hs_open(NULL);
	ck_assert_int_eq(mtcp_handed_over(hs_mctx()), 0);
	atomic_store(&hs.c->handed_over, true);
	atomic_store(&hs.c->state, MOS_CTX_ENDED);
	ck_assert_int_eq(mtcp_handed_over(hs_mctx()), 1);
	fails(EACCES, mtcp_handed_over(NULL));
	fails(EACCES, mtcp_handed_over(&mos_worker.ctx[3].api));
}
END_TEST

TCase *restore_case(void)
{
	TCase *tc = tcase_create("restore");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, restore_comes_once_and_in_place_of_the_start);
	tcase_add_test(tc, restore_comes_before_the_first_packet);
	tcase_add_test(tc, restore_comes_before_the_end);
	tcase_add_test(tc, new_flow_is_not_restored);
	tcase_add_test(tc, each_socket_is_told_in_the_way_it_knows);
	tcase_add_test(tc, event_below_it_counts);
	tcase_add_test(tc, losses_are_told_behind_it);
	tcase_add_test(tc, all_is_known_in_it_but_no_packet);
	tcase_add_test(tc, flow_is_declined_in_it);
	tcase_add_test(tc, uctx_that_leads_into_the_area_survives);
	tcase_add_test(tc, uctx_that_leads_elsewhere_does_not);
	tcase_add_test(tc, uctx_into_the_area_of_another_flow_does_not);
	tcase_add_test(tc, damaged_offsets_lead_nowhere);
	tcase_add_test(tc, uctx_of_other_sockets_is_the_process_own);
	tcase_add_test(tc, sockets_correspond_by_order_of_creation);
	tcase_add_test(tc, ninth_socket_that_was_created_keeps_none);
	tcase_add_test(tc, flows_to_come_have_the_version_of_their_socket);
	tcase_add_test(tc, first_socket_that_says_a_version_counts);
	tcase_add_test(tc, version_is_refused_where_it_makes_no_sense);
	tcase_add_test(tc, new_program_converts_what_the_old_one_stored);
	tcase_add_test(tc, version_goes_with_its_flow);
	tcase_add_test(tc, program_learns_that_its_shard_went_to_a_successor);
	return tc;
}
