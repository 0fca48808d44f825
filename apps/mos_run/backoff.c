#include "apps/mos_run/backoff.h"

#define BUCKET_NS (BACKOFF_TOKENS * BACKOFF_TOKEN_NS) /* from empty to full */

/* Take a token; the time until it is there. */
static uint64_t take_token(struct backoff *b, uint64_t now_ns)
{
	if (b->full_ns < now_ns)
		b->full_ns = now_ns;
	/* Who dies without having waited for its token owes no more than that one. */
	if (b->full_ns > now_ns + BUCKET_NS)
		b->full_ns = now_ns + BUCKET_NS;
	b->full_ns += BACKOFF_TOKEN_NS;
	return b->full_ns > now_ns + BUCKET_NS ? b->full_ns - now_ns - BUCKET_NS : 0;
}

enum backoff_verdict backoff_on_death(struct backoff *b, enum backoff_death death, uint64_t now_ns,
                                      uint64_t lived_ns, uint64_t *delay_ns)
{
	*delay_ns = 0;
	if (death == BACKOFF_ENDED)
		return BACKOFF_END;
	if (death == BACKOFF_NO_PRIMARY) {
		*delay_ns = BACKOFF_TOKEN_NS;
		return BACKOFF_RESTART;
	}
	b->failures = death == BACKOFF_FAILED && lived_ns < BACKOFF_QUICK_NS ? b->failures + 1 : 0;
	if (b->failures >= BACKOFF_FAILURES_MAX)
		return BACKOFF_GIVE_UP;
	*delay_ns = take_token(b, now_ns);
	return BACKOFF_RESTART;
}
