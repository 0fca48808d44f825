#include "primary/supervisor/supervisor_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rte_ring.h>

#include "primary/crash/crash.h"
#include "primary/report/report.h"
#include "primary/shard_map/shard_map.h"
#include "shared/flow_table/flow_text.h"

/* A worker without a finished round for this long, while packets wait, is reported as stalled. */
#define STALL_NS UINT64_C(1000000000)

/* Its heart beats first when it has taken over the flows, which takes long for millions of them. */
#define TAKEOVER_NS UINT64_C(10000000000)

/* RELEASE follows a yield at once; if it could not be sent, the shard is taken back without. */
#define RELEASE_NS UINT64_C(1000000000)

/* A dead worker's burst goes out by the tx ring: so many naps the I/O lcore gets to make room. */
#define ROOM_NAPS   100
#define ROOM_NAP_NS 100000

static struct mos_shard *shard_at(struct mos_supervisor *s, uint32_t i)
{
	return s->p->root->shard[i];
}

/* ---- service ---- */

static bool holds(const struct mos_supervisor *s)
{
	return s->hold_for_ever || s->p->cfg.fail_hold_ms > 0;
}

/* Nobody serves the shard any more: packets wait, or get the fail policy. */
static void withdraw(struct mos_supervisor *s, uint32_t i)
{
	s->watch[i].unserved_ns = mos_sup_now_ns();
	s->watch[i].stalled = false;
	mos_shard_map_set(i, holds(s) ? MOS_SERVICE_HELD : MOS_SERVICE_UNSERVED);
}

void mos_sup_shards_init(struct mos_supervisor *s)
{
	const struct mos_root *root = s->p->root;

	for (uint32_t i = 0; i < root->port_count; i++)
		s->hold_for_ever |= root->port[i].lossless;
	for (uint32_t i = 0; i < root->shard_count; i++) {
		s->watch[i].unserved_ns = mos_sup_now_ns();
		if (holds(s))
			mos_shard_map_set(i, MOS_SERVICE_HELD);
	}
}

/* ---- leases ---- */

static uint32_t find_free(struct mos_supervisor *s, uint32_t want)
{
	uint32_t n = s->p->root->shard_count;

	if (want < n && mos_lease_state(&shard_at(s, want)->lease) == MOS_LEASE_FREE)
		return want;
	for (uint32_t i = 0; i < n; i++)
		if (mos_lease_state(&shard_at(s, i)->lease) == MOS_LEASE_FREE)
			return i;
	return UINT32_MAX;
}

static void refuse_busy(struct mos_supervisor *s, struct mos_ctl_msg *answer)
{
	uint32_t n = s->p->root->shard_count;
	int at;

	mos_ctl_init(answer, MOS_CTL_REFUSED);
	answer->error = EBUSY;
	at = snprintf(answer->text, sizeof(answer->text), "no free shard: ");
	for (uint32_t i = 0; i < n && at < (int)sizeof(answer->text) - 48; i++)
		at += snprintf(answer->text + at, sizeof(answer->text) - (size_t)at,
		               "%s%u is held by pid %d", i ? ", " : "", i,
		               shard_at(s, i)->lease.pid);
	snprintf(answer->text + at, sizeof(answer->text) - (size_t)at,
	         "; stop one, or raise `workers`");
}

static void report_service(struct mos_supervisor *s, uint32_t i, const struct worker *w)
{
	struct shard_watch *watch = &s->watch[i];
	uint64_t ns = mos_sup_now_ns() - watch->unserved_ns;

	mos_report("shard %u: served by pid %d", i, (int)w->pid);
	if (watch->was_served)
		mos_report("shard %u: without a worker for %" PRIu64 ".%03" PRIu64 " ms", i,
		           ns / 1000000, ns / 1000 % 1000);
	watch->was_served = true;
}

void mos_sup_lease(struct mos_supervisor *s, struct worker *w, uint32_t want,
                   struct mos_ctl_msg *answer)
{
	uint32_t i = find_free(s, want);
	struct mos_lease *lease;

	if (i == UINT32_MAX) {
		refuse_busy(s, answer);
		return;
	}
	/* The map first: once the worker knows, the I/O lcore no longer consumes its rx ring. */
	if (mos_shard_map_set(i, MOS_SERVICE_SERVED) != 0) {
		mos_ctl_init(answer, MOS_CTL_REFUSED);
		answer->error = ENOMEM;
		snprintf(answer->text, sizeof(answer->text), "the primary has no memory left");
		return;
	}
	lease = &shard_at(s, i)->lease;
	mos_ctl_init(answer, MOS_CTL_LEASED);
	answer->shard = i;
	answer->epoch =
		mos_lease_grant(lease, w->pid, w->start_time, (uint32_t)(w - s->worker) + 1);
	s->watch[i].beat = __atomic_load_n(&lease->heartbeat, __ATOMIC_RELAXED);
	s->watch[i].beat_ns = mos_sup_now_ns();
	s->watch[i].began = false;
	report_service(s, i, w);
}

static bool is_holder(const struct mos_lease *l, const struct worker *w)
{
	return l->pid == w->pid && l->start_time == w->start_time;
}

/* The holder has put everything down: the shard is free. */
static void take_back(struct mos_supervisor *s, uint32_t i)
{
	struct mos_lease *lease = &shard_at(s, i)->lease;
	int pid = lease->pid;

	withdraw(s, i);
	mos_lease_release(lease);
	mos_report("shard %u: pid %d gave it back", i, pid);
}

void mos_sup_release(struct mos_supervisor *s, struct worker *w, const struct mos_ctl_msg *m,
                     struct mos_ctl_msg *answer)
{
	struct mos_lease *lease;

	mos_ctl_init(answer, MOS_CTL_REFUSED);
	answer->error = EINVAL;
	if (m->shard >= s->p->root->shard_count) {
		snprintf(answer->text, sizeof(answer->text), "there is no shard %u", m->shard);
		return;
	}
	lease = &shard_at(s, m->shard)->lease;
	if (is_holder(lease, w) && lease->epoch == m->epoch &&
	    mos_lease_state(lease) == MOS_LEASE_YIELDING) {
		take_back(s, m->shard);
	} else if (lease->epoch != m->epoch || mos_lease_state(lease) != MOS_LEASE_FREE) {
		snprintf(answer->text, sizeof(answer->text), "shard %u is not yours to release",
		         m->shard);
		return;
	}
	mos_ctl_init(answer, MOS_CTL_RELEASED);
	answer->shard = m->shard;
}

/* ---- deaths ---- */

void mos_sup_declare_dead(struct mos_supervisor *s, const struct worker *w)
{
	for (uint32_t i = 0; i < s->p->root->shard_count; i++) {
		struct mos_lease *l = &shard_at(s, i)->lease;

		if (is_holder(l, w) && mos_lease_declare_dead(l))
			s->watch[i].unserved_ns = mos_sup_now_ns();
	}
}

static void report_death(uint32_t i, int pid, const struct mos_crash_report *r)
{
	char flow[MOS_FLOW_TEXT_LEN + 64] = "", name[MOS_FLOW_TEXT_LEN];

	if (r->strikes > 0)
		snprintf(flow, sizeof(flow), ", flow %u (%s), strikes %u", r->flow,
		         mos_flow_key_text(name, &r->key), r->strikes);
	else if (r->flow != UINT32_MAX)
		snprintf(flow, sizeof(flow), ", flow %u, strikes 0", r->flow);
	mos_report("shard %u: worker pid %d died: in hand %u, rescued %u, waiting %u, suspect %s, "
	           "stage %s%s, recovered %u%s",
	           i, pid, r->in_hand, r->rescued, r->waiting, r->suspect ? "yes" : "no",
	           mos_ledger_stage_name(r->stage), flow, r->recovered,
	           r->ledger_bad ? ", ledger damaged" : "");
}

static void wait_for_room(const struct mos_shard *shard)
{
	const struct timespec nap = {.tv_nsec = ROOM_NAP_NS};

	for (int i = 0; i < ROOM_NAPS && rte_ring_free_count(shard->tx) < MOS_BURST_MAX; i++)
		nanosleep(&nap, NULL);
}

/* With no memory for a new map the shard stays DEAD, and the next round tries again. */
static void repair(struct mos_supervisor *s, uint32_t i)
{
	struct mos_lease *lease = &shard_at(s, i)->lease;
	uint64_t since = s->watch[i].unserved_ns;
	struct mos_crash_report report;
	int pid = lease->pid;

	wait_for_room(shard_at(s, i));
	if (mos_shard_map_set(i, MOS_SERVICE_PARKED) != 0)
		return;
	mos_crash_repair(s->p, i, s->p->cfg.fail_policy == MOS_CONFIG_FAIL_OPEN, &report);
	mos_lease_release(lease);
	withdraw(s, i);
	s->watch[i].unserved_ns = since; /* the clock runs from the death */
	report_death(i, pid, &report);
}

/* ---- time ---- */

static void end_hold(struct mos_supervisor *s, uint32_t i, uint64_t now)
{
	uint64_t hold_ns = (uint64_t)s->p->cfg.fail_hold_ms * 1000000;

	if (s->hold_for_ever || mos_shard_map_service(i) != MOS_SERVICE_HELD ||
	    now - s->watch[i].unserved_ns < hold_ns)
		return;
	if (mos_shard_map_set(i, MOS_SERVICE_UNSERVED) == 0)
		mos_report("shard %u: no worker within %d ms; packets are %s", i,
		           s->p->cfg.fail_hold_ms,
		           s->p->cfg.fail_policy == MOS_CONFIG_FAIL_OPEN ? "forwarded unmonitored"
		                                                         : "dropped");
}

static void kill_holder(struct mos_supervisor *s, const struct mos_lease *l)
{
	for (unsigned k = 0; k < WORKER_MAX; k++) {
		struct worker *w = &s->worker[k];

		if (w->state == WORKER_ATTACHED && is_holder(l, w))
			syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
	}
}

static void look_for_stall(struct mos_supervisor *s, uint32_t i, uint64_t now)
{
	struct mos_shard *shard = shard_at(s, i);
	struct shard_watch *watch = &s->watch[i];
	uint64_t beat = __atomic_load_n(&shard->lease.heartbeat, __ATOMIC_RELAXED);
	uint64_t kill_ns = (uint64_t)s->p->cfg.stall_kill_ms * 1000000;
	uint64_t stall_ns = kill_ns != 0 && kill_ns < STALL_NS ? kill_ns : STALL_NS;
	uint64_t stood_ns;

	watch->began |= beat != watch->beat;
	if (beat != watch->beat || rte_ring_empty(shard->rx)) {
		if (watch->stalled)
			mos_report("shard %u: pid %d goes on", i, shard->lease.pid);
		watch->beat = beat;
		watch->beat_ns = now;
		watch->stalled = false;
		return;
	}
	stood_ns = now - watch->beat_ns;
	if (!watch->began)
		stood_ns = stood_ns > TAKEOVER_NS ? stood_ns - TAKEOVER_NS : 0;
	if (!watch->stalled && stood_ns >= stall_ns) {
		watch->stalled = true;
		mos_counter_add(&s->p->root->supervisor, MOS_CTR_STALLS, 1);
		mos_report(
			"shard %u: pid %d makes no progress (stage %s, flow %d), %u packets wait",
			i, shard->lease.pid, mos_ledger_stage_name(shard->ledger.stage),
			(int)shard->ledger.flow, rte_ring_count(shard->rx));
	}
	if (kill_ns != 0 && stood_ns >= kill_ns) {
		mos_report("shard %u: pid %d is killed: no progress for %d ms (stall_kill)", i,
		           shard->lease.pid, s->p->cfg.stall_kill_ms);
		kill_holder(s, &shard->lease);
		watch->beat_ns = now; /* the pidfd tells when it is gone */
	}
}

static void await_release(struct mos_supervisor *s, uint32_t i, uint64_t now)
{
	if (now - s->watch[i].beat_ns >= RELEASE_NS)
		take_back(s, i);
}

void mos_sup_tend_shards(struct mos_supervisor *s)
{
	uint64_t now = mos_sup_now_ns();

	for (uint32_t i = 0; i < s->p->root->shard_count; i++) {
		switch (mos_lease_state(&shard_at(s, i)->lease)) {
		case MOS_LEASE_DEAD: repair(s, i); break;
		case MOS_LEASE_HELD: look_for_stall(s, i, now); break;
		case MOS_LEASE_FREE: end_hold(s, i, now); break;
		case MOS_LEASE_YIELDING: await_release(s, i, now); break;
		}
	}
}
