#include "shared/flow_table/flow_index.h"

#include "shared/flow_table/flow_table_layout.h"
#include "shared/kill_point/kill_point.h"

/* Overflow buckets of a predecessor looked at for one that is free, per entry that needs one. */
#define BUCKETS_PER_LOOK 1024

void mos_flow_index_begin(struct mos_flow_table *t)
{
	__atomic_store_n(&t->hdr->whole, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE); /* no part of the change comes before */
}

void mos_flow_index_end(struct mos_flow_table *t)
{
	struct mos_flow_table_hdr *hdr = t->hdr;

	hdr->next_id = t->next_id;
	hdr->count = t->count;
	hdr->out_count = t->out_count;
	hdr->fresh = t->fresh;
	__atomic_store_n(&hdr->whole, mos_flow_table_seal(hdr), __ATOMIC_RELEASE); /* all is done */
}

static bool is_empty(const struct mos_flow_bucket *b)
{
	return mos_bucket_match(b, 0) == (1u << MOS_BUCKET_SLOTS) - 1;
}

/* The places of a bucket that are taken, a bit for each: at its front, but for garbage. */
static unsigned places(const struct mos_flow_bucket *b)
{
	return ~mos_bucket_match(b, 0) & ((1u << MOS_BUCKET_SLOTS) - 1);
}

static struct mos_flow_bucket *home_of(const struct mos_flow_table *t, uint64_t spread)
{
	return &t->buckets[mos_flow_home(spread, t->bucket_mask)];
}

void mos_flow_index_wipe(struct mos_flow_table *t)
{
	uint32_t homes = t->bucket_mask + 1;
	uint32_t overflows = mos_flow_overflows(t->capacity);

	memset(t->buckets, 0, ((size_t)homes + overflows) * sizeof(t->buckets[0]));
	for (uint32_t i = 0; i < overflows; i++)
		t->free_buckets[i] = homes + overflows - 1 - i;
	t->free_bucket_count = overflows;
	t->bucket_scan = homes;
}

/*
 * Those in use are not empty: so a successor finds the free ones while it goes along. It begins at
 * the end, as low numbers are given out first.
 */
static bool find_free_bucket(struct mos_flow_table *t)
{
	for (unsigned looks = BUCKETS_PER_LOOK; looks > 0 && t->bucket_scan > t->bucket_mask + 1;
	     looks--)
		if (is_empty(&t->buckets[--t->bucket_scan])) {
			t->free_buckets[t->free_bucket_count++] = t->bucket_scan;
			return true;
		}
	return false;
}

/* The number of a free overflow bucket; 0: there is none, see mos_flow_overflows(), or garbage. */
static uint32_t take_bucket(struct mos_flow_table *t)
{
	while (t->free_bucket_count > 0 || find_free_bucket(t)) {
		uint32_t at = t->free_buckets[--t->free_bucket_count];

		if (mos_likely(is_empty(&t->buckets[at]))) {
			t->buckets[at].next = 0;
			return at;
		}
	}
	return 0;
}

static void give_bucket(struct mos_flow_table *t, uint32_t at)
{
	/* Below, it will be found. In garbage one may be in two chains, and given back twice. */
	if (at >= t->bucket_scan && t->free_bucket_count < mos_flow_overflows(t->capacity))
		t->free_buckets[t->free_bucket_count++] = at;
}

bool mos_flow_index_add(struct mos_flow_table *t, uint32_t hash, uint32_t entry)
{
	uint64_t spread = mos_flow_spread(hash);
	struct mos_flow_bucket *b = home_of(t, spread);
	unsigned length = 1, room;
	uint32_t next;

	for (; (next = mos_bucket_next(t, b)) != 0 && length < MOS_BUCKET_CHAIN_MAX; length++)
		b = &t->buckets[next];
	room = mos_bucket_match(b, 0);
	if (room == 0) {
		if (length == MOS_BUCKET_CHAIN_MAX || (next = take_bucket(t)) == 0)
			return false;
		b->next = next;
		mos_kill_point("index.add_linked");
		b = &t->buckets[next];
		room = 1;
	}
	b->slot[__builtin_ctz(room)] = entry;
	mos_kill_point("index.add_slot");
	b->tag[__builtin_ctz(room)] = mos_flow_tag(spread);
	mos_kill_point("index.added");
	return true;
}

/* Whether a bucket has an entry, and where. */
static bool has(const struct mos_flow_bucket *b, uint16_t tag, uint32_t entry, unsigned *pos)
{
	for (unsigned match = mos_bucket_match(b, tag); match; match &= match - 1) {
		*pos = (unsigned)__builtin_ctz(match);
		if (b->slot[*pos] == entry)
			return true;
	}
	return false;
}

bool mos_flow_index_has(const struct mos_flow_table *t, uint32_t hash, uint32_t entry)
{
	uint64_t spread = mos_flow_spread(hash);
	uint32_t at = mos_flow_home(spread, t->bucket_mask);
	unsigned left = MOS_BUCKET_CHAIN_MAX, pos;

	do {
		if (has(&t->buckets[at], mos_flow_tag(spread), entry, &pos))
			return true;
		at = mos_bucket_next(t, &t->buckets[at]);
	} while (at && --left);
	return false;
}

bool mos_flow_index_del(struct mos_flow_table *t, uint32_t hash, uint32_t entry)
{
	uint64_t spread = mos_flow_spread(hash);
	struct mos_flow_bucket *last = home_of(t, spread), *before = NULL, *b = NULL;
	unsigned left = MOS_BUCKET_CHAIN_MAX, pos = 0, last_pos;

	for (;;) {
		uint32_t next = mos_bucket_next(t, last);

		if (!b && has(last, mos_flow_tag(spread), entry, &pos))
			b = last;
		if (mos_likely(next == 0) || --left == 0)
			break;
		before = last;
		last = &t->buckets[next];
	}
	if (!b)
		return false;

	/* The last entry of the chain fills the hole. Only in garbage there is none. */
	last_pos = is_empty(last) ? 0 : 31 - (unsigned)__builtin_clz(places(last));
	b->slot[pos] = last->slot[last_pos];
	mos_kill_point("index.del_slot");
	b->tag[pos] = last->tag[last_pos];
	mos_kill_point("index.del_twice");
	last->tag[last_pos] = 0;
	mos_kill_point("index.del_gone");
	if (last_pos == 0 && before) {
		before->next = 0;
		mos_kill_point("index.del_bucket");
		give_bucket(t, (uint32_t)(last - t->buckets));
	}
	return true;
}
