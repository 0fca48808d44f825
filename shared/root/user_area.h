/*
 * The user area of a flow: memory of the application that outlives it.
 *
 *   | struct mos_area | flow_area bytes: what mtcp_flow_area() returns |
 *
 * There is one for each flow record, zeroed by the worker before the record comes into use. What
 * the application has declared of it stands in front: the version of what it has stored, and for
 * each of the flow's sockets where in the area its uctx points.
 *
 * Written by the worker that holds the shard. A death between two stores leaves either value; the
 * successor checks the ranges. Memory: of the shard (shard.h).
 */
#ifndef MOS_SHARED_USER_AREA_H
#define MOS_SHARED_USER_AREA_H

#include <assert.h>
#include <stdint.h>

#include "shared/flow_table/flow.h"

struct mos_area {
	uint32_t version;               /* S MOS_AREA_VERSION, 0 = none declared */
	uint16_t uctx[MOS_SOCKETS_MAX]; /* S by passive number: offset + 1; 0 = not in here */
	uint32_t reserved;
	uint64_t bytes[]; /* the application's */
};
static_assert(sizeof(struct mos_area) == 24, "what follows is aligned to 8");

#endif
