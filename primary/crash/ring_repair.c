#include "primary/crash/crash.h"

#include <rte_ring.h>

/*
 * A dead consumer may have moved head and not tail: what it was reading is still in the ring, so
 * going back to tail loses nothing. A dead producer may have moved head and not tail: what it was
 * writing was never published, and the slots between are stale.
 *
 * A process that wrote where it should not may have left a tail that cannot be: more entries than
 * the ring has slots. Its successor would read stale slots for ever, so the ring is made empty; the
 * audit finds what was in it.
 */
static bool possible(uint32_t prod_tail, uint32_t cons_tail, const struct rte_ring *r)
{
	return prod_tail - cons_tail <= r->capacity;
}

void mos_ring_repair_consumer(struct rte_ring *r)
{
	uint32_t prod = __atomic_load_n(&r->prod.tail, __ATOMIC_ACQUIRE);
	uint32_t cons = __atomic_load_n(&r->cons.tail, __ATOMIC_ACQUIRE);

	if (!possible(prod, cons, r))
		cons = prod;
	__atomic_store_n(&r->cons.tail, cons, __ATOMIC_RELEASE);
	__atomic_store_n(&r->cons.head, cons, __ATOMIC_RELEASE);
}

void mos_ring_repair_producer(struct rte_ring *r)
{
	uint32_t prod = __atomic_load_n(&r->prod.tail, __ATOMIC_ACQUIRE);
	uint32_t cons = __atomic_load_n(&r->cons.tail, __ATOMIC_ACQUIRE);

	if (!possible(prod, cons, r))
		prod = cons;
	__atomic_store_n(&r->prod.tail, prod, __ATOMIC_RELEASE);
	__atomic_store_n(&r->prod.head, prod, __ATOMIC_RELEASE);
}
