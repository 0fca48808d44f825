/*
 * The connections midstat knows of, found by their two ends and listed in order of arrival.
 *
 *   bucket[hash] -> conn -> conn ...      (doubles when it holds one connection per bucket)
 *   oldest -> conn -> conn -> ... newest
 *
 * One table serves one context and is touched by its stack thread alone, so there is no lock.
 * Records come from malloc. The hash has a random seed: whoever sends the traffic cannot choose
 * addresses that meet in one bucket.
 */
#ifndef MIDSTAT_CONN_TABLE_H
#define MIDSTAT_CONN_TABLE_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* Both ends of a connection, indexed by MOS_SIDE_CLI and MOS_SIDE_SVR; network byte order. */
struct conn_name {
	in_addr_t addr[2];
	in_port_t port[2];
};

struct conn {
	struct conn_name name;
	int sock;     /* the active socket that tells of it, -1 = none yet */
	int state[2]; /* enum tcpstate of each side */
	uint64_t packets;
	uint64_t bytes;      /* of IP packets */
	uint64_t started_us; /* stack clock */
	TAILQ_ENTRY(conn) by_age;
	struct conn *next; /* in the bucket */
};

struct conn_table {
	struct conn **bucket;
	size_t bucket_count; /* power of two */
	size_t count;
	uint64_t seed;
	TAILQ_HEAD(conn_list, conn) list; /* oldest first */
};

/* Make an empty table. Returns 0 or -ENOMEM. */
int conn_table_init(struct conn_table *t);

/* Free the table with all its records. */
void conn_table_fini(struct conn_table *t);

/* Returns the record of that name or NULL. */
struct conn *conn_table_lookup(const struct conn_table *t, const struct conn_name *name);

/*
 * Add a record of that name, all else zero; it must not be there yet. Returns NULL when out of
 * memory. The table owns the record.
 */
struct conn *conn_table_insert(struct conn_table *t, const struct conn_name *name);

/* Take the record out and free it. */
void conn_table_remove(struct conn_table *t, struct conn *c);

#endif
