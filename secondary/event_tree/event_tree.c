#include "secondary/event_tree/event_tree.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "mos_ext.h"
#include "mtcp_util.h"
#include "secondary/util/hold_signals.h"

#define BUCKETS 4096

/*
 * An event as we keep it. The application gets a pointer to ude.arg and may write there, so what
 * tells events apart stands apart.
 */
struct entry {
	struct mos_ude ude;
	struct entry *next; /* in its bucket; defined events only */
	uint64_t hash;
	size_t len;
	_Alignas(max_align_t) unsigned char bytes[]; /* len of them */
};

/* What the same event is defined by. No padding: it is hashed. */
struct key {
	event_t base;
	filter_t filter;
	struct filter_arg arg;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for whoever writes */
static uint32_t ude_count;
static struct entry *buckets[BUCKETS];
static _Atomic(struct entry *) table[MOS_UDE_MAX]; /* by id; read without lock */

/* With signals held back: a handler may define events too, or wait for a thread that does. */
static void enter(sigset_t *old)
{
	mos_signals_hold(old);
	pthread_mutex_lock(&lock);
}

static void leave(const sigset_t *old)
{
	pthread_mutex_unlock(&lock);
	mos_signals_release(old);
}

static const uint16_t registrable[MOS_HOOK_COUNT] = {
	[MOS_HOOK_NULL] = MOS_ON_PKT_IN | MOS_ON_CONN_NEW_DATA | MOS_ON_ORPHAN | MOS_ON_ERROR |
                          MOS_ON_CONN_RESTORE,
	[MOS_HOOK_SND] = MOS_ON_PKT_IN | MOS_ON_CONN_START | MOS_ON_TCP_STATE_CHANGE |
                         MOS_ON_REXMIT | MOS_ON_CONN_END,
	[MOS_HOOK_RCV] = MOS_ON_PKT_IN | MOS_ON_CONN_START | MOS_ON_TCP_STATE_CHANGE |
                         MOS_ON_REXMIT | MOS_ON_CONN_END,
};

/* Number of the one bit of a built-in event that is in `among`, or -EINVAL. */
static int builtin_bit(event_t event, unsigned among)
{
	if (event == 0 || (event & (event - 1)) != 0 || (event & among) == 0)
		return -EINVAL;
	return __builtin_ctzll(event);
}

/* ---- finding ---- */

const struct mos_ude *mos_ude_lookup(event_t id)
{
	struct entry *e;

	if (id < MOS_UDE_FIRST || id - MOS_UDE_FIRST >= MOS_UDE_MAX)
		return NULL;
	/* pairs with publish */
	e = atomic_load_explicit(&table[id - MOS_UDE_FIRST], memory_order_acquire);
	return e != NULL ? &e->ude : NULL;
}

/* What is below which event: its entry, or NULL for a built-in one, and the bit of the root. */
static int find_base(event_t base, const struct mos_ude **parent, unsigned *root_bit)
{
	int bit;

	*parent = mos_ude_lookup(base);
	if (*parent != NULL) {
		*root_bit = (*parent)->root_bit;
		return 0;
	}
	bit = builtin_bit(base, registrable[MOS_HOOK_NULL] | registrable[MOS_HOOK_SND]);
	if (bit < 0)
		return bit;
	*root_bit = (unsigned)bit;
	return 0;
}

static uint64_t key_hash(const struct key *key)
{
	return XXH64(key->arg.arg, key->arg.len, XXH64(key, offsetof(struct key, arg), 0));
}

static event_t base_of(const struct mos_ude *ude)
{
	return ude->parent != NULL ? ude->parent->id : (event_t)1 << ude->root_bit;
}

/* Under the lock. */
static struct entry *find_same(const struct key *key, uint64_t hash)
{
	struct entry *e;

	for (e = buckets[hash % BUCKETS]; e != NULL; e = e->next)
		if (e->hash == hash && e->ude.filter == key->filter && e->len == key->arg.len &&
		    base_of(&e->ude) == key->base &&
		    (e->len == 0 || memcmp(e->bytes, key->arg.arg, e->len) == 0))
			return e;
	return NULL;
}

/* ---- adding ---- */

/* A new event with room for len bytes, not in the table yet. Under the lock. NULL: no memory. */
static struct entry *new_entry(const struct mos_ude *parent, unsigned root_bit, size_t len)
{
	struct entry *e;

	if (ude_count == MOS_UDE_MAX || len > PTRDIFF_MAX - sizeof(*e))
		return NULL;
	e = malloc(sizeof(*e) + len);
	if (e == NULL)
		return NULL;
	*e = (struct entry){
		.ude = {.id = MOS_UDE_FIRST + ude_count, .parent = parent, .root_bit = root_bit},
		.len = len,
	};
	return e;
}

/* Under the lock. */
static void publish(struct entry *e)
{
	/* pairs with mos_ude_lookup */
	atomic_store_explicit(&table[ude_count++], e, memory_order_release);
}

/* The same event as before, or a new one. Under the lock. */
static int find_or_add(const struct key *key, const struct mos_ude *parent, unsigned root_bit,
                       event_t *id)
{
	uint64_t hash = key_hash(key);
	struct entry *e = find_same(key, hash);

	if (e == NULL) {
		e = new_entry(parent, root_bit, key->arg.len);
		if (e == NULL)
			return -ENOMEM;
		e->ude.filter = key->filter;
		e->hash = hash;
		if (e->len > 0) {
			memcpy(e->bytes, key->arg.arg, e->len);
			e->ude.arg = (struct filter_arg){.arg = e->bytes, .len = e->len};
		}
		e->next = buckets[hash % BUCKETS];
		buckets[hash % BUCKETS] = e;
		publish(e);
	}
	*id = e->ude.id;
	return 0;
}

int mos_ude_define(event_t base, filter_t filter, const struct filter_arg *arg, event_t *id)
{
	struct key key = {.base = base, .filter = filter};
	const struct mos_ude *parent;
	unsigned root_bit;
	sigset_t old;
	int err;

	if (arg != NULL && arg->len > 0)
		key.arg = *arg;
	if (filter == NULL || (key.arg.len > 0 && key.arg.arg == NULL))
		return -EINVAL;
	err = find_base(base, &parent, &root_bit);
	if (err != 0)
		return err;
	if (key.arg.len > PTRDIFF_MAX - sizeof(struct entry))
		return -ENOMEM;

	enter(&old);
	err = find_or_add(&key, parent, root_bit, id);
	leave(&old);
	return err;
}

int mos_ude_alloc(event_t parent, event_t *id)
{
	const struct mos_ude *base;
	struct entry *e;
	unsigned root_bit;
	sigset_t old;
	int err;

	err = find_base(parent, &base, &root_bit);
	if (err != 0)
		return err;
	enter(&old);
	e = new_entry(base, root_bit, 0);
	if (e != NULL) {
		*id = e->ude.id;
		publish(e);
	}
	leave(&old);
	return e != NULL ? 0 : -ENOMEM;
}

/* ---- where an event may be registered ---- */

int mos_event_check(event_t event, enum mos_hook hook, unsigned *root_bit)
{
	const struct mos_ude *ude = mos_ude_lookup(event);
	int bit;

	bit = builtin_bit(ude != NULL ? (event_t)1 << ude->root_bit : event, registrable[hook]);
	if (bit < 0)
		return bit;
	*root_bit = (unsigned)bit;
	return 0;
}

int mos_hook_from(int hook_point, enum mos_hook *hook)
{
	switch (hook_point) {
	case MOS_NULL: *hook = MOS_HOOK_NULL; return 0;
	case MOS_HK_SND: *hook = MOS_HOOK_SND; return 0;
	case MOS_HK_RCV: *hook = MOS_HOOK_RCV; return 0;
	default: return -EINVAL;
	}
}

/* ---- tests ---- */

void mos_ude_forget_all(void)
{
	sigset_t old;

	enter(&old);
	for (; ude_count > 0; ude_count--) {
		free(atomic_load_explicit(&table[ude_count - 1], memory_order_relaxed));
		atomic_store_explicit(&table[ude_count - 1], NULL, memory_order_relaxed);
	}
	memset(buckets, 0, sizeof(buckets));
	leave(&old);
}
