/* What the parts of a stream share. Private to this folder. */
#ifndef MOS_SECONDARY_STREAM_PRIV_H
#define MOS_SECONDARY_STREAM_PRIV_H

#include "secondary/stream/stream.h"
#include "secondary/stream/stream_bits.h"

/* Farther from next than a sequence number can tell. */
#define MOS_STREAM_FAR (UINT64_C(1) << 31)

/* One stream, with all that is needed to work on it. */
struct mos_stream_ref {
	struct mos_streams *s;
	struct mos_flow *f;
	struct mos_stream *st;
	uint64_t owner; /* of its chunks */
	uint32_t flow;
	int side;
};

static inline struct mos_stream_ref mos_stream_ref(struct mos_streams *s, uint32_t flow, int side)
{
	struct mos_flow *f = mos_flow_at(s->flows, flow);

	return (struct mos_stream_ref){
		.s = s,
		.f = f,
		.st = &f->stream[side],
		.owner = mos_chunk_owner(f->id, side),
		.flow = flow,
		.side = side,
	};
}

static inline uint64_t mos_min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t mos_max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t mos_page(uint64_t off)
{
	return off / MOS_CHUNK_PAGE;
}

/* Where offset off lies in its page. */
static inline uint32_t mos_in_page(uint64_t off)
{
	return (uint32_t)(off % MOS_CHUNK_PAGE);
}

static inline uint64_t mos_page_start(const struct mos_chunk *c)
{
	return c->page * MOS_CHUNK_PAGE;
}

/* No chunk holds bytes below. Means nothing while there is no chunk. */
static inline uint64_t *mos_stream_low(const struct mos_stream_ref *r)
{
	return &r->f->pos[r->side][0];
}

/* Somebody reads it, so bytes are kept. */
static inline bool mos_stream_kept(const struct mos_stream *st)
{
	return st->readers != 0 && !(st->flags & MOS_STREAM_OFF);
}

/* Position of the slowest reader, at most next. */
uint64_t mos_stream_least(const struct mos_stream_ref *r);

/* Where what is read, and need not be kept for conflicts, ends. */
uint64_t mos_stream_done(const struct mos_stream_ref *r);

/* ---- chunks of a stream ---- */

static inline uint32_t mos_stream_lookup(const struct mos_stream_ref *r, uint64_t page)
{
	return mos_chunk_lookup(&r->s->pool, r->owner, r->flow, page);
}

/* It has bytes in order now, or has none any more. */
void mos_stream_set_ahead(const struct mos_stream_ref *r, uint32_t chunk, bool ahead);

/* Give one back. */
void mos_stream_drop(const struct mos_stream_ref *r, uint32_t chunk);

/*
 * Do op with each chunk that has a page in [from, end), in no order: [a, b) is its part of the
 * range, in the page. Op may drop the chunk. In time bounded by the pages and by the chunks owned,
 * whichever are fewer. Returns the sum of what op returned.
 */
typedef uint32_t (*mos_chunk_op)(const struct mos_stream_ref *r, uint32_t chunk, uint32_t a,
                                 uint32_t b);
uint64_t mos_stream_each(const struct mos_stream_ref *r, uint64_t from, uint64_t end,
                         mos_chunk_op op);

uint32_t mos_chunk_op_count(const struct mos_stream_ref *r, uint32_t chunk, uint32_t a, uint32_t b);
/* Count bytes that are in order from now on. */
uint32_t mos_chunk_op_pass(const struct mos_stream_ref *r, uint32_t chunk, uint32_t a, uint32_t b);
/* Forget bytes; the chunk goes when it has no other. 0. */
uint32_t mos_chunk_op_clear(const struct mos_stream_ref *r, uint32_t chunk, uint32_t a, uint32_t b);

/*
 * Up to where, at most end, chunks may hold bytes: those behind the page of next are out of order.
 * Only while nothing of the packet in hand is in chunks: its bytes are in order, and next is not
 * behind them yet.
 */
static inline uint64_t mos_stream_bound(const struct mos_stream_ref *r, uint64_t end)
{
	uint64_t page_end = (mos_page(r->st->next) + 1) * MOS_CHUNK_PAGE;

	return r->st->ahead == 0 ? mos_min_u64(end, page_end) : end;
}

/*
 * The chunk with the lowest page in [page, end_page), or MOS_CHUNK_NONE. In time bounded by its
 * distance and by the chunks owned, whichever is less.
 */
uint32_t mos_stream_chunk_from(const struct mos_stream_ref *r, uint64_t page, uint64_t end_page);

/* ---- bytes ---- */

/* Does the packet in hand hold bytes of it that are not in chunks? */
static inline bool mos_stream_has_tail(const struct mos_stream_ref *r)
{
	return r->s->tail.len > 0 && r->s->tail_flow == r->flow && r->s->tail_side == r->side;
}

/*
 * Where the bytes from off (< end) lie, in chunk or tail; *len: how many do without a hole, up to
 * end. NULL: off is not held.
 */
const uint8_t *mos_stream_run(const struct mos_stream_ref *r, uint64_t off, uint64_t end,
                              uint32_t *len);

/* The first offset in [off, end) that is held, or is not; end when there is none. */
uint64_t mos_stream_first_held(const struct mos_stream_ref *r, uint64_t off, uint64_t end);
uint64_t mos_stream_first_missing(const struct mos_stream_ref *r, uint64_t off, uint64_t end);

/* ---- storing: stream_put.c ---- */

/*
 * Copy a piece to chunks; of what is held already the policy decides. order_end: bytes below are in
 * order (or will be when this packet is done). give_own: chunks in order of this stream may go for
 * it. *lost grows by what found no room.
 */
void mos_stream_put(const struct mos_stream_ref *r, const struct mos_piece *piece,
                    uint64_t order_end, bool give_own, struct mos_stream_range *lost);

/* MOS_STREAM_LAST: bytes of the piece replace those that are held. */
void mos_stream_replace(const struct mos_stream_ref *r, const struct mos_piece *piece);

/* Tell that a stream lost bytes. */
void mos_stream_note_evicted(const struct mos_stream_ref *r, const struct mos_stream_range *range);

/* The part of a piece in [from, end), which overlaps it. */
static inline struct mos_piece mos_piece_part(const struct mos_piece *p, uint64_t from,
                                              uint64_t end)
{
	from = mos_max_u64(from, p->from);
	end = mos_min_u64(end, p->from + p->len);
	return (struct mos_piece){
		.from = from,
		.bytes = p->bytes + (from - p->from),
		.len = (uint32_t)(end - from),
	};
}

/* ---- positions ---- */

/*
 * Drop what is held if it lies at offsets of another irs: a guess was corrected. (Called before
 * bytes of a packet are compared with, or added to, what is held.)
 */
void mos_stream_check_base(const struct mos_stream_ref *r);

/* next := to, which lies behind: a guess of irs was corrected. Nothing is held, none is ahead. */
void mos_stream_fall_back(const struct mos_stream_ref *r, uint64_t to);

#endif
