/*
 * One-shot timers of the application (mtcp_settimer): a binary heap ordered by due time, equal
 * times in the order they were set. Any thread adds and cancels, under the lock; the stack thread
 * takes out what is due, and looks at one atomic word when nothing is.
 *
 *   mos_timer_t = | gen 32 bits | slot 32 bits |
 *                                 slot[] -> at -> heap[], which knows its slot
 *
 * A slot counts its uses: gen is odd while a timer has the slot, even while it is free. One whose
 * count is used up is left aside, so no timer is ever named as another was.
 *
 * Whoever takes or cancels a timer does so under the lock: one of the two gets it, the other is
 * told that there is none.
 *
 * Time: stack clock in nanoseconds, passed in. Memory: heap, grows by doubling. Not its job: to
 * call the callbacks (secondary/event).
 */
#ifndef MOS_SECONDARY_APP_TIMER_H
#define MOS_SECONDARY_APP_TIMER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mos_api.h"
#include "mos_ext.h"

struct mos_app_timer {
	uint64_t due_ns;
	uint64_t serial; /* order of setting */
	callback_t cb;
	int id; /* handed to the callback as its sock argument */
	uint32_t slot;
};

struct mos_app_timer_slot {
	uint32_t gen; /* odd = in use */
	uint32_t at;  /* in use: position in the heap; free: the next free slot */
};

struct mos_app_timers {
	pthread_mutex_t lock;
	struct mos_app_timer *heap;      /* count entries, room for `room`; heap[0] is due first */
	struct mos_app_timer_slot *slot; /* room entries */
	uint32_t count, room;
	uint32_t free;                /* first free slot, UINT32_MAX = none */
	_Atomic uint64_t serial;      /* of the next timer */
	_Atomic uint64_t next_due_ns; /* of heap[0]; UINT64_MAX when there is none */
};

void mos_app_timers_init(struct mos_app_timers *t);
void mos_app_timers_fini(struct mos_app_timers *t);

/*
 * Add a timer; *timer, unless NULL, receives its name. 0 or -ENOMEM. Any thread, also from a
 * timer's own callback.
 */
int mos_app_timers_add(struct mos_app_timers *t, uint64_t due_ns, int id, callback_t cb,
                       mos_timer_t *timer);

/*
 * Take out the timer of this name, before anybody is given it by mos_app_timers_take. 0, or
 * -ENOENT: it was taken or cancelled already, or never was. Any thread, also from a callback.
 */
int mos_app_timers_cancel(struct mos_app_timers *t, mos_timer_t timer);

/* The mark between the timers set so far and those to come: for the take of a round. */
uint64_t mos_app_timers_mark(struct mos_app_timers *t);

/*
 * Take out the first timer that is due at now_ns and was set before the mark before_serial, so that
 * a callback that sets a timer in the past is not called again and again in one round. False when
 * there is none, or another thread is at work on them. Stack thread.
 */
bool mos_app_timers_take(struct mos_app_timers *t, uint64_t now_ns, uint64_t before_serial,
                         struct mos_app_timer *out);

/* Nothing is due: no lock is taken. */
static inline bool mos_app_timers_idle(const struct mos_app_timers *t, uint64_t now_ns)
{
	return now_ns < atomic_load_explicit(&t->next_due_ns, memory_order_acquire);
}

#endif
