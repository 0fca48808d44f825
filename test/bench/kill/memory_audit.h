/*
 * The memory of all shards, as test/mp/kill_audit sees it from outside: every chunk in use has a
 * living flow, the index and the records name each other, no record is half written.
 */
#ifndef MOS_BENCH_KILL_MEMORY_AUDIT_H
#define MOS_BENCH_KILL_MEMORY_AUDIT_H

#include <stdbool.h>

struct memory_sum {
	unsigned flows;        /* records in use */
	unsigned chunks, used; /* in the pools; of these, held by somebody */
	unsigned stray;        /* of those, by no living flow */
	unsigned astray,
		torn; /* flows that the index does not find, or the reverse; half written */
};

extern struct memory_sum memory_sum;

/* Attach the auditor. False when it does not come up. */
bool memory_audit_start(void);

/* Look, and add up all shards. True when nothing is amiss: workers at work make it so for moments. */
bool memory_audit_is_clean(void);

/* False when it does not end in order. */
bool memory_audit_stop(void);

#endif
