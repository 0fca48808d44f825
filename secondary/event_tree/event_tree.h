/*
 * User-defined events of this process: what mtcp_define_event and mtcp_alloc_event build
 * (specification section 5.1).
 *
 *   PKT_IN                      built-in: bit 0
 *     +-- 65536 filter a        defined: occurs when its base does and the filter says so
 *     |     +-- 65538 filter b
 *     |     +-- 65539           allocated: no filter, occurs when raised
 *     +-- 65537 filter c
 *
 * Events are added and never change or go away, so whoever has an event may keep a pointer to it.
 * Ids count up from MOS_UDE_FIRST in order of definition; a base has a smaller id than what is
 * below it. They are plain numbers, not bits.
 *
 * Any thread, no context needed: writers take a lock of their own, readers none. Memory: heap,
 * until the process ends. Not its job: callbacks (secondary/cb_set), running them
 * (secondary/event).
 */
#ifndef MOS_SECONDARY_EVENT_TREE_H
#define MOS_SECONDARY_EVENT_TREE_H

#include <stdbool.h>

#include "mos_api.h"

#define MOS_EVENT_BITS 13    /* built-in events */
#define MOS_UDE_FIRST  65536 /* id of the first user-defined event; bits below are reserved */
#define MOS_UDE_MAX    65536 /* how many can be defined */

/* Where callbacks run, as an index. */
enum mos_hook { MOS_HOOK_NULL, MOS_HOOK_SND, MOS_HOOK_RCV, MOS_HOOK_COUNT };

struct mos_ude {
	event_t id;
	const struct mos_ude *parent; /* NULL: right below the built-in event */
	unsigned root_bit;            /* number of the built-in event at the root */
	filter_t filter;              /* NULL: allocated, occurs when raised */
	struct filter_arg arg; /* what filter and callback get; .arg is NULL when .len is 0 */
};

/* ---- any thread ---- */

/*
 * Define an event below base, which is one registrable built-in bit or the id of an event. arg may
 * be NULL, which is the same as no bytes; they are copied. The same base, filter and bytes give the
 * same event.
 * 0 and *id, -EINVAL (no filter, base unknown, bytes missing), -ENOMEM (also MOS_UDE_MAX reached).
 */
int mos_ude_define(event_t base, filter_t filter, const struct filter_arg *arg, event_t *id);

/* Allocate an event without filter below parent; each call makes a new one. 0, -EINVAL, -ENOMEM. */
int mos_ude_alloc(event_t parent, event_t *id);

/* The event of an id, or NULL: it is no user-defined event. Acquire: the event is seen whole. */
const struct mos_ude *mos_ude_lookup(event_t id);

/*
 * May a callback be registered for event at this hook (specification section 4.2)? A user-defined
 * event may be where its built-in root may. 0 and the root's bit number, or -EINVAL: no such event,
 * one that never occurs, several bits, or not at this hook.
 */
int mos_event_check(event_t event, enum mos_hook hook, unsigned *root_bit);

/* The hook of an enum mtcp_hook_point; -EINVAL for any other number. */
int mos_hook_from(int hook_point, enum mos_hook *hook);

/* ---- tests ---- */

/* Forget all events and start again with MOS_UDE_FIRST. Nobody may have one. */
void mos_ude_forget_all(void);

#endif
