/*
 * What nat prints: the sum of all, of one process, in a line of JSON:
 *
 *   {"time":1700000002.000000,"pid":4711,"connections":3,"adopted":0,"open":1,
 *    "to_server":6,"to_client":5,
 *    "dropped":{"no_port":0,"early":0,"orphans":2,"fragments":0,"failed":0}}    (all in one line)
 *
 * connections: translated from their first SYN on; adopted: those of a worker before this one. open
 * are those of both that have not ended. to_server, to_client: packets translated. Dropped are
 *
 *   no_port    first SYNs: no port was free, or none that was tried leads back to this worker
 *   early      first SYNs: it was not known yet which ports the worker before this one gave out
 *   orphans    TCP of no connection: from the inside, or to the outside address
 *   fragments  TCP in IP fragments, of the same
 *   failed     packets that the library could not change
 *
 * Pure; any thread.
 */
#ifndef NAT_REPORT_H
#define NAT_REPORT_H

#include <stddef.h>
#include <stdint.h>

#define REPORT_LINE_LEN 512

enum drop_reason { DROP_NO_PORT, DROP_EARLY, DROP_ORPHAN, DROP_FRAGMENT, DROP_FAILED, DROP_COUNT };

struct totals {
	uint64_t connections, adopted, ended;
	uint64_t packets[2]; /* by MOS_SIDE_CLI, _SVR: who sent them */
	uint64_t dropped[DROP_COUNT];
};

/* Write a line with its newline, and a NUL. The time is since 1970. Returns its length. */
size_t report_totals(char line[static REPORT_LINE_LEN], const struct totals *t, int pid,
                     uint64_t time_ns);

#endif
