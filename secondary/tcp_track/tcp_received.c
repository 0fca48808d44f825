#include "secondary/tcp_track/tcp_half.h"

/*
 * One byte against a closed window is a probe, which its receiver may refuse; if it keeps it, its
 * own ACK tells. More than that means that the monitor missed the window's opening.
 */
static bool is_window_probe(const struct mos_half *h, const struct mos_tcp_seg *seg)
{
	return h->rcv_wnd == 0 && seg->payload_len == 1 && !(seg->flags & MOS_TCP_FIN);
}

static bool takes_data(const struct mos_flow *f, int side)
{
	switch (f->state[side]) {
	case MOS_TCPS_ESTABLISHED:
	case MOS_TCPS_FIN_WAIT_1:
	case MOS_TCPS_FIN_WAIT_2: return true;
	default: return false;
	}
}

/* Payload below rcv_nxt, also a keep-alive probe's byte; or the FIN that the half has passed. */
static bool seen_before(const struct mos_half *h, const struct mos_half *from,
                        const struct mos_tcp_seg *seg)
{
	bool old_fin = (seg->flags & MOS_TCP_FIN) && (from->flags & MOS_HALF_FIN) &&
	               mos_seg_end(seg) == from->fin_seq && mos_seq_gt(h->rcv_nxt, from->fin_seq);

	return old_fin || (seg->payload_len > 0 && mos_seq_lt(seg->seq, h->rcv_nxt) &&
	                   mos_seq_plausible(seg->seq, h->rcv_nxt));
}

bool mos_tcp_in_order(const struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	const struct mos_half *h = &f->half[side];
	uint32_t end = mos_seg_end(seg);

	return seg->payload_len > 0 && mos_seq_leq(end - seg->payload_len, h->rcv_nxt) &&
	       mos_seq_gt(end, h->rcv_nxt) && !is_window_probe(h, seg);
}

/* Move rcv_nxt over in-order payload. Data beyond a FIN proves that the FIN was forged. */
static unsigned take_data(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	struct mos_half *h = &f->half[side], *from = &f->half[!side];

	if (!takes_data(f, side) || !mos_tcp_in_order(f, side, seg))
		return 0;
	h->rcv_nxt = mos_seg_end(seg) + seg->follows;
	if ((from->flags & MOS_HALF_FIN) && mos_seq_gt(h->rcv_nxt, from->fin_seq))
		from->flags &= (uint8_t)~MOS_HALF_FIN;
	return MOS_TRACK_DATA;
}

/* Data, then the FIN: in this segment, or remembered from one that came before missing data. */
static unsigned take_payload(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	struct mos_half *h = &f->half[side];
	const struct mos_half *from = &f->half[!side];
	unsigned bits = take_data(f, side, seg);

	if ((from->flags & MOS_HALF_FIN) && h->rcv_nxt == from->fin_seq && takes_data(f, side) &&
	    (bits != 0 || (seg->flags & MOS_TCP_FIN))) {
		h->rcv_nxt++;
		bits |= mos_tcp_peer_fin(f, side);
	}
	return bits;
}

unsigned mos_tcp_skip(struct mos_flow *f, int side, uint32_t seq, bool ends)
{
	struct mos_half *h = &f->half[side];
	const struct mos_half *from = &f->half[!side];

	if (!(h->flags & MOS_HALF_RCVD) || mos_seq_leq(seq, h->rcv_nxt) ||
	    !mos_seq_plausible(seq, h->rcv_nxt))
		return 0;
	if (!takes_data(f, side) && !(ends && f->state[side] == MOS_TCPS_CLOSED &&
	                              (from->flags & MOS_HALF_RCVD))) /* or it was refused */
		return 0;
	h->rcv_nxt = seq;
	if (ends || !(from->flags & MOS_HALF_FIN) || seq != from->fin_seq)
		return 0;
	h->rcv_nxt++;
	return mos_tcp_peer_fin(f, side);
}

/* mos_tcp_sent has moved the sender's rcv_nxt, if it found the ACK number plausible. */
static unsigned take_ack(struct mos_flow *f, int side, uint32_t ack)
{
	const struct mos_half *h = &f->half[side], *from = &f->half[!side];

	if (!(h->flags & MOS_HALF_FIN) || ack != h->fin_seq + 1 ||
	    mos_seq_leq(from->rcv_nxt, h->fin_seq))
		return 0;
	switch (f->state[side]) {
	case MOS_TCPS_FIN_WAIT_1: return mos_tcp_enter(f, side, MOS_TCPS_FIN_WAIT_2);
	case MOS_TCPS_CLOSING: return mos_tcp_enter(f, side, MOS_TCPS_TIME_WAIT);
	case MOS_TCPS_LAST_ACK: return mos_tcp_enter(f, side, MOS_TCPS_CLOSED);
	default: return 0;
	}
}

static unsigned received_rst(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	if (f->state[side] == MOS_TCPS_LISTEN)
		return 0;
	if (!mos_tcp_accepts_rst(f, side, seg))
		return MOS_TRACK_BOGUS;
	return mos_tcp_enter(f, side, MOS_TCPS_CLOSED);
}

static unsigned received_syn(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	struct mos_half *h = &f->half[side];
	bool has_ack = seg->flags & MOS_TCP_ACK;
	unsigned bits;

	if (f->state[side] == MOS_TCPS_LISTEN && has_ack)
		return 0;
	if (!mos_tcp_accepts_syn(f, side, seg))
		return MOS_TRACK_BOGUS;
	switch (f->state[side]) {
	case MOS_TCPS_LISTEN:
		mos_half_open_receive(h, seg->seq);
		return MOS_TRACK_START | mos_tcp_enter(f, side, MOS_TCPS_SYN_RCVD);
	case MOS_TCPS_SYN_SENT:
		mos_half_open_receive(h, seg->seq);
		if (!has_ack) /* simultaneous open */
			return mos_tcp_enter(f, side, MOS_TCPS_SYN_RCVD);
		bits = mos_tcp_enter(f, side, MOS_TCPS_ESTABLISHED);
		return bits | take_data(f, side, seg);
	case MOS_TCPS_SYN_RCVD:
		if (has_ack) /* simultaneous open, second half */
			return mos_tcp_enter(f, side, MOS_TCPS_ESTABLISHED);
		return MOS_TRACK_REXMIT;
	default:
		h->flags &= (uint8_t)~MOS_HALF_GUESSED;
		if (seg->seq == h->irs)
			return MOS_TRACK_REXMIT;
		mos_half_open_receive(h, seg->seq); /* only a guess gives way */
		return 0;
	}
}

static unsigned received_plain(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	struct mos_half *h = &f->half[side];
	const struct mos_half *from = &f->half[!side];
	unsigned bits = 0;

	if (f->state[side] == MOS_TCPS_LISTEN)
		return 0;
	if (!mos_tcp_accepts_plain(f, side, seg))
		return mos_tcp_refuse_plain(f, side, seg);
	if (!(h->flags & MOS_HALF_RCVD) || !(h->flags & MOS_HALF_ISS))
		return 0;
	if (mos_unlikely(mos_tcp_beyond_window(f, side, seg)))
		h->flags &= (uint8_t)~MOS_HALF_WND; /* told once, until the half is heard again */
	if (mos_unlikely(f->state[side] == MOS_TCPS_SYN_RCVD))
		bits |= mos_tcp_enter(f, side,
		                      h->flags & MOS_HALF_FIN ? MOS_TCPS_FIN_WAIT_1
		                                              : MOS_TCPS_ESTABLISHED);
	bits |= take_ack(f, side, seg->ack);
	if (seen_before(h, from, seg))
		bits |= MOS_TRACK_REXMIT;
	return bits | take_payload(f, side, seg);
}

unsigned mos_tcp_received(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	if (f->state[side] == MOS_TCPS_CLOSED)
		return 0;
	if (mos_unlikely(seg->flags & MOS_TCP_RST))
		return received_rst(f, side, seg);
	if (mos_unlikely(seg->flags & MOS_TCP_SYN))
		return received_syn(f, side, seg);
	return received_plain(f, side, seg);
}
