/*
 * What rewrite does with packets: the callback that edits them.
 *
 *   MOS_ON_PKT_IN at MOS_HK_SND
 *     SYN      the MSS gets smaller (mss.h)
 *     payload  how far has the library come? --> the state (track.h) --> edits (http_edit.h)
 *                --> mtcp_setlastpkt() --> the state behind it
 *
 * All that is known of a connection lies in its flow area: the process may die anywhere. What comes
 * too early, or cannot be edited now, is dropped, and its sender sends it again.
 */
#ifndef REWRITE_WATCH_H
#define REWRITE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "mos_api.h"
#include "apps/rewrite/word.h"

/* What all contexts do. */
struct watch_plan {
	struct word word;
	const char *expression; /* which connections, by their first SYN */
	bool forwarded_for;     /* requests get an X-Forwarded-For */
};

/* What all contexts have done. */
struct watch_sum {
	uint64_t replaced;
	uint64_t left;   /* words without room for the replacement */
	uint64_t strays; /* connections that were edited and are not any more */
};

/*
 * Have a context edit. The plan stays the caller's, and stays. Application thread. False, with a
 * line on stderr, when that fails.
 */
bool watch_start(mctx_t mctx, const struct watch_plan *plan);

/* Any thread. */
struct watch_sum watch_sum(void);

#endif
