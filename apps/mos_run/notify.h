/*
 * What a worker says to mos-run through the descriptor in MOS_NOTIFY_FD, one line per message of a
 * SOCK_SEQPACKET pair (libmos is the speaker; the other one is here):
 *
 *   no primary       there is none to attach to: worth another try later
 *   ready CONTEXT    set up; waits for a shard of a predecessor
 *   serving SHARD    takes the packets of this shard from now on
 *   yielded SHARD    has given it up for a successor, and does not take it back
 *
 * Reading only; what follows from a line is decided in slots.h. A worker is any program: what it
 * says may be nonsense, and is ignored then.
 */
#ifndef MOS_RUN_NOTIFY_H
#define MOS_RUN_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>

#define NOTIFY_NUMBER_MAX 63 /* of contexts and shards */

enum notify_what { NOTIFY_NO_PRIMARY, NOTIFY_READY, NOTIFY_SERVING, NOTIFY_YIELDED };

struct notify {
	enum notify_what what;
	unsigned number; /* READY: context, SERVING and YIELDED: shard */
};

/* False if the message is none of the lines above. */
bool notify_parse(struct notify *n, const char *message, size_t len);

/*
 * The next line from the non-blocking socket; messages that are none are skipped. 0, -EAGAIN when
 * there is nothing more for now, -EPIPE when there will be nothing any more.
 */
int notify_read(int fd, struct notify *n);

#endif
