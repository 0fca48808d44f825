/*
 * Readers: processes that look at flow records (secondary/readers has the picture).
 *
 * Only this thread registers and unregisters them in root->readers, so what a reader leaves when it
 * is killed is its own counter, which is put offline then.
 */
#include "primary/supervisor/supervisor_priv.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_rcu_qsbr.h>

#include "primary/report/report.h"

/* At once. Each costs the workers a look at its counter when records come free. */
#define READERS_MAX 8

/* How long a reader may keep records from coming free. */
#define HOLD_NS UINT64_C(2000000000)

bool mos_sup_reader_fits(const struct mos_supervisor *s)
{
	unsigned readers = 0;

	for (unsigned i = 0; i < WORKER_MAX; i++)
		readers += s->worker[i].reader;
	return readers < READERS_MAX;
}

/* The workers are to know after it is registered, and before it reads. */
static void tell(struct mos_supervisor *s, bool comes)
{
	uint64_t now = s->readers_now;
	uint64_t turn = mos_readers_turn(now) + comes;
	unsigned count = comes ? mos_readers_count(now) + 1 : mos_readers_count(now) - 1;

	s->readers_now = mos_readers_word(turn, count);
	__atomic_store_n(&s->p->root->readers_now, s->readers_now, __ATOMIC_RELEASE);
}

/* The variable. Its size is set anew: it says where DPDK looks, and any worker could write to it. */
static struct rte_rcu_qsbr *variable(const struct mos_supervisor *s)
{
	struct rte_rcu_qsbr *v = s->p->readers;

	v->max_threads = MOS_ATTACH_SLOTS;
	v->num_elems = MOS_ATTACH_SLOTS / 64;
	return v;
}

void mos_sup_reader_register(struct mos_supervisor *s, struct worker *w)
{
	rte_rcu_qsbr_thread_register(variable(s), attach_slot(s, w));
	w->seen_ns = mos_sup_now_ns();
	tell(s, true);
}

void mos_sup_reader_unregister(struct mos_supervisor *s, struct worker *w)
{
	rte_rcu_qsbr_thread_offline(variable(s), attach_slot(s, w));
	rte_rcu_qsbr_thread_unregister(variable(s), attach_slot(s, w));
	tell(s, false);
}

/* Some grace period began after it last was quiescent. */
static bool holds_up(const struct rte_rcu_qsbr *v, uint64_t seen)
{
	return seen != __RTE_QSBR_CNT_THR_OFFLINE &&
	       seen < __atomic_load_n(&v->token, __ATOMIC_RELAXED);
}

static void tend(struct mos_supervisor *s, struct worker *w, uint64_t now)
{
	const struct rte_rcu_qsbr *v = variable(s);
	uint64_t seen = __atomic_load_n(&v->qsbr_cnt[attach_slot(s, w)].cnt, __ATOMIC_RELAXED);

	if (seen != w->seen || !holds_up(v, seen)) {
		w->seen = seen;
		w->seen_ns = now;
	} else if (now - w->seen_ns > HOLD_NS) {
		mos_report("reader pid %d is killed: it has held workers up for over %d s",
		           (int)w->pid, (int)(HOLD_NS / 1000000000));
		syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
		w->seen_ns = now; /* the pidfd tells when it is gone */
	}
}

void mos_sup_tend_readers(struct mos_supervisor *s)
{
	uint64_t now = mos_sup_now_ns();

	for (unsigned i = 0; i < WORKER_MAX; i++)
		if (s->worker[i].reader && s->worker[i].state >= WORKER_ATTACHING)
			tend(s, &s->worker[i], now);
}
