#include "secondary/tcp_track/tcp_half.h"

#include <endian.h>

/*
 * An end takes an RST at exactly rcv_nxt (RFC 5961 3.2). The monitor's rcv_nxt may be ahead of the
 * end's, by segments that were lost behind the monitor, or behind it, by segments that the monitor
 * missed; a window is as far as the two can part. The price: a blind guess has two windows to hit.
 */
bool mos_tcp_accepts_rst(const struct mos_flow *f, int to, const struct mos_tcp_seg *seg)
{
	const struct mos_half *h = &f->half[to];

	if (f->state[to] == MOS_TCPS_SYN_SENT)
		return (seg->flags & MOS_TCP_ACK) && mos_half_acked(h, seg->ack);
	return (h->flags & MOS_HALF_RCVD) && seg->seq - h->rcv_nxt + h->rcv_wnd <= 2 * h->rcv_wnd;
}

/*
 * Once a SYN was received, only that one again; any other is answered by a challenge ACK. A SYN/ACK
 * that puts a guess right is told from a forged one by its ACK number.
 */
bool mos_tcp_accepts_syn(const struct mos_flow *f, int to, const struct mos_tcp_seg *seg)
{
	const struct mos_half *h = &f->half[to];
	bool has_ack = seg->flags & MOS_TCP_ACK;

	switch (f->state[to]) {
	case MOS_TCPS_CLOSED: return false;
	case MOS_TCPS_LISTEN: return !has_ack;
	case MOS_TCPS_SYN_SENT: return !has_ack || mos_half_acked(h, seg->ack);
	case MOS_TCPS_SYN_RCVD: /* with ACK it ends a simultaneous open: its sender has our SYN */
		return seg->seq == h->irs && (!has_ack || (f->state[!to] != MOS_TCPS_SYN_SENT &&
		                                           mos_half_acked(h, seg->ack)));
	case MOS_TCPS_ESTABLISHED:
		if ((h->flags & MOS_HALF_GUESSED) && has_ack && seg->ack == h->iss + 1 &&
		    f->state[!to] <= MOS_TCPS_ESTABLISHED)
			return true;
		break;
	default: break;
	}
	return (h->flags & MOS_HALF_RCVD) && seg->seq == h->irs;
}

/* Only an old timestamp makes a difference: the rest of the segment must be beyond doubt. */
unsigned mos_tcp_refuse_plain(const struct mos_flow *f, int to, const struct mos_tcp_seg *seg)
{
	const struct mos_half *h = &f->half[to], *from = &f->half[!to];
	bool late_ack =
		mos_tcp_ts_is_old(f, to, seg) && seg->payload_len == 0 &&
		!(seg->flags & MOS_TCP_FIN) && (seg->flags & MOS_TCP_ACK) &&
		f->state[to] != MOS_TCPS_SYN_RCVD && mos_seq_plausible(seg->seq, h->rcv_nxt) &&
		mos_seq_plausible(seg->ack, from->rcv_nxt) && mos_seq_leq(seg->ack, from->rcv_nxt);

	return late_ack ? 0 : MOS_TRACK_BOGUS;
}

void mos_half_open_receive(struct mos_half *h, uint32_t irs)
{
	h->irs = irs;
	h->rcv_nxt = irs + 1;
	h->flags |= MOS_HALF_RCVD;
}

unsigned mos_tcp_peer_fin(struct mos_flow *f, int side)
{
	switch (f->state[side]) {
	case MOS_TCPS_SYN_RCVD:
	case MOS_TCPS_ESTABLISHED: return mos_tcp_enter(f, side, MOS_TCPS_CLOSE_WAIT);
	case MOS_TCPS_FIN_WAIT_1: return mos_tcp_enter(f, side, MOS_TCPS_CLOSING);
	case MOS_TCPS_FIN_WAIT_2: return mos_tcp_enter(f, side, MOS_TCPS_TIME_WAIT);
	default: return 0;
	}
}

void mos_tcp_open(struct mos_flow *f)
{
	memset(f->half, 0, sizeof(f->half));
	mos_tcp_ts_outdated(f);
	memset(f->wnd_max, 0, sizeof(f->wnd_max));
	mos_tcp_enter(f, MOS_CLI, MOS_TCPS_LISTEN);
	mos_tcp_enter(f, MOS_SVR, MOS_TCPS_LISTEN);
}

static bool is_over(const struct mos_flow *f, int side, uint32_t tw_interval_ms)
{
	return f->state[side] == MOS_TCPS_CLOSED ||
	       (f->state[side] == MOS_TCPS_TIME_WAIT && tw_interval_ms == 0);
}

bool mos_tcp_finished(const struct mos_flow *f, uint32_t tw_interval_ms)
{
	return is_over(f, MOS_CLI, tw_interval_ms) && is_over(f, MOS_SVR, tw_interval_ms);
}

bool mos_tcp_syn_is_new(const struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	const struct mos_half *from = &f->half[side], *to = &f->half[!side];
	bool repeated = (to->flags & MOS_HALF_RCVD) && seg->seq == to->irs;

	if ((seg->flags & (MOS_TCP_SYN | MOS_TCP_ACK | MOS_TCP_RST)) != MOS_TCP_SYN)
		return false;
	if (f->state[side] == MOS_TCPS_CLOSED || f->state[!side] == MOS_TCPS_CLOSED)
		return true;
	if (f->state[side] == MOS_TCPS_SYN_SENT)
		return seg->seq != from->iss; /* it gave up on the old number */
	if (repeated || !(to->flags & MOS_HALF_RCVD))
		return false; /* an old duplicate, or it meets the peer's own SYN */
	if ((from->flags & MOS_HALF_FIN) && mos_seq_gt(seg->seq, from->fin_seq))
		return true; /* it has nothing left to send on the old one: TIME_WAIT ends here */
	return seg->seq - to->rcv_nxt > to->rcv_wnd;
}

static uint32_t load_be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

/* Nearly all segments have these options alone: NOP, NOP, timestamps (RFC 7323 appendix A). */
void mos_tcp_read_ts(struct mos_tcp_seg *seg, const uint8_t *opt, uint32_t len)
{
	struct mos_tcp_opts o;

	if (mos_likely(len == 12 && load_be32(opt) == 0x0101080a)) {
		seg->has_ts = true;
		seg->ts_val = load_be32(opt + 4);
		seg->ts_ecr = load_be32(opt + 8);
		return;
	}
	mos_tcp_opts_parse(&o, opt, len);
	seg->has_ts = o.has_ts;
	seg->ts_val = o.ts_val;
	seg->ts_ecr = o.ts_ecr;
}

void mos_tcp_ts_outdated(struct mos_flow *f)
{
	f->ts_lag[MOS_CLI] = f->ts_lag[MOS_SVR] = MOS_TS_LAG_UNKNOWN;
}

bool mos_tcp_hears(const struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	uint8_t opened = MOS_HALF_RCVD | MOS_HALF_ISS;

	return !(seg->flags & (MOS_TCP_SYN | MOS_TCP_RST)) && f->state[side] > MOS_TCPS_LISTEN &&
	       (f->half[side].flags & opened) == opened && mos_tcp_accepts_plain(f, side, seg);
}

bool mos_tcp_brings_data(const struct mos_flow *f, int side, const struct mos_tcp_seg *seg)
{
	if (seg->payload_len == 0 || (seg->flags & MOS_TCP_RST))
		return false;
	if (mos_unlikely(seg->flags & MOS_TCP_SYN))
		return mos_tcp_accepts_syn(f, side, seg);
	return mos_tcp_hears(f, side, seg);
}

void mos_tcp_missed(struct mos_flow *f)
{
	/* The SYN was in hand, between its two updates: its receiver gets it, now or when it is
	 * sent again. */
	if (f->state[MOS_CLI] == MOS_TCPS_SYN_SENT && f->state[MOS_SVR] == MOS_TCPS_LISTEN) {
		mos_half_open_receive(&f->half[MOS_SVR], f->half[MOS_CLI].iss);
		mos_tcp_enter(f, MOS_SVR, MOS_TCPS_SYN_RCVD);
	}
	f->half[MOS_CLI].flags &= (uint8_t)~MOS_HALF_WND;
	f->half[MOS_SVR].flags &= (uint8_t)~MOS_HALF_WND;
}

const char *mos_tcp_state_name(int state)
{
	static const char *const names[] = {
		[MOS_TCPS_CLOSED] = "CLOSED",           [MOS_TCPS_LISTEN] = "LISTEN",
		[MOS_TCPS_SYN_SENT] = "SYN_SENT",       [MOS_TCPS_SYN_RCVD] = "SYN_RCVD",
		[MOS_TCPS_ESTABLISHED] = "ESTABLISHED", [MOS_TCPS_FIN_WAIT_1] = "FIN_WAIT_1",
		[MOS_TCPS_FIN_WAIT_2] = "FIN_WAIT_2",   [MOS_TCPS_CLOSE_WAIT] = "CLOSE_WAIT",
		[MOS_TCPS_CLOSING] = "CLOSING",         [MOS_TCPS_LAST_ACK] = "LAST_ACK",
		[MOS_TCPS_TIME_WAIT] = "TIME_WAIT",
	};

	if (state < 0 || state >= (int)(sizeof(names) / sizeof(names[0])))
		return "?";
	return names[state];
}
