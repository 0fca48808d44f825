/*
 * The connections midstat knows of, listed in order of arrival.
 *
 *   oldest -> conn -> conn -> ... newest
 *
 * A connection is found by the pointer its socket keeps, not by its two ends: connections in
 * different VLANs may have the same.
 *
 * One table serves one context and is touched by its stack thread alone, so there is no lock.
 * Records come from malloc.
 */
#ifndef MIDSTAT_CONN_TABLE_H
#define MIDSTAT_CONN_TABLE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

/* One end of a connection, as mtcp_getpeername() stores it. */
union conn_end {
	sa_family_t family; /* AF_INET or AF_INET6: which of the two it is */
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct conn {
	union conn_end end[2]; /* indexed by MOS_SIDE_CLI and MOS_SIDE_SVR */
	int state[2];          /* enum tcpstate of each side */
	uint64_t packets;
	uint64_t bytes;         /* of IP packets */
	uint64_t started_us;    /* since 1970 */
	bool restored;          /* it was there before this process */
	struct conn_kept *kept; /* the flow's; NULL: there is no room */
	TAILQ_ENTRY(conn) by_age;
};

/* What outlives the process: the flow area. Each number is right by itself. */
struct conn_kept {
	uint64_t started_us; /* 0: it has not begun */
	uint64_t packets;
	uint64_t bytes;
};

struct conn_table {
	size_t count;
	TAILQ_HEAD(conn_list, conn) list; /* oldest first */
};

void conn_table_init(struct conn_table *t);

/* Free all records. */
void conn_table_fini(struct conn_table *t);

/*
 * Add a record of these two ends, all else zero. Returns NULL when out of memory. The table owns
 * the record.
 */
struct conn *conn_table_insert(struct conn_table *t, const union conn_end end[static 2]);

/* Take the record out and free it. */
void conn_table_remove(struct conn_table *t, struct conn *c);

#endif
