/*
 * What happens after a worker has died: start it again, when, or never. Only the decision: no
 * clock, no signal and no process is touched here.
 *
 *   ended with status 0 --------------------------------> END      it ended on purpose
 *   failed (other status) within 1 s, 5 times in a row -> GIVE_UP  it cannot start
 *   first death, after a life of 1 s or more -----------> RESTART  at once
 *   any other death ------------------------------------> RESTART  after 50, 100, ... 5000 ms
 *
 * A life of 10 s or more forgets the deaths before it. A death by a signal never makes us give
 * up: a crash may depend on the traffic, and traffic changes.
 *
 * Times are in nanoseconds of any monotonic clock; the caller owns all memory.
 */
#ifndef MOS_RUN_BACKOFF_H
#define MOS_RUN_BACKOFF_H

#include <stdint.h>

#define BACKOFF_NS_PER_MS    1000000ull
#define BACKOFF_QUICK_NS     (1000 * BACKOFF_NS_PER_MS)  /* a shorter life is a quick death */
#define BACKOFF_FORGET_NS    (10000 * BACKOFF_NS_PER_MS) /* such a life was a good one */
#define BACKOFF_FIRST_NS     (50 * BACKOFF_NS_PER_MS)
#define BACKOFF_LAST_NS      (5000 * BACKOFF_NS_PER_MS)
#define BACKOFF_FAILURES_MAX 5 /* quick failures in a row */

/* How a life ended. */
enum backoff_death {
	BACKOFF_ENDED,  /* exit status 0 */
	BACKOFF_FAILED, /* any other exit status, or it could not be started */
	BACKOFF_KILLED, /* by a signal */
};

enum backoff_verdict {
	BACKOFF_RESTART, /* after *delay_ns */
	BACKOFF_END,
	BACKOFF_GIVE_UP,
};

/* What is remembered of one worker between its lives. All zero is a fresh one. */
struct backoff {
	uint64_t next_ns;  /* delay after the next death, 0 = not yet backing off */
	unsigned failures; /* quick failures in a row */
};

/*
 * Take note of a death after a life of lived_ns and return what to do; *delay_ns is set in any
 * case, to 0 unless the verdict is BACKOFF_RESTART.
 */
enum backoff_verdict backoff_on_death(struct backoff *b, enum backoff_death death,
                                      uint64_t lived_ns, uint64_t *delay_ns);

#endif
