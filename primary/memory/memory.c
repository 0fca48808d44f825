#include "primary/memory/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <rte_memzone.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#include "primary/memory/reclaim.h"
#include "primary/topology.h"
#include "shared/names.h"

static int fail(char *err, size_t err_len, const char *what, int code)
{
	snprintf(err, err_len, "%s: %s", what, strerror(code));
	return -code;
}

/*
 * An mbuf has 36 bytes for dynamic fields, of which 32 are aligned to 8. Our meta data takes all
 * of them, and some drivers (net_pcap, when it is probed) take 8 for their receive time stamp. Both
 * fit because they are the same: ts_ns comes first in struct mos_pkt_meta, and we lay it over the
 * time stamp field, so that what such a driver writes is already in place.
 */
static int register_meta(struct mos_root *root, char *err, size_t err_len)
{
	static_assert(offsetof(struct mos_pkt_meta, ts_ns) == 0, "lies over the time stamp");
	struct rte_mbuf_dynfield rest = {
		.name = MOS_PKT_META_FIELD,
		.size = sizeof(struct mos_pkt_meta) - sizeof(rte_mbuf_timestamp_t),
		.align = 8,
	};
	int ts_offset;
	size_t at;

	if (rte_mbuf_dyn_rx_timestamp_register(&ts_offset, NULL) < 0)
		return fail(err, err_len, "mbuf dynamic field for time stamps", rte_errno);
	at = (size_t)ts_offset + sizeof(rte_mbuf_timestamp_t);
	if (rte_mbuf_dynfield_register_offset(&rest, at) < 0)
		return fail(err, err_len,
		            "mbuf dynamic field for packet meta data (does a driver take it?)",
		            rte_errno);
	root->meta_offset = ts_offset;
	return 0;
}

/* Flow times are compared modulo 2^32 ms: what is longer than 2^30 ms, 12 days, is 12 days. */
static uint32_t flow_ms(int32_t seconds)
{
	return RTE_MIN((uint32_t)seconds, (1u << 30) / 1000u) * 1000u;
}

static void set_settings(struct mos_settings *s, const struct mos_config *cfg,
                         const struct mos_memory_plan *plan)
{
	s->max_flows = plan->max_flows;
	s->flow_area = (uint32_t)mos_align((size_t)cfg->flow_area, 8);
	s->tcp_timeout_ms = cfg->tcp_timeout < 0 ? 0 : flow_ms(cfg->tcp_timeout);
	s->tcp_tw_ms = flow_ms(cfg->tcp_tw_interval);
	s->rmem_size = cfg->no_ring_buffers ? 0 : (uint32_t)cfg->rmem_size;
	s->forward = cfg->forward;
	s->clock_packet = cfg->clock == MOS_CONFIG_CLOCK_PACKET;
	s->idle_poll = cfg->idle == MOS_CONFIG_IDLE_POLL;
	s->ipv6 = cfg->ipv6;
	s->verify_tcp_csum = cfg->tcp_checksum == MOS_CONFIG_CSUM_VERIFY;
}

/* How far the wall clock is ahead of CLOCK_MONOTONIC now. Fixed: the stack clock never jumps. */
static int64_t wall_offset_ns(void)
{
	struct timespec wall, mono;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	return (int64_t)(wall.tv_sec - mono.tv_sec) * 1000000000 + (wall.tv_nsec - mono.tv_nsec);
}

static int new_root(struct mos_primary *p, const struct mos_memory_plan *plan, char *err,
                    size_t err_len)
{
	size_t readers = mos_align(sizeof(struct mos_root), MOS_CACHE_LINE);
	size_t bytes = readers + rte_rcu_qsbr_get_memsize(MOS_ATTACH_SLOTS);
	const struct rte_memzone *mz;
	int rc;

	mz = rte_memzone_reserve_aligned(MOS_ROOT_ZONE, bytes, SOCKET_ID_ANY, 0, MOS_CACHE_LINE);
	if (mz == NULL)
		return fail(err, err_len, "memory for the root", rte_errno);
	p->root = mz->addr;
	rc = mos_root_new(p->root, (uint32_t)p->cfg.workers, p->cfg.port_count, p->cfg.prefix);
	if (rc < 0)
		return fail(err, err_len, "root", -rc);
	p->readers = p->root->readers = (char *)p->root + readers;
	if (rte_rcu_qsbr_init(p->readers, MOS_ATTACH_SLOTS) != 0)
		return fail(err, err_len, "readers", rte_errno);
	set_settings(&p->root->settings, &p->cfg, plan);
	p->root->wall_offset_ns = wall_offset_ns();
	if (getrandom(&p->root->hash_seed, sizeof(p->root->hash_seed), 0) !=
	    sizeof(p->root->hash_seed))
		return fail(err, err_len, "getrandom", errno);
	return register_meta(p->root, err, err_len);
}

static void set_guard(struct mos_primary *p, const struct mos_memory_plan *plan, uint32_t i,
                      void *mem)
{
	char *base = mem;

	p->guard[i] = (struct mos_shard_guard){
		.shard = mem,
		.rx = (struct rte_ring *)(base + plan->shard.rx),
		.tx = (struct rte_ring *)(base + plan->shard.tx),
		.blank = (struct rte_ring *)(base + plan->shard.blank),
		.plan = plan->shard,
		.max_flows = plan->max_flows,
	};
}

static int new_shard(struct mos_primary *p, const struct mos_memory_plan *plan, uint32_t i,
                     char *err, size_t err_len)
{
	char name[RTE_MEMZONE_NAMESIZE], what[96];
	const struct rte_memzone *mz;
	int rc;

	snprintf(name, sizeof(name), MOS_SHARD_ZONE_FMT, i);
	mz = rte_memzone_reserve_aligned(name, plan->shard.total, SOCKET_ID_ANY, 0, MOS_CACHE_LINE);
	if (mz == NULL) {
		snprintf(what, sizeof(what), "%zu MB for shard %u", plan->shard.total >> 20, i);
		return fail(err, err_len, what, rte_errno);
	}
	set_guard(p, plan, i, mz->addr);
	p->root->shard[i] = mz->addr;
	rc = mos_shard_renew(p, i);
	return rc < 0 ? fail(err, err_len, name, -rc) : 0;
}

static int new_pool(struct mos_primary *p, const struct mos_memory_plan *plan, char *err,
                    size_t err_len)
{
	char what[96];

	p->pool = rte_pktmbuf_pool_create(MOS_PKT_POOL, plan->mbufs, MOS_POOL_CACHE, 0,
	                                  (uint16_t)plan->data_room, SOCKET_ID_ANY);
	if (p->pool == NULL) {
		snprintf(what, sizeof(what), "%zu MB for %u packets",
		         ((size_t)plan->mbufs * plan->mbuf_bytes) >> 20, plan->mbufs);
		return fail(err, err_len, what, rte_errno);
	}
	p->pool_size = plan->mbufs;
	p->buf_len = plan->data_room;
	if (mos_pool_map_create(&p->pool_map, p->pool) < 0)
		return fail(err, err_len, "map of the packet pool", ENOMEM);
	return 0;
}

int mos_memory_new(struct mos_primary *p, const struct mos_memory_plan *plan, char *err,
                   size_t err_len)
{
	int rc;

	p->ring_size = (uint32_t)p->cfg.ring_size;
	p->blank_size = MOS_BLANK_SIZE;
	rc = new_root(p, plan, err, err_len);
	for (uint32_t i = 0; rc == 0 && i < (uint32_t)p->cfg.workers; i++)
		rc = new_shard(p, plan, i, err, err_len);
	if (rc == 0)
		rc = new_pool(p, plan, err, err_len);
	if (rc < 0)
		mos_memory_delete(p);
	return rc;
}

int mos_memory_fill_blanks(struct mos_primary *p)
{
	struct rte_mbuf *m[MOS_BLANK_SIZE];

	for (uint32_t i = 0; i < p->root->shard_count; i++) {
		if (rte_pktmbuf_alloc_bulk(p->pool, m, p->blank_size) < 0)
			return -ENOMEM;
		for (uint32_t k = 0; k < p->blank_size; k++)
			mos_meta(p, m[k])->owner = (uint8_t)(i + 1);
		p->marked[i] += p->blank_size;
		rte_ring_sp_enqueue_bulk(p->guard[i].blank, (void **)m, p->blank_size, NULL);
	}
	return 0;
}

static uint32_t drain_ring(struct mos_primary *p, uint32_t shard, struct rte_ring *r, uint32_t size)
{
	uint32_t drained = 0;
	void *obj;

	if (!mos_ring_sound(r, size))
		return 0; /* the pool goes as a whole */
	/* A worker that hangs in a callback may have taken a burst, by moving the head alone. */
	r->cons.head = r->cons.tail;
	while (rte_ring_sc_dequeue(r, &obj) == 0) {
		rte_pktmbuf_free(mos_packet_reclaim(p, shard, obj));
		drained++;
	}
	return drained;
}

void mos_memory_drain(struct mos_primary *p)
{
	uint32_t packets = 0;

	for (uint32_t i = 0; i < p->root->shard_count; i++) {
		const struct mos_shard_guard *g = &p->guard[i];

		packets += drain_ring(p, i, g->rx, p->ring_size);
		packets += drain_ring(p, i, g->tx, p->ring_size);
		drain_ring(p, i, g->blank, 2 * MOS_BLANK_SIZE);
	}
	mos_counter_add(&p->root->io, MOS_CTR_DROP_AT_STOP, packets);
}

void mos_memory_delete(struct mos_primary *p)
{
	char name[RTE_MEMZONE_NAMESIZE];

	mos_pool_map_destroy(&p->pool_map);
	rte_mempool_free(p->pool);
	p->pool = NULL;
	for (uint32_t i = 0; i < (uint32_t)p->cfg.workers; i++) {
		snprintf(name, sizeof(name), MOS_SHARD_ZONE_FMT, i);
		rte_memzone_free(rte_memzone_lookup(name));
	}
	rte_memzone_free(rte_memzone_lookup(MOS_ROOT_ZONE));
	p->root = NULL;
}
