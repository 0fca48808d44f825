#include "secondary/pipeline/pipeline.h"

#include "secondary/event/event.h"
#include "secondary/pipeline/flow_option.h"
#include "secondary/pipeline/flow_stream.h"
#include "secondary/remap/remap.h"
#include "shared/kill_point/kill_point.h"

/* How many expired entries one round looks at: keeps rounds short after a long silence. */
#define EXPIRE_MAX 256

/* The half is gone: its last events, and its state reads CLOSED in them. */
static void end_half(struct mos_ctx *c, uint32_t flow, int side)
{
	struct mos_flow *f = mos_flow_at(&c->flows, flow);
	const uint32_t bits = MOS_ON_TCP_STATE_CHANGE | MOS_ON_CONN_END;

	mos_flow_write_begin(f);
	f->state[side] = MOS_TCPS_CLOSED;
	mos_kill_point("record.closed");
	mos_flow_write_end(f);
	mos_event_flow(c, flow, side, MOS_CLI, MOS_HOOK_RCV, bits);
	mos_event_flow(c, flow, side, MOS_CLI, MOS_HOOK_SND, bits);
}

/* Free the record and all that this process keeps about it. */
static void remove_flow(struct mos_ctx *c, uint32_t flow)
{
	mos_sockets_detach_flow(&c->sockets, flow);
	mos_kill_point("end.detached");
	if (mos_flow_is_read(c, flow, MOS_CLI) || mos_flow_is_read(c, flow, MOS_SVR))
		mos_streams_free_flow(&c->streams, flow);
	mos_flow_end_options(c, flow);
	if (mos_unlikely(mos_remap_any(mos_flow_at(&c->flows, flow))))
		mos_remap_free_flow(&c->remap, flow);
	c->flow_flags[flow] = 0;
	if (mos_unlikely(c->stopped_flow == flow))
		c->stopped_flow = MOS_FLOW_NONE;
	mos_restore_not(c, flow);
	mos_flow_timer_cancel(&c->flow_timer, flow);
	mos_kill_point("end.freed");
	mos_flow_table_remove(&c->flows, flow);
}

/* A half that was never heard gets what lies behind holes before its end is told. */
static void drain_half(struct mos_ctx *c, uint32_t flow, int side)
{
	bool news = false;

	if (!mos_flow_is_read(c, flow, side))
		return;
	mos_flow_pass_hole(c, flow, side, MOS_CLI, true, &news);
	if (news && !(mos_flow_at(&c->flows, flow)->stream[side].flags & MOS_STREAM_OFF))
		mos_event_flow(c, flow, side, !side, MOS_HOOK_NULL, MOS_ON_CONN_NEW_DATA);
}

void mos_flow_end(struct mos_ctx *c, uint32_t flow, int first)
{
	struct mos_cur_pkt cur = c->cur;

	/* START comes before END, also for an adopted flow */
	if (mos_restore_pending(c, flow) && !mos_restore_flow(c, flow))
		return;
	c->cur.mbuf = NULL;
	drain_half(c, flow, first);
	drain_half(c, flow, !first);
	end_half(c, flow, first);
	end_half(c, flow, !first);
	c->cur = cur;
	remove_flow(c, flow);
	mos_counter_add(&c->shard->counters, MOS_CTR_W_FLOWS_ENDED, 1);
}

void mos_flow_forget(struct mos_ctx *c, uint32_t flow)
{
	remove_flow(c, flow);
	mos_counter_add(&c->shard->counters, MOS_CTR_W_FLOWS_FORGOTTEN, 1);
}

bool mos_flow_forget_if_stopped(struct mos_ctx *c, uint32_t flow)
{
	if (mos_likely(c->stopped_flow != flow))
		return false;
	c->stopped_flow = MOS_FLOW_NONE;
	if (!mos_sockets_unwatched(&c->sockets, flow) ||
	    mos_remap_any(mos_flow_at(&c->flows, flow))) /* its ends would lose step */
		return false;
	mos_flow_forget(c, flow);
	return true;
}

static bool in_time_wait(const struct mos_flow *f)
{
	bool cli = f->state[MOS_CLI] == MOS_TCPS_TIME_WAIT || f->state[MOS_CLI] == MOS_TCPS_CLOSED;
	bool svr = f->state[MOS_SVR] == MOS_TCPS_TIME_WAIT || f->state[MOS_SVR] == MOS_TCPS_CLOSED;

	return cli && svr;
}

/* The farthest an entry is armed ahead; a longer timeout is looked at several times. */
#define DEADLINE_MAX_MS (1u << 30)

/*
 * Whatever the configuration says: the ends of an edited flow lose step for good when it is
 * forgotten before they have done so. RFC 5382 REQ-5 says how long they may be idle; a last FIN may
 * be sent again for a minute.
 */
#define EDITED_TIMEOUT_MS 7440000
#define EDITED_TW_MS      60000

uint32_t mos_flow_tw_ms(const struct mos_ctx *c, const struct mos_flow *f)
{
	uint32_t tw_ms = c->root->settings.tcp_tw_ms;

	return mos_unlikely(mos_remap_edited(f)) && tw_ms < EDITED_TW_MS ? EDITED_TW_MS : tw_ms;
}

/* 0: it may be idle for ever. */
static uint32_t timeout_ms(const struct mos_ctx *c, const struct mos_flow *f)
{
	uint32_t ms = c->root->settings.tcp_timeout_ms;

	return mos_unlikely(mos_remap_edited(f)) && ms != 0 && ms < EDITED_TIMEOUT_MS
	               ? EDITED_TIMEOUT_MS
	               : ms;
}

uint32_t mos_flow_deadline_ms(const struct mos_ctx *c, const struct mos_flow *f)
{
	uint32_t ms = timeout_ms(c, f);

	if (in_time_wait(f))
		return f->last_seen_ms + mos_flow_tw_ms(c, f);
	if (ms == 0 || ms > DEADLINE_MAX_MS)
		return c->now_ms + DEADLINE_MAX_MS;
	return f->last_seen_ms + ms;
}

/* Which half's events come first when the flow ends by the clock. */
static int first_half(const struct mos_flow *f)
{
	if (in_time_wait(f) && f->state[MOS_SVR] == MOS_TCPS_TIME_WAIT)
		return MOS_SVR;
	return MOS_CLI;
}

static bool is_over(const struct mos_ctx *c, const struct mos_flow *f)
{
	if (c->root->settings.tcp_timeout_ms == 0 && !in_time_wait(f))
		return false;
	return (int32_t)(c->now_ms - mos_flow_deadline_ms(c, f)) >= 0;
}

bool mos_flow_end_if_over(struct mos_ctx *c, uint32_t flow)
{
	const struct mos_flow *f = mos_flow_at(&c->flows, flow);

	if (mos_likely(!is_over(c, f)))
		return false;
	mos_ledger_flow(&c->shard->ledger, flow);
	mos_counter_add(&c->shard->counters, MOS_CTR_W_EXPIRED, 1);
	mos_flow_end(c, flow, first_half(f));
	return true;
}

void mos_flow_expire(struct mos_ctx *c)
{
	struct mos_ledger *ledger = &c->shard->ledger;

	for (unsigned i = 0; i < EXPIRE_MAX; i++) {
		uint32_t flow = mos_flow_timer_expire(&c->flow_timer, c->now_ms);

		if (flow == MOS_FLOW_NONE)
			break;
		mos_ledger_stage(ledger, MOS_STAGE_AFTER);
		mos_kill_point("stage.expire");
		if (!mos_flow_end_if_over(c, flow))
			mos_flow_timer_arm(&c->flow_timer, flow,
			                   mos_flow_deadline_ms(c, mos_flow_at(&c->flows, flow)));
		mos_ledger_stage(ledger, MOS_STAGE_IDLE);
		mos_ledger_flow(ledger, MOS_FLOW_NONE); /* a later death is not this flow's */
	}
}
