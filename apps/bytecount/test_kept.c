/*
 * What a successor finds when its predecessor has died between packets, or while it stored one: a
 * stream that comes in any order is counted in one go, and by another one with a death before each
 * packet. Which order it is, a seed tells.
 */
#include "apps/bytecount/kept.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PIECE   100
#define PACKETS 40
#define GROUP   4 /* pieces that overtake each other */

static struct flow_count whole, f;
static struct kept kept;
static uint64_t now_ns = 1000;

static void begin(void)
{
	memset(&kept, 0xa5, sizeof(kept)); /* somebody else's */
	flow_count_init(&whole, true, 77);
	flow_count_init(&f, true, 77);
	kept_begin(&kept, &f);
}

static void end(void)
{
	flow_count_fini(&whole);
	flow_count_fini(&f);
}

static struct segment piece(unsigned n, uint64_t acked)
{
	return (struct segment){.time_ns = ++now_ns,
	                        .offset = (uint64_t)n * PIECE,
	                        .seq = 1 + n * PIECE,
	                        .ack_seq = 1 + (uint32_t)acked,
	                        .ip_bytes = 40 + PIECE,
	                        .payload_bytes = PIECE,
	                        .ack = true};
}

/* The process that has counted so far is gone. */
static void die(void)
{
	flow_count_fini(&f);
	memset(&f, 0x5a, sizeof(f));
	ck_assert(kept_load(&kept, &f));
}

static void count(struct flow_count *to, int direction, struct segment s)
{
	flow_count_packet(to, direction, &s);
}

static void count_and_store(int direction, struct segment s)
{
	count(&whole, direction, s);
	count(&f, direction, s);
	kept_store(&kept, &f, direction);
}

static void assert_same(void)
{
	for (int direction = 0; direction < 2; direction++) {
		struct volume a = flow_count_volume(&whole, direction);
		struct volume b = flow_count_volume(&f, direction);

		ck_assert_uint_eq(a.packets, b.packets);
		ck_assert_uint_eq(a.ip_bytes, b.ip_bytes);
		ck_assert_uint_eq(a.payload, b.payload);
		ck_assert_uint_eq(a.unique, b.unique);
		ck_assert_uint_eq(a.missed, b.missed);
	}
	ck_assert_str_eq(flow_count_reason(&whole), flow_count_reason(&f));
	ck_assert(f.joined == whole.joined);
	ck_assert_uint_eq(f.begin_ns, whole.begin_ns);
	ck_assert_uint_eq(f.end_ns, whole.end_ns);
}

START_TEST(nothing_is_kept_of_a_flow_that_has_not_begun)
{
	memset(&kept, 0, sizeof(kept));
	ck_assert(!kept_load(&kept, &f));
}
END_TEST

START_TEST(a_flow_without_packets_has_a_begin)
{
	die();
	assert_same();
	ck_assert_uint_eq(f.begin_ns, 77);
}
END_TEST

/* Both directions; pieces are a few places off, and some come again. */
START_TEST(deaths_between_packets_cost_nothing)
{
	unsigned order = (unsigned)rand() % GROUP;

	for (unsigned n = 0; n < PACKETS; n++) {
		unsigned group = n / GROUP * GROUP, any = (unsigned)rand() % GROUP;

		count_and_store(TO_SERVER, piece(group + (n ^ order) % GROUP, n / 2 * PIECE));
		if (rand() % 2)
			die();
		count_and_store(TO_CLIENT, piece(any, group * PIECE));
		if (rand() % 2)
			die();
		assert_same();
	}
}
END_TEST

START_TEST(a_packet_half_stored_is_not_counted)
{
	struct flow_count before;

	for (unsigned n = 0; n < 4; n++) {
		int next = n % 2; /* which slot is written for packet n */

		count_and_store(TO_SERVER, piece(n, 0));
		before = f;
		memset(&kept.slot[TO_SERVER][!next], 0xff, sizeof(kept.slot[0][0]));
		die();
		assert_same();
		ck_assert_uint_eq(f.direction[TO_SERVER].volume.packets,
		                  before.direction[TO_SERVER].volume.packets);
	}
}
END_TEST

START_TEST(holes_beyond_those_kept_are_given_up_from_the_lowest)
{
	for (unsigned n = 0; n < KEPT_RANGES + 2; n++)
		count_and_store(TO_SERVER, piece(2 * n + 1, 0));
	count_and_store(TO_CLIENT, piece(0, (2 * KEPT_RANGES + 4) * PIECE));
	assert_same();
	die();
	assert_same(); /* what is missing is missing, whether given up or not */
	count(&f, TO_SERVER, piece(0, 0));
	ck_assert_uint_eq(f.direction[TO_SERVER].volume.unique, (KEPT_RANGES + 2) * PIECE);
	count(&f, TO_SERVER, piece(2 * KEPT_RANGES, 0));
	ck_assert_uint_eq(f.direction[TO_SERVER].volume.unique, (KEPT_RANGES + 3) * PIECE);
}
END_TEST

START_TEST(garbage_is_survived)
{
	for (unsigned n = 0; n < 1000; n++) {
		unsigned char *bytes = (unsigned char *)&kept;

		for (size_t i = 0; i < sizeof(kept); i++)
			bytes[i] = (unsigned char)rand();
		flow_count_fini(&f);
		flow_count_init(&f, false, 0);
		if (!kept_load(&kept, &f))
			continue;
		count(&f, TO_CLIENT, piece(1, 5));
		flow_count_volume(&f, TO_SERVER);
	}
}
END_TEST

int main(void)
{
	const char *seed_text = getenv("MOS_SEED");
	unsigned seed =
		seed_text != NULL ? (unsigned)strtoul(seed_text, NULL, 0) : (unsigned)time(NULL);
	Suite *s = suite_create("bytecount_kept");
	TCase *tc = tcase_create("kept");
	SRunner *sr = srunner_create(s);
	int failed;

	printf("seed %u (MOS_SEED repeats it)\n", seed);
	srand(seed);
	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, nothing_is_kept_of_a_flow_that_has_not_begun);
	tcase_add_test(tc, a_flow_without_packets_has_a_begin);
	tcase_add_test(tc, deaths_between_packets_cost_nothing);
	tcase_add_test(tc, a_packet_half_stored_is_not_counted);
	tcase_add_test(tc, holes_beyond_those_kept_are_given_up_from_the_lowest);
	tcase_add_test(tc, garbage_is_survived);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
