#include "secondary/event/event.h"

/* Call every callback of the set for the bits, lowest first. */
static void dispatch(struct mos_ctx *c, const struct mos_cb_set *set, int sock, int side,
                     enum mos_hook hook, uint32_t bits)
{
	bits &= set->mask[hook];
	while (bits != 0) {
		unsigned bit = (unsigned)__builtin_ctz(bits);

		bits &= bits - 1;
		set->cb[hook][bit](&c->api, sock, side, (event_t)1 << bit, NULL);
	}
}

static void dispatch_flow(struct mos_ctx *c, unsigned mon_id, uint32_t flow, int side,
                          enum mos_hook hook, uint32_t bits)
{
	struct mos_mon_sock *m = &c->sockets.mon[mon_id];
	const struct mos_cb_set *set =
		atomic_load_explicit(&m->flows[flow].set, memory_order_acquire);

	if (set != NULL)
		dispatch(c, set, mos_active_id(&c->sockets, m->passive, flow), side, hook, bits);
}

void mos_event_flow(struct mos_ctx *c, uint32_t flow, int side, int from, enum mos_hook hook,
                    uint32_t bits)
{
	uint64_t path = atomic_load_explicit(&c->sockets.passive_path, memory_order_acquire);
	unsigned n = 0;
	uint8_t ids[MOS_PASSIVE_MAX];

	if (mos_likely(path <= 0xff)) { /* one socket, or none */
		if (path != 0)
			dispatch_flow(c, (unsigned)path - 1, flow, side, hook, bits);
		return;
	}
	for (; path != 0; path >>= 8)
		ids[n++] = (uint8_t)((path & 0xff) - 1);
	for (unsigned i = 0; i < n; i++)
		dispatch_flow(c, from == MOS_CLI ? ids[i] : ids[n - 1 - i], flow, side, hook, bits);
}

void mos_event_raw(struct mos_ctx *c)
{
	uint64_t left = atomic_load_explicit(&c->sockets.raw_path[0], memory_order_acquire);

	while (left != 0) {
		int id = __builtin_ctzll(left);
		struct mos_mon_sock *m = &c->sockets.mon[id];

		left &= left - 1;
		dispatch(c, atomic_load_explicit(&m->set, memory_order_acquire), id, MOS_SIDE_BOTH,
		         MOS_HOOK_NULL, MOS_ON_PKT_IN);
	}
}

void mos_event_timers(struct mos_ctx *c)
{
	struct mos_app_timer t;
	uint64_t mark;

	if (mos_likely(mos_app_timers_idle(&c->timers, c->now_ns)))
		return;
	mark = mos_app_timers_mark(&c->timers);
	while (mos_app_timers_take(&c->timers, c->now_ns, mark, &t))
		t.cb(&c->api, t.id, 0, 0, NULL);
}
