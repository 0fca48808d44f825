/*
 * The index of a flow table: hash -> record numbers. Private to this module: the writer's calls.
 *
 * Between begin and end the header says that index and records may disagree: a worker that dies
 * there leaves an index that is wiped and built again, and no order of stores matters. Any other is
 * used as it is. A wild pointer of the dead may have written to it: whatever it holds, the calls
 * here end, touch nothing but the index, and at worst lose entries.
 */
#ifndef MOS_SHARED_FLOW_INDEX_H
#define MOS_SHARED_FLOW_INDEX_H

#include "shared/flow_table/flow_table.h"

/* Bracket every change of the index, with the changes of records it goes with. */
void mos_flow_index_begin(struct mos_flow_table *t);
void mos_flow_index_end(struct mos_flow_table *t);

/* Forget all entries. */
void mos_flow_index_wipe(struct mos_flow_table *t);

/*
 * Add an entry: a record number, with MOS_ENTRY_OUT for its second key. False, and nothing changed,
 * when the chain of this hash has its longest.
 */
bool mos_flow_index_add(struct mos_flow_table *t, uint32_t hash, uint32_t entry);

/* Take out an entry. False: it is not there, which only garbage makes so. */
bool mos_flow_index_del(struct mos_flow_table *t, uint32_t hash, uint32_t entry);

/* Is it there? */
bool mos_flow_index_has(const struct mos_flow_table *t, uint32_t hash, uint32_t entry);

#endif
