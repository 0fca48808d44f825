#include "secondary/context/context.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>

#include "secondary/attach/attach.h"
#include "secondary/context/take_over.h"
#include "secondary/loop/loop.h"
#include "secondary/notify/notify.h"
#include "secondary/pipeline/pipeline.h"
#include "secondary/readers/readers.h"
#include "shared/control/control_msg.h"
#include "shared/kill_point/kill_point.h"
#include "shared/touched.h"

/* Granularity of flow expiry: a flow ends at most this much after its timeout. */
#define FLOW_TIMER_MS 20

/* How often, and how far apart, a context that ends looks for API calls that still use it. */
#define CALLERS_NAPS   10000
#define CALLERS_NAP_NS 100000

struct mos_worker mos_worker = {
	.ctl_fd = -1,
	.ctl_lock = PTHREAD_MUTEX_INITIALIZER,
	.preferred_shard = -1,
};

/* ---- handles ---- */

struct mos_ctx *mos_ctx_from(mctx_t mctx)
{
	for (unsigned i = 0; i < MOS_SHARD_MAX; i++)
		if (mctx != NULL && mctx == &mos_worker.ctx[i].api)
			return &mos_worker.ctx[i];
	errno = EACCES;
	return NULL;
}

bool mos_on_stack_thread(const struct mos_ctx *c)
{
	return pthread_equal(pthread_self(), c->thread);
}

struct mos_ctx *mos_ctx_live(mctx_t mctx, bool stack_thread_only)
{
	struct mos_ctx *c = mos_ctx_from(mctx);
	uint32_t state;

	if (c == NULL)
		return NULL;
	state = atomic_load_explicit(&c->state, memory_order_acquire);
	if (state == MOS_CTX_FREE || state == MOS_CTX_BUSY) {
		errno = EACCES;
		return NULL;
	}
	if (stack_thread_only && !mos_on_stack_thread(c)) {
		errno = EPERM;
		return NULL;
	}
	return c;
}

struct mos_ctx *mos_ctx_enter(mctx_t mctx)
{
	struct mos_ctx *c = mos_ctx_from(mctx);

	if (c == NULL)
		return NULL;
	/* Counted before the state is read: one that finds it alive is waited for at the end. */
	atomic_fetch_add(&c->callers, 1);
	if (mos_ctx_live(mctx, false) != NULL)
		return c;
	atomic_fetch_sub(&c->callers, 1);
	return NULL;
}

void mos_ctx_leave(struct mos_ctx **c)
{
	if (*c != NULL)
		atomic_fetch_sub(&(*c)->callers, 1);
}

/* ---- waiting, by futex alone: safe in a signal handler ---- */

static void wait_while(const _Atomic uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void store_and_wake(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static void enter(struct mos_ctx *c, enum mos_ctx_state state)
{
	store_and_wake(&c->state, state);
}

/* Wait until the stack thread has put everything down. */
static void wait_until_gone(const struct mos_ctx *c)
{
	uint32_t state;

	while ((state = atomic_load_explicit(&c->state, memory_order_acquire)) != MOS_CTX_FREE)
		wait_while(&c->state, state);
}

/* Wait until no callback runs any more and the lease is given back. */
static void wait_until_ended(const struct mos_ctx *c)
{
	uint32_t state;

	while ((state = atomic_load_explicit(&c->state, memory_order_acquire)) ==
	               MOS_CTX_SETTING_UP ||
	       state == MOS_CTX_RUNNING)
		wait_while(&c->state, state);
}

static void wait_until_destroyed(const struct mos_ctx *c)
{
	while (atomic_load_explicit(&c->destroy, memory_order_acquire) == 0)
		wait_while(&c->destroy, 0);
}

/* ---- preparing ---- */

/*
 * What is left unread for it is nobody's, nor what is kept for it. Between rounds: the flow is not
 * in hand.
 */
static void socket_closed(void *c, uint32_t flow, unsigned k)
{
	mos_flow_not_read_by(c, flow, MOS_BOTH_SIDES, k);
	mos_flow_set_last_packets(c, flow, k, false);
}

int mos_context_prepare(struct mos_ctx *c)
{
	const struct mos_settings *s = &c->root->settings;
	int err;

	c->told.flow = MOS_FLOW_NONE;
	c->stopped_flow = MOS_FLOW_NONE;
	c->streams_read = false;
	mos_app_timers_init(&c->timers);
	err = mos_flow_timer_create(&c->flow_timer, s->max_flows, FLOW_TIMER_MS, c->now_ms);
	if (err != 0)
		goto no_flow_timer;
	err = mos_sockets_init(&c->sockets, s->max_flows);
	if (err != 0)
		goto no_sockets;
	c->sockets.left = socket_closed;
	c->sockets.left_arg = c;
	c->scratch = mos_alloc_touched(MOS_SCRATCH_ALL, 1);
	c->flow_flags = mos_alloc_touched(s->max_flows, 1);
	mos_last_init(&c->last, s->max_flows);
	err = mos_restore_prepare(c);
	if (err == 0)
		err = mos_flow_table_prepare(&c->flows, s->max_flows);
	if (err == 0 && c->scratch != NULL && c->flow_flags != NULL)
		return 0;

	err = -ENOMEM;
	mos_flow_table_leave(&c->flows);
	free(c->to_restore);
	c->to_restore = NULL;
	free(c->flow_flags);
	free(c->scratch);
	mos_sockets_fini(&c->sockets);
no_sockets:
	mos_flow_timer_destroy(&c->flow_timer);
no_flow_timer:
	mos_app_timers_fini(&c->timers);
	return err;
}

int mos_context_adopt(struct mos_ctx *c)
{
	struct mos_shard *shard = c->shard;
	uint32_t mended = 0;
	int err;

	mos_loop_clock(c);
	mos_kill_point("adopt.begin");
	mos_flow_timer_restart(&c->flow_timer, c->now_ms);
	err = mos_flow_table_adopt(&c->flows, shard->flow_table, shard->flow_table_bytes, &mended);
	if (err != 0)
		return err;
	mos_counter_add(&shard->counters, MOS_CTR_W_FLOWS_MENDED, mended);
	mos_readers_join(c);
	err = mos_streams_join(&c->streams, shard->chunk_pool, shard->chunk_pool_bytes, &c->flows,
	                       &shard->counters);
	if (err != 0)
		return err;
	mos_kill_point("adopt.joined");
	mos_remap_init(&c->remap, &c->streams.pool, &c->flows);
	mos_restore_begin(c);
	return 0;
}

void mos_context_clear(struct mos_ctx *c)
{
	free(c->to_restore);
	c->to_restore = NULL;
	mos_last_fini(&c->last);
	free(c->flow_flags);
	c->flow_flags = NULL;
	free(c->scratch);
	c->scratch = NULL;
	mos_sockets_fini(&c->sockets);
	mos_flow_timer_destroy(&c->flow_timer);
	mos_app_timers_fini(&c->timers);
	mos_streams_leave(&c->streams);
	mos_flow_table_leave(&c->flows);
}

/* ---- the stack thread ---- */

/* Run on the CPU the configuration gives this shard, if this machine has it. */
static void pin(const struct mos_config *cfg, uint32_t shard)
{
	uint64_t mask = 0;
	cpu_set_t set;

	for (uint32_t i = 0; i < cfg->port_count; i++)
		mask |= cfg->port[i].cpu_mask;
	for (int cpu = 0; cpu < 64; cpu++) {
		if (!(mask >> cpu & 1) || shard-- > 0)
			continue;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		pthread_setaffinity_np(pthread_self(), sizeof(set), &set); /* best effort */
		return;
	}
}

void mos_context_yield(struct mos_ctx *c)
{
	if (mos_lease_yield(&c->shard->lease, c->epoch))
		mos_attach_release(&mos_worker, (uint32_t)c->api.cpu, c->shard->index, c->epoch);
}

static void give_back(struct mos_ctx *c, enum mos_loop_end why)
{
	if (why == MOS_LOOP_PRIMARY_GONE)
		mos_fail(ENOTCONN, "the primary (pid %d) is gone; this worker ends",
		         c->root->primary_pid);
	if (why == MOS_LOOP_PRIMARY_STOPS)
		mos_fail(ESHUTDOWN, "the primary (pid %d) stops; this worker ends",
		         c->root->primary_pid);
	if (why == MOS_LOOP_PRIMARY_GONE || why == MOS_LOOP_PRIMARY_STOPS)
		mos_notify_no_primary();
	/* A burst still in hand is for the primary to resolve, once this process is gone. */
	if (why == MOS_LOOP_PRIMARY_GONE || c->shard == NULL || c->shard->ledger.count != 0)
		return;
	mos_kill_point("lease.put_down");
	mos_context_yield(c);
	if (why == MOS_LOOP_HANDED_OVER) {
		mos_notify_yielded(c->shard->index);
		atomic_store_explicit(&c->handed_over, true, memory_order_release);
	}
}

/*
 * Wait for the API calls that still use the context. Not for ever: a signal handler may wait for
 * us, on top of such a call.
 */
static bool callers_have_left(struct mos_ctx *c)
{
	const struct timespec nap = {.tv_nsec = CALLERS_NAP_NS};

	/* BUSY is out before callers is read: pairs with the count in mos_ctx_enter. */
	atomic_thread_fence(memory_order_seq_cst);
	for (int i = 0; i < CALLERS_NAPS; i++) {
		if (atomic_load(&c->callers) == 0)
			return true;
		nanosleep(&nap, NULL);
	}
	return false;
}

static enum mos_loop_end run(struct mos_ctx *c)
{
	enum mos_loop_end why;

	if (c->shard == NULL && !mos_take_over(c, &why))
		return why;
	pin(&mos_worker.cfg, c->shard->index);
	return mos_loop_run(c);
}

static void *stack_thread(void *arg)
{
	struct mos_ctx *c = arg;

	c->thread = pthread_self(); /* before any callback can ask */
	pthread_setname_np(pthread_self(), "mos-stack");
	mos_sockets_on_stack_thread();
	give_back(c, run(c));
	mos_kill_point("lease.ended");
	enter(c, MOS_CTX_ENDED);
	wait_until_destroyed(c);
	enter(c, MOS_CTX_BUSY);
	/* From here on API calls on this context are refused. */
	if (callers_have_left(c)) /* else its memory stays: who has it may come back */
		mos_context_clear(c);
	enter(c, MOS_CTX_FREE);
	return NULL;
}

/*
 * Signals go to the application's threads: a handler must not run inside a callback. Those by which
 * a thread's own fault is told stay: the application may have handlers for them.
 */
static void signals_for_others(sigset_t *set)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

	sigfillset(set);
	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(set, own[i]);
}

static int start_thread(struct mos_ctx *c)
{
	pthread_attr_t attr;
	sigset_t others, old;
	pthread_t t;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	signals_for_others(&others);
	pthread_sigmask(SIG_SETMASK, &others, &old);
	err = pthread_create(&t, &attr, stack_thread, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -err;
}

/* ---- create, join, destroy ---- */

static int lease_shard(struct mos_worker *w, struct mos_ctx *c, int cpu)
{
	int preferred = w->preferred_shard >= 0 ? w->preferred_shard : cpu;
	uint32_t shard;
	int err;

	err = mos_attach_lease(w, (uint32_t)cpu, preferred, &shard, &c->epoch);
	if (err == -ENOTCONN || err == -ESHUTDOWN)
		mos_notify_no_primary();
	if (err != 0)
		return err;
	mos_kill_point("lease.leased");
	c->shard = w->root->shard[shard];
	err = mos_shard_join(c->shard, shard);
	return err == 0 ? 0 : mos_fail(-err, "shard %u is not sound", shard);
}

/* With a shard to begin with; a successor prepares without. */
static int set_up(struct mos_worker *w, struct mos_ctx *c, int cpu)
{
	bool succeeds = w->take_over != MOS_CTL_FROM_FREE;
	int err;

	if (!succeeds) {
		err = lease_shard(w, c, cpu);
		if (err != 0)
			return err;
	}
	mos_loop_clock(c);
	err = mos_context_prepare(c);
	if (err == 0 && !succeeds) {
		err = mos_context_adopt(c);
		if (err != 0)
			mos_context_clear(c);
	}
	if (err != 0 && c->shard != NULL)
		mos_fail(-err, "shard %u cannot be taken over: %s", c->shard->index,
		         strerror(-err));
	else if (err != 0)
		mos_fail(-err, "cannot prepare a context: %s", strerror(-err));
	return err;
}

struct mos_ctx *mos_context_create(struct mos_worker *w, int cpu)
{
	struct mos_ctx *c = &w->ctx[cpu];
	uint32_t free_state = MOS_CTX_FREE;
	int err;

	if (!atomic_compare_exchange_strong(&c->state, &free_state, MOS_CTX_BUSY)) {
		mos_fail(EEXIST, "context %d exists already", cpu);
		errno = EEXIST;
		return NULL;
	}
	c->api.cpu = cpu;
	c->creator = pthread_self();
	c->thread = (pthread_t)0; /* an id may be given out again: to the caller, for one */
	atomic_store(&c->destroy, 0);
	atomic_store(&c->stop, atomic_load(&w->stopping));
	atomic_store(&c->open, false);
	c->now_ns = 0;
	c->next_check_ns = 0;
	c->idle_rounds = 0;
	c->cur = (struct mos_cur_pkt){0};
	c->dispatch = NULL;
	c->shard = NULL;
	c->root = w->root;
	c->ctl_fd = w->ctl_fd;
	atomic_store(&c->handed_over, false);

	err = set_up(w, c, cpu);
	if (err != 0)
		goto fail;
	enter(c, MOS_CTX_SETTING_UP);
	err = start_thread(c);
	if (err == 0)
		return c;

	mos_fail(-err, "cannot start a thread: %s", strerror(-err));
	mos_context_clear(c);
fail:
	if (c->shard != NULL)
		mos_context_yield(c);
	enter(c, MOS_CTX_FREE);
	errno = -err;
	return NULL;
}

/* A callback of c is running, and called us. */
static bool on_own_stack_thread(const struct mos_ctx *c)
{
	return atomic_load_explicit(&c->state, memory_order_acquire) != MOS_CTX_FREE &&
	       mos_on_stack_thread(c);
}

bool mos_context_in_callback(const struct mos_worker *w)
{
	for (unsigned i = 0; i < MOS_SHARD_MAX; i++)
		if (on_own_stack_thread(&w->ctx[i]))
			return true;
	return false;
}

void mos_context_destroy(struct mos_ctx *c)
{
	atomic_store_explicit(&c->stop, true, memory_order_release);
	store_and_wake(&c->destroy, 1);
	if (on_own_stack_thread(c))
		return; /* from a callback: the thread ends after this round */
	wait_until_gone(c);
}

void mos_context_disown(struct mos_worker *w)
{
	for (unsigned i = 0; i < MOS_SHARD_MAX; i++)
		atomic_store(&w->ctx[i].state, MOS_CTX_FREE);
}

void mos_context_join(struct mos_worker *w, struct mos_ctx *c)
{
	if (on_own_stack_thread(c))
		return; /* from a callback: it would wait for itself */
	/* One thread may set up several contexts and join them in turn; those of others wait. */
	for (unsigned i = 0; i < MOS_SHARD_MAX; i++)
		if (&w->ctx[i] == c || pthread_equal(w->ctx[i].creator, pthread_self()))
			atomic_store_explicit(&w->ctx[i].open, true, memory_order_release);
	wait_until_ended(c);
}
