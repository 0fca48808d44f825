/*
 * What is changed in the two directions of an HTTP/1.x connection, byte by byte as it comes, so
 * that it does not matter in which pieces.
 *
 *   request    GET /x HTTP/1.1           GET /x HTTP/1.0                 the answer has no chunks
 *              Accept-Encoding: gzip     Accept-Encoding:                and is not compressed,
 *              Connection: keep-alive    Connection:                     ends with the connection,
 *              Range: bytes=5-           Range:                          and is whole
 *                                        X-Forwarded-For: 10.0.0.1       if that is wanted
 *   response   Content-Length: 12        Content-LengtX: 12              it is another one now
 *              a word                    a phrase                        word.h
 *
 *   client   METHOD -> TARGET -> VERSION -> MINOR ----------> LINE -> FIELD* -> DONE
 *   server                       VERSION -> MINOR -> STATUS -> LINE -> FIELD* -> BODY | PASS
 *              ^-------------- status 1xx -----------------------------'
 *   what is no HTTP/1.x: PASS
 *
 * The connection carries one request. Left alone are a request that is no HTTP/1.x, and one with
 * CONNECT; a response to none of ours; a body with a content coding or a transfer coding all the
 * same, and what follows a status 101.
 *
 * Pure. No memory but the caller's. One thread at a time.
 */
#ifndef REWRITE_HTTP_EDIT_H
#define REWRITE_HTTP_EDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "apps/rewrite/edits.h"
#include "apps/rewrite/word.h"

enum http_phase {
	HTTP_NOTHING, /* as in memory that is all zero */
	HTTP_METHOD,
	HTTP_TARGET,
	HTTP_VERSION, /* "HTTP/1." */
	HTTP_MINOR,
	HTTP_STATUS, /* " 200" */
	HTTP_LINE,   /* the rest of the start line */
	HTTP_FIELD,  /* a line of the head begins */
	HTTP_NAME,
	HTTP_VALUE,  /* of no interest */
	HTTP_BLANK,  /* of a field that must not say anything */
	HTTP_CODING, /* of a field that says how the body is coded */
	HTTP_LAST,   /* behind the CR that ends the head */
	HTTP_BODY,
	HTTP_DONE, /* the head of our request is over: what comes passes as it is */
	HTTP_PASS, /* none of our business: what comes passes as it is */
};

/* Where a direction stands. Kept in memory that outlives the process: no pointers. */
struct http_state {
	uint8_t phase;   /* enum http_phase */
	uint8_t at;      /* bytes of a word or a name so far */
	uint8_t names;   /* bit per name that it may still be; METHOD: it may be CONNECT */
	uint8_t value;   /* phase of the last value, which may go on in the next line */
	uint16_t status; /* of the response */
	uint16_t held;   /* BODY: see word_edit() */
	uint8_t coded;   /* the body is */
};

/* What is to be done with all connections, and with this one. */
struct http_plan {
	const struct word *word;
	const char *add; /* line that requests get, with its CRLF */
	size_t add_len;
};

/* A connection begins. */
void http_begin_request(struct http_state *s);
void http_begin_response(struct http_state *s);

/* Nothing of what comes is going to be edited. */
static inline bool http_is_over(const struct http_state *s)
{
	return s->phase >= HTTP_DONE;
}

/*
 * Edit the payload of *e from `from` on. last: nothing comes behind this piece. False when the
 * piece cannot be edited as it must be: then neither *s nor *e is of use.
 */
bool http_edit_request(struct http_state *s, const struct http_plan *plan, struct edits *e,
                       size_t from);
bool http_edit_response(struct http_state *s, const struct http_plan *plan, struct edits *e,
                        size_t from, bool last, struct word_count *count);

#endif
