#include "apps/mos_run/restart.h"

#include <stdarg.h>
#include <stdio.h>

void restart_init(struct restart *r, const struct restart_ops *ops, void *arg, uint64_t limit_ns)
{
	*r = (struct restart){.ops = ops, .arg = arg, .limit_ns = limit_ns};
}

static unsigned limit_s(const struct restart *r)
{
	return (unsigned)(r->limit_ns / SLOTS_NS_PER_S);
}

static void begin(struct restart *r, uint64_t now_ns)
{
	r->step = RESTART_SETTLE;
	r->turn = 0;
	r->again = r->incomplete = false;
	r->asked_ns = now_ns;
	r->deadline_ns = now_ns + r->limit_ns;
}

bool restart_request(struct restart *r, uint64_t now_ns)
{
	if (r->step != RESTART_IDLE)
		return false;
	begin(r, now_ns);
	return true;
}

void restart_request_later(struct restart *r, uint64_t now_ns)
{
	if (!restart_request(r, now_ns))
		r->again = true;
}

static void finish(struct restart *r, bool ok, const char *why)
{
	r->step = RESTART_IDLE;
	r->ops->done(r->arg, ok, why);
}

void restart_cancel(struct restart *r)
{
	r->again = false;
	if (r->step != RESTART_IDLE)
		finish(r, false, "mos-run was asked to stop");
}

/* Spares first. */
static struct slot *slot_in_turn(const struct restart *r, struct slots *s)
{
	return r->turn < s->spare_count ? &s->slot[s->worker_count + r->turn]
	                                : &s->slot[r->turn - s->spare_count];
}

static void fail(struct restart *r, const struct slot *slot, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void fail(struct restart *r, const struct slot *slot, const char *fmt, ...)
{
	char what[SLOTS_TEXT], why[2 * SLOTS_TEXT], name[16];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(why, sizeof(why), "%s: %s", slots_name(slot, name), what);
	finish(r, false, why);
}

static void next_turn(struct restart *r, const struct slot *slot, uint64_t now_ns, const char *line)
{
	char text[2 * SLOTS_TEXT], name[16];

	snprintf(text, sizeof(text), "%s: %s", slots_name(slot, name), line);
	r->ops->tell(r->arg, text);
	r->turn++;
	r->step = RESTART_SETTLE;
	r->deadline_ns = now_ns + r->limit_ns;
}

/* Each of the steps returns whether another one can follow at once. */

static bool settle(struct restart *r, struct slots *s, struct slot *slot, uint64_t now_ns)
{
	char line[SLOTS_TEXT];

	if (slot->state == SLOT_STOPPED && slot->cur.pid == 0) {
		r->incomplete |= !slot->ended_well;
		next_turn(r, slot, now_ns, slot->ended_well ? "has ended" : "has failed");
	} else if (slot->state == SLOT_WAITING && slot->kind == SLOT_SPARE) {
		next_turn(r, slot, now_ns, "is about to be started");
	} else if (slots_is_working(slot) && slot->cur.started_ns >= r->asked_ns) {
		snprintf(line, sizeof(line), "pid %d is new", (int)slot->cur.pid);
		next_turn(r, slot, now_ns, line);
	} else if (slots_is_working(slot)) {
		r->old_pid = slot->cur.pid;
		if (slots_replace(s, slot, now_ns) != 0) {
			fail(r, slot, "%s %s; pid %d goes on", s->command, slot->next_end,
			     (int)r->old_pid);
			return false;
		}
		r->new_pid = slot->next.pid;
		r->step = RESTART_REPLACE;
		r->deadline_ns = now_ns + r->limit_ns;
	} else if (r->deadline_ns <= now_ns) {
		fail(r, slot, "not serving for %u s, so it cannot be replaced", limit_s(r));
		return false;
	} else {
		return false;
	}
	return true;
}

static bool replace(struct restart *r, struct slots *s, struct slot *slot, uint64_t now_ns)
{
	if (slot->next.pid == r->new_pid) {
		if (now_ns < r->deadline_ns)
			return false;
		slots_give_up_next(s, slot, "killed", now_ns);
		fail(r, slot, "the new one, pid %d, does not serve within %u s; it was killed",
		     (int)r->new_pid, limit_s(r));
		return false;
	}
	if (slot->next_end[0] == '\0') {
		r->step = RESTART_SEE_OFF;
		return true;
	}
	if (slot->cur.pid == r->old_pid) {
		fail(r, slot, "the new one, pid %d, %s; pid %d goes on", (int)r->new_pid,
		     slot->next_end, (int)r->old_pid);
		return false;
	}
	r->step = RESTART_SETTLE; /* both have gone, and the slot starts a new one */
	r->deadline_ns = now_ns + r->limit_ns;
	return true;
}

static bool see_off(struct restart *r, struct slots *s, struct slot *slot, uint64_t now_ns)
{
	char line[SLOTS_TEXT];

	if (slots_is_leaving(s, r->old_pid))
		return false;
	snprintf(line, sizeof(line), "pid %d -> %d", (int)r->old_pid, (int)r->new_pid);
	next_turn(r, slot, now_ns, line);
	return true;
}

uint64_t restart_on_time(struct restart *r, struct slots *s, uint64_t now_ns)
{
	static bool (*const step[])(struct restart *, struct slots *, struct slot *, uint64_t) = {
		[RESTART_SETTLE] = settle,
		[RESTART_REPLACE] = replace,
		[RESTART_SEE_OFF] = see_off,
	};

	while (r->step != RESTART_IDLE || r->again) {
		if (r->step == RESTART_IDLE)
			begin(r, now_ns);
		else if (r->turn == slots_count(s))
			finish(r, !r->incomplete, r->incomplete ? "a worker has failed" : "");
		else if (!step[r->step](r, s, slot_in_turn(r, s), now_ns) &&
		         r->step != RESTART_IDLE)
			return r->step == RESTART_SEE_OFF ? UINT64_MAX : r->deadline_ns;
	}
	return UINT64_MAX;
}
