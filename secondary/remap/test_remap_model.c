/* Random streams, edited at random, over a bad network: see remap_model.h. */
#include "secondary/remap/remap_model.h"

static struct rng rng;

static uint32_t pick(uint32_t below)
{
	return rng_below(&rng, below);
}

static void play(void)
{
	uint64_t limit;

	model_begin();
	limit = 1000 + 200 * m.sent_len;
	while (model_step())
		must(m.steps < limit);
	model_end();
}

START_TEST(receiver_gets_the_naive_image_and_all_is_acknowledged)
{
	const char *want = getenv("MOS_TEST_STEPS");
	uint64_t steps = 0, enough = want ? strtoull(want, NULL, 0) : 100000;

	rng = rng_new();
	for (uint32_t streams = 1; steps < enough; streams++) {
		memset(&m, 0, sizeof(m));
		m.pick = pick;
		play();
		steps += m.steps;
		if (steps >= enough)
			printf("%u streams, %llu steps\n", streams, (unsigned long long)steps);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("remap_model");
	TCase *tc = tcase_create("remap_model");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, receiver_gets_the_naive_image_and_all_is_acknowledged);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
