#include "test/bench/kill/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/mp/harness.h"

enum {
	CREW_MAX = 512,
	/*
	 * From an end to its burial. While threads of a dead process are still under way, the kernel
	 * would spin in waitpid() for them.
	 */
	BURY_MS = 1000,
};

static struct member *crew[CREW_MAX];
static unsigned crew_count;
static unsigned naps;
static const char *lines_path, *log_path;

void crew_init(unsigned nap_us, const char *sink_file, const char *log_file)
{
	naps = nap_us;
	lines_path = sink_file;
	log_path = log_file;
}

static void set_number(const char *name, int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", n);
	setenv(name, text, 1);
}

static void __attribute__((noreturn))
become_worker(enum member_role role, unsigned shard, pid_t from, int notify_fd, pid_t parent)
{
	int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	char program[300], nap[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (role != WAITS)
		set_number("MOS_SHARD", (int)shard);
	if (from != FROM_NOBODY)
		set_number("MOS_TAKE_OVER", from);
	if (from == FROM_THE_DEAD)
		setenv("MOS_TAKE_OVER", "dead", 1);
	set_number("MOS_NOTIFY_FD", notify_fd);
	fcntl(notify_fd, F_SETFD, 0);
	snprintf(program, sizeof(program), "%s/test/bench/kill/kill_sink", harness.build);
	snprintf(nap, sizeof(nap), "%u", naps);
	execl(program, program, "-f", harness.conf, "-o", lines_path, "-w", nap, NULL);
	fprintf(stderr, "cannot run %s: %s\n", program, strerror(errno));
	_exit(127);
}

struct member *crew_start(enum member_role role, unsigned shard, pid_t from)
{
	struct member *m = calloc(1, sizeof(*m));
	pid_t self = getpid();
	int notify[2];

	if (m == NULL || crew_count == CREW_MAX ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, notify) < 0 ||
	    (m->pid = fork()) < 0) {
		perror("bench_kill: cannot start a worker");
		exit(EXIT_FAILURE);
	}
	if (m->pid == 0)
		become_worker(role, shard, from, notify[1], self);
	close(notify[1]);
	m->notify_fd = notify[0];
	m->role = role;
	m->shard = shard;
	m->born_ns = now_ns();
	m->due_ns = UINT64_MAX;
	crew[crew_count++] = m;
	return m;
}

struct member *crew_at(unsigned k)
{
	return k < crew_count ? crew[k] : NULL;
}

struct member *crew_find(pid_t pid)
{
	for (unsigned k = 0; k < crew_count; k++)
		if (crew[k]->pid == pid)
			return crew[k];
	return NULL;
}

/* As waitpid() would have it. */
static int status_of(const siginfo_t *info)
{
	return info->si_code == CLD_EXITED ? W_EXITCODE(info->si_status, 0)
	                                   : W_EXITCODE(0, info->si_status);
}

void crew_look(uint64_t now)
{
	for (unsigned k = 0; k < crew_count; k++) {
		struct member *m = crew[k];
		siginfo_t info = {0};

		if (m->ended ||
		    waitid(P_PID, (id_t)m->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    info.si_pid == 0)
			continue;
		m->ended = true;
		m->ended_ns = now;
		m->status = status_of(&info);
	}
}

struct member *crew_oldest_dead(uint64_t now)
{
	for (unsigned k = 0; k < crew_count; k++)
		if (crew[k]->ended && now > crew[k]->ended_ns + (uint64_t)BURY_MS * 1000000)
			return crew[k];
	return NULL;
}

void crew_forget(struct member *m)
{
	waitpid(m->pid, NULL, 0);
	close(m->notify_fd);
	for (unsigned k = 0; k < crew_count; k++)
		if (crew[k] == m)
			crew[k] = crew[--crew_count];
	free(m);
}

bool crew_is_ready(struct member *m)
{
	char text[256];
	ssize_t n;

	while ((n = recv(m->notify_fd, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
		text[n] = '\0';
		m->ready |= strstr(text, "ready") != NULL;
	}
	return m->ready;
}
