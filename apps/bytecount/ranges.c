#include "apps/bytecount/ranges.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 4

void ranges_init(struct ranges *r, uint64_t base)
{
	*r = (struct ranges){.base = base};
}

void ranges_fini(struct ranges *r)
{
	free(r->range);
	r->range = NULL;
	r->count = r->room = 0;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The end of what was seen before range[i]. */
static uint64_t end_before(const struct ranges *r, uint32_t i)
{
	return i > 0 ? r->range[i - 1].end : r->base;
}

/* Take n ranges out. */
static void take_out(struct ranges *r, uint32_t at, uint32_t n)
{
	if (n == 0)
		return; /* there may be no array */
	memmove(r->range + at, r->range + at + n, (r->count - at - n) * sizeof(*r->range));
	r->count -= n;
}

/* Join range[i] with what is before it. */
static void join(struct ranges *r, uint32_t i)
{
	if (i > 0)
		r->range[i - 1].end = r->range[i].end;
	else
		r->base = r->range[i].end;
	take_out(r, i, 1);
}

/* Close the smallest hole, of equal ones the lowest. There is one. */
static void close_hole(struct ranges *r)
{
	uint32_t smallest = 0;

	for (uint32_t i = 1; i < r->count; i++)
		if (r->range[i].from - end_before(r, i) <
		    r->range[smallest].from - end_before(r, smallest))
			smallest = i;
	r->given_up += r->range[smallest].from - end_before(r, smallest);
	join(r, smallest);
}

/* Room for one range more than RANGES_MAX, which is there for a moment only. */
static int grow(struct ranges *r)
{
	uint32_t room = r->room > 0 ? 2 * r->room : ROOM_MIN;
	struct range *range;

	if (r->count < r->room)
		return 0;
	if (room > RANGES_MAX)
		room = RANGES_MAX + 1;
	range = realloc(r->range, room * sizeof(*range));
	if (range == NULL)
		return -1;
	r->range = range;
	r->room = room;
	return 0;
}

/* Put a range in that touches none, before range[at]. */
static void insert(struct ranges *r, uint32_t at, uint64_t from, uint64_t end)
{
	if (grow(r) < 0) {
		/* Without any room, the hole before the new range is the only one to close. */
		r->given_up += from - end_before(r, at);
		if (at > 0)
			r->range[at - 1].end = end;
		else
			r->base = end;
		return;
	}
	memmove(r->range + at + 1, r->range + at, (r->count - at) * sizeof(*r->range));
	r->range[at] = (struct range){from, end};
	if (++r->count > RANGES_MAX)
		close_hole(r);
}

/*
 * [first, last) are the ranges that the new one overlaps or touches; it takes their place. What
 * they have of it is not new.
 */
uint64_t ranges_add(struct ranges *r, uint64_t from, uint64_t end)
{
	uint32_t first = 0, last;
	uint64_t added;

	from = max_u64(from, r->base);
	if (from >= end)
		return 0;
	added = end - from;
	while (first < r->count && r->range[first].end < from)
		first++;
	for (last = first; last < r->count && r->range[last].from <= end; last++)
		added -= min_u64(end, r->range[last].end) - max_u64(from, r->range[last].from);
	if (last == first && from > r->base) {
		insert(r, first, from, end);
		return added;
	}
	if (last > first) {
		from = min_u64(from, r->range[first].from);
		end = max_u64(end, r->range[last - 1].end);
	}
	if (from == r->base) {
		r->base = end;
		take_out(r, 0, last);
	} else {
		r->range[first] = (struct range){from, end};
		take_out(r, first + 1, last - first - 1);
	}
	return added;
}

uint64_t ranges_missing(const struct ranges *r, uint64_t end)
{
	uint64_t missing = r->given_up, before = r->base;

	for (uint32_t i = 0; i < r->count && before < end; i++) {
		missing += min_u64(r->range[i].from, end) - before;
		before = r->range[i].end;
	}
	return missing + (end > before ? end - before : 0);
}

uint32_t ranges_save(const struct ranges *r, struct range *to, uint32_t room, uint64_t *base,
                     uint64_t *given_up)
{
	uint32_t skip = r->count > room ? r->count - room : 0;

	*given_up = r->given_up;
	for (uint32_t i = 0; i < skip; i++)
		*given_up += r->range[i].from - end_before(r, i);
	*base = end_before(r, skip);
	for (uint32_t i = skip; i < r->count; i++)
		to[i - skip] = r->range[i];
	return r->count - skip;
}

void ranges_load(struct ranges *r, const struct range *from, uint32_t count, uint64_t base,
                 uint64_t given_up)
{
	ranges_init(r, base);
	r->given_up = given_up;
	for (uint32_t i = 0; i < count; i++)
		ranges_add(r, from[i].from, from[i].end);
}
