/*
 * A planned upgrade: each process is replaced by a new one of the command as it is on disk now,
 * one after the other, spares first (they are of the old program, and may take over at any time).
 *
 *   IDLE --request--> SETTLE --> REPLACE --------> SEE_OFF --> (next slot) SETTLE ... --> IDLE
 *                     until its  `next` is set up  until the old
 *                     process    until it serves   one has ended
 *                     serves     or fails
 *
 * A `next` that ends, or does not serve within limit_ns, stops the upgrade: the old one
 * goes on, and so do those whose turn had not come. If the old one has died as well, its slot has
 * a new one anyway. A slot whose process is younger than the request needs nothing but to be seen
 * serving.
 *
 * Who asked is told by `tell` one line for each slot, and by `done` the end; neither may ask for
 * another restart. Time comes in, nanoseconds as in slots.h. One thread, caller's memory.
 */
#ifndef MOS_RUN_RESTART_H
#define MOS_RUN_RESTART_H

#include "apps/mos_run/slots.h"

enum restart_step { RESTART_IDLE, RESTART_SETTLE, RESTART_REPLACE, RESTART_SEE_OFF };

struct restart_ops {
	void (*tell)(void *arg, const char *line);
	void (*done)(void *arg, bool ok, const char *why); /* why is "" when ok */
};

struct restart {
	const struct restart_ops *ops;
	void *arg;
	uint64_t limit_ns; /* for a new one to serve, from its start on */
	enum restart_step step;
	unsigned turn; /* slots whose turn is over */
	uint64_t asked_ns;
	uint64_t deadline_ns; /* SETTLE, REPLACE */
	pid_t old_pid, new_pid;
	bool incomplete; /* a worker has failed for good */
	bool again;      /* another one is to follow */
};

void restart_init(struct restart *r, const struct restart_ops *ops, void *arg, uint64_t limit_ns);

/* Begin. False while one is under way. */
bool restart_request(struct restart *r, uint64_t now_ns);

/* Begin, or begin another one when the one under way has ended. */
void restart_request_later(struct restart *r, uint64_t now_ns);

/* All are about to end: nothing is replaced any more. */
void restart_cancel(struct restart *r);

/*
 * Go on as far as it can, after whatever has happened to the slots. Returns when it has to be
 * called even if nothing happens, UINT64_MAX = never.
 */
uint64_t restart_on_time(struct restart *r, struct slots *s, uint64_t now_ns);

#endif
