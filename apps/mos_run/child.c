#include "apps/mos_run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the process finds in its environment; a value of -1: nothing. */
static int set_number(const char *name, int value)
{
	char text[16];

	if (value == -1)
		return unsetenv(name);
	snprintf(text, sizeof(text), "%d", value);
	return setenv(name, text, 1);
}

static int set_environment(const struct birth *birth, int notify_fd)
{
	if (set_number("MOS_SHARD", birth->shard) < 0 || set_number("MOS_NOTIFY_FD", notify_fd) < 0)
		return -1;
	if (birth->take_over == SLOTS_OF_THE_DEAD)
		return setenv("MOS_TAKE_OVER", "dead", 1);
	return set_number("MOS_TAKE_OVER", birth->take_over == 0 ? -1 : birth->take_over);
}

/* No input, and the descriptor of notify.h stays open over exec. */
static int set_descriptors(int notify_fd)
{
	int null_fd = open("/dev/null", O_RDONLY);

	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
		return -1;
	if (null_fd != STDIN_FILENO)
		close(null_fd);
	return fcntl(notify_fd, F_SETFD, 0);
}

/* In the child, up to exec. Whatever fails, its errno goes to the parent through report_fd. */
static void __attribute__((noreturn))
become(char *const argv[], const struct birth *birth, const sigset_t *mask, pid_t parent,
       int report_fd, int notify_fd)
{
	int error;

	/* mos-run may have died before prctl: the signal would never come. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		goto fail;
	if (getppid() != parent)
		_exit(EXIT_FAILURE);

	setpgid(0, 0);
	if (set_descriptors(notify_fd) < 0 || set_environment(birth, notify_fd) < 0 ||
	    sigprocmask(SIG_SETMASK, mask, NULL) < 0)
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

/* Both pairs, all four ends closed on exec. 0 or -errno. */
static int make_pairs(int report[2], int notify[2])
{
	int error;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, notify) == 0)
		return 0;
	error = errno;
	close(report[0]);
	close(report[1]);
	return -error;
}

pid_t child_start(char *const argv[], const struct birth *birth, const sigset_t *mask,
                  int *notify_fd)
{
	pid_t self = getpid(), pid;
	int report[2], notify[2], error;

	error = make_pairs(report, notify);
	if (error < 0)
		return error;
	pid = fork();
	if (pid == 0)
		become(argv, birth, mask, self, report[1], notify[1]);

	error = pid < 0 ? errno : 0;
	close(report[1]);
	close(notify[1]);
	if (pid > 0)
		error = wait_for_exec(report[0]);
	close(report[0]);
	if (error == 0) {
		*notify_fd = notify[0];
		return pid;
	}
	close(notify[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return -error;
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
