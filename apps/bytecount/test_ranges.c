/*
 * The set of ranges by hand, and against a model: one letter for each byte of a short stream. The
 * model closes the smallest hole by looking at all of them. The seed is printed; MOS_TEST_SEED
 * repeats a run.
 */
#include "apps/bytecount/ranges.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/test_rng.h"

static struct ranges r;

static void begin(void)
{
	ranges_init(&r, 0);
}

static void end(void)
{
	ranges_fini(&r);
}

START_TEST(stream_in_order_needs_no_memory)
{
	ck_assert_uint_eq(ranges_add(&r, 0, 100), 100);
	ck_assert_uint_eq(ranges_add(&r, 100, 1ull << 40), (1ull << 40) - 100);
	ck_assert_uint_eq(ranges_add(&r, 50, 1000), 0);
	ck_assert_ptr_null(r.range);
	ck_assert_uint_eq(ranges_missing(&r, 1ull << 40), 0);
	ck_assert_uint_eq(ranges_missing(&r, (1ull << 40) + 5), 5);
}
END_TEST

START_TEST(overlap_is_counted_to_the_byte)
{
	ck_assert_uint_eq(ranges_add(&r, 10, 20), 10);
	ck_assert_uint_eq(ranges_add(&r, 30, 40), 10);
	ck_assert_uint_eq(ranges_add(&r, 5, 12), 5);
	ck_assert_uint_eq(ranges_add(&r, 15, 35), 10);
	ck_assert_uint_eq(r.count, 1);
	ck_assert_uint_eq(ranges_missing(&r, 40), 5);
	ck_assert_uint_eq(ranges_add(&r, 0, 50), 15);
	ck_assert_uint_eq(r.count, 0);
	ck_assert_uint_eq(r.base, 50);
}
END_TEST

START_TEST(ranges_that_touch_are_one)
{
	ck_assert_uint_eq(ranges_add(&r, 10, 20), 10);
	ck_assert_uint_eq(ranges_add(&r, 20, 30), 10);
	ck_assert_uint_eq(ranges_add(&r, 5, 10), 5);
	ck_assert_uint_eq(r.count, 1);
	ck_assert_uint_eq(ranges_add(&r, 0, 5), 5);
	ck_assert_uint_eq(r.count, 0);
	ck_assert_uint_eq(r.base, 30);
}
END_TEST

START_TEST(nothing_adds_nothing)
{
	ck_assert_uint_eq(ranges_add(&r, 10, 10), 0);
	ck_assert_uint_eq(r.count, 0);
}
END_TEST

START_TEST(what_lies_before_the_begin_is_not_new)
{
	ranges_init(&r, 1000);
	ck_assert_uint_eq(ranges_add(&r, 900, 1100), 100);
	ck_assert_uint_eq(ranges_missing(&r, 1100), 0);
}
END_TEST

START_TEST(holes_are_missing_below_what_is_asked)
{
	ranges_add(&r, 10, 20);
	ranges_add(&r, 30, 40);
	ck_assert_uint_eq(ranges_missing(&r, 0), 0);
	ck_assert_uint_eq(ranges_missing(&r, 7), 7);
	ck_assert_uint_eq(ranges_missing(&r, 25), 15);
	ck_assert_uint_eq(ranges_missing(&r, 35), 20);
	ck_assert_uint_eq(ranges_missing(&r, 45), 25);
}
END_TEST

START_TEST(at_the_bound_the_smallest_hole_is_closed)
{
	for (uint64_t i = 1; i <= RANGES_MAX; i++) /* holes of 9, but for the third */
		ranges_add(&r, 10 * i - (i == 3), 10 * i + 1);
	ck_assert_uint_eq(r.count, RANGES_MAX);
	ck_assert_uint_eq(ranges_add(&r, 10000, 10001), 1);
	ck_assert_uint_eq(r.count, RANGES_MAX);
	ck_assert_uint_eq(r.given_up, 8);
	ck_assert_uint_eq(ranges_add(&r, 20, 31), 0); /* it was the third */
	ck_assert_uint_eq(ranges_missing(&r, 0), 8);
}
END_TEST

/* ---- Model ---- */

#define BYTES 1500
#define STEPS 300
#define RUNS  2000

enum { UNSEEN, SEEN };

struct model {
	uint8_t byte[BYTES];
	uint64_t given_up;
};

/* The unseen bytes from *at on that have seen ones behind them; false when there are no more. */
static bool next_hole(const struct model *m, unsigned *at, unsigned *len)
{
	unsigned begin = *at, end;

	while (begin < BYTES && m->byte[begin] == SEEN)
		begin++;
	end = begin;
	while (end < BYTES && m->byte[end] == UNSEEN)
		end++;
	*at = begin;
	*len = end - begin;
	return end < BYTES;
}

static void close_smallest(struct model *m)
{
	unsigned smallest = 0, smallest_len = BYTES, holes = 0, at = 0, len;

	for (; next_hole(m, &at, &len); at += len, holes++)
		if (len < smallest_len) {
			smallest = at;
			smallest_len = len;
		}
	if (holes <= RANGES_MAX)
		return;
	memset(m->byte + smallest, SEEN, smallest_len);
	m->given_up += smallest_len;
}

static unsigned model_add(struct model *m, unsigned from, unsigned end)
{
	unsigned added = 0;

	for (unsigned i = from; i < end; i++) {
		added += m->byte[i] == UNSEEN;
		m->byte[i] = SEEN;
	}
	close_smallest(m);
	return added;
}

static uint64_t model_missing(const struct model *m, unsigned end)
{
	uint64_t missing = m->given_up;

	for (unsigned i = 0; i < end; i++)
		missing += m->byte[i] == UNSEEN;
	return missing;
}

static void check_shape(void)
{
	uint64_t before = r.base;

	must(r.count <= RANGES_MAX);
	for (uint32_t i = 0; i < r.count; i++) {
		must(before < r.range[i].from && r.range[i].from < r.range[i].end);
		before = r.range[i].end;
	}
}

START_TEST(ranges_are_as_a_map_of_bytes_says)
{
	struct rng rng = rng_new();
	uint64_t closed = 0;

	for (int run = 0; run < RUNS; run++) {
		static struct model m;
		unsigned len_max = 1 + rng_below(&rng, 40);

		memset(&m, 0, sizeof(m));
		ranges_init(&r, 0);
		for (int step = 0; step < STEPS; step++) {
			unsigned from = rng_below(&rng, BYTES),
				 end = from + rng_below(&rng, len_max);
			unsigned at = rng_below(&rng, BYTES);

			end = end < BYTES ? end : BYTES;
			must(ranges_add(&r, from, end) == model_add(&m, from, end));
			must(ranges_missing(&r, at) == model_missing(&m, at));
			check_shape();
		}
		closed += m.given_up;
		ranges_fini(&r);
	}
	ck_assert_uint_gt(closed, 0); /* the bound was met */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bytecount_ranges");
	TCase *tc = tcase_create("ranges");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, stream_in_order_needs_no_memory);
	tcase_add_test(tc, overlap_is_counted_to_the_byte);
	tcase_add_test(tc, ranges_that_touch_are_one);
	tcase_add_test(tc, nothing_adds_nothing);
	tcase_add_test(tc, what_lies_before_the_begin_is_not_new);
	tcase_add_test(tc, holes_are_missing_below_what_is_asked);
	tcase_add_test(tc, at_the_bound_the_smallest_hole_is_closed);
	tcase_add_test(tc, ranges_are_as_a_map_of_bytes_says);
	suite_add_tcase(s, tc);

	SRunner *runner = srunner_create(s);

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
