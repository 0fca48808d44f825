/*
 * The user-defined events of one built-in event that matter at one hook, compiled into a list of
 * steps in the order in which they run:
 *
 *   tree of PKT_IN at SND            steps          end
 *     65536 filter a, callback x      0: 65536        3     step i with everything below it
 *       65538 filter b, callback y    1: 65538        2     is [i, end)
 *       65539 (raised), callback z    2: 65539        3
 *     65537 filter c, callback w      3: 65537        4
 *
 * base first, then children in the order they were defined; an event without callback is there if
 * one below it has one, since its filter decides about that one. So equal callbacks give equal
 * lists, however they came about.
 *
 * A tree is immutable but for the marks of raised events, which belong to the stack thread; a
 * change makes a new one from the old, in one pass over it. Memory: heap; who makes a tree frees
 * it. Any thread. Not its job: walking the steps (secondary/event/dispatch.h).
 */
#ifndef MOS_SECONDARY_STEP_TREE_H
#define MOS_SECONDARY_STEP_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mos_api.h"
#include "secondary/event_tree/event_tree.h"

#define MOS_STEP_NONE UINT32_MAX

/* One user-defined event. */
struct mos_step {
	const struct mos_ude *ude;
	callback_t cb;   /* NULL: only what is below has callbacks */
	uint32_t end;    /* index behind the last step below this one */
	uint32_t raised; /* stack thread: bit d: raised by the dispatch at nesting depth d */
};

struct mos_tree {
	uint32_t refs;  /* sets that have it, under the lock of their table */
	uint32_t count; /* steps, at least one */
	uint64_t hash;  /* of ids and callbacks; does not depend on their order */
	/* Allocated events by id: step index or MOS_STEP_NONE; open addressing, behind the steps. */
	uint32_t *slot;
	uint32_t slot_count; /* power of two, or 0: no allocated event */
	struct mos_step step[];
};

/*
 * The tree that is `old` (NULL: no step) with cb for an event of the same root; cb NULL takes it
 * away. *out is then `old` itself: nothing changes; NULL: no step is left; or a new tree with no
 * reference yet. 0 or -ENOMEM.
 */
int mos_tree_change(struct mos_tree *old, const struct mos_ude *ude, callback_t cb,
                    struct mos_tree **out);

bool mos_tree_equal(const struct mos_tree *a, const struct mos_tree *b);

/* Memory it takes, in bytes. */
size_t mos_tree_size(const struct mos_tree *tree);

/* The step of an allocated event, or NULL. Takes as long for many events as for few. */
struct mos_step *mos_tree_find_raised(struct mos_tree *tree, event_t id);

#endif
