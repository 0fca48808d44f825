#include "shared/root/shard.h"

#include <errno.h>

#include "shared/chunk_pool/chunk_pool.h"
#include "shared/flow_table/flow_table.h"
#include "shared/root/user_area.h"

#define USER_AREA_MAX 4096

/* Reserve bytes at the next cache line; returns where. */
static size_t place(size_t *at, size_t bytes)
{
	size_t here = mos_align(*at, MOS_CACHE_LINE);

	*at = here + bytes;
	return here;
}

int mos_shard_plan(struct mos_shard_plan *plan, size_t ring_bytes, size_t blank_bytes,
                   uint32_t max_flows, uint32_t user_area, uint32_t chunk_count)
{
	size_t at = sizeof(struct mos_shard);

	if (user_area > USER_AREA_MAX || mos_flow_table_footprint(max_flows) == 0 ||
	    mos_chunk_pool_footprint(chunk_count) == 0)
		return -EINVAL;

	plan->rx = place(&at, ring_bytes);
	plan->tx = place(&at, ring_bytes);
	plan->blank = place(&at, blank_bytes);
	plan->flow_table_bytes = mos_flow_table_footprint(max_flows);
	plan->flow_table = place(&at, plan->flow_table_bytes);
	plan->user_area_bytes = user_area ? sizeof(struct mos_area) + mos_align(user_area, 8) : 0;
	plan->user_areas = place(&at, plan->user_area_bytes * max_flows);
	plan->chunk_count = chunk_count;
	plan->chunk_pool_bytes = mos_chunk_pool_footprint(chunk_count);
	plan->chunk_pool = place(&at, plan->chunk_pool_bytes);
	plan->total = mos_align(at, MOS_CACHE_LINE);
	return 0;
}

int mos_shard_new(struct mos_shard *mem, const struct mos_shard_plan *plan, uint32_t index,
                  uint32_t max_flows)
{
	char *base = (char *)mem;
	int rc;

	mem->index = index;
	mem->max_flows = max_flows;
	mem->rx = (struct rte_ring *)(base + plan->rx);
	mem->tx = (struct rte_ring *)(base + plan->tx);
	mem->blank = (struct rte_ring *)(base + plan->blank);
	mem->flow_table = base + plan->flow_table;
	mem->flow_table_bytes = plan->flow_table_bytes;
	mem->user_areas = plan->user_area_bytes ? base + plan->user_areas : NULL;
	mem->user_area_bytes = plan->user_area_bytes;
	mem->chunk_pool = base + plan->chunk_pool;
	mem->chunk_pool_bytes = plan->chunk_pool_bytes;
	mos_ledger_reset(&mem->ledger);
	rc = mos_flow_table_new(mem->flow_table, max_flows);
	if (rc == 0)
		rc = mos_chunk_pool_new(mem->chunk_pool, plan->chunk_count);
	return rc;
}

void mos_shard_publish(struct mos_shard *shard)
{
	__atomic_store_n(&shard->magic, MOS_SHARD_MAGIC, __ATOMIC_RELEASE); /* pairs with join */
}

int mos_shard_join(const struct mos_shard *shard, uint32_t index)
{
	if (__atomic_load_n(&shard->magic, __ATOMIC_ACQUIRE) != MOS_SHARD_MAGIC)
		return -EAGAIN;
	return shard->index == index ? 0 : -EPROTO;
}

struct mos_area *mos_shard_user_area(const struct mos_shard *shard, uint32_t flow)
{
	if (shard->user_areas == NULL || flow >= shard->max_flows)
		return NULL;
	return (void *)((char *)shard->user_areas + (size_t)flow * shard->user_area_bytes);
}
