#include "shared/flow_table/flow_index.h"

#include "shared/flow_table/flow_table_layout.h"
#include "shared/kill_point/kill_point.h"

/* How many entries a bucket has; they stand at its front. */
static unsigned fill(const struct mos_flow_bucket *b)
{
	return MOS_BUCKET_SLOTS - (unsigned)__builtin_popcount(mos_bucket_match(b, 0));
}

void mos_flow_index_wipe(struct mos_flow_table *t)
{
	uint32_t homes = t->bucket_mask + 1;
	uint32_t overflows = mos_flow_overflows(t->capacity);

	memset(t->buckets, 0, ((size_t)homes + overflows) * sizeof(t->buckets[0]));
	for (uint32_t i = 0; i < overflows; i++)
		t->free_buckets[i] = homes + overflows - 1 - i;
	t->free_bucket_count = overflows;
}

bool mos_flow_index_add(struct mos_flow_table *t, uint32_t hash, uint32_t entry)
{
	uint64_t spread = mos_flow_spread(hash);
	struct mos_flow_bucket *b = &t->buckets[mos_flow_home(spread, t->bucket_mask)];
	unsigned length = 1;
	unsigned pos;

	for (; b->next; b = &t->buckets[b->next])
		length++;
	pos = fill(b);
	if (pos == MOS_BUCKET_SLOTS) {
		if (length == MOS_BUCKET_CHAIN_MAX)
			return false;
		assert(t->free_bucket_count > 0); /* see mos_flow_overflows() */
		b->next = t->free_buckets[--t->free_bucket_count];
		mos_kill_point("index.add_linked");
		b = &t->buckets[b->next];
		pos = 0;
	}
	b->slot[pos] = entry;
	mos_kill_point("index.add_slot");
	b->tag[pos] = mos_flow_tag(spread);
	mos_kill_point("index.added");
	return true;
}

/* The place of an entry in its chain: bucket and position. */
static struct mos_flow_bucket *find(const struct mos_flow_table *t, uint32_t hash, uint32_t entry,
                                    unsigned *pos)
{
	uint64_t spread = mos_flow_spread(hash);
	uint32_t at = mos_flow_home(spread, t->bucket_mask);

	do {
		struct mos_flow_bucket *b = &t->buckets[at];
		unsigned match = mos_bucket_match(b, mos_flow_tag(spread));

		for (; match; match &= match - 1) {
			*pos = (unsigned)__builtin_ctz(match);
			if (b->slot[*pos] == entry)
				return b;
		}
		at = b->next;
	} while (at);
	return NULL;
}

void mos_flow_index_del(struct mos_flow_table *t, uint32_t hash, uint32_t entry)
{
	struct mos_flow_bucket *before_last = NULL, *last;
	struct mos_flow_bucket *b;
	unsigned pos, last_pos;

	b = find(t, hash, entry, &pos);
	assert(b);
	for (last = b; last->next; last = &t->buckets[last->next])
		before_last = last;

	/* The last entry of the chain fills the hole. */
	last_pos = fill(last) - 1;
	b->slot[pos] = last->slot[last_pos];
	mos_kill_point("index.del_slot");
	b->tag[pos] = last->tag[last_pos];
	mos_kill_point("index.del_twice");
	last->tag[last_pos] = 0;
	mos_kill_point("index.del_gone");
	if (last_pos > 0)
		return;

	/* The last bucket became empty. Being b itself, its predecessor is yet to be found. */
	if (!before_last) {
		before_last = &t->buckets[mos_flow_home(mos_flow_spread(hash), t->bucket_mask)];
		if (before_last == last)
			return; /* the home bucket stays */
		while (&t->buckets[before_last->next] != last)
			before_last = &t->buckets[before_last->next];
	}
	t->free_buckets[t->free_bucket_count++] = before_last->next;
	mos_kill_point("index.del_bucket");
	before_last->next = 0;
}
