/*
 * The rules in force with their counts, and how a new set takes the place of the old one.
 *
 *   control thread                               stack threads
 *
 *   parse file ---> table (private)
 *   publish ------> current = table  <---------- rules_current(): good until the callback returns
 *                   old table: retired           rules_pass(): "I hold no table now", 10 a second
 *   collect <------ all have passed since
 *   print last counts, free
 *
 * A table is whole before anyone sees it and never changes; a stack thread reads one pointer and
 * takes no lock. Who has passed after a table was replaced cannot hold it any more.
 *
 * Counts belong to a table and begin at 0 with it. Each stack thread has a row of its own in each
 * table, on cache lines of its own; only it writes there, any thread may read.
 *
 * Memory from malloc. Reading packets and printing are not done here.
 */
#ifndef SIMPLE_FIREWALL_RULE_TABLE_H
#define SIMPLE_FIREWALL_RULE_TABLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "apps/simple_firewall/rule.h"

#define RULES_CORES_MAX 128
#define RULES_MAX       65536
#define RULES_FILE_MAX  (16u << 20) /* bytes */
#define RULES_ERROR_LEN (4096 + RULE_ERROR_LEN)

struct rule_count {
	_Atomic uint64_t packets;
	_Atomic uint64_t bytes; /* of IP packets */
};

/* What was counted, by what became of it. */
struct rule_tally {
	uint64_t dropped;
	uint64_t dropped_bytes;
	uint64_t passed; /* by a rule, or because none matched */
	uint64_t passed_bytes;
};

struct rule_table {
	char *text;        /* of the file; the rules point into it */
	struct rule *rule; /* in order of the file; the first that matches decides */
	unsigned rule_count;
	unsigned core_count;
	struct rule_count *count[RULES_CORES_MAX]; /* [core][rule; rule_count = none matched] */
	time_t loaded;

	uint64_t retired_in;     /* round that replaced it */
	struct rule_table *next; /* retired after it */
};

/* All fields are the control thread's unless atomic. Zeroed memory and a publish make it ready. */
struct rules {
	_Atomic(struct rule_table *) current;
	_Atomic uint64_t round; /* how often current was replaced */
	struct {
		_Alignas(64) _Atomic uint64_t passed; /* round of the last rules_pass() */
	} core[RULES_CORES_MAX];
	unsigned core_count;
	struct rule_table *retired; /* oldest first */
};

/* ---- Tables: control thread ---- */

/*
 * Make a table of the rules in text, len bytes, which are copied; name is for messages. The caller
 * owns the table. Returns NULL and why in err, one line that names file and line.
 */
struct rule_table *rule_table_parse(const char *name, const char *text, size_t len,
                                    unsigned core_count, char err[static RULES_ERROR_LEN]);

/* The same of a file, which must be a regular one: others cannot be read again on a reload. */
struct rule_table *rule_table_load(const char *file, unsigned core_count,
                                   char err[static RULES_ERROR_LEN]);

void rule_table_free(struct rule_table *t);

/* Sum of all cores for a rule, or for rule_count. */
void rule_table_sum(const struct rule_table *t, unsigned rule, uint64_t *packets, uint64_t *bytes);

/* Add all counts of *t to *tally. */
void rule_table_tally(const struct rule_table *t, struct rule_tally *tally);

/* ---- Tables: stack thread ---- */

/* Returns the index of the first rule that matches, rule_count when none does: pass. */
unsigned rule_table_match(const struct rule_table *t, const struct rule_key *key);

/* Count a packet of core's stack thread. */
void rule_table_count(struct rule_table *t, unsigned core, unsigned rule, uint64_t bytes);

/* ---- Replacement: control thread ---- */

/* Put t, which belongs to *s from now on, in force. */
void rules_publish(struct rules *s, struct rule_table *t);

/* Returns a replaced table that nobody holds any more, which is the caller's now, or NULL. */
struct rule_table *rules_collect(struct rules *s);

/* The stack thread of this core has ended, or never ran: it holds nothing. */
void rules_core_ended(struct rules *s, unsigned core);

/* ---- Replacement: stack thread ---- */

/* The table in force, to be used until the callback at hand returns. */
struct rule_table *rules_current(struct rules *s);

/* The stack thread of this core holds no table at this moment. */
void rules_pass(struct rules *s, unsigned core);

#endif
