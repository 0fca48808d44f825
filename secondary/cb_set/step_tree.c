#include "secondary/cb_set/step_tree.h"

#include <errno.h>
#include <stdlib.h>

#include "mtcp_util.h"

/* An event and what it is below, the uppermost first, and how much of that a tree has. */
struct path {
	const struct mos_ude **ude;
	uint32_t len;
	uint32_t present; /* that many are in the tree */
	uint32_t last;    /* step of the last of them; valid if present > 0 */
	uint32_t at;      /* where a step for the next one belongs */
};

/* ---- finding ---- */

/* Go down from the root, one event of the path after the other. */
static void locate(const struct mos_tree *tree, struct path *path)
{
	uint32_t i = 0, end = tree != NULL ? tree->count : 0;

	while (path->present < path->len) {
		const struct mos_ude *next = path->ude[path->present];

		while (i < end && tree->step[i].ude->id < next->id)
			i = tree->step[i].end;
		if (i == end || tree->step[i].ude != next)
			break;
		path->present++;
		path->last = i;
		end = tree->step[i++].end;
	}
	path->at = i;
}

/* 0 or -ENOMEM. The caller frees path->ude. */
static int find_path(const struct mos_tree *tree, const struct mos_ude *ude, struct path *path)
{
	const struct mos_ude *up;
	uint32_t i;

	*path = (struct path){0};
	for (up = ude; up != NULL; up = up->parent)
		path->len++;
	path->ude = malloc(path->len * sizeof(struct mos_ude *));
	if (path->ude == NULL)
		return -ENOMEM;
	for (up = ude, i = path->len; up != NULL; up = up->parent)
		path->ude[--i] = up;
	locate(tree, path);
	return 0;
}

static uint32_t slot_of(const struct mos_tree *tree, event_t id)
{
	return (uint32_t)(id * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (tree->slot_count - 1);
}

struct mos_step *mos_tree_find_raised(struct mos_tree *tree, event_t id)
{
	if (tree->slot_count == 0)
		return NULL;
	for (uint32_t s = slot_of(tree, id);; s = (s + 1) & (tree->slot_count - 1)) {
		if (tree->slot[s] == MOS_STEP_NONE)
			return NULL;
		if (tree->step[tree->slot[s]].ude->id == id)
			return &tree->step[tree->slot[s]];
	}
}

/* ---- making ---- */

static uint64_t callback_hash(const struct mos_ude *ude, callback_t cb)
{
	struct {
		event_t id;
		callback_t cb;
	} key = {ude->id, cb};

	return cb != NULL ? XXH64(&key, sizeof(key), 0) : 0;
}

static size_t steps_size(uint32_t count)
{
	return sizeof(struct mos_tree) + count * sizeof(struct mos_step);
}

size_t mos_tree_size(const struct mos_tree *tree)
{
	return steps_size(tree->count) + tree->slot_count * sizeof(*tree->slot);
}

/* At most half of the slots are used. */
static uint32_t slots_for(uint32_t allocated)
{
	return allocated == 0 ? 0 : 1u << (32 - __builtin_clz(2 * allocated - 1));
}

static struct mos_tree *new_tree(uint32_t count, uint32_t allocated)
{
	uint32_t slots = slots_for(allocated);
	struct mos_tree *tree = malloc(steps_size(count) + slots * sizeof(*tree->slot));

	if (tree == NULL)
		return NULL;
	tree->refs = 0;
	tree->count = count;
	tree->slot = (uint32_t *)(tree->step + count);
	tree->slot_count = slots;
	return tree;
}

static void fill_slots(struct mos_tree *tree)
{
	for (uint32_t s = 0; s < tree->slot_count; s++)
		tree->slot[s] = MOS_STEP_NONE;
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct mos_ude *ude = tree->step[i].ude;
		uint32_t s;

		if (ude->filter != NULL)
			continue;
		for (s = slot_of(tree, ude->id); tree->slot[s] != MOS_STEP_NONE;)
			s = (s + 1) & (tree->slot_count - 1);
		tree->slot[s] = i;
	}
}

/* Copy a step, without its mark: the stack thread may be writing that. */
static void copy_step(struct mos_step *to, const struct mos_step *from, uint32_t end)
{
	*to = (struct mos_step){.ude = from->ude, .cb = from->cb, .end = end};
}

static uint32_t count_allocated(const struct mos_tree *tree, uint32_t from, uint32_t to)
{
	uint32_t n = 0;

	for (uint32_t i = from; i < to; i++)
		n += tree->step[i].ude->filter == NULL;
	return n;
}

/* The same steps; the last one of the path gets cb. */
static struct mos_tree *with_callback(const struct mos_tree *old, const struct path *path,
                                      callback_t cb)
{
	struct mos_tree *tree = new_tree(old->count, count_allocated(old, 0, old->count));

	if (tree == NULL)
		return NULL;
	for (uint32_t i = 0; i < old->count; i++)
		copy_step(&tree->step[i], &old->step[i], old->step[i].end);
	tree->step[path->last].cb = cb;
	return tree;
}

/*
 * The steps of `old` and, in their place, those of the path it does not have: a chain, each below
 * the one before, so all end where the chain does. Only the present ones on the path grow by it.
 */
static struct mos_tree *with_steps(const struct mos_tree *old, const struct path *path,
                                   callback_t cb)
{
	uint32_t had = old != NULL ? old->count : 0, more = path->len - path->present;
	uint32_t allocated = old != NULL ? count_allocated(old, 0, had) : 0, i, end;
	struct mos_tree *tree;

	for (i = path->present; i < path->len; i++)
		allocated += path->ude[i]->filter == NULL;
	tree = new_tree(had + more, allocated);
	if (tree == NULL)
		return NULL;
	for (i = 0; i < path->at; i++) {
		end = old->step[i].end;
		if (path->present > 0 && i <= path->last && end >= path->at)
			end += more;
		copy_step(&tree->step[i], &old->step[i], end);
	}
	for (i = 0; i < more; i++)
		tree->step[path->at + i] = (struct mos_step){
			.ude = path->ude[path->present + i],
			.end = path->at + more,
		};
	tree->step[path->at + more - 1].cb = cb;
	for (i = path->at; i < had; i++)
		copy_step(&tree->step[i + more], &old->step[i], old->step[i].end + more);
	return tree;
}

/*
 * The first of the steps that are there for the last one of the path alone: going up, as long as
 * nothing else is below and no callback is there.
 */
static uint32_t first_useless(const struct mos_tree *tree, uint32_t last)
{
	uint32_t first = last;

	while (first > 0 && tree->step[first - 1].ude == tree->step[first].ude->parent &&
	       tree->step[first - 1].cb == NULL && tree->step[first - 1].end == last + 1)
		first--;
	return first;
}

/* The steps of `old` without [first, last]. */
static struct mos_tree *without_steps(const struct mos_tree *old, uint32_t first, uint32_t last)
{
	uint32_t less = last + 1 - first, i, end;
	struct mos_tree *tree =
		new_tree(old->count - less, count_allocated(old, 0, first) +
	                                            count_allocated(old, last + 1, old->count));

	if (tree == NULL)
		return NULL;
	for (i = 0; i < first; i++) {
		end = old->step[i].end;
		copy_step(&tree->step[i], &old->step[i], end > last ? end - less : end);
	}
	for (i = last + 1; i < old->count; i++)
		copy_step(&tree->step[i - less], &old->step[i], old->step[i].end - less);
	return tree;
}

/* The new tree, or NULL with *err == 0: no step is left. */
static struct mos_tree *change(struct mos_tree *old, const struct path *path, callback_t cb,
                               int *err)
{
	struct mos_tree *tree;
	uint32_t first;

	if (path->present < path->len) {
		tree = with_steps(old, path, cb);
	} else if (cb != NULL || old->step[path->last].end > path->last + 1) {
		tree = with_callback(old, path, cb);
	} else {
		first = first_useless(old, path->last);
		if (first == 0 && path->last + 1 == old->count)
			return NULL;
		tree = without_steps(old, first, path->last);
	}
	if (tree == NULL)
		*err = -ENOMEM;
	return tree;
}

int mos_tree_change(struct mos_tree *old, const struct mos_ude *ude, callback_t cb,
                    struct mos_tree **out)
{
	callback_t was;
	struct path path;
	int err = find_path(old, ude, &path);

	if (err != 0)
		return err;
	was = path.present == path.len ? old->step[path.last].cb : NULL;
	*out = old;
	if (was != cb) {
		*out = change(old, &path, cb, &err);
		if (*out != NULL) {
			(*out)->hash = (old != NULL ? old->hash : 0) - callback_hash(ude, was) +
			               callback_hash(ude, cb);
			fill_slots(*out);
		}
	}
	free(path.ude);
	return err;
}

bool mos_tree_equal(const struct mos_tree *a, const struct mos_tree *b)
{
	if (a == b)
		return true;
	if (a == NULL || b == NULL || a->hash != b->hash || a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (a->step[i].ude != b->step[i].ude || a->step[i].cb != b->step[i].cb)
			return false;
	return true;
}
