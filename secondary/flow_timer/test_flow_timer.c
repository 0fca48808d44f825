/*
 * The wheel alone: no flows, time is whatever the test says.
 */
#include "secondary/flow_timer/flow_timer.h"

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "shared/flow_table/flow_table.h"
#include "shared/packet/hash.h"

enum { CAPACITY = 64, GRANULARITY = 10, SPAN = MOS_FLOW_TIMER_SLOTS * GRANULARITY };

static struct mos_flow_timer wheel;

/* ck_assert writes a line to a pipe each time; this one only when it fails: for loops. */
#define must(x)                                         \
	do {                                            \
		if (!(x))                               \
			ck_abort_msg("not so: %s", #x); \
	} while (0)

/* Start times: plain, and such that the clock wraps in the middle of the test. */
static const uint32_t starts[] = {0, 12345, UINT32_MAX - 100, UINT32_MAX - SPAN, INT32_MAX - 50};
enum { STARTS = sizeof(starts) / sizeof(starts[0]) };

static void create(uint32_t capacity, uint32_t granularity_ms, uint32_t now_ms)
{
	ck_assert_int_eq(mos_flow_timer_create(&wheel, capacity, granularity_ms, now_ms), 0);
}

START_TEST(bad_parameters_are_refused)
{
	ck_assert_int_eq(mos_flow_timer_create(&wheel, 0, 10, 0), -EINVAL);
	ck_assert_int_eq(mos_flow_timer_create(&wheel, MOS_FLOW_CAP_MAX + 1, 10, 0), -EINVAL);
	ck_assert_int_eq(mos_flow_timer_create(&wheel, 1, 0, 0), -EINVAL);
	ck_assert_int_eq(mos_flow_timer_create(&wheel, 1, (1u << 18) + 1, 0), -EINVAL);
	mos_flow_timer_destroy(&wheel);
}
END_TEST

/* An entry armed for `deadline`, looked for at `now` (both after the start): is it there? */
START_TEST(entry_comes_due_once_its_deadline_has_passed)
{
	static const struct {
		uint32_t deadline, now;
		bool due;
	} rows[] = {
		{1, 0, false},
		{1, 1 + GRANULARITY, true},
		{GRANULARITY, GRANULARITY - 1, false},
		{GRANULARITY, 2 * GRANULARITY, true},
		{55, 54, false},
		{55, 65, true},
		{SPAN / 2, SPAN / 2 - 1, false},
		{SPAN / 2, SPAN / 2 + GRANULARITY, true},
		/* around the end of the wheel */
		{SPAN - GRANULARITY, SPAN - GRANULARITY - 1, false},
		{SPAN - GRANULARITY, SPAN, true},
		{SPAN, SPAN - 1, false},
		{SPAN, SPAN + GRANULARITY, true},
		{SPAN + 1, SPAN, false},
		{SPAN + 1, SPAN + 1 + GRANULARITY, true},
		/* parked, and a big jump */
		{5 * SPAN, 5 * SPAN - 1, false},
		{5 * SPAN, 5 * SPAN + GRANULARITY, true},
		{3, 1000 * SPAN, true},
		{1000 * SPAN, 999 * SPAN, false},
		{3, INT32_MAX, true},
		{INT32_MAX, INT32_MAX - SPAN, false},
		/* a deadline in the past, and the clock stepping back */
		{(uint32_t)-500, 0, false},
		{(uint32_t)-500, GRANULARITY, true},
		{30, (uint32_t)-5, false},
		{30, (uint32_t)-2 * SPAN, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t start = starts[_i];

		create(CAPACITY, GRANULARITY, start);
		mos_flow_timer_arm(&wheel, 7, start + rows[i].deadline);
		ck_assert_uint_eq(mos_flow_timer_expire(&wheel, start + rows[i].now),
		                  rows[i].due ? 7 : MOS_FLOW_NONE);
		ck_assert_uint_eq(mos_flow_timer_expire(&wheel, start + rows[i].now),
		                  MOS_FLOW_NONE);
		/* Whatever happened, it comes, and but once. */
		ck_assert_uint_eq(mos_flow_timer_expire(&wheel, start + rows[i].deadline + SPAN),
		                  rows[i].due ? MOS_FLOW_NONE : 7);
		mos_flow_timer_destroy(&wheel);
	}
}
END_TEST

START_TEST(cancelled_and_moved_entries_do_not_come)
{
	create(CAPACITY, GRANULARITY, 0);
	mos_flow_timer_cancel(&wheel, 3); /* not armed: harmless */
	for (uint32_t n = 0; n < 6; n++)
		mos_flow_timer_arm(&wheel, n, 100); /* one list: 5 4 3 2 1 0 */
	mos_flow_timer_cancel(&wheel, 5);
	mos_flow_timer_cancel(&wheel, 3);
	mos_flow_timer_cancel(&wheel, 0);
	mos_flow_timer_cancel(&wheel, 0);
	mos_flow_timer_arm(&wheel, 2, 500);
	ck_assert_uint_eq(mos_flow_timer_expire(&wheel, 200), 4);
	ck_assert_uint_eq(mos_flow_timer_expire(&wheel, 200), 1);
	ck_assert_uint_eq(mos_flow_timer_expire(&wheel, 200), MOS_FLOW_NONE);
	ck_assert_uint_eq(mos_flow_timer_expire(&wheel, 510), 2);
	ck_assert_uint_eq(mos_flow_timer_expire(&wheel, 10 * SPAN), MOS_FLOW_NONE);
	mos_flow_timer_destroy(&wheel);
}
END_TEST

/* Even in the middle of the work that a jump past the whole wheel makes. */
START_TEST(loop_that_arms_again_with_a_past_deadline_ends)
{
	static const uint32_t jumps[] = {GRANULARITY, SPAN / 2, SPAN - GRANULARITY, SPAN,
	                                 SPAN + 1,    7 * SPAN, INT32_MAX};

	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		uint32_t now = starts[_i] + jumps[i], slot, looks = 0;

		create(CAPACITY, GRANULARITY, starts[_i]);
		for (uint32_t n = 0; n < CAPACITY; n++)
			mos_flow_timer_arm(&wheel, n, starts[_i] + n * jumps[i] / CAPACITY);
		while ((slot = mos_flow_timer_expire(&wheel, now)) != MOS_FLOW_NONE) {
			mos_flow_timer_arm(&wheel, slot, slot & 1 ? now : now - slot);
			ck_assert_uint_le(++looks, CAPACITY);
		}
		ck_assert_uint_ge(looks, CAPACITY - 1);
		now += GRANULARITY;
		for (looks = 0; mos_flow_timer_expire(&wheel, now) != MOS_FLOW_NONE; looks++)
			;
		ck_assert_uint_eq(looks, CAPACITY);
		mos_flow_timer_destroy(&wheel);
	}
}
END_TEST

START_TEST(a_call_moves_a_bounded_number_of_parked_entries)
{
	const uint32_t many = 10 * MOS_FLOW_TIMER_MOVES;
	uint32_t calls = 0, got = 0, moved = 0;

	create(many + 1, GRANULARITY, 0);
	mos_flow_timer_arm(&wheel, many, SPAN / 2);
	for (uint32_t n = 0; n < many; n++)
		mos_flow_timer_arm(&wheel, n, 3 * SPAN);
	ck_assert_uint_eq(mos_flow_timer_expire(&wheel, SPAN), many);
	ck_assert_uint_eq(wheel.where[0], wheel.where[many - 1]);
	ck_assert_uint_eq(mos_flow_timer_expire(&wheel, SPAN), MOS_FLOW_NONE);
	for (uint32_t n = 1; n < many; n++)
		moved += wheel.where[n] != wheel.where[0];
	ck_assert_uint_eq(moved, MOS_FLOW_TIMER_MOVES);

	/* The time of the real deadline comes while most of the work is left. */
	for (; got < many && calls < 2 * many; calls++)
		got += mos_flow_timer_expire(&wheel, 3 * SPAN + GRANULARITY) != MOS_FLOW_NONE;
	ck_assert_uint_eq(got, many);
	ck_assert_uint_eq(mos_flow_timer_expire(&wheel, 10 * SPAN), MOS_FLOW_NONE);
	mos_flow_timer_destroy(&wheel);
}
END_TEST

struct rng {
	uint64_t state;
};

static uint32_t below(struct rng *r, uint32_t n)
{
	r->state += UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(mos_mix64(r->state) % n);
}

/* A naive list: what is armed and for when. */
struct model {
	bool armed[CAPACITY];
	uint32_t deadline[CAPACITY];
};

/* Everything the wheel hands out is due; what is due for a granularity is handed out. */
static void expire_all(struct model *m, struct rng *r, uint32_t now, uint32_t granularity)
{
	uint32_t slot;

	while ((slot = mos_flow_timer_expire(&wheel, now)) != MOS_FLOW_NONE) {
		must(slot < CAPACITY && m->armed[slot]);
		must((int32_t)(now - m->deadline[slot]) >= 0);
		m->armed[slot] = below(r, 2);
		if (m->armed[slot]) { /* rarely in the past, which is for a later call */
			m->deadline[slot] = now - 3 + below(r, 40) * granularity;
			mos_flow_timer_arm(&wheel, slot, m->deadline[slot]);
		}
	}
}

static void check_lateness(const struct model *m, uint32_t now, uint32_t granularity)
{
	for (uint32_t n = 0; n < CAPACITY; n++) {
		must((wheel.where[n] != 0) == m->armed[n]);
		/* Armed in this round with a past deadline: 3 ms before now, at the least. */
		must(!m->armed[n] || (int32_t)(now - m->deadline[n]) < (int32_t)granularity + 3);
	}
}

START_TEST(wheel_agrees_with_a_naive_list)
{
	static const uint32_t granularities[] = {1, 10, 64, 1000};
	const char *seed = getenv("MOS_TEST_SEED");
	struct rng r = {seed ? strtoull(seed, NULL, 0) : mos_mix64((uint64_t)time(NULL))};
	uint32_t granularity = granularities[_i];
	uint32_t now = UINT32_MAX - 100 * granularity;
	struct model m = {0};

	printf("MOS_TEST_SEED=0x%llx\n", (unsigned long long)r.state);
	create(CAPACITY, granularity, now);
	for (uint32_t step = 0; step < 300000; step++) {
		uint32_t n = below(&r, CAPACITY);
		/* Mostly near, at times beyond the wheel. */
		uint32_t slots = below(&r, 10) ? below(&r, 1200) : below(&r, 9000);

		switch (below(&r, 4)) {
		case 0:
			m.armed[n] = false;
			mos_flow_timer_cancel(&wheel, n);
			break;
		case 1:
			now += below(&r, 50) ? below(&r, 3 * granularity)
			                     : below(&r, 3000 * granularity);
			expire_all(&m, &r, now, granularity);
			check_lateness(&m, now, granularity);
			break;
		default:
			m.armed[n] = true;
			m.deadline[n] = now + slots * granularity + below(&r, granularity);
			mos_flow_timer_arm(&wheel, n, m.deadline[n]);
		}
	}
	mos_flow_timer_destroy(&wheel);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("flow_timer");
	TCase *tc = tcase_create("flow_timer");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, bad_parameters_are_refused);
	tcase_add_loop_test(tc, entry_comes_due_once_its_deadline_has_passed, 0, STARTS);
	tcase_add_test(tc, cancelled_and_moved_entries_do_not_come);
	tcase_add_loop_test(tc, loop_that_arms_again_with_a_past_deadline_ends, 0, STARTS);
	tcase_add_test(tc, a_call_moves_a_bounded_number_of_parked_entries);
	tcase_add_loop_test(tc, wheel_agrees_with_a_naive_list, 0, 4);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
