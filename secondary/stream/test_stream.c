/* What comes in order, or not, or never. test_stream.h tells how it is put on the bench. */
#include "secondary/stream/test_stream.h"

/* ---- in order ---- */

START_TEST(in_order_bytes_that_are_read_at_once_need_no_chunk)
{
	uint32_t flow = new_flow();

	for (uint64_t off = 0; off < 100000; off += 1000) {
		ck_assert_uint_eq(arrive(flow, off, 1000), 1000);
		ck_assert_uint_eq(chunks_used(), 0);
		ck_assert_int_eq(read_all(flow), 1000);
		ck_assert_int_eq(read_all(flow), 0);
		settle(flow);
	}
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert_int_eq(read_all(flow), 0);
}
END_TEST

START_TEST(unread_bytes_wait_in_chunks)
{
	uint32_t flow = new_flow();

	ck_assert_uint_eq(packet(flow, 0, 1000), 1000);
	ck_assert_uint_eq(packet(flow, 1000, 3000), 3000);
	ck_assert_uint_eq(chunks_used(), 3);
	ck_assert_int_eq(read_as(flow, 0, 1500), 1500);
	settle(flow);
	ck_assert_uint_eq(arrive(flow, 4000, 100), 100);
	ck_assert_int_eq(read_as(flow, 0, 2550), 2550); /* chunk and packet */
	ck_assert_int_eq(read_all(flow), 50);
	settle(flow);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

START_TEST(part_of_a_packet_that_was_read_is_not_copied)
{
	uint32_t flow = new_flow();

	arrive(flow, 0, 3 * PAGE);
	ck_assert_int_eq(read_as(flow, 0, 2 * PAGE), 2 * PAGE);
	settle(flow);
	ck_assert_uint_eq(chunks_used(), 1);
	ck_assert_int_eq(read_all(flow), PAGE);
	settle(flow);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

START_TEST(resent_bytes_in_front_of_new_ones_are_skipped)
{
	uint32_t flow = new_flow();

	arrive(flow, 0, 1000);
	ck_assert_int_eq(read_all(flow), 1000);
	settle(flow);
	ck_assert_uint_eq(arrive(flow, 500, 1000), 500);
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert_int_eq(read_all(flow), 500);
	settle(flow);
	ck_assert_uint_eq(packet(flow, 0, 1500), 0);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

START_TEST(offsets_pass_4_gb)
{
	uint32_t flow = new_flow();
	struct mos_stream *st = stream_at(flow, SVR);
	struct mos_stream_range gap;

	for (uint64_t off = 0; off < UINT64_C(5) << 30; off += 1u << 29)
		ack(flow, off, &gap);
	ck_assert_uint_eq(st->next, (UINT64_C(9) << 29));
	arrive(flow, st->next, 1000);
	ck_assert_int_eq(read_all(flow), -((INT64_C(9) << 29)));
	ck_assert_int_eq(read_all(flow), 1000);
	ck_assert_int_eq(
		mos_stream_offset(flow_at(flow), SVR, flow_at(flow)->half[SVR].rcv_nxt - 2000),
		(INT64_C(9) << 29) - 1000);
	settle(flow);
}
END_TEST

START_TEST(number_before_the_first_byte_has_a_negative_offset)
{
	uint32_t flow = new_flow_at(UINT32_MAX);
	struct mos_flow *f = flow_at(flow);

	ck_assert_int_eq(mos_stream_offset(f, SVR, UINT32_MAX), -1);
	ck_assert_int_eq(mos_stream_offset(f, SVR, 0), 0);
	ck_assert_int_eq(mos_stream_offset(f, SVR, 77), 77);
	packet(flow, 0, 1000);
	ck_assert_int_eq(mos_stream_offset(f, SVR, UINT32_MAX - 3), -4);
	ck_assert_uint_eq(packet(flow, 900, 50), 0); /* old, not 4 GB ahead */
	ck_assert_uint_eq(stream_at(flow, SVR)->next, 1000);
}
END_TEST

START_TEST(fin_is_not_a_byte)
{
	uint32_t flow = new_flow();
	struct mos_flow *f = flow_at(flow);
	struct mos_stream_range gap;

	f->half[CLI].flags |= MOS_HALF_FIN;
	f->half[CLI].fin_seq = f->half[SVR].irs + 1 + 100;
	f->half[SVR].rcv_nxt = f->half[CLI].fin_seq + 1;
	ck_assert_uint_eq(mos_stream_arrive(&b.s, flow, SVR,
	                                    &(struct mos_piece){0, bytes_of(0, 100), 100}, FAR,
	                                    true, &lost),
	                  100);
	ck_assert_uint_eq(stream_at(flow, SVR)->next, 100);
	ck_assert_int_eq(read_all(flow), 100);
	settle(flow);
	ck_assert_uint_eq(mos_stream_advance(&b.s, flow, SVR, &gap), 0);
	ck_assert_uint_eq(gap.from, gap.end);
	ck_assert_uint_eq(stream_at(flow, SVR)->next, 100);
}
END_TEST

/* ---- out of order ---- */

START_TEST(bytes_behind_a_hole_wait_until_it_is_filled)
{
	uint32_t flow = new_flow();

	ck_assert_uint_eq(packet(flow, 1000, 1000), 0);
	ck_assert_uint_eq(packet(flow, 3000, 1000), 0);
	ck_assert_int_eq(read_all(flow), 0);
	ck_assert_uint_eq(mos_stream_follows(&b.s, flow, SVR, 1000), 1000);
	ck_assert_uint_eq(arrive(flow, 0, 1000), 2000);
	ck_assert_int_eq(read_all(flow), 2000);
	settle(flow);
	ck_assert_uint_eq(arrive(flow, 1500, 1700), 2000);
	ck_assert_int_eq(read_all(flow), 2000);
	settle(flow);
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert_uint_eq(counted(MOS_CTR_W_GAP_BYTES), 0);
}
END_TEST

START_TEST(tiny_segments_in_one_page_cost_one_chunk)
{
	uint32_t flow = new_flow();

	for (uint64_t off = PAGE - 1; off > 0; off--)
		ck_assert_uint_eq(packet(flow, off, 1), 0);
	ck_assert_uint_eq(chunks_used(), 1);
	ck_assert_uint_eq(stream_at(flow, SVR)->ahead, 1);
	ck_assert_uint_eq(arrive(flow, 0, 1), PAGE);
	ck_assert_int_eq(read_all(flow), PAGE);
	settle(flow);
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert_uint_eq(stream_at(flow, SVR)->ahead, 0);
}
END_TEST

START_TEST(out_of_order_bytes_beyond_the_window_are_not_kept)
{
	uint32_t flow = new_flow();
	struct mos_stream_range r;

	arrive_bytes(flow, 1000, bytes_of(1000, 5000), 5000, 3333);
	settle(flow);
	ck_assert(mos_stream_held(&b.s, flow, SVR, 0, &r));
	ck_assert_uint_eq(r.from, 1000);
	ck_assert_uint_eq(r.end, 3333);
	ck_assert(!mos_stream_held(&b.s, flow, SVR, r.end, &r));
	ck_assert_uint_eq(lost.end, 0);
	ck_assert_uint_eq(arrive_bytes(flow, 0, bytes_of(0, 5000), 5000, 10), 5000); /* in order */
	ck_assert_int_eq(read_all(flow), 5000);
	settle(flow);
}
END_TEST

START_TEST(frame_in_several_mbufs_comes_in_pieces)
{
	uint32_t flow = new_flow();
	struct mos_flow *f = flow_at(flow);
	uint64_t n = 0;

	packet(flow, 9000, 1000);
	f->half[SVR].rcv_nxt += 10000;
	for (uint64_t off = 0; off < 9000; off += 3000) {
		struct mos_piece piece = {off, bytes_of(off, 3000), 3000};

		n = mos_stream_arrive(&b.s, flow, SVR, &piece, FAR, off == 6000, &lost);
		ck_assert_uint_eq(n, off == 6000 ? 10000 : 0);
	}
	ck_assert_int_eq(read_all(flow), 10000);
	settle(flow);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

/* ---- gaps ---- */

START_TEST(acknowledged_bytes_that_never_came_are_a_gap)
{
	uint32_t flow = new_flow();
	struct mos_stream_range gap;

	packet(flow, 0, 100);
	packet(flow, 200, 100);
	packet(flow, 400, 100);
	ck_assert_uint_eq(ack(flow, 450, &gap), 150);
	ck_assert_uint_eq(gap.from, 100);
	ck_assert_uint_eq(gap.end, 200);
	ck_assert_uint_eq(counted(MOS_CTR_W_GAP_BYTES), 200);
	ck_assert_int_eq(read_all(flow), 100);
	ck_assert_int_eq(read_all(flow), -100);
	ck_assert_int_eq(read_as(flow, 0, 60), 60);
	ck_assert_int_eq(read_all(flow), 40);
	ck_assert_int_eq(read_all(flow), -100);
	ck_assert_int_eq(read_all(flow), 50);
	ck_assert_int_eq(read_all(flow), 0);
	ck_assert_uint_eq(arrive(flow, 450, 20), 50);
	ck_assert_int_eq(read_all(flow), 50);
	settle(flow);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

START_TEST(bytes_that_come_behind_their_gap_stay_lost)
{
	uint32_t flow = new_flow();
	struct mos_stream_range gap;

	ack(flow, 1000, &gap);
	packet(flow, 0, 1000);
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert_int_eq(read_all(flow), -1000);
}
END_TEST

START_TEST(gap_of_1_gb_is_passed_in_no_time)
{
	struct mos_stream_range gap, r;
	uint32_t flow = new_flow();
	uint64_t at = 0;

	stream_at(flow, SVR)->limit = UINT32_MAX;
	for (int i = 0; i < 20000; i++) { /* 12 Gpages: minutes if they were visited */
		packet(flow, at + (1u << 30) - 1000, 100);
		ck_assert_uint_eq(ack(flow, at + (1u << 30), &gap), 100);
		ck_assert(mos_stream_held(&b.s, flow, SVR, 0, &r));
		ck_assert_int_eq(read_all(flow), -((1 << 30) - 1000));
		ck_assert_int_eq(read_all(flow), 100);
		ck_assert_int_eq(read_all(flow), -900);
		at += 1u << 30;
	}
	settle(flow);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

START_TEST(corrected_guess_of_the_first_number_drops_what_no_longer_fits)
{
	uint32_t flow = new_flow();
	struct mos_half *h = &flow_at(flow)->half[SVR];
	struct mos_stream_range gap, r;

	packet(flow, 700, 100);
	h->irs += 600;
	h->rcv_nxt += 600;
	ck_assert_uint_eq(mos_stream_advance(&b.s, flow, SVR, &gap), 0);
	ck_assert_uint_eq(gap.from, gap.end);
	ck_assert(!mos_stream_held(&b.s, flow, SVR, 0, &r));
	ck_assert_uint_eq(arrive(flow, 0, 300), 300);
	ck_assert_int_eq(read_all(flow), 300);
	settle(flow);

	packet(flow, 300, 50); /* and with bytes in order */
	packet(flow, 500, 50);
	h->irs -= 5000;
	h->rcv_nxt = h->irs + 1;
	mos_stream_advance(&b.s, flow, SVR, &gap);
	ck_assert_uint_eq(stream_at(flow, SVR)->next, 0);
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert_uint_eq(packet(flow, 0, 10), 10);
	ck_assert_int_eq(read_all(flow), 10);
	ck_assert_uint_eq(counted(MOS_CTR_W_GAP_BYTES), 0);
}
END_TEST

static TCase *in_order(void)
{
	TCase *tc = tcase_create("in order");

	tcase_add_checked_fixture(tc, bench_open, bench_close);
	tcase_add_test(tc, in_order_bytes_that_are_read_at_once_need_no_chunk);
	tcase_add_test(tc, unread_bytes_wait_in_chunks);
	tcase_add_test(tc, part_of_a_packet_that_was_read_is_not_copied);
	tcase_add_test(tc, resent_bytes_in_front_of_new_ones_are_skipped);
	tcase_add_test(tc, offsets_pass_4_gb);
	tcase_add_test(tc, number_before_the_first_byte_has_a_negative_offset);
	tcase_add_test(tc, fin_is_not_a_byte);
	return tc;
}

static TCase *out_of_order(void)
{
	TCase *tc = tcase_create("out of order");

	tcase_add_checked_fixture(tc, bench_open, bench_close);
	tcase_add_test(tc, bytes_behind_a_hole_wait_until_it_is_filled);
	tcase_add_test(tc, tiny_segments_in_one_page_cost_one_chunk);
	tcase_add_test(tc, out_of_order_bytes_beyond_the_window_are_not_kept);
	tcase_add_test(tc, frame_in_several_mbufs_comes_in_pieces);
	return tc;
}

static TCase *gaps(void)
{
	TCase *tc = tcase_create("gaps");

	tcase_add_checked_fixture(tc, bench_open, bench_close);
	tcase_add_test(tc, acknowledged_bytes_that_never_came_are_a_gap);
	tcase_add_test(tc, bytes_that_come_behind_their_gap_stay_lost);
	tcase_add_test(tc, gap_of_1_gb_is_passed_in_no_time);
	tcase_add_test(tc, corrected_guess_of_the_first_number_drops_what_no_longer_fits);
	return tc;
}

int main(void)
{
	static TCase *(*const cases[])(void) = {in_order, out_of_order, gaps};

	return run_cases("stream", cases, 3);
}
