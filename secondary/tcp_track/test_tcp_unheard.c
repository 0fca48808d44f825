/*
 * tcp_track on the bench, a monitor that hears one side only: the caller gives up waiting for a
 * hole, since no ACK will ever tell. tcp_script.h tells how to read rows.
 */
#include <stdlib.h>

#include "secondary/tcp_track/tcp_script.h"

/* Rows are aligned by hand. */
/* clang-format off */

/* The client's side of a handshake. */
#define ONE_SIDED SYN, {'c', "A", 1, 1, 0, WND, "S", "S", ES, ES}

START_TEST(data_goes_on_behind_a_hole_that_is_given_up)
{
	static const struct row rows[] = {
		ONE_SIDED,
		{'c', "A",   1, 1, 100, WND, "", "D", ES, ES},
		{'c', "A", 301, 1, 100, WND, "", "",  ES, ES},
		{'>', "",  401, 0,   0, 0,   "", "",  ES, ES},
		{'=', "",  401, 1,   0, 0,   "", "",  0,  0},
		{'c', "A", 401, 1, 100, WND, "", "D", ES, ES},
		{'c', "A", 101, 1, 200, WND, "", "R", ES, ES}, /* late after all */
		{'=', "",  501, 1,   0, 0,   "", "",  0,  0},
	};
	RUN(rows);
}
END_TEST

START_TEST(fin_behind_what_is_given_up_is_taken)
{
	static const struct row rows[] = {
		ONE_SIDED,
		{'c', "FA", 301, 1, 100, WND, "S", "",  F1, ES},
		{'>', "",   401, 0,   0, 0,   "",  "S", F1, CW},
		{'=', "",   402, 1,   0, 0,   "",  "",  0,  0},
		{'>', "",   500, 0,   0, 0,   "",  "",  F1, CW}, /* nothing comes behind a FIN */
		{'=', "",   402, 1,   0, 0,   "",  "",  0,  0},
	};
	RUN(rows);
}
END_TEST

START_TEST(nothing_is_given_up_backwards_or_out_of_all_reason)
{
	static const struct row rows[] = {
		ONE_SIDED,
		{'c', "A", 1, 1, 100, WND, "", "D", ES, ES},
		{'>', "",  50,                0, 0, 0, "", "", ES, ES},
		{'>', "",  101,               0, 0, 0, "", "", ES, ES},
		{'>', "",  102 + (1u << 30),  0, 0, 0, "", "", ES, ES},
		{'=', "",  101, 1, 0, 0, "", "", 0, 0},
	};
	RUN(rows);
}
END_TEST

START_TEST(end_of_a_flow_changes_no_state_and_takes_what_came)
{
	struct mos_flow f;
	static const struct row fin[] = {ONE_SIDED, {'c', "FA", 301, 1, 100, WND, "S", "", F1, ES}};
	static const struct row rst[] = {
		ONE_SIDED,
		{'c', "A", 301, 1, 100, WND, "", "",   ES, ES},
		{'c', "R", 1,   0, 0,   0,   "S", "S", CL, CL},
	};

	script_run_at(&f, fin, 3, 1000, 5000);
	ck_assert_uint_eq(mos_tcp_skip(&f, MOS_SVR, 1401, true), 0);
	ck_assert_uint_eq(f.half[MOS_SVR].rcv_nxt, 1401);
	ck_assert_uint_eq(f.state[MOS_SVR], ES);
	script_run_at(&f, rst, 4, 1000, 5000);
	ck_assert_uint_eq(mos_tcp_skip(&f, MOS_SVR, 1401, false), 0);
	ck_assert_uint_eq(f.half[MOS_SVR].rcv_nxt, 1001);
	ck_assert_uint_eq(mos_tcp_skip(&f, MOS_SVR, 1401, true), 0);
	ck_assert_uint_eq(f.half[MOS_SVR].rcv_nxt, 1401);
	ck_assert_uint_eq(f.state[MOS_SVR], CL);
}
END_TEST

START_TEST(half_is_heard_as_soon_as_it_says_its_window)
{
	struct mos_flow f;
	static const struct row rows[] = {
		HANDSHAKE,
		{'s', "A", 1, 1, 0, WND, "", "", ES, ES},
	};

	script_run_at(&f, rows, 3, 1000, 5000); /* the handshake alone */
	ck_assert(mos_tcp_unheard(&f, MOS_SVR));
	ck_assert(!mos_tcp_unheard(&f, MOS_CLI));
	script_run_at(&f, rows, 4, 1000, 5000);
	ck_assert(!mos_tcp_unheard(&f, MOS_SVR));
	mos_tcp_missed(&f);
	ck_assert(mos_tcp_unheard(&f, MOS_SVR));
}
END_TEST

/* clang-format on */

int main(void)
{
	Suite *s = suite_create("tcp_unheard");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, data_goes_on_behind_a_hole_that_is_given_up);
	tcase_add_test(tc, fin_behind_what_is_given_up_is_taken);
	tcase_add_test(tc, nothing_is_given_up_backwards_or_out_of_all_reason);
	tcase_add_test(tc, end_of_a_flow_changes_no_state_and_takes_what_came);
	tcase_add_test(tc, half_is_heard_as_soon_as_it_says_its_window);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
