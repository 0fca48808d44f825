/*
 * mos_tcp_opts_parse on the bench: option lists as byte rows, parsed from heap copies of exact
 * size so that the address sanitizer sees a read beyond the list.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "shared/packet/packet.h"

static bool parse(struct mos_tcp_opts *o, const uint8_t *opt, uint32_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	bool whole;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, opt, len);
	memset(o, 0xa5, sizeof(*o));
	whole = mos_tcp_opts_parse(o, copy, len);
	free(copy);
	return whole;
}

static void assert_empty(const struct mos_tcp_opts *o)
{
	ck_assert_uint_eq(o->mss, 0);
	ck_assert_uint_eq(o->wscale, 0);
	ck_assert(!o->has_wscale);
	ck_assert(!o->has_ts);
	ck_assert(!o->sack_ok);
	ck_assert_uint_eq(o->ts_val, 0);
	ck_assert_uint_eq(o->ts_ecr, 0);
}

/* As a common host sends it, and where each option ends. */
static const uint8_t syn[20] = {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2,
                                3, 4, 0xf5, 6,    7, 8, 1, 3,  3, 7};
enum { SYN_MSS_END = 4, SYN_SACK_END = 6, SYN_TS_END = 16, SYN_NOP_END = 17, SYN_WSCALE_END = 20 };

START_TEST(options_of_a_syn_are_read)
{
	struct mos_tcp_opts o;

	ck_assert(parse(&o, syn, sizeof(syn)));
	ck_assert_uint_eq(o.mss, 1460);
	ck_assert(o.sack_ok);
	ck_assert(o.has_ts);
	ck_assert_uint_eq(o.ts_val, 0x01020304);
	ck_assert_uint_eq(o.ts_ecr, 0xf5060708);
	ck_assert(o.has_wscale);
	ck_assert_uint_eq(o.wscale, 7);
}
END_TEST

START_TEST(no_options_are_a_good_list)
{
	struct mos_tcp_opts o;

	ck_assert(parse(&o, syn, 0));
	assert_empty(&o);
}
END_TEST

START_TEST(list_cut_at_any_byte_keeps_what_was_whole)
{
	for (uint32_t len = 0; len <= sizeof(syn); len++) {
		struct mos_tcp_opts o;
		bool at_end = len == 0 || len == SYN_MSS_END || len == SYN_SACK_END ||
		              len == SYN_TS_END || len == SYN_NOP_END || len == SYN_WSCALE_END;

		ck_assert_int_eq(parse(&o, syn, len), at_end);
		ck_assert_uint_eq(o.mss, len >= SYN_MSS_END ? 1460 : 0);
		ck_assert_int_eq(o.sack_ok, len >= SYN_SACK_END);
		ck_assert_int_eq(o.has_ts, len >= SYN_TS_END);
		ck_assert_int_eq(o.has_wscale, len >= SYN_WSCALE_END);
	}
}
END_TEST

START_TEST(length_of_zero_or_one_ends_the_list_for_every_kind)
{
	for (uint32_t kind = 2; kind <= UINT8_MAX; kind++)
		for (uint8_t opt_len = 0; opt_len < 2; opt_len++) {
			uint8_t opt[12] = {4, 2, (uint8_t)kind, opt_len, 2, 4, 1, 1};
			struct mos_tcp_opts o;

			ck_assert(!parse(&o, opt, sizeof(opt)));
			ck_assert(o.sack_ok); /* what was before it counts */
			ck_assert_uint_eq(o.mss, 0);
		}
}
END_TEST

START_TEST(wrong_length_of_a_known_kind_skips_the_option)
{
	static const struct {
		uint8_t kind, len;
	} known[] = {{2, 4}, {3, 3}, {4, 2}, {8, 10}};

	for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
		for (uint8_t opt_len = 2; opt_len <= 40; opt_len++) {
			uint8_t opt[40] = {known[k].kind, opt_len};
			struct mos_tcp_opts o;

			memset(opt + 2, 1, sizeof(opt) - 2);
			ck_assert(parse(&o, opt, sizeof(opt)));
			if (opt_len != known[k].len)
				assert_empty(&o);
		}
}
END_TEST

START_TEST(unknown_kinds_are_skipped)
{
	for (uint32_t kind = 5; kind <= UINT8_MAX; kind++) {
		uint8_t opt[10] = {(uint8_t)kind, 6, 2, 4, 9, 9, 2, 4, 0x02, 0x18};
		struct mos_tcp_opts o;

		if (kind == 8)
			continue;
		ck_assert(parse(&o, opt, sizeof(opt)));
		ck_assert_uint_eq(o.mss, 536);
	}
}
END_TEST

START_TEST(nothing_counts_behind_the_end_of_list)
{
	static const uint8_t opt[8] = {1, 0, 0, 2, 4, 5, 5, 99};
	struct mos_tcp_opts o;

	ck_assert(parse(&o, opt, sizeof(opt)));
	assert_empty(&o);
}
END_TEST

START_TEST(window_scale_is_clamped_to_14)
{
	for (uint32_t shift = 0; shift <= UINT8_MAX; shift++) {
		const uint8_t opt[4] = {3, 3, (uint8_t)shift, 1};
		struct mos_tcp_opts o;

		ck_assert(parse(&o, opt, sizeof(opt)));
		ck_assert(o.has_wscale);
		ck_assert_uint_eq(o.wscale, shift < 14 ? shift : 14);
	}
}
END_TEST

START_TEST(last_of_two_counts)
{
	static const uint8_t opt[8] = {2, 4, 0, 1, 2, 4, 0, 2};
	struct mos_tcp_opts o;

	ck_assert(parse(&o, opt, sizeof(opt)));
	ck_assert_uint_eq(o.mss, 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tcp_opts");
	TCase *tc = tcase_create("parse");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, options_of_a_syn_are_read);
	tcase_add_test(tc, no_options_are_a_good_list);
	tcase_add_test(tc, list_cut_at_any_byte_keeps_what_was_whole);
	tcase_add_test(tc, length_of_zero_or_one_ends_the_list_for_every_kind);
	tcase_add_test(tc, wrong_length_of_a_known_kind_skips_the_option);
	tcase_add_test(tc, unknown_kinds_are_skipped);
	tcase_add_test(tc, nothing_counts_behind_the_end_of_list);
	tcase_add_test(tc, window_scale_is_clamped_to_14);
	tcase_add_test(tc, last_of_two_counts);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
