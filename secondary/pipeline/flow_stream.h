/*
 * The streams of a flow, between the packets that fill them and the sockets that read them: who
 * reads which half, how much is kept for it, and what is told of bytes that are lost.
 *
 * A half that nobody reads costs nothing: no byte of it is looked at, and its offset follows
 * rcv_nxt from time to time only. Who reads is a bit per passive number, in the record for a
 * successor; whether anybody does is MOS_FF_READ here.
 *
 * Stack thread. Private to this folder; what the application asks for is in pipeline.h.
 */
#ifndef MOS_SECONDARY_FLOW_STREAM_H
#define MOS_SECONDARY_FLOW_STREAM_H

#include "secondary/pipeline/pipeline.h"

/* Somebody reads this half, and it has a buffer. */
static inline bool mos_flow_is_read(const struct mos_ctx *c, uint32_t flow, int side)
{
	return c->streams_read && (c->flow_flags[flow] & MOS_FF_READ << side);
}

/* More sockets (bit per passive number) read the half; nothing, if it has no buffer. */
void mos_flow_add_readers(struct mos_ctx *c, uint32_t flow, int side, uint8_t readers);

/* The flow is new, and attached: its sockets say how its streams are kept. */
void mos_flow_new_streams(struct mos_ctx *c, uint32_t flow);

/* It was adopted, and attached: only who reads is worked out anew, the rest is in the record. */
void mos_flow_adopt_streams(struct mos_ctx *c, uint32_t flow);

/*
 * Raise MOS_ON_ERROR for the sockets in socks (bit per passive number); mtcp_stream_gap() answers
 * with `what` meanwhile. from: whose packet it is, or MOS_CLI: the path order.
 */
void mos_flow_tell_error(struct mos_ctx *c, uint32_t flow, const struct mos_stream_told *what,
                         int from, uint8_t socks);

/* A flow with MOS_FLOW_TORN: tell what its readers have lost. It is an ordinary flow then. */
void mos_flow_tell_restart(struct mos_ctx *c, uint32_t flow);

/* Behind the packets of a burst: tell the flows that lost bytes to the need of others. */
void mos_flow_tell_evicted(struct mos_ctx *c);

/*
 * A monitor may hear one side only: then no ACK proves that a hole is final, and the stream would
 * stand in front of it for ever. pass_hole: when so much has come behind it that the sender cannot
 * be waiting for an answer any more, the stream goes on behind it; behind all holes, when the flow
 * is about to end (at_end). ERROR MISSED, as if it had been acknowledged; from: whose packet it is.
 * Returns MOS_TRACK_* bits (STATE); *news: held bytes became in order.
 */
unsigned mos_flow_pass_hole(struct mos_ctx *c, uint32_t flow, int side, int from, bool at_end,
                            bool *news);

/*
 * The work on the flow is done, and the ledger still names it: what is unread of the packet in hand
 * is stored, what all have read is given back.
 */
void mos_flow_settle(struct mos_ctx *c, uint32_t flow);

#endif
