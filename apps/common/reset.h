/*
 * Ending a flow at its ends: each gets a RST in the name of the other, and whoever does not end by
 * it is found.
 *
 *   RST to each end, at the number that it is known to expect
 *   --a while, twice as long each time--> to each end a probe, a segment that is too old:
 *        one that lives answers with an ACK; one that does not, with a RST: it is done with
 *   drop all that the ends send; each packet tells what its sender expects: RST at that number
 *
 * So it does not matter whether a RST was lost, or came with a number that was not expected
 * (RFC 5961). Who answers none of RESET_PROBES has gone, or sends no RST to strangers. What cannot
 * be sent, for lack of room, is sent soon after. No memory of its own. Stack thread; active
 * sockets.
 */
#ifndef APPS_COMMON_RESET_H
#define APPS_COMMON_RESET_H

#include "apps/common/expect.h"
#include "mos_ext.h"

#define RESET_PROBES 4

/* Ends, as a set. */
enum { RESET_CLIENT = 1 << MOS_SIDE_CLI, RESET_SERVER = 1 << MOS_SIDE_SVR, RESET_BOTH = 3 };

/* All zero at first. */
struct reset {
	struct expected expected;
	unsigned ends;     /* that may live */
	unsigned due;      /* of these: the latest segment could not be sent yet */
	unsigned probes;   /* sent to each; 0: the latest segment is a RST */
	mos_timer_t timer; /* 0: none */
};

/*
 * Reset ends that expect this. on_timer calls reset_on_timer() with the same arguments, until the
 * reset is stopped.
 */
void reset_begin(struct reset *r, mctx_t mctx, int sock, unsigned ends, const struct expected *e,
                 callback_t on_timer);

/* The same of ends that may be farther on by now: they are made to say what they expect. */
void reset_begin_by_probe(struct reset *r, mctx_t mctx, int sock, unsigned ends,
                          const struct expected *e, callback_t on_timer);

void reset_on_timer(struct reset *r, mctx_t mctx, int sock, callback_t on_timer);

/* An end has sent p, which is dropped. */
void reset_answer(struct reset *r, mctx_t mctx, int sock, int from, const struct pkt_info *p);

/* The flow is forgotten. */
void reset_stop(struct reset *r, mctx_t mctx);

#endif
