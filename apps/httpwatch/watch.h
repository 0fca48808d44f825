/*
 * What httpwatch does with packets: the events it defines, their callbacks, and what is known of a
 * connection.
 *
 * Two user-defined events below MOS_ON_PKT_IN tell of packets in which a request or a response
 * head begins; their filters look at the start line only. The callbacks feed the bytes to the
 * connection's state (http_conn.h), which is made when there is something to keep, as uctx.
 *
 *   packet -> MOS_ON_PKT_IN -> is_request_head?  -> on_head -> http_conn_feed -> emit -> lines_put
 *                           -> is_response_head? -> on_head
 *          -> MOS_ON_REXMIT -> on_resent -> http_conn_skip
 *
 * What is seen are packets, in the order in which they pass, not yet streams. So a start line that
 * spans packets is not seen; of a head that spans packets the fields of the first one count; and a
 * chunked body with a piece that begins like a head is taken for one. Byte streams will mend this
 * here: packet_bytes() will peek instead.
 */
#ifndef HTTPWATCH_WATCH_H
#define HTTPWATCH_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "mos_api.h"

#define WATCH_CORES_MAX 128

/* Define the events. Application thread, once. False, with a line on stderr, when that fails. */
bool watch_init(void);

/*
 * Have a context print the transactions of the connections whose first SYN the expression accepts.
 * Application thread. False, with a line on stderr, when that fails.
 */
bool watch_start(mctx_t mctx, const char *expression);

/* How many transactions went to the output, and how many connections were given up. Any thread. */
void watch_sum(uint64_t *transactions, uint64_t *given_up);

#endif
