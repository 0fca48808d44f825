/*
 * tcp_track on the bench, a hole that is filled: the caller says what came before behind it.
 * tcp_script.h tells how to read the rows that come first.
 */
#include "secondary/tcp_track/tcp_script.h"

#define ISS 4294967200u /* wraps within the payload */

static struct mos_flow f;

/* Rows are aligned by hand. */
/* clang-format off */

static void open_with(const char *flags, uint32_t seq, uint32_t len)
{
	const struct row rows[] = {
		HANDSHAKE,
		{'c', flags, seq, 1, len, WND, *flags == 'F' ? "S" : "", "", *flags == 'F' ? F1 : ES, ES},
	};

	script_run_at(&f, rows, 4, ISS, 77);
}

/* clang-format on */

/* The client sends len bytes from seq on, with `follows` bytes held behind. */
static unsigned fill(uint8_t flags, uint32_t seq, uint32_t len, uint32_t follows)
{
	struct mos_tcp_seg seg = {
		.seq = ISS + seq,
		.ack = 78,
		.payload_len = len,
		.follows = follows,
		.wnd = WND,
		.flags = MOS_TCP_ACK | flags,
	};

	mos_tcp_sent(&f, MOS_CLI, &seg);
	return mos_tcp_received(&f, MOS_SVR, &seg);
}

static uint32_t expected(void)
{
	return f.half[MOS_SVR].rcv_nxt - ISS;
}

START_TEST(filled_hole_moves_rcv_nxt_over_what_came_before)
{
	open_with("A", 101, 100);
	ck_assert_uint_eq(expected(), 1);
	ck_assert_uint_eq(fill(0, 1, 100, 100), MOS_TRACK_DATA);
	ck_assert_uint_eq(expected(), 201);
}
END_TEST

START_TEST(filled_hole_moves_rcv_nxt_over_a_fin_remembered_behind_it)
{
	open_with("FA", 101, 100);
	ck_assert_uint_eq(fill(0, 1, 100, 100), MOS_TRACK_DATA | MOS_TRACK_STATE);
	ck_assert_uint_eq(expected(), 202);
	ck_assert_uint_eq(f.state[MOS_SVR], CW);
}
END_TEST

START_TEST(fin_behind_another_hole_waits)
{
	open_with("FA", 301, 100);
	ck_assert_uint_eq(fill(0, 1, 100, 100), MOS_TRACK_DATA);
	ck_assert_uint_eq(expected(), 201);
	ck_assert_uint_eq(f.state[MOS_SVR], ES);
	ck_assert_uint_eq(fill(0, 201, 100, 100), MOS_TRACK_DATA | MOS_TRACK_STATE);
	ck_assert_uint_eq(expected(), 402);
}
END_TEST

START_TEST(held_bytes_beyond_a_fin_prove_it_forged)
{
	open_with("FA", 101, 50);
	ck_assert_uint_eq(fill(0, 1, 100, 100), MOS_TRACK_DATA);
	ck_assert_uint_eq(expected(), 201);
	ck_assert_uint_eq(f.state[MOS_SVR], ES);
	ck_assert_uint_eq(fill(MOS_TCP_FIN, 201, 9, 0), MOS_TRACK_DATA | MOS_TRACK_STATE);
	ck_assert_uint_eq(expected(), 211);
}
END_TEST

START_TEST(segment_that_fills_no_hole_moves_nothing)
{
	open_with("A", 201, 100);
	ck_assert_uint_eq(fill(0, 101, 50, 150), 0);
	ck_assert_uint_eq(expected(), 1);
	ck_assert_uint_eq(fill(0, 1, 0, 100), 0); /* without payload */
	ck_assert_uint_eq(expected(), 1);
	ck_assert_uint_eq(fill(0, 1, 100, 0), MOS_TRACK_DATA);
	ck_assert_uint_eq(fill(0, 51, 50, 100), MOS_TRACK_REXMIT);
	ck_assert_uint_eq(expected(), 101);
}
END_TEST

START_TEST(resent_beginning_and_new_end_fill_a_hole)
{
	open_with("A", 101, 100);
	ck_assert_uint_eq(fill(0, 1, 50, 0), MOS_TRACK_DATA);
	ck_assert_uint_eq(fill(0, 21, 80, 100), MOS_TRACK_DATA | MOS_TRACK_REXMIT);
	ck_assert_uint_eq(expected(), 201);
}
END_TEST

static bool in_order(uint32_t seq, uint32_t len)
{
	struct mos_tcp_seg seg = {
		.seq = ISS + seq,
		.ack = 78,
		.payload_len = len,
		.flags = MOS_TCP_ACK,
	};

	return mos_tcp_in_order(&f, MOS_SVR, &seg);
}

START_TEST(what_follows_counts_for_a_segment_that_moves_rcv_nxt)
{
	open_with("A", 101, 100);
	ck_assert(in_order(1, 1));
	ck_assert(in_order(0, 2));
	ck_assert(in_order(1, 100));
	ck_assert(!in_order(2, 99));
	ck_assert(!in_order(101, 100));
	ck_assert(!in_order(0, 1));
	ck_assert(!in_order(1, 0));
	f.half[MOS_SVR].rcv_wnd = 0;
	ck_assert(!in_order(1, 1)); /* a window probe */
	ck_assert(in_order(1, 2));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tcp_follows");
	TCase *tc = tcase_create("follows");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, filled_hole_moves_rcv_nxt_over_what_came_before);
	tcase_add_test(tc, filled_hole_moves_rcv_nxt_over_a_fin_remembered_behind_it);
	tcase_add_test(tc, fin_behind_another_hole_waits);
	tcase_add_test(tc, held_bytes_beyond_a_fin_prove_it_forged);
	tcase_add_test(tc, segment_that_fills_no_hole_moves_nothing);
	tcase_add_test(tc, resent_beginning_and_new_end_fill_a_hole);
	tcase_add_test(tc, what_follows_counts_for_a_segment_that_moves_rcv_nxt);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
