/*
 * What killer does with connections.
 *
 *   SND hook   note what both ends expect (expect.h); a killed flow: drop, answer with a RST
 *   RCV hook   read what the packet has brought into order, search it; a pattern: drop, kill
 *
 * At the RCV hook the packet in hand has been read and not yet sent: the one with the end of a
 * pattern never arrives. Its receiver expects what it expected before, and its sender what it has
 * been sent, so a RST with that number reaches each of them and is taken. Should one of them live
 * on nevertheless, it is found (reset.h).
 *
 * State is made for a connection with its first packet, and kept as its uctx. In its flow area, if
 * there is one, stands whether it was killed: then the successor of a dead worker goes on with
 * that. The beginning of a pattern that the dead worker had read is lost with it.
 */
#ifndef KILLER_WATCH_H
#define KILLER_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "mos_api.h"
#include "apps/killer/pattern.h"

/*
 * Have a context kill the connections in whose streams one of the patterns comes; those whose first
 * SYN the expression accepts (NULL: all). Application thread. False, with a line on stderr, when
 * that fails.
 */
bool watch_start(mctx_t mctx, const struct patterns *patterns, const char *expression);

struct watch_sums {
	uint64_t killed;      /* connections */
	uint64_t dropped;     /* packets */
	uint64_t not_watched; /* connections, for lack of memory */
};

/* Any thread. */
void watch_sum(struct watch_sums *sums);

#endif
