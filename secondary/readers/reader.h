/*
 * A reader: a process that looks at the flow records of all shards (readers.h has the picture).
 *
 *   mos_attach (role READER) -> begin -> [look at some, quiescent | pause, wait, resume]* -> pause
 *
 * Between two calls of quiescent() or pause() a record that was found in use stays that flow's,
 * even if the flow ends, and so does its user area: it is not given out again. Say quiescent every
 * few milliseconds, and pause around whatever may block: who holds workers up for 2 s is killed.
 *
 * Memory: the caller's. One thread. Death at any instruction: the primary unregisters it.
 */
#ifndef MOS_SECONDARY_READER_H
#define MOS_SECONDARY_READER_H

#include <stdbool.h>

struct mos_root;
struct rte_rcu_qsbr;

struct mos_reader {
	struct rte_rcu_qsbr *v;
	unsigned slot;
};

/*
 * Wait until the workers keep what they remove, then begin to read. False when the worker of some
 * shard has not taken notice within wait_ms (it is stopped, or stalls): what it removed then may be
 * given out while it is looked at.
 */
bool mos_reader_begin(struct mos_reader *r, const struct mos_root *root, unsigned attach_slot,
                      unsigned wait_ms);

/* Nothing is looked at at this moment. */
void mos_reader_quiescent(struct mos_reader *r);

/* Nothing is looked at until resume(). */
void mos_reader_pause(struct mos_reader *r);
void mos_reader_resume(struct mos_reader *r);

#endif
