/*
 * What httpwatch does with connections: the callbacks that read their streams, and what is known of
 * each of them.
 *
 *   MOS_ON_CONN_NEW_DATA --mtcp_peekv()-> bytes, or a gap --> http_conn.h --emit-> a line
 *   MOS_ON_ERROR ------'
 *
 * The bytes are read where they lie, in the packet, when they come; what is in order is never
 * copied. State is made for a connection with its first byte, and kept as its uctx.
 */
#ifndef HTTPWATCH_WATCH_H
#define HTTPWATCH_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "mos_api.h"

/*
 * Have a context print the transactions of the connections whose first SYN the expression accepts.
 * Application thread. False, with a line on stderr, when that fails.
 */
bool watch_start(mctx_t mctx, const char *expression);

/* How many transactions went to the output, and how many connections were given up. Any thread. */
void watch_sum(uint64_t *transactions, uint64_t *given_up);

#endif
