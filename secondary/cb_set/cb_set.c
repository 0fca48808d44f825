#include "secondary/cb_set/cb_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mtcp_util.h"

#define BUCKETS_MIN   64
#define PURGE_BUCKETS 256               /* looked through at a time */
#define PURGE_AT_MIN  ((size_t)1 << 16) /* bytes: some 100 sets */

/* ---- one set ---- */

/* What one built-in event at one hook adds to the hash of a set. */
static uint64_t cell_hash(const struct mos_cb_set *set, enum mos_hook hook, unsigned bit)
{
	const struct mos_tree *tree = set->tree[hook][bit];
	callback_t cb = set->cb[hook][bit];
	uint64_t seed = 2 * (hook * MOS_EVENT_BITS + bit);

	return (cb != NULL ? XXH64(&cb, sizeof(cb), seed) : 0) +
	       (tree != NULL ? XXH64(&tree->hash, sizeof(tree->hash), seed + 1) : 0);
}

static bool set_equal(const struct mos_cb_set *a, const struct mos_cb_set *b)
{
	if (a->hash != b->hash || memcmp(a->mask, b->mask, sizeof(a->mask)) != 0 ||
	    memcmp(a->cb, b->cb, sizeof(a->cb)) != 0)
		return false;
	for (unsigned hook = 0; hook < MOS_HOOK_COUNT; hook++)
		for (unsigned bit = 0; bit < MOS_EVENT_BITS; bit++)
			if (!mos_tree_equal(a->tree[hook][bit], b->tree[hook][bit]))
				return false;
	return true;
}

/* Bring mask and hash up to date with one cell that was changed. */
static void refresh_cell(struct mos_cb_set *set, uint64_t old_hash, enum mos_hook hook,
                         unsigned bit)
{
	set->hash += cell_hash(set, hook, bit) - old_hash;
	if (set->cb[hook][bit] != NULL || set->tree[hook][bit] != NULL)
		set->mask[hook] |= 1u << bit;
	else
		set->mask[hook] &= ~(1u << bit);
}

/* ---- the table ---- */

static struct mos_cb_set **bucket_of(struct mos_cb_sets *t, uint64_t hash)
{
	return &t->bucket[hash & (t->bucket_count - 1)];
}

static struct mos_cb_set *lookup(struct mos_cb_sets *t, const struct mos_cb_set *want)
{
	struct mos_cb_set *set;

	for (set = *bucket_of(t, want->hash); set != NULL; set = set->next)
		if (set_equal(set, want))
			return set;
	return NULL;
}

/* Twice the buckets, if there is memory; without, chains grow. A purge under way goes on. */
static void grow(struct mos_cb_sets *t)
{
	struct mos_cb_set **old = t->bucket, *set, *next;
	uint32_t old_count = t->bucket_count;

	t->bucket = calloc(2 * (size_t)old_count, sizeof(struct mos_cb_set *));
	if (t->bucket == NULL) {
		t->bucket = old;
		return;
	}
	t->bucket_count = 2 * old_count;
	for (uint32_t b = 0; b < old_count; b++)
		for (set = old[b]; set != NULL; set = next) {
			next = set->next;
			set->next = *bucket_of(t, set->hash);
			*bucket_of(t, set->hash) = set;
		}
	free(old);
}

static void account(struct mos_cb_sets *t, size_t bytes)
{
	t->bytes += bytes;
	if (t->bytes >= t->purge_at)
		atomic_store_explicit(&t->crowded, true, memory_order_relaxed);
}

static void widen(struct mos_cb_sets *t, const uint32_t mask[MOS_HOOK_COUNT])
{
	for (unsigned hook = 0; hook < MOS_HOOK_COUNT; hook++) {
		t->seen[hook] |= mask[hook];
		atomic_fetch_or_explicit(&t->wanted[hook], mask[hook], memory_order_relaxed);
	}
}

/* Put a copy of *want into the table. It takes references of the trees. NULL: no memory. */
static struct mos_cb_set *insert(struct mos_cb_sets *t, const struct mos_cb_set *want)
{
	struct mos_cb_set *set = malloc(sizeof(*set));

	if (set == NULL)
		return NULL;
	*set = *want;
	account(t, sizeof(*set));
	for (unsigned hook = 0; hook < MOS_HOOK_COUNT; hook++)
		for (unsigned bit = 0; bit < MOS_EVENT_BITS; bit++)
			if (set->tree[hook][bit] != NULL && set->tree[hook][bit]->refs++ == 0)
				account(t, mos_tree_size(set->tree[hook][bit]));
	if (t->count++ >= t->bucket_count)
		grow(t);
	set->next = *bucket_of(t, set->hash);
	*bucket_of(t, set->hash) = set;
	widen(t, set->mask);
	return set;
}

/* Free a set that is in no bucket, and the trees that were its alone. */
static void destroy(struct mos_cb_sets *t, struct mos_cb_set *set)
{
	for (unsigned hook = 0; hook < MOS_HOOK_COUNT; hook++)
		for (unsigned bit = 0; bit < MOS_EVENT_BITS; bit++) {
			struct mos_tree *tree = set->tree[hook][bit];

			if (tree == NULL || --tree->refs > 0)
				continue;
			t->bytes -= mos_tree_size(tree);
			free(tree);
		}
	t->bytes -= sizeof(*set);
	t->count--;
	t->freed++;
	free(set);
}

/* ---- life ---- */

int mos_cb_sets_init(struct mos_cb_sets *t)
{
	const struct mos_cb_set nothing = {.refs = 1};

	memset(t, 0, sizeof(*t));
	t->purge_at = PURGE_AT_MIN;
	t->bucket_count = BUCKETS_MIN;
	t->bucket = calloc(BUCKETS_MIN, sizeof(struct mos_cb_set *));
	if (t->bucket == NULL)
		return -ENOMEM;
	t->empty = insert(t, &nothing);
	if (t->empty == NULL) {
		free(t->bucket);
		return -ENOMEM;
	}
	return 0;
}

void mos_cb_sets_fini(struct mos_cb_sets *t)
{
	struct mos_cb_set *set, *next;

	for (uint32_t b = 0; b < t->bucket_count; b++)
		for (set = t->bucket[b]; set != NULL; set = next) {
			next = set->next;
			destroy(t, set);
		}
	free(t->bucket);
	memset(t, 0, sizeof(*t));
}

/* ---- changing ---- */

/* `old` with one callback changed, in *want, which is no member of the table. 0 or -ENOMEM. */
static int change_copy(const struct mos_cb_set *old, event_t event, enum mos_hook hook,
                       callback_t cb, struct mos_cb_set *want, unsigned *bit)
{
	const struct mos_ude *ude = mos_ude_lookup(event);
	int err = 0;

	*want = (struct mos_cb_set){.hash = old->hash};
	memcpy(want->mask, old->mask, sizeof(want->mask));
	memcpy(want->cb, old->cb, sizeof(want->cb));
	memcpy(want->tree, old->tree, sizeof(want->tree));
	*bit = ude != NULL ? ude->root_bit : (unsigned)__builtin_ctzll(event);
	if (ude != NULL)
		err = mos_tree_change(old->tree[hook][*bit], ude, cb, &want->tree[hook][*bit]);
	else
		want->cb[hook][*bit] = cb;
	refresh_cell(want, cell_hash(old, hook, *bit), hook, *bit);
	return err;
}

/* The one set that is `old` with one callback changed, without a reference; NULL: no memory. */
static struct mos_cb_set *intern_change(struct mos_cb_sets *t, struct mos_cb_set *old,
                                        event_t event, enum mos_hook hook, callback_t cb)
{
	struct mos_cb_set want, *set;
	struct mos_tree *tree;
	unsigned bit;

	if (change_copy(old, event, hook, cb, &want, &bit) != 0)
		return NULL;
	set = lookup(t, &want);
	if (set == NULL)
		set = insert(t, &want);
	tree = want.tree[hook][bit];
	if (tree != NULL && tree->refs == 0) /* made for nothing */
		free(tree);
	return set;
}

/* Where a change is remembered. Ids of events made together follow each other: they do not meet. */
static struct mos_cb_change *place_of(struct mos_cb_sets *t, const struct mos_cb_set *old,
                                      event_t event, enum mos_hook hook, callback_t cb)
{
	const struct {
		const struct mos_cb_set *old;
		callback_t cb;
	} key = {old, cb};

	return &t->change[(XXH64(&key, sizeof(key), hook) + event) % MOS_CB_CHANGES];
}

struct mos_cb_set *mos_cb_sets_change(struct mos_cb_sets *t, struct mos_cb_set *old, event_t event,
                                      enum mos_hook hook, callback_t cb)
{
	struct mos_cb_change *known = place_of(t, old, event, hook, cb);
	struct mos_cb_set *set;

	if (known->old == old && known->freed == t->freed && known->event == event &&
	    known->hook == hook && known->cb == cb)
		return mos_cb_set_ref(known->result);
	set = intern_change(t, old, event, hook, cb);
	if (set == NULL)
		return NULL;
	*known = (struct mos_cb_change){
		.old = old,
		.event = event,
		.cb = cb,
		.result = set,
		.freed = t->freed,
		.hook = hook,
	};
	return mos_cb_set_ref(set);
}

/* ---- purging ---- */

static void purge_bucket(struct mos_cb_sets *t, struct mos_cb_set **link)
{
	struct mos_cb_set *set;

	while ((set = *link) != NULL) {
		/* pairs with mos_cb_set_unref */
		if (atomic_load_explicit(&set->refs, memory_order_acquire) == 0) {
			*link = set->next;
			destroy(t, set);
			continue;
		}
		for (unsigned hook = 0; hook < MOS_HOOK_COUNT; hook++)
			t->seen[hook] |= set->mask[hook];
		link = &set->next;
	}
}

/* The whole table was looked through: seen[] has every set that is there. */
static void end_search(struct mos_cb_sets *t)
{
	for (unsigned hook = 0; hook < MOS_HOOK_COUNT; hook++)
		atomic_store_explicit(&t->wanted[hook], t->seen[hook], memory_order_relaxed);
	t->cursor = 0;
	t->purge_at = 2 * t->bytes > PURGE_AT_MIN ? 2 * t->bytes : PURGE_AT_MIN;
	atomic_store_explicit(&t->crowded, false, memory_order_relaxed);
}

void mos_cb_sets_purge(struct mos_cb_sets *t)
{
	if (t->cursor == 0)
		memset(t->seen, 0, sizeof(t->seen));
	for (unsigned n = 0; n < PURGE_BUCKETS && t->cursor < t->bucket_count; n++)
		purge_bucket(t, &t->bucket[t->cursor++]);
	if (t->cursor == t->bucket_count)
		end_search(t);
}
