/*
 * The HTTP of one connection: which response answers which request.
 *
 *   client's bytes --> requests --> waiting, oldest first --+
 *                                                           +--> transactions
 *   server's bytes --> responses --------------------------+
 *
 * Fed with the bytes of each direction in their order, and with gaps: bytes that were sent but not
 * seen. Inside a body a gap is counted. Elsewhere the direction is lost, and so are both when the
 * connection is joined in its middle. Then the two sides' taking turns tells where messages begin:
 * who speaks after the other one begins a message, if it is a start line that comes. So
 *
 *   a client that is lost    begins a request at its turn, once all responses known of are whole;
 *   a server that is lost    begins a response at its turn, and answers the latest request;
 *   who joins                sees a request in the first bytes of a client already, but takes that
 *                            back when the client goes on before the server has answered.
 *
 * What rests on this is marked. A client that does not wait for responses takes no turns: when one
 * of its directions is lost, the connection is given up. It is also given up when what comes is not
 * HTTP/1, or would need too much memory.
 *
 * Memory from malloc, bounded for each connection: HTTP_WAITING_MAX requests and the two lines of
 * http_stream.h; and by the budget for all connections that share it. One thread at a time.
 */
#ifndef COMMON_HTTP_CONN_H
#define COMMON_HTTP_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "apps/common/http_stream.h"

#define HTTP_WAITING_MAX 64   /* requests without response, of one connection */
#define HTTP_HOST_MAX    255  /* bytes kept */
#define HTTP_TARGET_MAX  2048 /* bytes kept */

/* Which side sent the bytes. */
enum { HTTP_FROM_CLIENT = 0, HTTP_FROM_SERVER = 1 };

struct http_request {
	TAILQ_ENTRY(http_request) next;
	uint64_t time_ns;
	struct http_span method, target, host; /* point into text */
	uint64_t body_bytes, body_missed;      /* so far */
	bool body_unknown;                     /* it was lost where the body ends */
	bool truncated;                        /* target or host was longer */
	bool resumed;                          /* rests on turns */
	size_t bytes;                          /* of this */
	char text[];
};

/* What is told of a request and its response; good during the call. */
struct http_transaction {
	const struct http_request *request; /* NULL = not seen */
	uint64_t time_ns;                   /* when the response began; without: now */
	unsigned status;                    /* 0 = no response was seen */
	uint64_t body_bytes, body_missed;   /* of the response, so far */
	bool body_unknown;                  /* whether there is one depends on the request */
	bool incomplete;                    /* the end of the response was not seen */
	bool resumed;                       /* rests on turns */
	const char *given_up; /* nothing further will be told of the connection: why, or NULL */
};

typedef void (*http_emit_t)(void *arg, const struct http_transaction *t);

/* A response that has begun. */
struct http_response {
	unsigned status; /* 0 = none has */
	uint64_t time_ns;
	bool resumed;
};

struct http_conn {
	struct http_stream stream[2];
	TAILQ_HEAD(http_requests, http_request) waiting; /* oldest first */
	unsigned waiting_count;
	struct http_request *reading;  /* what the client sends now is of this one, or NULL */
	struct http_response response; /* what the server sends now is of this one */
	uint64_t now_ns;
	int turn;              /* who sent last */
	bool resuming[2];      /* a start line is tried where it was not known that one is */
	bool at_turn;          /* of the client: no request began in it */
	bool pipelined;        /* the client does not wait for responses */
	unsigned turns_failed; /* in a row: resumed in vain */
	const char *given_up;  /* why, or NULL */
	bool over;             /* what follows is not HTTP, or was given up: feed no more */
	size_t *budget;        /* bytes that may still be taken */
	http_emit_t emit;
	void *arg;
};

/* joined: it is not seen from its first byte on. emit is called by any of the calls below. */
void http_conn_init(struct http_conn *c, bool joined, size_t *budget, http_emit_t emit, void *arg);

/* The connection ends: emit what there is, and free it. */
void http_conn_fini(struct http_conn *c, uint64_t time_ns);

/* Take the next len bytes that one side sent. */
void http_conn_feed(struct http_conn *c, int from, const void *bytes, size_t len, uint64_t time_ns);

/* The next n bytes that one side sent were not seen. */
void http_conn_gap(struct http_conn *c, int from, uint64_t n, uint64_t time_ns);

#endif
