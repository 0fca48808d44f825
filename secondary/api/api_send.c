/* Sending packets of one's own: specification section 8.3. */
#include <errno.h>
#include <string.h>

#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_ring_peek_zc.h>

#include "mos_ext.h"
#include "secondary/api/api_priv.h"
#include "secondary/make_packet/make_packet.h"
#include "secondary/worker.h"
#include "shared/kill_point/kill_point.h"

/* A packet under way from the caller's structures to a ring. */
struct sending {
	struct mos_make build;
	const struct pkt_info *pkt;
	uint16_t vlan; /* that the caller names beside pkt; 0 = none */
	uint8_t port;  /* index it goes out by */
};

/* ---- what the caller gave ---- */

static void take_headers(struct sending *s, const struct pkt_info *pkt,
                         const struct pkt_info_ext *x)
{
	s->pkt = pkt;
	s->vlan = x != NULL && x->vlan < 4096 ? x->vlan : 0;
	s->build.ip6 = x != NULL && x->ip6h != NULL;
	s->build.ip = s->build.ip6 ? (const void *)x->ip6h : (const void *)pkt->iph;
	s->build.tcp = pkt->tcph;
	s->build.payload = pkt->payload;
	s->build.payload_len = pkt->payloadlen;
}

/* Addresses and ports, as the key of a flow has them. */
static void read_ends(const struct mos_make *b, struct mos_flow_key *ends)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *ip = b->ip, *tcp = b->tcp;

	memset(ends, 0, sizeof(*ends));
	ends->ip_version = b->ip6 ? 6 : 4;
	if (b->ip6) {
		memcpy(ends->src, ip + 8, 16);
		memcpy(ends->dst, ip + 24, 16);
	} else {
		memcpy(ends->src, mapped, 12);
		memcpy(ends->src + 12, ip + 12, 4);
		memcpy(ends->dst, mapped, 12);
		memcpy(ends->dst + 12, ip + 16, 4);
	}
	memcpy(&ends->src_port_be, tcp, 2);
	memcpy(&ends->dst_port_be, tcp + 2, 2);
}

/* ---- where it goes ---- */

/* The packet's destination is this side as one key knows it. */
static bool is_end(const struct mos_flow_key *key, int side, const struct mos_flow_key *ends,
                   bool with_port)
{
	const uint8_t *addr = side == MOS_CLI ? key->src : key->dst;
	uint16_t port_be = side == MOS_CLI ? key->src_port_be : key->dst_port_be;

	return memcmp(addr, ends->dst, 16) == 0 && (!with_port || port_be == ends->dst_port_be);
}

static bool leads_to(const struct mos_flow *f, int side, const struct mos_flow_key *ends,
                     bool with_port)
{
	return is_end(&f->key, side, ends, with_port) ||
	       ((f->flags & MOS_FLOW_TWO_KEYS) && is_end(&f->out, side, ends, with_port));
}

/* The side that gets it: by address and port, or, where these fit both or none, by address. */
static int receiver(const struct mos_flow *f, const struct mos_flow_key *ends)
{
	if (ends->ip_version != f->key.ip_version)
		return -EHOSTUNREACH;
	for (int with_port = 1; with_port >= 0; with_port--) {
		bool to_cli = leads_to(f, MOS_CLI, ends, with_port);

		if (to_cli != leads_to(f, MOS_SVR, ends, with_port))
			return to_cli ? MOS_CLI : MOS_SVR;
	}
	return -EHOSTUNREACH;
}

/* The caller's tags count where they name the flow's VLAN: they tell priority and a second tag. */
static int route_in_flow(struct sending *s, const struct mos_flow *f)
{
	struct mos_make_link *link = &s->build.link;
	struct mos_flow_key ends;
	int to;

	read_ends(&s->build, &ends);
	to = receiver(f, &ends);
	if (to < 0)
		return to;
	s->port = f->in_port[to];
	memcpy(link->dst, f->mac[to], sizeof(link->dst));
	memcpy(link->src, f->mac[!to], sizeof(link->src));
	if (s->pkt->ethh != NULL)
		mos_make_take_tags(link, s->pkt->ethh, s->build.ip);
	if (mos_make_vlan(link) != f->key.vlan)
		mos_make_set_vlan(link, f->key.vlan);
	return 0;
}

static void take_link(struct mos_make_link *link, const void *eth, const void *ip)
{
	memcpy(link->dst, eth, sizeof(link->dst));
	memcpy(link->src, (const uint8_t *)eth + 6, sizeof(link->src));
	mos_make_take_tags(link, eth, ip);
}

/* No flow says where: the caller does, or the packet at hand. */
static int route_elsewhere(struct mos_ctx *c, struct sending *s)
{
	struct mos_make_link *link = &s->build.link;
	int in = s->pkt->in_ifidx;

	if (in < 0 || (uint32_t)in >= c->root->port_count)
		return -EHOSTUNREACH;
	s->port = c->root->port[in].pair;
	if (s->pkt->ethh != NULL) {
		take_link(link, s->pkt->ethh, s->build.ip);
		if (link->tags_len == 0)
			mos_make_set_vlan(link, s->vlan);
		return 0;
	}
	if (c->cur.mbuf == NULL)
		return -EHOSTUNREACH;
	take_link(link, rte_pktmbuf_mtod(c->cur.mbuf, const void *),
	          rte_pktmbuf_mtod_offset(c->cur.mbuf, const void *, c->cur.meta->l3_off));
	if (s->vlan != 0)
		mos_make_set_vlan(link, s->vlan);
	return 0;
}

/* Find port and link addresses. 0 or -errno. */
static int find_route(struct mos_ctx *c, int sock, struct sending *s)
{
	const struct mos_port_row *row;
	uint32_t flow;
	int err;

	if (mos_socket_active(&c->sockets, sock, &flow) != NULL)
		err = route_in_flow(s, mos_flow_at(&c->flows, flow));
	else
		err = route_elsewhere(c, s);
	if (err != 0)
		return err;
	if (s->port >= c->root->port_count) /* MOS_PORT_NONE, too */
		return -EHOSTUNREACH;
	row = &c->root->port[s->port];
	if (s->build.ip_len > row->mtu)
		return -EMSGSIZE;
	return __atomic_load_n(&row->link_up, __ATOMIC_RELAXED) ? 0 : -ENETDOWN;
}

/* ---- out ---- */

/*
 * Room for it in the tx ring, behind the burst and all that was sent with it: their consumer only
 * makes more of it, so what is accepted now will not wait.
 */
static bool has_room(const struct mos_shard *shard)
{
	const struct mos_ledger *l = &shard->ledger;
	uint32_t before = 0;

	if (mos_ledger_in_hand(l)) {
		if (l->outbox >= MOS_OUTBOX_MAX)
			return false;
		before = l->count + l->outbox;
	}
	return rte_ring_free_count(shard->tx) > before;
}

/*
 * Take an empty packet that frame_len bytes fit into. NULL with *err set. What has been taken and
 * is not sent yet when the worker dies, the primary finds by its owner mark.
 */
static struct rte_mbuf *take_blank(struct rte_ring *blank, uint32_t frame_len, int *err)
{
	struct rte_ring_zc_data zcd;
	struct rte_mbuf *m;
	bool fits;

	*err = -ENOBUFS;
	if (rte_ring_dequeue_zc_bulk_start(blank, 1, &zcd, NULL) != 1)
		return NULL;
	m = *(struct rte_mbuf **)zcd.ptr1;
	mos_kill_point("blank.taken");
	fits = rte_pktmbuf_tailroom(m) >= frame_len;
	*err = fits ? 0 : -EMSGSIZE;
	rte_ring_dequeue_zc_finish(blank, fits ? 1 : 0);
	mos_kill_point("blank.given");
	return fits ? m : NULL;
}

static void write_packet(struct mos_ctx *c, const struct sending *s, struct rte_mbuf *m)
{
	bool offload = c->root->port[s->port].csum_offload;
	const struct mos_make *b = &s->build;
	uint32_t len = mos_make_frame_len(b);

	mos_make_write(b, rte_pktmbuf_mtod(m, uint8_t *), offload);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	if (!offload)
		return;
	m->ol_flags = b->ip6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
	m->l2_len = len - b->ip_len;
	m->l3_len = b->ip_hdr_len;
	m->l4_len = b->tcp_hdr_len;
}

/* All but the owner, which is the primary's: without its mark the packet could get lost. */
static void write_meta(struct mos_ctx *c, const struct sending *s, struct rte_mbuf *m)
{
	struct mos_pkt_meta *meta =
		(struct mos_pkt_meta *)((uintptr_t)m + (uintptr_t)c->root->meta_offset);
	const struct mos_make *b = &s->build;

	meta->ts_ns = c->now_ns;
	meta->l3_off = (uint16_t)(m->pkt_len - b->ip_len);
	meta->l4_off = (uint16_t)(meta->l3_off + b->ip_hdr_len);
	meta->payload_off = (uint16_t)(meta->l4_off + b->tcp_hdr_len);
	meta->payload_len = b->payload_len;
	meta->vlan = mos_make_vlan(&b->link);
	meta->pkt_class = MOS_PKT_TCP;
	meta->ip_version = b->ip6 ? 6 : 4;
	meta->ip_proto = IPPROTO_TCP;
	meta->out_port = s->port;
	meta->verdict = MOS_VERDICT_FORWARD;
}

/* From here on it is sent: in front of the packet at hand, or behind all that was handed over. */
static void queue(struct mos_shard *shard, struct rte_mbuf *m)
{
	struct mos_ledger *l = &shard->ledger;
	uint32_t n = l->outbox;

	if (!mos_ledger_in_hand(l)) {
		mos_kill_point("outbox.straight");
		rte_ring_sp_enqueue(shard->tx, m);
		mos_kill_point("outbox.sent");
		return;
	}
	shard->outbox.entry[n] = (struct mos_outbox_entry){.mbuf = m, .before = l->cur};
	mos_kill_point("outbox.entered");
	mos_ledger_outbox(l, n + 1);
	mos_kill_point("outbox.counted");
}

static int send_out(struct mos_ctx *c, const struct sending *s)
{
	struct rte_mbuf *m = NULL;
	int err = -ENOBUFS;

	if (has_room(c->shard))
		m = take_blank(c->shard->blank, mos_make_frame_len(&s->build), &err);
	if (m == NULL) {
		if (err == -ENOBUFS)
			mos_counter_add(&c->shard->counters, MOS_CTR_W_SEND_NO_ROOM, 1);
		return err;
	}
	write_packet(c, s, m);
	write_meta(c, s, m);
	mos_kill_point("outbox.written");
	queue(c->shard, m);
	mos_counter_add(&c->shard->counters, MOS_CTR_W_SENT, 1);
	return 0;
}

/* ---- the calls ---- */

static int send_packet(struct mos_ctx *c, int sock, const struct pkt_info *pkt,
                       const struct pkt_info_ext *x)
{
	struct sending s;
	int err;

	if (mos_socket_mon(&c->sockets, sock) == NULL &&
	    mos_socket_active(&c->sockets, sock, NULL) == NULL)
		return -EBADF;
	s.build.link.tags_len = 0;
	take_headers(&s, pkt, x);
	err = mos_make_check(&s.build);
	if (err == 0)
		err = find_route(c, sock, &s);
	return err == 0 ? send_out(c, &s) : err;
}

int mtcp_sendpkt_ext(mctx_t mctx, int sock, const struct pkt_info *pkt,
                     const struct pkt_info_ext *x)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);
	int err;

	if (c == NULL)
		return -1;
	err = pkt != NULL ? send_packet(c, sock, pkt, x) : -EACCES;
	return err == 0 ? 0 : fail(-err);
}

int mtcp_sendpkt(mctx_t mctx, int sock, const struct pkt_info *pkt)
{
	return mtcp_sendpkt_ext(mctx, sock, pkt, NULL);
}
