/*
 * One direction of a connection, cut into messages.
 *
 *   START --line--> FIELDS --empty line--> HEAD --http_stream_body()--.
 *     ^                                                               v
 *     '------------ HTTP_END --- BODY (so many bytes) | CHUNKS | UNTIL_CLOSE
 *
 *   a gap, except in a body: LOST --http_stream_resume()--> START
 *
 * Fed with the bytes in their order, in pieces that end anywhere, and with gaps: bytes that were
 * sent there but never came by. Of these, those inside a body do no harm. Behind others nobody
 * knows where the next message begins, until somebody says so.
 *
 * Memory from malloc: of a line that spans pieces its beginning is kept, HTTP_LINE_MAX bytes at
 * most, and charged to a budget. Bodies are counted, not kept.
 */
#ifndef COMMON_HTTP_STREAM_H
#define COMMON_HTTP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apps/common/http_head.h"

#define HTTP_LINE_MAX 16384 /* bytes; what a line has beyond is not looked at */

enum http_state {
	HTTP_AT_START,  /* of a message */
	HTTP_IN_FIELDS, /* of a head */
	HTTP_AT_BODY,   /* http_stream_body() is due */
	HTTP_IN_BODY,
	HTTP_AT_CHUNK_SIZE,
	HTTP_IN_CHUNK,
	HTTP_BEHIND_CHUNK,
	HTTP_IN_TRAILER,
	HTTP_UNTIL_CLOSE,
	HTTP_LOST,
};

struct http_stream {
	enum http_kind kind;
	enum http_state state;
	struct http_fields fields; /* host.at is not to be followed */
	uint64_t left;             /* bytes of the body or the chunk to come */
	uint64_t body_bytes;       /* of the latest message, so far, with those missed */
	uint64_t body_missed;      /* of these */
	char *part;                /* line that spans pieces, or NULL */
	size_t part_len, part_room;
	bool part_taken; /* it is whole and was handed out */
	size_t *budget;  /* bytes that lines may still take */
};

enum http_what {
	HTTP_MORE,    /* all bytes are used */
	HTTP_START,   /* a message begins: start */
	HTTP_HOST,    /* its first Host field: host */
	HTTP_HEAD,    /* its head ends; call http_stream_body() */
	HTTP_END,     /* the message ends */
	HTTP_BAD,     /* what comes is no message */
	HTTP_NO_ROOM, /* no memory for a line */
};

/* What is found. Spans are good until the next call for this stream. */
struct http_token {
	enum http_what what;
	struct http_start start;
	struct http_span host;
};

void http_stream_init(struct http_stream *s, enum http_kind kind, size_t *budget);
void http_stream_fini(struct http_stream *s);

/*
 * Take bytes from the beginning of *in, up to the next thing that is found. After HTTP_BAD and
 * HTTP_NO_ROOM the stream is lost. An empty *in is of use: a body of no bytes ends at once.
 */
struct http_token http_stream_next(struct http_stream *s, struct http_span *in);

/*
 * After HTTP_HEAD, say what the body is: HTTP_LENGTH of so many bytes, HTTP_CHUNKED, or
 * HTTP_NO_LENGTH = all that is still to come; anything else: it is not known, the stream is lost.
 */
void http_stream_body(struct http_stream *s, enum http_framing framing, uint64_t bytes);

/*
 * The next n bytes never came. Returns how many of them lie behind the message that ends within:
 * take its HTTP_END, then tell of those.
 */
uint64_t http_stream_gap(struct http_stream *s, uint64_t n);

/* Give up knowing where messages begin. */
void http_stream_lose(struct http_stream *s);

/* A lost stream: a message begins with the next byte. */
void http_stream_resume(struct http_stream *s);

/* Whether nothing has come since the last message. */
bool http_stream_is_idle(const struct http_stream *s);

#endif
