/*
 * One transaction as a line of JSON:
 *
 *   {"time":1700000000.123456,"client":"10.0.0.1:40000","server":"10.0.0.2:80","method":"GET",
 *    "host":"example.org","path":"/index.html","status":200,"ms":1.250}        (all in one line)
 *
 * time is that of the request; ms from the request to its response. null stands for what was not
 * seen: method, host, path and ms without the request, status and ms without a response, host when
 * the head has none. "truncated":true is added when host or path was longer than what is kept.
 * Bytes that are not printable ASCII appear as \u00XX, one for each byte.
 *
 * Pure; any thread.
 */
#ifndef HTTPWATCH_TRANSACTION_H
#define HTTPWATCH_TRANSACTION_H

#include <stddef.h>
#include <stdint.h>

#include "apps/common/ends.h"
#include "apps/httpwatch/http_conn.h"

/* Longest line: each byte of the request as six characters, and what is around them. */
#define TRANSACTION_LINE_LEN \
	(6 * (HTTP_METHOD_MAX + HTTP_HOST_MAX + HTTP_TARGET_MAX) + 2 * END_LEN + 256)

/*
 * Write the line with its newline, and a NUL. request, status and time_ns as http_emit_t gets them;
 * time_ns is since 1970. Returns its length.
 */
size_t transaction_write(char line[static TRANSACTION_LINE_LEN], const struct ends *ends,
                         const struct http_request *request, unsigned status, uint64_t time_ns);

#endif
