/*
 * tcp_track on the bench, timestamps: what is older than the receiver's TS.Recent is refused, and
 * nothing that a real receiver would take. tcp_script.h tells how to read rows; a row that answers B
 * must leave the record as it was. Each script runs with clocks that wrap at each of its timestamps.
 */
#include <stdlib.h>

#include "secondary/tcp_track/tcp_script.h"

/* Each timestamp of the scripts is once the one at which its clock wraps or changes its sign. */
static void run_clocks(const struct row *rows, size_t count)
{
	static const uint32_t at[] = {100, 500, 600, 998, 1000, 1002, 1500, 2000, 66534};

	for (size_t i = 0; i < 2 * sizeof(at) / sizeof(at[0]); i++) {
		uint32_t edge = i % 2 ? 0x7fffffff : 0xffffffff;

		script_run(rows, count);
		script_clock[MOS_CLI] = edge - at[i / 2];
		script_clock[MOS_SVR] = edge - at[i / 2] + 400;
	}
	script_run(rows, count);
}

#define RUN_CLOCKS(rows) run_clocks(rows, sizeof(rows) / sizeof((rows)[0]))

/* Rows are aligned by hand. */
/* clang-format off */

/* Both ends have said what they took: TS.Recent of the server is 100, of the client 500. */
#define TS_OPEN \
	{'c', "S@100",      0, 0, 0, WND, "TS", "TS", SS, SR}, \
	{'s', "SA@500,100", 0, 1, 0, WND, "",   "S",  ES, SR}, \
	{'c', "A@100,500",  1, 1, 0, WND, "",   "S",  ES, ES}

/* The server has taken 1000, the client 600. */
#define TS_DATA \
	TS_OPEN, \
	{'c', "A@1000,500", 1,  1, 10, WND, "", "D", ES, ES}, \
	{'s', "A@600,1000", 1, 11, 10, WND, "", "D", ES, ES}, \
	{'c', "A@1002,600", 11, 11, 0, WND, "", "",  ES, ES}

/* Nothing has come to the server since the client's ACK. */
#define UNTOUCHED {'=', "", 11, 11, 0, 0, "", "", 0, 0}

START_TEST(older_than_ts_recent_is_refused)
{
	static const struct row rows[] = {
		TS_DATA,
		{'c', "A@998,600",   11, 11, 10, WND, "B", "B", ES, ES},
		{'c', "PA@0,600",    11, 11, 10, WND, "B", "B", ES, ES},
		{'c', "FA@500,600",  11, 11,  0, WND, "B", "B", ES, ES},
		{'s', "A@598,1000",  11, 11, 10, WND, "B", "B", ES, ES},
		{'s', "FA@500,1000", 11, 11, 10, WND, "B", "B", ES, ES},
		UNTOUCHED,
		{'c', "A@1002,600",  11, 11, 10, WND, "",  "D", ES, ES},
	};

	RUN_CLOCKS(rows);
}
END_TEST

START_TEST(older_data_is_not_resent_data)
{
	static const struct row rows[] = {
		TS_DATA,
		{'c', "A@998,600",  1, 11, 10, WND, "B", "B", ES, ES},
		{'c', "A@1100,600", 1, 11, 10, WND, "",  "R", ES, ES},
	};

	RUN_CLOCKS(rows);
}
END_TEST

START_TEST(equal_or_one_tick_older_is_taken)
{
	static const struct row rows[] = {
		TS_DATA,
		{'c', "A@1000,600", 11, 11, 10, WND, "",  "D", ES, ES},
		{'c', "A@999,600",  21, 11, 10, WND, "",  "D", ES, ES},
		{'c', "A@998,600",  31, 11, 10, WND, "B", "B", ES, ES},
	};

	RUN_CLOCKS(rows);
}
END_TEST

START_TEST(old_ack_does_not_complete_a_handshake)
{
	static const struct row rows[] = {
		{'c', "S@100",      0, 0, 0, WND, "TS", "TS", SS, SR},
		{'s', "SA@500,100", 0, 1, 0, WND, "",   "S",  ES, SR},
		{'c', "A@50,500",   1, 1, 0, WND, "B",  "B",  ES, SR},
		{'c', "A@100,500",  1, 1, 0, WND, "",   "S",  ES, ES},
	};

	RUN_CLOCKS(rows);
}
END_TEST

START_TEST(half_the_clock_away_is_newer_or_older)
{
	static const struct row rows[] = {
		TS_DATA,
		{'c', "A@2147484650,600", 11, 11, 10, WND, "B", "B", ES, ES}, /* 2^31 + 1002 */
		{'c', "A@2147484646,600", 11, 11, 10, WND, "",  "D", ES, ES},
	};

	RUN_CLOCKS(rows);
}
END_TEST

/* Lost behind the monitor, it raises nothing there; what was sent before it may yet be taken. */
START_TEST(segment_that_is_not_echoed_raises_nothing)
{
	static const struct row rows[] = {
		TS_DATA,
		{'c', "A@2000,600", 11, 11, 10, WND, "", "D", ES, ES},
		{'c', "A@1500,600", 21, 11, 10, WND, "", "D", ES, ES},
		{'s', "A@700,1500", 11, 31,  0, WND, "", "",  ES, ES},
		{'c', "A@1498,600", 31, 11, 10, WND, "B", "B", ES, ES},
		{'c', "A@1600,600", 31, 11, 10, WND, "", "D", ES, ES},
	};

	RUN_CLOCKS(rows);
}
END_TEST

/* A segment made to die behind the monitor must not shut out those that follow. */
START_TEST(clock_set_far_ahead_locks_nobody_out)
{
	static const struct row rows[] = {
		TS_DATA,
		{'c', "A@2000000000,600", 11, 11, 10, WND, "", "D", ES, ES},
		{'c', "A@1010,600",       11, 11, 10, WND, "", "R", ES, ES},
		{'c', "A@1012,600",       21, 11, 10, WND, "", "D", ES, ES},
		{'s', "A@700,1012",       11, 31,  0, WND, "", "",  ES, ES},
		{'c', "A@1014,700",       31, 11, 10, WND, "", "D", ES, ES},
	};

	RUN_CLOCKS(rows);
}
END_TEST

START_TEST(echo_of_what_was_never_sent_refuses_nothing)
{
	static const struct row rows[] = {
		TS_DATA,
		{'s', "A@700,5000",  11, 11,  0, WND, "", "",  ES, ES},
		{'c', "A@1010,700",  11, 11, 10, WND, "", "D", ES, ES},
		{'s', "A@700",       11, 21,  0, WND, "", "",  ES, ES}, /* TSecr 0 */
		{'c', "A@990,700",   21, 11, 10, WND, "", "D", ES, ES},
		{'c', "A@1012,700",  31, 11, 10, WND, "", "D", ES, ES},
		{'s', "A@700,1012",  11, 41,  0, WND, "", "",  ES, ES},
		{'c', "A@1008,700",  41, 11, 10, WND, "B", "B", ES, ES},
	};

	RUN_CLOCKS(rows);
}
END_TEST

/* 65535 ticks between the newest timestamp and the echo are one too many to remember. */
START_TEST(echo_far_behind_refuses_nothing)
{
	static const struct row near[] = {
		TS_DATA,
		{'c', "A@66534,600", 11, 11, 10, WND, "",  "D", ES, ES},
		{'c', "A@998,600",   21, 11, 10, WND, "B", "B", ES, ES},
	};
	static const struct row far[] = {
		TS_DATA,
		{'c', "A@66535,600", 11, 11, 10, WND, "",  "D", ES, ES},
		{'c', "A@998,600",   21, 11, 10, WND, "",  "D", ES, ES},
	};

	RUN_CLOCKS(near);
	RUN_CLOCKS(far);
}
END_TEST

START_TEST(segment_without_timestamp_is_taken)
{
	static const struct row rows[] = {
		TS_DATA,
		{'c', "A",         11, 11, 10, WND, "",  "D", ES, ES},
		{'c', "A@998,600", 21, 11, 10, WND, "B", "B", ES, ES},
		{'c', "FA",        21, 11,  0, WND, "S", "S", F1, CW},
	};

	RUN_CLOCKS(rows);
}
END_TEST

START_TEST(timestamps_that_one_syn_lacked_do_not_count)
{
	static const struct row server_lacks[] = {
		{'c', "S@100",     0, 0,  0, WND, "TS", "TS", SS, SR},
		{'s', "SA",        0, 1,  0, WND, "",   "S",  ES, SR},
		{'c', "A@100",     1, 1,  0, WND, "",   "S",  ES, ES},
		{'s', "A@500,100", 1, 1,  0, WND, "",   "",   ES, ES},
		{'c', "A@20,500",  1, 1, 10, WND, "",   "D",  ES, ES},
	};
	static const struct row client_lacks[] = {
		{'c', "S",          0, 0,  0, WND, "TS", "TS", SS, SR},
		{'s', "SA@500,100", 0, 1,  0, WND, "",   "S",  ES, SR},
		{'c', "A@100,500",  1, 1,  0, WND, "",   "S",  ES, ES},
		{'s', "A@20,100",   1, 1, 10, WND, "",   "D",  ES, ES},
	};
	static const struct row missed_syn_ack[] = {
		{'c', "S@100",      0, 0,  0, WND, "TS", "TS", SS, SR},
		{'c', "A@102,500",  1, 1,  0, WND, "S",  "S",  ES, ES},
		{'s', "A@600,102",  1, 1, 10, WND, "",   "D",  ES, ES},
		{'c', "A@20,600",   1, 11, 10, WND, "",  "D",  ES, ES},
	};

	RUN_CLOCKS(server_lacks);
	RUN_CLOCKS(client_lacks);
	RUN_CLOCKS(missed_syn_ack);
}
END_TEST

START_TEST(reset_and_syn_are_not_refused_for_their_timestamp)
{
	static const struct row reset[] = {
		TS_DATA,
		{'c', "R@20,20", 11, 11, 0, 0, "S", "S", CL, CL},
	};
	static const struct row syn[] = {
		TS_DATA,
		{'c', "S@20",        0, 0, 0, WND, "",   "R",  ES, ES},
		{'s', "SA@20,100",   0, 1, 0, WND, "",   "R",  ES, ES},
		{'c', "A@998,600",  11, 11, 9, WND, "B", "B",  ES, ES}, /* which changed nothing */
		{'C', "S@20",  1000000, 0, 0, WND, "TS", "TS", SS, SR},
	};

	RUN_CLOCKS(reset);
	RUN_CLOCKS(syn);
}
END_TEST

/* Linux counts it as a duplicate ACK. One that acknowledges anything new cannot be that old. */
START_TEST(late_ack_with_nothing_new_is_not_bogus)
{
	static const struct row rows[] = {
		TS_DATA,
		{'c', "A@998,600", 11, 11, 0, 50,  "",  "",  ES, ES},
		{'c', "A@998,600", 11,  1, 0, 50,  "",  "",  ES, ES},
		{'c', "A@998,600", 11, 12, 0, 50,  "B", "B", ES, ES},
		{'c', "A@998,600", 0x50000000, 11, 0, 50,  "B", "B", ES, ES},
		{'c', "@998,600",  11, 11, 0, 50,  "B", "B", ES, ES},
	};
	struct mos_flow f;

	RUN_CLOCKS(rows);
	script_run_at(&f, rows, sizeof(rows) / sizeof(rows[0]), 1, 2);
	ck_assert_uint_eq(f.half[MOS_CLI].rcv_wnd, WND);
}
END_TEST

START_TEST(repeated_handshake_forgets_older_timestamps)
{
	static const struct row rows[] = {
		{'c', "S@100",      0, 0, 0,  WND, "TS", "TS", SS, SR},
		{'s', "SA@500,100", 0, 1, 0,  WND, "",   "S",  ES, SR},
		{'c', "S@300",      0, 0, 0,  WND, "",   "R",  ES, SR},
		{'s', "SA@700,100", 0, 1, 0,  WND, "",   "R",  ES, SR},
		{'c', "A@110,500",  1, 1, 10, WND, "",   "SD", ES, ES},
		{'s', "A@510,110",  1, 11, 9, WND, "",   "D",  ES, ES},
		{'c', "A@108,500",  11, 1, 9, WND, "B",  "B",  ES, ES},
	};

	RUN_CLOCKS(rows);
}
END_TEST

START_TEST(late_syn_ack_of_a_guessed_handshake_brings_its_timestamp)
{
	static const struct row rows[] = {
		{'c', "S@100",      0, 0, 0,  WND, "TS", "TS", SS, SR},
		{'c', "A@102,500",  1, 1, 0,  WND, "S",  "S",  ES, ES},
		{'s', "SA@500,100", 0, 1, 0,  WND, "",   "R",  ES, ES},
		{'c', "A@98,500",   1, 1, 10, WND, "B",  "B",  ES, ES},
		{'c', "A@104,500",  1, 1, 10, WND, "",   "D",  ES, ES},
		{'s', "A@498,104",  1, 11, 9, WND, "B",  "B",  ES, ES},
	};

	RUN_CLOCKS(rows);
}
END_TEST

/* clang-format on */

START_TEST(outdated_timestamp_refuses_nothing)
{
	static const struct row rows[] = {TS_DATA};
	struct mos_tcp_seg seg = {.seq = 12, .ack = 13, .flags = MOS_TCP_ACK, .has_ts = true};
	struct mos_flow f;

	script_run_at(&f, rows, sizeof(rows) / sizeof(rows[0]), 1, 2);
	seg.payload_len = 10;
	seg.ts_val = script_clock[MOS_CLI] + 0x90000000;
	seg.ts_ecr = script_clock[MOS_SVR] + 600;
	ck_assert_uint_eq(mos_tcp_sent(&f, MOS_CLI, &seg), MOS_TRACK_BOGUS);
	mos_tcp_ts_outdated(&f);
	ck_assert_uint_eq(mos_tcp_sent(&f, MOS_CLI, &seg), 0);
	ck_assert_uint_eq(mos_tcp_received(&f, MOS_SVR, &seg), MOS_TRACK_DATA);

	/* From here on, the new time counts. */
	seg = (struct mos_tcp_seg){.seq = 13, .ack = 22, .flags = MOS_TCP_ACK, .has_ts = true};
	seg.ts_val = script_clock[MOS_SVR] + 610;
	seg.ts_ecr = script_clock[MOS_CLI] + 0x90000000;
	ck_assert_uint_eq(mos_tcp_sent(&f, MOS_SVR, &seg), 0);
	seg = (struct mos_tcp_seg){.seq = 22, .ack = 13, .flags = MOS_TCP_ACK, .has_ts = true};
	seg.payload_len = 10;
	seg.ts_val = script_clock[MOS_CLI] + 0x90000000 - 2;
	ck_assert_uint_eq(mos_tcp_sent(&f, MOS_CLI, &seg), MOS_TRACK_BOGUS);
}
END_TEST

START_TEST(timestamps_are_read_in_any_layout)
{
	static const struct {
		uint8_t opt[40];
		uint32_t len;
		bool has_ts;
	} rows[] = {
		{{1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9}, 12, true},
		{{8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 1}, 12, true},
		{{8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0}, 12, true},
		{{1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1}, 12, true},
		{{5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9}, 20, true},
		{{1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2},
	         24,
	         true},
		/* the last counts, also behind the usual one */
		{{1, 1, 8, 10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9},
	         24,
	         true},
		{{1, 1, 8, 10}, 4, false},
		{{1, 1, 8, 10, 0, 0, 0, 7}, 8, false},
		{{1, 1, 8, 9, 0, 0, 0, 7, 0, 0, 0, 9}, 12, false},
		{{0, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9}, 12, false},
		{{1, 1, 1, 1}, 4, false},
		{{0}, 0, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mos_tcp_seg seg = {0};
		uint8_t *opt = malloc(rows[i].len + 1); /* odd, and the sanitizer knows its end */

		ck_assert_ptr_nonnull(opt);
		memcpy(opt + 1, rows[i].opt, rows[i].len);
		mos_tcp_read_ts(&seg, opt + 1, rows[i].len);
		ck_assert_msg(seg.has_ts == rows[i].has_ts, "row %zu", i);
		ck_assert_msg(seg.ts_val == (seg.has_ts ? 7 : 0), "row %zu: %u", i, seg.ts_val);
		ck_assert_msg(seg.ts_ecr == (seg.has_ts ? 9 : 0), "row %zu: %u", i, seg.ts_ecr);
		free(opt);
	}
}
END_TEST

static TCase *refused(void)
{
	TCase *tc = tcase_create("refused");

	tcase_add_test(tc, older_than_ts_recent_is_refused);
	tcase_add_test(tc, older_data_is_not_resent_data);
	tcase_add_test(tc, equal_or_one_tick_older_is_taken);
	tcase_add_test(tc, old_ack_does_not_complete_a_handshake);
	tcase_add_test(tc, half_the_clock_away_is_newer_or_older);
	tcase_add_test(tc, late_syn_ack_of_a_guessed_handshake_brings_its_timestamp);
	return tc;
}

static TCase *taken(void)
{
	TCase *tc = tcase_create("taken");

	tcase_add_test(tc, segment_that_is_not_echoed_raises_nothing);
	tcase_add_test(tc, clock_set_far_ahead_locks_nobody_out);
	tcase_add_test(tc, echo_of_what_was_never_sent_refuses_nothing);
	tcase_add_test(tc, echo_far_behind_refuses_nothing);
	tcase_add_test(tc, segment_without_timestamp_is_taken);
	tcase_add_test(tc, timestamps_that_one_syn_lacked_do_not_count);
	tcase_add_test(tc, reset_and_syn_are_not_refused_for_their_timestamp);
	tcase_add_test(tc, late_ack_with_nothing_new_is_not_bogus);
	tcase_add_test(tc, repeated_handshake_forgets_older_timestamps);
	tcase_add_test(tc, outdated_timestamp_refuses_nothing);
	tcase_add_test(tc, timestamps_are_read_in_any_layout);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("tcp_paws");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, refused());
	suite_add_tcase(s, taken());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
