#include "secondary/pipeline/segment_priv.h"

#include <string.h>

#include <rte_ether.h>

#include "secondary/event/event.h"
#include "secondary/flow_area/flow_area.h"
#include "secondary/pipeline/flow_option.h"
#include "secondary/pipeline/flow_stream.h"
#include "shared/kill_point/kill_point.h"

static bool is_first_syn(const struct mos_tcp_seg *seg)
{
	return (seg->flags & (MOS_TCP_SYN | MOS_TCP_ACK | MOS_TCP_RST)) == MOS_TCP_SYN;
}

static void fill_record(const struct mos_ctx *c, const struct mos_work *w, struct mos_flow *f)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(w->m, const struct rte_ether_hdr *);

	mos_flow_write_begin(f);
	mos_tcp_open(f);
	mos_kill_point("record.open");
	f->start_ms = c->now_ms;
	f->last_seen_ms = c->now_ms;
	f->in_port[MOS_CLI] = w->meta->in_port;
	f->in_port[MOS_SVR] = w->meta->out_port;
	memcpy(f->mac[MOS_CLI], &eth->src_addr, sizeof(f->mac[0]));
	memcpy(f->mac[MOS_SVR], &eth->dst_addr, sizeof(f->mac[0]));
	mos_flow_write_end(f);
}

/* Before the record comes into use: a successor must not find what belonged to another flow. */
static void begin_area(struct mos_ctx *c, uint32_t flow, uint64_t ids)
{
	if (mos_unlikely(c->shard->user_areas != NULL))
		mos_flow_area_begin(c->shard, flow, mos_sockets_area_version(&c->sockets, ids));
}

/*
 * A first SYN: make the record and attach it to the passive sockets whose filters accept it. False
 * when it was refused.
 */
static bool create_flow(struct mos_ctx *c, struct mos_work *w)
{
	uint64_t ids = is_first_syn(&w->seg) ? mos_event_accepting(c) : 0;
	struct mos_flow *f;

	if (ids == 0)
		return false;
	begin_area(c, mos_flow_table_next_free(&c->flows), ids);
	mos_kill_point("area.zeroed");
	w->flow = mos_flow_table_insert(&c->flows, &w->key, w->meta->hash);
	if (w->flow == MOS_FLOW_NONE) {
		mos_counter_add(&c->shard->counters, MOS_CTR_W_FLOW_TABLE_FULL, 1);
		return false;
	}
	mos_restore_not(c, w->flow);
	if (mos_sockets_attach_flow(&c->sockets, w->flow, ids) == 0) {
		/* Another thread has closed them all. */
		mos_flow_table_remove(&c->flows, w->flow);
		return false;
	}
	w->from = MOS_CLI;
	f = mos_flow_at(&c->flows, w->flow);
	fill_record(c, w, f);
	mos_kill_point("record.filled");
	mos_flow_new_streams(c, w->flow);
	mos_kill_point("stream.begun");
	mos_flow_begin_options(c, w->flow);
	mos_flow_timer_arm(&c->flow_timer, w->flow, mos_flow_deadline_ms(c, f));
	mos_counter_add(&c->shard->counters, MOS_CTR_W_FLOWS_CREATED, 1);
	mos_ledger_flow(&c->shard->ledger, w->flow);
	return true;
}

/*
 * Ends whose lengths are edited lose step with their flow. So one SYN does not end it, which
 * anybody may have sent: its receiver asks back, and a sender that did begin anew resets the old
 * connection (RFC 5961, 4).
 */
static bool stands_by_itself(const struct mos_flow *f, int from)
{
	uint8_t state = f->state[!from];

	return mos_remap_any(f) && !mos_remap_lost(f, MOS_CLI) && !mos_remap_lost(f, MOS_SVR) &&
	       state >= MOS_TCPS_ESTABLISHED && state < MOS_TCPS_TIME_WAIT;
}

/* The flow that was found takes this segment. If not, it is gone by now. */
static bool goes_on(struct mos_ctx *c, const struct mos_work *w)
{
	const struct mos_flow *f = mos_flow_at(&c->flows, w->flow);

	if (mos_restore_pending(c, w->flow) && !mos_restore_flow(c, w->flow))
		return false;
	if (mos_flow_end_if_over(c, w->flow))
		return false;
	if (mos_likely(!(w->seg.flags & MOS_TCP_SYN)) || !mos_tcp_syn_is_new(f, w->from, &w->seg) ||
	    stands_by_itself(f, w->from))
		return true;
	mos_flow_end(c, w->flow, !w->from); /* a new connection on the same tuple */
	return false;
}

bool mos_segment_find(struct mos_ctx *c, struct mos_work *w)
{
	struct mos_ledger *ledger = &c->shard->ledger;

	w->flow = mos_flow_table_lookup(&c->flows, &w->key, w->meta->hash, &w->from);
	if (mos_likely(w->flow != MOS_FLOW_NONE)) {
		mos_ledger_flow(ledger, w->flow);
		if (mos_likely(goes_on(c, w)))
			return true;
		mos_ledger_flow(ledger, MOS_FLOW_NONE);
	}
	return create_flow(c, w);
}
