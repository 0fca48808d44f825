/*
 * Inside the flow table: how a record leaves it. What limbo is, and who may call: flow_table.h.
 *
 * The chains lie in the worker's heap and die with it. A death between two stores leaves a record
 * REMOVED or free, and the successor has it in limbo or among its free ones.
 */
#ifndef MOS_SHARED_FLOW_LIMBO_H
#define MOS_SHARED_FLOW_LIMBO_H

#include "shared/flow_table/flow_table.h"

/* Both batches become empty. */
static inline void mos_flow_limbo_empty(struct mos_flow_table *t)
{
	t->limbo.open = t->limbo.waiting = MOS_FLOW_NONE;
	t->limbo.count = 0;
}

/* Both batches empty; limbo.next stays NULL when there is no memory. */
void mos_flow_limbo_init(struct mos_flow_table *t);

/* A record, REMOVED and out of the index, becomes the first of the open batch. */
void mos_flow_limbo_add(struct mos_flow_table *t, uint32_t slot);

/* A record, neither in use nor in limbo, may be given out from now on. */
static inline void mos_flow_free_put(struct mos_flow_table *t, uint32_t slot)
{
	t->free_slots[t->free_count++] = slot;
}

#endif
