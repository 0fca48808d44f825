/*
 * The server's part. Single steps with a client that does as it is told; then whole conversations
 * with a client that keeps the rules, over a network that loses packets of both.
 */
#include "apps/blockpage/answer.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "apps/common/seq.h"

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

#define ISN     (UINT32_MAX - 3000) /* so that numbers wrap within a page */
#define REQUEST 500u                /* number of the client's first byte */
#define MSS     1000u
#define WND     65535u

static struct tcphdr tcp;
static struct answer a;
static struct answer_segment s;

static const struct pkt_info *packet(uint32_t seq, uint32_t ack, uint32_t len, unsigned flags)
{
	static struct pkt_info p;

	tcp = (struct tcphdr){.fin = !!(flags & FIN),
	                      .syn = !!(flags & SYN),
	                      .rst = !!(flags & RST),
	                      .ack = !!(flags & ACK)};
	p = (struct pkt_info){
		.seq = seq, .ack_seq = ack, .payloadlen = (uint16_t)len, .tcph = &tcp};
	return &p;
}

static void begin(uint32_t page_len)
{
	answer_begin(&a, packet(REQUEST, ISN, 100, ACK), WND, page_len, MSS);
}

static void receive(uint32_t seq, uint32_t ack, uint32_t len, unsigned flags)
{
	answer_received(&a, packet(seq, ack, len, flags), WND);
}

/* The next segment is that one, and acknowledges that much. */
static void expect(uint32_t off, uint32_t len, bool fin, uint32_t ack)
{
	ck_assert(answer_next(&a, &s));
	ck_assert_uint_eq(s.seq, ISN + off);
	ck_assert_uint_eq(s.len, len);
	ck_assert_uint_eq(s.fin, fin);
	ck_assert_uint_eq(s.ack, ack);
	if (len > 0)
		ck_assert_uint_eq(s.off, off);
}

static void expect_nothing(void)
{
	ck_assert(!answer_next(&a, &s));
}

START_TEST(page_goes_out_at_once_and_both_directions_are_closed)
{
	begin(2500);
	expect(0, 1000, false, 600);
	expect(1000, 1000, false, 600);
	expect(2000, 500, true, 600);
	expect_nothing();
	ck_assert_uint_eq(answer_wait_ms(&a), ANSWER_TIMEOUT_MS);
	receive(600, ISN + 2501, 0, ACK);
	expect_nothing();
	ck_assert_int_eq(a.state, ANSWER_SENDING);
	ck_assert_uint_eq(answer_wait_ms(&a), 0);
	receive(600, ISN + 2501, 0, ACK | FIN);
	expect(2501, 0, false, 601);
	ck_assert_int_eq(a.state, ANSWER_CLOSED);
	receive(600, ISN + 2501, 0, ACK | FIN); /* our ACK was lost */
	expect(2501, 0, false, 601);
	expect_nothing();
}
END_TEST

START_TEST(fin_that_came_with_the_request_is_acknowledged_with_the_page)
{
	answer_begin(&a, packet(REQUEST, ISN, 100, ACK | FIN), WND, 10, MSS);
	expect(0, 10, true, 601);
	receive(601, ISN + 11, 0, ACK);
	expect_nothing();
	ck_assert_int_eq(a.state, ANSWER_CLOSED);
}
END_TEST

START_TEST(request_that_comes_again_is_answered_again)
{
	begin(1500);
	expect(0, 1000, false, 600);
	expect(1000, 500, true, 600);
	receive(REQUEST, ISN, 100, ACK);
	expect(0, 1000, false, 600);
	expect(1000, 500, true, 600);
	expect_nothing();
	receive(600, ISN + 1000, 0, ACK);
	receive(REQUEST, ISN + 1000, 100, ACK);
	expect(1000, 500, true, 600);
	expect_nothing();
}
END_TEST

START_TEST(what_the_client_still_sends_is_taken_in_order)
{
	begin(10);
	expect(0, 10, true, 600);
	receive(700, ISN, 50, ACK | FIN); /* too early */
	expect(11, 0, false, 600);
	receive(600, ISN, 100, ACK);
	expect(11, 0, false, 700);
	receive(650, ISN, 100, ACK | FIN);
	expect(11, 0, false, 751);
	receive(751, ISN + 11, 0, ACK);
	ck_assert_int_eq(a.state, ANSWER_CLOSED);
}
END_TEST

START_TEST(no_more_is_in_flight_than_windows_allow)
{
	uint32_t sent = 0;

	begin(100000);
	while (answer_next(&a, &s))
		sent += s.len;
	ck_assert_uint_eq(sent, 10 * MSS); /* slow start */
	answer_received(&a, packet(600, ISN + 10 * MSS, 0, ACK), 2500);
	expect(10000, 1000, false, 600);
	expect(11000, 1000, false, 600);
	expect_nothing(); /* half a segment waits */
	answer_received(&a, packet(600, ISN + 12000, 0, ACK), 500);
	expect(12000, 500, false, 600);
	expect_nothing();
	answer_received(&a, packet(600, ISN + 12500, 0, ACK), 0);
	expect_nothing();
	answer_timeout(&a);
	expect(12500, 1, false, 600); /* a probe */
	expect_nothing();
}
END_TEST

START_TEST(what_could_not_be_sent_is_told_again)
{
	begin(1500);
	expect(0, 1000, false, 600);
	expect(1000, 500, true, 600);
	answer_unsent(&a, &s);
	expect(1000, 500, true, 600);
	expect_nothing();
	receive(600, ISN + 1501, 10, ACK);
	expect(1501, 0, false, 610);
	answer_unsent(&a, &s);
	expect(1501, 0, false, 610);
	expect_nothing();
}
END_TEST

START_TEST(silence_makes_it_send_again_slower_and_slower_and_give_up)
{
	begin(2500);
	for (unsigned try = 0; try < ANSWER_TRIES_MAX; try++) {
		while (answer_next(&a, &s))
			;
		ck_assert_uint_eq(answer_wait_ms(&a), ANSWER_TIMEOUT_MS << try);
		answer_timeout(&a);
		expect(0, 1000, false, 600);
		expect_nothing();
	}
	answer_timeout(&a);
	ck_assert_int_eq(a.state, ANSWER_GONE);
	expect_nothing();
}
END_TEST

START_TEST(reset_counts_only_with_the_expected_number)
{
	begin(10);
	expect(0, 10, true, 600);
	receive(601, 0, 0, RST);
	expect(11, 0, false, 600);
	ck_assert_int_eq(a.state, ANSWER_SENDING);
	receive(600, 0, 0, RST);
	expect_nothing();
	ck_assert_int_eq(a.state, ANSWER_GONE);
}
END_TEST

START_TEST(numbers_of_nobody_change_nothing)
{
	begin(10);
	expect(0, 10, true, 600);
	receive(600, ISN + 12, 0, ACK); /* of what was never sent */
	receive(600, ISN - 5, 0, ACK);
	ck_assert_uint_eq(a.una, ISN);
	receive(REQUEST - 1, 0, 0, SYN);
	expect(11, 0, false, 600);
	receive(599, ISN, 0, ACK); /* keep-alive */
	expect(11, 0, false, 600);
	ck_assert_int_eq(a.state, ANSWER_SENDING);
}
END_TEST

/* ---- Conversations ---- */

static bool lost(int percent)
{
	return random() % 100 < percent;
}

/* What a client has; it keeps what comes in order only. */
struct client {
	uint32_t rcv_nxt;
	bool got_fin;
	uint32_t una, fin; /* its own: not acknowledged, its FIN */
};

static void client_takes(struct client *c, const struct answer_segment *in)
{
	uint32_t end = in->seq + in->len;

	if (seq_upto(in->seq, c->rcv_nxt) && seq_before(c->rcv_nxt, end + in->fin)) {
		ck_assert(in->len == 0 || in->off == in->seq - ISN);
		c->rcv_nxt = end + in->fin;
		c->got_fin = in->fin;
	}
	if (seq_before(c->una, in->ack))
		c->una = in->ack;
}

static void server_speaks(struct client *c, int percent, bool *heard)
{
	while (answer_next(&a, &s)) {
		if (lost(percent))
			continue;
		client_takes(c, &s);
		*heard = true;
	}
}

START_TEST(all_arrives_whatever_is_lost)
{
	for (unsigned seed = 0; seed < 500; seed++) {
		uint32_t len = (uint32_t)(seed * 97);
		struct client c = {.rcv_nxt = ISN, .una = REQUEST, .fin = 600};
		int rounds = 0;

		srandom(seed);
		begin(len);
		while (a.state == ANSWER_SENDING) {
			bool heard = false;

			ck_assert_int_lt(rounds++, 2000);
			server_speaks(&c, seed % 30, &heard);
			if (heard && !lost((int)(seed % 30)))
				receive(c.una, c.rcv_nxt, c.una == REQUEST ? 100 : 0,
				        ACK | (c.got_fin && c.una == c.fin ? FIN : 0u));
			else if (rounds % 5 == 0)
				answer_timeout(&a);
			else if (c.got_fin && c.una == c.fin)
				receive(c.fin, c.rcv_nxt, 0, ACK | FIN);
			a.tries %= ANSWER_TRIES_MAX; /* it has all the patience */
		}
		ck_assert_int_eq(a.state, ANSWER_CLOSED);
		ck_assert_uint_eq(c.rcv_nxt, ISN + len + 1);
		ck_assert(c.got_fin);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("answer");
	TCase *tc = tcase_create("answer");

	tcase_add_test(tc, page_goes_out_at_once_and_both_directions_are_closed);
	tcase_add_test(tc, fin_that_came_with_the_request_is_acknowledged_with_the_page);
	tcase_add_test(tc, request_that_comes_again_is_answered_again);
	tcase_add_test(tc, what_the_client_still_sends_is_taken_in_order);
	tcase_add_test(tc, no_more_is_in_flight_than_windows_allow);
	tcase_add_test(tc, what_could_not_be_sent_is_told_again);
	tcase_add_test(tc, silence_makes_it_send_again_slower_and_slower_and_give_up);
	tcase_add_test(tc, reset_counts_only_with_the_expected_number);
	tcase_add_test(tc, numbers_of_nobody_change_nothing);
	tcase_add_test(tc, all_arrives_whatever_is_lost);
	suite_add_tcase(suite, tc);

	SRunner *r = srunner_create(suite);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
