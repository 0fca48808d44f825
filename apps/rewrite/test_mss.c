/*
 * How much a segment may grow.
 */
#include "apps/rewrite/mss.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* However many words lie in a segment and across its begin, it fits when they have grown. */
START_TEST(segments_that_have_grown_fit)
{
	for (size_t len = 1; len <= 64; len++) {
		for (size_t by = 0; by <= 512; by++) {
			size_t mss = mss_for_word(1460, len, by);
			size_t words = (mss + len - 1) / len, rest = (mss + len - 1) % len;

			ck_assert_uint_le(mss, 1460);
			if (mss > MSS_MIN)
				ck_assert_uint_le(by > len ? words * by + rest : mss + len - 1,
				                  1460);
			else
				ck_assert_uint_eq(mss, MSS_MIN);
		}
	}
	ck_assert_uint_eq(mss_for_word(1460, 1, 1), 1400);
	ck_assert_uint_eq(mss_for_word(1460, 4, 6), 930);
	ck_assert_uint_eq(mss_for_word(536, 4, 6), 327);
}
END_TEST

START_TEST(mss_neither_grows_nor_vanishes)
{
	ck_assert_uint_eq(mss_for_word(536, 1, 512), MSS_MIN);
	ck_assert_uint_eq(mss_for_word(40, 1, 512), 40);
	ck_assert_uint_eq(mss_for_word(0, 64, 512), 0);
	ck_assert_uint_eq(mss_for_word(65535, 2, 4), 699);
	ck_assert_uint_eq(mss_for_word(100, 1, 1), 100);
	ck_assert_uint_eq(mss_for_line(1460, 40), 1420);
	ck_assert_uint_eq(mss_for_line(1460, 0), 1460);
	ck_assert_uint_eq(mss_for_line(100, 40), MSS_MIN);
	ck_assert_uint_eq(mss_for_line(30, 40), 30);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rewrite_mss");
	TCase *tc = tcase_create("mss");

	tcase_add_test(tc, segments_that_have_grown_fit);
	tcase_add_test(tc, mss_neither_grows_nor_vanishes);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
