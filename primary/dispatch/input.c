#include <time.h>

#include "primary/dispatch/dispatch_priv.h"

static_assert((int)MOS_CTR_DROP_TCP_HDR_LEN - (int)MOS_CTR_DROP_L2_SHORT ==
                      (int)MOS_DEFECT_TCP_HDR_LEN - (int)MOS_DEFECT_L2_SHORT,
              "one counter per defect, in the same order");

/* The time of a frame: what its capture says, or now_ns. The driver wrote microseconds. */
static inline uint64_t time_of(const struct mos_dispatch *d, const struct rte_mbuf *m,
                               const struct mos_pkt_meta *meta, uint64_t now_ns)
{
	if (mos_unlikely(d->clock_packet) && (m->ol_flags & d->ts_flag))
		return meta->ts_ns * 1000;
	return now_ns;
}

static inline void prepare(struct mos_dispatch *d, struct mos_pkt_meta *meta, uint8_t in_port)
{
	uint8_t pair = d->port[in_port].pair;
	bool forward = d->forward && pair != MOS_PORT_NONE;

	meta->in_port = in_port;
	meta->out_port = pair;
	meta->owner = MOS_OWNER_PRIMARY;
	meta->verdict = forward ? MOS_VERDICT_FORWARD : MOS_VERDICT_CONSUME;
}

/*
 * An interface whose MTU grew while it is a port gives us the beginnings of longer frames. IP tells
 * its own length; any other frame that is longer than its input port's MTU may have been cut off.
 */
static void non_ip(struct mos_dispatch *d, struct rte_mbuf *m, const struct mos_pkt_meta *meta)
{
	if (meta->verdict != MOS_VERDICT_FORWARD) {
		drop(d, m, MOS_CTR_DROP_NO_PAIR);
		return;
	}
	if (mos_unlikely(mos_output_too_long(d, m, &d->port[meta->in_port]))) {
		drop(d, m, MOS_CTR_DROP_TOO_LONG);
		return;
	}
	count(d, MOS_CTR_NON_IP_FORWARDED, 1);
	mos_output_put(d, m, meta->out_port);
}

static inline void place(struct mos_dispatch *d, const struct mos_shard_map *map,
                         struct rte_mbuf *m, uint8_t in_port, uint64_t now_ns)
{
	struct mos_pkt_meta *meta = mos_meta(d->p, m);
	enum mos_pkt_class class;

	meta->ts_ns = time_of(d, m, meta, now_ns);
	prepare(d, meta, in_port);
	class = mos_pkt_parse(meta, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len,
	                      d->hash_seed);
	if (mos_likely(class == MOS_PKT_TCP || class == MOS_PKT_IP))
		mos_shard_io_stage(d, mos_shard_of(map, meta->hash), m);
	else if (class == MOS_PKT_NON_IP)
		non_ip(d, m, meta);
	else
		drop(d, m, MOS_CTR_DROP_L2_SHORT + meta->defect - MOS_DEFECT_L2_SHORT);
	if (mos_unlikely(meta->ts_ns > d->clock_ns) && d->clock_packet)
		d->clock_ns = meta->ts_ns;
}

static inline void prefetch_frame(const struct rte_mbuf *m)
{
	mos_prefetch(rte_pktmbuf_mtod(m, const void *));
	__builtin_prefetch((const char *)m + MOS_CACHE_LINE, 1, 3); /* meta data is written */
}

/* The stack clock, as every process computes it. */
static uint64_t stack_ns(const struct mos_dispatch *d)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t); /* vDSO: no system call */
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec +
	       (uint64_t)d->p->root->wall_offset_ns;
}

void mos_input_burst(struct mos_dispatch *d, const struct mos_shard_map *map, struct rte_mbuf **m,
                     const uint8_t *port, unsigned n)
{
	uint64_t bytes = 0, now_ns = stack_ns(d);

	for (unsigned i = 0; i < RTE_MIN(n, (unsigned)PREFETCH_AHEAD); i++)
		prefetch_frame(m[i]);
	for (unsigned i = 0; i < n; i++) {
		if (i + PREFETCH_AHEAD < n)
			prefetch_frame(m[i + PREFETCH_AHEAD]);
		bytes += m[i]->pkt_len;
		place(d, map, m[i], port[i], now_ns);
	}
	mos_shard_io_flush(d, map);
	/*
	 * The packets first: a worker that reads this clock finds in its ring all that is older.
	 * Pairs with mos_loop_clock.
	 */
	if (d->clock_packet)
		__atomic_store_n(&d->p->root->clock_ns, d->clock_ns, __ATOMIC_RELEASE);
	count(d, MOS_CTR_RX_PACKETS, n);
	count(d, MOS_CTR_RX_BYTES, bytes);
}

unsigned mos_input_live(struct mos_dispatch *d, const struct mos_shard_map *map)
{
	struct rte_mbuf *m[RX_BURST];
	uint8_t from[RX_BURST];
	unsigned sum = 0;

	for (uint32_t i = 0; i < d->port_count; i++) {
		struct port_io *port = &d->port[i];
		unsigned n;

		if (port->capture || mos_unlikely(!port->running))
			continue;
		n = rte_eth_rx_burst(port->dpdk_port, 0, m, RX_BURST);
		if (n == 0)
			continue;
		for (unsigned k = 0; k < n; k++)
			from[k] = port->index;
		mos_input_burst(d, map, m, from, n);
		sum += n;
	}
	return sum;
}
