#include "primary/supervisor/supervisor_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "primary/report/report.h"
#include "primary/shard_map/shard_map.h"

static struct mos_lease *lease_of(struct mos_supervisor *s, uint32_t i)
{
	return &s->p->guard[i].shard->lease;
}

static uint32_t slot_of(const struct mos_supervisor *s, const struct worker *w)
{
	return (uint32_t)(w - s->worker);
}

/* ---- service ---- */

static bool holds(const struct mos_supervisor *s)
{
	return s->hold_for_ever || s->p->cfg.fail_hold_ms > 0;
}

void mos_sup_withdraw(struct mos_supervisor *s, uint32_t i)
{
	s->watch[i].stalled = false;
	mos_shard_map_set(i, holds(s) ? MOS_SERVICE_HELD : MOS_SERVICE_UNSERVED);
}

/*
 * The map comes before the lease: once a worker knows that a shard is its own, the I/O lcore no
 * longer takes packets out of the rx ring. It does so when a shard is UNSERVED only; that grace
 * period is waited for. False when there is no memory for a map.
 */
static bool serve(uint32_t i)
{
	switch (mos_shard_map_service(i)) {
	case MOS_SERVICE_SERVED: return true;
	case MOS_SERVICE_UNSERVED: return mos_shard_map_set(i, MOS_SERVICE_SERVED) == 0;
	default: return mos_shard_map_set_soon(i, MOS_SERVICE_SERVED) == 0;
	}
}

void mos_sup_report_service(struct mos_supervisor *s, uint32_t i)
{
	struct shard_watch *watch = &s->watch[i];

	mos_report("shard %u: served by pid %d", i, lease_of(s, i)->pid);
	if (watch->was_served)
		mos_report("shard %u: without a worker for %" PRIu64 ".%03" PRIu64 " ms", i,
		           watch->gap_ns / 1000000, watch->gap_ns / 1000 % 1000);
	watch->was_served = true;
}

/* ---- granting ---- */

static void refuse(struct mos_ctl_msg *answer, uint32_t ctx, int error)
{
	mos_ctl_init(answer, MOS_CTL_REFUSED);
	answer->ctx = ctx;
	answer->error = error;
}

/*
 * Give a served, free shard to a context and tell it so. False: it cannot be told, for it is
 * leaving, and so has not got it: the shard is free.
 */
static bool grant(struct mos_supervisor *s, uint32_t i, struct worker *w, uint32_t ctx)
{
	struct mos_lease *lease = lease_of(s, i);
	struct shard_watch *watch = &s->watch[i];
	struct mos_ctl_msg m;
	uint64_t now;

	mos_ctl_init(&m, MOS_CTL_LEASED);
	m.shard = i;
	m.ctx = ctx;
	mos_lease_ask_no_more(lease);
	m.epoch = mos_lease_grant(lease, w->pid, w->start_time, slot_of(s, w) + 1);
	watch->beat = __atomic_load_n(&lease->heartbeat, __ATOMIC_RELAXED);
	if (mos_ctl_send(w->fd, &m) != 0) {
		mos_lease_declare_dead(lease);
		mos_lease_release(lease);
		return false;
	}
	watch->holder = (struct holder){true, w->pid, w->start_time, m.epoch};
	now = mos_sup_now_ns();
	watch->gap_ns = now - watch->unserved_ns;
	watch->beat_ns = now;
	watch->began = false;
	watch->stalled = false;
	return true;
}

bool mos_sup_give_on(struct mos_supervisor *s, uint32_t i)
{
	const struct mos_claim *next;
	struct mos_claim claim;

	if (mos_sup_is_ending(s))
		return false;
	while ((next = mos_claims_next(&s->claims, i)) != NULL) {
		/* A standby comes after a worker, not before the first. */
		if ((next->shard == MOS_CLAIM_ANY && !s->watch[i].was_served) || !serve(i))
			return false;
		mos_claims_remove(&s->claims, next->worker, next->ctx, &claim);
		if (grant(s, i, &s->worker[claim.worker], claim.ctx))
			return true;
	}
	return false;
}

/* ---- a lease on what is free ---- */

/* By what we know, too: a holder gone wild may have written that nobody has its shard. */
static bool is_free(struct mos_supervisor *s, uint32_t i)
{
	return mos_lease_state(lease_of(s, i)) == MOS_LEASE_FREE && mos_sup_in_order(s, i);
}

static uint32_t find_free(struct mos_supervisor *s, uint32_t want)
{
	uint32_t n = s->p->root->shard_count;

	if (want < n && is_free(s, want))
		return want;
	for (uint32_t i = 0; i < n; i++)
		if (is_free(s, i))
			return i;
	return UINT32_MAX;
}

static void say_who_holds(struct mos_supervisor *s, struct mos_ctl_msg *answer)
{
	uint32_t n = s->p->root->shard_count;
	int at;

	at = snprintf(answer->text, sizeof(answer->text), "no free shard: ");
	for (uint32_t i = 0; i < n && at < (int)sizeof(answer->text) - 48; i++)
		at += snprintf(answer->text + at, sizeof(answer->text) - (size_t)at,
		               "%s%u is held by pid %d", i ? ", " : "", i, lease_of(s, i)->pid);
	snprintf(answer->text + at, sizeof(answer->text) - (size_t)at,
	         "; stop one, or raise `workers`");
}

static bool lease_free(struct mos_supervisor *s, struct worker *w, const struct mos_ctl_msg *m,
                       struct mos_ctl_msg *answer)
{
	uint32_t i = find_free(s, m->shard);

	if (i == UINT32_MAX) {
		refuse(answer, m->ctx, EBUSY);
		say_who_holds(s, answer);
		return false;
	}
	if (!serve(i)) {
		refuse(answer, m->ctx, ENOMEM);
		snprintf(answer->text, sizeof(answer->text), "the primary has no memory left");
		return false;
	}
	if (grant(s, i, w, m->ctx))
		mos_sup_report_service(s, i);
	else
		mos_sup_withdraw(s, i);
	return true;
}

/* ---- claims ---- */

/* A shard of this process that is promised to nobody, the wanted one first; or MOS_CLAIM_ANY. */
static uint32_t find_held_by(struct mos_supervisor *s, pid_t pid, uint32_t want)
{
	uint32_t n = s->p->root->shard_count, found = MOS_CLAIM_ANY;

	for (uint32_t i = n; i-- > 0;)
		if (lease_of(s, i)->pid == pid && mos_claims_promised(&s->claims, i) == NULL &&
		    found != want)
			found = i;
	return found;
}

static bool holds_any(struct mos_supervisor *s, pid_t pid)
{
	for (uint32_t i = 0; i < s->p->root->shard_count; i++)
		if (lease_of(s, i)->pid == pid)
			return true;
	return false;
}

static int claim_from(struct mos_supervisor *s, const struct mos_claim *claimant, pid_t pid,
                      uint32_t want)
{
	struct mos_claim claim = *claimant;
	int err;

	claim.shard = find_held_by(s, pid, want);
	if (claim.shard == MOS_CLAIM_ANY)
		return holds_any(s, pid) ? -EBUSY : -ESRCH;
	err = mos_claims_add(&s->claims, &claim);
	if (err == 0)
		mos_lease_ask(lease_of(s, claim.shard));
	return err;
}

static int claim_from_dead(struct mos_supervisor *s, const struct mos_claim *claimant)
{
	int err = mos_claims_add(&s->claims, claimant);

	for (uint32_t i = 0; err == 0 && i < s->p->root->shard_count; i++)
		if (is_free(s, i) && mos_sup_give_on(s, i))
			mos_sup_report_service(s, i);
	return err;
}

static void say_why_not(struct mos_ctl_msg *answer, int err, pid_t pid)
{
	switch (err) {
	case -ESRCH:
		snprintf(answer->text, sizeof(answer->text), "pid %d holds no shard", (int)pid);
		break;
	case -EBUSY:
		snprintf(answer->text, sizeof(answer->text),
		         "pid %d is being replaced by another process already", (int)pid);
		break;
	case -EEXIST:
		snprintf(answer->text, sizeof(answer->text),
		         "this context waits for a shard already");
		break;
	default:
		snprintf(answer->text, sizeof(answer->text), "too many processes wait for a shard");
	}
}

bool mos_sup_lease(struct mos_supervisor *s, struct worker *w, const struct mos_ctl_msg *m,
                   struct mos_ctl_msg *answer)
{
	struct mos_claim claimant = {slot_of(s, w), m->ctx, MOS_CLAIM_ANY};
	int err;

	if (m->from == MOS_CTL_FROM_FREE)
		return lease_free(s, w, m, answer);
	if (m->from == MOS_CTL_FROM_DEAD)
		err = claim_from_dead(s, &claimant);
	else
		err = claim_from(s, &claimant, m->from, m->shard);
	if (err == 0)
		return true;
	refuse(answer, m->ctx, -err);
	say_why_not(answer, err, m->from);
	return false;
}

/* The holder need not yield any more, if it has not yet. */
static void ask_no_more(struct mos_supervisor *s, const struct mos_claim *claim)
{
	if (claim->shard != MOS_CLAIM_ANY)
		mos_lease_ask_no_more(lease_of(s, claim->shard));
}

void mos_sup_drop_claims(struct mos_supervisor *s, const struct worker *w)
{
	struct mos_claim claim;

	while (mos_claims_remove_any(&s->claims, slot_of(s, w), &claim))
		ask_no_more(s, &claim);
}

void mos_sup_refuse_claims(struct mos_supervisor *s)
{
	struct mos_ctl_msg m;

	while (s->claims.count > 0) {
		struct mos_claim claim = s->claims.claim[0];

		mos_claims_remove(&s->claims, claim.worker, claim.ctx, &claim);
		ask_no_more(s, &claim);
		refuse(&m, claim.ctx, ESHUTDOWN);
		snprintf(m.text, sizeof(m.text), "the primary is stopping");
		mos_ctl_send(s->worker[claim.worker].fd, &m); /* it sees that itself, too */
	}
}

/* ---- what is given back ---- */

void mos_sup_take_back(struct mos_supervisor *s, uint32_t i)
{
	bool promised = mos_claims_promised(&s->claims, i) != NULL, given;
	struct mos_lease *lease = lease_of(s, i);
	int pid = lease->pid;

	s->watch[i].unserved_ns = mos_sup_now_ns();
	mos_lease_release(lease);
	s->watch[i].holder.held = false;
	given = mos_sup_give_on(s, i);
	if (!given)
		mos_sup_withdraw(s, i);
	if (given && promised)
		mos_report("shard %u: handed over by pid %d to pid %d", i, pid, lease->pid);
	else
		mos_report("shard %u: pid %d gave it back", i, pid);
	if (given)
		mos_sup_report_service(s, i);
}

/* What a holder of this epoch had, it has no more: RELEASE came late. */
static bool is_over(const struct mos_lease *lease, uint32_t epoch)
{
	return (int32_t)(lease->epoch - epoch) > 0 ||
	       (lease->epoch == epoch && mos_lease_state(lease) == MOS_LEASE_FREE);
}

void mos_sup_release(struct mos_supervisor *s, struct worker *w, const struct mos_ctl_msg *m,
                     struct mos_ctl_msg *answer)
{
	struct mos_lease *lease;
	struct mos_claim claim;

	mos_ctl_init(answer, MOS_CTL_RELEASED);
	answer->shard = m->shard;
	answer->ctx = m->ctx;
	if (m->shard == MOS_CTL_ANY) {
		if (mos_claims_remove(&s->claims, slot_of(s, w), m->ctx, &claim))
			ask_no_more(s, &claim);
		return;
	}
	if (m->shard >= s->p->root->shard_count) {
		refuse(answer, m->ctx, EINVAL);
		snprintf(answer->text, sizeof(answer->text), "there is no shard %u", m->shard);
		return;
	}
	lease = lease_of(s, m->shard);
	if (mos_sup_is_holder(&s->watch[m->shard].holder, w) && lease->epoch == m->epoch &&
	    mos_lease_state(lease) == MOS_LEASE_YIELDING) {
		mos_sup_take_back(s, m->shard);
	} else if (!is_over(lease, m->epoch)) {
		refuse(answer, m->ctx, EINVAL);
		snprintf(answer->text, sizeof(answer->text), "shard %u is not yours to release",
		         m->shard);
	}
}
