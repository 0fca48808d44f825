/*
 * Errors a person meets: one line that names cause and remedy, exit status 1, nothing left behind.
 * And a control socket that is talked to by the wrong people.
 */
#include "test/mp/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/control/control_msg.h"
#include "shared/root/root.h"

#define TEXT_LEN 1024
#define NOBODY   "65534"

static char primary_path[300], app_path[300];

static void begin(void)
{
	harness_begin();
	snprintf(primary_path, sizeof(primary_path), "%s/primary/mos-primary", harness.build);
	snprintf(app_path, sizeof(app_path), "%s/test/mp/worker_app", harness.build);
}

/* ---- programs that refuse ---- */

/* It prints this and nothing else, and ends with status 1. */
static void assert_refuses(const char *const argv[], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void assert_refuses(const char *const argv[], const char *fmt, ...)
{
	char want[TEXT_LEN], output[TEXT_LEN];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(want, sizeof(want), fmt, ap);
	va_end(ap);
	status = proc_run(argv, output, sizeof(output), READY_MS);
	expect(strcmp(output, want) == 0, "expected: %s\ngot: %s", want, output);
	expect(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%s: wait status 0x%x", argv[0],
	       (unsigned)status);
}

static void assert_primary_refuses(const char *line)
{
	const char *const argv[] = {primary_path, "-f", harness.conf, NULL};
	char left[400];

	assert_refuses(argv, "mos-primary: %s\n", line);
	expect(!harness_leftovers(harness.prefix, left, sizeof(left)), "left behind: %s", left);
}

static void assert_app_refuses(const char *line)
{
	const char *const argv[] = {app_path, "-f", harness.conf, NULL};

	assert_refuses(argv, "libmos: %s\n", line);
}

START_TEST(worker_without_primary)
{
	char line[TEXT_LEN], left[400];

	harness_configure("");
	snprintf(line, sizeof(line),
	         "no mos-primary runs with prefix %s; start it: mos-primary -f FILE",
	         harness.prefix);
	assert_app_refuses(line);
	expect(!harness_leftovers(harness.prefix, left, sizeof(left)), "left behind: %s", left);
}
END_TEST

START_TEST(second_primary_of_the_same_prefix)
{
	const char *const argv[] = {primary_path, "-f", harness.conf, NULL};
	struct worker w;

	harness_configure("");
	harness_start_primary();
	assert_refuses(argv,
	               "mos-primary: another mos-primary (pid %d) runs with prefix %s; "
	               "stop it or set another `prefix`\n",
	               (int)proc_pid(harness.primary), harness.prefix);
	w = harness_start_worker(0, NULL); /* the first one works on */
	harness_stop_worker(&w);
	harness_stop_primary();
}
END_TEST

START_TEST(third_worker_of_two)
{
	struct worker w[2];
	char line[TEXT_LEN];

	harness_configure("");
	harness_start_primary();
	for (unsigned i = 0; i < 2; i++)
		w[i] = harness_start_worker(i, NULL);
	snprintf(line, sizeof(line),
	         "no free shard: 0 is held by pid %d, 1 is held by pid %d; "
	         "stop one, or raise `workers`",
	         (int)proc_pid(w[0].proc), (int)proc_pid(w[1].proc));
	assert_app_refuses(line);
	for (unsigned i = 0; i < 2; i++) {
		harness_ask_worker(&w[i]);
		harness_stop_worker(&w[i]);
	}
	harness_stop_primary();
}
END_TEST

START_TEST(port_that_does_not_exist)
{
	char text[512];

	snprintf(text, sizeof(text),
	         "mos {\n\tprefix = %s\n\tworkers = 2\n\tnetdev {\n\t\tbox_a\n\t\tnosuch0\n\t}\n"
	         "\tnic_forward_table {\n\t\tbox_a nosuch0\n\t}\n}\n",
	         harness.prefix);
	harness_write_conf(text);
	assert_primary_refuses("port nosuch0: no such interface; see `ip link`");
}
END_TEST

START_TEST(mistake_in_the_configuration)
{
	char line[TEXT_LEN];

	harness_configure("\tworkrs = 2");
	snprintf(line, sizeof(line), "%s:5: unknown key `workrs`; did you mean `workers`?",
	         harness.conf);
	assert_primary_refuses(line);
	assert_app_refuses(line);
}
END_TEST

START_TEST(no_configuration)
{
	char line[TEXT_LEN];

	snprintf(line, sizeof(line), "%s: No such file or directory", harness.conf);
	assert_primary_refuses(line);
	assert_app_refuses(line);
}
END_TEST

START_TEST(too_few_hugepages)
{
	const char *const argv[] = {primary_path, "-f", harness.conf, NULL};
	char output[TEXT_LEN], left[400];
	unsigned need_mb, free_mb, pages;
	int status;

	harness_configure("\tmbufs = 4194304\n\tmbuf_size = 16384");
	status = proc_run(argv, output, sizeof(output), READY_MS);
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	expect(sscanf(output,
	              "mos-primary: %u MB of hugepages are needed and %u MB are free; reserve "
	              "more: "
	              "echo %u > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages\n",
	              &need_mb, &free_mb, &pages) == 3,
	       "unexpected: %s", output);
	ck_assert_uint_gt(need_mb, free_mb);
	ck_assert_uint_ge(pages, need_mb / 2);
	ck_assert_ptr_eq(strchr(output, '\n') + 1, output + strlen(output));
	expect(!harness_leftovers(harness.prefix, left, sizeof(left)), "left behind: %s", left);
}
END_TEST

/* ---- not root ---- */

/* The build directory may be closed to others: run a copy of the program. */
static void assert_nobody_refused(const char *program, const char *name, const char *line)
{
	char copy[128], libs[400], output[TEXT_LEN], want[TEXT_LEN];
	const char *const cp[] = {"cp", program, copy, NULL};
	const char *const cp_lib[] = {"sh", "-c", libs, NULL};
	const char *const argv[] = {"setpriv",
	                            "--reuid=" NOBODY,
	                            "--regid=" NOBODY,
	                            "--clear-groups",
	                            "env",
	                            libs,
	                            copy,
	                            "-f",
	                            harness.conf,
	                            NULL};
	int status;

	snprintf(copy, sizeof(copy), "%s/%s", harness.dir, name);
	snprintf(libs, sizeof(libs), "cp -L %s/secondary/libmos.so.? %s", harness.build,
	         harness.dir);
	ck_assert_int_eq(proc_run(cp, NULL, 0, SOON_MS), 0);
	ck_assert_int_eq(proc_run(cp_lib, NULL, 0, SOON_MS), 0);
	snprintf(libs, sizeof(libs), "LD_LIBRARY_PATH=%s", harness.dir);
	snprintf(want, sizeof(want), "%s\n", line);
	status = proc_run(argv, output, sizeof(output), SOON_MS);
	expect(strcmp(output, want) == 0, "expected: %s\ngot: %s", want, output);
	ck_assert_int_eq(WEXITSTATUS(status), 1);
}

START_TEST(not_root)
{
	char left[400];

	harness_configure("");
	assert_nobody_refused(primary_path, "mos-primary",
	                      "mos-primary: needs root for hugepages and ports; run it with sudo");
	assert_nobody_refused(app_path, "worker_app",
	                      "libmos: attaching to the primary needs root: run it with sudo");
	expect(!harness_leftovers(harness.prefix, left, sizeof(left)), "left behind: %s", left);
}
END_TEST

/* ---- the control socket ---- */

static int connect_to_primary(void)
{
	char path[108];
	int fd;

	snprintf(path, sizeof(path), "/run/mos-mp/%s/control", harness.prefix);
	fd = mos_ctl_connect(path);
	expect(fd >= 0, "%s: %s", path, strerror(-fd));
	return fd;
}

/* What the primary answers to a HELLO; the connection is then closed by it. */
static struct mos_ctl_msg answer_to(const struct mos_ctl_msg *hello)
{
	struct mos_ctl_msg answer = {0}, more;
	int fd = connect_to_primary();

	ck_assert_int_eq(mos_ctl_send(fd, hello), 0);
	ck_assert_int_eq(mos_ctl_recv(fd, &answer, SOON_MS), 0);
	ck_assert_int_eq(mos_ctl_recv(fd, &more, SOON_MS), -EPIPE);
	close(fd);
	return answer;
}

static void assert_names(const char *text, uint64_t ours, uint64_t theirs, const char *fmt)
{
	char a[32], b[32];

	snprintf(a, sizeof(a), fmt, ours);
	snprintf(b, sizeof(b), fmt, theirs);
	expect(strstr(text, a) && strstr(text, b), "no %s and %s in: %s", a, b, text);
	ck_assert_ptr_null(strchr(text, '\n'));
}

START_TEST(worker_of_another_build_is_refused_with_both_layouts)
{
	struct mos_ctl_msg hello, answer;
	char line[LINE_LEN];
	size_t mark = 0;
	struct worker w;

	harness_configure("");
	harness_start_primary();
	w = harness_start_worker(0, NULL);
	mos_ctl_init(&hello, MOS_CTL_HELLO);
	hello.layout_hash ^= 1;
	answer = answer_to(&hello);
	ck_assert_int_eq(answer.type, MOS_CTL_REFUSED);
	ck_assert_int_eq(answer.error, EPROTO);
	assert_names(answer.text, mos_layout_hash(), hello.layout_hash, "%016" PRIx64);
	expect(proc_wait_line(harness.primary, &mark, "refused", line, SOON_MS),
	       "the primary does not say so");
	assert_names(line, mos_layout_hash(), hello.layout_hash, "%016" PRIx64);

	harness_ask_worker(&w);
	harness_stop_worker(&w);
	harness_stop_primary();
}
END_TEST

START_TEST(worker_of_another_protocol_is_refused_with_both_versions)
{
	struct mos_ctl_msg hello, answer;
	char line[LINE_LEN];
	size_t mark = 0;

	harness_configure("");
	harness_start_primary();
	mos_ctl_init(&hello, MOS_CTL_HELLO);
	hello.version = 4711;
	answer = answer_to(&hello);
	ck_assert_int_eq(answer.type, MOS_CTL_REFUSED);
	ck_assert_int_eq(answer.error, EPROTO);
	assert_names(answer.text, MOS_CTL_VERSION, 4711, "version %" PRIu64);
	expect(proc_wait_line(harness.primary, &mark, "refused", line, SOON_MS),
	       "the primary does not say so");
	assert_names(line, MOS_CTL_VERSION, 4711, "version %" PRIu64);
	harness_stop_primary();
}
END_TEST

/* Whole messages of random bytes, some of which begin like ours; cut ones; empty ones; long ones. */
static void talk_nonsense(int fd, unsigned i)
{
	uint8_t bytes[2 * sizeof(struct mos_ctl_msg)];
	struct mos_ctl_msg hello;
	size_t len = sizeof(hello);

	for (size_t k = 0; k < sizeof(bytes); k++)
		bytes[k] = (uint8_t)random();
	mos_ctl_init(&hello, MOS_CTL_HELLO);
	switch (i % 6) {
	case 0: break;
	case 1: len = (size_t)random() % sizeof(hello); break;
	case 2:
		memcpy(bytes, &hello, sizeof(hello));
		len = 1 + (size_t)random() % (sizeof(hello) - 1);
		break;
	case 3: memcpy(bytes, &hello, 4); break;
	case 4: len = sizeof(bytes); break;
	case 5:
		hello.type = (uint16_t)(MOS_CTL_WELCOME + random() % MOS_CTL_TYPE_END);
		memcpy(bytes, &hello, sizeof(hello));
		break;
	}
	/* What the primary refuses may close the connection between two messages. */
	if (send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		ck_assert(errno == EPIPE || errno == EAGAIN || errno == ECONNRESET);
}

START_TEST(garbage_on_the_control_socket_disturbs_nobody)
{
	unsigned fds_before, seed = (unsigned)now_ns();
	char fd_dir[64];
	struct worker w[2];
	uint64_t deadline;

	printf("seed %u\n", seed);
	srandom(seed);
	harness_configure("");
	harness_start_primary();
	w[0] = harness_start_worker(0, NULL);
	snprintf(fd_dir, sizeof(fd_dir), "/proc/%d/fd", (int)proc_pid(harness.primary));
	fds_before = harness_files(fd_dir, "");
	for (unsigned i = 0; i < 600; i++) {
		int fd = connect_to_primary();

		for (unsigned k = i % 4; k > 0; k--)
			talk_nonsense(fd, i + k);
		close(fd);
	}
	harness_ask_worker(&w[0]);
	w[1] = harness_start_worker(1, NULL);
	harness_stop_worker(&w[1]);
	harness_stop_worker(&w[0]);
	deadline = now_ns() + (uint64_t)SOON_MS * 1000000;
	while (harness_files(fd_dir, "") > fds_before && now_ns() < deadline)
		usleep(10000);
	ck_assert_uint_le(harness_files(fd_dir, ""), fds_before);
	harness_stop_primary();
}
END_TEST

START_TEST(silent_connections_are_dropped_and_workers_get_in)
{
	struct pollfd fd[200];
	struct worker w;
	unsigned open_count = 0;
	uint64_t deadline;

	harness_configure("");
	harness_start_primary();
	for (unsigned i = 0; i < 200; i++) {
		fd[i].fd = connect_to_primary();
		fd[i].events = POLLIN;
	}
	/* Each is refused for lack of room, or dropped because it says nothing. */
	deadline = now_ns() + (uint64_t)SOON_MS * 1000000;
	do {
		poll(fd, 0, 10);
		open_count = 0;
		poll(fd, 200, 0);
		for (unsigned i = 0; i < 200; i++)
			open_count += !(fd[i].revents & POLLHUP);
	} while (open_count > 0 && now_ns() < deadline);
	expect(open_count == 0, "%u silent connections are still open", open_count);
	w = harness_start_worker(0, NULL);
	harness_stop_worker(&w);
	for (unsigned i = 0; i < 200; i++)
		close(fd[i].fd);
	harness_stop_primary();
}
END_TEST

/* A process that says HELLO, is welcomed, which it has been on return, and then does nothing. */
static pid_t start_dawdler(void)
{
	struct mos_ctl_msg m;
	int fd, told[2];
	pid_t pid;

	ck_assert_int_eq(pipe(told), 0);
	pid = fork();
	if (pid != 0) {
		ck_assert_int_eq(read(told[0], &(char){0}, 1), 1);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = connect_to_primary();
	mos_ctl_init(&m, MOS_CTL_HELLO);
	if (mos_ctl_send(fd, &m) == 0 && mos_ctl_recv(fd, &m, SOON_MS) == 0 &&
	    m.type == MOS_CTL_WELCOME && write(told[1], "", 1) == 1)
		pause();
	_exit(1);
}

START_TEST(worker_that_does_not_finish_its_attach_is_killed_for_the_next)
{
	struct worker w;
	int status = 0;
	pid_t pid;

	harness_configure("");
	harness_start_primary();
	pid = start_dawdler();
	ck_assert_int_gt(pid, 0);
	w = harness_start_worker(0, NULL); /* waits for the primary's deadline */
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	harness_stop_worker(&w);
	harness_stop_primary();
}
END_TEST

/* The supervisor has done all it had to do before. */
static void await_supervisor(void)
{
	struct mos_ctl_msg hello;

	mos_ctl_init(&hello, MOS_CTL_HELLO);
	hello.version++;
	ck_assert_int_eq(answer_to(&hello).type, MOS_CTL_REFUSED);
}

static void assert_goes_away(const char *path)
{
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000;

	while (access(path, F_OK) == 0 && now_ns() < deadline)
		usleep(1000);
	expect(access(path, F_OK) != 0, "%s is still there", path);
}

/* Which is a file without a lock for a moment, as those of the dead are for ever. */
START_TEST(death_does_not_take_the_file_that_another_one_attaches_with)
{
	struct worker w;
	char path[128];
	pid_t pid;
	int fd;

	harness_configure("");
	harness_start_primary();
	w = harness_start_worker(0, NULL);
	pid = start_dawdler();
	ck_assert_int_gt(pid, 0);
	snprintf(path, sizeof(path), "/var/run/dpdk/%s/fbarray_new", harness.prefix);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	harness_kill_worker(&w);
	await_supervisor();
	expect(access(path, F_OK) == 0, "%s went away under an attach", path);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	assert_goes_away(path);
	close(fd);
	harness_stop_primary();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("errors");
	TCase *tc = tcase_create("errors");

	tcase_set_timeout(tc, 180);
	tcase_add_checked_fixture(tc, begin, harness_end);
	tcase_add_test(tc, worker_without_primary);
	tcase_add_test(tc, second_primary_of_the_same_prefix);
	tcase_add_test(tc, third_worker_of_two);
	tcase_add_test(tc, port_that_does_not_exist);
	tcase_add_test(tc, mistake_in_the_configuration);
	tcase_add_test(tc, no_configuration);
	tcase_add_test(tc, too_few_hugepages);
	tcase_add_test(tc, not_root);
	tcase_add_test(tc, worker_of_another_build_is_refused_with_both_layouts);
	tcase_add_test(tc, worker_of_another_protocol_is_refused_with_both_versions);
	tcase_add_test(tc, garbage_on_the_control_socket_disturbs_nobody);
	tcase_add_test(tc, silent_connections_are_dropped_and_workers_get_in);
	tcase_add_test(tc, worker_that_does_not_finish_its_attach_is_killed_for_the_next);
	tcase_add_test(tc, death_does_not_take_the_file_that_another_one_attaches_with);
	suite_add_tcase(s, tc);
	return harness_main(s);
}
