#include "secondary/eal/eal_worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include "secondary/eal/eal_calloc.h"
#include "secondary/eal/eal_lookups.h"
#include "shared/eal_host/eal_host.h"

#define ARG_MAX_COUNT 16

static atomic_flag init_called = ATOMIC_FLAG_INIT;
static pid_t attached_pid; /* of the process whose init succeeded */

/* EAL's first message of level error or worse: it names the cause, the later ones the effects. */
static struct {
	FILE *stream; /* kept: a thread of EAL may be writing to it when init returns */
	char line[200];
} capture;

/* The command line for EAL. */
struct args {
	char *argv[ARG_MAX_COUNT + 1];
	int argc;
	char lcores[MOS_EAL_CPUS_LEN + 16];
	char log_level[64];
};

__attribute__((format(printf, 4, 5))) static int fail(int errnum, char *err, size_t err_len,
                                                      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_len, fmt, ap);
	va_end(ap);
	return -errnum;
}

static ssize_t capture_write(void *cookie, const char *buf, size_t len)
{
	if (capture.line[0] == '\0' && rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR)
		snprintf(capture.line, sizeof(capture.line), "%.*s", (int)strcspn(buf, "\n"), buf);
	return (ssize_t)len;
}

/* Turn EAL's messages away from the terminal. Where that fails they appear, which harms nothing. */
static void capture_begin(void)
{
	static const cookie_io_functions_t io = {.write = capture_write};

	capture.stream = fopencookie(NULL, "w", io);
	if (capture.stream)
		rte_openlog_stream(capture.stream);
}

static void capture_end(void)
{
	if (capture.stream)
		rte_openlog_stream(NULL);
}

static int check(const char *file_prefix, unsigned int lcore_id, char *err, size_t err_len)
{
	char path[MOS_EAL_PATH_LEN];

	if (!mos_eal_prefix_ok(file_prefix))
		return fail(EINVAL, err, err_len, "\"%s\" cannot be a file prefix",
		            file_prefix ? file_prefix : "");
	if (lcore_id >= RTE_MAX_LCORE)
		return fail(EINVAL, err, err_len, "no lcore %u: DPDK here has %d", lcore_id,
		            RTE_MAX_LCORE);
	if (getuid() != 0)
		return fail(EPERM, err, err_len, "a worker must run as root");

	snprintf(path, sizeof(path), MOS_EAL_RUN_FMT "/config", file_prefix);
	if (access(path, R_OK | W_OK) != 0)
		return fail(errno, err, err_len, "no primary of prefix %s to attach to: %s: %s",
		            file_prefix, path, strerror(errno));
	return 0;
}

static void add_arg(struct args *a, const char *arg)
{
	/* EAL takes char *argv[] like main, but writes to none of them. */
	a->argv[a->argc++] = (char *)(uintptr_t)arg;
}

static int build_args(struct args *a, const char *file_prefix, unsigned int lcore_id)
{
	const char *level = getenv(MOS_ENV_EAL_LOG);
	char cpus[MOS_EAL_CPUS_LEN];
	int rc = mos_eal_cpus(cpus, sizeof(cpus));

	if (rc)
		return rc;
	snprintf(a->lcores, sizeof(a->lcores), "%u@(%s)", lcore_id, cpus);
	snprintf(a->log_level, sizeof(a->log_level), "*:%s", level ? level : "error");

	a->argc = 0;
	add_arg(a, "libmos");
	add_arg(a, "--proc-type=secondary");
	add_arg(a, "--file-prefix");
	add_arg(a, file_prefix);
	add_arg(a, "--lcores");
	add_arg(a, a->lcores);
	add_arg(a, "--log-level");
	add_arg(a, a->log_level);
	add_arg(a, "--no-pci");
	add_arg(a, "--no-telemetry");
	a->argv[a->argc] = NULL;
	return 0;
}

/*
 * rte_eal_init() without its side effects on the calling thread. The signal mask is inherited by
 * the threads it starts: with everything blocked, handlers run in the application's threads only.
 */
static int run_eal(struct args *a)
{
	bool quiet = !getenv(MOS_ENV_EAL_LOG);
	sigset_t all, mask;
	cpu_set_t cpus;
	bool have_cpus;
	char *run_dir;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	have_cpus = pthread_getaffinity_np(pthread_self(), sizeof(cpus), &cpus) == 0;
	run_dir = mos_eal_env_hide();
	if (quiet)
		capture_begin();
	mos_eal_calloc_divert();
	mos_eal_lookups_cut();

	rc = rte_eal_init(a->argc, a->argv) < 0 ? -(rte_errno ? rte_errno : EIO) : 0;

	mos_eal_lookups_restore();
	mos_eal_calloc_restore();
	if (quiet)
		capture_end();
	mos_eal_env_show(run_dir);
	if (have_cpus)
		pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	return rc;
}

int mos_eal_worker_init(const char *file_prefix, unsigned int lcore_id, char *err, size_t err_len)
{
	static struct args args; /* EAL may keep pointers into its command line */
	int rc;

	rc = check(file_prefix, lcore_id, err, err_len);
	if (rc)
		return rc;
	if (atomic_flag_test_and_set(&init_called))
		return fail(EALREADY, err, err_len, "this process has attached before");

	rc = build_args(&args, file_prefix, lcore_id);
	if (rc)
		return fail(-rc, err, err_len, "cannot read the CPU affinity: %s", strerror(-rc));
	rc = run_eal(&args);
	if (rc)
		return fail(-rc, err, err_len, "cannot attach to the primary of prefix %s: %s",
		            file_prefix, capture.line[0] ? capture.line : rte_strerror(-rc));
	attached_pid = getpid();
	return 0;
}

/* Is it mp_socket_PID_TSC or fbarray_NAME_PID of this process? */
static bool is_mine(const char *name, pid_t pid)
{
	char socket_lead[48], array_tail[32];
	size_t len = strlen(name), tail_len;

	snprintf(socket_lead, sizeof(socket_lead), "mp_socket_%d_", (int)pid);
	if (strncmp(name, socket_lead, strlen(socket_lead)) == 0)
		return true;
	snprintf(array_tail, sizeof(array_tail), "_%d", (int)pid);
	tail_len = strlen(array_tail);
	return strncmp(name, "fbarray_", 8) == 0 && len > tail_len &&
	       strcmp(name + len - tail_len, array_tail) == 0;
}

void mos_eal_worker_fini(void)
{
	struct dirent *e;
	DIR *dir;

	if (attached_pid == 0 || attached_pid != getpid())
		return;
	dir = opendir(rte_eal_get_runtime_dir());
	if (!dir)
		return;
	while ((e = readdir(dir)))
		if (is_mine(e->d_name, attached_pid))
			unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
	attached_pid = 0;
}
