/* What becomes of a place. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "apps/mos_run/slots_priv.h"

void slots_init(struct slots *s, const struct slots_ops *ops, void *arg, const char *command,
                unsigned worker_count, unsigned spare_count, bool respawn)
{
	assert(worker_count >= 1 && worker_count <= SLOTS_WORKER_MAX);
	assert(spare_count <= SLOTS_SPARE_MAX);
	*s = (struct slots){.ops = ops,
	                    .arg = arg,
	                    .command = command,
	                    .respawn = respawn,
	                    .worker_count = worker_count,
	                    .spare_count = spare_count};
	for (unsigned i = 0; i < slots_count(s); i++) {
		s->slot[i].kind = i < worker_count ? SLOT_WORKER : SLOT_SPARE;
		s->slot[i].number = i < worker_count ? i : i - worker_count;
	}
}

/* ---- a place that has lost its process ---- */

static bool spare_is_ready(const struct slots *s)
{
	for (unsigned i = s->worker_count; i < slots_count(s); i++)
		if (s->slot[i].cur.ready && s->slot[i].cur.shards == 0)
			return true;
	return false;
}

void slots_decide(struct slots *s, struct slot *slot, enum backoff_death death, uint64_t lived_ns,
                  uint64_t now_ns, char then[static SLOTS_TEXT])
{
	uint64_t delay_ns;
	enum backoff_verdict verdict =
		backoff_on_death(&slot->backoff, death, now_ns, lived_ns, &delay_ns);

	slot->ended_well = death == BACKOFF_ENDED;
	slot->state = SLOT_STOPPED;
	then[0] = '\0';
	if (s->stop_requests > 0 || verdict == BACKOFF_END)
		return;
	if (!s->respawn) {
		snprintf(then, SLOTS_TEXT, "; not restarted (no --respawn)");
		return;
	}
	if (verdict == BACKOFF_GIVE_UP) {
		snprintf(then, SLOTS_TEXT,
		         "; giving up: it failed %d times within 1 s of its start",
		         BACKOFF_FAILURES_MAX);
		return;
	}
	slot->state = SLOT_WAITING;
	slot->start_ns = now_ns + delay_ns;
	if (death == BACKOFF_NO_PRIMARY) {
		snprintf(then, SLOTS_TEXT, "; no primary: trying again every %llu ms",
		         delay_ns / BACKOFF_NS_PER_MS);
	} else if (slot->kind == SLOT_WORKER && slot->lost != 0 && spare_is_ready(s)) {
		slot->start_ns = now_ns + SLOTS_TAKEOVER_NS;
		snprintf(then, SLOTS_TEXT, "; a spare takes over");
	} else if (delay_ns == 0) {
		snprintf(then, SLOTS_TEXT, "; restarting now");
	} else {
		snprintf(then, SLOTS_TEXT, "; restarting in %llu ms", delay_ns / BACKOFF_NS_PER_MS);
	}
}

/* ---- a spare takes the place of a worker ---- */

static void take_place(struct slots *s, struct slot *spare, struct slot *worker, uint64_t now_ns)
{
	char name[16];

	if (worker->cur.pid != 0) /* it was started in vain */
		slots_retire(s, worker, &worker->cur, SIGTERM, now_ns);
	slots_say(s, "worker %u: %s (pid %d) has taken over", worker->number,
	          slots_name(spare, name), (int)spare->cur.pid);
	worker->cur = spare->cur;
	worker->state = SLOT_RUNNING;
	spare->cur = (struct life){0};
	spare->state = s->stop_requests > 0 ? SLOT_STOPPED : SLOT_WAITING;
	spare->start_ns = now_ns;
}

/* The spare that serves shards of the process that has died, if there is one. */
static struct slot *heir_of(struct slots *s, const struct life *dead)
{
	for (unsigned i = s->worker_count; i < slots_count(s); i++)
		if (s->slot[i].cur.shards & dead->taken)
			return &s->slot[i];
	return NULL;
}

static void on_serving(struct slots *s, struct life *speaker, unsigned shard, uint64_t now_ns)
{
	struct slot *slot = slots_of_life(s, speaker), *loser = NULL;
	uint64_t bit = UINT64_C(1) << shard;
	bool had_holder = false;
	struct life *l;
	char name[16];

	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->slot[i].lost & bit)
			loser = &s->slot[i];
	for (unsigned i = 0; i < slots_count(s); i++)
		s->slot[i].lost &= ~bit;
	for (unsigned at = 0; (l = slots_next_life(s, &at)) != NULL;) {
		if (l == speaker || !(l->shards & bit))
			continue;
		l->shards &= ~bit;
		l->taken |= bit;
		had_holder = true; /* its death is yet to be heard of: take_place() then */
	}
	speaker->shards |= bit;
	if (slot->kind != SLOT_SPARE || had_holder)
		return;
	if (loser != NULL && loser->cur.shards == 0)
		take_place(s, slot, loser, now_ns);
	else
		slots_say(s, "%s (pid %d) serves shard %u, which none of the workers had",
		          slots_name(slot, name), (int)speaker->pid, shard);
}

/* ---- replacing ---- */

/* A spare that serves a shard none of the workers had is replaced like a worker. */
static bool serves(const struct slot *slot)
{
	return slot->kind == SLOT_WORKER || slot->cur.shards != 0;
}

bool slots_is_working(const struct slot *slot)
{
	return slot->cur.pid != 0 && (serves(slot) ? slot->cur.shards != 0 : slot->cur.ready);
}

int slots_replace(struct slots *s, struct slot *slot, uint64_t now_ns)
{
	struct birth birth = {.shard = slot->kind == SLOT_WORKER ? (int)slot->number : -1,
	                      .take_over = serves(slot) ? slot->cur.pid : SLOTS_OF_THE_DEAD};
	pid_t pid;

	assert(slot->next.pid == 0);
	slot->next_end[0] = '\0';
	pid = slots_give_birth(s, &slot->next, &birth, now_ns);
	if (pid > 0) {
		slot->cur.asked = serves(slot);
		return 0;
	}
	snprintf(slot->next_end, sizeof(slot->next_end), "cannot be started: %s", strerror(-pid));
	return pid;
}

static bool next_has_it_all(const struct slot *slot)
{
	return serves(slot) && slot->next.shards != 0 && slot->cur.shards == 0 && slot->lost == 0;
}

static void promote(struct slots *s, struct slot *slot, uint64_t now_ns)
{
	if (slot->cur.pid != 0)
		slots_retire(s, slot, &slot->cur, SIGTERM,
		             now_ns + (serves(slot) ? SLOTS_TERM_NS : 0));
	slot->cur = slot->next;
	slot->next = (struct life){0};
	slot->state = SLOT_RUNNING;
}

/*
 * A `next` has gone, or was given up. If it had some of the shards already, its predecessor, which
 * does not take them back, has to end as well: a new process gets all.
 */
static void next_failed(struct slots *s, struct slot *slot, const struct life *next,
                        enum backoff_death death, uint64_t now_ns)
{
	char then[SLOTS_TEXT];

	if (slot->cur.pid == 0)
		slots_decide(s, slot, death, now_ns - next->started_ns, now_ns, then);
	else if (next->shards != 0 || (slot->cur.yielded && slot->cur.shards != 0))
		s->ops->signal(s->arg, slot->cur.pid, SIGKILL);
}

void slots_give_up_next(struct slots *s, struct slot *slot, const char *why, uint64_t now_ns)
{
	struct life next = slot->next;

	snprintf(slot->next_end, sizeof(slot->next_end), "%s", why);
	slots_retire(s, slot, &slot->next, SIGKILL, now_ns);
	next_failed(s, slot, &next, BACKOFF_KILLED, now_ns);
}

/* Without a `next` nobody has it; what else it serves it leaves to those who start anew. */
static void on_yielded(struct slots *s, struct slot *slot, struct life *speaker, unsigned shard)
{
	uint64_t bit = UINT64_C(1) << shard;

	if (speaker->shards & bit)
		slot->lost |= bit;
	speaker->shards &= ~bit;
	speaker->yielded = true;
	if (speaker->asked && slot->next.pid == 0 && speaker->shards != 0)
		s->ops->signal(s->arg, speaker->pid, SIGKILL);
}

/* ---- what happens ---- */

void slots_on_line(struct slots *s, pid_t pid, const struct notify *line, uint64_t now_ns)
{
	struct life *l = slots_find(s, pid);
	struct slot *slot;

	slot = l != NULL ? slots_of_life(s, l) : NULL;
	if (slot == NULL) /* one that is leaving: what it serves is lost in a moment */
		return;
	if (line->what == NOTIFY_NO_PRIMARY) {
		l->no_primary = true;
		return;
	}
	l->ready = true;
	slot->said_no_primary = false;
	if (l == &slot->next && !serves(slot)) {
		promote(s, slot, now_ns);
		l = &slot->cur;
	}
	if (line->what == NOTIFY_SERVING)
		on_serving(s, l, line->number, now_ns);
	if (line->what == NOTIFY_YIELDED)
		on_yielded(s, slot, l, line->number);
	if (slot->next.pid != 0 && next_has_it_all(slot))
		promote(s, slot, now_ns);
}

static double seconds(const struct life *l, uint64_t now_ns)
{
	return (double)(now_ns - l->started_ns) / SLOTS_NS_PER_S;
}

static void on_cur_death(struct slots *s, struct slot *slot, const struct life *dead,
                         enum backoff_death death, const char *cause, uint64_t now_ns)
{
	struct slot *heir =
		slot->kind == SLOT_WORKER && s->stop_requests == 0 ? heir_of(s, dead) : NULL;
	bool silent = death == BACKOFF_NO_PRIMARY && slot->said_no_primary;
	char name[16], then[SLOTS_TEXT] = "";

	slot->lost |= dead->shards;
	if (death == BACKOFF_ENDED && dead->asked && dead->yielded)
		death = BACKOFF_KILLED; /* for its successor, which has not come */
	slot->ended_well = death == BACKOFF_ENDED;
	if (slot->next.pid != 0)
		snprintf(then, sizeof(then), "; pid %d takes over", (int)slot->next.pid);
	else if (heir == NULL)
		slots_decide(s, slot, death, now_ns - dead->started_ns, now_ns, then);
	if (!silent)
		slots_say(s, "%s (pid %d) %s after %.1f s%s", slots_name(slot, name),
		          (int)dead->pid, cause, seconds(dead, now_ns), then);
	slot->said_no_primary = death == BACKOFF_NO_PRIMARY;
	if (slot->next.pid != 0 && next_has_it_all(slot))
		promote(s, slot, now_ns);
	else if (heir != NULL)
		take_place(s, heir, slot, now_ns);
}

static void on_next_death(struct slots *s, struct slot *slot, const struct life *dead,
                          enum backoff_death death, const char *cause, uint64_t now_ns)
{
	snprintf(slot->next_end, sizeof(slot->next_end), "%s after %.1f s", cause,
	         seconds(dead, now_ns));
	slot->lost |= dead->shards;
	if (death == BACKOFF_ENDED && dead->shards == 0 && !slot->ended_well && !s->stop_requests)
		death = BACKOFF_FAILED; /* it was to serve */
	next_failed(s, slot, dead, death, now_ns);
}

void slots_on_death(struct slots *s, pid_t pid, enum backoff_death death, const char *cause,
                    uint64_t now_ns)
{
	struct life *l = slots_find(s, pid), dead;
	struct slot *slot;
	char name[16];

	if (l == NULL)
		return;
	slot = slots_of_life(s, l);
	dead = *l;
	if (dead.no_primary)
		death = BACKOFF_NO_PRIMARY;
	if (slot == NULL) {
		slot = &s->slot[l->home];
		slot->lost |= dead.shards;
		slots_say(s, "%s (pid %d) %s after %.1f s; it was replaced", slots_name(slot, name),
		          (int)pid, cause, seconds(&dead, now_ns));
		slots_end_life(l);
		return;
	}
	bool is_cur = l == &slot->cur;

	slots_end_life(l);
	if (is_cur)
		on_cur_death(s, slot, &dead, death, cause, now_ns);
	else
		on_next_death(s, slot, &dead, death, cause, now_ns);
}
