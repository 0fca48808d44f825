#include "secondary/pipeline/pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mos_ext.h"
#include "secondary/event/event.h"
#include "secondary/flow_area/flow_area.h"
#include "secondary/pipeline/flow_option.h"
#include "secondary/pipeline/flow_stream.h"
#include "shared/kill_point/kill_point.h"

/* Flows restored per round: a round stays short, and a million flows take some thousand rounds. */
#define RESTORE_PER_ROUND 256

/* Records looked at per round, whatever they are. */
#define LOOK_PER_ROUND 2048

/* So far ahead a record is fetched: two lines, which tell what it is. */
#define FETCH_AHEAD 8

int mos_restore_prepare(struct mos_ctx *c)
{
	uint32_t max_flows = c->root->settings.max_flows;

	c->to_restore = malloc(max_flows);
	if (c->to_restore == NULL)
		return -ENOMEM;
	memset(c->to_restore, 1, max_flows);
	return 0;
}

static void end_restoring(struct mos_ctx *c)
{
	free(c->to_restore);
	c->to_restore = NULL;
}

void mos_restore_begin(struct mos_ctx *c)
{
	c->restore_next = 0;
	c->restore_end = c->flows.fresh;
	mos_counter_add(&c->shard->counters, MOS_CTR_W_FLOWS_ADOPTED, c->flows.count);
	if (c->flows.count == 0)
		end_restoring(c);
}

/* The record is in use and sound. From now on the clock may end the flow. */
static void take_over(struct mos_ctx *c, uint32_t flow)
{
	struct mos_flow *f = mos_flow_at(&c->flows, flow);

	mos_flow_write_begin(f);
	mos_tcp_missed(f); /* packets may have passed unmonitored */
	mos_kill_point("restore.missed");
	mos_flow_write_end(f);
	mos_flow_timer_arm(&c->flow_timer, flow, mos_flow_deadline_ms(c, f));
}

/* What the predecessor's uctx led to in the flow's area, they lead to again. */
static void restore_uctx(struct mos_ctx *c, uint32_t flow)
{
	void *uctx[MOS_SOCKETS_MAX];

	if (mos_flow_area_find_uctx(c->shard, flow, uctx))
		mos_sockets_set_uctx(&c->sockets, flow, uctx);
}

static void raise_for(struct mos_ctx *c, uint32_t flow, int side, enum mos_hook hook,
                      uint32_t event, uint8_t socks)
{
	if (socks != 0 && mos_event_wanted(c, hook, event))
		mos_event_flow_some(c, flow, side, MOS_CLI, hook, event, socks);
}

/* The sockets that know of CONN_RESTORE get that; the others what they know. */
static void tell_sockets(struct mos_ctx *c, uint32_t flow)
{
	uint8_t socks = 0;

	if (mos_event_wanted(c, MOS_HOOK_NULL, MOS_ON_CONN_RESTORE))
		socks = mos_sockets_await_restore(&c->sockets, flow);
	raise_for(c, flow, MOS_SIDE_BOTH, MOS_HOOK_NULL, MOS_ON_CONN_RESTORE, socks);
	raise_for(c, flow, MOS_CLI, MOS_HOOK_SND, MOS_ON_CONN_START, (uint8_t)~socks);
	raise_for(c, flow, MOS_SVR, MOS_HOOK_RCV, MOS_ON_CONN_START, (uint8_t)~socks);
}

bool mos_restore_flow(struct mos_ctx *c, uint32_t flow)
{
	const struct mos_flow *f = mos_flow_at(&c->flows, flow);
	struct mos_cur_pkt cur = c->cur;

	c->to_restore[flow] = 0;
	if (!mos_streams_check_flow(&c->streams, flow))
		return false; /* it was no flow */
	take_over(c, flow);
	/* Without sockets, no callback ever sees the flow again: not even its start or its end. */
	if (mos_unlikely(f->strikes >= MOS_STRIKES_MAX)) {
		mos_flow_adopt_streams(c, flow); /* nobody reads them */
		return true;
	}
	if (mos_sockets_attach_flow(&c->sockets, flow, mos_event_accepting_flow(c, f)) == 0) {
		mos_streams_free_flow(&c->streams, flow);
		mos_flow_forget(c, flow); /* this program does not want it */
		return false;
	}
	mos_flow_adopt_streams(c, flow);
	mos_flow_begin_options(c, flow);
	restore_uctx(c, flow);
	mos_kill_point("restore.attached");
	c->cur.mbuf = NULL; /* the packet in hand is not the one that started the flow */
	tell_sockets(c, flow);
	if (mos_unlikely(f->flags & MOS_FLOW_TORN))
		mos_flow_tell_restart(c, flow);
	mos_kill_point("restore.told");
	mos_flow_settle(c, flow);
	c->cur = cur;
	return !mos_flow_forget_if_stopped(c, flow);
}

static void fetch(const struct mos_ctx *c, uint32_t flow)
{
	const struct mos_flow *f;

	if (mos_unlikely(flow >= c->restore_end))
		return;
	f = mos_flow_at(&c->flows, flow);
	mos_prefetch(f);
	mos_prefetch(&f->half);
}

void mos_restore_step(struct mos_ctx *c)
{
	struct mos_ledger *ledger = &c->shard->ledger;
	unsigned restored = 0;

	if (mos_likely(c->to_restore == NULL))
		return;
	for (unsigned looked = 0; looked < LOOK_PER_ROUND && restored < RESTORE_PER_ROUND;
	     looked++) {
		uint32_t flow = c->restore_next++;

		if (flow >= c->restore_end) {
			end_restoring(c);
			return;
		}
		fetch(c, flow + FETCH_AHEAD);
		if (!c->to_restore[flow])
			continue;
		if (!(mos_flow_at(&c->flows, flow)->flags & MOS_FLOW_IN_USE)) {
			mos_flow_table_check(&c->flows, flow);
			c->to_restore[flow] = 0;
			continue;
		}
		mos_ledger_flow(ledger, flow);
		mos_ledger_stage(ledger, MOS_STAGE_AFTER);
		mos_kill_point("restore.step");
		if (mos_restore_flow(c, flow))
			mos_flow_end_if_over(c, flow); /* its time was over meanwhile */
		mos_ledger_stage(ledger, MOS_STAGE_IDLE);
		mos_ledger_flow(ledger, MOS_FLOW_NONE); /* a later death is not this flow's */
		restored++;
	}
}

void mos_restore_all(struct mos_ctx *c)
{
	struct mos_ledger *ledger = &c->shard->ledger;
	uint32_t stage = ledger->stage;

	mos_restore_step(c);
	while (c->to_restore != NULL) {
		mos_lease_beat(&c->shard->lease); /* a long walk is no stall */
		mos_restore_step(c);
	}
	mos_ledger_stage(ledger, stage);
}
