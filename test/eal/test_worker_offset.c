/*
 * pkt_info.offset on the bench: where the payload lies in its receiver's stream (D-07).
 */
#include "test/eal/stream_rig.h"

static uint64_t offset[2]; /* at SND and at RCV */

static void note_offset(int sock, int side, event_t event, int hook)
{
	struct pkt_info p;

	if (event != MOS_ON_PKT_IN)
		return;
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	offset[hook == MOS_HK_RCV] = p.offset;
}

/* A socket that sees packets; if it reads, new data too. */
static void open_flow(bool reads, uint32_t isn_cli, uint32_t isn_svr)
{
	memset(&sr, 0, sizeof(sr));
	hs_open(NULL);
	sr.passive = hs_passive();
	if (reads)
		ck_assert_int_eq(mtcp_register_callback(hs_mctx(), sr.passive, MOS_ON_CONN_NEW_DATA,
		                                        MOS_NULL, hs_on_null),
		                 0);
	sr_flow_from(0, isn_cli, isn_svr);
	hs.act = note_offset;
}

/* The packet to side shows this offset at both hooks. */
#define AT(want)                                    \
	do {                                        \
		ck_assert_uint_eq(offset[0], want); \
		ck_assert_uint_eq(offset[1], want); \
	} while (0)

static void walk_through(bool reads, uint32_t isn_cli, uint32_t isn_svr)
{
	open_flow(reads, isn_cli, isn_svr);
	sr_data(MOS_SVR, 0, 5);
	AT(0);
	sr_data(MOS_SVR, 5, 100);
	AT(5);
	sr_data(MOS_CLI, 0, 10);
	AT(0);
	sr_data(MOS_CLI, 10, 1000);
	AT(10);
	sr_data(MOS_SVR, 500, 10); /* too early */
	AT(500);
	sr_data(MOS_SVR, 5, 100); /* again */
	AT(5);
	sr_data(MOS_SVR, 105, 395);
	AT(105);
	sr_data(MOS_SVR, 510, 0); /* no payload */
	AT(0);
	sr_data(MOS_CLI, UINT64_MAX, 1); /* a probe before the first byte */
	AT(0);
	sr_fin(MOS_SVR, 510);
	AT(0);
	sr_data(MOS_CLI, 1010, 7);
	AT(1010);
}

START_TEST(offset_counts_from_the_first_byte_of_the_receivers_stream)
{
	walk_through(true, 1000, 5000);
}
END_TEST

START_TEST(offset_needs_no_reader)
{
	walk_through(false, 1000, 5000);
	ck_assert_uint_eq(sr_chunks_in_use(), 0);
}
END_TEST

START_TEST(offset_passes_a_wrap_of_sequence_numbers)
{
	walk_through(true, UINT32_MAX - 2, UINT32_MAX - 700);
	hs_close();
	walk_through(false, UINT32_MAX - 2, UINT32_MAX - 700);
}
END_TEST

/* The ACKs of the receiver alone take the stream on: 100 MB at a time, as with a window of 1 GB. */
static void go_far(bool reads)
{
	const uint64_t step = 100u << 20;
	uint64_t off = 0;

	open_flow(reads, 4000000000u, 77);
	for (int i = 0; i < 90; i++) {
		sr_data(MOS_SVR, off, 1000);
		AT(off);
		sr_ack(MOS_SVR, off + 1000);
		off += 1000 + step;
		sr_ack(MOS_SVR, off);
	}
	ck_assert_uint_gt(off, UINT64_C(2) << 32);
	sr_data(MOS_SVR, off - step - 500, 100); /* long ago */
	AT(off - step - 500);
}

/* D-27 */
START_TEST(offset_has_64_bits)
{
	go_far(true);
	hs_close();
	go_far(false);
}
END_TEST

static void keep_it(int sock, int side)
{
	struct pkt_info p;

	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	offset[0] = offset[1] = p.offset;
}

START_TEST(offset_of_a_packet_without_flow_is_0)
{
	hs_open(NULL);
	memset(&sr, 0, sizeof(sr));
	hs_passive_all();
	offset[0] = offset[1] = 9;
	hs_in_callback(MOS_ON_ORPHAN, MOS_NULL, keep_it, &(struct hs_pkt)DATA(1001, 5001, 5));
	AT(0);
	hs_raw();
	hs_handshake(0);
	hs_send(&(struct hs_pkt)DATA(1001, 5001, 5));
	hs_round();
	offset[0] = offset[1] = 9;
	hs_in_callback(MOS_ON_PKT_IN, MOS_NULL, keep_it, &(struct hs_pkt)DATA(1006, 5001, 5));
	AT(0);
}
END_TEST

/* TCP Fast Open: before the receiver's half knows the number of the SYN. */
START_TEST(payload_of_a_syn_is_at_0)
{
	struct hs_pkt syn = SYN(900);

	hs_open(NULL);
	hs_passive();
	syn.payload = 20;
	offset[0] = offset[1] = 9;
	hs.act = note_offset;
	hs_send(&syn);
	hs_round();
	AT(0);
	hs_send(&(struct hs_pkt)SYN_ACK(70, 921));
	hs_round();
	hs_send(&(struct hs_pkt)DATA(921, 71, 5));
	hs_round();
	AT(20);
}
END_TEST

TCase *offset_case(void)
{
	TCase *tc = tcase_create("offset");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, offset_counts_from_the_first_byte_of_the_receivers_stream);
	tcase_add_test(tc, offset_needs_no_reader);
	tcase_add_test(tc, offset_passes_a_wrap_of_sequence_numbers);
	tcase_add_test(tc, offset_has_64_bits);
	tcase_add_test(tc, offset_of_a_packet_without_flow_is_0);
	tcase_add_test(tc, payload_of_a_syn_is_at_0);
	return tc;
}
