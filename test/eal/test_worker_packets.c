/*
 * Packets on the bench (see harness.h): which of them make and find flows, and that each of them
 * leaves the worker once, whatever happens.
 */
#include <stdlib.h>

#include "test/eal/worker_tests.h"

static void open_usual(void)
{
	hs_open(NULL);
	hs_passive();
}

#define SYN_LINES                                                     \
	"SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n" \
	"RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n"

/* ---- which packets make and find flows ---- */

START_TEST(tuple_used_again_ends_the_old_flow_first)
{
	const struct hs_pkt again = SYN(900000);

	open_usual();
	hs_handshake(0);
	hs_expect(again, "RCV SVR: STATE_CHANGE CONN_END [ESTABLISHED/CLOSED]\n"
	                 "SND SVR: STATE_CHANGE CONN_END [ESTABLISHED/CLOSED]\n"
	                 "RCV CLI: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	                 "SND CLI: STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
	                 "SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	                 "RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n");
	ck_assert_uint_eq(hs.c->flows.count, 1);
}
END_TEST

START_TEST(only_a_first_syn_begins_a_flow)
{
	const struct hs_pkt no_syn[] = {
		SYN_ACK(5000, 1001),
		ACK(1001, 5001),
		DATA(1001, 5001, 10),
		FIN(1001, 5001),
		RST(1001),
		PKT(MOS_CLI, MOS_TCP_SYN | MOS_TCP_RST, 1000, 0, 0),
		PKT(MOS_CLI, 0, 1000, 0, 0),
	};

	open_usual();
	for (unsigned i = 0; i < RTE_DIM(no_syn); i++)
		hs_expect(no_syn[i], "");
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), RTE_DIM(no_syn));
	ck_assert_uint_eq(hs_count(MOS_CTR_W_TCP), 0);
}
END_TEST

START_TEST(without_passive_socket_nothing_is_tracked)
{
	const struct hs_pkt syn = SYN(1000);

	hs_open(NULL);
	hs_expect(syn, "");
	ck_assert_uint_eq(hs.c->flows.count, 0);
}
END_TEST

START_TEST(full_table_passes_new_flows_unmonitored)
{
	const struct hs_pkt syn = {MOS_CLI, MOS_TCP_SYN, 1000, .flow = 8};
	const struct hs_pkt known = {MOS_CLI, MOS_TCP_ACK, 1001, 5001, .flow = 3};

	hs_open(&(struct hs_opt){.flows = 8});
	hs_passive();
	for (uint32_t i = 0; i < 8; i++)
		hs_handshake(i);
	hs_expect(syn, "");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOW_TABLE_FULL), 1);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), 1);
	hs_expect(known, "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	                 "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	hs_advance(31000);
	hs_send(&syn);
	hs_round();
	ck_assert_uint_eq(hs.c->flows.count, 1);
}
END_TEST

START_TEST(wrong_checksum_is_forwarded_without_events)
{
	struct hs_pkt data = {MOS_CLI, MOS_TCP_ACK, 1001, 5001, 33, .bad_sum = true};

	open_usual();
	hs_handshake(0);
	hs_expect(data, "");
	data.ip6 = true;
	hs_expect(data, "");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_TCP_CHECKSUM), 2);
}
END_TEST

START_TEST(checksum_is_trusted_where_someone_else_vouches)
{
	struct hs_pkt syn = {MOS_CLI, MOS_TCP_SYN, 1000, .bad_sum = true};
	const uint64_t known[] = {RTE_MBUF_F_RX_L4_CKSUM_GOOD, RTE_MBUF_F_RX_L4_CKSUM_BAD};

	open_usual();
	for (unsigned i = 0; i < 2; i++) { /* the port has looked */
		hs_send(&syn)->ol_flags |= known[i];
		hs_round();
		ck_assert_uint_eq(hs_count(MOS_CTR_W_TCP), 1);
	}
	ck_assert_uint_eq(hs_count(MOS_CTR_W_TCP_CHECKSUM), 1);
	hs_close();
	hs_open(&(struct hs_opt){.trust_csum = true}); /* the configuration says so */
	hs_passive();
	hs_send(&syn);
	hs_round();
	ck_assert_uint_eq(hs_count(MOS_CTR_W_TCP), 1);
}
END_TEST

START_TEST(ipv6_is_tracked_unless_switched_off)
{
	const struct hs_pkt syn = {MOS_CLI, MOS_TCP_SYN, 1000, .ip6 = true};

	open_usual();
	hs_expect(syn, SYN_LINES);
	hs_close();
	hs_open(&(struct hs_opt){.no_ipv6 = true});
	hs_passive();
	hs_expect(syn, "");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_IPV6_IGNORED), 1);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), 0);
}
END_TEST

START_TEST(same_tuple_in_another_vlan_is_another_flow)
{
	const struct hs_pkt syn[] = {
		SYN(1000),
		{MOS_CLI, MOS_TCP_SYN, 1000, .vlan = 5},
		{MOS_CLI, MOS_TCP_SYN, 1000, .vlan = 6},
	};

	open_usual();
	for (int i = 0; i < 3; i++)
		hs_expect(syn[i], SYN_LINES);
	ck_assert_uint_eq(hs.c->flows.count, 3);
}
END_TEST

START_TEST(flow_on_which_workers_died_is_passed_without_events)
{
	const struct hs_pkt data = DATA(1001, 5001, 10);

	open_usual();
	hs_handshake(0);
	mos_flow_at(&hs.c->flows, mos_flow_table_next(&hs.c->flows, 0))->strikes = MOS_STRIKES_MAX;
	hs_expect(data, "");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_PASSED_SUSPECT), 1);
}
END_TEST

START_TEST(strikes_are_forgotten_by_a_flow_that_lives_on)
{
	const struct hs_pkt data = DATA(1001, 5001, 10);
	struct mos_flow *f;

	open_usual();
	hs_handshake(0);
	f = mos_flow_at(&hs.c->flows, mos_flow_table_next(&hs.c->flows, 0));
	f->strikes = MOS_STRIKES_MAX - 1;
	f->flags |= MOS_FLOW_SUSPECT;
	for (int i = 1; i < MOS_STRIKES_FORGET; i++) {
		hs_send(&data);
		hs_round();
	}
	ck_assert_uint_eq(f->strikes, MOS_STRIKES_MAX - 1);
	hs_send(&data);
	hs_round();
	ck_assert_uint_eq(f->strikes, 0);
	ck_assert(!(f->flags & MOS_FLOW_SUSPECT));
}
END_TEST

START_TEST(record_counts_packets_and_bytes_of_each_side)
{
	const struct hs_pkt data = DATA(1001, 5001, 100), answer = S_DATA(5001, 1101, 7);
	const struct mos_flow *f;

	open_usual();
	hs_handshake(0);
	hs_send(&data);
	hs_send(&answer);
	hs_round();
	f = mos_flow_at(&hs.c->flows, mos_flow_table_next(&hs.c->flows, 0));
	ck_assert_uint_eq(f->packets[MOS_CLI], 3);
	ck_assert_uint_eq(f->packets[MOS_SVR], 2);
	ck_assert_uint_eq(f->bytes[MOS_CLI], 3 * 40 + 100); /* padding is no part of them */
	ck_assert_uint_eq(f->bytes[MOS_SVR], 2 * 40 + 7);
	ck_assert_uint_eq(f->in_port[MOS_CLI], 0);
	ck_assert_uint_eq(f->in_port[MOS_SVR], 1);
	ck_assert_mem_eq(f->mac[MOS_CLI], "\2\2\2\2\2\1", 6);
	ck_assert_mem_eq(f->mac[MOS_SVR], "\2\2\2\2\2\2", 6);
	ck_assert_uint_eq(f->seqcount % 2, 0);
}
END_TEST

/* ---- timestamps ---- */

#define STAMPED(side, bits, s, a, len, val, ecr)                                           \
	{                                                                                  \
		.from = (side), .flags = (bits), .seq = (s), .ack = (a), .payload = (len), \
		.ts = (val), .ts_ecr = (ecr)                                               \
	}

/* The server has taken 150. */
static const struct mos_flow *open_stamped(uint32_t timeout_ms)
{
	const struct hs_pkt p[] = {
		STAMPED(MOS_CLI, MOS_TCP_SYN, 1000, 0, 0, 100, 0),
		STAMPED(MOS_SVR, MOS_TCP_SYN | MOS_TCP_ACK, 5000, 1001, 0, 900, 100),
		STAMPED(MOS_CLI, MOS_TCP_ACK, 1001, 5001, 10, 150, 900),
		STAMPED(MOS_SVR, MOS_TCP_ACK, 5001, 1011, 0, 950, 150),
	};

	hs_open(&(struct hs_opt){.timeout_ms = timeout_ms});
	hs_passive();
	for (unsigned i = 0; i < RTE_DIM(p); i++) {
		hs_send(&p[i]);
		hs_round();
	}
	return mos_flow_at(&hs.c->flows, mos_flow_table_next(&hs.c->flows, 0));
}

START_TEST(segment_with_an_old_timestamp_changes_nothing)
{
	const struct hs_pkt old =
		STAMPED(MOS_CLI, MOS_TCP_ACK | MOS_TCP_FIN, 1011, 5001, 9, 148, 950);
	const struct hs_pkt good = STAMPED(MOS_CLI, MOS_TCP_ACK, 1011, 5001, 9, 151, 950);
	const struct mos_flow *f = open_stamped(0);
	struct mos_half was[2];

	memcpy(was, f->half, sizeof(was));
	hs_expect(old, "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	               "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n");
	ck_assert_mem_eq(was, f->half, sizeof(was));
	ck_assert_uint_eq(hs_count(MOS_CTR_W_TCP_BOGUS), 1);
	hs_send(&good);
	hs_round();
	ck_assert_uint_eq(f->half[MOS_SVR].rcv_nxt, 1020);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_TCP_BOGUS), 1);
}
END_TEST

START_TEST(timestamp_may_wrap_while_nothing_is_sent)
{
	const struct hs_pkt late = STAMPED(MOS_CLI, MOS_TCP_ACK, 1011, 5001, 9, 0x90000000, 950);
	const struct mos_flow *f = open_stamped(3 * MOS_TS_OUTDATED_MS);

	hs_advance(MOS_TS_OUTDATED_MS); /* exactly: not outdated yet */
	hs_send(&late);
	hs_round();
	ck_assert_uint_eq(hs_count(MOS_CTR_W_TCP_BOGUS), 1);
	hs_advance(MOS_TS_OUTDATED_MS + 1);
	hs_send(&late);
	hs_round();
	ck_assert_uint_eq(hs_count(MOS_CTR_W_TCP_BOGUS), 1);
	ck_assert_uint_eq(f->half[MOS_SVR].rcv_nxt, 1020);
}
END_TEST

/* ---- what becomes of the packets ---- */

START_TEST(more_than_a_burst_takes_more_rounds)
{
	open_usual();
	for (uint32_t i = 0; i < 2 * MOS_BURST_MAX + 1; i++)
		hs_send(&(struct hs_pkt){MOS_CLI, MOS_TCP_ACK, i, .flow = i});
	ck_assert_uint_eq(hs_round(), MOS_BURST_MAX);
	ck_assert_uint_eq(hs_round(), MOS_BURST_MAX);
	ck_assert_uint_eq(hs_round(), 1);
	ck_assert_uint_eq(hs_round(), 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_PACKETS), 2 * MOS_BURST_MAX + 1);
}
END_TEST

static void *drain_later(void *arg)
{
	struct timespec nap = {.tv_nsec = 20000000};
	void *m[64];
	unsigned n;

	nanosleep(&nap, NULL);
	n = rte_ring_sc_dequeue_burst(hs.shard->tx, m, 64, NULL);
	rte_pktmbuf_free_bulk((struct rte_mbuf **)m, n);
	hs.came_out += n;
	return arg;
}

/* The primary is slow: the burst waits for room, whole, and the heart goes on beating. */
static void fill_tx(void)
{
	while (rte_ring_free_count(hs.shard->tx) > 4) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(hs.pool);

		ck_assert_int_eq(rte_ring_sp_enqueue(hs.shard->tx, m), 0);
		hs.sent++;
	}
	for (uint32_t i = 0; i < 8; i++)
		hs_send(&(struct hs_pkt){MOS_CLI, MOS_TCP_ACK, i, .flow = i});
}

START_TEST(full_tx_ring_is_waited_for)
{
	uint64_t beats;
	pthread_t t;

	hs_open(&(struct hs_opt){.ring = 64});
	fill_tx();
	beats = hs.shard->lease.heartbeat;
	ck_assert_int_eq(pthread_create(&t, NULL, drain_later, NULL), 0);
	ck_assert_uint_eq(mos_loop_round(hs.c), 8);
	pthread_join(t, NULL);
	ck_assert_uint_gt(hs.shard->lease.heartbeat - beats, 10);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_TX_WAITS), 1);
	ck_assert_uint_eq(hs.shard->ledger.count, 0);
}
END_TEST

START_TEST(full_tx_ring_of_a_primary_that_stops_leaves_the_burst_in_hand)
{
	struct mos_ledger_verdict v;

	hs_open(&(struct hs_opt){.ring = 64});
	fill_tx();
	hs.root->run = MOS_RUN_STOPPED;
	ck_assert_uint_eq(mos_loop_round(hs.c), 0);
	ck_assert_uint_eq(hs.shard->ledger.count, 8);
	ck_assert_uint_eq(rte_ring_free_count(hs.shard->tx), 4);
	drain_later(NULL);
	v = hs_bury();
	ck_assert_uint_eq(v.done, 8);
	ck_assert(!v.sent && !v.suspect);
}
END_TEST

/* ---- random traffic ---- */

#define STORM_FLOWS 12

/* Of each active socket: what it was told so far. */
static struct {
	bool started;
	int ends;
} told[64];

/* Nothing before CONN_START, nothing after the second CONN_END of a hook. */
static void keep_books(int sock, int side, event_t event, int hook)
{
	int i = sock - MOS_MON_ID_MAX;

	ck_assert_int_ge(i, 0);
	ck_assert_int_lt(i, 64);
	if (event == MOS_ON_CONN_START && hook == MOS_HK_SND) {
		ck_assert_int_eq(side, MOS_SIDE_CLI);
		ck_assert(!told[i].started);
		told[i].started = true;
	}
	if (event != MOS_ON_PKT_IN) /* which comes before CONN_START in the order of bits */
		ck_assert(told[i].started);
	if (event == MOS_ON_CONN_END && ++told[i].ends == 4) {
		told[i].started = false;
		told[i].ends = 0;
	}
}

START_TEST(random_traffic_never_breaks_the_order)
{
	unsigned seed = _i == 0 ? (unsigned)time(NULL) : 1;

	printf("seed %u\n", seed);
	srandom(seed);
	memset(told, 0, sizeof(told));
	hs_open(&(struct hs_opt){.flows = 8, .tw_ms = _i ? 500 : 0});
	hs_passive();
	hs.act = keep_books;
	for (int round = 0; round < 4000; round++) {
		for (long n = random() % 8; n > 0; n--) {
			static const uint8_t usual[] = {0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14};
			struct hs_pkt p = {
				.from = (int)(random() % 2),
				.flags = random() % 16 ? usual[random() % 7] : (uint8_t)random(),
				.seq = (uint32_t)random() % 16 + 1000,
				.ack = (uint32_t)random() % 16 + 1000,
				.payload = (uint32_t)random() % 4,
				.flow = (uint32_t)random() % STORM_FLOWS,
			};

			hs_send(&p);
		}
		hs_round();
		hs_clear();
		if (random() % 50 == 0)
			hs_advance((uint64_t)random() % 20000);
		hs_clear();
	}
	hs_advance(60000);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_CREATED), hs_count(MOS_CTR_W_FLOWS_ENDED));
	for (int i = 0; i < 64; i++)
		ck_assert(!told[i].started);
}
END_TEST

TCase *packet_case(void)
{
	TCase *tc = tcase_create("packets");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, tuple_used_again_ends_the_old_flow_first);
	tcase_add_test(tc, only_a_first_syn_begins_a_flow);
	tcase_add_test(tc, without_passive_socket_nothing_is_tracked);
	tcase_add_test(tc, full_table_passes_new_flows_unmonitored);
	tcase_add_test(tc, wrong_checksum_is_forwarded_without_events);
	tcase_add_test(tc, checksum_is_trusted_where_someone_else_vouches);
	tcase_add_test(tc, ipv6_is_tracked_unless_switched_off);
	tcase_add_test(tc, same_tuple_in_another_vlan_is_another_flow);
	tcase_add_test(tc, flow_on_which_workers_died_is_passed_without_events);
	tcase_add_test(tc, strikes_are_forgotten_by_a_flow_that_lives_on);
	tcase_add_test(tc, record_counts_packets_and_bytes_of_each_side);
	tcase_add_test(tc, segment_with_an_old_timestamp_changes_nothing);
	tcase_add_test(tc, timestamp_may_wrap_while_nothing_is_sent);
	tcase_add_test(tc, more_than_a_burst_takes_more_rounds);
	tcase_add_test(tc, full_tx_ring_is_waited_for);
	tcase_add_test(tc, full_tx_ring_of_a_primary_that_stops_leaves_the_burst_in_hand);
	tcase_add_loop_test(tc, random_traffic_never_breaks_the_order, 0, 2);
	return tc;
}
