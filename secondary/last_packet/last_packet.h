/*
 * The last packet of each side of those flows for which somebody asks (MOS_LAST_PACKETS).
 *
 *   flow record -> struct mos_last_flow (NULL: nobody asks) -> side -> frame, as it came
 *
 * Memory: the heap of this process, so nothing of it outlives the program. A flow takes its entry
 * when the first socket asks, and room for a frame when a longer one comes than ever before: most
 * packets cost a copy and nothing else. Freed with the flow, or when no socket asks any more.
 *
 * Stack thread. Pure: knows neither mbufs nor sockets, only their passive numbers (k).
 */
#ifndef MOS_SECONDARY_LAST_PACKET_H
#define MOS_SECONDARY_LAST_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/packet/packet.h"

struct mos_last_packet {
	uint8_t *frame;
	uint32_t len;       /* bytes of it that are kept; 0 = none came yet */
	uint32_t room;      /* bytes at frame */
	uint32_t frame_len; /* bytes it had */
	uint32_t now_ms;    /* the stack clock when it came */
	struct mos_pkt_meta meta;
};

struct mos_last_flow;

struct mos_last_packets {
	uint32_t max_flows;
	struct mos_last_flow **flow; /* by record; NULL: nobody ever asked */
};

/* Zeroed memory is an empty one. */
void mos_last_init(struct mos_last_packets *l, uint32_t max_flows);
void mos_last_fini(struct mos_last_packets *l);

/* The sockets in socks (bit per passive number) ask for this flow, too. 0 or -ENOMEM. */
int mos_last_watch(struct mos_last_packets *l, uint32_t flow, uint8_t socks);

/* They do not any more. Returns whether another one does. */
bool mos_last_unwatch(struct mos_last_packets *l, uint32_t flow, uint8_t socks);

/* The flow ends. */
void mos_last_free(struct mos_last_packets *l, uint32_t flow);

/* The socket asks for this flow. */
bool mos_last_is_watched(const struct mos_last_packets *l, uint32_t flow, unsigned k);

/*
 * A packet of the side has come, of a flow that is watched: returns it, with room for len bytes
 * that the caller fills in, and the rest of it, which it sets. NULL without memory: then none is
 * kept, for the one before is the last no more.
 */
struct mos_last_packet *mos_last_keep(struct mos_last_packets *l, uint32_t flow, int side,
                                      uint32_t len);

/* The last one of the side, or NULL. Of a flow that is watched. */
const struct mos_last_packet *mos_last_get(const struct mos_last_packets *l, uint32_t flow,
                                           int side);

#endif
