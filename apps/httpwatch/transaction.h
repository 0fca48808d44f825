/*
 * One transaction as a line of JSON:
 *
 *   {"time":1700000000.123456,"client":"10.0.0.1:40000","server":"10.0.0.2:80","method":"GET",
 *    "host":"example.org","path":"/index.html","status":200,"bytes":1256,"request_bytes":0,
 *    "ms":1.250}                                                               (all in one line)
 *
 * time is that of the request; ms from there to the begin of its response. bytes and request_bytes
 * are those of the bodies, as transferred but without what chunks add. null stands for what is not
 * known: method, host, path, request_bytes and ms without the request; status, bytes and ms without
 * a response; host when the head has none; bytes when the request was not seen that tells whether
 * there is a body. Added where it is so:
 *
 *   "truncated":true   host or path was longer than what is kept
 *   "missed":N         N of the bytes were counted, not seen: the monitor missed packets
 *   "incomplete":true  the response ended, or was lost, before its end
 *   "resumed":true     packets were missed, or the connection was joined in its middle; that a
 *                      message begins here was concluded from the two sides' taking turns
 *   "given_up":"why"   nothing further is told of this connection
 *
 * Bytes that are not printable ASCII appear as \u00XX, one for each byte.
 *
 * Pure; any thread.
 */
#ifndef HTTPWATCH_TRANSACTION_H
#define HTTPWATCH_TRANSACTION_H

#include <stddef.h>

#include "apps/common/ends.h"
#include "apps/common/http_conn.h"

/* Longest line: each byte of the request as six characters, and what is around them. */
#define TRANSACTION_LINE_LEN \
	(6 * (HTTP_METHOD_MAX + HTTP_HOST_MAX + HTTP_TARGET_MAX) + 2 * END_LEN + 512)

/* Write the line with its newline, and a NUL. Times are since 1970. Returns its length. */
size_t transaction_write(char line[static TRANSACTION_LINE_LEN], const struct ends *ends,
                         const struct http_transaction *t);

#endif
