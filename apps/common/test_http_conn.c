/*
 * Conversations: pieces of either direction in the order of their coming, gaps, and the
 * transactions that come of them, in words:
 *
 *   method target status bytes [note...];     - = not known
 */
#include "apps/common/http_conn.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET ((size_t)1 << 20)
#define OK     "HTTP/1.1 200 OK\r\n"
#define EMPTY  "Content-Length: 0\r\n\r\n"
#define TEN    "Content-Length: 10\r\n\r\n"
#define CHUNKS "Transfer-Encoding: chunked\r\n\r\n"

static struct http_conn conn;
static size_t budget;
static uint64_t now_ns;
static char told[65536];

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
	size_t len = strlen(told);
	va_list args;

	va_start(args, format);
	vsnprintf(told + len, sizeof(told) - len, format, args);
	va_end(args);
}

static void on_transaction(void *arg, const struct http_transaction *t)
{
	const struct http_request *r = t->request;

	ck_assert_ptr_eq(arg, told);
	if (r != NULL)
		tell("%.*s %.*s ", (int)r->method.len, r->method.at, (int)r->target.len,
		     r->target.at);
	else
		tell("- - ");
	if (t->status != 0)
		tell("%u ", t->status);
	else
		tell("- ");
	if (t->status != 0 && !t->body_unknown)
		tell("%llu", (unsigned long long)t->body_bytes);
	else
		tell("-");
	if (r != NULL && (r->body_bytes > 0 || r->body_unknown))
		tell(" sent %llu%s", (unsigned long long)r->body_bytes, r->body_unknown ? "?" : "");
	if (t->body_missed > 0)
		tell(" missed %llu", (unsigned long long)t->body_missed);
	if (t->incomplete)
		tell(" incomplete");
	if (t->resumed)
		tell(" resumed");
	if (t->given_up != NULL)
		tell(" given up: %s", t->given_up);
	tell(";");
}

static void open_conn(bool joined)
{
	budget = BUDGET;
	http_conn_init(&conn, joined, &budget, on_transaction, told);
	now_ns = 0;
	told[0] = '\0';
}

static void begin(void)
{
	open_conn(false);
}

static void end(void)
{
	http_conn_fini(&conn, now_ns);
	ck_assert_uint_eq(budget, BUDGET);
}

/* Join a connection in its middle. */
static void join(void)
{
	end();
	open_conn(true);
}

/* Of a copy of exact size. */
static void feed(int from, const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(len > 0 ? len : 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, len);
	http_conn_feed(&conn, from, copy, len, now_ns++);
	free(copy);
}

static void client(const char *text)
{
	feed(HTTP_FROM_CLIENT, text);
}

static void server(const char *text)
{
	feed(HTTP_FROM_SERVER, text);
}

static void client_gap(uint64_t n)
{
	http_conn_gap(&conn, HTTP_FROM_CLIENT, n, now_ns++);
}

static void server_gap(uint64_t n)
{
	http_conn_gap(&conn, HTTP_FROM_SERVER, n, now_ns++);
}

static void get(const char *path)
{
	client("GET ");
	client(path);
	client(" HTTP/1.1\r\nHost: h\r\n\r\n");
}

static void says(const char *expected)
{
	ck_assert_str_eq(told, expected);
}

/* ---- All is seen ---- */

START_TEST(responses_answer_requests_in_order)
{
	get("/a");
	server(OK "Content-Length: 2\r\n\r\nhi");
	get("/b");
	get("/c");
	server("HTTP/1.1 404 No\r\n" EMPTY);
	server("HTTP/1.1 500 No\r\n" EMPTY);
	says("GET /a 200 2;GET /b 404 0;GET /c 500 0;");
}
END_TEST

START_TEST(messages_of_one_piece_are_all_seen)
{
	client("GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET GET /c "
	       "HTTP/1.1\r\n\r\n");
	server(OK "Content-Length: 3\r\n\r\nHTTHTTP/1.1 201 OK\r\nContent-Length: 9\r\n\r\n1234");
	server("56789HTTP/1.1 202 OK\r\n" EMPTY);
	says("GET /a 200 3;POST /b 201 9 sent 4;GET /c 202 0;");
}
END_TEST

START_TEST(body_that_looks_like_a_head_is_a_body)
{
	client("PUT /a HTTP/1.1\r\nContent-Length: 41\r\n\r\n");
	client("GET /evil HTTP/1.1\r\nHost: x\r\n\r\n0123456789");
	server(OK CHUNKS "13\r\n");
	server("HTTP/1.1 666 no\r\n\r\n\r\n0\r\n\r\n");
	get("/b");
	server(OK EMPTY);
	says("PUT /a 200 19 sent 41;GET /b 200 0;");
}
END_TEST

START_TEST(response_without_body_is_known_by_status_and_method)
{
	client("HEAD /a HTTP/1.1\r\n\r\n");
	server(OK "Content-Length: 1000\r\n\r\n");
	get("/b");
	server("HTTP/1.1 304 Same\r\nContent-Length: 1000\r\n\r\n");
	get("/c");
	get("/d");
	server("HTTP/1.1 204 None\r\n" CHUNKS OK EMPTY);
	says("HEAD /a 200 0;GET /b 304 0;GET /c 204 0;GET /d 200 0;");
}
END_TEST

START_TEST(interim_response_is_not_the_response)
{
	client("PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
	server("HTTP/1.1 100 Continue\r\n\r\n");
	client("x");
	server("HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\n" EMPTY);
	says("PUT /a 201 0 sent 1;");
}
END_TEST

START_TEST(response_may_last_to_the_end_of_the_connection)
{
	get("/a");
	server("HTTP/1.0 200 OK\r\n\r\nabc");
	server("HTTP/1.0 500 no\r\n\r\n");
	says("");
	http_conn_fini(&conn, now_ns);
	says("GET /a 200 22;");
}
END_TEST

START_TEST(response_cut_short_is_incomplete)
{
	get("/a");
	server(OK TEN "0123");
	http_conn_fini(&conn, now_ns);
	says("GET /a 200 4 incomplete;");
}
END_TEST

START_TEST(response_may_come_before_the_request_is_whole)
{
	client("POST /a HTTP/1.1\r\n" TEN "0123");
	server("HTTP/1.1 413 No\r\n" EMPTY);
	client("456789");
	get("/b");
	server(OK EMPTY);
	says("POST /a 413 0 sent 4;GET /b 200 0;");
}
END_TEST

START_TEST(connection_that_changes_its_protocol_is_over)
{
	client("GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
	server("HTTP/1.1 101 Switching\r\n\r\n\x81\x05hello");
	says("GET /chat 101 0;");
	ck_assert(conn.over);
	ck_assert_ptr_null(conn.given_up);
	end();
	begin();
	client("CONNECT a:443 HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 407 Who\r\n" EMPTY);
	ck_assert(!conn.over);
	client("CONNECT a:443 HTTP/1.1\r\n\r\n");
	server(OK "\r\n");
	ck_assert(conn.over);
	says("CONNECT a:443 407 0;CONNECT a:443 200 0;");
}
END_TEST

START_TEST(requests_without_response_are_told_at_the_end)
{
	get("/a");
	get("/b");
	client("POST /c HTTP/1.1\r\n" TEN "01");
	http_conn_fini(&conn, now_ns);
	says("GET /a - -;GET /b - -;POST /c - - sent 2;");
}
END_TEST

/* ---- Not HTTP, and too much ---- */

START_TEST(what_is_not_http_is_said_once)
{
	client("\x16\x03\x01\x02");
	ck_assert(conn.over);
	client("GET / HTTP/1.1\r\n\r\n");
	says("- - - - given up: not HTTP/1;");
	end();
	begin();
	server("SSH-2.0-OpenSSH\r\n");
	ck_assert(conn.over);
	says("- - - - given up: not HTTP/1;");
	end();
	begin();
	get("/a");
	server("HTTP/1.1 200 OK\r\n" CHUNKS "5\r\nabcdefgh\r\n");
	says("GET /a 200 5 incomplete given up: not HTTP/1;");
}
END_TEST

START_TEST(too_many_requests_end_the_watching)
{
	for (int i = 0; i <= HTTP_WAITING_MAX; i++) {
		ck_assert(!conn.over);
		get("/a");
	}
	ck_assert(conn.over);
	ck_assert_str_eq(conn.given_up, "too many requests");
	ck_assert_uint_eq(conn.waiting_count, 0);
}
END_TEST

START_TEST(budget_bounds_all_connections_together)
{
	budget = 10;
	client("GET /a HTTP/1.1\r\n\r\n");
	ck_assert(conn.over);
	ck_assert_uint_eq(budget, 10);
	budget = BUDGET;
}
END_TEST

/* ---- Gaps ---- */

START_TEST(gap_in_a_body_costs_no_transaction)
{
	client("POST /a HTTP/1.1\r\n" TEN "01");
	client_gap(8);
	server(OK TEN);
	server_gap(9);
	server("9");
	get("/b");
	server(OK CHUNKS "a\r\n");
	server_gap(10);
	server("\r\n0\r\n\r\n");
	get("/c");
	server(OK "\r\n");
	server_gap(1000);
	server("x");
	http_conn_fini(&conn, now_ns);
	says("POST /a 200 10 sent 10 missed 9;GET /b 200 10 missed 10;GET /c 200 1001 missed "
	     "1000;");
}
END_TEST

START_TEST(server_that_was_lost_goes_on_at_its_turn)
{
	get("/a");
	server(OK TEN "0123456789");
	get("/b");
	server(OK CHUNKS);
	server_gap(100);
	server(OK EMPTY); /* could be in the body */
	get("/c");
	server(OK TEN "0123456789");
	get("/d");
	server(OK EMPTY);
	says("GET /a 200 10;GET /b 200 0 incomplete;GET /c 200 10 resumed;GET /d 200 0;");
}
END_TEST

START_TEST(response_of_which_the_head_was_missed_leaves_its_request_alone)
{
	get("/a");
	server_gap(50);
	server("rest of the response");
	get("/b");
	server(OK EMPTY);
	says("GET /a - -;GET /b 200 0 resumed;");
}
END_TEST

START_TEST(client_that_was_lost_goes_on_at_its_turn)
{
	get("/a");
	server(OK EMPTY);
	client_gap(20);
	client("GET /evil HTTP/1.1\r\n\r\n");
	server(OK TEN "0123456789"); /* if it answers a HEAD, that is the next response */
	get("/c");
	server(OK EMPTY);
	get("/d");
	server(OK EMPTY);
	says("GET /a 200 0;- - 200 -;GET /c 200 0 resumed;GET /d 200 0;");
}
END_TEST

START_TEST(request_cut_by_a_gap_is_paired_still)
{
	client("GET /a HTTP/1.1\r\nCookie: abc");
	client_gap(20);
	client("def\r\n\r\n");
	server(OK TEN "0123456789");
	get("/b");
	server(OK EMPTY);
	says("GET /a 200 10 sent 0?;GET /b 200 0 resumed;");
}
END_TEST

START_TEST(client_that_does_not_wait_is_given_up_when_lost)
{
	get("/a");
	get("/b");
	server_gap(50);
	ck_assert(conn.over);
	says("GET /a - - given up: lost track;GET /b - - given up: lost track;");
	end();
	begin();
	get("/a");
	server_gap(50);
	get("/b");
	get("/c");
	ck_assert(conn.over);
	says("GET /a - - given up: lost track;GET /b - - given up: lost track;");
}
END_TEST

START_TEST(length_that_cannot_be_loses_the_direction)
{
	get("/a");
	server(OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n" OK EMPTY);
	get("/b");
	server(OK EMPTY);
	client("POST /c HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nGET /evil HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 400 No\r\n" EMPTY);
	get("/d");
	server(OK EMPTY);
	says("GET /a 200 -;GET /b 200 0 resumed;POST /c 400 0 sent 0?;GET /d 200 0 resumed;");
}
END_TEST

/* ---- Joined in the middle ---- */

START_TEST(connection_joined_between_two_transactions_goes_on)
{
	join();
	get("/a");
	server(OK TEN "0123456789");
	get("/b");
	get("/c");
	server(OK TEN "0123456789" OK EMPTY);
	says("GET /a 200 10 resumed;GET /b 200 10;GET /c 200 0;");
}
END_TEST

START_TEST(response_joined_in_its_middle_is_not_invented)
{
	join();
	server(OK TEN "0123456789");
	server("HTTP/1.1 500 x\r\n" EMPTY);
	says("");
	get("/a");
	server(OK EMPTY);
	says("GET /a 200 0 resumed;");
}
END_TEST

START_TEST(request_joined_in_its_body_is_not_invented)
{
	join();
	client("GET /evil HTTP/1.1\r\n\r\nGET /evil HTTP/1.1\r\n\r\nGET /ev");
	client("il HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 201 x\r\n" EMPTY);
	get("/a");
	server(OK EMPTY);
	says("- - 201 0 resumed;GET /a 200 0 resumed;");
}
END_TEST

START_TEST(start_line_that_resumes_may_span_pieces)
{
	join();
	client("GE");
	client("T /a HTTP/1.1\r\n\r\n");
	server("HTT");
	server("P/1.1 100 x\r\n\r\nHTTP/1.1 200 x\r\n" EMPTY);
	says("GET /a 200 0 resumed;");
}
END_TEST

START_TEST(connection_that_never_makes_sense_is_given_up)
{
	join();
	for (int i = 0; i < 4; i++) {
		ck_assert(!conn.over);
		client("\x16 not");
		server("HTTP either");
	}
	ck_assert(conn.over);
	says("- - - - given up: lost track;");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http_conn");
	TCase *tc = tcase_create("conn");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, responses_answer_requests_in_order);
	tcase_add_test(tc, messages_of_one_piece_are_all_seen);
	tcase_add_test(tc, body_that_looks_like_a_head_is_a_body);
	tcase_add_test(tc, response_without_body_is_known_by_status_and_method);
	tcase_add_test(tc, interim_response_is_not_the_response);
	tcase_add_test(tc, response_may_last_to_the_end_of_the_connection);
	tcase_add_test(tc, response_cut_short_is_incomplete);
	tcase_add_test(tc, response_may_come_before_the_request_is_whole);
	tcase_add_test(tc, connection_that_changes_its_protocol_is_over);
	tcase_add_test(tc, requests_without_response_are_told_at_the_end);
	tcase_add_test(tc, what_is_not_http_is_said_once);
	tcase_add_test(tc, too_many_requests_end_the_watching);
	tcase_add_test(tc, budget_bounds_all_connections_together);
	tcase_add_test(tc, gap_in_a_body_costs_no_transaction);
	tcase_add_test(tc, server_that_was_lost_goes_on_at_its_turn);
	tcase_add_test(tc, response_of_which_the_head_was_missed_leaves_its_request_alone);
	tcase_add_test(tc, client_that_was_lost_goes_on_at_its_turn);
	tcase_add_test(tc, request_cut_by_a_gap_is_paired_still);
	tcase_add_test(tc, client_that_does_not_wait_is_given_up_when_lost);
	tcase_add_test(tc, length_that_cannot_be_loses_the_direction);
	tcase_add_test(tc, connection_joined_between_two_transactions_goes_on);
	tcase_add_test(tc, response_joined_in_its_middle_is_not_invented);
	tcase_add_test(tc, request_joined_in_its_body_is_not_invented);
	tcase_add_test(tc, start_line_that_resumes_may_span_pieces);
	tcase_add_test(tc, connection_that_never_makes_sense_is_given_up);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
