#include "secondary/tcp_track/tcp_half.h"

static void raise_snd_nxt(struct mos_half *h, uint32_t end)
{
	if (mos_seq_gt(end, h->snd_nxt))
		h->snd_nxt = end;
}

/* The receiver is beyond the sender's FIN: nothing more can come, and the FIN stands. */
static bool fin_taken(const struct mos_half *from, const struct mos_half *to)
{
	return (from->flags & MOS_HALF_FIN) && (to->flags & MOS_HALF_RCVD) &&
	       mos_seq_gt(to->rcv_nxt, from->fin_seq);
}

/*
 * The window of a SYN is never scaled, any other's is when both SYNs offered it (RFC 7323 2.2). It
 * is known, not guessed, once it comes behind the SYN, and both SYNs were seen.
 */
static void note_window(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	struct mos_half *h = &f->half[side];
	uint8_t either = h->flags | f->half[!side].flags, both = h->flags & f->half[!side].flags;
	bool is_syn = seg->flags & MOS_TCP_SYN;

	h->rcv_wnd = (uint32_t)seg->wnd << ((both & MOS_HALF_WSCALE) && !is_syn ? h->wscale : 0);
	if (h->rcv_wnd > f->wnd_max[side])
		f->wnd_max[side] = h->rcv_wnd;
	if (!is_syn && !(either & MOS_HALF_GUESSED))
		h->flags |= MOS_HALF_WND;
}

static void note_opts(struct mos_half *h, const struct mos_tcp_opts *o)
{
	h->flags &= (uint8_t) ~(MOS_HALF_WSCALE | MOS_HALF_TS);
	if (o == NULL)
		return;
	h->mss = o->mss;
	h->ts_recent = o->ts_val;
	if (o->has_ts)
		h->flags |= MOS_HALF_TS;
	if (o->has_wscale) {
		h->wscale = o->wscale <= 14 ? o->wscale : 14;
		h->flags |= MOS_HALF_WSCALE;
	}
}

static uint16_t ts_lag(uint32_t ticks)
{
	return ticks < MOS_TS_LAG_UNKNOWN ? (uint16_t)ticks : MOS_TS_LAG_UNKNOWN;
}

/*
 * The half `side` says that this is its TS.Recent. It can only be what its peer has sent: what is
 * newer than that is nearly 2^32 ticks behind.
 */
static void note_ts_echo(struct mos_flow *f, int side, uint32_t echo)
{
	uint32_t newest = f->half[!side].ts_recent;

	f->ts_lag[!side] = echo != 0 ? ts_lag(newest - echo) : MOS_TS_LAG_UNKNOWN;
}

static void note_ts(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	struct mos_half *h = &f->half[side];
	bool known = f->ts_lag[side] != MOS_TS_LAG_UNKNOWN;

	if (known && mos_seq_gt(seg->ts_val, h->ts_recent))
		f->ts_lag[side] = ts_lag(f->ts_lag[side] + (seg->ts_val - h->ts_recent));
	if (!known || mos_seq_gt(seg->ts_val, h->ts_recent))
		h->ts_recent = seg->ts_val;
	note_ts_echo(f, side, seg->ts_ecr);
}

/* A SYN that nobody has accepted yet counts as sent last: its number may differ from an earlier. */
static void note_syn(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	struct mos_half *h = &f->half[side];

	if (!(h->flags & MOS_HALF_ISS) || h->iss != seg->seq) {
		h->iss = seg->seq;
		h->snd_nxt = mos_seg_end(seg);
		h->flags |= MOS_HALF_ISS;
		h->flags &= (uint8_t)~MOS_HALF_FIN;
	}
	note_opts(h, seg->opts);
	f->ts_lag[side] = MOS_TS_LAG_UNKNOWN;
	if ((seg->flags & MOS_TCP_ACK) && (h->flags & MOS_HALF_TS))
		note_ts_echo(f, side, seg->opts->ts_ecr);
}

/*
 * The half has received all below its ACK number, whether or not the monitor saw it in order. A
 * number beyond what the monitor saw of the peer tells what it missed, but nothing can be beyond
 * the peer's FIN.
 */
static unsigned take_own_ack(struct mos_flow *f, int side, uint32_t ack)
{
	struct mos_half *h = &f->half[side], *peer = &f->half[!side];

	if (!(h->flags & MOS_HALF_RCVD) || !(peer->flags & MOS_HALF_ISS) ||
	    mos_seq_leq(ack, h->rcv_nxt) || !mos_seq_plausible(ack, h->rcv_nxt))
		return 0;
	if ((peer->flags & MOS_HALF_FIN) && mos_seq_gt(ack, peer->fin_seq + 1))
		return 0;
	raise_snd_nxt(peer, ack);
	h->rcv_nxt = ack;
	return fin_taken(peer, h) ? mos_tcp_peer_fin(f, side) : 0;
}

/*
 * The monitor missed the SYN or SYN/ACK of a half. What is not known of it is taken to be as its
 * peer's: that window scaling was offered, and which.
 */
static void guess_iss(struct mos_half *h, const struct mos_half *peer, uint32_t iss)
{
	h->iss = iss;
	if (h->flags & MOS_HALF_ISS)
		return;
	h->snd_nxt = iss + 1;
	h->wscale = peer->wscale;
	h->rcv_wnd = UINT16_MAX;
	h->flags |= MOS_HALF_ISS | (peer->flags & MOS_HALF_WSCALE);
}

/*
 * A half in SYN_RCVD sends what only follows a SYN/ACK. Nothing of it counts before the peer says
 * that it got the SYN/ACK (the server might have sent none, and its peer drops this), but where
 * the half stands, and its FIN, is remembered: it may be the last that is heard of it. All of it
 * stays plausible from the iss on, so that the peer's ACK finds nothing to take back.
 */
static void sent_before_syn(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	struct mos_half *h = &f->half[side], *peer = &f->half[!side];
	bool fin = seg->flags & MOS_TCP_FIN;
	uint32_t next = mos_seg_end(seg) + fin;

	if (f->state[side] != MOS_TCPS_SYN_RCVD || !mos_half_acked(peer, seg->ack))
		return;
	if ((h->flags & MOS_HALF_ISS) &&
	    (!mos_seq_plausible(seg->seq, h->snd_nxt) || !mos_seq_plausible(seg->seq, h->iss) ||
	     !mos_seq_plausible(next, h->iss)))
		return;
	if (!(h->flags & MOS_HALF_ISS) || mos_seq_leq(seg->seq, h->iss))
		guess_iss(h, peer, seg->seq - 1);
	raise_snd_nxt(h, next);
	if (fin) {
		h->fin_seq = next - 1;
		h->flags |= MOS_HALF_FIN;
	}
}

/*
 * A half in SYN_SENT sends a plain ACK: it has received a SYN/ACK that the monitor missed. Unless
 * the peer was heard meanwhile, the ACK number is the best there is to tell its iss; what was heard
 * half the number space away was not the peer.
 */
static unsigned join_handshake(struct mos_flow *f, int side, uint32_t ack)
{
	struct mos_half *h = &f->half[side], *peer = &f->half[!side];

	if (!mos_half_acked(peer, ack))
		guess_iss(peer, h, ack - 1);
	if (mos_seq_gt(ack, peer->snd_nxt) || !mos_seq_plausible(peer->snd_nxt, ack)) {
		peer->snd_nxt = ack;
		peer->flags &= (uint8_t)~MOS_HALF_FIN; /* it was not the end */
	}
	mos_half_open_receive(h, peer->iss);
	h->flags |= MOS_HALF_GUESSED;
	return mos_tcp_enter(f, side, MOS_TCPS_ESTABLISHED);
}

static unsigned sent_rst(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	if (f->state[side] == MOS_TCPS_LISTEN)
		return 0;
	if (!mos_tcp_accepts_rst(f, !side, seg))
		return MOS_TRACK_BOGUS;
	return mos_tcp_enter(f, side, MOS_TCPS_CLOSED);
}

static unsigned sent_syn(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	struct mos_half *h = &f->half[side];
	bool has_ack = seg->flags & MOS_TCP_ACK;

	if (f->state[side] == MOS_TCPS_LISTEN && has_ack)
		return 0;
	if (!mos_tcp_accepts_syn(f, !side, seg))
		return MOS_TRACK_BOGUS;
	switch (f->state[side]) {
	case MOS_TCPS_LISTEN:
		note_syn(f, side, seg);
		note_window(f, side, seg);
		return MOS_TRACK_START | mos_tcp_enter(f, side, MOS_TCPS_SYN_SENT);
	case MOS_TCPS_SYN_SENT:
	case MOS_TCPS_SYN_RCVD:
		note_syn(f, side, seg);
		raise_snd_nxt(h, mos_seg_end(seg));
		note_window(f, side, seg);
		return has_ack ? take_own_ack(f, side, seg->ack) : 0;
	default:
		if (f->half[!side].flags & MOS_HALF_GUESSED)
			/* snd_nxt may be anywhere beyond a SYN/ACK this late */
			note_syn(f, side, seg);
		return 0;
	}
}

/*
 * The number of a FIN is believed while its receiver has not passed it; a later one replaces an
 * earlier one, so a forged FIN does no lasting harm. In CLOSE_WAIT the ACK number tells whether the
 * half really had the peer's FIN when it sent its own.
 */
static unsigned sent_fin(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	struct mos_half *h = &f->half[side], *peer = &f->half[!side];
	uint32_t fin = mos_seg_end(seg);

	if (fin_taken(h, peer))
		return 0;
	if (mos_seq_lt(fin, peer->rcv_nxt))
		return 0;
	h->fin_seq = fin;
	h->flags |= MOS_HALF_FIN;
	raise_snd_nxt(h, fin + 1);
	switch (f->state[side]) {
	case MOS_TCPS_SYN_RCVD:
	case MOS_TCPS_ESTABLISHED: return mos_tcp_enter(f, side, MOS_TCPS_FIN_WAIT_1);
	case MOS_TCPS_CLOSE_WAIT:
		return mos_tcp_enter(f, side,
		                     seg->ack == h->rcv_nxt ? MOS_TCPS_LAST_ACK : MOS_TCPS_CLOSING);
	default: return 0;
	}
}

/*
 * What the receiver has already is no news. Asking that first keeps apart what must not be
 * compared: the segment may lie 1 GB behind rcv_nxt while snd_nxt is 1 GB ahead of it.
 */
static unsigned sent_plain(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	struct mos_half *h = &f->half[side];
	const struct mos_half *peer = &f->half[!side];
	unsigned bits = 0;

	if (f->state[side] == MOS_TCPS_LISTEN)
		return 0;
	if (!mos_tcp_accepts_plain(f, !side, seg))
		return mos_tcp_refuse_plain(f, !side, seg);
	if (mos_unlikely(!(peer->flags & MOS_HALF_RCVD))) {
		sent_before_syn(f, side, seg);
		return 0;
	}
	if (!(h->flags & MOS_HALF_ISS))
		return 0;
	if (mos_unlikely(f->state[side] == MOS_TCPS_SYN_SENT))
		bits |= join_handshake(f, side, seg->ack);
	bits |= take_own_ack(f, side, seg->ack);
	note_window(f, side, seg);
	if (seg->has_ts)
		note_ts(f, side, seg);
	if (mos_seq_gt(mos_seg_end(seg), peer->rcv_nxt) && !fin_taken(h, peer))
		raise_snd_nxt(h, mos_seg_end(seg));
	if (mos_unlikely(seg->flags & MOS_TCP_FIN))
		bits |= sent_fin(f, side, seg);
	return bits;
}

unsigned mos_tcp_sent(struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	if (f->state[side] == MOS_TCPS_CLOSED)
		return 0;
	if (mos_unlikely(seg->flags & MOS_TCP_RST))
		return sent_rst(f, side, seg);
	if (mos_unlikely(seg->flags & MOS_TCP_SYN))
		return sent_syn(f, side, seg);
	return sent_plain(f, side, seg);
}

void mos_tcp_resized(struct mos_flow *f, int side, uint32_t old_end, uint32_t end, bool fin)
{
	struct mos_half *h = &f->half[side];

	if (!(h->flags & MOS_HALF_ISS) || mos_seq_lt(h->snd_nxt, old_end + fin))
		return; /* it did not count */
	if (h->snd_nxt == old_end + fin)
		h->snd_nxt = end + fin;
	else
		raise_snd_nxt(h, end + fin);
	if (fin && (h->flags & MOS_HALF_FIN) && h->fin_seq == old_end)
		h->fin_seq = end;
}

void mos_tcp_fin_withheld(struct mos_flow *f, int side)
{
	if (!fin_taken(&f->half[side], &f->half[!side]))
		f->half[side].flags &= (uint8_t)~MOS_HALF_FIN;
}
