#include <stdlib.h>
#include <string.h>

#include "secondary/stream/stream_rig_priv.h"

/* ---- where things are ---- */

/* The offset of a sequence number, as the naive reader of RFC 9293 counts. */
static int64_t offset_of(const struct rig *r, unsigned n, int side, uint32_t seq)
{
	const struct model_stream *m = &r->flow[n].in[side];
	uint32_t next_seq = rig_record(r, n)->half[side].irs + 1 + (uint32_t)m->next;
	int64_t off = (int64_t)m->next + (int32_t)(seq - next_seq);

	if (mos_stream_offset(rig_record(r, n), side, seq) != off)
		rig_wrong(r, "flow %u side %d: offset of %u is %lld, not %lld", n, side, seq,
		          (long long)mos_stream_offset(rig_record(r, n), side, seq),
		          (long long)off);
	return off;
}

static bool past_fin(const struct rig *r, unsigned n, int side)
{
	const struct mos_half *h = &rig_record(r, n)->half[side];
	const struct mos_half *from = &rig_record(r, n)->half[!side];

	return (from->flags & MOS_HALF_FIN) && mos_seq_gt(h->rcv_nxt, from->fin_seq);
}

uint64_t rig_offset(const struct rig *r, unsigned n, int side, uint32_t seq)
{
	int64_t off = offset_of(r, n, side, seq);

	return off > 0 ? (uint64_t)off : 0;
}

uint64_t rig_target(const struct rig *r, unsigned n, int side)
{
	const struct mos_flow *f = rig_record(r, n);
	const struct mos_half *h = &f->half[side], *from = &f->half[!side];
	if (!(h->flags & MOS_HALF_RCVD))
		return r->flow[n].in[side].next;
	return rig_offset(r, n, side, past_fin(r, n, side) ? from->fin_seq : h->rcv_nxt);
}

void rig_check_base(struct rig *r, unsigned n, int side)
{
	struct model_stream *m = &r->flow[n].in[side];
	uint32_t base = rig_record(r, n)->half[side].irs + 1;

	if (m->base == base)
		return;
	model_clear(m);
	m->base = base;
	m->acked = 0;
}

static void check_next(struct rig *r, unsigned n, int side)
{
	const struct mos_stream *s = &rig_record(r, n)->stream[side];
	uint64_t next = r->flow[n].in[side].next;

	if (s->next != next)
		rig_wrong(r, "flow %u side %d: next is %llu, not %llu", n, side,
		          (unsigned long long)s->next, (unsigned long long)next);
}

enum { COMPARE_ALWAYS = 4096 }; /* bytes; more takes its time, and is compared now and then */

/* ---- what is lost for want of room ---- */

static void take_evicted(struct rig *r, const struct mos_stream_evicted *e)
{
	unsigned n = 0;

	while (n < RIG_FLOWS && !(r->flow[n].live && r->flow[n].slot == e->flow))
		n++;
	RIG_CHECK(r, n < RIG_FLOWS && e->side <= MOS_SVR);
	RIG_CHECK(r, e->owner == mos_chunk_owner(rig_record(r, n)->id, e->side));
	RIG_CHECK(r, e->range.from < e->range.end);
	model_doubt(&r->flow[n].in[e->side], &e->range);
	r->evictions++;
	r->no_room_bytes += rig_resolve(r, n, e->side);
}

void rig_take_losses(struct rig *r, unsigned n, int side, const struct mos_stream_range *lost,
                     uint32_t again)
{
	struct model_stream *m = &r->flow[n].in[side];
	struct mos_stream_range read = {0, model_least(m)};
	uint64_t counted;

	if (r->streams.evicted_count == 0 && r->streams.pool.free_count > 0 &&
	    (lost == NULL || lost->from == lost->end)) {
		rig_check_counters(r);
		return;
	}
	for (uint32_t i = 0; i < r->streams.evicted_count; i++)
		take_evicted(r, &r->streams.evicted[i]);
	r->streams.evicted_count = 0;
	model_doubt(m, &read);
	if (lost != NULL)
		model_doubt(m, lost);
	r->no_room_bytes += rig_resolve(r, n, side);
	counted = mos_counter_get(&r->counters, MOS_CTR_W_NO_ROOM_BYTES);
	if (counted > r->no_room_bytes && counted <= r->no_room_bytes + again)
		r->no_room_bytes = counted;
	rig_check_counters(r);
}

/* ---- a packet ---- */

/* next := rcv_nxt for a half that has none of its data in hand. */
static uint64_t follow_ack(struct rig *r, unsigned n, int side)
{
	struct model_stream *m = &r->flow[n].in[side];
	struct mos_stream_range gap = {0, 0}, want_gap;
	uint64_t target = rig_target(r, n, side), missing, want, got;

	if (!(rig_record(r, n)->half[side].flags & MOS_HALF_RCVD))
		return 0;
	rig_check_base(r, n, side);
	if (target < m->next)
		model_fall_back(m, target);
	want = model_advance(m, target, &want_gap, &missing);
	got = mos_stream_advance(&r->streams, r->flow[n].slot, side, &gap);
	check_next(r, n, side);
	if (got != want)
		rig_wrong(r, "flow %u side %d: advance passes %llu held bytes, not %llu", n, side,
		          (unsigned long long)got, (unsigned long long)want);
	if (!rig_is_on(r, n, side)) {
		r->gap_bytes = mos_counter_get(&r->counters, MOS_CTR_W_GAP_BYTES);
		return 0;
	}
	rig_same_range(r, "gap", n, side, &gap, &want_gap);
	r->gap_bytes += missing;
	r->gaps += missing > 0;
	rig_check_counters(r);
	if (missing > 0 && r->work != NULL)
		r->work(r, n, side, RIG_GAP);
	return got;
}

void rig_catch_up(struct rig *r, unsigned n, int side)
{
	if (!rig_is_on(r, n, side))
		follow_ack(r, n, side);
}

/*
 * The payload, cut into mbufs. What lies before the first byte of the stream is no part of it, nor
 * what lies behind the FIN.
 */
static unsigned cut_pieces(struct rig *r, unsigned n, int side, const struct mos_tcp_seg *seg,
                           const uint8_t *bytes, uint32_t mbuf_len, struct mos_piece *pieces)
{
	int64_t off = seg->flags & MOS_TCP_SYN ? 0 : offset_of(r, n, side, seg->seq);
	int64_t end = off + seg->payload_len;
	unsigned count = 0;

	if (past_fin(r, n, side) && end > (int64_t)r->flow[n].in[side].next)
		end = (int64_t)r->flow[n].in[side].next;
	for (; off < 0 && off < end; off++)
		bytes++;
	while (off < end) {
		bool last = end - off <= mbuf_len || count == RIG_PIECES_MAX - 1;
		uint32_t len = last ? (uint32_t)(end - off) : mbuf_len;
		uint8_t *copy = malloc(len); /* of its own, to notice reads beyond */

		if (copy == NULL)
			abort();
		memcpy(copy, bytes, len);
		pieces[count++] = (struct mos_piece){(uint64_t)off, copy, len};
		off += len;
		bytes += len;
	}
	return count;
}

static void free_pieces(struct mos_piece *pieces, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		free((void *)(uintptr_t)pieces[i].bytes);
}

static void look_for_conflicts(struct rig *r, unsigned n, int side, const struct mos_piece *p)
{
	struct mos_stream_range got = {0, 0}, want = {0, 0};
	bool is = mos_stream_conflicts(&r->streams, r->flow[n].slot, side, p, &got);

	if (is != model_conflicts(&r->flow[n].in[side], p, &want))
		rig_wrong(r, "flow %u side %d: piece [%llu, +%u) %s", n, side,
		          (unsigned long long)p->from, p->len,
		          is ? "conflicts, and should not" : "does not conflict, and should");
	if (is)
		rig_same_range(r, "conflict", n, side, &got, &want);
	r->conflicts += is;
}

/* What is new in order pushes out: the segment, and what came before and follows it. */
static void look_for_overrun(struct rig *r, unsigned n, int side, uint64_t end)
{
	const struct model_stream *m = &r->flow[n].in[side];
	struct mos_piece news = {.from = m->next, .len = (uint32_t)(end - m->next)};
	struct mos_stream_range got = {0, 0}, want = {0, 0};
	uint8_t who = mos_stream_overrun(&r->streams, r->flow[n].slot, side, &news, &got);
	uint8_t want_who = model_overrun(m, &news, &want);

	if (who != want_who)
		rig_wrong(r, "flow %u side %d: overrun of sockets %x, not %x", n, side, who,
		          want_who);
	if (who == 0)
		return;
	rig_same_range(r, "overrun", n, side, &got, &want);
	r->overruns++;
	if (r->work != NULL)
		r->work(r, n, side, RIG_OVERRUN);
}

/* How many bytes that came before follow; not over a FIN. */
static uint32_t ask_follows(struct rig *r, unsigned n, int side, uint64_t end,
                            const struct mos_tcp_seg *seg)
{
	const struct model_stream *m = &r->flow[n].in[side];
	const struct mos_half *from = &rig_record(r, n)->half[!side];
	uint32_t got = mos_stream_follows(&r->streams, r->flow[n].slot, side, end);
	uint64_t want = model_held_run(m, end, m->high);
	uint32_t seq_end = seg->seq + !!(seg->flags & MOS_TCP_SYN) + seg->payload_len;

	if (got != want)
		rig_wrong(r, "flow %u side %d: %u bytes follow %llu, not %llu", n, side, got,
		          (unsigned long long)end, (unsigned long long)want);
	if ((from->flags & MOS_HALF_FIN) && mos_seq_leq(seq_end, from->fin_seq) &&
	    from->fin_seq - seq_end < got)
		got = from->fin_seq - seq_end;
	return got;
}

/* Before the receiver's half changes. False: the payload is not for its stream. */
static bool look_at_payload(struct rig *r, unsigned n, int side, struct mos_tcp_seg *seg,
                            const struct mos_piece *pieces, unsigned count)
{
	const struct model_stream *m = &r->flow[n].in[side];
	uint64_t end;

	if (count == 0)
		return false;
	rig_check_base(r, n, side);
	for (unsigned i = 0; i < count; i++)
		look_for_conflicts(r, n, side, &pieces[i]);
	end = pieces[count - 1].from + pieces[count - 1].len;
	if (pieces[0].from <= m->next && end > m->next) {
		look_for_overrun(r, n, side, end + ask_follows(r, n, side, end, seg));
		if (rig_is_on(r, n, side))
			seg->follows = ask_follows(r, n, side, end, seg);
	}
	return rig_is_on(r, n, side); /* a callback may have turned it off */
}

/* From the first to the last that the stream has given up of its own. */
static struct mos_stream_range own_given_up(const struct rig *r, unsigned n, int side)
{
	uint64_t owner = mos_chunk_owner(rig_record(r, n)->id, side);
	struct mos_stream_range all = {UINT64_MAX, 0};

	for (uint32_t i = 0; i < r->streams.evicted_count; i++) {
		const struct mos_stream_evicted *e = &r->streams.evicted[i];

		if (e->owner != owner)
			continue;
		all.from = e->range.from < all.from ? e->range.from : all.from;
		all.end = e->range.end > all.end ? e->range.end : all.end;
	}
	return all;
}

/* Where the old copy of a byte was given up, the new one may have taken its place. */
static void look_for_new_copies(struct rig *r, unsigned n, int side, const struct mos_piece *p,
                                const struct mos_stream_range *given_up)
{
	struct model_stream *m = &r->flow[n].in[side];

	for (uint32_t i = 0; i < p->len; i++) {
		uint64_t off = p->from + i;
		uint8_t byte;

		if (off < given_up->from || off >= given_up->end || !model_holds(m, off) ||
		    model_byte(m, off) == p->bytes[i])
			continue;
		RIG_CHECK(r, mos_stream_at(&r->streams, r->flow[n].slot, side, &byte, 1, off) == 1);
		if (byte == p->bytes[i])
			model_replace(m, off, byte);
	}
}

static uint64_t arrive_piece(struct rig *r, unsigned n, int side, const struct mos_piece *piece,
                             uint64_t target, uint64_t window_end, bool last)
{
	struct mos_stream_range lost = {0, 0}, given_up;
	uint32_t again = model_take(&r->flow[n].in[side], piece, target, window_end);
	uint64_t got = mos_stream_arrive(&r->streams, r->flow[n].slot, side, piece, window_end,
	                                 last, &lost);

	given_up = own_given_up(r, n, side);
	rig_take_losses(r, n, side, &lost, again);
	look_for_new_copies(r, n, side, piece, &given_up);
	return got;
}

static uint64_t arrive(struct rig *r, unsigned n, int side, const struct mos_piece *pieces,
                       unsigned count, uint64_t window_end)
{
	struct model_stream *m = &r->flow[n].in[side];
	uint64_t target = rig_target(r, n, side), missing, got = 0, want;
	struct mos_stream_range gap;

	rig_check_views(r, n);
	rig_forget_views(r, n);
	rig_check_base(r, n, side);
	if (target < m->next)
		model_fall_back(m, target);
	for (unsigned i = 0; i < count; i++)
		got += arrive_piece(r, n, side, &pieces[i], target, window_end, i == count - 1);
	want = model_advance(m, target, &gap, &missing);
	check_next(r, n, side);
	if (got != want)
		rig_wrong(r, "flow %u side %d: %llu bytes became in order, not %llu", n, side,
		          (unsigned long long)got, (unsigned long long)want);
	return got;
}

static void settle(struct rig *r, unsigned n, int side)
{
	struct model_stream *m = &r->flow[n].in[side];

	if (!rig_is_on(r, n, side)) {
		mos_stream_free(&r->streams, r->flow[n].slot, side);
		model_clear(m);
		return;
	}
	mos_stream_settle(&r->streams, r->flow[n].slot, side);
	r->overrun_bytes += model_release(m);
	rig_take_losses(r, n, side, NULL, 0);
	if (m->high - m->low < COMPARE_ALWAYS || r->step % 8 == 0)
		rig_compare(r, n, side);
}

static unsigned sender_update(struct rig *r, unsigned n, int side, const struct mos_tcp_seg *seg)
{
	struct mos_flow *f = rig_record(r, n);
	unsigned bits;

	mos_flow_write_begin(f);
	bits = mos_tcp_sent(f, side, seg);
	mos_flow_write_end(f);
	return bits;
}

/* What an ACK says about its sender's stream. Returns how many bytes became in order. */
static uint64_t take_ack(struct rig *r, unsigned n, int side, const struct mos_tcp_seg *seg)
{
	struct model_stream *m = &r->flow[n].in[side];
	const struct mos_half *h = &rig_record(r, n)->half[side];

	if (!(h->flags & MOS_HALF_RCVD))
		return 0;
	rig_check_base(r, n, side);
	if (seg->flags & MOS_TCP_ACK) {
		uint64_t acked = rig_offset(r, n, side, seg->ack);

		mos_stream_acked(rig_record(r, n), side, seg->ack);
		if (acked > m->acked && acked <= rig_offset(r, n, side, h->rcv_nxt))
			m->acked = acked;
	}
	if ((seg->flags & MOS_TCP_SYN) && (seg->flags & MOS_TCP_ACK) &&
	    rig_record(r, n)->state[!side] == MOS_TCPS_SYN_SENT && h->rcv_nxt == h->irs + 1) {
		/* Data that came with the SYN, and are not acknowledged, come again or never. */
		mos_stream_free(&r->streams, r->flow[n].slot, side);
		model_clear(m);
	}
	return follow_ack(r, n, side);
}

/* As far as the receiver takes anything; where that is not known, as far as the model can look. */
static uint64_t window_end(const struct rig *r, unsigned n, int side)
{
	const struct mos_flow *f = rig_record(r, n);
	bool known = f->half[side].flags & MOS_HALF_WND;

	return r->flow[n].in[side].next + (known ? f->wnd_max[side] : RIG_WINDOW_UNKNOWN);
}

static void new_data(struct rig *r, unsigned n, int side, uint64_t count)
{
	if (count > 0 && rig_is_on(r, n, side) && r->work != NULL)
		r->work(r, n, side, RIG_DATA);
}

/* A SYN tells that where the stream was thought to begin was a wrong guess. */
static void rebase(struct rig *r, unsigned n, int side)
{
	follow_ack(r, n, side);
	mos_stream_rebase(&r->streams, r->flow[n].slot, side);
	r->flow[n].in[side].acked = rig_offset(r, n, side, rig_record(r, n)->half[side].rcv_nxt);
}

/* The receiver's update, and what its stream is asked before and told after it. */
static uint64_t receive(struct rig *r, unsigned n, int side, struct mos_tcp_seg *seg,
                        const struct mos_piece *pieces, unsigned count, enum rig_death death)
{
	struct mos_flow *f = rig_record(r, n);
	bool takes = look_at_payload(r, n, side, seg, pieces, count);
	uint64_t end = window_end(r, n, side);
	bool opened = f->half[side].flags & MOS_HALF_RCVD;
	uint32_t irs = f->half[side].irs;

	mos_flow_write_begin(f);
	mos_tcp_received(f, side, seg);
	mos_flow_write_end(f);
	if (!opened && (f->half[side].flags & MOS_HALF_RCVD))
		mos_stream_begin(f, side);
	else if (irs != f->half[side].irs)
		rebase(r, n, side);
	if (!takes || death == RIG_DIES_RECEIVED)
		return 0;
	return arrive(r, n, side, pieces, count, end);
}

/* The pipeline, from the sender's update on. */
static void work_on(struct rig *r, unsigned n, int from, struct mos_tcp_seg *seg,
                    const uint8_t *bytes, uint32_t mbuf_len, enum rig_death death)
{
	unsigned bits = sender_update(r, n, from, seg), count = 0;
	uint64_t own = 0, others;
	struct mos_piece pieces[RIG_PIECES_MAX];

	if (death == RIG_DIES_SENT)
		return;
	if (rig_is_on(r, n, from) && !(bits & MOS_TRACK_BOGUS))
		own = take_ack(r, n, from, seg);
	if (rig_is_on(r, n, !from) && mos_tcp_brings_data(rig_record(r, n), !from, seg))
		count = cut_pieces(r, n, !from, seg, bytes, mbuf_len, pieces);
	others = receive(r, n, !from, seg, pieces, count, death);
	if (death == RIG_LIVES || death == RIG_DIES_READ) {
		new_data(r, n, !from, others);
		new_data(r, n, from, own);
	}
	if (death == RIG_LIVES) {
		rig_check_views(r, n);
		rig_forget_views(r, n);
		settle(r, n, !from);
		settle(r, n, from);
	}
	free_pieces(pieces, count);
}

static bool opens(const struct rig *r, unsigned n, int end, const struct mos_tcp_seg *seg)
{
	const struct rig_flow *rf = &r->flow[n];

	if (rf->live)
		return mos_tcp_syn_is_new(rig_record(r, n), rig_side(r, n, end), seg);
	return (seg->flags & (MOS_TCP_SYN | MOS_TCP_ACK | MOS_TCP_RST)) == MOS_TCP_SYN;
}

void rig_segment(struct rig *r, unsigned n, int from_end, struct mos_tcp_seg *seg,
                 const uint8_t *bytes, uint32_t mbuf_len, enum rig_death death)
{
	r->step++;
	if (opens(r, n, from_end, seg)) {
		if (r->flow[n].live)
			rig_end_flow(r, n);
		rig_open_flow(r, n, from_end);
	}
	if (!r->flow[n].live)
		return;
	rig_check_views(r, n);
	rig_forget_views(r, n);
	r->in_hand = (int)n;
	work_on(r, n, rig_side(r, n, from_end), seg, bytes, mbuf_len, death);
	r->in_hand = -1;
	if (death == RIG_LIVES && mos_tcp_finished(rig_record(r, n), 0))
		rig_end_flow(r, n);
}
