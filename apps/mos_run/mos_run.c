/*
 * mos-run: start one worker process per shard, and start it again when it dies.
 *
 *   mos-run -n 2 --respawn -- ./midstat -f mos.conf
 *
 *                    start             death: backoff.h says END, GIVE_UP,
 *   WAITING ----------------> RUNNING --------------------------+  or no --respawn
 *      ^  at restart_ns          |                              v
 *      +-------------------------+                           STOPPED
 *         death: RESTART             asked to stop: all that do not run
 *
 * Signals are read from a signalfd, so all work is done in one loop and nothing in handlers.
 * Times are nanoseconds of CLOCK_MONOTONIC.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "apps/mos_run/backoff.h"
#include "apps/mos_run/child.h"

#define WORKER_MAX 128
#define NS_PER_S   1000000000ull
#define GRACE_NS   (3 * NS_PER_S) /* from the second request to stop until SIGKILL */

enum worker_state { WORKER_WAITING, WORKER_RUNNING, WORKER_STOPPED };

struct worker {
	enum worker_state state;
	pid_t pid;           /* while RUNNING */
	uint64_t started_ns; /* while RUNNING */
	uint64_t restart_ns; /* while WAITING */
	bool ended_well;     /* its last life ended with status 0 */
	struct backoff backoff;
};

struct run {
	struct worker worker[WORKER_MAX];
	unsigned worker_count;
	char **argv; /* of a worker */
	bool respawn;
	unsigned stop_requests;
	uint64_t kill_ns; /* when the grace ends, 0 = not asked for */
	sigset_t old_mask;
	int signal_fd;
};

static void usage(FILE *f)
{
	fprintf(f,
	        "usage: mos-run [-n WORKERS] [--respawn] [--] COMMAND [ARGUMENT ...]\n"
	        "  -n, --workers N   start N workers, one per shard (default 1); worker I finds\n"
	        "                    MOS_SHARD=I in its environment and so asks for shard I\n"
	        "  -r, --respawn     start a worker again that died; one that ended with status 0\n"
	        "                    stays ended\n"
	        "  -h, --help        print this\n"
	        "SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 are forwarded to the workers. A "
	        "second\n"
	        "SIGINT or SIGTERM gives them 3 more seconds, a third one kills them at once.\n"
	        "Exit status: 0 when each worker ended with status 0, else 1.\n");
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* What becomes of a worker that is not running now; the words for it go to `next`. */
static void decide(struct run *r, struct worker *w, enum backoff_death death, uint64_t lived_ns,
                   char *next, size_t next_len)
{
	uint64_t delay_ns;
	enum backoff_verdict verdict = backoff_on_death(&w->backoff, death, lived_ns, &delay_ns);

	w->ended_well = death == BACKOFF_ENDED;
	w->state = WORKER_STOPPED;
	next[0] = '\0';
	if (r->stop_requests > 0 || verdict == BACKOFF_END)
		return;
	if (!r->respawn) {
		snprintf(next, next_len, "; not restarted (no --respawn)");
	} else if (verdict == BACKOFF_GIVE_UP) {
		snprintf(next, next_len, "; giving up: it failed %d times within 1 s of its start",
		         BACKOFF_FAILURES_MAX);
	} else {
		w->state = WORKER_WAITING;
		w->restart_ns = now_ns() + delay_ns;
		if (delay_ns == 0)
			snprintf(next, next_len, "; restarting now");
		else
			snprintf(next, next_len, "; restarting in %llu ms",
			         (unsigned long long)(delay_ns / BACKOFF_NS_PER_MS));
	}
}

static void start_worker(struct run *r, unsigned shard)
{
	struct worker *w = &r->worker[shard];
	pid_t pid = child_start(r->argv, shard, &r->old_mask);
	char next[96];

	if (pid < 0) {
		decide(r, w, BACKOFF_FAILED, 0, next, sizeof(next));
		fprintf(stderr, "mos-run: worker %u: cannot start %s: %s%s\n", shard, r->argv[0],
		        strerror(-pid), next);
		return;
	}
	w->state = WORKER_RUNNING;
	w->pid = pid;
	w->started_ns = now_ns();
}

static void on_worker_death(struct run *r, unsigned shard, int status)
{
	struct worker *w = &r->worker[shard];
	uint64_t lived_ns = now_ns() - w->started_ns;
	enum backoff_death death = WIFSIGNALED(status)        ? BACKOFF_KILLED
	                           : WEXITSTATUS(status) == 0 ? BACKOFF_ENDED
	                                                      : BACKOFF_FAILED;
	char cause[64], next[96];

	child_describe(status, cause, sizeof(cause));
	decide(r, w, death, lived_ns, next, sizeof(next));
	fprintf(stderr, "mos-run: worker %u (pid %d) %s after %.1f s%s\n", shard, (int)w->pid,
	        cause, (double)lived_ns / NS_PER_S, next);
}

/* One SIGCHLD may stand for several deaths, so each running worker is asked. */
static void reap(struct run *r)
{
	for (unsigned i = 0; i < r->worker_count; i++) {
		int status;

		if (r->worker[i].state == WORKER_RUNNING &&
		    waitpid(r->worker[i].pid, &status, WNOHANG) == r->worker[i].pid)
			on_worker_death(r, i, status);
	}
}

static void forward(const struct run *r, int signum)
{
	for (unsigned i = 0; i < r->worker_count; i++)
		if (r->worker[i].state == WORKER_RUNNING)
			kill(r->worker[i].pid, signum);
}

/* SIGKILL to each worker's process group: a worker may be a script with children of its own. */
static void kill_all(struct run *r)
{
	fprintf(stderr, "mos-run: killing the workers that still run\n");
	for (unsigned i = 0; i < r->worker_count; i++)
		if (r->worker[i].state == WORKER_RUNNING && kill(-r->worker[i].pid, SIGKILL) < 0)
			kill(r->worker[i].pid, SIGKILL);
	r->kill_ns = 0;
}

static void on_stop_request(struct run *r, int signum)
{
	r->stop_requests++;
	for (unsigned i = 0; i < r->worker_count; i++)
		if (r->worker[i].state == WORKER_WAITING)
			r->worker[i].state = WORKER_STOPPED;
	if (r->stop_requests >= 3) {
		kill_all(r);
		return;
	}
	forward(r, signum);
	if (r->stop_requests == 2)
		r->kill_ns = now_ns() + GRACE_NS;
}

static void on_signal(struct run *r, int signum)
{
	switch (signum) {
	case SIGCHLD: reap(r); break;
	case SIGINT:
	case SIGTERM: on_stop_request(r, signum); break;
	default: forward(r, signum); break;
	}
}

/* Do what is due. Returns how long to wait for what is due next, in ms; -1 = only for signals. */
static int do_timed_work(struct run *r)
{
	uint64_t now = now_ns(), next = UINT64_MAX;

	if (r->kill_ns != 0 && r->kill_ns <= now)
		kill_all(r);
	for (unsigned i = 0; i < r->worker_count; i++)
		if (r->worker[i].state == WORKER_WAITING && r->worker[i].restart_ns <= now)
			start_worker(r, i);

	if (r->kill_ns != 0)
		next = r->kill_ns;
	for (unsigned i = 0; i < r->worker_count; i++)
		if (r->worker[i].state == WORKER_WAITING && r->worker[i].restart_ns < next)
			next = r->worker[i].restart_ns;
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : (int)((next - now) / BACKOFF_NS_PER_MS + 1);
}

static bool all_stopped(const struct run *r)
{
	for (unsigned i = 0; i < r->worker_count; i++)
		if (r->worker[i].state != WORKER_STOPPED)
			return false;
	return true;
}

static bool all_ended_well(const struct run *r)
{
	for (unsigned i = 0; i < r->worker_count; i++)
		if (!r->worker[i].ended_well)
			return false;
	return true;
}

/* Until no worker runs and none will. */
static void supervise(struct run *r)
{
	struct pollfd pfd = {.fd = r->signal_fd, .events = POLLIN};
	struct signalfd_siginfo info;
	int timeout_ms = do_timed_work(r);

	while (!all_stopped(r)) {
		if (poll(&pfd, 1, timeout_ms) > 0)
			while (read(r->signal_fd, &info, sizeof(info)) == sizeof(info))
				on_signal(r, (int)info.ssi_signo);
		timeout_ms = do_timed_work(r);
	}
}

static int open_signals(struct run *r)
{
	static const int signals[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
	sigset_t mask;

	signal(SIGCHLD, SIG_DFL); /* if it is ignored by heritage, there is no death to be seen */
	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&mask, signals[i]);
	if (sigprocmask(SIG_BLOCK, &mask, &r->old_mask) < 0)
		return -errno;
	r->signal_fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	return r->signal_fd < 0 ? -errno : 0;
}

/* 1 .. WORKER_MAX, or 0 when the text is no such number. */
static unsigned parse_worker_count(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return end != text && *end == '\0' && n <= WORKER_MAX ? (unsigned)n : 0;
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(struct run *r, int argc, char **argv)
{
	static const struct option options[] = {
		{"workers", required_argument, NULL, 'n'},
		{"respawn", no_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c;

	r->worker_count = 1;
	while ((c = getopt_long(argc, argv, "+n:rh", options, NULL)) != -1) {
		switch (c) {
		case 'n':
			r->worker_count = parse_worker_count(optarg);
			if (r->worker_count == 0) {
				fprintf(stderr, "mos-run: -n %s: expected a number from 1 to %d\n",
				        optarg, WORKER_MAX);
				return EXIT_FAILURE;
			}
			break;
		case 'r': r->respawn = true; break;
		case 'h': usage(stdout); return EXIT_SUCCESS;
		default: usage(stderr); return EXIT_FAILURE;
		}
	}
	if (optind == argc) {
		fprintf(stderr, "mos-run: no command to run\n");
		usage(stderr);
		return EXIT_FAILURE;
	}
	r->argv = argv + optind;
	return -1;
}

int main(int argc, char **argv)
{
	static struct run r;
	int status = parse_options(&r, argc, argv);
	int error;

	if (status >= 0)
		return status;
	error = open_signals(&r);
	if (error < 0) {
		fprintf(stderr, "mos-run: cannot receive signals: %s\n", strerror(-error));
		return EXIT_FAILURE;
	}
	/* All zero, each worker waits for a start that is due. */
	supervise(&r);
	return all_ended_well(&r) ? EXIT_SUCCESS : EXIT_FAILURE;
}
