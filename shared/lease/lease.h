/*
 * The lease of one shard: who may work on it.
 *
 *            grant (primary)             yield (worker)
 *     FREE ------------------> HELD ------------------> YIELDING
 *      ^                        |                          |
 *      |  release (primary)     | declare_dead (primary,   |
 *      +---------<--------------+  after pidfd said so)    |
 *      |                     DEAD <------------------------+ (died while yielding)
 *      +--------<---------------+--------------------------+ release (primary)
 *
 * HELD -> YIELDING and HELD -> DEAD may race: both are a CAS on `state`. A lease is never taken
 * from a living process: the primary declares it dead only when the process is gone. Between
 * DEAD or YIELDING and FREE the primary repairs and audits what the holder left.
 *
 * epoch counts the grants: a holder that finds another epoch is no longer the holder. asked is the
 * epoch whose holder is to yield, for a successor is ready; 0: nobody is asked.
 * heartbeat is the worker's round counter; without progress while packets wait it is a stall.
 *
 * Memory: part of struct mos_shard. Not its job: who gets a shard (primary/supervisor).
 */
#ifndef MOS_SHARED_LEASE_H
#define MOS_SHARED_LEASE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/platform.h"

enum mos_lease_state {
	MOS_LEASE_FREE,
	MOS_LEASE_HELD,
	MOS_LEASE_YIELDING,
	MOS_LEASE_DEAD,
};

/* Letters: P primary, S the worker that holds the shard, * both by CAS. */
struct mos_lease {
	uint32_t state;       /* * enum mos_lease_state */
	uint32_t epoch;       /* P number of grants so far */
	int32_t pid;          /* P holder, 0 when free */
	uint32_t attach_slot; /* P holder's attachment */
	uint64_t start_time;  /* P holder's, field 22 of /proc/PID/stat: pids are reused */
	uint32_t asked;       /* P epoch of the holder that is asked to yield */

	uint64_t heartbeat MOS_CACHE_ALIGNED; /* S rounds of the poll loop, monotone over holders */
} MOS_CACHE_ALIGNED;
static_assert(sizeof(struct mos_lease) == 128, "primary's line and worker's line");

/* ---- primary ---- */

/* FREE -> HELD. Returns the new epoch, or 0 when the lease is not free. */
uint32_t mos_lease_grant(struct mos_lease *l, int32_t pid, uint64_t start_time,
                         uint32_t attach_slot);

/* HELD or YIELDING -> DEAD, once the process is known to be gone. False in other states. */
bool mos_lease_declare_dead(struct mos_lease *l);

/* YIELDING or DEAD -> FREE, once the shard is in order again. False in other states. */
bool mos_lease_release(struct mos_lease *l);

/* Ask the present holder to yield, or take that back. A holder that has gone notices neither. */
void mos_lease_ask(struct mos_lease *l);
void mos_lease_ask_no_more(struct mos_lease *l);

/* ---- worker ---- */

/* A successor is ready: the holder of this epoch is to yield between two rounds. */
static inline bool mos_lease_is_asked(const struct mos_lease *l, uint32_t epoch)
{
	return mos_unlikely(__atomic_load_n(&l->asked, __ATOMIC_RELAXED) == epoch);
}

/*
 * HELD -> YIELDING: the holder has put everything down and will not touch the shard again. False
 * when the lease is not HELD under this epoch.
 */
bool mos_lease_yield(struct mos_lease *l, uint32_t epoch);

/* One round of the poll loop has ended, or one look at what it waits for. */
static inline void mos_lease_beat(struct mos_lease *l)
{
	__atomic_store_n(&l->heartbeat, l->heartbeat + 1, __ATOMIC_RELAXED);
}

/* ---- any process ---- */

/* Current state, with acquire: what the previous owner of the transition wrote is visible. */
static inline enum mos_lease_state mos_lease_state(const struct mos_lease *l)
{
	return (enum mos_lease_state)__atomic_load_n(&l->state, __ATOMIC_ACQUIRE);
}

/* "free", "held", "yielding", "dead" or "?". */
const char *mos_lease_state_name(unsigned state);

#endif
