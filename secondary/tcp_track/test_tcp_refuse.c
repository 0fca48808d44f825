/*
 * tcp_track on the bench, what a receiver would refuse: resets and SYNs with numbers from nowhere,
 * handshakes that were not answered, segments without ACK. tcp_script.h tells how to read rows; a
 * row that answers B must leave the record as it was.
 */
#include <stdlib.h>

#include "secondary/tcp_track/tcp_script.h"

/* Rows are aligned by hand. */
/* clang-format off */

#define CLOSE_WITH(who, seq) {who, "R", seq, 0, 0, 0, "S", "S", CL, CL}
#define FIN      {'c', "FA", 1, 1, 0, WND, "S", "S", F1, CW}
#define FIN_ACK  {'s', "A",  1, 2, 0, WND, "",  "S", F2, CW}
#define FIN_BACK {'s', "FA", 1, 2, 0, WND, "S", "S", TW, LA}
#define CROSSED  {'s', "FA", 1, 1, 0, WND, "S", "S", CG, CG}
#define ACKED    {'s', "A",  2, 2, 0, WND, "",  "S", TW, CG}

START_TEST(handshake_ack_with_a_wrong_number_is_refused)
{
	static const struct row rows[] = {
		SYN,
		SYN_ACK,
		{'c', "A",  1, 0, 0, WND, "B", "B", ES, SR},
		{'c', "A",  1, 2, 0, WND, "B", "B", ES, SR},
		{'c', "A",  1, 2, 9, WND, "B", "B", ES, SR},
		{'c', "FA", 1, 2, 9, WND, "B", "B", ES, SR},
		{'c', "A",  0, 1, 0, WND, "B", "B", ES, SR},
		{'c', "A",  1, 1, 0, WND, "",  "S", ES, ES},
	};
	RUN(rows);
}
END_TEST

START_TEST(syn_ack_with_a_wrong_number_is_refused)
{
	static const struct row rows[] = {
		SYN,
		{'s', "SA", 0, 0, 0, WND, "B", "B", SS, SR},
		{'s', "SA", 0, 2, 0, WND, "B", "B", SS, SR},
		{'s', "SA", 0, 1, 0, WND, "",  "S", ES, SR},
	};
	static const struct row simultaneous[] = {
		SYN,
		{'s', "S",  0, 0, 0, WND, "",  "S", SR, SR},
		{'c', "SA", 0, 2, 0, WND, "B", "B", SR, SR},
		{'c', "SA", 0, 1, 0, WND, "",  "S", SR, ES},
	};
	RUN(rows);
	RUN(simultaneous);
}
END_TEST

START_TEST(segments_without_ack_are_refused)
{
	static const struct row rows[] = {
		SYN,
		SYN_ACK,
		{'c', "",  1, 1, 5, WND, "B", "B", ES, SR},
		{'c', "A", 1, 1, 0, WND, "",  "S", ES, ES},
		{'c', "",  1, 1, 5, WND, "B", "B", ES, ES},
		{'c', "F", 1, 1, 0, WND, "B", "B", ES, ES},
		{'c', "P", 1, 1, 5, WND, "B", "B", ES, ES},
		{'s', "FA", 1, 1, 0, WND, "S", "S", CW, F1},
		{'c', "F", 1, 1, 0, WND, "B", "B", CW, F1},
	};
	RUN(rows);
}
END_TEST

START_TEST(numbers_out_of_all_reason_are_refused)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "A",  0x40000002, 1, 9, WND, "B", "B", ES, ES},
		{'c', "FA", 0x40000002, 1, 0, WND, "B", "B", ES, ES},
		{'c', "A",  0xbfffffff, 1, 9, WND, "B", "B", ES, ES},
		{'=', "",   1,          1, 0, 0,   "",  "",  0,  0},
	};
	RUN(rows);
}
END_TEST

START_TEST(reset_closes_both_halves)
{
	static const struct row by_server[] = {HANDSHAKE, {'s', "R", 1, 0, 0, 0, "S", "S", CL, CL}};
	static const struct row by_client[] = {HANDSHAKE, {'c', "RA", 1, 1, 0, 0, "S", "S", CL, CL}};

	RUN(by_server);
	RUN(by_client);
}
END_TEST

START_TEST(reset_farther_than_a_window_is_refused)
{
	static const struct row above[] = {
		HANDSHAKE,
		{'c', "R", 1002,             0, 0, 0, "B", "B", ES, ES},
		{'c', "R", 0x80000000,       0, 0, 0, "B", "B", ES, ES},
		{'c', "R", (uint32_t)-1000,  0, 0, 0, "B", "B", ES, ES},
		{'c', "R", 1001,             0, 0, 0, "S", "S", CL, CL},
	};
	static const struct row below[] = {
		HANDSHAKE,
		{'c', "R", (uint32_t)-999,   0, 0, 0, "S", "S", CL, CL},
	};
	RUN(above);
	RUN(below);
}
END_TEST

START_TEST(reset_against_a_closed_window_must_hit)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'s', "A", 1, 1, 0, 0, "",  "",  ES, ES},
		{'c', "R", 0, 0, 0, 0, "B", "B", ES, ES},
		{'c', "R", 2, 0, 0, 0, "B", "B", ES, ES},
		{'c', "R", 1, 0, 0, 0, "S", "S", CL, CL},
	};
	RUN(rows);
}
END_TEST

START_TEST(window_of_a_reset_is_scaled)
{
	static const struct row rows[] = {
		{'c', "S/0",  0, 0, 0, WND, "TS", "TS", SS, SR},
		{'s', "SA/3", 0, 1, 0, WND, "",   "S",  ES, SR},
		{'c', "A",    1, 1, 0, WND, "",   "S",  ES, ES},
		{'c', "R", 1002, 0, 0, 0,   "B",  "B",  ES, ES},
		{'s', "A",    1, 1, 0, WND, "",   "",   ES, ES},
		{'c', "R", 8002, 0, 0, 0,   "B",  "B",  ES, ES},
		{'c', "R", 8001, 0, 0, 0,   "S",  "S",  CL, CL},
	};
	static const struct row largest[] = {
		{'c', "S/14",  0, 0, 0, 65535, "TS", "TS", SS, SR},
		{'s', "SA/14", 0, 1, 0, 65535, "",   "S",  ES, SR},
		{'c', "A",     1, 1, 0, 65535, "",   "S",  ES, ES},
		{'s', "A",     1, 1, 0, 65535, "",   "",   ES, ES},
		{'c', "R", 2 + (65535u << 14), 0, 0, 0, "B", "B", ES, ES},
		{'c', "R", 0 - (65535u << 14), 0, 0, 0, "B", "B", ES, ES},
		{'c', "R", 1 + (65535u << 14), 0, 0, 0, "S", "S", CL, CL},
	};
	RUN(rows);
	RUN(largest);
}
END_TEST

START_TEST(reset_follows_what_the_receiver_got)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "A",    1,    1, 3000, WND, "",  "D", ES, ES},
		{'c', "R",    1,    0,    0, 0,   "B", "B", ES, ES},
		{'c', "R", 3001,    0,    0, 0,   "S", "S", CL, CL},
	};
	RUN(rows);
}
END_TEST

START_TEST(reset_answers_a_syn_only_with_its_number)
{
	static const struct row rows[] = {
		SYN,
		{'s', "R",  0, 1, 0, 0, "B", "B", SS, SR},
		{'s', "RA", 0, 0, 0, 0, "B", "B", SS, SR},
		{'s', "RA", 0, 2, 0, 0, "B", "B", SS, SR},
		{'s', "RA", 0, 1, 0, 0, "S", "S", CL, CL},
	};
	RUN(rows);
}
END_TEST

START_TEST(client_resets_a_handshake)
{
	static const struct row before_syn_ack[] = {SYN, {'c', "R", 1, 0, 0, 0, "S", "S", CL, CL}};
	static const struct row after_syn_ack[] = {
		SYN,
		SYN_ACK,
		{'c', "R", 2000, 0, 0, 0, "B", "B", ES, SR},
		{'c', "R",    1, 0, 0, 0, "S", "S", CL, CL},
	};
	static const struct row by_server[] = {
		SYN,
		SYN_ACK,
		{'s', "RA", 1, 1, 0, 0, "S", "S", CL, CL},
	};
	RUN(before_syn_ack);
	RUN(after_syn_ack);
	RUN(by_server);
}
END_TEST

START_TEST(reset_closes_every_state_from_both_sides)
{
	static const struct row f1[] = {HANDSHAKE, FIN, CLOSE_WITH('s', 1)};
	static const struct row cw[] = {HANDSHAKE, FIN, CLOSE_WITH('c', 2)};
	static const struct row f2[] = {HANDSHAKE, FIN, FIN_ACK, CLOSE_WITH('s', 1)};
	static const struct row f2_own[] = {HANDSHAKE, FIN, FIN_ACK, CLOSE_WITH('c', 2)};
	static const struct row tw[] = {HANDSHAKE, FIN, FIN_ACK, FIN_BACK, CLOSE_WITH('s', 2)};
	static const struct row la[] = {HANDSHAKE, FIN, FIN_ACK, FIN_BACK, CLOSE_WITH('c', 2)};
	static const struct row cg[] = {HANDSHAKE, FIN, CROSSED, CLOSE_WITH('s', 2)};
	static const struct row cg_own[] = {HANDSHAKE, FIN, CROSSED, CLOSE_WITH('c', 2)};
	static const struct row tw_cg[] = {HANDSHAKE, FIN, CROSSED, ACKED, CLOSE_WITH('s', 2)};

	RUN(f1);
	RUN(cw);
	RUN(f2);
	RUN(f2_own);
	RUN(tw);
	RUN(la);
	RUN(cg);
	RUN(cg_own);
	RUN(tw_cg);
}
END_TEST

START_TEST(reset_closes_time_wait_beside_a_closed_half)
{
	static const struct row by_closed[] = {
		HANDSHAKE, FIN, FIN_ACK, FIN_BACK,
		{'c', "A", 2,    2, 0, WND, "", "S", TW, CL},
		{'s', "R", 2000, 0, 0, 0,   "", "B", TW, CL},
		{'s', "R", 2,    0, 0, 0,   "", "S", CL, CL},
	};
	static const struct row by_waiting[] = {
		HANDSHAKE, FIN, FIN_ACK, FIN_BACK,
		{'c', "A", 2,    2, 0, WND, "",  "S", TW, CL},
		{'c', "R", 2000, 0, 0, 0,   "B", "",  TW, CL},
		{'c', "R", 2,    0, 0, 0,   "S", "",  CL, CL},
	};
	RUN(by_closed);
	RUN(by_waiting);
}
END_TEST

START_TEST(syn_inside_the_window_is_neither_new_nor_accepted)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "S",     1, 0, 0, WND, "B", "B", ES, ES},
		{'c', "S",  1001, 0, 0, WND, "B", "B", ES, ES},
		{'s', "S",   500, 0, 0, WND, "B", "B", ES, ES},
		{'s', "SA", 9999, 1, 0, WND, "B", "B", ES, ES},
	};
	RUN(rows);
}
END_TEST

START_TEST(syn_outside_the_window_is_a_new_connection)
{
	static const struct row above[] = {
		HANDSHAKE,
		{'C', "S", 1002, 0, 0, WND, "TS", "TS", SS, SR},
		{'s', "SA",   0, 1, 0, WND, "",   "S",  ES, SR},
	};
	static const struct row below[] = {
		HANDSHAKE,
		{'c', "A",      1, 1, 9, WND, "",   "D",  ES, ES},
		{'C', "S",      1, 0, 0, WND, "TS", "TS", SS, SR},
	};
	static const struct row by_server[] = {
		HANDSHAKE,
		{'S', "S", 77777, 0, 0, WND, "TS", "TS", SS, SR},
	};
	RUN(above);
	RUN(below);
	RUN(by_server);
}
END_TEST

START_TEST(client_that_begins_anew_is_a_new_connection)
{
	static const struct row rows[] = {
		SYN,
		{'C', "S",  1, 0, 0, WND, "TS", "TS", SS, SR},
		{'C', "S", 99, 0, 0, WND, "TS", "TS", SS, SR},
		{'s', "SA", 0, 1, 0, WND, "",   "S",  ES, SR},
	};
	RUN(rows);
}
END_TEST

START_TEST(syn_reuses_a_tuple_in_time_wait)
{
	static const struct row client_waits[] = {
		HANDSHAKE, FIN, FIN_ACK, FIN_BACK,
		{'c', "S", 0, 0, 0, WND, "",   "R",  TW, LA},
		{'C', "S", 5, 0, 0, WND, "TS", "TS", SS, SR},
	};
	static const struct row server_waits[] = {
		HANDSHAKE,
		{'s', "FA", 1, 1, 0, WND, "S",  "S",  CW, F1},
		{'c', "FA", 1, 2, 0, WND, "S",  "S",  LA, TW},
		{'c', "S",  0, 0, 0, WND, "",   "R",  LA, TW},
		{'C', "S",  3, 0, 0, WND, "TS", "TS", SS, SR},
	};
	static const struct row one_closed[] = {
		HANDSHAKE, FIN, FIN_ACK, FIN_BACK,
		{'c', "A", 2, 2, 0, WND, "",   "S",  TW, CL},
		{'C', "S", 0, 0, 0, WND, "TS", "TS", SS, SR},
	};
	RUN(client_waits);
	RUN(server_waits);
	RUN(one_closed);
}
END_TEST

START_TEST(syn_beyond_its_fin_is_a_new_connection)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA", 101, 1, 0, WND, "S",  "",   F1, ES},
		{'c', "S",   50, 0, 0, WND, "B",  "B",  F1, ES},
		{'c', "S",  101, 0, 0, WND, "B",  "B",  F1, ES},
		{'C', "S",  102, 0, 0, WND, "TS", "TS", SS, SR},
	};
	RUN(rows);
}
END_TEST

START_TEST(only_a_plain_syn_is_a_new_connection)
{
	static const uint8_t flags[] = {0, MOS_TCP_ACK, MOS_TCP_FIN, MOS_TCP_SYN | MOS_TCP_ACK,
					MOS_TCP_SYN | MOS_TCP_RST};
	struct mos_flow f = {0};

	f.state[MOS_CLI] = f.state[MOS_SVR] = CL;
	for (size_t i = 0; i < sizeof(flags); i++) {
		struct mos_tcp_seg seg = {.seq = 77, .flags = flags[i]};

		ck_assert(!mos_tcp_syn_is_new(&f, MOS_CLI, &seg));
	}
}
END_TEST

/* clang-format on */

static TCase *handshakes(void)
{
	TCase *tc = tcase_create("handshakes");

	tcase_add_test(tc, handshake_ack_with_a_wrong_number_is_refused);
	tcase_add_test(tc, syn_ack_with_a_wrong_number_is_refused);
	tcase_add_test(tc, segments_without_ack_are_refused);
	tcase_add_test(tc, numbers_out_of_all_reason_are_refused);
	return tc;
}

static TCase *resets(void)
{
	TCase *tc = tcase_create("resets");

	tcase_add_test(tc, reset_closes_both_halves);
	tcase_add_test(tc, reset_farther_than_a_window_is_refused);
	tcase_add_test(tc, reset_against_a_closed_window_must_hit);
	tcase_add_test(tc, window_of_a_reset_is_scaled);
	tcase_add_test(tc, reset_follows_what_the_receiver_got);
	tcase_add_test(tc, reset_answers_a_syn_only_with_its_number);
	tcase_add_test(tc, client_resets_a_handshake);
	tcase_add_test(tc, reset_closes_every_state_from_both_sides);
	tcase_add_test(tc, reset_closes_time_wait_beside_a_closed_half);
	return tc;
}

static TCase *reuse(void)
{
	TCase *tc = tcase_create("reuse");

	tcase_add_test(tc, syn_inside_the_window_is_neither_new_nor_accepted);
	tcase_add_test(tc, syn_outside_the_window_is_a_new_connection);
	tcase_add_test(tc, client_that_begins_anew_is_a_new_connection);
	tcase_add_test(tc, syn_reuses_a_tuple_in_time_wait);
	tcase_add_test(tc, syn_beyond_its_fin_is_a_new_connection);
	tcase_add_test(tc, only_a_plain_syn_is_a_new_connection);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("tcp_refuse");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, handshakes());
	suite_add_tcase(s, resets());
	suite_add_tcase(s, reuse());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
