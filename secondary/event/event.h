/*
 * Running the application's callbacks.
 *
 * Within one hook of one socket events run in ascending bit order; all events of one socket run
 * before those of the next. Sockets run in path order: creation order for what the client sent,
 * the reverse for what the server sent (specification sections 3.1, 4.1, 5.3).
 *
 * The set a flow carries is read once per dispatch, so a change made inside a callback takes effect
 * at the next dispatch. Stack thread only.
 */
#ifndef MOS_SECONDARY_EVENT_H
#define MOS_SECONDARY_EVENT_H

#include "secondary/worker.h"

/*
 * Raise `bits` (MOS_ON_*) at a hook for every socket of a flow. side: whose half the event is
 * about; from: who sent the packet (MOS_CLI for events without packet): the path order.
 */
void mos_event_flow(struct mos_ctx *c, uint32_t flow, int side, int from, enum mos_hook hook,
                    uint32_t bits);

/* Raise MOS_ON_PKT_IN on every raw socket. */
void mos_event_raw(struct mos_ctx *c);

/* Run the timers that are due. */
void mos_event_timers(struct mos_ctx *c);

/* Events that this version raises; registering another answers ENOSYS. */
#define MOS_EVENTS_BUILT \
	(MOS_ON_PKT_IN | MOS_ON_CONN_START | MOS_ON_TCP_STATE_CHANGE | MOS_ON_CONN_END)

#endif
