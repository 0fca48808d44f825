/*
 * The decision table of backoff.h, played as rows of {death, lived, expected verdict and delay}
 * on one worker: each test is one life story.
 */
#include "apps/mos_run/backoff.h"

#include <check.h>
#include <stdlib.h>

#define MS         BACKOFF_NS_PER_MS
#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

struct row {
	enum backoff_death death;
	uint64_t lived_ns;
	enum backoff_verdict verdict;
	uint64_t delay_ns;
};

static void play(const struct row *rows, size_t row_count)
{
	struct backoff b = {0};

	for (size_t i = 0; i < row_count; i++) {
		uint64_t delay_ns = UINT64_MAX;
		enum backoff_verdict v =
			backoff_on_death(&b, rows[i].death, rows[i].lived_ns, &delay_ns);

		ck_assert_msg(v == rows[i].verdict && delay_ns == rows[i].delay_ns,
		              "row %zu: verdict %d, delay %lu ms", i, (int)v,
		              (unsigned long)(delay_ns / MS));
	}
}

START_TEST(first_death_after_a_second_restarts_at_once)
{
	static const struct row rows[] = {
		{BACKOFF_KILLED, 1000 * MS, BACKOFF_RESTART, 0},
		{BACKOFF_KILLED, 1000 * MS, BACKOFF_RESTART, 50 * MS},
		{BACKOFF_KILLED, 1000 * MS, BACKOFF_RESTART, 100 * MS},
	};

	play(rows, ROWS(rows));
}
END_TEST

START_TEST(quick_deaths_double_the_delay_up_to_five_seconds)
{
	static const struct row rows[] = {
		{BACKOFF_KILLED, 0, BACKOFF_RESTART, 50 * MS},
		{BACKOFF_KILLED, 0, BACKOFF_RESTART, 100 * MS},
		{BACKOFF_KILLED, 0, BACKOFF_RESTART, 200 * MS},
		{BACKOFF_KILLED, 0, BACKOFF_RESTART, 400 * MS},
		{BACKOFF_KILLED, 0, BACKOFF_RESTART, 800 * MS},
		{BACKOFF_KILLED, 0, BACKOFF_RESTART, 1600 * MS},
		{BACKOFF_KILLED, 0, BACKOFF_RESTART, 3200 * MS},
		{BACKOFF_KILLED, 0, BACKOFF_RESTART, 5000 * MS},
		{BACKOFF_KILLED, 0, BACKOFF_RESTART, 5000 * MS},
	};

	play(rows, ROWS(rows));
}
END_TEST

START_TEST(ten_seconds_of_life_forget_the_past)
{
	static const struct row rows[] = {
		{BACKOFF_KILLED, 0, BACKOFF_RESTART, 50 * MS},
		{BACKOFF_KILLED, 9999 * MS, BACKOFF_RESTART, 100 * MS},
		{BACKOFF_KILLED, 10000 * MS, BACKOFF_RESTART, 0},
		{BACKOFF_KILLED, 0, BACKOFF_RESTART, 50 * MS},
	};

	play(rows, ROWS(rows));
}
END_TEST

START_TEST(status_0_is_never_restarted)
{
	static const struct row rows[] = {
		{BACKOFF_KILLED, 0, BACKOFF_RESTART, 50 * MS},
		{BACKOFF_ENDED, 0, BACKOFF_END, 0},
		{BACKOFF_ENDED, 60000 * MS, BACKOFF_END, 0},
	};

	play(rows, ROWS(rows));
}
END_TEST

START_TEST(fifth_quick_failure_in_a_row_gives_up)
{
	static const struct row rows[] = {
		{BACKOFF_FAILED, 0, BACKOFF_RESTART, 50 * MS},
		{BACKOFF_FAILED, 999 * MS, BACKOFF_RESTART, 100 * MS},
		{BACKOFF_FAILED, 0, BACKOFF_RESTART, 200 * MS},
		{BACKOFF_FAILED, 0, BACKOFF_RESTART, 400 * MS},
		{BACKOFF_FAILED, 0, BACKOFF_GIVE_UP, 0},
	};

	play(rows, ROWS(rows));
}
END_TEST

START_TEST(a_longer_life_or_a_signal_breaks_the_row_of_failures)
{
	static const struct row rows[] = {
		{BACKOFF_FAILED, 0, BACKOFF_RESTART, 50 * MS},
		{BACKOFF_FAILED, 0, BACKOFF_RESTART, 100 * MS},
		{BACKOFF_FAILED, 0, BACKOFF_RESTART, 200 * MS},
		{BACKOFF_FAILED, 0, BACKOFF_RESTART, 400 * MS},
		{BACKOFF_FAILED, 1000 * MS, BACKOFF_RESTART, 800 * MS},
		{BACKOFF_FAILED, 0, BACKOFF_RESTART, 1600 * MS},
		{BACKOFF_FAILED, 0, BACKOFF_RESTART, 3200 * MS},
		{BACKOFF_FAILED, 0, BACKOFF_RESTART, 5000 * MS},
		{BACKOFF_KILLED, 0, BACKOFF_RESTART, 5000 * MS},
		{BACKOFF_FAILED, 0, BACKOFF_RESTART, 5000 * MS},
	};

	play(rows, ROWS(rows));
}
END_TEST

START_TEST(a_crash_on_every_start_is_retried_for_ever)
{
	struct backoff b = {0};
	uint64_t delay_ns;

	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(backoff_on_death(&b, BACKOFF_KILLED, 0, &delay_ns),
		                 BACKOFF_RESTART);
	ck_assert_uint_eq(delay_ns, BACKOFF_LAST_NS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mos_run_backoff");
	TCase *tc = tcase_create("table");

	tcase_add_test(tc, first_death_after_a_second_restarts_at_once);
	tcase_add_test(tc, quick_deaths_double_the_delay_up_to_five_seconds);
	tcase_add_test(tc, ten_seconds_of_life_forget_the_past);
	tcase_add_test(tc, status_0_is_never_restarted);
	tcase_add_test(tc, fifth_quick_failure_in_a_row_gives_up);
	tcase_add_test(tc, a_longer_life_or_a_signal_breaks_the_row_of_failures);
	tcase_add_test(tc, a_crash_on_every_start_is_retried_for_ever);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
