/*
 * What bytecount prints, in lines of JSON. A connection that has ended:
 *
 *   {"start":1700000000.123456,"end":1700000001.623456,"ms":1500.000,
 *    "client":"10.0.0.1:40000","server":"10.0.0.2:80","reason":"fin",
 *    "to_server":{"packets":6,"ip_bytes":340,"payload":100,"unique":90,"resent":10,"missed":0},
 *    "to_client":{...}}                                                        (all in one line)
 *
 * start and end are the times of its first and last packet; reason is why it ended: "fin" (both
 * sides have closed it), "rst", "timeout", or "open": it goes on, but this process ends. payload =
 * unique + resent: bytes that came for the first time, and again. missed: bytes that their receiver
 * has acknowledged but that never came by. "joined":true is added when it was there before this
 * process, which knows nothing of what was before: neither its start nor what a predecessor has
 * counted (kept.h).
 *
 * The sum of all, of one process:
 *
 *   {"time":1700000002.000000,"pid":4711,"connections":3,"open":1,"to_server":{...},
 *    "to_client":{...}}
 *
 * where all is what this process has counted itself, whoever began; and missed that of connections
 * that have ended. Pure; any thread.
 */
#ifndef BYTECOUNT_REPORT_H
#define BYTECOUNT_REPORT_H

#include <stddef.h>

#include "apps/bytecount/flow_count.h"
#include "apps/common/ends.h"

#define REPORT_LINE_LEN 1024

struct totals {
	uint64_t connections; /* seen, of which so many are */
	uint64_t open;
	struct volume volume[2]; /* by direction */
};

/* Write a line with its newline, and a NUL. Times are since 1970. Returns its length. */
size_t report_flow(char line[static REPORT_LINE_LEN], const struct ends *ends,
                   const struct flow_count *f, const char *reason);
size_t report_totals(char line[static REPORT_LINE_LEN], const struct totals *t, int pid,
                     uint64_t time_ns);

#endif
