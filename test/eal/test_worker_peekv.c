/*
 * Reading without a copy on the bench: the entries of mtcp_peekv hold what mtcp_peek would copy,
 * for as long as the callback runs.
 */
#include <sys/uio.h>

#include "test/eal/stream_rig.h"

#define ENTRIES 16

static struct iovec iov[ENTRIES];

static void open_flow(void)
{
	sr_open(NULL);
	sr_flow(0);
}

/* Ask with so many entries; what they hold are the n bytes from off on. Returns how many. */
static int reads_v(int side, int room, uint64_t off, uint32_t n)
{
	int i;

	memset(iov, 0xff, sizeof(iov));
	errno = 0;
	ck_assert_int_eq(mtcp_peekv(hs_mctx(), sr.sock, side, iov, room), n);
	ck_assert_int_eq(errno, 0);
	for (i = 0; i < room && iov[i].iov_len > 0; i++) {
		sr_is(iov[i].iov_base, side, off, (uint32_t)iov[i].iov_len);
		off += iov[i].iov_len;
		n -= (uint32_t)iov[i].iov_len;
	}
	ck_assert_uint_eq(n, 0);
	return i;
}

START_TEST(entries_hold_what_peek_would_copy)
{
	open_flow();
	sr_data(MOS_SVR, 0, 1000);
	sr_data(MOS_SVR, 1000, 1000);
	sr_data(MOS_SVR, 2000, 1000);
	reads_v(MOS_SVR, ENTRIES, 0, 3000);
	reads_v(MOS_SVR, ENTRIES, 3000, 0);
	sr_reads_nothing(sr.sock, MOS_SVR);
}
END_TEST

START_TEST(what_does_not_fit_in_the_entries_comes_next)
{
	uint64_t off = 0;

	open_flow();
	for (uint32_t i = 0; i < 5; i++)
		sr_data(MOS_SVR, 1400 * i, 1400);
	while (off < 7000) {
		ssize_t n = mtcp_peekv(hs_mctx(), sr.sock, MOS_SVR, iov, 1);

		ck_assert_int_gt(n, 0);
		ck_assert_uint_eq(iov[0].iov_len, n);
		sr_is(iov[0].iov_base, MOS_SVR, off, (uint32_t)n);
		off += (uint64_t)n;
	}
	ck_assert_uint_eq(off, 7000);
	reads_v(MOS_SVR, 1, 7000, 0);
}
END_TEST

START_TEST(peek_and_peekv_share_a_position)
{
	open_flow();
	sr_data(MOS_SVR, 0, 100);
	sr_reads(sr.sock, MOS_SVR, 0, 10);
	ck_assert_int_eq(reads_v(MOS_SVR, ENTRIES, 10, 90), 1);
	sr_data(MOS_SVR, 100, 100);
	ck_assert_int_eq(reads_v(MOS_SVR, ENTRIES, 100, 100), 1);
	sr_reads_nothing(sr.sock, MOS_SVR);
}
END_TEST

START_TEST(loss_is_told_without_an_entry)
{
	open_flow();
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, 64), 0);
	sr_data(MOS_SVR, 0, 100);
	memset(iov, 0, sizeof(iov));
	fails(ENODATA, mtcp_peekv(hs_mctx(), sr.sock, MOS_SVR, iov, ENTRIES) == -36 ? -1 : 0);
	reads_v(MOS_SVR, ENTRIES, 36, 64);
}
END_TEST

/* ---- in the packet ---- */

static const uint8_t *payload_at;

static void note_packet(int sock, int side)
{
	const struct rte_mbuf *m = hs.c->cur.mbuf;

	payload_at = rte_pktmbuf_mtod_offset(m, const uint8_t *, hs.c->cur.meta->payload_off);
}

static void read_in_place(int sock, int side)
{
	ck_assert_int_eq(reads_v(side, ENTRIES, 0, 500), 1);
	ck_assert_ptr_eq(iov[0].iov_base, payload_at);
}

static void note_and_read(int sock, int side, event_t event, int hook)
{
	if (event == MOS_ON_PKT_IN)
		note_packet(sock, side);
	else if (event == MOS_ON_CONN_NEW_DATA) {
		hs.acted++;
		read_in_place(sock, side);
	}
}

/* The point of it: bytes in order are not copied at all. */
START_TEST(bytes_in_order_are_read_where_the_packet_lies)
{
	sr_open(NULL);
	ck_assert_int_eq(
		mtcp_register_callback(hs_mctx(), sr.passive, MOS_ON_PKT_IN, MOS_HK_RCV, hs_on_rcv),
		0);
	sr_flow(0);
	hs.acted = 0;
	hs.act = note_and_read;
	sr_data(MOS_SVR, 0, 500);
	ck_assert_uint_eq(hs.acted, 1);
	ck_assert_uint_eq(sr_chunks_in_use(), 0);
	hs.act = NULL;
	sr_data(MOS_SVR, 500, 500);
	sr_reads(sr.sock, MOS_SVR, 500, 500); /* nobody read it there: it was copied */
}
END_TEST

/* ---- how long ---- */

static void keep_entries_and_go_on(int sock, int side)
{
	struct iovec first[ENTRIES];
	int n = reads_v(side, ENTRIES, 0, 4000);
	uint64_t off = 0;
	char buf[64];

	memcpy(first, iov, sizeof(first));
	ck_assert_int_eq(mtcp_peek(hs_mctx(), sock, side, buf, sizeof(buf)), 0);
	ck_assert_int_gt(mtcp_ppeek(hs_mctx(), sock, side, buf, sizeof(buf), 3000), 0);
	ck_assert_int_eq(sr_set(sock, MOS_SVRKEEP, 1), 0);
	ck_assert_int_eq(sr_set(sock, MOS_SVRBUF, 10), 0);
	ck_assert_int_eq(sr_set(sock, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_LAST), 0);
	ck_assert_int_eq(sr_set(sock, MOS_SVRBUF, 0), 0);
	ck_assert_int_eq(sr_set(sock, MOS_STOP_MON, MOS_SIDE_BOTH), 0);
	for (int i = 0; i < n; i++) {
		sr_is(first[i].iov_base, side, off, (uint32_t)first[i].iov_len);
		off += first[i].iov_len;
	}
	ck_assert_uint_eq(off, 4000);
}

static void skip(int sock, int side)
{
	if (sr.new_data == 4)
		keep_entries_and_go_on(sock, side);
}

START_TEST(entries_are_good_until_the_callback_returns)
{
	open_flow();
	sr_watch(skip);
	for (uint32_t i = 0; i < 4; i++)
		sr_data(MOS_SVR, 1000 * i, 1000);
	ck_assert_uint_eq(sr.new_data, 4);
}
END_TEST

/* As a timer reads: no packet of this flow is in hand, and nothing is given back under it. */
START_TEST(entries_are_good_outside_of_the_flows_packets)
{
	open_flow();
	for (uint32_t i = 0; i < 4; i++)
		sr_data(MOS_SVR, 1000 * i, 1000);
	keep_entries_and_go_on(sr.sock, MOS_SVR);
	hs_round();
	ck_assert_uint_eq(sr_chunks_in_use(), 0);
}
END_TEST

TCase *peekv_case(void)
{
	TCase *tc = tcase_create("peekv");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, entries_hold_what_peek_would_copy);
	tcase_add_test(tc, what_does_not_fit_in_the_entries_comes_next);
	tcase_add_test(tc, peek_and_peekv_share_a_position);
	tcase_add_test(tc, loss_is_told_without_an_entry);
	tcase_add_test(tc, bytes_in_order_are_read_where_the_packet_lies);
	tcase_add_test(tc, entries_are_good_until_the_callback_returns);
	tcase_add_test(tc, entries_are_good_outside_of_the_flows_packets);
	return tc;
}
