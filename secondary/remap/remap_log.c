/* The log of a side: its records, where they lie, and how one is found. */
#include "secondary/remap/remap_priv.h"
#include "shared/kill_point/kill_point.h"

static uint32_t lookup(const struct mos_log *l, uint64_t page)
{
	return mos_chunk_lookup(l->pool, l->owner, l->flow, page);
}

struct mos_log mos_log_open(struct mos_chunk_pool *pool, struct mos_flow_table *flows,
                            uint32_t flow, int from)
{
	struct mos_flow *f = mos_flow_at(flows, flow);
	struct mos_log l = {
		.pool = pool,
		.f = f,
		.owner = mos_remap_owner(f->id, from),
		.flow = flow,
		.from = from,
		.decided = f->decided[from],
	};
	uint32_t c;

	if (mos_likely(!(f->remap[from] & MOS_REMAP_EDITED)))
		return l;
	c = lookup(&l, 0);
	if (c == MOS_CHUNK_NONE)
		return l;
	l.state = (struct mos_log_state *)mos_chunk_at(pool, c)->bytes;
	l.decided = (uint32_t)l.state->fate;
	l.end = (uint32_t)(l.state->fate >> 32);
	l.delta = (uint32_t)l.state->past;
	l.begin = (uint32_t)(l.state->past >> 32);
	return l;
}

static void store_words(uint64_t *word, uint32_t low, uint32_t high)
{
	/* What they tell of is written before: a successor finds the one or the other. */
	__atomic_store_n(word, (uint64_t)high << 32 | low, __ATOMIC_RELEASE);
}

void mos_log_set_fate(struct mos_log *l, uint32_t decided, uint32_t end)
{
	l->decided = decided;
	l->end = end;
	if (l->state != NULL)
		store_words(&l->state->fate, decided, end);
	else
		__atomic_store_n(&l->f->decided[l->from], decided, __ATOMIC_RELEASE);
}

void mos_log_set_past(struct mos_log *l, uint32_t delta, uint32_t begin)
{
	l->delta = delta;
	l->begin = begin;
	store_words(&l->state->past, delta, begin);
}

struct mos_log_rec *mos_log_at(const struct mos_log *l, uint32_t pos)
{
	uint32_t c = lookup(l, (uint64_t)mos_log_page(pos) + 1);

	if (c == MOS_CHUNK_NONE)
		return NULL;
	return (struct mos_log_rec *)(mos_chunk_at(l->pool, c)->bytes +
	                              (pos & 0xff) * MOS_LOG_UNIT);
}

uint32_t mos_log_settle(const struct mos_log *l, uint32_t pos)
{
	const struct mos_log_rec *rec;

	if (pos == l->end)
		return pos;
	if (!mos_log_has_room(pos, 2))
		return mos_log_next_page(pos);
	rec = mos_log_at(l, pos);
	return rec != NULL && rec->kind != MOS_LOG_SKIP ? pos : mos_log_next_page(pos);
}

uint32_t mos_log_next(const struct mos_log *l, uint32_t pos)
{
	return mos_log_settle(l, pos + mos_log_units(mos_log_at(l, pos)->inserted));
}

/* ---- finding ---- */

/* Does the record at pos lie at x, or before? */
static bool is_before(const struct mos_log *l, uint32_t pos, uint32_t x, bool received)
{
	const struct mos_log_rec *rec = mos_log_at(l, pos);

	return mos_seq_leq(rec->seq + (received ? rec->delta : 0), x);
}

/* The first record in the page n pages behind the begin: all pages behind it begin with one. */
static uint32_t first_in_page(uint32_t begin, uint32_t n)
{
	return n == 0 ? begin : (begin & ~UINT32_C(0xff)) + n * 0x100;
}

static struct mos_log_rec *find(const struct mos_log *l, uint32_t x, bool received, uint32_t *pos)
{
	uint32_t begin, low = 0, high, at, next;

	begin = l->state != NULL ? mos_log_settle(l, l->begin) : l->end;
	*pos = begin;
	if (begin == l->end || !is_before(l, begin, x, received))
		return NULL;
	high = mos_log_pages(begin, l->end);
	while (low < high) {
		uint32_t mid = low + (high - low + 1) / 2;

		if (is_before(l, first_in_page(begin, mid), x, received))
			low = mid;
		else
			high = mid - 1;
	}
	at = first_in_page(begin, low);
	while ((next = mos_log_next(l, at)) != l->end && is_before(l, next, x, received))
		at = next;
	*pos = at;
	return mos_log_at(l, at);
}

struct mos_log_rec *mos_log_find_sent(const struct mos_log *l, uint32_t x, uint32_t *pos)
{
	return find(l, x, false, pos);
}

struct mos_log_rec *mos_log_find_received(const struct mos_log *l, uint32_t x, uint32_t *pos)
{
	return find(l, x, true, pos);
}

uint32_t mos_log_map(const struct mos_log *l, uint32_t seq)
{
	uint32_t pos, k;
	const struct mos_log_rec *rec = mos_log_find_sent(l, seq, &pos);

	if (rec == NULL)
		return seq + l->delta;
	k = seq - rec->seq;
	if (k == 0)
		return seq + rec->delta;
	if (k < rec->removed)
		return rec->seq + rec->delta + (k < rec->inserted ? k : rec->inserted);
	return seq + rec->delta + rec->inserted - rec->removed;
}

/* ---- pages ---- */

static uint32_t get_page(struct mos_log *l, uint64_t page)
{
	uint32_t c = lookup(l, page);

	if (c != MOS_CHUNK_NONE)
		return c;
	return mos_chunk_get(l->pool, &l->f->edits[l->from], l->owner, l->flow, page, false);
}

static bool make_state(struct mos_log *l)
{
	uint32_t c;

	if (l->state != NULL)
		return true;
	c = get_page(l, 0);
	if (c == MOS_CHUNK_NONE)
		return false;
	l->state = (struct mos_log_state *)mos_chunk_at(l->pool, c)->bytes;
	mos_log_set_past(l, 0, 0);
	mos_kill_point("remap.state_past");
	mos_log_set_fate(l, l->f->decided[l->from], 0);
	mos_kill_point("remap.state");
	/* Last: without it, a successor frees the chunk and goes by the record. */
	__atomic_store_n(&l->f->remap[l->from], l->f->remap[l->from] | MOS_REMAP_EDITED,
	                 __ATOMIC_RELEASE);
	return true;
}

bool mos_log_reserve(struct mos_log *l, uint32_t last)
{
	uint32_t pages = mos_log_pages(l->end, last);

	if (!make_state(l))
		return false;
	for (uint32_t n = mos_log_has_room(l->end, 2) ? 0 : 1; n <= pages; n++)
		if (get_page(l, (uint64_t)mos_log_page(l->end + n * 0x100) + 1) == MOS_CHUNK_NONE)
			return false;
	return true;
}

/* Nothing was edited, as far as anybody can tell: the record is enough. */
static void put_state(struct mos_log *l)
{
	l->f->decided[l->from] = l->decided;
	mos_kill_point("remap.put_state");
	__atomic_store_n(&l->f->remap[l->from], l->f->remap[l->from] & (uint8_t)~MOS_REMAP_EDITED,
	                 __ATOMIC_RELEASE);
	mos_kill_point("remap.put_chunks");
	mos_chunk_put_all(l->pool, &l->f->edits[l->from]);
	l->state = NULL;
}

void mos_log_tidy(struct mos_log *l)
{
	bool empty = l->begin == l->end;
	uint32_t next, span = mos_log_pages(l->begin, l->end);

	if (l->state == NULL)
		return;
	if (empty && l->delta == 0) {
		put_state(l);
		return;
	}
	for (uint32_t c = mos_chunk_first(l->pool, l->f->edits[l->from]); c != MOS_CHUNK_NONE;
	     c = next) {
		uint64_t page = mos_chunk_at(l->pool, c)->page;

		next = mos_chunk_next(l->pool, c);
		if (page == 0)
			continue;
		if (empty ||
		    (((uint32_t)page - 1 - mos_log_page(l->begin)) & (MOS_LOG_PAGES - 1)) > span)
			mos_chunk_put(l->pool, &l->f->edits[l->from], c);
		mos_kill_point("remap.tidied");
	}
}
