/*
 * What is believed of a record that a predecessor left. Private to this module: the writer's calls.
 */
#ifndef MOS_SHARED_FLOW_CHECK_H
#define MOS_SHARED_FLOW_CHECK_H

#include "shared/flow_table/flow_table.h"

/*
 * An id beyond was not counted up to: the next id must have room above the highest one, and two
 * bits are for whoever makes an owner word of it (mos_remap_owner).
 */
#define MOS_FLOW_ID_MAX (INT64_MAX / 2)

/* States, window scales, IP version and id are in range. */
bool mos_flow_is_sane(const struct mos_flow *f);

/*
 * Bring a record out of the change in which its writer died. The key is whole: it is written only
 * before a record comes into use; so is the second one, if it says so (flow_out.h). Returns whether
 * there was such a change.
 */
bool mos_flow_mend(struct mos_flow *f);

/* The id was given out: no other flow gets it. Free records count, too. */
void mos_flow_note_id(struct mos_flow_table *t, const struct mos_flow *f);

/*
 * Another record in the index that is of the connection of `slot`: its client sends alike, or each
 * calls the other its client. MOS_FLOW_NONE if there is none.
 */
uint32_t mos_flow_find_twin(const struct mos_flow_table *t, uint32_t slot);

/*
 * How a flow knows its server is not believed before it is looked at. A second key gets its entry,
 * if it has none; of two flows that know their servers by the same key, the older does not know its
 * server any more. settled: there is nothing to do.
 */
bool mos_flow_out_is_settled(const struct mos_flow_table *t, uint32_t slot);
void mos_flow_settle_out(struct mos_flow_table *t, uint32_t slot);

/* Wipe the index and build it again from all records. Returns how many torn ones were mended. */
uint32_t mos_flow_table_rebuild(struct mos_flow_table *t);

#endif
