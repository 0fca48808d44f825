/*
 * Heads and bodies in random pieces, down to bytes: what comes out is always the same.
 */
#include "apps/rewrite/http_edit.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define OUT_MAX 4096

static struct word word;
static struct word_count count;
static struct edits e;
static char out[OUT_MAX];
static size_t out_len;
static struct http_state state;

/* Append the piece from `from` on as its edits make it. */
static void apply(size_t from)
{
	size_t at = from;

	for (unsigned i = 0; i < e.count; i++) {
		const struct edit *edit = &e.edit[i];

		memcpy(out + out_len, e.payload + at, edit->at - at);
		out_len += edit->at - at;
		memcpy(out + out_len, e.text + edit->text, edit->put);
		out_len += edit->put;
		at = edit->at + edit->cut;
	}
	memcpy(out + out_len, e.payload + at, e.len - at);
	out_len += e.len - at;
	ck_assert_uint_lt(out_len, OUT_MAX);
}

static void run(bool is_request, const char *add, const char *in, size_t len, size_t max)
{
	struct http_plan plan = {&word, add, add != NULL ? strlen(add) : 0};
	size_t n;

	out_len = 0;
	if (is_request)
		http_begin_request(&state);
	else
		http_begin_response(&state);
	for (size_t at = 0; at < len; at += n) {
		n = 1 + (size_t)rand() % max;
		n = n < len - at ? n : len - at;
		edits_begin(&e, in, at + n, SIZE_MAX, EDIT_PUT_MAX);
		if (is_request)
			ck_assert(http_edit_request(&state, &plan, &e, at));
		else
			ck_assert(http_edit_response(&state, &plan, &e, at, at + n == len, &count));
		apply(at);
	}
	out[out_len] = '\0';
}

static void becomes(bool is_request, const char *add, const char *in, const char *expected,
                    enum http_phase phase)
{
	ck_assert(word_init(&word, "word", "phrase"));
	for (size_t i = 0; i < 50; i++) {
		run(is_request, add, in, strlen(in), i < 10 ? 1 : 10 * i);
		ck_assert_str_eq(out, expected);
		ck_assert_uint_eq(state.phase, phase);
	}
}

static void request(const char *in, const char *expected, enum http_phase phase)
{
	becomes(true, NULL, in, expected, phase);
}

static void response(const char *in, const char *expected, enum http_phase phase)
{
	becomes(false, NULL, in, expected, phase);
}

static void request_stays(const char *in)
{
	request(in, in, HTTP_PASS);
}

static void response_stays(const char *in)
{
	response(in, in, HTTP_PASS);
}

START_TEST(request_asks_for_a_plain_body_that_ends_with_the_connection)
{
	request("GET /word HTTP/1.1\r\nHost: word\r\nAccept-Encoding: gzip, br\r\n"
	        "connection:keep-alive\r\nRANGE:\tbytes=5-\r\nAccept: */*\r\n\r\n",
	        "GET /word HTTP/1.0\r\nHost: word\r\nAccept-Encoding:         \r\n"
	        "connection:          \r\nRANGE:\t        \r\nAccept: */*\r\n\r\n",
	        HTTP_DONE);
}
END_TEST

START_TEST(values_that_go_on_in_the_next_line_are_blanked_as_a_whole)
{
	request("GET / HTTP/1.1\nConnection: a,\r\n b\r\nX: a\r\n b\r\n\r\n",
	        "GET / HTTP/1.0\nConnection:   \r\n  \r\nX: a\r\n b\r\n\r\n", HTTP_DONE);
}
END_TEST

START_TEST(names_that_are_longer_or_shorter_are_others)
{
	request("GET / HTTP/1.1\r\nConnections: a\r\nConnectio: a\r\nRang\r\nConnection a: "
	        "b\r\n\r\n",
	        "GET / HTTP/1.0\r\nConnections: a\r\nConnectio: a\r\nRang\r\nConnection a: "
	        "b\r\n\r\n",
	        HTTP_DONE);
}
END_TEST

START_TEST(body_of_a_request_and_what_follows_stay)
{
	request("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nword GET / HTTP/1.1\r\nRange: 1\r\n",
	        "POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\nword GET / HTTP/1.1\r\nRange: 1\r\n",
	        HTTP_DONE);
}
END_TEST

START_TEST(line_is_added_behind_the_last_field)
{
	becomes(true, "X-Forwarded-For: 10.0.0.1\r\n",
	        "GET / HTTP/1.1\r\nX-Forwarded-For: 10.9.9.9\r\n\r\nbody\r\n\r\n",
	        "GET / HTTP/1.0\r\nX-Forwarded-For: 10.9.9.9\r\nX-Forwarded-For: 10.0.0.1\r\n"
	        "\r\nbody\r\n\r\n",
	        HTTP_DONE);
	becomes(true, "A: b\r\n", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nA: b\r\n\r\n",
	        HTTP_DONE);
	becomes(true, "A: b\r\n", "GET / HTTP/1.0\n\n", "GET / HTTP/1.0\nA: b\r\n\n", HTTP_DONE);
}
END_TEST

START_TEST(what_is_no_request_stays)
{
	request_stays("SSH-2.0-OpenSSH_9.2\r\nConnection: a\r\n\r\n");
	request_stays("EHLO word\r\nRange: a\r\n\r\n");
	request_stays("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	request_stays("\x16\x03\x01 GET / HTTP/1.1\r\n");
	request_stays(" / HTTP/1.1\r\nRange: a\r\n");
	request_stays("GET  HTTP/1.1\r\nRange: a\r\n");
	request_stays("CONNECT host:443 HTTP/1.1\r\nRange: a\r\n\r\n");
	request_stays("AVERYLONGMETHODTHATNOBODYWOULDEVERUSE / HTTP/1.1\r\nRange: a\r\n\r\n");
	request("CONNECTED / HTTP/1.1\r\n\r\n", "CONNECTED / HTTP/1.0\r\n\r\n", HTTP_DONE);
}
END_TEST

START_TEST(response_loses_its_length_and_the_word)
{
	response("HTTP/1.1 200 a word\r\nContent-Length: 6\r\nX: word\r\n\r\na word, a wor",
	         "HTTP/1.1 200 a word\r\nContent-LengtX: 6\r\nX: word\r\n\r\na phrase, a wor",
	         HTTP_BODY);
	response("HTTP/1.0 404\nCONTENT-LENGTH:6\n\nwordword",
	         "HTTP/1.0 404\nCONTENT-LENGTX:6\n\n"
	         "phrasephrase",
	         HTTP_BODY);
}
END_TEST

START_TEST(interim_responses_stand_in_front)
{
	response("HTTP/1.1 100 Continue\r\nContent-Encoding: gzip\r\n\r\n"
	         "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\n\r\nword",
	         "HTTP/1.1 100 Continue\r\nContent-Encoding: gzip\r\n\r\n"
	         "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\n\r\nphrase",
	         HTTP_BODY);
	response_stays("HTTP/1.1 101 Switching Protocols\r\nUpgrade: word\r\n\r\nword");
}
END_TEST

START_TEST(coded_bodies_stay)
{
	response_stays("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nword");
	response_stays("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nword\r\n");
	response_stays("HTTP/1.1 200 OK\r\nContent-Encoding: identity, gzip\r\n\r\nword");
	response_stays("HTTP/1.1 200 OK\r\nContent-Encoding: id\r\n entity2\r\n\r\nword");
	response("HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\n\r\nword",
	         "HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\n\r\nphrase", HTTP_BODY);
}
END_TEST

START_TEST(what_is_no_response_stays)
{
	response_stays("HTTP/2 200 OK\r\nContent-Length: 4\r\n\r\nword");
	response_stays("ICY 200 OK\r\nContent-Length: 4\r\n\r\nword");
	response_stays("HTTP/1.1 2x0 OK\r\nContent-Length: 4\r\n\r\nword");
	response_stays("word");
}
END_TEST

START_TEST(any_bytes_do_no_harm)
{
	char in[200];

	ck_assert(word_init(&word, "word", "phrase"));
	for (int i = 0; i < 3000; i++) {
		size_t len = (size_t)rand() % sizeof(in);

		for (size_t k = 0; k < len; k++)
			in[k] = rand() % 4 != 0 ? "Content-Length: \r\n"[rand() % 18]
			                        : (char)rand();
		if (len > 17)
			memcpy(in, i % 2 ? "GET / HTTP/1.1\r\n" : "HTTP/1.1 200 OK\r\n", 16);
		run(i % 2, "X: y\r\n", in, len, 1 + (size_t)i % 100);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rewrite_http_edit");
	TCase *tc = tcase_create("http_edit");

	tcase_add_test(tc, request_asks_for_a_plain_body_that_ends_with_the_connection);
	tcase_add_test(tc, values_that_go_on_in_the_next_line_are_blanked_as_a_whole);
	tcase_add_test(tc, names_that_are_longer_or_shorter_are_others);
	tcase_add_test(tc, body_of_a_request_and_what_follows_stay);
	tcase_add_test(tc, line_is_added_behind_the_last_field);
	tcase_add_test(tc, what_is_no_request_stays);
	tcase_add_test(tc, response_loses_its_length_and_the_word);
	tcase_add_test(tc, interim_responses_stand_in_front);
	tcase_add_test(tc, coded_bodies_stay);
	tcase_add_test(tc, what_is_no_response_stays);
	tcase_add_test(tc, any_bytes_do_no_harm);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
