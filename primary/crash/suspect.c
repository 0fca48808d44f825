#include "primary/crash/suspect.h"

#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_ring_peek.h>

#include "primary/topology.h"
#include "shared/flow_table/flow_table.h"

/* The packet in front of the rx ring, which stays there. NULL: there is none of ours. */
static const struct rte_mbuf *next_packet(struct mos_primary *p, struct mos_shard *s)
{
	struct rte_mbuf *m;

	if (rte_ring_dequeue_bulk_start(s->rx, (void **)&m, 1, NULL) == 0)
		return NULL;
	rte_ring_dequeue_finish(s->rx, 0);
	return mos_pool_map_has(&p->pool_map, m) ? m : NULL;
}

/* Among the records, of which no index is believed: whether this may be a packet of such a flow. */
static bool hash_is_translated(const struct mos_flow *f, uint32_t capacity, uint32_t hash)
{
	for (uint32_t i = 0; i < capacity; i++)
		if ((f[i].flags & MOS_FLOW_TRANSLATED) &&
		    (f[i].hash == hash ||
		     ((f[i].flags & MOS_FLOW_TWO_KEYS) && f[i].out_hash == hash)))
			return true;
	return false;
}

bool mos_suspect_is_translated(struct mos_primary *p, struct mos_shard *s, uint32_t flow)
{
	const struct rte_mbuf *m;
	uint32_t capacity = 0;
	const struct mos_flow *f =
		mos_flow_table_records(s->flow_table, s->flow_table_bytes, &capacity);

	if (f == NULL)
		return true; /* nobody can tell */
	if (flow < capacity)
		return f[flow].flags & MOS_FLOW_TRANSLATED;
	m = next_packet(p, s);
	return m != NULL && hash_is_translated(f, capacity, mos_meta(p, m)->hash);
}

bool mos_suspect_tries_again(struct mos_primary *p, struct mos_shard *s, uint32_t stage,
                             uint32_t flow)
{
	const struct rte_mbuf *m;

	if (stage != MOS_STAGE_LOOKUP || flow != UINT32_MAX)
		return false;
	m = next_packet(p, s);
	if (m == NULL || m == p->tried[s->index])
		return false;
	p->tried[s->index] = m;
	return true;
}
