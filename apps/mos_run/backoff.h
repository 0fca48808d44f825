/*
 * What happens after a worker has died: start it again, when, or never. Only the decision: no
 * clock, no signal and no process is touched here.
 *
 *   said "no primary" ------------------------------------> RESTART  after 500 ms, for ever
 *   ended with status 0 ----------------------------------> END      it ended on purpose
 *   failed (other status) within 1 s, 5 times in a row ---> GIVE_UP  it cannot start
 *   any other death --------------------------------------> RESTART  for a token
 *
 * There are 10 tokens, and a new one every 500 ms: so ten deaths are followed by a start at once,
 * and more of them by a wait of at most 500 ms. That is less than the time for which packets are
 * held for a successor unless mos.conf says otherwise (fail_policy = hold 1000 open). A death by a
 * signal never makes us give up: a crash may depend on the traffic, and traffic changes.
 *
 * Times are in nanoseconds of any monotonic clock; the caller owns all memory.
 */
#ifndef MOS_RUN_BACKOFF_H
#define MOS_RUN_BACKOFF_H

#include <stdint.h>

#define BACKOFF_NS_PER_MS    1000000ull
#define BACKOFF_QUICK_NS     (1000 * BACKOFF_NS_PER_MS) /* a shorter life is a quick death */
#define BACKOFF_TOKEN_NS     (500 * BACKOFF_NS_PER_MS)  /* from one new token to the next */
#define BACKOFF_TOKENS       10
#define BACKOFF_FAILURES_MAX 5 /* quick failures in a row */

/* How a life ended. */
enum backoff_death {
	BACKOFF_ENDED,      /* exit status 0 */
	BACKOFF_FAILED,     /* any other exit status, or it could not be started */
	BACKOFF_KILLED,     /* by a signal */
	BACKOFF_NO_PRIMARY, /* it has said that there is none, however it ended then */
};

enum backoff_verdict {
	BACKOFF_RESTART, /* after *delay_ns */
	BACKOFF_END,
	BACKOFF_GIVE_UP,
};

/* What is remembered of one worker between its lives. All zero is a fresh one. */
struct backoff {
	uint64_t full_ns;  /* when all tokens will be there again */
	unsigned failures; /* quick failures in a row */
};

/*
 * Take note of a death at now_ns after a life of lived_ns and return what to do; *delay_ns is set
 * in any case, to 0 unless the verdict is BACKOFF_RESTART.
 */
enum backoff_verdict backoff_on_death(struct backoff *b, enum backoff_death death, uint64_t now_ns,
                                      uint64_t lived_ns, uint64_t *delay_ns);

#endif
