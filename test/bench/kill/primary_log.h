/*
 * What the primary says, line by line, as soon as it says it: who serves a shard, who died with
 * what in hand, the counters.
 */
#ifndef MOS_BENCH_KILL_PRIMARY_LOG_H
#define MOS_BENCH_KILL_PRIMARY_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum said {
	SAID_NOTHING,
	SAID_OTHER,
	SAID_SERVED,
	SAID_UNSERVED_FOR,
	SAID_HANDED_OVER,
	SAID_GAVE_BACK,
	SAID_DIED
};

struct primary_said {
	enum said what;
	unsigned shard;
	int pid;   /* SERVED, DIED; HANDED_OVER, GAVE_BACK: by whom */
	double ms; /* UNSERVED_FOR */
};

/* What the deaths were like, all of them. */
enum { STAGES_MAX = 16 };
struct deaths {
	uint64_t count, in_hand, rescued, waiting, suspects, recovered;
	uint64_t unnamed; /* suspects without a flow, or whose flow is no more */
	uint64_t given_up;
	uint64_t ledger_bad;
	char stage_name[STAGES_MAX][16];
	uint64_t stage[STAGES_MAX];
};

extern struct deaths deaths;

/* Take the next line; wait for it up to timeout_ms. Strikes go to the connections. */
struct primary_said primary_log_next(int timeout_ms);

/* A counter of the last report, 0 if it was not in it. */
uint64_t primary_counter(const char *name);

/* mbufs that the last audit has missed. */
uint64_t primary_audit_missed(void);

/* Print "name value" of all counters that are not 0, each with this in front. */
void primary_print_counters(FILE *out, const char *format);

#endif
