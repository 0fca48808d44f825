/*
 * The packet in hand, on the bench (see harness.h): what of it is shown.
 */
#include "test/eal/worker_tests.h"

static const struct hs_pkt data = DATA(1001, 5001, 5), rst = RST(1001);

static int passive;

static void open_flow(void)
{
	hs_open(NULL);
	passive = hs_passive();
	hs_handshake(0);
}

/* ---- look ---- */

static void look_at_data(int sock, int side)
{
	struct pkt_info p;

	memset(&p, 0xff, sizeof(p));
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	ck_assert_uint_eq(p.eth_len, 60);
	ck_assert_uint_eq(p.ip_len, 45);
	ck_assert_uint_eq(p.payloadlen, 5);
	ck_assert_uint_eq(p.seq, 1001);
	ck_assert_uint_eq(p.ack_seq, 5001);
	ck_assert_uint_eq(p.window, 0xff00);
	ck_assert_int_eq(p.in_ifidx, 0);
	ck_assert_uint_eq(p.cur_ts, (uint32_t)(hs.now_ns / 1000000));
	ck_assert_uint_eq(ntohs(p.ethh->h_proto), ETH_P_IP);
	ck_assert_uint_eq(p.iph->version, 4);
	ck_assert_uint_eq(ntohs(p.tcph->dest), 443);
	ck_assert_mem_eq(p.payload, "xxxxx", 5);
	memset(p.payload, 'y', 5); /* a copy: the real one stays */
	memset(p.iph, 0, sizeof(*p.iph));
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	ck_assert_mem_eq(p.payload, "xxxxx", 5);
	fails(EINVAL, mtcp_getlastpkt(hs_mctx(), sock, side, NULL));
	fails(EBADF, mtcp_getlastpkt(hs_mctx(), 50, side, &p));
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), passive, side, &p), 0);
}

static void look_at_nothing(int sock, int side)
{
	struct pkt_info p;

	fails(ENODATA, mtcp_getlastpkt(hs_mctx(), sock, side, &p));
}

static void look_at_raw(int sock, int side)
{
	struct pkt_info p;

	memset(&p, 0xff, sizeof(p));
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	ck_assert_ptr_nonnull(p.ethh);
	ck_assert_ptr_null(p.iph);
	ck_assert_ptr_null(p.tcph);
	ck_assert_ptr_null(p.payload);
}

START_TEST(packet_in_hand_is_shown_as_a_copy)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, look_at_data, &data);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_RCV, look_at_data, &data);
	hs_in_callback(MOS_ON_CONN_END, MOS_HK_SND, look_at_nothing, &rst);
	look_at_nothing(passive, 0); /* between packets */
}
END_TEST

/* The flow ends while the packet of its successor is in hand. */
START_TEST(end_of_a_flow_shows_no_packet_of_the_next)
{
	const struct hs_pkt again = SYN(900000);

	open_flow();
	hs_in_callback(MOS_ON_CONN_END, MOS_HK_RCV, look_at_nothing, &again);
}
END_TEST

START_TEST(parts_a_packet_lacks_are_null)
{
	const struct hs_pkt ip6 = {MOS_CLI, MOS_TCP_SYN, 1, .ip6 = true};

	hs_open(NULL);
	hs_raw();
	hs_in_callback(MOS_ON_PKT_IN, MOS_NULL, look_at_raw, &ip6);
}
END_TEST

TCase *hand_case(void)
{
	TCase *tc = tcase_create("hand");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, packet_in_hand_is_shown_as_a_copy);
	tcase_add_test(tc, end_of_a_flow_shows_no_packet_of_the_next);
	tcase_add_test(tc, parts_a_packet_lacks_are_null);
	return tc;
}
