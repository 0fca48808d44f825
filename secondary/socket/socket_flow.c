#include "secondary/socket/socket.h"

#include "mos_ext.h"
#include "shared/flow_table/flow.h"

static_assert(MOS_PASSIVE_MAX == MOS_SOCKETS_MAX, "a record has a bit and a position for each");

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

void mos_flow_sock_stop(struct mos_flow_sock *a, uint8_t sides)
{
	a->stopped |= sides;
	if ((a->stopped & MOS_BOTH_SIDES) == MOS_BOTH_SIDES)
		a->stopped |= 1 << MOS_SIDE_BOTH;
}

bool mos_sockets_unwatched(struct mos_sockets *s, uint32_t flow)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);

	for (; path != 0; path >>= 8) {
		const struct mos_flow_sock *a = attached(s, path, flow);

		if (a != NULL && !(a->stopped >> MOS_SIDE_BOTH & 1))
			return false;
	}
	return true;
}

/* ---- streams ---- */

void mos_socket_set_buffer(struct mos_mon_sock *m, int side, int32_t bytes)
{
	atomic_store_explicit(&m->buffer[side], bytes, memory_order_relaxed);
}

static void set_bits(_Atomic uint8_t *word, uint8_t bits, bool on)
{
	if (on)
		atomic_fetch_or_explicit(word, bits, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(word, (uint8_t)~bits, memory_order_relaxed);
}

void mos_socket_set_stream_flag(struct mos_mon_sock *m, int side, uint8_t flag, bool on)
{
	set_bits(&m->stream_flags[side], flag, on);
}

static bool has_callback(const struct mos_flow_sock *a, uint32_t bits)
{
	const struct mos_cb_set *set = atomic_load_explicit(&a->set, memory_order_acquire);

	return (set->mask[MOS_HOOK_NULL] & bits) != 0;
}

static bool awaits_data(const struct mos_flow_sock *a, int side)
{
	return has_callback(a, MOS_ON_CONN_NEW_DATA) && !(a->stopped >> side & 1);
}

/* Add what one socket wants. */
static void add_wish(struct mos_stream_wish *w, const struct mos_mon_sock *m,
                     const struct mos_flow_sock *a, int side, uint32_t usual)
{
	int32_t buffer = atomic_load_explicit(&m->buffer[side], memory_order_relaxed);
	uint32_t limit = buffer >= 0 ? (uint32_t)buffer : usual;
	bool reads = atomic_load_explicit(&m->reads, memory_order_relaxed) >> side & 1;

	if (limit > w->limit)
		w->limit = limit;
	w->attached |= (uint8_t)(1 << m->passive);
	w->flags |= atomic_load_explicit(&m->stream_flags[side], memory_order_relaxed);
	if (!(a->stopped >> side & 1) && (reads || buffer > 0 || awaits_data(a, side)))
		w->readers |= (uint8_t)(1 << m->passive);
}

struct mos_stream_wish mos_sockets_wish(struct mos_sockets *s, uint32_t flow, int side,
                                        uint32_t usual)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);
	struct mos_stream_wish w = {.limit = 0};

	for (; path != 0; path >>= 8) {
		const struct mos_flow_sock *a = attached(s, path, flow);

		if (a != NULL)
			add_wish(&w, &s->mon[(path & 0xff) - 1], a, side, usual);
	}
	return w;
}

uint8_t mos_sockets_await_data(struct mos_sockets *s, uint32_t flow, int side)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);
	uint8_t k = 0;

	for (; path != 0; path >>= 8) {
		const struct mos_flow_sock *a = attached(s, path, flow);

		if (a != NULL && awaits_data(a, side))
			k |= (uint8_t)(1 << s->mon[(path & 0xff) - 1].passive);
	}
	return k;
}

void mos_sockets_note_read(struct mos_sockets *s, unsigned k, int side)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);

	for (; path != 0; path >>= 8) {
		struct mos_mon_sock *m = &s->mon[(path & 0xff) - 1];

		if ((unsigned)m->passive == k)
			atomic_fetch_or_explicit(&m->reads, (uint8_t)(1 << side),
			                         memory_order_relaxed);
	}
}

/* ---- besides streams ---- */

void mos_socket_set_option(struct mos_mon_sock *m, uint8_t option, bool on)
{
	set_bits(&m->options, option, on);
}

struct mos_flow_wish mos_sockets_flow_wish(struct mos_sockets *s, uint32_t flow)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);
	struct mos_flow_wish w = {0, 0};

	for (; path != 0; path >>= 8) {
		const struct mos_mon_sock *m = &s->mon[(path & 0xff) - 1];
		uint8_t options = atomic_load_explicit(&m->options, memory_order_relaxed);

		if (options == 0 || attached(s, path, flow) == NULL)
			continue;
		if (options & MOS_SOCK_DROP_HIDES)
			w.drop_hides |= (uint8_t)(1 << m->passive);
		if (options & MOS_SOCK_LAST_PACKETS)
			w.last_packets |= (uint8_t)(1 << m->passive);
	}
	return w;
}

/* ---- what outlives the program ---- */

void mos_socket_set_area_version(struct mos_mon_sock *m, uint32_t version)
{
	atomic_store_explicit(&m->area_version, version, memory_order_relaxed);
}

uint32_t mos_sockets_area_version(struct mos_sockets *s, uint64_t ids)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);
	uint32_t version = 0;

	for (; path != 0 && version == 0; path >>= 8) {
		unsigned id = (unsigned)(path & 0xff) - 1;

		if (ids >> id & 1)
			version = atomic_load_explicit(&s->mon[id].area_version,
			                               memory_order_relaxed);
	}
	return version;
}

void mos_sockets_set_uctx(struct mos_sockets *s, uint32_t flow, void *const uctx[MOS_PASSIVE_MAX])
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);

	for (; path != 0; path >>= 8) {
		struct mos_flow_sock *a = attached(s, path, flow);
		uint32_t nth = s->mon[(path & 0xff) - 1].nth;

		if (a != NULL && nth < MOS_PASSIVE_MAX)
			a->uctx = uctx[nth];
	}
}

uint8_t mos_sockets_await_restore(struct mos_sockets *s, uint32_t flow)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);
	uint8_t k = 0;

	for (; path != 0; path >>= 8) {
		const struct mos_flow_sock *a = attached(s, path, flow);

		if (a != NULL && has_callback(a, MOS_ON_CONN_RESTORE))
			k |= (uint8_t)(1 << s->mon[(path & 0xff) - 1].passive);
	}
	return k;
}
