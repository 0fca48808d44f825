#include "secondary/app_timer/app_timer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 16
#define NONE       UINT32_MAX

/* ---- heap ---- */

static bool before(const struct mos_app_timer *a, const struct mos_app_timer *b)
{
	if (a->due_ns != b->due_ns)
		return a->due_ns < b->due_ns;
	return a->serial < b->serial;
}

static void place(struct mos_app_timers *t, uint32_t at, struct mos_app_timer timer)
{
	t->heap[at] = timer;
	t->slot[timer.slot].at = at;
}

/* Put a timer where there is none at `at`, or above. */
static void sift_up(struct mos_app_timers *t, uint32_t at, struct mos_app_timer timer)
{
	while (at > 0 && before(&timer, &t->heap[(at - 1) / 2])) {
		place(t, at, t->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	place(t, at, timer);
}

/* The same, or below. */
static void sift_down(struct mos_app_timers *t, uint32_t at, struct mos_app_timer timer)
{
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < t->count && before(&t->heap[child + 1], &t->heap[child]))
			child++;
		if (child >= t->count || before(&timer, &t->heap[child]))
			break;
		place(t, at, t->heap[child]);
		at = child;
	}
	place(t, at, timer);
}

static void publish_next(struct mos_app_timers *t)
{
	uint64_t due = t->count > 0 ? t->heap[0].due_ns : UINT64_MAX;

	atomic_store_explicit(&t->next_due_ns, due, memory_order_release); /* pairs with idle */
}

/* ---- slots ---- */

static void put_slot(struct mos_app_timers *t, uint32_t slot)
{
	t->slot[slot].at = t->free;
	t->free = slot;
}

static uint32_t get_slot(struct mos_app_timers *t)
{
	uint32_t slot = t->free;

	t->free = t->slot[slot].at;
	t->slot[slot].gen++;
	return slot;
}

static void release_slot(struct mos_app_timers *t, uint32_t slot)
{
	if (++t->slot[slot].gen != 0) /* else all its names have been given out */
		put_slot(t, slot);
}

/* There is a free slot, and room in the heap for a timer in each slot. 0 or -ENOMEM. */
static int make_room(struct mos_app_timers *t)
{
	uint32_t room = t->room ? t->room * 2 : FIRST_ROOM;
	struct mos_app_timer_slot *slot;
	struct mos_app_timer *heap;

	if (t->free != NONE)
		return 0;
	if (room < t->room)
		return -ENOMEM;
	heap = realloc(t->heap, (size_t)room * sizeof(*heap));
	if (heap == NULL)
		return -ENOMEM;
	t->heap = heap;
	slot = realloc(t->slot, (size_t)room * sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	t->slot = slot;
	for (uint32_t i = room; i-- > t->room;) {
		slot[i].gen = 0;
		put_slot(t, i);
	}
	t->room = room;
	return 0;
}

static mos_timer_t name_of(const struct mos_app_timers *t, uint32_t slot)
{
	return (uint64_t)t->slot[slot].gen << 32 | slot;
}

static bool in_use(const struct mos_app_timers *t, mos_timer_t timer)
{
	uint32_t slot = (uint32_t)timer;

	return slot < t->room && name_of(t, slot) == timer && t->slot[slot].gen & 1;
}

/* ---- life cycle ---- */

void mos_app_timers_init(struct mos_app_timers *t)
{
	memset(t, 0, sizeof(*t));
	t->free = NONE;
	pthread_mutex_init(&t->lock, NULL);
	publish_next(t);
}

void mos_app_timers_fini(struct mos_app_timers *t)
{
	free(t->heap);
	free(t->slot);
	t->heap = NULL;
	t->slot = NULL;
	t->count = t->room = 0;
	t->free = NONE;
	pthread_mutex_destroy(&t->lock);
}

/* ---- timers ---- */

int mos_app_timers_add(struct mos_app_timers *t, uint64_t due_ns, int id, callback_t cb,
                       mos_timer_t *timer)
{
	int err;

	pthread_mutex_lock(&t->lock);
	err = make_room(t);
	if (err == 0) {
		struct mos_app_timer new = {
			.due_ns = due_ns,
			.serial = atomic_fetch_add_explicit(&t->serial, 1, memory_order_release),
			.cb = cb,
			.id = id,
			.slot = get_slot(t)};

		sift_up(t, t->count++, new);
		publish_next(t);
		if (timer != NULL)
			*timer = name_of(t, new.slot);
	}
	pthread_mutex_unlock(&t->lock);
	return err;
}

/* Take the timer at `at` out; the last one fills the gap. */
static void remove_at(struct mos_app_timers *t, uint32_t at)
{
	struct mos_app_timer last = t->heap[--t->count];

	release_slot(t, t->heap[at].slot);
	if (at < t->count) {
		if (at > 0 && before(&last, &t->heap[(at - 1) / 2]))
			sift_up(t, at, last);
		else
			sift_down(t, at, last);
	}
	publish_next(t);
}

int mos_app_timers_cancel(struct mos_app_timers *t, mos_timer_t timer)
{
	int err = -ENOENT;

	pthread_mutex_lock(&t->lock);
	if (in_use(t, timer)) {
		remove_at(t, t->slot[(uint32_t)timer].at);
		err = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return err;
}

bool mos_app_timers_take(struct mos_app_timers *t, uint64_t now_ns, uint64_t before_serial,
                         struct mos_app_timer *out)
{
	bool found;

	/* Never wait here: a signal handler on the thread that holds the lock may wait for us. */
	if (pthread_mutex_trylock(&t->lock) != 0)
		return false;
	found = t->count > 0 && t->heap[0].due_ns <= now_ns && t->heap[0].serial < before_serial;
	if (found) {
		*out = t->heap[0];
		remove_at(t, 0);
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

uint64_t mos_app_timers_mark(struct mos_app_timers *t)
{
	return atomic_load_explicit(&t->serial, memory_order_acquire);
}
