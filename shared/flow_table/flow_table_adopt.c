/*
 * Opening a table, and getting to know what a predecessor left in it one record at a time.
 *
 * An index that is whole is used as it is: what it says is checked when it is followed. Records are
 * checked one by one, before more than their key is believed.
 */
#include <errno.h>
#include <stdlib.h>

#include "shared/flow_table/flow_check.h"
#include "shared/flow_table/flow_index.h"
#include "shared/flow_table/flow_limbo.h"
#include "shared/flow_table/flow_table.h"
#include "shared/flow_table/flow_table_layout.h"
#include "shared/touched.h"

/* Records not checked yet that are looked at for a free one, per flow that needs one. */
#define RECORDS_PER_LOOK 256

int mos_flow_table_prepare(struct mos_flow_table *t, uint32_t capacity)
{
	memset(t, 0, sizeof(*t));
	if (mos_flow_table_footprint(capacity) == 0)
		return -EINVAL;
	t->capacity = capacity;
	t->free_slots = mos_alloc_touched(capacity, sizeof(uint32_t));
	t->free_buckets = mos_alloc_touched(mos_flow_overflows(capacity) + 1, sizeof(uint32_t));
	t->unchecked = mos_alloc_touched(capacity, 1);
	mos_flow_limbo_init(t);
	if (!t->free_slots || !t->free_buckets || !t->unchecked || !t->limbo.next) {
		mos_flow_table_leave(t);
		return -ENOMEM;
	}
	memset(t->unchecked, 1, capacity);
	return 0;
}

static int open_prepared(struct mos_flow_table *t, void *mem, size_t mem_len)
{
	uint32_t capacity;
	size_t flows;
	int rc;

	assert(mem && (uintptr_t)mem % MOS_CACHE_LINE == 0);
	rc = mos_flow_table_open(mem, mem_len, &capacity, &flows);
	if (rc)
		return rc;
	if (capacity != t->capacity)
		return -EPROTO;
	t->hdr = mem;
	t->buckets = (void *)((uint8_t *)mem + sizeof(*t->hdr));
	t->flows = (void *)((uint8_t *)mem + flows);
	t->bucket_mask = mos_flow_homes(capacity) - 1;
	return 0;
}

/* Index and records agree, and the numbers in the header are good. */
static bool take_numbers(struct mos_flow_table *t)
{
	const struct mos_flow_table_hdr hdr = *t->hdr; /* once: checked is what is used */

	if (hdr.whole != mos_flow_table_seal(&hdr) || hdr.count > hdr.fresh ||
	    hdr.fresh > t->capacity || hdr.next_id == 0 || hdr.next_id - 1 > MOS_FLOW_ID_MAX)
		return false;
	t->next_id = hdr.next_id;
	t->count = hdr.count;
	t->out_count = hdr.out_count;
	t->fresh = t->unchecked_count = t->record_scan = hdr.fresh;
	t->bucket_scan = t->bucket_mask + 1 + mos_flow_overflows(t->capacity);
	return true;
}

int mos_flow_table_adopt(struct mos_flow_table *t, void *mem, size_t mem_len, uint32_t *mended)
{
	int rc = open_prepared(t, mem, mem_len);

	*mended = 0;
	if (rc == 0 && !take_numbers(t))
		*mended = mos_flow_table_rebuild(t);
	return rc;
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
	rc = mos_flow_table_prepare(t, capacity);
	if (rc)
		return rc;
	rc = open_prepared(t, mem, mem_len);
	if (rc) {
		mos_flow_table_leave(t);
		return rc;
	}
	torn = mos_flow_table_rebuild(t);
	if (mended)
		*mended = torn;
	return 0;
}

void mos_flow_table_leave(struct mos_flow_table *t)
{
	free(t->free_slots);
	free(t->free_buckets);
	free(t->unchecked);
	free(t->limbo.next);
	memset(t, 0, sizeof(*t));
}

/* ---- a record at a time ---- */

/* What a record is has been found out. When that is so of all, how many are in use is known. */
static void checked(struct mos_flow_table *t, uint32_t slot)
{
	t->unchecked[slot] = 0;
	if (--t->unchecked_count == 0)
		t->count = t->fresh - t->free_count - t->limbo.count;
}

/* It is not in use. True: it is free; false: readers may still look at it. */
static bool found_unused(struct mos_flow_table *t, uint32_t slot)
{
	struct mos_flow *f = &t->flows[slot];
	bool removed = f->flags & MOS_FLOW_REMOVED;

	mos_flow_mend(f);
	mos_flow_note_id(t, f);
	if (removed)
		mos_flow_limbo_add(t, slot);
	else
		mos_flow_free_put(t, slot);
	checked(t, slot);
	return !removed;
}

static void drop(struct mos_flow_table *t, uint32_t slot)
{
	mos_flow_table_remove(t, slot);
	checked(t, slot);
}

/*
 * Where index and records agree, no connection has two records. If one has been checked, a garbled
 * entry or key has kept this one from it: the other is in work. Else the newer stays.
 */
static bool yields_to_twin(struct mos_flow_table *t, uint32_t slot)
{
	uint32_t twin;

	while ((twin = mos_flow_find_twin(t, slot)) != MOS_FLOW_NONE) {
		const struct mos_flow *g = &t->flows[twin];

		if (!t->unchecked[twin] || (mos_flow_is_sane(g) && g->id >= t->flows[slot].id))
			return true;
		drop(t, twin);
	}
	return false;
}

/* Let the index lead to it. */
static bool enter(struct mos_flow_table *t, uint32_t slot)
{
	bool entered;

	if (mos_likely(mos_flow_index_has(t, t->flows[slot].hash, slot)))
		return true;
	mos_flow_index_begin(t);
	entered = mos_flow_index_add(t, t->flows[slot].hash, slot);
	mos_flow_index_end(t);
	return entered;
}

enum mos_flow_found mos_flow_table_check(struct mos_flow_table *t, uint32_t slot)
{
	struct mos_flow *f = &t->flows[slot];
	bool torn;

	if (!t->unchecked[slot])
		return f->flags & MOS_FLOW_IN_USE ? MOS_FLOW_FOUND : MOS_FLOW_FREE;
	if (!(f->flags & MOS_FLOW_IN_USE)) {
		found_unused(t, slot);
		return MOS_FLOW_FREE;
	}
	torn = mos_flow_mend(f);
	mos_flow_note_id(t, f);
	if (!mos_flow_is_sane(f) || yields_to_twin(t, slot) || !enter(t, slot)) {
		drop(t, slot);
		return MOS_FLOW_FREE;
	}
	if (mos_unlikely(!mos_flow_out_is_settled(t, slot))) {
		mos_flow_index_begin(t);
		mos_flow_settle_out(t, slot);
		mos_flow_index_end(t);
	}
	checked(t, slot);
	return torn ? MOS_FLOW_MENDED : MOS_FLOW_FOUND;
}

/* A record that was never used; else look through those not checked, from the end. */
static bool find_free(struct mos_flow_table *t)
{
	if (t->fresh < t->capacity) {
		struct mos_flow *f = &t->flows[t->fresh];

		f->flags = 0; /* whatever lies there */
		f->seqcount &= ~1u;
		t->unchecked[t->fresh] = 0;
		mos_flow_free_put(t, t->fresh++);
		return true;
	}
	for (unsigned looks = RECORDS_PER_LOOK; looks > 0 && t->record_scan > 0; looks--) {
		uint32_t slot = --t->record_scan;

		if (t->unchecked[slot] && !(t->flows[slot].flags & MOS_FLOW_IN_USE) &&
		    found_unused(t, slot))
			return true;
	}
	return false;
}

uint32_t mos_flow_table_next_free(struct mos_flow_table *t)
{
	if (mos_unlikely(t->free_count == 0) && !find_free(t))
		return MOS_FLOW_NONE;
	return t->free_slots[t->free_count - 1];
}
