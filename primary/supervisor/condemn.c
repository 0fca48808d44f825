#include "primary/supervisor/supervisor_priv.h"

#include "primary/crash/audit.h"
#include "primary/report/report.h"
#include "primary/shard_map/shard_map.h"

/* Does the lease say what the supervisor knows? Its holder may yield at any moment. */
static bool lease_in_order(const struct mos_lease *l, const struct holder *h)
{
	enum mos_lease_state state = mos_lease_state(l);

	if (!h->held)
		return state == MOS_LEASE_FREE || state == MOS_LEASE_DEAD;
	return (state == MOS_LEASE_HELD || state == MOS_LEASE_YIELDING) && l->pid == h->pid &&
	       l->start_time == h->start_time && l->epoch == h->epoch;
}

static uint32_t bit_of(uint32_t i)
{
	return 1u << i;
}

bool mos_sup_in_order(const struct mos_supervisor *s, uint32_t i)
{
	const struct shard_watch *watch = &s->watch[i];

	return !watch->condemned &&
	       !(__atomic_load_n(&s->p->damaged, __ATOMIC_ACQUIRE) & bit_of(i)) &&
	       mos_shard_sound(s->p, i) &&
	       lease_in_order(&s->p->guard[i].shard->lease, &watch->holder);
}

static void end_holder(struct mos_supervisor *s, uint32_t i)
{
	struct shard_watch *watch = &s->watch[i];

	if (watch->condemned)
		return; /* the pidfd tells when it is gone */
	watch->condemned = true;
	mos_report("shard %u: its memory is damaged; pid %d is killed", i, (int)watch->holder.pid);
	mos_sup_kill_holder(s, i);
}

void mos_sup_condemn(struct mos_supervisor *s, uint32_t i)
{
	struct shard_watch *watch = &s->watch[i];
	struct mos_shard *shard = s->p->guard[i].shard;
	uint32_t recovered;
	bool given;

	if (watch->holder.held) {
		end_holder(s, i);
		return;
	}
	/* With no memory for a map, or for the shard's name, the next round tries again. */
	if (mos_shard_map_set(i, MOS_SERVICE_PARKED) != 0 || mos_shard_renew(s->p, i) != 0)
		return;
	shard->lease.epoch = watch->holder.epoch; /* one that slept shall not take it for its own */
	recovered = mos_audit_shard(s->p, i);
	mos_counter_add(&s->p->root->supervisor, MOS_CTR_MBUFS_RECOVERED, recovered);
	mos_counter_add(&s->p->root->supervisor, MOS_CTR_SHARDS_RENEWED, 1);
	__atomic_fetch_and(&s->p->damaged, ~bit_of(i), __ATOMIC_RELAXED);
	watch->condemned = false;
	given = mos_sup_give_on(s, i);
	if (!given)
		mos_sup_withdraw(s, i);
	mos_report("shard %u: its memory was damaged and is made anew: flows are lost, "
	           "recovered %u packets",
	           i, recovered);
	if (given)
		mos_sup_report_service(s, i);
}
