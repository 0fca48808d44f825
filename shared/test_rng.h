/*
 * For randomised tests: numbers from a printed seed, and an assertion that is cheap in loops.
 */
#ifndef MOS_SHARED_TEST_RNG_H
#define MOS_SHARED_TEST_RNG_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "shared/packet/hash.h"

/* ck_assert writes a line to a pipe each time; this one only when it fails: for loops. */
#define must(x)                                         \
	do {                                            \
		if (!(x))                               \
			ck_abort_msg("not so: %s", #x); \
	} while (0)

struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
	r->state += UINT64_C(0x9e3779b97f4a7c15);
	return mos_mix64(r->state);
}

static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)(rng_next(r) % n);
}

/* The seed of this run: from the environment, to run a failure again, or the time. Printed. */
static inline struct rng rng_new(void)
{
	const char *seed = getenv("MOS_TEST_SEED");
	struct rng r = {.state = seed ? strtoull(seed, NULL, 0) : mos_mix64((uint64_t)time(NULL))};

	printf("MOS_TEST_SEED=0x%llx\n", (unsigned long long)r.state);
	fflush(stdout);
	return r;
}

#endif
