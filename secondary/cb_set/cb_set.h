/*
 * Callback sets: which callback runs for which event at which hook.
 *
 * A set is immutable and interned: equal sets are one object, found by hash and full comparison.
 * So a flow carries one pointer, a change is one pointer store, and a change on each of a million
 * flows costs the same as on one. User-defined events are kept as trees compiled for running
 * (step_tree.h), which sets share.
 *
 *   who              may
 *   any thread       change, under the lock of the socket table
 *   stack thread     read sets and hold references without a lock; purge, under that lock
 *
 * A set lives as long as somebody holds a reference, or longer: the stack thread alone frees those
 * without, between rounds, when it reads none and the lock keeps out who might look one up. It is
 * the only reader without lock, so the end of its round is the grace period. Memory: heap.
 */
#ifndef MOS_SECONDARY_CB_SET_H
#define MOS_SECONDARY_CB_SET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mos_api.h"
#include "secondary/cb_set/step_tree.h"
#include "secondary/event_tree/event_tree.h"

/* Letters: I immutable, L under the lock, * any thread. */
struct mos_cb_set {
	uint32_t mask[MOS_HOOK_COUNT]; /* I bit b: cb or tree of built-in event b is there */
	callback_t cb[MOS_HOOK_COUNT][MOS_EVENT_BITS];         /* I */
	struct mos_tree *tree[MOS_HOOK_COUNT][MOS_EVENT_BITS]; /* I each with a reference */

	_Atomic uint32_t refs;   /* * */
	uint64_t hash;           /* I of all the callbacks */
	struct mos_cb_set *next; /* L in its bucket */
};

#define MOS_CB_CHANGES 256 /* remembered */

/* A change that was made, for the many flows that make the same one. */
struct mos_cb_change {
	const struct mos_cb_set *old; /* NULL: none yet */
	event_t event;
	callback_t cb;
	struct mos_cb_set *result;
	uint64_t freed; /* as in the table then: both sets are still there if it still is */
	enum mos_hook hook;
};

struct mos_cb_sets {
	struct mos_cb_set **bucket;    /* L */
	uint32_t bucket_count;         /* L power of two */
	uint32_t count;                /* L */
	uint64_t freed;                /* L so many sets were freed */
	size_t bytes;                  /* L in sets and trees */
	size_t purge_at;               /* L when there are as many, unused sets are looked for */
	uint32_t cursor;               /* L next bucket of the search under way */
	uint32_t seen[MOS_HOOK_COUNT]; /* L union of the masks of sets it left and of new ones */
	_Atomic bool crowded;
	struct mos_cb_set *empty; /* I no callback at all; the table holds a reference */
	/* Union of the masks of all sets, or more: another event need not even be looked for. */
	_Atomic uint32_t wanted[MOS_HOOK_COUNT];
	struct mos_cb_change change[MOS_CB_CHANGES]; /* L the latest in each place */
};

/* ---- before and after the stack thread ---- */

int mos_cb_sets_init(struct mos_cb_sets *t); /* 0 or -ENOMEM */
void mos_cb_sets_fini(struct mos_cb_sets *t);

/* ---- any thread, under the caller's lock ---- */

/*
 * The set that is `old` with cb for event at hook; cb NULL takes it away. The event is valid there
 * (mos_event_check). Returns it with a reference for the caller, or NULL: no memory. `old` itself
 * is returned when nothing changes.
 */
struct mos_cb_set *mos_cb_sets_change(struct mos_cb_sets *t, struct mos_cb_set *old, event_t event,
                                      enum mos_hook hook, callback_t cb);

/* ---- stack thread, under the caller's lock, between rounds ---- */

/*
 * Look for sets that nobody holds and free them: a part of the table, so that no round takes long.
 * mos_cb_sets_crowded is true until the whole table was looked through.
 */
void mos_cb_sets_purge(struct mos_cb_sets *t);

/* ---- stack thread ---- */

/* There are enough sets to look for unused ones; no lock needed to ask. */
static inline bool mos_cb_sets_crowded(const struct mos_cb_sets *t)
{
	return atomic_load_explicit(&t->crowded, memory_order_relaxed);
}

/* ---- any thread ---- */

static inline struct mos_cb_set *mos_cb_set_ref(struct mos_cb_set *set)
{
	atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
	return set;
}

/* Release: what was done with the set comes before its end. Pairs with the acquire in purge. */
static inline void mos_cb_set_unref(struct mos_cb_set *set)
{
	atomic_fetch_sub_explicit(&set->refs, 1, memory_order_release);
}

#endif
