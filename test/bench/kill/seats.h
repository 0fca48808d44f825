/*
 * Who works on which shard, and who dies when: one seat for each shard.
 *
 *   STARTING -> SERVING -> DYING -> STARTING ...
 *      its worker attaches, and is killed in that perhaps
 *                  takes packets until its moment comes
 *                             is killed, but the kernel is not done with it yet
 *
 * A moment is drawn when a worker starts, and again when it serves. A successor is started as soon
 * as the dead one is gone.
 */
#ifndef MOS_BENCH_KILL_SEATS_H
#define MOS_BENCH_KILL_SEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "test/bench/kill/primary_log.h"

struct seats_options {
	unsigned count;
	unsigned work_ms;   /* from being served to being killed, at most */
	unsigned attach_ms; /* from the start to a death in the attach, at most */
	unsigned nap_us;    /* of the workers, in callbacks */
	uint64_t seed;
	const char *sink_file, *log_file;
};

struct seats_sum {
	uint64_t kills, attaching, serving; /* kills, by what the primary had said of the victim */
	uint64_t refused; /* successors that came before the primary knew of the death */
	double unserved_ms_max, unserved_ms_total;
	uint64_t unserved_count;
};

extern struct seats_sum seats_sum;

void seats_init(const struct seats_options *options);

void seats_start(void);

/* Take what the primary has said. */
void seats_take(const struct primary_said *s);

/* The next moment somebody is due; in ns. */
uint64_t seats_next_ns(uint64_t now);

/* Kill who is due, and start successors. NULL, or what is wrong: a wedge, a worker that ended. */
const char *seats_tend(uint64_t now, bool kill);

/* All shards are served. */
bool seats_all_serve(void);

/* SIGTERM to all: NULL when all end with status 0, or what is wrong. */
const char *seats_stop(void);

#endif
