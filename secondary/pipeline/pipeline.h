/*
 * What happens to a packet in a worker (specification section 4.1).
 *
 *   pipeline.c      stack clock -> raw sockets -> TCP?
 *   segment.c       checksum -> its flow -> sender half -> SND hook -> data that was missed: ERROR,
 *                   sent again: REXMIT, beyond the window, other than before, pushing out what is
 *                   unread: ERROR -> receiver half -> data without room: ERROR -> RCV hook
 *                   -> NEW_DATA -> what is unread is stored -> end of the flow
 *   segment_find.c  flows that are looked up, made, attached; a segment without one is an orphan
 *   segment_edit.c  a segment that a callback has changed
 *   segment_remap.c  a segment whose stream changes its length on the way
 *   segment_out.c   the second key of a flow that is translated, and what is dropped for it
 *   segment_stream.c  what a segment does to the two streams of its flow
 *   flow_stream.c   who reads the streams of a flow, how they are kept, what is told of losses
 *   flow_option.c   what else its sockets want of it: dropped packets hidden, last ones kept
 *   flow_end.c      flows that end, by a packet or by the clock, or are forgotten
 *   restore.c       flows of a predecessor: CONN_RESTORE, or CONN_START once more
 *
 * A burst goes through in stages, so that the memory of one packet arrives while another is worked
 * on: meta data, headers and index bucket, flow record, work. The ledger is told before each step
 * what is in hand.
 *
 * Stack thread only. The verdict stays in the packet's meta data; the caller hands the mbuf back.
 */
#ifndef MOS_SECONDARY_PIPELINE_H
#define MOS_SECONDARY_PIPELINE_H

#include "secondary/worker.h"
#include "secondary/tcp_track/tcp_track.h"

/* Work on n packets (1..MOS_BURST_MAX); the ledger has begun with this burst. */
void mos_pipeline_burst(struct mos_ctx *c, struct rte_mbuf *const *pkts, uint32_t n);

/* One TCP segment of meta->pkt_class MOS_PKT_TCP: everything from flow lookup on. */
void mos_segment(struct mos_ctx *c, struct rte_mbuf *m, struct mos_pkt_meta *meta);

/* ---- streams of a flow, as the application asks for them ---- */

/*
 * The socket with passive number k reads this half, from now on and of flows to come: before each
 * mos_stream_read and _readv. False: the half has no buffer (MOS_CLIBUF = 0).
 */
bool mos_flow_read_by(struct mos_ctx *c, uint32_t flow, int side, unsigned k);

/* It does not read these sides any more (bit per side): MOS_STOP_MON, or it was closed. */
void mos_flow_not_read_by(struct mos_ctx *c, uint32_t flow, uint8_t sides, unsigned k);

/*
 * Keep so many bytes of unread data of a half from now on. 0: none, for no socket, and no NEW_DATA
 * nor ERROR of it is raised.
 */
void mos_flow_set_buffer(struct mos_ctx *c, uint32_t flow, int side, uint32_t bytes);

/* MOS_STREAM_LAST or MOS_STREAM_KEEP, for all sockets of the flow. */
void mos_flow_set_stream_flag(struct mos_ctx *c, uint32_t flow, int side, uint8_t flag, bool on);

/* ---- options of a flow ---- */

/* MOS_DROP_HIDES, for all its sockets, from the packet in hand on. */
void mos_flow_set_drop_hides(struct mos_ctx *c, uint32_t flow, bool on);

/* MOS_LAST_PACKETS, for the socket with passive number k. 0 or -ENOMEM. */
int mos_flow_set_last_packets(struct mos_ctx *c, uint32_t flow, unsigned k, bool on);

/* The flow is worked on, so mos_stream_settle() follows: what reading wants to know. */
static inline bool mos_flow_in_hand(const struct mos_ctx *c, uint32_t flow)
{
	return c->shard->ledger.flow == flow;
}

/* ---- lengths that are edited: MOS_SEQ_REMAP ---- */

/* What `from` sends is edited, from the first byte on that has not gone by. */
void mos_flow_edit_lengths(struct mos_ctx *c, uint32_t flow, int from);

/*
 * The payload at hand is about to lose bytes at offset `at`, or to get some. 0, also where lengths
 * are not edited, or -errno: -EACCES (not at MOS_HK_SND), and as mos_remap_note_*.
 */
int mos_flow_note_edit(struct mos_ctx *c, uint32_t at, uint32_t removed, uint32_t inserted);

/*
 * A number of a packet that `from` has sent, as its receiver counts. in_hand: it is the packet at
 * hand, which may have been translated already; others are kept as they were sent.
 */
uint32_t mos_flow_canonical(struct mos_ctx *c, uint32_t flow, int from, bool in_hand, uint32_t seq);

/* ---- flows that come and go ---- */

/*
 * End a flow: NEW_DATA of what lies behind holes; for each half, beginning with `first`,
 * TCP_STATE_CHANGE and CONN_END at RCV, then at SND; then the record is free. `first` is the
 * receiver of the packet that ended it; by the clock, the half that waited in TIME_WAIT, else the
 * client's (specification section 4.2). No packet is current meanwhile.
 */
void mos_flow_end(struct mos_ctx *c, uint32_t flow, int first);

/* Free the record without any event: nobody watches the flow. Not while its packet is worked on. */
void mos_flow_forget(struct mos_ctx *c, uint32_t flow);

/*
 * When the work on a flow is done: forget it if its callbacks have stopped it (MOS_STOP_MON) for
 * all sockets and sides. Returns whether it is gone.
 */
bool mos_flow_forget_if_stopped(struct mos_ctx *c, uint32_t flow);

/*
 * End a flow whose time is over by the stack clock. Returns whether it was. Also asked for each
 * segment: with clock = packet the clock moves within a burst, and the timer looks only after it.
 */
bool mos_flow_end_if_over(struct mos_ctx *c, uint32_t flow);

/* Look at flows whose timer entry came due: end them or arm them again. Bounded work per call. */
void mos_flow_expire(struct mos_ctx *c);

/* How long the flow stays in TIME_WAIT. */
uint32_t mos_flow_tw_ms(const struct mos_ctx *c, const struct mos_flow *f);

/* When the record should be looked at next, from its state and last packet. */
uint32_t mos_flow_deadline_ms(const struct mos_ctx *c, const struct mos_flow *f);

/*
 * Adoption. prepare: memory, before the lease; 0 or -ENOMEM. begin: all records that were in use
 * since the table was formatted may be flows to be restored. step: restore some of them, called
 * once per round. flow: this one now, before its packet is looked at. all: all that are left, in one
 * go; only while nothing is in hand, neither packet nor flow.
 *
 * begin takes the same time whatever the table holds. Until a flow is restored, nothing but the key
 * of its record is believed, no timer runs for it, and it is in no callback. A round looks at 2048
 * records and restores 256 flows at most, so a million flows take 4000 rounds.
 *
 * A flow is attached to the passive sockets whose syn filter accepts a SYN made up from its record,
 * gets back the uctx that led into its area, and CONN_RESTORE is raised on the sockets that have a
 * callback for it, then CONN_START on the others; one that no socket accepts is forgotten.
 * mos_restore_flow returns whether the flow is still there.
 */
int mos_restore_prepare(struct mos_ctx *c);
void mos_restore_begin(struct mos_ctx *c);
void mos_restore_step(struct mos_ctx *c);
void mos_restore_all(struct mos_ctx *c);
bool mos_restore_flow(struct mos_ctx *c, uint32_t flow);

/* The flow was adopted, and no socket has been told of it yet. */
static inline bool mos_restore_pending(const struct mos_ctx *c, uint32_t flow)
{
	return mos_unlikely(c->to_restore != NULL) && c->to_restore[flow];
}

/* The record is a new flow's, or free. */
static inline void mos_restore_not(struct mos_ctx *c, uint32_t flow)
{
	if (mos_unlikely(c->to_restore != NULL))
		c->to_restore[flow] = 0;
}

#endif
