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
 * Mark what a ring holds. Each entry is taken from the front and put back at the end, so that
 * after as many steps as there are entries the order is the old one.
 */
static void mark_ring(struct mos_primary *p, uint32_t shard, struct rte_ring *r)
{
	uint32_t n = rte_ring_count(r);
	void *obj;

	for (uint32_t i = 0; i < n && rte_ring_sc_dequeue(r, &obj) == 0; i++) {
		if (!mos_pool_map_has(&p->pool_map, obj) || mos_meta(p, obj)->owner != shard + 1)
			continue;
		mos_meta(p, obj)->owner = OWNER_FOUND;
		rte_ring_sp_enqueue(r, obj);
	}
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
	struct mos_shard *s = p->root->shard[shard];
	struct pass pass = {.p = p, .shard = shard};

	mark_ring(p, shard, s->rx);
	mark_ring(p, shard, s->tx);
	mark_ring(p, shard, s->blank);
	rte_mempool_obj_iter(p->pool, free_lost, &pass);
	return pass.lost;
}

static uint32_t count_once(struct mos_primary *p)
{
	uint32_t found = rte_mempool_avail_count(p->pool) + p->pool_at_ports;

	if (p->dispatch != NULL)
		found += mos_dispatch_held(p->dispatch);
	for (uint32_t i = 0; i < p->root->shard_count; i++) {
		const struct mos_shard *s = p->root->shard[i];

		found += rte_ring_count(s->rx) + rte_ring_count(s->tx) + rte_ring_count(s->blank);
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
