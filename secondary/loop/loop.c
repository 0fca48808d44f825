#include "secondary/loop/loop.h"

#include <time.h>

#include <rte_ring.h>
#include <rte_ring_peek_zc.h>

#include "secondary/attach/attach.h"
#include "secondary/event/event.h"
#include "secondary/notify/notify.h"
#include "secondary/pipeline/pipeline.h"
#include "secondary/readers/readers.h"
#include "shared/kill_point/kill_point.h"

/* Back-off: spin this many empty rounds, then sleep; each sleep twice the last, up to the cap. */
#define SPIN_ROUNDS   256
#define SLEEP_MIN_NS  20000
#define SLEEP_MAX_NS  200000
#define SLEEP_DOUBLES 4

/* How often the control socket is asked whether the primary lives. */
#define CHECK_NS 10000000

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts); /* vDSO: no system call */
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void mos_loop_clock(struct mos_ctx *c)
{
	uint64_t now;

	if (!c->root->settings.clock_packet) {
		now = monotonic_ns() + (uint64_t)c->root->wall_offset_ns;
	} else {
		/*
		 * Clock first, then the ring: all that is older is in it. Pairs with the I/O loop.
		 */
		now = __atomic_load_n(&c->root->clock_ns, __ATOMIC_ACQUIRE);
		if (c->shard != NULL && rte_ring_count(c->shard->rx) != 0)
			return;
	}
	if (now > c->now_ns) {
		__atomic_store_n(&c->now_ns, now, __ATOMIC_RELAXED);
		c->now_ms = (uint32_t)(now / 1000000);
	}
}

/* The primary ends, or has died: nobody takes from the tx ring any more. */
static bool primary_leaves(const struct mos_ctx *c)
{
	return mos_root_run(c->root) == MOS_RUN_STOPPED || !mos_attach_primary_lives(c->ctl_fd);
}

/*
 * Put n packets into the tx ring in one piece: after a death either all went out or none. The ring
 * is full when the primary is slower than we are; it drains it as long as it lives.
 */
static bool put_out(struct mos_ctx *c, struct rte_mbuf **pkts, uint32_t n)
{
	if (mos_likely(rte_ring_sp_enqueue_bulk(c->shard->tx, (void **)pkts, n, NULL) == n))
		return true;
	mos_counter_add(&c->shard->counters, MOS_CTR_W_TX_WAITS, 1);
	mos_kill_point("ring.no_room");
	while (rte_ring_sp_enqueue_bulk(c->shard->tx, (void **)pkts, n, NULL) != n) {
		struct timespec nap = {.tv_nsec = SLEEP_MIN_NS};

		if (primary_leaves(c))
			return false;
		mos_lease_beat(&c->shard->lease); /* waiting for room is no stall of ours */
		nanosleep(&nap, NULL);
	}
	return true;
}

/* Each packet of the outbox goes in front of the one that was at hand when it was sent. */
static uint32_t merge_outbox(const struct mos_shard *s, struct rte_mbuf *const *pkts, uint32_t n,
                             struct rte_mbuf **all)
{
	const struct mos_outbox_entry *e = s->outbox.entry, *end = e + s->ledger.outbox;
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		for (; e < end && e->before <= i; e++)
			all[count++] = e->mbuf;
		all[count++] = pkts[i];
	}
	for (; e < end; e++)
		all[count++] = e->mbuf;
	return count;
}

static bool hand_over(struct mos_ctx *c, struct rte_mbuf **pkts, uint32_t n)
{
	struct rte_mbuf *all[MOS_BURST_MAX + MOS_OUTBOX_MAX];

	if (mos_likely(c->shard->ledger.outbox == 0))
		return put_out(c, pkts, n);
	return put_out(c, all, merge_outbox(c->shard, pkts, n, all));
}

static uint32_t take_burst(struct mos_ctx *c, struct rte_mbuf **pkts)
{
	struct rte_ring_zc_data zcd;
	uint32_t n = rte_ring_dequeue_zc_burst_start(c->shard->rx, MOS_BURST_MAX, &zcd, NULL);

	for (uint32_t i = 0; i < n; i++)
		pkts[i] = i < zcd.n1 ? ((struct rte_mbuf **)zcd.ptr1)[i]
		                     : ((struct rte_mbuf **)zcd.ptr2)[i - zcd.n1];
	return n;
}

static uint32_t work_burst(struct mos_ctx *c)
{
	struct mos_shard *s = c->shard;
	struct rte_mbuf *pkts[MOS_BURST_MAX];
	uint32_t n = take_burst(c, pkts);

	if (n == 0)
		return 0;
	mos_kill_point("ring.taken");
	mos_ledger_begin(&s->ledger, n, s->rx->cons.tail, s->tx->prod.tail);
	mos_kill_point("ring.begun");
	mos_pipeline_burst(c, pkts, n);
	mos_kill_point("ring.worked");
	if (!hand_over(c, pkts, n))
		return 0; /* the burst stays in hand; the primary that could take it is gone */
	mos_kill_point("ring.out");
	rte_ring_dequeue_zc_finish(s->rx, n);
	mos_kill_point("ring.given_back");
	mos_ledger_end(&s->ledger);
	mos_kill_point("ring.ended");
	return n;
}

uint32_t mos_loop_round(struct mos_ctx *c)
{
	struct mos_ledger *ledger = &c->shard->ledger;
	uint32_t n;

	mos_loop_clock(c);
	mos_readers_round(c);
	n = work_burst(c);

	if (!mos_app_timers_idle(&c->timers, c->now_ns)) {
		mos_ledger_stage(ledger, MOS_STAGE_AFTER);
		mos_event_timers(c);
		mos_ledger_stage(ledger, MOS_STAGE_IDLE);
	}
	mos_flow_expire(c);
	mos_restore_step(c);
	if (mos_unlikely(c->streams.read_count != 0))
		mos_streams_settle_read(&c->streams);
	mos_sockets_sweep(&c->sockets);
	mos_kill_point("loop.round");
	mos_lease_beat(&c->shard->lease);
	return n;
}

static void back_off(struct mos_ctx *c)
{
	struct timespec nap = {.tv_nsec = SLEEP_MIN_NS};
	uint32_t doubles;

	if (c->root->settings.idle_poll || ++c->idle_rounds < SPIN_ROUNDS) {
		mos_pause();
		return;
	}
	doubles = (c->idle_rounds - SPIN_ROUNDS) / 8;
	nap.tv_nsec <<= doubles < SLEEP_DOUBLES ? doubles : SLEEP_DOUBLES;
	if (nap.tv_nsec > SLEEP_MAX_NS)
		nap.tv_nsec = SLEEP_MAX_NS;
	nanosleep(&nap, NULL);
}

/* True when the loop has to end; *why is set then. */
static bool must_end(struct mos_ctx *c, uint32_t n, enum mos_loop_end *why)
{
	enum mos_run_state run = mos_root_run(c->root);
	uint64_t now;

	if (run == MOS_RUN_STOPPED) {
		*why = MOS_LOOP_PRIMARY_STOPS;
		return true;
	}
	if (atomic_load_explicit(&c->stop, memory_order_acquire)) {
		*why = MOS_LOOP_STOPPED;
		return true;
	}
	if (run == MOS_RUN_ENDING && n == 0 && (c->shard == NULL || rte_ring_empty(c->shard->rx))) {
		*why = MOS_LOOP_INPUT_ENDED;
		return true;
	}
	if (c->shard != NULL && mos_lease_is_asked(&c->shard->lease, c->epoch)) {
		*why = MOS_LOOP_HANDED_OVER;
		return true;
	}
	now = monotonic_ns();
	if (now < c->next_check_ns)
		return false;
	c->next_check_ns = now + CHECK_NS;
	*why = MOS_LOOP_PRIMARY_GONE;
	return !mos_attach_primary_lives(c->ctl_fd);
}

bool mos_loop_must_end(struct mos_ctx *c, enum mos_loop_end *why)
{
	return must_end(c, 0, why);
}

/*
 * Take no packet before the application has set up its sockets and callbacks: mtcp_app_join says
 * so. A program that never calls it is waited for this long. With flows of a predecessor in hand
 * the time runs from its first socket on: a flow that is taken over by no socket has lost its
 * monitor.
 */
#define SETUP_WAIT_NS 200000000
#define ADOPT_WAIT_NS 5000000000 /* but no longer than this */

/* There are flows of a predecessor, or may be. */
static bool inherits(const struct mos_ctx *c)
{
	return c->shard == NULL || c->to_restore != NULL;
}

bool mos_loop_wait_until_open(struct mos_ctx *c, enum mos_loop_end *why)
{
	uint64_t now = monotonic_ns(), at_last = now + ADOPT_WAIT_NS, give_up = now + SETUP_WAIT_NS;

	while (!atomic_load_explicit(&c->open, memory_order_acquire) && now < give_up) {
		struct timespec nap = {.tv_nsec = SLEEP_MAX_NS};

		if (c->shard != NULL) {
			mos_lease_beat(&c->shard->lease);
			mos_readers_round(c);
		}
		mos_sockets_sweep(&c->sockets);
		if (must_end(c, 0, why))
			return false;
		nanosleep(&nap, NULL);
		now = monotonic_ns();
		if (inherits(c) && !mos_sockets_have_passive(&c->sockets) && now < at_last)
			give_up = now + SETUP_WAIT_NS;
	}
	return true;
}

enum mos_loop_end mos_loop_run(struct mos_ctx *c)
{
	enum mos_loop_end why = MOS_LOOP_STOPPED;
	uint32_t n = 0;

	mos_loop_clock(c);
	if (!mos_loop_wait_until_open(c, &why))
		return why;
	atomic_store_explicit(&c->state, MOS_CTX_RUNNING, memory_order_release);
	mos_notify_serving(c->shard->index);
	while (!must_end(c, n, &why)) {
		n = mos_loop_round(c);
		if (n != 0)
			c->idle_rounds = 0;
		else
			back_off(c);
	}
	return why;
}
