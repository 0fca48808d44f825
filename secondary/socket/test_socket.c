/*
 * Sockets and callback sets on the bench: the stack thread's part is played by the test itself, or
 * by a second thread that walks path and sets as dispatch does.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/socket/socket.h"

#define FLOWS   100
#define PASSIVE MOS_SOCK_MONITOR_STREAM
#define RAW     MOS_SOCK_MONITOR_RAW

/* Bits of events, as registration gives them. */
enum { PKT_IN_BIT = 0, START_BIT = 2 };

static struct mos_sockets s;

static void setup(void)
{
	ck_assert_int_eq(mos_sockets_init(&s, FLOWS), 0);
}

static void teardown(void)
{
	mos_sockets_fini(&s);
}

static void cb_a(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
}

static void cb_b(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	(void)&s; /* another body: linkers may fold equal functions into one */
}

/* What dispatch would call for a flow on passive socket number k. */
static callback_t flow_cb(int id, uint32_t flow, unsigned bit, enum mos_hook hook)
{
	const struct mos_cb_set *set = s.mon[id].flows[flow].set;

	ck_assert_ptr_nonnull(set);
	ck_assert((set->cb[hook][bit] != NULL) == (set->mask[hook] >> bit & 1));
	return set->cb[hook][bit];
}

static uint64_t path(void)
{
	return atomic_load(&s.passive_path);
}

/* ---- opening and closing ---- */

START_TEST(ids_are_given_out_from_zero_and_again)
{
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), 0);
	ck_assert_int_eq(mos_socket_open(&s, RAW), 1);
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), 2);
	ck_assert_int_eq(mos_socket_close(&s, 1), 0);
	ck_assert_int_eq(mos_socket_open(&s, RAW), 3); /* 1 is still closing */
	mos_sockets_sweep(&s);
	ck_assert_int_eq(mos_socket_open(&s, RAW), 1);
}
END_TEST

START_TEST(passive_sockets_are_limited_and_raw_ones_go_on)
{
	for (int i = 0; i < MOS_PASSIVE_MAX; i++)
		ck_assert_int_eq(mos_socket_open(&s, PASSIVE), i);
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), -ENFILE);
	for (int i = MOS_PASSIVE_MAX; i < MOS_MON_ID_MAX; i++)
		ck_assert_int_eq(mos_socket_open(&s, RAW), i);
	ck_assert_int_eq(mos_socket_open(&s, RAW), -ENFILE);
	ck_assert_uint_eq(atomic_load(&s.raw_path[0]), UINT64_MAX << MOS_PASSIVE_MAX);

	ck_assert_int_eq(mos_socket_close(&s, 3), 0);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), 3);
	ck_assert_int_eq(s.mon[3].passive, 3); /* its number is used again too */
}
END_TEST

START_TEST(socket_of_no_such_id_is_an_answer)
{
	static const int ids[] = {
		-1, INT32_MIN, 0, 63, 64, 65, 64 + FLOWS * 8 - 1, 64 + FLOWS * 8, INT32_MAX};

	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		ck_assert_ptr_null(mos_socket_mon(&s, ids[i]));
		ck_assert_ptr_null(mos_socket_active(&s, ids[i], NULL));
		ck_assert_int_eq(mos_socket_type(&s, ids[i]), MOS_SOCK_UNUSED);
		ck_assert_int_eq(mos_socket_close(&s, ids[i]), -EBADF);
		ck_assert_int_eq(mos_socket_register(&s, ids[i], PKT_IN_BIT, MOS_HOOK_SND, cb_a),
		                 -EBADF);
	}
}
END_TEST

START_TEST(closing_twice_is_an_answer)
{
	int id = mos_socket_open(&s, PASSIVE);

	ck_assert_int_eq(mos_socket_close(&s, id), 0);
	ck_assert_int_eq(mos_socket_close(&s, id), -EBADF);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(mos_socket_close(&s, id), -EBADF);
}
END_TEST

START_TEST(new_socket_knows_nothing_of_the_one_before)
{
	int id = mos_socket_open(&s, PASSIVE);

	mos_socket_register(&s, id, PKT_IN_BIT, MOS_HOOK_SND, cb_a);
	mos_socket_mon(&s, id)->uctx = &s;
	mos_sockets_attach_flow(&s, 7);
	mos_socket_close(&s, id);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), id);
	ck_assert_ptr_null(mos_socket_mon(&s, id)->uctx);
	ck_assert_ptr_eq(s.mon[id].set, s.empty);
	ck_assert_ptr_null(s.mon[id].flows[7].set);
	ck_assert_int_eq(mos_socket_close(&s, id), 0);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(mos_socket_open(&s, RAW), id);
	ck_assert_int_eq(mos_socket_type(&s, id), RAW);
	ck_assert_uint_eq(path(), 0);
}
END_TEST

START_TEST(flow_count_that_ids_cannot_name_is_refused)
{
	struct mos_sockets other;

	ck_assert_int_eq(mos_sockets_init(&other, 0), -EINVAL);
	ck_assert_int_eq(mos_sockets_init(&other, UINT32_MAX), -EINVAL);
	ck_assert_int_eq(mos_sockets_init(&other, 1u << 28), -EINVAL);
	ck_assert_int_eq(mos_sockets_init(&other, 1u << 24), 0); /* the largest flow table */
	ck_assert_int_gt(mos_active_id(&other, MOS_PASSIVE_MAX - 1, (1u << 24) - 1), 0);
	mos_sockets_fini(&other);
}
END_TEST

/* ---- path ---- */

START_TEST(path_is_the_order_of_creation)
{
	int a = mos_socket_open(&s, PASSIVE), raw = mos_socket_open(&s, RAW);
	int b = mos_socket_open(&s, PASSIVE), c = mos_socket_open(&s, PASSIVE);

	ck_assert_uint_eq(path(),
	                  (uint64_t)(a + 1) | (uint64_t)(b + 1) << 8 | (uint64_t)(c + 1) << 16);
	ck_assert_uint_eq(atomic_load(&s.raw_path[0]), 1u << raw);
	mos_socket_close(&s, b);
	ck_assert_uint_eq(path(), (uint64_t)(a + 1) | (uint64_t)(c + 1) << 8);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), b); /* the same id, but the last to come */
	ck_assert_uint_eq(path(),
	                  (uint64_t)(a + 1) | (uint64_t)(c + 1) << 8 | (uint64_t)(b + 1) << 16);
}
END_TEST

/* Open and close at random; a plain list says what the path must be. */
START_TEST(path_agrees_with_a_plain_list)
{
	int list[MOS_PASSIVE_MAX], n = 0;

	srandom(3);
	for (int round = 0; round < 20000; round++) {
		uint64_t want = 0;

		if (n < MOS_PASSIVE_MAX && random() % 2) {
			list[n] = mos_socket_open(&s, PASSIVE);
			ck_assert_int_ge(list[n++], 0);
		} else if (n > 0) {
			int k = (int)(random() % n);

			ck_assert_int_eq(mos_socket_close(&s, list[k]), 0);
			memmove(&list[k], &list[k + 1], (size_t)(--n - k) * sizeof(list[0]));
			mos_sockets_sweep(&s);
		}
		for (int i = 0; i < n; i++)
			want |= (uint64_t)(list[i] + 1) << (8 * i);
		if (path() != want)
			ck_abort_msg("round %d: path %lx, want %lx", round, path(), want);
	}
}
END_TEST

/* ---- callback sets ---- */

START_TEST(equal_sets_are_one_object)
{
	int a = mos_socket_open(&s, PASSIVE), b = mos_socket_open(&s, PASSIVE);

	mos_socket_register(&s, a, PKT_IN_BIT, MOS_HOOK_SND, cb_a);
	mos_socket_register(&s, a, START_BIT, MOS_HOOK_RCV, cb_b);
	ck_assert_ptr_ne(s.mon[a].set, s.mon[b].set);
	mos_socket_register(&s, b, START_BIT, MOS_HOOK_RCV, cb_b); /* in the other order */
	mos_socket_register(&s, b, PKT_IN_BIT, MOS_HOOK_SND, cb_a);
	ck_assert_ptr_eq(s.mon[a].set, s.mon[b].set);
	mos_socket_register(&s, b, PKT_IN_BIT, MOS_HOOK_SND, cb_a); /* again: nothing changes */
	ck_assert_ptr_eq(s.mon[a].set, s.mon[b].set);
}
END_TEST

START_TEST(last_registration_wins_and_null_takes_away)
{
	int id = mos_socket_open(&s, PASSIVE);

	mos_socket_register(&s, id, PKT_IN_BIT, MOS_HOOK_SND, cb_a);
	mos_socket_register(&s, id, PKT_IN_BIT, MOS_HOOK_SND, cb_b);
	mos_sockets_attach_flow(&s, 1);
	ck_assert_ptr_eq(flow_cb(id, 1, PKT_IN_BIT, MOS_HOOK_SND), cb_b);
	ck_assert_ptr_null(flow_cb(id, 1, PKT_IN_BIT, MOS_HOOK_RCV));
	mos_socket_register(&s, id, PKT_IN_BIT, MOS_HOOK_SND, NULL);
	ck_assert_ptr_eq(s.mon[id].set, s.empty);
	mos_socket_register(&s, id, PKT_IN_BIT, MOS_HOOK_SND, NULL); /* never there: fine */
	ck_assert_ptr_eq(s.mon[id].set, s.empty);
}
END_TEST

START_TEST(flow_keeps_the_set_it_began_with)
{
	int id = mos_socket_open(&s, PASSIVE);

	mos_socket_register(&s, id, PKT_IN_BIT, MOS_HOOK_SND, cb_a);
	mos_sockets_attach_flow(&s, 1);
	mos_socket_register(&s, id, PKT_IN_BIT, MOS_HOOK_SND, cb_b);
	mos_sockets_attach_flow(&s, 2);
	ck_assert_ptr_eq(flow_cb(id, 1, PKT_IN_BIT, MOS_HOOK_SND), cb_a);
	ck_assert_ptr_eq(flow_cb(id, 2, PKT_IN_BIT, MOS_HOOK_SND), cb_b);
}
END_TEST

START_TEST(change_on_a_flow_is_a_change_of_that_flow_alone)
{
	int id = mos_socket_open(&s, PASSIVE);

	mos_socket_register(&s, id, PKT_IN_BIT, MOS_HOOK_SND, cb_a);
	mos_sockets_attach_flow(&s, 1);
	mos_sockets_attach_flow(&s, 2);
	ck_assert_int_eq(
		mos_socket_register(&s, mos_active_id(&s, 0, 1), PKT_IN_BIT, MOS_HOOK_SND, cb_b),
		0);
	ck_assert_ptr_eq(flow_cb(id, 1, PKT_IN_BIT, MOS_HOOK_SND), cb_b);
	ck_assert_ptr_eq(flow_cb(id, 2, PKT_IN_BIT, MOS_HOOK_SND), cb_a);
	mos_sockets_attach_flow(&s, 3);
	ck_assert_ptr_eq(flow_cb(id, 3, PKT_IN_BIT, MOS_HOOK_SND), cb_a);
}
END_TEST

static unsigned count_sets(void)
{
	unsigned n = 0;

	for (const struct mos_cb_set *set = s.sets; set != NULL; set = set->next)
		n++;
	return n;
}

START_TEST(the_same_change_on_many_flows_makes_one_set)
{
	int id = mos_socket_open(&s, PASSIVE);
	unsigned before;

	mos_socket_register(&s, id, PKT_IN_BIT, MOS_HOOK_SND, cb_a);
	for (uint32_t f = 0; f < FLOWS; f++)
		mos_sockets_attach_flow(&s, f);
	before = count_sets();
	for (uint32_t f = 0; f < FLOWS; f++)
		mos_socket_register(&s, mos_active_id(&s, 0, f), START_BIT, MOS_HOOK_SND, cb_b);
	ck_assert_uint_eq(count_sets(), before + 1);
}
END_TEST

/* ---- active sockets ---- */

START_TEST(active_id_names_flow_and_passive_socket)
{
	mos_socket_open(&s, RAW);
	for (int k = 0; k < MOS_PASSIVE_MAX; k++)
		ck_assert_int_ge(mos_socket_open(&s, PASSIVE), 0);
	for (uint32_t f = 0; f < FLOWS; f += FLOWS - 1) {
		mos_sockets_attach_flow(&s, f);
		for (int k = 0; k < MOS_PASSIVE_MAX; k++) {
			int id = mos_active_id(&s, k, f);
			uint32_t flow = UINT32_MAX;

			ck_assert_int_ge(id, MOS_MON_ID_MAX);
			ck_assert_ptr_eq(mos_socket_active(&s, id, &flow), &s.mon[k + 1].flows[f]);
			ck_assert_uint_eq(flow, f);
			ck_assert_int_eq(mos_socket_type(&s, id), MOS_SOCK_MONITOR_STREAM_ACTIVE);
		}
	}
	ck_assert_ptr_null(mos_socket_active(&s, mos_active_id(&s, 0, 1), NULL));
	ck_assert_ptr_null(mos_socket_active(&s, mos_active_id(&s, MOS_PASSIVE_MAX, 0), NULL));
}
END_TEST

START_TEST(detached_flow_is_gone_and_the_next_one_starts_clean)
{
	int id = mos_socket_open(&s, PASSIVE), active = mos_active_id(&s, 0, 5);

	mos_sockets_attach_flow(&s, 5);
	mos_socket_active(&s, active, NULL)->uctx = &s;
	mos_sockets_detach_flow(&s, 5);
	ck_assert_ptr_null(mos_socket_active(&s, active, NULL));
	ck_assert_int_eq(mos_socket_register(&s, active, PKT_IN_BIT, MOS_HOOK_SND, cb_a), -EBADF);
	mos_sockets_attach_flow(&s, 5);
	ck_assert_ptr_null(s.mon[id].flows[5].uctx);
}
END_TEST

START_TEST(flows_of_a_closed_socket_name_nothing)
{
	int a = mos_socket_open(&s, PASSIVE), b = mos_socket_open(&s, PASSIVE);

	mos_sockets_attach_flow(&s, 5);
	mos_socket_close(&s, a);
	ck_assert_ptr_null(mos_socket_active(&s, mos_active_id(&s, 0, 5), NULL));
	ck_assert_ptr_nonnull(mos_socket_active(&s, mos_active_id(&s, 1, 5), NULL));
	ck_assert(mos_sockets_have_passive(&s));
	mos_sockets_sweep(&s);
	mos_sockets_detach_flow(&s, 5);
	mos_socket_close(&s, b);
	ck_assert(!mos_sockets_have_passive(&s));
	mos_sockets_attach_flow(&s, 6); /* with nobody there */
	mos_sockets_detach_flow(&s, 6);
}
END_TEST

START_TEST(socket_opened_later_does_not_see_older_flows)
{
	int late;

	mos_socket_open(&s, PASSIVE);
	mos_sockets_attach_flow(&s, 5);
	late = mos_socket_open(&s, PASSIVE);
	ck_assert_ptr_null(s.mon[late].flows[5].set);
	ck_assert_ptr_null(mos_socket_active(&s, mos_active_id(&s, 1, 5), NULL));
	mos_sockets_detach_flow(&s, 5);
}
END_TEST

/* ---- threads ---- */

#define CHANGES 20000

static _Atomic bool done;
static _Atomic unsigned long calls;

static void count_call(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
}

/* As the stack thread: flows come and go, sets are read and called, closed sockets are swept. */
static void *stack_thread(void *arg)
{
	for (uint32_t round = 0; !atomic_load(&done); round++) {
		uint32_t f = round % FLOWS;
		uint64_t p;

		mos_sockets_attach_flow(&s, f);
		for (p = atomic_load(&s.passive_path); p != 0; p >>= 8) {
			struct mos_mon_sock *m = &s.mon[(p & 0xff) - 1];
			const struct mos_cb_set *set =
				atomic_load_explicit(&m->flows[f].set, memory_order_acquire);

			for (uint32_t bits = set ? set->mask[MOS_HOOK_SND] : 0; bits;
			     bits &= bits - 1)
				set->cb[MOS_HOOK_SND][__builtin_ctz(bits)](NULL, 0, 0, 0, NULL);
		}
		mos_sockets_detach_flow(&s, f);
		mos_sockets_sweep(&s);
	}
	return arg;
}

/* Register and unregister on passive socket 0 and on flows that come and go. */
static void *registrar(void *arg)
{
	for (int i = 0; i < CHANGES; i++) {
		unsigned bit = (unsigned)i % MOS_EVENT_BITS;
		int active = mos_active_id(&s, 0, (uint32_t)i % FLOWS), err;

		ck_assert_int_eq(
			mos_socket_register(&s, 0, bit, MOS_HOOK_SND, i % 3 ? count_call : NULL),
			0);
		err = mos_socket_register(&s, active, bit, MOS_HOOK_SND, count_call);
		ck_assert(err == 0 || err == -EBADF);
	}
	return arg;
}

static void *opener(void *arg)
{
	for (int i = 0; i < CHANGES; i++) {
		int id = mos_socket_open(&s, i % 2 ? PASSIVE : RAW);

		if (id < 0) { /* those closed before wait for the stack thread's sweep */
			ck_assert_int_eq(id, -ENFILE);
			continue;
		}
		mos_socket_register(&s, id, PKT_IN_BIT, MOS_HOOK_SND, count_call);
		ck_assert_int_eq(mos_socket_close(&s, id), 0);
	}
	return arg;
}

START_TEST(threads_change_sockets_while_packets_flow)
{
	pthread_t stack, t[3];

	atomic_store(&done, false);
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), 0);
	mos_socket_register(&s, 0, PKT_IN_BIT, MOS_HOOK_SND, count_call);
	pthread_create(&stack, NULL, stack_thread, NULL);
	pthread_create(&t[0], NULL, registrar, NULL);
	pthread_create(&t[1], NULL, registrar, NULL);
	pthread_create(&t[2], NULL, opener, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	atomic_store(&done, true);
	pthread_join(stack, NULL);
	ck_assert_uint_gt(atomic_load(&calls), 0);
	mos_sockets_sweep(&s);
	ck_assert_uint_eq(path(), 1); /* all but socket 0 are closed */
	ck_assert_uint_eq(atomic_load(&s.raw_path[0]), 0);
}
END_TEST

static TCase *socket_case(void)
{
	TCase *tc = tcase_create("socket");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, ids_are_given_out_from_zero_and_again);
	tcase_add_test(tc, passive_sockets_are_limited_and_raw_ones_go_on);
	tcase_add_test(tc, socket_of_no_such_id_is_an_answer);
	tcase_add_test(tc, closing_twice_is_an_answer);
	tcase_add_test(tc, new_socket_knows_nothing_of_the_one_before);
	tcase_add_test(tc, flow_count_that_ids_cannot_name_is_refused);
	tcase_add_test(tc, path_is_the_order_of_creation);
	tcase_add_test(tc, path_agrees_with_a_plain_list);
	return tc;
}

static TCase *set_case(void)
{
	TCase *tc = tcase_create("sets");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, equal_sets_are_one_object);
	tcase_add_test(tc, last_registration_wins_and_null_takes_away);
	tcase_add_test(tc, flow_keeps_the_set_it_began_with);
	tcase_add_test(tc, change_on_a_flow_is_a_change_of_that_flow_alone);
	tcase_add_test(tc, the_same_change_on_many_flows_makes_one_set);
	tcase_add_test(tc, active_id_names_flow_and_passive_socket);
	tcase_add_test(tc, detached_flow_is_gone_and_the_next_one_starts_clean);
	tcase_add_test(tc, flows_of_a_closed_socket_name_nothing);
	tcase_add_test(tc, socket_opened_later_does_not_see_older_flows);
	tcase_add_test(tc, threads_change_sockets_while_packets_flow);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("socket");
	SRunner *sr = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, socket_case());
	suite_add_tcase(suite, set_case());
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
