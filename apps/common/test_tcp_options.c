/*
 * The options of TCP headers, right ones and others.
 */
#include "apps/common/tcp_options.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static size_t find(const char *options, size_t len, uint16_t *mss)
{
	struct {
		struct tcphdr tcp;
		char options[40];
	} header = {.tcp.doff = (unsigned)(20 + len + 3) / 4 & 15};
	struct tcp_options o;

	ck_assert_uint_le(len, 40);
	memcpy(header.options, options, len);
	tcp_options_read(&o, &header.tcp);
	if (o.has_mss)
		*mss = o.mss;
	return o.has_mss ? o.mss_at : 0;
}

START_TEST(option_is_found_among_others)
{
	uint16_t mss = 0;

	ck_assert_uint_eq(find("\2\4\5\264", 4, &mss), 22);
	ck_assert_uint_eq(mss, 1460);
	ck_assert_uint_eq(find("\1\1\4\2\2\4\1\2", 8, &mss), 26);
	ck_assert_uint_eq(mss, 258);
}
END_TEST

START_TEST(broken_options_are_none)
{
	uint16_t mss = 7;

	ck_assert_uint_eq(find("", 0, &mss), 0);
	ck_assert_uint_eq(find("\0\2\4\5\264", 5, &mss), 0);
	ck_assert_uint_eq(find("\1\2\4\5", 4, &mss), 0);
	ck_assert_uint_eq(find("\1\1\1\2", 4, &mss), 0);
	ck_assert_uint_eq(find("\2\3\5\264", 4, &mss), 0);
	ck_assert_uint_eq(find("\3\0\2\4\5\264", 6, &mss), 0);
	ck_assert_uint_eq(find("\3\1\2\4\5\264", 6, &mss), 0);
	ck_assert_uint_eq(find("\3\50\2\4\5\264", 6, &mss), 0);
	ck_assert_uint_eq(mss, 7);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tcp_options");
	TCase *tc = tcase_create("tcp_options");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, option_is_found_among_others);
	tcase_add_test(tc, broken_options_are_none);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
