#include "secondary/pipeline/pipeline.h"

#include <assert.h>

#include "secondary/event/event.h"

void mos_new_data_note(struct mos_ctx *c, uint32_t flow, int side)
{
	const unsigned known = (MOS_FF_NEW_DATA | MOS_FF_UNBUFFERED) << side;
	struct mos_new_data *n = &c->new_data;

	if ((c->flow_flags[flow] & known) != 0)
		return;
	assert(n->count < MOS_BURST_MAX); /* one of each packet at most */
	c->flow_flags[flow] |= (uint8_t)(MOS_FF_NEW_DATA << side);
	n->half[n->count].flow = flow;
	n->half[n->count].side = (uint8_t)side;
	n->count++;
}

/* The mark counts, not the list: the half may have been told at its end, and the record be new. */
static bool is_pending(const struct mos_ctx *c, uint32_t flow, int side)
{
	return c->flow_flags[flow] & MOS_FF_NEW_DATA << side;
}

static void tell(struct mos_ctx *c, uint32_t flow, int side)
{
	if (!is_pending(c, flow, side))
		return;
	c->flow_flags[flow] &= (uint8_t) ~(MOS_FF_NEW_DATA << side);
	if (!(c->flow_flags[flow] & MOS_FF_UNBUFFERED << side))
		mos_event_flow(c, flow, side, !side, MOS_HOOK_NULL, MOS_ON_CONN_NEW_DATA);
}

void mos_new_data_of_flow(struct mos_ctx *c, uint32_t flow, int first)
{
	tell(c, flow, first);
	tell(c, flow, !first);
}

void mos_new_data_raise(struct mos_ctx *c)
{
	struct mos_ledger *ledger = &c->shard->ledger;
	struct mos_new_data *n = &c->new_data;

	for (uint32_t i = 0; i < n->count; i++) {
		uint32_t flow = n->half[i].flow;

		if (!is_pending(c, flow, n->half[i].side))
			continue;
		mos_ledger_flow(ledger, flow);
		mos_ledger_stage(ledger, MOS_STAGE_AFTER);
		tell(c, flow, n->half[i].side);
		mos_flow_forget_if_stopped(c, flow);
		mos_ledger_stage(ledger, MOS_STAGE_IDLE);
		mos_ledger_flow(ledger, MOS_FLOW_NONE);
	}
	n->count = 0;
}
