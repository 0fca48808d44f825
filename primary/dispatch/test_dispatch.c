/*
 * Every frame ends in a port, a ring or a counter. See test_rig.h for the bench.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "primary/dispatch/test_rig.h"
#include "shared/packet/hash.h"

static struct rig rig;

static uint32_t shard_of(struct rte_mbuf *m)
{
	return mos_shard_of(mos_shard_map_get(), mos_meta(&rig.p, m)->hash);
}

/* Send n TCP frames of different flows into port 0; 32 fit a round. */
static void send_flows(uint32_t first, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rig_send(&rig, 0, rig_tcp(&rig, first + i, false, 10));
}

static unsigned in_rings(void)
{
	unsigned n = 0;

	for (uint32_t s = 0; s < rig.p.root->shard_count; s++)
		n += rte_ring_count(rig.p.root->shard[s]->rx);
	return n;
}

static void work_all(void)
{
	for (uint32_t s = 0; s < rig.p.root->shard_count; s++)
		rig_work(&rig, s, 256);
}

/* ---- classes of frames ---- */

START_TEST(tcp_goes_to_its_shard_and_out_by_the_pair)
{
	const struct mos_pkt_meta *meta;
	void *m;

	rig_open(&rig, &(struct rig_opt){0});
	rig_service(&rig, MOS_SERVICE_SERVED);
	rig_send(&rig, 0, rig_tcp(&rig, 7, false, 10));
	ck_assert(rig_round(&rig));
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_TO_SHARD), 1);
	for (uint32_t s = 0; s < 2; s++) {
		if (rte_ring_sc_dequeue(rig.p.root->shard[s]->rx, &m) < 0)
			continue;
		meta = mos_meta(&rig.p, m);
		ck_assert_uint_eq(shard_of(m), s);
		ck_assert_uint_eq(meta->owner, s + 1);
		ck_assert_uint_eq(meta->in_port, 0);
		ck_assert_uint_eq(meta->out_port, 1);
		ck_assert_uint_eq(meta->verdict, MOS_VERDICT_FORWARD);
		ck_assert_uint_eq(meta->pkt_class, MOS_PKT_TCP);
		ck_assert_uint_eq(meta->payload_len, 10);
		ck_assert_int_lt(llabs((long long)(meta->ts_ns / 1000000000) - time(NULL)), 5);
		rte_ring_sp_enqueue(rig.p.root->shard[s]->tx, m);
	}
	rig_round(&rig);
	ck_assert_uint_eq(rig.wire_count[1], 1);
	ck_assert_uint_eq(mos_meta(&rig.p, rig.wire[1][0])->owner, MOS_OWNER_PRIMARY);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_FROM_SHARD), 1);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_TX_PACKETS), 1);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_TX_BYTES), 64);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_RX_BYTES), 64);
	rig_close(&rig);
}
END_TEST

START_TEST(both_directions_meet_in_one_shard)
{
	rig_open(&rig, &(struct rig_opt){.workers = 5});
	rig_service(&rig, MOS_SERVICE_SERVED);
	for (uint32_t f = 0; f < 200; f++) {
		uint32_t before[5], touched = 0;

		for (uint32_t s = 0; s < 5; s++)
			before[s] = rte_ring_count(rig.p.root->shard[s]->rx);
		rig_send(&rig, 0, rig_tcp(&rig, f, false, 0));
		rig_send(&rig, 1, rig_tcp(&rig, f, true, 0));
		rig_round(&rig);
		for (uint32_t s = 0; s < 5; s++) {
			uint32_t more = rte_ring_count(rig.p.root->shard[s]->rx) - before[s];

			ck_assert(more == 0 || more == 2);
			touched += more / 2;
		}
		ck_assert_uint_eq(touched, 1);
		if (f % 50 == 49) {
			work_all();
			rig_rounds(&rig, 8);
		}
	}
	ck_assert_uint_eq(rig.wire_count[0], 200);
	ck_assert_uint_eq(rig.wire_count[1], 200);
	rig_close(&rig);
}
END_TEST

START_TEST(frames_without_ip_pass_untouched_and_unasked)
{
	uint8_t arp[60] = {[12] = 0x08, [13] = 0x06, [20] = 0xab};

	rig_open(&rig, &(struct rig_opt){.policy = MOS_CONFIG_FAIL_CLOSED}); /* nobody served */
	rig_send(&rig, 0, rig_frame(&rig, arp, sizeof(arp)));
	rig_send(&rig, 1, rig_frame(&rig, arp, sizeof(arp)));
	rig_send(&rig, 2, rig_frame(&rig, arp, sizeof(arp))); /* has no pair */
	rig_rounds(&rig, 2);
	ck_assert_uint_eq(rig.wire_count[0], 1);
	ck_assert_uint_eq(rig.wire_count[1], 1);
	ck_assert_mem_eq(rte_pktmbuf_mtod(rig.wire[1][0], void *), arp, sizeof(arp));
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_NON_IP_FORWARDED), 2);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_NO_PAIR), 1);
	rig_close(&rig);
}
END_TEST

START_TEST(each_defect_has_its_counter)
{
	static const struct {
		unsigned off;
		uint8_t value;
		uint32_t len; /* 0 = whole frame */
		enum mos_counter counter;
	} rows[] = {
		{0, 0, 13, MOS_CTR_DROP_L2_SHORT},       {14, 0x65, 0, MOS_CTR_DROP_IP_VERSION},
		{14, 0x44, 0, MOS_CTR_DROP_IP_HDR_LEN},  {16, 0xff, 0, MOS_CTR_DROP_IP_TOTAL_LEN},
		{24, 0x12, 0, MOS_CTR_DROP_IP_CHECKSUM}, {46, 0x40, 0, MOS_CTR_DROP_TCP_HDR_LEN},
	};

	rig_open(&rig, &(struct rig_opt){0});
	rig_service(&rig, MOS_SERVICE_SERVED);
	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		struct rte_mbuf *m = rig_tcp(&rig, i, false, 20);

		rte_pktmbuf_mtod(m, uint8_t *)[rows[i].off] = rows[i].value;
		if (rows[i].len > 0)
			rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - rows[i].len));
		rig_send(&rig, 0, m);
		rig_round(&rig);
		ck_assert_msg(rig_count(&rig, rows[i].counter) == 1, "row %u", i);
	}
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_TO_SHARD), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(forward_0_consumes_everything_after_it_was_seen)
{
	uint8_t arp[60] = {[12] = 0x08, [13] = 0x06};

	rig_open(&rig, &(struct rig_opt){.consume = true});
	rig_service(&rig, MOS_SERVICE_SERVED);
	rig_send(&rig, 0, rig_frame(&rig, arp, sizeof(arp)));
	send_flows(0, 5);
	rig_round(&rig);
	ck_assert_uint_eq(in_rings(), 5);
	work_all();
	rig_round(&rig);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_NO_PAIR), 6);
	ck_assert_uint_eq(rig.wire_count[1], 0);
	rig_close(&rig);
}
END_TEST

START_TEST(a_port_without_pair_is_seen_and_consumed)
{
	rig_open(&rig, &(struct rig_opt){0});
	rig_service(&rig, MOS_SERVICE_SERVED);
	rig_send(&rig, 2, rig_tcp(&rig, 1, false, 0));
	rig_round(&rig);
	ck_assert_uint_eq(in_rings(), 1);
	work_all();
	rig_round(&rig);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_NO_PAIR), 1);
	rig_close(&rig);
}
END_TEST

/* ---- fail policy ---- */

START_TEST(without_worker_open_forwards_and_closed_drops)
{
	rig_open(&rig, &(struct rig_opt){.policy = MOS_CONFIG_FAIL_OPEN});
	send_flows(0, 20);
	rig_send(&rig, 2, rig_tcp(&rig, 1, false, 0)); /* no pair: there is no way to forward it */
	rig_round(&rig);
	ck_assert_uint_eq(rig.wire_count[1], 20);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_UNMONITORED_NOWORKER), 20);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_NO_PAIR), 1);
	rig_close(&rig);

	rig_open(&rig, &(struct rig_opt){.policy = MOS_CONFIG_FAIL_CLOSED});
	send_flows(0, 20);
	rig_round(&rig);
	ck_assert_uint_eq(rig.wire_count[1], 0);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_NO_WORKER), 20);
	rig_close(&rig);
}
END_TEST

START_TEST(a_full_ring_gets_the_policy_and_loses_nothing_that_is_in_it)
{
	for (int closed = 0; closed < 2; closed++) {
		rig_open(&rig, &(struct rig_opt){.workers = 1,
		                                 .policy = closed ? MOS_CONFIG_FAIL_CLOSED
		                                                  : MOS_CONFIG_FAIL_OPEN});
		rig_service(&rig, MOS_SERVICE_SERVED);
		for (int i = 0; i < 10; i++) { /* 320 packets, 255 fit */
			send_flows(0, 32);
			rig_round(&rig);
		}
		ck_assert_uint_eq(in_rings(), 255);
		ck_assert_uint_eq(
			rig_count(&rig, closed ? MOS_CTR_DROP_RING_FULL : MOS_CTR_UNMONITORED_RING),
			65);
		ck_assert_uint_eq(rig.wire_count[1], closed ? 0 : 65);
		work_all();
		rig_rounds(&rig, 5);
		ck_assert_uint_eq(rig.wire_count[1], closed ? 255 : 320);
		rig_close(&rig);
	}
}
END_TEST

START_TEST(held_packets_wait_and_go_by_the_policy_in_order)
{
	rig_open(&rig, &(struct rig_opt){.workers = 1, .policy = MOS_CONFIG_FAIL_OPEN});
	rig_service(&rig, MOS_SERVICE_HELD);
	send_flows(0, 32);
	rig_round(&rig);
	send_flows(32, 32);
	rig_round(&rig);
	ck_assert_uint_eq(in_rings(), 64);
	ck_assert_uint_eq(rig.wire_count[1], 0);

	rig_service(&rig, MOS_SERVICE_UNSERVED); /* the hold time is over */
	send_flows(64, 8);
	rig_rounds(&rig, 3);
	ck_assert_uint_eq(in_rings(), 0);
	ck_assert_uint_eq(rig.wire_count[1], 72);
	for (uint32_t i = 0; i < 72; i++) {
		const uint8_t *ip = rte_pktmbuf_mtod_offset(rig.wire[1][i], uint8_t *, 14);

		ck_assert_uint_eq(ip[15], 1 + i);
	}
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_UNMONITORED_NOWORKER), 72);
	rig_close(&rig);
}
END_TEST

START_TEST(held_packets_go_to_the_successor)
{
	rig_open(&rig, &(struct rig_opt){.workers = 1, .policy = MOS_CONFIG_FAIL_CLOSED});
	rig_service(&rig, MOS_SERVICE_HELD);
	send_flows(0, 32);
	rig_round(&rig);
	rig_service(&rig, MOS_SERVICE_SERVED);
	ck_assert_uint_eq(rig_work(&rig, 0, 256), 32);
	rig_round(&rig);
	ck_assert_uint_eq(rig.wire_count[1], 32);
	rig_close(&rig);
}
END_TEST

START_TEST(a_parked_shard_is_not_touched_and_its_packets_keep_their_order)
{
	struct mos_shard *s;
	void *m = NULL;

	rig_open(&rig, &(struct rig_opt){.workers = 1});
	s = rig.p.root->shard[0];
	rig_service(&rig, MOS_SERVICE_SERVED);
	send_flows(0, 4);
	rig_round(&rig);
	rte_ring_sc_dequeue(s->rx, &m); /* in the tx ring, but parked: stays there */
	rte_ring_sp_enqueue(s->tx, m);

	rig_service(&rig, MOS_SERVICE_PARKED);
	send_flows(4, 20);
	rig_rounds(&rig, 2);
	ck_assert_uint_eq(rte_ring_count(s->rx), 3);
	ck_assert_uint_eq(rte_ring_count(s->tx), 1);
	ck_assert_uint_eq(mos_dispatch_held(rig.d), 20);
	ck_assert_uint_eq(mos_meta(&rig.p, rig.d->shard[0].backlog[0])->owner, MOS_OWNER_PRIMARY);

	rig_service(&rig, MOS_SERVICE_SERVED);
	send_flows(24, 4);
	rig_round(&rig);
	ck_assert_uint_eq(mos_dispatch_held(rig.d), 0);
	ck_assert_uint_eq(rig_work(&rig, 0, 256), 27);
	rig_round(&rig);
	ck_assert_uint_eq(rig.wire_count[1], 28);
	for (uint32_t i = 0; i < 28; i++)
		ck_assert_uint_eq(rte_pktmbuf_mtod_offset(rig.wire[1][i], uint8_t *, 14)[15],
		                  1 + i);
	rig_close(&rig);
}
END_TEST

START_TEST(a_full_backlog_gets_the_policy)
{
	rig_open(&rig, &(struct rig_opt){.workers = 1, .policy = MOS_CONFIG_FAIL_CLOSED});
	rig_service(&rig, MOS_SERVICE_PARKED);
	for (int i = 0; i < MOS_BACKLOG_SIZE / 32 + 2; i++) {
		send_flows(0, 32);
		rig_round(&rig);
	}
	ck_assert_uint_eq(mos_dispatch_held(rig.d), MOS_BACKLOG_SIZE);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_NO_WORKER), 64);

	rig_service(&rig, MOS_SERVICE_HELD); /* the ring takes 255, the rest waits on */
	rig_round(&rig);
	ck_assert_uint_eq(in_rings(), 255);
	ck_assert_uint_eq(mos_dispatch_held(rig.d), MOS_BACKLOG_SIZE - 255);
	rig_service(&rig, MOS_SERVICE_UNSERVED);
	rig_rounds(&rig, 3);
	ck_assert_uint_eq(mos_dispatch_held(rig.d) + in_rings(), 0);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_NO_WORKER), 64 + MOS_BACKLOG_SIZE);
	rig_close(&rig);
}
END_TEST

/* ---- what workers may leave in a tx ring ---- */

/* One packet in the worker's hands, as it would stand there. */
static struct rte_mbuf *taken(uint32_t flow)
{
	void *m;

	rig_send(&rig, 0, rig_tcp(&rig, flow, false, 4));
	rig_round(&rig);
	ck_assert_int_eq(rte_ring_sc_dequeue(rig.p.root->shard[0]->rx, &m), 0);
	return m;
}

static void give(void *obj)
{
	ck_assert_int_eq(rte_ring_sp_enqueue(rig.p.root->shard[0]->tx, obj), 0);
}

START_TEST(garbage_in_a_tx_ring_is_counted_and_not_touched)
{
	struct rte_mbuf *m;

	rig_open(&rig, &(struct rig_opt){.workers = 1});
	rig_service(&rig, MOS_SERVICE_SERVED);
	m = taken(1);
	give(NULL);
	give((void *)(uintptr_t)1);
	give((void *)(uintptr_t)0xdeadbeefdeadbeef);
	give((void *)UINTPTR_MAX);
	give((char *)m + 8); /* not the start of a packet */
	give((char *)m + MOS_CACHE_LINE);
	give((char *)rig.p.pool_map.base - MOS_CACHE_LINE);
	give((char *)rig.p.pool_map.base + rig.p.pool_map.lines * MOS_CACHE_LINE);
	give(rig.p.root);
	rig_rounds(&rig, 2);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_GARBAGE), 9);

	give(m);
	give(m); /* twice: the second is no longer the worker's */
	rig_round(&rig);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_GARBAGE), 10);
	ck_assert_uint_eq(rig.wire_count[1], 1);
	rig_close(&rig);
}
END_TEST

static struct rte_mbuf *add_mbuf(struct rte_mbuf *m)
{
	struct rte_mbuf *tail = rte_pktmbuf_alloc(rig.p.pool);

	ck_assert_ptr_nonnull(tail);
	rte_pktmbuf_append(tail, 100);
	ck_assert_int_eq(rte_pktmbuf_chain(m, tail), 0);
	return tail;
}

START_TEST(a_bent_packet_is_made_new_and_not_lost)
{
	struct rte_mbuf *tail = NULL;

	rig_open(&rig, &(struct rig_opt){.workers = 1});
	rig_service(&rig, MOS_SERVICE_SERVED);
	for (int i = 0; i < 11; i++) {
		struct rte_mbuf *m = taken((uint32_t)i);

		switch (i) {
		case 0: m->pool = NULL; break;
		case 1: m->buf_addr = NULL; break;
		case 2: rte_mbuf_refcnt_set(m, 7); break;
		case 3: m->ol_flags |= RTE_MBUF_F_EXTERNAL; break;
		case 4: m->data_len = 0xffff; break;
		case 5: m->next = (struct rte_mbuf *)(uintptr_t)0x1000; break;
		case 6: m->pkt_len = 70000; break;
		case 7: m->nb_segs = 0; break;
		case 8:
			m->nb_segs = 3;
			m->next = m;
			break;
		case 9: /* data beyond the buffer, of which it says that it is longer */
			m->buf_len = UINT16_MAX;
			m->data_off = 60000;
			break;
		case 10: /* to be freed by what its second mbuf says */
			tail = add_mbuf(m);
			tail->ol_flags |= RTE_MBUF_F_EXTERNAL;
			break;
		}
		give(m);
		rig_round(&rig);
		ck_assert_uint_eq(rig_count(&rig, MOS_CTR_GARBAGE), (unsigned)i + 1);
	}
	ck_assert_uint_eq(rig.wire_count[1], 0);
	tail->ol_flags = 0; /* no bent packet's chain is followed: it stays as it is */
	rte_pktmbuf_free(tail);
	rig_close(&rig); /* the pool is whole */
}
END_TEST

/* Ask for the checksums of a packet as a worker does that made it. */
static void ask(struct rte_mbuf *m)
{
	m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM;
	m->l2_len = 14;
	m->l3_len = 20;
	m->l4_len = 20;
}

/* Bend one thing that a driver would believe. */
static void bend_offload(struct rte_mbuf *m, int what)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

	switch (what) {
	case 0: m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG; break;
	case 1: m->ol_flags |= RTE_MBUF_F_TX_IPV6; break;
	case 2: m->ol_flags &= ~RTE_MBUF_F_TX_IPV4; break;
	case 3: m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM; break;
	case 4: m->ol_flags |= RTE_MBUF_F_TX_VLAN; break;
	case 5: m->l2_len = 0; break;
	case 6: m->l2_len = 127; break;
	case 7: m->l2_len = 18; break;
	case 8: m->l3_len = 0; break;
	case 9: m->l3_len = 511; break;
	case 10: m->l3_len = 24; break;
	case 11: m->l4_len = 0; break;
	case 12: m->l4_len = 255; break;
	case 13: m->l4_len = 24; break;
	case 14: frame[14] = 0x65; break;
	case 15: frame[14 + 9] = IPPROTO_UDP; break;
	case 16: frame[14 + 2] = 0xff; break;
	case 17: frame[14 + 3] = 39; break;
	case 18: frame[14 + 20 + 12] = 0x60; break;
	case 19: rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - 53)); break;
	case 20: m->ol_flags = RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_TCP_CKSUM; break;
	case 21: m->ol_flags = RTE_MBUF_F_TX_OUTER_IP_CKSUM; break;
	}
}

START_TEST(a_packet_may_ask_for_its_own_checksums_only)
{
	rig_open(&rig, &(struct rig_opt){.workers = 1});
	rig_service(&rig, MOS_SERVICE_SERVED);
	for (int what = 0; what < 22; what++) {
		struct rte_mbuf *sound = taken(1), *m = taken(2);

		ask(sound);
		give(sound);
		ask(m);
		bend_offload(m, what);
		give(m);
		rig_round(&rig);
		ck_assert_uint_eq(rig_count(&rig, MOS_CTR_GARBAGE), (unsigned)what + 1);
		ck_assert_uint_eq(rig.wire_count[1], (unsigned)what + 1);
	}
	rig_close(&rig);
}
END_TEST

START_TEST(verdicts_are_obeyed_and_checked)
{
	static const struct {
		uint8_t verdict, out_port;
		enum mos_counter counter;
	} rows[] = {
		{MOS_VERDICT_DROP, 1, MOS_CTR_DROP_BY_APP},
		{MOS_VERDICT_CONSUME, 1, MOS_CTR_DROP_NO_PAIR},
		{MOS_VERDICT_FORWARD, MOS_PORT_NONE, MOS_CTR_DROP_NO_PAIR},
		{MOS_VERDICT_FORWARD, 77, MOS_CTR_GARBAGE},
		{99, 1, MOS_CTR_GARBAGE},
	};

	rig_open(&rig, &(struct rig_opt){.workers = 1});
	rig_service(&rig, MOS_SERVICE_SERVED);
	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		struct rte_mbuf *m = taken(i);
		uint64_t before = rig_count(&rig, rows[i].counter);

		mos_meta(&rig.p, m)->verdict = rows[i].verdict;
		mos_meta(&rig.p, m)->out_port = rows[i].out_port;
		give(m);
		rig_round(&rig);
		ck_assert_uint_eq(rig_count(&rig, rows[i].counter), before + 1);
	}
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_TX_PACKETS), 0);

	struct rte_mbuf *m = taken(50); /* another port than the pair, chosen by the application */
	mos_meta(&rig.p, m)->out_port = 2;
	give(m);
	rig_round(&rig);
	ck_assert_uint_eq(rig.wire_count[2], 1);
	rig_close(&rig);
}
END_TEST

/* ---- output ports ---- */

START_TEST(a_port_without_link_or_too_small_drops_by_name)
{
	rig_open(&rig, &(struct rig_opt){0});
	rig.d->port[1].link_up = false;
	send_flows(0, 3);
	rig_round(&rig);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_LINK_DOWN), 3);
	rig.d->port[1].link_up = true;

	rig_send(&rig, 0, rig_tcp(&rig, 1, false, 1460)); /* 1500 bytes of IP fit */
	rig_send(&rig, 0, rig_tcp(&rig, 1, false, 1461));
	rig_round(&rig);
	ck_assert_uint_eq(rig.wire_count[1], 1);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_TOO_LONG), 1);
	rig_close(&rig);
}
END_TEST

/* A TCP packet of 500 bytes and more, in two mbufs. */
static struct rte_mbuf *chain(void)
{
	struct rte_mbuf *head = rig_tcp(&rig, 1, false, 500), *tail;
	const uint32_t cut = 100;

	tail = rig_frame(&rig, rte_pktmbuf_mtod_offset(head, const char *, head->data_len - cut),
	                 cut);
	ck_assert_int_eq(rte_pktmbuf_trim(head, cut), 0);
	ck_assert_int_eq(rte_pktmbuf_chain(head, tail), 0);
	return head;
}

START_TEST(a_port_that_takes_no_chains_gets_whole_packets)
{
	struct rte_mbuf *m;
	uint32_t room;

	rig_open(&rig, &(struct rig_opt){0});
	rig_send(&rig, 0, chain());
	rig_round(&rig);
	ck_assert_uint_eq(rig.wire_count[1], 1);
	ck_assert_uint_eq(rig.wire[1][0]->nb_segs, 2);

	rig.d->port[1].no_chains = true;
	rig_send(&rig, 0, chain());
	rig_round(&rig);
	ck_assert_uint_eq(rig.wire_count[1], 2);
	m = rig.wire[1][1];
	ck_assert_uint_eq(m->nb_segs, 1);
	ck_assert_uint_eq(m->data_len, rig.wire[1][0]->pkt_len);
	ck_assert_int_eq(memcmp(rte_pktmbuf_mtod_offset(m, char *, m->data_len - 100),
	                        rte_pktmbuf_mtod(rig.wire[1][0]->next, char *), 100),
	                 0);

	m = chain(); /* no room in its first mbuf */
	room = rte_pktmbuf_tailroom(m);
	m->data_off += room;
	memmove(rte_pktmbuf_mtod(m, char *), rte_pktmbuf_mtod(m, char *) - room, m->data_len);
	rig_send(&rig, 0, m);
	rig_round(&rig);
	ck_assert_uint_eq(rig.wire_count[1], 2);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_TOO_LONG), 1);
	rig_close(&rig);
}
END_TEST

START_TEST(the_beginning_of_a_longer_frame_is_not_forwarded)
{
	uint8_t frame[1520] = {[12] = 0x88, [13] = 0xb5}; /* an EtherType for experiments */

	rig_open(&rig, &(struct rig_opt){0});
	rig.d->port[1].ip_max = 9000;
	rig_send(&rig, 0, rig_frame(&rig, frame, 1518));
	rig_send(&rig, 0, rig_frame(&rig, frame, 1519));
	rig_round(&rig);
	ck_assert_uint_eq(rig.wire_count[1], 1);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_NON_IP_FORWARDED), 1);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_TOO_LONG), 1);
	rig_close(&rig);
}
END_TEST

START_TEST(nothing_waits_for_a_link)
{
	rig_open(&rig, &(struct rig_opt){.lossless = {1}});
	ck_assert(rig.d->patient);
	mos_output_put(rig.d, rig_tcp(&rig, 1, false, 0), 1);
	rig.d->port[1].link_up = false;
	rig_round(&rig);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_LINK_DOWN), 1);
	ck_assert_uint_eq(mos_dispatch_held(rig.d), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(what_a_port_does_not_take_is_counted)
{
	rig_open(&rig, &(struct rig_opt){0});
	rig.plugged = true;
	while (rte_ring_free_count(rig.tx[1]) > 0)
		rte_ring_enqueue(rig.tx[1], rig_tcp(&rig, 0, true, 0));
	send_flows(0, 20);
	rig_round(&rig);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_TX_FULL), 20);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_TX_PACKETS), 0);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_TX_BYTES), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(blank_rings_are_kept_full)
{
	struct mos_shard *s;
	void *m[MOS_BLANK_BATCH];

	rig_open(&rig, &(struct rig_opt){.workers = 1});
	s = rig.p.root->shard[0];
	rig_service(&rig, MOS_SERVICE_SERVED);
	ck_assert_uint_eq(rte_ring_count(s->blank), MOS_BLANK_SIZE);
	ck_assert_uint_eq(rte_ring_sc_dequeue_bulk(s->blank, m, MOS_BLANK_BATCH, NULL),
	                  MOS_BLANK_BATCH);
	for (unsigned i = 0; i < MOS_BLANK_BATCH; i++) { /* a worker's own packets */
		struct mos_pkt_meta *meta = mos_meta(&rig.p, m[i]);

		ck_assert_uint_eq(meta->owner, 1);
		meta->verdict = MOS_VERDICT_FORWARD;
		meta->out_port = 1;
		rte_pktmbuf_append((struct rte_mbuf *)m[i], 60);
	}
	for (unsigned i = 0; i < MOS_BLANK_BATCH; i += 32) {
		rte_ring_sp_enqueue_bulk(s->tx, m + i, 32, NULL);
		rig_round(&rig);
	}
	ck_assert_uint_eq(rig.wire_count[1], MOS_BLANK_BATCH);
	ck_assert_uint_eq(rte_ring_count(s->blank), MOS_BLANK_SIZE);
	rig_close(&rig);
}
END_TEST

/* ---- all of it at random ---- */

static uint64_t dropped(void)
{
	static const enum mos_counter drops[] = {
		MOS_CTR_DROP_RING_FULL,  MOS_CTR_DROP_NO_WORKER,    MOS_CTR_DROP_TX_FULL,
		MOS_CTR_DROP_LINK_DOWN,  MOS_CTR_DROP_TOO_LONG,     MOS_CTR_DROP_NO_PAIR,
		MOS_CTR_DROP_BY_APP,     MOS_CTR_DROP_L2_SHORT,     MOS_CTR_DROP_IP_VERSION,
		MOS_CTR_DROP_IP_HDR_LEN, MOS_CTR_DROP_IP_TOTAL_LEN, MOS_CTR_DROP_IP_CHECKSUM,
		MOS_CTR_DROP_IP6_EXT,    MOS_CTR_DROP_TCP_HDR_LEN,
	};
	uint64_t sum = 0;

	for (unsigned i = 0; i < RTE_DIM(drops); i++)
		sum += rig_count(&rig, drops[i]);
	return sum;
}

static struct rte_mbuf *random_frame(unsigned *seed)
{
	struct rte_mbuf *m = rig_tcp(&rig, (uint32_t)rand_r(seed) % 500, rand_r(seed) % 2,
	                             (uint32_t)rand_r(seed) % 1600);
	uint8_t *bytes = rte_pktmbuf_mtod(m, uint8_t *);

	if (rand_r(seed) % 4 == 0)
		bytes[rand_r(seed) % 54] = (uint8_t)rand_r(seed);
	if (rand_r(seed) % 8 == 0)
		rte_pktmbuf_trim(m, (uint16_t)((unsigned)rand_r(seed) % m->pkt_len));
	return m;
}

static void random_worker(unsigned *seed, uint32_t shard)
{
	struct mos_shard *s = rig.p.root->shard[shard];
	void *m[64];
	unsigned n = rte_ring_sc_dequeue_burst(s->rx, m, (unsigned)rand_r(seed) % 64, NULL);

	for (unsigned i = 0; i < n; i++)
		if (rand_r(seed) % 10 == 0)
			mos_meta(&rig.p, m[i])->verdict = MOS_VERDICT_DROP;
	ck_assert_uint_eq(rte_ring_sp_enqueue_bulk(s->tx, m, n, NULL), n);
}

START_TEST(every_frame_is_accounted_for)
{
	unsigned seed = (unsigned)time(NULL);
	uint64_t sent = 0, out;

	printf("seed %u\n", seed);
	rig_open(&rig, &(struct rig_opt){.workers = 3, .policy = (int)(seed & 1)});
	for (int round = 0; round < 3000; round++) {
		for (uint32_t s = 0; s < 3; s++) {
			if (rand_r(&seed) % 20 == 0)
				rig_service_one(&rig, s, (enum mos_service)(rand_r(&seed) % 4));
			if (mos_shard_map_service(s) == MOS_SERVICE_SERVED)
				random_worker(&seed, s);
		}
		for (int k = rand_r(&seed) % 32; k > 0; k--, sent++)
			rig_send(&rig, (unsigned)rand_r(&seed) % 3, random_frame(&seed));
		rig_round(&rig);
		for (unsigned i = 0; i < RIG_PORTS; i++) { /* what went out goes back to the pool */
			rte_pktmbuf_free_bulk(rig.wire[i], rig.wire_count[i]);
			rig.wire_count[i] = 0;
		}
	}
	rig_service(&rig, MOS_SERVICE_UNSERVED);
	rig_rounds(&rig, 50);
	out = rig_count(&rig, MOS_CTR_TX_PACKETS);
	ck_assert_uint_eq(mos_dispatch_held(rig.d) + in_rings(), 0);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_RX_PACKETS), sent);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_GARBAGE), 0);
	ck_assert_uint_eq(out + dropped(), sent);
	ck_assert_uint_gt(out, 1000);
	rig_close(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dispatch");
	TCase *tc = tcase_create("all");
	SRunner *r;
	int failed;

	rig_eal();
	tcase_add_test(tc, tcp_goes_to_its_shard_and_out_by_the_pair);
	tcase_add_test(tc, both_directions_meet_in_one_shard);
	tcase_add_test(tc, frames_without_ip_pass_untouched_and_unasked);
	tcase_add_test(tc, each_defect_has_its_counter);
	tcase_add_test(tc, forward_0_consumes_everything_after_it_was_seen);
	tcase_add_test(tc, a_port_without_pair_is_seen_and_consumed);
	tcase_add_test(tc, without_worker_open_forwards_and_closed_drops);
	tcase_add_test(tc, a_full_ring_gets_the_policy_and_loses_nothing_that_is_in_it);
	tcase_add_test(tc, held_packets_wait_and_go_by_the_policy_in_order);
	tcase_add_test(tc, held_packets_go_to_the_successor);
	tcase_add_test(tc, a_parked_shard_is_not_touched_and_its_packets_keep_their_order);
	tcase_add_test(tc, a_full_backlog_gets_the_policy);
	tcase_add_test(tc, garbage_in_a_tx_ring_is_counted_and_not_touched);
	tcase_add_test(tc, a_bent_packet_is_made_new_and_not_lost);
	tcase_add_test(tc, a_packet_may_ask_for_its_own_checksums_only);
	tcase_add_test(tc, verdicts_are_obeyed_and_checked);
	tcase_add_test(tc, a_port_without_link_or_too_small_drops_by_name);
	tcase_add_test(tc, a_port_that_takes_no_chains_gets_whole_packets);
	tcase_add_test(tc, the_beginning_of_a_longer_frame_is_not_forwarded);
	tcase_add_test(tc, nothing_waits_for_a_link);
	tcase_add_test(tc, what_a_port_does_not_take_is_counted);
	tcase_add_test(tc, blank_rings_are_kept_full);
	tcase_add_test(tc, every_frame_is_accounted_for);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK); /* EAL is shared by all tests */
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
