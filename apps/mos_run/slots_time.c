/* What is due: starts, the end of all, and the end of those that were replaced. */
#include <signal.h>
#include <string.h>

#include "apps/mos_run/slots_priv.h"

/* ---- stopping ---- */

static void kill_all(struct slots *s)
{
	slots_say(s, "killing the workers that still run");
	slots_signal_all(s, SIGKILL);
	s->kill_ns = 0;
}

void slots_on_stop(struct slots *s, int signum, uint64_t now_ns)
{
	s->stop_requests++;
	for (unsigned i = 0; i < slots_count(s); i++)
		if (s->slot[i].state == SLOT_WAITING)
			s->slot[i].state = SLOT_STOPPED;
	if (s->stop_requests >= 3) {
		kill_all(s);
		return;
	}
	slots_signal_all(s, signum);
	if (s->stop_requests == 2)
		s->kill_ns = now_ns + SLOTS_KILL_NS;
}

static bool workers_are_stopped(const struct slots *s)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->slot[i].state != SLOT_STOPPED || s->slot[i].next.pid != 0)
			return false;
	return true;
}

/* Nobody is left whose place a spare could take. */
static void stop_spares(struct slots *s, uint64_t now_ns)
{
	for (unsigned i = s->worker_count; i < slots_count(s); i++) {
		struct slot *slot = &s->slot[i];

		slot->state = SLOT_STOPPED;
		if (slot->cur.pid != 0)
			slots_retire(s, slot, &slot->cur, SIGTERM, now_ns);
		if (slot->next.pid != 0)
			slots_retire(s, slot, &slot->next, SIGTERM, now_ns);
	}
}

static void earlier(uint64_t *next_ns, uint64_t at_ns)
{
	if (at_ns < *next_ns)
		*next_ns = at_ns;
}

static void see_off(struct slots *s, struct life *l, uint64_t now_ns, uint64_t *next_ns)
{
	if (l->pid == 0 || l->signum == 0)
		return;
	if (l->signal_ns <= now_ns) {
		s->ops->signal(s->arg, l->pid, l->signum);
		l->signum = l->signum == SIGKILL ? 0 : SIGKILL;
		l->signal_ns = now_ns + SLOTS_KILL_NS;
	}
	if (l->signum != 0)
		earlier(next_ns, l->signal_ns);
}

/* ---- starting ---- */

static void start(struct slots *s, struct slot *slot, uint64_t now_ns)
{
	struct birth birth = {.shard = (int)slot->number};
	char name[16], then[SLOTS_TEXT];
	pid_t pid;

	if (slot->kind == SLOT_SPARE)
		birth = (struct birth){.shard = -1, .take_over = SLOTS_OF_THE_DEAD};
	pid = slots_give_birth(s, &slot->cur, &birth, now_ns);
	if (pid > 0) {
		slot->state = SLOT_RUNNING;
		return;
	}
	slots_decide(s, slot, BACKOFF_FAILED, 0, now_ns, then);
	slots_say(s, "%s: cannot start %s: %s%s", slots_name(slot, name), s->command,
	          strerror(-pid), then);
}

/* A shard that has no worker yet would go to a spare: none is started before. */
static bool workers_are_settled(const struct slots *s)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->slot[i].state != SLOT_STOPPED && s->slot[i].cur.shards == 0)
			return false;
	return true;
}

/* ---- all that is due ---- */

uint64_t slots_on_time(struct slots *s, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	if (s->kill_ns != 0 && s->kill_ns <= now_ns)
		kill_all(s);
	if (s->kill_ns != 0)
		earlier(&next_ns, s->kill_ns);
	for (unsigned i = 0; i < slots_count(s); i++) {
		struct slot *slot = &s->slot[i];

		if (slot->state != SLOT_WAITING || slot->next.pid != 0 ||
		    (slot->kind == SLOT_SPARE && !workers_are_settled(s)))
			continue;
		if (slot->start_ns <= now_ns)
			start(s, slot, now_ns);
		if (slot->state == SLOT_WAITING)
			earlier(&next_ns, slot->start_ns);
	}
	if (workers_are_stopped(s) && s->stop_requests == 0)
		stop_spares(s, now_ns);
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		see_off(s, &s->leaving[i], now_ns, &next_ns);
	return next_ns;
}
