/*
 * Streams whose length is edited (MOS_SEQ_REMAP), on the bench (see remap_rig.h): what goes to
 * each end and what is kept of it.
 */
#include <setjmp.h>

#include <rte_tcp.h>

#include "test/eal/remap_rig.h"

static char peeked[4000];

/* ---- numbers ---- */

START_TEST(flow_without_edits_goes_as_it_came)
{
	open_flow();
	cli(1001, "good");
	expect_wire(1001, "good");
	svr(5001, 1005, "fine");
	expect_wire(5001, "fine");
	ck_assert_uint_eq(wire.ack, 1005);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_REMAPPED), 0);
	ck_assert_uint_eq(flow()->edits[MOS_CLI] | flow()->edits[MOS_SVR], 0);
}
END_TEST

START_TEST(what_follows_an_edit_is_shifted_and_its_ack_shifted_back)
{
	open_flow();
	cli(1001, "a bad b");
	expect_wire(1001, "a LONGER b");
	ck_assert_uint_eq(flow()->half[MOS_CLI].snd_nxt, 1011);
	ck_assert_uint_eq(flow()->half[MOS_SVR].rcv_nxt, 1011);
	cli(1008, "next");
	expect_wire(1011, "next");
	svr(5001, 1011, "");
	ck_assert_uint_eq(wire.ack, 1008);
	svr(5001, 1015, "");
	ck_assert_uint_eq(wire.ack, 1012);
	ck_assert_uint_eq(flow()->half[MOS_SVR].rcv_nxt, 1015);
}
END_TEST

START_TEST(both_sides_are_edited)
{
	open_flow();
	cli(1001, "bad");
	svr(5001, 1007, "xcutx");
	expect_wire(5001, "xx");
	ck_assert_uint_eq(wire.ack, 1004);
	send_text(MOS_CLI, 0, 1004, 5003, "cut!");
	expect_wire(1007, "!");
	ck_assert_uint_eq(wire.ack, 5006);
	svr(5006, 1008, "y");
	expect_wire(5003, "y");
	ck_assert_uint_eq(wire.ack, 1008);
}
END_TEST

START_TEST(ack_in_the_midst_of_what_was_put_in_acknowledges_none_of_it)
{
	open_flow();
	cli(1001, "abadc");
	svr(5001, 1006, "");
	ck_assert_uint_eq(wire.ack, 1004);
	svr(5001, 1008, "");
	ck_assert_uint_eq(wire.ack, 1005);
}
END_TEST

/* ---- sent again ---- */

static const struct {
	uint32_t seq;
	const char *text, *out;
	uint32_t out_seq;
} again[] = {
	{1001, "a bad b", "a LONGER b", 1001},
	{1003, "bad", "LONGER", 1003},
	{1001, "a b", "a L", 1001},
	{1004, "ad b", "ONGER b", 1004},
	{1005, "d b cut c", "NGER b  c", 1005},
	{1001, "a bad b cut c", "a LONGER b  c", 1001},
	{1001, "a bad b cut c new bad", "a LONGER b  c new LONGER", 1001},
	{1006, " b cut", " b ", 1009},
	{1012, " c", " c", 1012},
};

START_TEST(what_is_sent_again_comes_out_as_before)
{
	open_flow();
	cli(1001, "a bad b");
	cli(1008, " cut c");
	expect_wire(1011, "  c");
	edit_errno = 0;
	cli(again[_i].seq, again[_i].text);
	expect_wire(again[_i].out_seq, again[_i].out);
	/* A naive application was told that it has done that before. */
	ck_assert_int_eq(edit_errno, strstr(again[_i].text, "bad") || strstr(again[_i].text, "cut")
	                                     ? EALREADY
	                                     : 0);
}
END_TEST

START_TEST(bytes_that_others_overtook_stay_as_they_are)
{
	open_flow();
	cli(1004, "later");
	expect_wire(1004, "later");
	cli(1001, "bad");
	expect_wire(1001, "bad");
	ck_assert_int_eq(edit_errno, EALREADY);
	ck_assert_uint_eq(flow()->half[MOS_SVR].rcv_nxt, 1009);
}
END_TEST

static void drop(int sock, int side)
{
	mtcp_setlastpkt(hs_mctx(), sock, side, 0, NULL, 0, MOS_DROP);
}

static void rewrite_and_drop(int sock, int side)
{
	rewrite(sock, side);
	drop(sock, side);
}

START_TEST(dropped_bytes_may_become_others_when_they_come_again)
{
	open_flow();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, rewrite_and_drop);
	cli(1001, "cut of a bad");
	ck_assert_uint_eq(hs.dropped, 1);
	ck_assert_uint_eq(flow()->half[MOS_SVR].rcv_nxt, 1001);
	cli(1013, ""); /* nor does an ACK decide about them */
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, rewrite);
	cli(1001, "bad of a cut");
	expect_wire(1001, "LONGER of a ");
	ck_assert_int_eq(edit_errno, 0);
	ck_assert_uint_eq(flow()->half[MOS_SVR].rcv_nxt, 1013);
}
END_TEST

START_TEST(drop_of_what_the_other_side_sends_counts_as_ever)
{
	hs_open(NULL);
	ck_assert_int_eq(option(hs_passive_all(), MOS_SIDE_CLI, 0), 0);
	hs_handshake(0);
	edit_keep_output();
	hs.may_drop = true;
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, drop);
	svr(5001, 1001, "gone");
	ck_assert_uint_eq(hs.dropped, 1);
	ck_assert_uint_eq(flow()->half[MOS_CLI].rcv_nxt, 5005);
}
END_TEST

START_TEST(packet_without_a_byte_left_asks_its_receiver)
{
	open_flow();
	cli(1001, "x");
	cli(1002, "cut");
	expect_wire(1001, "");
	svr(5001, 1002, "");
	ck_assert_uint_eq(wire.ack, 1005);
	cli(1005, "y");
	expect_wire(1002, "y");
}
END_TEST

START_TEST(what_has_no_room_is_cut_and_sent_again)
{
	char text[1461];

	open_flow();
	cli(1001, "bad");
	memset(text, 'x', 1460);
	text[1460] = 0;
	memcpy(text, "bad", 3);
	cli(1001, text); /* one byte of it is decided by each step */
	ck_assert_uint_eq(hs_count(MOS_CTR_W_REMAP_CUT), 1);
	expect_wire(1001, "LONGER");
	svr(5001, 1007, "");
	ck_assert_uint_eq(wire.ack, 1004);
	cli(1004, text + 3);
	expect_wire(1007, text + 3);
}
END_TEST

/* ---- ends ---- */

START_TEST(fin_of_an_edited_segment_is_where_it_belongs)
{
	open_flow();
	send_text(MOS_CLI, MOS_TCP_FIN, 1001, 5001, "a cut b bad");
	expect_wire(1001, "a  b LONGER");
	ck_assert_uint_eq(flow()->half[MOS_CLI].fin_seq, 1012);
	ck_assert_uint_eq(flow()->half[MOS_CLI].snd_nxt, 1013);
	ck_assert_int_eq(flow()->state[MOS_SVR], TCP_CLOSE_WAIT);
	svr(5001, 1013, "");
	ck_assert_uint_eq(wire.ack, 1013);
	ck_assert_int_eq(flow()->state[MOS_CLI], TCP_FIN_WAIT_2);
	send_text(MOS_SVR, MOS_TCP_FIN, 5001, 1013, "cut");
	expect_wire(5001, "");
	ck_assert(wire.flags & MOS_TCP_FIN);
	send_text(MOS_CLI, 0, 1013, 5002, "");
	ck_assert_uint_eq(wire.ack, 5005);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_ENDED), 0);
	send_text(MOS_SVR, MOS_TCP_FIN, 5001, 1013, "cut"); /* the last ACK was lost */
	expect_wire(4998, "cut"); /* the FIN is what counts: it has the number it had */
	ck_assert_uint_eq(wire.ack, 1013);
	hs_advance(60000);
	hs_round();
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_ENDED), 1);
}
END_TEST

START_TEST(edited_flow_may_be_idle_for_two_hours)
{
	open_flow();
	cli(1001, "bad");
	for (unsigned i = 0; i < 123; i++) {
		hs_advance(60000);
		hs_round();
	}
	cli(1004, "next");
	expect_wire(1007, "next");
	hs_advance(7440000);
	hs_round();
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_ENDED), 1);
}
END_TEST

START_TEST(flow_without_edits_times_out_as_configured)
{
	open_flow();
	cli(1001, "good");
	hs_advance(30000);
	hs_round();
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_ENDED), 1);
}
END_TEST

/* A FIN that overtakes the bytes before it is dropped until it comes again, as setlastpkt says. */
START_TEST(fin_that_was_dropped_is_still_to_come)
{
	open_flow();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, rewrite_and_drop);
	send_text(MOS_CLI, MOS_TCP_FIN, 1004, 5001, "");
	ck_assert_uint_eq(hs.dropped, 1);
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, rewrite);
	cli(1001, "bye");
	expect_wire(1001, "bye");
	ck_assert_int_eq(flow()->state[MOS_SVR], TCP_ESTABLISHED);
	send_text(MOS_CLI, MOS_TCP_FIN, 1004, 5001, "");
	ck_assert_uint_eq(hs.dropped, 1);
	ck_assert_uint_eq(wire.seq, 1004);
	ck_assert(wire.flags & MOS_TCP_FIN);
	ck_assert_int_eq(flow()->state[MOS_SVR], TCP_CLOSE_WAIT);
}
END_TEST

static void put_in_front(int sock, int side)
{
	edit_errno = edit(sock, side, 0, "bye", 3, MOS_INSERT | SUMS) == 0 ? 0 : errno;
}

START_TEST(bytes_before_a_fin_come_again_with_it)
{
	open_flow();
	cli(1001, "x");
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, put_in_front);
	send_text(MOS_CLI, MOS_TCP_FIN, 1002, 5001, "");
	expect_wire(1002, "bye");
	ck_assert_uint_eq(flow()->half[MOS_CLI].fin_seq, 1005);
	send_text(MOS_CLI, MOS_TCP_FIN, 1001, 5001, "x");
	expect_wire(1001, "xbye");
	ck_assert_int_eq(edit_errno, EALREADY);
	svr(5001, 1006, "");
	ck_assert_uint_eq(wire.ack, 1003);
	send_text(MOS_CLI, 0, 1003, 5001, "");
	ck_assert_uint_eq(wire.seq, 1006);
}
END_TEST

START_TEST(rst_has_the_number_its_receiver_expects)
{
	open_flow();
	cli(1001, "bad");
	send_text(MOS_CLI, MOS_TCP_RST, 1004, 5001, "");
	ck_assert_uint_eq(wire.seq, 1007);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_ENDED), 1);
	ck_assert_uint_eq(hs.c->streams.pool.free_count, hs.c->streams.pool.count);
}
END_TEST

/* ---- SACK ---- */

/* The timestamps of the packet make room for one block. */
static void sack(uint32_t ack, uint32_t left, uint32_t right)
{
	const struct hs_pkt p = {
		.from = MOS_SVR, .flags = MOS_TCP_ACK, .seq = 5001, .ack = ack, .ts = 1};
	const uint32_t edges[2] = {rte_cpu_to_be_32(left), rte_cpu_to_be_32(right)};
	struct rte_mbuf *m = hs_send(&p);
	uint8_t *opt = rte_pktmbuf_mtod_offset(m, uint8_t *, hs_meta(m)->l4_off + 20);

	opt[0] = opt[1] = 1;
	opt[2] = 5;
	opt[3] = 10;
	memcpy(opt + 4, edges, sizeof(edges));
	hs_round();
	read_wire();
}

static void expect_sack(uint32_t left, uint32_t right)
{
	const uint32_t edges[2] = {rte_cpu_to_be_32(left), rte_cpu_to_be_32(right)};

	ck_assert_uint_eq(wire.opt[2], 5);
	ck_assert_mem_eq(wire.opt + 4, edges, sizeof(edges));
}

START_TEST(sack_blocks_are_translated)
{
	int sock;

	hs_open(&(struct hs_opt){.trust_csum = true});
	sock = hs_passive_all();
	ck_assert_int_eq(option(sock, MOS_SIDE_CLI, 0), 0);
	hs_handshake(0);
	edit_keep_output();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, rewrite);
	cli(1001, "lost");
	cli(1005, "a bad b");
	cli(1012, "end");
	sack(1001, 1005, 1018);
	ck_assert_uint_eq(wire.ack, 1001);
	expect_sack(1005, 1015);
	sack(1001, 1010, 1015); /* of LONGER, NGER was not whole */
	expect_sack(1010, 1012);
	sack(1001, 1010, 1012);
	ck_assert_uint_eq(wire.opt[2], 1);
	ck_assert_uint_eq(wire.opt[3], 1);
}
END_TEST

/* ---- what the application sees ---- */

static uint64_t snd_offset, rcv_offset;
static char rcv_text[100];

static void note_snd(int sock, int side)
{
	struct pkt_info p;

	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	snd_offset = p.offset;
}

static void see_rcv(int sock, int side)
{
	struct pkt_info p;

	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	rcv_offset = p.offset;
	snprintf(rcv_text, sizeof(rcv_text), "%.*s", (int)p.payloadlen, p.payload);
	fails(EACCES, edit(sock, side, 0, NULL, 1, MOS_CHOMP));
	fails(EACCES, edit(sock, side, 0, "x", 1, MOS_INSERT));
	ck_assert_int_eq(edit(sock, side, 0, "O", 1, MOS_OVERWRITE | SUMS), 0);
}

START_TEST(offset_is_the_receivers_at_all_hooks)
{
	open_flow();
	cli(1001, "a bad b");
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, note_snd);
	cli(1008, "next");
	ck_assert_uint_eq(snd_offset, 10);
}
END_TEST

START_TEST(behind_the_snd_hook_lengths_stay)
{
	open_flow();
	cli(1001, "bad");
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_RCV, see_rcv);
	cli(1001, "bad");
	ck_assert_str_eq(rcv_text, "LONGER");
	ck_assert_uint_eq(rcv_offset, 0);
	expect_wire(1001, "OONGER");
}
END_TEST

static void peek(int sock, int side)
{
	size_t len = strlen(peeked);
	ssize_t n =
		mtcp_peek(hs_mctx(), sock, MOS_SIDE_SVR, peeked + len, sizeof(peeked) - len - 1);

	if (n > 0)
		peeked[len + (size_t)n] = 0;
	rewrite(sock, side);
}

START_TEST(stream_is_what_the_receiver_has)
{
	open_flow();
	peeked[0] = 0;
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, peek);
	cli(1001, "a bad b");
	cli(1008, "cut");
	cli(1011, "c");
	cli(1001, "a bad bcutc bad");
	expect_wire(1001, "a LONGER bc LONGER");
	cli(1016, "!");
	ck_assert_str_eq(peeked, "a LONGER bc LONGER");
}
END_TEST

/* ---- switching it on ---- */

static void switch_on(int sock, int side)
{
	if (mos_remap_on(flow(), side))
		return;
	fails(EINVAL, option(sock, 2, 0));
	fails(EINVAL, option(sock, side, 65536));
	ck_assert_int_eq(option(sock, side, 0), 0);
	ck_assert_int_eq(option(sock, side, 0), 0);
	rewrite(sock, side);
}

START_TEST(active_socket_begins_with_the_packet_at_hand)
{
	open_flow();
	hs_close();
	hs_open(NULL);
	hs_passive_all();
	hs_handshake(0);
	edit_keep_output();
	cli(1001, "bad one");
	expect_wire(1001, "bad one");
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, switch_on);
	cli(1005, "one bad");
	expect_wire(1005, "one LONGER");
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, rewrite);
	cli(1001, "bad one bad");
	expect_wire(1001, "bad one LONGER");
}
END_TEST

START_TEST(passive_socket_refuses_what_makes_no_sense)
{
	int sock, raw;
	seq_remap_info info = {.side = MOS_SIDE_CLI};

	hs_open(NULL);
	sock = hs_passive();
	raw = hs_raw();
	fails(EINVAL, option(sock, MOS_SIDE_BOTH, 0));
	fails(EINVAL, option(sock, -1, 0));
	fails(EINVAL, option(sock, MOS_SIDE_CLI, 1));
	fails(ENOTSOCK, option(raw, MOS_SIDE_CLI, 0));
	fails(EFAULT,
	      mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_SEQ_REMAP, NULL, sizeof(info)));
	fails(EINVAL, mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_SEQ_REMAP, &info, 4));
}
END_TEST

/* ---- deaths ---- */

static jmp_buf death;
static int die_hook;

static void rewrite_and_die(int sock, int side)
{
	rewrite(sock, side);
	if (die_hook == MOS_HK_SND)
		longjmp(death, 1);
}

static void die(int sock, int side)
{
	longjmp(death, 1);
}

static void succeed(void)
{
	hs_bury();
	hs_attach(1);
	hs_passive_all();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, rewrite);
	hs_round();
}

static void die_at(int hook, uint32_t seq, const char *text)
{
	const struct hs_pkt p = {.from = MOS_CLI,
	                         .flags = MOS_TCP_ACK,
	                         .seq = seq,
	                         .ack = 5001,
	                         .payload = (uint32_t)strlen(text),
	                         .bytes = text};

	die_hook = hook;
	hs_act_on(MOS_ON_PKT_IN, hook, hook == MOS_HK_SND ? rewrite_and_die : die);
	hs_send(&p);
	if (setjmp(death) == 0)
		mos_loop_round(hs.c);
	succeed();
}

START_TEST(edits_of_a_worker_that_died_in_the_hook_never_were)
{
	open_flow();
	cli(1001, "a bad b");
	die_at(MOS_HK_SND, 1008, "cut it");
	edit_errno = 0;
	cli(1008, "it bad");
	expect_wire(1011, "it LONGER");
	ck_assert_int_eq(edit_errno, 0);
	cli(1001, "a bad b");
	expect_wire(1001, "a LONGER b");
	svr(5001, 1020, "");
	ck_assert_uint_eq(wire.ack, 1014);
}
END_TEST

START_TEST(edits_that_counted_outlive_the_worker)
{
	open_flow();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, rewrite);
	cli(1001, "a bad b");
	die_at(MOS_HK_RCV, 1008, "plain"); /* at the hook of the receiver all is decided */
	cli(1001, "a bad bplain bad");
	expect_wire(1001, "a LONGER bplain LONGER");
	svr(5001, 1023, "");
	ck_assert_uint_eq(wire.ack, 1017);
}
END_TEST

START_TEST(flow_whose_edits_are_lost_goes_nowhere)
{
	struct mos_chunk *chunks;

	open_flow();
	cli(1001, "a bad b");
	chunks = mos_chunk_at(&hs.c->streams.pool, 0);
	for (uint32_t i = 0; i < hs.c->streams.pool.count; i++)
		if (chunks[i].owner >> 63 && chunks[i].page == 0)
			chunks[i].owner = 0;
	succeed();
	hs.dropped = 0;
	cli(1008, "next");
	svr(5001, 1011, "");
	ck_assert_uint_eq(hs.dropped, 2);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_REMAP_LOST), 2);
}
END_TEST

TCase *remap_case(void)
{
	TCase *tc = tcase_create("remap");

	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, flow_without_edits_goes_as_it_came);
	tcase_add_test(tc, what_follows_an_edit_is_shifted_and_its_ack_shifted_back);
	tcase_add_test(tc, both_sides_are_edited);
	tcase_add_test(tc, ack_in_the_midst_of_what_was_put_in_acknowledges_none_of_it);
	tcase_add_loop_test(tc, what_is_sent_again_comes_out_as_before, 0, RTE_DIM(again));
	tcase_add_test(tc, bytes_that_others_overtook_stay_as_they_are);
	tcase_add_test(tc, dropped_bytes_may_become_others_when_they_come_again);
	tcase_add_test(tc, drop_of_what_the_other_side_sends_counts_as_ever);
	tcase_add_test(tc, packet_without_a_byte_left_asks_its_receiver);
	tcase_add_test(tc, what_has_no_room_is_cut_and_sent_again);
	tcase_add_test(tc, fin_of_an_edited_segment_is_where_it_belongs);
	tcase_add_test(tc, fin_that_was_dropped_is_still_to_come);
	tcase_add_test(tc, edited_flow_may_be_idle_for_two_hours);
	tcase_add_test(tc, flow_without_edits_times_out_as_configured);
	tcase_add_test(tc, bytes_before_a_fin_come_again_with_it);
	tcase_add_test(tc, rst_has_the_number_its_receiver_expects);
	tcase_add_test(tc, sack_blocks_are_translated);
	tcase_add_test(tc, offset_is_the_receivers_at_all_hooks);
	tcase_add_test(tc, behind_the_snd_hook_lengths_stay);
	tcase_add_test(tc, stream_is_what_the_receiver_has);
	tcase_add_test(tc, active_socket_begins_with_the_packet_at_hand);
	tcase_add_test(tc, passive_socket_refuses_what_makes_no_sense);
	tcase_add_test(tc, edits_of_a_worker_that_died_in_the_hook_never_were);
	tcase_add_test(tc, edits_that_counted_outlive_the_worker);
	tcase_add_test(tc, flow_whose_edits_are_lost_goes_nowhere);
	return tc;
}
