/*
 * mos-run: start one worker process per shard, start it again when it dies, replace all of them by
 * those of a new program.
 *
 *   mos-run -n 2 --respawn --standby 1 -- ./midstat -f mos.conf
 *   mos-run restart
 *
 *   signals (signalfd) ---+
 *   lines of workers -----+--> one poll() --> slots.h, restart.h: what follows --> child.h: starts
 *   control socket -------+                                                        kill()
 *
 * All work is done in that one loop and nothing in signal handlers. Times are nanoseconds of
 * CLOCK_MONOTONIC.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
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

#include "apps/mos_run/child.h"
#include "apps/mos_run/client.h"
#include "apps/mos_run/control.h"
#include "apps/mos_run/notify.h"
#include "apps/mos_run/restart.h"
#include "apps/mos_run/slots.h"

#define NO_CLIENT   UINT_MAX
#define LIMIT_MAX_S 3600
#define DRAIN_LINES 256 /* of a dead process: its children may still talk */

struct run {
	struct slots slots;
	struct restart restart;
	struct control control;
	unsigned restart_client; /* who waits for the restart's end, or NO_CLIENT */
	char **argv;             /* of a worker */
	unsigned worker_count, spare_count;
	unsigned limit_s; /* for a new worker to serve in a restart */
	bool respawn;
	sigset_t old_mask;
	int signal_fd;
};

static void usage(FILE *f)
{
	fprintf(f,
	        "usage: mos-run [-n N] [--respawn] [--standby K] [--limit S] [--]\n"
	        "               COMMAND [ARGUMENT ...]\n"
	        "       mos-run restart [PID]\n"
	        "       mos-run status [PID]\n"
	        "  -n, --workers N   start N workers, one per shard (default 1); worker I finds\n"
	        "                    MOS_SHARD=I in its environment and so asks for shard I\n"
	        "  -r, --respawn     start a worker again that died; one that ended with status 0\n"
	        "                    stays ended\n"
	        "  -s, --standby K   start K spares, which take over from workers that die, and\n"
	        "                    others after them; implies --respawn\n"
	        "  -l, --limit S     seconds for a new worker to serve in a restart (default 30)\n"
	        "  -h, --help        print this\n"
	        "restart replaces the workers of a running mos-run one by one by new ones of the\n"
	        "same command, as it is on disk now; flows and packets stay. A new one that ends,\n"
	        "or does not serve in time, stops that, and the old ones go on. status lists\n"
	        "the workers. PID is that of a mos-run, if there are several.\n"
	        "SIGHUP restarts, too. SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 are forwarded to the\n"
	        "workers. A second SIGINT or SIGTERM gives them 3 more seconds, a third one kills\n"
	        "them at once.\n"
	        "Exit status: 0 when each worker ended with status 0, else 1.\n");
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SLOTS_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- what slots and restart ask for ---- */

static pid_t start_child(void *arg, const struct birth *birth, int *notify_fd)
{
	struct run *r = arg;

	return child_start(r->argv, birth, &r->old_mask, notify_fd);
}

/* SIGKILL goes to its process group: a worker may be a script with children of its own. */
static void signal_child(void *arg, pid_t pid, int signum)
{
	if (signum != SIGKILL || kill(-pid, SIGKILL) < 0)
		kill(pid, signum);
}

static void say(void *arg, const char *line)
{
	fprintf(stderr, "mos-run: %s\n", line);
}

static void restart_tells(void *arg, const char *line)
{
	struct run *r = arg;

	fprintf(stderr, "mos-run: restart: %s\n", line);
	if (r->restart_client != NO_CLIENT)
		control_say(&r->control, r->restart_client, '=', line);
}

static void restart_is_done(void *arg, bool ok, const char *why)
{
	struct run *r = arg;
	char line[CONTROL_TEXT];

	if (ok)
		snprintf(line, sizeof(line), "restart: done");
	else
		snprintf(line, sizeof(line), "restart failed: %s", why);
	fprintf(stderr, "mos-run: %s\n", line);
	if (r->restart_client == NO_CLIENT)
		return;
	if (!ok)
		control_say(&r->control, r->restart_client, '!', line);
	control_finish(&r->control, r->restart_client, ok ? 0 : 1);
	r->restart_client = NO_CLIENT;
}

/* ---- what happens ---- */

/* All that a process has said so far. Its end of the pair may be closed while it goes on. */
static void read_lines(struct run *r, struct life *l, unsigned max)
{
	pid_t pid = l->pid;
	int fd = l->notify_fd, error = 0;
	struct notify line;

	for (unsigned i = 0; i < max && error == 0; i++) {
		error = notify_read(fd, &line);
		if (error == 0)
			slots_on_line(&r->slots, pid, &line, now_ns());
	}
	if (error == -EPIPE)
		slots_close_notify(&r->slots, pid);
}

static void read_all_lines(struct run *r)
{
	struct life *l;

	for (unsigned at = 0; (l = slots_next_life(&r->slots, &at)) != NULL;)
		if (l->notify_fd >= 0)
			read_lines(r, l, 1);
}

/* One SIGCHLD may stand for several deaths. What the dead have said comes first. */
static void reap(struct run *r)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct life *l = slots_find(&r->slots, pid);
		char cause[64];

		if (l == NULL)
			continue;
		if (l->notify_fd >= 0)
			read_lines(r, l, DRAIN_LINES);
		child_describe(status, cause, sizeof(cause));
		slots_on_death(&r->slots, pid,
		               WIFSIGNALED(status)        ? BACKOFF_KILLED
		               : WEXITSTATUS(status) == 0 ? BACKOFF_ENDED
		                                          : BACKOFF_FAILED,
		               cause, now_ns());
	}
}

static void on_signal(struct run *r, int signum)
{
	switch (signum) {
	case SIGCHLD: break; /* reap() is next */
	case SIGHUP:
		if (r->slots.stop_requests == 0)
			restart_request_later(&r->restart, now_ns());
		break;
	case SIGINT:
	case SIGTERM:
		restart_cancel(&r->restart);
		slots_on_stop(&r->slots, signum, now_ns());
		break;
	default: slots_signal_all(&r->slots, signum); break;
	}
}

static void report_status(struct run *r, unsigned client)
{
	for (unsigned i = 0; i < slots_count(&r->slots); i++) {
		char name[16], state[CONTROL_TEXT / 2], line[CONTROL_TEXT];

		slots_describe(&r->slots.slot[i], state, sizeof(state));
		snprintf(line, sizeof(line), "%s: %s", slots_name(&r->slots.slot[i], name), state);
		control_say(&r->control, client, '=', line);
	}
	control_finish(&r->control, client, 0);
}

static void on_request(void *arg, unsigned client, const char *text)
{
	struct run *r = arg;

	if (client == r->restart_client && text == NULL)
		r->restart_client = NO_CLIENT; /* the restart goes on */
	if (client == r->restart_client || text == NULL)
		return; /* it has to wait */
	if (strcmp(text, "status") == 0) {
		report_status(r, client);
		return;
	}
	if (strcmp(text, "restart") != 0)
		control_say(&r->control, client, '!', "unknown request");
	else if (r->slots.stop_requests > 0)
		control_say(&r->control, client, '!', "restart refused: it is about to end");
	else if (!restart_request(&r->restart, now_ns()))
		control_say(&r->control, client, '!', "restart refused: one is under way");
	else
		r->restart_client = client;
	if (client != r->restart_client)
		control_finish(&r->control, client, 1);
}

/* ---- the loop ---- */

/* Do what is due. Returns how long to wait for what is due next, in ms; -1 = for events only. */
static int do_timed_work(struct run *r)
{
	uint64_t now = now_ns();
	uint64_t restart_ns = restart_on_time(&r->restart, &r->slots, now);
	uint64_t next_ns = slots_on_time(&r->slots, now);

	if (restart_ns < next_ns)
		next_ns = restart_ns;
	if (next_ns == UINT64_MAX)
		return -1;
	return next_ns <= now ? 0 : (int)((next_ns - now) / BACKOFF_NS_PER_MS + 1);
}

static void wait_for_events(struct run *r, int timeout_ms)
{
	static struct pollfd p[1 + 1 + CONTROL_CLIENT_MAX + SLOTS_LIFE_MAX];
	unsigned n = 0;
	struct life *l;

	p[n++] = (struct pollfd){.fd = r->signal_fd, .events = POLLIN};
	n += control_poll(&r->control, &p[n]);
	for (unsigned at = 0; (l = slots_next_life(&r->slots, &at)) != NULL;)
		if (l->notify_fd >= 0)
			p[n++] = (struct pollfd){.fd = l->notify_fd, .events = POLLIN};
	poll(p, n, timeout_ms);
}

/* Until no worker runs and none will. */
static void supervise(struct run *r)
{
	struct signalfd_siginfo info;
	int timeout_ms = do_timed_work(r);

	while (!slots_are_done(&r->slots)) {
		wait_for_events(r, timeout_ms);
		while (read(r->signal_fd, &info, sizeof(info)) == sizeof(info))
			on_signal(r, (int)info.ssi_signo);
		reap(r);
		read_all_lines(r);
		control_serve(&r->control, on_request, r);
		timeout_ms = do_timed_work(r);
	}
	restart_cancel(&r->restart);
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

/* ---- the command line ---- */

/* A number from 1 to max for this option; 0 if the text is none, and it is said. */
static unsigned parse_count(const char *option, const char *text, unsigned max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && n >= 1 && n <= max)
		return (unsigned)n;
	fprintf(stderr, "mos-run: %s %s: expected a number from 1 to %u\n", option, text, max);
	return 0;
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(struct run *r, int argc, char **argv)
{
	static const struct option options[] = {
		{"workers", required_argument, NULL, 'n'}, {"respawn", no_argument, NULL, 'r'},
		{"standby", required_argument, NULL, 's'}, {"limit", required_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},          {0},
	};
	int c;

	r->worker_count = 1;
	r->limit_s = 30;
	while ((c = getopt_long(argc, argv, "+n:rs:l:h", options, NULL)) != -1) {
		switch (c) {
		case 'n':
			r->worker_count = parse_count("-n", optarg, SLOTS_WORKER_MAX);
			if (r->worker_count == 0)
				return EXIT_FAILURE;
			break;
		case 's':
			r->spare_count = parse_count("--standby", optarg, SLOTS_SPARE_MAX);
			if (r->spare_count == 0)
				return EXIT_FAILURE;
			r->respawn = true;
			break;
		case 'l':
			r->limit_s = parse_count("--limit", optarg, LIMIT_MAX_S);
			if (r->limit_s == 0)
				return EXIT_FAILURE;
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

/* Behind options, or behind "--", these words are commands like others. */
static bool is_request(int argc, char **argv)
{
	return argc >= 2 && argc <= 3 &&
	       (strcmp(argv[1], "restart") == 0 || strcmp(argv[1], "status") == 0);
}

int main(int argc, char **argv)
{
	static const struct slots_ops slots_ops = {start_child, signal_child, say};
	static const struct restart_ops restart_ops = {restart_tells, restart_is_done};
	static struct run r;
	int status, error;

	if (is_request(argc, argv))
		return client_run(argv[1], argv[2]);
	status = parse_options(&r, argc, argv);
	if (status >= 0)
		return status;
	error = open_signals(&r);
	if (error < 0) {
		fprintf(stderr, "mos-run: cannot receive signals: %s\n", strerror(-error));
		return EXIT_FAILURE;
	}
	slots_init(&r.slots, &slots_ops, &r, r.argv[0], r.worker_count, r.spare_count, r.respawn);
	restart_init(&r.restart, &restart_ops, &r, r.limit_s * SLOTS_NS_PER_S);
	r.restart_client = NO_CLIENT;
	error = control_open(&r.control);
	if (error < 0)
		fprintf(stderr,
		        "mos-run: no socket in " CONTROL_DIR ": %s; `mos-run restart` and "
		        "`mos-run status` will not find this one, SIGHUP restarts\n",
		        strerror(-error));
	supervise(&r);
	control_close(&r.control);
	return slots_ended_well(&r.slots) ? EXIT_SUCCESS : EXIT_FAILURE;
}
