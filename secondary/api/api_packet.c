/* The packet in hand: specification section 8.1. */
#include <errno.h>
#include <string.h>

#include <rte_mbuf.h>

#include "mos_ext.h"
#include "secondary/api/api_priv.h"
#include "secondary/worker.h"

/* Whether the packet in hand can be shown. 0 or -errno. */
static int check_show(struct mos_ctx *c, int sock)
{
	if (mos_socket_mon(&c->sockets, sock) == NULL &&
	    mos_socket_active(&c->sockets, sock, NULL) == NULL)
		return -EBADF;
	return c->cur.mbuf != NULL ? 0 : -ENODATA;
}

/*
 * Copy the frame to the scratch area, so that an application that writes through the pointers
 * changes nothing but its copy. Headers lie in the first segment; a payload spread over several is
 * gathered by the copy.
 */
static uint8_t *copy_frame(struct mos_ctx *c)
{
	struct rte_mbuf *m = c->cur.mbuf;
	uint8_t *copy = c->scratch + MOS_SCRATCH_OFF;
	uint32_t len = m->pkt_len < MOS_SCRATCH_BYTES ? m->pkt_len : MOS_SCRATCH_BYTES;
	const void *frame = rte_pktmbuf_read(m, 0, len, copy);

	if (frame != copy && frame != NULL)
		memcpy(copy, frame, len);
	return copy;
}

static uint16_t saturate(uint32_t len)
{
	return len < UINT16_MAX ? (uint16_t)len : UINT16_MAX;
}

/* Where the payload lies in its receiver's stream. */
static uint64_t payload_offset(const struct mos_ctx *c, const struct pkt_info *p)
{
	uint32_t flow = c->shard->ledger.flow;
	int64_t off;

	/* What comes with a SYN is first; the receiver may not have taken its number yet. */
	if (flow == MOS_FLOW_NONE || p->payloadlen == 0 || p->tcph->syn)
		return 0;
	off = mos_stream_offset(mos_flow_at(&c->flows, flow), !c->cur.from, p->seq);
	return off > 0 ? (uint64_t)off : 0;
}

static void show_tcp(const struct mos_ctx *c, uint8_t *copy, struct pkt_info *p)
{
	const struct mos_pkt_meta *meta = c->cur.meta;

	p->tcph = (struct tcphdr *)(copy + meta->l4_off);
	p->payload = copy + meta->payload_off;
	p->payloadlen = meta->payload_len;
	p->seq = ntohl(p->tcph->seq);
	p->ack_seq = ntohl(p->tcph->ack_seq);
	p->window = ntohs(p->tcph->window);
	p->offset = payload_offset(c, p);
}

static void show(const struct mos_ctx *c, uint8_t *copy, struct pkt_info *p)
{
	const struct mos_pkt_meta *meta = c->cur.meta;

	memset(p, 0, sizeof(*p));
	p->cur_ts = c->now_ms;
	p->in_ifidx = (int8_t)meta->in_port;
	p->eth_len = saturate(c->cur.mbuf->pkt_len);
	p->ethh = (struct ethhdr *)copy;
	if (meta->ip_version == 4) {
		p->iph = (struct iphdr *)(copy + meta->l3_off);
		p->ip_len = ntohs(p->iph->tot_len);
	} else if (meta->ip_version == 6) {
		const struct ip6_hdr *ip6h = (const struct ip6_hdr *)(copy + meta->l3_off);

		p->ip_len = saturate((uint32_t)sizeof(*ip6h) + ntohs(ip6h->ip6_plen));
	}
	if (meta->pkt_class == MOS_PKT_TCP)
		show_tcp(c, copy, p);
}

static void show_ext(const struct mos_ctx *c, uint8_t *copy, struct pkt_info_ext *x)
{
	const struct mos_pkt_meta *meta = c->cur.meta;

	*x = (struct pkt_info_ext){
		.ts_ns = meta->ts_ns,
		.frame_len = c->cur.mbuf->pkt_len,
		.vlan = meta->vlan,
		.ip_version = meta->ip_version,
		.ip_proto = meta->ip_proto,
	};
	if (meta->ip_version == 6)
		x->ip6h = (struct ip6_hdr *)(copy + meta->l3_off);
}

int mtcp_getlastpkt(mctx_t mctx, int sock, int side, struct pkt_info *pkt)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);
	int err;

	if (c == NULL)
		return -1;
	err = pkt != NULL ? check_show(c, sock) : -EINVAL;
	if (err != 0)
		return fail(-err);
	show(c, copy_frame(c), pkt);
	return 0;
}

int mtcp_getlastpkt_ext(mctx_t mctx, int sock, int side, struct pkt_info *pkt,
                        struct pkt_info_ext *x)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);
	uint8_t *copy;
	int err;

	if (c == NULL)
		return -1;
	err = pkt != NULL && x != NULL ? check_show(c, sock) : -EINVAL;
	if (err != 0)
		return fail(-err);
	copy = copy_frame(c);
	show(c, copy, pkt);
	show_ext(c, copy, x);
	return 0;
}
