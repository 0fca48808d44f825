/*
 * Which hosts are blocked: rows of a Host field, or a request, and the entry that matches.
 */
#include "apps/blockpage/host_list.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct host_list list;

static struct http_span span(const char *text)
{
	return (struct http_span){text, strlen(text)};
}

static void setup(void)
{
	list.count = 0;
	ck_assert_ptr_null(host_list_add(&list, "one.org"));
	ck_assert_ptr_null(host_list_add(&list, ".all.org"));
	ck_assert_ptr_null(host_list_add(&list, "10.0.0.1"));
	ck_assert_ptr_null(host_list_add(&list, "fd00::1"));
}

/* By the number of its entry; -1 = none. */
static int entry_number(const char *entry)
{
	for (unsigned i = 0; i < list.count; i++)
		if (entry == list.name[i])
			return (int)i;
	return -1;
}

START_TEST(host_field_is_matched_as_servers_read_it)
{
	static const struct {
		const char *host;
		int entry;
	} rows[] = {
		{"one.org", 0},
		{"ONE.Org", 0},
		{"one.org:8080", 0},
		{"one.org.", 0},
		{"one.org.:80", 0},
		{"www.one.org", -1},
		{"one.or", -1},
		{"xone.org", -1},
		{"all.org", 1},
		{"www.ALL.org", 1},
		{"a.b.all.org:1", 1},
		{"xall.org", -1},
		{".all.org", 1},
		{"all.org.com", -1},
		{"10.0.0.1", 2},
		{"10.0.0.1:80", 2},
		{"10.0.0.10", -1},
		{"[fd00::1]", 3},
		{"[fd00::1]:80", 3},
		{"[fd00::2]:80", -1},
		{"[fd00::1", 3},
		{"", -1},
		{":", -1},
		{".", -1},
		{"[", -1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		ck_assert_msg(entry_number(host_list_match(&list, span(rows[i].host))) ==
		                      rows[i].entry,
		              "%s", rows[i].host);
	ck_assert_ptr_null(host_list_match(&list, (struct http_span){0}));
}
END_TEST

START_TEST(target_that_names_a_host_counts_too)
{
	static const struct {
		const char *method, *target, *host;
		int entry;
	} rows[] = {
		{"GET", "/", "one.org", 0},
		{"GET", "/", "free.org", -1},
		{"GET", "http://one.org/", "free.org", 0},
		{"GET", "http://one.org", "", 0},
		{"GET", "HTTP://user:x@one.org:80?x", "free.org", 0},
		{"GET", "http://free.org/http://one.org/", "free.org", -1},
		{"GET", "/?x=http://one.org/", "free.org", -1},
		{"GET", "http://free.org/", "one.org", 0},
		{"CONNECT", "one.org:443", "", 0},
		{"OPTIONS", "*", "a.all.org", 1},
		{"GET", "http:/", "free.org", -1},
		{"GET", "http://", "free.org", -1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct http_request r = {.method = span(rows[i].method),
		                         .target = span(rows[i].target),
		                         .host = span(rows[i].host)};

		ck_assert_msg(entry_number(host_list_match_request(&list, &r)) == rows[i].entry,
		              "%s", rows[i].target);
	}
	ck_assert_ptr_null(host_list_match_request(&list, &(struct http_request){0}));
}
END_TEST

START_TEST(what_is_no_host_is_refused)
{
	static const char *const wrong[] = {"",   ".",        "a b",  "a/b",
	                                    "a.", "http://a", "a\"b", "\xc3\xa4.org"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		ck_assert_ptr_nonnull(host_list_add(&list, wrong[i]));
	while (list.count < HOST_COUNT_MAX)
		ck_assert_ptr_null(host_list_add(&list, "a"));
	ck_assert_ptr_nonnull(host_list_add(&list, "a"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("host_list");
	TCase *tc = tcase_create("host_list");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, host_field_is_matched_as_servers_read_it);
	tcase_add_test(tc, target_that_names_a_host_counts_too);
	tcase_add_test(tc, what_is_no_host_is_refused);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
