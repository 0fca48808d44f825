/* Taking over what a predecessor left: nothing of it is believed. */
#include "secondary/remap/remap_priv.h"

mos_chunk_list *mos_remap_keep(struct mos_flow_table *flows, const struct mos_chunk *c)
{
	int from = c->owner & 1;
	struct mos_flow *f;

	if (c->flow >= flows->capacity)
		return NULL;
	f = mos_flow_at(flows, c->flow);
	if (!(f->flags & MOS_FLOW_IN_USE) || c->owner != mos_remap_owner(f->id, from) ||
	    !mos_remap_on(f, from) || !(f->remap[from] & MOS_REMAP_EDITED) ||
	    c->page > MOS_LOG_PAGES)
		return NULL;
	return &f->edits[from];
}

/* What a record must be like behind others: where those end, in the numbers of both ends. */
struct expected {
	uint32_t seq;
	uint32_t delta;
	bool any; /* there was one */
};

static bool is_sane(const struct mos_log *l, uint32_t pos, const struct mos_log_rec *rec,
                    const struct expected *e)
{
	if (rec->kind != MOS_LOG_EDIT || !mos_log_has_room(pos, mos_log_units(rec->inserted)))
		return false;
	if (rec->delta != e->delta || (e->any && mos_seq_lt(rec->seq, e->seq)))
		return false;
	/* Not above decided, and not so far below that numbers come round. */
	return l->decided - (rec->seq + rec->removed) <= MOS_LOG_SPAN + (1u << 18);
}

/* Walk the log from its begin: does it come to its end? */
static bool log_is_sound(const struct mos_log *l)
{
	struct expected e = {.delta = l->delta};
	uint32_t pos = l->begin, left = MOS_REMAP_CHUNKS_MAX * MOS_LOG_UNITS;

	if ((l->begin & 0xff) > MOS_LOG_UNITS || (l->end & 0xff) > MOS_LOG_UNITS ||
	    mos_log_pages(l->begin, l->end) >= MOS_REMAP_CHUNKS_MAX)
		return false;
	if ((l->end & 0xff) == 0 && l->end != l->begin)
		return false; /* each page up to that of the end begins with a record */
	while ((pos = mos_log_settle(l, pos)) != l->end) {
		const struct mos_log_rec *rec;

		/* Behind the end in its page, or in another: it was passed, or is not there. */
		if (left-- == 0 || mos_log_pages(l->begin, pos) > mos_log_pages(l->begin, l->end) ||
		    (mos_log_page(pos) == mos_log_page(l->end) && pos > l->end) ||
		    !mos_log_has_room(pos, 2))
			return false;
		rec = mos_log_at(l, pos);
		if (rec == NULL || !is_sane(l, pos, rec, &e))
			return false;
		e = (struct expected){
			.seq = rec->seq + rec->removed,
			.delta = rec->delta + rec->inserted - rec->removed,
			.any = true,
		};
		pos += mos_log_units(rec->inserted);
	}
	return true;
}

static void adopt_side(struct mos_chunk_pool *pool, struct mos_flow_table *flows, uint32_t flow,
                       int from)
{
	struct mos_log l = mos_log_open(pool, flows, flow, from);

	/* The list is empty then, and the flag says that it was not: lost. */
	if (l.state == NULL || !log_is_sound(&l))
		mos_chunk_put_all(pool, &l.f->edits[from]);
	else
		mos_log_tidy(&l); /* what was taken for the packet at hand */
}

void mos_remap_adopt(struct mos_chunk_pool *pool, struct mos_flow_table *flows)
{
	/* By the chunks: each side once, for its state; then those that have none. */
	for (int page = 0; page < 2; page++)
		for (uint32_t i = 0; i < pool->count; i++) {
			const struct mos_chunk *c = mos_chunk_at(pool, i);

			if (c->owner >> 63 && (c->page != 0) == page &&
			    (page == 0 ||
			     mos_chunk_lookup(pool, c->owner, c->flow, 0) == MOS_CHUNK_NONE))
				adopt_side(pool, flows, c->flow, c->owner & 1);
		}
}
