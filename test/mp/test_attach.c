/*
 * primary/eal and secondary/eal against each other: this process is the primary of a prefix of its
 * own, with two null ports; workers are this program again, started with a role. Workers are
 * killed in their attach and while they hold each lock. Needs root and 64 MB of free hugepages,
 * else it is skipped.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_eal_memconfig.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_malloc.h>
#include <rte_memzone.h>

#include "primary/eal/eal_primary.h"
#include "secondary/eal/eal_worker.h"
#include "shared/eal_host/eal_host.h"

#define ZONE        "attach_test"
#define MEM_MB      64
#define ATTACHES    50
#define REPORT_FD   3
#define DEADLINE_MS 60000

static char prefix[48];
static const char *const vdevs[] = {"net_null0", "net_null1"};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void sleep_us(uint64_t us)
{
	struct timespec t = {.tv_sec = (time_t)(us / 1000000),
	                     .tv_nsec = (long)(us % 1000000) * 1000};

	nanosleep(&t, NULL);
}

/* Workers: what runs in the other process. */

static void die(void)
{
	kill(getpid(), SIGKILL);
}

static void die_in_walk(const struct rte_memzone *mz, void *arg)
{
	die();
}

/* Die at the line that is written while the lock is held. */
static ssize_t die_at_line(void *cookie, const char *buf, size_t len)
{
	if (strstr(buf, "Heap size") || strstr(buf, "already exist"))
		die();
	return (ssize_t)len;
}

static FILE *deadly_stream(void)
{
	static const cookie_io_functions_t io = {.write = die_at_line};
	FILE *f = fopencookie(NULL, "w", io);

	setvbuf(f, NULL, _IONBF, 0);
	return f;
}

/* A memzone that exists is refused with a debug message, under the write lock. */
static void die_in_reserve(void)
{
	rte_openlog_stream(deadly_stream());
	rte_log_set_global_level(RTE_LOG_DEBUG);
	rte_log_set_level_pattern("*", RTE_LOG_DEBUG);
	rte_memzone_reserve(ZONE, 64, SOCKET_ID_ANY, 0);
}

static void hold(const char *lock)
{
	if (strcmp(lock, "memzone-read") == 0)
		rte_memzone_walk(die_in_walk, NULL);
	else if (strcmp(lock, "memzone-write") == 0)
		die_in_reserve();
	else if (strcmp(lock, "hotplug-read") == 0)
		rte_mcfg_mem_read_lock();
	else if (strcmp(lock, "hotplug-write") == 0)
		rte_mcfg_mem_write_lock();
	else if (strcmp(lock, "tailq-write") == 0)
		rte_mcfg_tailq_write_lock();
	else if (strcmp(lock, "heap") == 0)
		rte_malloc_dump_heaps(deadly_stream());
	die();
}

/* How many threads of this process take signals? */
static unsigned int threads_taking_signals(void)
{
	unsigned int n = 0;
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;

	while ((e = readdir(dir))) {
		char path[300], line[200];
		unsigned long long blocked = 0;
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "SigBlk: %llx", &blocked) == 1)
				break;
		if (f)
			fclose(f);
		n += !(blocked >> (SIGINT - 1) & 1);
	}
	closedir(dir);
	return n;
}

static int is_driver(struct dl_phdr_info *info, size_t size, void *arg)
{
	return strncmp(info->dlpi_name, RTE_EAL_PMD_PATH, strlen(RTE_EAL_PMD_PATH)) == 0;
}

/* What EAL was not to see is there for everybody else, and what is not there is not. */
static bool files_are_as_ever(void)
{
	struct stat st;

	return stat(RTE_EAL_PMD_PATH, &st) == 0 && S_ISDIR(st.st_mode) &&
	       access(RTE_EAL_PMD_PATH, R_OK) == 0 && access("/nowhere", F_OK) != 0 &&
	       errno == ENOENT;
}

/* Attach and report "what is wrong" or "ok". */
static int attach(const char *file_prefix)
{
	char err[256] = "", before[16] = "", after[16] = "";
	const struct rte_memzone *mz;
	cpu_set_t cpus, cpus_after;
	const char *wrong = NULL;
	int rc;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	prctl(PR_GET_NAME, before);

	rc = mos_eal_worker_init(file_prefix, 7, err, sizeof(err));
	if (rc) {
		dprintf(REPORT_FD, "%s\n", err);
		return 1;
	}
	prctl(PR_GET_NAME, after);
	pthread_getaffinity_np(pthread_self(), sizeof(cpus_after), &cpus_after);
	mz = rte_memzone_lookup(ZONE);
	if (!mz || strcmp(mz->addr, ZONE) != 0)
		wrong = "memzone not found";
	else if (rte_eth_dev_count_avail() != 0)
		wrong = "a port was probed";
	else if (dl_iterate_phdr(is_driver, NULL) != 0)
		wrong = "a driver was loaded";
	else if (!files_are_as_ever())
		wrong = "files are not what they are";
	else if (rte_lcore_id() != 7)
		wrong = "lcore id is not ours";
	else if (!CPU_EQUAL(&cpus, &cpus_after))
		wrong = "CPU affinity was changed";
	else if (strcmp(before, after) != 0)
		wrong = "thread name was changed";
	else if (threads_taking_signals() != 1)
		wrong = "a thread of EAL takes signals";
	else if (mos_eal_worker_init(file_prefix, 7, err, sizeof(err)) != -EALREADY)
		wrong = "a second init was not refused";
	dprintf(REPORT_FD, "%s\n", wrong ? wrong : "ok");
	return 0;
}

static int worker_main(const char *file_prefix, const char *role)
{
	if (attach(file_prefix))
		return 1;
	if (strcmp(role, "stay") == 0)
		pause();
	else if (strcmp(role, "leave") == 0)
		mos_eal_worker_fini();
	else
		hold(role);
	return 0;
}

/* A primary that is killed as soon as it runs. */
static int primary_main(const char *file_prefix)
{
	struct mos_eal_primary_opt opt = {
		.file_prefix = file_prefix, .cpu = -1, .mem_mb = MEM_MB / 4, .quiet = true};
	char err[256] = "";
	int rc = mos_eal_primary_init(&opt, err, sizeof(err));

	dprintf(REPORT_FD, "%s\n", rc ? err : "ok");
	pause();
	return 0;
}

/* The bench. */

struct worker {
	pid_t pid;
	int report;
};

static struct worker start(const char *file_prefix, const char *role)
{
	struct worker w;
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	w.pid = fork();
	ck_assert_int_ge(w.pid, 0);
	if (w.pid == 0) {
		if (p[1] != REPORT_FD)
			dup2(p[1], REPORT_FD);
		execl("/proc/self/exe", "test_attach", file_prefix, role, (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	w.report = p[0];
	return w;
}

/* End it, by a signal unless sig is 0, and return its wait status. */
static int end(struct worker w, int sig)
{
	int status = -1;

	if (sig)
		kill(w.pid, sig);
	waitpid(w.pid, &status, 0);
	close(w.report);
	return status;
}

/* Its report; an attach that hangs is killed and said to. */
static const char *report(struct worker w)
{
	static char line[300];
	fd_set fds;
	struct timeval tv = {.tv_sec = DEADLINE_MS / 1000};
	ssize_t n;

	FD_ZERO(&fds);
	FD_SET(w.report, &fds);
	if (select(w.report + 1, &fds, NULL, NULL, &tv) != 1)
		return "hangs";
	n = read(w.report, line, sizeof(line) - 1);
	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return line;
}

static void assert_attach_works(void)
{
	struct worker w = start(prefix, "stay");

	ck_assert_str_eq(report(w), "ok");
	end(w, SIGKILL);
}

static size_t heap_used(void)
{
	size_t used = 0;

	for (unsigned int i = 0; i < rte_socket_count(); i++) {
		struct rte_malloc_socket_stats s;

		ck_assert_int_eq(rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &s), 0);
		used += s.heap_allocsz_bytes;
	}
	return used;
}

static unsigned int files_in_run_dir(const char *file_prefix)
{
	char path[MOS_EAL_PATH_LEN];
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), MOS_EAL_RUN_FMT, file_prefix);
	dir = opendir(path);
	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

START_TEST(attaches_and_kills_leave_the_heap_as_it_was)
{
	size_t used = heap_used();
	uint64_t took[ATTACHES];

	for (unsigned int i = 0; i < ATTACHES; i++) {
		uint64_t began = now_us();
		struct worker w = start(prefix, "stay");

		ck_assert_str_eq(report(w), "ok");
		took[i] = now_us() - began;
		end(w, SIGKILL);
	}
	ck_assert_uint_eq(heap_used(), used);
	qsort(took, ATTACHES, sizeof(took[0]), by_size);
	printf("attach: median %.1f ms of %d, process start included\n",
	       (double)took[ATTACHES / 2] / 1000, ATTACHES);
}
END_TEST

START_TEST(killed_in_its_attach_does_not_keep_the_next_one_out)
{
	size_t used = heap_used();
	int mended = 0;

	srand(1);
	for (unsigned int i = 0; i < ATTACHES; i++) {
		struct worker w = start(prefix, "stay");

		sleep_us((uint64_t)rand() % 60000);
		end(w, SIGKILL);
		mended += mos_eal_locks_mend();
	}
	printf("kills in the attach: %d, locks mended: %d\n", ATTACHES, mended);
	assert_attach_works();
	ck_assert_uint_eq(heap_used(), used);
}
END_TEST

static const char *const held[] = {"memzone-read", "memzone-write", "hotplug-read", "hotplug-write",
                                   "tailq-write"};

START_TEST(lock_of_a_dead_worker_is_mended)
{
	struct worker w = start(prefix, held[_i]);

	ck_assert_str_eq(report(w), "ok");
	ck_assert(WIFSIGNALED(end(w, 0)));
	ck_assert_int_ge(mos_eal_locks_mend(), 1);
	ck_assert_int_eq(mos_eal_locks_mend(), 0);
	assert_attach_works();
}
END_TEST

static bool toggling;

static void *toggle_lock(void *arg)
{
	while (__atomic_load_n(&toggling, __ATOMIC_RELAXED)) {
		rte_mcfg_tailq_read_lock();
		sleep_us(300);
		rte_mcfg_tailq_read_unlock();
	}
	return NULL;
}

START_TEST(lock_of_a_living_holder_is_left_alone)
{
	pthread_t thread;

	toggling = true;
	ck_assert_int_eq(pthread_create(&thread, NULL, toggle_lock, NULL), 0);
	for (unsigned int i = 0; i < 5; i++)
		ck_assert_int_eq(mos_eal_locks_mend(), 0);
	__atomic_store_n(&toggling, false, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(files_of_the_dead_are_swept_and_those_of_the_living_stay)
{
	struct worker dead, living;
	unsigned int files;

	mos_eal_primary_sweep(prefix);
	living = start(prefix, "stay");
	ck_assert_str_eq(report(living), "ok");
	files = files_in_run_dir(prefix);
	dead = start(prefix, "stay");
	ck_assert_str_eq(report(dead), "ok");
	end(dead, SIGKILL);
	ck_assert_uint_gt(files_in_run_dir(prefix), files);
	mos_eal_primary_sweep(prefix);
	ck_assert_uint_eq(files_in_run_dir(prefix), files);
	end(living, SIGKILL);
}
END_TEST

START_TEST(worker_that_leaves_takes_its_files_along)
{
	struct worker w;
	unsigned int files;

	mos_eal_primary_sweep(prefix);
	files = files_in_run_dir(prefix);
	w = start(prefix, "leave");
	ck_assert_str_eq(report(w), "ok");
	ck_assert_int_eq(end(w, 0), 0);
	ck_assert_uint_eq(files_in_run_dir(prefix), files);
}
END_TEST

START_TEST(no_primary_is_one_clear_line)
{
	struct worker w = start("mos-test-nobody", "stay");

	ck_assert_ptr_nonnull(strstr(report(w), "no primary of prefix mos-test-nobody"));
	ck_assert_int_ne(end(w, 0), 0);
}
END_TEST

START_TEST(too_few_hugepages_names_the_command)
{
	struct mos_eal_primary_opt opt = {
		.file_prefix = "mos-test-huge", .cpu = -1, .mem_mb = 1u << 30};
	char err[256] = "";

	ck_assert_int_eq(mos_eal_primary_init(&opt, err, sizeof(err)), -ENOMEM);
	ck_assert_ptr_nonnull(strstr(err, "reserve more: echo "));
	opt.file_prefix = "../x";
	ck_assert_int_eq(mos_eal_primary_init(&opt, err, sizeof(err)), -EINVAL);
}
END_TEST

START_TEST(leftovers_of_a_killed_primary_are_wiped)
{
	char other[sizeof(prefix) + 8];
	struct worker w;

	snprintf(other, sizeof(other), "%s-other", prefix);
	w = start(other, "primary");
	ck_assert_str_eq(report(w), "ok");
	ck_assert_uint_eq(mos_eal_primary_wipe_stale(other), 0);
	ck_assert_uint_gt(files_in_run_dir(other), 0);
	end(w, SIGKILL);
	ck_assert_uint_gt(mos_eal_primary_wipe_stale(other), 0);
	ck_assert_uint_eq(files_in_run_dir(other), 0);
	ck_assert_uint_eq(mos_eal_primary_wipe_stale(other), 0);
}
END_TEST

/* Last: the heap's lock makes fini leave the heap be, and what dies with this process is files. */
START_TEST(heap_lock_of_a_dead_worker_is_mended)
{
	struct worker w = start(prefix, "heap");

	ck_assert_str_eq(report(w), "ok");
	ck_assert(WIFSIGNALED(end(w, 0)));
	ck_assert_int_eq(mos_eal_locks_mend(), 1);
	assert_attach_works();
}
END_TEST

START_TEST(primary_leaves_nothing_behind)
{
	ck_assert_uint_gt(files_in_run_dir(prefix), 0);
	mos_eal_primary_fini();
	ck_assert_uint_eq(files_in_run_dir(prefix), 0);
	ck_assert_uint_eq(mos_eal_primary_wipe_stale(prefix), 0);
}
END_TEST

static Suite *attach_suite(bool tear_heap)
{
	Suite *s = suite_create("attach");
	TCase *tc = tcase_create("attach");

	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, attaches_and_kills_leave_the_heap_as_it_was);
	tcase_add_test(tc, killed_in_its_attach_does_not_keep_the_next_one_out);
	tcase_add_loop_test(tc, lock_of_a_dead_worker_is_mended, 0, RTE_DIM(held));
	tcase_add_test(tc, lock_of_a_living_holder_is_left_alone);
	tcase_add_test(tc, files_of_the_dead_are_swept_and_those_of_the_living_stay);
	tcase_add_test(tc, worker_that_leaves_takes_its_files_along);
	tcase_add_test(tc, no_primary_is_one_clear_line);
	tcase_add_test(tc, too_few_hugepages_names_the_command);
	tcase_add_test(tc, leftovers_of_a_killed_primary_are_wiped);
	if (tear_heap)
		tcase_add_test(tc, heap_lock_of_a_dead_worker_is_mended);
	tcase_add_test(tc, primary_leaves_nothing_behind);
	suite_add_tcase(s, tc);
	return s;
}

/* Run the suite as a primary of its own. Returns the number of failures, or 77 to be skipped. */
static int run(bool tear_heap)
{
	struct mos_eal_primary_opt opt = {.file_prefix = prefix,
	                                  .vdevs = vdevs,
	                                  .vdev_count = RTE_DIM(vdevs),
	                                  .cpu = -1,
	                                  .mem_mb = MEM_MB,
	                                  .quiet = true};
	const struct rte_memzone *mz;
	char err[256] = "";
	SRunner *sr;
	int rc, failed;

	snprintf(prefix, sizeof(prefix), "mos-test-%d", (int)getpid());
	rc = mos_eal_primary_init(&opt, err, sizeof(err));
	if (rc) {
		fprintf(stderr, "%s\n", err);
		return rc == -EPERM || rc == -ENOENT || rc == -ENOMEM ? 77 : 1;
	}
	mz = rte_memzone_reserve(ZONE, 64, SOCKET_ID_ANY, 0);
	if (!mz || mos_eal_locks_learn() <= 0) {
		fprintf(stderr, "memzone or locks not to be had\n");
		mos_eal_primary_fini();
		return 1;
	}
	snprintf(mz->addr, 64, "%s", ZONE);

	sr = srunner_create(attach_suite(tear_heap));
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	mos_eal_primary_fini();
	return failed != 0;
}

int main(int argc, char **argv)
{
	int status = 0;

	if (argc == 3)
		return strcmp(argv[2], "primary") == 0 ? primary_main(argv[1])
		                                       : worker_main(argv[1], argv[2]);
	/* Twice: with an orderly end, and with a heap that must not be touched at the end. */
	for (int tear_heap = 0; tear_heap <= 1 && status == 0; tear_heap++) {
		pid_t pid = fork();

		if (pid == 0)
			exit(run(tear_heap));
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return 1;
		status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	return status;
}
