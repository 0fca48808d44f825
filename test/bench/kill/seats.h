/*
 * Who works on which shard, who takes over, and who dies when.
 *
 *   respawn   a worker that is gone is replaced by a new one
 *   standby   spares wait; when a worker dies, the primary gives its shard to one of them
 *   upgrade   a successor comes for the shard of a worker, which hands it over and ends
 *
 * Each process has a moment, drawn when it starts and again when it serves: then it is killed, or,
 * when it serves, replaced. So deaths meet workers, spares and successors, in whatever they do. What
 * is true of a shard the primary says; what is true of a process, the kernel.
 */
#ifndef MOS_BENCH_KILL_SEATS_H
#define MOS_BENCH_KILL_SEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "test/bench/kill/primary_log.h"

enum seats_mode { MODE_RESPAWN, MODE_STANDBY, MODE_UPGRADE, MODE_MIX, MODES };

extern const char *const seats_mode_names[MODES];

struct seats_options {
	enum seats_mode mode;
	bool by_chance;     /* else only what seats_replace() says happens */
	unsigned count;     /* shards */
	unsigned work_ms;   /* from being served to being killed, at most */
	unsigned attach_ms; /* from the start to a death before it serves, at most */
	unsigned nap_us;    /* of the workers, in callbacks */
	uint64_t seed;
	const char *sink_file, *log_file;
};

struct seats_sum {
	uint64_t kills, serving, others; /* killed: those that served a shard, and all others */
	uint64_t upgrades;               /* planned, finished */
	uint64_t given_back;             /* by workers whose successors were killed meanwhile */
	uint64_t refused; /* successors: their predecessor's death was not known yet, or was */
	double unserved_ms_max, unserved_ms_total;
	uint64_t unserved_count;
};

extern struct seats_sum seats_sum;

void seats_init(const struct seats_options *options);

void seats_start(void);

/* Take what the primary has said. */
void seats_take(const struct primary_said *s);

/* The next moment that somebody is due, or to be looked at. */
uint64_t seats_next_ns(uint64_t now);

/*
 * Start whoever is missing, and let come what is due, if so wanted. NULL, or what is wrong: a wedge,
 * a process that ended by itself.
 */
const char *seats_tend(uint64_t now, bool chance);

/* All shards are served, and nobody is on the way. With spares: all wait. */
bool seats_at_rest(void);

/* The same, whatever the spares do. */
bool seats_all_serve(void);

/* Start no spares while it is so: a start takes CPU time that is to be measured. */
void seats_hold(bool hold);

/*
 * Not by_chance: kill or replace the worker of a shard now. How many ns the kernel has taken to tell
 * that a killed one is gone; 0 for one that is replaced.
 */
uint64_t seats_replace(unsigned shard);

/* SIGTERM to all: NULL when all end with status 0, or what is wrong. */
const char *seats_stop(void);

#endif
