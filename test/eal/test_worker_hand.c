/*
 * The packet in hand, on the bench (see harness.h): what of it is shown, and what can be done to
 * it.
 */
#include "shared/packet/test_frame.h"
#include "test/eal/worker_tests.h"

static const struct hs_pkt syn = SYN(1000), data = DATA(1001, 5001, 5), rst = RST(1001);

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
	struct pkt_info_ext x;
	struct pkt_info p;

	fails(ENODATA, mtcp_getlastpkt(hs_mctx(), sock, side, &p));
	fails(ENODATA, mtcp_getlastpkt_ext(hs_mctx(), sock, side, &p, &x));
	fails(ENODATA, mtcp_setlastpkt(hs_mctx(), sock, side, -1, NULL, 0, MOS_DROP));
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

/* Of the packet in hand, as the extended call shows it. */
static struct pkt_info info;
static struct pkt_info_ext ext;

static void look(int sock, int side)
{
	struct pkt_info plain;

	memset(&info, 0xff, sizeof(info));
	memset(&ext, 0xff, sizeof(ext));
	memset(&plain, 0xff, sizeof(plain));
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &plain), 0);
	ck_assert_int_eq(mtcp_getlastpkt_ext(hs_mctx(), sock, side, &info, &ext), 0);
	ck_assert_mem_eq(&info, &plain, sizeof(info)); /* but for the padding, which is 0 */
	ck_assert_uint_eq(ext.ts_ns, hs.now_ns);
	fails(EINVAL, mtcp_getlastpkt_ext(hs_mctx(), sock, side, NULL, &ext));
	fails(EINVAL, mtcp_getlastpkt_ext(hs_mctx(), sock, side, &info, NULL));
	fails(EBADF, mtcp_getlastpkt_ext(hs_mctx(), 50, side, &info, &ext));
}

/* The copy stays until the next call: what `look` saw can be checked after the round too. */
static void look_raw(const void *frame, uint32_t len)
{
	hs_act_on(MOS_ON_PKT_IN, MOS_NULL, look);
	hs_send_frame(frame, len);
	ck_assert_uint_eq(hs_round(), 1);
	ck_assert_uint_eq(hs.acted, 1);
	hs.act = NULL;
}

static void check_parts(bool ip4, bool ip6, bool tcp)
{
	ck_assert_ptr_nonnull(info.ethh);
	ck_assert_int_eq(info.iph != NULL, ip4);
	ck_assert_int_eq(ext.ip6h != NULL, ip6);
	ck_assert_int_eq(info.tcph != NULL, tcp);
	ck_assert_int_eq(info.payload != NULL, tcp);
	ck_assert_uint_eq(ext.ip_version, ip4 ? 4 : 6);
}

START_TEST(ipv4_segment_has_an_extension_too)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, look, &data);
	check_parts(true, false, true);
	ck_assert_uint_eq(ext.ip_proto, IPPROTO_TCP);
	ck_assert_uint_eq(ext.vlan, 0);
	ck_assert_uint_eq(ext.frame_len, 60);
}
END_TEST

START_TEST(ipv6_segment_is_shown_as_an_ipv4_one)
{
	struct hs_pkt syn6 = syn, data6 = data;

	syn6.ip6 = data6.ip6 = true;
	syn6.vlan = data6.vlan = 77;
	hs_open(NULL);
	passive = hs_passive();
	hs_in_callback(MOS_ON_CONN_START, MOS_HK_SND, look, &syn6);
	check_parts(false, true, true);
	ck_assert_uint_eq(info.ip_len, 60);
	ck_assert_uint_eq(info.payloadlen, 0);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_RCV, look, &data6);
	check_parts(false, true, true);
	ck_assert_uint_eq(info.eth_len, 83);
	ck_assert_uint_eq(info.ip_len, 65);
	ck_assert_uint_eq(info.payloadlen, 5);
	ck_assert_uint_eq(info.seq, 1001);
	ck_assert_uint_eq(info.ack_seq, 5001);
	ck_assert_uint_eq(info.window, 0xff00);
	ck_assert_uint_eq(ntohs(info.ethh->h_proto), ETH_P_8021Q);
	ck_assert_uint_eq(ntohs(info.tcph->dest), 443);
	ck_assert_mem_eq(info.payload, "xxxxx", 5);
	ck_assert_ptr_eq(ext.ip6h + 1, info.tcph);
	ck_assert_uint_eq(ext.ip6h->ip6_src.s6_addr[15], 1);
	ck_assert_uint_eq(ext.ip6h->ip6_dst.s6_addr[15], 2);
	ck_assert_uint_eq(ext.vlan, 77);
	ck_assert_uint_eq(ext.ip_proto, IPPROTO_TCP);
	ck_assert_uint_eq(ext.frame_len, 83);
}
END_TEST

START_TEST(tcp_behind_extension_headers_is_shown_to_raw_sockets)
{
	struct test_frame f;

	hs_open(NULL);
	hs_raw();
	tf_start(&f);
	tf_ip6(&f, IPPROTO_TCP);
	tf_ext6(&f, IPPROTO_DSTOPTS, 2, 24);
	tf_tcp(&f, 12);
	tf_payload(&f, 9);
	tf_finish(&f);
	look_raw(f.b, f.len);
	check_parts(false, true, true);
	ck_assert_uint_eq(info.ip_len, 40 + 24 + 32 + 9);
	ck_assert_uint_eq(info.payloadlen, 9);
	ck_assert_mem_eq(info.payload, "xxxxxxxxx", 9);
	ck_assert_uint_eq(ext.ip6h->ip6_nxt, IPPROTO_DSTOPTS);
	ck_assert_uint_eq(ext.ip_proto, IPPROTO_TCP);
}
END_TEST

START_TEST(parts_a_packet_lacks_are_null)
{
	struct test_frame f;

	hs_open(NULL);
	hs_raw();
	tf_start(&f);
	tf_vlan(&f, ETH_P_8021AD, 0x6000); /* a priority tag only */
	tf_vlan(&f, ETH_P_8021Q, 9);
	tf_ip6(&f, IPPROTO_UDP);
	tf_payload(&f, 30);
	tf_finish(&f);
	look_raw(f.b, f.len);
	check_parts(false, true, false);
	ck_assert_uint_eq(info.ip_len, 70);
	ck_assert_uint_eq(info.payloadlen, 0);
	ck_assert_uint_eq(ext.vlan, 9);
	ck_assert_uint_eq(ext.ip_proto, IPPROTO_UDP);
	ck_assert_uint_eq(ext.frame_len, 92);

	tf_start(&f);
	tf_ip6(&f, IPPROTO_TCP);
	tf_ext6(&f, IPPROTO_FRAGMENT, 0, 8);
	f.b[f.l3_hdr_end + 3] = 1; /* more fragments */
	tf_tcp(&f, 0);
	tf_finish(&f);
	look_raw(f.b, f.len);
	check_parts(false, true, false);
	ck_assert_uint_eq(info.ip_len, 68);
	ck_assert_uint_eq(ext.ip_proto, IPPROTO_TCP);

	tf_start(&f);
	tf_ip4(&f, 8, IPPROTO_UDP);
	tf_payload(&f, 30);
	tf_finish(&f);
	look_raw(f.b, f.len);
	check_parts(true, false, false);
	ck_assert_uint_eq(info.ip_len, 58);
	ck_assert_uint_eq(ext.ip_proto, IPPROTO_UDP);
}
END_TEST

#define PART 1000 /* bytes of a segment of the packet buffer */

/* 65535 bytes behind the IPv6 header: more than the classic fields hold. */
START_TEST(longest_packet_is_shown_whole_with_lengths_that_fit)
{
	const struct hs_pkt small = {MOS_CLI, MOS_TCP_ACK, 1, 1, .ip6 = true};
	const uint32_t whole = ETH_HLEN + 40 + 65535;
	struct rte_mbuf *m;
	uint8_t *ip;

	hs_open(NULL);
	hs_raw();
	m = hs_send(&small);
	while (m->pkt_len < whole) {
		uint32_t room = RTE_MIN((uint32_t)PART, whole - m->pkt_len);
		struct rte_mbuf *part = rte_pktmbuf_alloc(hs.pool);

		memset(rte_pktmbuf_append(part, (uint16_t)room), 'p', room);
		ck_assert_int_eq(rte_pktmbuf_chain(m, part), 0);
	}
	ip = rte_pktmbuf_mtod_offset(m, uint8_t *, ETH_HLEN);
	memset(ip + 4, 0xff, 2); /* payload length */
	hs_meta(m)->payload_len = 65535 - 20;
	hs_act_on(MOS_ON_PKT_IN, MOS_NULL, look);
	hs_round();
	check_parts(false, true, true);
	ck_assert_uint_eq(info.eth_len, 65535);
	ck_assert_uint_eq(info.ip_len, 65535);
	ck_assert_uint_eq(info.payloadlen, 65515);
	ck_assert_uint_eq(ext.frame_len, whole);
	ck_assert_uint_eq(info.payload[65514], 'p');
}
END_TEST

/* ---- drop ---- */

static void drop(int sock, int side)
{
	byte unread = 0;

	/* Whatever else is said does not count. */
	ck_assert_int_eq(mtcp_setlastpkt(hs_mctx(), -5, 77, 1 << 20, &unread, 65535,
	                                 MOS_DROP | MOS_TCP_PAYLOAD | MOS_UPDATE_IP_CHKSUM),
	                 0);
}

static void open_and_drop(event_t event, int hook)
{
	hs_open(NULL);
	hs.may_drop = true;
	passive = hs_passive();
	hs_act_on(event, hook, drop);
}

START_TEST(dropped_packet_goes_through_all_its_hooks)
{
	open_and_drop(MOS_ON_CONN_START, MOS_HK_SND);
	hs_expect(syn, "SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	               "RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n");
	ck_assert_uint_eq(hs.dropped, 1);
	hs_clear();
	hs_send(&syn); /* once more: no start, and nothing drops it */
	hs_round();
	ck_assert_uint_eq(hs.acted, 1);
	ck_assert_uint_eq(hs.dropped, 1);
	ck_assert_uint_eq(hs.came_out, 2);
}
END_TEST

START_TEST(only_the_packet_in_hand_is_dropped)
{
	open_and_drop(MOS_ON_PKT_IN, MOS_HK_RCV);
	hs.act = NULL;
	hs_handshake(0);
	hs_act_on(MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, drop);
	hs_send(&data);
	hs_send(&(struct hs_pkt)FIN(1006, 5001));
	hs_send(&data);
	ck_assert_uint_eq(hs_round(), 3);
	ck_assert_uint_eq(hs.acted, 1);
	ck_assert_uint_eq(hs.dropped, 1);
}
END_TEST

START_TEST(raw_socket_drops_what_is_no_tcp)
{
	struct test_frame f;

	hs_open(NULL);
	hs.may_drop = true;
	hs_raw();
	hs_act_on(MOS_ON_PKT_IN, MOS_NULL, drop);
	tf_start(&f);
	tf_ip6(&f, IPPROTO_UDP);
	tf_payload(&f, 30);
	tf_finish(&f);
	hs_send_frame(f.b, f.len);
	hs_round();
	ck_assert_uint_eq(hs.dropped, 1);
}
END_TEST

TCase *hand_case(void)
{
	TCase *tc = tcase_create("hand");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, packet_in_hand_is_shown_as_a_copy);
	tcase_add_test(tc, end_of_a_flow_shows_no_packet_of_the_next);
	tcase_add_test(tc, ipv4_segment_has_an_extension_too);
	tcase_add_test(tc, ipv6_segment_is_shown_as_an_ipv4_one);
	tcase_add_test(tc, tcp_behind_extension_headers_is_shown_to_raw_sockets);
	tcase_add_test(tc, parts_a_packet_lacks_are_null);
	tcase_add_test(tc, longest_packet_is_shown_whole_with_lengths_that_fit);
	tcase_add_test(tc, dropped_packet_goes_through_all_its_hooks);
	tcase_add_test(tc, only_the_packet_in_hand_is_dropped);
	tcase_add_test(tc, raw_socket_drops_what_is_no_tcp);
	return tc;
}
