/*
 * Streams in the packet path, on the bench: what of a connection reaches the sockets that read it,
 * when, and what is told of the rest. stream_wire.h sends and reads.
 */
#include "test/eal/stream_wire.h"

/* clang-format off */
#define EST "ESTABLISHED/ESTABLISHED"
#define IN_TO_SERVER  "SND CLI: PKT_IN [" EST "]\n"
#define OUT_TO_SERVER "RCV SVR: PKT_IN [" EST "]\n"
#define NEW_DATA      "NULL SVR: NEW_DATA [" EST "]\n"
#define AN_ERROR      "NULL SVR: ERROR [" EST "]\n"
/* clang-format on */

static bool never(int k, int side, event_t event, int hook)
{
	return false;
}

static const struct mos_stream *stream(int side)
{
	return &mos_flow_at(&hs.c->flows, 0)->stream[side];
}

static uint32_t chunks_used(void)
{
	return hs.c->streams.pool.count - hs.c->streams.pool.free_count;
}

/* One packet in a round of its own; the lines it caused are in the log. */
#define ROUND(send)                               \
	do {                                      \
		hs_clear();                       \
		send;                             \
		ck_assert_uint_eq(hs_round(), 1); \
	} while (0)

#define expect(lines) ck_assert_str_eq(hs.log, lines)

/* ---- rows ---- */

START_TEST(data_in_order_is_read_from_the_packet)
{
	sw_open(NULL, 1);
	ROUND(sw_send(MOS_SVR, 0, 100));
	expect(IN_TO_SERVER OUT_TO_SERVER NEW_DATA);
	ROUND(sw_send(MOS_CLI, 0, 1400));
	sw_check(0, MOS_SVR, 100, 0);
	sw_check(0, MOS_CLI, 1400, 0);
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert_uint_eq(sw.errors, 0);
}
END_TEST

static bool at_rcv(int k, int side, event_t event, int hook)
{
	return event == MOS_ON_PKT_IN && hook == MOS_HK_RCV;
}

START_TEST(the_hook_of_the_receiver_sees_the_bytes_of_the_packet)
{
	sw_open(NULL, 1);
	sw.may_read = at_rcv;
	ROUND(sw_send(MOS_SVR, 0, 100));
	sw_check(0, MOS_SVR, 100, 0);
}
END_TEST

START_TEST(data_out_of_order_waits_for_the_hole)
{
	sw_open(NULL, 1);
	ROUND(sw_send(MOS_SVR, 100, 100));
	expect(IN_TO_SERVER OUT_TO_SERVER);
	ROUND(sw_send(MOS_SVR, 300, 100));
	sw_check(0, MOS_SVR, 0, 0);
	ROUND(sw_send(MOS_SVR, 0, 100));
	expect(IN_TO_SERVER OUT_TO_SERVER NEW_DATA);
	sw_check(0, MOS_SVR, 200, 0);
	ROUND(sw_send(MOS_SVR, 150, 150)); /* partly again */
	expect(IN_TO_SERVER "RCV SVR: REXMIT [" EST "]\n" OUT_TO_SERVER NEW_DATA);
	sw_check(0, MOS_SVR, 400, 0);
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert_uint_eq(sw.errors, 0);
}
END_TEST

START_TEST(hole_that_is_acknowledged_is_told_and_passed)
{
	sw_open(NULL, 1);
	ROUND(sw_send(MOS_SVR, 0, 100));
	ROUND(sw_send(MOS_SVR, 250, 50));
	ROUND(sw_ack(MOS_SVR, 300));
	expect("SND SVR: PKT_IN [" EST "]\n" AN_ERROR "RCV CLI: PKT_IN [" EST "]\n" NEW_DATA);
	sw_check_error(0, 0, MOS_SVR, MOS_GAP_MISSED, 100, 250);
	sw_check(0, MOS_SVR, 300, 150);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_GAP_BYTES), 150);
	ROUND(sw_send(MOS_SVR, 300, 100));
	sw_check(0, MOS_SVR, 400, 150);
}
END_TEST

START_TEST(both_halves_may_have_new_data_of_one_packet)
{
	struct hs_pkt p = PKT(MOS_SVR, MOS_TCP_ACK, 5001, 1301, 10);

	sw_open(NULL, 1);
	ROUND(sw_send(MOS_SVR, 100, 200));
	ROUND(hs_send(&p));
	expect("SND SVR: PKT_IN [" EST "]\n" AN_ERROR "RCV CLI: PKT_IN [" EST "]\n"
	       "NULL CLI: NEW_DATA [" EST "]\n" NEW_DATA);
}
END_TEST

/* 8192 bytes are kept. */
START_TEST(data_that_overruns_unread_bytes_is_told_before)
{
	sw_open(NULL, 1);
	sw.may_read = never;
	for (unsigned i = 0; i < 8; i++) {
		ROUND(sw_send(MOS_SVR, 1000 * i, 1000));
		expect(IN_TO_SERVER OUT_TO_SERVER NEW_DATA);
	}
	for (unsigned i = 8; i < 11; i++) {
		ROUND(sw_send(MOS_SVR, 1000 * i, 1000));
		expect(IN_TO_SERVER AN_ERROR OUT_TO_SERVER NEW_DATA);
	}
	sw_check_error(0, 0, MOS_SVR, MOS_GAP_OVERRUN, 0, 808);
	sw_check_error(2, 0, MOS_SVR, MOS_GAP_OVERRUN, 0, 2808); /* from where it stands */
	sw_read(0, MOS_SVR);
	sw_check(0, MOS_SVR, 11000, 2808);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_OVERRUN_BYTES), 2808);
}
END_TEST

static bool at_error(int k, int side, event_t event, int hook)
{
	return event == MOS_ON_ERROR;
}

START_TEST(who_reads_when_told_of_an_overrun_loses_nothing)
{
	sw_open(NULL, 1);
	sw.may_read = at_error;
	for (unsigned i = 0; i < 30; i++)
		ROUND(sw_send(MOS_SVR, 1000 * i, 1000));
	sw_read(0, MOS_SVR);
	sw_check(0, MOS_SVR, 30000, 0);
	ck_assert_uint_eq(sw.errors, 3);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_OVERRUN_BYTES), 0);
}
END_TEST

START_TEST(other_bytes_for_the_same_place_are_told)
{
	sw_open(NULL, 1);
	ROUND(sw_send(MOS_SVR, 100, 100));
	ROUND(sw_send_other(MOS_SVR, 50, 100));
	expect(IN_TO_SERVER AN_ERROR OUT_TO_SERVER);
	sw_check_error(0, 0, MOS_SVR, MOS_GAP_CONFLICT, 100, 150);
	ck_assert_uint_eq(sw.error[0].told.pkt_off, 50);
	ROUND(sw_send(MOS_SVR, 100, 100)); /* the same once more: none */
	expect(IN_TO_SERVER OUT_TO_SERVER);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_CONFLICTS), 1);
	ck_assert_uint_eq(sw.errors, 1);
}
END_TEST

START_TEST(payload_beyond_the_window_is_told_with_its_range)
{
	sw_open(NULL, 1);
	ROUND(sw_ack(MOS_SVR, 0));
	ROUND(sw_send(MOS_SVR, HS_WND - 40, 100));
	expect(IN_TO_SERVER AN_ERROR OUT_TO_SERVER);
	sw_check_error(0, 0, MOS_SVR, MOS_GAP_BEYOND_WINDOW, HS_WND, HS_WND + 60);
	ck_assert_uint_gt(chunks_used(), 0); /* what is within is kept */
}
END_TEST

/* ---- which bytes count ---- */

static void syn_with_data(uint32_t len, bool other)
{
	struct hs_pkt p = PKT(MOS_CLI, MOS_TCP_SYN, 1000, 0, len);
	uint8_t bytes[100];

	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(sw_byte(MOS_SVR, i) ^ other);
	p.bytes = bytes;
	hs_send(&p);
}

static void open_with_syn_data(bool other, uint32_t acked)
{
	const struct hs_pkt syn_ack = SYN_ACK(5000, 1001 + acked);

	hs_open(NULL);
	sw_socket();
	sw_clear();
	ROUND(syn_with_data(50, other));
	sw_check(0, MOS_SVR, 0, 0);
	ROUND(hs_send(&syn_ack));
}

START_TEST(data_of_a_syn_count_when_they_are_acknowledged)
{
	open_with_syn_data(false, 50);
	sw_check(0, MOS_SVR, 50, 0);
	ROUND(sw_ack(MOS_CLI, 0));
	ROUND(sw_send(MOS_SVR, 50, 50));
	sw_check(0, MOS_SVR, 100, 0);
	ck_assert_uint_eq(sw.errors, 0);
}
END_TEST

START_TEST(data_of_a_syn_that_are_not_taken_are_dropped)
{
	open_with_syn_data(true, 0);
	ck_assert_uint_eq(chunks_used(), 0);
	ROUND(sw_send(MOS_SVR, 0, 100));
	sw_check(0, MOS_SVR, 100, 0);
	ck_assert_uint_eq(sw.errors, 0);
}
END_TEST

START_TEST(data_that_complete_the_handshake_count)
{
	const struct hs_pkt syn = SYN(1000), syn_ack = SYN_ACK(5000, 1001);

	hs_open(NULL);
	sw_socket();
	sw_clear();
	ROUND(hs_send(&syn));
	ROUND(hs_send(&syn_ack));
	ROUND(sw_send(MOS_SVR, 20, 30)); /* out of order, even */
	ROUND(sw_send(MOS_SVR, 0, 20));
	sw_check(0, MOS_SVR, 50, 0);
}
END_TEST

START_TEST(window_probe_counts_when_it_is_acknowledged)
{
	sw_open(NULL, 1);
	mos_flow_at(&hs.c->flows, 0)->half[MOS_SVR].rcv_wnd = 0;
	ROUND(sw_send(MOS_SVR, 0, 1));
	expect(IN_TO_SERVER OUT_TO_SERVER);
	ROUND(sw_ack(MOS_SVR, 1));
	sw_check(0, MOS_SVR, 1, 0);
	ck_assert_uint_eq(sw.errors, 0);
}
END_TEST

/* The byte of a keep-alive lies before the first of the stream. */
START_TEST(byte_before_the_first_is_none)
{
	struct hs_pkt p = DATA(1000, 5001, 1);

	sw_open(NULL, 1);
	ROUND(hs_send(&p));
	sw_check(0, MOS_SVR, 0, 0);
	p.payload = 5; /* and with some that count */
	ROUND(hs_send(&p));
	ck_assert_uint_eq(sw.reader[0][MOS_SVR].pos, 4);
}
END_TEST

START_TEST(nothing_is_kept_beyond_a_fin)
{
	struct hs_pkt fin = FIN(1051, 5001);

	sw_open(NULL, 1);
	ROUND(sw_send(MOS_SVR, 0, 50));
	ROUND(hs_send(&fin));
	ROUND(sw_send(MOS_SVR, 40, 100));
	ROUND(sw_send(MOS_SVR, 500, 100));
	sw_check(0, MOS_SVR, 50, 0);
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert_uint_eq(stream(MOS_SVR)->next, 50);
}
END_TEST

/* Bytes out of order reach over a FIN that came before: it is believed, as by the receiver. */
START_TEST(bytes_beyond_a_fin_do_not_undo_it)
{
	struct hs_pkt fin = FIN(1101, 5001);

	sw_open(NULL, 1);
	ROUND(sw_send(MOS_SVR, 50, 100));
	ROUND(hs_send(&fin));
	ROUND(sw_send(MOS_SVR, 0, 50));
	ck_assert_uint_eq(stream(MOS_SVR)->next, 100);
	ck_assert_int_eq(mos_flow_at(&hs.c->flows, 0)->state[MOS_SVR], MOS_TCPS_CLOSE_WAIT);
	sw_check(0, MOS_SVR, 100, 0);
}
END_TEST

START_TEST(refused_segment_brings_nothing)
{
	struct hs_pkt p = PKT(MOS_CLI, MOS_TCP_PSH, 1001, 0, 40); /* without ACK */

	sw_open(NULL, 1);
	ROUND(hs_send(&p));
	p = (struct hs_pkt)PKT(MOS_CLI, MOS_TCP_RST, 1001 + (1 << 20), 0, 40);
	ROUND(hs_send(&p));
	sw_check(0, MOS_SVR, 0, 0);
	ck_assert_uint_eq(stream(MOS_SVR)->next, 0);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

/* Cut the frame's payload into three mbufs, the second without a byte. */
static void scatter(struct rte_mbuf *m, uint32_t first, uint32_t second)
{
	uint32_t at = hs_meta(m)->payload_off + first, len = m->data_len - at;
	struct rte_mbuf *b = rte_pktmbuf_alloc(hs.pool), *z = rte_pktmbuf_alloc(hs.pool);
	struct rte_mbuf *d = rte_pktmbuf_alloc(hs.pool);

	memcpy(rte_pktmbuf_append(b, (uint16_t)second), rte_pktmbuf_mtod_offset(m, uint8_t *, at),
	       second);
	memcpy(rte_pktmbuf_append(d, (uint16_t)(len - second)),
	       rte_pktmbuf_mtod_offset(m, uint8_t *, at + second), len - second);
	m->data_len = (uint16_t)at;
	m->next = b;
	b->next = z;
	z->next = d;
	m->nb_segs = 4;
}

static void send_scattered(int side, uint64_t off, uint32_t len, uint32_t first, uint32_t second)
{
	struct rte_ring *rx = hs.shard->rx;

	sw_send(side, off, len);
	scatter(((struct rte_mbuf **)&rx[1])[(rx->prod.tail - 1) & rx->mask], first, second);
}

START_TEST(frame_in_several_mbufs_is_one_payload)
{
	sw_open(&(struct hs_opt){.trust_csum = true}, 1);
	ROUND(send_scattered(MOS_SVR, 0, 1000, 300, 1));
	expect(IN_TO_SERVER OUT_TO_SERVER NEW_DATA);
	ROUND(send_scattered(MOS_SVR, 2000, 1000, 0, 500));
	ROUND(send_scattered(MOS_SVR, 900, 1100, 99, 2));
	sw_check(0, MOS_SVR, 3000, 0);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

/* ---- who reads ---- */

START_TEST(flow_that_nobody_reads_is_not_kept)
{
	hs_open(NULL);
	hs_passive();
	sw_clear();
	hs_handshake(0);
	ROUND(sw_send(MOS_SVR, 0, 100));
	ROUND(sw_send(MOS_SVR, 200, 100));
	ck_assert_uint_eq(stream(MOS_SVR)->readers, 0);
	ck_assert_uint_eq(chunks_used(), 0);
	sw_read(0, MOS_SVR); /* it begins here */
	ROUND(sw_send(MOS_SVR, 100, 200));
	sw_read(0, MOS_SVR);
	sw_check(0, MOS_SVR, 300, 100);
	ROUND(sw_send(MOS_CLI, 0, 100)); /* the other half nobody reads yet */
	ck_assert_uint_eq(stream(MOS_CLI)->readers, 0);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

/* A socket that has read one flow will read others, from the first byte. */
START_TEST(socket_that_has_read_once_reads_all_flows_to_come)
{
	const struct hs_pkt rst = S_RST(5001);

	hs_open(NULL);
	hs_passive();
	sw_clear();
	hs_handshake(0);
	sw_read(0, MOS_SVR);
	ROUND(hs_send(&rst));
	hs_handshake(0);
	ROUND(sw_send(MOS_SVR, 0, 100));
	sw_read(0, MOS_SVR);
	sw_check(0, MOS_SVR, 100, 0);
	ck_assert_uint_eq(stream(MOS_CLI)->readers, 0);
}
END_TEST

START_TEST(buffer_that_was_asked_for_is_kept_unread)
{
	int sock;

	hs_open(NULL);
	sock = hs_passive();
	mos_socket_set_buffer(&hs.c->sockets.mon[sock], MOS_SVR, 500);
	sw_clear();
	hs_handshake(0);
	ROUND(sw_send(MOS_SVR, 0, 400));
	ROUND(sw_send(MOS_SVR, 400, 400));
	sw_read(0, MOS_SVR);
	sw_check(0, MOS_SVR, 800, 300);
}
END_TEST

START_TEST(late_registration_counts_from_the_next_data)
{
	int sock;

	hs_open(NULL);
	sock = hs_passive();
	sw_clear();
	hs_handshake(0);
	ROUND(sw_send(MOS_SVR, 0, 100));
	ck_assert_int_eq(mtcp_register_callback(hs_mctx(), MOS_MON_ID_MAX, MOS_ON_CONN_NEW_DATA,
	                                        MOS_NULL, hs_on_null),
	                 0);
	ROUND(sw_send(MOS_SVR, 100, 100));
	expect(IN_TO_SERVER OUT_TO_SERVER NEW_DATA);
	sw_read(0, MOS_SVR);
	sw_check(0, MOS_SVR, 200, 100);
	ck_assert_int_eq(mos_socket_close(&hs.c->sockets, sock), 0);
}
END_TEST

START_TEST(two_sockets_read_at_their_own_pace)
{
	sw_open(NULL, 2);
	sw.may_read = never;
	for (unsigned i = 0; i < 6; i++) {
		ROUND(sw_send(MOS_SVR, 1000 * i, 1000));
		sw_read(0, MOS_SVR);
	}
	sw_check(0, MOS_SVR, 6000, 0);
	sw_check(1, MOS_SVR, 0, 0);
	ck_assert_uint_gt(chunks_used(), 0);
	sw_read(1, MOS_SVR);
	sw_check(1, MOS_SVR, 6000, 0);
	hs_round(); /* what both have read is given back between rounds */
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

START_TEST(only_who_loses_bytes_is_told_of_an_overrun)
{
	sw_open(NULL, 2);
	sw.may_read = never;
	for (unsigned i = 0; i < 9; i++) {
		ROUND(sw_send(MOS_SVR, 1000 * i, 1000));
		sw_read(0, MOS_SVR);
	}
	ck_assert_uint_eq(sw.errors, 1);
	sw_check_error(0, 1, MOS_SVR, MOS_GAP_OVERRUN, 0, 808);
	sw_check(0, MOS_SVR, 9000, 0);
	sw_read(1, MOS_SVR);
	sw_check(1, MOS_SVR, 9000, 808);
}
END_TEST

static void stop(unsigned k, int side)
{
	mos_socket_active(&hs.c->sockets, (int)(MOS_MON_ID_MAX + k * hs.shard->max_flows), NULL)
		->stopped = (uint8_t)(1 << side);
	mos_flow_not_read_by(hs.c, 0, (uint8_t)(1 << side), k);
}

START_TEST(nothing_is_kept_for_who_has_stopped)
{
	sw_open(NULL, 2);
	sw.may_read = never;
	ROUND(sw_send(MOS_SVR, 0, 1000));
	stop(0, MOS_SVR);
	ck_assert_uint_gt(chunks_used(), 0); /* the other reads still */
	stop(1, MOS_SVR);
	ck_assert_uint_eq(chunks_used(), 0);
	ROUND(sw_send(MOS_SVR, 1000, 1000));
	expect("SND CLI: PKT_IN [" EST "]\nSND CLI: PKT_IN [" EST "]\n");
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

static void no_buffer(int sock, int side)
{
	mos_flow_set_buffer(hs.c, 0, side, 0);
}

START_TEST(buffer_taken_away_in_the_work_on_the_flow_goes_when_that_is_done)
{
	sw_open(NULL, 1);
	sw.may_read = never;
	ROUND(sw_send(MOS_SVR, 0, 1000));
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_RCV, no_buffer);
	ROUND(sw_send(MOS_SVR, 1000, 1000));
	expect(IN_TO_SERVER OUT_TO_SERVER);
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert(!mos_flow_read_by(hs.c, 0, MOS_SVR, 0));
	hs.act = NULL;
	ROUND(sw_send(MOS_SVR, 2000, 1000));
	expect(IN_TO_SERVER OUT_TO_SERVER);
	mos_flow_set_buffer(hs.c, 0, MOS_SVR, 8000); /* and on again */
	ROUND(sw_send(MOS_SVR, 3000, 1000));
	expect(IN_TO_SERVER OUT_TO_SERVER NEW_DATA);
	sw_read(0, MOS_SVR);
	sw_check(0, MOS_SVR, 4000, 3000);
}
END_TEST

/* ---- the end ---- */

static bool at_end(int k, int side, event_t event, int hook)
{
	return event == MOS_ON_CONN_END && hook == MOS_HK_RCV;
}

START_TEST(what_is_unread_can_be_read_at_the_end)
{
	const struct hs_pkt rst = S_RST(5501);

	sw_open(NULL, 1);
	sw.may_read = at_end;
	ROUND(sw_send(MOS_SVR, 0, 1000));
	ROUND(sw_send(MOS_CLI, 0, 500));
	ROUND(hs_send(&rst));
	sw_check(0, MOS_SVR, 1000, 0);
	sw_check(0, MOS_CLI, 500, 0);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

START_TEST(flow_that_ends_by_time_gives_back_what_it_held)
{
	sw_open(NULL, 1);
	sw.may_read = never;
	ROUND(sw_send(MOS_SVR, 0, 1000));
	ROUND(sw_send(MOS_CLI, 2000, 1000));
	ck_assert_uint_gt(chunks_used(), 0);
	hs_advance(40000);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

/* ---- offsets ---- */

/* 6 GB pass a half that nobody reads; then somebody does. */
START_TEST(offsets_grow_beyond_4_gb_where_nobody_reads)
{
	const uint64_t step = 900u << 20, far = 7 * step;

	hs_open(NULL);
	hs_passive();
	sw_clear();
	hs_handshake(0);
	for (uint64_t off = step; off <= far; off += step)
		ROUND(sw_ack(MOS_SVR, off));
	ck_assert(mos_flow_read_by(hs.c, 0, MOS_SVR, 0));
	ck_assert_uint_eq(stream(MOS_SVR)->next, far);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_GAP_BYTES), 0);
}
END_TEST

/* ---- need of room ---- */

/* Many flows have data out of order, until the pool is used up. */
START_TEST(who_loses_bytes_to_the_need_of_others_is_told_after_the_burst)
{
	static uint8_t bytes[1400];
	struct hs_pkt p = DATA(1001 + 100000, 5001, sizeof(bytes));
	uint32_t flows = 0;

	hs_open(&(struct hs_opt){.flows = 1024, .trust_csum = true});
	sw_socket();
	sw_clear();
	sw.may_read = never;
	p.bytes = bytes;
	hs_handshake(0);
	sw_send(MOS_SVR, 20000, 1000); /* the oldest */
	hs_round();
	while (hs.c->streams.pool.free_count > 0 && ++flows < 1000) {
		hs_handshake(flows);
		p.flow = flows;
		p.seq = 1001 + 1792;
		hs_send(&p);
		hs_round();
	}
	ck_assert_uint_eq(hs.c->streams.pool.free_count, 0);
	ck_assert_uint_eq(sw.errors, 0);
	hs_handshake(++flows);
	p.flow = flows;
	ROUND(hs_send(&p));
	expect(IN_TO_SERVER OUT_TO_SERVER AN_ERROR); /* of flow 0 */
	ck_assert_uint_eq(sw.errors, 1);
	ck_assert_int_eq(sw.error[0].told.cause, MOS_GAP_NO_ROOM);
	ck_assert_uint_ge(sw.error[0].told.range.from, 20000);
	ck_assert_uint_le(sw.error[0].told.range.end, 21000);
	ck_assert_uint_gt(hs_count(MOS_CTR_W_NO_ROOM_BYTES), 0);
}
END_TEST

TCase *streams_case(void)
{
	TCase *tc = tcase_create("streams");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, data_in_order_is_read_from_the_packet);
	tcase_add_test(tc, the_hook_of_the_receiver_sees_the_bytes_of_the_packet);
	tcase_add_test(tc, data_out_of_order_waits_for_the_hole);
	tcase_add_test(tc, hole_that_is_acknowledged_is_told_and_passed);
	tcase_add_test(tc, both_halves_may_have_new_data_of_one_packet);
	tcase_add_test(tc, data_that_overruns_unread_bytes_is_told_before);
	tcase_add_test(tc, who_reads_when_told_of_an_overrun_loses_nothing);
	tcase_add_test(tc, other_bytes_for_the_same_place_are_told);
	tcase_add_test(tc, payload_beyond_the_window_is_told_with_its_range);
	tcase_add_test(tc, data_of_a_syn_count_when_they_are_acknowledged);
	tcase_add_test(tc, data_of_a_syn_that_are_not_taken_are_dropped);
	tcase_add_test(tc, data_that_complete_the_handshake_count);
	tcase_add_test(tc, window_probe_counts_when_it_is_acknowledged);
	tcase_add_test(tc, byte_before_the_first_is_none);
	tcase_add_test(tc, nothing_is_kept_beyond_a_fin);
	tcase_add_test(tc, bytes_beyond_a_fin_do_not_undo_it);
	tcase_add_test(tc, refused_segment_brings_nothing);
	tcase_add_test(tc, frame_in_several_mbufs_is_one_payload);
	tcase_add_test(tc, flow_that_nobody_reads_is_not_kept);
	tcase_add_test(tc, socket_that_has_read_once_reads_all_flows_to_come);
	tcase_add_test(tc, buffer_that_was_asked_for_is_kept_unread);
	tcase_add_test(tc, late_registration_counts_from_the_next_data);
	tcase_add_test(tc, two_sockets_read_at_their_own_pace);
	tcase_add_test(tc, only_who_loses_bytes_is_told_of_an_overrun);
	tcase_add_test(tc, nothing_is_kept_for_who_has_stopped);
	tcase_add_test(tc, buffer_taken_away_in_the_work_on_the_flow_goes_when_that_is_done);
	tcase_add_test(tc, what_is_unread_can_be_read_at_the_end);
	tcase_add_test(tc, flow_that_ends_by_time_gives_back_what_it_held);
	tcase_add_test(tc, offsets_grow_beyond_4_gb_where_nobody_reads);
	tcase_add_test(tc, who_loses_bytes_to_the_need_of_others_is_told_after_the_burst);
	return tc;
}
