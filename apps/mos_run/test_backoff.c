/*
 * The decision table of backoff.h, played as rows of {death, when, lived, expected verdict and
 * delay} on one worker: each test is one life story.
 */
#include "apps/mos_run/backoff.h"

#include <check.h>
#include <stdlib.h>

#define MS         BACKOFF_NS_PER_MS
#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

struct row {
	enum backoff_death death;
	unsigned at_ms;
	unsigned lived_ms;
	enum backoff_verdict verdict;
	unsigned delay_ms;
};

static void play(const struct row *rows, size_t row_count)
{
	struct backoff b = {0};

	for (size_t i = 0; i < row_count; i++) {
		uint64_t delay_ns = UINT64_MAX;
		enum backoff_verdict v =
			backoff_on_death(&b, rows[i].death, (3600000 + rows[i].at_ms) * MS,
		                         rows[i].lived_ms * MS, &delay_ns);

		ck_assert_msg(v == rows[i].verdict && delay_ns == rows[i].delay_ms * MS,
		              "row %zu: verdict %d, delay %lu ms", i, (int)v,
		              (unsigned long)(delay_ns / MS));
	}
}

START_TEST(ten_deaths_restart_at_once_and_more_wait_for_half_a_second)
{
	static const struct row rows[] = {
		{BACKOFF_KILLED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_KILLED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_KILLED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_KILLED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_KILLED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_KILLED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_KILLED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_KILLED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_KILLED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_KILLED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_KILLED, 0, 0, BACKOFF_RESTART, 500},
		{BACKOFF_KILLED, 500, 0, BACKOFF_RESTART, 500},
		{BACKOFF_KILLED, 1100, 100, BACKOFF_RESTART, 400},
		{BACKOFF_KILLED, 2500, 1000, BACKOFF_RESTART, 0},
	};

	play(rows, ROWS(rows));
}
END_TEST

START_TEST(a_token_comes_back_each_half_second_up_to_ten)
{
	struct backoff b = {0};
	uint64_t delay_ns;

	for (uint64_t life = 0; life < 3; life++) {
		for (int i = 0; i < BACKOFF_TOKENS; i++) {
			backoff_on_death(&b, BACKOFF_KILLED, life * 5000 * MS, 0, &delay_ns);
			ck_assert_uint_eq(delay_ns, 0);
		}
		backoff_on_death(&(struct backoff){b.full_ns, 0}, BACKOFF_KILLED, life * 5000 * MS,
		                 0, &delay_ns);
		ck_assert_uint_eq(delay_ns, 500 * MS);
	}
}
END_TEST

START_TEST(no_delay_is_longer_than_half_a_second)
{
	struct backoff b = {0};
	uint64_t delay_ns, longest_ns = 0;

	for (int i = 0; i < 1000; i++) { /* none of them has waited for its start */
		ck_assert_int_eq(backoff_on_death(&b, BACKOFF_KILLED, 0, 0, &delay_ns),
		                 BACKOFF_RESTART);
		longest_ns = delay_ns > longest_ns ? delay_ns : longest_ns;
	}
	ck_assert_uint_eq(longest_ns, 500 * MS);
}
END_TEST

START_TEST(status_0_is_never_restarted)
{
	static const struct row rows[] = {
		{BACKOFF_KILLED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_ENDED, 0, 0, BACKOFF_END, 0},
		{BACKOFF_ENDED, 60000, 60000, BACKOFF_END, 0},
	};

	play(rows, ROWS(rows));
}
END_TEST

START_TEST(fifth_quick_failure_in_a_row_gives_up)
{
	static const struct row rows[] = {
		{BACKOFF_FAILED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_FAILED, 999, 999, BACKOFF_RESTART, 0},
		{BACKOFF_FAILED, 999, 0, BACKOFF_RESTART, 0},
		{BACKOFF_FAILED, 999, 0, BACKOFF_RESTART, 0},
		{BACKOFF_FAILED, 999, 0, BACKOFF_GIVE_UP, 0},
	};

	play(rows, ROWS(rows));
}
END_TEST

START_TEST(a_longer_life_or_a_signal_breaks_the_row_of_failures)
{
	static const struct row rows[] = {
		{BACKOFF_FAILED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_FAILED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_FAILED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_FAILED, 0, 0, BACKOFF_RESTART, 0},
		{BACKOFF_FAILED, 1000, 1000, BACKOFF_RESTART, 0},
		{BACKOFF_FAILED, 1000, 0, BACKOFF_RESTART, 0},
		{BACKOFF_FAILED, 1000, 0, BACKOFF_RESTART, 0},
		{BACKOFF_FAILED, 1000, 0, BACKOFF_RESTART, 0},
		{BACKOFF_FAILED, 1000, 0, BACKOFF_RESTART, 0},
		{BACKOFF_KILLED, 2000, 0, BACKOFF_RESTART, 0},
		{BACKOFF_FAILED, 2000, 0, BACKOFF_RESTART, 0},
	};

	play(rows, ROWS(rows));
}
END_TEST

START_TEST(a_crash_on_every_start_is_retried_for_ever)
{
	struct backoff b = {0};
	uint64_t delay_ns, now_ns = 0;

	for (int i = 0; i < 1000; i++, now_ns += delay_ns)
		ck_assert_int_eq(backoff_on_death(&b, BACKOFF_KILLED, now_ns, 0, &delay_ns),
		                 BACKOFF_RESTART);
	ck_assert_uint_eq(delay_ns, BACKOFF_TOKEN_NS);
}
END_TEST

START_TEST(a_missing_primary_is_waited_for_and_costs_nothing)
{
	struct backoff b = {0};
	uint64_t delay_ns;

	for (int i = 0; i < BACKOFF_FAILURES_MAX - 1; i++)
		backoff_on_death(&b, BACKOFF_FAILED, 0, 0, &delay_ns);
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(backoff_on_death(&b, BACKOFF_NO_PRIMARY, 0, 0, &delay_ns),
		                 BACKOFF_RESTART);
		ck_assert_uint_eq(delay_ns, 500 * MS);
	}
	ck_assert_int_eq(backoff_on_death(&b, BACKOFF_KILLED, 0, 0, &delay_ns), BACKOFF_RESTART);
	ck_assert_uint_eq(delay_ns, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mos_run_backoff");
	TCase *tc = tcase_create("table");

	tcase_add_test(tc, ten_deaths_restart_at_once_and_more_wait_for_half_a_second);
	tcase_add_test(tc, a_token_comes_back_each_half_second_up_to_ten);
	tcase_add_test(tc, no_delay_is_longer_than_half_a_second);
	tcase_add_test(tc, status_0_is_never_restarted);
	tcase_add_test(tc, fifth_quick_failure_in_a_row_gives_up);
	tcase_add_test(tc, a_longer_life_or_a_signal_breaks_the_row_of_failures);
	tcase_add_test(tc, a_crash_on_every_start_is_retried_for_ever);
	tcase_add_test(tc, a_missing_primary_is_waited_for_and_costs_nothing);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
