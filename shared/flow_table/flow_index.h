/*
 * The index of a flow table: hash -> record numbers. Private to this module: the writer's calls.
 *
 * A cache of the records. No order of stores in here matters to anyone: the index of a worker that
 * died is wiped and built again.
 */
#ifndef MOS_SHARED_FLOW_INDEX_H
#define MOS_SHARED_FLOW_INDEX_H

#include "shared/flow_table/flow_table.h"

/* Forget all entries. */
void mos_flow_index_wipe(struct mos_flow_table *t);

/*
 * Add an entry: a record number, with MOS_ENTRY_OUT for its second key. False, and nothing changed,
 * when the chain of this hash has its longest.
 */
bool mos_flow_index_add(struct mos_flow_table *t, uint32_t hash, uint32_t entry);

/* Take out an entry. */
void mos_flow_index_del(struct mos_flow_table *t, uint32_t hash, uint32_t entry);

#endif
