/*
 * Readers, as a worker sees them: other processes that walk the flow records of its shard.
 *
 *   primary                       worker                              reader (reader.h)
 *     registers it,                                                     attaches
 *     root->readers_now + 1 turn
 *                                 round: limbo on,
 *                                 shard->readers_seen = readers_now   sees that: goes online
 *                                 removed records go to limbo         looks at records
 *                                 a batch closes: a token is drawn    says that it is quiescent
 *                                 all readers have: the batch is free
 *     its process is gone:
 *     offline, unregistered
 *
 * So a record, its user area and its streams' state stay those of one flow as long as a reader may
 * look at them. Chunks (the bytes of streams) are not kept: their owner word says whose they are.
 *
 * The variable (struct rte_rcu_qsbr, thread id = attach slot) lies behind the root. Only the
 * primary registers and unregisters, so a reader may die at any instruction: all it writes is its
 * own counter. Without readers a round costs one load, of a line that is looked at anyway.
 * Limits: a reader that holds a grace period back for 2 s is killed by the primary, so a full
 * table has no room for new flows because of it for little longer.
 *
 * Stack thread of the context only, but for mos_readers_check().
 */
#ifndef MOS_SECONDARY_READERS_H
#define MOS_SECONDARY_READERS_H

#include "secondary/worker.h"

/* The variable of a root that has been joined is sound: 0 or -EPROTO. Any process. */
int mos_readers_check(const struct mos_root *root);

/* A shard has been taken over: what is removed from now on is kept if there are readers. */
void mos_readers_join(struct mos_ctx *c);

/* Readers have come or gone, or records are in limbo. */
void mos_readers_step(struct mos_ctx *c, uint64_t readers_now);

/* Before each round. */
static inline void mos_readers_round(struct mos_ctx *c)
{
	/* Pairs with the primary's store: it has registered whom it counts. */
	uint64_t now = __atomic_load_n(&c->root->readers_now, __ATOMIC_ACQUIRE);

	if (mos_unlikely(now != c->readers_seen || c->flows.limbo.count != 0))
		mos_readers_step(c, now);
}

#endif
