/*
 * What edits of packets do to the steps behind them, on the bench (see harness.h): flow lookup, the
 * receiver's half, the streams, what goes out.
 */
#include "shared/packet/test_frame.h"
#include "test/eal/edit_rig.h"

#define SUMS (MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM)
#define EST  "[ESTABLISHED/ESTABLISHED]\n"

static const struct hs_pkt data = {MOS_CLI,      MOS_TCP_ACK | MOS_TCP_PSH, 1001, 5001,
                                   .payload = 5, .bytes = "hello"};

static int passive;

static void edit(int sock, int option, off_t offset, const char *bytes, uint16_t len)
{
	ck_assert_int_eq(
		mtcp_setlastpkt(hs_mctx(), sock, 0, offset, (byte *)(uintptr_t)bytes, len, option),
		0);
}

static void open_flow(void)
{
	hs_open(NULL);
	passive = hs_passive_all();
	hs_handshake(0);
	edit_keep_output();
}

static uint32_t seq_of(void)
{
	const struct mos_flow *f = mos_flow_at(&hs.c->flows, 0);

	return f->half[MOS_SVR].rcv_nxt;
}

static void peeks(const char *want)
{
	char buf[64] = "";
	int sock = mos_active_id(&hs.c->sockets, 0, 0);

	ck_assert_int_eq(mtcp_peek(hs_mctx(), sock, MOS_SIDE_SVR, buf, sizeof(buf)),
	                 (ssize_t)strlen(want));
	ck_assert_str_eq(buf, want);
}

static void payload_out_is(const char *want)
{
	struct mos_pkt_meta m;

	edit_out_is_right();
	mos_pkt_parse(&m, edit_out.b, edit_out.len, edit_out.len, 0);
	ck_assert_uint_eq(m.payload_len, strlen(want));
	ck_assert_mem_eq(edit_out.b + m.payload_off, want, m.payload_len);
}

/* ---- raw sockets ---- */

/* Client 1 becomes client 0, in two edits as nat does it. */
static void be_client_0(int sock, int side)
{
	edit(sock, MOS_IP_HDR | MOS_OVERWRITE, 14, "\x00\x01", 2);
	edit(sock, MOS_TCP_HDR | MOS_OVERWRITE | SUMS, 0, "\x9c\x40", 2);
}

START_TEST(edit_at_a_raw_socket_decides_which_flow_it_is)
{
	struct hs_pkt other = data;

	open_flow();
	hs_raw();
	other.flow = 0x100; /* 10.0.1.1 */
	hs_act_on(MOS_ON_PKT_IN, MOS_NULL, be_client_0);
	hs_send(&other);
	hs_round();
	ck_assert_ptr_nonnull(strstr(hs.log, "SND CLI: PKT_IN " EST));
	ck_assert_ptr_nonnull(strstr(hs.log, "RCV SVR: PKT_IN " EST));
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_EDITED), 1);
	payload_out_is("hello");
	peeks("hello");
}
END_TEST

static void be_udp(int sock, int side)
{
	edit(sock, MOS_IP_HDR | MOS_OVERWRITE | SUMS, 9, "\x11", 1);
}

START_TEST(segment_that_becomes_something_else_goes_on_as_that)
{
	open_flow();
	hs_raw();
	hs_act_on(MOS_ON_PKT_IN, MOS_NULL, be_udp);
	hs_expect(data, "NULL BOTH: PKT_IN []\n");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_OTHER_IP), 1);
	ck_assert_uint_eq(edit_out.b[ETH_HLEN + 9], IPPROTO_UDP);
	edit_out_is_right();
}
END_TEST

static void break_payload(int sock, int side)
{
	edit(sock, MOS_TCP_PAYLOAD | MOS_OVERWRITE, 0, "J", 1);
}

/* Its receiver would drop it. */
START_TEST(edit_at_a_raw_socket_without_checksum_is_no_segment_of_its_flow)
{
	open_flow();
	hs_raw();
	hs_act_on(MOS_ON_PKT_IN, MOS_NULL, break_payload);
	hs_expect(data, "NULL BOTH: PKT_IN []\n");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_TCP_CHECKSUM), 1);
}
END_TEST

/* ---- at SND ---- */

static void shorten(int sock, int side)
{
	struct pkt_info p;

	edit(sock, MOS_TCP_PAYLOAD | MOS_CHOMP, 1, NULL, 3);
	edit(sock, MOS_TCP_PAYLOAD | MOS_OVERWRITE | SUMS, 0, "HO", 2);
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	ck_assert_uint_eq(p.payloadlen, 2);
	ck_assert_uint_eq(p.ip_len, 42);
	ck_assert_uint_eq(p.eth_len, 60);
	ck_assert_uint_eq(p.offset, 0);
	ck_assert_mem_eq(p.payload, "HO", 2);
}

START_TEST(receiver_gets_what_was_made_of_the_packet)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, shorten, &data);
	ck_assert_uint_eq(seq_of(), 1003);
	peeks("HO");
	payload_out_is("HO");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_EDITED), 1);
}
END_TEST

static void lengthen(int sock, int side)
{
	edit(sock, MOS_TCP_HDR | MOS_INSERT, 20, "\x01\x01\x01\x00", 4);
	edit(sock, MOS_IP_HDR | MOS_INSERT, 20, "\x01\x01\x01\x00", 4);
	edit(sock, MOS_TCP_PAYLOAD | MOS_INSERT | SUMS, 5, ", you", 5);
}

START_TEST(inserted_bytes_reach_the_streams)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, lengthen, &data);
	ck_assert_uint_eq(seq_of(), 1011);
	peeks("hello, you");
	payload_out_is("hello, you");
	ck_assert_uint_eq(edit_out.len, ETH_HLEN + 24 + 24 + 10);
}
END_TEST

/* As programs for the first mOS do it: the total length first, then the bytes. */
static void length_first(int sock, int side)
{
	edit(sock, MOS_IP_HDR | MOS_OVERWRITE | MOS_UPDATE_IP_CHKSUM, 2, "\x00\x2b", 2);
	edit(sock, MOS_TCP_PAYLOAD | MOS_CHOMP | SUMS, 3, NULL, 2);
}

static void longer_length_first(int sock, int side)
{
	edit(sock, MOS_IP_HDR | MOS_OVERWRITE | MOS_UPDATE_IP_CHKSUM, 2, "\x00\x2e", 2);
	edit(sock, MOS_TCP_PAYLOAD | MOS_INSERT | SUMS, 5, "!", 1);
}

START_TEST(total_length_that_is_set_before_does_not_count_twice)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, length_first, &data);
	payload_out_is("hel");
	peeks("hel");
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, longer_length_first, &data);
	payload_out_is("hello!");
}
END_TEST

static void cut_by_length(int sock, int side)
{
	edit(sock, MOS_IP_HDR | MOS_OVERWRITE, 2, "\x00\x2a", 2);
	edit(sock, MOS_TCP_PAYLOAD | MOS_OVERWRITE | SUMS, 0, NULL, 0);
}

START_TEST(total_length_alone_cuts_the_packet)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, cut_by_length, &data);
	payload_out_is("he");
	peeks("he");
}
END_TEST

static void be_nonsense(int sock, int side)
{
	edit(sock, MOS_TCP_HDR | MOS_OVERWRITE, 12, "\x00", 1);
	edit(sock, MOS_IP_HDR | MOS_OVERWRITE, 0, "\x6f\x00\xff\xff", 4);
	edit(sock, MOS_IP_HDR | MOS_OVERWRITE | SUMS, 9, "\x11", 1);
	edit(sock, MOS_ETH_HDR | MOS_OVERWRITE, 12, "\x81\x00", 2);
}

/* It is forwarded as it is; what the stack knows of it is what it was. */
START_TEST(nonsense_does_no_harm)
{
	open_flow();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, be_nonsense);
	hs_expect(data, "SND CLI: PKT_IN " EST "RCV SVR: PKT_IN " EST "NULL SVR: NEW_DATA " EST);
	peeks("hello");
	ck_assert_uint_eq(edit_out.b[12], 0x81);
}
END_TEST

/* ---- at RCV, and for orphans ---- */

static void blacken(int sock, int side)
{
	char buf[8];

	ck_assert_int_eq(mtcp_peek(hs_mctx(), sock, MOS_SIDE_SVR, buf, 2), 2);
	edit(sock, MOS_TCP_PAYLOAD | MOS_OVERWRITE, 0, "*****", 5);
	edit(sock, MOS_TCP_PAYLOAD | MOS_CHOMP | SUMS, 4, NULL, 1);
}

START_TEST(edit_at_its_receiver_changes_only_what_goes_out)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_RCV, blacken, &data);
	ck_assert_uint_eq(seq_of(), 1006);
	payload_out_is("****");
	peeks("llo");
}
END_TEST

static void blacken_orphan(int sock, int side)
{
	edit(sock, MOS_TCP_PAYLOAD | MOS_OVERWRITE | SUMS, 0, "*****", 5);
}

START_TEST(orphans_are_edited_too)
{
	struct hs_pkt other = data;

	open_flow();
	other.flow = 3;
	hs_in_callback(MOS_ON_ORPHAN, MOS_NULL, blacken_orphan, &other);
	payload_out_is("*****");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_EDITED), 1);
}
END_TEST

/* ---- in the midst: REXMIT and ERROR come before the receiver's half changes ---- */

static void blacken_again(int sock, int side)
{
	edit(sock, MOS_TCP_PAYLOAD | MOS_CHOMP | SUMS, 2, NULL, 3);
}

START_TEST(edit_of_what_is_told_before_counts_for_the_receiver)
{
	struct hs_pkt more = data;

	open_flow();
	hs_send(&data);
	hs_round();
	peeks("hello");
	more.payload = 8;
	more.bytes = "hellothe";
	hs_in_callback(MOS_ON_REXMIT, MOS_HK_RCV, blacken_again, &more);
	ck_assert_uint_eq(seq_of(), 1006);
	payload_out_is("hethe");
	peeks("");
	ck_assert_uint_eq(mos_stream_end(&hs.c->streams, 0, MOS_SVR), 5);
}
END_TEST

START_TEST(bytes_that_went_while_rexmit_was_told_contradict_nothing)
{
	open_flow();
	hs_send(&data);
	hs_round();
	hs_in_callback(MOS_ON_REXMIT, MOS_HK_RCV, blacken_again, &data); /* padding follows */
	payload_out_is("he");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_CONFLICTS), 0);
	peeks("hello");
}
END_TEST

/* ---- room ---- */

static void fill_the_buffer(int sock, int side)
{
	static char bytes[3000];
	struct rte_mbuf *m = hs.c->cur.mbuf;
	uint16_t room = rte_pktmbuf_tailroom(m);

	hs.root->port[1].mtu = 65535;
	fails(ENOBUFS, mtcp_setlastpkt(hs_mctx(), sock, side, 0, (byte *)bytes,
	                               (uint16_t)(room + 1 + m->pkt_len - 59),
	                               MOS_TCP_PAYLOAD | MOS_INSERT));
	m->data_off = 3;
	fails(ENOBUFS, mtcp_setlastpkt(hs_mctx(), sock, side, 20, (byte *)bytes, 4,
	                               MOS_TCP_HDR | MOS_INSERT));
	m->data_off = RTE_PKTMBUF_HEADROOM;
	hs.root->port[1].mtu = 50;
	edit(sock, MOS_TCP_PAYLOAD | MOS_INSERT, 0, "12345", 5);
	fails(EMSGSIZE, mtcp_setlastpkt(hs_mctx(), sock, side, 0, (byte *)bytes, 1,
	                                MOS_TCP_PAYLOAD | MOS_INSERT));
	edit(sock, MOS_TCP_PAYLOAD | MOS_CHOMP | SUMS, 0, NULL, 5);
}

START_TEST(edit_that_finds_no_room_changes_nothing)
{
	open_flow();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, fill_the_buffer, &data);
	payload_out_is("hello");
	peeks("hello");
}
END_TEST

TCase *edited_case(void)
{
	TCase *tc = tcase_create("edited");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, edit_at_a_raw_socket_decides_which_flow_it_is);
	tcase_add_test(tc, segment_that_becomes_something_else_goes_on_as_that);
	tcase_add_test(tc, edit_at_a_raw_socket_without_checksum_is_no_segment_of_its_flow);
	tcase_add_test(tc, receiver_gets_what_was_made_of_the_packet);
	tcase_add_test(tc, inserted_bytes_reach_the_streams);
	tcase_add_test(tc, total_length_that_is_set_before_does_not_count_twice);
	tcase_add_test(tc, total_length_alone_cuts_the_packet);
	tcase_add_test(tc, nonsense_does_no_harm);
	tcase_add_test(tc, edit_at_its_receiver_changes_only_what_goes_out);
	tcase_add_test(tc, orphans_are_edited_too);
	tcase_add_test(tc, edit_of_what_is_told_before_counts_for_the_receiver);
	tcase_add_test(tc, bytes_that_went_while_rexmit_was_told_contradict_nothing);
	tcase_add_test(tc, edit_that_finds_no_room_changes_nothing);
	return tc;
}
