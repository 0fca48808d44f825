#include "apps/mos_run/slots.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- small things ---- */

static void say(struct slots *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct slots *s, const char *fmt, ...)
{
	char line[2 * SLOTS_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	s->ops->say(s->arg, line);
}

const char *slots_name(const struct slot *slot, char name[static 16])
{
	snprintf(name, 16, "%s %u", slot->kind == SLOT_SPARE ? "spare" : "worker",
	         slot->number % 1000);
	return name;
}

static double seconds(const struct life *l, uint64_t now_ns)
{
	return (double)(now_ns - l->started_ns) / SLOTS_NS_PER_S;
}

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

/* ---- lives ---- */

struct life *slots_next_life(struct slots *s, unsigned *at)
{
	while (*at < 3 * SLOTS_MAX) {
		unsigned i = (*at)++, n = i / 3;
		struct life *l = i % 3 == 0   ? &s->slot[n].cur
		                 : i % 3 == 1 ? &s->slot[n].next
		                              : &s->leaving[n];

		if (l->pid != 0)
			return l;
	}
	return NULL;
}

struct life *slots_find(struct slots *s, pid_t pid)
{
	struct life *l;

	for (unsigned at = 0; (l = slots_next_life(s, &at)) != NULL;)
		if (l->pid == pid)
			return l;
	return NULL;
}

/* The slot whose cur or next this is; NULL for one that is leaving. */
static struct slot *slot_of(struct slots *s, const struct life *l)
{
	for (unsigned i = 0; i < slots_count(s); i++)
		if (l == &s->slot[i].cur || l == &s->slot[i].next)
			return &s->slot[i];
	return NULL;
}

static void close_notify(struct life *l)
{
	if (l->notify_fd >= 0)
		close(l->notify_fd);
	l->notify_fd = -1;
}

void slots_close_notify(struct slots *s, pid_t pid)
{
	struct life *l = slots_find(s, pid);

	if (l != NULL)
		close_notify(l);
}

static void end(struct life *l)
{
	close_notify(l);
	*l = (struct life){0};
}

/* A process that nobody needs any more: it gets this signal at this time, if it lives then. */
static void retire(struct slots *s, struct slot *home, struct life *l, int signum, uint64_t at_ns)
{
	struct life *to = NULL;

	for (unsigned i = 0; i < SLOTS_MAX && to == NULL; i++)
		if (s->leaving[i].pid == 0)
			to = &s->leaving[i];
	if (to == NULL) { /* too many to wait for */
		s->ops->signal(s->arg, l->pid, SIGKILL);
		end(l);
		return;
	}
	*to = *l;
	to->signum = signum;
	to->signal_ns = at_ns;
	to->home = (unsigned)(home - s->slot);
	*l = (struct life){0};
}

bool slots_is_leaving(const struct slots *s, pid_t pid)
{
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (pid != 0 && s->leaving[i].pid == pid)
			return true;
	return false;
}

static pid_t give_birth(struct slots *s, struct life *l, const struct birth *birth, uint64_t now_ns)
{
	int fd = -1;
	pid_t pid = s->ops->start(s->arg, birth, &fd);

	if (pid > 0)
		*l = (struct life){.pid = pid, .notify_fd = fd, .started_ns = now_ns};
	return pid;
}

/* ---- a place that has lost its process ---- */

static bool spare_is_ready(const struct slots *s)
{
	for (unsigned i = s->worker_count; i < slots_count(s); i++)
		if (s->slot[i].cur.ready && s->slot[i].cur.shards == 0)
			return true;
	return false;
}

/* After a death: wait for the next start, or stop. What is to be said about it goes to `then`. */
static void decide(struct slots *s, struct slot *slot, enum backoff_death death, uint64_t lived_ns,
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

static void start(struct slots *s, struct slot *slot, uint64_t now_ns)
{
	struct birth birth = {.shard = (int)slot->number};
	char name[16], then[SLOTS_TEXT];
	pid_t pid;

	if (slot->kind == SLOT_SPARE)
		birth = (struct birth){.shard = -1, .take_over = SLOTS_OF_THE_DEAD};
	pid = give_birth(s, &slot->cur, &birth, now_ns);
	if (pid > 0) {
		slot->state = SLOT_RUNNING;
		return;
	}
	decide(s, slot, BACKOFF_FAILED, 0, now_ns, then);
	say(s, "%s: cannot start %s: %s%s", slots_name(slot, name), s->command, strerror(-pid),
	    then);
}

/* ---- a spare takes the place of a worker ---- */

static void take_place(struct slots *s, struct slot *spare, struct slot *worker, uint64_t now_ns)
{
	char name[16];

	if (worker->cur.pid != 0) /* it was started in vain */
		retire(s, worker, &worker->cur, SIGTERM, now_ns);
	say(s, "worker %u: %s (pid %d) has taken over", worker->number, slots_name(spare, name),
	    (int)spare->cur.pid);
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
	struct slot *slot = slot_of(s, speaker), *loser = NULL;
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
		say(s, "%s (pid %d) serves shard %u, which none of the workers had",
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
	pid = give_birth(s, &slot->next, &birth, now_ns);
	if (pid > 0)
		return 0;
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
		retire(s, slot, &slot->cur, SIGTERM, now_ns + (serves(slot) ? SLOTS_TERM_NS : 0));
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
		decide(s, slot, death, now_ns - next->started_ns, now_ns, then);
	else if (next->shards != 0)
		s->ops->signal(s->arg, slot->cur.pid, SIGKILL);
}

void slots_give_up_next(struct slots *s, struct slot *slot, const char *why, uint64_t now_ns)
{
	struct life next = slot->next;

	snprintf(slot->next_end, sizeof(slot->next_end), "%s", why);
	retire(s, slot, &slot->next, SIGKILL, now_ns);
	next_failed(s, slot, &next, BACKOFF_KILLED, now_ns);
}

/* ---- what happens ---- */

void slots_on_line(struct slots *s, pid_t pid, const struct notify *line, uint64_t now_ns)
{
	struct life *l = slots_find(s, pid);
	struct slot *slot;

	slot = l != NULL ? slot_of(s, l) : NULL;
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
	if (slot->next.pid != 0 && next_has_it_all(slot))
		promote(s, slot, now_ns);
}

static void on_cur_death(struct slots *s, struct slot *slot, const struct life *dead,
                         enum backoff_death death, const char *cause, uint64_t now_ns)
{
	struct slot *heir =
		slot->kind == SLOT_WORKER && s->stop_requests == 0 ? heir_of(s, dead) : NULL;
	bool silent = death == BACKOFF_NO_PRIMARY && slot->said_no_primary;
	char name[16], then[SLOTS_TEXT] = "";

	slot->lost |= dead->shards;
	slot->ended_well = death == BACKOFF_ENDED;
	if (slot->next.pid != 0)
		snprintf(then, sizeof(then), "; pid %d takes over", (int)slot->next.pid);
	else if (heir == NULL)
		decide(s, slot, death, now_ns - dead->started_ns, now_ns, then);
	if (!silent)
		say(s, "%s (pid %d) %s after %.1f s%s", slots_name(slot, name), (int)dead->pid,
		    cause, seconds(dead, now_ns), then);
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
	slot = slot_of(s, l);
	dead = *l;
	if (dead.no_primary)
		death = BACKOFF_NO_PRIMARY;
	if (slot == NULL) {
		slot = &s->slot[l->home];
		slot->lost |= dead.shards;
		say(s, "%s (pid %d) %s after %.1f s; it was replaced", slots_name(slot, name),
		    (int)pid, cause, seconds(&dead, now_ns));
		end(l);
		return;
	}
	bool is_cur = l == &slot->cur;

	end(l);
	if (is_cur)
		on_cur_death(s, slot, &dead, death, cause, now_ns);
	else
		on_next_death(s, slot, &dead, death, cause, now_ns);
}

void slots_signal_all(struct slots *s, int signum)
{
	struct life *l;

	for (unsigned i = s->worker_count; i < slots_count(s); i++) /* else they would take over */
		if (s->slot[i].cur.pid != 0)
			s->ops->signal(s->arg, s->slot[i].cur.pid, signum);
	for (unsigned at = 0; (l = slots_next_life(s, &at)) != NULL;) {
		struct slot *slot = slot_of(s, l);

		if (slot == NULL || slot->kind != SLOT_SPARE || l != &slot->cur)
			s->ops->signal(s->arg, l->pid, signum);
	}
}

static void kill_all(struct slots *s)
{
	say(s, "killing the workers that still run");
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

/* ---- time ---- */

/* A shard that has no worker yet would go to a spare: none is started before. */
static bool workers_are_settled(const struct slots *s)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->slot[i].state != SLOT_STOPPED && s->slot[i].cur.shards == 0)
			return false;
	return true;
}

static bool workers_are_stopped(const struct slots *s)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->slot[i].state != SLOT_STOPPED || s->slot[i].next.pid != 0)
			return false;
	return true;
}

static void earlier(uint64_t *next_ns, uint64_t at_ns)
{
	if (at_ns < *next_ns)
		*next_ns = at_ns;
}

/* Nobody is left whose place a spare could take. */
static void stop_spares(struct slots *s, uint64_t now_ns)
{
	for (unsigned i = s->worker_count; i < slots_count(s); i++) {
		struct slot *slot = &s->slot[i];

		slot->state = SLOT_STOPPED;
		if (slot->cur.pid != 0)
			retire(s, slot, &slot->cur, SIGTERM, now_ns);
		if (slot->next.pid != 0)
			retire(s, slot, &slot->next, SIGTERM, now_ns);
	}
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

/* ---- looking ---- */

/* What the process of a slot does; the slot has one. */
static size_t describe_life(const struct life *l, char *text, size_t text_len)
{
	size_t len = (size_t)snprintf(text, text_len, "pid %d: %s", (int)l->pid,
	                              l->shards != 0 ? "serves shard"
	                              : l->ready     ? "ready"
	                                             : "starting");

	for (unsigned i = 0; i < 64 && len < text_len; i++)
		if (l->shards >> i & 1)
			len += (size_t)snprintf(text + len, text_len - len, " %u", i);
	return len;
}

void slots_describe(const struct slot *slot, char *text, size_t text_len)
{
	size_t len;

	if (slot->cur.pid != 0)
		len = describe_life(&slot->cur, text, text_len);
	else if (slot->state == SLOT_STOPPED)
		len = (size_t)snprintf(text, text_len, slot->ended_well ? "ended" : "failed");
	else
		len = (size_t)snprintf(text, text_len,
		                       slot->said_no_primary ? "waits for a primary" : "died");
	if (slot->next.pid != 0 && len < text_len)
		snprintf(text + len, text_len - len, "; pid %d is to take over",
		         (int)slot->next.pid);
}

bool slots_are_done(struct slots *s)
{
	unsigned at = 0;

	for (unsigned i = 0; i < slots_count(s); i++)
		if (s->slot[i].state == SLOT_WAITING)
			return false;
	return slots_next_life(s, &at) == NULL;
}

bool slots_ended_well(const struct slots *s)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		if (!s->slot[i].ended_well)
			return false;
	return true;
}
