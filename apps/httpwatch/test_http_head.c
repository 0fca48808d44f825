/*
 * The head parser on rows of bytes. Every row is parsed at each of its lengths, in memory of exact
 * size, so that AddressSanitizer sees a step beyond.
 */
#include "apps/httpwatch/http_head.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum http_result parse(struct http_head *head, enum http_kind kind, const char *text,
                              size_t len)
{
	return http_head_parse(head, kind, text, len);
}

static void check_span(const struct http_span *s, const char *expected)
{
	if (expected == NULL) {
		ck_assert_ptr_null(s->at);
		return;
	}
	ck_assert_ptr_nonnull(s->at);
	ck_assert_uint_eq(s->len, strlen(expected));
	ck_assert_mem_eq(s->at, expected, s->len);
}

/* ---- Requests ---- */

static const struct {
	const char *text;
	enum http_result result;
	const char *method, *target, *host;
} request_rows[] = {
	{"GET / HTTP/1.1\r\nHost: a.org\r\n\r\n", HTTP_WHOLE, "GET", "/", "a.org"},
	{"GET / HTTP/1.0\r\n\r\n", HTTP_WHOLE, "GET", "/", NULL},
	{"GET / HTTP/1.1\nhost:a\n\n", HTTP_WHOLE, "GET", "/", "a"},
	{"M-SEARCH * HTTP/1.1\r\nHOST: \t a:80 \t\r\nHost: b\r\n\r\n", HTTP_WHOLE, "M-SEARCH", "*",
         "a:80"},
	{"CONNECT a:443 HTTP/1.1\r\nHost:\r\n\r\n", HTTP_WHOLE, "CONNECT", "a:443", ""},
	{"GET http://a/b?c=\xc3\xa4 HTTP/1.1\r\nno field\r\n: x\r\nHost: a\r\n\r\nbody", HTTP_WHOLE,
         "GET", "http://a/b?c=\xc3\xa4", "a"},
	{"GET / HTTP/1.1\r\nXHost: a\r\nHos: b\r\n\r\n", HTTP_WHOLE, "GET", "/", NULL},

	{"GET / HTTP/1.1\r\n", HTTP_CUT, "GET", "/", NULL},
	{"GET / HTTP/1.1\r\nHost: a.o", HTTP_CUT, "GET", "/", NULL},
	{"GET / HTTP/1.1\r\nHost: a.org\r\n", HTTP_CUT, "GET", "/", "a.org"},
	{"GET / HTTP/1.1\r\nHost: a.org\r\n\r", HTTP_CUT, "GET", "/", "a.org"},

	{"", HTTP_MORE, NULL, NULL, NULL},
	{"G", HTTP_MORE, NULL, NULL, NULL},
	{"GET ", HTTP_MORE, NULL, NULL, NULL},
	{"GET /", HTTP_MORE, NULL, NULL, NULL},
	{"GET / HTT", HTTP_MORE, NULL, NULL, NULL},
	{"GET / HTTP/1.1\r", HTTP_MORE, NULL, NULL, NULL},

	{"\r\n", HTTP_NONE, NULL, NULL, NULL},
	{" GET / HTTP/1.1\r\n\r\n", HTTP_NONE, NULL, NULL, NULL},
	{"GET\r\n", HTTP_NONE, NULL, NULL, NULL},
	{"GET /\r\n", HTTP_NONE, NULL, NULL, NULL},
	{"GET  / HTTP/1.1\r\n", HTTP_NONE, NULL, NULL, NULL},
	{"GET / HTTP/1.1 \r\n", HTTP_NONE, NULL, NULL, NULL},
	{"GET /  HTTP/1.1\r\n", HTTP_NONE, NULL, NULL, NULL},
	{"GET / HTTP/2.0\r\n", HTTP_NONE, NULL, NULL, NULL},
	{"GET / HTTP/1.x\r\n", HTTP_NONE, NULL, NULL, NULL},
	{"GET / http/1.1\r\n", HTTP_NONE, NULL, NULL, NULL},
	{"GET /a b HTTP/1.1\r\n", HTTP_NONE, NULL, NULL, NULL},
	{"GET /a\tb HTTP/1.1\r\n", HTTP_NONE, NULL, NULL, NULL},
	{"G\xc3T / HTTP/1.1\r\n", HTTP_NONE, NULL, NULL, NULL},
	{"GET(x) / HTTP/1.1\r\n", HTTP_NONE, NULL, NULL, NULL},
	{"METHODTHATISLONGERTHANTHIRTYTWOCH / HTTP/1.1\r\n", HTTP_NONE, NULL, NULL, NULL},
	{"METHODTHATISLONGERTHANTHIRTYTWOCH", HTTP_NONE, NULL, NULL, NULL},
	{"HTTP/1.1 200 OK\r\n\r\n", HTTP_NONE, NULL, NULL, NULL},
	{"\x16\x03\x01\x02", HTTP_NONE, NULL, NULL, NULL},
};

START_TEST(request_head_is_read)
{
	const char *text = request_rows[_i].text;
	struct http_head head;

	ck_assert_msg(parse(&head, HTTP_REQUEST, text, strlen(text)) == request_rows[_i].result,
	              "row %d: %s", _i, text);
	if (request_rows[_i].method == NULL)
		return;
	check_span(&head.method, request_rows[_i].method);
	check_span(&head.target, request_rows[_i].target);
	check_span(&head.host, request_rows[_i].host);
}
END_TEST

/* ---- Responses ---- */

static const struct {
	const char *text;
	enum http_result result;
	unsigned status;
} response_rows[] = {
	{"HTTP/1.1 200 OK\r\n\r\n", HTTP_WHOLE, 200},
	{"HTTP/1.0 404\r\n\r\n", HTTP_WHOLE, 404},
	{"HTTP/1.1 503 \n\n", HTTP_WHOLE, 503},
	{"HTTP/1.1 999 \xff\x01\r\n\r\n", HTTP_WHOLE, 999},
	{"HTTP/1.1 200 OK\r\nServer: x\r\n", HTTP_CUT, 200},
	{"", HTTP_MORE, 0},
	{"HTTP/", HTTP_MORE, 0},
	{"HTTP/1.1 20", HTTP_MORE, 0},
	{"HTTP/1.1 200 and so on", HTTP_MORE, 0},
	{"HTTP/1.1 099 x\r\n", HTTP_NONE, 0},
	{"HTTP/1.1 2000\r\n", HTTP_NONE, 0},
	{"HTTP/1.1 20\r\n", HTTP_NONE, 0},
	{"HTTP/1.1  200\r\n", HTTP_NONE, 0},
	{"HTTP/2.0 200 OK\r\n", HTTP_NONE, 0},
	{"HTTP/1.1\r\n", HTTP_NONE, 0},
	{"ICY 200 OK\r\n", HTTP_NONE, 0},
	{"GET / HTTP/1.1\r\n\r\n", HTTP_NONE, 0},
};

START_TEST(response_head_is_read)
{
	const char *text = response_rows[_i].text;
	struct http_head head;

	ck_assert_msg(parse(&head, HTTP_RESPONSE, text, strlen(text)) == response_rows[_i].result,
	              "row %d: %s", _i, text);
	ck_assert_uint_eq(head.status, response_rows[_i].status);
}
END_TEST

/* ---- Framing ---- */

static const struct {
	const char *fields;
	enum http_framing framing;
	uint64_t body_bytes;
} framing_rows[] = {
	{"", HTTP_NO_LENGTH, 0},
	{"Content-Length: 0\r\n", HTTP_LENGTH, 0},
	{"content-length:1234 \r\n", HTTP_LENGTH, 1234},
	{"Content-Length: 000000000000000007\r\n", HTTP_LENGTH, 7},
	{"Content-Length: 999999999999999999\r\n", HTTP_LENGTH, 999999999999999999},
	{"Content-Length: 9999999999999999999\r\n", HTTP_UNKNOWN_LEN, 0},
	{"Content-Length: 5\r\nContent-Length: 5\r\n", HTTP_LENGTH, 5},
	{"Content-Length: 5\r\nContent-Length: 6\r\nContent-Length: 6\r\n", HTTP_UNKNOWN_LEN, 0},
	{"Content-Length: -1\r\n", HTTP_UNKNOWN_LEN, 0},
	{"Content-Length: 5, 5\r\n", HTTP_UNKNOWN_LEN, 0},
	{"Content-Length:\r\n", HTTP_UNKNOWN_LEN, 0},
	{"Transfer-Encoding: chunked\r\n", HTTP_UNKNOWN_LEN, 0},
	{"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", HTTP_UNKNOWN_LEN, 0},
	{"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", HTTP_UNKNOWN_LEN, 0},
};

START_TEST(framing_is_known_or_said_to_be_unknown)
{
	struct http_head head;
	char text[256];
	int len =
		snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s\r\n", framing_rows[_i].fields);

	ck_assert_int_eq(parse(&head, HTTP_RESPONSE, text, (size_t)len), HTTP_WHOLE);
	ck_assert_uint_eq(head.len, (size_t)len);
	ck_assert_int_eq(head.framing, framing_rows[_i].framing);
	ck_assert_uint_eq(head.body_bytes, framing_rows[_i].body_bytes);
}
END_TEST

/* ---- All of them ---- */

static void check_all_lengths(enum http_kind kind, const char *text)
{
	size_t whole = strlen(text);

	for (size_t len = 0; len <= whole; len++) {
		char *copy = malloc(len > 0 ? len : 1);
		struct http_head head;
		enum http_result result;

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, text, len);
		result = parse(&head, kind, copy, len);
		ck_assert_int_eq(http_head_starts(kind, copy, len),
		                 result == HTTP_CUT || result == HTTP_WHOLE);
		if (result == HTTP_WHOLE)
			ck_assert_uint_le(head.len, len);
		free(copy);
	}
}

START_TEST(any_part_of_a_head_is_read_within_its_bounds)
{
	for (size_t i = 0; i < sizeof(request_rows) / sizeof(request_rows[0]); i++) {
		check_all_lengths(HTTP_REQUEST, request_rows[i].text);
		check_all_lengths(HTTP_RESPONSE, request_rows[i].text);
	}
	for (size_t i = 0; i < sizeof(response_rows) / sizeof(response_rows[0]); i++)
		check_all_lengths(HTTP_RESPONSE, response_rows[i].text);
}
END_TEST

START_TEST(part_of_a_good_start_line_asks_for_more)
{
	const char request[] = "GET /index.html HTTP/1.1\r\n", response[] = "HTTP/1.1 200 OK\r\n";
	struct http_head head;

	for (size_t len = 0; len < sizeof(request) - 1; len++)
		ck_assert_int_eq(parse(&head, HTTP_REQUEST, request, len), HTTP_MORE);
	for (size_t len = 0; len < sizeof(response) - 1; len++)
		ck_assert_int_eq(parse(&head, HTTP_RESPONSE, response, len), HTTP_MORE);
}
END_TEST

START_TEST(head_without_end_is_given_up)
{
	static char text[HTTP_HEAD_MAX + 100];
	struct http_head head;

	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	ck_assert_int_eq(parse(&head, HTTP_REQUEST, text, sizeof(text)), HTTP_NONE);
	memcpy(text, "GET / HTTP/1.1\r\n", 16);
	ck_assert_int_eq(parse(&head, HTTP_REQUEST, text, sizeof(text)), HTTP_CUT);
	memcpy(text + sizeof(text) - 4, "\r\n\r\n", 4);
	ck_assert_int_eq(parse(&head, HTTP_REQUEST, text, sizeof(text)), HTTP_CUT);
}
END_TEST

#define ROWS(rows) ((int)(sizeof(rows) / sizeof((rows)[0])))

int main(void)
{
	Suite *s = suite_create("httpwatch_http_head");
	TCase *tc = tcase_create("head");

	tcase_add_loop_test(tc, request_head_is_read, 0, ROWS(request_rows));
	tcase_add_loop_test(tc, response_head_is_read, 0, ROWS(response_rows));
	tcase_add_loop_test(tc, framing_is_known_or_said_to_be_unknown, 0, ROWS(framing_rows));
	tcase_add_test(tc, any_part_of_a_head_is_read_within_its_bounds);
	tcase_add_test(tc, part_of_a_good_start_line_asks_for_more);
	tcase_add_test(tc, head_without_end_is_given_up);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
