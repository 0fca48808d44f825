/*
 * Packets that the application sends, on the bench: see harness.h. What comes out is compared byte
 * for byte with what should have been built.
 */
#include "test/eal/worker_tests.h"

#include "shared/packet/checksum.h"
#include "shared/packet/packet.h"

static const struct hs_pkt data = DATA(1001, 5001, 5);

static void open_usual(void)
{
	hs_open(NULL);
	hs_passive();
	hs_handshake(0);
}

/* What was sent is a sound TCP packet. */
static struct mos_pkt_meta parse(const struct hs_out *o)
{
	struct mos_pkt_meta meta = {0};
	uint32_t tcp_len;

	ck_assert_int_eq(mos_pkt_parse(&meta, o->bytes, o->len, o->len, hs.root->hash_seed),
	                 MOS_PKT_TCP);
	tcp_len = (uint32_t)(meta.payload_off - meta.l4_off) + meta.payload_len;
	ck_assert(mos_csum_tcp_ok(o->bytes + meta.l3_off, meta.ip_version, o->bytes + meta.l4_off,
	                          tcp_len));
	ck_assert_uint_eq(o->len, meta.payload_off + meta.payload_len);
	ck_assert_uint_eq(o->meta.l3_off, meta.l3_off);
	ck_assert_uint_eq(o->meta.l4_off, meta.l4_off);
	ck_assert_uint_eq(o->meta.payload_off, meta.payload_off);
	ck_assert_uint_eq(o->meta.payload_len, meta.payload_len);
	ck_assert_uint_eq(o->meta.vlan, meta.vlan);
	ck_assert_uint_eq(o->meta.ip_version, meta.ip_version);
	return meta;
}

/* ---- the same packet again ---- */

static uint8_t shown[4096]; /* the frame at hand, as far as its IP packet goes */
static uint32_t shown_len;

static void send_again(int sock, int side)
{
	struct pkt_info_ext x;
	struct pkt_info p;

	ck_assert_int_eq(mtcp_getlastpkt_ext(hs_mctx(), sock, side, &p, &x), 0);
	shown_len = (uint32_t)((uint8_t *)(p.iph ? (void *)p.iph : (void *)x.ip6h) -
	                       (uint8_t *)p.ethh) +
	            p.ip_len;
	memcpy(shown, p.ethh, shown_len);
	ck_assert_int_eq(mtcp_sendpkt_ext(hs_mctx(), sock, &p, &x), 0);
	if (p.iph != NULL)
		ck_assert_int_eq(mtcp_sendpkt(hs_mctx(), sock, &p), 0);
}

static void expect_again(const struct hs_pkt *p, int hook)
{
	hs_clear();
	hs_act_on(MOS_ON_PKT_IN, hook, send_again);
	hs_send(p);
	ck_assert_uint_eq(hs_round(), 1);
	ck_assert_uint_eq(hs.acted, 1);
	hs.act = NULL;
	ck_assert_uint_eq(hs.made_count, p->ip6 ? 1 : 2);
	for (uint32_t i = 0; i < hs.made_count; i++) {
		parse(&hs.made[i]);
		ck_assert_uint_eq(hs.made[i].len, shown_len);
		ck_assert_mem_eq(hs.made[i].bytes, shown, shown_len);
		ck_assert_uint_eq(hs.made[i].meta.out_port, p->from == MOS_CLI ? 1 : 0);
		ck_assert_uint_eq(hs.made[i].behind, 0);
		ck_assert_uint_eq(hs.made[i].ol_flags, 0);
	}
}

START_TEST(what_getlastpkt_shows_goes_out_again)
{
	const struct hs_pkt pkts[] = {
		DATA(1001, 5001, 777),
		ACK(1001, 5001),
		{MOS_CLI, MOS_TCP_ACK | MOS_TCP_PSH, 1001, 5001, 5, .ts = 77, .ts_ecr = 99},
		FIN(1001, 5001),
		{MOS_CLI, MOS_TCP_SYN, 1000, .flow = 1, .vlan = 12},
		{MOS_CLI, MOS_TCP_SYN, 1000, .flow = 2, .ip6 = true},
		{MOS_CLI, MOS_TCP_SYN, 1000, .flow = 2, .ip6 = true, .vlan = 4095, .ts = 3},
	};

	hs_open(&(struct hs_opt){.blanks = 64});
	hs_passive();
	hs_handshake(0);
	for (unsigned i = 0; i < RTE_DIM(pkts); i++) {
		expect_again(&pkts[i], MOS_HK_SND);
		expect_again(&pkts[i], MOS_HK_RCV);
	}
}
END_TEST

/* ---- where a packet goes ---- */

/* A packet of the caller's: the client of flow 0 to its server, as bytes of no frame. */
static struct {
	struct iphdr ip;
	struct tcphdr tcp;
	uint8_t payload[9000];
	struct pkt_info p;
} own;

static void make_own(uint32_t payload)
{
	memset(&own, 0, sizeof(own));
	own.ip.version = 4;
	own.ip.ihl = 5;
	own.ip.protocol = IPPROTO_TCP;
	own.ip.saddr = htonl(0x0a000001);
	own.ip.daddr = htonl(0x0a000102);
	own.tcp.source = htons(40000);
	own.tcp.dest = htons(443);
	own.tcp.doff = 5;
	own.tcp.rst = 1;
	own.tcp.seq = htonl(1001);
	memset(own.payload, 'o', sizeof(own.payload));
	own.p.iph = &own.ip;
	own.p.tcph = &own.tcp;
	own.p.payload = own.payload;
	own.p.payloadlen = (uint16_t)payload;
}

static void turn_own(void)
{
	uint32_t addr = own.ip.saddr;
	uint16_t port = own.tcp.source;

	own.ip.saddr = own.ip.daddr;
	own.ip.daddr = addr;
	own.tcp.source = own.tcp.dest;
	own.tcp.dest = port;
}

static int send_own(int sock)
{
	return mtcp_sendpkt(hs_mctx(), sock, &own.p);
}

/* The flow's link addresses are those of its SYN: ...01 is the client's, ...02 the server's. */
static void went_to(uint32_t i, int side)
{
	ck_assert_uint_lt(i, hs.made_count);
	parse(&hs.made[i]);
	ck_assert_uint_eq(hs.made[i].meta.out_port, side == MOS_CLI ? 0 : 1);
	ck_assert_uint_eq(hs.made[i].bytes[5], side == MOS_CLI ? 1 : 2);
	ck_assert_uint_eq(hs.made[i].bytes[11], side == MOS_CLI ? 2 : 1);
}

static void send_both_ways(int sock, int side)
{
	make_own(3);
	ck_assert_int_eq(send_own(sock), 0);
	turn_own();
	ck_assert_int_eq(send_own(sock), 0);
	own.tcp.dest = 7; /* another port of the same host */
	ck_assert_int_eq(send_own(sock), 0);
	turn_own();
	own.ip.saddr = 99; /* from somebody else */
	ck_assert_int_eq(send_own(sock), 0);
	own.ip.daddr = 99;
	fails(EHOSTUNREACH, send_own(sock));
}

START_TEST(addresses_say_to_which_end)
{
	open_usual();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_RCV, send_both_ways);
	hs_clear();
	hs_send(&data);
	hs_round();
	ck_assert_uint_eq(hs.made_count, 4);
	went_to(0, MOS_SVR);
	went_to(1, MOS_CLI);
	went_to(2, MOS_CLI);
	went_to(3, MOS_SVR);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_SENT), 4);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_SEND_NO_ROOM), 0);
}
END_TEST

static void translate(void)
{
	struct mos_flow *f = mos_flow_at(&hs.c->flows, hs.shard->ledger.flow);

	f->out = f->key;
	f->out.src[15] = 77; /* 10.0.0.77:6666 to 10.0.1.88:80 */
	f->out.dst[15] = 88;
	f->out.src_port_be = htons(6666);
	f->out.dst_port_be = htons(80);
	f->flags |= MOS_FLOW_TWO_KEYS;
}

static void send_translated(int sock, int side)
{
	make_own(3);
	own.ip.saddr = htonl(0x0a00004d);
	own.ip.daddr = htonl(0x0a000158);
	own.tcp.source = htons(6666);
	own.tcp.dest = htons(80);
	fails(EHOSTUNREACH, send_own(sock));
	translate();
	ck_assert_int_eq(send_own(sock), 0);
	turn_own();
	ck_assert_int_eq(send_own(sock), 0);
	make_own(3); /* as the client knows itself and the server */
	ck_assert_int_eq(send_own(sock), 0);
	turn_own();
	ck_assert_int_eq(send_own(sock), 0);
}

START_TEST(either_end_is_known_by_both_its_names)
{
	open_usual();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_RCV, send_translated);
	hs_clear();
	hs_send(&data);
	hs_round();
	ck_assert_uint_eq(hs.made_count, 4);
	went_to(0, MOS_SVR);
	went_to(1, MOS_CLI);
	went_to(2, MOS_SVR);
	went_to(3, MOS_CLI);
}
END_TEST

static void send_in_vlan(int sock, int side)
{
	static uint8_t frame[64];
	struct ethhdr *eth = (struct ethhdr *)frame;

	make_own(0);
	ck_assert_int_eq(send_own(sock), 0);
	memcpy(frame + 12, "\x81\x00\xe0\x05\x08\x00", 6); /* the flow's VLAN, with a priority */
	memcpy(frame + 18, &own.ip, sizeof(own.ip));
	own.p.ethh = eth;
	own.p.iph = (struct iphdr *)(frame + 18);
	ck_assert_int_eq(send_own(sock), 0);
	frame[15] = 6; /* another VLAN */
	ck_assert_int_eq(send_own(sock), 0);
}

START_TEST(a_flow_stays_in_its_vlan)
{
	static const uint16_t tci[] = {5, 0xe005, 5};
	const struct hs_pkt syn = {MOS_CLI, MOS_TCP_SYN, 1000, .vlan = 5};

	hs_open(NULL);
	hs_passive();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_RCV, send_in_vlan);
	hs_send(&syn);
	hs_round();
	ck_assert_uint_eq(hs.made_count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		went_to(i, MOS_SVR);
		ck_assert_uint_eq(hs.made[i].meta.vlan, 5);
		ck_assert_uint_eq(hs.made[i].bytes[14] << 8 | hs.made[i].bytes[15], tci[i]);
	}
}
END_TEST

/* ---- raw sockets ---- */

static struct ethhdr eth = {{1, 1, 1, 1, 1, 1}, {2, 2, 2, 2, 2, 2}, 0};

static void send_raw(int sock, int side)
{
	struct pkt_info_ext x = {.vlan = 9};

	make_own(1);
	own.ip.daddr = 99;
	ck_assert_int_eq(send_own(sock), 0); /* 0: out by port 1, as the packet at hand */
	own.p.in_ifidx = 1;
	own.p.ethh = &eth;
	ck_assert_int_eq(send_own(sock), 0); /* 1: out by port 0, by these addresses */
	ck_assert_int_eq(mtcp_sendpkt_ext(hs_mctx(), sock, &own.p, &x), 0); /* 2: in a VLAN */
	own.p.ethh = NULL;
	ck_assert_int_eq(mtcp_sendpkt_ext(hs_mctx(), sock, &own.p, &x), 0); /* 3 */
	own.p.in_ifidx = 2;
	fails(EHOSTUNREACH, send_own(sock));
	own.p.in_ifidx = -1;
	fails(EHOSTUNREACH, send_own(sock));
	own.p.in_ifidx = 0;
	hs.root->port[0].pair = MOS_PORT_NONE;
	fails(EHOSTUNREACH, send_own(sock));
	hs.root->port[0].pair = 1;
}

START_TEST(a_raw_socket_sends_by_the_pair_of_a_port)
{
	static const uint16_t vlan[] = {12, 0, 9, 9};
	static const uint8_t dst[] = {2, 1, 1, 2}, port[] = {1, 0, 0, 0};

	hs_open(NULL);
	hs_raw();
	hs_act_on(MOS_ON_PKT_IN, MOS_NULL, send_raw);
	hs_send(&(struct hs_pkt){MOS_CLI, MOS_TCP_ACK, 1000, .vlan = 12});
	hs_round();
	ck_assert_uint_eq(hs.made_count, 4);
	for (uint32_t i = 0; i < 4; i++) {
		parse(&hs.made[i]);
		ck_assert_uint_eq(hs.made[i].meta.vlan, vlan[i]);
		ck_assert_uint_eq(hs.made[i].meta.out_port, port[i]);
		ck_assert_uint_eq(hs.made[i].bytes[0], dst[i]);
	}
}
END_TEST

/* ---- order ---- */

static unsigned left_to_send; /* of send_numbered */
static uint32_t number;

static void send_numbered(int sock, int side)
{
	if (left_to_send == 0)
		return;
	left_to_send--;
	make_own(0);
	own.tcp.seq = htonl(number++);
	ck_assert_int_eq(send_own(sock), 0);
}

/* They came out in the order of their numbers, so many packets of the network before each. */
static void came_out_behind(const uint32_t *behind, uint32_t n)
{
	ck_assert_uint_eq(hs.made_count, n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t seq;

		memcpy(&seq, hs.made[i].bytes + 38, 4);
		ck_assert_uint_eq(ntohl(seq), i);
		ck_assert_uint_eq(hs.made[i].behind, behind[i]);
	}
}

static void send_from(event_t event, int hook, unsigned n)
{
	left_to_send = n;
	number = 0;
	hs_clear();
	hs_act_on(event, hook, send_numbered);
}

START_TEST(sent_packets_go_out_before_the_one_at_hand)
{
	static const uint32_t behind[] = {0, 1, 2, 3, 4, 5, 6, 7};
	const int hooks[] = {MOS_HK_SND, MOS_HK_RCV};

	open_usual();
	for (unsigned h = 0; h < 2; h++) {
		send_from(MOS_ON_PKT_IN, hooks[h], 8);
		for (uint32_t i = 0; i < 10; i++)
			hs_send(&data);
		ck_assert_uint_eq(hs_round(), 10);
		came_out_behind(behind, 8);
	}
}
END_TEST

static unsigned turn;

static void send_three_in_turn_two(int sock, int side)
{
	if (turn++ != 2)
		return;
	left_to_send = 3;
	while (left_to_send > 0)
		send_numbered(sock, side);
}

START_TEST(several_sent_in_one_callback_keep_their_order)
{
	static const uint32_t behind[] = {2, 2, 2};

	open_usual();
	number = turn = 0;
	hs_clear();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, send_three_in_turn_two);
	for (uint32_t i = 0; i < 5; i++)
		hs_send(&data);
	hs_round();
	came_out_behind(behind, 3);
}
END_TEST

START_TEST(new_data_may_send)
{
	static const uint32_t behind[] = {0, 1, 2};

	hs_open(NULL);
	hs_passive_all();
	hs_handshake(0);
	send_from(MOS_ON_CONN_NEW_DATA, MOS_NULL, 3);
	for (uint32_t i = 0; i < 3; i++)
		hs_send(&(struct hs_pkt)DATA(1001 + 5 * i, 5001, 5));
	hs_round();
	came_out_behind(behind, 3);
}
END_TEST

/* By a packet in the middle of a burst; then by the clock, with no packet at hand. */
START_TEST(the_end_of_a_flow_may_send)
{
	static const uint32_t in_burst[] = {1, 1}, by_clock[] = {0, 0};

	open_usual();
	send_from(MOS_ON_CONN_END, MOS_HK_RCV, 2);
	hs_send(&data);
	hs_send(&(struct hs_pkt)RST(1006));
	hs_send(&data);
	hs_round();
	came_out_behind(in_burst, 2);
	hs.act = NULL;
	hs_handshake(0);
	send_from(MOS_ON_CONN_END, MOS_HK_RCV, 2);
	hs_advance(40000);
	came_out_behind(by_clock, 2);
}
END_TEST

static int timer_sock;

static void note_sock(int sock, int side)
{
	timer_sock = sock;
}

static void on_timer(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
	send_numbered(id, 0);
}

START_TEST(a_timer_may_send)
{
	static const uint32_t behind[] = {2};
	struct timeval soon = {0};

	open_usual();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, note_sock, &data);
	send_from(0, 0, 1);
	ck_assert_int_eq(mtcp_settimer(hs_mctx(), timer_sock, &soon, on_timer), 0);
	hs_send(&data);
	hs_send(&data);
	hs_round();
	came_out_behind(behind, 1);
	went_to(0, MOS_SVR);
}
END_TEST

/* ---- no room ---- */

static unsigned accepted;

static void send_until_refused(int sock, int side)
{
	make_own(0);
	while (send_own(sock) == 0)
		accepted++;
	ck_assert_int_eq(errno, ENOBUFS);
	fails(ENOBUFS, send_own(sock));
}

static void expect_accepted(const struct hs_opt *opt, unsigned room)
{
	hs_open(opt);
	hs_passive();
	hs_handshake(0);
	for (int again = 0; again < 2; again++) {
		unsigned sent = hs_count(MOS_CTR_W_SENT);

		accepted = 0;
		hs_clear();
		hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, send_until_refused);
		hs_send(&data);
		ck_assert_uint_eq(hs_round(), 1);
		ck_assert_uint_eq(accepted, room);
		ck_assert_uint_eq(hs.made_count, room);
		ck_assert_uint_eq(hs_count(MOS_CTR_W_SENT), sent + room);
		ck_assert_uint_eq(hs_count(MOS_CTR_W_SEND_NO_ROOM), 2 * (again + 1u));
		ck_assert_uint_eq(hs_count(MOS_CTR_W_TX_WAITS), 0);
		if (room == opt->blanks)
			room = 0;
	}
	hs_close();
}

START_TEST(what_finds_no_room_is_refused)
{
	expect_accepted(&(struct hs_opt){.blanks = 20}, 20);              /* no empty packet left */
	expect_accepted(&(struct hs_opt){.ring = 64, .blanks = 512}, 62); /* no room in tx */
	expect_accepted(&(struct hs_opt){.ring = 1024, .blanks = 1000}, 256); /* the outbox */
	hs_open(NULL);
}
END_TEST

static void timer_until_refused(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
	send_until_refused(id, 0);
}

START_TEST(a_timer_finds_no_room_either)
{
	struct timeval soon = {0};

	hs_open(&(struct hs_opt){.ring = 64, .blanks = 100});
	hs_passive();
	hs_handshake(0);
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, note_sock, &data);
	accepted = 0;
	ck_assert_int_eq(mtcp_settimer(hs_mctx(), timer_sock, &soon, timer_until_refused), 0);
	hs_send(&data);
	hs_round();
	ck_assert_uint_eq(accepted, 62); /* the burst is there, still */
	ck_assert_uint_eq(hs.made_count, 62);
}
END_TEST

/* ---- other errors ---- */

static void try_errors(int sock, int side)
{
	struct mos_port_row *row = &hs.root->port[1];
	struct pkt_info_ext x = {0};
	struct ip6_hdr ip6 = {0};

	make_own(1460);
	ck_assert_int_eq(send_own(sock), 0);
	own.p.payloadlen++;
	fails(EMSGSIZE, send_own(sock));
	own.p.payloadlen = 65535;
	fails(EMSGSIZE, send_own(sock));
	row->mtu = 9000;
	own.p.payloadlen = 4000;
	fails(EMSGSIZE, send_own(sock)); /* longer than an empty packet can be */
	row->mtu = 1500;
	make_own(5);
	row->link_up = 0;
	fails(ENETDOWN, send_own(sock));
	row->link_up = 1;
	fails(EACCES, mtcp_sendpkt(hs_mctx(), sock, NULL));
	fails(EACCES, mtcp_sendpkt_ext(hs_mctx(), sock, NULL, NULL));
	fails(EACCES, mtcp_sendpkt(NULL, sock, &own.p));
	fails(EBADF, send_own(-1));
	fails(EBADF, send_own(63));
	fails(EBADF, send_own(sock + 1));
	own.p.iph = NULL;
	fails(ENODATA, send_own(sock));
	own.p.iph = &own.ip;
	own.p.tcph = NULL;
	fails(ENODATA, send_own(sock));
	own.p.tcph = &own.tcp;
	own.p.payload = NULL;
	fails(ENODATA, send_own(sock));
	own.p.payloadlen = 0;
	ck_assert_int_eq(send_own(sock), 0);
	own.tcp.doff = 4;
	fails(ENODATA, send_own(sock));
	own.tcp.doff = 5;
	own.ip.protocol = IPPROTO_UDP;
	fails(ENODATA, send_own(sock));
	own.ip.protocol = IPPROTO_TCP;
	x.ip6h = &ip6;
	fails(ENODATA, mtcp_sendpkt_ext(hs_mctx(), sock, &own.p, &x)); /* version 0 */
	ip6.ip6_vfc = 0x60;
	fails(EHOSTUNREACH, mtcp_sendpkt_ext(hs_mctx(), sock, &own.p, &x)); /* the flow is IPv4 */
}

START_TEST(each_mistake_has_its_errno)
{
	open_usual();
	hs_in_callback(MOS_ON_PKT_IN, MOS_HK_SND, try_errors, &data);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_SENT), 2);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_SEND_NO_ROOM), 0);
}
END_TEST

static int raw_sock;

static void raw_timer(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
	make_own(0);
	fails(EHOSTUNREACH, send_own(raw_sock)); /* no link address */
	own.p.ethh = &eth;
	ck_assert_int_eq(send_own(raw_sock), 0);
}

START_TEST(without_a_packet_link_addresses_are_the_callers)
{
	struct timeval soon = {0};

	hs_open(NULL);
	raw_sock = hs_raw();
	ck_assert_int_eq(mtcp_settimer(hs_mctx(), 1, &soon, raw_timer), 0);
	hs_round();
	ck_assert_uint_eq(hs.made_count, 1);
	parse(&hs.made[0]);
}
END_TEST

static void *send_from_elsewhere(void *arg)
{
	make_own(0);
	fails(EPERM, send_own(*(int *)arg));
	return NULL;
}

START_TEST(another_thread_may_not_send)
{
	pthread_t t;
	int sock;

	hs_open(NULL);
	sock = hs_raw();
	ck_assert_int_eq(pthread_create(&t, NULL, send_from_elsewhere, &sock), 0);
	pthread_join(t, NULL);
}
END_TEST

/* ---- checksums left to the port ---- */

static void finish_sums(struct hs_out *o)
{
	uint8_t *ip = o->bytes + o->meta.l3_off, *tcp = o->bytes + o->meta.l4_off;
	uint16_t sum;

	if (o->meta.ip_version == 4) {
		sum = mos_csum_fold(mos_csum_partial(ip, o->meta.l4_off - o->meta.l3_off, 0));
		memcpy(ip + 10, &sum, 2);
	}
	sum = mos_csum_fold(mos_csum_partial(tcp, o->len - o->meta.l4_off, 0));
	memcpy(tcp + 16, &sum, 2);
}

START_TEST(a_port_that_can_is_left_the_checksums)
{
	const struct hs_pkt ip6 = {MOS_CLI, MOS_TCP_SYN, 1000, .flow = 2, .ip6 = true, .vlan = 3};

	open_usual();
	hs.root->port[1].csum_offload = 1;
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_RCV, send_again);
	hs_send(&data);
	hs_send(&ip6);
	hs_round();
	ck_assert_uint_eq(hs.made_count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		uint64_t ip =
			i < 2 ? RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM : RTE_MBUF_F_TX_IPV6;

		ck_assert_uint_eq(hs.made[i].ol_flags, ip | RTE_MBUF_F_TX_TCP_CKSUM);
		finish_sums(&hs.made[i]);
		parse(&hs.made[i]);
	}
}
END_TEST

TCase *send_case(void)
{
	TCase *tc = tcase_create("send");

	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, what_getlastpkt_shows_goes_out_again);
	tcase_add_test(tc, addresses_say_to_which_end);
	tcase_add_test(tc, either_end_is_known_by_both_its_names);
	tcase_add_test(tc, a_flow_stays_in_its_vlan);
	tcase_add_test(tc, a_raw_socket_sends_by_the_pair_of_a_port);
	tcase_add_test(tc, sent_packets_go_out_before_the_one_at_hand);
	tcase_add_test(tc, several_sent_in_one_callback_keep_their_order);
	tcase_add_test(tc, new_data_may_send);
	tcase_add_test(tc, the_end_of_a_flow_may_send);
	tcase_add_test(tc, a_timer_may_send);
	tcase_add_test(tc, what_finds_no_room_is_refused);
	tcase_add_test(tc, a_timer_finds_no_room_either);
	tcase_add_test(tc, each_mistake_has_its_errno);
	tcase_add_test(tc, without_a_packet_link_addresses_are_the_callers);
	tcase_add_test(tc, another_thread_may_not_send);
	tcase_add_test(tc, a_port_that_can_is_left_the_checksums);
	return tc;
}
