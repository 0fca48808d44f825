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
#include "shared/flow_table/flow_table.h"
#include "shared/flow_table/flow_text.h"

/* A worker without a finished round for this long, while packets wait, is reported as stalled. */
#define STALL_NS UINT64_C(1000000000)

/*
 * Its heart beats first when it has taken over the flows, or while it does if there are many: so
 * much longer a successor may take that was not running when the shard came to it.
 */
#define TAKEOVER_NS UINT64_C(2000000000)

/* RELEASE follows a yield at once; if it could not be sent, the shard is taken back without. */
#define RELEASE_NS UINT64_C(1000000000)

/* A dead worker's burst goes out by the tx ring: so many naps the I/O lcore gets to make room. */
#define ROOM_NAPS   100
#define ROOM_NAP_NS 100000

static struct mos_shard *shard_at(struct mos_supervisor *s, uint32_t i)
{
	return s->p->guard[i].shard;
}

void mos_sup_shards_init(struct mos_supervisor *s)
{
	const struct mos_root *root = s->p->root;

	for (uint32_t i = 0; i < root->port_count; i++)
		s->hold_for_ever |= root->port[i].lossless;
	for (uint32_t i = 0; i < root->shard_count; i++) {
		s->watch[i].unserved_ns = mos_sup_now_ns();
		mos_sup_withdraw(s, i);
	}
}

/* ---- deaths ---- */

void mos_sup_declare_dead(struct mos_supervisor *s, const struct worker *w)
{
	for (uint32_t i = 0; i < s->p->root->shard_count; i++) {
		struct shard_watch *watch = &s->watch[i];

		if (!mos_sup_is_holder(&watch->holder, w))
			continue;
		/* A lease that it did not hold by its own words is no better than the rest. */
		watch->condemned |= !mos_lease_declare_dead(&shard_at(s, i)->lease);
		watch->holder.held = false;
		watch->unserved_ns = mos_sup_now_ns();
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

/*
 * With no memory for a new map the shard stays DEAD, and the next round tries again. Who waits for
 * the shard gets it before anything is said: words take time.
 */
static void repair(struct mos_supervisor *s, uint32_t i)
{
	struct mos_lease *lease = &shard_at(s, i)->lease;
	struct mos_crash_report report;
	int pid = lease->pid;
	bool given;

	wait_for_room(shard_at(s, i));
	if (mos_shard_map_set(i, MOS_SERVICE_PARKED) != 0)
		return;
	if (!mos_shard_sound(s->p, i))
		return; /* damaged meanwhile: the next round condemns it */
	mos_crash_repair(s->p, i, s->p->cfg.fail_policy == MOS_CONFIG_FAIL_OPEN, &report);
	mos_lease_release(lease);
	given = mos_sup_give_on(s, i);
	if (!given)
		mos_sup_withdraw(s, i);
	report_death(i, pid, &report);
	if (given)
		mos_sup_report_service(s, i);
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

static void tend_free(struct mos_supervisor *s, uint32_t i, uint64_t now)
{
	if (mos_sup_give_on(s, i))
		mos_sup_report_service(s, i);
	else
		end_hold(s, i, now);
}

void mos_sup_kill_holder(struct mos_supervisor *s, uint32_t i)
{
	for (unsigned k = 0; k < WORKER_MAX; k++) {
		struct worker *w = &s->worker[k];

		if (w->state == WORKER_ATTACHED && mos_sup_is_holder(&s->watch[i].holder, w))
			syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
	}
}

/* ", flow F (5-tuple)" of what it works on; nothing that a worker wrote is believed. */
static const char *flow_in_hand(char *text, size_t len, const struct mos_shard *shard)
{
	uint32_t flow = __atomic_load_n(&shard->ledger.flow, __ATOMIC_RELAXED), capacity = 0;
	const struct mos_flow *f =
		mos_flow_table_records(shard->flow_table, shard->flow_table_bytes, &capacity);
	char name[MOS_FLOW_TEXT_LEN];
	struct mos_flow copy;

	text[0] = '\0';
	if (flow == MOS_FLOW_NONE)
		return text;
	if (f != NULL && flow < capacity && mos_flow_snapshot(&copy, &f[flow]))
		snprintf(text, len, ", flow %u (%s)", flow, mos_flow_key_text(name, &copy.key));
	else
		snprintf(text, len, ", flow %u", flow);
	return text;
}

static void report_stall(struct mos_supervisor *s, uint32_t i)
{
	const struct mos_shard *shard = shard_at(s, i);
	char flow[MOS_FLOW_TEXT_LEN + 32];

	mos_counter_add(&s->p->root->supervisor, MOS_CTR_STALLS, 1);
	mos_report("shard %u: pid %d makes no progress (stage %s%s), %u packets wait", i,
	           shard->lease.pid, mos_ledger_stage_name(shard->ledger.stage),
	           flow_in_hand(flow, sizeof(flow), shard), rte_ring_count(shard->rx));
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
	/* One that never began stalls without packets, too: it may not even run. */
	if (beat != watch->beat || (watch->began && rte_ring_empty(shard->rx))) {
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
		report_stall(s, i);
	}
	if (kill_ns != 0 && stood_ns >= kill_ns) {
		mos_report("shard %u: pid %d is killed: no progress for %d ms (stall_kill)", i,
		           shard->lease.pid, s->p->cfg.stall_kill_ms);
		mos_sup_kill_holder(s, i);
		watch->beat_ns = now; /* the pidfd tells when it is gone */
	}
}

static void await_release(struct mos_supervisor *s, uint32_t i, uint64_t now)
{
	if (now - s->watch[i].beat_ns >= RELEASE_NS)
		mos_sup_take_back(s, i);
}

void mos_sup_tend_shards(struct mos_supervisor *s)
{
	uint64_t now = mos_sup_now_ns();

	if (mos_sup_is_ending(s))
		mos_sup_refuse_claims(s);
	for (uint32_t i = 0; i < s->p->root->shard_count; i++) {
		if (mos_unlikely(!mos_sup_in_order(s, i))) {
			mos_sup_condemn(s, i);
			continue;
		}
		switch (mos_lease_state(&shard_at(s, i)->lease)) {
		case MOS_LEASE_DEAD: repair(s, i); break;
		case MOS_LEASE_HELD: look_for_stall(s, i, now); break;
		case MOS_LEASE_FREE: tend_free(s, i, now); break;
		case MOS_LEASE_YIELDING: await_release(s, i, now); break;
		}
	}
}
