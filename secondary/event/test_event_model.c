/*
 * User-defined events, callback sets and dispatch against a naive model (test_model.h): thousands
 * of random operations from a printed seed. MOS_TEST_SEED=n repeats a run.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "secondary/event/test_model.h"

enum { STEPS = 30000 };

static uint64_t state;

static uint32_t draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 11) % below);
}

START_TEST(what_runs_is_what_a_naive_model_runs)
{
	const char *given = getenv("MOS_TEST_SEED");

	state = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000003 + 1;
	state += state == 0;
	printf("MOS_TEST_SEED=%" PRIu64 "\n", state);
	fflush(stdout);
	model_begin();
	for (int i = 0; i < STEPS; i++)
		model_step(draw);
	model_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("event_model");
	TCase *tc = tcase_create("event_model");
	SRunner *sr = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, what_runs_is_what_a_naive_model_runs);
	suite_add_tcase(suite, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
