/*
 * Two ends that talk across a program which edits what one of them sends (MOS_SEQ_REMAP), on the
 * bench (see harness.h). Packets get lost and overtake each other on both sides of it, segments come
 * again in other pieces, and now and then the program dies. The client sends letters; the program
 * puts digits in anywhere and takes capitals out. So what the server has got is, without digits, what
 * was sent, but for capitals; a byte that
 * comes again before it was acknowledged is the same; and all is acknowledged in the end.
 */
#include <ctype.h>
#include <setjmp.h>

#include <rte_tcp.h>

#include "test/eal/edit_rig.h"

#define SUMS   (MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM)
#define LEN    6000  /* bytes that the client sends */
#define GOT    60000 /* that the server may get */
#define WINDOW 4000
#define STEPS  60000
#define SEEDS  8

static struct {
	uint64_t random;
	char sent[LEN];
	/* the client's end */
	uint32_t una, nxt; /* bytes */
	bool done;
	/* the server's */
	char got[GOT];
	bool has[GOT];
	uint32_t next, fin; /* bytes; where the FIN is, 0 = not heard */
	bool ack_due;
	/* the program */
	unsigned deaths;
	bool lethal;
	jmp_buf death;
} talk;

static uint32_t below(uint32_t n)
{
	talk.random ^= talk.random << 13;
	talk.random ^= talk.random >> 7;
	talk.random ^= talk.random << 17;
	return (uint32_t)(talk.random >> 33) % n;
}

static bool one_in(uint32_t n)
{
	return below(n) == 0;
}

/* ---- the program ---- */

static void put_in(int sock, int side, uint32_t len)
{
	byte digits[200];
	uint32_t n = 1 + below(one_in(10) ? 199 : 9);

	for (uint32_t i = 0; i < n; i++)
		digits[i] = (byte)('0' + below(10));
	mtcp_setlastpkt(hs_mctx(), sock, side, below(len + 1), digits, (uint16_t)n,
	                MOS_TCP_PAYLOAD | MOS_INSERT | SUMS);
}

static void take_out(int sock, int side, const struct pkt_info *p)
{
	uint32_t at = below(p->payloadlen), n = 0;

	while (at + n < p->payloadlen && n < 5 && isupper(p->payload[at + n]))
		n++;
	mtcp_setlastpkt(hs_mctx(), sock, side, at, NULL, (uint16_t)n,
	                MOS_TCP_PAYLOAD | MOS_CHOMP | SUMS);
}

static void rewrite(int sock, int side)
{
	struct pkt_info p;

	for (uint32_t n = below(5); n > 0; n--) {
		ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
		if (side != MOS_SIDE_CLI || p.payloadlen == 0)
			break;
		if (one_in(2))
			put_in(sock, side, p.payloadlen);
		else
			take_out(sock, side, &p);
		if (talk.lethal && one_in(100))
			longjmp(talk.death, 1);
	}
	if (one_in(60))
		mtcp_setlastpkt(hs_mctx(), sock, side, 0, NULL, 0, MOS_DROP);
	if (talk.lethal && one_in(500))
		longjmp(talk.death, 1);
}

static void start_program(void)
{
	seq_remap_info info = {.side = MOS_SIDE_CLI};
	int sock = hs_passive_all();

	ck_assert_int_eq(
		mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_SEQ_REMAP, &info, sizeof(info)),
		0);
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, rewrite);
}

/* ---- the ends ---- */

static void server_gets(const struct rte_tcp_hdr *tcp, const char *bytes, uint32_t len)
{
	uint32_t off = rte_be_to_cpu_32(tcp->sent_seq) - 1001;

	talk.ack_due = true;
	if (off == UINT32_MAX) /* asks where we are */
		return;
	ck_assert_uint_le(off + len, GOT);
	for (uint32_t i = 0; i < len; i++) {
		if (off + i < talk.next)
			continue; /* acknowledged: it does not look at them */
		ck_assert_msg(!talk.has[off + i] || talk.got[off + i] == bytes[i],
		              "byte %u was %c, is %c", off + i, talk.got[off + i], bytes[i]);
		talk.got[off + i] = bytes[i];
		talk.has[off + i] = true;
	}
	if (tcp->tcp_flags & MOS_TCP_FIN) {
		ck_assert(talk.fin == 0 || talk.fin == off + len);
		talk.fin = off + len;
	}
	while (talk.has[talk.next])
		talk.next++;
	ck_assert(talk.fin == 0 || talk.next <= talk.fin);
}

static void client_gets(const struct rte_tcp_hdr *tcp)
{
	uint32_t ack = rte_be_to_cpu_32(tcp->recv_ack) - 1001;

	ck_assert_uint_le(ack, talk.nxt);
	if (ack > talk.una)
		talk.una = ack;
	talk.done = talk.una == LEN + 1;
}

static void comes_out(struct rte_mbuf *m)
{
	struct mos_pkt_meta meta;
	const struct rte_tcp_hdr *tcp;

	if (hs_meta(m)->verdict == MOS_VERDICT_DROP || one_in(15))
		return;
	ck_assert_uint_eq(m->nb_segs, 1);
	memcpy(edit_out.b, rte_pktmbuf_mtod(m, void *), m->pkt_len);
	edit_out.len = m->pkt_len;
	edit_out_is_right();
	mos_pkt_parse(&meta, edit_out.b, edit_out.len, edit_out.len, 0);
	tcp = (const struct rte_tcp_hdr *)(edit_out.b + meta.l4_off);
	if (tcp->tcp_flags & MOS_TCP_SYN)
		return;
	if (rte_be_to_cpu_16(tcp->dst_port) == 443)
		server_gets(tcp, (const char *)edit_out.b + meta.payload_off, meta.payload_len);
	else
		client_gets(tcp);
}

static void client_sends(uint32_t at)
{
	uint32_t len = RTE_MIN(1 + below(one_in(12) ? 700 : 60), LEN - RTE_MIN(at, LEN));
	struct hs_pkt p = {.flags = MOS_TCP_ACK, .seq = 1001 + at, .ack = 5001};

	if (at > LEN)
		return;
	p.payload = len;
	p.bytes = talk.sent + at;
	if (at + len == LEN && one_in(2))
		p.flags |= MOS_TCP_FIN;
	talk.nxt = RTE_MAX(talk.nxt, at + len + !!(p.flags & MOS_TCP_FIN));
	if (one_in(15)) /* lost before it came by */
		return;
	hs_send(&p);
}

static void server_sends(void)
{
	uint32_t fin = talk.fin != 0 && talk.next == talk.fin;
	const struct hs_pkt p = {
		.from = MOS_SVR, .flags = MOS_TCP_ACK, .seq = 5001, .ack = 1001 + talk.next + fin};

	talk.ack_due = false;
	if (!one_in(15))
		hs_send(&p);
}

static void round_or_death(void)
{
	if (setjmp(talk.death) == 0) {
		hs_round();
		return;
	}
	hs_bury();
	hs_attach(++talk.deaths);
	talk.lethal = talk.deaths < 3;
	start_program();
}

/* The client goes on, goes back, or sends anything that is not acknowledged, in any order. */
static void step(void)
{
	for (uint32_t n = 1 + below(3); n > 0; n--) {
		if (one_in(4) && talk.nxt > talk.una)
			client_sends(talk.una + below(talk.nxt - talk.una));
		else if (one_in(4))
			client_sends(talk.una);
		else if (talk.nxt - talk.una < WINDOW)
			client_sends(talk.nxt);
	}
	if (talk.ack_due && !one_in(3))
		server_sends();
	hs_clear();
	round_or_death();
	hs.now_ns += 1000000;
	hs.root->clock_ns = hs.now_ns;
}

/* What has come, without what was put in, is what was sent, without what was taken out. */
static void compare(void)
{
	uint32_t at = 0;

	ck_assert_uint_eq(talk.next, talk.fin);
	for (uint32_t i = 0; i < talk.next; i++) {
		if (isdigit(talk.got[i]))
			continue;
		while (at < LEN && talk.sent[at] != talk.got[i] && isupper(talk.sent[at]))
			at++;
		ck_assert_msg(at < LEN && talk.sent[at] == talk.got[i], "byte %u", i);
		at++;
	}
	while (at < LEN && isupper(talk.sent[at]))
		at++;
	ck_assert_uint_eq(at, LEN);
}

static void run(uint64_t seed)
{
	uint32_t steps = 0;

	memset(&talk, 0, sizeof(talk));
	talk.random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	for (uint32_t i = 0; i < LEN; i++)
		talk.sent[i] = (char)((one_in(3) ? 'A' : 'a') + below(26));
	hs_open(NULL);
	hs.may_drop = true;
	hs.root->port[0].mtu = hs.root->port[1].mtu =
		(uint16_t)(one_in(2) ? 1500 : 740 + below(60));
	talk.lethal = false;
	start_program();
	hs_handshake(0);
	talk.lethal = one_in(2);
	hs.out = comes_out;
	while (!talk.done && ++steps < STEPS)
		step();
	ck_assert_msg(talk.done, "seed %d: %u bytes acknowledged", (int)seed, talk.una);
	compare();
	talk.lethal = false;
	while (rte_ring_count(hs.shard->rx) > 0)
		hs_round();
	hs_close();
}

START_TEST(ends_stay_in_step_whatever_is_edited_or_lost)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run(seed);
}
END_TEST

TCase *talk_case(void)
{
	TCase *tc = tcase_create("talk");

	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, ends_stay_in_step_whatever_is_edited_or_lost);
	return tc;
}
