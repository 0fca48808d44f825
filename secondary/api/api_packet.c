/* The packet in hand: specification section 8.1. */
#include <errno.h>
#include <string.h>

#include <rte_mbuf.h>

#include "secondary/worker.h"

static int fail(int err)
{
	errno = err;
	return -1;
}

/*
 * Copy the frame to the scratch area and point into the copy, so that an application that writes
 * through the pointers changes nothing but its copy. Headers lie in the first segment; a payload
 * spread over several is gathered by the copy.
 */
static void show(struct mos_ctx *c, struct pkt_info *p)
{
	const struct mos_pkt_meta *meta = c->cur.meta;
	struct rte_mbuf *m = c->cur.mbuf;
	uint8_t *copy = c->scratch + MOS_SCRATCH_OFF;
	uint32_t len = m->pkt_len < MOS_SCRATCH_BYTES ? m->pkt_len : MOS_SCRATCH_BYTES;
	const void *frame = rte_pktmbuf_read(m, 0, len, copy);

	if (frame != copy && frame != NULL)
		memcpy(copy, frame, len);
	memset(p, 0, sizeof(*p)); /* offset stays 0 as long as no stream is kept */
	p->cur_ts = c->now_ms;
	p->in_ifidx = (int8_t)meta->in_port;
	p->eth_len = (uint16_t)(m->pkt_len > UINT16_MAX ? UINT16_MAX : m->pkt_len);
	p->ethh = (struct ethhdr *)copy;
	if (meta->ip_version != 4)
		return;
	p->iph = (struct iphdr *)(copy + meta->l3_off);
	p->ip_len = ntohs(p->iph->tot_len);
	if (meta->pkt_class != MOS_PKT_TCP)
		return;
	p->tcph = (struct tcphdr *)(copy + meta->l4_off);
	p->payload = copy + meta->payload_off;
	p->payloadlen = meta->payload_len;
	p->seq = ntohl(p->tcph->seq);
	p->ack_seq = ntohl(p->tcph->ack_seq);
	p->window = ntohs(p->tcph->window);
}

int mtcp_getlastpkt(mctx_t mctx, int sock, int side, struct pkt_info *pkt)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);

	if (c == NULL)
		return -1;
	if (pkt == NULL)
		return fail(EINVAL);
	if (mos_socket_mon(&c->sockets, sock) == NULL &&
	    mos_socket_active(&c->sockets, sock, NULL) == NULL)
		return fail(EBADF);
	if (c->cur.mbuf == NULL)
		return fail(ENODATA);
	show(c, pkt);
	return 0;
}
