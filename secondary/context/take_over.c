#include "secondary/context/take_over.h"

#include <errno.h>
#include <string.h>

#include "secondary/attach/attach.h"
#include "secondary/context/context.h"
#include "secondary/notify/notify.h"
#include "shared/kill_point/kill_point.h"

/* How often one that waits looks up. */
#define LOOK_MS 10

static uint32_t number_of(const struct mos_ctx *c)
{
	return (uint32_t)c->api.cpu;
}

static int claim(struct mos_ctx *c)
{
	const struct mos_worker *w = &mos_worker;

	return mos_attach_claim(&mos_worker, number_of(c), w->take_over,
	                        w->preferred_shard >= 0 ? w->preferred_shard : c->api.cpu);
}

/* What is to be done now and then, although no packet comes. */
static void look_up(struct mos_ctx *c)
{
	mos_loop_clock(c);
	mos_flow_timer_expire(&c->flow_timer,
	                      c->now_ms); /* there are none, but it follows the clock */
	mos_sockets_sweep(&c->sockets);
}

static enum mos_loop_end why_not(int err)
{
	switch (err) {
	case -EPIPE: return MOS_LOOP_PRIMARY_GONE;
	case -ESHUTDOWN: return MOS_LOOP_PRIMARY_STOPS;
	default: return MOS_LOOP_REFUSED;
	}
}

static bool wait_for_shard(struct mos_ctx *c, uint32_t *shard, enum mos_loop_end *why)
{
	for (;;) {
		int err = mos_attach_await(&mos_worker, number_of(c), LOOK_MS, shard, &c->epoch);

		if (err == 0)
			return true;
		if (err != -EAGAIN) {
			*why = why_not(err);
			return false;
		}
		look_up(c);
		if (mos_loop_must_end(c, why)) {
			mos_attach_give_up(&mos_worker, number_of(c));
			return false;
		}
	}
}

/* The shard is ours: take up what its last worker has left. */
static bool take_up(struct mos_ctx *c, uint32_t shard)
{
	int err;

	mos_kill_point("takeover.leased");
	__atomic_store_n(&c->shard, c->root->shard[shard], __ATOMIC_RELEASE);
	err = mos_shard_join(c->shard, shard);
	if (err == 0)
		err = mos_context_adopt(c);
	mos_kill_point("takeover.adopted");
	if (err == 0)
		return true;
	mos_fail(-err, "shard %u cannot be taken over: %s", shard, strerror(-err));
	mos_context_yield(c);
	__atomic_store_n(&c->shard, NULL, __ATOMIC_RELEASE);
	return false;
}

bool mos_take_over(struct mos_ctx *c, enum mos_loop_end *why)
{
	uint32_t shard;

	if (!mos_loop_wait_until_open(c, why))
		return false;
	*why = MOS_LOOP_REFUSED;
	if (claim(c) != 0)
		return false;
	mos_notify_ready(number_of(c));
	if (!wait_for_shard(c, &shard, why))
		return false;
	if (!take_up(c, shard)) {
		*why = MOS_LOOP_REFUSED;
		return false;
	}
	atomic_store_explicit(&c->open, true, memory_order_release); /* it was waited for once */
	return true;
}
