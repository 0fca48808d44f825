/* The rule language: rows of text, what they match and what they do not. */
#include "apps/simple_firewall/rule.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "ADDRESS PORT ADDRESS PORT", source first. */
struct ends {
	const char *src;
	uint16_t src_port;
	const char *dst;
	uint16_t dst_port;
};

static void put_address(struct rule_key *key, int which, const char *text)
{
	key->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	ck_assert_int_eq(inet_pton(key->family, text, &key->addr[which]), 1);
}

static struct rule_key key_of(const struct ends *ends)
{
	struct rule_key key = {.port = {ends->src_port, ends->dst_port}};

	put_address(&key, RULE_SRC, ends->src);
	put_address(&key, RULE_DST, ends->dst);
	return key;
}

static int parse(struct rule *r, const char *text, char *err)
{
	/* Of exact size, so that AddressSanitizer sees each step beyond it. */
	size_t len = strlen(text);
	char *copy = malloc(len > 0 ? len : 1);
	int n;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, len);
	n = rule_parse(r, copy, len, err);
	if (n == 1) /* the text lives as long as the test's own */
		r->text = text + (r->text - copy);
	free(copy);
	return n;
}

static const struct {
	const char *rule;
	struct ends ends;
	bool matches;
} match_rows[] = {
	{"drop any", {"1.2.3.4", 1, "5.6.7.8", 2}, true},
	{"drop any", {"::1", 1, "::2", 2}, true},
	{"drop src any dst any", {"::1", 1, "::2", 2}, true},

	{"drop src 10.0.0.0/8 dst 192.168.1.5 port 22", {"10.9.8.7", 5, "192.168.1.5", 22}, true},
	{"drop src 10.0.0.0/8 dst 192.168.1.5 port 22", {"11.0.0.0", 5, "192.168.1.5", 22}, false},
	{"drop src 10.0.0.0/8 dst 192.168.1.5 port 22", {"10.9.8.7", 5, "192.168.1.4", 22}, false},
	{"drop src 10.0.0.0/8 dst 192.168.1.5 port 22", {"10.9.8.7", 5, "192.168.1.5", 23}, false},
	{"drop src 10.0.0.0/8 dst 192.168.1.5 port 22", {"192.168.1.5", 22, "10.9.8.7", 5}, false},
	{"drop dst 192.168.1.5 src 10.0.0.0/8", {"10.9.8.7", 5, "192.168.1.5", 22}, true},

	{"drop src 1.2.3.0/25", {"1.2.3.127", 0, "9.9.9.9", 0}, true},
	{"drop src 1.2.3.0/25", {"1.2.3.128", 0, "9.9.9.9", 0}, false},
	{"drop src 1.2.3.4/32", {"1.2.3.4", 0, "9.9.9.9", 0}, true},
	{"drop src 1.2.3.4/31", {"1.2.3.5", 0, "9.9.9.9", 0}, true},
	{"drop src 1.2.3.4/31", {"1.2.3.6", 0, "9.9.9.9", 0}, false},
	{"drop src 128.0.0.0/1", {"200.0.0.1", 0, "9.9.9.9", 0}, true},
	{"drop src 128.0.0.0/1", {"100.0.0.1", 0, "9.9.9.9", 0}, false},
	{"drop src 0.0.0.0/0", {"1.2.3.4", 0, "9.9.9.9", 0}, true},
	{"drop src 0.0.0.0/0", {"::1", 0, "::2", 0}, false},
	{"drop src ::/0", {"1.2.3.4", 0, "9.9.9.9", 0}, false},
	{"drop src ::/0", {"ffff::", 0, "::2", 0}, true},

	{"drop dst 2001:db8::/32", {"::1", 0, "2001:db8:ffff::1", 0}, true},
	{"drop dst 2001:db8::/32", {"::1", 0, "2001:db9::1", 0}, false},
	{"drop dst 2001:db8::1", {"::1", 0, "2001:db8::1", 0}, true},
	{"drop dst 2001:db8::1", {"::1", 0, "2001:db8::2", 0}, false},
	{"drop dst 2001:db8::/65", {"::1", 0, "2001:db8::7fff:0:0:0", 0}, true},
	{"drop dst 2001:db8::/65", {"::1", 0, "2001:db8::8000:0:0:0", 0}, false},
	{"drop dst 2001:db8::/127", {"::1", 0, "2001:db8::1", 0}, true},

	{"drop dst port 80", {"1.2.3.4", 80, "5.6.7.8", 81}, false},
	{"drop dst port 80", {"1.2.3.4", 81, "5.6.7.8", 80}, true},
	{"drop dst port 80", {"::1", 81, "::2", 80}, true},
	{"drop dst any port 80", {"::1", 81, "::2", 80}, true},
	{"drop src port 80", {"1.2.3.4", 80, "5.6.7.8", 81}, true},
	{"drop dst port 6000-6063", {"::1", 1, "::2", 5999}, false},
	{"drop dst port 6000-6063", {"::1", 1, "::2", 6000}, true},
	{"drop dst port 6000-6063", {"::1", 1, "::2", 6063}, true},
	{"drop dst port 6000-6063", {"::1", 1, "::2", 6064}, false},
	{"drop dst port 0-65535", {"::1", 1, "::2", 65535}, true},
	{"drop dst port 0", {"::1", 1, "::2", 0}, true},
	{"drop src port 1-2 dst port 3-4", {"::1", 2, "::2", 3}, true},
	{"drop src port 1-2 dst port 3-4", {"::1", 3, "::2", 3}, false},
};

START_TEST(rule_matches_what_it_names)
{
	struct rule_key key = key_of(&match_rows[_i].ends);
	char err[RULE_ERROR_LEN];
	struct rule r;

	ck_assert_msg(parse(&r, match_rows[_i].rule, err) == 1, "%s", err);
	ck_assert_str_eq(err, "");
	ck_assert_msg(rule_matches(&r, &key) == match_rows[_i].matches, "row %d: %s", _i,
	              match_rows[_i].rule);
}
END_TEST

static const char *const no_rules[] = {"", " ", "\t \t", "#", "# drop any", "  # x", "\r", " \r"};

START_TEST(blank_line_and_comment_are_no_rule)
{
	char err[RULE_ERROR_LEN];
	struct rule r;

	ck_assert_int_eq(parse(&r, no_rules[_i], err), 0);
	ck_assert_str_eq(err, "");
}
END_TEST

static const struct {
	const char *line;
	const char *text;
	bool drop;
} text_rows[] = {
	{"drop any", "drop any", true},
	{"\tpass \t any  # why", "pass \t any", false},
	{"pass src ::1#2", "pass src ::1", false},
	{"drop dst port 80 \r", "drop dst port 80", true},
};

START_TEST(text_is_kept_without_what_is_around_it)
{
	char err[RULE_ERROR_LEN];
	struct rule r;

	ck_assert_int_eq(parse(&r, text_rows[_i].line, err), 1);
	ck_assert_uint_eq(r.text_len, strlen(text_rows[_i].text));
	ck_assert_mem_eq(r.text, text_rows[_i].text, r.text_len);
	ck_assert_int_eq(r.drop, text_rows[_i].drop);
}
END_TEST

static const struct {
	const char *line;
	const char *says;
} wrong_rows[] = {
	{"block any", "'block': a rule begins with drop or pass"},
	{"Drop any", "a rule begins with drop or pass"},
	{"drop", "what to drop?"},
	{"pass  # any", "what to pass?"},
	{"drop any any", "'any' is not expected here"},
	{"drop any src 1.2.3.4", "'src' is not expected here"},
	{"drop port 22", "'port' is not expected here"},
	{"drop 1.2.3.4", "'1.2.3.4' is not expected here"},
	{"drop src", "src: an address, any or port is missing"},
	{"drop src 1.2.3.4 dst", "dst: an address, any or port is missing"},
	{"drop src dst 1.2.3.4", "'dst': not an address"},
	{"drop src 1.2.3.4 src 1.2.3.4", "src comes twice"},
	{"drop src 1.2.3.4 80", "'80' is not expected here"},
	{"drop src 1.2.3.4 port 1 port 2", "'port' is not expected here"},
	{"drop src port 1 1.2.3.4", "'1.2.3.4' is not expected here"},

	{"drop src 1.2.3", "not an address"},
	{"drop src 1.2.3.256", "not an address"},
	{"drop src example.org", "not an address"},
	{"drop src 1::2::3", "not an address"},
	{"drop src 1.2.3.0/", "the prefix is not from 0 to 32"},
	{"drop src 1.2.3.0/33", "the prefix is not from 0 to 32"},
	{"drop src 1.2.3.0/-1", "the prefix is not from 0 to 32"},
	{"drop src 1.2.3.0/24/24", "the prefix is not from 0 to 32"},
	{"drop src 1.2.3.0/4294967297", "the prefix is not from 0 to 32"},
	{"drop src ::/129", "the prefix is not from 0 to 128"},
	{"drop src 10.1.2.3/8", "is 10.0.0.0/8 meant?"},
	{"drop src 2001:db8::1/64", "is 2001:db8::/64 meant?"},
	{"drop src 1.2.3.4 dst ::1", "two families"},

	{"drop dst port", "a number or a range FIRST-LAST is missing"},
	{"drop dst port ssh", "'ssh': ports are numbers from 0 to 65535"},
	{"drop dst port 65536", "ports are numbers"},
	{"drop dst port 4294967376", "ports are numbers"},
	{"drop dst port +80", "ports are numbers"},
	{"drop dst port -80", "ports are numbers"},
	{"drop dst port 80-", "ports are numbers"},
	{"drop dst port 1-2-3", "ports are numbers"},
	{"drop dst port 80,443", "ports are numbers"},
	{"drop dst port 9-8", "the range ends before it begins"},

	{"drop \x1b[2J", "a character that is not printable ASCII"},
	{"drop src 1.2.3.4\xc2\xa0", "a character that is not printable ASCII"},
	{"drop\rany", "a character that is not printable ASCII"},
	{"drop src 1111111111222222222233333333334444444444555555555566666666667777777777",
         "'11111111112222222222...': too long a word"},
};

START_TEST(mistake_is_named)
{
	char err[RULE_ERROR_LEN];
	struct rule r;

	ck_assert_int_eq(parse(&r, wrong_rows[_i].line, err), -EINVAL);
	ck_assert_msg(strstr(err, wrong_rows[_i].says) != NULL, "%s: %s", wrong_rows[_i].line, err);
}
END_TEST

START_TEST(nul_in_a_line_is_a_mistake)
{
	char err[RULE_ERROR_LEN];
	struct rule r;

	ck_assert_int_eq(rule_parse(&r, "drop any\0", 9, err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "not printable"));
}
END_TEST

#define ROWS(rows) ((int)(sizeof(rows) / sizeof((rows)[0])))

int main(void)
{
	Suite *s = suite_create("simple_firewall_rule");
	TCase *tc = tcase_create("rule");

	tcase_add_loop_test(tc, rule_matches_what_it_names, 0, ROWS(match_rows));
	tcase_add_loop_test(tc, blank_line_and_comment_are_no_rule, 0, ROWS(no_rules));
	tcase_add_loop_test(tc, text_is_kept_without_what_is_around_it, 0, ROWS(text_rows));
	tcase_add_loop_test(tc, mistake_is_named, 0, ROWS(wrong_rows));
	tcase_add_test(tc, nul_in_a_line_is_a_mistake);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
