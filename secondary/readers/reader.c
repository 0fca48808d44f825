#include "secondary/readers/reader.h"

#include <time.h>

#include <rte_rcu_qsbr.h>

#include "shared/root/root.h"
#include "shared/root/shard.h"

#define NAP_NS 100000

/* The shard has no worker, or one that has seen this turn: pairs with note() of readers.c. */
static bool is_kept(const struct mos_shard *s, uint64_t turn)
{
	return mos_readers_turn(__atomic_load_n(&s->readers_seen, __ATOMIC_ACQUIRE)) >= turn ||
	       mos_lease_state(&s->lease) != MOS_LEASE_HELD;
}

bool mos_reader_begin(struct mos_reader *r, const struct mos_root *root, unsigned attach_slot,
                      unsigned wait_ms)
{
	/* We were registered before WELCOME: our turn, or a later one. */
	uint64_t turn = mos_readers_turn(__atomic_load_n(&root->readers_now, __ATOMIC_ACQUIRE));
	const struct timespec nap = {.tv_nsec = NAP_NS};
	unsigned naps = wait_ms * (1000000 / NAP_NS);
	uint32_t i = 0;

	r->v = root->readers;
	r->slot = attach_slot;
	while (i < root->shard_count) {
		if (is_kept(root->shard[i], turn))
			i++;
		else if (naps-- > 0)
			nanosleep(&nap, NULL);
		else
			break;
	}
	mos_reader_resume(r);
	return i == root->shard_count;
}

void mos_reader_quiescent(struct mos_reader *r)
{
	rte_rcu_qsbr_quiescent(r->v, r->slot);
}

void mos_reader_pause(struct mos_reader *r)
{
	rte_rcu_qsbr_thread_offline(r->v, r->slot);
}

void mos_reader_resume(struct mos_reader *r)
{
	rte_rcu_qsbr_thread_online(r->v, r->slot);
}
