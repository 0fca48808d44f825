#include "secondary/event/dispatch.h"

#include <errno.h>

/* What steps are marked with that this dispatch raised; 0: nested too deeply to raise any. */
static uint32_t mark_of(const struct mos_event_dispatch *d)
{
	return d->depth < MOS_EVENT_NESTED_MAX ? 1u << d->depth : 0;
}

static bool stopped(const struct mos_event_dispatch *d)
{
	return d->stopped != NULL && (*d->stopped >> d->side & 1) != 0;
}

/* The application gets our copy: it is const to everyone else, and nothing depends on it. */
static filter_arg_t *arg_of(const struct mos_ude *ude)
{
	return (filter_arg_t *)(uintptr_t)&ude->arg;
}

/* Take the mark off a step; was it there? */
static bool take_mark(struct mos_event_dispatch *d, struct mos_step *step)
{
	if ((step->raised & mark_of(d)) == 0)
		return false;
	step->raised &= ~mark_of(d);
	d->raised--;
	return true;
}

/* What was raised by a filter that then said no, or before all stopped, is not left behind. */
static void discard_marks(struct mos_event_dispatch *d)
{
	for (uint32_t i = 0; d->raised > 0 && i < d->tree->count; i++)
		take_mark(d, &d->tree->step[i]);
}

/* Does the event of this step occur? */
static bool occurs(struct mos_event_dispatch *d, struct mos_step *step)
{
	const struct mos_ude *ude = step->ude;

	if (ude->filter == NULL)
		return take_mark(d, step);
	d->running = ude;
	return ude->filter(d->mctx, d->sock, d->side, ude->id, arg_of(ude));
}

static void run_tree(struct mos_event_dispatch *d)
{
	struct mos_tree *tree = d->tree;
	uint32_t i = 0;

	while (i < tree->count && !stopped(d)) {
		struct mos_step *step = &tree->step[i];

		if (!occurs(d, step)) {
			i = step->end;
			continue;
		}
		if (step->cb != NULL && !stopped(d)) {
			d->running = step->ude;
			step->cb(d->mctx, d->sock, d->side, step->ude->id, arg_of(step->ude));
		}
		i++;
	}
	discard_marks(d);
}

void mos_event_dispatch_run(struct mos_event_dispatch *d, uint32_t bits)
{
	d->depth = d->outer != NULL ? d->outer->depth + 1 : 0;
	d->raised = 0;
	for (bits &= d->set->mask[d->hook]; bits != 0 && !stopped(d); bits &= bits - 1) {
		callback_t cb;

		d->bit = (unsigned)__builtin_ctz(bits);
		d->tree = d->set->tree[d->hook][d->bit];
		d->running = NULL;
		cb = d->set->cb[d->hook][d->bit];
		if (cb != NULL)
			cb(d->mctx, d->sock, d->side, (event_t)1 << d->bit, NULL);
		if (d->tree != NULL)
			run_tree(d);
	}
}

int mos_event_dispatch_raise(struct mos_event_dispatch *d, event_t child)
{
	const struct mos_ude *ude = mos_ude_lookup(child);
	struct mos_step *step;

	if (ude == NULL || ude->filter != NULL || ude->parent != d->running ||
	    ude->root_bit != d->bit)
		return -EINVAL;
	step = d->tree != NULL ? mos_tree_find_raised(d->tree, child) : NULL;
	if (step == NULL)
		return -ENOENT;
	if (mark_of(d) == 0)
		return -ENOMEM;
	if ((step->raised & mark_of(d)) == 0) {
		step->raised |= mark_of(d);
		d->raised++;
	}
	return 0;
}
