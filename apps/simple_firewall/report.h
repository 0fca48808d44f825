/*
 * What the firewall prints: pages with the counts of each rule on stdout, messages on stderr.
 *
 * A reader that does not read, or a terminal that is stopped, must not hang the thread that
 * reloads the rules: what cannot be written for a second is left out. When stdout is gone there
 * are no more pages, and the firewall goes on.
 *
 * Control thread; before that thread begins and after it has ended: the application thread.
 */
#ifndef SIMPLE_FIREWALL_REPORT_H
#define SIMPLE_FIREWALL_REPORT_H

#include <stdint.h>

#include "apps/simple_firewall/rule_table.h"

/* shard: of this worker, or NULL when it was not told one. Kept. */
void report_init(const char *shard);

/* Over the whole life of this process. */
struct report_sums {
	struct rule_tally rules; /* of all tables */
	bool with_fragments;     /* fragments are looked for */
	uint64_t fragments;      /* dropped */
	uint64_t failed;         /* should have been dropped and could not be */
};

/* Print a page: what the table is, a line for each rule, and the sums. */
void report_print(const struct rule_table *t, const char *what, const struct report_sums *sums);

/* "simple-firewall: " and a line on stderr. */
void report_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
