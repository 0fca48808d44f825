/*
 * What can be known of a table from the records alone, when whoever wrote it may have died in the
 * middle of anything.
 *
 * A record survives when it is in use and makes sense; nothing else in the memory is believed. The
 * index, the free records and the next id are worked out from the records, so a worker that dies in
 * here leaves its successor no worse off.
 */
#include "shared/flow_table/flow_check.h"
#include "shared/flow_table/flow_index.h"
#include "shared/flow_table/flow_limbo.h"
#include "shared/flow_table/flow_out.h"
#include "shared/flow_table/flow_table.h"
#include "shared/flow_table/flow_table_layout.h"
#include "shared/kill_point/kill_point.h"

/* Records looked at together, so that their buckets are fetched at the same time. */
#define BATCH 32

/* Highest value of enum tcpstate, and of a window scale (RFC 7323 2.3). */
#define STATE_MAX  10
#define WSCALE_MAX 14

bool mos_flow_is_sane(const struct mos_flow *f)
{
	return f->state[MOS_CLI] <= STATE_MAX && f->state[MOS_SVR] <= STATE_MAX &&
	       f->half[MOS_CLI].wscale <= WSCALE_MAX && f->half[MOS_SVR].wscale <= WSCALE_MAX &&
	       (f->key.ip_version == 4 || f->key.ip_version == 6) && f->id <= MOS_FLOW_ID_MAX;
}

bool mos_flow_mend(struct mos_flow *f)
{
	if (!(f->seqcount & 1))
		return false;
	if (f->flags & MOS_FLOW_IN_USE)
		f->flags |= MOS_FLOW_SUSPECT | MOS_FLOW_TORN;
	mos_kill_point("adopt.torn");
	mos_flow_write_end(f);
	return true;
}

void mos_flow_note_id(struct mos_flow_table *t, const struct mos_flow *f)
{
	if (f->id <= MOS_FLOW_ID_MAX && f->id >= t->next_id)
		t->next_id = f->id + 1;
}

/* ---- clashes ---- */

static bool is_twin(const struct mos_flow *f, const struct mos_flow *g)
{
	struct mos_flow_key back;

	if (!(g->flags & MOS_FLOW_IN_USE))
		return false;
	if (memcmp(&f->key, &g->key, sizeof(f->key)) == 0)
		return true;
	if ((f->flags | g->flags) & MOS_FLOW_TWO_KEYS)
		return false;
	mos_flow_key_reverse(&back, &g->key);
	return memcmp(&f->key, &back, sizeof(back)) == 0;
}

uint32_t mos_flow_find_twin(const struct mos_flow_table *t, uint32_t slot)
{
	const struct mos_flow *f = &t->flows[slot];
	uint64_t spread = mos_flow_spread(f->hash);
	uint32_t at = mos_flow_home(spread, t->bucket_mask);
	unsigned left = MOS_BUCKET_CHAIN_MAX;

	do {
		const struct mos_flow_bucket *b = &t->buckets[at];
		unsigned match = mos_bucket_match(b, mos_flow_tag(spread));

		for (; match; match &= match - 1) {
			uint32_t entry = b->slot[__builtin_ctz(match)];

			/* One of a second key is beyond the capacity. */
			if (entry != slot && entry < t->fresh && is_twin(f, &t->flows[entry]))
				return entry;
		}
		at = mos_bucket_next(t, b);
	} while (at && --left);
	return MOS_FLOW_NONE;
}

/* The flow but `slot` that knows its server by the same key. */
static uint32_t find_rival(const struct mos_flow_table *t, uint32_t slot)
{
	const struct mos_flow *f = &t->flows[slot];

	if (f->flags & MOS_FLOW_TWO_KEYS)
		return mos_flow_find_out(t, slot, &f->out, f->out_hash);
	return t->out_count != 0 ? mos_flow_find_out(t, slot, &f->key, f->hash) : MOS_FLOW_NONE;
}

bool mos_flow_out_is_settled(const struct mos_flow_table *t, uint32_t slot)
{
	const struct mos_flow *f = &t->flows[slot];

	if (mos_unlikely(mos_flow_lost_out(f)))
		return true;
	if (mos_unlikely(f->flags & MOS_FLOW_TWO_KEYS) &&
	    ((f->out.ip_version != 4 && f->out.ip_version != 6) ||
	     !mos_flow_index_has(t, f->out_hash, slot | MOS_ENTRY_OUT)))
		return false;
	return find_rival(t, slot) == MOS_FLOW_NONE;
}

static bool enter_out(struct mos_flow_table *t, uint32_t slot)
{
	const struct mos_flow *f = &t->flows[slot];

	if (f->out.ip_version != 4 && f->out.ip_version != 6)
		return false;
	if (mos_flow_index_has(t, f->out_hash, slot | MOS_ENTRY_OUT))
		return true;
	if (!mos_flow_index_add(t, f->out_hash, slot | MOS_ENTRY_OUT))
		return false;
	t->out_count++;
	return true;
}

void mos_flow_settle_out(struct mos_flow_table *t, uint32_t slot)
{
	struct mos_flow *f = &t->flows[slot];
	uint32_t rival;

	if (mos_flow_lost_out(f))
		return;
	if ((f->flags & MOS_FLOW_TWO_KEYS) && !enter_out(t, slot)) {
		mos_flow_void_out(f);
		return;
	}
	rival = find_rival(t, slot);
	if (mos_unlikely(rival != MOS_FLOW_NONE))
		mos_flow_lose_out(t, t->flows[rival].id < f->id ? rival : slot);
}

/* ---- all records ---- */

static void release(struct mos_flow_table *t, uint32_t slot)
{
	__atomic_store_n(&t->flows[slot].flags, 0, __ATOMIC_RELEASE);
	if (slot + 1 == t->fresh) /* behind the last one in use: as good as never used */
		t->fresh = slot;
	else
		mos_flow_free_put(t, slot);
}

/* The older one of a connection loses its place. */
static void displace(struct mos_flow_table *t, uint32_t slot)
{
	if (mos_flow_has_out(&t->flows[slot]))
		mos_flow_lose_out(t, slot);
	mos_flow_index_del(t, t->flows[slot].hash, slot);
	release(t, slot);
	t->count--;
}

/* Enter a sane record in use. Of two that are the same connection, the newer stays. */
static void adopt(struct mos_flow_table *t, uint32_t slot)
{
	const struct mos_flow *f = &t->flows[slot];
	uint32_t twin;

	while ((twin = mos_flow_find_twin(t, slot)) != MOS_FLOW_NONE) {
		if (t->flows[twin].id >= f->id) {
			release(t, slot);
			return;
		}
		displace(t, twin);
	}
	if (!mos_flow_index_add(t, f->hash, slot)) {
		release(t, slot);
		return;
	}
	mos_kill_point("adopt.indexed");
	t->count++;
	mos_flow_settle_out(t, slot);
}

/* Sort out the records [first, end). Returns how many torn ones were mended. */
static uint32_t recover_batch(struct mos_flow_table *t, uint32_t first, uint32_t end)
{
	uint32_t kept[BATCH], kept_count = 0;
	uint32_t mended = 0;

	/* From the last to the first: so the free stack hands out low numbers first. */
	for (uint32_t slot = end; slot-- > first;) {
		struct mos_flow *f = &t->flows[slot];
		bool torn = mos_flow_mend(f);

		mos_flow_note_id(t, f);
		if ((f->flags & (MOS_FLOW_IN_USE | MOS_FLOW_REMOVED)) == MOS_FLOW_REMOVED) {
			mos_flow_limbo_add(t, slot);
			continue;
		}
		if (!(f->flags & MOS_FLOW_IN_USE) || !mos_flow_is_sane(f)) {
			release(t, slot);
			continue;
		}
		mended += torn;
		kept[kept_count++] = slot;
		mos_flow_table_prefetch_bucket(t, f->hash);
	}
	for (uint32_t i = 0; i < kept_count; i++)
		adopt(t, kept[i]);
	return mended;
}

/* Fetch what recover_batch looks at: lines 0 and 1. */
static void fetch_batch(const struct mos_flow_table *t, uint32_t end)
{
	for (uint32_t i = 1; i <= BATCH && i <= end; i++) {
		mos_prefetch(&t->flows[end - i]);
		mos_prefetch(&t->flows[end - i].half);
	}
}

uint32_t mos_flow_table_rebuild(struct mos_flow_table *t)
{
	uint32_t mended = 0;

	mos_flow_index_begin(t);
	mos_flow_index_wipe(t);
	mos_kill_point("adopt.index_wiped");
	t->next_id = 1;
	t->count = t->out_count = t->free_count = 0;
	mos_flow_limbo_empty(t);
	t->fresh = t->capacity;
	for (uint32_t end = t->capacity; end > 0;) {
		uint32_t first = end > BATCH ? end - BATCH : 0;

		fetch_batch(t, first);
		mended += recover_batch(t, first, end);
		end = first;
	}
	memset(t->unchecked, 0, t->capacity);
	t->unchecked_count = 0;
	mos_kill_point("adopt.recovered");
	mos_flow_index_end(t);
	return mended;
}
