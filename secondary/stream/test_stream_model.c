/*
 * Oracle test of streams: random operations (stream_play.h) on several flows that share a small
 * pool; a naive receiver beside each stream says what every call must answer (stream_model.h).
 *
 * MOS_TEST_SEED makes another run, MOS_TEST_STEPS a longer one; the seed is printed.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "secondary/stream/stream_play.h"
#include "shared/test_rng.h"

enum { STEPS = 200000, STEPS_PER_RUN = 1500 };

static uint64_t from_env(const char *name, uint64_t or_else)
{
	const char *given = getenv(name);

	return given != NULL ? strtoull(given, NULL, 0) : or_else;
}

static void step(struct play *p, struct rng *rng)
{
	uint8_t op[PLAY_OP];

	for (unsigned i = 0; i < PLAY_OP; i++)
		op[i] = (uint8_t)rng_next(rng);
	play_step(p, op);
}

/* Few flows in a large pool, or many that press each other. */
static void run(struct play *p, struct rng *rng)
{
	static const uint32_t chunks[] = {64, 64, 96, 512};
	unsigned flows = 1 + rng_below(rng, RIG_FLOWS);

	play_open(p, flows, chunks[rng_below(rng, 4)]);
	for (unsigned i = 0; i < STEPS_PER_RUN; i++)
		step(p, rng);
	play_close(p);
}

START_TEST(streams_are_what_a_naive_receiver_has)
{
	uint64_t seed = from_env("MOS_TEST_SEED", 0x9e3779b97f4a7c15);
	uint64_t steps = from_env("MOS_TEST_STEPS", STEPS);
	struct rng rng = {.state = seed};
	static struct play p;
	const struct rig *r = &p.rig;
	static char name[64];

	snprintf(name, sizeof(name), "MOS_TEST_SEED=0x%" PRIx64, seed);
	printf("%s\n", name);
	fflush(stdout);
	p.rig.seed = name;
	while (r->step < steps)
		run(&p, &rng);
	printf("%" PRIu64 " steps, %" PRIu64 " bytes read, %" PRIu64 " lost; %" PRIu64
	       " gaps, %" PRIu64 " conflicts, %" PRIu64 " overruns, %" PRIu64 " evictions, %" PRIu64
	       " restarts\n",
	       r->step, r->bytes_read, r->bytes_lost, r->gaps, r->conflicts, r->overruns,
	       r->evictions, r->restarts);
	/* The run has come by everything. */
	ck_assert_uint_gt(r->bytes_read, steps);
	ck_assert_uint_gt(r->bytes_lost, steps);
	ck_assert_uint_gt(r->gaps, steps / 100);
	ck_assert_uint_gt(r->conflicts, steps / 100);
	ck_assert_uint_gt(r->overruns, steps / 200);
	ck_assert_uint_gt(r->evictions, steps / 1000);
	ck_assert_uint_gt(r->restarts, steps / 200);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stream_model");
	TCase *tc = tcase_create("model");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, streams_are_what_a_naive_receiver_has);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
