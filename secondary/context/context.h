/*
 * Life of a context: lease a shard, adopt its flows, run the stack thread, give the lease back.
 *
 *   FREE --create--> BUSY --> SETTING_UP --app_join, or its wait is over--> RUNNING
 *     ^                            |                                          |
 *     |                            +--------- asked to, or the input, --------+
 *     |                            v          or the primary, ends
 *     +------- BUSY <--destroy-- ENDED
 *
 * The wait for app_join: see SETUP_WAIT_NS in loop.c. In ENDED the lease is given back and no
 * callback runs any more, but the application's sockets stay until it destroys the context: the
 * system may end while a program is still setting up, which is no fault of the program. FREE again
 * means that the stack thread has left.
 *
 * A successor (MOS_TAKE_OVER) has no shard in SETTING_UP: take_over.h says how it comes to one.
 *
 * The structs live in a static table and are never freed, so a stale handle is refused instead of
 * followed. The stack thread itself releases everything it used; destroy only asks it to and
 * waits, which is safe in a signal handler too: it takes no lock and waits on a futex.
 */
#ifndef MOS_SECONDARY_CONTEXT_H
#define MOS_SECONDARY_CONTEXT_H

#include "secondary/worker.h"

/* Create context number cpu. NULL + errno; mos_last_error() says why. */
struct mos_ctx *mos_context_create(struct mos_worker *w, int cpu);

/*
 * Ask the stack thread to end and to free the context, and wait for it. Idempotent. Any thread,
 * also a signal handler.
 */
void mos_context_destroy(struct mos_ctx *c);

/*
 * Let this context, and all that the calling thread has created, take packets; then wait until this
 * one has ended. Returns at once when called from its own callback.
 */
void mos_context_join(struct mos_worker *w, struct mos_ctx *c);

/* True when the calling thread is the stack thread of any context. */
bool mos_context_in_callback(const struct mos_worker *w);

/* In a forked child: the contexts belong to the parent, whose threads did not come along. */
void mos_context_disown(struct mos_worker *w);

/*
 * Set up what a context needs: first what is of this process alone (root and clock in c), so that a
 * standby has it ready; then, with the lease, what the shard holds. clear undoes one or both. 0 or
 * -errno, with nothing to be cleared of that step. For tests too.
 */
int mos_context_prepare(struct mos_ctx *c);
int mos_context_adopt(struct mos_ctx *c);
void mos_context_clear(struct mos_ctx *c);

/* Give the lease back, with everything put down. Not when the primary is gone. */
void mos_context_yield(struct mos_ctx *c);

#endif
