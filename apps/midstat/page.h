/*
 * What midstat prints: a page with the connections of all cores and one line of totals, once per
 * interval.
 *
 *   stack thread 0 --rows, totals--> part[0] \
 *   stack thread 1 --rows, totals--> part[1]  > under a lock --> printer thread --> stdout
 *
 * A stack thread never writes to stdout: a terminal that is stopped, or a reader that does not
 * read, would stop the traffic. It only leaves its part of the page.
 *
 * On a terminal the page is redrawn in place; otherwise, and when the terminal is shared with
 * other workers, pages follow each other.
 */
#ifndef MIDSTAT_PAGE_H
#define MIDSTAT_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "apps/midstat/conn_table.h"

#define PAGE_PARTS_MAX 128

struct page_totals {
	uint64_t seen; /* connections since the start of this process */
	uint64_t packets;
	uint64_t bytes;
};

/*
 * Prepare for part_count cores. rows_max: most connections on a page, 0 = what fits the terminal.
 * shard: of this worker, or NULL when it was not told one. Application thread, first of all.
 */
void page_init(int part_count, int rows_max, const char *shard);

/*
 * Start the printer; if it cannot print it calls on_failure and ends. Application thread.
 * Returns 0 or -errno.
 */
int page_start(void (*on_failure)(void));

/* Leave the part of one core. Stack thread of that core, or any thread once that one has ended. */
void page_publish(int part, const struct conn_table *t, const struct page_totals *totals,
                  uint64_t now_us);

/* Let the printer end; it prints nothing that is published from now on. Application thread. */
void page_stop(void);

/*
 * Print what was published last. Application thread, after page_stop(). Returns whether this and
 * all earlier pages could be printed.
 */
bool page_print_last(void);

#endif
