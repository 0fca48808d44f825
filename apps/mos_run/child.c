#include "apps/mos_run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child, up to exec. Whatever fails, its errno goes to the parent through report_fd. */
static void __attribute__((noreturn))
become(char *const argv[], unsigned shard, const sigset_t *mask, pid_t parent, int report_fd)
{
	char value[16];
	int null_fd, error;

	/* mos-run may have died before prctl: the signal would never come. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		goto fail;
	if (getppid() != parent)
		_exit(EXIT_FAILURE);

	setpgid(0, 0);
	null_fd = open("/dev/null", O_RDONLY);
	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
		goto fail;
	if (null_fd != STDIN_FILENO)
		close(null_fd);
	snprintf(value, sizeof(value), "%u", shard);
	if (setenv("MOS_SHARD", value, 1) < 0 || sigprocmask(SIG_SETMASK, mask, NULL) < 0)
		goto fail;
	execvp(argv[0], argv);
fail:
	error = errno;
	if (write(report_fd, &error, sizeof(error)) != sizeof(error))
		_exit(EXIT_FAILURE);
	_exit(127);
}

/* The errno that the child reports, or 0 once exec has closed the pipe. */
static int wait_for_exec(int report_fd)
{
	int error = 0;
	ssize_t n;

	do
		n = read(report_fd, &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	return n == sizeof(error) ? error : 0;
}

pid_t child_start(char *const argv[], unsigned shard, const sigset_t *mask)
{
	pid_t self = getpid(), pid;
	int report[2], error;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		error = errno;
		close(report[0]);
		close(report[1]);
		return -error;
	}
	if (pid == 0)
		become(argv, shard, mask, self, report[1]);

	close(report[1]);
	error = wait_for_exec(report[0]);
	close(report[0]);
	if (error != 0) {
		waitpid(pid, NULL, 0);
		return -error;
	}
	return pid;
}

void child_describe(int status, char *text, size_t text_len)
{
	const char *core = WCOREDUMP(status) ? " (core dumped)" : "";
	const char *name;

	if (WIFEXITED(status)) {
		snprintf(text, text_len, "ended with status %d", WEXITSTATUS(status));
		return;
	}
	name = sigabbrev_np(WTERMSIG(status));
	if (name != NULL)
		snprintf(text, text_len, "killed by SIG%s%s", name, core);
	else
		snprintf(text, text_len, "killed by signal %d%s", WTERMSIG(status), core);
}
