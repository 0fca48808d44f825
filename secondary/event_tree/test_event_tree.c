/*
 * User-defined events on the bench. Each test starts with none defined.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mos_ext.h"
#include "secondary/event_tree/event_tree.h"

static bool filter_a(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	return true;
}

static bool filter_b(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	return event == 0; /* another body: linkers may fold equal functions into one */
}

static event_t define(event_t base, filter_t filter, const void *bytes, size_t len)
{
	char *copy = len > 0 ? malloc(len) : NULL;
	struct filter_arg arg = {.arg = copy, .len = len};
	event_t id = 0;

	if (len > 0)
		memcpy(copy, bytes, len);
	ck_assert_int_eq(mos_ude_define(base, filter, &arg, &id), 0);
	free(copy);
	return id;
}

static event_t alloc_below(event_t parent)
{
	event_t id = 0;

	ck_assert_int_eq(mos_ude_alloc(parent, &id), 0);
	return id;
}

static void teardown(void)
{
	mos_ude_forget_all();
}

/* ---- defining ---- */

START_TEST(ids_count_up_from_65536_in_order_of_definition)
{
	ck_assert_uint_eq(define(MOS_ON_PKT_IN, filter_a, NULL, 0), 65536);
	ck_assert_uint_eq(alloc_below(65536), 65537);
	ck_assert_uint_eq(define(65537, filter_a, NULL, 0), 65538);
	ck_assert_uint_eq(define(MOS_ON_ERROR, filter_b, NULL, 0), 65539);
}
END_TEST

START_TEST(an_event_knows_its_parent_and_its_root)
{
	const struct mos_ude *top, *mid, *leaf;

	define(MOS_ON_REXMIT, filter_a, NULL, 0);
	define(65536, filter_b, NULL, 0);
	alloc_below(65537);
	top = mos_ude_lookup(65536);
	mid = mos_ude_lookup(65537);
	leaf = mos_ude_lookup(65538);
	ck_assert_ptr_null(top->parent);
	ck_assert_ptr_eq(mid->parent, top);
	ck_assert_ptr_eq(leaf->parent, mid);
	ck_assert_uint_eq(leaf->id, 65538);
	ck_assert(top->filter == filter_a && mid->filter == filter_b && leaf->filter == NULL);
	for (event_t id = 65536; id < 65539; id++)
		ck_assert_uint_eq(mos_ude_lookup(id)->root_bit, 9);
}
END_TEST

START_TEST(the_same_base_filter_and_bytes_give_the_same_event)
{
	event_t id = define(MOS_ON_PKT_IN, filter_a, "bytes", 5);

	ck_assert_uint_eq(define(MOS_ON_PKT_IN, filter_a, "bytes", 5), id);
	ck_assert_uint_ne(define(MOS_ON_PKT_IN, filter_a, "bytes", 4), id);
	ck_assert_uint_ne(define(MOS_ON_PKT_IN, filter_a, "bytez", 5), id);
	ck_assert_uint_ne(define(MOS_ON_PKT_IN, filter_a, NULL, 0), id);
	ck_assert_uint_ne(define(MOS_ON_PKT_IN, filter_b, "bytes", 5), id);
	ck_assert_uint_ne(define(MOS_ON_CONN_END, filter_a, "bytes", 5), id);
	ck_assert_uint_ne(define(id, filter_a, "bytes", 5), id);
	ck_assert_uint_eq(define(MOS_ON_PKT_IN, filter_a, "bytes", 5), id);
}
END_TEST

START_TEST(no_argument_is_the_same_as_no_bytes)
{
	struct filter_arg none = {.arg = &none, .len = 0};
	event_t a, b;

	ck_assert_int_eq(mos_ude_define(MOS_ON_PKT_IN, filter_a, NULL, &a), 0);
	ck_assert_int_eq(mos_ude_define(MOS_ON_PKT_IN, filter_a, &none, &b), 0);
	ck_assert_uint_eq(a, b);
	ck_assert_ptr_null(mos_ude_lookup(a)->arg.arg);
	ck_assert_uint_eq(mos_ude_lookup(a)->arg.len, 0);
}
END_TEST

START_TEST(bytes_are_copied_at_definition)
{
	char bytes[] = "first";
	const struct mos_ude *ude = mos_ude_lookup(define(MOS_ON_PKT_IN, filter_a, bytes, 6));

	bytes[0] = 'X';
	ck_assert_uint_eq(ude->arg.len, 6);
	ck_assert_str_eq(ude->arg.arg, "first");
	ck_assert_uint_eq((uintptr_t)ude->arg.arg % _Alignof(max_align_t), 0);
}
END_TEST

START_TEST(what_a_callback_does_to_its_argument_harms_no_one)
{
	event_t id = define(MOS_ON_PKT_IN, filter_a, "bytes", 5), again;
	filter_arg_t *arg = (filter_arg_t *)(uintptr_t)&mos_ude_lookup(id)->arg;

	arg->arg = (void *)(uintptr_t)1;
	arg->len = SIZE_MAX;
	again = define(MOS_ON_PKT_IN, filter_a, "bytes", 5);
	ck_assert_uint_eq(again, id);
}
END_TEST

START_TEST(each_allocation_is_a_new_event)
{
	event_t base = define(MOS_ON_PKT_IN, filter_a, NULL, 0);

	ck_assert_uint_ne(alloc_below(base), alloc_below(base));
	ck_assert_uint_ne(alloc_below(MOS_ON_PKT_IN), alloc_below(MOS_ON_PKT_IN));
}
END_TEST

START_TEST(a_definition_that_makes_no_sense_is_refused)
{
	struct filter_arg missing = {.arg = NULL, .len = 1};
	static const event_t bases[] = {
		0,
		MOS_ON_PKT_OUT,
		MOS_ON_CONN_SETUP,
		MOS_ON_TIMEOUT,
		MOS_ON_DEBUG_MESSAGE,
		MOS_ON_PKT_IN | MOS_ON_CONN_START,
		65535,
		8192,
		65536,
		MOS_UDE_FIRST + MOS_UDE_MAX,
		(event_t)1 << 32,
		UINT64_MAX,
	};
	event_t id = 7;

	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		ck_assert_int_eq(mos_ude_define(bases[i], filter_a, NULL, &id), -EINVAL);
		ck_assert_int_eq(mos_ude_alloc(bases[i], &id), -EINVAL);
	}
	ck_assert_int_eq(mos_ude_define(MOS_ON_PKT_IN, NULL, NULL, &id), -EINVAL);
	ck_assert_int_eq(mos_ude_define(MOS_ON_PKT_IN, filter_a, &missing, &id), -EINVAL);
	ck_assert_uint_eq(id, 7);
	ck_assert_uint_eq(define(MOS_ON_PKT_IN, filter_a, NULL, 0), 65536);
}
END_TEST

START_TEST(more_bytes_than_there_can_be_are_no_memory)
{
	char one = 0;
	struct filter_arg huge = {.arg = &one, .len = SIZE_MAX};
	event_t id;

	ck_assert_int_eq(mos_ude_define(MOS_ON_PKT_IN, filter_a, &huge, &id), -ENOMEM);
}
END_TEST

START_TEST(a_full_table_is_an_answer_and_known_events_stay)
{
	event_t id = 0;

	define(MOS_ON_PKT_IN, filter_a, NULL, 0);
	for (unsigned i = 1; i < MOS_UDE_MAX; i++)
		alloc_below(MOS_UDE_FIRST + i - 1); /* also a chain as deep as can be */
	ck_assert_int_eq(mos_ude_alloc(65536, &id), -ENOMEM);
	ck_assert_int_eq(mos_ude_define(MOS_ON_PKT_IN, filter_b, NULL, &id), -ENOMEM);
	ck_assert_uint_eq(id, 0);
	ck_assert_uint_eq(define(MOS_ON_PKT_IN, filter_a, NULL, 0), 65536);
	ck_assert_ptr_nonnull(mos_ude_lookup(MOS_UDE_FIRST + MOS_UDE_MAX - 1));
}
END_TEST

START_TEST(what_was_not_defined_is_not_found)
{
	define(MOS_ON_PKT_IN, filter_a, NULL, 0);
	ck_assert_ptr_null(mos_ude_lookup(0));
	ck_assert_ptr_null(mos_ude_lookup(MOS_ON_PKT_IN));
	ck_assert_ptr_null(mos_ude_lookup(4095));
	ck_assert_ptr_null(mos_ude_lookup(65537));
	ck_assert_ptr_null(mos_ude_lookup(MOS_UDE_FIRST + MOS_UDE_MAX));
	ck_assert_ptr_null(mos_ude_lookup(UINT64_MAX));
}
END_TEST

/* ---- hooks ---- */

/* Row: event, and at which hooks it can be registered. */
static const struct {
	event_t event;
	bool at[MOS_HOOK_COUNT]; /* NULL, SND, RCV */
} rules[] = {
	{MOS_ON_PKT_IN, {true, true, true}},
	{MOS_ON_PKT_OUT, {false, false, false}},
	{MOS_ON_CONN_START, {false, true, true}},
	{MOS_ON_CONN_SETUP, {false, false, false}},
	{MOS_ON_CONN_NEW_DATA, {true, false, false}},
	{MOS_ON_ERROR, {true, false, false}},
	{MOS_ON_TIMEOUT, {false, false, false}},
	{MOS_ON_TCP_STATE_CHANGE, {false, true, true}},
	{MOS_ON_ORPHAN, {true, false, false}},
	{MOS_ON_REXMIT, {false, true, true}},
	{MOS_ON_CONN_RESTORE, {true, false, false}},
	{MOS_ON_CONN_END, {false, true, true}},
	{MOS_ON_DEBUG_MESSAGE, {false, false, false}},
};

START_TEST(built_in_events_are_registered_where_they_occur)
{
	event_t event = rules[_i].event;

	for (enum mos_hook hook = 0; hook < MOS_HOOK_COUNT; hook++) {
		unsigned bit = 99;

		ck_assert_int_eq(mos_event_check(event, hook, &bit),
		                 rules[_i].at[hook] ? 0 : -EINVAL);
		ck_assert_uint_eq(bit, rules[_i].at[hook] ? (unsigned)__builtin_ctzll(event) : 99);
	}
}
END_TEST

START_TEST(user_defined_events_are_registered_where_their_root_is)
{
	event_t id;

	if (mos_ude_define(rules[_i].event, filter_a, NULL, &id) != 0)
		return; /* never occurs */
	for (int depth = 0; depth < 4; depth++) {
		for (enum mos_hook hook = 0; hook < MOS_HOOK_COUNT; hook++) {
			unsigned bit = 99;

			ck_assert_int_eq(mos_event_check(id, hook, &bit),
			                 rules[_i].at[hook] ? 0 : -EINVAL);
			if (rules[_i].at[hook])
				ck_assert_uint_eq(bit, (unsigned)__builtin_ctzll(rules[_i].event));
		}
		id = depth % 2 != 0 ? alloc_below(id) : define(id, filter_b, NULL, 0);
	}
}
END_TEST

START_TEST(what_is_no_event_is_registered_nowhere)
{
	static const event_t none[] = {0,         3, 65535, 8192, 65536, 65537, (event_t)1 << 40,
	                               UINT64_MAX};
	unsigned bit;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		for (enum mos_hook hook = 0; hook < MOS_HOOK_COUNT; hook++)
			ck_assert_int_eq(mos_event_check(none[i], hook, &bit), -EINVAL);
}
END_TEST

START_TEST(hook_points_are_the_three)
{
	static const int other[] = {0, 1, -1, MOS_HK_SND | MOS_HK_RCV, MOS_NULL + 1, 1 << 28};
	enum mos_hook hook;

	ck_assert_int_eq(mos_hook_from(MOS_NULL, &hook), 0);
	ck_assert_int_eq(hook, MOS_HOOK_NULL);
	ck_assert_int_eq(mos_hook_from(MOS_HK_SND, &hook), 0);
	ck_assert_int_eq(hook, MOS_HOOK_SND);
	ck_assert_int_eq(mos_hook_from(MOS_HK_RCV, &hook), 0);
	ck_assert_int_eq(hook, MOS_HOOK_RCV);
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		ck_assert_int_eq(mos_hook_from(other[i], &hook), -EINVAL);
}
END_TEST

/* ---- threads ---- */

enum { EACH = 5000 };

/* Define EACH events, each below the one before, with the number as bytes. */
static void *define_chain(void *first)
{
	event_t base = MOS_ON_PKT_IN;

	for (int i = 0; i < EACH; i++)
		base = define(base, filter_a, &i, sizeof(i));
	*(event_t *)first = base;
	return NULL;
}

/* Whoever finds an event finds it whole, with all it is below. */
static void *read_all(void *unused)
{
	event_t id = MOS_UDE_FIRST;

	while (id < MOS_UDE_FIRST + EACH) {
		const struct mos_ude *ude = mos_ude_lookup(id);
		int n = -1;

		if (ude == NULL)
			continue;
		memcpy(&n, ude->arg.arg, sizeof(n));
		ck_assert_int_eq(n, (int)(id - MOS_UDE_FIRST));
		ck_assert_uint_eq(ude->id, id);
		ck_assert(ude->parent == NULL || mos_ude_lookup(ude->parent->id) == ude->parent);
		id++;
	}
	return NULL;
}

START_TEST(threads_define_and_look_up_at_once)
{
	pthread_t thread[3];
	event_t leaf[2];

	ck_assert_int_eq(pthread_create(&thread[0], NULL, read_all, NULL), 0);
	ck_assert_int_eq(pthread_create(&thread[1], NULL, define_chain, &leaf[0]), 0);
	ck_assert_int_eq(pthread_create(&thread[2], NULL, define_chain, &leaf[1]), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	ck_assert_uint_eq(leaf[0], leaf[1]); /* both defined the same, so there is one chain */
	ck_assert_uint_eq(leaf[0], MOS_UDE_FIRST + EACH - 1);
}
END_TEST

/*
 * A handler that waits for the stack thread, on top of a thread that has the lock: nobody would go
 * on if a callback wanted it too. Here the handler itself plays that callback.
 */
static _Atomic unsigned interruptions;
static _Atomic bool done;

static void define_known(void)
{
	event_t id;

	mos_ude_define(MOS_ON_PKT_IN, filter_a, NULL, &id);
}

static void on_interrupt(int signum)
{
	define_known();
	atomic_fetch_add(&interruptions, 1);
}

static void *interrupter(void *arg)
{
	const struct timespec nap = {.tv_nsec = 50000}; /* let it get on meanwhile */

	while (!atomic_load(&done)) {
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
		nanosleep(&nap, NULL);
	}
	return NULL;
}

START_TEST(no_handler_runs_on_a_thread_that_holds_the_lock)
{
	struct sigaction sa = {.sa_handler = on_interrupt}, before;
	pthread_t self = pthread_self(), t;

	define(MOS_ON_PKT_IN, filter_a, NULL, 0);
	sigaction(SIGUSR1, &sa, &before);
	ck_assert_int_eq(pthread_create(&t, NULL, interrupter, &self), 0);
	for (int i = 0; i < 10000 || atomic_load(&interruptions) < 100; i++)
		define_known();
	atomic_store(&done, true);
	pthread_join(t, NULL);
	sigaction(SIGUSR1, &before, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("event_tree");
	TCase *tc = tcase_create("event_tree");
	int rule_count = sizeof(rules) / sizeof(rules[0]), failed;
	SRunner *runner;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_test(tc, ids_count_up_from_65536_in_order_of_definition);
	tcase_add_test(tc, an_event_knows_its_parent_and_its_root);
	tcase_add_test(tc, the_same_base_filter_and_bytes_give_the_same_event);
	tcase_add_test(tc, no_argument_is_the_same_as_no_bytes);
	tcase_add_test(tc, bytes_are_copied_at_definition);
	tcase_add_test(tc, what_a_callback_does_to_its_argument_harms_no_one);
	tcase_add_test(tc, each_allocation_is_a_new_event);
	tcase_add_test(tc, a_definition_that_makes_no_sense_is_refused);
	tcase_add_test(tc, more_bytes_than_there_can_be_are_no_memory);
	tcase_add_test(tc, a_full_table_is_an_answer_and_known_events_stay);
	tcase_add_test(tc, what_was_not_defined_is_not_found);
	tcase_add_loop_test(tc, built_in_events_are_registered_where_they_occur, 0, rule_count);
	tcase_add_loop_test(tc, user_defined_events_are_registered_where_their_root_is, 0,
	                    rule_count);
	tcase_add_test(tc, what_is_no_event_is_registered_nowhere);
	tcase_add_test(tc, hook_points_are_the_three);
	tcase_add_test(tc, threads_define_and_look_up_at_once);
	tcase_add_test(tc, no_handler_runs_on_a_thread_that_holds_the_lock);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
