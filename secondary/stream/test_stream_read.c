/* Who reads what, from where. test_stream.h tells how it is put on the bench. */
#include "secondary/stream/test_stream.h"

START_TEST(each_socket_has_its_own_position)
{
	uint32_t flow = new_flow();

	stream_at(flow, SVR)->readers = 1 | 1 << 3 | 1 << 7;
	arrive(flow, 0, 2 * PAGE);
	ck_assert_int_eq(read_all(flow), 2 * PAGE);
	ck_assert_int_eq(read_as(flow, 3, PAGE), PAGE);
	settle(flow);
	ck_assert_uint_eq(chunks_used(), 2);
	ck_assert_int_eq(read_as(flow, 7, PAGE + 5), PAGE + 5);
	settle(flow);
	ck_assert_uint_eq(chunks_used(), 1);
	ck_assert_int_eq(read_as(flow, 3, PAGE), PAGE);
	ck_assert_int_eq(read_as(flow, 7, PAGE), PAGE - 5);
	settle(flow);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

START_TEST(socket_that_starts_late_hears_what_it_missed)
{
	uint32_t flow = new_flow();

	stream_at(flow, SVR)->readers = 0;
	packet(flow, 0, 1000);
	flow_at(flow)->half[SVR].rcv_nxt += 2000; /* nobody tells the stream */
	ck_assert_int_eq(read_as(flow, 2, 100), -3000);
	ck_assert_uint_eq(stream_at(flow, SVR)->readers, 1 << 2);
	ck_assert_uint_eq(packet(flow, 3000, 100), 100);
	ck_assert_int_eq(read_as(flow, 2, 200), 100);
	ck_assert_int_eq(read_as(flow, 5, 200), -3000);
	ck_assert_int_eq(read_as(flow, 5, 200), 100);
	flow_at(flow)->half[SVR].rcv_nxt += 50; /* an ACK that the stream is about to follow */
	ck_assert_int_eq(read_as(flow, 6, 200), -3000);
	ck_assert_uint_eq(stream_at(flow, SVR)->next, 3100);
}
END_TEST

START_TEST(stream_that_nobody_reads_or_that_is_off_keeps_nothing)
{
	uint32_t flow = new_flow();
	struct mos_stream *st = stream_at(flow, SVR);
	struct mos_stream_range gap;

	st->readers = 0;
	ck_assert_uint_eq(packet(flow, 500, 500), 0);
	ck_assert_uint_eq(packet(flow, 0, 500), 0);
	ck_assert_uint_eq(ack(flow, 1000, &gap), 0);
	ck_assert_uint_eq(gap.end, 0);
	ck_assert_uint_eq(st->next, 1000);
	st->readers = 1;
	packet(flow, 1000, 500);
	packet(flow, 5000, 500);
	ck_assert_uint_gt(chunks_used(), 0);
	st->flags |= MOS_STREAM_OFF;
	ck_assert_uint_eq(packet(flow, 1500, 500), 0);
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert_uint_eq(counted(MOS_CTR_W_GAP_BYTES), 0);
}
END_TEST

START_TEST(readv_points_to_chunks_and_packet)
{
	uint32_t flow = new_flow();
	struct iovec iov[8];
	int count = 8;
	uint64_t off = 0;

	packet(flow, 0, PAGE + 100);
	arrive(flow, PAGE + 100, 1000);
	ck_assert_int_eq(mos_stream_readv(&b.s, flow, SVR, 0, true, iov, &count), PAGE + 1100);
	ck_assert_int_eq(count, 3);
	for (int i = 0; i < count; i++) {
		ck_assert(are_bytes_of(iov[i].iov_base, off, iov[i].iov_len));
		off += iov[i].iov_len;
	}
	ck_assert_uint_eq(off, PAGE + 1100);
	ck_assert_ptr_eq(iov[2].iov_base, b.s.tail.bytes);
	count = 8;
	ck_assert_int_eq(mos_stream_readv(&b.s, flow, SVR, 0, true, iov, &count), 0);
	ck_assert_int_eq(count, 0);
	settle(flow);

	packet(flow, PAGE + 1100, 3 * PAGE);
	count = 2;
	ck_assert_int_eq(mos_stream_readv(&b.s, flow, SVR, 0, true, iov, &count),
	                 PAGE - 1100 + PAGE);
	ck_assert_int_eq(count, 2);
	ck_assert_uint_eq(stream_at(flow, SVR)->pos0, 3 * PAGE);
}
END_TEST

START_TEST(bytes_are_had_at_any_offset_that_is_held)
{
	uint32_t flow = new_flow();
	struct mos_stream_range r;
	uint8_t buf[4096];

	packet(flow, 0, 1000);
	packet(flow, 2000, 2000);
	arrive(flow, 1000, 500);
	ck_assert_uint_eq(mos_stream_at(&b.s, flow, SVR, buf, sizeof(buf), 10), 1490);
	ck_assert(are_bytes_of(buf, 10, 1490));
	ck_assert_uint_eq(mos_stream_at(&b.s, flow, SVR, buf, 100, 1450), 50);
	ck_assert_uint_eq(mos_stream_at(&b.s, flow, SVR, buf, 100, 1500), 0);
	ck_assert_uint_eq(mos_stream_at(&b.s, flow, SVR, buf, sizeof(buf), 2500), 1500);
	ck_assert(are_bytes_of(buf, 2500, 1500));
	ck_assert_uint_eq(mos_stream_at(&b.s, flow, SVR, buf, 1, UINT64_MAX), 0);
	ck_assert_uint_eq(mos_stream_at(&b.s, flow, SVR, buf, 100, UINT64_MAX - 10), 0);

	ck_assert(mos_stream_held(&b.s, flow, SVR, 0, &r));
	ck_assert(r.from == 0 && r.end == 1500);
	ck_assert(mos_stream_held(&b.s, flow, SVR, 1499, &r));
	ck_assert(r.from == 0 && r.end == 1500);
	ck_assert(mos_stream_held(&b.s, flow, SVR, r.end, &r));
	ck_assert(r.from == 2000 && r.end == 4000);
	ck_assert(mos_stream_held(&b.s, flow, SVR, 3999, &r));
	ck_assert(r.from == 2000 && r.end == 4000);
	ck_assert(!mos_stream_held(&b.s, flow, SVR, r.end, &r));
	settle(flow);
	ck_assert_uint_eq(mos_stream_at(&b.s, flow, SVR, buf, sizeof(buf), 0), 1500);
}
END_TEST

START_TEST(what_is_read_in_a_timer_is_given_back_later)
{
	uint32_t flow = new_flow();
	uint8_t buf[5000];

	packet(flow, 0, 5000);
	ck_assert_uint_eq(chunks_used(), 3);
	ck_assert_int_eq(mos_stream_read(&b.s, flow, SVR, 0, false, buf, 3000), 3000);
	ck_assert_int_eq(mos_stream_read(&b.s, flow, SVR, 0, false, buf, 1000), 1000);
	ck_assert_uint_eq(chunks_used(), 3);
	ck_assert_uint_eq(b.s.read_count, 1);
	mos_streams_settle_read(&b.s);
	ck_assert_uint_eq(b.s.read_count, 0);
	ck_assert_uint_eq(chunks_used(), 1);
	ck_assert_int_eq(read_all(flow), 1000);
	ck_assert_uint_eq(b.s.read_count, 0); /* in hand: a settle follows */
	mos_streams_free_flow(&b.s, flow);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

START_TEST(detached_tail_outlives_its_packet)
{
	uint32_t flow = new_flow();
	uint8_t packet_bytes[3000];

	memcpy(packet_bytes, bytes_of(0, 3000), 3000);
	ck_assert_uint_eq(arrive_bytes(flow, 0, packet_bytes, 3000, FAR), 3000);
	mos_stream_detach_tail(&b.s);
	memset(packet_bytes, 0, 3000);
	ck_assert_int_eq(read_all(flow), 3000);
	settle(flow);
	ck_assert_uint_eq(chunks_used(), 0);
	mos_stream_detach_tail(&b.s);
}
END_TEST

static TCase *readers(void)
{
	TCase *tc = tcase_create("readers");

	tcase_add_checked_fixture(tc, bench_open, bench_close);
	tcase_add_test(tc, each_socket_has_its_own_position);
	tcase_add_test(tc, socket_that_starts_late_hears_what_it_missed);
	tcase_add_test(tc, stream_that_nobody_reads_or_that_is_off_keeps_nothing);
	tcase_add_test(tc, readv_points_to_chunks_and_packet);
	tcase_add_test(tc, bytes_are_had_at_any_offset_that_is_held);
	tcase_add_test(tc, what_is_read_in_a_timer_is_given_back_later);
	tcase_add_test(tc, detached_tail_outlives_its_packet);
	return tc;
}

int main(void)
{
	static TCase *(*const cases[])(void) = {readers};

	return run_cases("stream_read", cases, 1);
}
