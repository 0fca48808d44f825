/*
 * Flows whose addresses are translated: the application lets client 0 go out with the address of
 * client OUT, so the server's packets are those to client OUT. And what of it outlives a worker.
 */
#include <rte_byteorder.h>

#include "mtcp_util.h"
#include "test/eal/worker_tests.h"

#define IN  0
#define OUT 100

/* clang-format off */
#define OF(client, side, bits, s, a) \
	{.from = (side), .flags = (bits), .seq = (s), .ack = (a), .flow = (client)}
/* clang-format on */

static const struct hs_pkt syn = OF(IN, MOS_CLI, MOS_TCP_SYN, 1000, 0);
static const struct hs_pkt syn_ack = OF(OUT, MOS_SVR, MOS_TCP_SYN | MOS_TCP_ACK, 5000, 1001);
static const struct hs_pkt ack = OF(IN, MOS_CLI, MOS_TCP_ACK, 1001, 5001);
static const struct hs_pkt s_ack = OF(OUT, MOS_SVR, MOS_TCP_ACK, 5001, 1001);

#define OPEN(states) "[" states "]\n"
#define ESTABLISHED  OPEN("ESTABLISHED/ESTABLISHED")
#define FROM_CLIENT  "SND CLI: PKT_IN " ESTABLISHED "RCV SVR: PKT_IN " ESTABLISHED
#define FROM_SERVER  "SND SVR: PKT_IN " ESTABLISHED "RCV CLI: PKT_IN " ESTABLISHED
#define CLIENT_N(n)                                                  \
	{                                                            \
		10, 0, (uint8_t)((1 + (n)) >> 8), (uint8_t)(1 + (n)) \
	}
#define IP_SRC 12
#define IP_DST 16

static uint32_t outside; /* number of the client as which the next one goes out */
static bool drop;

/* What a program that translates does at SND, to each packet. */
static void translate(int sock, int side)
{
	const uint8_t in[4] = CLIENT_N(IN), out[4] = CLIENT_N(outside);
	struct mos_cur_pkt *cur = &hs.c->cur;
	uint8_t *ip = rte_pktmbuf_mtod_offset(cur->mbuf, uint8_t *, cur->meta->l3_off);

	if (side == MOS_SIDE_CLI)
		memcpy(ip + IP_SRC, out, 4);
	else
		memcpy(ip + IP_DST, in, 4);
	cur->edited = true;
	if (drop)
		cur->meta->verdict = MOS_VERDICT_DROP;
}

static void start(void)
{
	hs_open(&(struct hs_opt){.flow_area = 24});
	hs_passive();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, translate);
	outside = OUT;
	drop = false;
}

static void send_all(const struct hs_pkt *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		hs_send(&p[i]);
		ck_assert_uint_eq(hs_round(), 1);
	}
	hs_clear();
}

static void open_translated(void)
{
	const struct hs_pkt p[] = {syn, syn_ack, ack};

	start();
	send_all(p, 3);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), 0);
}

static void is_orphan(const struct hs_pkt *p)
{
	uint64_t orphans = hs_count(MOS_CTR_W_ORPHANS);

	hs_expect(*p, "");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), orphans + 1);
}

START_TEST(servers_packets_are_found_by_what_the_client_became)
{
	open_translated();
	hs_expect(ack, FROM_CLIENT);
	hs_expect(s_ack, FROM_SERVER);
	ck_assert_uint_eq(hs.c->flows.count, 1);
	hs_close();
}
END_TEST

START_TEST(servers_packets_to_the_address_before_are_orphans)
{
	const struct hs_pkt back = OF(IN, MOS_SVR, MOS_TCP_ACK, 5001, 1001);
	const struct hs_pkt forth = OF(OUT, MOS_CLI, MOS_TCP_ACK, 1001, 5001);

	open_translated();
	is_orphan(&back);
	is_orphan(&forth);
	hs_close();
}
END_TEST

static struct sockaddr_in names[2];

static void ask_names(int sock, int side)
{
	socklen_t len = sizeof(names);

	ck_assert_int_eq(
		mtcp_getpeername(hs_mctx(), sock, (struct sockaddr *)names, &len, MOS_SIDE_BOTH),
		0);
}

START_TEST(the_names_stay_those_before)
{
	const uint8_t in[4] = CLIENT_N(IN);

	open_translated();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, ask_names, &s_ack);
	ck_assert_mem_eq(&names[MOS_SIDE_CLI].sin_addr, in, 4);
	hs_close();
}
END_TEST

START_TEST(syn_sent_again_moves_the_key_until_the_server_is_heard)
{
	const struct hs_pkt two[] = {syn, syn};
	const struct hs_pkt late = OF(OUT + 1, MOS_SVR, MOS_TCP_SYN | MOS_TCP_ACK, 5000, 1001);

	start();
	send_all(two, 1);
	outside = OUT + 1;
	send_all(two, 1);
	is_orphan(&syn_ack);
	send_all(&late, 1);
	send_all(&ack, 1);
	ck_assert_int_eq(hs.c->flows.flows[mos_flow_table_next(&hs.c->flows, 0)].state[0], 4);

	outside = OUT;
	send_all(&syn, 1); /* an old one */
	is_orphan(&s_ack);
	hs_close();
}
END_TEST

START_TEST(syn_that_is_dropped_decides_nothing)
{
	start();
	hs.may_drop = drop = true;
	send_all(&syn, 1);
	is_orphan(&syn_ack);
	drop = false;
	send_all(&syn, 1);
	send_all(&syn_ack, 1);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), 1);
	hs_close();
}
END_TEST

START_TEST(newer_flow_takes_the_key_and_the_older_is_not_let_through)
{
	const struct hs_pkt other = OF(IN + 1, MOS_CLI, MOS_TCP_SYN, 7000, 0);
	const struct hs_pkt answer = OF(OUT, MOS_SVR, MOS_TCP_SYN | MOS_TCP_ACK, 9000, 7001);

	open_translated();
	send_all(&other, 1);
	send_all(&answer, 1);
	ck_assert_uint_eq(hs.c->flows.count, 2);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_REMAP_LOST), 0);

	hs.may_drop = true;
	hs_expect(ack, "");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_REMAP_LOST), 1);
	ck_assert_uint_eq(hs.dropped, 1);
	hs_close();
}
END_TEST

START_TEST(struck_flow_that_is_translated_is_dropped)
{
	open_translated();
	hs.c->flows.flows[mos_flow_table_next(&hs.c->flows, 0)].strikes = MOS_STRIKES_MAX;
	hs.may_drop = true;
	hs_expect(ack, "");
	hs_expect(s_ack, "");
	ck_assert_uint_eq(hs_count(MOS_CTR_W_REMAP_LOST), 2);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_PASSED_SUSPECT), 0);
	ck_assert_uint_eq(hs.dropped, 2);
	hs_close();
}
END_TEST

START_TEST(successor_finds_both_sides)
{
	open_translated();
	hs_bury();
	hs_attach(1);
	hs_passive();
	hs.act = NULL;
	hs_round();
	hs_expect(s_ack, FROM_SERVER);
	hs_expect(ack, FROM_CLIENT);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_ORPHANS), 0);
	hs_close();
}
END_TEST

START_TEST(flow_that_is_over_leaves_no_key_behind)
{
	const struct hs_pkt rst = OF(IN, MOS_CLI, MOS_TCP_RST, 1001, 0);

	open_translated();
	send_all(&rst, 1);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs.c->flows.out_count, 0);
	is_orphan(&s_ack);
	hs_close();
}
END_TEST

/* ---- areas ---- */

static const char kept[24] = "what the program stores";
static char *area;

static void find_area(int sock, int side)
{
	size_t len = 0;

	area = mtcp_flow_area(hs_mctx(), sock, &len);
	ck_assert_ptr_nonnull(area);
	ck_assert_uint_eq(len, sizeof(kept));
	ck_assert_uint_eq((uintptr_t)area % 8, 0);
	ck_assert_ptr_eq(mtcp_flow_area(hs_mctx(), sock, NULL), area);
}

START_TEST(area_outlives_the_worker_and_not_the_flow)
{
	static const char zero[sizeof(kept)];
	const struct hs_pkt again = OF(IN, MOS_CLI, MOS_TCP_SYN, 900000, 0);
	const char *first;

	start();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, find_area, &syn);
	ck_assert_mem_eq(area, zero, sizeof(zero));
	memcpy(area, kept, sizeof(kept));
	first = area;
	hs_bury();

	hs_attach(1);
	hs_passive();
	hs_act_on(MOS_ON_CONN_START, MOS_HK_SND, find_area);
	area = NULL;
	hs_round();
	ck_assert_uint_eq(hs.acted, 1);
	ck_assert_ptr_eq(area, first);
	ck_assert_mem_eq(area, kept, sizeof(kept));

	hs_advance(31000);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, find_area, &again);
	ck_assert_ptr_eq(area, first);
	ck_assert_mem_eq(area, zero, sizeof(zero));
	hs_close();
}
END_TEST

static void has_no_area(int sock, int side)
{
	errno = 0;
	ck_assert_ptr_null(mtcp_flow_area(hs_mctx(), sock, NULL));
	ck_assert_int_eq(errno, ENOSYS);
}

START_TEST(area_is_refused_where_there_is_none)
{
	int sock;

	hs_open(NULL);
	sock = hs_passive();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, has_no_area, &syn);
	ck_assert_ptr_null(mtcp_flow_area(hs_mctx(), sock, NULL));
	ck_assert_int_eq(errno, EBADF);
	ck_assert_ptr_null(mtcp_flow_area(NULL, sock, NULL));
	ck_assert_int_eq(errno, EACCES);
	hs.c->thread = 0;
	ck_assert_ptr_null(mtcp_flow_area(hs_mctx(), sock, NULL));
	ck_assert_int_eq(errno, EPERM);
	hs.c->thread = pthread_self();
	hs_close();
}
END_TEST

/* ---- shards ---- */

static struct sockaddr_in v4(uint32_t client, uint16_t port)
{
	const uint8_t addr[4] = CLIENT_N(client);
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = rte_cpu_to_be_16(port)};

	memcpy(&in.sin_addr, addr, 4);
	return in;
}

static struct sockaddr_in6 v6(uint32_t client, uint16_t port)
{
	struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = rte_cpu_to_be_16(port)};

	in.sin6_addr.s6_addr[0] = 0xfd;
	in.sin6_addr.s6_addr[15] = (uint8_t)client;
	return in;
}

#define SHARD(a, b) \
	mtcp_flow_shard(hs_mctx(), (const struct sockaddr *)(a), (const struct sockaddr *)(b))

START_TEST(shard_is_that_of_the_packets_hash_both_ways)
{
	struct rte_mbuf *m;
	struct sockaddr_in a, b = v4(0, 443);
	uint32_t expect;

	hs_open(NULL);
	hs_passive();
	for (uint32_t i = 0; i < MOS_BUCKET_MAX; i++)
		hs.root->bucket[i] = (uint8_t)(i % 7);
	b.sin_addr.s_addr = rte_cpu_to_be_32(0x0a000102);
	for (uint32_t n = 0; n < 100; n++) {
		a = v4(n, 40000);
		m = hs_send(&(struct hs_pkt){.flow = n, .flags = MOS_TCP_SYN});
		expect = hs.root->bucket[hs_meta(m)->hash >> 22];
		hs_round();
		ck_assert_int_eq(SHARD(&a, &b), expect);
		ck_assert_int_eq(SHARD(&b, &a), expect);
	}
	ck_assert_int_eq(mtcp_own_shard(hs_mctx()), 0);
	hs_close();
}
END_TEST

START_TEST(shard_of_what_is_no_pair_is_refused)
{
	struct sockaddr_in a = v4(1, 1);
	struct sockaddr_in6 a6 = v6(1, 1), b6 = v6(2, 2);
	struct sockaddr unix_end = {.sa_family = AF_UNIX};

	hs_open(NULL);
	ck_assert_int_ge(SHARD(&a6, &b6), 0);
	ck_assert_int_eq(SHARD(&a6, &b6), SHARD(&b6, &a6));
	ck_assert_int_eq(SHARD(&a, &a6), -1);
	ck_assert_int_eq(errno, EAFNOSUPPORT);
	ck_assert_int_eq(SHARD(&unix_end, &unix_end), -1);
	ck_assert_int_eq(errno, EAFNOSUPPORT);
	ck_assert_int_eq(SHARD(NULL, &a), -1);
	ck_assert_int_eq(errno, EFAULT);
	ck_assert_int_eq(SHARD(&a, NULL), -1);
	ck_assert_int_eq(errno, EFAULT);
	ck_assert_int_eq(mtcp_flow_shard(NULL, (struct sockaddr *)&a, (struct sockaddr *)&a), -1);
	ck_assert_int_eq(errno, EACCES);
	ck_assert_int_eq(mtcp_own_shard(NULL), -1);
	ck_assert_int_eq(errno, EACCES);
	hs_close();
}
END_TEST

/* Which context gets port -> 443 of two hosts, and which shard they hash to. */
static int core_of(uint16_t port, int nqueues, int *shard)
{
	struct sockaddr_in a = v4(OUT, port), b = v4(1, 443);

	*shard = SHARD(&a, &b);
	errno = 0;
	return GetRSSCPUCore(a.sin_addr.s_addr, b.sin_addr.s_addr, a.sin_port, b.sin_port, nqueues);
}

START_TEST(core_is_the_context_that_holds_the_shard)
{
	unsigned ours = 0;
	int shard, core;

	hs_open(NULL);
	for (uint32_t i = 0; i < MOS_BUCKET_MAX; i++)
		hs.root->bucket[i] = (uint8_t)(i % 2);
	core = core_of(1, 4, &shard);
	ck_assert(core >= 0 && core < 4); /* not attached: a card's choice */
	mos_worker.root = hs.root;
	for (uint16_t port = 1; port < 500; port++) {
		core = core_of(port, 4, &shard);
		ck_assert_int_eq(core, shard == 0 ? 0 : 1); /* 1 is nobody here */
		core = core_of(port, 1, &shard);
		ck_assert_int_eq(core, shard == 0 ? 0 : -1);
		ck_assert_int_eq(errno, shard == 0 ? 0 : ENOENT);
		ours += shard == 0;
	}
	ck_assert(ours > 100 && ours < 400);
	ck_assert_int_eq(core_of(1, 0, &shard), -1);
	ck_assert_int_eq(errno, EINVAL);
	mos_worker.root = NULL;
	hs_close();
}
END_TEST

TCase *nat_case(void)
{
	TCase *tc = tcase_create("nat");

	tcase_add_test(tc, servers_packets_are_found_by_what_the_client_became);
	tcase_add_test(tc, servers_packets_to_the_address_before_are_orphans);
	tcase_add_test(tc, the_names_stay_those_before);
	tcase_add_test(tc, syn_sent_again_moves_the_key_until_the_server_is_heard);
	tcase_add_test(tc, syn_that_is_dropped_decides_nothing);
	tcase_add_test(tc, newer_flow_takes_the_key_and_the_older_is_not_let_through);
	tcase_add_test(tc, struck_flow_that_is_translated_is_dropped);
	tcase_add_test(tc, successor_finds_both_sides);
	tcase_add_test(tc, flow_that_is_over_leaves_no_key_behind);
	tcase_add_test(tc, area_outlives_the_worker_and_not_the_flow);
	tcase_add_test(tc, area_is_refused_where_there_is_none);
	tcase_add_test(tc, shard_is_that_of_the_packets_hash_both_ways);
	tcase_add_test(tc, shard_of_what_is_no_pair_is_refused);
	tcase_add_test(tc, core_is_the_context_that_holds_the_shard);
	return tc;
}
