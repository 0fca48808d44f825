#include "secondary/socket/socket.h"

unsigned mos_sockets_attach_flow(struct mos_sockets *s, uint32_t flow, uint64_t ids)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);
	unsigned n = 0;

	for (; path != 0; path >>= 8) {
		unsigned id = (unsigned)(path & 0xff) - 1;
		struct mos_mon_sock *m = &s->mon[id];
		struct mos_flow_sock *a = &m->flows[flow];
		struct mos_cb_set *set;

		if (!(ids >> id & 1))
			continue;
		/* It may be replaced and given up before we hold it, but only we free sets. */
		set = mos_cb_set_ref(atomic_load_explicit(&m->set, memory_order_acquire));
		a->uctx = NULL;
		a->stopped = 0;
		atomic_store_explicit(&a->set, set, memory_order_release);
		n++;
	}
	return n;
}

void mos_sockets_detach_flow(struct mos_sockets *s, uint32_t flow)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);

	for (; path != 0; path >>= 8) {
		struct mos_flow_sock *a = &s->mon[(path & 0xff) - 1].flows[flow];
		struct mos_cb_set *set =
			atomic_exchange_explicit(&a->set, NULL, memory_order_acq_rel);

		if (set != NULL)
			mos_cb_set_unref(set);
		a->uctx = NULL;
	}
}

/* The entry of the flow on the socket at the low end of the path, or NULL: not attached. */
static struct mos_flow_sock *attached(struct mos_sockets *s, uint64_t path, uint32_t flow)
{
	struct mos_flow_sock *a = &s->mon[(path & 0xff) - 1].flows[flow];

	return atomic_load_explicit(&a->set, memory_order_relaxed) != NULL ? a : NULL;
}

bool mos_sockets_unwatched(struct mos_sockets *s, uint32_t flow)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);

	for (; path != 0; path >>= 8) {
		const struct mos_flow_sock *a = attached(s, path, flow);

		if (a != NULL && a->stopped != MOS_BOTH_SIDES)
			return false;
	}
	return true;
}

uint8_t mos_sockets_unbuffered(struct mos_sockets *s, uint32_t flow)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);
	uint8_t sides = MOS_BOTH_SIDES;

	for (; path != 0; path >>= 8)
		if (attached(s, path, flow) != NULL)
			sides &= atomic_load_explicit(&s->mon[(path & 0xff) - 1].unbuffered,
			                              memory_order_relaxed);
	return sides;
}
