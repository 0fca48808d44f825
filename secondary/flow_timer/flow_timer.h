/*
 * When flows end without a packet: a lazy timing wheel, one entry per flow record.
 *
 * A packet does not touch the wheel: it only sets last_seen_ms in its record. When an entry comes
 * due, the owner computes the real deadline from the record and either ends the flow or arms the
 * entry again. So a packet costs nothing, and each flow is looked at once per timeout.
 *
 *   head[now_slot + (deadline - slot_time_ms) / granularity, rounded up]
 *      -> doubly linked list of record numbers (heap arrays)
 *
 * An entry is looked at when its deadline has passed, by less than one granularity. Entries whose
 * deadline lies beyond the wheel are parked in its last slot and moved on when that comes due.
 *
 * Time: stack clock, ms modulo 2^32, passed in. It may jump forward by less than 2^31 ms (24 days),
 * and deadlines lie as close to it. A clock that steps back costs at most one walk of the wheel.
 * Memory: heap of the process that holds the shard, touched by create: 14 bytes for each record. Its
 * successor arms its own from the records.
 */
#ifndef MOS_SECONDARY_FLOW_TIMER_H
#define MOS_SECONDARY_FLOW_TIMER_H

#include <stdint.h>

#define MOS_FLOW_TIMER_SLOTS 1024
#define MOS_FLOW_TIMER_MOVES 256 /* parked entries that one call of expire moves on, at most */

struct mos_flow_timer {
	uint32_t *next, *prev; /* by record number; MOS_FLOW_NONE ends a list */
	uint32_t *due_ms;      /* by record number: when the entry is looked at */
	uint16_t *where;       /* by record number: wheel slot + 1, 0 = not armed */
	uint32_t head[MOS_FLOW_TIMER_SLOTS];
	uint32_t capacity;
	uint32_t granularity_ms;
	uint32_t now_slot;     /* the slot that is looked at next */
	uint32_t slot_time_ms; /* stack time at which that slot comes due */
	uint32_t now_ms;       /* stack time of the latest call of expire */
};

/* 0 or -ENOMEM, -EINVAL. capacity <= MOS_FLOW_CAP_MAX; granularity_ms in [1, 2^18]. */
int mos_flow_timer_create(struct mos_flow_timer *w, uint32_t capacity, uint32_t granularity_ms,
                          uint32_t now_ms);
void mos_flow_timer_destroy(struct mos_flow_timer *w);

/* It is now_ms, however long ago create was, and no entry is armed. */
void mos_flow_timer_restart(struct mos_flow_timer *w, uint32_t now_ms);

/* Arm (or move) the entry of a record. O(1). */
void mos_flow_timer_arm(struct mos_flow_timer *w, uint32_t slot, uint32_t deadline_ms);

/* Take the entry out; harmless when it is not armed. O(1). */
void mos_flow_timer_cancel(struct mos_flow_timer *w, uint32_t slot);

/*
 * Next record whose entry is due at now_ms, disarmed; MOS_FLOW_NONE when there is none. The caller
 * ends the flow or arms it again (a deadline <= now_ms is looked at in the next call with a later
 * time, so a loop over this function ends). A call passes at most MOS_FLOW_TIMER_SLOTS slots; when
 * it has moved MOS_FLOW_TIMER_MOVES parked entries it returns MOS_FLOW_NONE with work left, which
 * the next call goes on with: call it in every round.
 */
uint32_t mos_flow_timer_expire(struct mos_flow_timer *w, uint32_t now_ms);

#endif
