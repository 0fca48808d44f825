#include <string.h>

#include "secondary/stream/stream_rig_priv.h"

typedef unsigned long long ull;

void rig_same_range(const struct rig *r, const char *what, unsigned n, int side,
                    const struct mos_stream_range *got, const struct mos_stream_range *want)
{
	bool both_empty = got->from == got->end && want->from == want->end;

	if (!both_empty && (got->from != want->from || got->end != want->end))
		rig_wrong(r, "flow %u side %d: %s [%llu, %llu), not [%llu, %llu)", n, side, what,
		          (ull)got->from, (ull)got->end, (ull)want->from, (ull)want->end);
}

static void check_counter(const struct rig *r, enum mos_counter which, uint64_t want)
{
	uint64_t is = mos_counter_get(&r->counters, which);

	if (is != want)
		rig_wrong(r, "%s is %llu, not %llu", mos_counter_name(which), (ull)is, (ull)want);
}

void rig_check_counters(const struct rig *r)
{
	check_counter(r, MOS_CTR_W_GAP_BYTES, r->gap_bytes);
	check_counter(r, MOS_CTR_W_OVERRUN_BYTES, r->overrun_bytes);
	check_counter(r, MOS_CTR_W_NO_ROOM_BYTES, r->no_room_bytes);
}

/* ---- bytes in doubt ---- */

struct asked {
	struct rig *r;
	unsigned n;
	int side;
	bool any;
	struct mos_stream_range range; /* the last answer */
};

static bool is_held(void *arg, uint64_t off)
{
	struct asked *a = arg;

	if (!a->any || off >= a->range.end)
		a->any = mos_stream_held(&a->r->streams, a->r->flow[a->n].slot, a->side, off,
		                         &a->range);
	return a->any && off >= a->range.from;
}

uint64_t rig_resolve(struct rig *r, unsigned n, int side)
{
	struct model_stream *m = &r->flow[n].in[side];
	struct asked a = {.r = r, .n = n, .side = side};

	return model_resolve(m, model_least(m), is_held, &a);
}

/* ---- what is held ---- */

static void compare_bytes(struct rig *r, unsigned n, int side, const struct mos_stream_range *range)
{
	uint64_t step;

	for (uint64_t off = range->from; off < range->end; off += step) {
		step = range->end - off < 4096 ? range->end - off : 4096;
		rig_at(r, n, side, off, step);
	}
}

void rig_compare(struct rig *r, unsigned n, int side)
{
	const struct model_stream *m = &r->flow[n].in[side];
	struct mos_stream_range got, want;
	bool more;

	for (uint64_t off = 0;; off = got.end) {
		more = mos_stream_held(&r->streams, r->flow[n].slot, side, off, &got);
		if (more != model_next_held(m, off, &want))
			rig_wrong(r, "flow %u side %d: %s is held behind %llu", n, side,
			          more ? "something" : "nothing", (ull)off);
		if (!more)
			return;
		rig_same_range(r, "held", n, side, &got, &want);
		if (r->step % 16 == 0)
			compare_bytes(r, n, side, &got);
	}
}

static unsigned bits_of(const struct mos_chunk *c)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < MOS_CHUNK_PAGE; i++)
		bits += c->valid[i / 64] >> i % 64 & 1;
	return bits;
}

/* The offset of the first byte. */
static uint64_t first_bit(const struct mos_chunk *c)
{
	unsigned i = 0;

	while (i < MOS_CHUNK_PAGE && !(c->valid[i / 64] >> i % 64 & 1))
		i++;
	return c->page * MOS_CHUNK_PAGE + i;
}

/* All chunks of one stream. Returns how many. */
static uint32_t check_list(struct rig *r, unsigned n, int side)
{
	const struct mos_chunk_pool *p = &r->streams.pool;
	const struct mos_flow *f = rig_record(r, n);
	const struct model_stream *m = &r->flow[n].in[side];
	uint64_t owner = mos_chunk_owner(f->id, side), bits = 0, held = 0;
	uint32_t count = 0, ahead = 0, c;

	for (c = mos_chunk_first(p, f->stream[side].chunks); c != MOS_CHUNK_NONE;
	     c = mos_chunk_next(p, c)) {
		const struct mos_chunk *chunk = mos_chunk_at(p, c);

		RIG_CHECK(r, ++count <= p->count);
		RIG_CHECK(r, chunk->owner == owner);
		RIG_CHECK(r, chunk->flow == r->flow[n].slot);
		RIG_CHECK(r, mos_chunk_lookup(p, owner, r->flow[n].slot, chunk->page) == c);
		/* It has an age while nothing in it is in order. */
		RIG_CHECK(r, mos_chunk_has_age(p, c) == (first_bit(chunk) >= m->next));
		ahead += mos_chunk_has_age(p, c);
		bits += bits_of(chunk);
	}
	RIG_CHECK(r, ahead == f->stream[side].ahead);
	/* Of a chunk that `next` cuts in two what is in order may have been given back. */
	RIG_CHECK(r, ahead <= p->count / 4 + 1);
	for (uint64_t off = m->low; off < m->high; off++)
		held += model_holds(m, off);
	if (bits != held)
		rig_wrong(r, "flow %u side %d: %llu bits, %llu bytes held", n, side, (ull)bits,
		          (ull)held);
	return count;
}

void rig_check_pool(struct rig *r)
{
	const struct mos_chunk_pool *p = &r->streams.pool;
	uint32_t listed = 0, owned = 0;

	for (unsigned n = 0; n < RIG_FLOWS; n++)
		if (r->flow[n].live)
			listed += check_list(r, n, MOS_CLI) + check_list(r, n, MOS_SVR);
	for (uint32_t c = 0; c < p->count; c++)
		owned += mos_chunk_at(p, c)->owner != 0;
	RIG_CHECK(r, owned == listed);
	RIG_CHECK(r, owned + p->free_count == p->count);
}

void rig_check_views(const struct rig *r, unsigned n)
{
	for (unsigned i = 0; i < r->view_count; i++) {
		const struct rig_view *v = &r->view[i];
		const struct model_stream *m = &r->flow[v->flow].in[v->side];

		for (uint32_t b = 0; v->flow == n && b < v->len; b++)
			RIG_CHECK(r, v->bytes[b] == model_byte(m, v->from + b));
	}
}
