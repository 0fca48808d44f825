/*
 * The buffer of a stream on the bench: what of it is shown (MOS_INFO, MOS_FRAGINFO), how large it
 * is (MOS_CLIBUF, MOS_SVRBUF), and what its options refuse. Specification section 7.6.
 */
#include <limits.h>

#include "test/eal/stream_rig.h"

static void open_flow(void)
{
	sr_open(NULL);
	sr_flow(0);
}

static int get(int option, void *value, socklen_t *len)
{
	return mtcp_getsockopt(hs_mctx(), sr.sock, SOL_MONSOCKET, option, value, len);
}

/* ---- MOS_INFO ---- */

/* Offsets that the fields stand for, in a stream of the server whose bytes begin at `first`. */
static void expect_info(uint32_t first, uint64_t read, uint64_t expected, uint64_t received)
{
	struct tcp_buf_info info;
	socklen_t len = sizeof(info);

	ck_assert_int_eq(get(MOS_INFO_SVRBUF, &info, &len), 0);
	ck_assert_uint_eq(len, sizeof(info));
	ck_assert_uint_eq(info.tcpbi_init_seq, first);
	ck_assert_uint_eq(info.tcpbi_last_byte_read, first + (uint32_t)read);
	ck_assert_uint_eq(info.tcpbi_next_byte_expected, first + (uint32_t)expected);
	ck_assert_uint_eq(info.tcpbi_last_byte_received, first + (uint32_t)received);
}

static void walk_through_info(uint32_t isn)
{
	struct tcp_buf_info info;
	socklen_t len = sizeof(info);

	sr_flow_from(0, isn, 5000);
	fails(ENODATA, get(MOS_INFO_SVRBUF, &info, &len));
	sr_data(MOS_SVR, 0, 100);
	expect_info(isn + 1, 0, 100, 100);
	sr_reads(sr.sock, MOS_SVR, 0, 40);
	expect_info(isn + 1, 40, 100, 100);
	sr_data(MOS_SVR, 200, 100);
	sr_data(MOS_SVR, 400, 100);
	expect_info(isn + 1, 40, 100, 500);
	sr_data(MOS_SVR, 100, 100);
	expect_info(isn + 1, 40, 300, 500);
	sr_reads(sr.sock, MOS_SVR, 40, 260);
	expect_info(isn + 1, 300, 300, 500);
	sr_data(MOS_SVR, 300, 100);
	sr_fin(MOS_SVR, 500); /* no byte */
	expect_info(isn + 1, 300, 500, 500);
	fails(ENODATA, get(MOS_INFO_CLIBUF, &info, &len));
}

/* D-28 */
START_TEST(info_is_in_sequence_numbers)
{
	sr_open(NULL);
	walk_through_info(1000);
}
END_TEST

START_TEST(info_wraps_as_sequence_numbers_do)
{
	sr_open(NULL);
	walk_through_info(UINT32_MAX - 150);
}
END_TEST

START_TEST(info_counts_what_came_too_early)
{
	open_flow();
	sr_data(MOS_SVR, 70, 5);
	expect_info(1001, 0, 0, 75);
}
END_TEST

START_TEST(info_of_a_stream_nobody_reads_is_right)
{
	memset(&sr, 0, sizeof(sr));
	hs_open(NULL);
	sr.passive = hs_passive();
	sr_flow(0);
	sr_data(MOS_SVR, 0, 1000);
	expect_info(1001, 0, 1000, 1000);
	sr_data(MOS_SVR, 1000, 1000);
	expect_info(1001, 0, 2000, 2000);
	ck_assert_uint_eq(sr_chunks_in_use(), 0);
}
END_TEST

/* ---- MOS_FRAGINFO ---- */

struct piece {
	uint64_t off;
	uint32_t len;
};

#define ROOM 6

/* These pieces are shown when there is room for `room`; nothing behind them is written to. */
static void expect_pieces(socklen_t room, const struct piece *p, socklen_t n)
{
	struct tcp_ring_fragment frag[ROOM + 1];
	socklen_t len = room;

	memset(frag, 0xee, sizeof(frag));
	ck_assert_int_eq(get(MOS_FRAGINFO_SVRBUF, frag, &len), 0);
	ck_assert_uint_eq(len, n);
	for (socklen_t i = 0; i < n; i++) {
		ck_assert_uint_eq(frag[i].offset, p[i].off);
		ck_assert_uint_eq(frag[i].len, p[i].len);
	}
	if (n < room) {
		ck_assert_uint_eq(frag[n].offset, 0);
		ck_assert_uint_eq(frag[n].len, 0);
		n++;
	}
	ck_assert_uint_eq(frag[n].len, 0xeeeeeeee);
}

#define PIECES(room, ...)                                        \
	do {                                                     \
		const struct piece p_[] = {__VA_ARGS__};         \
		expect_pieces(room, p_, (socklen_t)RTE_DIM(p_)); \
	} while (0)

START_TEST(pieces_are_told_the_one_in_order_first)
{
	open_flow();
	expect_pieces(ROOM, NULL, 0);
	sr_data(MOS_SVR, 0, 100);
	PIECES(ROOM, {0, 100});
	sr_data(MOS_SVR, 5000, 10);
	sr_data(MOS_SVR, 200, 100);
	PIECES(ROOM, {0, 100}, {200, 100}, {5000, 10});
	sr_reads(sr.sock, MOS_SVR, 0, 100);
	hs_round();
	PIECES(ROOM, {200, 100}, {5000, 10}); /* what was read is held no more */
	sr_data(MOS_SVR, 100, 100);
	PIECES(ROOM, {100, 200}, {5000, 10});
}
END_TEST

/* D-28: as many as asked for, and not one more is written. */
START_TEST(pieces_fill_the_room_there_is)
{
	open_flow();
	for (uint32_t i = 1; i <= 4; i++)
		sr_data(MOS_SVR, 100 * i, 10);
	PIECES(1, {100, 10});
	PIECES(3, {100, 10}, {200, 10}, {300, 10});
	PIECES(4, {100, 10}, {200, 10}, {300, 10}, {400, 10});
	PIECES(5, {100, 10}, {200, 10}, {300, 10}, {400, 10});
}
END_TEST

START_TEST(pieces_have_offsets_beyond_a_wrap_of_sequence_numbers)
{
	sr_open(NULL);
	sr_flow_from(0, UINT32_MAX - 50, 5000);
	sr_data(MOS_SVR, 0, 100);
	sr_data(MOS_SVR, 300, 100);
	PIECES(ROOM, {0, 100}, {300, 100});
}
END_TEST

/* ---- refused ---- */

START_TEST(get_refuses_what_does_not_fit)
{
	struct tcp_ring_fragment frag[2];
	struct tcp_buf_info info;
	socklen_t len;

	open_flow();
	sr_data(MOS_SVR, 0, 10);
	for (len = 0; len < 40; len++)
		if (len != sizeof(info))
			fails(EINVAL, get(MOS_INFO_SVRBUF, &info, &len));
	len = sizeof(info);
	fails(EINVAL, get(MOS_INFO_SVRBUF, NULL, &len));
	fails(EINVAL, get(MOS_INFO_SVRBUF, &info, NULL));
	fails(EINVAL, get(MOS_FRAGINFO_SVRBUF, NULL, &len));
	fails(EINVAL, get(MOS_FRAGINFO_SVRBUF, frag, NULL));
	len = 0;
	fails(EINVAL, get(MOS_FRAGINFO_SVRBUF, frag, &len));
	sr.sock = sr.passive;
	fails(ENOTSOCK, get(MOS_INFO_SVRBUF, &info, &len));
	fails(ENOTSOCK, get(MOS_FRAGINFO_SVRBUF, frag, &len));
}
END_TEST

static const int of_streams[] = {MOS_CLIBUF,     MOS_SVRBUF,  MOS_CLIOVERLAP,
                                 MOS_SVROVERLAP, MOS_CLIKEEP, MOS_SVRKEEP};

START_TEST(set_refuses_what_does_not_fit)
{
	const int one = 1, no_options[] = {MOS_FRAG_CLIBUF, MOS_FRAG_SVRBUF,
	                                   MOS_INFO_CLIBUF, 0,
	                                   0x100,           0x105};
	mctx_t m;
	int raw;

	open_flow();
	m = hs_mctx();
	raw = hs_raw();
	for (unsigned i = 0; i < RTE_DIM(of_streams); i++) {
		int o = of_streams[i];

		fails(EINVAL, sr_set(sr.sock, o, -1));
		fails(EINVAL, sr_set(sr.passive, o, INT_MIN));
		fails(EINVAL, mtcp_setsockopt(m, sr.sock, SOL_MONSOCKET, o, &one, 3));
		fails(EFAULT, mtcp_setsockopt(m, sr.sock, SOL_MONSOCKET, o, NULL, 4));
		fails(ENOSYS, mtcp_setsockopt(m, sr.sock, SOL_SOCKET, o, &one, 4));
		fails(ENOTSOCK, sr_set(raw, o, 1));
		fails(EBADF, sr_set(60, o, 1));
		fails(EBADF, sr_set(sr.sock + 1, o, 1));
	}
	for (unsigned i = 2; i < RTE_DIM(of_streams); i++) {
		fails(EINVAL, sr_set(sr.sock, of_streams[i], 2));
		fails(EINVAL, sr_set(sr.passive, of_streams[i], 2));
	}
	for (unsigned i = 0; i < RTE_DIM(no_options); i++)
		fails(ENOSYS, sr_set(sr.sock, no_options[i], 0));
}
END_TEST

static void *set_elsewhere(void *wrong)
{
	for (unsigned i = 0; i < RTE_DIM(of_streams); i++) {
		errno = 0;
		if (sr_set(sr.sock, of_streams[i], 1) != -1 || errno != EPERM)
			return wrong;
		if (sr_set(sr.passive, of_streams[i], 1) != 0)
			return wrong;
	}
	return NULL;
}

START_TEST(other_threads_set_passive_sockets_only)
{
	void *wrong = &wrong;
	pthread_t t;

	open_flow();
	ck_assert_int_eq(pthread_create(&t, NULL, set_elsewhere, &sr), 0);
	pthread_join(t, &wrong);
	ck_assert_ptr_null(wrong);
}
END_TEST

/* ---- size ---- */

/* 7.4: 11 x 1000 bytes into 8192 that nobody reads. */
START_TEST(oldest_bytes_go_when_nobody_reads)
{
	open_flow();
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, 8192), 0);
	sr_watch(NULL);
	for (uint32_t i = 0; i < 11; i++) {
		sr_data(MOS_SVR, 1000 * i, 1000);
		ck_assert_uint_eq(sr.errors, i < 8 ? 0 : i - 7);
		if (i < 8)
			continue;
		ck_assert_int_eq(sr.gap.cause, MOS_GAP_OVERRUN);
		ck_assert_uint_eq(sr.gap.offset, 0);
		ck_assert_uint_eq(sr.gap.len, 1000 * (i + 1) - 8192);
	}
	ck_assert_uint_eq(sr.new_data, 11);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_OVERRUN_BYTES), 2808);
	sr_loses(sr.sock, MOS_SVR, 2808);
	sr_reads(sr.sock, MOS_SVR, 2808, 8192);
}
END_TEST

static void grow(int sock, int side, event_t event, int hook)
{
	if (event != MOS_ON_ERROR)
		return;
	sr.errors++;
	ck_assert_int_eq(sr_set(sock, MOS_SVRBUF, 100000), 0);
}

/* D-32 */
START_TEST(growing_in_the_error_saves_the_bytes)
{
	open_flow();
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, 8192), 0);
	hs.act = grow;
	for (uint32_t i = 0; i < 20; i++)
		sr_data(MOS_SVR, 1000 * i, 1000);
	ck_assert_uint_eq(sr.errors, 1);
	sr_reads(sr.sock, MOS_SVR, 0, 20000);
}
END_TEST

static void read_all(int sock, int side, event_t event, int hook)
{
	if (event != MOS_ON_ERROR)
		return;
	sr.errors++;
	sr_reads(sock, side, 8000 * (sr.errors - 1), 8000);
}

START_TEST(reading_in_the_error_saves_the_bytes)
{
	open_flow();
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, 8192), 0);
	hs.act = read_all;
	for (uint32_t i = 0; i < 20; i++)
		sr_data(MOS_SVR, 1000 * i, 1000);
	ck_assert_uint_eq(sr.errors, 2);
	sr_reads(sr.sock, MOS_SVR, 16000, 4000);
}
END_TEST

START_TEST(any_size_is_taken_exactly)
{
	static const int sizes[] = {1, 7, 1791, 1792, 1793, 2048, 5000};

	sr_open(NULL);
	for (uint32_t i = 0; i < RTE_DIM(sizes); i++) {
		sr_flow(i);
		ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, INT_MAX), 0);
		ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, sizes[i]), 0);
		for (uint32_t j = 0; j < 6; j++)
			sr_data(MOS_SVR, 1000 * j, 1000);
		sr_loses(sr.sock, MOS_SVR, 6000 - sizes[i]);
		sr_reads(sr.sock, MOS_SVR, 6000 - (uint64_t)sizes[i], (uint32_t)sizes[i]);
	}
}
END_TEST

START_TEST(shrinking_loses_the_oldest_with_the_next_packet)
{
	open_flow();
	for (uint32_t i = 0; i < 5; i++)
		sr_data(MOS_SVR, 1000 * i, 1000);
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, 1500), 0);
	sr_data(MOS_SVR, 5000, 0);
	sr_holds_not(sr.sock, MOS_SVR, 3499);
	sr_loses(sr.sock, MOS_SVR, 3500);
	sr_reads(sr.sock, MOS_SVR, 3500, 1500);
}
END_TEST

TCase *buffer_case(void)
{
	TCase *tc = tcase_create("buffer");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, info_is_in_sequence_numbers);
	tcase_add_test(tc, info_wraps_as_sequence_numbers_do);
	tcase_add_test(tc, info_counts_what_came_too_early);
	tcase_add_test(tc, info_of_a_stream_nobody_reads_is_right);
	tcase_add_test(tc, pieces_are_told_the_one_in_order_first);
	tcase_add_test(tc, pieces_fill_the_room_there_is);
	tcase_add_test(tc, pieces_have_offsets_beyond_a_wrap_of_sequence_numbers);
	tcase_add_test(tc, get_refuses_what_does_not_fit);
	tcase_add_test(tc, set_refuses_what_does_not_fit);
	tcase_add_test(tc, other_threads_set_passive_sockets_only);
	tcase_add_test(tc, oldest_bytes_go_when_nobody_reads);
	tcase_add_test(tc, growing_in_the_error_saves_the_bytes);
	tcase_add_test(tc, reading_in_the_error_saves_the_bytes);
	tcase_add_test(tc, any_size_is_taken_exactly);
	tcase_add_test(tc, shrinking_loses_the_oldest_with_the_next_packet);
	return tc;
}
