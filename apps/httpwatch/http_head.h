/*
 * Heads of HTTP/1.x requests and responses: the start line and the few fields that matter here.
 *
 *   METHOD SP target SP HTTP/1.x CRLF          HTTP/1.x SP status [SP reason] CRLF
 *   (name ":" value CRLF)*                     (name ":" value CRLF)*
 *   CRLF                                       CRLF
 *
 * Fed with bytes, wherever they come from; they may be anything, and end anywhere. One pass over
 * at most HTTP_HEAD_MAX of them, no memory, no state: what is found points into the bytes. RFC
 * 9112, lenient where servers are: a bare LF ends a line, a line that is no field is skipped.
 */
#ifndef HTTPWATCH_HTTP_HEAD_H
#define HTTPWATCH_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX   16384 /* bytes of a head that are looked at */
#define HTTP_METHOD_MAX 32    /* bytes */

enum http_kind { HTTP_REQUEST, HTTP_RESPONSE };

enum http_result {
	HTTP_NONE, /* no such head begins here */
	HTTP_MORE, /* one may begin here: the start line is not whole */
	HTTP_CUT,  /* one begins here: the fields are not whole, or too long */
	HTTP_WHOLE
};

/* Bytes of the head; not terminated by NUL, may hold any byte but CR and LF. */
struct http_span {
	const char *at;
	size_t len;
};

/* By Content-Length and Transfer-Encoding alone; what else decides is in http_conn.h. */
enum http_framing {
	HTTP_NO_LENGTH,  /* neither field was seen */
	HTTP_LENGTH,     /* body_bytes */
	HTTP_UNKNOWN_LEN /* chunked, or fields that contradict each other */
};

struct http_head {
	struct http_span method; /* of a request */
	struct http_span target; /* of a request */
	struct http_span host;   /* the first Host field; at = NULL when there is none */
	unsigned status;         /* of a response: 100 to 999 */
	enum http_framing framing;
	uint64_t body_bytes;
	size_t len; /* of the head with its empty line, when WHOLE */
};

/*
 * Read the head of that kind at bytes. *head is filled when CUT or WHOLE; when CUT it tells of the
 * fields that are whole.
 */
enum http_result http_head_parse(struct http_head *head, enum http_kind kind, const void *bytes,
                                 size_t len);

/* Whether a start line of that kind is whole: what CUT and WHOLE have in common, for less work. */
bool http_head_starts(enum http_kind kind, const void *bytes, size_t len);

#endif
