/*
 * The lines of HTTP/1.x heads: what a start line, a field and the size of a chunk say.
 *
 *   METHOD SP target SP HTTP/1.x               HTTP/1.x SP status [SP reason]
 *   name ":" value                             size-in-hex [";" extension]
 *
 * RFC 9112, lenient where servers are: a line that is no field is skipped. Lines may hold any byte
 * but LF, and come without their line end. No memory, no state: what is found points into the line.
 */
#ifndef COMMON_HTTP_HEAD_H
#define COMMON_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_METHOD_MAX 32 /* bytes */

enum http_kind { HTTP_REQUEST, HTTP_RESPONSE };

/* Not terminated by NUL. */
struct http_span {
	const char *at;
	size_t len;
};

struct http_start {
	struct http_span method; /* of a request */
	struct http_span target; /* of a request */
	unsigned status;         /* of a response: 100 to 999 */
};

/* How a head says where its body ends: RFC 9112 section 6.3. */
enum http_framing {
	HTTP_NO_LENGTH, /* it does not */
	HTTP_LENGTH,    /* after so many bytes */
	HTTP_CHUNKED,
	HTTP_OTHER_CODING, /* the last transfer coding is not chunked */
	HTTP_BAD_LENGTH,   /* fields that contradict each other, or are no number */
};

/* What matters of the fields of one head; all zero at first. */
struct http_fields {
	struct http_span host; /* the first Host field that was read; at = NULL: none yet */
	enum http_framing framing;
	uint64_t body_bytes; /* with HTTP_LENGTH */
};

/* Read a start line. False when it is none. */
bool http_start_line(struct http_start *start, enum http_kind kind, struct http_span line);

/* Whether a start line of that kind may begin with these bytes; the first few are looked at. */
bool http_may_start(enum http_kind kind, const char *bytes, size_t len);

/* Read one field. host then points into this line: it is the caller's to keep. */
void http_field_line(struct http_fields *fields, struct http_span line);

/* Read the line before a chunk; size 0 is the last chunk. False when it is none. */
bool http_chunk_line(uint64_t *size, struct http_span line);

#endif
