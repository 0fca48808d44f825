/*
 * The poll loop of one context: bursts from the rx ring, timers, expiry, adoption, back-off.
 *
 *   round:  clock -> take a burst (rx cons.head) -> ledger begin -> pipeline
 *           -> tx ring in one bulk, with what the program has sent
 *           -> give the burst back (rx cons.tail) -> ledger end
 *           -> timers, expiry, some adopted flows, closed sockets,
 *           streams read by timers -> heartbeat
 *
 * The order of the steps is what makes a death at any instruction harmless: see shared/ledger.
 * With nothing to do the loop spins some rounds and then sleeps for short times that grow, unless
 * the configuration says `idle = poll`.
 */
#ifndef MOS_SECONDARY_LOOP_H
#define MOS_SECONDARY_LOOP_H

#include "secondary/worker.h"

/* Why the loop ended. */
enum mos_loop_end {
	MOS_LOOP_STOPPED,       /* asked to, by mtcp_destroy_context or a signal */
	MOS_LOOP_INPUT_ENDED,   /* the primary says that all input is processed */
	MOS_LOOP_PRIMARY_STOPS, /* the primary ends in order: the lease is given back */
	MOS_LOOP_PRIMARY_GONE,  /* the primary died: the rings must not be touched */
	MOS_LOOP_HANDED_OVER,   /* a successor is ready: the lease is yielded to it */
	MOS_LOOP_REFUSED,       /* a successor got no shard, or could not take it over */
};

/* Run until told to end. Stack thread. */
enum mos_loop_end mos_loop_run(struct mos_ctx *c);

/*
 * Wait until the application has set up. False: it ends before that; *why says why. For a successor
 * that has no shard yet, too. Stack thread.
 */
bool mos_loop_wait_until_open(struct mos_ctx *c, enum mos_loop_end *why);

/* Is it to end? For those that wait: they have taken no packet. Stack thread. */
bool mos_loop_must_end(struct mos_ctx *c, enum mos_loop_end *why);

/* One round; returns how many packets it processed. Exposed for tests and benchmarks. */
uint32_t mos_loop_round(struct mos_ctx *c);

/*
 * Read the stack clock. With clock = packet it is the primary's while the rx ring is empty; else
 * the packets drive it.
 */
void mos_loop_clock(struct mos_ctx *c);

#endif
