#include "secondary/tcp_track/tcp_model_end.h"

#include <stdlib.h>

/* RFC 7323 3.2: on a SYN/ACK only when the SYN had them. An RST need not. */
static bool has_ts(const struct model_end *e, uint8_t flags)
{
	bool first_syn = (flags & MOS_TCP_SYN) && !(flags & MOS_TCP_ACK);

	return (first_syn ? e->offers_ts : e->uses_ts) && !(flags & MOS_TCP_RST);
}

static void send_segment(struct model_end *e, uint8_t flags, uint32_t seq, uint32_t len)
{
	bool is_ack = flags & MOS_TCP_ACK;

	if (e->out_count == MODEL_OUT_MAX)
		abort();
	e->out[e->out_count++] = (struct mos_tcp_seg){
		.seq = seq,
		.ack = is_ack ? e->rcv_nxt : 0,
		.payload_len = len,
		.wnd = MODEL_WND,
		.flags = flags,
		.has_ts = has_ts(e, flags),
		.ts_val = e->clock,
		.ts_ecr = is_ack ? e->ts_recent : 0,
	};
	if (is_ack)
		e->last_ack_sent = e->rcv_nxt;
}

static void send_ack(struct model_end *e)
{
	send_segment(e, MOS_TCP_ACK, e->snd_nxt, 0);
}

static void send_syn(struct model_end *e)
{
	bool has_ack = e->state == MOS_TCPS_SYN_RCVD;

	send_segment(e, has_ack ? MOS_TCP_SYN | MOS_TCP_ACK : MOS_TCP_SYN, e->iss, 0);
	e->snd_nxt = e->iss + 1;
	e->idle = 0;
}

static uint32_t fin_number(const struct model_end *e)
{
	return e->iss + 1 + e->bytes;
}

void model_open(struct model_end *e)
{
	e->state = MOS_TCPS_SYN_SENT;
	e->snd_una = e->iss;
	send_syn(e);
}

void model_abort(struct model_end *e)
{
	if (e->state != MOS_TCPS_SYN_SENT && e->state != MOS_TCPS_LISTEN)
		send_segment(e, MOS_TCP_RST | (model_random(e->rng, 2) ? MOS_TCP_ACK : 0),
		             e->snd_nxt, 0);
	e->state = MOS_TCPS_CLOSED;
	e->silent = false;
}

/* From seq on: at most a random number of bytes, and the FIN if it is due and adjoins. */
static void send_from(struct model_end *e, uint32_t seq)
{
	uint32_t left = fin_number(e) - seq, len = 1 + model_random(e->rng, 100);
	uint8_t flags = MOS_TCP_ACK;

	if (seq == fin_number(e) + 1)
		return;
	if (len > left)
		len = left;
	if (len == left && e->closing) {
		flags |= MOS_TCP_FIN;
		if (!e->fin_sent)
			e->state = e->state == MOS_TCPS_CLOSE_WAIT ? MOS_TCPS_LAST_ACK
			                                           : MOS_TCPS_FIN_WAIT_1;
		e->fin_sent = true;
	}
	send_segment(e, flags, seq, len);
	seq += len + !!(flags & MOS_TCP_FIN);
	if (mos_seq_gt(seq, e->snd_nxt))
		e->snd_nxt = seq;
}

static bool may_send(const struct model_end *e)
{
	if (e->state != MOS_TCPS_ESTABLISHED && e->state != MOS_TCPS_CLOSE_WAIT)
		return false;
	return mos_seq_lt(e->snd_nxt, fin_number(e)) || (e->closing && !e->fin_sent);
}

/* Something is outstanding: again from the first byte. Nothing is: ask whether the peer lives. */
static void on_timeout(struct model_end *e)
{
	e->idle = 0;
	if (e->state == MOS_TCPS_SYN_SENT || e->state == MOS_TCPS_SYN_RCVD)
		send_syn(e);
	else if (e->snd_una != e->snd_nxt)
		send_from(e, e->snd_una);
	else
		send_segment(e, MOS_TCP_ACK, e->snd_nxt - 1, 0);
}

void model_tick(struct model_end *e)
{
	if (e->state == MOS_TCPS_CLOSED || e->state == MOS_TCPS_LISTEN ||
	    e->state == MOS_TCPS_TIME_WAIT)
		return;
	if (may_send(e) && model_random(e->rng, 3) == 0)
		send_from(e, e->snd_nxt);
	if (++e->idle > MODEL_RTO)
		on_timeout(e);
}

static uint32_t seg_len(const struct mos_tcp_seg *s)
{
	return s->payload_len + !!(s->flags & MOS_TCP_SYN) + !!(s->flags & MOS_TCP_FIN);
}

static void received_closed(struct model_end *e, const struct mos_tcp_seg *s)
{
	if ((s->flags & MOS_TCP_RST) || (e->silent && e->fin_sent))
		return;
	if (s->flags & MOS_TCP_ACK) {
		send_segment(e, MOS_TCP_RST, s->ack, 0);
	} else {
		e->rcv_nxt = s->seq + seg_len(s);
		send_segment(e, MOS_TCP_RST | MOS_TCP_ACK, 0, 0);
	}
}

static void take_syn(struct model_end *e, const struct mos_tcp_seg *s)
{
	e->irs = s->seq;
	e->rcv_nxt = s->seq + 1;
	e->uses_ts = e->offers_ts && s->has_ts;
	e->ts_recent = s->ts_val;
}

static void received_listen(struct model_end *e, const struct mos_tcp_seg *s)
{
	if (s->flags & MOS_TCP_RST)
		return;
	if ((s->flags & MOS_TCP_ACK) || !(s->flags & MOS_TCP_SYN) || e->refuses) {
		if (e->refuses)
			e->state = MOS_TCPS_CLOSED;
		received_closed(e, s);
		return;
	}
	take_syn(e, s);
	e->snd_una = e->iss;
	e->state = MOS_TCPS_SYN_RCVD;
	send_syn(e);
}

static void received_syn_sent(struct model_end *e, const struct mos_tcp_seg *s)
{
	bool has_ack = s->flags & MOS_TCP_ACK;

	if (has_ack && s->ack != e->iss + 1) {
		received_closed(e, s);
		return;
	}
	if (s->flags & MOS_TCP_RST) {
		if (has_ack)
			e->state = MOS_TCPS_CLOSED;
		return;
	}
	if (!(s->flags & MOS_TCP_SYN))
		return;
	take_syn(e, s);
	if (has_ack) {
		e->snd_una = s->ack;
		e->state = MOS_TCPS_ESTABLISHED;
		send_ack(e);
	} else {
		e->state = MOS_TCPS_SYN_RCVD;
		send_syn(e);
	}
}

static bool in_window(const struct model_end *e, const struct mos_tcp_seg *s)
{
	uint32_t len = seg_len(s);

	if (len == 0)
		return mos_seq_leq(e->rcv_nxt, s->seq) &&
		       mos_seq_lt(s->seq, e->rcv_nxt + MODEL_WND);
	return mos_seq_lt(s->seq, e->rcv_nxt + MODEL_WND) && mos_seq_gt(s->seq + len, e->rcv_nxt);
}

static void on_fin_acked(struct model_end *e)
{
	if (e->state == MOS_TCPS_FIN_WAIT_1)
		e->state = MOS_TCPS_FIN_WAIT_2;
	else if (e->state == MOS_TCPS_CLOSING)
		e->state = MOS_TCPS_TIME_WAIT;
	else if (e->state == MOS_TCPS_LAST_ACK)
		e->state = MOS_TCPS_CLOSED;
}

/* Returns whether the segment's text is to be looked at. */
static bool received_ack(struct model_end *e, const struct mos_tcp_seg *s)
{
	if (e->state == MOS_TCPS_SYN_RCVD) {
		if (s->ack != e->iss + 1) {
			send_segment(e, MOS_TCP_RST, s->ack, 0);
			return false;
		}
		e->state = MOS_TCPS_ESTABLISHED;
	}
	if (mos_seq_gt(s->ack, e->snd_nxt)) {
		send_ack(e);
		return false;
	}
	if (mos_seq_gt(s->ack, e->snd_una)) {
		e->snd_una = s->ack;
		e->idle = 0;
	}
	if (e->fin_sent && s->ack == fin_number(e) + 1)
		on_fin_acked(e);
	return e->state != MOS_TCPS_CLOSED;
}

static void received_text(struct model_end *e, const struct mos_tcp_seg *s)
{
	uint32_t was = e->rcv_nxt;

	for (uint32_t i = 0; i < s->payload_len; i++)
		if (s->seq + i - e->irs - 1 < MODEL_BYTES_MAX)
			e->got[s->seq + i - e->irs - 1] = true;
	if (s->flags & MOS_TCP_FIN) {
		e->fin_known = true;
		e->peer_fin = s->seq + s->payload_len;
	}
	while (e->rcv_nxt - e->irs - 1 < MODEL_BYTES_MAX && e->got[e->rcv_nxt - e->irs - 1])
		e->rcv_nxt++;
	if (e->fin_known && e->rcv_nxt == e->peer_fin) {
		e->rcv_nxt++;
		if (e->state == MOS_TCPS_ESTABLISHED)
			e->state = MOS_TCPS_CLOSE_WAIT;
		else if (e->state == MOS_TCPS_FIN_WAIT_1)
			e->state = MOS_TCPS_CLOSING;
		else if (e->state == MOS_TCPS_FIN_WAIT_2)
			e->state = MOS_TCPS_TIME_WAIT;
	}
	if (seg_len(s) == 0)
		return;
	if (was + s->payload_len == e->rcv_nxt && model_random(e->rng, 2))
		return; /* delayed until something else is sent */
	send_ack(e);
}

/* RFC 7323 5.3, R1 and R3. */
static bool is_old(const struct model_end *e, const struct mos_tcp_seg *s)
{
	return e->uses_ts && s->has_ts && !(s->flags & MOS_TCP_RST) &&
	       mos_seq_lt(s->ts_val, e->ts_recent);
}

static void note_ts(struct model_end *e, const struct mos_tcp_seg *s)
{
	if (e->uses_ts && s->has_ts && mos_seq_geq(s->ts_val, e->ts_recent) &&
	    mos_seq_leq(s->seq, e->last_ack_sent))
		e->ts_recent = s->ts_val;
}

/*
 * Of a connection that has both SYNs. An old ACK gets no answer: on a path that reorders, the answer
 * would be old as well, and so on.
 */
static bool received_open(struct model_end *e, const struct mos_tcp_seg *s)
{
	if (is_old(e, s) && seg_len(s) == 0)
		return false;
	if (is_old(e, s) || !in_window(e, s)) {
		if (!(s->flags & MOS_TCP_RST))
			send_ack(e);
		return false;
	}
	if (s->flags & MOS_TCP_RST) {
		if (s->seq == e->rcv_nxt)
			e->state = MOS_TCPS_CLOSED;
		else
			send_ack(e);
		return e->state == MOS_TCPS_CLOSED;
	}
	note_ts(e, s);
	if (s->flags & MOS_TCP_SYN) {
		send_ack(e);
		return false;
	}
	if ((s->flags & MOS_TCP_ACK) && received_ack(e, s))
		received_text(e, s);
	return s->flags & MOS_TCP_ACK;
}

bool model_receive(struct model_end *e, const struct mos_tcp_seg *s)
{
	switch (e->state) {
	case MOS_TCPS_CLOSED: received_closed(e, s); return false;
	case MOS_TCPS_LISTEN: received_listen(e, s); return true;
	case MOS_TCPS_SYN_SENT: received_syn_sent(e, s); return true;
	default: return received_open(e, s);
	}
}
