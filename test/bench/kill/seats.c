#include "test/bench/kill/seats.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/bench/kill/content.h"
#include "test/bench/kill/crew.h"
#include "test/bench/kill/sink.h"
#include "test/mp/harness.h"

enum {
	SHARDS_MAX = 16,
	SPARES = 1,
	SHARE = 8,        /* of so many processes one dies before it serves */
	WEDGE_MS = 30000, /* until a shard is served again */
	SLOW_MS = 3000,   /* without a worker: worth a line */
	LOOK_NS = 300000, /* between two looks at who dies */
};

const char *const seats_mode_names[MODES] = {"respawn", "standby", "upgrade", "mix"};

struct shard {
	struct member *holder;    /* as the primary says; NULL: nobody */
	struct member *candidate; /* on the way to it: a new one, or a successor */
	uint64_t unserved_ns;     /* since when, without holder */
};

struct seats_sum seats_sum;

static struct seats_options opt;
static struct shard shards[SHARDS_MAX];
static struct member *spare;
static bool is_held; /* no new spare now */
static uint64_t chance;

static uint64_t random_below(uint64_t n)
{
	return random_at(opt.seed, ++chance) % n;
}

/* One of so many times. */
static bool happens(unsigned share)
{
	return opt.by_chance && random_below(share) == 0;
}

static bool has_spare(void)
{
	return opt.mode == MODE_STANDBY || opt.mode == MODE_MIX;
}

/* ---- who comes and goes ---- */

static struct member *start(enum member_role role, unsigned shard, pid_t from)
{
	struct member *m = crew_start(role, shard, from);

	if (happens(SHARE))
		m->due_ns = m->born_ns + random_below((uint64_t)opt.attach_ms * 1000000);
	return m;
}

static bool is_gone(const struct member *m)
{
	return m == NULL || m->killed || m->ended;
}

static void kill_member(struct member *m)
{
	bool serves = m->role == SERVES;
	struct member *heir = shards[m->shard].candidate;

	kill(m->pid, SIGKILL);
	m->killed = true;
	m->due_ns = UINT64_MAX;
	seats_sum.kills++;
	seats_sum.serving += serves;
	seats_sum.others += !serves;
	if (m->role == SUCCEEDS && shards[m->shard].holder != NULL)
		shards[m->shard].holder->had_heir = true;
	if (serves && heir != NULL) /* it may come for the shard of a process that is no more */
		heir->excused = true;
}

static void upgrade(unsigned i)
{
	struct shard *s = &shards[i];

	s->candidate = start(SUCCEEDS, i, s->holder->pid);
	s->holder->due_ns = UINT64_MAX;
	if (happens(SHARE))
		s->holder->due_ns = now_ns() + random_below((uint64_t)opt.attach_ms * 1000000);
}

static bool wants_upgrade(void)
{
	switch (opt.mode) {
	case MODE_UPGRADE: return !happens(SHARE);
	case MODE_MIX: return happens(3);
	default: return false;
	}
}

static void meet_moment(struct member *m)
{
	if (m->role == SERVES && is_gone(shards[m->shard].candidate) && wants_upgrade())
		upgrade(m->shard);
	else
		kill_member(m);
}

/* On a slow machine as much longer as it takes to bring up a worker: what waits must get through. */
static uint64_t work_ns(uint64_t unserved_ns)
{
	uint64_t most = (uint64_t)opt.work_ms * 1000000;

	return most > 2 * unserved_ns ? most : 2 * unserved_ns;
}

static void draw_work(struct member *m, uint64_t unserved_ns)
{
	m->due_ns = UINT64_MAX;
	if (opt.by_chance && !m->killed)
		m->due_ns = now_ns() + random_below(work_ns(unserved_ns));
}

/* ---- what the primary says ---- */

static void take_served(const struct primary_said *said)
{
	struct shard *s = &shards[said->shard];
	struct member *m = crew_find(said->pid);
	uint64_t now = now_ns();

	if (m == NULL)
		return; /* killed long ago: the line is late */
	if (m == spare)
		spare = NULL;
	if (m == s->candidate)
		s->candidate = NULL;
	m->role = SERVES;
	m->shard = said->shard;
	draw_work(m, s->holder == NULL ? now - s->unserved_ns : 0);
	s->holder = m;
}

/* It has yielded to a successor; that was killed before it could take the shard. */
static void take_given_back(const struct primary_said *said)
{
	struct member *m = crew_find(said->pid);

	if (m == NULL || !m->had_heir)
		return; /* it ends without being asked: bury() tells */
	m->handed_over = true;
	seats_sum.given_back++;
}

void seats_take(const struct primary_said *said)
{
	struct member *m;

	if (said->shard >= opt.count)
		return;
	switch (said->what) {
	case SAID_SERVED: take_served(said); break;
	case SAID_HANDED_OVER:
		m = crew_find(said->pid);
		if (m != NULL)
			m->handed_over = true;
		seats_sum.upgrades++;
		break;
	case SAID_GAVE_BACK: take_given_back(said); break;
	case SAID_UNSERVED_FOR:
		if (said->ms > SLOW_MS)
			printf("after %" PRIu64
			       " kills: shard %u was without a worker for %.0f ms\n",
			       seats_sum.kills, said->shard, said->ms);
		seats_sum.unserved_count++;
		seats_sum.unserved_ms_total += said->ms;
		if (said->ms > seats_sum.unserved_ms_max)
			seats_sum.unserved_ms_max = said->ms;
		break;
	default: break;
	}
}

/* ---- the run ---- */

void seats_init(const struct seats_options *options)
{
	opt = *options;
	crew_init(opt.nap_us, opt.sink_file, opt.log_file);
}

void seats_start(void)
{
	uint64_t now = now_ns();

	for (unsigned i = 0; i < opt.count; i++) {
		shards[i].unserved_ns = now;
		shards[i].candidate = crew_start(COMES, i, FROM_NOBODY);
	}
}

static const char *complain(const struct member *m, const char *what)
{
	static char text[160];

	snprintf(text, sizeof(text), "shard %u: worker pid %d %s, wait status 0x%x", m->shard,
	         (int)m->pid, what, (unsigned)m->status);
	return text;
}

/* Forget who has been dead for a while: what the primary says of them is heard by now. */
static const char *bury(struct member *m)
{
	bool refused = !m->killed && WIFEXITED(m->status) &&
	               (WEXITSTATUS(m->status) == SINK_BUSY || m->excused);

	seats_sum.refused += refused;
	if (!m->killed && !refused && !(m->handed_over && m->status == 0))
		return complain(m, "has ended by itself");
	crew_forget(m);
	return NULL;
}

static const char *tend_shard(unsigned i, uint64_t now)
{
	static char text[64];
	struct shard *s = &shards[i];

	if (s->holder != NULL && (s->holder->ended || s->holder->handed_over)) {
		s->holder = NULL;
		s->unserved_ns = now;
	}
	if (s->candidate != NULL && s->candidate->ended) {
		s->candidate = NULL;
		if (!is_gone(s->holder) && s->holder->due_ns == UINT64_MAX)
			draw_work(s->holder, 0);
	}
	if (s->holder == NULL && s->candidate == NULL && !has_spare())
		s->candidate = start(COMES, i, FROM_NOBODY);
	if (s->holder != NULL || now < s->unserved_ns + (uint64_t)WEDGE_MS * 1000000)
		return NULL;
	snprintf(text, sizeof(text), "shard %u: wedged, nobody gets to serve it", i);
	return text;
}

static void tend_spare(void)
{
	if (!has_spare() || is_held)
		return;
	if (spare != NULL && spare->ended)
		spare = NULL;
	if (spare == NULL)
		spare = start(WAITS, 0, FROM_THE_DEAD);
}

const char *seats_tend(uint64_t now, bool by_chance)
{
	const char *wrong = NULL;
	struct member *m;

	for (unsigned k = 0; (m = crew_at(k)) != NULL; k++)
		if (by_chance && !m->killed && !m->ended && m->due_ns <= now)
			meet_moment(m);
	crew_look(now);
	for (unsigned i = 0; i < opt.count && wrong == NULL; i++)
		wrong = tend_shard(i, now);
	tend_spare();
	while (wrong == NULL && (m = crew_oldest_dead(now)) != NULL)
		wrong = bury(m);
	return wrong;
}

uint64_t seats_next_ns(uint64_t now)
{
	uint64_t next = UINT64_MAX;
	struct member *m;

	for (unsigned k = 0; (m = crew_at(k)) != NULL; k++) {
		uint64_t due = m->killed && !m->ended ? now + LOOK_NS : m->due_ns;

		next = !m->ended && due < next ? due : next;
	}
	return next;
}

bool seats_all_serve(void)
{
	for (unsigned i = 0; i < opt.count; i++)
		if (is_gone(shards[i].holder) || shards[i].candidate != NULL)
			return false;
	return true;
}

bool seats_at_rest(void)
{
	return seats_all_serve() && (!has_spare() || (!is_gone(spare) && crew_is_ready(spare)));
}

void seats_hold(bool hold)
{
	is_held = hold;
}

static uint64_t kill_and_wait(struct member *m)
{
	struct pollfd gone = {.fd = (int)syscall(SYS_pidfd_open, m->pid, 0), .events = POLLIN};
	uint64_t began = now_ns();

	kill_member(m);
	poll(&gone, 1, SOON_MS);
	close(gone.fd);
	return now_ns() - began;
}

uint64_t seats_replace(unsigned shard)
{
	if (opt.mode != MODE_UPGRADE)
		return kill_and_wait(shards[shard].holder);
	upgrade(shard);
	return 0;
}

const char *seats_stop(void)
{
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000;
	struct member *m;

	for (unsigned k = 0; (m = crew_at(k)) != NULL; k++)
		if (!is_gone(m))
			kill(m->pid, SIGTERM);
	for (unsigned k = 0; (m = crew_at(k)) != NULL; k++) {
		while (!m->ended && now_ns() < deadline) {
			usleep(1000);
			crew_look(now_ns());
		}
		if (!m->ended)
			return complain(m, "does not end at SIGTERM");
		if (!m->killed && !m->excused && m->status != 0)
			return complain(m, "did not end with status 0");
	}
	return NULL;
}
