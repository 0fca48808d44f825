/*
 * Opening a table that somebody else may have left in the middle of anything.
 *
 * A record survives when it is in use and makes sense; nothing else in the memory is believed. The
 * index, the free records and the next id are worked out from the records alone, so a worker that
 * dies in here leaves its successor no worse off.
 */
#include "shared/flow_table/flow_table.h"

#include <errno.h>
#include <stdlib.h>

#include "shared/flow_table/flow_index.h"
#include "shared/flow_table/flow_limbo.h"
#include "shared/flow_table/flow_out.h"
#include "shared/flow_table/flow_table_layout.h"
#include "shared/kill_point/kill_point.h"

/* Records looked at together, so that their buckets are fetched at the same time. */
#define BATCH 32

/* Highest value of enum tcpstate, and of a window scale (RFC 7323 2.3). */
#define STATE_MAX  10
#define WSCALE_MAX 14

/*
 * An id beyond was not counted up to: the next id must have room above the highest one, and two
 * bits are for whoever makes an owner word of it (mos_remap_owner).
 */
#define ID_MAX (INT64_MAX / 2)

static bool is_sane(const struct mos_flow *f)
{
	return f->state[MOS_CLI] <= STATE_MAX && f->state[MOS_SVR] <= STATE_MAX &&
	       f->half[MOS_CLI].wscale <= WSCALE_MAX && f->half[MOS_SVR].wscale <= WSCALE_MAX &&
	       (f->key.ip_version == 4 || f->key.ip_version == 6) && f->id <= ID_MAX;
}

static void release(struct mos_flow_table *t, uint32_t slot)
{
	__atomic_store_n(&t->flows[slot].flags, 0, __ATOMIC_RELEASE);
	mos_flow_free_put(t, slot);
}

/*
 * Bring a record out of the change in which its writer died. The key is whole: it is written only
 * before a record comes into use; so is the second one, if it says so (flow_out.h). Returns whether
 * there was such a change.
 */
static bool mend(struct mos_flow *f)
{
	if (!(f->seqcount & 1))
		return false;
	if (f->flags & MOS_FLOW_IN_USE)
		f->flags |= MOS_FLOW_SUSPECT | MOS_FLOW_TORN;
	mos_kill_point("adopt.torn");
	mos_flow_write_end(f);
	return true;
}

/*
 * Of two flows that know their servers by the same key, the older does not know its server any
 * more.
 */
static void win_out(struct mos_flow_table *t, uint32_t slot, const struct mos_flow_key *out,
                    uint32_t hash)
{
	uint32_t other = mos_flow_find_out(t, slot, out, hash);

	if (mos_unlikely(other != MOS_FLOW_NONE))
		mos_flow_lose_out(t, t->flows[other].id < t->flows[slot].id ? other : slot);
}

/* Enter the second key of a flow, which is not believed before it is looked at. */
static void adopt_out(struct mos_flow_table *t, uint32_t slot)
{
	struct mos_flow *f = &t->flows[slot];
	const struct mos_flow_key *out = &f->out;

	if (out->ip_version == 0)
		return;
	if ((out->ip_version != 4 && out->ip_version != 6) ||
	    !mos_flow_index_add(t, f->out_hash, slot | MOS_ENTRY_OUT)) {
		mos_flow_void_out(f);
		return;
	}
	t->out_count++;
	win_out(t, slot, out, f->out_hash);
}

/* Two records of one connection: the client sends alike, or each calls the other its client. */
static bool is_twin(const struct mos_flow *f, const struct mos_flow *g)
{
	struct mos_flow_key back;

	if (memcmp(&f->key, &g->key, sizeof(f->key)) == 0)
		return true;
	if ((f->flags | g->flags) & MOS_FLOW_TWO_KEYS)
		return false;
	mos_flow_key_reverse(&back, &g->key);
	return memcmp(&f->key, &back, sizeof(back)) == 0;
}

/* A record in the index that is of the connection of f; MOS_FLOW_NONE if there is none. */
static uint32_t find_twin(const struct mos_flow_table *t, const struct mos_flow *f)
{
	uint64_t spread = mos_flow_spread(f->hash);
	uint32_t at = mos_flow_home(spread, t->bucket_mask);

	do {
		const struct mos_flow_bucket *b = &t->buckets[at];
		unsigned match = mos_bucket_match(b, mos_flow_tag(spread));

		for (; match; match &= match - 1) {
			uint32_t entry = b->slot[__builtin_ctz(match)];

			if (!(entry & MOS_ENTRY_OUT) && is_twin(f, &t->flows[entry]))
				return entry;
		}
		at = b->next;
	} while (at);
	return MOS_FLOW_NONE;
}

/* Enter a sane record in use. Of two that are the same connection, the newer stays. */
static void adopt(struct mos_flow_table *t, uint32_t slot)
{
	struct mos_flow *f = &t->flows[slot];
	uint32_t twin;

	while ((twin = find_twin(t, f)) != MOS_FLOW_NONE) {
		if (t->flows[twin].id >= f->id) {
			release(t, slot);
			return;
		}
		mos_flow_table_remove(t, twin);
	}
	if (!mos_flow_index_add(t, f->hash, slot)) {
		release(t, slot);
		return;
	}
	mos_kill_point("adopt.indexed");
	t->count++;
	if (mos_unlikely(f->flags & MOS_FLOW_TWO_KEYS))
		adopt_out(t, slot);
	else if (mos_unlikely(t->out_count != 0))
		win_out(t, slot, &f->key, f->hash);
}

/* Sort out the records [first, end). Returns how many torn ones were mended. */
static uint32_t recover_batch(struct mos_flow_table *t, uint32_t first, uint32_t end)
{
	uint32_t kept[BATCH], kept_count = 0;
	uint32_t mended = 0;

	/* From the last to the first: so the free stack hands out low numbers first. */
	for (uint32_t slot = end; slot-- > first;) {
		struct mos_flow *f = &t->flows[slot];
		bool torn = mend(f);

		/* Free records count too: an id is not given out twice. */
		if (f->id <= ID_MAX && f->id >= t->next_id)
			t->next_id = f->id + 1;
		if ((f->flags & (MOS_FLOW_IN_USE | MOS_FLOW_REMOVED)) == MOS_FLOW_REMOVED) {
			mos_flow_limbo_add(t, slot);
			continue;
		}
		if (!(f->flags & MOS_FLOW_IN_USE) || !is_sane(f)) {
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

static uint32_t recover(struct mos_flow_table *t)
{
	uint32_t mended = 0;

	mos_flow_index_wipe(t);
	mos_kill_point("adopt.index_wiped");
	t->next_id = 1;
	for (uint32_t end = t->capacity; end > 0;) {
		uint32_t first = end > BATCH ? end - BATCH : 0;

		fetch_batch(t, first);
		mended += recover_batch(t, first, end);
		end = first;
	}
	return mended;
}

int mos_flow_table_join(struct mos_flow_table *t, void *mem, size_t mem_len, uint32_t *mended)
{
	uint32_t capacity, torn;
	size_t flows;
	int rc;

	assert(mem && (uintptr_t)mem % MOS_CACHE_LINE == 0);
	rc = mos_flow_table_open(mem, mem_len, &capacity, &flows);
	if (rc)
		return rc;

	memset(t, 0, sizeof(*t));
	t->free_slots = malloc(capacity * sizeof(uint32_t));
	t->free_buckets = malloc((mos_flow_overflows(capacity) + 1) * sizeof(uint32_t));
	mos_flow_limbo_init(&t->limbo, capacity);
	if (!t->free_slots || !t->free_buckets || !t->limbo.next) {
		mos_flow_table_leave(t);
		return -ENOMEM;
	}
	t->hdr = mem;
	t->buckets = (void *)((uint8_t *)mem + sizeof(*t->hdr));
	t->flows = (void *)((uint8_t *)mem + flows);
	t->bucket_mask = mos_flow_homes(capacity) - 1;
	t->capacity = capacity;
	torn = recover(t);
	mos_kill_point("adopt.recovered");
	if (mended)
		*mended = torn;
	return 0;
}

void mos_flow_table_leave(struct mos_flow_table *t)
{
	free(t->free_slots);
	free(t->free_buckets);
	free(t->limbo.next);
	memset(t, 0, sizeof(*t));
}
