/*
 * Emulation of both ends of a TCP connection, from the packets that pass by.
 *
 * A packet first updates the half that sent it as if it had just transmitted it (mos_tcp_sent),
 * then the half that receives it as if it had just arrived (mos_tcp_received). Between the two the
 * caller runs the SND hook, after the second the RCV hook. Each update looks at both halves, so
 * call both for every segment, also when nobody listens to the events of one side.
 *
 *   a half in    that sent            that received
 *   LISTEN       SYN > SYN_SENT       SYN > SYN_RCVD
 *   SYN_SENT                          SYN and ACK of its own > ESTABLISHED, SYN > SYN_RCVD
 *   SYN_RCVD     FIN > FIN_WAIT_1     ACK of its SYN > ESTABLISHED
 *   ESTABLISHED  FIN > FIN_WAIT_1     FIN in order > CLOSE_WAIT
 *   FIN_WAIT_1                        ACK of its FIN > FIN_WAIT_2, FIN in order > CLOSING
 *   FIN_WAIT_2                        FIN in order > TIME_WAIT
 *   CLOSE_WAIT   FIN with an ACK of the peer's > LAST_ACK, without (they crossed) > CLOSING
 *   CLOSING                           ACK of its FIN > TIME_WAIT
 *   LAST_ACK                          ACK of its FIN > CLOSED
 *   any          RST > CLOSED         RST > CLOSED
 *
 * What a real receiver would refuse changes neither half and is MOS_TRACK_BOGUS: else anybody could
 * make the monitor believe what the ends do not (RFC 5961). Refused are
 *   RST    in SYN_SENT without an ACK of its SYN, else farther than a window from rcv_nxt;
 *   SYN    with an ACK number its receiver did not send, or another number than the first SYN;
 *   others without ACK flag; with an ACK number that does not complete the handshake at a half in
 *          SYN_RCVD; numbers more than 1 GB off; timestamps older than its receiver's TS.Recent.
 *
 * No buffer is kept here. rcv_nxt moves with in-order payload, over what the caller says came
 * before it (mos_tcp_seg.follows), and with the receiver's own ACKs: they prove delivery of what
 * the monitor did not see in order. So a lost, reordered or unmonitored
 * frame delays a transition but does not lose it:
 *   - a FIN that comes before missing data is remembered by its number;
 *   - a missed SYN/ACK is inferred from the client's next ACK: the server's iss is then ack - 1, if
 *     the server was not heard meanwhile, its window scale the client's. If the SYN/ACK comes
 *     after all, it counts: somebody forged that ACK;
 *   - a missed handshake ACK is made up by any later one;
 *   - an ACK beyond snd_nxt tells of segments that the monitor missed, and raises it.
 * Not made up are a FIN of which no copy was seen, or that was refused since its ACK number lay
 * beyond what was seen in the handshake: its sender stays where it was until the flow times out.
 * But where a SYN/ACK or an ACK puts a guess right, rcv_nxt and snd_nxt never move backwards.
 *
 * Timestamps (RFC 7323 5) count when both SYNs carried one. TS.Recent of a half is what the half
 * says itself: the TSecr of its latest segment (4.3), if its peer ever sent that. To compute it
 * from the segments that pass by, as an end does, would be earlier by a round trip and wrong
 * whenever one of them is lost behind the monitor or made to die there: what its sender sent
 * before, or sends next, would be refused here and nowhere else. So what an end takes is never
 * refused. The price is that a segment is let through that is older than one its receiver got but
 * did not answer yet.
 *   - One tick is no difference, a TSecr of 0 tells nothing, and what was echoed long ago
 *     (MOS_TS_OUTDATED_MS) or is 65535 ticks behind the newest timestamp does not refuse.
 *   - A segment without timestamp is taken: 3.2 lets an end drop it, but ends do not, since there
 *     are peers that leave timestamps out after the SYN.
 *   - An ACK that comes late and acknowledges nothing new changes nothing either, but is not BOGUS:
 *     ends may count it as a duplicate ACK.
 *
 * Decisions: a SYN's payload counts from seq + 1 and is received when the SYN/ACK acknowledges it.
 * A FIN flag on a SYN is ignored. A keep-alive probe without a byte raises nothing, one with a byte
 * is a retransmission, from which it cannot be told. One byte against a closed window raises
 * nothing and moves rcv_nxt only when its receiver acknowledges it. RST closes TIME_WAIT too.
 *
 * Stack thread of the worker that holds the flow. Pure: knows neither mbufs nor clocks nor shared
 * memory; the caller brackets calls with mos_flow_write_begin/end.
 */
#ifndef MOS_SECONDARY_TCP_TRACK_H
#define MOS_SECONDARY_TCP_TRACK_H

#include "shared/flow_table/flow.h"
#include "shared/packet/packet.h"

/* States of a half: the numbers of enum tcpstate in the public header. */
enum mos_tcps {
	MOS_TCPS_CLOSED,
	MOS_TCPS_LISTEN,
	MOS_TCPS_SYN_SENT,
	MOS_TCPS_SYN_RCVD,
	MOS_TCPS_ESTABLISHED,
	MOS_TCPS_FIN_WAIT_1,
	MOS_TCPS_FIN_WAIT_2,
	MOS_TCPS_CLOSE_WAIT,
	MOS_TCPS_CLOSING,
	MOS_TCPS_LAST_ACK,
	MOS_TCPS_TIME_WAIT,
};

/* Segment flags, as in byte 13 of the TCP header. */
enum {
	MOS_TCP_FIN = 0x01,
	MOS_TCP_SYN = 0x02,
	MOS_TCP_RST = 0x04,
	MOS_TCP_PSH = 0x08,
	MOS_TCP_ACK = 0x10,
};

/*
 * A segment in host order. opts is only looked at on SYN segments and may be NULL otherwise; the
 * timestamps only on segments with neither SYN nor RST, and are set by mos_tcp_read_ts.
 */
struct mos_tcp_seg {
	uint32_t seq;
	uint32_t ack;         /* valid with MOS_TCP_ACK */
	uint32_t payload_len; /* bytes */
	uint32_t follows;     /* bytes behind its payload that came before it, without a hole */
	uint16_t wnd;         /* as in the header, not scaled */
	uint8_t flags;
	bool has_ts;
	uint32_t ts_val, ts_ecr;
	const struct mos_tcp_opts *opts;
};

/*
 * What an update did: bits to raise at the hook that follows it. mos_tcp_sent returns START, STATE
 * and BOGUS only.
 */
enum {
	MOS_TRACK_START = 1 << 0,  /* CONN_START */
	MOS_TRACK_STATE = 1 << 1,  /* TCP_STATE_CHANGE of the half that was updated */
	MOS_TRACK_REXMIT = 1 << 2, /* SYN, SYN/ACK, FIN or data below rcv_nxt, wholly or partly */
	MOS_TRACK_DATA = 1 << 3,   /* in-order bytes became available to the receiver */
	MOS_TRACK_BOGUS = 1 << 4,  /* its receiver would not accept it: nothing changed */
};

/* Set up a zeroed record for a first SYN: both halves in LISTEN. */
void mos_tcp_open(struct mos_flow *f);

/* Update the half `side` that sent the segment. Returns MOS_TRACK_* bits. */
unsigned mos_tcp_sent(struct mos_flow *f, int side, const struct mos_tcp_seg *seg);

/* Update the half `side` that receives the segment. Returns MOS_TRACK_* bits. */
unsigned mos_tcp_received(struct mos_flow *f, int side, const struct mos_tcp_seg *seg);

/* Both halves CLOSED, or in TIME_WAIT with tw_interval_ms == 0: the record can go. */
bool mos_tcp_finished(const struct mos_flow *f, uint32_t tw_interval_ms);

/*
 * True when a SYN without ACK that `side` sends on the key of this flow starts a new connection
 * (D-09): a half is CLOSED; or the SYN is not the first one again, and a half is in TIME_WAIT, or
 * `side` got no answer yet, or the number lies beyond its FIN or outside its peer's window. Always
 * false for other segments. Changes nothing.
 */
bool mos_tcp_syn_is_new(const struct mos_flow *f, int side, const struct mos_tcp_seg *seg);

/* Both SYNs carried a timestamp: those of other segments are to be read. */
static inline bool mos_tcp_uses_ts(const struct mos_flow *f)
{
	return f->half[MOS_CLI].flags & f->half[MOS_SVR].flags & MOS_HALF_TS;
}

/* Read the timestamps of a segment. opt, len: as for mos_tcp_opts_parse. */
void mos_tcp_read_ts(struct mos_tcp_seg *seg, const uint8_t *opt, uint32_t len);

/*
 * Idle time after which a timestamp may be older and yet newer, since its clock wrapped. RFC 7323
 * 5.5 says 24 days; ends that may meet clocks of a microsecond take less than 36 minutes.
 */
#define MOS_TS_OUTDATED_MS (35u * 60 * 1000)

/* No packet of the flow came for that long: no timestamp is refused before an end is heard. */
void mos_tcp_ts_outdated(struct mos_flow *f);

/* Would the half `side` act on the segment? Not of SYN and RST. Changes nothing. */
bool mos_tcp_hears(const struct mos_flow *f, int side, const struct mos_tcp_seg *seg);

/*
 * Asked between the two updates, of the half `side` that is about to receive the segment. Resent:
 * some of its payload comes again; mos_tcp_received will answer MOS_TRACK_REXMIT.
 */
static inline bool mos_tcp_resent(const struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	return seg->payload_len > 0 && mos_seq_lt(seg->seq, f->half[side].rcv_nxt) &&
	       mos_tcp_hears(f, side, seg);
}

/*
 * Beyond the window: its payload ends behind what the receiver can take. Said only when the window
 * is known: neither guessed nor from before the handshake was done, nor from before a time in which
 * the monitor was away (mos_tcp_missed). The largest window of the half counts, from rcv_nxt: a
 * sender may use an edge that an older ACK gave it (RFC 9293 3.8.6 forbids to take it back, and
 * some do), or one from an ACK that came another way. One byte may be a window probe. Each such
 * segment may also mean that the monitor misses packets: after one the window counts as unknown
 * until the half is heard again, so that nobody is flooded.
 */
static inline bool mos_tcp_beyond_window(const struct mos_flow *f, int side,
                                         const struct mos_tcp_seg *seg)
{
	const struct mos_half *h = &f->half[side];

	return seg->payload_len > 1 && (h->flags & MOS_HALF_WND) &&
	       mos_seq_gt(seg->seq + seg->payload_len, h->rcv_nxt + f->wnd_max[side]) &&
	       f->state[side] >= MOS_TCPS_ESTABLISHED && f->state[side] <= MOS_TCPS_FIN_WAIT_2 &&
	       mos_tcp_hears(f, side, seg);
}

/*
 * The half is not heard: neither a window of it is known, nor will an ACK of it tell what it got. A
 * monitor may see one direction only, or one from some time on. While it is so, nothing proves that
 * a hole will not be filled any more; the caller decides when it has waited long enough.
 */
static inline bool mos_tcp_unheard(const struct mos_flow *f, int side)
{
	return !(f->half[side].flags & MOS_HALF_WND);
}

/*
 * Give up waiting for what the half `side` has not received below seq: rcv_nxt moves there, and
 * over a FIN that was remembered at that place. When the flow ends, also by a RST, no state changes
 * any more, and what came with a SYN that was refused is nobody's. Returns MOS_TRACK_* bits
 * (STATE).
 */
unsigned mos_tcp_skip(struct mos_flow *f, int side, uint32_t seq, bool ends);

/*
 * Asked between the two updates: do the bytes of the payload count as received by the half `side`,
 * at once or once what is missing before them has come? Not of what it refuses. Those of a SYN and
 * of a window probe wait for the half's own ACK.
 */
bool mos_tcp_brings_data(const struct mos_flow *f, int side, const struct mos_tcp_seg *seg);

/*
 * Asked between the two updates, of a segment that brings data: does its payload reach over rcv_nxt
 * of the half `side`, so that it moves over it and over seg->follows? Else that is not looked at.
 */
bool mos_tcp_in_order(const struct mos_flow *f, int side, const struct mos_tcp_seg *seg);

/*
 * Behind mos_tcp_sent: the payload of the segment was edited, so that it does not end at old_end,
 * but at `end`; fin: its FIN is there then.
 */
void mos_tcp_resized(struct mos_flow *f, int side, uint32_t old_end, uint32_t end, bool fin);

/*
 * Behind mos_tcp_sent: the segment does not go on to its receiver. A FIN that it carried does not
 * stand: else the receiver would pass one that it never got.
 */
void mos_tcp_fin_withheld(struct mos_flow *f, int side);

/* Packets of the flow may have passed unseen, since nobody held the shard. */
void mos_tcp_missed(struct mos_flow *f);

/* The name of a state ("ESTABLISHED"), "?" for a number out of range. */
const char *mos_tcp_state_name(int state);

#endif
