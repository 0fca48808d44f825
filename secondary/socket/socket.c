#include "secondary/socket/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- callback sets ---- */

static bool set_equal(const struct mos_cb_set *a, const struct mos_cb_set *b)
{
	return memcmp(a->cb, b->cb, sizeof(a->cb)) == 0;
}

/* The one object equal to *want; made when there is none yet. Under the lock. */
static const struct mos_cb_set *intern(struct mos_sockets *s, const struct mos_cb_set *want)
{
	struct mos_cb_set *set;

	for (set = s->sets; set != NULL; set = set->next)
		if (set_equal(set, want))
			return set;
	set = malloc(sizeof(*set));
	if (set == NULL)
		return NULL;
	*set = *want;
	set->next = s->sets;
	s->sets = set;
	return set;
}

/* `old` with one callback changed. Under the lock. */
static const struct mos_cb_set *with_callback(struct mos_sockets *s, const struct mos_cb_set *old,
                                              unsigned bit, enum mos_hook hook, callback_t cb)
{
	struct mos_cb_set want = *old;

	want.cb[hook][bit] = cb;
	if (cb != NULL)
		want.mask[hook] |= 1u << bit;
	else
		want.mask[hook] &= ~(1u << bit);
	return intern(s, &want);
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
	static const struct mos_cb_set nothing;

	memset(s, 0, sizeof(*s));
	if (max_flows == 0 || max_flows > (INT32_MAX - MOS_MON_ID_MAX) / MOS_PASSIVE_MAX)
		return -EINVAL; /* ids are ints */
	pthread_mutex_init(&s->lock, NULL);
	s->max_flows = max_flows;
	s->empty = intern(s, &nothing);
	if (s->empty == NULL) {
		pthread_mutex_destroy(&s->lock);
		return -ENOMEM;
	}
	return 0;
}

void mos_sockets_fini(struct mos_sockets *s)
{
	struct mos_cb_set *next;

	for (int id = 0; id < MOS_MON_ID_MAX; id++)
		free(s->mon[id].flows);
	for (struct mos_cb_set *set = s->sets; set != NULL; set = next) {
		next = set->next;
		free(set);
	}
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
	m->flows = NULL;
	atomic_store_explicit(&m->set, s->empty, memory_order_relaxed);
	if (type == MOS_SOCK_MONITOR_STREAM) {
		m->passive = free_passive_number(s);
		if (m->passive < 0)
			return -ENFILE;
		m->flows = calloc(s->max_flows, sizeof(*m->flows));
		if (m->flows == NULL)
			return -ENOMEM;
		path_append(s, id);
	} else {
		atomic_fetch_or_explicit(&s->raw_path[0], UINT64_C(1) << id, memory_order_release);
	}
	atomic_store_explicit(&m->state, MOS_SOCK_OPEN, memory_order_release);
	return 0;
}

int mos_socket_open(struct mos_sockets *s, int type)
{
	int err = -ENFILE;

	pthread_mutex_lock(&s->lock);
	for (int id = 0; id < MOS_MON_ID_MAX; id++) {
		if (atomic_load_explicit(&s->mon[id].state, memory_order_acquire) != MOS_SOCK_FREE)
			continue;
		err = open_at(s, id, type);
		if (err == 0)
			err = id;
		break;
	}
	pthread_mutex_unlock(&s->lock);
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

	pthread_mutex_lock(&s->lock);
	m = mos_socket_mon(s, id);
	if (m != NULL) {
		if (m->type == MOS_SOCK_MONITOR_STREAM)
			path_remove(s, id);
		else
			atomic_fetch_and_explicit(&s->raw_path[0], ~(UINT64_C(1) << id),
			                          memory_order_release);
		atomic_store_explicit(&m->state, MOS_SOCK_CLOSING, memory_order_release);
		atomic_store_explicit(&s->sweep, true, memory_order_release);
		err = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

void mos_sockets_sweep(struct mos_sockets *s)
{
	if (mos_likely(!atomic_load_explicit(&s->sweep, memory_order_relaxed)))
		return;
	/* Never wait here: a signal handler on the thread that holds the lock may wait for us. */
	if (pthread_mutex_trylock(&s->lock) != 0)
		return;
	atomic_store_explicit(&s->sweep, false, memory_order_relaxed);
	for (int id = 0; id < MOS_MON_ID_MAX; id++) {
		struct mos_mon_sock *m = &s->mon[id];

		if (atomic_load_explicit(&m->state, memory_order_acquire) != MOS_SOCK_CLOSING)
			continue;
		free(m->flows);
		m->flows = NULL;
		atomic_store_explicit(&m->state, MOS_SOCK_FREE, memory_order_release);
	}
	pthread_mutex_unlock(&s->lock);
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

struct mos_flow_sock *mos_socket_active(struct mos_sockets *s, int id, uint32_t *flow)
{
	struct mos_mon_sock *m;
	uint32_t k, n;

	if (id < MOS_MON_ID_MAX)
		return NULL;
	k = ((uint32_t)id - MOS_MON_ID_MAX) / s->max_flows;
	n = ((uint32_t)id - MOS_MON_ID_MAX) % s->max_flows;
	if (k >= MOS_PASSIVE_MAX)
		return NULL;
	m = passive_by_number(s, k);
	if (m == NULL || atomic_load_explicit(&m->flows[n].set, memory_order_relaxed) == NULL)
		return NULL;
	if (flow != NULL)
		*flow = n;
	return &m->flows[n];
}

int mos_socket_type(struct mos_sockets *s, int id)
{
	struct mos_mon_sock *m = mos_socket_mon(s, id);

	if (m != NULL)
		return m->type;
	return mos_socket_active(s, id, NULL) != NULL ? MOS_SOCK_MONITOR_STREAM_ACTIVE
	                                              : MOS_SOCK_UNUSED;
}

/*
 * Publish the set at *where with one callback changed. The stack thread may detach the flow, or
 * attach a new one, at any moment: then we start again from what it wrote. Under the lock.
 */
static int change(struct mos_sockets *s, _Atomic(const struct mos_cb_set *) *where, unsigned bit,
                  enum mos_hook hook, callback_t cb)
{
	const struct mos_cb_set *old = atomic_load_explicit(where, memory_order_acquire), *set;

	do {
		if (old == NULL)
			return -EBADF;
		set = with_callback(s, old, bit, hook, cb);
		if (set == NULL)
			return -ENOMEM;
	} while (!atomic_compare_exchange_weak_explicit(where, &old, set, memory_order_release,
	                                                memory_order_acquire));
	return 0;
}

int mos_socket_register(struct mos_sockets *s, int id, unsigned event_bit, enum mos_hook hook,
                        callback_t cb)
{
	struct mos_flow_sock *a;
	struct mos_mon_sock *m;
	int err = -EBADF;

	pthread_mutex_lock(&s->lock);
	m = mos_socket_mon(s, id);
	a = m == NULL ? mos_socket_active(s, id, NULL) : NULL;
	if (m != NULL)
		err = change(s, &m->set, event_bit, hook, cb);
	else if (a != NULL)
		err = change(s, &a->set, event_bit, hook, cb);
	pthread_mutex_unlock(&s->lock);
	return err;
}

/* ---- flows ---- */

void mos_sockets_attach_flow(struct mos_sockets *s, uint32_t flow)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);

	for (; path != 0; path >>= 8) {
		struct mos_mon_sock *m = &s->mon[(path & 0xff) - 1];

		m->flows[flow].uctx = NULL;
		atomic_store_explicit(&m->flows[flow].set,
		                      atomic_load_explicit(&m->set, memory_order_acquire),
		                      memory_order_relaxed);
	}
}

void mos_sockets_detach_flow(struct mos_sockets *s, uint32_t flow)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);

	for (; path != 0; path >>= 8) {
		struct mos_mon_sock *m = &s->mon[(path & 0xff) - 1];

		atomic_store_explicit(&m->flows[flow].set, NULL, memory_order_relaxed);
		m->flows[flow].uctx = NULL;
	}
}
