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

static mos_timer_t add(uint64_t due_ns, int id)
{
	mos_timer_t timer = 0;

	ck_assert_int_eq(mos_app_timers_add(&timers, due_ns, id, cb, &timer), 0);
	ck_assert_uint_ne(timer, 0);
	return timer;
}

static int cancel(mos_timer_t timer)
{
	return mos_app_timers_cancel(&timers, timer);
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
	add(100, 7);
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
		add(50, i);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(take(50, UINT64_MAX), i);
}
END_TEST

/* The same id may be set any number of times: each is a timer of its own. */
START_TEST(one_id_may_have_many_timers)
{
	add(30, 1);
	add(10, 1);
	add(20, 1);
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

	add(10, 1);
	add(20, 2);
	mark = mos_app_timers_mark(&timers);
	ck_assert_int_eq(take(20, mark), 1);
	add(20, 3); /* by the callback of 1: due at once */
	ck_assert_int_eq(take(20, mark), 2);
	ck_assert_int_eq(take(20, mark), -1);
	ck_assert(!mos_app_timers_idle(&timers, 20));
	ck_assert_int_eq(take(20, mos_app_timers_mark(&timers)), 3);
}
END_TEST

START_TEST(latest_times_are_times_like_others)
{
	add(UINT64_MAX - 1, 1);
	add(0, 2);
	ck_assert(!mos_app_timers_idle(&timers, 0));
	ck_assert_int_eq(take(0, UINT64_MAX), 2);
	ck_assert(mos_app_timers_idle(&timers, UINT64_MAX - 2));
	ck_assert_int_eq(take(UINT64_MAX - 1, UINT64_MAX), 1);
}
END_TEST

/* ---- cancel ---- */

START_TEST(cancelled_timer_is_never_due)
{
	mos_timer_t first = add(10, 1), second = add(20, 2);

	ck_assert_int_eq(cancel(first), 0);
	ck_assert(mos_app_timers_idle(&timers, 19)); /* nobody looks for it */
	ck_assert_int_eq(take(20, UINT64_MAX), 2);
	ck_assert_int_eq(take(UINT64_MAX, UINT64_MAX), -1);
	ck_assert_int_eq(cancel(first), -ENOENT);
	ck_assert_int_eq(cancel(second), -ENOENT);
}
END_TEST

START_TEST(any_timer_of_the_heap_can_be_cancelled)
{
	for (int victim = 0; victim < 100; victim++) {
		mos_timer_t timer[100];

		for (int i = 0; i < 100; i++) /* due in another order than set */
			timer[i] = add((uint64_t)(i * 37 % 100), i);
		ck_assert_int_eq(cancel(timer[victim]), 0);
		for (int due = 0; due < 100; due++) {
			int id = due * 73 % 100; /* 37 * 73 = 1 modulo 100 */

			if (id != victim)
				ck_assert_int_eq(take(UINT64_MAX, UINT64_MAX), id);
		}
		ck_assert_int_eq(take(UINT64_MAX, UINT64_MAX), -1);
	}
}
END_TEST

START_TEST(name_of_no_timer_cancels_none)
{
	const mos_timer_t names[] = {0, 1, UINT64_MAX, UINT64_C(1) << 32, UINT64_C(2) << 32};
	const mos_timer_t next_use = UINT64_C(1) << 32;
	mos_timer_t timer;

	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(cancel(names[i]), -ENOENT); /* there is no slot yet */
	timer = add(10, 1);
	ck_assert_int_eq(cancel(timer - next_use), -ENOENT);
	ck_assert_int_eq(cancel(timer + next_use), -ENOENT);
	ck_assert_int_eq(cancel(timer + 2 * next_use), -ENOENT);
	ck_assert_int_eq(cancel(timer + 1), -ENOENT); /* a slot that was never used */
	ck_assert_int_eq(cancel(timer), 0);
	ck_assert_int_eq(cancel(timer + next_use), -ENOENT); /* the slot, free */
	ck_assert_int_eq(cancel(timer + 2 * next_use), -ENOENT);
}
END_TEST

/* The slot of a timer that is gone serves the next one, under another name. */
START_TEST(no_two_timers_have_one_name)
{
	mos_timer_t old = add(10, 1), timer;

	for (int i = 0; i < 1000; i++) {
		if (i % 2)
			ck_assert_int_eq(cancel(old), 0);
		else
			ck_assert_int_eq(take(10, UINT64_MAX), 1);
		timer = add(10, 1);
		ck_assert_uint_eq((uint32_t)timer, (uint32_t)old);
		ck_assert_uint_gt(timer, old);
		ck_assert_int_eq(cancel(old), -ENOENT);
		old = timer;
	}
}
END_TEST

START_TEST(slot_without_names_left_is_used_no_more)
{
	mos_timer_t timer = add(10, 1), next;

	timers.slot[(uint32_t)timer].gen = UINT32_MAX; /* as after 2^31 timers */
	ck_assert_int_eq(cancel(timer), -ENOENT);
	timer |= UINT64_C(0xffffffff) << 32;
	ck_assert_int_eq(cancel(timer), 0);
	ck_assert_int_eq(cancel(timer), -ENOENT);
	ck_assert_int_eq(cancel((uint32_t)timer), -ENOENT);
	for (int i = 0; i < 100; i++) {
		next = add(10, i);
		ck_assert_uint_ne((uint32_t)next, (uint32_t)timer);
	}
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(take(10, UINT64_MAX), i);
}
END_TEST

/* ---- model ---- */

#define MODEL_MAX 500

struct entry {
	uint64_t due_ns, serial;
	mos_timer_t timer;
	int id;
};

static struct entry model[MODEL_MAX];
static int model_count;
static mos_timer_t gone; /* some timer that was taken or cancelled */

static void model_remove(int i)
{
	gone = model[i].timer;
	model[i] = model[--model_count];
}

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
	model_remove(first);
	return id;
}

static void cancel_some(void)
{
	if (model_count > 0) {
		int i = (int)(random() % model_count);

		ck_assert_int_eq(cancel(model[i].timer), 0);
		model_remove(i);
	}
	ck_assert_int_eq(cancel(gone), -ENOENT);
}

START_TEST(heap_agrees_with_a_plain_list)
{
	uint64_t now = 0, serial = 0;

	srandom(11);
	for (int round = 0; round < 100000; round++) {
		int what = (int)(random() % 8);

		if (what < 4 && model_count < MODEL_MAX) {
			struct entry e = {now + (uint64_t)random() % 200, serial++, 0, round};

			e.timer = add(e.due_ns, e.id);
			model[model_count++] = e;
			continue;
		}
		if (what < 6) {
			cancel_some();
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

#define ADDS    20000
#define THREADS 2

static uint8_t cancelled[THREADS][ADDS];

/* Keep 32 timers and cancel each; every other one may have been taken meanwhile. */
static void *adder(void *arg)
{
	uint8_t *mine = arg;
	mos_timer_t timer[32];
	int first = mine == cancelled[0] ? 0 : ADDS;

	for (int i = 0; i < ADDS + 32; i++) {
		if (i >= 32)
			mine[i - 32] = mos_app_timers_cancel(&timers, timer[i % 32]) == 0;
		if (i < ADDS)
			mos_app_timers_add(&timers, i % 2 ? UINT64_MAX - 1 : 0, first + i, cb,
			                   &timer[i % 32]);
	}
	return NULL;
}

/* Who is told that a timer is cancelled does not see it run, and who is not does. */
START_TEST(each_timer_is_either_taken_or_cancelled)
{
	static uint8_t taken[THREADS * ADDS];
	int left = THREADS;
	struct mos_app_timer out;
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, adder, cancelled[i]), 0);
	while (left > 0) {
		if (mos_app_timers_take(&timers, ADDS, UINT64_MAX, &out))
			taken[out.id]++;
		if (pthread_tryjoin_np(t[left - 1], NULL) == 0)
			left--;
	}
	while (mos_app_timers_take(&timers, ADDS, UINT64_MAX, &out))
		taken[out.id]++;
	for (int i = 0; i < THREADS * ADDS; i++) {
		ck_assert_int_eq(taken[i] + cancelled[i / ADDS][i % ADDS], 1);
		ck_assert(i % 2 == 0 || !taken[i]);
	}
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
	tcase_add_test(tc, cancelled_timer_is_never_due);
	tcase_add_test(tc, any_timer_of_the_heap_can_be_cancelled);
	tcase_add_test(tc, name_of_no_timer_cancels_none);
	tcase_add_test(tc, no_two_timers_have_one_name);
	tcase_add_test(tc, slot_without_names_left_is_used_no_more);
	tcase_add_test(tc, heap_agrees_with_a_plain_list);
	tcase_add_test(tc, each_timer_is_either_taken_or_cancelled);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
