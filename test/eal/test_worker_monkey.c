/*
 * Programs that do anything, on the bench (see harness.h): in each callback and timer calls at
 * random, with what makes sense and what does not; now and then the program dies in one. Packets
 * are of a few connections, whole and cut into mbufs. The harness checks each round that packets come
 * out whole and in order, and in the end that none is lost; the sanitizers do the rest.
 */
#include <setjmp.h>

#include "mos_ext.h"
#include "shared/packet/checksum.h"
#include "shared/root/user_area.h"
#include "test/eal/edit_rig.h"

#define CLIENTS 6
#define ROUNDS  250
#define SEEDS   12

static struct {
	uint64_t random;
	uint32_t seq[CLIENTS][2];
	uint32_t deaths;
	int raw, passive[2];
	bool lethal;
	bool gentle; /* connections live: payloads are edited, by numbers that are translated */
	jmp_buf death;
} monkey;

static uint32_t below(uint32_t n)
{
	monkey.random ^= monkey.random << 13;
	monkey.random ^= monkey.random >> 7;
	monkey.random ^= monkey.random << 17;
	return (uint32_t)(monkey.random >> 33) % n;
}

static bool one_in(uint32_t n)
{
	return below(n) == 0;
}

/* ---- what the program does ---- */

static void fill(byte *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		b[i] = one_in(3) ? (byte) "\x00\x45\x60\x06\xff\x08\x50\xf0"[below(8)]
		                 : (byte)below(256);
}

static void edit(int sock, int side)
{
	static const int place[] = {MOS_ETH_HDR, MOS_IP_HDR, MOS_TCP_HDR, MOS_TCP_PAYLOAD};
	static const int action[] = {MOS_OVERWRITE, MOS_CHOMP, MOS_INSERT, MOS_DROP};
	static byte data[2000];
	uint16_t len = (uint16_t)(one_in(8) ? below(2000) : one_in(2) ? 4 * below(6) : below(14));
	int option = place[monkey.gentle && !one_in(20) ? 3 : below(4)] |
	             action[one_in(monkey.gentle ? 30 : 6) ? 3 : below(3)] |
	             (one_in(2) ? MOS_UPDATE_IP_CHKSUM : 0) |
	             (one_in(2) ? MOS_UPDATE_TCP_CHKSUM : 0);

	fill(data, len);
	mtcp_setlastpkt(hs_mctx(), sock, side, below(30), data, len, option);
}

static void bend_headers(struct pkt_info *p)
{
	if (p->iph != NULL && one_in(3))
		fill((byte *)p->iph + below(20), 1);
	if (p->tcph != NULL && one_in(3))
		fill((byte *)p->tcph + below(20), 1);
	if (one_in(8))
		p->payloadlen = (uint16_t)below(1600);
	if (one_in(8))
		p->in_ifidx = (int8_t)below(256);
	if (one_in(8))
		p->ethh = NULL;
}

static void send_copy(int sock, int side)
{
	struct pkt_info_ext x;
	struct pkt_info p;

	if (mtcp_getlastpkt_ext(hs_mctx(), sock, side, &p, &x) < 0)
		return;
	if (one_in(2))
		bend_headers(&p);
	if (one_in(6))
		sock = one_in(2) ? monkey.raw : monkey.passive[0];
	if (one_in(2))
		mtcp_sendpkt(hs_mctx(), sock, &p);
	else
		mtcp_sendpkt_ext(hs_mctx(), sock, &p, &x);
}

/* From nothing: a timer, or where no packet is at hand. */
static void send_made(int sock)
{
	struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 9, .protocol = IPPROTO_TCP};
	struct tcphdr tcp = {.doff = 5, .rst = 1};
	struct pkt_info p = {.iph = &ip, .tcph = &tcp};
	struct sockaddr_in end[2];
	socklen_t len = sizeof(end);

	if (mtcp_getpeername(hs_mctx(), sock, (struct sockaddr *)end, &len, MOS_SIDE_BOTH) < 0)
		return;
	ip.saddr = end[0].sin_addr.s_addr;
	ip.daddr = end[1].sin_addr.s_addr;
	tcp.source = end[0].sin_port;
	tcp.dest = end[1].sin_port;
	mtcp_sendpkt(hs_mctx(), sock, &p);
}

static void set_option(int sock)
{
	static const int options[] = {MOS_STOP_MON, MOS_DROP_HIDES, MOS_LAST_PACKETS, MOS_SEQ_REMAP,
	                              MOS_CLIBUF,   MOS_SVRBUF,     MOS_CLIOVERLAP,   MOS_SVRKEEP};
	int option = options[below(RTE_DIM(options))];
	seq_remap_info info = {.seq_off = 0, .side = (int)below(2)};
	int value = option == MOS_STOP_MON ? (int)below(3) : (int)below(2);

	if (option == MOS_STOP_MON && (monkey.gentle || !one_in(8)))
		return;
	if (option == MOS_CLIBUF || option == MOS_SVRBUF)
		value *= (int)below(5000);
	if (option == MOS_SEQ_REMAP)
		mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, option, &info, sizeof(info));
	else
		mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, option, &value, sizeof(value));
}

static void read_stream(int sock)
{
	static char buf[3000];

	if (one_in(2))
		mtcp_peek(hs_mctx(), sock, (int)below(2), buf, below(sizeof(buf)));
	else
		mtcp_ppeek(hs_mctx(), sock, (int)below(2), buf, below(sizeof(buf)), below(3000));
}

/* As a NAT does: another port of the client, the same each time. */
static void translate(int sock, int side)
{
	struct pkt_info p;
	uint16_t port;
	bool out;

	if (mtcp_getlastpkt(hs_mctx(), sock, side, &p) < 0 || p.tcph == NULL)
		return;
	out = ntohs(p.tcph->dest) == 443;
	port = htons(out ? (uint16_t)(41000 + below(2)) : 40000);
	mtcp_setlastpkt(hs_mctx(), sock, side, out ? 0 : 2, (byte *)&port, 2,
	                MOS_TCP_HDR | MOS_OVERWRITE | MOS_UPDATE_TCP_CHKSUM);
}

/* What the next program finds: bytes, a version, a uctx; or whatever, in front of them too. */
static void scribble(int sock)
{
	uint32_t version = below(3);
	size_t len;
	char *area = mtcp_flow_area(hs_mctx(), sock, &len);

	if (area == NULL)
		return;
	memset(area, (int)below(256), len);
	if (one_in(2))
		mtcp_set_uctx(hs_mctx(), sock, one_in(4) ? NULL : area + below((uint32_t)len));
	mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_AREA_VERSION, &version,
	                sizeof(version));
	if (one_in(8))
		memset(area - sizeof(struct mos_area), (int)below(256), sizeof(struct mos_area));
}

/* However it came about. */
static void look_at_uctx(int sock)
{
	size_t len;
	char *area = mtcp_flow_area(hs_mctx(), sock, &len), *uctx = mtcp_get_uctx(hs_mctx(), sock);

	if (area != NULL && uctx != NULL)
		ck_assert(uctx >= area && uctx < area + len);
}

static void on_timer(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg);
static void do_something(int sock, int side);

static int visit(mctx_t mctx, int sock, void *arg)
{
	look_at_uctx(sock);
	if (one_in(3))
		do_something(sock, (int)below(3));
	return one_in(20);
}

static void do_something(int sock, int side)
{
	struct timeval soon = {.tv_usec = 1000 * (long)below(50)};

	switch (below(14)) {
	case 0:
	case 1: edit(sock, side); break;
	case 2:
		for (int i = 0; i < 4; i++)
			edit(sock, side);
		break;
	case 3: send_copy(sock, side); break;
	case 4: send_made(sock); break;
	case 5: set_option(sock); break;
	case 6: read_stream(sock); break;
	case 7: translate(sock, side); break;
	case 8: mtcp_settimer(hs_mctx(), sock, &soon, on_timer); break;
	case 9: scribble(sock); break;
	case 10: send_copy(sock, (int)below(3)); break;
	case 11: mtcp_foreach_flow(hs_mctx(), monkey.passive[below(2)], visit, NULL); break;
	default: break;
	}
	if (monkey.lethal && one_in(700))
		longjmp(monkey.death, 1);
}

static void act(int sock, int side, event_t event, int hook)
{
	look_at_uctx(sock);
	while (one_in(monkey.gentle ? 3 : 2))
		do_something(sock, side);
}

static void on_timer(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
	act(id, MOS_SIDE_BOTH, 0, MOS_NULL);
}

static void start_program(void)
{
	monkey.raw = one_in(2) ? hs_raw() : -1;
	for (int i = 0; i < 2; i++) {
		seq_remap_info info = {.side = i};

		monkey.passive[i] = hs_passive_all();
		if (one_in(2))
			mtcp_register_callback(hs_mctx(), monkey.passive[i], MOS_ON_CONN_RESTORE,
			                       MOS_NULL, hs_on_null);
		if (monkey.gentle)
			mtcp_setsockopt(hs_mctx(), monkey.passive[i], SOL_MONSOCKET, MOS_SEQ_REMAP,
			                &info, sizeof(info));
	}
}

/* ---- what the network does ---- */

static void break_frame(struct rte_mbuf *m)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct mos_pkt_meta was = *hs_meta(m);

	frame[below(60)] = (uint8_t)below(256);
	mos_pkt_parse(hs_meta(m), frame, m->data_len, m->pkt_len, hs.root->hash_seed);
	if (hs_meta(m)->pkt_class != MOS_PKT_TCP && hs_meta(m)->pkt_class != MOS_PKT_IP) {
		*hs_meta(m) = was; /* the primary keeps such to itself: as if it had not been */
		hs_meta(m)->pkt_class = MOS_PKT_IP;
	}
}

static void send_one(void)
{
	static const uint8_t often[] = {MOS_TCP_SYN,
	                                MOS_TCP_ACK,
	                                MOS_TCP_ACK,
	                                MOS_TCP_ACK,
	                                MOS_TCP_FIN | MOS_TCP_ACK,
	                                MOS_TCP_RST | MOS_TCP_ACK};
	uint32_t flow = below(CLIENTS);
	int from = (int)below(2);
	uint32_t *seq = monkey.seq[flow];
	uint8_t flags = one_in(monkey.gentle ? 200 : 30)
	                        ? (uint8_t)below(64)
	                        : often[one_in(monkey.gentle ? 60 : 12) ? below(6) : 1 + below(3)];
	struct hs_pkt p = {.from = from,
	                   .flags = flags,
	                   .seq = seq[from],
	                   .ack = seq[!from],
	                   .flow = flow,
	                   .ip6 = flow == 1,
	                   .vlan = flow == 2 ? 7 : 0};
	struct rte_mbuf *m;

	if (flags == MOS_TCP_SYN && from == MOS_SVR)
		p.flags |= MOS_TCP_ACK;
	else if (!(flags & MOS_TCP_SYN))
		p.payload = one_in(3) ? 0 : one_in(3) ? below(1400) : below(40);
	if (one_in(6))
		p.seq -= below(100);
	else if (one_in(20))
		p.seq += below(3000);
	else
		seq[from] += p.payload + !!(flags & (MOS_TCP_SYN | MOS_TCP_FIN));
	m = hs_send(&p);
	if (one_in(5) && p.payload > 300)
		edit_cut(m, m->data_len - p.payload + below(100), 120 + below(200));
	else if (one_in(25))
		break_frame(m);
}

static void handshake(uint32_t flow)
{
	uint32_t *seq = monkey.seq[flow];
	const struct hs_pkt syn = {.flags = MOS_TCP_SYN,
	                           .seq = seq[0] = 1000,
	                           .flow = flow,
	                           .ip6 = flow == 1,
	                           .vlan = flow == 2 ? 7 : 0};
	struct hs_pkt answer = syn, ack = syn;

	seq[1] = 5000;
	answer.from = MOS_SVR;
	answer.flags |= MOS_TCP_ACK;
	answer.seq = seq[1]++;
	ack.flags = MOS_TCP_ACK;
	answer.ack = ack.seq = ++seq[0];
	ack.ack = seq[1];
	hs_send(&syn);
	hs_send(&answer);
	hs_send(&ack);
}

static void look_at_out(struct rte_mbuf *m)
{
	uint32_t sum = 0;

	rte_mbuf_sanity_check(m, 1);
	for (const struct rte_mbuf *s = m; s != NULL; s = s->next) {
		ck_assert_uint_le((uint32_t)s->data_off + s->data_len, s->buf_len);
		sum += s->data_len;
	}
	ck_assert_uint_eq(sum, m->pkt_len);
}

/* What was sent has headers that agree with it, and right checksums. */
static void look_at_made(void)
{
	for (uint32_t i = 0; i < hs.made_count; i++) {
		const struct hs_out *o = &hs.made[i];
		struct mos_pkt_meta m;

		mos_pkt_parse(&m, o->bytes, o->len, o->len, 0);
		ck_assert_int_eq(m.defect, MOS_DEFECT_NONE);
		if (m.pkt_class == MOS_PKT_TCP)
			ck_assert(mos_csum_tcp_ok(
				o->bytes + m.l3_off, m.ip_version, o->bytes + m.l4_off,
				(uint32_t)(m.payload_off - m.l4_off) + m.payload_len));
	}
}

static void one_round(void)
{
	if (setjmp(monkey.death) == 0) {
		hs_round();
		return;
	}
	hs_bury();
	monkey.deaths++;
	hs_attach(monkey.deaths);
	monkey.lethal = monkey.deaths < 3;
	start_program();
}

static void run(uint64_t seed)
{
	monkey.random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	monkey.deaths = 0;
	hs_open(&(struct hs_opt){.flows = 4 + below(8),
	                         .trust_csum = one_in(2),
	                         .flow_area = 16,
	                         .tw_ms = 20,
	                         .timeout_ms = 500,
	                         .blanks = 900});
	hs.may_drop = true;
	hs.out = look_at_out;
	hs.act = act;
	monkey.lethal = one_in(2);
	monkey.gentle = one_in(2);
	hs.root->port[0].mtu = hs.root->port[1].mtu =
		(uint16_t)(one_in(2) ? 1500 : 1400 + below(60));
	start_program();
	for (uint32_t i = 0; i < ROUNDS; i++) {
		hs_clear();
		if (i < CLIENTS || one_in(monkey.gentle ? 40 : 10))
			handshake(i < CLIENTS ? i : below(CLIENTS));
		for (uint32_t n = below(6); n > 0; n--)
			send_one();
		one_round();
		look_at_made();
		hs.now_ns += below(30) * UINT64_C(1000000);
		hs.root->clock_ns = hs.now_ns;
	}
	hs.act = NULL;
	hs_clear();
	monkey.lethal = false;
	while (rte_ring_count(hs.shard->rx) > 0)
		hs_round();
	hs_close();
}

START_TEST(whatever_a_program_does_packets_come_out)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run(seed);
}
END_TEST

TCase *monkey_case(void)
{
	TCase *tc = tcase_create("monkey");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, whatever_a_program_does_packets_come_out);
	return tc;
}
