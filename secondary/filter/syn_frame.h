/*
 * The first SYN of a flow, made up from its record: link addresses, one VLAN tag if there is a
 * VLAN, IPv4 or IPv6 without options or extension headers, and a TCP header without options.
 *
 * What the record does not know has usual values: TTL 64, no fragments, IP identification 0,
 * window 65535, no ECN. Lengths and checksums are right.
 */
#ifndef MOS_SECONDARY_SYN_FRAME_H
#define MOS_SECONDARY_SYN_FRAME_H

#include <stdint.h>

#include "shared/flow_table/flow.h"

#define MOS_SYN_FRAME_MAX (14 + 4 + 40 + 20)

/* Write the frame; returns its length. Any thread. */
uint32_t mos_syn_frame(uint8_t frame[MOS_SYN_FRAME_MAX], const struct mos_flow *flow);

#endif
