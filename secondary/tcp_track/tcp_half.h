/*
 * What the two updates of tcp_track share: the one place that changes a state, what a receiver
 * would accept, and the arithmetic of a half. Private to this folder.
 */
#ifndef MOS_SECONDARY_TCP_HALF_H
#define MOS_SECONDARY_TCP_HALF_H

#include "secondary/tcp_track/tcp_track.h"

/*
 * How far from where the monitor stands a number may lie and still be believed, in bytes. A worker
 * that was away while its packets were forwarded finds both ends further on; the largest window
 * TCP can offer is one bound of what an end may have sent meanwhile.
 */
#define MOS_SEQ_PLAUSIBLE (1u << 30)

/*
 * mos_half.flags, private here: its irs is a guess, since the SYN/ACK it must have received was
 * missed. Should the SYN/ACK come after all, it counts, and whoever made us guess was lying.
 */
enum { MOS_HALF_GUESSED = 1 << 7 };
static_assert((MOS_HALF_GUESSED & (MOS_HALF_ISS | MOS_HALF_FIN | MOS_HALF_WSCALE | MOS_HALF_RCVD |
                                   MOS_HALF_WND | MOS_HALF_TS)) == 0,
              "a bit of its own");

/* Not farther from base than MOS_SEQ_PLAUSIBLE, either way. */
static inline bool mos_seq_plausible(uint32_t seq, uint32_t base)
{
	return seq - base + MOS_SEQ_PLAUSIBLE <= 2 * MOS_SEQ_PLAUSIBLE;
}

/* Behind the last payload byte; also the number of a FIN. A SYN comes before the payload. */
static inline uint32_t mos_seg_end(const struct mos_tcp_seg *seg)
{
	return seg->seq + !!(seg->flags & MOS_TCP_SYN) + seg->payload_len;
}

/* The half has sent what is acknowledged here: iss < ack <= snd_nxt. */
static inline bool mos_half_acked(const struct mos_half *h, uint32_t ack)
{
	return (h->flags & MOS_HALF_ISS) && mos_seq_gt(ack, h->iss) && mos_seq_leq(ack, h->snd_nxt);
}

/* Change a state. Nothing else does. Returns MOS_TRACK_STATE, or 0 when it was that already. */
static inline unsigned mos_tcp_enter(struct mos_flow *f, int side, enum mos_tcps state)
{
	if (f->state[side] == state)
		return 0;
	f->state[side] = state;
	return MOS_TRACK_STATE;
}

/*
 * Would the half `to` act on the segment? Both updates ask, so that neither half changes when it
 * would not. The answer is the same before and after mos_tcp_sent of the segment.
 */
bool mos_tcp_accepts_rst(const struct mos_flow *f, int to, const struct mos_tcp_seg *seg);
bool mos_tcp_accepts_syn(const struct mos_flow *f, int to, const struct mos_tcp_seg *seg);

/*
 * Older than TS.Recent of the half `to`, which is ts_recent - ts_lag of its peer. Timestamps are
 * compared as sequence numbers are.
 */
static inline bool mos_tcp_ts_is_old(const struct mos_flow *f, int to,
                                     const struct mos_tcp_seg *seg)
{
	return seg->has_ts && f->ts_lag[!to] != MOS_TS_LAG_UNKNOWN &&
	       mos_seq_lt(seg->ts_val + 1, f->half[!to].ts_recent - f->ts_lag[!to]);
}

/* The same of segments without RST and SYN: what is merely out of the window is not refused. */
static inline bool mos_tcp_accepts_plain(const struct mos_flow *f, int to,
                                         const struct mos_tcp_seg *seg)
{
	const struct mos_half *h = &f->half[to];

	if (!(seg->flags & MOS_TCP_ACK))
		return false; /* RFC 9293 3.10.7.4, fifth */
	if ((h->flags & MOS_HALF_RCVD) && !mos_seq_plausible(seg->seq, h->rcv_nxt))
		return false;
	if (mos_tcp_ts_is_old(f, to, seg))
		return false;
	if (mos_likely(f->state[to] != MOS_TCPS_SYN_RCVD))
		return true;
	if (!mos_seq_gt(seg->seq, h->irs))
		return false;
	return f->state[!to] == MOS_TCPS_SYN_SENT || !(h->flags & MOS_HALF_ISS) ||
	       mos_half_acked(h, seg->ack);
}

/* What an update answers when the half `to` does not accept such a segment: BOGUS, or nothing. */
unsigned mos_tcp_refuse_plain(const struct mos_flow *f, int to, const struct mos_tcp_seg *seg);

/* The half received a SYN with this number. */
void mos_half_open_receive(struct mos_half *h, uint32_t irs);

/* The half has taken its peer's FIN in order. Returns MOS_TRACK_* bits. */
unsigned mos_tcp_peer_fin(struct mos_flow *f, int side);

#endif
