#include "primary/crash/crash.h"

#include <string.h>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "primary/crash/audit.h"
#include "primary/crash/suspect.h"
#include "primary/topology.h"
#include "shared/flow_table/flow_table.h"

static struct mos_counters *counters(struct mos_primary *p)
{
	return &p->root->supervisor;
}

/*
 * Put into the tx ring what a ring or the outbox held, if it is a packet of the shard; else it is
 * left alone: it is of the pool, but somebody else works with it, or no packet at all. Whether its
 * header is sound, and whether it stands in a ring twice, is seen where it is taken back
 * (primary/memory). We are the tx ring's only producer now.
 */
static bool put_out(struct mos_primary *p, struct mos_shard *s, struct rte_mbuf *m)
{
	return mos_pool_map_has(&p->pool_map, m) && mos_meta(p, m)->owner == s->index + 1 &&
	       rte_ring_sp_enqueue(s->tx, m) == 0;
}

/*
 * Move the next packet of the rx ring to the tx ring, where the I/O lcore finds it with its
 * verdict. We are the rx ring's only consumer now. With no room in the tx ring (the supervisor has
 * waited for it) the packet stays; what is no mbuf of the shard is left out, untouched, and the
 * audit finds what was lost.
 */
static bool move_one(struct mos_primary *p, struct mos_shard *s, const bool *forward)
{
	struct rte_mbuf *m;

	if (rte_ring_free_count(s->tx) == 0 || rte_ring_sc_dequeue(s->rx, (void **)&m) != 0)
		return false;
	if (forward != NULL && !*forward && mos_pool_map_has(&p->pool_map, m) &&
	    mos_meta(p, m)->owner == s->index + 1)
		mos_meta(p, m)->verdict = MOS_VERDICT_DROP;
	return put_out(p, s, m);
}

/* Send what the program had sent before packet i, from entry *next on. */
static void send_outbox(struct mos_primary *p, struct mos_shard *s, uint32_t i, uint32_t count,
                        uint32_t *next, struct mos_crash_report *r)
{
	const struct mos_outbox_entry *e = s->outbox.entry;

	for (; *next < count && e[*next].before <= i; (*next)++)
		r->sent += put_out(p, s, e[*next].mbuf);
}

static void strike(struct mos_shard *s, struct mos_crash_report *r)
{
	uint32_t capacity = 0;
	struct mos_flow *f = (struct mos_flow *)(uintptr_t)mos_flow_table_records(
		s->flow_table, s->flow_table_bytes, &capacity);

	if (f == NULL || r->flow >= capacity || !(f[r->flow].flags & MOS_FLOW_IN_USE))
		return;
	f += r->flow;
	f->flags |= MOS_FLOW_SUSPECT | MOS_FLOW_TORN;
	if (f->strikes < UINT8_MAX)
		f->strikes++;
	f->survived = 0;
	r->strikes = f->strikes;
	r->key = f->key;
}

/* The suspect gets the fail policy. It may be half edited: it goes as it is, or not at all. */
static void resolve_suspect(struct mos_primary *p, struct mos_shard *s, bool forward,
                            struct mos_crash_report *r)
{
	if (!move_one(p, s, &forward))
		return;
	r->suspect = true;
	mos_counter_add(counters(p), forward ? MOS_CTR_SUSPECT_FORWARDED : MOS_CTR_SUSPECT_DROPPED,
	                1);
}

/* The dead worker enqueued the whole burst; only the dequeue was not finished. */
static void finish_dequeue(struct mos_shard *s, uint32_t n)
{
	void *gone[MOS_BURST_MAX];

	rte_ring_sc_dequeue_bulk(s->rx, gone, n, NULL);
}

static void resolve(struct mos_primary *p, struct mos_shard *s, bool forward,
                    struct mos_crash_report *r)
{
	struct mos_ledger_verdict v;
	uint32_t next = 0;

	r->in_hand = s->ledger.count;
	r->ledger_bad = !mos_ledger_resolve(&s->ledger, s->rx->cons.tail, s->tx->prod.tail,
	                                    rte_ring_count(s->rx), &v);
	r->stage = v.stage;
	r->flow = v.flow;
	if (r->ledger_bad)
		return;
	if (v.sent) {
		finish_dequeue(s, v.done);
		return;
	}
	for (uint32_t i = 0; i < v.done; i++) {
		send_outbox(p, s, i, v.outbox, &next, r);
		r->rescued += move_one(p, s, NULL);
	}
	send_outbox(p, s, v.done, v.outbox, &next, r); /* in front of the suspect, too */
	mos_counter_add(counters(p), MOS_CTR_RESCUED, r->rescued + r->sent);
	if (v.suspect && !mos_suspect_tries_again(p, s, v.stage, v.flow))
		resolve_suspect(p, s, forward && !mos_suspect_is_translated(p, s, v.flow), r);
	if (v.flow != UINT32_MAX)
		strike(s, r);
}

void mos_crash_repair(struct mos_primary *p, uint32_t shard, bool suspect_forward,
                      struct mos_crash_report *report)
{
	struct mos_shard *s = p->guard[shard].shard;

	memset(report, 0, sizeof(*report));
	report->flow = UINT32_MAX;
	mos_counter_add(counters(p), MOS_CTR_WORKER_DEATHS, 1);

	mos_ring_repair_consumer(s->rx);
	mos_ring_repair_consumer(s->blank);
	mos_ring_repair_producer(s->tx);
	resolve(p, s, suspect_forward, report);
	mos_ledger_reset(&s->ledger);
	report->waiting = rte_ring_count(s->rx);

	report->recovered = mos_audit_shard(p, shard);
	mos_counter_add(counters(p), MOS_CTR_MBUFS_RECOVERED, report->recovered);
}
