/*
 * What each end of a flow expects next, from the packets that pass: rcv_nxt of RFC 9293. A reset is
 * taken at once only if it has exactly that number (RFC 5961).
 *
 * An end expects at least what it has acknowledged itself, and what has been sent to it in order
 * since. That may be wrong for a while: too little behind a hole that was filled, too much when
 * what was sent got lost behind us. The next ACK of that end is right again; so is its answer to a
 * segment with a number that it does not expect.
 *
 * Pure; sides are MOS_SIDE_CLI and MOS_SIDE_SVR. Host byte order.
 */
#ifndef APPS_COMMON_EXPECT_H
#define APPS_COMMON_EXPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "mos_api.h"

struct expected {
	uint32_t next[2];  /* of each end: what it expects */
	uint32_t acked[2]; /* what it expects at least: its latest ACK, or where it was found */
	bool known[2];
};

/* All zero at first: nothing is known. */

/* A packet of a TCP flow passes, which `from` has sent. */
void expected_note(struct expected *e, int from, const struct pkt_info *p);

/* That packet, before which all was as in *before, does not arrive. */
void expected_undo(struct expected *e, const struct expected *before, int from,
                   const struct pkt_info *p);

/* The number behind a packet: its SYN, payload and FIN count. */
uint32_t packet_end(const struct pkt_info *p);

#endif
