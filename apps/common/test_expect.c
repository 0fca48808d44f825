/*
 * What ends expect: scripts of packets, each with what both ends expect behind it.
 */
#include "apps/common/expect.h"

#include <check.h>
#include <stdlib.h>

enum { CLI = MOS_SIDE_CLI, SVR = MOS_SIDE_SVR };
enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

struct step {
	int from;
	unsigned flags;
	uint32_t seq, ack, len;
	uint32_t client, server; /* expect then */
};

static void note(struct expected *e, const struct step *s)
{
	struct tcphdr tcp = {.fin = !!(s->flags & FIN),
	                     .syn = !!(s->flags & SYN),
	                     .rst = !!(s->flags & RST),
	                     .ack = !!(s->flags & ACK)};
	struct pkt_info p = {
		.seq = s->seq, .ack_seq = s->ack, .payloadlen = (uint16_t)s->len, .tcph = &tcp};

	expected_note(e, s->from, &p);
}

static void run(const struct step *step, int count)
{
	struct expected e = {0};

	for (int i = 0; i < count; i++) {
		note(&e, &step[i]);
		ck_assert_msg(e.next[CLI] == step[i].client && e.next[SVR] == step[i].server,
		              "step %d: client %u, server %u", i, e.next[CLI], e.next[SVR]);
	}
}

#define RUN(steps) run(steps, (int)(sizeof(steps) / sizeof(*(steps))))

START_TEST(connection_is_followed_from_syn_to_fin)
{
	static const struct step steps[] = {
		{CLI, SYN, 100, 0, 0, 0, 101},
		{SVR, SYN | ACK, 900, 101, 0, 901, 101},
		{CLI, ACK, 101, 901, 50, 901, 151},
		{SVR, ACK, 901, 151, 1000, 1901, 151},
		{CLI, ACK | FIN, 151, 1901, 0, 1901, 152},
		{SVR, ACK | FIN, 1901, 152, 10, 1912, 152},
		{CLI, ACK, 152, 1912, 0, 1912, 152},
	};

	RUN(steps);
}
END_TEST

START_TEST(what_comes_behind_a_hole_waits_for_its_ack)
{
	static const struct step steps[] = {
		{CLI, ACK, 100, 900, 10, 900, 110}, {CLI, ACK, 120, 900, 10, 900, 110},
		{CLI, ACK, 110, 900, 10, 900, 120}, {SVR, ACK, 900, 130, 0, 900, 130},
		{CLI, ACK, 100, 900, 10, 900, 130}, /* again */
		{SVR, ACK, 900, 120, 0, 900, 130},  /* late */
	};

	RUN(steps);
}
END_TEST

START_TEST(what_an_end_has_said_is_a_lower_bound)
{
	struct expected e = {0};

	note(&e, &(struct step){CLI, ACK, 100, 900, 10, 0, 0});
	ck_assert(e.acked[SVR] == 100 && e.acked[CLI] == 900);
	note(&e, &(struct step){CLI, ACK, 110, 950, 10, 0, 0});
	ck_assert(e.acked[SVR] == 100 && e.acked[CLI] == 950);
	note(&e, &(struct step){SVR, ACK, 950, 105, 10, 0, 0});
	note(&e, &(struct step){SVR, ACK, 950, 102, 10, 0, 0}); /* late */
	ck_assert(e.acked[SVR] == 105 && e.next[SVR] == 120);
	note(&e, &(struct step){CLI, SYN, 1000, 0, 0, 0, 0});
	ck_assert_uint_eq(e.acked[SVR], 105);
}
END_TEST

START_TEST(numbers_wrap)
{
	static const struct step steps[] = {
		{CLI, ACK, UINT32_MAX - 4, 1, 10, 1, 5},
		{CLI, ACK, UINT32_MAX - 4, 1, 10, 1, 5},
		{SVR, ACK, 1, 5, 3, 4, 5},
	};

	RUN(steps);
}
END_TEST

START_TEST(syn_with_data_and_reset_promise_nothing)
{
	static const struct step steps[] = {
		{CLI, SYN, 100, 0, 30, 0, 101},
		{SVR, SYN | ACK, 900, 101, 0, 901, 101},
		{CLI, RST | ACK, 101, 5000, 0, 901, 101},
	};

	RUN(steps);
}
END_TEST

START_TEST(nothing_is_known_of_an_end_before_it_or_its_peer_is_heard)
{
	struct expected e = {0};

	ck_assert(!e.known[CLI] && !e.known[SVR]);
	note(&e, &(struct step){CLI, SYN, 100, 0, 0, 0, 0});
	ck_assert(!e.known[CLI] && e.known[SVR]);
}
END_TEST

START_TEST(what_does_not_arrive_was_never_sent)
{
	struct tcphdr tcp = {.ack = 1};
	struct pkt_info p = {.seq = 100, .ack_seq = 900, .payloadlen = 10, .tcph = &tcp};
	struct expected e = {0}, before = e;

	expected_note(&e, CLI, &p);
	expected_undo(&e, &before, CLI, &p);
	ck_assert(e.known[SVR] && e.next[SVR] == 100 && e.next[CLI] == 900);

	before = e;
	p.seq = 95; /* some of it again */
	expected_note(&e, CLI, &p);
	ck_assert_uint_eq(e.next[SVR], 105);
	expected_undo(&e, &before, CLI, &p);
	ck_assert_uint_eq(e.next[SVR], 100);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("expect");
	TCase *tc = tcase_create("expect");

	tcase_add_test(tc, connection_is_followed_from_syn_to_fin);
	tcase_add_test(tc, what_comes_behind_a_hole_waits_for_its_ack);
	tcase_add_test(tc, what_an_end_has_said_is_a_lower_bound);
	tcase_add_test(tc, numbers_wrap);
	tcase_add_test(tc, syn_with_data_and_reset_promise_nothing);
	tcase_add_test(tc, nothing_is_known_of_an_end_before_it_or_its_peer_is_heard);
	tcase_add_test(tc, what_does_not_arrive_was_never_sent);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
