/*
 * What the library keeps in front of a flow's area (shared/root/user_area.h): the version of what
 * the application has stored there, and where in it the flow's uctx pointers lead, so that the
 * application's successor finds both.
 *
 * A uctx is kept as an offset, by which of the passive sockets of a context it belongs to: the
 * n-th that was created, closed ones counted. The successor creates its sockets in the same order,
 * whatever ids they get. What its predecessor has left is checked: an offset that leads out of the
 * area is none.
 *
 * Stack thread. Memory: of the shard; nothing is kept where there are no areas (flow_area = 0).
 * Not its job: what lies in the area.
 */
#ifndef MOS_SECONDARY_FLOW_AREA_H
#define MOS_SECONDARY_FLOW_AREA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/root/shard.h"
#include "shared/root/user_area.h"

/* Zero the area of a record before it comes into use: it belonged to another flow. */
void mos_flow_area_begin(const struct mos_shard *s, uint32_t flow, uint32_t version);

/* Where the application's bytes of a flow lie, and how many; NULL without areas. */
void *mos_flow_area_bytes(const struct mos_shard *s, uint32_t flow, size_t *len);

/* The version of a flow's area; -ENOSYS without areas. */
int mos_flow_area_version(const struct mos_shard *s, uint32_t flow, uint32_t *version);
int mos_flow_area_set_version(const struct mos_shard *s, uint32_t flow, uint32_t version);

/* The flow's uctx on socket number nth is this one from now on; kept if it leads into the area. */
void mos_flow_area_keep_uctx(const struct mos_shard *s, uint32_t flow, uint32_t nth,
                             const void *uctx);

/* The uctx that were kept, by number; NULL: none. False: of no socket. */
bool mos_flow_area_find_uctx(const struct mos_shard *s, uint32_t flow, void *uctx[MOS_SOCKETS_MAX]);

#endif
