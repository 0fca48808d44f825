/*
 * What the sockets of a flow want of it besides its streams: MOS_DROP_HIDES, MOS_LAST_PACKETS. It
 * belongs to the program: of a flow that was taken over, what the successor wants counts.
 *
 * Stack thread. Private to this folder; what the application sets is in pipeline.h.
 */
#ifndef MOS_SECONDARY_FLOW_OPTION_H
#define MOS_SECONDARY_FLOW_OPTION_H

#include "secondary/pipeline/pipeline.h"

/* The flow is new, or was taken over; it is attached. */
void mos_flow_begin_options(struct mos_ctx *c, uint32_t flow);

/* It ends. */
void mos_flow_end_options(struct mos_ctx *c, uint32_t flow);

/* Keep the packet in hand as the last of its side. */
void mos_flow_keep_packet(struct mos_ctx *c, uint32_t flow, int from);

/* The last packet of each side is kept. */
static inline bool mos_flow_keeps_packets(const struct mos_ctx *c, uint32_t flow)
{
	return c->flow_flags[flow] & MOS_FF_LAST;
}

/* The packet in hand is not seen by its receiver's side. */
static inline bool mos_flow_hides(const struct mos_ctx *c, uint32_t flow)
{
	return c->cur.meta->verdict == MOS_VERDICT_DROP &&
	       (c->flow_flags[flow] & MOS_FF_DROP_HIDES);
}

#endif
