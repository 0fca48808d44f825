/*
 * The connections of a run, each with what is true of it and with what the workers have said of it.
 *
 * A connection has a number, from which follow its ports and addresses, so none comes twice, and
 * the content of both its streams. Sides as MOS_SIDE_CLI and MOS_SIDE_SVR.
 *
 * Letters: E the thread of the ends writes it, before `closed`; K the killer.
 */
#ifndef MOS_BENCH_KILL_CONNS_H
#define MOS_BENCH_KILL_CONNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CONNS_MAX (1u << 20)

struct conn {
	uint64_t sent[2];         /* E bytes, by sender */
	uint32_t data_packets[2]; /* E by sender, those sent again included */
	atomic_bool closed;       /* E in order, by both ends: all above is final */
	atomic_bool given_up;     /* K passed unmonitored from now on: the ends may close it */
	bool ended;               /* K its `end` was said */
	uint8_t strikes;          /* K deaths on it */
	uint64_t from[2];         /* K begin of the last piece, by receiver */
	uint64_t next[2];         /* K and its end */
	uint64_t holes[2];        /* K bytes */
	uint64_t told[2];         /* K data packets, by sender */
};

extern struct conn *conns; /* CONNS_MAX */

/* ---- names ---- */

struct conn_name {
	uint16_t client_port;
	uint16_t server_low; /* last two bytes of the server's address */
};

struct conn_name conn_name(uint32_t number);

/* CONNS_MAX when there is no such connection. */
uint32_t conn_number(unsigned client_port, unsigned server_low);

/* Which stream carries what `receiver` of the connection gets. */
uint64_t conn_stream(uint32_t number, int receiver);

/* ---- what the workers say: the killer's thread ---- */

struct conns_sum {
	uint64_t pieces, bytes;     /* whose hash is right */
	uint64_t again;             /* lines that were said twice */
	uint64_t ended;             /* connections that were told to the end */
	uint64_t suspects;          /* of these, some worker died on */
	uint64_t holes, hole_bytes; /* in suspects */
	uint64_t packets_short;     /* data packets of others that no worker has counted */
	uint64_t packets_suspect;   /* difference in suspects */
	uint64_t adopted;           /* times that a flow was taken over */
};

extern struct conns_sum conns_sum;

bool conns_init(uint64_t seed);

/* Take a line. NULL, or what is wrong with it. *ended: the connection that has ended with it. */
const char *conns_take_line(const char *line, uint32_t *ended);

/*
 * Compare a connection that has ended and was closed. NULL, or what is wrong with it. Its lines may
 * come before the ends have closed it.
 */
const char *conns_compare(uint32_t number);

#endif
