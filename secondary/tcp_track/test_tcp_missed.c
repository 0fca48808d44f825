/*
 * tcp_track on the bench, what the monitor missed: its worker was dead and packets were forwarded
 * unmonitored, or frames were lost before the monitor, or somebody forged what it believed.
 * tcp_script.h tells how to read rows.
 */
#include <stdlib.h>

#include "secondary/tcp_track/tcp_script.h"

#define GB (1u << 30)

/* Rows are aligned by hand. */
/* clang-format off */

START_TEST(missed_handshake_ack_is_made_up_by_any_later_one)
{
	static const struct row data[] = {
		SYN,
		SYN_ACK,
		{'c', "A",  1, 1, 9, WND, "", "SD", ES, ES},
	};
	static const struct row far_ahead[] = {
		SYN,
		SYN_ACK,
		{'c', "A", 5001,    1, 9, WND, "", "S", ES, ES},
		{'s', "A",    1, 5010, 0, WND, "", "",  ES, ES},
		{'=', "",  5010,    1, 0, 0,   "", "",  0,  0},
	};
	static const struct row after_server_data[] = {
		SYN,
		SYN_ACK,
		{'s', "A",  1,  1, 50, WND, "", "D", ES, SR},
		{'c', "A",  1, 51,  0, WND, "", "S", ES, ES},
	};
	RUN(data);
	RUN(far_ahead);
	RUN(after_server_data);
}
END_TEST

START_TEST(ack_of_unseen_data_completes_a_handshake_once_its_sender_confirms_it)
{
	static const struct row rows[] = {
		SYN,
		SYN_ACK,
		{'c', "A",   1, 301, 0, WND, "B", "B", ES, SR},
		{'s', "A", 301,   1, 0, WND, "",  "",  ES, SR},
		{'c', "A",   1, 301, 0, WND, "",  "S", ES, ES},
		{'=', "",    1, 301, 0, 0,   "",  "",  0,  0},
	};
	RUN(rows);
}
END_TEST

START_TEST(syn_whose_second_update_was_missed_opens_the_connection)
{
	static const struct mos_tcp_seg syn = {.seq = 1000, .flags = MOS_TCP_SYN, .wnd = WND};
	static const struct mos_tcp_seg syn_ack = {
		.seq = 5000, .ack = 1001, .flags = MOS_TCP_SYN | MOS_TCP_ACK, .wnd = WND};
	struct mos_flow f = {.id = 1};

	mos_tcp_open(&f);
	mos_tcp_sent(&f, MOS_CLI, &syn);
	mos_tcp_missed(&f);
	ck_assert_uint_eq(f.state[MOS_SVR], SR);
	mos_tcp_sent(&f, MOS_SVR, &syn_ack);
	mos_tcp_received(&f, MOS_CLI, &syn_ack);
	ck_assert_uint_eq(f.state[MOS_CLI], ES);
	ck_assert_uint_eq(f.half[MOS_SVR].rcv_nxt, 1001);
}
END_TEST

START_TEST(missed_syn_ack_is_inferred_from_the_clients_ack)
{
	static const struct row rows[] = {
		SYN,
		{'c', "A",  1, 1,  0, WND, "S", "S", ES, ES},
		{'=', "",   1, 1,  0, 0,   "",  "",  0,  0},
		{'s', "A",  1, 1, 20, WND, "",  "D", ES, ES},
		{'c', "A",  1, 21, 5, WND, "",  "D", ES, ES},
	};
	static const struct row with_data[] = {
		SYN,
		{'c', "A",  1, 1,  7, WND, "S", "SD", ES, ES},
		{'s', "A",  1, 8, 20, WND, "",  "D",  ES, ES},
	};
	static const struct row server_first[] = {
		SYN,
		{'s', "A",  1, 1, 20, WND, "",  "",   SS, SR},
		{'c', "A",  1, 21, 0, WND, "S", "S",  ES, ES},
		{'s', "A", 21, 1, 20, WND, "",  "D",  ES, ES},
	};
	static const struct row closing[] = {
		SYN,
		{'c', "FA", 1, 1,  0, WND, "S", "S", F1, CW},
		{'s', "FA", 1, 2,  0, WND, "S", "S", TW, LA},
		{'c', "A",  2, 2,  0, WND, "",  "S", TW, CL},
	};
	RUN(rows);
	RUN(with_data);
	RUN(server_first);
	RUN(closing);
}
END_TEST

START_TEST(server_is_believed_about_a_missed_syn_ack_only_when_the_client_agrees)
{
	static const struct row fin[] = {
		SYN,
		{'s', "FA", 1, 1, 5, WND, "",  "",   SS, SR},
		{'c', "A",  1, 7, 0, WND, "S", "S",  CW, F2},
		{'c', "FA", 1, 7, 0, WND, "S", "S",  LA, TW},
		{'s', "A",  7, 2, 0, WND, "",  "S",  CL, TW},
	};
	static const struct row unacceptable[] = {
		SYN,
		{'s', "FA", 9, 2, 5, WND, "",  "",   SS, SR},
		{'s', "SA", 0, 1, 0, WND, "",  "S",  ES, SR},
		{'c', "A",  1, 1, 0, WND, "",  "S",  ES, ES},
	};
	static const struct row unacceptable_fin[] = {
		SYN,
		{'s', "FA", 9, 2, 5, WND, "",  "",   SS, SR},
		{'c', "A",  1, 1, 0, WND, "S", "S",  ES, ES},
	};
	static const struct row fin_behind_its_successor[] = {
		SYN,
		{'s', "A",  2, 1, 0, WND, "",  "",   SS, SR},
		{'s', "FA", 1, 1, 0, WND, "",  "",   SS, SR},
		{'c', "A",  1, 2, 0, WND, "S", "S",  CW, F2},
	};
	static const struct row late_syn_ack[] = {
		SYN,
		{'s', "FA", 7000, 1, 5, WND, "", "", SS, SR},
		{'s', "SA", 0,    1, 0, WND, "", "S", ES, SR},
		{'c', "A",  1,    1, 0, WND, "", "S", ES, ES},
		{'s', "A",  1,    1, 9, WND, "", "D", ES, ES},
	};
	static const struct row split_handshake[] = { /* the client drops the ACK */
		SYN,
		{'s', "A",  7000, 1, 0, WND, "", "", SS, SR},
		{'s', "S",  0,    0, 0, WND, "", "S", SR, SR},
		{'c', "SA", 0,    1, 0, WND, "", "S", SR, ES},
		{'s', "A",  1,    1, 9, WND, "", "SD", ES, ES},
	};
	static const struct row disagree[] = {
		SYN,
		{'s', "A",  501,   1, 5, WND, "",  "",  SS, SR},
		{'c', "A",    1, 101, 0, WND, "S", "S", ES, ES},
		{'s', "A",  101,   1, 5, WND, "",  "D", ES, ES},
	};
	static const struct row beyond[] = {
		SYN,
		{'s', "FA",   1,   1, 5, WND, "",  "",  SS, SR},
		{'c', "A",    1, 101, 0, WND, "S", "S", ES, ES},
		{'s', "A",  101,   1, 5, WND, "",  "D", ES, ES},
	};
	RUN(fin);
	RUN(unacceptable);
	RUN(unacceptable_fin);
	RUN(fin_behind_its_successor);
	RUN(late_syn_ack);
	RUN(split_handshake);
	RUN(disagree);
	RUN(beyond);
}
END_TEST

START_TEST(forged_ack_in_a_handshake_gives_way_to_the_syn_ack)
{
	static const struct row rows[] = {
		SYN,
		{'c', "A",  1, 700001, 9, WND, "S", "SD", ES, ES},
		{'s', "SA", 0,      2, 0, WND, "B", "B",  ES, ES},
		{'s', "SA", 0,      1, 0, WND, "",  "",   ES, ES},
		{'s', "SA", 0,      1, 0, WND, "",  "R",  ES, ES},
		{'s', "SA", 5,      1, 0, WND, "B", "B",  ES, ES},
		{'s', "A",  1,      1, 9, WND, "",  "D",  ES, ES},
		{'=', "",  10,     10, 0, 0,   "",  "",   0,  0},
	};
	struct mos_flow f;

	RUN(rows);
	script_run_at(&f, rows, sizeof(rows) / sizeof(rows[0]), 1000, 2000);
	ck_assert_uint_eq(f.half[MOS_SVR].snd_nxt, 2010);
	ck_assert_uint_eq(f.half[MOS_SVR].iss, 2000);
}
END_TEST

START_TEST(server_before_its_syn_ack_is_not_heard_beyond_what_its_client_may_acknowledge)
{
	static const struct row rows[] = {
		SYN,
		{'s', "A",  1,       1,   0, WND, "",  "",  SS, SR},
		{'s', "A",  GB,      1, 100, WND, "",  "",  SS, SR},
		{'s', "FA", GB - 99, 1, 100, WND, "",  "",  SS, SR},
		{'s', "A",  GB - 99, 1,  99, WND, "",  "",  SS, SR},
		{'c', "A",  1,       1,   0, WND, "S", "S", ES, ES},
		{'=', "",   1,       1,   0, 0,   "",  "",  0,  0},
	};
	struct mos_flow f;

	RUN(rows);
	for (size_t count = 3; count <= 4; count++) {
		script_run_at(&f, rows, count, 1000, 2000);
		ck_assert_uint_eq(f.half[MOS_SVR].snd_nxt, 2001);
		ck_assert_uint_eq(f.half[MOS_SVR].flags & MOS_HALF_FIN, 0);
	}
	for (size_t count = 5; count <= 7; count++) {
		script_run_at(&f, rows, count, 1000, 2000);
		ck_assert_uint_eq(f.half[MOS_SVR].snd_nxt, GB + 2000);
	}
}
END_TEST

START_TEST(late_copy_of_a_syn_ack_that_was_guessed_takes_nothing_back)
{
	static const struct row rows[] = {
		SYN,
		{'c', "A",  1,               1, 0, WND, "S", "S", ES, ES},
		{'c', "A",  1,          GB + 1, 0, WND, "",  "",  ES, ES},
		{'c', "A",  1,      2 * GB + 1, 0, WND, "",  "",  ES, ES},
		{'c', "A",  1,      2 * GB + 9, 0, WND, "",  "",  ES, ES},
		{'s', "SA", 0,               1, 0, WND, "",  "R", ES, ES},
		{'=', "",   1,      2 * GB + 9, 0, 0,   "",  "",  0,  0},
	};
	struct mos_flow f;

	RUN(rows);
	script_run_at(&f, rows, sizeof(rows) / sizeof(rows[0]), 1000, 2000);
	ck_assert_uint_eq(f.half[MOS_SVR].snd_nxt, 2u * GB + 2009);
}
END_TEST

START_TEST(server_heard_before_its_syn_ack_was_missed_tells_its_number)
{
	static const struct row rows[] = {
		SYN,
		{'s', "A", 1,  1, 20, WND, "",  "",  SS, SR},
		{'c', "A", 1, 21,  0, WND, "S", "S", ES, ES},
	};
	struct mos_flow f;

	script_run_at(&f, rows, sizeof(rows) / sizeof(rows[0]), 1000, 2000);
	ck_assert_uint_eq(f.half[MOS_CLI].irs, 2000);
	ck_assert_uint_eq(f.half[MOS_CLI].rcv_nxt, 2021);
	ck_assert_uint_eq(f.half[MOS_SVR].snd_nxt, 2021);
}
END_TEST

START_TEST(server_whose_syn_ack_was_missed_scales_its_window_as_the_client)
{
	static const struct row rows[] = {
		{'c', "S/3",  0, 0, 0, WND, "TS", "TS", SS, SR},
		{'c', "A",    1, 1, 0, WND, "S",  "S",  ES, ES},
		{'c', "R", 65537, 0, 0, 0,  "B",  "B",  ES, ES},
		{'s', "A",    1, 1, 0, WND, "",   "",   ES, ES},
		{'c', "R", 8002, 0, 0, 0,   "B",  "B",  ES, ES},
		{'c', "R", 8001, 0, 0, 0,   "S",  "S",  CL, CL},
	};
	static const struct row unheard[] = {
		SYN,
		{'c', "A",    1, 1, 0, WND, "S",  "S",  ES, ES},
		{'c', "R", 65536, 0, 0, 0,  "S",  "S",  CL, CL},
	};
	RUN(rows);
	RUN(unheard);
}
END_TEST

START_TEST(missed_handshake_and_data_resynchronise)
{
	static const struct row rows[] = {
		SYN,
		{'c', "A",  70001,  90001, 10, WND, "S", "S", ES, ES},
		{'=', "",       1,  90001,  0, 0,   "",  "",  0,  0},
		{'s', "A",  90001,  70011, 10, WND, "",  "D", ES, ES},
		{'=', "",   70011,  90011,  0, 0,   "",  "",  0,  0},
	};
	RUN(rows);
}
END_TEST

START_TEST(clients_ack_must_fit_its_syn)
{
	static const struct row rows[] = {
		SYN,
		{'c', "A", 0,                1, 0, WND, "B", "B", SS, SR},
		{'c', "A", 0xffffff00,       1, 0, WND, "B", "B", SS, SR},
		{'c', "A", GB + 2,           1, 0, WND, "B", "B", SS, SR},
		{'c', "A", 1,                1, 0, WND, "S", "S", ES, ES},
	};
	RUN(rows);
}
END_TEST

START_TEST(record_torn_between_the_updates_of_a_syn_ack_is_mended_by_the_clients_ack)
{
	struct mos_tcp_seg syn = {.seq = 10, .flags = MOS_TCP_SYN, .wnd = WND};
	struct mos_tcp_seg syn_ack = {.seq = 90, .ack = 11, .flags = MOS_TCP_SYN | MOS_TCP_ACK};
	struct mos_tcp_seg ack = {.seq = 11, .ack = 91, .flags = MOS_TCP_ACK};
	struct mos_flow f = {0};

	mos_tcp_open(&f);
	mos_tcp_sent(&f, MOS_CLI, &syn);
	mos_tcp_received(&f, MOS_SVR, &syn);
	mos_tcp_sent(&f, MOS_SVR, &syn_ack);
	ck_assert_uint_eq(mos_tcp_sent(&f, MOS_CLI, &ack), MOS_TRACK_STATE);
	ck_assert_uint_eq(mos_tcp_received(&f, MOS_SVR, &ack), MOS_TRACK_STATE);
	ck_assert_uint_eq(f.state[MOS_CLI], ES);
	ck_assert_uint_eq(f.state[MOS_SVR], ES);
	ck_assert_uint_eq(f.half[MOS_CLI].irs, 90);
}
END_TEST

START_TEST(missed_data_is_made_up_by_its_receivers_ack)
{
	static const struct row seen_ahead[] = {
		HANDSHAKE,
		{'c', "A", 500000001,         1, 100, WND, "", "",  ES, ES},
		{'s', "A",         1, 500000101,   0, WND, "", "",  ES, ES},
		{'=', "",  500000101,         1,   0, 0,   "", "",  0,  0},
		{'c', "A", 500000101,         1, 100, WND, "", "D", ES, ES},
	};
	static const struct row not_seen[] = {
		HANDSHAKE,
		{'s', "A",         1, 500000001,   0, WND, "", "",  ES, ES},
		{'=', "",  500000001,         1,   0, 0,   "", "",  0,  0},
		{'c', "A", 500000001,         1, 100, WND, "", "D", ES, ES},
	};
	static const struct row both_ways[] = {
		HANDSHAKE,
		{'c', "A",    400001, 300000001, 100, WND, "", "",  ES, ES},
		{'s', "A", 300000001,    400101,  50, WND, "", "D", ES, ES},
		{'c', "A",    400101, 300000051, 100, WND, "", "D", ES, ES},
	};
	struct mos_flow f;

	RUN(seen_ahead);
	RUN(not_seen);
	RUN(both_ways);
	script_run_at(&f, not_seen, 4, 0, 0);
	ck_assert_uint_eq(f.half[MOS_CLI].snd_nxt, 500000001);
}
END_TEST

START_TEST(ack_out_of_all_reason_is_not_believed)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'s', "A", 1, GB + 2,     0, WND, "", "",  ES, ES},
		{'s', "A", 1, 0x80000000, 0, WND, "", "",  ES, ES},
		{'s', "A", 1, 0xc0000000, 0, WND, "", "",  ES, ES},
		{'=', "",  1,      1,     0, 0,   "", "",  0,  0},
		{'s', "A", 1, GB + 1,     0, WND, "", "",  ES, ES},
		{'=', "",  GB + 1, 1,     0, 0,   "", "",  0,  0},
	};
	RUN(rows);
}
END_TEST

START_TEST(connection_of_many_gigabytes_stays_in_step)
{
	struct mos_tcp_seg data = {.seq = 101, .ack = 501, .payload_len = 1u << 29,
				   .flags = MOS_TCP_ACK, .wnd = WND};
	struct mos_tcp_seg ack = {.seq = 501, .flags = MOS_TCP_ACK, .wnd = WND};
	static const struct row rows[] = {HANDSHAKE};
	struct mos_flow f;

	script_run_at(&f, rows, 3, 100, 500);
	for (int i = 0; i < 64; i++) {
		ck_assert_uint_eq(mos_tcp_sent(&f, MOS_CLI, &data), 0);
		ck_assert_uint_eq(mos_tcp_received(&f, MOS_SVR, &data), MOS_TRACK_DATA);
		data.seq += data.payload_len;
		ack.ack = data.seq;
		ck_assert_uint_eq(mos_tcp_sent(&f, MOS_SVR, &ack), 0);
		ck_assert_uint_eq(mos_tcp_received(&f, MOS_CLI, &ack), 0);
	}
	ck_assert_uint_eq(f.half[MOS_SVR].rcv_nxt, data.seq);
	data.flags |= MOS_TCP_FIN;
	ck_assert_uint_eq(mos_tcp_sent(&f, MOS_CLI, &data), MOS_TRACK_STATE);
	ck_assert_uint_eq(mos_tcp_received(&f, MOS_SVR, &data), MOS_TRACK_DATA | MOS_TRACK_STATE);
}
END_TEST

START_TEST(server_that_closes_before_the_handshake_ack_was_seen)
{
	static const struct row rows[] = {
		SYN,
		SYN_ACK,
		{'s', "FA", 1, 1, 0, WND, "S", "S", CW, F1},
		{'c', "A",  1, 2, 0, WND, "",  "S", CW, F2},
		{'c', "FA", 1, 2, 0, WND, "S", "S", LA, TW},
		{'s', "A",  2, 2, 0, WND, "",  "S", CL, TW},
	};
	RUN(rows);
}
END_TEST

START_TEST(fin_far_ahead_takes_effect_when_its_receiver_acknowledges_it)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA", 700001,      1, 10, WND, "S", "",  F1, ES},
		{'s', "A",       1, 700012,  0, WND, "S", "S", F2, CW},
		{'s', "FA",      1, 700012,  0, WND, "S", "S", TW, LA},
		{'c', "A",  700012,      2,  0, WND, "",  "S", TW, CL},
	};
	RUN(rows);
}
END_TEST

START_TEST(missed_fin_is_taken_when_it_is_sent_again)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "A",  1, 1, 10, WND, "",  "D", ES, ES},
		{'s', "A",  1, 11, 0, WND, "",  "",  ES, ES},
		{'c', "FA", 11, 1, 0, WND, "S", "S", F1, CW},
	};
	static const struct row acknowledged[] = { /* none comes again: only its number is known */
		HANDSHAKE,
		{'s', "A",  1, 2, 0, WND, "", "", ES, ES},
		{'=', "",   2, 1, 0, 0,   "", "", 0,  0},
		{'c', "FA", 1, 1, 0, WND, "", "", ES, ES},
	};
	RUN(rows);
	RUN(acknowledged);
}
END_TEST

START_TEST(forged_fin_is_replaced_by_the_real_one)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA", 90001, 1,   0, WND, "S", "",   F1, ES},
		{'c', "A",      1, 1, 100, WND, "",  "D",  F1, ES},
		{'c', "FA",   101, 1, 100, WND, "",  "SD", F1, CW},
		{'s', "A",      1, 202, 0, WND, "",  "S",  F2, CW},
	};
	RUN(rows);
}
END_TEST

START_TEST(data_that_runs_over_a_fin_proves_it_forged)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA", 51, 1,   0, WND, "S", "",   F1, ES},
		{'c', "A",   1, 1, 100, WND, "",  "D",  F1, ES},
		{'s', "A",   1, 101, 0, WND, "",  "",   F1, ES},
		{'c', "FA", 101, 1,  0, WND, "",  "S",  F1, CW},
		{'s', "A",   1, 102, 0, WND, "",  "S",  F2, CW},
	};
	RUN(rows);
}
END_TEST

START_TEST(fin_below_what_was_received_is_ignored)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "A",   1,   1, 100, WND, "",  "D",  ES, ES},
		{'s', "A",   1, 101,   0, WND, "",  "",   ES, ES},
		{'c', "FA",  1,   1,  50, WND, "",  "R",  ES, ES},
		{'c', "FA", 101,  1,   0, WND, "S", "S",  F1, CW},
		{'c', "FA", 150,  1,   0, WND, "",  "",   F1, CW},
		{'s', "A",   1, 102,   0, WND, "",  "S",  F2, CW},
	};
	RUN(rows);
}
END_TEST

START_TEST(nothing_is_acknowledged_beyond_a_fin)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "FA", 101,   1,   0, WND, "S", "",  F1, ES},
		{'s', "A",    1, 103,   0, WND, "",  "",  F1, ES},
		{'=', "",     1,   1,   0, 0,   "",  "",  0,  0},
		{'s', "A",    1, 101,   0, WND, "",  "",  F1, ES},
		{'c', "A",  102,   1,   0, WND, "",  "",  F1, ES},
		{'c', "FA", 101,   1,   0, WND, "",  "S", F1, CW},
		{'s', "A",    1, 102,   0, WND, "",  "S", F2, CW},
	};
	RUN(rows);
}
END_TEST

START_TEST(number_once_sent_is_never_taken_back)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "A", 1, 1, 100, WND, "", "D", ES, ES},
		{'c', "A", 1, 1,  10, WND, "", "R", ES, ES},
		{'s', "A", 1, 50,  0, WND, "", "",  ES, ES},
		{'=', "", 101, 1,  0, 0,   "", "",  0,  0},
	};
	struct mos_flow f;

	RUN(rows);
	script_run_at(&f, rows, sizeof(rows) / sizeof(rows[0]), 1000, 2000);
	ck_assert_uint_eq(f.half[MOS_CLI].snd_nxt, 1101);
}
END_TEST

START_TEST(old_segment_does_not_turn_round_what_is_far_ahead)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'c', "A",  GB + 1,          1, 1000, WND, "", "",  ES, ES},
		{'c', "A",  -GB + 1,         1,   10, WND, "", "R", ES, ES},
		{'c', "FA", -GB + 1,         1,   10, WND, "", "R", ES, ES},
		{'s', "A",  1,               1,    0, WND, "", "",  ES, ES},
		{'s', "A",  1,          GB + 1,    0, WND, "", "",  ES, ES},
		{'=', "",   GB + 1,          1,    0, 0,   "", "",  0,  0},
	};
	struct mos_flow f;

	RUN(rows);
	script_run_at(&f, rows, sizeof(rows) / sizeof(rows[0]), 1000, 2000);
	ck_assert_uint_eq(f.half[MOS_CLI].snd_nxt, GB + 2001);
	ck_assert_uint_eq(f.half[MOS_CLI].flags & MOS_HALF_FIN, 0);
}
END_TEST

START_TEST(missed_opening_of_a_window_does_not_stop_data)
{
	static const struct row rows[] = {
		HANDSHAKE,
		{'s', "A",   1, 1,   0, 0,   "", "",  ES, ES},
		{'c', "A",   1, 1, 100, WND, "", "D", ES, ES},
		{'c', "FA", 101, 1,  1, WND, "S", "SD", F1, CW},
	};
	RUN(rows);
}
END_TEST

/* clang-format on */

static TCase *handshakes(void)
{
	TCase *tc = tcase_create("handshakes");

	tcase_add_test(tc, missed_handshake_ack_is_made_up_by_any_later_one);
	tcase_add_test(tc, ack_of_unseen_data_completes_a_handshake_once_its_sender_confirms_it);
	tcase_add_test(tc, syn_whose_second_update_was_missed_opens_the_connection);
	tcase_add_test(tc, missed_syn_ack_is_inferred_from_the_clients_ack);
	tcase_add_test(tc, server_is_believed_about_a_missed_syn_ack_only_when_the_client_agrees);
	tcase_add_test(tc, forged_ack_in_a_handshake_gives_way_to_the_syn_ack);
	tcase_add_test(
		tc, server_before_its_syn_ack_is_not_heard_beyond_what_its_client_may_acknowledge);
	tcase_add_test(tc, late_copy_of_a_syn_ack_that_was_guessed_takes_nothing_back);
	tcase_add_test(tc, server_heard_before_its_syn_ack_was_missed_tells_its_number);
	tcase_add_test(tc, server_whose_syn_ack_was_missed_scales_its_window_as_the_client);
	tcase_add_test(tc, missed_handshake_and_data_resynchronise);
	tcase_add_test(tc, clients_ack_must_fit_its_syn);
	tcase_add_test(tc,
	               record_torn_between_the_updates_of_a_syn_ack_is_mended_by_the_clients_ack);
	return tc;
}

static TCase *data(void)
{
	TCase *tc = tcase_create("data");

	tcase_add_test(tc, missed_data_is_made_up_by_its_receivers_ack);
	tcase_add_test(tc, ack_out_of_all_reason_is_not_believed);
	tcase_add_test(tc, connection_of_many_gigabytes_stays_in_step);
	tcase_add_test(tc, number_once_sent_is_never_taken_back);
	tcase_add_test(tc, old_segment_does_not_turn_round_what_is_far_ahead);
	tcase_add_test(tc, missed_opening_of_a_window_does_not_stop_data);
	return tc;
}

static TCase *fins(void)
{
	TCase *tc = tcase_create("fins");

	tcase_add_test(tc, server_that_closes_before_the_handshake_ack_was_seen);
	tcase_add_test(tc, fin_far_ahead_takes_effect_when_its_receiver_acknowledges_it);
	tcase_add_test(tc, missed_fin_is_taken_when_it_is_sent_again);
	tcase_add_test(tc, forged_fin_is_replaced_by_the_real_one);
	tcase_add_test(tc, data_that_runs_over_a_fin_proves_it_forged);
	tcase_add_test(tc, fin_below_what_was_received_is_ignored);
	tcase_add_test(tc, nothing_is_acknowledged_beyond_a_fin);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("tcp_missed");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, handshakes());
	suite_add_tcase(s, data());
	suite_add_tcase(s, fins());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
