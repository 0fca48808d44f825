#include "secondary/app_timer/app_timer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 16

static bool before(const struct mos_app_timer *a, const struct mos_app_timer *b)
{
	if (a->due_ns != b->due_ns)
		return a->due_ns < b->due_ns;
	return a->serial < b->serial;
}

static void swap(struct mos_app_timer *a, struct mos_app_timer *b)
{
	struct mos_app_timer t = *a;

	*a = *b;
	*b = t;
}

static void sift_up(struct mos_app_timer *heap, uint32_t i)
{
	while (i > 0 && before(&heap[i], &heap[(i - 1) / 2])) {
		swap(&heap[i], &heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

static void sift_down(struct mos_app_timer *heap, uint32_t count, uint32_t i)
{
	for (;;) {
		uint32_t least = i;

		for (uint32_t child = 2 * i + 1; child <= 2 * i + 2 && child < count; child++)
			if (before(&heap[child], &heap[least]))
				least = child;
		if (least == i)
			return;
		swap(&heap[i], &heap[least]);
		i = least;
	}
}

static void publish_next(struct mos_app_timers *t)
{
	uint64_t due = t->count > 0 ? t->heap[0].due_ns : UINT64_MAX;

	atomic_store_explicit(&t->next_due_ns, due, memory_order_release); /* pairs with idle */
}

void mos_app_timers_init(struct mos_app_timers *t)
{
	memset(t, 0, sizeof(*t));
	pthread_mutex_init(&t->lock, NULL);
	publish_next(t);
}

void mos_app_timers_fini(struct mos_app_timers *t)
{
	free(t->heap);
	t->heap = NULL;
	t->count = t->room = 0;
	pthread_mutex_destroy(&t->lock);
}

static int make_room(struct mos_app_timers *t)
{
	uint32_t room = t->room ? t->room * 2 : FIRST_ROOM;
	struct mos_app_timer *heap;

	if (t->count < t->room)
		return 0;
	heap = realloc(t->heap, (size_t)room * sizeof(*heap));
	if (heap == NULL)
		return -ENOMEM;
	t->heap = heap;
	t->room = room;
	return 0;
}

int mos_app_timers_add(struct mos_app_timers *t, uint64_t due_ns, int id, callback_t cb)
{
	int err;

	pthread_mutex_lock(&t->lock);
	err = make_room(t);
	if (err == 0) {
		t->heap[t->count] = (struct mos_app_timer){
			.due_ns = due_ns,
			.serial = atomic_fetch_add_explicit(&t->serial, 1, memory_order_release),
			.cb = cb,
			.id = id};
		sift_up(t->heap, t->count++);
		publish_next(t);
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
		t->heap[0] = t->heap[--t->count];
		sift_down(t->heap, t->count, 0);
		publish_next(t);
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

uint64_t mos_app_timers_mark(struct mos_app_timers *t)
{
	return atomic_load_explicit(&t->serial, memory_order_acquire);
}
