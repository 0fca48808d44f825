/*
 * What every run of bench_kill is made of: its options, the system, a step of its loop, and the end
 * with all logs as soon as something is wrong.
 */
#ifndef MOS_BENCH_KILL_RUN_H
#define MOS_BENCH_KILL_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "test/bench/kill/seats.h"

struct run_options {
	uint64_t kills, seed;
	enum seats_mode mode;
	bool histogram;
	unsigned seconds_max;
	const char *json, *logs;
	unsigned workers, long_count, short_count, pause_ms, work_ms, nap_us, probe_pps;
};

extern struct run_options opt;

/* Configuration, primary, workers. by_chance: see seats.h. */
void run_begin(bool by_chance);

/* Since run_clock(). */
void run_clock(void);
double run_seconds(void);

/* Hear what the primary says, kill who is due if so wanted, look at all that must be right. */
void run_step(bool by_chance);

/* The longest that a step has taken so far: then this program itself stood still. */
double run_step_ms_max(void);

/* Take steps, without chance, until it is done. */
void run_wait_until(bool (*done)(void), int timeout_ms, const char *otherwise);

/* Counters and audit of the primary, as of now. */
void run_report(void);

/* Workers and primary end in order; what they printed is saved. */
void run_end(void);

/* End the run, with all logs: NULL is good; what is wrong is not. */
void run_must_be(const char *wrong);
void run_must(bool condition, const char *otherwise);

/* The tests of the suite: a function each, for one file each. */
void run_kills(void);
void run_measurement(void);

#endif
