/* Opening, closing, paths, callback sets and active sockets; see socket_bench.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/socket/socket_bench.h"

/* ---- opening and closing ---- */

START_TEST(ids_are_given_out_from_zero_and_again)
{
	ck_assert_int_eq(mos_socket_open(&socks, PASSIVE), 0);
	ck_assert_int_eq(mos_socket_open(&socks, RAW), 1);
	ck_assert_int_eq(mos_socket_open(&socks, PASSIVE), 2);
	ck_assert_int_eq(mos_socket_close(&socks, 1), 0);
	ck_assert_int_eq(mos_socket_open(&socks, RAW), 3); /* 1 is still closing */
	mos_sockets_sweep(&socks);
	ck_assert_int_eq(mos_socket_open(&socks, RAW), 1);
}
END_TEST

START_TEST(passive_sockets_are_limited_and_raw_ones_go_on)
{
	for (int i = 0; i < MOS_PASSIVE_MAX; i++)
		ck_assert_int_eq(mos_socket_open(&socks, PASSIVE), i);
	ck_assert_int_eq(mos_socket_open(&socks, PASSIVE), -ENFILE);
	for (int i = MOS_PASSIVE_MAX; i < MOS_MON_ID_MAX; i++)
		ck_assert_int_eq(mos_socket_open(&socks, RAW), i);
	ck_assert_int_eq(mos_socket_open(&socks, RAW), -ENFILE);
	ck_assert_uint_eq(atomic_load(&socks.raw_path), UINT64_MAX << MOS_PASSIVE_MAX);

	ck_assert_int_eq(mos_socket_close(&socks, 3), 0);
	mos_sockets_sweep(&socks);
	ck_assert_int_eq(mos_socket_open(&socks, PASSIVE), 3);
	ck_assert_int_eq(socks.mon[3].passive, 3); /* its number is used again too */
}
END_TEST

START_TEST(socket_of_no_such_id_is_an_answer)
{
	static const int ids[] = {
		-1, INT32_MIN, 0, 63, 64, 65, 64 + FLOWS * 8 - 1, 64 + FLOWS * 8, INT32_MAX};

	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		ck_assert_ptr_null(mos_socket_mon(&socks, ids[i]));
		ck_assert_ptr_null(mos_socket_active(&socks, ids[i], NULL));
		ck_assert_int_eq(mos_socket_type(&socks, ids[i]), MOS_SOCK_UNUSED);
		ck_assert_int_eq(mos_socket_close(&socks, ids[i]), -EBADF);
		ck_assert_int_eq(mos_socket_register(&socks, ids[i], PKT_IN, MOS_HOOK_SND, cb_a),
		                 -EBADF);
	}
}
END_TEST

START_TEST(closing_twice_is_an_answer)
{
	int id = mos_socket_open(&socks, PASSIVE);

	ck_assert_int_eq(mos_socket_close(&socks, id), 0);
	ck_assert_int_eq(mos_socket_close(&socks, id), -EBADF);
	mos_sockets_sweep(&socks);
	ck_assert_int_eq(mos_socket_close(&socks, id), -EBADF);
}
END_TEST

START_TEST(new_socket_knows_nothing_of_the_one_before)
{
	int id = mos_socket_open(&socks, PASSIVE);

	mos_socket_register(&socks, id, PKT_IN, MOS_HOOK_SND, cb_a);
	mos_socket_mon(&socks, id)->uctx = &socks;
	mos_sockets_attach_flow(&socks, 7, ALL);
	mos_socket_close(&socks, id);
	mos_sockets_sweep(&socks);
	ck_assert_int_eq(mos_socket_open(&socks, PASSIVE), id);
	ck_assert_ptr_null(mos_socket_mon(&socks, id)->uctx);
	ck_assert_ptr_eq(set_of(id), socks.sets.empty);
	ck_assert_ptr_null(socks.mon[id].flows[7].set);
	ck_assert_int_eq(mos_socket_close(&socks, id), 0);
	mos_sockets_sweep(&socks);
	ck_assert_int_eq(mos_socket_open(&socks, RAW), id);
	ck_assert_int_eq(mos_socket_type(&socks, id), RAW);
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
	int a = mos_socket_open(&socks, PASSIVE), raw = mos_socket_open(&socks, RAW);
	int b = mos_socket_open(&socks, PASSIVE), c = mos_socket_open(&socks, PASSIVE);

	ck_assert_uint_eq(path(),
	                  (uint64_t)(a + 1) | (uint64_t)(b + 1) << 8 | (uint64_t)(c + 1) << 16);
	ck_assert_uint_eq(atomic_load(&socks.raw_path), 1u << raw);
	mos_socket_close(&socks, b);
	ck_assert_uint_eq(path(), (uint64_t)(a + 1) | (uint64_t)(c + 1) << 8);
	mos_sockets_sweep(&socks);
	ck_assert_int_eq(mos_socket_open(&socks, PASSIVE),
	                 b); /* the same id, but the last to come */
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
			list[n] = mos_socket_open(&socks, PASSIVE);
			ck_assert_int_ge(list[n++], 0);
		} else if (n > 0) {
			int k = (int)(random() % n);

			ck_assert_int_eq(mos_socket_close(&socks, list[k]), 0);
			memmove(&list[k], &list[k + 1], (size_t)(--n - k) * sizeof(list[0]));
			mos_sockets_sweep(&socks);
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
	int a = mos_socket_open(&socks, PASSIVE), b = mos_socket_open(&socks, PASSIVE);

	mos_socket_register(&socks, a, PKT_IN, MOS_HOOK_SND, cb_a);
	mos_socket_register(&socks, a, START, MOS_HOOK_RCV, cb_b);
	ck_assert_ptr_ne(set_of(a), set_of(b));
	mos_socket_register(&socks, b, START, MOS_HOOK_RCV, cb_b); /* in the other order */
	mos_socket_register(&socks, b, PKT_IN, MOS_HOOK_SND, cb_a);
	ck_assert_ptr_eq(set_of(a), set_of(b));
	mos_socket_register(&socks, b, PKT_IN, MOS_HOOK_SND, cb_a); /* again: nothing changes */
	ck_assert_ptr_eq(set_of(a), set_of(b));
}
END_TEST

START_TEST(last_registration_wins_and_null_takes_away)
{
	int id = mos_socket_open(&socks, PASSIVE);

	mos_socket_register(&socks, id, PKT_IN, MOS_HOOK_SND, cb_a);
	mos_socket_register(&socks, id, PKT_IN, MOS_HOOK_SND, cb_b);
	mos_sockets_attach_flow(&socks, 1, ALL);
	ck_assert_ptr_eq(flow_cb(id, 1, PKT_IN_BIT, MOS_HOOK_SND), cb_b);
	ck_assert_ptr_null(flow_cb(id, 1, PKT_IN_BIT, MOS_HOOK_RCV));
	mos_socket_register(&socks, id, PKT_IN, MOS_HOOK_SND, NULL);
	ck_assert_ptr_eq(set_of(id), socks.sets.empty);
	mos_socket_register(&socks, id, PKT_IN, MOS_HOOK_SND, NULL); /* never there: fine */
	ck_assert_ptr_eq(set_of(id), socks.sets.empty);
}
END_TEST

START_TEST(flow_keeps_the_set_it_began_with)
{
	int id = mos_socket_open(&socks, PASSIVE);

	mos_socket_register(&socks, id, PKT_IN, MOS_HOOK_SND, cb_a);
	mos_sockets_attach_flow(&socks, 1, ALL);
	mos_socket_register(&socks, id, PKT_IN, MOS_HOOK_SND, cb_b);
	mos_sockets_attach_flow(&socks, 2, ALL);
	ck_assert_ptr_eq(flow_cb(id, 1, PKT_IN_BIT, MOS_HOOK_SND), cb_a);
	ck_assert_ptr_eq(flow_cb(id, 2, PKT_IN_BIT, MOS_HOOK_SND), cb_b);
}
END_TEST

START_TEST(change_on_a_flow_is_a_change_of_that_flow_alone)
{
	int id = mos_socket_open(&socks, PASSIVE);

	mos_socket_register(&socks, id, PKT_IN, MOS_HOOK_SND, cb_a);
	mos_sockets_attach_flow(&socks, 1, ALL);
	mos_sockets_attach_flow(&socks, 2, ALL);
	ck_assert_int_eq(mos_socket_register(&socks, mos_active_id(&socks, 0, 1), PKT_IN,
	                                     MOS_HOOK_SND, cb_b),
	                 0);
	ck_assert_ptr_eq(flow_cb(id, 1, PKT_IN_BIT, MOS_HOOK_SND), cb_b);
	ck_assert_ptr_eq(flow_cb(id, 2, PKT_IN_BIT, MOS_HOOK_SND), cb_a);
	mos_sockets_attach_flow(&socks, 3, ALL);
	ck_assert_ptr_eq(flow_cb(id, 3, PKT_IN_BIT, MOS_HOOK_SND), cb_a);
}
END_TEST

START_TEST(the_same_change_on_many_flows_makes_one_set)
{
	int id = mos_socket_open(&socks, PASSIVE);
	unsigned before;

	mos_socket_register(&socks, id, PKT_IN, MOS_HOOK_SND, cb_a);
	for (uint32_t f = 0; f < FLOWS; f++)
		mos_sockets_attach_flow(&socks, f, ALL);
	before = socks.sets.count;
	for (uint32_t f = 0; f < FLOWS; f++)
		mos_socket_register(&socks, mos_active_id(&socks, 0, f), START, MOS_HOOK_SND, cb_b);
	ck_assert_uint_eq(socks.sets.count, before + 1);
}
END_TEST

/* ---- active sockets ---- */

START_TEST(active_id_names_flow_and_passive_socket)
{
	mos_socket_open(&socks, RAW);
	for (int k = 0; k < MOS_PASSIVE_MAX; k++)
		ck_assert_int_ge(mos_socket_open(&socks, PASSIVE), 0);
	for (uint32_t f = 0; f < FLOWS; f += FLOWS - 1) {
		mos_sockets_attach_flow(&socks, f, ALL);
		for (int k = 0; k < MOS_PASSIVE_MAX; k++) {
			int id = mos_active_id(&socks, k, f);
			uint32_t flow = UINT32_MAX;

			ck_assert_int_ge(id, MOS_MON_ID_MAX);
			ck_assert_ptr_eq(mos_socket_active(&socks, id, &flow),
			                 &socks.mon[k + 1].flows[f]);
			ck_assert_uint_eq(flow, f);
			ck_assert_int_eq(mos_socket_type(&socks, id),
			                 MOS_SOCK_MONITOR_STREAM_ACTIVE);
		}
	}
	ck_assert_ptr_null(mos_socket_active(&socks, mos_active_id(&socks, 0, 1), NULL));
	ck_assert_ptr_null(
		mos_socket_active(&socks, mos_active_id(&socks, MOS_PASSIVE_MAX, 0), NULL));
}
END_TEST

START_TEST(detached_flow_is_gone_and_the_next_one_starts_clean)
{
	int id = mos_socket_open(&socks, PASSIVE), active = mos_active_id(&socks, 0, 5);

	mos_sockets_attach_flow(&socks, 5, ALL);
	mos_socket_active(&socks, active, NULL)->uctx = &socks;
	mos_sockets_detach_flow(&socks, 5);
	ck_assert_ptr_null(mos_socket_active(&socks, active, NULL));
	ck_assert_int_eq(mos_socket_register(&socks, active, PKT_IN, MOS_HOOK_SND, cb_a), -EBADF);
	mos_sockets_attach_flow(&socks, 5, ALL);
	ck_assert_ptr_null(socks.mon[id].flows[5].uctx);
}
END_TEST

START_TEST(flows_of_a_closed_socket_name_nothing)
{
	int a = mos_socket_open(&socks, PASSIVE), b = mos_socket_open(&socks, PASSIVE);

	mos_sockets_attach_flow(&socks, 5, ALL);
	mos_socket_close(&socks, a);
	ck_assert_ptr_null(mos_socket_active(&socks, mos_active_id(&socks, 0, 5), NULL));
	ck_assert_ptr_nonnull(mos_socket_active(&socks, mos_active_id(&socks, 1, 5), NULL));
	ck_assert(mos_sockets_have_passive(&socks));
	mos_sockets_sweep(&socks);
	mos_sockets_detach_flow(&socks, 5);
	mos_socket_close(&socks, b);
	ck_assert(!mos_sockets_have_passive(&socks));
	mos_sockets_attach_flow(&socks, 6, ALL); /* with nobody there */
	mos_sockets_detach_flow(&socks, 6);
}
END_TEST

START_TEST(socket_opened_later_does_not_see_older_flows)
{
	int late;

	mos_socket_open(&socks, PASSIVE);
	mos_sockets_attach_flow(&socks, 5, ALL);
	late = mos_socket_open(&socks, PASSIVE);
	ck_assert_ptr_null(socks.mon[late].flows[5].set);
	ck_assert_ptr_null(mos_socket_active(&socks, mos_active_id(&socks, 1, 5), NULL));
	mos_sockets_detach_flow(&socks, 5);
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
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("socket");
	SRunner *sr = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, socket_case());
	suite_add_tcase(suite, set_case());
	suite_add_tcase(suite, hold_case());
	suite_add_tcase(suite, thread_case());
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
