#include "shared/lease/lease.h"

/* Move from one state to another; release publishes what the mover wrote before. */
static bool step(struct mos_lease *l, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(&l->state, &from, to, false, __ATOMIC_ACQ_REL,
	                                   __ATOMIC_ACQUIRE);
}

uint32_t mos_lease_grant(struct mos_lease *l, int32_t pid, uint64_t start_time,
                         uint32_t attach_slot)
{
	uint32_t epoch = l->epoch + 1;

	if (mos_lease_state(l) != MOS_LEASE_FREE)
		return 0;
	if (epoch == 0) /* 0 means refused */
		epoch = 1;
	l->pid = pid;
	l->start_time = start_time;
	l->attach_slot = attach_slot;
	__atomic_store_n(&l->epoch, epoch, __ATOMIC_RELAXED);
	step(l, MOS_LEASE_FREE, MOS_LEASE_HELD); /* only the primary leaves FREE */
	return epoch;
}

void mos_lease_ask(struct mos_lease *l)
{
	__atomic_store_n(&l->asked, l->epoch, __ATOMIC_RELAXED);
}

void mos_lease_ask_no_more(struct mos_lease *l)
{
	__atomic_store_n(&l->asked, 0, __ATOMIC_RELAXED);
}

bool mos_lease_yield(struct mos_lease *l, uint32_t epoch)
{
	if (__atomic_load_n(&l->epoch, __ATOMIC_RELAXED) != epoch)
		return false;
	return step(l, MOS_LEASE_HELD, MOS_LEASE_YIELDING);
}

bool mos_lease_declare_dead(struct mos_lease *l)
{
	return step(l, MOS_LEASE_HELD, MOS_LEASE_DEAD) ||
	       step(l, MOS_LEASE_YIELDING, MOS_LEASE_DEAD);
}

bool mos_lease_release(struct mos_lease *l)
{
	enum mos_lease_state s = mos_lease_state(l);

	if (s != MOS_LEASE_YIELDING && s != MOS_LEASE_DEAD)
		return false;
	l->pid = 0;
	l->start_time = 0;
	return step(l, s, MOS_LEASE_FREE);
}

const char *mos_lease_state_name(unsigned state)
{
	static const char *const names[] = {"free", "held", "yielding", "dead"};

	return state < 4 ? names[state] : "?";
}
