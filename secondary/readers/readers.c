#include "secondary/readers/readers.h"

#include <errno.h>

#include <rte_rcu_qsbr.h>

/* Records that come free in one round, at most: each is a cache miss. */
#define FREE_PER_ROUND 256

int mos_readers_check(const struct mos_root *root)
{
	const struct rte_rcu_qsbr *v = root->readers;

	return v->max_threads == MOS_ATTACH_SLOTS && v->num_elems == MOS_ATTACH_SLOTS / 64
	               ? 0
	               : -EPROTO;
}

/* From here on, those that are counted find what they look at kept: they wait for the store. */
static void note(struct mos_ctx *c, uint64_t now)
{
	mos_flow_limbo_set(&c->flows, mos_readers_count(now) != 0);
	c->readers_seen = now;
	__atomic_store_n(&c->shard->readers_seen, now, __ATOMIC_RELEASE); /* pairs with reader.c */
}

void mos_readers_join(struct mos_ctx *c)
{
	note(c, __atomic_load_n(&c->root->readers_now, __ATOMIC_ACQUIRE));
}

void mos_readers_step(struct mos_ctx *c, uint64_t readers_now)
{
	struct rte_rcu_qsbr *v = c->root->readers;

	if (readers_now != c->readers_seen)
		note(c, readers_now);
	if (mos_flow_limbo_waits(&c->flows) && rte_rcu_qsbr_check(v, c->grace, false))
		mos_flow_limbo_free(&c->flows, FREE_PER_ROUND);
	if (mos_flow_limbo_close(&c->flows))
		c->grace = rte_rcu_qsbr_start(v);
}
