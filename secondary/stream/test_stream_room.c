/* What a stream keeps when there is too much. test_stream.h tells how it is put on the bench. */
#include "secondary/stream/test_stream.h"

/* ---- limits ---- */

START_TEST(newest_bytes_up_to_the_limit_are_kept)
{
	uint32_t flow = new_flow();

	stream_at(flow, SVR)->limit = 8192;
	for (uint64_t off = 0; off < 11000; off += 1000) {
		struct mos_piece piece = {off, NULL, 1000};
		bool over = off + 1000 > 8192;

		ck_assert_uint_eq(mos_stream_overrun(&b.s, flow, SVR, &piece, &lost), over);
		if (over) {
			ck_assert_uint_eq(lost.from, 0);
			ck_assert_uint_eq(lost.end, off + 1000 - 8192);
		}
		packet(flow, off, 1000);
	}
	ck_assert_uint_eq(counted(MOS_CTR_W_OVERRUN_BYTES), 2808);
	ck_assert_int_eq(read_all(flow), -2808);
	ck_assert_int_eq(read_all(flow), 8192);
	ck_assert_int_eq(read_all(flow), 0);
}
END_TEST

START_TEST(bytes_read_in_time_are_not_overrun)
{
	uint32_t flow = new_flow();
	struct mos_piece piece = {8000, NULL, 1000};

	stream_at(flow, SVR)->limit = 8192;
	packet(flow, 0, 8000);
	ck_assert_uint_eq(mos_stream_overrun(&b.s, flow, SVR, &piece, &lost), 1);
	ck_assert_int_eq(read_as(flow, 0, 808), 808);
	ck_assert_uint_eq(mos_stream_overrun(&b.s, flow, SVR, &piece, &lost), 0);
	packet(flow, 8000, 1000);
	ck_assert_int_eq(read_all(flow), 8192);
	ck_assert_uint_eq(counted(MOS_CTR_W_OVERRUN_BYTES), 0);
}
END_TEST

START_TEST(only_sockets_whose_bytes_go_hear_of_an_overrun)
{
	uint32_t flow = new_flow();
	struct mos_piece piece = {2000, NULL, 500};

	stream_at(flow, SVR)->readers = 1 << 0 | 1 << 1 | 1 << 4 | 1 << 6;
	stream_at(flow, SVR)->limit = 2048;
	arrive(flow, 0, 2000);
	read_as(flow, 0, 452);
	read_as(flow, 1, 451);
	read_as(flow, 4, 2000);
	settle(flow);
	ck_assert_uint_eq(mos_stream_overrun(&b.s, flow, SVR, &piece, &lost), 1 << 1 | 1 << 6);
	ck_assert_uint_eq(lost.from, 0);
	ck_assert_uint_eq(lost.end, 452);
	packet(flow, 2000, 500);
	ck_assert_uint_eq(counted(MOS_CTR_W_OVERRUN_BYTES), 452);
	ck_assert_int_eq(read_as(flow, 1, 5000), -1);
	ck_assert_int_eq(read_as(flow, 6, 5000), -452);
	ck_assert_int_eq(read_as(flow, 0, 5000), 2048);
}
END_TEST

START_TEST(socket_that_lost_its_bytes_already_hears_no_more_of_it)
{
	uint32_t flow = new_flow();
	struct mos_piece piece = {3000, NULL, 1000};

	stream_at(flow, SVR)->limit = 2000;
	arrive(flow, 0, 3000);
	ck_assert_int_eq(read_all(flow), 3000);
	stream_at(flow, SVR)->readers = 3; /* the second starts late */
	settle(flow);
	ck_assert_uint_gt(chunks_used(), 0);
	ck_assert_uint_eq(mos_stream_overrun(&b.s, flow, SVR, &piece, &lost), 2);
	ck_assert_uint_eq(lost.end, 2000);
	packet(flow, 3000, 1000);
	ck_assert_int_eq(read_as(flow, 1, 4000), -2000);
	ck_assert_int_eq(read_as(flow, 1, 4000), 2000);
	*mos_stream_pos(flow_at(flow), SVR, 1) = 0;
	piece = (struct mos_piece){4000, NULL, 0};
	ck_assert_uint_eq(mos_stream_overrun(&b.s, flow, SVR, &piece, &lost), 0);
}
END_TEST

START_TEST(packet_longer_than_the_limit_loses_its_own_beginning)
{
	uint32_t flow = new_flow();

	stream_at(flow, SVR)->limit = 100;
	packet(flow, 0, 60);
	packet(flow, 60, 5000);
	ck_assert_uint_eq(counted(MOS_CTR_W_OVERRUN_BYTES), 4960);
	ck_assert_uint_le(chunks_used(), 2);
	ck_assert_int_eq(read_all(flow), -4960);
	ck_assert_int_eq(read_all(flow), 100);
}
END_TEST

START_TEST(limit_may_change_at_any_time)
{
	uint32_t flow = new_flow();

	stream_at(flow, SVR)->limit = 1000;
	packet(flow, 0, 900);
	stream_at(flow, SVR)->limit = 5000; /* in the callback of an overrun */
	packet(flow, 900, 4000);
	ck_assert_uint_eq(counted(MOS_CTR_W_OVERRUN_BYTES), 0);
	stream_at(flow, SVR)->limit = 700;
	packet(flow, 4900, 100);
	ck_assert_uint_eq(counted(MOS_CTR_W_OVERRUN_BYTES), 4300);
	stream_at(flow, SVR)->limit = 5000;
	packet(flow, 5000, 100);
	ck_assert_int_eq(read_all(flow), -4300);
	ck_assert_int_eq(read_all(flow), 800);
	stream_at(flow, SVR)->limit = 0;
	packet(flow, 5100, 100);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

START_TEST(bytes_in_a_hole_are_not_counted_as_overrun)
{
	uint32_t flow = new_flow();
	struct mos_stream_range gap;

	stream_at(flow, SVR)->limit = 1000;
	packet(flow, 0, 100);
	packet(flow, 500, 100);
	ack(flow, 600, &gap);
	packet(flow, 600, 950);
	ck_assert_uint_eq(counted(MOS_CTR_W_OVERRUN_BYTES), 150);
	ck_assert_int_eq(read_all(flow), -550);
	ck_assert_int_eq(read_all(flow), 1000);
}
END_TEST

/* ---- no room ---- */

/* Take chunks until `left` are free: in order and unread, so that they have no age. */
static uint32_t fill_pool(uint32_t left)
{
	uint32_t flow = new_flow(), pages = b.s.pool.free_count - left;

	for (uint32_t i = 0; i < pages; i++)
		packet(flow, (uint64_t)i * PAGE, PAGE);
	ck_assert_uint_eq(b.s.pool.free_count, left);
	return flow;
}

START_TEST(stream_has_at_most_its_share_out_of_order)
{
	uint32_t flow = new_flow(), share = b.s.share_max;

	ck_assert_uint_eq(share, CHUNKS / 4);
	for (uint32_t i = 0; i < share; i++) {
		packet(flow, 10 + i * UINT64_C(100000), 100);
		ck_assert_uint_eq(lost.end, 0);
	}
	packet(flow, 50, 100); /* its page has a chunk */
	ck_assert_uint_eq(lost.end, 0);
	packet(flow, 50000, 100);
	ck_assert_uint_eq(lost.from, 50000);
	ck_assert_uint_eq(lost.end, 50100);
	ck_assert_uint_eq(counted(MOS_CTR_W_NO_ROOM_BYTES), 100);
	ck_assert_uint_eq(stream_at(flow, SVR)->ahead, share);
	packet(flow, 0, 10); /* one is in order now */
	ck_assert_uint_eq(stream_at(flow, SVR)->ahead, share - 1);
	packet(flow, 50000, 100);
	ck_assert_uint_eq(lost.end, 0);
	ck_assert_uint_eq(chunks_used(), share + 1);
	mos_streams_free_flow(&b.s, flow);
	ck_assert_uint_eq(stream_at(flow, SVR)->ahead, 0);
}
END_TEST

START_TEST(oldest_chunk_out_of_order_goes_first_whosever_it_is)
{
	uint32_t old = new_flow(), young = new_flow(), flow;
	struct mos_stream_range r;

	packet(old, 5000, 100);
	packet(old, 5200, 50);
	packet(young, 5000, 100);
	flow = fill_pool(0);
	packet(flow, stream_at(flow, SVR)->next, 10);
	ck_assert_uint_eq(b.s.evicted_count, 1);
	ck_assert_uint_eq(b.s.evicted[0].flow, old);
	ck_assert_uint_eq(b.s.evicted[0].side, SVR);
	ck_assert_uint_eq(b.s.evicted[0].owner, mos_chunk_owner(flow_at(old)->id, SVR));
	ck_assert_uint_eq(b.s.evicted[0].range.from, 5000);
	ck_assert_uint_eq(b.s.evicted[0].range.end, 5250);
	ck_assert_uint_eq(counted(MOS_CTR_W_NO_ROOM_BYTES), 150);
	ck_assert(!mos_stream_held(&b.s, old, SVR, 0, &r));
	ck_assert_uint_eq(stream_at(old, SVR)->ahead, 0);
	ck_assert_uint_eq(packet(old, 0, 5000), 5000); /* takes the chunks of young, then its own */
	ck_assert_uint_eq(stream_at(young, SVR)->ahead, 0);
}
END_TEST

START_TEST(chunk_with_bytes_in_order_is_not_taken_by_others)
{
	uint32_t mixed = new_flow(), flow, more;
	struct mos_stream_range r;

	packet(mixed, 0, 10);
	packet(mixed, 20, 10);
	flow = fill_pool(0);
	more = new_flow();
	packet(more, 0, 10);
	ck_assert_uint_eq(chunks_used(), CHUNKS);
	ck_assert_uint_eq(stream_at(more, SVR)->chunks, 0);
	ck_assert(mos_stream_held(&b.s, mixed, SVR, 15, &r));
	ck_assert_uint_eq(r.from, 20);

	ck_assert_int_eq(read_all(mixed), 10); /* now only what is out of order is left */
	settle(mixed);
	ck_assert_uint_eq(stream_at(mixed, SVR)->ahead, 1);
	ck_assert_uint_eq(packet(more, 10, 10), 10);
	ck_assert(!mos_stream_held(&b.s, mixed, SVR, 0, &r));
	ck_assert_int_eq(read_all(more), -10);
	ck_assert_int_eq(read_all(more), 10);
	mos_streams_free_flow(&b.s, flow);
}
END_TEST

START_TEST(chunk_that_came_in_order_is_not_taken_by_others)
{
	uint32_t passed = new_flow(), filled = new_flow(), other = new_flow(), full, flow;
	struct mos_stream_range gap, r;

	packet(passed, 10, 10);
	packet(filled, 100, 10);
	packet(other, 10, 10);
	full = fill_pool(0);
	ck_assert_uint_eq(ack(passed, 20, &gap), 10);
	packet(filled, 0, PAGE + 100); /* takes the chunk of other, not its own first */
	ck_assert(!mos_stream_held(&b.s, other, SVR, 0, &r));
	ck_assert_int_eq(read_all(filled), PAGE + 100);
	settle(filled);
	mos_streams_free_flow(&b.s, full);
	fill_pool(0);
	flow = new_flow();
	packet(flow, 0, 10);
	ck_assert_uint_eq(stream_at(flow, SVR)->chunks, 0);
	ck_assert_int_eq(read_all(passed), -10);
	ck_assert_int_eq(read_all(passed), 10);
}
END_TEST

START_TEST(kept_bytes_that_were_read_go_without_a_word)
{
	uint32_t flow = new_flow();

	mos_stream_keep(flow_at(flow), SVR, true);
	while (b.s.pool.free_count > 0) {
		arrive(flow, stream_at(flow, SVR)->next, PAGE);
		ck_assert_int_eq(read_all(flow), PAGE);
		settle(flow);
	}
	arrive(flow, stream_at(flow, SVR)->next, PAGE);
	ck_assert_int_eq(read_all(flow), PAGE);
	settle(flow); /* the oldest went */
	mos_stream_keep(flow_at(flow), SVR, false);
	settle(flow);
	fill_pool(0);
	mos_stream_keep(flow_at(flow), SVR, true);
	arrive(flow, stream_at(flow, SVR)->next, PAGE);
	ck_assert_int_eq(read_all(flow), PAGE);
	settle(flow); /* this one found no room */
	ck_assert_uint_eq(counted(MOS_CTR_W_NO_ROOM_BYTES), 0);
	ck_assert_uint_eq(b.s.evicted_count, 0);
}
END_TEST

START_TEST(stream_gives_up_its_own_oldest_bytes_for_newer_ones_in_order)
{
	uint32_t flow = fill_pool(0);
	uint64_t next = stream_at(flow, SVR)->next;

	packet(flow, next, PAGE);
	ck_assert_uint_eq(b.s.evicted_count, 1);
	ck_assert_uint_eq(b.s.evicted[0].flow, flow);
	ck_assert_uint_eq(b.s.evicted[0].range.from, 0);
	ck_assert_uint_eq(b.s.evicted[0].range.end, PAGE);
	ck_assert_uint_eq(counted(MOS_CTR_W_NO_ROOM_BYTES), PAGE);
	packet(flow, next + 2 * PAGE, 100); /* but not for what may never be read */
	ck_assert_uint_eq(lost.from, next + 2 * PAGE);
	ck_assert_uint_eq(lost.end, next + 2 * PAGE + 100);
	ck_assert_int_eq(read_all(flow), -PAGE);
	ck_assert_int_eq(read_all(flow), (int64_t)next);
}
END_TEST

/* Else each packet would look for the oldest bytes behind all that were given up so far. */
START_TEST(stream_remembers_which_of_its_bytes_it_gave_up)
{
	uint32_t flow = fill_pool(0);
	uint64_t next = stream_at(flow, SVR)->next;

	packet(flow, next, PAGE);
	ck_assert_uint_eq(flow_at(flow)->pos[SVR][0], PAGE);
	packet(flow, next + PAGE, PAGE);
	ck_assert_uint_eq(flow_at(flow)->pos[SVR][0], 2 * PAGE);
}
END_TEST

/* Two streams are read in turn, as often as the list of what was read has room. */
START_TEST(streams_read_in_a_timer_give_back_however_many_they_are)
{
	uint32_t flow[3];
	uint8_t byte[1];

	for (unsigned i = 0; i < 3; i++) {
		flow[i] = new_flow();
		packet(flow[i], 0, 1 + 63 * (i < 2));
	}
	for (unsigned i = 0; i < MOS_READ_MAX; i++)
		ck_assert_int_eq(mos_stream_read(&b.s, flow[i % 2], SVR, 0, false, byte, 1), 1);
	ck_assert_int_eq(mos_stream_read(&b.s, flow[2], SVR, 0, false, byte, 1), 1);
	mos_streams_settle_read(&b.s);
	ck_assert_uint_eq(chunks_used(), 2);
}
END_TEST

START_TEST(bytes_that_find_no_room_are_lost_and_told)
{
	uint32_t full = fill_pool(1), flow = new_flow();

	arrive(flow, 0, PAGE + 100);
	ck_assert_uint_eq(lost.end, 0); /* still in the packet */
	settle(flow);
	/* its first page got a chunk, which goes for the newer bytes */
	ck_assert_uint_eq(counted(MOS_CTR_W_NO_ROOM_BYTES), PAGE);
	ck_assert_int_eq(read_all(flow), -PAGE);
	ck_assert_int_eq(read_all(flow), 100);
	settle(flow);

	fill_pool(0);
	arrive(flow, PAGE + 100, 200);
	ck_assert_int_eq(read_as(flow, 0, 50), 50);
	settle(flow);
	ck_assert_uint_eq(b.s.evicted[b.s.evicted_count - 1].flow, flow);
	ck_assert_uint_eq(b.s.evicted[b.s.evicted_count - 1].range.end, PAGE + 300);
	ck_assert_uint_eq(counted(MOS_CTR_W_NO_ROOM_BYTES), PAGE + 150);
	ck_assert_int_eq(read_all(flow), -150);
	mos_streams_free_flow(&b.s, full);
}
END_TEST

START_TEST(what_was_filled_in_for_a_reader_is_not_given_up_in_a_callback)
{
	uint32_t flow = fill_pool(0);
	uint64_t next = stream_at(flow, SVR)->next;
	struct iovec iov[1];
	int count = 1;

	arrive(flow, next, 100);
	ck_assert_int_eq(mos_stream_readv(&b.s, flow, SVR, 0, true, iov, &count), PAGE);
	mos_stream_detach_tail(&b.s);
	ck_assert(are_bytes_of(iov[0].iov_base, 0, PAGE));
	ck_assert_uint_eq(b.s.evicted_count, 1);
	ck_assert_uint_eq(b.s.evicted[0].range.from, next);
	ck_assert_int_eq(read_all(flow), (int64_t)next - PAGE);
	ck_assert_int_eq(read_all(flow), -100);
}
END_TEST

START_TEST(losses_are_told_once_per_stream_and_a_full_list_forgets)
{
	uint32_t full, flow;

	for (uint32_t i = 0; i < 16; i++)
		packet(new_flow(), 10, 10);
	full = fill_pool(0);
	flow = new_flow();
	for (uint32_t i = 0; i < 16; i++)
		packet(flow, i * (uint64_t)PAGE, PAGE);
	ck_assert_uint_eq(b.s.evicted_count, 16);
	for (uint32_t i = 16; i < 100; i++)
		packet(flow, i * (uint64_t)PAGE, PAGE);
	ck_assert_uint_eq(b.s.evicted_count, 17);
	ck_assert_uint_eq(b.s.evicted[16].flow, flow);
	ck_assert_uint_eq(b.s.evicted[16].range.end, 84 * PAGE);
	for (uint32_t i = 0; i < 200; i++) {
		packet(full, stream_at(full, SVR)->next, PAGE);
		packet(flow, stream_at(flow, SVR)->next, PAGE);
	}
	ck_assert_uint_eq(b.s.evicted_count, MOS_EVICTED_MAX);
}
END_TEST

static TCase *limits(void)
{
	TCase *tc = tcase_create("limits");

	tcase_add_checked_fixture(tc, bench_open, bench_close);
	tcase_add_test(tc, newest_bytes_up_to_the_limit_are_kept);
	tcase_add_test(tc, bytes_read_in_time_are_not_overrun);
	tcase_add_test(tc, only_sockets_whose_bytes_go_hear_of_an_overrun);
	tcase_add_test(tc, socket_that_lost_its_bytes_already_hears_no_more_of_it);
	tcase_add_test(tc, packet_longer_than_the_limit_loses_its_own_beginning);
	tcase_add_test(tc, limit_may_change_at_any_time);
	tcase_add_test(tc, bytes_in_a_hole_are_not_counted_as_overrun);
	return tc;
}

static TCase *no_room(void)
{
	TCase *tc = tcase_create("no room");

	tcase_add_checked_fixture(tc, bench_open, bench_close);
	tcase_add_test(tc, stream_has_at_most_its_share_out_of_order);
	tcase_add_test(tc, oldest_chunk_out_of_order_goes_first_whosever_it_is);
	tcase_add_test(tc, chunk_with_bytes_in_order_is_not_taken_by_others);
	tcase_add_test(tc, chunk_that_came_in_order_is_not_taken_by_others);
	tcase_add_test(tc, kept_bytes_that_were_read_go_without_a_word);
	tcase_add_test(tc, stream_gives_up_its_own_oldest_bytes_for_newer_ones_in_order);
	tcase_add_test(tc, stream_remembers_which_of_its_bytes_it_gave_up);
	tcase_add_test(tc, streams_read_in_a_timer_give_back_however_many_they_are);
	tcase_add_test(tc, bytes_that_find_no_room_are_lost_and_told);
	tcase_add_test(tc, what_was_filled_in_for_a_reader_is_not_given_up_in_a_callback);
	tcase_add_test(tc, losses_are_told_once_per_stream_and_a_full_list_forgets);
	return tc;
}

int main(void)
{
	static TCase *(*const cases[])(void) = {limits, no_room};

	return run_cases("stream_room", cases, 2);
}
