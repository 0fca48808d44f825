/*
 * The second keys of a flow table: who knows its server by which. Private to this module: the
 * writer's calls.
 *
 * A second key is written while nothing names it: the record says TWO_KEYS last, and before an old
 * one is changed its ip_version becomes 0, which is no key. So a death at any store leaves a whole
 * key or none.
 */
#ifndef MOS_SHARED_FLOW_OUT_H
#define MOS_SHARED_FLOW_OUT_H

#include "shared/flow_table/flow_table.h"

/*
 * The flow but `slot` whose server's packets are those that answer `out`; MOS_FLOW_NONE if there is
 * none.
 */
uint32_t mos_flow_find_out(const struct mos_flow_table *t, uint32_t slot,
                           const struct mos_flow_key *out, uint32_t hash);

/* The flow does not know its server any more: also one that had one key. */
void mos_flow_lose_out(struct mos_flow_table *t, uint32_t slot);

/* Its second key has no entry, and is none. */
void mos_flow_void_out(struct mos_flow *f);

/* Packets that answer `out` are to be those of flow `slot`: whoever expected them does no more. */
void mos_flow_take_out(struct mos_flow_table *t, uint32_t slot, const struct mos_flow_key *out,
                       uint32_t hash);

#endif
