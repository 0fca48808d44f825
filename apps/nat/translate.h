/*
 * What nat does with packets: the callbacks that translate them, and what is known of each
 * connection.
 *
 *   client 10.0.0.1:40000 ---> | source := outside:port       | ---> server
 *                         <--- | destination := 10.0.0.1:40000 | <---
 *
 *   first SYN, MOS_ON_PKT_IN at MOS_HK_SND    choose a port (port_pool.h), translate
 *   later packets, the same                   translate
 *   MOS_ON_CONN_START without a packet        a connection of the worker before: claim its port
 *   MOS_ON_CONN_END                           give the port back
 *   MOS_ON_ORPHAN; IP fragments (raw socket)  drop what comes from inside or goes to outside
 *
 * The translation of a connection lies in its mtcp_flow_area(), which outlives the worker; all else
 * can be made again from that. A port is chosen such that the server's answers reach this worker
 * (mtcp_flow_shard), so no other can choose the same for that server.
 */
#ifndef NAT_TRANSLATE_H
#define NAT_TRANSLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "mos_api.h"

#define TRANSLATE_INSIDE_MAX 4000 /* characters */

struct translate_options {
	const char *inside;     /* expression: what comes from inside; TRANSLATE_INSIDE_MAX */
	struct in_addr outside; /* its source from then on */
	uint16_t low, high;     /* ports of outside that may be used, both included */
	int interval_s;         /* between two lines with the totals, 0 = none */
};

/*
 * Have a context translate; *o is kept. Application thread. False, with a line on stderr, when that
 * fails.
 */
bool translate_start(mctx_t mctx, const struct translate_options *o);

/* Print the totals. Application thread, once all contexts have ended. */
void translate_finish(void);

#endif
