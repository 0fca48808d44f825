#include "primary/memory/reclaim.h"

#include <netinet/in.h>

bool mos_segments_sound(const struct mos_primary *p, const struct rte_mbuf *m)
{
	const struct rte_mbuf *seg = m;
	uint32_t sum = 0;

	for (unsigned i = 0; i < m->nb_segs; i++) {
		if (!mos_pool_map_has(&p->pool_map, seg) || !mos_mbuf_sound(p, seg))
			return false;
		sum += seg->data_len;
		seg = seg->next;
	}
	return m->nb_segs != 0 && seg == NULL && sum == m->pkt_len;
}

enum {
	L2_LEN = 14,     /* without tags */
	L2_LEN_MAX = 22, /* two tags */
	IP6_LEN = 40,
	TCP_LEN = 20, /* without options */
};

static uint32_t be16_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* An IPv4 or IPv6 header of that length with TCP behind it, and no longer than it is here. */
static bool ip_is(const uint8_t *ip, uint32_t hdr_len, uint32_t room, bool ip6)
{
	if (ip6)
		return hdr_len == IP6_LEN && ip[0] >> 4 == 6 && ip[6] == IPPROTO_TCP &&
		       be16_at(ip + 4) >= TCP_LEN && IP6_LEN + be16_at(ip + 4) <= room;
	return ip[0] >> 4 == 4 && (ip[0] & 0xf) >= 5 && (ip[0] & 0xf) * 4u == hdr_len &&
	       ip[9] == IPPROTO_TCP && be16_at(ip + 2) >= hdr_len + TCP_LEN &&
	       be16_at(ip + 2) <= room;
}

bool mos_offload_sound(const struct rte_mbuf *m)
{
	const uint64_t asked = m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK;
	const uint64_t ip4 = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM;
	const uint64_t ip6 = RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_TCP_CKSUM;
	const uint32_t l2 = m->l2_len, l3 = m->l3_len, l4 = m->l4_len;
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);

	if ((asked != ip4 && asked != ip6) || m->nb_segs != 1)
		return false;
	if (l2 < L2_LEN || l2 > L2_LEN_MAX || (l2 - L2_LEN) % 4 != 0 || l4 < TCP_LEN ||
	    l2 + RTE_MAX(l3, 20u) + l4 > m->data_len)
		return false;
	return ip_is(frame + l2, l3, m->data_len - l2, asked == ip6) &&
	       (frame[l2 + l3 + 12] >> 4) * 4u == l4;
}

void mos_packet_renew(struct mos_primary *p, struct rte_mbuf *m)
{
	rte_pktmbuf_init(p->pool, NULL, m, 0);
	rte_mbuf_refcnt_set(m, 1);
	rte_mbuf_raw_free(m);
}
