#include "secondary/flow_timer/flow_timer.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "shared/flow_table/flow_table.h"
#include "shared/touched.h"

#define SLOTS MOS_FLOW_TIMER_SLOTS

/*
 * Slots are counted from now_slot on; position SLOTS - 1, the slot just behind now_slot, is kept
 * free while the wheel is up to date. So a call that finds every other slot due has a place for
 * entries that are armed meanwhile.
 */
#define LAST_POSITION (SLOTS - 2)

/* A deadline is told from a time past by 31 bits; the wheel must span much less. */
#define GRANULARITY_MAX (1u << 18)

int mos_flow_timer_create(struct mos_flow_timer *w, uint32_t capacity, uint32_t granularity_ms,
                          uint32_t now_ms)
{
	memset(w, 0, sizeof(*w));
	if (capacity == 0 || capacity > MOS_FLOW_CAP_MAX || granularity_ms == 0 ||
	    granularity_ms > GRANULARITY_MAX)
		return -EINVAL;
	w->next = mos_alloc_touched(capacity, sizeof(w->next[0]));
	w->prev = mos_alloc_touched(capacity, sizeof(w->prev[0]));
	w->due_ms = mos_alloc_touched(capacity, sizeof(w->due_ms[0]));
	w->where = mos_alloc_touched(capacity, sizeof(w->where[0]));
	if (!w->next || !w->prev || !w->due_ms || !w->where) {
		mos_flow_timer_destroy(w);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < SLOTS; i++)
		w->head[i] = MOS_FLOW_NONE;
	w->capacity = capacity;
	w->granularity_ms = granularity_ms;
	mos_flow_timer_restart(w, now_ms);
	return 0;
}

void mos_flow_timer_restart(struct mos_flow_timer *w, uint32_t now_ms)
{
	w->now_ms = now_ms;
	w->slot_time_ms = now_ms + w->granularity_ms;
}

void mos_flow_timer_destroy(struct mos_flow_timer *w)
{
	free(w->next);
	free(w->prev);
	free(w->due_ms);
	free(w->where);
	memset(w, 0, sizeof(*w));
}

/* The first position that comes due at or after time_ms, which is not before slot_time_ms. */
static uint32_t position_of(const struct mos_flow_timer *w, uint32_t time_ms)
{
	uint32_t ahead = time_ms - w->slot_time_ms;

	return ahead / w->granularity_ms + (ahead % w->granularity_ms != 0);
}

static bool is_before(uint32_t a_ms, uint32_t b_ms)
{
	return (int32_t)(a_ms - b_ms) < 0;
}

void mos_flow_timer_arm(struct mos_flow_timer *w, uint32_t slot, uint32_t deadline_ms)
{
	uint32_t first = 0, position = 0;
	uint32_t at;

	assert(slot < w->capacity);
	mos_flow_timer_cancel(w, slot);

	/* Not into a slot that the call of this moment still has to empty. */
	if (!is_before(w->now_ms, w->slot_time_ms))
		first = position_of(w, w->now_ms + 1);
	if (is_before(w->slot_time_ms, deadline_ms))
		position = position_of(w, deadline_ms);
	if (position > LAST_POSITION)
		position = LAST_POSITION;
	if (position < first)
		position = first;
	assert(position < SLOTS);

	at = (w->now_slot + position) % SLOTS;
	w->due_ms[slot] = deadline_ms;
	w->where[slot] = (uint16_t)(at + 1);
	w->prev[slot] = MOS_FLOW_NONE;
	w->next[slot] = w->head[at];
	if (w->head[at] != MOS_FLOW_NONE)
		w->prev[w->head[at]] = slot;
	w->head[at] = slot;
}

void mos_flow_timer_cancel(struct mos_flow_timer *w, uint32_t slot)
{
	uint32_t next, prev;

	assert(slot < w->capacity);
	if (w->where[slot] == 0)
		return;
	next = w->next[slot];
	prev = w->prev[slot];
	if (next != MOS_FLOW_NONE)
		w->prev[next] = prev;
	if (prev != MOS_FLOW_NONE)
		w->next[prev] = next;
	else
		w->head[w->where[slot] - 1] = next;
	w->where[slot] = 0;
}

/*
 * Take note of the time. When it has jumped past the wheel, all its slots are due: the time of the
 * slot to be looked at next follows, so that the last of them is due now.
 */
static void set_now(struct mos_flow_timer *w, uint32_t now_ms)
{
	uint32_t span = SLOTS * w->granularity_ms;

	w->now_ms = now_ms;
	if (now_ms - w->slot_time_ms + span >= 2 * span - w->granularity_ms)
		w->slot_time_ms = now_ms - LAST_POSITION * w->granularity_ms;
}

uint32_t mos_flow_timer_expire(struct mos_flow_timer *w, uint32_t now_ms)
{
	uint32_t moved = 0;

	set_now(w, now_ms);
	while (!is_before(now_ms, w->slot_time_ms)) {
		uint32_t slot = w->head[w->now_slot];

		if (slot == MOS_FLOW_NONE) {
			w->now_slot = (w->now_slot + 1) % SLOTS;
			w->slot_time_ms += w->granularity_ms;
			continue;
		}
		if (!is_before(now_ms, w->due_ms[slot])) {
			mos_flow_timer_cancel(w, slot);
			return slot;
		}
		if (moved++ == MOS_FLOW_TIMER_MOVES)
			break;
		mos_flow_timer_arm(w, slot, w->due_ms[slot]);
	}
	return MOS_FLOW_NONE;
}
