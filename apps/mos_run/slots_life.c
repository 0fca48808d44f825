/* Processes one by one, whatever their place; and what others want to see of them. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "apps/mos_run/slots_priv.h"

void slots_say(struct slots *s, const char *fmt, ...)
{
	char line[2 * SLOTS_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	s->ops->say(s->arg, line);
}

/* ---- from birth to death ---- */

pid_t slots_give_birth(struct slots *s, struct life *l, const struct birth *birth, uint64_t now_ns)
{
	int fd = -1;
	pid_t pid = s->ops->start(s->arg, birth, &fd);

	if (pid > 0)
		*l = (struct life){.pid = pid, .notify_fd = fd, .started_ns = now_ns};
	return pid;
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

void slots_end_life(struct life *l)
{
	close_notify(l);
	*l = (struct life){0};
}

void slots_retire(struct slots *s, struct slot *home, struct life *l, int signum, uint64_t at_ns)
{
	struct life *to = NULL;

	for (unsigned i = 0; i < SLOTS_MAX && to == NULL; i++)
		if (s->leaving[i].pid == 0)
			to = &s->leaving[i];
	if (to == NULL) { /* too many to wait for */
		s->ops->signal(s->arg, l->pid, SIGKILL);
		slots_end_life(l);
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

/* ---- who is there ---- */

struct life *slots_next_life(struct slots *s, unsigned *at)
{
	while (*at < SLOTS_LIFE_MAX) {
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

struct slot *slots_of_life(struct slots *s, const struct life *l)
{
	for (unsigned i = 0; i < slots_count(s); i++)
		if (l == &s->slot[i].cur || l == &s->slot[i].next)
			return &s->slot[i];
	return NULL;
}

void slots_signal_all(struct slots *s, int signum)
{
	struct life *l;

	for (unsigned i = s->worker_count; i < slots_count(s); i++) /* else they would take over */
		if (s->slot[i].cur.pid != 0)
			s->ops->signal(s->arg, s->slot[i].cur.pid, signum);
	for (unsigned at = 0; (l = slots_next_life(s, &at)) != NULL;) {
		struct slot *slot = slots_of_life(s, l);

		if (slot == NULL || slot->kind != SLOT_SPARE || l != &slot->cur)
			s->ops->signal(s->arg, l->pid, signum);
	}
}

/* ---- looking ---- */

const char *slots_name(const struct slot *slot, char name[static 16])
{
	snprintf(name, 16, "%s %u", slot->kind == SLOT_SPARE ? "spare" : "worker",
	         slot->number % 1000);
	return name;
}

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
