/*
 * Incremental checksums on the bench: random changes of a random array, at every parity of offset
 * and length, against a sum over all of it, taken byte by byte.
 */
#include <arpa/inet.h>

#include "secondary/edit/sum.h"
#include "shared/test_rng.h"

#define BYTES 200

static uint8_t b[BYTES];

/* RFC 1071 as a textbook does it; in network order. */
static uint16_t naive(uint32_t len)
{
	uint32_t sum = 0;
	uint8_t be[2];
	uint16_t out;

	for (uint32_t i = 0; i < len; i++) {
		sum += i % 2 ? b[i] : (uint32_t)b[i] << 8;
		sum = (sum >> 16) + (sum & 0xffff);
	}
	be[0] = (uint8_t)(~sum >> 8);
	be[1] = (uint8_t)~sum;
	memcpy(&out, be, sizeof(out));
	return out;
}

static void put_sum(uint16_t sum)
{
	memcpy(b, &sum, sizeof(sum));
}

static void put_right_sum(uint32_t len)
{
	put_sum(0);
	put_sum(naive(len));
}

/* Bytes become others, of few values: sums of zero and of all ones are as frequent as any. */
static uint16_t change(struct rng *r, uint16_t delta, uint32_t off, uint32_t n)
{
	static const uint8_t values[] = {0, 0xff, 0, 0xff, 1, 0xfe, 0x80};
	uint8_t old[BYTES];

	memcpy(old, b + off, n);
	for (uint32_t i = 0; i < n; i++)
		b[off + i] = rng_below(r, 4) == 0 ? (uint8_t)rng_next(r)
		                                  : values[rng_below(r, sizeof(values))];
	return mos_sum_change(delta, old, b + off, n, off & 1);
}

/*
 * The field is at 0. A byte at 2 stays as it is: not all bytes of a header are ever zero, so that
 * its sum is never the other zero.
 */
static void change_and_compare(struct rng *r, uint32_t len, unsigned changes)
{
	uint16_t delta = 0, field, sum;

	b[2] = 0x45;
	put_right_sum(len);
	for (unsigned i = 0; i < changes; i++) {
		uint32_t off = 3 + rng_below(r, len - 3), n = rng_below(r, len - off + 1);

		delta = change(r, delta, off, n);
	}
	memcpy(&field, b, sizeof(field));
	sum = mos_sum_mend(field, delta);
	put_right_sum(len);
	memcpy(&field, b, sizeof(field));
	must(sum == field);
}

START_TEST(any_changes_lead_to_the_sum_of_all)
{
	struct rng r = rng_new();

	for (int i = 0; i < 200000; i++)
		change_and_compare(&r, 4 + rng_below(&r, i % 2 ? 8 : BYTES - 4),
		                   1 + rng_below(&r, 4));
}
END_TEST

START_TEST(wrong_sum_stays_wrong)
{
	struct rng r = rng_new();

	for (int i = 0; i < 20000; i++) {
		uint16_t delta, field;

		put_right_sum(BYTES);
		b[rng_below(&r, 2)] ^= 1;
		delta = change(&r, 0, 7, 9);
		memcpy(&field, b, sizeof(field));
		put_sum(mos_sum_mend(field, delta));
		must(naive(BYTES) != 0);
	}
}
END_TEST

/* RFC 1624, section 4: the field dd2f, 5555 becomes 3285. Equation 2 of RFC 1141 gives ffff. */
START_TEST(example_of_rfc_1624)
{
	const uint8_t from[2] = {0x55, 0x55}, to[2] = {0x32, 0x85};

	ck_assert_uint_eq(ntohs(mos_sum_mend(htons(0xdd2f), mos_sum_change(0, from, to, 2, false))),
	                  0);
}
END_TEST

START_TEST(no_change_leaves_the_field)
{
	for (uint32_t field = 0; field <= UINT16_MAX; field++)
		must(mos_sum_mend((uint16_t)field, 0) == field);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("edit_sum");
	TCase *tc = tcase_create("sum");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, any_changes_lead_to_the_sum_of_all);
	tcase_add_test(tc, wrong_sum_stays_wrong);
	tcase_add_test(tc, example_of_rfc_1624);
	tcase_add_test(tc, no_change_leaves_the_field);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
