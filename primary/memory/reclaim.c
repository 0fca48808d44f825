#include "primary/memory/reclaim.h"

bool mos_segments_sound(const struct mos_primary *p, const struct rte_mbuf *m)
{
	const struct rte_mbuf *seg = m;
	uint32_t sum = 0;

	for (unsigned i = 0; i < m->nb_segs; i++) {
		if (!mos_pool_map_has(&p->pool_map, seg) || seg->pool != p->pool ||
		    seg->buf_addr != (const void *)(seg + 1) || rte_mbuf_refcnt_read(seg) != 1 ||
		    (uint32_t)seg->data_off + seg->data_len > seg->buf_len)
			return false;
		sum += seg->data_len;
		seg = seg->next;
	}
	return m->nb_segs != 0 && seg == NULL && sum == m->pkt_len;
}

void mos_packet_renew(struct mos_primary *p, struct rte_mbuf *m)
{
	rte_pktmbuf_init(p->pool, NULL, m, 0);
	rte_mbuf_refcnt_set(m, 1);
	rte_mbuf_raw_free(m);
}
