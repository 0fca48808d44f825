/* Opening the pool, and taking over what a predecessor left: nothing of it is believed. */
#include <errno.h>
#include <string.h>

#include "secondary/remap/remap.h"
#include "secondary/stream/stream_priv.h"
#include "shared/kill_point/kill_point.h"

#define AHEAD_MAX \
	(UINT16_MAX - 1u) /* mos_stream.ahead counts one more: set_ahead of a chunk owned */

/*
 * Members of any value become such that no later step goes astray. next is what rcv_nxt says; an
 * offset that no stream can reach is not one.
 */
static void mend_stream(struct mos_flow *f, int side)
{
	struct mos_stream *st = &f->stream[side];
	int64_t to;

	st->chunks = 0;
	st->ahead = 0;
	st->flags &= MOS_STREAM_LAST | MOS_STREAM_KEEP | MOS_STREAM_OFF;
	if (st->next >= (uint64_t)INT64_MAX - 2 * MOS_STREAM_FAR)
		st->next = 0;
	if (st->readers == 0)
		return; /* its next may lag behind; the halves need not be looked at */
	to = mos_stream_target(f, side);
	st->next = to > 0 ? (uint64_t)to : 0;
	for (unsigned bits = st->readers; bits != 0; bits &= bits - 1) {
		uint64_t *pos = mos_stream_pos(f, side, (unsigned)__builtin_ctz(bits));

		*pos = mos_min_u64(*pos, st->next);
	}
}

static void mend_streams(struct mos_flow *f)
{
	mend_stream(f, MOS_CLI);
	mend_stream(f, MOS_SVR);
	memset(f->edits, 0, sizeof(f->edits));
}

bool mos_streams_check_flow(struct mos_streams *s, uint32_t flow)
{
	bool known = mos_flow_table_is_checked(s->flows, flow);
	enum mos_flow_found found = mos_flow_table_check(s->flows, flow);

	if (known || found == MOS_FLOW_FREE)
		return found != MOS_FLOW_FREE;
	if (found == MOS_FLOW_MENDED)
		mos_counter_add(s->counters, MOS_CTR_W_FLOWS_MENDED, 1);
	mend_streams(mos_flow_at(s->flows, flow));
	return true;
}

/* The stream a chunk says it belongs to, if that has it so. */
static bool find_stream(struct mos_streams *s, const struct mos_chunk *c, struct mos_stream_ref *r)
{
	*r = mos_stream_ref(s, c->flow, c->owner & 1);
	return !(r->f->flags & MOS_FLOW_TORN) && c->owner == r->owner && mos_stream_kept(r->st) &&
	       (r->f->half[r->side].flags & MOS_HALF_RCVD) &&
	       c->base == r->f->half[r->side].irs + 1;
}

/* It holds edits, not bytes of a stream. */
static bool is_of_remap(const struct mos_chunk *c)
{
	return c->owner >> 63;
}

static mos_chunk_list *keep_chunk(void *arg, const struct mos_chunk *c, bool *out_of_order)
{
	struct mos_streams *s = arg;
	struct mos_stream_ref r;
	uint64_t done, first;

	if (c->flow >= s->flows->fresh || !mos_streams_check_flow(s, c->flow))
		return NULL;
	if (is_of_remap(c))
		return mos_remap_keep(s->flows, c);
	if (!find_stream(arg, c, &r) || c->page > mos_page(r.st->next + MOS_STREAM_FAR))
		return NULL;
	done = mos_max_u64(mos_stream_done(&r), mos_page_start(c));
	if (done - mos_page_start(c) >= MOS_CHUNK_PAGE)
		return NULL;
	first = mos_bits_held(c->valid, mos_in_page(done), MOS_CHUNK_PAGE);
	if (first == MOS_CHUNK_PAGE)
		return NULL;
	*out_of_order = mos_page_start(c) + first >= r.st->next;
	return &r.st->chunks;
}

/* Forget what all have read. A second time there is nothing to do. */
static void settle_stream(struct mos_streams *s, uint32_t flow, int side)
{
	struct mos_stream_ref r = mos_stream_ref(s, flow, side);
	uint64_t done = mos_stream_done(&r);

	mos_stream_each(&r, mos_page(done) * MOS_CHUNK_PAGE, done, mos_chunk_op_clear);
	*mos_stream_low(&r) = done;
}

/* Go by the chunks: they are fewer than the flows. */
static void settle_streams(struct mos_streams *s)
{
	for (uint32_t i = 0; i < s->pool.count; i++) {
		const struct mos_chunk *c = mos_chunk_at(&s->pool, i);

		if (c->owner != 0 && mos_chunk_has_age(&s->pool, i))
			mos_flow_at(s->flows, c->flow)->stream[c->owner & 1].ahead++;
	}
	for (uint32_t i = 0; i < s->pool.count; i++) {
		const struct mos_chunk *c = mos_chunk_at(&s->pool, i);

		if (c->owner != 0 && !is_of_remap(c))
			settle_stream(s, c->flow, c->owner & 1);
	}
}

int mos_streams_join(struct mos_streams *s, void *mem, size_t mem_len, struct mos_flow_table *flows,
                     struct mos_counters *counters)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->flows = flows;
	s->counters = counters;
	if (flows->unchecked_count == 0)
		for (uint32_t i = 0; (i = mos_flow_table_next(flows, i)) != MOS_FLOW_NONE; i++)
			mend_streams(mos_flow_at(flows, i));
	err = mos_chunk_pool_join(&s->pool, mem, mem_len, keep_chunk, s, NULL);
	if (err != 0)
		return err;
	s->share_max = (uint32_t)mos_min_u64(s->pool.count / 4, AHEAD_MAX);
	mos_kill_point("adopt.pool");
	settle_streams(s);
	mos_remap_adopt(&s->pool, flows);
	mos_kill_point("adopt.remap");
	return 0;
}

void mos_streams_leave(struct mos_streams *s)
{
	mos_chunk_pool_leave(&s->pool);
}
