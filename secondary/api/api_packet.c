/* The packet in hand, and the last of each side: specification section 8.1. */
#include <errno.h>
#include <string.h>

#include <rte_mbuf.h>

#include "mos_ext.h"
#include "secondary/api/api_priv.h"
#include "secondary/pipeline/pipeline.h"
#include "secondary/worker.h"

/* What is shown: the packet in hand, or one that was kept, in the scratch area. */
struct shown {
	const struct mos_pkt_meta *meta;
	uint8_t *copy;      /* the application's: writing there changes nothing else */
	uint32_t frame_len; /* may be longer than the copy */
	uint32_t now_ms;    /* when it came */
	uint32_t flow;      /* MOS_FLOW_NONE: of none */
	int from;
};

/*
 * Copy the frame to the scratch area. Headers lie in the first segment; a payload spread over
 * several is gathered by the copy.
 */
static void show_in_hand(struct mos_ctx *c, struct shown *s)
{
	struct rte_mbuf *m = c->cur.mbuf;
	uint8_t *copy = c->scratch + MOS_SCRATCH_OFF;
	uint32_t len = m->pkt_len < MOS_SCRATCH_BYTES ? m->pkt_len : MOS_SCRATCH_BYTES;
	const void *frame = rte_pktmbuf_read(m, 0, len, copy);

	if (frame != copy && frame != NULL)
		memcpy(copy, frame, len);
	*s = (struct shown){
		.meta = c->cur.meta,
		.copy = copy,
		.frame_len = m->pkt_len,
		.now_ms = c->now_ms,
		.flow = c->shard->ledger.flow,
		.from = c->cur.from,
	};
}

static void show_kept(struct mos_ctx *c, uint32_t flow, int side, const struct mos_last_packet *p,
                      struct shown *s)
{
	uint8_t *copy = c->scratch + MOS_SCRATCH_OFF;

	memcpy(copy, p->frame, p->len);
	*s = (struct shown){
		.meta = &p->meta,
		.copy = copy,
		.frame_len = p->frame_len,
		.now_ms = p->now_ms,
		.flow = flow,
		.from = side,
	};
}

/* The packet in hand was sent by this side of the flow. */
static bool in_hand_from(const struct mos_ctx *c, uint32_t flow, int side)
{
	return c->cur.mbuf != NULL && c->shard->ledger.flow == flow && c->cur.from == side;
}

/* Find what is to be shown. 0 or -errno. */
static int find(struct mos_ctx *c, int sock, int side, struct shown *s)
{
	const struct mos_mon_sock *m;
	const struct mos_last_packet *kept;
	uint32_t flow;

	m = mos_socket_of_active(&c->sockets, sock, &flow);
	if (m == NULL && mos_socket_mon(&c->sockets, sock) == NULL)
		return -EBADF;
	if (m != NULL && (side == MOS_CLI || side == MOS_SVR) &&
	    mos_unlikely(mos_last_is_watched(&c->last, flow, (unsigned)m->passive)) &&
	    !in_hand_from(c, flow, side)) {
		kept = mos_last_get(&c->last, flow, side);
		if (kept == NULL)
			return -ENODATA;
		show_kept(c, flow, side, kept, s);
		return 0;
	}
	if (c->cur.mbuf == NULL)
		return -ENODATA;
	show_in_hand(c, s);
	return 0;
}

static uint16_t saturate(uint32_t len)
{
	return len < UINT16_MAX ? (uint16_t)len : UINT16_MAX;
}

/* Where the payload lies in its receiver's stream. */
static uint64_t payload_offset(struct mos_ctx *c, const struct shown *s, const struct pkt_info *p)
{
	int64_t off;
	uint32_t seq;

	/* What comes with a SYN is first; the receiver may not have taken its number yet. */
	if (s->flow == MOS_FLOW_NONE || p->payloadlen == 0 || p->tcph->syn)
		return 0;
	seq = mos_flow_canonical(c, s->flow, s->from, s->meta == c->cur.meta, p->seq);
	off = mos_stream_offset(mos_flow_at(&c->flows, s->flow), !s->from, seq);
	return off > 0 ? (uint64_t)off : 0;
}

static void fill_tcp(struct mos_ctx *c, const struct shown *s, struct pkt_info *p)
{
	p->tcph = (struct tcphdr *)(s->copy + s->meta->l4_off);
	p->payload = s->copy + s->meta->payload_off;
	p->payloadlen = s->meta->payload_len;
	p->seq = ntohl(p->tcph->seq);
	p->ack_seq = ntohl(p->tcph->ack_seq);
	p->window = ntohs(p->tcph->window);
	p->offset = payload_offset(c, s, p);
}

static void fill(struct mos_ctx *c, const struct shown *s, struct pkt_info *p)
{
	const struct mos_pkt_meta *meta = s->meta;

	memset(p, 0, sizeof(*p));
	p->cur_ts = s->now_ms;
	p->in_ifidx = (int8_t)meta->in_port;
	p->eth_len = saturate(s->frame_len);
	p->ethh = (struct ethhdr *)s->copy;
	if (meta->ip_version == 4) {
		p->iph = (struct iphdr *)(s->copy + meta->l3_off);
		p->ip_len = ntohs(p->iph->tot_len);
	} else if (meta->ip_version == 6) {
		const struct ip6_hdr *ip6h = (const struct ip6_hdr *)(s->copy + meta->l3_off);

		p->ip_len = saturate((uint32_t)sizeof(*ip6h) + ntohs(ip6h->ip6_plen));
	}
	if (meta->pkt_class == MOS_PKT_TCP)
		fill_tcp(c, s, p);
}

static void fill_ext(const struct shown *s, struct pkt_info_ext *x)
{
	const struct mos_pkt_meta *meta = s->meta;

	*x = (struct pkt_info_ext){
		.ts_ns = meta->ts_ns,
		.frame_len = s->frame_len,
		.vlan = meta->vlan,
		.ip_version = meta->ip_version,
		.ip_proto = meta->ip_proto,
	};
	if (meta->ip_version == 6)
		x->ip6h = (struct ip6_hdr *)(s->copy + meta->l3_off);
}

int mtcp_getlastpkt(mctx_t mctx, int sock, int side, struct pkt_info *pkt)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);
	struct shown s;
	int err;

	if (c == NULL)
		return -1;
	err = pkt != NULL ? find(c, sock, side, &s) : -EINVAL;
	if (err != 0)
		return fail(-err);
	fill(c, &s, pkt);
	return 0;
}

int mtcp_getlastpkt_ext(mctx_t mctx, int sock, int side, struct pkt_info *pkt,
                        struct pkt_info_ext *x)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);
	struct shown s;
	int err;

	if (c == NULL)
		return -1;
	err = pkt != NULL && x != NULL ? find(c, sock, side, &s) : -EINVAL;
	if (err != 0)
		return fail(-err);
	fill(c, &s, pkt);
	fill_ext(&s, x);
	return 0;
}
