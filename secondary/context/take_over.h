/*
 * How a successor comes to its shard: a context that was prepared without one.
 *
 *   wait until the application has set up -> claim -> "ready" -> wait -> LEASED -> adopt
 *
 * Everything that takes time is done before the claim, while somebody else serves the shard: what
 * is left is to wake up and to adopt. It waits for as long as it takes, and sees within
 * milliseconds that it is to end, or that the primary does.
 *
 * A death anywhere in here: the primary drops the claim, or repairs a shard that nobody touched.
 */
#ifndef MOS_SECONDARY_TAKE_OVER_H
#define MOS_SECONDARY_TAKE_OVER_H

#include "secondary/loop/loop.h"

/*
 * True with the shard in c, adopted. Else *why says why there is none, and nothing is leased.
 * Stack thread.
 */
bool mos_take_over(struct mos_ctx *c, enum mos_loop_end *why);

#endif
