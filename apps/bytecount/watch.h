/*
 * What bytecount does with packets: the callbacks that count them, and what is known of each
 * connection.
 *
 *   MOS_ON_PKT_IN at MOS_HK_SND --offset, payloadlen, seq, ack--> flow_count.h
 *   MOS_ON_CONN_END ------------------------------------------> a line (report.h)
 *   MOS_ON_CONN_RESTORE --what a predecessor has counted------> kept.h
 *
 * Headers only: no callback reads the streams, so the library keeps no byte of them.
 */
#ifndef BYTECOUNT_WATCH_H
#define BYTECOUNT_WATCH_H

#include <stdbool.h>

#include "mos_api.h"

/*
 * Have a context count the connections whose first SYN the expression accepts (NULL: all), and, if
 * it is the first context, print the totals every so many seconds (0: never). Application thread.
 * False, with a line on stderr, when that fails.
 */
bool watch_start(mctx_t mctx, const char *expression, int interval_s);

/*
 * Print the connections that are open, unless a successor goes on with them, and the totals of what
 * this process has counted. Application thread, once all contexts have ended. Returns how many
 * connections were not counted for want of memory.
 */
uint64_t watch_finish(void);

#endif
