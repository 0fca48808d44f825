/*
 * Streams whose length is edited (MOS_SEQ_REMAP), on the bench (see remap_rig.h): segments that
 * others forge, probes, and programs that damage headers. The ends stay in step.
 */
#include <rte_tcp.h>

#include "shared/test_rng.h"
#include "test/eal/remap_rig.h"

#define FAR_AHEAD ((1u << 30) - 10)

/* ---- probes ---- */

START_TEST(keep_alive_behind_removed_bytes_is_answered)
{
	open_flow();
	cli(1001, "x");
	cli(1002, "cut");
	svr(5001, 1002, "");
	cli(1004, ""); /* its receiver expects 1002 */
	ck_assert_uint_eq(wire.seq, 1001);
	cli(1004, "?"); /* with a byte of garbage */
	ck_assert_uint_eq(wire.seq, 1001);
	cli(1005, "");
	ck_assert_uint_eq(wire.seq, 1002);
	cli(1005, "y");
	expect_wire(1002, "y");
	cli(1005, "");
	ck_assert_uint_eq(wire.seq, 1002);
}
END_TEST

START_TEST(window_probe_of_one_byte_brings_what_it_stands_for)
{
	open_flow();
	cli(1001, "bad");
	cli(1001, "b");
	expect_wire(1001, "L");
	cli(1003, "d");
	expect_wire(1003, "NGER");
}
END_TEST

/* ---- segments of others ---- */

START_TEST(data_behind_the_fin_decides_nothing)
{
	open_flow();
	send_text(MOS_CLI, MOS_TCP_FIN, 1001, 5001, "bad");
	cli(1005 + FAR_AHEAD, "forged");
	ck_assert_uint_eq(hs.dropped, 1);
	cli(1005, "");
	ck_assert_uint_eq(wire.seq, 1008);
	send_text(MOS_CLI, MOS_TCP_FIN, 1001, 5001, "bad");
	expect_wire(1001, "LONGER");
	ck_assert_uint_eq(hs.dropped, 1);
}
END_TEST

START_TEST(data_far_ahead_decides_nothing_before_the_handshake_is_done)
{
	const struct hs_pkt syn = {.from = MOS_CLI, .flags = MOS_TCP_SYN, .seq = 1000};
	int sock;

	hs_open(NULL);
	sock = hs_passive_all();
	ck_assert_int_eq(option(sock, MOS_SIDE_CLI, 0), 0);
	edit_keep_output();
	hs.may_drop = true;
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, rewrite);
	hs_send(&syn);
	hs_round();
	send_text(MOS_SVR, MOS_TCP_SYN, 5000, 1001, "");
	cli(1001 + FAR_AHEAD, "forged");
	ck_assert_uint_eq(hs.dropped, 1);
	cli(1001, "bad");
	expect_wire(1001, "LONGER");
}
END_TEST

/* Its receiver asks back (RFC 5961, 4): a sender that did begin anew answers with a RST. */
START_TEST(syn_does_not_end_a_stream_that_is_under_way)
{
	const uint32_t seq[] = {1004 + 5000000, 1004 + (1u << 31), 7};
	struct hs_pkt syn = {.from = MOS_CLI, .flags = MOS_TCP_SYN};

	open_flow();
	cli(1001, "bad");
	for (uint32_t i = 0; i < RTE_DIM(seq); i++) {
		syn.seq = seq[i];
		hs_send(&syn);
		hs_round();
	}
	ck_assert_uint_eq(hs.dropped, 0);
	cli(1004, "next");
	expect_wire(1007, "next");
	svr(5001, 1011, "");
	ck_assert_uint_eq(wire.ack, 1008);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_ENDED), 0);
}
END_TEST

START_TEST(acks_of_what_was_never_sent_forget_no_edit)
{
	const uint32_t ack[] = {1000000, 1008, 1004 + (1u << 31), 1, 0, UINT32_MAX};

	open_flow();
	cli(1001, "bad");
	for (uint32_t i = 0; i < RTE_DIM(ack); i++)
		svr(5001, ack[i], "");
	cli(1001, "bad");
	expect_wire(1001, "LONGER");
}
END_TEST

/* ---- everything at once ---- */

static struct rng rng;

static uint32_t near(uint32_t n)
{
	switch (rng_below(&rng, 8)) {
	case 0: return (uint32_t)rng_next(&rng);
	case 1: return n + (1u << 30) - 5 + rng_below(&rng, 10);
	default: return n - 20 + rng_below(&rng, 60);
	}
}

/* The kinds of option that are looked at, with any length. */
static void damage_options(struct rte_mbuf *m)
{
	uint8_t *opt = rte_pktmbuf_mtod_offset(m, uint8_t *, hs_meta(m)->l4_off + 20);

	for (uint32_t i = 0; i < 12; i++)
		opt[i] = (uint8_t)rng_next(&rng);
	opt[0] = (uint8_t)rng_below(&rng, 6);
	if (rng_below(&rng, 2))
		opt[rng_below(&rng, 11)] = 5;
}

static void send_garbage(void)
{
	static const char *const text[] = {"",    "b",       "bad",
	                                   "cut", "xbadcut", "and a longer one, cut"};
	const char *t = text[rng_below(&rng, RTE_DIM(text))];
	struct hs_pkt p = {
		.from = rng_below(&rng, 2) ? MOS_CLI : MOS_SVR,
		.flags = (uint8_t)(rng_below(&rng, 3) ? MOS_TCP_ACK : rng_next(&rng)),
		.wnd = (uint16_t)rng_next(&rng),
		.ts = rng_below(&rng, 2),
		.payload = (uint32_t)strlen(t),
		.bytes = t,
	};
	struct rte_mbuf *m;

	if (rng_below(&rng, 20))
		p.flags &= (uint8_t)~MOS_TCP_RST;
	p.seq = near(p.from == MOS_CLI ? 1001 : 5001);
	p.ack = near(p.from == MOS_CLI ? 5001 : 1001);
	m = hs_send(&p);
	if (p.ts != 0)
		damage_options(m);
	hs_round();
}

static void edit_somehow(int sock, int side)
{
	const int what = rng_below(&rng, 2) ? MOS_CHOMP : MOS_INSERT;
	struct pkt_info p;

	for (uint32_t n = rng_below(&rng, 4); n > 0; n--)
		if (mtcp_getlastpkt(hs_mctx(), sock, side, &p) == 0)
			edit(sock, side, rng_below(&rng, 25),
			     what == MOS_INSERT ? "bytes to put in" : NULL, 1 + rng_below(&rng, 15),
			     what | SUMS);
}

START_TEST(any_segments_do_no_harm)
{
	int sock;

	rng = rng_new();
	hs_open(&(struct hs_opt){.trust_csum = true});
	sock = hs_passive_all();
	ck_assert_int_eq(option(sock, MOS_SIDE_CLI, 0), 0);
	ck_assert_int_eq(option(sock, MOS_SIDE_SVR, 0), 0);
	hs.may_drop = true;
	for (int i = 0; i < 20000; i++) {
		hs_clear();
		if (i % 50 == 0)
			hs_handshake(0);
		hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, edit_somehow);
		send_garbage();
	}
}
END_TEST

/* ---- programs ---- */

static void damage_header(int sock, int side)
{
	byte offset = 0xf0, flags = MOS_TCP_RST | MOS_TCP_ACK;

	ck_assert_int_eq(mtcp_setlastpkt(hs_mctx(), sock, side, 12, &offset, 1,
	                                 MOS_TCP_HDR | MOS_OVERWRITE | SUMS),
	                 0);
	ck_assert_int_eq(mtcp_setlastpkt(hs_mctx(), sock, side, 13, &flags, 1,
	                                 MOS_TCP_HDR | MOS_OVERWRITE | SUMS),
	                 0);
}

START_TEST(image_has_no_place_in_a_packet_made_shorter_by_its_header)
{
	const char *text = "bad, and more than forty bytes behind it: that is a long header";

	open_flow();
	cli(1001, text);
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, damage_header);
	cli(1001, text);
	ck_assert_uint_eq(hs.dropped, 1);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_REMAP_LOST), 1);
}
END_TEST

static void grow(int sock, int side)
{
	ck_assert_int_eq(edit(sock, side, 0,
	                      "a lot of bytes, so many that three times of them are quite some", 60,
	                      MOS_INSERT | SUMS),
	                 0);
}

/* Room that was in mbufs is gone when they have become empty. */
START_TEST(image_that_is_cut_fits_the_mbufs_that_are_left)
{
	char text[504] = "xyz";
	const struct hs_pkt p = {.from = MOS_CLI,
	                         .flags = MOS_TCP_ACK,
	                         .seq = 1001,
	                         .ack = 5001,
	                         .payload = 503,
	                         .bytes = text};
	struct rte_mbuf *m, *last;

	open_flow();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, grow);
	cli(1001, "x");
	cli(1002, "y");
	cli(1003, "z");
	ck_assert_uint_eq(wire.seq, 1123);
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, rewrite);
	memset(text + 3, '.', 500);
	m = hs_send(&p);
	edit_cut(m, 64, 450);
	last = rte_pktmbuf_lastseg(m);
	memmove(rte_pktmbuf_mtod_offset(last, void *, rte_pktmbuf_tailroom(last) - 20),
	        rte_pktmbuf_mtod(last, void *), last->data_len);
	last->data_off = (uint16_t)(last->data_off + rte_pktmbuf_tailroom(last) - 20);
	hs_round();
	edit_out_is_right();
	read_wire();
	ck_assert_uint_eq(wire.len, 183);
	ck_assert_uint_eq(wire.bytes[182], 'z');
	ck_assert_uint_eq(hs_count(MOS_CTR_W_REMAP_CUT), 1);
}
END_TEST

/* ---- flows ---- */

static void stop(int sock, int side)
{
	int both = MOS_SIDE_BOTH;

	ck_assert_int_eq(
		mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both)),
		0);
}

START_TEST(stream_that_nobody_watches_stays_in_step)
{
	open_flow();
	cli(1001, "bad");
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, stop);
	cli(1004, "bad");
	expect_wire(1007, "bad");
	cli(1001, "badbad");
	expect_wire(1001, "LONGERbad");
	svr(5001, 1010, "");
	ck_assert_uint_eq(wire.ack, 1007);
}
END_TEST

START_TEST(connection_on_the_same_tuple_begins_without_edits)
{
	open_flow();
	cli(1001, "bad");
	send_text(MOS_CLI, MOS_TCP_RST, 1004, 5001, "");
	hs_handshake(0);
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, rewrite);
	cli(1001, "cut x");
	expect_wire(1001, " x");
	svr(5001, 1003, "");
	ck_assert_uint_eq(wire.ack, 1006);
}
END_TEST

START_TEST(two_programs_edit_the_same_packet)
{
	int sock;

	hs_open(NULL);
	hs_passive_all();
	sock = hs_passive_all();
	ck_assert_int_eq(option(sock, MOS_SIDE_CLI, 0), 0);
	hs_handshake(0);
	edit_keep_output();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, grow);
	cli(1001, "x");
	ck_assert_uint_eq(wire.len, 121);
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, rewrite);
	svr(5001, 1122, "");
	ck_assert_uint_eq(wire.ack, 1002);
	cli(1002, "y");
	expect_wire(1122, "y");
}
END_TEST

START_TEST(without_a_free_chunk_nothing_is_edited)
{
	struct mos_chunk_pool *pool;
	uint64_t page = 0;
	uint32_t list = 0;

	open_flow();
	pool = &hs.c->streams.pool;
	while (mos_chunk_get(pool, &list, 2, 0, page, false) != MOS_CHUNK_NONE)
		page++;
	cli(1001, "bad");
	expect_wire(1001, "bad");
	ck_assert_int_eq(edit_errno, ENOBUFS);
	mos_chunk_put_all(pool, &list);
	cli(1004, "bad");
	expect_wire(1004, "LONGER");
	cli(1001, "badbad");
	expect_wire(1001, "badLONGER");
}
END_TEST

TCase *remap_forged_case(void)
{
	TCase *tc = tcase_create("remap_forged");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, keep_alive_behind_removed_bytes_is_answered);
	tcase_add_test(tc, window_probe_of_one_byte_brings_what_it_stands_for);
	tcase_add_test(tc, data_behind_the_fin_decides_nothing);
	tcase_add_test(tc, data_far_ahead_decides_nothing_before_the_handshake_is_done);
	tcase_add_test(tc, syn_does_not_end_a_stream_that_is_under_way);
	tcase_add_test(tc, acks_of_what_was_never_sent_forget_no_edit);
	tcase_add_test(tc, any_segments_do_no_harm);
	tcase_add_test(tc, image_has_no_place_in_a_packet_made_shorter_by_its_header);
	tcase_add_test(tc, image_that_is_cut_fits_the_mbufs_that_are_left);
	tcase_add_test(tc, stream_that_nobody_watches_stays_in_step);
	tcase_add_test(tc, connection_on_the_same_tuple_begins_without_edits);
	tcase_add_test(tc, two_programs_edit_the_same_packet);
	tcase_add_test(tc, without_a_free_chunk_nothing_is_edited);
	return tc;
}
