/* The chunks of one stream, and where its bytes lie. */
#include "secondary/stream/stream_priv.h"
#include "shared/kill_point/kill_point.h"

void mos_stream_set_ahead(const struct mos_stream_ref *r, uint32_t chunk, bool ahead)
{
	struct mos_chunk_pool *p = &r->s->pool;

	if (mos_chunk_has_age(p, chunk) == ahead)
		return;
	if (ahead) {
		mos_chunk_out_of_order(p, chunk);
		r->st->ahead++;
	} else {
		mos_chunk_in_order(p, chunk);
		r->st->ahead--;
	}
}

void mos_stream_drop(const struct mos_stream_ref *r, uint32_t chunk)
{
	struct mos_chunk_pool *p = &r->s->pool;

	if (mos_chunk_has_age(p, chunk))
		r->st->ahead--;
	mos_chunk_put(p, &r->st->chunks, chunk);
	mos_kill_point("stream.dropped");
}

/* Has the stream at most max chunks? */
static bool owns_at_most(const struct mos_stream_ref *r, uint64_t max)
{
	const struct mos_chunk_pool *p = &r->s->pool;

	for (uint32_t c = mos_chunk_first(p, r->st->chunks); c != MOS_CHUNK_NONE;
	     c = mos_chunk_next(p, c))
		if (max-- == 0)
			return false;
	return true;
}

static uint32_t do_part(const struct mos_stream_ref *r, uint32_t chunk, uint64_t from, uint64_t end,
                        mos_chunk_op op)
{
	uint64_t start = mos_page_start(mos_chunk_at(&r->s->pool, chunk));
	uint64_t a = mos_max_u64(from, start), b = mos_min_u64(end, start + MOS_CHUNK_PAGE);

	return op(r, chunk, (uint32_t)(a - start), (uint32_t)(b - start));
}

uint64_t mos_stream_each(const struct mos_stream_ref *r, uint64_t from, uint64_t end,
                         mos_chunk_op op)
{
	const struct mos_chunk_pool *p = &r->s->pool;
	uint64_t sum = 0, first, last;
	uint32_t c, next;

	if (r->st->chunks == 0 || from >= end)
		return 0;
	first = mos_page(from);
	last = mos_page(end - 1);
	if (owns_at_most(r, last - first)) {
		for (c = mos_chunk_first(p, r->st->chunks); c != MOS_CHUNK_NONE; c = next) {
			uint64_t page = mos_chunk_at(p, c)->page;

			next = mos_chunk_next(p, c);
			if (page >= first && page <= last)
				sum += do_part(r, c, from, end, op);
		}
		return sum;
	}
	for (uint64_t page = first; page <= last; page++) {
		c = mos_stream_lookup(r, page);
		if (c != MOS_CHUNK_NONE)
			sum += do_part(r, c, from, end, op);
	}
	return sum;
}

uint32_t mos_chunk_op_count(const struct mos_stream_ref *r, uint32_t chunk, uint32_t a, uint32_t b)
{
	return mos_bits_count(mos_chunk_at(&r->s->pool, chunk)->valid, a, b);
}

uint32_t mos_chunk_op_pass(const struct mos_stream_ref *r, uint32_t chunk, uint32_t a, uint32_t b)
{
	uint32_t count = mos_chunk_op_count(r, chunk, a, b);

	if (count > 0)
		mos_stream_set_ahead(r, chunk, false);
	return count;
}

uint32_t mos_chunk_op_clear(const struct mos_stream_ref *r, uint32_t chunk, uint32_t a, uint32_t b)
{
	struct mos_chunk *c = mos_chunk_at(&r->s->pool, chunk);
	uint32_t left = MOS_CHUNK_PAGE;

	if (b - a < MOS_CHUNK_PAGE) {
		mos_bits_clear(c->valid, a, b);
		mos_kill_point("stream.cleared");
		left = mos_bits_held(c->valid, 0, MOS_CHUNK_PAGE);
	}
	if (left == MOS_CHUNK_PAGE)
		mos_stream_drop(r, chunk);
	else if (mos_page_start(c) + left >= r->st->next)
		mos_stream_set_ahead(r, chunk, true);
	return 0;
}

uint32_t mos_stream_chunk_from(const struct mos_stream_ref *r, uint64_t page, uint64_t end_page)
{
	const struct mos_chunk_pool *p = &r->s->pool;
	uint32_t walk = mos_chunk_first(p, r->st->chunks), best = MOS_CHUNK_NONE;

	/* A step along the pages, a step along the list: the shorter way decides. */
	for (; page < end_page; page++) {
		uint32_t c;

		if (walk == MOS_CHUNK_NONE)
			return best;
		c = mos_stream_lookup(r, page);
		if (c != MOS_CHUNK_NONE)
			return c;
		c = walk;
		walk = mos_chunk_next(p, c);
		if (mos_chunk_at(p, c)->page > page && mos_chunk_at(p, c)->page < end_page &&
		    (best == MOS_CHUNK_NONE ||
		     mos_chunk_at(p, c)->page < mos_chunk_at(p, best)->page))
			best = c;
	}
	return MOS_CHUNK_NONE;
}

const uint8_t *mos_stream_run(const struct mos_stream_ref *r, uint64_t off, uint64_t end,
                              uint32_t *len)
{
	const struct mos_piece *tail = &r->s->tail;
	const struct mos_chunk *c;
	uint32_t chunk, at = mos_in_page(off);

	if (mos_stream_has_tail(r) && off - tail->from < tail->len) {
		*len = (uint32_t)(mos_min_u64(end, tail->from + tail->len) - off);
		return tail->bytes + (off - tail->from);
	}
	if (r->st->chunks == 0)
		return NULL;
	chunk = mos_stream_lookup(r, mos_page(off));
	if (chunk == MOS_CHUNK_NONE)
		return NULL;
	c = mos_chunk_at(&r->s->pool, chunk);
	*len = mos_bits_missing(c->valid, at,
	                        (uint32_t)mos_min_u64(MOS_CHUNK_PAGE, at + (end - off))) -
	       at;
	return *len > 0 ? c->bytes + at : NULL;
}

/* As mos_stream_first_held, in chunks only. */
static uint64_t first_in_chunks(const struct mos_stream_ref *r, uint64_t off, uint64_t end)
{
	off = mos_max_u64(off, *mos_stream_low(r));
	while (off < end) {
		uint32_t chunk = mos_stream_chunk_from(r, mos_page(off), mos_page(end - 1) + 1), at;
		const struct mos_chunk *c;

		if (chunk == MOS_CHUNK_NONE)
			return end;
		c = mos_chunk_at(&r->s->pool, chunk);
		at = off > mos_page_start(c) ? mos_in_page(off) : 0;
		at = mos_bits_held(c->valid, at, MOS_CHUNK_PAGE);
		off = mos_page_start(c) + at;
		if (at < MOS_CHUNK_PAGE)
			return mos_min_u64(off, end);
	}
	return end;
}

uint64_t mos_stream_first_held(const struct mos_stream_ref *r, uint64_t off, uint64_t end)
{
	const struct mos_piece *tail = &r->s->tail;

	if (off >= end)
		return end;
	if (mos_stream_has_tail(r) && off < tail->from + tail->len)
		end = mos_min_u64(end, mos_max_u64(off, tail->from));
	return r->st->chunks != 0 ? first_in_chunks(r, off, end) : end;
}

uint64_t mos_stream_first_missing(const struct mos_stream_ref *r, uint64_t off, uint64_t end)
{
	uint32_t len;

	while (off < end && mos_stream_run(r, off, end, &len) != NULL)
		off += len;
	return off;
}
