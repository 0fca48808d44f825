/*
 * Conversations as they appear in packets: pieces of either direction, resent, out of step, and
 * the lines that come of them.
 */
#include "apps/httpwatch/http_conn.h"
#include "apps/httpwatch/transaction.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET ((size_t)1 << 20)

static struct http_conn conn;
static size_t budget;
static uint32_t pos[2];
static uint64_t now_ns;
static char told[65536]; /* "method target status;" of each transaction */

static void on_transaction(void *arg, const struct http_request *r, unsigned status,
                           uint64_t time_ns)
{
	size_t len = strlen(told);

	ck_assert_ptr_eq(arg, told);
	snprintf(told + len, sizeof(told) - len, "%.*s %.*s %u;", r ? (int)r->method.len : 1,
	         r ? r->method.at : "-", r ? (int)r->target.len : 1, r ? r->target.at : "-",
	         status);
}

static void begin(void)
{
	budget = BUDGET;
	http_conn_init(&conn, &budget);
	pos[0] = 0xffffff00u; /* numbers wrap */
	pos[1] = 7;
	now_ns = 0;
	told[0] = '\0';
}

static void end(void)
{
	http_conn_fini(&conn, now_ns, NULL, NULL);
	ck_assert_uint_eq(budget, BUDGET);
}

static void feed_at(int from, uint32_t at, const char *text)
{
	http_conn_feed(&conn, from, at, text, strlen(text), now_ns++, on_transaction, told);
}

/* The next piece of that direction. */
static void feed(int from, const char *text)
{
	feed_at(from, pos[from], text);
	pos[from] += (uint32_t)strlen(text);
}

static void client(const char *text)
{
	feed(HTTP_FROM_CLIENT, text);
}

static void server(const char *text)
{
	feed(HTTP_FROM_SERVER, text);
}

START_TEST(responses_answer_requests_in_order)
{
	client("GET /a HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	client("GET /b HTTP/1.1\r\n\r\n");
	client("GET /c HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
	server("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
	ck_assert_str_eq(told, "GET /a 200;GET /b 404;GET /c 500;");
}
END_TEST

START_TEST(several_heads_in_one_piece_are_all_seen)
{
	client("GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET GET /c "
	       "HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nHTT");
	server("HTTP/1.1 201 OK\r\nContent-Length: 9\r\n\r\n1234");
	server("56789HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n");
	ck_assert_str_eq(told, "GET /a 200;POST /b 201;GET /c 202;");
}
END_TEST

START_TEST(what_is_sent_again_is_not_seen_again)
{
	const char request[] = "GET /a HTTP/1.1\r\n\r\n",
		   response[] = "HTTP/1.1 200 OK\r\n\r\nbody";
	uint32_t first[2] = {pos[0], pos[1]};

	client(request);
	feed_at(HTTP_FROM_CLIENT, first[0], request);
	server(response);
	feed_at(HTTP_FROM_SERVER, first[1], response);
	feed_at(HTTP_FROM_CLIENT, first[0], request);
	ck_assert_str_eq(told, "GET /a 200;");
	ck_assert_uint_eq(conn.waiting_count, 0);
}
END_TEST

START_TEST(what_was_dealt_with_by_somebody_else_is_skipped)
{
	const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

	http_conn_skip(&conn, HTTP_FROM_SERVER, pos[1], sizeof(response) - 1);
	server(response);
	ck_assert_str_eq(told, "");
	client("GET /a HTTP/1.1\r\n\r\n");
	http_conn_skip(&conn, HTTP_FROM_CLIENT, pos[0], 1000);
	client("GET /b HTTP/1.1\r\n\r\n");
	server(response);
	server(response);
	ck_assert_str_eq(told, "GET /a 200;GET /b 200;");
}
END_TEST

START_TEST(body_that_looks_like_a_head_is_a_body)
{
	client("PUT /a HTTP/1.1\r\nContent-Length: 40\r\n\r\n");
	client("GET /evil HTTP/1.1\r\nHost: x\r\n\r\n0123456789");
	client("GET /b HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n");
	server("HTTP/1.1 666 no\r\n\r\n.");
	server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	ck_assert_str_eq(told, "PUT /a 200;GET /b 200;");
}
END_TEST

START_TEST(response_without_body_is_known_by_status_and_method)
{
	client("HEAD /a HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
	client("GET /b HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 304 Same\r\nContent-Length: 1000\r\n\r\n");
	client("GET /c HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 204 None\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
	ck_assert_str_eq(told, "HEAD /a 200;GET /b 304;GET /c 204;- - 200;");
}
END_TEST

START_TEST(interim_response_is_not_the_response)
{
	client("PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
	server("HTTP/1.1 100 Continue\r\n\r\n");
	client("x");
	server("HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
	ck_assert_str_eq(told, "PUT /a 201;");
}
END_TEST

START_TEST(chunked_body_is_followed_by_a_head_at_the_start_of_a_piece)
{
	client("GET /a HTTP/1.1\r\n\r\n");
	client("GET /b HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	server("0\r\n\r\n");
	server("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
	ck_assert_str_eq(told, "GET /a 200;GET /b 404;");
}
END_TEST

START_TEST(piece_that_is_missing_does_not_hide_what_follows)
{
	client("GET /a HTTP/1.1\r\n\r\n");
	pos[HTTP_FROM_SERVER] += 5000;
	server("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
	pos[HTTP_FROM_SERVER] += 1u << 31;
	client("GET /b HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
	ck_assert_str_eq(told, "GET /a 200;GET /b 200;");
}
END_TEST

START_TEST(length_that_cannot_be_is_no_length)
{
	client("GET /a HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999\r\n\r\n");
	client("GET /b HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	ck_assert_str_eq(told, "GET /a 200;GET /b 200;");
}
END_TEST

START_TEST(head_that_is_cut_counts_with_what_there_is)
{
	client("GET /a HTTP/1.1\r\nHost: a\r\nCookie: abc");
	client("def\r\n\r\n");
	server("HTTP/1.1 200 OK\r\nServer: abc");
	server("def\r\n\r\nbody");
	ck_assert_str_eq(told, "GET /a 200;");
}
END_TEST

START_TEST(connection_that_changes_its_protocol_is_over)
{
	client("GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
	server("HTTP/1.1 101 Switching\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
	ck_assert_str_eq(told, "GET /chat 101;");
	ck_assert(conn.over && !conn.lost);
	end();
	begin();
	client("CONNECT a:443 HTTP/1.1\r\n\r\n");
	server("HTTP/1.1 200 OK\r\n\r\n");
	ck_assert(conn.over && !conn.lost);
}
END_TEST

START_TEST(requests_without_response_are_told_at_the_end)
{
	client("GET /a HTTP/1.1\r\n\r\n");
	client("GET /b HTTP/1.1\r\n\r\n");
	http_conn_fini(&conn, now_ns, on_transaction, told);
	ck_assert_str_eq(told, "GET /a 0;GET /b 0;");
}
END_TEST

START_TEST(too_many_requests_end_the_watching)
{
	for (int i = 0; i <= HTTP_WAITING_MAX; i++) {
		ck_assert(!conn.over);
		client("GET /a HTTP/1.1\r\n\r\n");
	}
	ck_assert(conn.over && conn.lost);
	ck_assert_uint_eq(conn.waiting_count, HTTP_WAITING_MAX);
}
END_TEST

START_TEST(budget_bounds_all_connections_together)
{
	budget = 10;
	client("GET /a HTTP/1.1\r\n\r\n");
	ck_assert(conn.over && conn.lost);
	ck_assert_uint_eq(budget, 10);
	budget = BUDGET;
}
END_TEST

/* ---- Lines ---- */

static char line[TRANSACTION_LINE_LEN];
static const struct ends ends = {"10.0.0.1:40000", "[fd00::1]:80"};

static void write_line(void *arg, const struct http_request *r, unsigned status, uint64_t time_ns)
{
	ck_assert_uint_eq(transaction_write(line, &ends, r, status, time_ns), strlen(line));
}

static void feed_line(int from, uint64_t time_ns, const char *text)
{
	http_conn_feed(&conn, from, pos[from], text, strlen(text), time_ns, write_line, NULL);
	pos[from] += (uint32_t)strlen(text);
}

START_TEST(line_tells_who_what_and_how_long)
{
	feed_line(HTTP_FROM_CLIENT, 1700000000000002000, "GET /a HTTP/1.1\r\nHost: b.org\r\n\r\n");
	feed_line(HTTP_FROM_SERVER, 1700000001234567890, "HTTP/1.1 200 OK\r\n\r\n");
	ck_assert_str_eq(line, "{\"time\":1700000000.000002,\"client\":\"10.0.0.1:40000\","
	                       "\"server\":\"[fd00::1]:80\",\"method\":\"GET\",\"host\":\"b.org\","
	                       "\"path\":\"/a\",\"status\":200,\"ms\":1234.565}\n");
}
END_TEST

START_TEST(what_was_not_seen_is_null)
{
	feed_line(HTTP_FROM_SERVER, 5000, "HTTP/1.1 200 OK\r\n\r\n");
	ck_assert_str_eq(line, "{\"time\":0.000005,\"client\":\"10.0.0.1:40000\",\"server\":"
	                       "\"[fd00::1]:80\",\"method\":null,\"host\":null,\"path\":null,"
	                       "\"status\":200,\"ms\":null}\n");
	feed_line(HTTP_FROM_CLIENT, 7000, "GET /a HTTP/1.0\r\n\r\n");
	http_conn_fini(&conn, 0, write_line, NULL);
	ck_assert_str_eq(line, "{\"time\":0.000007,\"client\":\"10.0.0.1:40000\",\"server\":"
	                       "\"[fd00::1]:80\",\"method\":\"GET\",\"host\":null,\"path\":\"/a\","
	                       "\"status\":null,\"ms\":null}\n");
}
END_TEST

START_TEST(no_byte_of_a_request_can_end_its_string)
{
	feed_line(HTTP_FROM_CLIENT, 0, "GET /\"\\\xe4 HTTP/1.1\r\nHost: \"}\x01\t\x7f\r\n\r\n");
	feed_line(HTTP_FROM_SERVER, 0, "HTTP/1.1 200 OK\r\n\r\n");
	ck_assert_ptr_nonnull(strstr(line, ",\"path\":\"/\\\"\\\\\\u00e4\","));
	ck_assert_ptr_nonnull(strstr(line, ",\"host\":\"\\\"}\\u0001\\u0009\\u007f\","));
}
END_TEST

START_TEST(longest_line_fits)
{
	static char request[HTTP_HEAD_MAX];
	size_t at = 0;

	memset(request, 0xff, sizeof(request));
	memset(request, 'M', HTTP_METHOD_MAX);
	request[at += HTTP_METHOD_MAX] = ' ';
	at += 1 + HTTP_TARGET_MAX + 5;
	at += (size_t)sprintf(request + at, " HTTP/1.1\r\nHost:");
	request[at] = (char)0xff;
	at += HTTP_HOST_MAX + 5;
	sprintf(request + at, "\r\n\r\n");
	feed_line(HTTP_FROM_CLIENT, UINT64_MAX, request);
	feed_line(HTTP_FROM_SERVER, UINT64_MAX, "HTTP/1.1 200 OK\r\n\r\n");
	ck_assert_uint_gt(strlen(line), 6 * (HTTP_TARGET_MAX + HTTP_HOST_MAX));
	ck_assert_ptr_nonnull(strstr(line, ",\"truncated\":true}\n"));
}
END_TEST

static TCase *line_tests(void)
{
	TCase *tc = tcase_create("line");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, line_tells_who_what_and_how_long);
	tcase_add_test(tc, what_was_not_seen_is_null);
	tcase_add_test(tc, no_byte_of_a_request_can_end_its_string);
	tcase_add_test(tc, longest_line_fits);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("httpwatch_http_conn");
	TCase *tc = tcase_create("conn");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, responses_answer_requests_in_order);
	tcase_add_test(tc, several_heads_in_one_piece_are_all_seen);
	tcase_add_test(tc, what_is_sent_again_is_not_seen_again);
	tcase_add_test(tc, what_was_dealt_with_by_somebody_else_is_skipped);
	tcase_add_test(tc, body_that_looks_like_a_head_is_a_body);
	tcase_add_test(tc, response_without_body_is_known_by_status_and_method);
	tcase_add_test(tc, interim_response_is_not_the_response);
	tcase_add_test(tc, chunked_body_is_followed_by_a_head_at_the_start_of_a_piece);
	tcase_add_test(tc, piece_that_is_missing_does_not_hide_what_follows);
	tcase_add_test(tc, length_that_cannot_be_is_no_length);
	tcase_add_test(tc, head_that_is_cut_counts_with_what_there_is);
	tcase_add_test(tc, connection_that_changes_its_protocol_is_over);
	tcase_add_test(tc, requests_without_response_are_told_at_the_end);
	tcase_add_test(tc, too_many_requests_end_the_watching);
	tcase_add_test(tc, budget_bounds_all_connections_together);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, line_tests());

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
