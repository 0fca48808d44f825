/* Clock and timers: specification section 9. */
#include <errno.h>

#include "mos_ext.h"
#include "secondary/api/api_priv.h"
#include "secondary/util/hold_signals.h"
#include "secondary/worker.h"

uint32_t mtcp_cb_get_ts(mctx_t mctx)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);

	return c != NULL ? (uint32_t)(c->now_ns / 1000) : 0;
}

uint64_t mtcp_cb_get_ts_ns(mctx_t mctx)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);

	return c != NULL ? c->now_ns : 0;
}

/* ---- timers ---- */

/* Around what takes the timers' lock. */
static void hold_signals(const struct mos_ctx *c, sigset_t *old)
{
	if (!mos_on_stack_thread(c))
		mos_signals_hold(old);
}

static void release_signals(const struct mos_ctx *c, const sigset_t *old)
{
	if (!mos_on_stack_thread(c))
		mos_signals_release(old);
}

/* Far enough for any program, and no overflow when added to the clock. */
#define TIMER_MAX_S (100LL * 365 * 86400)

static bool is_delay(const struct timeval *t)
{
	return t != NULL && t->tv_sec >= 0 && t->tv_sec <= TIMER_MAX_S && t->tv_usec >= 0 &&
	       t->tv_usec < 1000000;
}

mos_timer_t mtcp_timer_set(mctx_t mctx, int id, const struct timeval *t, callback_t cb)
{
	MOS_CTX_HELD(c, mctx);
	mos_timer_t timer = 0;
	uint64_t due_ns;
	sigset_t old;
	int err;

	if (c == NULL)
		return 0;
	if (!is_delay(t) || cb == NULL) {
		errno = EINVAL;
		return 0;
	}
	due_ns = __atomic_load_n(&c->now_ns, __ATOMIC_RELAXED) + (uint64_t)t->tv_sec * 1000000000 +
	         (uint64_t)t->tv_usec * 1000;
	hold_signals(c, &old);
	err = mos_app_timers_add(&c->timers, due_ns, id, cb, &timer);
	release_signals(c, &old);
	if (err != 0)
		errno = -err;
	return timer;
}

int mtcp_timer_cancel(mctx_t mctx, mos_timer_t timer)
{
	MOS_CTX_HELD(c, mctx);
	sigset_t old;
	int err;

	if (c == NULL)
		return -1;
	hold_signals(c, &old);
	err = mos_app_timers_cancel(&c->timers, timer);
	release_signals(c, &old);
	return err == 0 ? 0 : fail(-err);
}

int mtcp_settimer(mctx_t mctx, int id, struct timeval *timeout, callback_t cb)
{
	return mtcp_timer_set(mctx, id, timeout, cb) != 0 ? 0 : -1;
}
