#include "test/bench/kill/seats.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/bench/kill/content.h"
#include "test/bench/kill/sink.h"
#include "test/mp/harness.h"

enum {
	SEATS_MAX = 16,
	DEAD_MAX = 256,
	REAP_MS = 500,
	DYING_NS = 300000, /* between two looks at who dies */
	ATTACH_SHARE = 8,  /* of so many workers one is killed while it attaches */
	WEDGE_MS = 30000,  /* until a shard is served again */
};

struct seat {
	pid_t pid;
	enum { DYING, STARTING, SERVING } state;
	uint64_t unserved_ns; /* since when, if it does not serve */
	uint64_t due_ns;      /* UINT64_MAX: when it serves, it will be known */
};

struct seats_sum seats_sum;

static struct seats_options opt;
static struct seat seats[SEATS_MAX];
static struct {
	pid_t pid;
	uint64_t since_ns;
} dead[DEAD_MAX]; /* killed, not reaped yet: a ring */
static unsigned dead_first, dead_count;
static uint64_t chance;

static uint64_t random_below(uint64_t n)
{
	return random_at(opt.seed, ++chance) % n;
}

/* ---- processes ---- */

static void __attribute__((noreturn)) become_worker(unsigned shard, pid_t parent)
{
	char program[300], name[16], nap[16];
	int fd = open(opt.log_file, O_WRONLY | O_CREAT | O_APPEND, 0644);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	snprintf(program, sizeof(program), "%s/test/bench/kill/kill_sink", harness.build);
	snprintf(name, sizeof(name), "%u", shard);
	snprintf(nap, sizeof(nap), "%u", opt.nap_us);
	setenv("MOS_SHARD", name, 1);
	execl(program, program, "-f", harness.conf, "-o", opt.sink_file, "-w", nap, NULL);
	fprintf(stderr, "cannot run %s: %s\n", program, strerror(errno));
	_exit(127);
}

static void sit_down(unsigned i, uint64_t now)
{
	struct seat *s = &seats[i];
	pid_t self = getpid();

	s->state = STARTING;
	s->due_ns = random_below(ATTACH_SHARE) == 0
	                    ? now + random_below((uint64_t)opt.attach_ms * 1000000)
	                    : UINT64_MAX;
	s->pid = fork();
	if (s->pid == 0)
		become_worker(i, self);
	if (s->pid < 0) {
		perror("bench_kill: fork");
		exit(EXIT_FAILURE);
	}
}

/*
 * Not at once: while threads of the dead are still under way, the kernel would spin in waitpid()
 * for them, for as long as they do not get a CPU.
 */
static void reap(uint64_t now)
{
	while (dead_count > 0 && now - dead[dead_first].since_ns > REAP_MS * 1000000) {
		if (waitpid(dead[dead_first].pid, NULL, dead_count < DEAD_MAX ? WNOHANG : 0) == 0)
			return;
		dead_first = (dead_first + 1) % DEAD_MAX;
		dead_count--;
	}
}

static void kill_seat(unsigned i, uint64_t now)
{
	struct seat *s = &seats[i];

	seats_sum.kills++;
	seats_sum.serving += s->state == SERVING;
	seats_sum.attaching += s->state != SERVING;
	kill(s->pid, SIGKILL);
	if (s->state == SERVING)
		s->unserved_ns = now;
	s->state = DYING;
	s->due_ns = UINT64_MAX;
}

/* As whoever starts workers again would do it: when the dead one is gone. */
static void follow(unsigned i, uint64_t now)
{
	struct seat *s = &seats[i];
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
		return;
	if (dead_count == DEAD_MAX)
		reap(UINT64_MAX);
	dead[(dead_first + dead_count) % DEAD_MAX].pid = s->pid;
	dead[(dead_first + dead_count++) % DEAD_MAX].since_ns = now;
	sit_down(i, now);
}

/* It has ended. It may have come before the primary knew that its predecessor is dead. */
static bool start_again(unsigned i, int status, uint64_t now)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) != SINK_BUSY)
		return false;
	seats_sum.refused++;
	sit_down(i, now);
	return true;
}

/* ---- the run ---- */

void seats_init(const struct seats_options *options)
{
	opt = *options;
}

void seats_start(void)
{
	uint64_t now = now_ns();

	for (unsigned i = 0; i < opt.count; i++) {
		seats[i].unserved_ns = now;
		sit_down(i, now);
		seats[i].due_ns = UINT64_MAX; /* the first ones come up in peace */
	}
}

/* On a slow machine as much longer as it takes to bring up a worker: what waits must get through. */
static uint64_t work_ns(uint64_t unserved_ns)
{
	uint64_t most = (uint64_t)opt.work_ms * 1000000;

	return most > 2 * unserved_ns ? most : 2 * unserved_ns;
}

void seats_take(const struct primary_said *said)
{
	struct seat *s = &seats[said->shard % SEATS_MAX];

	uint64_t now = now_ns();

	if (said->what == SAID_SERVED && said->pid == s->pid && s->state == STARTING) {
		s->state = SERVING;
		s->due_ns = now + random_below(work_ns(now - s->unserved_ns));
	} else if (said->what == SAID_UNSERVED_FOR) {
		seats_sum.unserved_count++;
		seats_sum.unserved_ms_total += said->ms;
		if (said->ms > seats_sum.unserved_ms_max)
			seats_sum.unserved_ms_max = said->ms;
	}
}

uint64_t seats_next_ns(uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < opt.count; i++) {
		uint64_t due = seats[i].state == DYING ? now + DYING_NS : seats[i].due_ns;

		next = due < next ? due : next;
	}
	return next;
}

static const char *complain(unsigned i, const char *what)
{
	static char text[160];

	snprintf(text, sizeof(text), "shard %u: worker pid %d %s", i, (int)seats[i].pid, what);
	return text;
}

static const char *tend(unsigned i, uint64_t now, bool kill)
{
	struct seat *s = &seats[i];
	char how[64];
	int status = 0;

	if (s->state == DYING) {
		follow(i, now);
		return NULL;
	}
	if (kill && s->due_ns <= now) {
		kill_seat(i, now);
		return NULL;
	}
	if (s->state == STARTING && now > s->unserved_ns + (uint64_t)WEDGE_MS * 1000000)
		return complain(i, "wedged: does not get to serve");
	if (waitpid(s->pid, &status, WNOHANG) == 0 || start_again(i, status, now))
		return NULL;
	snprintf(how, sizeof(how), "has ended by itself, wait status 0x%x", (unsigned)status);
	return complain(i, how);
}

const char *seats_tend(uint64_t now, bool kill)
{
	const char *wrong = NULL;

	reap(now);
	for (unsigned i = 0; i < opt.count && wrong == NULL; i++)
		wrong = tend(i, now, kill);
	return wrong;
}

bool seats_all_serve(void)
{
	for (unsigned i = 0; i < opt.count; i++)
		if (seats[i].state != SERVING)
			return false;
	return true;
}

const char *seats_stop(void)
{
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000;

	for (unsigned i = 0; i < opt.count; i++)
		kill(seats[i].pid, SIGTERM);
	for (unsigned i = 0; i < opt.count; i++) {
		int status = 0;
		pid_t pid;

		while ((pid = waitpid(seats[i].pid, &status, WNOHANG)) == 0 && now_ns() < deadline)
			usleep(1000);
		if (pid == 0)
			return complain(i, "does not end at SIGTERM");
		if (status != 0)
			return complain(i, "did not end with status 0");
	}
	for (; dead_count > 0; dead_count--, dead_first = (dead_first + 1) % DEAD_MAX)
		waitpid(dead[dead_first].pid, NULL, 0);
	return NULL;
}
