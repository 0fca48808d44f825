#include "apps/common/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CLOSE_WAIT_S 3

/* Letters: I immutable once the writer runs, L under lock, W the writer's. */
static struct {
	int fd;                   /* I */
	void (*on_failure)(void); /* I */

	pthread_mutex_t lock;
	pthread_cond_t filled; /* for the writer */
	pthread_cond_t ended;  /* for lines_close() */
	char buffer[2][LINES_BUFFER_BYTES];
	unsigned filling; /* L which buffer takes lines; the other one is W */
	size_t len;       /* L of it */
	uint64_t lost;    /* L */
	bool closed;      /* L the writer is to end when all is written */
	bool failed;      /* L nothing can be written any more */
	bool done;        /* L the writer has ended */
} out = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.filled = PTHREAD_COND_INITIALIZER,
};

/* Returns 0 or -errno. */
static int write_all(const char *text, size_t len)
{
	struct pollfd writable = {.fd = out.fd, .events = POLLOUT};

	while (len > 0) {
		ssize_t n = write(out.fd, text, len);

		if (n < 0 && errno == EAGAIN) /* whoever shares stdout may have asked for that */
			poll(&writable, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -errno;
		else if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* Take what has come; false when there will be no more. */
static bool take(const char **text, size_t *len)
{
	pthread_mutex_lock(&out.lock);
	while (out.len == 0 && !out.closed)
		pthread_cond_wait(&out.filled, &out.lock);
	*text = out.buffer[out.filling];
	*len = out.len;
	out.filling = !out.filling;
	out.len = 0;
	pthread_mutex_unlock(&out.lock);
	return *len > 0;
}

static void *writer(void *arg)
{
	const char *text;
	size_t len;
	int error = 0;

	while (error == 0 && take(&text, &len))
		error = write_all(text, len);
	if (error < 0)
		fprintf(stderr, "%s: cannot write: %s\n", program_invocation_short_name,
		        strerror(-error));
	pthread_mutex_lock(&out.lock);
	out.failed = error < 0;
	out.done = true;
	pthread_cond_signal(&out.ended);
	pthread_mutex_unlock(&out.lock);
	if (error < 0)
		out.on_failure();
	return NULL;
}

int lines_open(const char *file, void (*on_failure)(void))
{
	pthread_condattr_t monotonic;
	pthread_t thread;
	int error;

	out.fd = STDOUT_FILENO;
	if (file != NULL)
		out.fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (out.fd < 0)
		return -errno;
	out.on_failure = on_failure;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&out.ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	error = pthread_create(&thread, NULL, writer, NULL);
	if (error == 0)
		pthread_detach(thread); /* it may hang in a terminal for ever */
	return -error;
}

bool lines_put(const char *line, size_t len)
{
	bool fits;

	pthread_mutex_lock(&out.lock);
	fits = !out.failed && len <= LINES_BUFFER_BYTES - out.len;
	if (fits) {
		memcpy(out.buffer[out.filling] + out.len, line, len);
		out.len += len;
		pthread_cond_signal(&out.filled);
	} else {
		out.lost++;
	}
	pthread_mutex_unlock(&out.lock);
	return fits;
}

bool lines_close(uint64_t *lost)
{
	struct timespec until;
	int error = 0;
	bool ok;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += CLOSE_WAIT_S;
	pthread_mutex_lock(&out.lock);
	out.closed = true;
	pthread_cond_signal(&out.filled);
	while (!out.done && error == 0)
		error = pthread_cond_timedwait(&out.ended, &out.lock, &until);
	ok = out.done && !out.failed && out.lost == 0;
	*lost = out.lost;
	pthread_mutex_unlock(&out.lock);
	return ok;
}

void lines_tell_lost(bool ok, uint64_t lost)
{
	if (lost > 0)
		fprintf(stderr, "; %llu lines lost", (unsigned long long)lost);
	else if (!ok)
		fprintf(stderr, "; the last lines were not read and are lost");
	fprintf(stderr, "\n");
}
