#include "primary/crash/audit.h"

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include "primary/dispatch/dispatch.h"
#include "primary/memory/reclaim.h"
#include "primary/topology.h"

/* A worker that hands over a burst moves mbufs between two counts: a few looks settle it. */
#define LOOKS 64

/* Owner of an mbuf that this audit has found in a ring. No shard has this number. */
#define OWNER_FOUND 0xff
static_assert(MOS_SHARD_MAX < OWNER_FOUND, "no shard's owner mark may mean `found`");

/* One pass: which mbufs it looks for, and what it counts. */
struct pass {
	struct mos_primary *p;
	uint32_t shard;
	uint32_t lost;
};

/*
 * Give what a ring holds another mark. Each entry is taken from the front and put back at the end,
 * so that after as many steps as there are entries the order is the old one; what does not carry
 * the first mark is left out. Returns how many stay.
 */
static uint32_t mark_ring(struct mos_primary *p, struct rte_ring *r, uint8_t from, uint8_t to)
{
	uint32_t n = rte_ring_count(r), stay = 0;
	void *obj;

	for (uint32_t i = 0; i < n && rte_ring_sc_dequeue(r, &obj) == 0; i++) {
		if (!mos_pool_map_has(&p->pool_map, obj) || mos_meta(p, obj)->owner != from)
			continue;
		mos_meta(p, obj)->owner = to;
		rte_ring_sp_enqueue(r, obj);
		stay++;
	}
	return stay;
}

static uint32_t mark_rings(struct mos_primary *p, uint32_t shard, uint8_t from, uint8_t to)
{
	const struct mos_shard_guard *g = &p->guard[shard];

	return mark_ring(p, g->rx, from, to) + mark_ring(p, g->tx, from, to) +
	       mark_ring(p, g->blank, from, to);
}

static void free_lost(struct rte_mempool *mp, void *opaque, void *obj, unsigned idx)
{
	struct pass *pass = opaque;
	struct mos_pkt_meta *meta = mos_meta(pass->p, obj);

	if (meta->owner == OWNER_FOUND) {
		meta->owner = (uint8_t)(pass->shard + 1);
	} else if (meta->owner == pass->shard + 1) {
		rte_pktmbuf_free(mos_packet_reclaim(pass->p, pass->shard, obj)); /* NULL is fine */
		pass->lost++;
	}
}

uint32_t mos_audit_shard(struct mos_primary *p, uint32_t shard)
{
	const uint8_t mark = (uint8_t)(shard + 1);
	struct pass pass = {.p = p, .shard = shard};
	uint32_t found = mark_rings(p, shard, mark, OWNER_FOUND);

	/* To look at the whole pool takes milliseconds, in which nobody serves the shard. */
	if (found == p->marked[shard]) {
		mark_rings(p, shard, OWNER_FOUND, mark);
		return 0;
	}
	rte_mempool_obj_iter(p->pool, free_lost, &pass);
	p->marked[shard] = found;
	return pass.lost;
}

static uint32_t count_once(struct mos_primary *p)
{
	uint32_t found = rte_mempool_avail_count(p->pool) + p->pool_at_ports;

	if (p->dispatch != NULL)
		found += mos_dispatch_held(p->dispatch);
	for (uint32_t i = 0; i < p->root->shard_count; i++) {
		const struct mos_shard_guard *g = &p->guard[i];

		found += rte_ring_count(g->rx) + rte_ring_count(g->tx) + rte_ring_count(g->blank);
	}
	return found < p->pool_size ? p->pool_size - found : 0;
}

uint32_t mos_mbuf_audit(struct mos_primary *p)
{
	uint32_t missing = UINT32_MAX;

	for (int i = 0; i < LOOKS && missing != 0; i++) {
		uint32_t now = count_once(p);

		missing = now < missing ? now : missing;
	}
	return missing;
}
