/*
 * What sockets want of a flow besides its streams, on the bench (see harness.h): dropped packets
 * hidden from their receiver (MOS_DROP_HIDES), the last packet of each side kept
 * (MOS_LAST_PACKETS).
 */
#include "test/eal/worker_tests.h"

#define BOTH MOS_SIDE_BOTH

static const struct hs_pkt syn = SYN(1000), data = DATA(1001, 5001, 5), fin = FIN(1001, 5001);
static const struct hs_pkt answer = S_DATA(5001, 1006, 7), rst = RST(1001);

static int passive, active;
static const int one = 1;

static int set(int sock, int option, int value)
{
	return mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, option, &value, sizeof(value));
}

static void open_socket(void)
{
	hs_open(NULL);
	hs.may_drop = true;
	passive = hs_passive_all();
	active = mos_active_id(&hs.c->sockets, 0, 0);
}

static void open_with(int option)
{
	open_socket();
	ck_assert_int_eq(set(passive, option, 1), 0);
	hs_handshake(0);
}

/* ---- how options are set ---- */

START_TEST(options_take_0_and_1)
{
	const int options[] = {MOS_DROP_HIDES, MOS_LAST_PACKETS};

	open_socket();
	hs_handshake(0);
	for (unsigned i = 0; i < RTE_DIM(options); i++) {
		for (int sock = passive; sock != -1; sock = sock == passive ? active : -1) {
			fails(EINVAL, set(sock, options[i], 2));
			fails(EINVAL, set(sock, options[i], -1));
			ck_assert_int_eq(set(sock, options[i], 1), 0);
			ck_assert_int_eq(set(sock, options[i], 0), 0);
		}
		fails(EBADF, set(50, options[i], 1));
		fails(ENOTSOCK, set(hs_raw(), options[i], 1));
		fails(ENOSYS, mtcp_getsockopt(hs_mctx(), active, SOL_MONSOCKET, options[i],
		                              (void *)(uintptr_t)&one, NULL));
	}
}
END_TEST

/* ---- dropped packets ---- */

static void drop(int sock, int side)
{
	ck_assert_int_eq(mtcp_setlastpkt(hs_mctx(), sock, side, 0, NULL, 0, MOS_DROP), 0);
}

#define EST "[ESTABLISHED/ESTABLISHED]\n"

START_TEST(dropped_packet_is_hidden_from_its_receiver)
{
	open_with(MOS_DROP_HIDES);
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, drop);
	hs_expect(data, "SND CLI: PKT_IN " EST);
	hs_expect(fin, "SND CLI: PKT_IN STATE_CHANGE [FIN_WAIT_1/ESTABLISHED]\n");
	ck_assert_uint_eq(hs.dropped, 2);
	hs.act = NULL; /* it comes again, and through */
	hs_expect(data, "SND CLI: PKT_IN [FIN_WAIT_1/ESTABLISHED]\n"
	                "RCV SVR: PKT_IN [FIN_WAIT_1/ESTABLISHED]\n"
	                "NULL SVR: NEW_DATA [FIN_WAIT_1/ESTABLISHED]\n");
}
END_TEST

START_TEST(dropped_syn_leaves_the_server_alone)
{
	open_socket();
	ck_assert_int_eq(set(passive, MOS_DROP_HIDES, 1), 0);
	hs_act_on(MOS_ON_CONN_START, MOS_HK_SND, drop);
	hs_expect(syn, "SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n");
	hs.act = NULL;
	hs_clear();
	hs_send(&syn);
	hs_round();
	ck_assert_ptr_nonnull(strstr(hs.log, "RCV SVR:"));
	ck_assert_ptr_nonnull(strstr(hs.log, "[SYN_SENT/SYN_RCVD]"));
}
END_TEST

START_TEST(dropped_packet_reaches_its_receiver_otherwise)
{
	open_socket();
	hs_handshake(0);
	ck_assert_int_eq(set(passive, MOS_DROP_HIDES, 1), 0); /* for flows to come */
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, drop);
	hs_expect(data, "SND CLI: PKT_IN " EST "RCV SVR: PKT_IN " EST "NULL SVR: NEW_DATA " EST);
}
END_TEST

static void hide_and_drop(int sock, int side)
{
	ck_assert_int_eq(set(sock, MOS_DROP_HIDES, 1), 0);
	drop(sock, side);
}

START_TEST(option_of_a_flow_counts_from_the_packet_at_hand_on)
{
	open_socket();
	hs_handshake(0);
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, hide_and_drop);
	hs_expect(data, "SND CLI: PKT_IN " EST);
	ck_assert_int_eq(set(active, MOS_DROP_HIDES, 0), 0);
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, drop);
	hs_expect(data, "SND CLI: PKT_IN " EST "RCV SVR: PKT_IN " EST "NULL SVR: NEW_DATA " EST);
}
END_TEST

START_TEST(packet_dropped_at_its_receiver_has_been_seen_there)
{
	open_with(MOS_DROP_HIDES);
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_RCV, drop);
	hs_expect(data, "SND CLI: PKT_IN " EST "RCV SVR: PKT_IN " EST "NULL SVR: NEW_DATA " EST);
	ck_assert_uint_eq(hs.dropped, 1);
}
END_TEST

START_TEST(successor_decides_what_is_hidden)
{
	open_with(MOS_DROP_HIDES);
	hs_bury();
	hs_attach(1);
	passive = hs_passive_all();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, drop);
	hs_send(&data);
	hs_round();
	ck_assert_ptr_nonnull(strstr(hs.log, "RCV SVR: PKT_IN"));
	hs_bury();
	hs_attach(2);
	passive = hs_passive_all();
	ck_assert_int_eq(set(passive, MOS_DROP_HIDES, 1), 0);
	hs_clear();
	hs_send(&fin);
	hs_round();
	ck_assert_ptr_nonnull(strstr(hs.log, "SND CLI: PKT_IN"));
	ck_assert_ptr_null(strstr(hs.log, "RCV SVR: PKT_IN"));
}
END_TEST

/* ---- last packets ---- */

static struct pkt_info p;
static struct pkt_info_ext x;

static int get(int side)
{
	memset(&p, 0xff, sizeof(p));
	memset(&x, 0xff, sizeof(x));
	return mtcp_getlastpkt_ext(hs_mctx(), active, side, &p, &x);
}

static void shows(int side, uint32_t seq, uint16_t payload)
{
	ck_assert_int_eq(get(side), 0);
	ck_assert_uint_eq(p.seq, seq);
	ck_assert_uint_eq(ntohl(p.tcph->seq), seq);
	ck_assert_uint_eq(p.payloadlen, payload);
	ck_assert_uint_eq(p.in_ifidx, 0);
	ck_assert_uint_eq(p.eth_len, 60 + (payload > 6 ? payload - 6 : 0));
	ck_assert_uint_eq(x.frame_len, p.eth_len);
	ck_assert_ptr_eq(p.iph + 1, p.tcph);
	ck_assert_uint_eq(p.cur_ts, (uint32_t)(x.ts_ns / 1000000));
}

START_TEST(last_packet_of_each_side_is_shown_between_packets)
{
	open_with(MOS_LAST_PACKETS);
	shows(MOS_SIDE_CLI, 1001, 0);
	shows(MOS_SIDE_SVR, 5000, 0);
	hs_send(&data);
	hs_round();
	hs_advance(7);
	hs_send(&answer);
	hs_round();
	hs_advance(100);
	shows(MOS_SIDE_CLI, 1001, 5);
	ck_assert_uint_eq(p.offset, 0);
	ck_assert_mem_eq(p.payload, "xxxxx", 5);
	ck_assert_uint_eq(p.cur_ts, (uint32_t)(HS_START_NS / 1000000));
	shows(MOS_SIDE_SVR, 5001, 7);
	ck_assert_uint_eq(p.cur_ts, (uint32_t)(HS_START_NS / 1000000) + 7);
	fails(ENODATA, get(BOTH));
	fails(ENODATA, get(77));
	fails(ENODATA, mtcp_getlastpkt(hs_mctx(), passive, MOS_SIDE_CLI, &p));
}
END_TEST

static void overwrite(int sock, int side)
{
	ck_assert_int_eq(mtcp_setlastpkt(hs_mctx(), sock, side, 0, (byte *)(uintptr_t) "yyy", 3,
	                                 MOS_TCP_PAYLOAD | MOS_OVERWRITE | MOS_UPDATE_TCP_CHKSUM),
	                 0);
	ck_assert_int_eq(get(side), 0); /* the one at hand, as it is now */
	ck_assert_mem_eq(p.payload, "yyyxx", 5);
}

START_TEST(packet_is_kept_as_its_sender_sent_it)
{
	open_with(MOS_LAST_PACKETS);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, overwrite, &data);
	shows(MOS_SIDE_CLI, 1001, 5);
	ck_assert_mem_eq(p.payload, "xxxxx", 5);
}
END_TEST

static void look_at_both(int sock, int side)
{
	shows(MOS_SIDE_SVR, 5001, 7);
	shows(BOTH, 5001, 7);
	shows(MOS_SIDE_CLI, 1001, 5);
}

START_TEST(packet_in_hand_is_the_last_of_its_side)
{
	open_with(MOS_LAST_PACKETS);
	hs_send(&data);
	hs_round();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, look_at_both, &answer);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_RCV, look_at_both, &answer);
}
END_TEST

static void look_at_the_end(int sock, int side)
{
	shows(MOS_SIDE_CLI, 1001, 0);
	ck_assert(p.tcph->rst);
	shows(MOS_SIDE_SVR, 5001, 7);
	fails(ENODATA, get(BOTH));
}

START_TEST(last_packets_are_there_when_the_flow_ends_and_not_after)
{
	open_with(MOS_LAST_PACKETS);
	hs_send(&answer);
	hs_round();
	hs_in_callback(MOS_ON_CONN_END, MOS_HK_RCV, look_at_the_end, &rst);
	fails(EBADF, get(MOS_SIDE_CLI));
	hs_send(&syn);
	hs_round();
	shows(MOS_SIDE_CLI, 1000, 0);
	fails(ENODATA, get(MOS_SIDE_SVR));
}
END_TEST

static const struct hs_pkt other_syn = {MOS_CLI, MOS_TCP_SYN, 77, .flow = 1};

/* Whatever flow the packet at hand is of. */
static void look_elsewhere(int sock, int side)
{
	shows(MOS_SIDE_CLI, 1001, 5);
	shows(BOTH, 77, 0);
}

START_TEST(packet_of_another_flow_at_hand_is_not_shown_for_a_side)
{
	open_with(MOS_LAST_PACKETS);
	hs_send(&data);
	hs_round();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, look_elsewhere, &other_syn);
}
END_TEST

START_TEST(only_the_socket_that_asks_gets_them)
{
	int other;

	open_socket();
	hs_passive();
	hs_handshake(0);
	other = mos_active_id(&hs.c->sockets, 1, 0);
	ck_assert_int_eq(set(active, MOS_LAST_PACKETS, 1), 0);
	fails(ENODATA, get(MOS_SIDE_CLI));
	hs_send(&data);
	hs_round();
	shows(MOS_SIDE_CLI, 1001, 5);
	fails(ENODATA, mtcp_getlastpkt(hs_mctx(), other, MOS_SIDE_CLI, &p));
	ck_assert_int_eq(set(other, MOS_LAST_PACKETS, 1), 0);
	ck_assert_int_eq(set(active, MOS_LAST_PACKETS, 0), 0);
	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), other, MOS_SIDE_CLI, &p), 0);
	fails(ENODATA, get(MOS_SIDE_CLI));
	ck_assert_int_eq(mtcp_close(hs_mctx(), 1), 0);
	hs_round(); /* swept */
	ck_assert(!mos_last_is_watched(&hs.c->last, 0, 1));
	ck_assert_uint_eq(hs.c->flow_flags[0] & MOS_FF_LAST, 0);
}
END_TEST

START_TEST(successor_has_none_until_packets_come)
{
	open_with(MOS_LAST_PACKETS);
	hs_bury();
	hs_attach(1);
	passive = hs_passive_all();
	ck_assert_int_eq(set(passive, MOS_LAST_PACKETS, 1), 0);
	hs_round();
	fails(ENODATA, get(MOS_SIDE_CLI));
	hs_send(&data);
	hs_round();
	shows(MOS_SIDE_CLI, 1001, 5);
	fails(ENODATA, get(MOS_SIDE_SVR));
}
END_TEST

TCase *keep_case(void)
{
	TCase *tc = tcase_create("keep");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, options_take_0_and_1);
	tcase_add_test(tc, dropped_packet_is_hidden_from_its_receiver);
	tcase_add_test(tc, dropped_syn_leaves_the_server_alone);
	tcase_add_test(tc, dropped_packet_reaches_its_receiver_otherwise);
	tcase_add_test(tc, option_of_a_flow_counts_from_the_packet_at_hand_on);
	tcase_add_test(tc, packet_dropped_at_its_receiver_has_been_seen_there);
	tcase_add_test(tc, successor_decides_what_is_hidden);
	tcase_add_test(tc, last_packet_of_each_side_is_shown_between_packets);
	tcase_add_test(tc, packet_is_kept_as_its_sender_sent_it);
	tcase_add_test(tc, packet_in_hand_is_the_last_of_its_side);
	tcase_add_test(tc, last_packets_are_there_when_the_flow_ends_and_not_after);
	tcase_add_test(tc, packet_of_another_flow_at_hand_is_not_shown_for_a_side);
	tcase_add_test(tc, only_the_socket_that_asks_gets_them);
	tcase_add_test(tc, successor_has_none_until_packets_come);
	return tc;
}
