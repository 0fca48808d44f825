/*
 * One flow as a line of text or JSON, newline included. Pure: nothing is believed of the record but
 * that it does not change.
 */
#ifndef MOS_SECONDARY_FLOW_LINE_H
#define MOS_SECONDARY_FLOW_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/flow_table/flow.h"

#define FLOW_AREA_MAX 4096 /* bytes of a user area */

/* Longest line: an area in hex, and all the rest. */
#define FLOW_LINE_MAX (2 * FLOW_AREA_MAX + 1024)

struct flow_view {
	uint32_t shard, slot;
	uint32_t now_ms; /* stack clock */
	struct mos_flow flow;
	bool area; /* show the user area */
	uint32_t area_version;
	uint32_t area_len; /* bytes, at most FLOW_AREA_MAX */
	uint8_t area_bytes[FLOW_AREA_MAX];
};

/* The columns of flow_line_text(), newline included. */
extern const char flow_line_head[];

/* Write the line; returns its length, less than FLOW_LINE_MAX. */
size_t flow_line_text(char out[static FLOW_LINE_MAX], const struct flow_view *v);
size_t flow_line_json(char out[static FLOW_LINE_MAX], const struct flow_view *v);

#endif
