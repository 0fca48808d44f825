/*
 * Running the application's callbacks.
 *
 * A dispatch is one hook of one socket, with all events raised there (dispatch.h). This module
 * decides who gets one: the sockets of a flow in path order, which is creation order for what the
 * client sent and the reverse for what the server sent; raw and passive sockets whose filter
 * accepts a packet (specification sections 3.1, 3.2, 4.1). All events of one socket run before
 * those of the next.
 *
 * The set a socket carries is read once per dispatch, so a change made inside a callback takes
 * effect at the next dispatch. MOS_STOP_MON takes effect at once: nothing more is called about
 * that side. Of a socket that a callback closes, the dispatch under way is the last.
 *
 * Stack thread only.
 */
#ifndef MOS_SECONDARY_EVENT_H
#define MOS_SECONDARY_EVENT_H

#include "secondary/worker.h"

/* Some socket may have a callback for one of these at this hook: else raising is not worth it. */
static inline bool mos_event_wanted(const struct mos_ctx *c, enum mos_hook hook, uint32_t bits)
{
	return (atomic_load_explicit(&c->sockets.sets.wanted[hook], memory_order_relaxed) & bits) !=
	       0;
}

/* mos_event_flow for events that are wanted. */
void mos_event_flow_all(struct mos_ctx *c, uint32_t flow, int side, int from, enum mos_hook hook,
                        uint32_t bits);

/*
 * Raise `bits` (MOS_ON_*) at a hook for every socket of a flow. side: whose half the event is
 * about; from: who sent the packet (MOS_CLI for events without packet): the path order.
 */
static inline void mos_event_flow(struct mos_ctx *c, uint32_t flow, int side, int from,
                                  enum mos_hook hook, uint32_t bits)
{
	if (mos_event_wanted(c, hook, bits))
		mos_event_flow_all(c, flow, side, from, hook, bits);
}

/* The same for those sockets only whose passive numbers are in socks, a bit for each. */
void mos_event_flow_some(struct mos_ctx *c, uint32_t flow, int side, int from, enum mos_hook hook,
                         uint32_t bits, uint8_t socks);

/*
 * The open passive sockets whose syn filter accepts the packet in hand: bit per id. Of a flow that
 * was taken over there is no SYN any more: its record is asked about instead.
 */
uint64_t mos_event_accepting(struct mos_ctx *c);
uint64_t mos_event_accepting_flow(struct mos_ctx *c, const struct mos_flow *flow);

/* Raise MOS_ON_PKT_IN on every raw socket whose filter accepts the packet in hand. */
void mos_event_raw(struct mos_ctx *c);

/*
 * Raise MOS_ON_ORPHAN for the TCP packet in hand: on every passive socket whose orphan filter
 * accepts it, then on the raw sockets that saw it.
 */
void mos_event_orphan(struct mos_ctx *c);

/*
 * The child, allocated below the event whose filter or callback is running, will run after it.
 * 0, -EPERM (no event is running, or a built-in one with none below it), -EINVAL (not an allocated
 * event, or not directly below that one), -ENOENT (neither it nor anything below it has a callback
 * in the set at hand), -ENOMEM (dispatches are nested too deeply).
 */
int mos_event_raise(struct mos_ctx *c, event_t child);

/* Run the timers that are due. */
void mos_event_timers(struct mos_ctx *c);

#endif
