/*
 * The HTTP of one connection: which response answers which request.
 *
 *   client's bytes --> request heads --> waiting, oldest first --+
 *                                                                +--> transactions
 *   server's bytes --> response heads --------------------------+
 *
 * Fed with pieces of each direction's bytes and where they lie in it: a TCP sequence number does,
 * and so would the low half of a stream offset. Pieces may come again, or be missing. Where a body
 * has a Content-Length no head is looked for inside it, so that a document about HTTP is not taken
 * for HTTP; otherwise a piece that begins like a head is taken for one.
 *
 * Memory from malloc: what the requests that wait take is bounded for each connection, and by the
 * budget for all connections that share it. One thread at a time.
 */
#ifndef HTTPWATCH_HTTP_CONN_H
#define HTTPWATCH_HTTP_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "apps/httpwatch/http_head.h"

#define HTTP_WAITING_MAX 64   /* requests without response, of one connection */
#define HTTP_HOST_MAX    255  /* bytes kept */
#define HTTP_TARGET_MAX  2048 /* bytes kept */

/* Which side sent the bytes. */
enum { HTTP_FROM_CLIENT = 0, HTTP_FROM_SERVER = 1 };

struct http_request {
	STAILQ_ENTRY(http_request) next;
	uint64_t time_ns;
	struct http_span method, target, host; /* point into text */
	bool truncated;                        /* target or host was longer */
	size_t bytes;                          /* of this */
	char text[];
};

struct http_conn {
	struct {
		bool begun;        /* a head was seen */
		uint32_t head_at;  /* no head begins before */
		uint32_t body_len; /* how much of what lies before is a body */
	} dir[2];
	STAILQ_HEAD(, http_request) waiting; /* oldest first */
	unsigned waiting_count;
	size_t *budget; /* bytes that requests may still take */
	bool over;      /* what follows is not HTTP, or cannot be followed: feed no more */
	bool lost;      /* it is over because there were too many requests */
};

/*
 * A response, with its request or NULL when that was not seen; status 0: the connection ended
 * before the response. The request is freed afterwards.
 */
typedef void (*http_emit_t)(void *arg, const struct http_request *request, unsigned status,
                            uint64_t time_ns);

void http_conn_init(struct http_conn *c, size_t *budget);

/* Free what waits; emit, unless NULL, is told of it first. */
void http_conn_fini(struct http_conn *c, uint64_t time_ns, http_emit_t emit, void *arg);

/* Where in a piece at pos a head may begin; len when nowhere. */
size_t http_conn_head_at(const struct http_conn *c, int from, uint32_t pos, size_t len);

/*
 * len bytes at pos were sent before, and whoever knew what was in them is gone: no head begins
 * there. For a connection that was taken over; does nothing once a head of that side was seen.
 */
void http_conn_skip(struct http_conn *c, int from, uint32_t pos, size_t len);

/* Take len bytes that one side sent at pos. emit may be called any number of times. */
void http_conn_feed(struct http_conn *c, int from, uint32_t pos, const void *bytes, size_t len,
                    uint64_t time_ns, http_emit_t emit, void *arg);

#endif
