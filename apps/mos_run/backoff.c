#include "apps/mos_run/backoff.h"

#include <stdbool.h>

static uint64_t doubled(uint64_t delay_ns)
{
	return delay_ns * 2 < BACKOFF_LAST_NS ? delay_ns * 2 : BACKOFF_LAST_NS;
}

/* The delay for this death; the one for the next death is prepared. */
static uint64_t next_delay(struct backoff *b, bool quick)
{
	uint64_t delay_ns = b->next_ns;

	if (delay_ns == 0 && !quick) {
		b->next_ns = BACKOFF_FIRST_NS;
		return 0;
	}
	if (delay_ns == 0)
		delay_ns = BACKOFF_FIRST_NS;
	b->next_ns = doubled(delay_ns);
	return delay_ns;
}

enum backoff_verdict backoff_on_death(struct backoff *b, enum backoff_death death,
                                      uint64_t lived_ns, uint64_t *delay_ns)
{
	bool quick = lived_ns < BACKOFF_QUICK_NS;

	*delay_ns = 0;
	if (death == BACKOFF_ENDED)
		return BACKOFF_END;
	if (lived_ns >= BACKOFF_FORGET_NS)
		*b = (struct backoff){0};

	b->failures = quick && death == BACKOFF_FAILED ? b->failures + 1 : 0;
	if (b->failures >= BACKOFF_FAILURES_MAX)
		return BACKOFF_GIVE_UP;
	*delay_ns = next_delay(b, quick);
	return BACKOFF_RESTART;
}
