#include "secondary/event/event.h"

#include <errno.h>

#include "secondary/event/dispatch.h"
#include "secondary/filter/filter.h"

/* ---- one dispatch ---- */

static __attribute__((noinline)) void run(struct mos_ctx *c, const struct mos_cb_set *set,
                                          const uint8_t *stopped, int sock, int side,
                                          enum mos_hook hook, uint32_t bits)
{
	struct mos_event_dispatch *outer = c->dispatch;
	struct mos_event_dispatch d = {
		.mctx = &c->api,
		.set = set,
		.outer = outer,
		.stopped = stopped,
		.sock = sock,
		.side = side,
		.hook = hook,
	};

	c->dispatch = &d;
	mos_event_dispatch_run(&d, bits);
	c->dispatch = outer;
}

/*
 * Most dispatches are built-in events with none below them. These are called here, inlined: there
 * is nothing to raise, so nothing need be told to mos_event_raise. From the first event with a
 * tree on, it is a dispatch in full.
 */
static inline __attribute__((always_inline)) void dispatch_flow(struct mos_ctx *c, unsigned mon_id,
                                                                uint32_t flow, int side,
                                                                enum mos_hook hook, uint32_t bits)
{
	struct mos_mon_sock *m = &c->sockets.mon[mon_id];
	struct mos_flow_sock *a = &m->flows[flow];
	const struct mos_cb_set *set = atomic_load_explicit(&a->set, memory_order_acquire);
	int sock;

	if (set == NULL)
		return;
	sock = mos_active_id(&c->sockets, m->passive, flow);
	for (bits &= set->mask[hook]; bits != 0; bits &= bits - 1) {
		unsigned bit = (unsigned)__builtin_ctz(bits);

		if (mos_unlikely(set->tree[hook][bit] != NULL)) {
			run(c, set, &a->stopped, sock, side, hook, bits);
			return;
		}
		if (mos_unlikely(a->stopped >> side & 1))
			return;
		set->cb[hook][bit](&c->api, sock, side, (event_t)1 << bit, NULL);
	}
}

/* An event of a passive or raw socket itself. */
static void dispatch_mon(struct mos_ctx *c, int id, event_t event)
{
	const struct mos_cb_set *set =
		atomic_load_explicit(&c->sockets.mon[id].set, memory_order_acquire);

	if ((set->mask[MOS_HOOK_NULL] & event) != 0)
		run(c, set, NULL, id, MOS_SIDE_BOTH, MOS_HOOK_NULL, (uint32_t)event);
}

int mos_event_raise(struct mos_ctx *c, event_t child)
{
	return c->dispatch != NULL ? mos_event_dispatch_raise(c->dispatch, child) : -EPERM;
}

/* ---- flows ---- */

void mos_event_flow_all(struct mos_ctx *c, uint32_t flow, int side, int from, enum mos_hook hook,
                        uint32_t bits)
{
	uint64_t path = atomic_load_explicit(&c->sockets.passive_path, memory_order_acquire);

	if (mos_unlikely(path > 0xff)) {
		mos_event_flow_some(c, flow, side, from, hook, bits, UINT8_MAX);
		return;
	}
	if (path != 0) /* the only socket */
		dispatch_flow(c, (unsigned)path - 1, flow, side, hook, bits);
}

void mos_event_flow_some(struct mos_ctx *c, uint32_t flow, int side, int from, enum mos_hook hook,
                         uint32_t bits, uint8_t socks)
{
	uint64_t path = atomic_load_explicit(&c->sockets.passive_path, memory_order_acquire);
	unsigned n = 0;
	uint8_t ids[MOS_PASSIVE_MAX];

	for (; path != 0; path >>= 8)
		ids[n++] = (uint8_t)((path & 0xff) - 1);
	for (unsigned i = 0; i < n; i++) {
		unsigned id = from == MOS_CLI ? ids[i] : ids[n - 1 - i];

		if (mos_socket_mon(&c->sockets, (int)id) != NULL && /* closed by one before it? */
		    (socks >> c->sockets.mon[id].passive & 1))
			dispatch_flow(c, id, flow, side, hook, bits);
	}
}

/* ---- filters ---- */

static bool accepts(struct mos_ctx *c, int id, enum mos_filter_use use)
{
	const struct mos_filter *f =
		atomic_load_explicit(&c->sockets.mon[id].filter[use], memory_order_acquire);

	return f == NULL || mos_filter_match(f, c->cur.mbuf, c->cur.meta);
}

uint64_t mos_event_accepting(struct mos_ctx *c)
{
	uint64_t path = atomic_load_explicit(&c->sockets.passive_path, memory_order_acquire);
	uint64_t ids = 0;

	for (; path != 0; path >>= 8) {
		int id = (int)(path & 0xff) - 1;

		if (accepts(c, id, MOS_FILTER_SYN))
			ids |= UINT64_C(1) << id;
	}
	return ids;
}

uint64_t mos_event_accepting_flow(struct mos_ctx *c, const struct mos_flow *flow)
{
	uint64_t path = atomic_load_explicit(&c->sockets.passive_path, memory_order_acquire);
	uint64_t ids = 0;

	for (; path != 0; path >>= 8) {
		int id = (int)(path & 0xff) - 1;
		const struct mos_filter *f = atomic_load_explicit(
			&c->sockets.mon[id].filter[MOS_FILTER_SYN], memory_order_acquire);

		if (f == NULL || mos_filter_match_flow(f, flow))
			ids |= UINT64_C(1) << id;
	}
	return ids;
}

/* ---- packets ---- */

/*
 * Each socket's filter is asked when its turn comes: what one before it did to the packet counts.
 */
void mos_event_raw(struct mos_ctx *c)
{
	uint64_t left = atomic_load_explicit(&c->sockets.raw_path, memory_order_acquire);

	c->cur.raw = 0;
	for (; left != 0; left &= left - 1) {
		int id = __builtin_ctzll(left);

		if (mos_socket_mon(&c->sockets, id) == NULL || !accepts(c, id, MOS_FILTER_RAW))
			continue;
		c->cur.raw |= UINT64_C(1) << id;
		dispatch_mon(c, id, MOS_ON_PKT_IN);
	}
}

void mos_event_orphan(struct mos_ctx *c)
{
	uint64_t path = atomic_load_explicit(&c->sockets.passive_path, memory_order_acquire);
	uint64_t raw = c->cur.raw;

	if (!mos_event_wanted(c, MOS_HOOK_NULL, MOS_ON_ORPHAN))
		return;
	for (; path != 0; path >>= 8) {
		int id = (int)(path & 0xff) - 1;

		if (mos_socket_mon(&c->sockets, id) != NULL && accepts(c, id, MOS_FILTER_ORPHAN))
			dispatch_mon(c, id, MOS_ON_ORPHAN);
	}
	for (; raw != 0; raw &= raw - 1) {
		int id = __builtin_ctzll(raw);

		if (mos_socket_mon(&c->sockets, id) != NULL)
			dispatch_mon(c, id, MOS_ON_ORPHAN);
	}
}

/* ---- time ---- */

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
