/* The line, for transactions made by hand. */
#include "apps/httpwatch/transaction.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN "\"client\":\"10.0.0.1:40000\",\"server\":\"[fd00::1]:80\","

static const struct ends ends = {"10.0.0.1:40000", "[fd00::1]:80"};
static char line[TRANSACTION_LINE_LEN];
static struct http_request request;
static struct http_transaction transaction;

static struct http_span span(const char *text)
{
	return (struct http_span){text, strlen(text)};
}

static void begin(void)
{
	request = (struct http_request){.time_ns = 1700000000000002000,
	                                .method = span("GET"),
	                                .target = span("/a"),
	                                .host = span("b.org"),
	                                .body_bytes = 7};
	transaction = (struct http_transaction){.request = &request,
	                                        .status = 200,
	                                        .time_ns = 1700000001234567890,
	                                        .body_bytes = 1ull << 40};
}

static void writes(const char *expected)
{
	ck_assert_uint_eq(transaction_write(line, &ends, &transaction), strlen(line));
	ck_assert_str_eq(line, expected);
}

static void writes_also(const char *part)
{
	ck_assert_uint_eq(transaction_write(line, &ends, &transaction), strlen(line));
	ck_assert_msg(strstr(line, part) != NULL, "no %s in %s", part, line);
}

START_TEST(line_tells_who_what_how_much_and_how_long)
{
	writes("{\"time\":1700000000.000002," BEGIN "\"method\":\"GET\",\"host\":\"b.org\","
	       "\"path\":\"/a\",\"status\":200,\"bytes\":1099511627776,\"request_bytes\":7,"
	       "\"ms\":1234.565}\n");
}
END_TEST

START_TEST(what_is_not_known_is_null)
{
	transaction =
		(struct http_transaction){.status = 200, .time_ns = 5000, .body_unknown = true};
	writes("{\"time\":0.000005," BEGIN "\"method\":null,\"host\":null,\"path\":null,"
	       "\"status\":200,\"bytes\":null,\"request_bytes\":null,\"ms\":null}\n");
	transaction = (struct http_transaction){.request = &request};
	request.host.at = NULL;
	request.body_unknown = true;
	writes("{\"time\":1700000000.000002," BEGIN "\"method\":\"GET\",\"host\":null,"
	       "\"path\":\"/a\",\"status\":null,\"bytes\":null,\"request_bytes\":null,\"ms\":null}"
	       "\n");
}
END_TEST

START_TEST(notes_stand_behind)
{
	request.truncated = transaction.incomplete = transaction.resumed = true;
	request.body_missed = 3;
	transaction.body_missed = 4;
	transaction.given_up = "lost track";
	writes_also(",\"ms\":1234.565,\"truncated\":true,\"missed\":7,\"incomplete\":true,"
	            "\"resumed\":true,\"given_up\":\"lost track\"}\n");
}
END_TEST

START_TEST(time_that_steps_back_is_no_duration)
{
	transaction.time_ns = request.time_ns - 1;
	writes_also(",\"ms\":0.000}");
}
END_TEST

START_TEST(no_byte_of_a_request_can_end_its_string)
{
	request.target = span("/\"\\\xe4");
	request.host = span("\"}\x01\t\x7f");
	writes_also(",\"path\":\"/\\\"\\\\\\u00e4\",");
	writes_also(",\"host\":\"\\\"}\\u0001\\u0009\\u007f\",");
}
END_TEST

START_TEST(longest_line_fits)
{
	static char text[HTTP_TARGET_MAX];

	memset(text, 0xff, sizeof(text));
	request = (struct http_request){.time_ns = UINT64_MAX,
	                                .method = {text, HTTP_METHOD_MAX},
	                                .target = {text, HTTP_TARGET_MAX},
	                                .host = {text, HTTP_HOST_MAX},
	                                .body_bytes = UINT64_MAX,
	                                .body_missed = UINT64_MAX,
	                                .truncated = true};
	transaction = (struct http_transaction){.request = &request,
	                                        .status = 999,
	                                        .body_bytes = UINT64_MAX,
	                                        .incomplete = true,
	                                        .resumed = true,
	                                        .given_up = "too many requests"};
	writes_also(",\"given_up\":\"too many requests\"}\n");
	ck_assert_uint_gt(strlen(line), 6 * (HTTP_TARGET_MAX + HTTP_HOST_MAX + HTTP_METHOD_MAX));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("httpwatch_transaction");
	TCase *tc = tcase_create("line");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, line_tells_who_what_how_much_and_how_long);
	tcase_add_test(tc, what_is_not_known_is_null);
	tcase_add_test(tc, notes_stand_behind);
	tcase_add_test(tc, time_that_steps_back_is_no_duration);
	tcase_add_test(tc, no_byte_of_a_request_can_end_its_string);
	tcase_add_test(tc, longest_line_fits);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
