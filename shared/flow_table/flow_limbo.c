#include "shared/flow_table/flow_limbo.h"

#include <stdlib.h>

void mos_flow_limbo_init(struct mos_flow_table *t)
{
	mos_flow_limbo_empty(t);
	/* Pages come with their first use. */
	t->limbo.next = malloc(t->capacity * sizeof(uint32_t));
}

void mos_flow_limbo_add(struct mos_flow_table *t, uint32_t slot)
{
	t->limbo.next[slot] = t->limbo.open;
	t->limbo.open = slot;
	t->limbo.count++;
}

bool mos_flow_limbo_close(struct mos_flow_table *t)
{
	if (mos_flow_limbo_waits(t) || t->limbo.open == MOS_FLOW_NONE)
		return false;
	t->limbo.waiting = t->limbo.open;
	t->limbo.open = MOS_FLOW_NONE;
	return true;
}

void mos_flow_limbo_free(struct mos_flow_table *t, uint32_t max)
{
	for (; max > 0 && mos_flow_limbo_waits(t); max--) {
		uint32_t slot = t->limbo.waiting;

		t->limbo.waiting = t->limbo.next[slot];
		t->limbo.count--;
		__atomic_store_n(&t->flows[slot].flags, 0, __ATOMIC_RELEASE);
		mos_flow_free_put(t, slot);
	}
}
