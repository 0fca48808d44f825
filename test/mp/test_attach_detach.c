/*
 * Workers come and go in order, and the primary is afterwards what it was before.
 */
#include "test/mp/harness.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURNS 50

/* What a primary must not gain from a worker that came and went. */
struct belongings {
	unsigned fds, threads, hugepage_files, eal_files;
};

static unsigned entries(const char *fmt, int pid)
{
	char path[64];

	snprintf(path, sizeof(path), fmt, pid);
	return harness_files(path, "");
}

static struct belongings belongings_of_primary(void)
{
	int pid = (int)proc_pid(harness.primary);
	char eal_dir[64];
	struct belongings b = {
		.fds = entries("/proc/%d/fd", pid),
		.threads = entries("/proc/%d/task", pid),
		.hugepage_files = harness_files("/dev/hugepages", harness.prefix),
	};

	snprintf(eal_dir, sizeof(eal_dir), "/var/run/dpdk/%s", harness.prefix);
	b.eal_files = harness_files(eal_dir, "");
	return b;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The supervisor lets go of a worker's descriptors when its pidfd says so: soon, not at once. */
static void assert_owns(const struct belongings *before)
{
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000;
	struct belongings b;

	do {
		b = belongings_of_primary();
	} while (memcmp(&b, before, sizeof(b)) != 0 && now_ns() < deadline);
	expect(memcmp(&b, before, sizeof(b)) == 0,
	       "fds %u -> %u, threads %u -> %u, hugepage files %u -> %u, EAL files %u -> %u",
	       before->fds, b.fds, before->threads, b.threads, before->hugepage_files,
	       b.hugepage_files, before->eal_files, b.eal_files);
}

START_TEST(workers_come_and_go_and_leave_the_primary_as_it_was)
{
	uint64_t took[TURNS];
	struct belongings before;

	harness_configure("");
	harness_start_primary();
	before = belongings_of_primary();
	for (unsigned i = 0; i < TURNS; i++) {
		uint64_t began = now_ns();
		struct worker w = harness_start_worker(i % 2, NULL);

		took[i] = now_ns() - began;
		harness_stop_worker(&w);
		assert_owns(&before);
	}
	qsort(took, TURNS, sizeof(took[0]), by_size);
	printf("attach to first packet: median %.1f ms, worst %.1f ms of %d\n",
	       (double)took[TURNS / 2] / 1e6, (double)took[TURNS - 1] / 1e6, TURNS);
	harness_stop_primary();
}
END_TEST

START_TEST(a_killed_worker_leaves_the_primary_as_it_was)
{
	struct belongings before;

	harness_configure("");
	harness_start_primary();
	before = belongings_of_primary();
	for (unsigned i = 0; i < 10; i++) {
		struct worker w = harness_start_worker(i % 2, NULL);

		harness_kill_worker(&w);
		assert_owns(&before);
	}
	harness_stop_primary();
}
END_TEST

START_TEST(mos_run_starts_a_dead_worker_again_for_the_same_shard)
{
	char run[300], app[300], line[LINE_LEN];
	const char *const argv[] = {run, "-n", "2",          "--respawn", "--",
	                            app, "-f", harness.conf, NULL};
	size_t mark = 0;
	struct proc *p;
	int pid = 0;

	snprintf(run, sizeof(run), "%s/apps/mos_run/mos-run", harness.build);
	snprintf(app, sizeof(app), "%s/test/mp/worker_app", harness.build);
	harness_configure("");
	harness_start_primary();
	p = proc_start(argv, NULL);
	for (unsigned shard = 0; shard < 2; shard++)
		expect(proc_wait_line(harness.primary, &(size_t){0},
		                      shard == 0 ? "shard 0: served by" : "shard 1: served by",
		                      line, READY_MS),
		       "shard %u is not served", shard);
	sscanf(strstr(line, "pid "), "pid %d", &pid);
	ck_assert_int_gt(pid, 1);

	mark = proc_mark(harness.primary);
	kill(pid, SIGKILL);
	expect(proc_wait_line(harness.primary, &mark, "shard 1: worker pid", line, SOON_MS),
	       "the primary does not see the death");
	expect(proc_wait_line(harness.primary, &mark, "shard 1: served by", NULL, READY_MS),
	       "nobody takes the dead worker's place");
	mark = 0;
	expect(proc_wait_line(p, &mark, "killed by SIGKILL", NULL, SOON_MS),
	       "mos-run does not say what its worker died of");
	expect(proc_wait_line(p, &mark, "app: up", NULL, SOON_MS),
	       "the successor does not come up");
	proc_signal(p, SIGINT);
	if (proc_wait_end(p, READY_MS) != 0)
		proc_dump(p, "mos-run");
	expect(proc_wait_end(p, 0) == 0, "mos-run does not end well");
	proc_free(p);
	harness_stop_primary();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("attach_detach");
	TCase *tc = tcase_create("attach_detach");

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, harness_begin, harness_end);
	tcase_add_test(tc, workers_come_and_go_and_leave_the_primary_as_it_was);
	tcase_add_test(tc, a_killed_worker_leaves_the_primary_as_it_was);
	tcase_add_test(tc, mos_run_starts_a_dead_worker_again_for_the_same_shard);
	suite_add_tcase(s, tc);
	return harness_main(s);
}
