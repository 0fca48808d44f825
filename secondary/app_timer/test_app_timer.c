/*
 * Timers of the application on the bench: time is a number the test passes in. The model is an
 * unordered list that is searched for the earliest entry each time.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "secondary/app_timer/app_timer.h"

static struct mos_app_timers timers;

static void setup(void)
{
	mos_app_timers_init(&timers);
}

static void teardown(void)
{
	mos_app_timers_fini(&timers);
}

static void cb(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
}

/* Take the next due timer that is older than mark; its id, or -1. */
static int take(uint64_t now_ns, uint64_t mark)
{
	struct mos_app_timer t;

	if (!mos_app_timers_take(&timers, now_ns, mark, &t))
		return -1;
	ck_assert_ptr_eq(t.cb, cb);
	ck_assert_uint_le(t.due_ns, now_ns);
	return t.id;
}

START_TEST(nothing_is_due_without_a_timer)
{
	ck_assert(mos_app_timers_idle(&timers, 0));
	ck_assert(mos_app_timers_idle(&timers, UINT64_MAX - 1));
	ck_assert_int_eq(take(UINT64_MAX, UINT64_MAX), -1);
}
END_TEST

START_TEST(timer_is_due_at_its_time_and_once)
{
	mos_app_timers_add(&timers, 100, 7, cb);
	ck_assert(mos_app_timers_idle(&timers, 99));
	ck_assert_int_eq(take(99, UINT64_MAX), -1);
	ck_assert(!mos_app_timers_idle(&timers, 100));
	ck_assert_int_eq(take(100, UINT64_MAX), 7);
	ck_assert(mos_app_timers_idle(&timers, UINT64_MAX - 1));
	ck_assert_int_eq(take(1000, UINT64_MAX), -1);
}
END_TEST

START_TEST(equal_times_run_in_the_order_of_setting)
{
	for (int i = 0; i < 100; i++)
		mos_app_timers_add(&timers, 50, i, cb);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(take(50, UINT64_MAX), i);
}
END_TEST

/* The same id may be set any number of times: each is a timer of its own. */
START_TEST(one_id_may_have_many_timers)
{
	mos_app_timers_add(&timers, 30, 1, cb);
	mos_app_timers_add(&timers, 10, 1, cb);
	mos_app_timers_add(&timers, 20, 1, cb);
	for (uint64_t now = 10; now <= 30; now += 10) {
		ck_assert_int_eq(take(now, UINT64_MAX), 1);
		ck_assert_int_eq(take(now, UINT64_MAX), -1);
	}
}
END_TEST

/* A callback that sets a timer in the past would otherwise be called for ever in one round. */
START_TEST(timer_set_in_a_round_waits_for_the_next)
{
	uint64_t mark;

	mos_app_timers_add(&timers, 10, 1, cb);
	mos_app_timers_add(&timers, 20, 2, cb);
	mark = mos_app_timers_mark(&timers);
	ck_assert_int_eq(take(20, mark), 1);
	mos_app_timers_add(&timers, 20, 3, cb); /* by the callback of 1: due at once */
	ck_assert_int_eq(take(20, mark), 2);
	ck_assert_int_eq(take(20, mark), -1);
	ck_assert(!mos_app_timers_idle(&timers, 20));
	ck_assert_int_eq(take(20, mos_app_timers_mark(&timers)), 3);
}
END_TEST

START_TEST(latest_times_are_times_like_others)
{
	mos_app_timers_add(&timers, UINT64_MAX - 1, 1, cb);
	mos_app_timers_add(&timers, 0, 2, cb);
	ck_assert(!mos_app_timers_idle(&timers, 0));
	ck_assert_int_eq(take(0, UINT64_MAX), 2);
	ck_assert(mos_app_timers_idle(&timers, UINT64_MAX - 2));
	ck_assert_int_eq(take(UINT64_MAX - 1, UINT64_MAX), 1);
}
END_TEST

/* ---- model ---- */

#define MODEL_MAX 500

struct entry {
	uint64_t due_ns, serial;
	int id;
};

static struct entry model[MODEL_MAX];
static int model_count;

static int model_take(uint64_t now_ns)
{
	int first = -1, id;

	for (int i = 0; i < model_count; i++)
		if (model[i].due_ns <= now_ns &&
		    (first < 0 || model[i].due_ns < model[first].due_ns ||
		     (model[i].due_ns == model[first].due_ns &&
		      model[i].serial < model[first].serial)))
			first = i;
	if (first < 0)
		return -1;
	id = model[first].id;
	model[first] = model[--model_count];
	return id;
}

START_TEST(heap_agrees_with_a_plain_list)
{
	uint64_t now = 0, serial = 0;

	srandom(11);
	for (int round = 0; round < 50000; round++) {
		if (random() % 2 && model_count < MODEL_MAX) {
			struct entry e = {now + (uint64_t)random() % 200, serial++, round};

			model[model_count++] = e;
			mos_app_timers_add(&timers, e.due_ns, e.id, cb);
			continue;
		}
		now += (uint64_t)random() % 20;
		for (int got = 0; got != -1;) {
			int want = model_take(now);

			if (mos_app_timers_idle(&timers, now) != (want == -1))
				ck_abort_msg("round %d: idle is wrong", round);
			got = take(now, UINT64_MAX);
			if (got != want)
				ck_abort_msg("round %d: got %d, want %d", round, got, want);
		}
	}
}
END_TEST

/* ---- threads ---- */

#define ADDS 20000

static void *adder(void *arg)
{
	for (int i = 0; i < ADDS; i++)
		ck_assert_int_eq(mos_app_timers_add(&timers, (uint64_t)i, i, cb), 0);
	return arg;
}

START_TEST(threads_add_while_the_stack_takes)
{
	struct mos_app_timer out;
	pthread_t t[2];
	int taken = 0;

	pthread_create(&t[0], NULL, adder, NULL);
	pthread_create(&t[1], NULL, adder, NULL);
	while (taken < 2 * ADDS)
		if (!mos_app_timers_idle(&timers, ADDS) &&
		    mos_app_timers_take(&timers, ADDS, UINT64_MAX, &out))
			taken++;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(take(UINT64_MAX, UINT64_MAX), -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("app_timer");
	TCase *tc = tcase_create("app_timer");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nothing_is_due_without_a_timer);
	tcase_add_test(tc, timer_is_due_at_its_time_and_once);
	tcase_add_test(tc, equal_times_run_in_the_order_of_setting);
	tcase_add_test(tc, one_id_may_have_many_timers);
	tcase_add_test(tc, timer_set_in_a_round_waits_for_the_next);
	tcase_add_test(tc, latest_times_are_times_like_others);
	tcase_add_test(tc, heap_agrees_with_a_plain_list);
	tcase_add_test(tc, threads_add_while_the_stack_takes);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
