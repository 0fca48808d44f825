/*
 * One dispatch: the events raised at one hook of one socket, run over the callback set it carries.
 *
 * Built-in events run in ascending bit order: its own callback, then the steps of its tree. A
 * defined event asks its filter, once; if that says no, it and all below it are passed over. An
 * allocated event goes on only if it was raised in this dispatch. Then its callback, then what is
 * below it (specification section 5.3).
 *
 * A callback may start another dispatch on the same set: each level marks what it raised on its
 * own. This module knows no sockets and no packets; whoever runs a dispatch keeps hold of the set.
 * Stack thread. Memory: the caller's.
 */
#ifndef MOS_SECONDARY_EVENT_DISPATCH_H
#define MOS_SECONDARY_EVENT_DISPATCH_H

#include <stdint.h>

#include "mos_api.h"
#include "secondary/cb_set/cb_set.h"

#define MOS_EVENT_NESTED_MAX 32 /* levels on which events can be raised */

struct mos_event_dispatch {
	/* set by the caller */
	mctx_t mctx;
	const struct mos_cb_set *set;
	const struct mos_event_dispatch *outer; /* its callback started this one; or NULL */
	const uint8_t *stopped; /* bit `side`: call nothing more, at once; NULL: never */
	int sock;
	int side;
	enum mos_hook hook;

	/* mos_event_dispatch_run */
	const struct mos_ude *running; /* NULL: a built-in event */
	struct mos_tree *tree;         /* of the built-in event under way; may be NULL */
	unsigned bit;                  /* its number */
	unsigned depth;                /* how many dispatches this one is nested in */
	uint32_t raised;               /* marks set in tree and not yet come by */
};

/* Run the callbacks for `bits` (MOS_ON_*). */
void mos_event_dispatch_run(struct mos_event_dispatch *d, uint32_t bits);

/*
 * Let child, allocated directly below the event whose filter or callback is running, occur in its
 * place in this dispatch, once. If that event's filter then says no, it does not.
 * 0, -EINVAL (not allocated, or not there), -ENOENT (no callback for it, nor below it, in this
 * set), -ENOMEM (nested too deeply).
 */
int mos_event_dispatch_raise(struct mos_event_dispatch *d, event_t child);

#endif
