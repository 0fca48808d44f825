#include "primary/crash/suspect.h"

#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_ring_peek.h>

#include "primary/topology.h"
#include "shared/flow_table/flow_table.h"

/*
 * The hash of the packet in front of the rx ring, which stays there. False: there is none of ours.
 */
static bool next_hash(struct mos_primary *p, struct mos_shard *s, uint32_t *hash)
{
	struct rte_mbuf *m;
	bool known;

	if (rte_ring_dequeue_bulk_start(s->rx, (void **)&m, 1, NULL) == 0)
		return false;
	known = mos_pool_map_has(&p->pool_map, m);
	if (known)
		*hash = mos_meta(p, m)->hash;
	rte_ring_dequeue_finish(s->rx, 0);
	return known;
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
	uint32_t capacity = 0, hash;
	const struct mos_flow *f =
		mos_flow_table_records(s->flow_table, s->flow_table_bytes, &capacity);

	if (f == NULL)
		return true; /* nobody can tell */
	if (flow < capacity)
		return f[flow].flags & MOS_FLOW_TRANSLATED;
	return next_hash(p, s, &hash) && hash_is_translated(f, capacity, hash);
}
