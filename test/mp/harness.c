#include "test/mp/harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SKIPPED = 77,
	NEED_PAGES = 128, /* 2 MB each, for one primary */
	LAST_MS = 30000,  /* for processes to go away after a signal */
};

struct harness harness;

static char stage_prefix[16];    /* of all prefixes of this run */
static struct worker latest[32]; /* whose logs are shown */
static unsigned launched;

/* ---- what is left behind ---- */

static const char *const places[] = {"/run/mos-mp", "/var/run/dpdk", "/dev/hugepages"};
#define PLACES (sizeof(places) / sizeof(places[0]))

unsigned harness_files(const char *dir, const char *prefix)
{
	DIR *d = opendir(dir);
	unsigned n = 0;
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		n += e->d_name[0] != '.' && strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	if (d != NULL)
		closedir(d);
	return n;
}

static bool find_left(const char *dir, const char *prefix, char *name, size_t name_len)
{
	DIR *d = opendir(dir);
	bool found = false;
	struct dirent *e;

	while (d != NULL && !found && (e = readdir(d)) != NULL)
		if (strncmp(e->d_name, prefix, strlen(prefix)) == 0) {
			found = true;
			snprintf(name, name_len, "%s/%s", dir, e->d_name);
		}
	if (d != NULL)
		closedir(d);
	return found;
}

bool harness_leftovers(const char *prefix, char *name, size_t name_len)
{
	for (unsigned i = 0; i < PLACES; i++)
		if (find_left(places[i], prefix, name, name_len))
			return true;
	return false;
}

static void remove_tree(const char *path)
{
	char entry[600];
	struct dirent *e;
	DIR *d;

	if (unlink(path) == 0 || (d = opendir(path)) == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(entry, sizeof(entry), "%s/%s", path, e->d_name);
		remove_tree(entry);
	}
	closedir(d);
	rmdir(path);
}

static void sweep(const char *prefix)
{
	char name[400], last[400] = "";

	while (harness_leftovers(prefix, name, sizeof(name)) && strcmp(name, last) != 0) {
		remove_tree(name);
		memcpy(last, name, sizeof(last));
	}
	while (find_left("/tmp", prefix, name, sizeof(name)) && strcmp(name, last) != 0) {
		remove_tree(name);
		memcpy(last, name, sizeof(last));
	}
}

/* ---- the guard and the runner ---- */

static volatile sig_atomic_t runner_pid;

static void on_end_signal(int sig)
{
	if (runner_pid > 0)
		kill((pid_t)runner_pid, SIGKILL);
}

static bool enough_hugepages(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	unsigned pages = 0;

	while (f != NULL && fgets(line, sizeof(line), f))
		sscanf(line, "HugePages_Free: %u", &pages);
	if (f != NULL)
		fclose(f);
	return pages >= NEED_PAGES;
}

static void find_build(void)
{
	const char *env = getenv("MOS_BUILD");
	char exe[sizeof(harness.build)];
	ssize_t n;

	if (env != NULL) {
		snprintf(harness.build, sizeof(harness.build), "%s", env);
		return;
	}
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	snprintf(harness.build, sizeof(harness.build), "%s", dirname(dirname(exe)));
}

/* The wires, in a namespace that nobody else is in. Offloads have no place on them. */
static bool make_network(void)
{
	static const char script[] =
		"echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6 2>/dev/null;"
		"for x in a b; do ip link add end_$x type veth peer name box_$x &&"
		" ip link set end_$x up && ip link set box_$x up || exit 1; done";
	const char *const argv[] = {"sh", "-c", script, NULL};

	if (unshare(CLONE_NEWNET) < 0) {
		perror("network namespace");
		return false;
	}
	return proc_run(argv, NULL, 0, LAST_MS) == 0;
}

static int run_suite(Suite *suite)
{
	SRunner *sr;
	int failed;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!make_network()) {
		fprintf(stderr, "no network namespace with veth pairs to be had\n");
		return SKIPPED;
	}
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Everything the runner left alive became our child. */
static void reap_all(void)
{
	uint64_t deadline = now_ns() + (uint64_t)LAST_MS * 1000000;

	while (now_ns() < deadline) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0)
			return;
		if (pid == 0)
			usleep(10000);
	}
	fprintf(stderr, "processes of the test are still alive\n");
}

static int guard(void)
{
	char left[400];
	int status = -1;

	while (waitpid((pid_t)runner_pid, &status, 0) < 0 && errno == EINTR)
		;
	runner_pid = 0;
	status = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
	reap_all();
	if (status == EXIT_SUCCESS && harness_leftovers(stage_prefix, left, sizeof(left))) {
		fprintf(stderr, "left behind: %s\n", left);
		status = EXIT_FAILURE;
	}
	sweep(stage_prefix);
	return status;
}

int harness_main(Suite *suite)
{
	struct sigaction sa = {.sa_handler = on_end_signal};
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid() != 0 || !enough_hugepages()) {
		fprintf(stderr, "skipped: needs root and %d free hugepages of 2 MB\n", NEED_PAGES);
		return SKIPPED;
	}
	find_build();
	snprintf(stage_prefix, sizeof(stage_prefix), "mp%dx", (int)getpid());
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	pid = fork();
	if (pid == 0) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		signal(SIGHUP, SIG_DFL);
		exit(run_suite(suite));
	}
	if (pid < 0) {
		perror("fork");
		return EXIT_FAILURE;
	}
	runner_pid = pid;
	srunner_free(srunner_create(suite)); /* ours */
	return guard();
}

/* ---- one test ---- */

void harness_begin(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(harness.prefix, sizeof(harness.prefix), "%s%d", stage_prefix, (int)getpid());
	snprintf(harness.dir, sizeof(harness.dir), "/tmp/%s", harness.prefix);
	snprintf(harness.conf, sizeof(harness.conf), "%s/mos.conf", harness.dir);
	sweep(stage_prefix); /* of a test that failed */
	ck_assert_int_eq(mkdir(harness.dir, 0755), 0);
}

void harness_end(void)
{
	char left[400];

	remove_tree(harness.dir);
	expect(!harness_leftovers(harness.prefix, left, sizeof(left)), "left behind: %s", left);
}

void harness_dump(void)
{
	unsigned count = launched < 32 ? launched : 32;

	for (unsigned i = 0; i < count; i++)
		if (latest[i].proc != NULL)
			proc_dump(latest[i].proc, "worker");
	if (harness.primary != NULL)
		proc_dump(harness.primary, "primary");
}

void harness_write_conf(const char *text)
{
	FILE *f = fopen(harness.conf, "we");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
}

void harness_configure(const char *keys)
{
	char text[2048];

	snprintf(text, sizeof(text),
	         "mos {\n\tprefix = %s\n\tworkers = 2\n\tmax_concurrency = 8192\n%s\n"
	         "\tnetdev {\n\t\tbox_a\n\t\tbox_b\n\t}\n"
	         "\tnic_forward_table {\n\t\tbox_a box_b\n\t}\n}\n",
	         harness.prefix, keys);
	harness_write_conf(text);
}

/* ---- the primary ---- */

struct proc *harness_launch_primary(void)
{
	char path[300];
	const char *const argv[] = {path, "-f", harness.conf, NULL};

	snprintf(path, sizeof(path), "%s/primary/mos-primary", harness.build);
	return proc_start(argv, NULL);
}

void harness_start_primary(void)
{
	size_t mark = 0;

	proc_free(harness.primary);
	harness.primary = harness_launch_primary();
	expect(proc_wait_line(harness.primary, &mark, "mos-primary: ready", NULL, READY_MS),
	       "the primary does not come up");
}

void harness_stop_primary(void)
{
	char line[LINE_LEN] = "", left[400];
	unsigned found = 0, all = 0;
	int status;

	proc_signal(harness.primary, SIGINT);
	status = proc_wait_end(harness.primary, READY_MS);
	if (getenv("MOS_LOG") != NULL)
		proc_save(harness.primary, getenv("MOS_LOG"));
	proc_last_line(harness.primary, "mbuf audit:", line);
	sscanf(line, "mos-primary: mbuf audit: %u of %u found", &found, &all);
	expect(all > 0 && found == all, "the pool is not whole: %s", line);
	expect(status == 0, "the primary ended with wait status 0x%x", (unsigned)status);
	expect(!harness_leftovers(harness.prefix, left, sizeof(left)), "left behind: %s", left);
}

void harness_report(void)
{
	size_t mark = proc_mark(harness.primary);

	proc_signal(harness.primary, SIGUSR1);
	expect(proc_wait_line(harness.primary, &mark, "mbuf audit:", NULL, SOON_MS),
	       "the primary does not report");
}

uint64_t harness_counter(const char *name)
{
	char line[LINE_LEN], text[64];
	uint64_t v = 0;
	size_t mark = 0, at = 0;

	/* Behind the head of the last report. */
	while (proc_wait_line(harness.primary, &mark, "mos-primary: counters:", NULL, 0))
		at = mark;
	snprintf(text, sizeof(text), "  %s ", name);
	if (at > 0 && proc_wait_line(harness.primary, &at, text, line, 0))
		sscanf(line + strlen(text), "%" SCNu64, &v);
	return v;
}

bool harness_wait_counter(const char *name, uint64_t n, int timeout_ms)
{
	uint64_t deadline = now_ns() + (uint64_t)timeout_ms * 1000000;

	do {
		harness_report();
		if (harness_counter(name) >= n)
			return true;
		usleep(10000);
	} while (now_ns() < deadline);
	return false;
}

/* ---- workers ---- */

struct worker harness_launch_program(unsigned shard, const char *const argv[])
{
	struct worker w = {.shard = shard, .born = proc_mark(harness.primary)};
	char env[32];

	snprintf(env, sizeof(env), "MOS_SHARD=");
	if (shard != ALL_SHARDS)
		snprintf(env, sizeof(env), "MOS_SHARD=%u", shard);
	w.proc = proc_start(argv, env);
	latest[launched++ % 32] = w;
	return w;
}

struct worker harness_launch_worker(unsigned shard, const char *const options[])
{
	const char *argv[16] = {NULL, "-f", harness.conf};
	char path[300];

	for (unsigned i = 0; options != NULL && options[i] != NULL; i++)
		argv[3 + i] = options[i];
	snprintf(path, sizeof(path), "%s/test/mp/worker_app", harness.build);
	argv[0] = path;
	return harness_launch_program(shard, argv);
}

struct worker harness_launch_successor(pid_t from, unsigned shard, const char *const options[])
{
	char pid[16], fd[16];
	struct worker w;
	int words[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, words), 0);
	fcntl(words[0], F_SETFD, FD_CLOEXEC);
	snprintf(pid, sizeof(pid), "%d", (int)from);
	snprintf(fd, sizeof(fd), "%d", words[1]);
	setenv("MOS_TAKE_OVER", from == FROM_DEAD ? "dead" : pid, 1);
	setenv("MOS_NOTIFY_FD", fd, 1);
	w = harness_launch_worker(shard, options);
	unsetenv("MOS_NOTIFY_FD");
	unsetenv("MOS_TAKE_OVER");
	close(words[1]);
	w.words = words[0];
	return w;
}

bool harness_wait_word(struct worker *w, const char *word, int timeout_ms)
{
	uint64_t deadline = now_ns() + (uint64_t)timeout_ms * 1000000;
	struct pollfd p = {.fd = w->words, .events = POLLIN};

	for (uint64_t now = now_ns(); now < deadline; now = now_ns()) {
		char line[64];
		ssize_t n;

		if (poll(&p, 1, (int)((deadline - now) / 1000000) + 1) <= 0)
			continue;
		n = recv(w->words, line, sizeof(line) - 1, 0);
		if (n <= 0)
			return false;
		line[n] = '\0';
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, word) == 0)
			return true;
	}
	return false;
}

bool harness_wait_served(const struct worker *w, int timeout_ms)
{
	size_t mark = w->born;
	char text[64];

	snprintf(text, sizeof(text), "shard %u: served by pid %d\n", w->shard,
	         (int)proc_pid(w->proc));
	return proc_wait_line(harness.primary, &mark, text, NULL, timeout_ms);
}

bool harness_wait_up(const struct worker *w, int timeout_ms)
{
	size_t mark = 0;

	return proc_wait_line(w->proc, &mark, "app: up", NULL, timeout_ms);
}

struct worker harness_start_worker(unsigned shard, const char *const options[])
{
	struct worker w = harness_launch_worker(shard, options);

	expect(harness_wait_served(&w, READY_MS), "shard %u is not served by pid %d", shard,
	       (int)proc_pid(w.proc));
	expect(harness_wait_up(&w, READY_MS), "the worker of shard %u does not come up", shard);
	return w;
}

void harness_forget_worker(struct worker *w)
{
	for (unsigned i = 0; i < 32; i++)
		if (latest[i].proc == w->proc)
			latest[i].proc = NULL;
	proc_free(w->proc);
	w->proc = NULL;
	if (w->words > 0)
		close(w->words);
	w->words = 0;
}

void harness_stop_worker(struct worker *w)
{
	size_t mark = w->born;
	char text[64];
	int status;

	proc_signal(w->proc, SIGINT);
	status = proc_wait_end(w->proc, SOON_MS);
	expect(status == 0, "worker pid %d ended with wait status 0x%x", (int)proc_pid(w->proc),
	       (unsigned)status);
	snprintf(text, sizeof(text), "shard %u: pid %d gave it back\n", w->shard,
	         (int)proc_pid(w->proc));
	expect(proc_wait_line(harness.primary, &mark, text, NULL, SOON_MS),
	       "shard %u was not given back", w->shard);
	harness_forget_worker(w);
}

void harness_kill_worker(struct worker *w)
{
	proc_signal(w->proc, SIGKILL);
	expect(proc_wait_end(w->proc, SOON_MS) != -1, "a killed worker does not die");
	harness_forget_worker(w);
}

struct app_report harness_ask_worker(const struct worker *w)
{
	size_t mark = proc_mark(w->proc);
	struct app_report r = {0};
	char line[LINE_LEN];

	proc_signal(w->proc, SIGUSR1);
	expect(proc_wait_line(w->proc, &mark, "app: live", line, SOON_MS),
	       "worker pid %d does not answer", (int)proc_pid(w->proc));
	expect(sscanf(line, "app: live %u replayed %u established %u packets %llu", &r.live,
	              &r.replayed, &r.established, &r.packets) == 4,
	       "unexpected answer: %s", line);
	return r;
}
