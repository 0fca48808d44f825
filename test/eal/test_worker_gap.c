/*
 * mtcp_stream_gap on the bench: each MOS_ON_ERROR says what it is about, to whom it concerns.
 */
#include "test/eal/stream_rig.h"

static void open_watched(void)
{
	sr_open(NULL);
	sr_flow(0);
	sr_watch(NULL);
}

static void expect_gap(int cause, int side, uint64_t offset, uint64_t len)
{
	ck_assert_int_eq(sr.gap.cause, cause);
	ck_assert_int_eq(sr.gap_side, side);
	ck_assert_uint_eq(sr.gap.offset, offset);
	ck_assert_uint_eq(sr.gap.len, len);
	if (cause != MOS_GAP_CONFLICT)
		ck_assert_uint_eq(sr.gap.pkt_off, 0);
}

/* ---- causes ---- */

START_TEST(bytes_that_were_acknowledged_and_never_came_are_missed)
{
	open_watched();
	sr_data(MOS_SVR, 0, 100);
	sr_data(MOS_SVR, 300, 100);
	ck_assert_uint_eq(sr.errors, 0);
	sr_ack(MOS_SVR, 400);
	ck_assert_uint_eq(sr.errors, 1);
	expect_gap(MOS_GAP_MISSED, MOS_SVR, 100, 200);
	ck_assert_uint_eq(sr.new_data, 2); /* what lay behind it is in order now */
	ck_assert_uint_eq(hs_count(MOS_CTR_W_GAP_BYTES), 200);
	sr_reads(sr.sock, MOS_SVR, 0, 100);
	sr_loses(sr.sock, MOS_SVR, 200);
	sr_reads(sr.sock, MOS_SVR, 300, 100);
}
END_TEST

START_TEST(bytes_missed_at_the_end_are_told_too)
{
	open_watched();
	sr_data(MOS_SVR, 0, 100);
	sr_ack(MOS_SVR, 150);
	expect_gap(MOS_GAP_MISSED, MOS_SVR, 100, 50);
	ck_assert_uint_eq(sr.new_data, 1); /* no byte that could be read */
	sr_data(MOS_SVR, 150, 10);
	sr_reads(sr.sock, MOS_SVR, 0, 100);
	sr_loses(sr.sock, MOS_SVR, 50);
	sr_reads(sr.sock, MOS_SVR, 150, 10);
}
END_TEST

START_TEST(bytes_beyond_the_window_are_told)
{
	sr_open(NULL);
	sr.wnd = 1000;
	sr_flow(0);
	sr_ack(MOS_SVR, 0); /* now its window is known */
	sr_watch(NULL);
	sr_data(MOS_SVR, 600, 500);
	ck_assert_uint_eq(sr.errors, 1);
	ck_assert_int_eq(sr.gap.cause, MOS_GAP_BEYOND_WINDOW);
	ck_assert_uint_eq(sr.gap.offset, 1000);
	ck_assert_uint_eq(sr.gap.len, 100);
}
END_TEST

static void both_versions(int sock, int side, event_t event, int hook)
{
	struct mos_stream_gap gap;
	struct pkt_info p;
	uint8_t held[64];

	if (event != MOS_ON_ERROR)
		return;
	sr.errors++;
	ck_assert_int_eq(mtcp_stream_gap(hs_mctx(), sock, side, &gap), 0);
	sr.gap = gap;
	sr.gap_side = side;
	ck_assert_int_eq(gap.cause, MOS_GAP_CONFLICT);
	ck_assert_int_eq(mtcp_ppeek(hs_mctx(), sock, side, (char *)held, gap.len, gap.offset),
	                 (int)gap.len);
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	ck_assert_uint_le(gap.pkt_off + gap.len, p.payloadlen);
	ck_assert_uint_eq(p.offset + gap.pkt_off, gap.offset);
	for (unsigned i = 0; i < gap.len; i += (unsigned)gap.len - 1) /* the first and the last */
		ck_assert_uint_ne(held[i], p.payload[gap.pkt_off + i]);
	sr_is(held, side, gap.offset, (uint32_t)gap.len);
}

START_TEST(conflict_shows_where_both_versions_are)
{
	open_watched();
	sr_data(MOS_SVR, 0, 10);
	sr_data(MOS_SVR, 100, 50);
	hs.act = both_versions;
	sr_other(MOS_SVR, 80, 100);
	ck_assert_uint_eq(sr.errors, 1);
	expect_gap(MOS_GAP_CONFLICT, MOS_SVR, 100, 50);
	ck_assert_uint_eq(sr.gap.pkt_off, 20);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_CONFLICTS), 1);
	sr_data(MOS_SVR, 100, 50); /* as it was held: the first version counts */
	ck_assert_uint_eq(sr.errors, 1);
	sr_other(MOS_SVR, 0, 10); /* in order and unread */
	ck_assert_uint_eq(sr.errors, 2);
	expect_gap(MOS_GAP_CONFLICT, MOS_SVR, 0, 10);
	ck_assert_uint_eq(sr.gap.pkt_off, 0);
}
END_TEST

static void read_them(int sock, int side)
{
	char buf[256];

	while (mtcp_peek(hs_mctx(), sock, side, buf, sizeof(buf)) > 0)
		;
}

/* What was read is gone, unless it is to be kept until its receiver has acknowledged it. */
START_TEST(conflict_with_bytes_that_were_read_is_found_if_they_are_kept)
{
	for (int keep = 0; keep < 3; keep++) {
		if (keep > 0)
			hs_close();
		sr_open(NULL);
		if (keep == 1)
			ck_assert_int_eq(sr_set(sr.passive, MOS_SVRKEEP, 1), 0);
		sr_flow(0);
		if (keep == 2)
			ck_assert_int_eq(sr_set(sr.sock, MOS_SVRKEEP, 1), 0);
		sr_watch(read_them);
		sr_data(MOS_SVR, 0, 100);
		sr_data(MOS_SVR, 100, 100);
		sr_other(MOS_SVR, 50, 100);
		ck_assert_uint_eq(sr.errors, keep > 0);
		if (keep > 0)
			expect_gap(MOS_GAP_CONFLICT, MOS_SVR, 50, 100);
		sr_ack(MOS_SVR, 200);
		ck_assert_uint_eq(sr_chunks_in_use(), 0);
		sr_other(MOS_SVR, 50, 100);
		ck_assert_uint_eq(sr.errors, keep > 0);
	}
}
END_TEST

START_TEST(what_is_kept_is_held_until_it_is_acknowledged)
{
	sr_open(NULL);
	ck_assert_int_eq(sr_set(sr.passive, MOS_SVRKEEP, 1), 0);
	sr_flow(0);
	sr_data(MOS_SVR, 0, 100);
	sr_reads(sr.sock, MOS_SVR, 0, 100);
	hs_round();
	sr_holds(sr.sock, MOS_SVR, 20, 80);
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRKEEP, 0), 0);
	sr_data(MOS_SVR, 100, 10);
	sr_reads(sr.sock, MOS_SVR, 100, 10);
	hs_round();
	sr_holds_not(sr.sock, MOS_SVR, 20);
	ck_assert_uint_eq(sr_chunks_in_use(), 0);
}
END_TEST

/* ---- who is told, and when ---- */

static int other_sock;

static void ask_about_others(int sock, int side, event_t event, int hook)
{
	struct mos_stream_gap gap = {.cause = 99};

	if (event == MOS_ON_ERROR) {
		sr.errors++;
		ck_assert_int_eq(mtcp_stream_gap(hs_mctx(), sock, side, &gap), 0);
		gap.cause = 99;
		fails(ENODATA, mtcp_stream_gap(hs_mctx(), sock, !side, &gap));
		fails(ENODATA, mtcp_stream_gap(hs_mctx(), other_sock, side, &gap));
	} else {
		fails(ENODATA, mtcp_stream_gap(hs_mctx(), sock, side, &gap));
	}
	ck_assert_int_eq(gap.cause, 99);
}

START_TEST(gap_is_told_in_its_callback_only)
{
	struct mos_stream_gap gap;

	sr_open(NULL);
	sr_flow(1);
	other_sock = sr.sock;
	sr_flow(0);
	hs.act = ask_about_others;
	sr_data(MOS_SVR, 0, 100);
	sr_data(MOS_SVR, 300, 100);
	sr_ack(MOS_SVR, 400);
	ck_assert_uint_eq(sr.errors, 1);
	fails(ENODATA, mtcp_stream_gap(hs_mctx(), sr.sock, MOS_SVR, &gap));
}
END_TEST

/* Asking what was lost is not reading: nothing is kept for it. */
START_TEST(gap_does_not_make_a_reader)
{
	struct mos_stream_gap gap;

	memset(&sr, 0, sizeof(sr));
	hs_open(NULL);
	sr.passive = hs_passive();
	sr_flow(0);
	fails(ENODATA, mtcp_stream_gap(hs_mctx(), sr.sock, MOS_SVR, &gap));
	sr_data(MOS_SVR, 0, 100);
	sr_loses(sr.sock, MOS_SVR, 100);
}
END_TEST

TCase *gap_case(void)
{
	TCase *tc = tcase_create("gap");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, bytes_that_were_acknowledged_and_never_came_are_missed);
	tcase_add_test(tc, bytes_missed_at_the_end_are_told_too);
	tcase_add_test(tc, bytes_beyond_the_window_are_told);
	tcase_add_test(tc, conflict_shows_where_both_versions_are);
	tcase_add_test(tc, conflict_with_bytes_that_were_read_is_found_if_they_are_kept);
	tcase_add_test(tc, what_is_kept_is_held_until_it_is_acknowledged);
	tcase_add_test(tc, gap_is_told_in_its_callback_only);
	tcase_add_test(tc, gap_does_not_make_a_reader);
	return tc;
}
