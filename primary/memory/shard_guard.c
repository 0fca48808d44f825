#include "primary/memory/shard_guard.h"

#include <stdio.h>
#include <string.h>

#include "primary/memory/memory.h"
#include "primary/topology.h"
#include "shared/chunk_pool/chunk_pool.h"
#include "shared/flow_table/flow_table.h"

static bool rings_sound(const struct mos_primary *p, const struct mos_shard_guard *g)
{
	return mos_ring_fixed(g->rx, p->ring_size) && mos_ring_fixed(g->tx, p->ring_size) &&
	       mos_ring_fixed(g->blank, 2 * MOS_BLANK_SIZE);
}

/* The head of a shard as mos_shard_new() writes it. */
static bool head_sound(const struct mos_shard_guard *g, uint32_t index)
{
	const struct mos_shard *s = g->shard;
	const struct mos_shard_plan *plan = &g->plan;
	const char *base = (const char *)s;
	const void *areas = plan->user_area_bytes != 0 ? base + plan->user_areas : NULL;

	return mos_shard_join(s, index) == 0 && s->max_flows == g->max_flows && s->rx == g->rx &&
	       s->tx == g->tx && s->blank == g->blank &&
	       s->flow_table == (const void *)(base + plan->flow_table) &&
	       s->flow_table_bytes == plan->flow_table_bytes && s->user_areas == areas &&
	       s->user_area_bytes == plan->user_area_bytes &&
	       s->chunk_pool == (const void *)(base + plan->chunk_pool) &&
	       s->chunk_pool_bytes == plan->chunk_pool_bytes;
}

static bool tables_sound(const struct mos_shard_guard *g)
{
	uint32_t capacity = 0;

	return mos_flow_table_records(g->shard->flow_table, g->plan.flow_table_bytes, &capacity) !=
	               NULL &&
	       capacity == g->max_flows &&
	       mos_chunk_pool_sound(g->shard->chunk_pool, g->plan.chunk_pool_bytes);
}

bool mos_shard_sound(const struct mos_primary *p, uint32_t shard)
{
	const struct mos_shard_guard *g = &p->guard[shard];

	return head_sound(g, shard) && rings_sound(p, g) && tables_sound(g);
}

static int new_ring(struct rte_ring *r, const char *kind, uint32_t shard, uint32_t count)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "mos_%s_%u", kind, shard);
	return rte_ring_init(r, name, count, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

int mos_shard_renew(struct mos_primary *p, uint32_t shard)
{
	const struct mos_shard_guard *g = &p->guard[shard];
	int rc;

	/* The chunk pool takes what it finds; nobody is to believe what an earlier life left. */
	memset(g->shard, 0, g->plan.chunk_pool);
	rc = mos_shard_new(g->shard, &g->plan, shard, g->max_flows);
	if (rc == 0)
		rc = new_ring(g->rx, "rx", shard, p->ring_size);
	if (rc == 0)
		rc = new_ring(g->tx, "tx", shard, p->ring_size);
	if (rc == 0)
		rc = new_ring(g->blank, "blank", shard, 2 * MOS_BLANK_SIZE);
	if (rc == 0)
		mos_shard_publish(g->shard);
	return rc;
}
