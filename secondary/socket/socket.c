#include "secondary/socket/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/filter/filter.h"
#include "secondary/util/hold_signals.h"
#include "shared/touched.h"

/* ---- the lock ---- */

/* No handler of the application runs on this thread. */
static _Thread_local bool uninterrupted;

void mos_sockets_on_stack_thread(void)
{
	uninterrupted = true;
}

static void lock(struct mos_sockets *s, sigset_t *old)
{
	if (!uninterrupted)
		mos_signals_hold(old);
	pthread_mutex_lock(&s->lock);
}

static void unlock(struct mos_sockets *s, const sigset_t *old)
{
	pthread_mutex_unlock(&s->lock);
	if (!uninterrupted)
		mos_signals_release(old);
}

/* ---- the path: open passive sockets in order of creation, one byte each ---- */

static void path_append(struct mos_sockets *s, int id)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_relaxed);
	unsigned n = 0;

	while (n < MOS_PASSIVE_MAX && (path >> (8 * n) & 0xff) != 0)
		n++;
	path |= (uint64_t)(id + 1) << (8 * n);
	atomic_store_explicit(&s->passive_path, path, memory_order_release); /* socket is set up */
}

static void path_remove(struct mos_sockets *s, int id)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_relaxed), out = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < MOS_PASSIVE_MAX; i++) {
		uint64_t entry = path >> (8 * i) & 0xff;

		if (entry != 0 && entry != (uint64_t)(id + 1))
			out |= entry << (8 * n++);
	}
	atomic_store_explicit(&s->passive_path, out, memory_order_release);
}

/* ---- life ---- */

int mos_sockets_init(struct mos_sockets *s, uint32_t max_flows)
{
	int err;

	memset(s, 0, sizeof(*s));
	if (max_flows == 0 || max_flows > (INT32_MAX - MOS_MON_ID_MAX) / MOS_PASSIVE_MAX)
		return -EINVAL; /* ids are ints */
	err = mos_cb_sets_init(&s->sets);
	if (err != 0)
		return err;
	pthread_mutex_init(&s->lock, NULL);
	s->max_flows = max_flows;
	return 0;
}

static void destroy_replaced(struct mos_sockets *s)
{
	while (s->replaced_count > 0)
		mos_filter_destroy(s->replaced[--s->replaced_count]);
}

static void destroy_filters(struct mos_mon_sock *m)
{
	for (int use = 0; use < MOS_FILTER_USES; use++)
		mos_filter_destroy(
			atomic_exchange_explicit(&m->filter[use], NULL, memory_order_acquire));
}

void mos_sockets_fini(struct mos_sockets *s)
{
	for (int id = 0; id < MOS_MON_ID_MAX; id++) {
		free(s->mon[id].flows);
		destroy_filters(&s->mon[id]);
	}
	destroy_replaced(s);
	free(s->replaced);
	mos_cb_sets_fini(&s->sets); /* whoever holds them */
	pthread_mutex_destroy(&s->lock);
	memset(s, 0, sizeof(*s));
}

static bool passive_number_free(const struct mos_sockets *s, int k)
{
	for (int id = 0; id < MOS_MON_ID_MAX; id++)
		if (s->mon[id].type == MOS_SOCK_MONITOR_STREAM && s->mon[id].passive == k &&
		    atomic_load_explicit(&s->mon[id].state, memory_order_acquire) != MOS_SOCK_FREE)
			return false;
	return true;
}

static int free_passive_number(const struct mos_sockets *s)
{
	for (int k = 0; k < MOS_PASSIVE_MAX; k++)
		if (passive_number_free(s, k))
			return k;
	return -1;
}

/* Set up an id that is free. Under the lock. 0 or -errno. */
static int open_at(struct mos_sockets *s, int id, int type)
{
	struct mos_mon_sock *m = &s->mon[id];

	m->type = type;
	m->uctx = NULL;
	m->passive = -1;
	m->nth = 0;
	m->flows = NULL;
	m->swept = 0;
	atomic_store_explicit(&m->reads, 0, memory_order_relaxed);
	atomic_store_explicit(&m->options, 0, memory_order_relaxed);
	atomic_store_explicit(&m->area_version, 0, memory_order_relaxed);
	for (int side = 0; side < 2; side++) {
		atomic_store_explicit(&m->buffer[side], -1, memory_order_relaxed);
		atomic_store_explicit(&m->stream_flags[side], 0, memory_order_relaxed);
	}
	if (type == MOS_SOCK_MONITOR_STREAM) {
		m->passive = free_passive_number(s);
		if (m->passive < 0)
			return -ENFILE;
		m->flows = mos_alloc_touched(s->max_flows, sizeof(*m->flows));
		if (m->flows == NULL)
			return -ENOMEM;
		m->nth = s->passive_made++;
	}
	atomic_store_explicit(&m->set, mos_cb_set_ref(s->sets.empty), memory_order_relaxed);
	atomic_store_explicit(&m->state, MOS_SOCK_OPEN, memory_order_release);
	if (type == MOS_SOCK_MONITOR_STREAM)
		path_append(s, id);
	else
		atomic_fetch_or_explicit(&s->raw_path, UINT64_C(1) << id, memory_order_release);
	return 0;
}

int mos_socket_open(struct mos_sockets *s, int type)
{
	int err = -ENFILE;
	sigset_t old;

	lock(s, &old);
	for (int id = 0; id < MOS_MON_ID_MAX; id++) {
		if (atomic_load_explicit(&s->mon[id].state, memory_order_acquire) != MOS_SOCK_FREE)
			continue;
		err = open_at(s, id, type);
		if (err == 0)
			err = id;
		break;
	}
	unlock(s, &old);
	return err;
}

struct mos_mon_sock *mos_socket_mon(struct mos_sockets *s, int id)
{
	struct mos_mon_sock *m;

	if (id < 0 || id >= MOS_MON_ID_MAX)
		return NULL;
	m = &s->mon[id];
	if (atomic_load_explicit(&m->state, memory_order_acquire) != MOS_SOCK_OPEN)
		return NULL;
	return m;
}

int mos_socket_close(struct mos_sockets *s, int id)
{
	struct mos_mon_sock *m;
	int err = -EBADF;
	sigset_t old;

	lock(s, &old);
	m = mos_socket_mon(s, id);
	if (m != NULL) {
		if (m->type == MOS_SOCK_MONITOR_STREAM)
			path_remove(s, id);
		else
			atomic_fetch_and_explicit(&s->raw_path, ~(UINT64_C(1) << id),
			                          memory_order_release);
		atomic_store_explicit(&m->state, MOS_SOCK_CLOSING, memory_order_release);
		atomic_store_explicit(&s->sweep, true, memory_order_release);
		err = 0;
	}
	unlock(s, &old);
	return err;
}

/* ---- ids ---- */

/* The open passive socket with number k, or NULL. */
static struct mos_mon_sock *passive_by_number(struct mos_sockets *s, uint32_t k)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);

	for (; path != 0; path >>= 8) {
		struct mos_mon_sock *m = &s->mon[(path & 0xff) - 1];

		if ((uint32_t)m->passive == k)
			return m;
	}
	return NULL;
}

/* On the stack thread, or under the lock: neither lets the flow entries be freed meanwhile. */
struct mos_mon_sock *mos_socket_of_active(struct mos_sockets *s, int id, uint32_t *flow)
{
	struct mos_mon_sock *m;
	uint32_t k, n;

	if (id < MOS_MON_ID_MAX)
		return NULL;
	n = (uint32_t)id - MOS_MON_ID_MAX;
	for (k = 0; n >= s->max_flows; n -= s->max_flows) /* fewer cycles than to divide */
		if (++k == MOS_PASSIVE_MAX)
			return NULL;
	m = passive_by_number(s, k);
	if (m == NULL || atomic_load_explicit(&m->flows[n].set, memory_order_relaxed) == NULL)
		return NULL;
	*flow = n;
	return m;
}

struct mos_flow_sock *mos_socket_active(struct mos_sockets *s, int id, uint32_t *flow)
{
	uint32_t n;
	struct mos_mon_sock *m = mos_socket_of_active(s, id, &n);

	if (m == NULL)
		return NULL;
	if (flow != NULL)
		*flow = n;
	return &m->flows[n];
}

int mos_socket_type(struct mos_sockets *s, int id)
{
	struct mos_mon_sock *m;
	int type = MOS_SOCK_UNUSED;
	sigset_t old;

	lock(s, &old);
	m = mos_socket_mon(s, id);
	if (m != NULL)
		type = m->type;
	else if (mos_socket_active(s, id, NULL) != NULL)
		type = MOS_SOCK_MONITOR_STREAM_ACTIVE;
	unlock(s, &old);
	return type;
}

/* ---- callbacks and filters ---- */

/*
 * Publish the set at *where with one callback changed; the reference held there goes from the old
 * set to the new one. The stack thread may detach the flow, or attach a new one, at any moment:
 * then we start again from what it wrote. It frees no set as long as we have the lock.
 */
static int change(struct mos_sockets *s, _Atomic(struct mos_cb_set *) *where, event_t event,
                  enum mos_hook hook, callback_t cb)
{
	struct mos_cb_set *old = atomic_load_explicit(where, memory_order_acquire), *set;

	while (old != NULL) {
		struct mos_cb_set *base = old;

		set = mos_cb_sets_change(&s->sets, base, event, hook, cb);
		if (set == NULL)
			return -ENOMEM;
		if (atomic_compare_exchange_strong_explicit(where, &old, set, memory_order_acq_rel,
		                                            memory_order_acquire)) {
			mos_cb_set_unref(base);
			return 0;
		}
		mos_cb_set_unref(set);
	}
	return -EBADF;
}

int mos_socket_register(struct mos_sockets *s, int id, event_t event, enum mos_hook hook,
                        callback_t cb)
{
	struct mos_flow_sock *a;
	struct mos_mon_sock *m;
	int err = -EBADF;
	sigset_t old;

	lock(s, &old);
	m = mos_socket_mon(s, id);
	a = m == NULL ? mos_socket_active(s, id, NULL) : NULL;
	if (m != NULL)
		err = change(s, &m->set, event, hook, cb);
	else if (a != NULL)
		err = change(s, &a->set, event, hook, cb);
	unlock(s, &old);
	return err;
}

/* Room for what one bind replaces. Under the lock. */
static int reserve_replaced(struct mos_sockets *s)
{
	uint32_t room = 2 * s->replaced_room + 8;
	struct mos_filter **more;

	if (s->replaced_count + MOS_FILTER_USES <= s->replaced_room)
		return 0;
	more = realloc(s->replaced, room * sizeof(struct mos_filter *));
	if (more == NULL)
		return -ENOMEM;
	s->replaced = more;
	s->replaced_room = room;
	return 0;
}

/* Install f and leave the old one to the sweep: the stack thread may be matching a packet to it. */
static void replace_filter(struct mos_sockets *s, struct mos_mon_sock *m, int use,
                           struct mos_filter *f)
{
	struct mos_filter *old = atomic_exchange_explicit(&m->filter[use], f, memory_order_acq_rel);

	if (old == NULL)
		return;
	s->replaced[s->replaced_count++] = old;
	atomic_store_explicit(&s->sweep, true, memory_order_release);
}

int mos_socket_bind(struct mos_sockets *s, int id, struct mos_filter *const f[MOS_FILTER_USES])
{
	struct mos_mon_sock *m;
	sigset_t old;
	int err;

	lock(s, &old);
	m = mos_socket_mon(s, id);
	err = m != NULL ? reserve_replaced(s) : -EBADF;
	for (int use = 0; use < MOS_FILTER_USES && err == 0; use++)
		if (f[use] != NULL)
			replace_filter(s, m, use, f[use]);
	unlock(s, &old);
	for (int use = 0; use < MOS_FILTER_USES && err != 0; use++)
		mos_filter_destroy(f[use]);
	return err;
}

/* ---- between rounds ---- */

/* Flow entries of a closed socket that one sweep looks at: keeps rounds short. */
#define SWEEP_FLOWS 8192

/* So many sweeps in a row may find the lock taken; the next one waits for it. */
#define SWEEPS_MISSED_MAX 16

/* Give back what a closed socket still holds. False: there is more to do. */
static bool sweep_socket(struct mos_sockets *s, struct mos_mon_sock *m)
{
	uint32_t flows = m->flows != NULL ? s->max_flows : 0;

	for (unsigned i = 0; i < SWEEP_FLOWS && m->swept < flows; i++) {
		uint32_t flow = m->swept++;
		struct mos_cb_set *set =
			atomic_load_explicit(&m->flows[flow].set, memory_order_acquire);

		if (set == NULL)
			continue;
		mos_cb_set_unref(set);
		if (s->left != NULL)
			s->left(s->left_arg, flow, (unsigned)m->passive);
	}
	if (m->swept < flows)
		return false;
	free(m->flows);
	m->flows = NULL;
	destroy_filters(m);
	mos_cb_set_unref(atomic_exchange_explicit(&m->set, NULL, memory_order_acquire));
	atomic_store_explicit(&m->state, MOS_SOCK_FREE, memory_order_release);
	return true;
}

/*
 * Packets do not wait for who has the lock. But one who takes it again and again must not keep us
 * from freeing what he leaves; nobody has it for long.
 */
static bool lock_to_sweep(struct mos_sockets *s)
{
	if (pthread_mutex_trylock(&s->lock) != 0) {
		if (++s->sweeps_missed < SWEEPS_MISSED_MAX)
			return false;
		pthread_mutex_lock(&s->lock);
	}
	s->sweeps_missed = 0;
	return true;
}

void mos_sockets_sweep(struct mos_sockets *s)
{
	bool more = false;

	if (mos_likely(!atomic_load_explicit(&s->sweep, memory_order_relaxed) &&
	               !mos_cb_sets_crowded(&s->sets)))
		return;
	if (!lock_to_sweep(s))
		return;
	for (int id = 0; id < MOS_MON_ID_MAX; id++)
		if (atomic_load_explicit(&s->mon[id].state, memory_order_acquire) ==
		    MOS_SOCK_CLOSING)
			more |= !sweep_socket(s, &s->mon[id]);
	destroy_replaced(s);
	atomic_store_explicit(&s->sweep, more, memory_order_relaxed);
	if (mos_cb_sets_crowded(&s->sets))
		mos_cb_sets_purge(&s->sets);
	pthread_mutex_unlock(&s->lock);
}
