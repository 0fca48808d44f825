#include "primary/dispatch/dispatch_priv.h"
#include "primary/memory/reclaim.h"

enum {
	TX_TRIES = 4,    /* without progress, before a live port's packets are dropped */
	L3_OFF_MAX = 22, /* Ethernet and two VLAN tags */
	L2_NO_IP = 18,   /* of frames without IP: Ethernet and a tag */
};

/* The link went down after these were put: nobody waits for it, not even for captures. */
static void drop_batch(struct mos_dispatch *d, struct port_io *port)
{
	for (unsigned i = 0; i < port->out_count; i++)
		drop(d, port->out[i], MOS_CTR_DROP_LINK_DOWN);
	port->out_count = 0;
	port->out_bytes = 0;
}

/*
 * Give the batch to the port. What it does not take is kept when patient, else dropped after some
 * tries. Returns packets sent.
 */
static unsigned flush_port(struct mos_dispatch *d, struct port_io *port)
{
	unsigned sent = 0, left = 0;
	uint64_t bytes_left = 0;

	if (mos_unlikely(!port->link_up)) {
		drop_batch(d, port);
		return 0;
	}
	for (int tries = 0; tries < TX_TRIES && sent < port->out_count; tries++) {
		unsigned n = rte_eth_tx_burst(port->dpdk_port, 0, port->out + sent,
		                              (uint16_t)(port->out_count - sent));

		sent += n;
		if (n > 0)
			tries = 0;
		else
			mos_pause();
	}
	for (unsigned i = sent; i < port->out_count; i++) {
		bytes_left += port->out[i]->pkt_len;
		if (d->patient)
			port->out[left++] = port->out[i];
		else
			drop(d, port->out[i], MOS_CTR_DROP_TX_FULL);
	}
	count(d, MOS_CTR_TX_PACKETS, sent);
	count(d, MOS_CTR_TX_BYTES, port->out_bytes - bytes_left);
	port->out_count = left;
	port->out_bytes = left > 0 ? bytes_left : 0;
	return sent;
}

/* A worker may have left anything in meta data: l3_off is used within bounds only. */
bool mos_output_too_long(const struct mos_dispatch *d, const struct rte_mbuf *m,
                         const struct port_io *port)
{
	uint32_t l3_off = mos_meta(d->p, m)->l3_off;

	if (l3_off == 0 || l3_off > L3_OFF_MAX)
		l3_off = L2_NO_IP;
	return m->pkt_len > port->ip_max + l3_off;
}

void mos_output_put(struct mos_dispatch *d, struct rte_mbuf *m, uint8_t index)
{
	struct port_io *port = &d->port[index];

	if (mos_unlikely(!port->link_up)) {
		drop(d, m, MOS_CTR_DROP_LINK_DOWN);
		return;
	}
	if (mos_unlikely(mos_output_too_long(d, m, port)) ||
	    mos_unlikely(m->nb_segs > 1 && port->no_chains && rte_pktmbuf_linearize(m) < 0)) {
		drop(d, m, MOS_CTR_DROP_TOO_LONG);
		return;
	}
	if (mos_unlikely(port->out_count == TX_BATCH)) {
		flush_port(d, port);
		if (port->out_count == TX_BATCH) { /* patient, but a live port's burst came too */
			drop(d, m, MOS_CTR_DROP_TX_FULL);
			return;
		}
	}
	port->out[port->out_count++] = m;
	port->out_bytes += m->pkt_len;
}

unsigned mos_output_flush(struct mos_dispatch *d)
{
	unsigned sent = 0;

	for (uint32_t i = 0; i < d->port_count; i++)
		if (d->port[i].out_count > 0)
			sent += flush_port(d, &d->port[i]);
	return sent;
}

uint32_t mos_output_room(const struct mos_dispatch *d)
{
	uint32_t room = TX_BATCH;

	for (uint32_t i = 0; i < d->port_count; i++)
		room = RTE_MIN(room, TX_BATCH - d->port[i].out_count);
	return room;
}

/* One packet that came back: obj is what stood in the ring. */
static void obey(struct mos_dispatch *d, struct shard_io *s, void *obj)
{
	struct rte_mbuf *m = mos_packet_reclaim(d->p, s->index, obj);
	const struct mos_pkt_meta *meta;

	if (mos_unlikely(m == NULL)) {
		count(d, MOS_CTR_GARBAGE, 1);
		return;
	}
	meta = mos_meta(d->p, m);
	switch (meta->verdict) {
	case MOS_VERDICT_FORWARD:
		if (mos_likely(meta->out_port < d->port_count))
			mos_output_put(d, m, meta->out_port);
		else
			drop(d, m,
			     meta->out_port == MOS_PORT_NONE ? MOS_CTR_DROP_NO_PAIR
			                                     : MOS_CTR_GARBAGE);
		break;
	case MOS_VERDICT_DROP: drop(d, m, MOS_CTR_DROP_BY_APP); break;
	case MOS_VERDICT_CONSUME: drop(d, m, MOS_CTR_DROP_NO_PAIR); break;
	default: drop(d, m, MOS_CTR_GARBAGE);
	}
}

/* Both lines of an mbuf. Any value may stand there: a prefetch of a bad address does nothing. */
static inline void prefetch_packet(const void *obj)
{
	mos_prefetch(obj);
	mos_prefetch((const void *)((uintptr_t)obj + MOS_CACHE_LINE));
}

unsigned mos_output_drain(struct mos_dispatch *d, struct shard_io *s)
{
	uint32_t want = d->patient ? RTE_MIN(TX_DRAIN, mos_output_room(d)) : TX_DRAIN;
	void *obj[TX_DRAIN];
	unsigned n;

	if (want == 0 || mos_unlikely(!mos_shard_io_sound(d, s, s->tx, d->p->ring_size)))
		return 0;
	n = rte_ring_sc_dequeue_burst(s->tx, obj, want, NULL);
	if (n == 0)
		return 0;
	for (unsigned i = 0; i < RTE_MIN(n, (unsigned)PREFETCH_AHEAD); i++)
		prefetch_packet(obj[i]);
	for (unsigned i = 0; i < n; i++) {
		if (i + PREFETCH_AHEAD < n)
			prefetch_packet(obj[i + PREFETCH_AHEAD]);
		obey(d, s, obj[i]);
	}
	count(d, MOS_CTR_FROM_SHARD, n);
	return n;
}
