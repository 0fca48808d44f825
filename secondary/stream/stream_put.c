/* Storing bytes in chunks: room, overlaps, conflicts. */
#include <string.h>

#include "secondary/stream/stream_priv.h"
#include "shared/kill_point/kill_point.h"

static struct mos_stream_range join_ranges(struct mos_stream_range a, struct mos_stream_range b)
{
	if (a.from == a.end)
		return b;
	return (struct mos_stream_range){mos_min_u64(a.from, b.from), mos_max_u64(a.end, b.end)};
}

void mos_stream_note_evicted(const struct mos_stream_ref *r, const struct mos_stream_range *range)
{
	struct mos_streams *s = r->s;
	uint32_t n = s->evicted_count;

	if (n > 0 && s->evicted[n - 1].owner == r->owner) {
		s->evicted[n - 1].range = join_ranges(s->evicted[n - 1].range, *range);
		return;
	}
	if (n == MOS_EVICTED_MAX)
		return;
	s->evicted_count++;
	s->evicted[n] = (struct mos_stream_evicted){
		.owner = r->owner,
		.flow = r->flow,
		.side = (uint8_t)r->side,
		.range = *range,
	};
}

/* Give up a chunk; bytes below `from` need not be told. */
static void give_up(const struct mos_stream_ref *r, uint32_t chunk, uint64_t from)
{
	const struct mos_chunk *c = mos_chunk_at(&r->s->pool, chunk);
	uint64_t start = mos_page_start(c);
	uint32_t at = from > start ? (uint32_t)mos_min_u64(from - start, MOS_CHUNK_PAGE) : 0;
	struct mos_stream_range lost;

	at = mos_bits_held(c->valid, at, MOS_CHUNK_PAGE);
	if (at < MOS_CHUNK_PAGE) {
		uint32_t end = MOS_CHUNK_PAGE;

		while (!(c->valid[(end - 1) / 64] >> (end - 1) % 64 & 1))
			end--;
		lost = (struct mos_stream_range){start + at, start + end};
		mos_counter_add(r->s->counters, MOS_CTR_W_NO_ROOM_BYTES,
		                mos_bits_count(c->valid, at, end));
		mos_stream_note_evicted(r, &lost);
	}
	mos_stream_drop(r, chunk);
}

/* The chunk that has been out of order for longest, whosever it is. */
static bool evict_oldest(struct mos_streams *s)
{
	uint32_t chunk = s->pool.oldest;
	const struct mos_chunk *c;
	struct mos_stream_ref r;

	if (chunk == MOS_CHUNK_NONE)
		return false;
	c = mos_chunk_at(&s->pool, chunk);
	r = mos_stream_ref(s, c->flow, c->owner & 1);
	give_up(&r, chunk, 0);
	return true;
}

/* The oldest of this stream that is in order and comes before the page. */
static bool give_own_oldest(const struct mos_stream_ref *r, uint64_t page)
{
	uint32_t chunk;

	if (r->st->chunks == 0)
		return false;
	chunk = mos_stream_chunk_from(r, mos_page(*mos_stream_low(r)), page);
	if (chunk == MOS_CHUNK_NONE)
		return false;
	page = mos_chunk_at(&r->s->pool, chunk)->page;
	give_up(r, chunk, mos_stream_least(r));
	*mos_stream_low(r) = (page + 1) * MOS_CHUNK_PAGE; /* the next is not searched for from 0 */
	return true;
}

/* A chunk for the page of off, which has none. */
static uint32_t take_chunk(const struct mos_stream_ref *r, uint64_t off, bool in_order,
                           bool give_own)
{
	struct mos_streams *s = r->s;
	uint64_t page = mos_page(off);
	uint32_t chunk;

	if (!in_order && r->st->ahead >= s->share_max)
		return MOS_CHUNK_NONE;
	if (s->pool.free_count == 0 && !evict_oldest(s) &&
	    !(in_order && give_own && give_own_oldest(r, page)))
		return MOS_CHUNK_NONE;
	if (r->st->chunks == 0)
		*mos_stream_low(r) = mos_min_u64(r->st->next, off);
	chunk = mos_chunk_get(&s->pool, &r->st->chunks, r->owner, r->flow, page, !in_order);
	if (chunk == MOS_CHUNK_NONE)
		return chunk;
	mos_chunk_at(&s->pool, chunk)->base = r->f->half[r->side].irs + 1;
	mos_kill_point("stream.base");
	if (!in_order)
		r->st->ahead++;
	return chunk;
}

/* Copy to [at, end) of a chunk what is not held there. */
static void fill(struct mos_chunk *c, uint32_t at, uint32_t end, const uint8_t *bytes)
{
	uint32_t first = at;

	while (at < end) {
		uint32_t from = mos_bits_missing(c->valid, at, end);

		if (from == end)
			break;
		at = mos_bits_held(c->valid, from, end);
		memcpy(c->bytes + from, bytes + (from - first), at - from);
		mos_kill_point("stream.copied");
	}
	mos_bits_set(c->valid, first, end);
	mos_kill_point("stream.filled");
}

/* What of [off, off + len) was not kept, and not read already. */
static void note_lost(const struct mos_stream_ref *r, uint64_t off, uint64_t len,
                      struct mos_stream_range *lost)
{
	struct mos_stream_range range = {mos_max_u64(off, mos_stream_least(r)), off + len};

	if (range.from >= range.end)
		return;
	mos_counter_add(r->s->counters, MOS_CTR_W_NO_ROOM_BYTES, range.end - range.from);
	*lost = join_ranges(*lost, range);
}

/* Store n bytes that lie in one page. */
static bool put_in_page(const struct mos_stream_ref *r, uint64_t off, const uint8_t *bytes,
                        uint32_t n, bool in_order, bool give_own)
{
	uint32_t chunk = MOS_CHUNK_NONE, at = mos_in_page(off);
	struct mos_chunk *c;

	if (r->st->chunks != 0)
		chunk = mos_stream_lookup(r, mos_page(off));
	if (chunk == MOS_CHUNK_NONE)
		chunk = take_chunk(r, off, in_order, give_own);
	else if (in_order)
		mos_stream_set_ahead(r, chunk, false);
	if (chunk == MOS_CHUNK_NONE)
		return false;
	c = mos_chunk_at(&r->s->pool, chunk);
	if (r->st->flags & MOS_STREAM_LAST) {
		memcpy(c->bytes + at, bytes, n);
		mos_kill_point("stream.overwritten");
		mos_bits_set(c->valid, at, at + n);
	} else {
		fill(c, at, at + n, bytes);
	}
	return true;
}

void mos_stream_put(const struct mos_stream_ref *r, const struct mos_piece *piece,
                    uint64_t order_end, bool give_own, struct mos_stream_range *lost)
{
	for (uint32_t done = 0, n; done < piece->len; done += n) {
		uint64_t off = piece->from + done;

		n = (uint32_t)mos_min_u64(piece->len - done, MOS_CHUNK_PAGE - mos_in_page(off));
		if (!put_in_page(r, off, piece->bytes + done, n, off < order_end, give_own))
			note_lost(r, off, n, lost);
	}
}

/* Position of the fastest reader. */
static uint64_t farthest(const struct mos_stream_ref *r)
{
	uint64_t most = 0;

	for (unsigned bits = r->st->readers; bits != 0; bits &= bits - 1) {
		unsigned k = (unsigned)__builtin_ctz(bits);

		most = mos_max_u64(most, *mos_stream_pos(r->f, r->side, k));
	}
	return most;
}

/* The runs of a piece that are held, one after the other: the first that ends behind off. */
static bool next_run(const struct mos_stream_ref *r, const struct mos_piece *piece, uint64_t off,
                     struct mos_piece *run, uint8_t **held)
{
	uint64_t end = piece->from + piece->len;

	while (off < end) {
		uint32_t chunk = mos_stream_chunk_from(r, mos_page(off), mos_page(end - 1) + 1);
		struct mos_chunk *c;
		uint32_t at, stop;

		if (chunk == MOS_CHUNK_NONE)
			return false;
		c = mos_chunk_at(&r->s->pool, chunk);
		off = mos_max_u64(off, mos_page_start(c));
		stop = (uint32_t)mos_min_u64(MOS_CHUNK_PAGE, end - mos_page_start(c));
		at = mos_bits_held(c->valid, mos_in_page(off), stop);
		if (at < stop) {
			stop = mos_bits_missing(c->valid, at, stop);
			*run = mos_piece_part(piece, mos_page_start(c) + at,
			                      mos_page_start(c) + stop);
			*held = c->bytes + at;
			return true;
		}
		off = mos_page_start(c) + MOS_CHUNK_PAGE;
	}
	return false;
}

void mos_stream_replace(const struct mos_stream_ref *r, const struct mos_piece *piece)
{
	uint64_t off = mos_max_u64(piece->from, farthest(r));
	struct mos_piece old, run;
	uint8_t *held;

	if (off >= mos_min_u64(r->st->next, piece->from + piece->len))
		return;
	old = mos_piece_part(piece, off, r->st->next);
	while (next_run(r, &old, off, &run, &held)) {
		memcpy(held, run.bytes, run.len);
		mos_kill_point("stream.replaced");
		off = run.from + run.len;
	}
}

/* [*from, *end) := from the first byte that differs to behind the last; false: all are the same. */
static bool differ(const uint8_t *a, const uint8_t *b, uint32_t len, uint32_t *from, uint32_t *end)
{
	if (memcmp(a, b, len) == 0)
		return false;
	for (*from = 0; a[*from] == b[*from]; ++*from)
		;
	for (*end = len; a[*end - 1] == b[*end - 1]; --*end)
		;
	return true;
}

bool mos_stream_conflicts_slow(struct mos_streams *s, uint32_t flow, int side,
                               const struct mos_piece *piece, struct mos_stream_range *where)
{
	struct mos_stream_ref r = mos_stream_ref(s, flow, side);
	uint64_t off = piece->from, end;
	struct mos_piece part, run;
	bool found = false;
	uint32_t a, b;
	uint8_t *held;

	mos_stream_check_base(&r);
	end = mos_stream_bound(&r, piece->from + piece->len);
	if (r.st->chunks == 0 || end <= piece->from)
		return false;
	part = mos_piece_part(piece, piece->from, end);
	while (next_run(&r, &part, off, &run, &held)) {
		off = run.from + run.len;
		if (!differ(held, run.bytes, run.len, &a, &b))
			continue;
		if (!found)
			where->from = run.from + a;
		where->end = run.from + b;
		found = true;
	}
	if (found)
		mos_counter_add(s->counters, MOS_CTR_W_CONFLICTS, 1);
	return found;
}

uint8_t mos_stream_overrun_slow(struct mos_streams *s, uint32_t flow, int side,
                                const struct mos_piece *piece, struct mos_stream_range *lost)
{
	struct mos_stream_ref r = mos_stream_ref(s, flow, side);
	uint64_t end = mos_max_u64(r.st->next, piece->from + piece->len);
	uint64_t floor = end > r.st->limit ? mos_min_u64(end - r.st->limit, r.st->next) : 0;
	uint8_t who = 0;

	mos_stream_check_base(&r);
	if (mos_likely(floor <= mos_stream_least(&r)))
		return 0;
	for (unsigned bits = r.st->readers; bits != 0; bits &= bits - 1) {
		unsigned k = (unsigned)__builtin_ctz(bits);
		uint64_t pos = *mos_stream_pos(r.f, side, k);

		if (pos >= floor || mos_stream_first_held(&r, pos, floor) == floor)
			continue;
		if (who == 0 || pos < lost->from)
			*lost = (struct mos_stream_range){pos, floor};
		who |= (uint8_t)(1u << k);
	}
	return who;
}

uint32_t mos_stream_follows_slow(struct mos_streams *s, uint32_t flow, int side, uint64_t end)
{
	struct mos_stream_ref r = mos_stream_ref(s, flow, side);

	mos_stream_check_base(&r);
	return (uint32_t)(mos_stream_first_missing(&r, end, end + MOS_STREAM_FAR) - end);
}
