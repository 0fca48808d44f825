/*
 * Segments beyond the window of their receiver: told when a sender does what it may not, and never
 * for what real ones do. Scripts of rows: see tcp_script.h; the server's window is in the third row
 * behind the handshake, and the client is the one that sends too much.
 */
#include "secondary/tcp_track/tcp_script.h"

/* clang-format off */

/* The server has been heard: its window reaches from 1 to 1000. */
#define HEARD HANDSHAKE, {'s', "A", 1, 1, 0, WND, "", "", ES, ES}

START_TEST(payload_that_ends_beyond_the_window_is_told)
{
	static const struct row rows[] = {
		HEARD,
		{'c', "A", 1,    1, 1000, WND, "", "D",  ES, ES}, /* to its last byte */
		{'s', "A", 1, 1001, 0,    WND, "", "",   ES, ES},
		{'c', "A", 1501, 1, 500,  WND, "", "",   ES, ES}, /* behind a hole, to its last byte */
		{'c', "A", 1501, 1, 501,  WND, "", "W",  ES, ES},
		{'s', "A", 1, 1001, 0,    WND, "", "",   ES, ES},
		{'c', "A", 2001, 1, 2,    WND, "", "W",  ES, ES},
		{'s', "A", 1, 1001, 0,    WND, "", "",   ES, ES},
		{'c', "A", 9001, 1, 100,  WND, "", "W",  ES, ES},
	};

	RUN(rows);
}
END_TEST

/* Whoever misses packets would be flooded. */
START_TEST(it_is_told_once_until_the_receiver_is_heard_again)
{
	static const struct row rows[] = {
		HEARD,
		{'c', "A", 9001, 1, 100,  WND, "", "W",  ES, ES},
		{'c', "A", 9101, 1, 100,  WND, "", "",   ES, ES},
		{'c', "A", 9201, 1, 100,  WND, "", "",   ES, ES},
		{'s', "A", 1, 1,    0,    WND, "", "",   ES, ES},
		{'c', "A", 9301, 1, 100,  WND, "", "W",  ES, ES},
		{'s', "A", 1, 9401, 0,    WND, "", "",   ES, ES}, /* it had all of it */
		{'c', "A", 9401, 1, 100,  WND, "", "D",  ES, ES},
	};

	RUN(rows);
}
END_TEST

START_TEST(both_directions_have_their_window)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'s', "A", 1,    1, 1000, 50,  "", "D",  ES, ES},
		{'c', "A", 1, 1001, 0,    WND, "", "",   ES, ES},
		{'s', "A", 2001, 1, 2,    50,  "", "W",  ES, ES},
		{'c', "A", 1500, 1001, 51, WND, "", "W", ES, ES},
	};

	RUN(rows);
}
END_TEST

START_TEST(window_is_not_known_before_its_end_was_heard_behind_the_handshake)
{
	static const struct row early[] = { /* the SYN/ACK's window may be small and grow at once */
		HANDSHAKE,
		{'c', "A", 1,    1, 9000, WND, "", "D",  ES, ES},
		{'c', "A", 20001, 1, 100, WND, "", "",   ES, ES},
	};
	static const struct row in_handshake[] = {
		SYN, SYN_ACK,
		{'s', "A", 50001, 1, 9000, WND, "", "",  ES, SR},
	};
	static const struct row missed_syn_ack[] = {
		SYN,
		{'c', "A", 1,    1, 0,    WND, "S", "S", ES, ES},
		{'s', "A", 1,    1, 0,    WND, "", "",   ES, ES}, /* scaled or not: who knows */
		{'c', "A", 9001, 1, 100,  WND, "", "",   ES, ES},
		{'s', "A", 9001, 1, 100,  WND, "", "",   ES, ES},
	};

	RUN(early);
	RUN(in_handshake);
	RUN(missed_syn_ack);
}
END_TEST

START_TEST(window_is_scaled_when_both_syns_offered_it)
{
	static const struct row rows[] = {
		{'c', "S/7",  0, 0, 0, WND, "TS", "TS", SS, SR},
		{'s', "SA/3", 0, 1, 0, WND, "",   "S",  ES, SR},
		{'c', "A", 1,    1, 0, 100, "",   "S",  ES, ES},
		{'s', "A", 1,    1, 0, 100, "",   "",   ES, ES},
		{'c', "A", 801,  1, 200, 100, "", "",   ES, ES}, /* the SYN/ACK's, not scaled, was more */
		{'c', "A", 901,  1, 101, 100, "", "W",  ES, ES},
		{'s', "A", 12701, 1, 100, 100, "", "",  ES, ES}, /* 100 << 7 */
		{'s', "A", 12701, 1, 101, 100, "", "W", ES, ES},
	};

	RUN(rows);
}
END_TEST

/* ---- what real ends do ---- */

START_TEST(probe_of_a_closed_window_is_no_error)
{
	static const struct row rows[] = {
		HEARD,
		{'c', "A", 1,    1, 1000, WND, "", "D",  ES, ES},
		{'s', "A", 1, 1001, 0,    0,   "", "",   ES, ES},
		{'c', "A", 1001, 1, 1,    WND, "", "",   ES, ES}, /* a byte */
		{'s', "A", 1, 1001, 0,    0,   "", "",   ES, ES},
		{'c', "A", 1001, 1, 500,  WND, "", "D",  ES, ES}, /* Linux: as it was cut before */
		{'c', "A", 1000, 1, 1,    WND, "", "R",  ES, ES}, /* keep-alives */
		{'c', "A", 1000, 1, 0,    WND, "", "",   ES, ES},
	};
	static const struct row never_open[] = {
		{'c', "S",  0, 0, 0, WND, "TS", "TS", SS, SR},
		{'s', "SA", 0, 1, 0, 0,   "",   "S",  ES, SR},
		{'c', "A",  1, 1, 0, WND, "",   "S",  ES, ES},
		{'s', "A",  1, 1, 0, 0,   "",   "",   ES, ES},
		{'c', "A",  1, 1, 1, WND, "",   "",   ES, ES},
		{'c', "A",  1, 1, 2, WND, "",   "WD", ES, ES},
	};

	RUN(rows);
	RUN(never_open);
}
END_TEST

/* The edge that an ACK gave holds, whatever later ones say, in whatever order they come. */
START_TEST(window_that_shrinks_takes_no_edge_back)
{
	static const struct row rows[] = {
		HEARD,
		{'c', "A", 501,  1, 500,  WND, "", "",   ES, ES}, /* 1 to 500 are lost */
		{'s', "A", 1,    1, 0,    300, "", "",   ES, ES},
		{'c', "A", 501,  1, 500,  WND, "", "",   ES, ES},
		{'s', "A", 1,    1, 0,    0,   "", "",   ES, ES},
		{'c', "A", 1,    1, 1000, WND, "", "D",  ES, ES},
	};

	RUN(rows);
}
END_TEST

/* A sender need not wait for ACKs, and ACKs may pass where the monitor does not see them. */
START_TEST(stream_without_acks_is_no_error)
{
	static const struct row rows[] = {
		HEARD,
		{'c', "A", 1,    1, 1000, WND, "", "D",  ES, ES},
		{'c', "A", 1001, 1, 1000, WND, "", "D",  ES, ES},
		{'c', "A", 2001, 1, 1000, WND, "", "D",  ES, ES},
	};

	RUN(rows);
}
END_TEST

START_TEST(what_no_receiver_takes_has_no_window)
{
	static const struct row closed[] = { /* data behind its own FIN */
		HEARD,
		{'c', "FA", 1,    1, 0,    WND, "S", "S", F1, CW},
		{'c', "A",  9001, 1, 100,  WND, "", "",   F1, CW},
	};
	static const struct row others[] = {
		HEARD,
		{'c', "",   9001, 1, 100,  WND, "B", "B", ES, ES}, /* no ACK flag */
		{'c', "FA", 9001, 1, 0,    WND, "S", "",  F1, ES}, /* no payload */
		{'c', "RA", 9001, 1, 100,  WND, "B", "B", F1, ES},
		{'c', "SA", 9001, 1, 100,  WND, "B", "B", F1, ES},
	};

	RUN(closed);
	RUN(others);
}
END_TEST

/* clang-format on */

/* A successor does not know what its predecessor's flows did meanwhile. */
START_TEST(window_is_unknown_after_the_monitor_was_away)
{
	static const struct row before[] = {HEARD};
	struct mos_tcp_seg far = {.seq = 9001, .ack = 1, .payload_len = 100, .flags = MOS_TCP_ACK};
	struct mos_tcp_seg heard = {.seq = 1, .ack = 1, .wnd = WND, .flags = MOS_TCP_ACK};
	struct mos_flow f;

	script_run_at(&f, before, 4, 0, 0);
	ck_assert(mos_tcp_beyond_window(&f, MOS_SVR, &far));
	mos_tcp_missed(&f);
	ck_assert(!mos_tcp_beyond_window(&f, MOS_SVR, &far));
	ck_assert(!mos_tcp_beyond_window(&f, MOS_CLI, &far));
	mos_tcp_sent(&f, MOS_SVR, &heard);
	ck_assert(mos_tcp_beyond_window(&f, MOS_SVR, &far));
	ck_assert(!mos_tcp_beyond_window(&f, MOS_CLI, &far));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tcp_window");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, payload_that_ends_beyond_the_window_is_told);
	tcase_add_test(tc, it_is_told_once_until_the_receiver_is_heard_again);
	tcase_add_test(tc, both_directions_have_their_window);
	tcase_add_test(tc, window_is_not_known_before_its_end_was_heard_behind_the_handshake);
	tcase_add_test(tc, window_is_scaled_when_both_syns_offered_it);
	tcase_add_test(tc, probe_of_a_closed_window_is_no_error);
	tcase_add_test(tc, window_that_shrinks_takes_no_edge_back);
	tcase_add_test(tc, stream_without_acks_is_no_error);
	tcase_add_test(tc, what_no_receiver_takes_has_no_window);
	tcase_add_test(tc, window_is_unknown_after_the_monitor_was_away);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
