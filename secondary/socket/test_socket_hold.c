/* Who holds sets and filters, and when they are let go; see socket_bench.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "secondary/socket/socket_bench.h"

#include "shared/flow_table/flow.h"

#define USUAL 8192u /* bytes for sides of which nobody says more */

/* ---- references: who holds a set, and when it is let go ---- */

START_TEST(each_holder_of_a_set_is_counted_once)
{
	int id = mos_socket_open(&socks, PASSIVE), active = mos_active_id(&socks, 0, 1);
	struct mos_cb_set *set, *other;

	ck_assert_uint_eq(refs_of(socks.sets.empty), 2); /* the table and the socket */
	mos_socket_register(&socks, id, PKT_IN, MOS_HOOK_SND, cb_a);
	set = set_of(id);
	ck_assert_uint_eq(refs_of(socks.sets.empty), 1);
	ck_assert_uint_eq(refs_of(set), 1);
	mos_sockets_attach_flow(&socks, 1, ALL);
	mos_sockets_attach_flow(&socks, 2, ALL);
	ck_assert_uint_eq(refs_of(set), 3);

	mos_socket_register(&socks, active, PKT_IN, MOS_HOOK_SND, cb_a); /* nothing changes */
	ck_assert_uint_eq(refs_of(set), 3);
	mos_socket_register(&socks, active, START, MOS_HOOK_SND, cb_b);
	other = socks.mon[id].flows[1].set;
	ck_assert_ptr_ne(other, set);
	ck_assert_uint_eq(refs_of(set), 2);
	ck_assert_uint_eq(refs_of(other), 1);

	mos_sockets_detach_flow(&socks, 1);
	mos_sockets_detach_flow(&socks, 1); /* again: nothing is there */
	ck_assert_uint_eq(refs_of(other), 0);
	mos_sockets_detach_flow(&socks, 2);
	ck_assert_uint_eq(refs_of(set), 1);
}
END_TEST

START_TEST(closed_socket_gives_its_sets_back_in_the_sweep)
{
	int a = mos_socket_open(&socks, PASSIVE), b = mos_socket_open(&socks, PASSIVE);
	struct mos_cb_set *set;

	mos_socket_register(&socks, a, PKT_IN, MOS_HOOK_SND, cb_a);
	mos_socket_register(&socks, b, PKT_IN, MOS_HOOK_SND, cb_a);
	set = set_of(a);
	for (uint32_t f = 0; f < FLOWS; f += 3)
		mos_sockets_attach_flow(&socks, f, ALL);
	ck_assert_uint_eq(refs_of(set), 2 + 2 * (FLOWS / 3 + 1));
	mos_socket_close(&socks, a);
	mos_sockets_detach_flow(&socks, 0); /* of b alone */
	mos_sockets_sweep(&socks);
	ck_assert_uint_eq(refs_of(set), 1 + FLOWS / 3);
	mos_socket_close(&socks, b);
	mos_sockets_sweep(&socks);
	ck_assert_uint_eq(refs_of(set), 0);
	ck_assert_uint_eq(refs_of(socks.sets.empty), 1);
}
END_TEST

/* More flows than one sweep looks at: the id stays taken until all are given back. */
START_TEST(large_socket_is_swept_in_parts)
{
	static struct mos_sockets large;
	const uint32_t flows = 100000;
	struct mos_cb_set *set;
	int id, sweeps = 0;

	ck_assert_int_eq(mos_sockets_init(&large, flows), 0);
	id = mos_socket_open(&large, PASSIVE);
	mos_socket_register(&large, id, PKT_IN, MOS_HOOK_SND, cb_a);
	set = atomic_load(&large.mon[id].set);
	for (uint32_t f = 0; f < flows; f++)
		ck_assert_uint_eq(mos_sockets_attach_flow(&large, f, ALL), 1);
	mos_socket_close(&large, id);
	while (atomic_load(&large.sweep)) {
		ck_assert_int_eq(atomic_load(&large.mon[id].state), MOS_SOCK_CLOSING);
		mos_sockets_sweep(&large);
		sweeps++;
	}
	ck_assert_int_gt(sweeps, 1);
	ck_assert_uint_eq(refs_of(set), 0);
	ck_assert_int_eq(mos_socket_open(&large, PASSIVE), id);
	mos_sockets_fini(&large);
}
END_TEST

/* Another set for each flow, again and again: what nobody holds any more must not pile up. */
START_TEST(sets_of_flows_that_are_gone_are_freed)
{
	static event_t events[512];
	unsigned most = 0;

	ck_assert_int_eq(mos_socket_open(&socks, PASSIVE), 0);
	for (unsigned i = 0; i < 512; i++)
		ck_assert_int_eq(mos_ude_alloc(PKT_IN, &events[i]), 0);
	for (unsigned round = 0; round < 30000; round++) {
		uint32_t f = round % FLOWS;
		int active = mos_active_id(&socks, 0, f);

		mos_sockets_detach_flow(&socks, f);
		mos_sockets_attach_flow(&socks, f, ALL);
		for (int i = 0; i < 3; i++)
			ck_assert_int_eq(mos_socket_register(&socks, active, events[random() % 512],
			                                     MOS_HOOK_SND, i ? cb_a : cb_b),
			                 0);
		mos_sockets_sweep(&socks);
		most = socks.sets.count > most ? socks.sets.count : most;
	}
	ck_assert_uint_lt(most, 20 * FLOWS);
}
END_TEST

/* ---- who accepts, who watches ---- */

START_TEST(flow_is_attached_to_those_that_accept_it)
{
	int a = mos_socket_open(&socks, PASSIVE), b = mos_socket_open(&socks, PASSIVE);
	int c = mos_socket_open(&socks, PASSIVE);

	ck_assert_uint_eq(mos_sockets_attach_flow(&socks, 1, 1u << a | 1u << c), 2);
	ck_assert_ptr_nonnull(socks.mon[a].flows[1].set);
	ck_assert_ptr_null(socks.mon[b].flows[1].set);
	ck_assert_ptr_nonnull(socks.mon[c].flows[1].set);
	ck_assert_uint_eq(mos_sockets_attach_flow(&socks, 2, 0), 0);
	mos_socket_close(&socks, a);
	ck_assert_uint_eq(mos_sockets_attach_flow(&socks, 3, 1u << a | 1u << b), 1);
}
END_TEST

START_TEST(flow_is_watched_until_all_have_stopped_both_sides)
{
	int a = mos_socket_open(&socks, PASSIVE), b = mos_socket_open(&socks, PASSIVE);

	ck_assert(mos_sockets_unwatched(&socks, 1));
	mos_sockets_attach_flow(&socks, 1, ALL);
	ck_assert(!mos_sockets_unwatched(&socks, 1));
	mos_flow_sock_stop(&socks.mon[a].flows[1], MOS_BOTH_SIDES);
	ck_assert(!mos_sockets_unwatched(&socks, 1));
	mos_flow_sock_stop(&socks.mon[b].flows[1], 1 << MOS_SIDE_SVR);
	ck_assert(!mos_sockets_unwatched(&socks, 1));
	mos_socket_close(&socks, b);
	ck_assert(mos_sockets_unwatched(&socks, 1));
	mos_sockets_detach_flow(&socks, 1);
	mos_sockets_attach_flow(&socks, 1, ALL); /* another flow */
	ck_assert(!mos_sockets_unwatched(&socks, 1));
}
END_TEST

START_TEST(side_is_kept_as_long_as_one_socket_wants_it)
{
	int a = mos_socket_open(&socks, PASSIVE), b = mos_socket_open(&socks, PASSIVE);

	mos_sockets_attach_flow(&socks, 1, ALL);
	mos_sockets_attach_flow(&socks, 2, 1u << a);
	ck_assert_uint_eq(mos_sockets_wish(&socks, 1, MOS_CLI, USUAL).limit, USUAL);
	mos_socket_set_buffer(&socks.mon[a], MOS_CLI, 0);
	mos_socket_set_buffer(&socks.mon[a], MOS_SVR, 0);
	mos_socket_set_buffer(&socks.mon[b], MOS_SVR, 0);
	ck_assert_uint_eq(mos_sockets_wish(&socks, 1, MOS_CLI, USUAL).limit, USUAL);
	ck_assert_uint_eq(mos_sockets_wish(&socks, 1, MOS_SVR, USUAL).limit, 0);
	ck_assert_uint_eq(mos_sockets_wish(&socks, 2, MOS_CLI, USUAL).limit, 0);
	mos_socket_close(&socks, a);
	mos_sockets_sweep(&socks);
	ck_assert_int_eq(mos_socket_open(&socks, PASSIVE), a);
	mos_sockets_attach_flow(&socks, 3, 1u << a); /* it knows nothing of the one before */
	ck_assert_uint_eq(mos_sockets_wish(&socks, 3, MOS_CLI, USUAL).limit, USUAL);
}
END_TEST

START_TEST(largest_buffer_counts_and_any_policy)
{
	int a = mos_socket_open(&socks, PASSIVE), b = mos_socket_open(&socks, PASSIVE);
	struct mos_stream_wish w;

	mos_sockets_attach_flow(&socks, 1, ALL);
	mos_socket_set_buffer(&socks.mon[a], MOS_SVR, USUAL - 1);
	mos_socket_set_buffer(&socks.mon[b], MOS_SVR, USUAL + 1);
	mos_socket_set_stream_flag(&socks.mon[b], MOS_CLI, MOS_STREAM_LAST, true);
	w = mos_sockets_wish(&socks, 1, MOS_SVR, USUAL);
	ck_assert_uint_eq(w.limit, USUAL + 1);
	ck_assert_uint_eq(w.flags, 0);
	ck_assert_uint_eq(w.readers, 3);
	ck_assert_uint_eq(w.attached, 3);
	ck_assert_uint_eq(mos_sockets_wish(&socks, 1, MOS_CLI, USUAL).flags, MOS_STREAM_LAST);
	mos_socket_set_stream_flag(&socks.mon[b], MOS_CLI, MOS_STREAM_LAST, false);
	ck_assert_uint_eq(mos_sockets_wish(&socks, 1, MOS_CLI, USUAL).flags, 0);
}
END_TEST

START_TEST(socket_reads_that_awaits_data_or_has_read_before)
{
	int a = mos_socket_open(&socks, PASSIVE), b = mos_socket_open(&socks, PASSIVE);

	ck_assert_int_eq(mos_socket_register(&socks, b, MOS_ON_CONN_NEW_DATA, MOS_HOOK_NULL, cb_a),
	                 0);
	mos_sockets_attach_flow(&socks, 1, ALL);
	ck_assert_uint_eq(mos_sockets_wish(&socks, 1, MOS_SVR, USUAL).readers, 1 << 1);
	ck_assert_uint_eq(mos_sockets_await_data(&socks, 1, MOS_SVR), 1 << 1);
	mos_sockets_note_read(&socks, 0, MOS_SVR);
	ck_assert_uint_eq(mos_sockets_wish(&socks, 1, MOS_SVR, USUAL).readers, 3);
	ck_assert_uint_eq(mos_sockets_wish(&socks, 1, MOS_CLI, USUAL).readers, 1 << 1);
	ck_assert_uint_eq(mos_sockets_await_data(&socks, 1, MOS_SVR), 1 << 1);
	mos_flow_sock_stop(&socks.mon[a].flows[1], 1 << MOS_SIDE_SVR);
	mos_flow_sock_stop(&socks.mon[b].flows[1], 1 << MOS_SIDE_SVR);
	ck_assert_uint_eq(mos_sockets_wish(&socks, 1, MOS_SVR, USUAL).readers, 0);
	ck_assert_uint_eq(mos_sockets_await_data(&socks, 1, MOS_SVR), 0);
}
END_TEST

/* ---- filters ---- */

static int filter_number(int id, int use)
{
	const struct mos_filter *f = socks.mon[id].filter[use];

	return f != NULL ? f->number : 0;
}

START_TEST(filter_stays_until_it_is_replaced)
{
	int id = mos_socket_open(&socks, PASSIVE);

	ck_assert_int_eq(bind_filters(id, new_filter(1), NULL), 0);
	ck_assert_int_eq(bind_filters(id, NULL, new_filter(2)), 0);
	ck_assert_int_eq(filter_number(id, MOS_FILTER_SYN), 1);
	ck_assert_int_eq(filter_number(id, MOS_FILTER_ORPHAN), 2);
	ck_assert_int_eq(bind_filters(id, NULL, NULL), 0);
	ck_assert_int_eq(bind_filters(id, new_filter(3), NULL), 0);
	ck_assert_int_eq(filter_number(id, MOS_FILTER_SYN), 3);
	ck_assert_int_eq(atomic_load(&filters), 3);
	mos_sockets_sweep(&socks);
	ck_assert_int_eq(atomic_load(&filters), 2);
	ck_assert_int_eq(filter_number(id, MOS_FILTER_ORPHAN), 2);
}
END_TEST

/* Between two rounds of the stack thread: the packet in its hands may be matched to any of them. */
START_TEST(replaced_filters_wait_for_the_sweep)
{
	int id = mos_socket_open(&socks, RAW);

	for (int i = 1; i <= 100; i++)
		ck_assert_int_eq(bind_filters(id, new_filter(i), NULL), 0);
	ck_assert_int_eq(atomic_load(&filters), 100);
	mos_sockets_sweep(&socks);
	ck_assert_int_eq(atomic_load(&filters), 1);
	ck_assert_int_eq(filter_number(id, MOS_FILTER_RAW), 100);
}
END_TEST

static pthread_barrier_t taken, found_taken;

static void *hold_lock(void *unused)
{
	const struct timespec nap = {.tv_nsec = 50000000};

	pthread_mutex_lock(&socks.lock);
	pthread_barrier_wait(&taken);
	pthread_barrier_wait(&found_taken);
	nanosleep(&nap, NULL);
	pthread_mutex_unlock(&socks.lock);
	return NULL;
}

START_TEST(sweep_waits_for_the_lock_when_it_found_it_taken_many_times)
{
	int id = mos_socket_open(&socks, RAW), sweeps = 1;
	pthread_t t;

	bind_filters(id, new_filter(1), NULL);
	bind_filters(id, new_filter(2), NULL);
	pthread_barrier_init(&taken, NULL, 2);
	pthread_barrier_init(&found_taken, NULL, 2);
	ck_assert_int_eq(pthread_create(&t, NULL, hold_lock, NULL), 0);
	pthread_barrier_wait(&taken);
	mos_sockets_sweep(&socks);
	ck_assert_int_eq(atomic_load(&filters), 2);
	pthread_barrier_wait(&found_taken);
	for (; atomic_load(&filters) == 2; sweeps++)
		mos_sockets_sweep(&socks);
	ck_assert_int_lt(sweeps, 100);
	pthread_join(t, NULL);
	pthread_barrier_destroy(&taken);
	pthread_barrier_destroy(&found_taken);
}
END_TEST

START_TEST(filters_of_a_closed_socket_are_freed)
{
	int id = mos_socket_open(&socks, PASSIVE);

	bind_filters(id, new_filter(1), new_filter(2));
	mos_socket_close(&socks, id);
	ck_assert_int_eq(atomic_load(&filters), 2);
	mos_sockets_sweep(&socks);
	ck_assert_int_eq(atomic_load(&filters), 0);
	ck_assert_int_eq(mos_socket_open(&socks, RAW), id);
	ck_assert_ptr_null(socks.mon[id].filter[MOS_FILTER_RAW]);
}
END_TEST

START_TEST(filter_for_no_socket_is_freed)
{
	int id = mos_socket_open(&socks, PASSIVE);

	mos_socket_close(&socks, id);
	ck_assert_int_eq(bind_filters(id, new_filter(1), new_filter(2)), -EBADF);
	ck_assert_int_eq(bind_filters(-1, NULL, new_filter(2)), -EBADF);
	ck_assert_int_eq(atomic_load(&filters), 0);
}
END_TEST

TCase *hold_case(void)
{
	TCase *tc = tcase_create("holding");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, each_holder_of_a_set_is_counted_once);
	tcase_add_test(tc, closed_socket_gives_its_sets_back_in_the_sweep);
	tcase_add_test(tc, large_socket_is_swept_in_parts);
	tcase_add_test(tc, sets_of_flows_that_are_gone_are_freed);
	tcase_add_test(tc, flow_is_attached_to_those_that_accept_it);
	tcase_add_test(tc, flow_is_watched_until_all_have_stopped_both_sides);
	tcase_add_test(tc, side_is_kept_as_long_as_one_socket_wants_it);
	tcase_add_test(tc, largest_buffer_counts_and_any_policy);
	tcase_add_test(tc, socket_reads_that_awaits_data_or_has_read_before);
	tcase_add_test(tc, filter_stays_until_it_is_replaced);
	tcase_add_test(tc, replaced_filters_wait_for_the_sweep);
	tcase_add_test(tc, sweep_waits_for_the_lock_when_it_found_it_taken_many_times);
	tcase_add_test(tc, filters_of_a_closed_socket_are_freed);
	tcase_add_test(tc, filter_for_no_socket_is_freed);
	return tc;
}
