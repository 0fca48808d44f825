/* Positions: what moves next, and what is given back. */
#include "secondary/stream/stream_priv.h"
#include "shared/kill_point/kill_point.h"

uint64_t mos_stream_least(const struct mos_stream_ref *r)
{
	uint64_t least = r->st->next;

	for (unsigned bits = r->st->readers; bits != 0; bits &= bits - 1) {
		unsigned k = (unsigned)__builtin_ctz(bits);

		least = mos_min_u64(least, *mos_stream_pos(r->f, r->side, k));
	}
	return least;
}

uint64_t mos_stream_done(const struct mos_stream_ref *r)
{
	uint64_t done = mos_stream_least(r);
	int64_t acked;

	if (!(r->st->flags & MOS_STREAM_KEEP))
		return done;
	acked = mos_stream_offset(r->f, r->side, r->st->acked);
	/* Beyond next and a FIN: the half was not heard for 2 GB, and its number means nothing. */
	if (acked < 0 || (uint64_t)acked > r->st->next + 1)
		return 0;
	return mos_min_u64(done, (uint64_t)acked);
}

void mos_stream_keep(struct mos_flow *f, int side, bool keep)
{
	struct mos_stream *st = &f->stream[side];

	if (!keep)
		st->flags &= (uint8_t)~MOS_STREAM_KEEP;
	if (!keep || (st->flags & MOS_STREAM_KEEP))
		return;
	st->acked = f->half[side].rcv_nxt;
	st->flags |= MOS_STREAM_KEEP;
}

void mos_stream_free(struct mos_streams *s, uint32_t flow, int side)
{
	struct mos_stream_ref r = mos_stream_ref(s, flow, side);

	if (r.st->chunks != 0)
		mos_chunk_put_all(&s->pool, &r.st->chunks);
	r.st->ahead = 0;
	if (mos_stream_has_tail(&r))
		s->tail.len = 0;
}

void mos_streams_free_flow(struct mos_streams *s, uint32_t flow)
{
	mos_stream_free(s, flow, MOS_CLI);
	mos_stream_free(s, flow, MOS_SVR);
}

void mos_stream_fall_back(const struct mos_stream_ref *r, uint64_t to)
{
	mos_stream_free(r->s, r->flow, r->side);
	r->st->next = to;
	for (unsigned k = 0; k < MOS_SOCKETS_MAX; k++) {
		uint64_t *pos = mos_stream_pos(r->f, r->side, k);

		if (*pos > to)
			*pos = to;
	}
}

void mos_stream_check_base(const struct mos_stream_ref *r)
{
	const struct mos_chunk_pool *p = &r->s->pool;

	if (r->st->chunks == 0 ||
	    mos_chunk_at(p, mos_chunk_first(p, r->st->chunks))->base == r->f->half[r->side].irs + 1)
		return;
	mos_stream_free(r->s, r->flow, r->side);
}

/* Where next goes, never below 0; a step back is made at once. */
static uint64_t find_target(const struct mos_stream_ref *r)
{
	int64_t to = mos_stream_target(r->f, r->side);

	if (to < 0)
		to = 0;
	if ((uint64_t)to < r->st->next)
		mos_stream_fall_back(r, (uint64_t)to);
	return (uint64_t)to;
}

/* next := to. Returns how many held bytes it passed. */
static uint64_t pass(const struct mos_stream_ref *r, uint64_t to)
{
	uint64_t held = mos_stream_each(r, r->st->next, to, mos_chunk_op_pass);

	mos_kill_point("stream.pass");
	r->st->next = to;
	return held;
}

uint64_t mos_stream_advance_slow(struct mos_streams *s, uint32_t flow, int side,
                                 struct mos_stream_range *gap)
{
	struct mos_stream_ref r = mos_stream_ref(s, flow, side);
	uint64_t from, to, held;

	mos_stream_check_base(&r);
	to = find_target(&r);
	from = r.st->next;
	if (!mos_stream_kept(r.st)) {
		pass(&r, to);
		return 0;
	}
	gap->from = mos_stream_first_missing(&r, from, to);
	gap->end = mos_stream_first_held(&r, gap->from, to);
	held = pass(&r, to);
	mos_counter_add(s->counters, MOS_CTR_W_GAP_BYTES, to - from - held);
	return held;
}

void mos_stream_rebase(struct mos_streams *s, uint32_t flow, int side)
{
	struct mos_stream_range gap;
	struct mos_flow *f = mos_flow_at(s->flows, flow);

	mos_stream_advance(s, flow, side, &gap);
	f->stream[side].acked = f->half[side].rcv_nxt;
}

/* Can the part that is new stay in the packet? All of it is in order, to the end, and not held. */
static bool can_be_tail(const struct mos_stream_ref *r, const struct mos_piece *part, uint64_t to)
{
	uint64_t end = part->from + part->len;

	if (end != to)
		return false;
	if (part->from == r->st->next) /* else a piece may have come before it */
		end = mos_stream_bound(r, end);
	return mos_stream_first_held(r, part->from, end) == end;
}

uint64_t mos_stream_arrive_slow(struct mos_streams *s, uint32_t flow, int side,
                                const struct mos_piece *piece, uint64_t window_end, bool last,
                                struct mos_stream_range *lost)
{
	struct mos_stream_ref r = mos_stream_ref(s, flow, side);
	uint64_t to, held, end = piece->from + piece->len;
	struct mos_piece part;

	mos_stream_check_base(&r);
	to = find_target(&r);
	if (!mos_stream_kept(r.st)) {
		if (last)
			pass(&r, to);
		return 0;
	}
	if ((r.st->flags & MOS_STREAM_LAST) && r.st->chunks != 0 && piece->from < r.st->next)
		mos_stream_replace(&r, piece);
	end = mos_min_u64(end, mos_max_u64(to, window_end));
	if (end > mos_max_u64(piece->from, r.st->next)) {
		part = mos_piece_part(piece, r.st->next, end);
		if (last && can_be_tail(&r, &part, to)) {
			s->tail = part;
			s->tail_flow = flow;
			s->tail_side = side;
			held = pass(&r, part.from);
			r.st->next = to; /* no chunk holds anything of it */
			return held + part.len;
		}
		mos_stream_put(&r, &part, to, true, lost);
	}
	return last ? pass(&r, to) : 0;
}

/* Give back what all have read. */
static void release(const struct mos_stream_ref *r, uint64_t done)
{
	uint64_t *low = mos_stream_low(r);

	if (r->st->chunks == 0 || *low >= done)
		return;
	mos_stream_each(r, *low, done, mos_chunk_op_clear);
	mos_kill_point("stream.release");
	*low = done;
}

/* Lose what is unread and below floor. Returns how many bytes. */
static uint64_t push_out(const struct mos_stream_ref *r, uint64_t least, uint64_t floor)
{
	const struct mos_piece *tail = &r->s->tail;
	uint64_t lost = 0, *low = mos_stream_low(r);

	release(r, mos_min_u64(floor, least));
	if (r->st->chunks != 0 && *low < floor) {
		lost = mos_stream_each(r, *low, floor, mos_chunk_op_count);
		mos_stream_each(r, *low, floor, mos_chunk_op_clear);
		mos_kill_point("stream.pushed_out");
		*low = floor;
	}
	if (mos_stream_has_tail(r) && floor > mos_max_u64(tail->from, least))
		lost += floor - mos_max_u64(tail->from, least);
	return lost;
}

/* What is unread of the tail goes to chunks: from offset `from` on. */
static void store_tail(const struct mos_stream_ref *r, uint64_t from, bool give_own)
{
	struct mos_stream_range lost = {0, 0};
	struct mos_piece tail = r->s->tail;

	r->s->tail.len = 0;
	if (from >= tail.from + tail.len)
		return;
	tail = mos_piece_part(&tail, from, UINT64_MAX);
	mos_stream_put(r, &tail, r->st->next, give_own, &lost);
	mos_kill_point("stream.stored");
	if (lost.from < lost.end)
		mos_stream_note_evicted(r, &lost);
}

void mos_stream_settle_slow(struct mos_streams *s, uint32_t flow, int side)
{
	struct mos_stream_ref r = mos_stream_ref(s, flow, side);
	uint64_t next = r.st->next, least = mos_stream_least(&r), done = mos_stream_done(&r);
	uint64_t floor = next > r.st->limit ? next - r.st->limit : 0;

	if (!mos_stream_kept(r.st)) {
		mos_stream_free(s, flow, side);
		return;
	}
	if (mos_unlikely(floor > least))
		mos_counter_add(s->counters, MOS_CTR_W_OVERRUN_BYTES, push_out(&r, least, floor));
	done = mos_max_u64(done, floor);
	release(&r, done);
	if (mos_stream_has_tail(&r))
		store_tail(&r, done, true);
}

void mos_streams_settle_read(struct mos_streams *s)
{
	for (uint32_t i = 0; i < s->read_count; i++) {
		struct mos_stream_ref r = mos_stream_ref(s, s->read[i].flow, s->read[i].side);

		release(&r, mos_stream_done(&r));
	}
	s->read_count = 0;
}

void mos_stream_detach_tail(struct mos_streams *s)
{
	struct mos_stream_ref r;

	if (s->tail.len == 0)
		return;
	r = mos_stream_ref(s, s->tail_flow, s->tail_side);
	store_tail(&r, 0, false);
}
