#include "primary/crash/crash.h"

#include <rte_ring.h>

/*
 * A dead consumer may have moved head and not tail: what it was reading is still in the ring, so
 * going back to tail loses nothing. A dead producer may have moved head and not tail: what it was
 * writing was never published, and the slots between are stale.
 */
void mos_ring_repair_consumer(struct rte_ring *r)
{
	__atomic_store_n(&r->cons.head, __atomic_load_n(&r->cons.tail, __ATOMIC_ACQUIRE),
	                 __ATOMIC_RELEASE);
}

void mos_ring_repair_producer(struct rte_ring *r)
{
	__atomic_store_n(&r->prod.head, __atomic_load_n(&r->prod.tail, __ATOMIC_ACQUIRE),
	                 __ATOMIC_RELEASE);
}
