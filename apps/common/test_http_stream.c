/*
 * One direction, whole and in pieces: each row is a stream and what is found in it, which must not
 * depend on where the pieces end. Pieces lie in memory of exact size.
 */
#include "apps/common/http_stream.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET ((size_t)1 << 20)

static struct http_stream stream;
static size_t budget;
static char told[4096];

static void open_stream(enum http_kind kind)
{
	budget = BUDGET;
	told[0] = '\0';
	http_stream_init(&stream, kind, &budget);
}

static void close_stream(void)
{
	http_stream_fini(&stream);
	ck_assert_uint_eq(budget, BUDGET);
}

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
	size_t len = strlen(told);
	va_list args;

	va_start(args, format);
	vsnprintf(told + len, sizeof(told) - len, format, args);
	va_end(args);
}

/* As http_conn.c decides it, for want of the other direction. */
static void begin_body(void)
{
	if (stream.fields.framing == HTTP_NO_LENGTH && stream.kind == HTTP_REQUEST)
		http_stream_body(&stream, HTTP_LENGTH, 0);
	else
		http_stream_body(&stream, stream.fields.framing, stream.fields.body_bytes);
}

static void read_all(struct http_span in)
{
	struct http_token t;

	while ((t = http_stream_next(&stream, &in)).what != HTTP_MORE) {
		switch (t.what) {
		case HTTP_START:
			if (stream.kind == HTTP_REQUEST)
				tell("%.*s %.*s ", (int)t.start.method.len, t.start.method.at,
				     (int)t.start.target.len, t.start.target.at);
			else
				tell("%u ", t.start.status);
			break;
		case HTTP_HOST: tell("host %.*s ", (int)t.host.len, t.host.at); break;
		case HTTP_HEAD: begin_body(); break;
		case HTTP_END: tell("%llu;", (unsigned long long)stream.body_bytes); break;
		case HTTP_BAD: tell("bad "); break;
		default: ck_abort();
		}
	}
	ck_assert_uint_eq(in.len, 0);
}

/* Of a copy of exact size. */
static void feed(const char *bytes, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bytes, len);
	read_all((struct http_span){copy, len});
	free(copy);
}

static void feed_text(const char *text)
{
	feed(text, strlen(text));
}

/* n bytes that never came. */
static void miss(uint64_t n)
{
	while (n > 0) {
		n = http_stream_gap(&stream, n);
		read_all((struct http_span){0});
	}
}

static const struct {
	enum http_kind kind;
	const char *text, *found;
} rows[] = {
	{HTTP_REQUEST, "GET / HTTP/1.1\r\nHost: a.org\r\n\r\n", "GET / host a.org 0;"},
	{HTTP_REQUEST, "GET / HTTP/1.1\nhost:a\n\n", "GET / host a 0;"},
	{HTTP_REQUEST, "GET / HTTP/1.1\r\nHost:\r\nHost: b\r\n\r\n", "GET / host  0;"},
	{HTTP_REQUEST, "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.0\r\n\r\n", "GET /a 0;GET /b 0;"},
	{HTTP_REQUEST, "\r\n\r\nGET /a HTTP/1.1\r\n\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
         "GET /a 0;GET /b 0;"},
	{HTTP_REQUEST,
         "POST /a HTTP/1.1\r\nContent-Length: 8\r\n\r\nGET GET GET /b HTTP/1.1\r\n\r\n",
         "POST /a 8;GET /b 0;"},
	{HTTP_REQUEST,
         "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
         "GET / HTTP/1.1\r\n\r\n",
         "PUT / 1;GET / 0;"},
	{HTTP_REQUEST, "GET / HTTP/1.1\r\nHost: a", "GET / "},
	{HTTP_REQUEST, "HELO\r\n", "bad "},
	{HTTP_REQUEST, "\x16\x03\x01 anything", "bad "},
	{HTTP_RESPONSE,
         "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.0 404 x\r\n"
         "Content-Length: 0\r\n\r\n",
         "200 3;404 0;"},
	{HTTP_RESPONSE, "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nHTTP/1.1 500 x\r\n\r\n.",
         "200 19;"},
	{HTTP_RESPONSE,
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         "5\r\n\r\n0\r\n\r\nA;ext=1\r\n0123456789\r\n0\r\nTrailer: x\r\nHTTP/1.1 500 x\r\n\r\n"
         "HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n",
         "200 15;204 0;"},
	{HTTP_RESPONSE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
         "200 3;"},
	{HTTP_RESPONSE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
         "200 bad "},
	{HTTP_RESPONSE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "200 bad "},
	{HTTP_RESPONSE, "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 500 x\r\n\r\n", "200 "},
	{HTTP_RESPONSE, "\r\nHTTP/1.1 200 OK\r\n\r\n", "bad "},
	{HTTP_RESPONSE, "220 mail.example.org ESMTP\r\n", "bad "},
};

START_TEST(messages_are_found_whole)
{
	open_stream(rows[_i].kind);
	feed_text(rows[_i].text);
	ck_assert_str_eq(told, rows[_i].found);
	close_stream();
}
END_TEST

START_TEST(messages_are_found_in_any_two_pieces)
{
	size_t len = strlen(rows[_i].text);

	for (size_t cut = 1; cut < len; cut++) {
		open_stream(rows[_i].kind);
		feed(rows[_i].text, cut);
		feed(rows[_i].text + cut, len - cut);
		ck_assert_str_eq(told, rows[_i].found);
		close_stream();
	}
}
END_TEST

START_TEST(messages_are_found_byte_by_byte)
{
	open_stream(rows[_i].kind);
	for (const char *at = rows[_i].text; *at != '\0'; at++)
		feed(at, 1);
	ck_assert_str_eq(told, rows[_i].found);
	close_stream();
}
END_TEST

START_TEST(what_is_no_message_is_known_before_its_line_ends)
{
	open_stream(HTTP_REQUEST);
	feed_text("\x16");
	ck_assert_str_eq(told, "bad ");
	close_stream();
}
END_TEST

/* ---- Gaps ---- */

#define RESPONSE "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
#define CHUNKED  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

START_TEST(gap_in_a_body_is_counted)
{
	open_stream(HTTP_RESPONSE);
	feed_text(RESPONSE "01");
	miss(5);
	feed_text("789" RESPONSE);
	miss(10);
	feed_text(RESPONSE "0123456789");
	ck_assert_str_eq(told, "200 10;200 10;200 10;");
	ck_assert_uint_eq(stream.body_missed, 0);
	close_stream();
}
END_TEST

START_TEST(gap_in_a_chunk_is_counted)
{
	open_stream(HTTP_RESPONSE);
	feed_text(CHUNKED "a\r\n01");
	miss(8);
	feed_text("\r\n5\r\n");
	miss(4);
	feed_text("4\r\n0\r\n\r\n");
	ck_assert_str_eq(told, "200 15;");
	ck_assert_uint_eq(stream.body_missed, 12);
	close_stream();
}
END_TEST

START_TEST(gap_in_what_lasts_to_the_end_is_counted)
{
	open_stream(HTTP_RESPONSE);
	feed_text("HTTP/1.1 200 OK\r\n\r\nabc");
	miss(1ull << 40);
	feed_text("def");
	ck_assert_uint_eq(stream.body_bytes, (1ull << 40) + 6);
	ck_assert_uint_eq(stream.body_missed, 1ull << 40);
	close_stream();
}
END_TEST

START_TEST(gap_beyond_a_body_ends_it_and_loses_what_follows)
{
	open_stream(HTTP_RESPONSE);
	feed_text(RESPONSE "01");
	miss(9);
	ck_assert_str_eq(told, "200 10;");
	ck_assert_int_eq(stream.state, HTTP_LOST);
	feed_text(RESPONSE);
	ck_assert_str_eq(told, "200 10;");
	http_stream_resume(&stream);
	feed_text(RESPONSE);
	miss(10);
	ck_assert_str_eq(told, "200 10;200 10;");
	close_stream();
}
END_TEST

START_TEST(gap_elsewhere_loses_the_stream)
{
	static const char *const before[] = {
		"",
		"HTTP/1.1 20",
		"HTTP/1.1 200 OK\r\n",
		CHUNKED,
		CHUNKED "a",
		CHUNKED "a\r\n0123456789",
		CHUNKED "2\r\n0",
		CHUNKED "0\r\n",
		CHUNKED "0\r\nTrailer",
	};

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		open_stream(HTTP_RESPONSE);
		feed_text(before[i]);
		miss(2);
		ck_assert_int_eq(stream.state, HTTP_LOST);
		close_stream();
	}
}
END_TEST

/* ---- Limits ---- */

START_TEST(long_field_is_read_up_to_its_limit)
{
	open_stream(HTTP_REQUEST);
	feed_text("GET / HTTP/1.1\r\nCookie: ");
	for (int i = 0; i < 10 * HTTP_LINE_MAX; i += 100) {
		feed_text("0123456789012345678901234567890123456789012345678901234567890123456789"
		          "012345678901234567890123456789");
		ck_assert_uint_ge(budget, BUDGET - HTTP_LINE_MAX);
	}
	feed_text("\r\nHost: a\r\n\r\n");
	ck_assert_str_eq(told, "GET / host a 0;");
	close_stream();
}
END_TEST

START_TEST(start_line_beyond_the_limit_is_none)
{
	open_stream(HTTP_REQUEST);
	feed_text("GET /");
	for (int i = 0; i < HTTP_LINE_MAX; i++)
		feed_text("a");
	feed_text(" HTTP/1.1\r\n");
	ck_assert_str_eq(told, "bad ");
	close_stream();
}
END_TEST

START_TEST(line_that_finds_no_memory_is_an_answer)
{
	struct http_span in = {"GET", 3};

	open_stream(HTTP_REQUEST);
	budget = 10;
	ck_assert_int_eq(http_stream_next(&stream, &in).what, HTTP_NO_ROOM);
	ck_assert_int_eq(stream.state, HTTP_LOST);
	ck_assert_uint_eq(budget, 10);
	budget = BUDGET;
	close_stream();
}
END_TEST

#define ROWS ((int)(sizeof(rows) / sizeof(rows[0])))

int main(void)
{
	Suite *s = suite_create("http_stream");
	TCase *tc = tcase_create("stream");

	tcase_add_loop_test(tc, messages_are_found_whole, 0, ROWS);
	tcase_add_loop_test(tc, messages_are_found_in_any_two_pieces, 0, ROWS);
	tcase_add_loop_test(tc, messages_are_found_byte_by_byte, 0, ROWS);
	tcase_add_test(tc, what_is_no_message_is_known_before_its_line_ends);
	tcase_add_test(tc, gap_in_a_body_is_counted);
	tcase_add_test(tc, gap_in_a_chunk_is_counted);
	tcase_add_test(tc, gap_in_what_lasts_to_the_end_is_counted);
	tcase_add_test(tc, gap_beyond_a_body_ends_it_and_loses_what_follows);
	tcase_add_test(tc, gap_elsewhere_loses_the_stream);
	tcase_add_test(tc, long_field_is_read_up_to_its_limit);
	tcase_add_test(tc, start_line_beyond_the_limit_is_none);
	tcase_add_test(tc, line_that_finds_no_memory_is_an_answer);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
