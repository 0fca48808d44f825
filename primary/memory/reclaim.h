/*
 * Taking a packet back from a shard's ring: the ring was written by another process, so nothing in
 * it is believed.
 *
 *   address not of the pool, or the packet is not marked as that shard's  -> FOREIGN: left alone
 *   header bent (the worker overran something before it died)             -> BENT: made new, freed
 *   otherwise                                                             -> the packet, ours again
 *
 * The owner mark (struct mos_pkt_meta) makes a packet that stands twice in the rings harmless: the
 * second time it is FOREIGN.
 *
 * Whoever is the consumer of the ring calls: the I/O lcore, the supervisor while the shard is
 * PARKED, the main thread when no worker lives.
 */
#ifndef MOS_PRIMARY_RECLAIM_H
#define MOS_PRIMARY_RECLAIM_H

#include <rte_mbuf.h>

#include "primary/topology.h"

/* Check one mbuf of the pool: its buffer, where its data lie in that, and how it will be freed. */
static inline bool mos_mbuf_sound(const struct mos_primary *p, const struct rte_mbuf *m)
{
	return m->pool == p->pool && m->buf_addr == (const void *)(m + 1) &&
	       m->buf_len == p->buf_len && (uint32_t)m->data_off + m->data_len <= p->buf_len &&
	       rte_mbuf_refcnt_read(m) == 1 &&
	       (m->ol_flags & (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL)) == 0;
}

/* Check a chain of segments, each one of the pool, that adds up. */
bool mos_segments_sound(const struct mos_primary *p, const struct rte_mbuf *m);

/*
 * Check what a packet asks of a device: the checksums of IPv4 and TCP and nothing else, of headers
 * that lie in its only segment where it says. Drivers believe it: one that computes checksums
 * itself would write beyond the packet, and hardware may stop.
 */
bool mos_offload_sound(const struct rte_mbuf *m);

/* Give a packet whose header is bent back to the pool, formatted anew. */
void mos_packet_renew(struct mos_primary *p, struct rte_mbuf *m);

/* Check the header of a packet of the pool, and what it says of its data. */
static inline bool mos_header_sound(const struct mos_primary *p, const struct rte_mbuf *m)
{
	if (!mos_mbuf_sound(p, m))
		return false;
	if (mos_unlikely((m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK) != 0) && !mos_offload_sound(m))
		return false;
	if (mos_likely(m->nb_segs == 1))
		return m->next == NULL && m->pkt_len == m->data_len;
	return mos_segments_sound(p, m);
}

/* Take back obj, an entry of a ring of shard. NULL: it was FOREIGN or BENT. */
static inline struct rte_mbuf *mos_packet_reclaim(struct mos_primary *p, uint32_t shard, void *obj)
{
	struct rte_mbuf *m = obj;

	if (mos_unlikely(!mos_pool_map_has(&p->pool_map, obj) ||
	                 mos_meta(p, m)->owner != shard + 1))
		return NULL;
	mos_meta(p, m)->owner = MOS_OWNER_PRIMARY;
	p->marked[shard]--;
	if (mos_unlikely(!mos_header_sound(p, m))) {
		mos_packet_renew(p, m);
		return NULL;
	}
	return m;
}

#endif
