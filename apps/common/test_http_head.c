/*
 * The line parsers on rows of bytes. Each row is also read at each of its lengths, in memory of
 * exact size, so that AddressSanitizer sees a step beyond.
 */
#include "apps/common/http_head.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ROWS(rows) ((int)(sizeof(rows) / sizeof((rows)[0])))

static struct http_span span(const char *text)
{
	return (struct http_span){text, strlen(text)};
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

/* ---- Start lines ---- */

/* method NULL: it is no request. */
static const struct {
	const char *line, *method, *target;
} request_rows[] = {
	{"GET / HTTP/1.1", "GET", "/"},
	{"GET / HTTP/1.0", "GET", "/"},
	{"M-SEARCH * HTTP/1.1", "M-SEARCH", "*"},
	{"CONNECT a:443 HTTP/1.1", "CONNECT", "a:443"},
	{"GET http://a/b?c=\xc3\xa4 HTTP/1.1", "GET", "http://a/b?c=\xc3\xa4"},
	{"METHODTHATISASLONGASTHIRTYTWOCHA / HTTP/1.1", "METHODTHATISASLONGASTHIRTYTWOCHA", "/"},
	{"", NULL, NULL},
	{"G", NULL, NULL},
	{"GET", NULL, NULL},
	{"GET ", NULL, NULL},
	{"GET /", NULL, NULL},
	{"GET / ", NULL, NULL},
	{"GET / HTT", NULL, NULL},
	{"GET / HTTP/1.", NULL, NULL},
	{" GET / HTTP/1.1", NULL, NULL},
	{"GET  / HTTP/1.1", NULL, NULL},
	{"GET  HTTP/1.1", NULL, NULL},
	{"GET / HTTP/1.1 ", NULL, NULL},
	{"GET /  HTTP/1.1", NULL, NULL},
	{"GET / HTTP/2.0", NULL, NULL},
	{"GET / HTTP/1.x", NULL, NULL},
	{"GET / http/1.1", NULL, NULL},
	{"GET /a b HTTP/1.1", NULL, NULL},
	{"GET /a\tb HTTP/1.1", NULL, NULL},
	{"G\xc3T / HTTP/1.1", NULL, NULL},
	{"GET(x) / HTTP/1.1", NULL, NULL},
	{"METHODTHATISLONGERTHANTHIRTYTWOCH / HTTP/1.1", NULL, NULL},
	{"PRI * HTTP/2.0", NULL, NULL},
	{"HTTP/1.1 200 OK", NULL, NULL},
	{"\x16\x03\x01\x02", NULL, NULL},
};

START_TEST(request_line_is_read)
{
	struct http_start start;
	bool good = http_start_line(&start, HTTP_REQUEST, span(request_rows[_i].line));

	ck_assert_msg(good == (request_rows[_i].method != NULL), "%s", request_rows[_i].line);
	check_span(&start.method, request_rows[_i].method);
	check_span(&start.target, request_rows[_i].target);
}
END_TEST

/* status 0: it is no response. */
static const struct {
	const char *line;
	unsigned status;
} response_rows[] = {
	{"HTTP/1.1 200 OK", 200},
	{"HTTP/1.0 404", 404},
	{"HTTP/1.1 503 ", 503},
	{"HTTP/1.1 999 \xff\x01", 999},
	{"", 0},
	{"HTTP/", 0},
	{"HTTP/1.1 20", 0},
	{"HTTP/1.1 099 x", 0},
	{"HTTP/1.1 2000", 0},
	{"HTTP/1.1  200", 0},
	{"HTTP/2.0 200 OK", 0},
	{"HTTP/1.1", 0},
	{"ICY 200 OK", 0},
	{"GET / HTTP/1.1", 0},
};

START_TEST(status_line_is_read)
{
	struct http_start start;
	bool good = http_start_line(&start, HTTP_RESPONSE, span(response_rows[_i].line));

	ck_assert_msg(good == (response_rows[_i].status != 0), "%s", response_rows[_i].line);
	ck_assert_uint_eq(start.status, response_rows[_i].status);
}
END_TEST

static const struct {
	const char *bytes;
	bool request, response;
} begin_rows[] = {
	{"", true, true},
	{"G", true, false},
	{"GET ", true, false},
	{"GET \x01", true, false}, /* known when the line is whole */
	{"HTTP", true, true},
	{"HTTP/1.1 2", false, true},
	{"HTTP/1.1 200\xff", false, true},
	{"HTTP/1.1 x", false, false},
	{" ", false, false},
	{"\x16\x03", false, false},
	{"SSH-2.0-x", true, false},
	{"SSH-2.0-OpenSSH(x)", false, false},
	{"METHODTHATISLONGERTHANTHIRTYTWOCH", false, false},
};

START_TEST(first_bytes_tell_what_cannot_become_a_start_line)
{
	const char *bytes = begin_rows[_i].bytes;

	ck_assert_msg(http_may_start(HTTP_REQUEST, bytes, strlen(bytes)) == begin_rows[_i].request,
	              "%s", bytes);
	ck_assert_msg(http_may_start(HTTP_RESPONSE, bytes, strlen(bytes)) ==
	                      begin_rows[_i].response,
	              "%s", bytes);
}
END_TEST

/* ---- Fields ---- */

static const struct {
	const char *lines[4]; /* up to NULL */
	const char *host;
	enum http_framing framing;
	uint64_t body_bytes;
} field_rows[] = {
	{{NULL}, NULL, HTTP_NO_LENGTH, 0},
	{{"Host: a.org"}, "a.org", HTTP_NO_LENGTH, 0},
	{{"HOST:a", "host: b"}, "a", HTTP_NO_LENGTH, 0},
	{{"Host: \t a:80 \t"}, "a:80", HTTP_NO_LENGTH, 0},
	{{"Host:"}, "", HTTP_NO_LENGTH, 0},
	{{"XHost: a", "Hos: b", "no field", " Host: c"}, NULL, HTTP_NO_LENGTH, 0},
	{{"Content-Length: 0"}, NULL, HTTP_LENGTH, 0},
	{{"content-length:1234 "}, NULL, HTTP_LENGTH, 1234},
	{{"Content-Length: 000000000000000007"}, NULL, HTTP_LENGTH, 7},
	{{"Content-Length: 999999999999999999"}, NULL, HTTP_LENGTH, 999999999999999999},
	{{"Content-Length: 9999999999999999999"}, NULL, HTTP_BAD_LENGTH, 0},
	{{"Content-Length: 5", "Content-Length: 5"}, NULL, HTTP_LENGTH, 5},
	{{"Content-Length: 5", "Content-Length: 6", "Content-Length: 6"}, NULL, HTTP_BAD_LENGTH, 0},
	{{"Content-Length: -1"}, NULL, HTTP_BAD_LENGTH, 0},
	{{"Content-Length: 5, 5"}, NULL, HTTP_BAD_LENGTH, 0},
	{{"Content-Length:"}, NULL, HTTP_BAD_LENGTH, 0},
	{{"Transfer-Encoding: chunked"}, NULL, HTTP_CHUNKED, 0},
	{{"Transfer-Encoding: Chunked", "Content-Length: 5"}, NULL, HTTP_CHUNKED, 0},
	{{"Content-Length: 5", "Transfer-Encoding: chunked"}, NULL, HTTP_CHUNKED, 0},
	{{"Content-Length: x", "Transfer-Encoding: gzip, chunked "}, NULL, HTTP_CHUNKED, 0},
	{{"Transfer-Encoding: gzip", "Transfer-Encoding: chunked"}, NULL, HTTP_CHUNKED, 0},
	{{"Transfer-Encoding: chunked, gzip", "Content-Length: 5"}, NULL, HTTP_OTHER_CODING, 0},
	{{"Transfer-Encoding: xchunked"}, NULL, HTTP_OTHER_CODING, 0},
};

START_TEST(fields_tell_host_and_length)
{
	struct http_fields fields = {0};

	for (int i = 0; i < 4 && field_rows[_i].lines[i] != NULL; i++)
		http_field_line(&fields, span(field_rows[_i].lines[i]));
	check_span(&fields.host, field_rows[_i].host);
	ck_assert_int_eq(fields.framing, field_rows[_i].framing);
	ck_assert_uint_eq(fields.body_bytes, field_rows[_i].body_bytes);
}
END_TEST

/* ---- Chunks ---- */

static const struct {
	const char *line;
	bool good;
	uint64_t size;
} chunk_rows[] = {
	{"0", true, 0},
	{"5", true, 5},
	{"fF", true, 255},
	{"00000a", true, 10},
	{"10;name=\"value\"", true, 16},
	{"10 ", true, 16},
	{"10\t;x", true, 16},
	{"fffffffffffffff", true, 0xfffffffffffffff},
	{"0fffffffffffffff", false, 0},
	{"", false, 0},
	{";x", false, 0},
	{" 5", false, 0},
	{"-5", false, 0},
	{"5g", false, 0},
	{"0x5", false, 0},
};

START_TEST(chunk_line_tells_its_size)
{
	uint64_t size;
	bool good = http_chunk_line(&size, span(chunk_rows[_i].line));

	ck_assert_msg(good == chunk_rows[_i].good, "%s", chunk_rows[_i].line);
	if (good)
		ck_assert_uint_eq(size, chunk_rows[_i].size);
}
END_TEST

/* ---- All of them ---- */

static void check_all_lengths(const char *text)
{
	size_t whole = strlen(text);
	struct http_start start;
	uint64_t size;

	for (size_t len = 0; len <= whole; len++) {
		struct http_fields fields = {0};
		char *copy = malloc(len > 0 ? len : 1);
		struct http_span line = {copy, len};

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, text, len);
		for (int kind = HTTP_REQUEST; kind <= HTTP_RESPONSE; kind++)
			if (http_start_line(&start, kind, line))
				ck_assert(http_may_start(kind, copy, len));
		http_field_line(&fields, line);
		http_chunk_line(&size, line);
		free(copy);
	}
}

START_TEST(any_part_of_a_line_is_read_within_its_bounds)
{
	for (int i = 0; i < ROWS(request_rows); i++)
		check_all_lengths(request_rows[i].line);
	for (int i = 0; i < ROWS(response_rows); i++)
		check_all_lengths(response_rows[i].line);
	for (int i = 0; i < ROWS(field_rows); i++)
		if (field_rows[i].lines[0] != NULL)
			check_all_lengths(field_rows[i].lines[0]);
	for (int i = 0; i < ROWS(chunk_rows); i++)
		check_all_lengths(chunk_rows[i].line);
}
END_TEST

START_TEST(part_of_a_good_start_line_may_become_one)
{
	const char request[] = "GET /index.html HTTP/1.1", response[] = "HTTP/1.1 200 OK";

	for (size_t len = 0; len < sizeof(request); len++)
		ck_assert(http_may_start(HTTP_REQUEST, request, len));
	for (size_t len = 0; len < sizeof(response); len++)
		ck_assert(http_may_start(HTTP_RESPONSE, response, len));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http_head");
	TCase *tc = tcase_create("head");

	tcase_add_loop_test(tc, request_line_is_read, 0, ROWS(request_rows));
	tcase_add_loop_test(tc, status_line_is_read, 0, ROWS(response_rows));
	tcase_add_loop_test(tc, first_bytes_tell_what_cannot_become_a_start_line, 0,
	                    ROWS(begin_rows));
	tcase_add_loop_test(tc, fields_tell_host_and_length, 0, ROWS(field_rows));
	tcase_add_loop_test(tc, chunk_line_tells_its_size, 0, ROWS(chunk_rows));
	tcase_add_test(tc, any_part_of_a_line_is_read_within_its_bounds);
	tcase_add_test(tc, part_of_a_good_start_line_may_become_one);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
