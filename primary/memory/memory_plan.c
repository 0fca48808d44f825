#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "primary/memory/memory.h"
#include "shared/chunk_pool/chunk_pool.h"
#include "shared/root/root.h"

enum {
	HUGE_PAGE = 2 << 20,
	CHUNKS_PER_MB = (1 << 20) / MOS_CHUNK_BYTES,
	EAL_OWN = 8 << 20, /* ethdev tables, device private data, fragmentation of the heap */
};

/* Packets that can be somewhere at the same time: see memory.h. */
static uint64_t packets_at_most(const struct mos_config *cfg)
{
	uint64_t per_shard = 2ull * (uint32_t)cfg->ring_size + MOS_BLANK_SIZE + MOS_BACKLOG_SIZE;
	uint64_t per_port = MOS_PORT_HAND;
	uint64_t sum = (uint32_t)cfg->workers * per_shard + MOS_POOL_CACHE * 3 / 2;

	for (uint32_t i = 0; i < cfg->port_count; i++)
		sum += per_port +
		       (cfg->port[i].kind == MOS_CONFIG_PORT_IFACE
		                ? 0
		                : 2 * MOS_PORT_DESC); /* af_packet copies: it keeps none */
	return sum;
}

static int plan_packets(struct mos_memory_plan *plan, const struct mos_config *cfg, char *err,
                        size_t err_len)
{
	uint64_t need = packets_at_most(cfg);

	if (cfg->mbufs != 0 && (uint64_t)cfg->mbufs < need) {
		snprintf(err, err_len,
		         "mbufs = %d is too few: %d workers with ring_size = %d need %llu; "
		         "raise mbufs, leave it out, or lower ring_size",
		         cfg->mbufs, cfg->workers, cfg->ring_size, (unsigned long long)need);
		return -EINVAL;
	}
	plan->mbufs = cfg->mbufs ? (uint32_t)cfg->mbufs : mos_pow2_ceil((uint32_t)need);
	/* Not much above the power of two below: take that many exactly. */
	if (cfg->mbufs == 0 && plan->mbufs > need + need / 4)
		plan->mbufs = (uint32_t)mos_align(need, 1024);
	plan->data_room = (uint32_t)cfg->mbuf_size + RTE_PKTMBUF_HEADROOM;
	plan->mbuf_bytes = rte_mempool_calc_obj_size(
		(uint32_t)(sizeof(struct rte_mbuf) + plan->data_room), 0, NULL);
	return 0;
}

int mos_memory_plan(struct mos_memory_plan *plan, const struct mos_config *cfg, char *err,
                    size_t err_len)
{
	size_t shards = (size_t)cfg->workers, zones;

	memset(plan, 0, sizeof(*plan));
	plan->ring_bytes = (size_t)rte_ring_get_memsize((unsigned)cfg->ring_size);
	plan->blank_bytes = (size_t)rte_ring_get_memsize(2 * MOS_BLANK_SIZE);
	plan->max_flows = (uint32_t)cfg->max_concurrency;
	if (mos_shard_plan(&plan->shard, plan->ring_bytes, plan->blank_bytes, plan->max_flows,
	                   (uint32_t)cfg->flow_area,
	                   (uint32_t)cfg->stream_memory * CHUNKS_PER_MB) < 0) {
		snprintf(err, err_len, "max_concurrency = %d is too large; lower it",
		         cfg->max_concurrency);
		return -EINVAL;
	}
	if (plan_packets(plan, cfg, err, err_len) < 0)
		return -EINVAL;

	zones = shards + 2; /* root, pool: each may waste a page */
	plan->total_bytes = sizeof(struct mos_root) + shards * plan->shard.total +
	                    (size_t)plan->mbufs * plan->mbuf_bytes +
	                    (size_t)rte_ring_get_memsize(mos_pow2_ceil(plan->mbufs + 1));
	plan->huge_mb =
		(uint32_t)(mos_align(plan->total_bytes + zones * HUGE_PAGE + EAL_OWN, HUGE_PAGE) >>
	                   20);
	return 0;
}
