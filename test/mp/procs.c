#include "test/mp/procs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DUMP_BYTES 6000

struct proc {
	pid_t pid;
	int out_fd;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	char *text; /* always terminated */
	size_t len, room;
	bool ended;
	int status;
	unsigned holders; /* of this struct: the reader, and who started the process */
};

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A test that cannot even do this has nothing to tell. */
static void *must(void *memory)
{
	if (memory == NULL) {
		perror("test: out of memory");
		exit(EXIT_FAILURE);
	}
	return memory;
}

/* ---- the reader ---- */

static void append(struct proc *p, const char *bytes, size_t n)
{
	pthread_mutex_lock(&p->lock);
	if (p->len + n + 1 > p->room) {
		p->room = (p->len + n + 1) * 2;
		p->text = must(realloc(p->text, p->room));
	}
	for (size_t i = 0; i < n; i++) /* a NUL would hide what follows it */
		p->text[p->len++] = bytes[i] != '\0' ? bytes[i] : '?';
	p->text[p->len] = '\0';
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static void let_go(struct proc *p)
{
	bool last;

	pthread_mutex_lock(&p->lock);
	last = --p->holders == 0;
	pthread_mutex_unlock(&p->lock);
	if (!last)
		return;
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p->text);
	free(p);
}

/* As waitpid() would have it. */
static int status_of(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return W_EXITCODE(info->si_status, 0);
	return W_EXITCODE(0, info->si_status) | (info->si_code == CLD_DUMPED ? WCOREFLAG : 0);
}

/*
 * The process is reaped only when nobody sends it signals any more, so its pid stays its own; and
 * without anybody waiting for that: on a busy machine the kernel takes seconds over it.
 */
static void *read_output(void *arg)
{
	struct proc *p = arg;
	char bytes[4096];
	siginfo_t info;
	ssize_t n;

	while ((n = read(p->out_fd, bytes, sizeof(bytes))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			append(p, bytes, (size_t)n);
	close(p->out_fd);
	waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOWAIT);
	pthread_mutex_lock(&p->lock);
	p->status = status_of(&info);
	p->ended = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	waitpid(p->pid, NULL, 0);
	let_go(p);
	return NULL;
}

/* ---- start ---- */

static void __attribute__((noreturn))
become(const char *const argv[], const char *env, pid_t parent, int out_fd)
{
	int null_fd = open("/dev/null", O_RDONLY);
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(null_fd, STDIN_FILENO);
	dup2(out_fd, STDOUT_FILENO);
	dup2(out_fd, STDERR_FILENO);
	if (env != NULL)
		putenv(strdup(env));
	execvp(argv[0], (char **)(uintptr_t)argv);
	fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

struct proc *proc_start(const char *const argv[], const char *env)
{
	struct proc *p = must(calloc(1, sizeof(*p)));
	pid_t self = getpid();
	pthread_t reader;
	int out[2];

	p->holders = 2;
	p->text = must(calloc(1, p->room = 4096));
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	if (pipe2(out, O_CLOEXEC) < 0 || (p->pid = fork()) < 0) {
		perror("test: cannot start a process");
		exit(EXIT_FAILURE);
	}
	if (p->pid == 0)
		become(argv, env, self, out[1]);
	close(out[1]);
	p->out_fd = out[0];
	if (pthread_create(&reader, NULL, read_output, p) != 0 || pthread_detach(reader) != 0) {
		perror("test: cannot start a thread");
		exit(EXIT_FAILURE);
	}
	return p;
}

pid_t proc_pid(const struct proc *p)
{
	return p->pid;
}

/* ---- waiting: with the lock held ---- */

static struct timespec deadline_in(int timeout_ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += timeout_ms / 1000;
	t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* The line around `at`, as long as it is complete; NULL if its end has not come yet. */
static char *line_end(const struct proc *p, char *at)
{
	char *end = strchr(at, '\n');

	return end != NULL || !p->ended ? end : p->text + p->len;
}

static bool find_line(struct proc *p, size_t *mark, const char *text, char *line)
{
	char *from = p->text + *mark, *at = strstr(from, text), *end;
	size_t n;

	end = at != NULL ? line_end(p, at) : NULL;
	if (end == NULL)
		return false;
	while (at > from && at[-1] != '\n')
		at--;
	n = (size_t)(end - at) < LINE_LEN - 1 ? (size_t)(end - at) : LINE_LEN - 1;
	if (line != NULL) {
		memcpy(line, at, n);
		line[n] = '\0';
	}
	*mark = (size_t)(end - p->text) + (*end == '\n');
	return true;
}

bool proc_wait_line(struct proc *p, size_t *mark, const char *text, char *line, int timeout_ms)
{
	struct timespec deadline = deadline_in(timeout_ms);
	bool found;

	pthread_mutex_lock(&p->lock);
	while (!(found = find_line(p, mark, text, line)) && !p->ended)
		if (pthread_cond_timedwait(&p->changed, &p->lock, &deadline) != 0)
			break;
	if (!found)
		found = find_line(p, mark, text, line);
	pthread_mutex_unlock(&p->lock);
	return found;
}

int proc_wait_end(struct proc *p, int timeout_ms)
{
	struct timespec deadline = deadline_in(timeout_ms);
	int status;

	pthread_mutex_lock(&p->lock);
	while (!p->ended)
		if (pthread_cond_timedwait(&p->changed, &p->lock, &deadline) != 0)
			break;
	status = p->ended ? p->status : -1;
	pthread_mutex_unlock(&p->lock);
	return status;
}

bool proc_ended(struct proc *p)
{
	return proc_wait_end(p, 0) != -1;
}

size_t proc_mark(struct proc *p)
{
	size_t len;

	pthread_mutex_lock(&p->lock);
	len = p->len;
	pthread_mutex_unlock(&p->lock);
	return len;
}

unsigned proc_count_lines(struct proc *p, size_t mark, const char *text)
{
	unsigned n = 0;

	pthread_mutex_lock(&p->lock);
	while (find_line(p, &mark, text, NULL))
		n++;
	pthread_mutex_unlock(&p->lock);
	return n;
}

bool proc_last_line(struct proc *p, const char *text, char line[static LINE_LEN])
{
	size_t mark = 0;
	bool found = false;

	pthread_mutex_lock(&p->lock);
	while (find_line(p, &mark, text, line))
		found = true;
	pthread_mutex_unlock(&p->lock);
	return found;
}

void proc_dump(struct proc *p, const char *title)
{
	pthread_mutex_lock(&p->lock);
	fprintf(stderr, "---- %s (pid %d) printed, at the end:\n%s----\n", title, (int)p->pid,
	        p->text + (p->len > DUMP_BYTES ? p->len - DUMP_BYTES : 0));
	pthread_mutex_unlock(&p->lock);
}

void proc_save(struct proc *p, const char *path)
{
	FILE *f = fopen(path, "ae");

	if (f == NULL) {
		perror(path);
		return;
	}
	pthread_mutex_lock(&p->lock);
	fwrite(p->text, 1, p->len, f);
	pthread_mutex_unlock(&p->lock);
	fclose(f);
}

/* ---- end ---- */

void proc_signal(struct proc *p, int sig)
{
	pthread_mutex_lock(&p->lock);
	if (!p->ended)
		kill(p->pid, sig);
	pthread_mutex_unlock(&p->lock);
}

void proc_freeze(struct proc *p)
{
	siginfo_t info;

	proc_signal(p, SIGSTOP);
	waitid(P_PID, (id_t)p->pid, &info, WSTOPPED | WEXITED | WNOWAIT);
}

void proc_free(struct proc *p)
{
	if (p == NULL)
		return;
	proc_signal(p, SIGKILL);
	let_go(p);
}

int proc_run(const char *const argv[], char *output, size_t output_len, int timeout_ms)
{
	struct proc *p = proc_start(argv, NULL);
	int status = proc_wait_end(p, timeout_ms);

	pthread_mutex_lock(&p->lock);
	if (output_len > 0)
		snprintf(output, output_len, "%s", p->text);
	pthread_mutex_unlock(&p->lock);
	proc_free(p);
	return status;
}
