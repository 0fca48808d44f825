/*
 * Filters and orphans on the bench (see harness.h): specification section 3.2. Client n is
 * 10.0.0.(1 + n), the server 10.0.1.2:443.
 */
#include <stdio.h>
#include <stdlib.h>

#include "mos_ext.h"
#include "shared/packet/test_frame.h"
#include "test/eal/worker_tests.h"

static const struct hs_pkt syn = SYN(1000), data = DATA(1001, 5001, 5);
static const struct hs_pkt other_syn = {MOS_CLI, MOS_TCP_SYN, 1000, .flow = 1};
static const struct hs_pkt answer = SYN_ACK(5000, 1001);

static int bind_expr(int sock, const char *first, const char *second)
{
	char a[256], b[256];
	union monitor_filter ft = {0};
	int res;

	snprintf(a, sizeof(a), "%s", first != NULL ? first : "");
	snprintf(b, sizeof(b), "%s", second != NULL ? second : "");
	ft.stream_syn_filter = first != NULL ? a : NULL;
	ft.stream_orphan_filter = second != NULL ? b : NULL;
	res = mtcp_bind_monitor_filter(hs_mctx(), sock, &ft);
	memset(a, 'x', sizeof(a)); /* it was copied */
	return res;
}

static void orphans_of(int sock)
{
	ck_assert_int_eq(
		mtcp_register_callback(hs_mctx(), sock, MOS_ON_ORPHAN, MOS_NULL, hs_on_null), 0);
}

/* ---- syn filters ---- */

START_TEST(flow_goes_to_the_sockets_that_accept_it_in_path_order)
{
	hs_open(NULL);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(hs_passive(), i);
	ck_assert_int_eq(bind_expr(0, "src host 10.0.0.1 and dst port 443", NULL), 0);
	ck_assert_int_eq(bind_expr(1, "src host 10.0.0.2", NULL), 0);
	hs.show_sock = true;
	hs_expect(syn, "0 SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	               "2 SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	               "0 RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n"
	               "2 RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n");
	/* The filter is asked about the first SYN only. */
	hs_expect(answer, "2 SND SVR: PKT_IN [SYN_SENT/SYN_RCVD]\n"
	                  "0 SND SVR: PKT_IN [SYN_SENT/SYN_RCVD]\n"
	                  "2 RCV CLI: PKT_IN STATE_CHANGE [ESTABLISHED/SYN_RCVD]\n"
	                  "0 RCV CLI: PKT_IN STATE_CHANGE [ESTABLISHED/SYN_RCVD]\n");
	hs_expect(other_syn, "1 SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	                     "2 SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	                     "1 RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n"
	                     "2 RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n");
}
END_TEST

START_TEST(syn_that_nobody_accepts_is_an_orphan)
{
	int sock;

	hs_open(NULL);
	sock = hs_passive();
	orphans_of(sock);
	ck_assert_int_eq(bind_expr(sock, "dst port 80", NULL), 0);
	hs_expect(syn, "NULL BOTH: ORPHAN []\n");
	hs_expect(data, "NULL BOTH: ORPHAN []\n");
	ck_assert_uint_eq(mtcp_get_connection_cnt(hs_mctx()), 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), 2);
}
END_TEST

START_TEST(new_filter_is_for_new_flows)
{
	int sock;

	hs_open(NULL);
	sock = hs_passive();
	hs_handshake(0);
	ck_assert_int_eq(bind_expr(sock, "dst port 80", NULL), 0);
	hs_expect(data, "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	                "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	hs_expect(other_syn, "");
	ck_assert_int_eq(bind_expr(sock, "", NULL), 0); /* the empty one accepts all */
	hs_send(&other_syn);
	hs_round();
	ck_assert_uint_eq(mtcp_get_connection_cnt(hs_mctx()), 2);
}
END_TEST

/* ---- what bind answers ---- */

START_TEST(both_filters_are_set_or_none)
{
	int sock;

	hs_open(NULL);
	sock = hs_passive();
	orphans_of(sock);
	fails(EINVAL, bind_expr(sock, "dst port 80", "port"));
	ck_assert_int_eq(strncmp(mtcp_filter_error(), "orphan filter: ", 15), 0);
	ck_assert_uint_gt(strlen(mtcp_filter_error()), 15);
	ck_assert_ptr_null(strchr(mtcp_filter_error(), '\n'));
	fails(EINVAL, bind_expr(sock, "and and", "tcp"));
	ck_assert_int_eq(strncmp(mtcp_filter_error(), "syn filter: ", 12), 0);
	hs_send(&syn);
	hs_round();
	ck_assert_uint_eq(mtcp_get_connection_cnt(hs_mctx()), 1); /* it accepts all as before */
}
END_TEST

static void *bind_elsewhere(void *arg)
{
	char *text = NULL;

	ck_assert_str_eq(mtcp_filter_error(), ""); /* that of another thread */
	fails(ENOPROTOOPT, bind_expr(*(int *)arg, "tcp", NULL));
	fails(EINVAL, bind_expr(0, "src", NULL));
	ck_assert_int_gt(asprintf(&text, "%s", mtcp_filter_error()), 0);
	ck_assert_int_eq(bind_expr(0, "tcp", NULL), 0);
	ck_assert_str_eq(mtcp_filter_error(), text); /* success changes nothing */
	free(text);
	return NULL;
}

START_TEST(sockets_without_filters_say_so)
{
	union monitor_filter none = {0};
	int active;
	pthread_t t;

	hs_open(NULL);
	ck_assert_int_eq(hs_passive(), 0);
	hs_handshake(0);
	active = mos_active_id(&hs.c->sockets, 0, 0);
	fails(EBADF, bind_expr(50, "tcp", NULL));
	fails(EBADF, bind_expr(-1, "tcp", NULL));
	fails(EBADF, bind_expr(active + 1, "tcp", NULL));
	fails(ENOPROTOOPT, bind_expr(active, "tcp", NULL));
	fails(ENOPROTOOPT, bind_expr(active, "and and", NULL));
	ck_assert_int_eq(mtcp_bind_monitor_filter(hs_mctx(), 50, NULL), 0);
	ck_assert_int_eq(mtcp_bind_monitor_filter(hs_mctx(), 0, &none), 0);
	fails(EACCES, mtcp_bind_monitor_filter(NULL, 0, &none));
	fails(EINVAL, bind_expr(0, "or", NULL));
	ck_assert_int_eq(pthread_create(&t, NULL, bind_elsewhere, &active), 0);
	pthread_join(t, NULL);
	ck_assert_int_eq(strncmp(mtcp_filter_error(), "syn filter: ", 12), 0);
}
END_TEST

/* ---- raw and orphan ---- */

static void send_udp(void)
{
	struct test_frame f;

	tf_start(&f);
	tf_ip4(&f, 0, IPPROTO_UDP);
	tf_payload(&f, 30);
	tf_finish(&f);
	hs_send_frame(f.b, f.len);
	ck_assert_uint_eq(hs_round(), 1);
}

START_TEST(raw_socket_sees_what_it_accepts_exactly_once)
{
	int all, tcp, udp;

	hs_open(NULL);
	hs_passive();
	all = hs_raw();
	tcp = hs_raw();
	udp = hs_raw();
	ck_assert_int_eq(bind_expr(tcp, "tcp", NULL), 0);
	ck_assert_int_eq(bind_expr(udp, "udp", NULL), 0);
	fails(EINVAL, bind_expr(udp, "tcp and", NULL));
	ck_assert_int_eq(strncmp(mtcp_filter_error(), "raw filter: ", 12), 0);
	ck_assert_int_eq(all + 2, udp);
	hs_handshake(0);
	hs.show_sock = true;
	hs_expect(data, "1 NULL BOTH: PKT_IN []\n2 NULL BOTH: PKT_IN []\n"
	                "0 SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	                "0 RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	hs_clear();
	send_udp();
	ck_assert_str_eq(hs.log, "1 NULL BOTH: PKT_IN []\n3 NULL BOTH: PKT_IN []\n");
}
END_TEST

START_TEST(orphan_goes_to_sockets_whose_filter_accepts_it)
{
	const struct hs_pkt other = {MOS_CLI, MOS_TCP_ACK, 1000, 7, .flow = 1};
	const struct hs_pkt late = ACK(1001, 5001);

	hs_open(NULL);
	for (int i = 0; i < 2; i++)
		orphans_of(hs_passive());
	for (int i = 2; i < 4; i++)
		orphans_of(hs_raw());
	ck_assert_int_eq(bind_expr(0, NULL, "src host 10.0.0.1"), 0);
	ck_assert_int_eq(bind_expr(1, "tcp", "src host 10.0.0.2"), 0);
	ck_assert_int_eq(bind_expr(2, "src host 10.0.0.2", NULL), 0); /* raw */
	hs.show_sock = true;
	hs_expect(late, "3 NULL BOTH: PKT_IN []\n0 NULL BOTH: ORPHAN []\n3 NULL BOTH: ORPHAN []\n");
	hs_expect(other,
	          "2 NULL BOTH: PKT_IN []\n3 NULL BOTH: PKT_IN []\n"
	          "1 NULL BOTH: ORPHAN []\n2 NULL BOTH: ORPHAN []\n3 NULL BOTH: ORPHAN []\n");
	hs_clear();
	send_udp(); /* no TCP, no orphan */
	ck_assert_str_eq(hs.log, "3 NULL BOTH: PKT_IN []\n");
}
END_TEST

static void close_all(int sock, int side)
{
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(mtcp_close(hs_mctx(), i), 0);
}

START_TEST(sockets_closed_by_an_orphan_see_it_no_more)
{
	const struct hs_pkt late = ACK(1001, 5001);

	hs_open(NULL);
	orphans_of(hs_passive());
	orphans_of(hs_passive());
	orphans_of(hs_raw());
	hs_act_on(MOS_ON_ORPHAN, MOS_NULL, close_all);
	hs_send(&late);
	hs_round();
	ck_assert_uint_eq(hs.acted, 1);
	hs.act = NULL;
	hs_expect(late, "");
}
END_TEST

/* A callback may close or filter anything, also what is in use. */
static void replace_own_filter(int sock, int side)
{
	ck_assert_int_eq(bind_expr(0, "dst port 80", "dst port 80"), 0);
	ck_assert_int_eq(bind_expr(0, "dst port 443", "dst port 443"), 0);
}

START_TEST(filter_is_replaced_by_a_callback_it_let_through)
{
	const struct hs_pkt late = ACK(1001, 5001);

	hs_open(NULL);
	orphans_of(hs_passive());
	ck_assert_int_eq(bind_expr(0, "tcp", "tcp"), 0);
	for (int i = 0; i < 10; i++)
		hs_in_callback(MOS_ON_ORPHAN, MOS_NULL, replace_own_filter, &late);
}
END_TEST

/* ---- threads ---- */

static _Atomic bool done;
static _Atomic unsigned counted;

static void count(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	atomic_fetch_add_explicit(&counted, 1, memory_order_relaxed);
}

static bool odd(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	return atomic_load_explicit(&counted, memory_order_relaxed) & 1;
}

static void *changer(void *arg)
{
	static const char *const exprs[] = {"tcp", "dst port 443", "src host 10.0.0.1", "udp"};
	event_t e = mtcp_define_event(MOS_ON_PKT_IN, odd, NULL), child = mtcp_alloc_event(e);

	for (unsigned i = 0; !atomic_load(&done); i++) {
		int active = mos_active_id(&hs.c->sockets, 0, i % 8);

		mtcp_register_callback(hs_mctx(), 0, e, MOS_HK_SND, i % 3 ? count : NULL);
		mtcp_register_callback(hs_mctx(), 0, MOS_ON_ORPHAN, MOS_NULL, i % 2 ? count : NULL);
		mtcp_register_callback(hs_mctx(), active, child, MOS_HK_RCV, count);
		mtcp_register_callback(hs_mctx(), active, MOS_ON_PKT_IN, MOS_HK_RCV,
		                       i % 5 ? count : NULL);
		if (i % 16 == 0)
			ck_assert_int_eq(bind_expr(0, exprs[i / 16 % 4], exprs[i / 32 % 4]), 0);
		if (i % 64 == 0) {
			int sock = mtcp_socket(hs_mctx(), AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

			if (sock >= 0) {
				mtcp_register_callback(hs_mctx(), sock, e, MOS_HK_SND, count);
				ck_assert_int_eq(mtcp_close(hs_mctx(), sock), 0);
			}
		}
	}
	return arg;
}

START_TEST(other_threads_change_everything_while_packets_flow)
{
	pthread_t t[2];

	hs_open(&(struct hs_opt){.flows = 8});
	ck_assert_int_eq(mtcp_socket(hs_mctx(), AF_INET, MOS_SOCK_MONITOR_STREAM, 0), 0);
	atomic_store(&done, false);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, changer, NULL), 0);
	for (uint32_t i = 0; i < 20000 || atomic_load(&counted) < 1000; i++) {
		hs_send(&(struct hs_pkt){MOS_CLI, MOS_TCP_SYN, 1000, .flow = i % 8});
		hs_send(&(struct hs_pkt){MOS_CLI, MOS_TCP_ACK, 1001, 1, .flow = i % 16});
		hs_send(&(struct hs_pkt){MOS_SVR, MOS_TCP_RST | MOS_TCP_ACK, 1, 1001,
		                         .flow = (i + 4) % 8});
		ck_assert_uint_eq(hs_round(), 3);
	}
	atomic_store(&done, true);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}
END_TEST

TCase *filter_case(void)
{
	TCase *tc = tcase_create("filters");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, flow_goes_to_the_sockets_that_accept_it_in_path_order);
	tcase_add_test(tc, syn_that_nobody_accepts_is_an_orphan);
	tcase_add_test(tc, new_filter_is_for_new_flows);
	tcase_add_test(tc, both_filters_are_set_or_none);
	tcase_add_test(tc, sockets_without_filters_say_so);
	tcase_add_test(tc, raw_socket_sees_what_it_accepts_exactly_once);
	tcase_add_test(tc, orphan_goes_to_sockets_whose_filter_accepts_it);
	tcase_add_test(tc, sockets_closed_by_an_orphan_see_it_no_more);
	tcase_add_test(tc, filter_is_replaced_by_a_callback_it_let_through);
	tcase_add_test(tc, other_threads_change_everything_while_packets_flow);
	return tc;
}
