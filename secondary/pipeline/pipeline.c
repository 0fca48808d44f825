#include "secondary/pipeline/pipeline.h"

#include <rte_mbuf.h>

#include "secondary/edit/edit.h"
#include "secondary/event/event.h"
#include "secondary/pipeline/flow_stream.h"
#include "shared/kill_point/kill_point.h"

static struct mos_pkt_meta *meta_of(const struct mos_ctx *c, struct rte_mbuf *m)
{
	return (struct mos_pkt_meta *)((uintptr_t)m + (uintptr_t)c->root->meta_offset);
}

/* The record, and what this process keeps about it. */
static void prefetch_flow(const struct mos_ctx *c, uint32_t hash, unsigned lines)
{
	uint32_t flow = mos_flow_table_prefetch_flow(&c->flows, hash, lines);

	if (mos_unlikely(flow == MOS_FLOW_NONE))
		return;
	mos_prefetch(&c->flow_flags[flow]);
	mos_sockets_prefetch(&c->sockets, flow);
}

/* Bring near what the burst will need: a stage for each step of the pointer chase. */
static void prefetch_burst(const struct mos_ctx *c, struct rte_mbuf *const *pkts, uint32_t n)
{
	unsigned lines = c->streams_read ? MOS_FLOW_LINES_STREAM : MOS_FLOW_LINES;

	for (uint32_t i = 0; i < n; i++) {
		mos_prefetch(pkts[i]);
		mos_prefetch(meta_of(c, pkts[i]));
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct mos_pkt_meta *meta = meta_of(c, pkts[i]);

		mos_prefetch(rte_pktmbuf_mtod_offset(pkts[i], const void *, meta->l3_off));
		if (meta->pkt_class == MOS_PKT_TCP)
			mos_flow_table_prefetch_bucket(&c->flows, meta->hash);
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct mos_pkt_meta *meta = meta_of(c, pkts[i]);

		if (meta->pkt_class == MOS_PKT_TCP)
			prefetch_flow(c, meta->hash, lines);
	}
}

/* With clock = packet the stack clock follows the packets; it never steps back. */
static void follow_packet_clock(struct mos_ctx *c, uint64_t ts_ns)
{
	if (ts_ns > c->now_ns) {
		__atomic_store_n(&c->now_ns, ts_ns, __ATOMIC_RELAXED);
		c->now_ms = (uint32_t)(ts_ns / 1000000);
	}
}

static void packet(struct mos_ctx *c, struct rte_mbuf *m, struct mos_pkt_meta *meta)
{
	struct mos_counters *ctr = &c->shard->counters;

	mos_counter_add(ctr, MOS_CTR_W_PACKETS, 1);
	mos_counter_add(ctr, MOS_CTR_W_BYTES, m->pkt_len);
	if (c->root->settings.clock_packet)
		follow_packet_clock(c, meta->ts_ns);

	c->cur = (struct mos_cur_pkt){.mbuf = m, .meta = meta};
	if (mos_unlikely(c->sockets.raw_path != 0)) {
		mos_ledger_stage(&c->shard->ledger, MOS_STAGE_RAW);
		mos_kill_point("stage.raw");
		mos_event_raw(c);
		if (mos_unlikely(c->cur.edited)) {
			c->cur.edited = false;
			mos_edit_settle(&c->cur, c->root->hash_seed);
		}
	}
	if (mos_likely(meta->pkt_class == MOS_PKT_TCP)) {
		/* LOOKUP says that the application has not seen it: a successor may begin again. */
		if (mos_likely(c->sockets.raw_path == 0))
			mos_ledger_stage(&c->shard->ledger, MOS_STAGE_LOOKUP);
		mos_kill_point("stage.lookup");
		mos_segment(c, m, meta);
	} else {
		mos_counter_add(ctr, MOS_CTR_W_OTHER_IP, 1);
	}
	c->cur.mbuf = NULL;
}

void mos_pipeline_burst(struct mos_ctx *c, struct rte_mbuf *const *pkts, uint32_t n)
{
	prefetch_burst(c, pkts, n);
	for (uint32_t i = 0; i < n; i++) {
		packet(c, pkts[i], meta_of(c, pkts[i]));
		mos_kill_point("stage.finished");
		mos_ledger_done(&c->shard->ledger, i);
	}
	if (mos_unlikely(c->streams.evicted_count != 0))
		mos_flow_tell_evicted(c);
}
