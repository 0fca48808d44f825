/*
 * tcp_track on the bench, what both ends and the monitor see alike: opening, data, closing. Scripts
 * of rows, tcp_script.h tells how to read them. What is refused: test_tcp_refuse.c; what the
 * monitor missed: test_tcp_missed.c.
 */
#include <stdlib.h>

#include "secondary/tcp_track/tcp_script.h"

/* Rows are aligned by hand. */
/* clang-format off */

START_TEST(handshake_establishes_both)
{
	static const struct row rows[] = {
		{'c', "S",  0, 0, 0, WND, "TS", "TS", SS, SR},
		{'s', "SA", 0, 1, 0, WND, "",   "S",  ES, SR},
		{'c', "A",  1, 1, 0, WND, "",   "S",  ES, ES},
		{'=', "",   1, 1, 0, 0,   "",   "",   0,  0},
	};
	RUN(rows);
}
END_TEST

START_TEST(repeated_syn_is_a_retransmission_only)
{
	static const struct row rows[] = {
		SYN,
		{'c', "S",  0, 0, 0, WND, "", "R", SS, SR},
		SYN_ACK,
		{'c', "S",  0, 0, 0, WND, "", "R", ES, SR},
		{'c', "A",  1, 1, 0, WND, "", "S", ES, ES},
		{'c', "S",  0, 0, 0, WND, "", "R", ES, ES},
	};
	RUN(rows);
}
END_TEST

START_TEST(repeated_syn_ack_is_a_retransmission_only)
{
	static const struct row rows[] = {
		SYN,
		SYN_ACK,
		{'s', "SA", 0, 1, 0, WND, "", "R", ES, SR},
		{'c', "A",  1, 1, 0, WND, "", "S", ES, ES},
		{'s', "SA", 0, 1, 0, WND, "", "R", ES, ES},
		{'=', "",   1, 1, 0, 0,   "", "",  0,  0},
	};
	RUN(rows);
}
END_TEST

START_TEST(syn_ack_may_choose_another_number_until_one_is_accepted)
{
	static const struct row rows[] = {
		SYN,
		{'s', "SA", 90, 7, 0, WND, "B", "B", SS, SR},
		{'s', "SA",  0, 1, 0, WND, "",  "S", ES, SR},
		{'s', "SA", 50, 1, 0, WND, "B", "B", ES, SR},
		{'c', "A",   1, 1, 0, WND, "",  "S", ES, ES},
	};
	RUN(rows);
}
END_TEST

START_TEST(simultaneous_open_establishes_both)
{
	static const struct row rows[] = {
		SYN,
		{'s', "S",  0, 0, 0, WND, "", "S", SR, SR},
		{'s', "S",  0, 0, 0, WND, "", "R", SR, SR},
		{'c', "SA", 0, 1, 0, WND, "", "S", SR, ES},
		{'s', "SA", 0, 1, 0, WND, "", "S", ES, ES},
		{'c', "SA", 0, 1, 0, WND, "", "R", ES, ES},
		{'c', "A",  1, 1, 5, WND, "", "D", ES, ES},
		{'s', "A",  1, 6, 7, WND, "", "D", ES, ES},
	};
	RUN(rows);
}
END_TEST

START_TEST(split_handshake_establishes_both)
{
	static const struct row rows[] = {
		SYN,
		{'s', "S",  0, 0, 0, WND, "", "S", SR, SR},
		{'c', "SA", 0, 1, 0, WND, "", "S", SR, ES},
		{'s', "A",  1, 1, 0, WND, "", "S", ES, ES},
	};
	RUN(rows);
}
END_TEST

START_TEST(data_on_a_syn_counts_when_the_server_takes_it)
{
	static const struct row rows[] = {
		{'c', "S",   0,  0, 10, WND, "TS", "TS", SS, SR},
		{'s', "SA",  0, 11,  0, WND, "",   "S",  ES, SR},
		{'=', "",   11,  1,  0, 0,   "",   "",   0,  0},
		{'c', "A",  11,  1,  5, WND, "",   "SD", ES, ES},
	};
	RUN(rows);
}
END_TEST

START_TEST(data_on_a_syn_that_the_server_leaves_is_sent_again_as_new)
{
	static const struct row rows[] = {
		{'c', "S",   0, 0, 10, WND, "TS", "TS", SS, SR},
		{'s', "SA",  0, 1,  0, WND, "",   "S",  ES, SR},
		{'c', "A",   1, 1, 10, WND, "",   "SD", ES, ES},
		{'c', "A",   1, 1, 10, WND, "",   "R",  ES, ES},
	};
	RUN(rows);
}
END_TEST

START_TEST(data_on_handshake_segments_is_received)
{
	static const struct row rows[] = {
		SYN,
		{'s', "SA", 0, 1, 8, WND, "", "SD", ES, SR},
		{'c', "A",  1, 9, 4, WND, "", "SD", ES, ES},
		{'=', "",   5, 9, 0, 0,   "", "",   0,  0},
	};
	RUN(rows);
}
END_TEST

START_TEST(fin_on_a_syn_is_ignored)
{
	static const struct row rows[] = {
		{'c', "SF", 0, 0, 0, WND, "TS", "TS", SS, SR},
		{'s', "SAF", 0, 1, 0, WND, "",  "S",  ES, SR},
		{'c', "A",  1, 1, 0, WND, "",   "S",  ES, ES},
	};
	RUN(rows);
}
END_TEST

START_TEST(nothing_but_a_syn_leaves_listen)
{
	static const struct row rows[] = {
		{'c', "A",  1, 1, 0, WND, "", "", LI, LI},
		{'s', "SA", 0, 1, 0, WND, "", "", LI, LI},
		{'c', "FA", 1, 1, 9, WND, "", "", LI, LI},
		{'c', "R",  1, 1, 0, WND, "", "", LI, LI},
		{'c', "",   1, 1, 0, WND, "", "", LI, LI},
		SYN,
	};
	RUN(rows);
}
END_TEST

START_TEST(data_in_order_is_data_and_an_ack_is_nothing)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "PA",   1,   1, 100, WND, "", "D", ES, ES},
		{'s', "A",    1, 101,   0, WND, "", "",  ES, ES},
		{'s', "PA",   1, 101, 200, WND, "", "D", ES, ES},
		{'c', "A",  101, 201,   0, WND, "", "",  ES, ES},
		{'=', "",   101, 201,   0, 0,   "", "",  0,  0},
	};
	RUN(rows);
}
END_TEST

START_TEST(data_out_of_order_waits_for_the_hole)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "A", 101,   1, 100, WND, "", "",  ES, ES},
		{'c', "A", 201,   1, 100, WND, "", "",  ES, ES},
		{'=', "",    1,   1,   0, 0,   "", "",  0,  0},
		{'c', "A",   1,   1, 100, WND, "", "D", ES, ES},
		{'=', "",  101,   1,   0, 0,   "", "",  0,  0},
		{'s', "A",   1, 301,   0, WND, "", "",  ES, ES},
		{'=', "",  301,   1,   0, 0,   "", "",  0,  0},
		{'c', "A", 301,   1,  50, WND, "", "D", ES, ES},
	};
	RUN(rows);
}
END_TEST

START_TEST(data_seen_before_is_a_retransmission)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "A",   1, 1, 100, WND, "", "D",  ES, ES},
		{'c', "A",   1, 1, 100, WND, "", "R",  ES, ES},
		{'c', "A",  50, 1,  10, WND, "", "R",  ES, ES},
		{'c', "A",  51, 1, 100, WND, "", "RD", ES, ES},
		{'=', "",  151, 1,   0, 0,   "", "",   0,  0},
		{'c', "A", 100, 1,  51, WND, "", "R",  ES, ES},
	};
	RUN(rows);
}
END_TEST

START_TEST(keep_alive_probe_is_nothing_without_a_byte_and_a_retransmission_with_one)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "A",   1,   1, 100, WND, "", "D", ES, ES},
		{'s', "A",   1, 101,   0, WND, "", "",  ES, ES},
		{'c', "A", 100,   1,   0, WND, "", "",  ES, ES},
		{'c', "A", 100,   1,   1, WND, "", "R", ES, ES},
		{'s', "A",   0, 101,   0, WND, "", "",  ES, ES},
		{'=', "",  101,   1,   0, 0,   "", "",  0,  0},
	};
	RUN(rows);
}
END_TEST

START_TEST(probe_of_a_closed_window_counts_when_acknowledged)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "A",   1,   1, 100, WND, "", "D", ES, ES},
		{'s', "A",   1, 101,   0, 0,   "", "",  ES, ES},
		{'c', "A", 101,   1,   1, WND, "", "",  ES, ES},
		{'c', "A", 100,   1,   0, WND, "", "",  ES, ES},
		{'c', "A", 101,   1,   1, WND, "", "",  ES, ES},
		{'s', "A",   1, 101,   0, 0,   "", "",  ES, ES},
		{'=', "",  101,   1,   0, 0,   "", "",  0,  0},
		{'s', "A",   1, 102,   0, 0,   "", "",  ES, ES},
		{'=', "",  102,   1,   0, 0,   "", "",  0,  0},
		{'s', "A",   1, 102,   0, WND, "", "",  ES, ES},
		{'c', "A", 102,   1,   1, WND, "", "D", ES, ES},
	};
	RUN(rows);
}
END_TEST

START_TEST(client_closes_first)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA", 1, 1, 0, WND, "S", "S", F1, CW},
		{'s', "A",  1, 2, 0, WND, "",  "S", F2, CW},
		{'s', "FA", 1, 2, 0, WND, "S", "S", TW, LA},
		{'c', "A",  2, 2, 0, WND, "",  "S", TW, CL},
		{'=', "",   2, 2, 0, 0,   "",  "",  0,  0},
	};
	RUN(rows);
}
END_TEST

START_TEST(server_closes_first)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'s', "FA", 1, 1, 0, WND, "S", "S", CW, F1},
		{'c', "A",  1, 2, 0, WND, "",  "S", CW, F2},
		{'c', "FA", 1, 2, 0, WND, "S", "S", LA, TW},
		{'s', "A",  2, 2, 0, WND, "",  "S", CL, TW},
	};
	RUN(rows);
}
END_TEST

START_TEST(fin_answered_by_fin_and_ack_in_one_segment)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA", 1, 1, 0, WND, "S", "S", F1, CW},
		{'s', "FA", 1, 2, 0, WND, "S", "S", TW, LA},
		{'c', "A",  2, 2, 0, WND, "",  "S", TW, CL},
	};
	RUN(rows);
}
END_TEST

START_TEST(data_comes_before_the_fin_of_its_segment)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA",  1,  1, 10, WND, "S", "SD", F1, CW},
		{'s', "FA",  1, 12, 20, WND, "S", "SD", TW, LA},
		{'c', "A",  12, 22,  0, WND, "",  "S",  TW, CL},
		{'=', "",   12, 22,  0, 0,   "",  "",   0,  0},
	};
	RUN(rows);
}
END_TEST

START_TEST(repeated_fin_is_a_retransmission_in_every_state)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA",  1,  1, 10, WND, "S", "SD", F1, CW},
		{'c', "FA",  1,  1, 10, WND, "",  "R",  F1, CW},
		{'c', "FA", 11,  1,  0, WND, "",  "R",  F1, CW},
		{'s', "A",   1, 12,  0, WND, "",  "S",  F2, CW},
		{'s', "FA",  1, 12,  0, WND, "S", "S",  TW, LA},
		{'s', "FA",  1, 12,  0, WND, "",  "R",  TW, LA},
		{'c', "FA", 11,  2,  0, WND, "",  "SR", TW, CL},
	};
	RUN(rows);
}
END_TEST

START_TEST(fins_that_cross_close_simultaneously)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA", 1, 1, 0, WND, "S", "S", F1, CW},
		{'s', "FA", 1, 1, 0, WND, "S", "S", CG, CG},
		{'c', "A",  2, 2, 0, WND, "",  "S", CG, TW},
		{'s', "A",  2, 2, 0, WND, "",  "S", TW, TW},
	};
	RUN(rows);
}
END_TEST

START_TEST(half_closed_connection_carries_data_the_other_way)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA",  1,   1,   0, WND, "S", "S",  F1, CW},
		{'s', "A",   1,   1, 100, WND, "",  "D",  F1, CW},
		{'s', "A", 101,   2, 100, WND, "",  "SD", F2, CW},
		{'c', "A",   2, 201,   0, WND, "",  "",   F2, CW},
		{'s', "A", 201,   2, 100, WND, "",  "D",  F2, CW},
		{'s', "A", 101,   2, 100, WND, "",  "R",  F2, CW},
		{'s', "FA", 301,  2,   0, WND, "S", "S",  TW, LA},
		{'c', "A",   2, 302,   0, WND, "",  "S",  TW, CL},
	};
	RUN(rows);
}
END_TEST

START_TEST(fin_before_missing_data_is_remembered)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA", 101,   1,   0, WND, "S", "",   F1, ES},
		{'s', "A",    1,   1,   0, WND, "",  "",   F1, ES},
		{'c', "A",    1,   1, 100, WND, "",  "SD", F1, CW},
		{'=', "",   102,   1,   0, 0,   "",  "",   0,  0},
		{'s', "A",    1, 102,   0, WND, "",  "S",  F2, CW},
	};
	RUN(rows);
}
END_TEST

START_TEST(fin_with_data_behind_a_hole_is_remembered)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA", 101, 1, 50, WND, "S", "",   F1, ES},
		{'c', "A",    1, 1, 50, WND, "",  "D",  F1, ES},
		{'c', "A",   51, 1, 50, WND, "",  "D",  F1, ES},
		{'c', "FA", 101, 1, 50, WND, "",  "SD", F1, CW},
		{'=', "",   152, 1,  0, 0,   "",  "",   0,  0},
	};
	RUN(rows);
}
END_TEST

START_TEST(fin_before_missing_data_is_remembered_by_a_half_that_closed)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA", 1,   1,   0, WND, "S", "S",  F1, CW},
		{'s', "FA", 101, 1,   0, WND, "S", "",   F1, CG},
		{'s', "A",  1,   1, 100, WND, "",  "SD", CG, CG},
		{'s', "A",  102, 2,   0, WND, "",  "S",  TW, CG},
		{'c', "A",  2, 102,   0, WND, "",  "S",  TW, TW},
	};
	static const struct row acked[] = {
		HANDSHAKE,
		{'c', "FA", 1,   1,   0, WND, "S", "S",  F1, CW},
		{'s', "FA", 101, 2,   0, WND, "S", "S",  F2, LA},
		{'s', "A",  1,   2, 100, WND, "",  "SD", TW, LA},
		{'c', "A",  2, 102,   0, WND, "",  "S",  TW, CL},
	};
	RUN(rows);
	RUN(acked);
}
END_TEST

START_TEST(own_ack_of_a_remembered_fin_moves_the_half_that_sent_it)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA", 101,   1, 0, WND, "S", "",  F1, ES},
		{'s', "A",    1, 102, 0, WND, "S", "S", F2, CW},
		{'s', "FA",   1, 102, 0, WND, "S", "S", TW, LA},
	};
	static const struct row one_segment[] = {
		HANDSHAKE,
		{'c', "FA", 101,   1, 0, WND, "S", "",  F1, ES},
		{'s', "FA",   1, 102, 0, WND, "S", "S", TW, LA},
	};
	static const struct row fin_wait_1[] = {
		HANDSHAKE,
		{'c', "FA",   1,   1, 0, WND, "S", "S", F1, CW},
		{'s', "FA", 101,   1, 0, WND, "S", "",  F1, CG},
		{'c', "A",    2, 102, 0, WND, "S", "S", CG, TW},
	};
	static const struct row fin_wait_2[] = {
		HANDSHAKE,
		{'c', "FA",   1,   1, 0, WND, "S", "S", F1, CW},
		{'s', "FA", 101,   2, 0, WND, "S", "S", F2, LA},
		{'c', "A",    2, 102, 0, WND, "S", "S", TW, CL},
	};
	RUN(rows);
	RUN(one_segment);
	RUN(fin_wait_1);
	RUN(fin_wait_2);
}
END_TEST

START_TEST(data_behind_a_fin_is_not_received)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA", 1, 1, 0, WND, "S", "S", F1, CW},
		{'c', "A",  2, 1, 9, WND, "",  "",  F1, CW},
		{'=', "",   2, 1, 0, 0,   "",  "",  0,  0},
		{'s', "A",  1, 2, 0, WND, "",  "S", F2, CW},
	};
	RUN(rows);
}
END_TEST

START_TEST(segments_of_a_closed_connection_change_nothing)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'s', "R",  1, 0, 0, WND, "S", "S", CL, CL},
		{'c', "A",  1, 1, 9, WND, "",  "",  CL, CL},
		{'s', "SA", 0, 1, 0, WND, "",  "",  CL, CL},
		{'s', "FA", 1, 1, 0, WND, "",  "",  CL, CL},
		{'s', "R",  1, 1, 0, WND, "",  "",  CL, CL},
	};
	RUN(rows);
}
END_TEST

/* clang-format on */

START_TEST(options_of_both_syns_are_kept)
{
	static const struct row rows[] = {
		{'c', "S/7", 0, 0, 0, 100, "TS", "TS", SS, SR},
		{'s', "SA/2", 0, 1, 0, 200, "", "S", ES, SR},
	};
	static const struct row more[] = {
		{'c', "S/7", 0, 0, 0, 100, "TS", "TS", SS, SR},
		{'s', "SA/2", 0, 1, 0, 200, "", "S", ES, SR},
		{'c', "A", 1, 1, 0, 300, "", "S", ES, ES},
		{'s', "A", 1, 1, 0, 400, "", "", ES, ES},
	};
	static const struct row one_sided[] = {
		{'c', "S/7", 0, 0, 0, 100, "TS", "TS", SS, SR},
		{'s', "SA", 0, 1, 0, 200, "", "S", ES, SR},
		{'c', "A", 1, 1, 0, 300, "", "S", ES, ES},
	};
	struct mos_flow f;

	script_run_at(&f, rows, 2, 1, 2);
	ck_assert_uint_eq(f.half[MOS_CLI].mss, 1460);
	ck_assert_uint_eq(f.half[MOS_CLI].rcv_wnd, 100); /* a SYN's window is not scaled */
	ck_assert_uint_eq(f.half[MOS_SVR].rcv_wnd, 200);
	script_run_at(&f, more, 4, 1, 2);
	ck_assert_uint_eq(f.half[MOS_CLI].rcv_wnd, 300 << 7);
	ck_assert_uint_eq(f.half[MOS_SVR].rcv_wnd, 400 << 2);
	script_run_at(&f, one_sided, 3, 1, 2);
	ck_assert_uint_eq(f.half[MOS_CLI].rcv_wnd, 300);
}
END_TEST

START_TEST(options_of_the_last_syn_count)
{
	static const struct row rows[] = {
		{'c', "S/7", 0, 0, 0, 100, "TS", "TS", SS, SR},
		{'c', "S", 0, 0, 0, 100, "", "R", SS, SR},
		{'s', "SA/2", 0, 1, 0, 200, "", "S", ES, SR},
		{'c', "A", 1, 1, 0, 300, "", "S", ES, ES},
	};
	struct mos_tcp_opts opts = {.has_ts = true, .ts_val = 77, .mss = 536};
	struct mos_tcp_seg syn = {.flags = MOS_TCP_SYN, .opts = &opts};
	struct mos_flow f;

	script_run_at(&f, rows, 4, 1, 2);
	ck_assert_uint_eq(f.half[MOS_CLI].rcv_wnd, 300);
	mos_tcp_open(&f);
	mos_tcp_sent(&f, MOS_CLI, &syn);
	ck_assert_uint_eq(f.half[MOS_CLI].ts_recent, 77);
	ck_assert_uint_eq(f.half[MOS_CLI].mss, 536);
}
END_TEST

START_TEST(window_scale_beyond_14_is_14)
{
	static const struct row rows[] = {
		{'c', "S/255", 0, 0, 0, 100, "TS", "TS", SS, SR},
		{'s', "SA/15", 0, 1, 0, 200, "", "S", ES, SR},
		{'c', "A", 1, 1, 0, 65535, "", "S", ES, ES},
	};
	struct mos_flow f;

	script_run_at(&f, rows, 3, 1, 2);
	ck_assert_uint_eq(f.half[MOS_CLI].rcv_wnd, 65535u << 14);
}
END_TEST

START_TEST(syn_without_options_is_taken)
{
	struct mos_tcp_seg syn = {.seq = 5, .flags = MOS_TCP_SYN, .wnd = 9};
	struct mos_flow f = {0};

	mos_tcp_open(&f);
	ck_assert_uint_eq(mos_tcp_sent(&f, MOS_CLI, &syn), MOS_TRACK_START | MOS_TRACK_STATE);
	ck_assert_uint_eq(mos_tcp_received(&f, MOS_SVR, &syn), MOS_TRACK_START | MOS_TRACK_STATE);
	ck_assert_uint_eq(f.half[MOS_CLI].mss, 0);
	ck_assert_uint_eq(f.half[MOS_CLI].rcv_wnd, 9);
}
END_TEST

START_TEST(flow_is_finished_when_no_half_waits)
{
	struct mos_flow f = {0};

	for (uint8_t cli = CL; cli <= TW; cli++) {
		for (uint8_t svr = CL; svr <= TW; svr++) {
			bool both = (cli == CL || cli == TW) && (svr == CL || svr == TW);

			f.state[MOS_CLI] = cli;
			f.state[MOS_SVR] = svr;
			ck_assert(mos_tcp_finished(&f, 0) == both);
			ck_assert(mos_tcp_finished(&f, 1) == (cli == CL && svr == CL));
		}
	}
}
END_TEST

START_TEST(states_have_names)
{
	ck_assert_str_eq(mos_tcp_state_name(0), "CLOSED");
	ck_assert_str_eq(mos_tcp_state_name(4), "ESTABLISHED");
	ck_assert_str_eq(mos_tcp_state_name(10), "TIME_WAIT");
	ck_assert_str_eq(mos_tcp_state_name(-1), "?");
	ck_assert_str_eq(mos_tcp_state_name(11), "?");
}
END_TEST

static TCase *opening(void)
{
	TCase *tc = tcase_create("opening");

	tcase_add_test(tc, handshake_establishes_both);
	tcase_add_test(tc, repeated_syn_is_a_retransmission_only);
	tcase_add_test(tc, repeated_syn_ack_is_a_retransmission_only);
	tcase_add_test(tc, syn_ack_may_choose_another_number_until_one_is_accepted);
	tcase_add_test(tc, simultaneous_open_establishes_both);
	tcase_add_test(tc, split_handshake_establishes_both);
	tcase_add_test(tc, data_on_a_syn_counts_when_the_server_takes_it);
	tcase_add_test(tc, data_on_a_syn_that_the_server_leaves_is_sent_again_as_new);
	tcase_add_test(tc, data_on_handshake_segments_is_received);
	tcase_add_test(tc, fin_on_a_syn_is_ignored);
	tcase_add_test(tc, nothing_but_a_syn_leaves_listen);
	tcase_add_test(tc, options_of_both_syns_are_kept);
	tcase_add_test(tc, options_of_the_last_syn_count);
	tcase_add_test(tc, window_scale_beyond_14_is_14);
	tcase_add_test(tc, syn_without_options_is_taken);
	return tc;
}

static TCase *data(void)
{
	TCase *tc = tcase_create("data");

	tcase_add_test(tc, data_in_order_is_data_and_an_ack_is_nothing);
	tcase_add_test(tc, data_out_of_order_waits_for_the_hole);
	tcase_add_test(tc, data_seen_before_is_a_retransmission);
	tcase_add_test(tc,
	               keep_alive_probe_is_nothing_without_a_byte_and_a_retransmission_with_one);
	tcase_add_test(tc, probe_of_a_closed_window_counts_when_acknowledged);
	return tc;
}

static TCase *closing(void)
{
	TCase *tc = tcase_create("closing");

	tcase_add_test(tc, client_closes_first);
	tcase_add_test(tc, server_closes_first);
	tcase_add_test(tc, fin_answered_by_fin_and_ack_in_one_segment);
	tcase_add_test(tc, data_comes_before_the_fin_of_its_segment);
	tcase_add_test(tc, repeated_fin_is_a_retransmission_in_every_state);
	tcase_add_test(tc, fins_that_cross_close_simultaneously);
	tcase_add_test(tc, half_closed_connection_carries_data_the_other_way);
	tcase_add_test(tc, fin_before_missing_data_is_remembered);
	tcase_add_test(tc, fin_with_data_behind_a_hole_is_remembered);
	tcase_add_test(tc, fin_before_missing_data_is_remembered_by_a_half_that_closed);
	tcase_add_test(tc, own_ack_of_a_remembered_fin_moves_the_half_that_sent_it);
	tcase_add_test(tc, data_behind_a_fin_is_not_received);
	tcase_add_test(tc, segments_of_a_closed_connection_change_nothing);
	tcase_add_test(tc, flow_is_finished_when_no_half_waits);
	tcase_add_test(tc, states_have_names);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("tcp_track");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, opening());
	suite_add_tcase(s, data());
	suite_add_tcase(s, closing());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
