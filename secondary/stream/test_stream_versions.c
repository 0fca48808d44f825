/*
 * Bytes that come twice: which version counts, and who is told when they differ. test_stream.h tells
 * how it is put on the bench.
 */
#include "secondary/stream/test_stream.h"

static uint8_t other[1 << 16];

static const uint8_t *other_bytes(uint32_t len)
{
	memset(other, 0xee, len);
	return other;
}

static const uint8_t *held(uint32_t flow, uint64_t off, size_t len)
{
	static uint8_t buf[1 << 16];

	ck_assert_uint_eq(mos_stream_at(&b.s, flow, SVR, buf, len, off), len);
	return buf;
}

/* Is [off, off + len) of the other version? */
static bool is_other(uint32_t flow, uint64_t off, size_t len)
{
	return memcmp(held(flow, off, len), other_bytes((uint32_t)len), len) == 0;
}

static bool is_first(uint32_t flow, uint64_t off, size_t len)
{
	return are_bytes_of(held(flow, off, len), off, len);
}

START_TEST(first_version_of_a_byte_stays)
{
	uint32_t flow = new_flow();

	packet(flow, 100, 100);
	packet(flow, 300, PAGE);
	arrive_bytes(flow, 50, other_bytes(5000), 5000, FAR);
	settle(flow);
	ck_assert(is_other(flow, 50, 50));
	ck_assert(is_first(flow, 100, 100));
	ck_assert(is_other(flow, 200, 100));
	ck_assert(is_first(flow, 300, PAGE));
	ck_assert(is_other(flow, 300 + PAGE, 4750 - PAGE));
	arrive_bytes(flow, 0, other_bytes(200), 200, FAR);
	ck_assert(is_other(flow, 0, 100));
	ck_assert(is_first(flow, 100, 100));
}
END_TEST

START_TEST(first_version_stays_when_a_frame_comes_in_pieces)
{
	uint32_t flow = new_flow();
	struct mos_piece piece[] = {
		{0, bytes_of(0, 2 * PAGE), PAGE + 500},
		{PAGE + 500, bytes_of(0, 2 * PAGE) + PAGE + 500, PAGE - 500},
	};

	arrive_bytes(flow, PAGE + 1000, other_bytes(100), 100, FAR);
	settle(flow);
	flow_at(flow)->half[SVR].rcv_nxt += 2 * PAGE;
	mos_stream_arrive(&b.s, flow, SVR, &piece[0], FAR, false, &lost);
	ck_assert_uint_eq(mos_stream_arrive(&b.s, flow, SVR, &piece[1], FAR, true, &lost),
	                  2 * PAGE);
	ck_assert(is_first(flow, 0, PAGE + 1000));
	ck_assert(is_other(flow, PAGE + 1000, 100));
	ck_assert(is_first(flow, PAGE + 1100, PAGE - 1100));
	settle(flow);
	ck_assert(is_other(flow, PAGE + 1000, 100));
}
END_TEST

START_TEST(last_version_of_an_unread_byte_counts)
{
	uint32_t flow = new_flow();

	stream_at(flow, SVR)->flags |= MOS_STREAM_LAST;
	packet(flow, 0, 1000);
	packet(flow, 2000, 1000);
	arrive_bytes(flow, 500, other_bytes(400), 400, FAR); /* in order, resent */
	settle(flow);
	arrive_bytes(flow, 2500, other_bytes(1), 1, FAR); /* out of order */
	settle(flow);
	ck_assert(is_first(flow, 0, 500));
	ck_assert(is_other(flow, 500, 400));
	ck_assert(is_first(flow, 900, 100));
	ck_assert(is_first(flow, 2000, 500));
	ck_assert(is_other(flow, 2500, 1));
	ck_assert(is_first(flow, 2501, 499));
	arrive_bytes(flow, 900, other_bytes(1200), 1200, FAR); /* both, and it fills the hole */
	ck_assert_uint_eq(stream_at(flow, SVR)->next, 3000);
	ck_assert(is_other(flow, 900, 1200));
	ck_assert(is_first(flow, 2100, 400));
}
END_TEST

START_TEST(what_one_of_two_sockets_has_read_is_not_replaced)
{
	uint32_t flow = new_flow();

	stream_at(flow, SVR)->flags |= MOS_STREAM_LAST;
	stream_at(flow, SVR)->readers = 3;
	packet(flow, 0, 3000);
	ck_assert_int_eq(read_as(flow, 1, 1234), 1234);
	settle(flow);
	arrive_bytes(flow, 1000, other_bytes(1000), 1000, FAR);
	settle(flow);
	ck_assert(is_first(flow, 0, 1234));
	ck_assert(is_other(flow, 1234, 766));
	ck_assert(is_first(flow, 2000, 1000));
}
END_TEST

START_TEST(lost_bytes_are_not_brought_back_by_a_later_version)
{
	uint32_t flow = new_flow();
	struct mos_stream_range gap, r;

	stream_at(flow, SVR)->flags |= MOS_STREAM_LAST;
	packet(flow, 0, 100);
	packet(flow, 200, 100);
	ack(flow, 300, &gap);
	arrive_bytes(flow, 0, other_bytes(300), 300, FAR);
	settle(flow);
	ck_assert(mos_stream_held(&b.s, flow, SVR, 0, &r));
	ck_assert_uint_eq(r.end, 100);
	ck_assert(is_other(flow, 0, 100));
	ck_assert(is_other(flow, 200, 100));
}
END_TEST

static bool conflicts(uint32_t flow, uint64_t from, const uint8_t *bytes, uint32_t len)
{
	struct mos_piece piece = {from, bytes, len};

	return mos_stream_conflicts(&b.s, flow, SVR, &piece, &lost);
}

START_TEST(conflict_is_told_to_the_byte)
{
	uint32_t flow = new_flow();
	uint8_t bytes[5000];

	memcpy(bytes, bytes_of(0, 5000), 5000);
	packet(flow, 0, 1000);
	packet(flow, 2000, 2000);
	ck_assert(!conflicts(flow, 0, bytes, 5000));
	bytes[1500] ^= 1; /* not held */
	bytes[4500] ^= 1;
	ck_assert(!conflicts(flow, 0, bytes, 5000));
	bytes[999] ^= 1;
	ck_assert(conflicts(flow, 0, bytes, 5000));
	ck_assert(lost.from == 999 && lost.end == 1000);
	bytes[3900] ^= 1;
	ck_assert(conflicts(flow, 0, bytes, 5000));
	ck_assert(lost.from == 999 && lost.end == 3901);
	ck_assert(conflicts(flow, 1000, bytes + 1000, 4000));
	ck_assert(lost.from == 3900 && lost.end == 3901);
	ck_assert(!conflicts(flow, 1000, bytes + 1000, 2900));
	ck_assert_uint_eq(counted(MOS_CTR_W_CONFLICTS), 3);
}
END_TEST

START_TEST(kept_bytes_conflict_until_they_are_acknowledged)
{
	uint32_t flow = new_flow();
	struct mos_stream_range gap;

	mos_stream_keep(flow_at(flow), SVR, true);
	arrive(flow, 0, 3000);
	ck_assert_int_eq(read_all(flow), 3000);
	settle(flow);
	ck_assert_uint_eq(chunks_used(), 2);
	ck_assert(conflicts(flow, 10, other_bytes(1), 1));
	ack(flow, 1800, &gap);
	ck_assert_uint_eq(chunks_used(), 1);
	ck_assert(!conflicts(flow, 10, other_bytes(1), 1));
	ck_assert(!conflicts(flow, 1799, other_bytes(1), 1));
	ck_assert(conflicts(flow, 1800, other_bytes(1), 1));
	ack(flow, 1000, &gap); /* an old one */
	ck_assert(conflicts(flow, 1800, other_bytes(1), 1));
	ack(flow, 3000, &gap);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

START_TEST(keeping_ends_at_the_limit)
{
	uint32_t flow = new_flow();

	stream_at(flow, SVR)->limit = 2000;
	mos_stream_keep(flow_at(flow), SVR, true);
	for (uint64_t off = 0; off < 10000; off += 1000) {
		arrive(flow, off, 1000);
		ck_assert_int_eq(read_all(flow), 1000);
		settle(flow);
	}
	ck_assert(is_first(flow, 8000, 2000));
	ck_assert_uint_le(chunks_used(), 3);
	ck_assert(!conflicts(flow, 7999, other_bytes(1), 1));
	ck_assert_uint_eq(counted(MOS_CTR_W_OVERRUN_BYTES), 0);
	mos_stream_keep(flow_at(flow), SVR, false);
	settle(flow);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

START_TEST(kept_bytes_that_were_read_are_no_loss)
{
	uint32_t flow = new_flow();

	mos_stream_keep(flow_at(flow), SVR, true);
	packet(flow, 0, 2000);
	ck_assert_int_eq(read_as(flow, 0, 1500), 1500);
	settle(flow);
	stream_at(flow, SVR)->limit = 1000;
	packet(flow, 2000, 1000);
	ck_assert_uint_eq(counted(MOS_CTR_W_OVERRUN_BYTES), 500);
	ck_assert_int_eq(read_all(flow), -500);
	ck_assert_int_eq(read_all(flow), 1000);
}
END_TEST

START_TEST(keeping_in_a_new_record_begins_with_its_first_ack)
{
	uint32_t flow = new_flow_at(77);
	struct mos_stream_range gap;

	stream_at(flow, SVR)->flags |= MOS_STREAM_KEEP; /* acked is 0 */
	ack(flow, 0, &gap);
	ck_assert_uint_eq(stream_at(flow, SVR)->acked, 78);
	arrive(flow, 0, 100);
	ck_assert_int_eq(read_all(flow), 100);
	settle(flow);
	ck_assert(conflicts(flow, 0, other_bytes(1), 1));
	ack(flow, 100, &gap);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

static TCase *versions(void)
{
	TCase *tc = tcase_create("versions");

	tcase_add_checked_fixture(tc, bench_open, bench_close);
	tcase_add_test(tc, first_version_of_a_byte_stays);
	tcase_add_test(tc, first_version_stays_when_a_frame_comes_in_pieces);
	tcase_add_test(tc, last_version_of_an_unread_byte_counts);
	tcase_add_test(tc, what_one_of_two_sockets_has_read_is_not_replaced);
	tcase_add_test(tc, lost_bytes_are_not_brought_back_by_a_later_version);
	tcase_add_test(tc, conflict_is_told_to_the_byte);
	tcase_add_test(tc, kept_bytes_conflict_until_they_are_acknowledged);
	tcase_add_test(tc, keeping_ends_at_the_limit);
	tcase_add_test(tc, kept_bytes_that_were_read_are_no_loss);
	tcase_add_test(tc, keeping_in_a_new_record_begins_with_its_first_ack);
	return tc;
}

int main(void)
{
	static TCase *(*const cases[])(void) = {versions};

	return run_cases("stream_versions", cases, 1);
}
