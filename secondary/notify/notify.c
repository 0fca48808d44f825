#include "secondary/notify/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FD_MAX 1048576

static int notify_fd = -1;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The program's own children shall not hold it open. Whatever is no socket is somebody else's. */
static void learn(void)
{
	const char *text = getenv("MOS_NOTIFY_FD");
	struct stat st;
	char *end;
	long fd;

	if (text == NULL)
		return;
	fd = strtol(text, &end, 10);
	if (end == text || *end != '\0' || fd < 0 || fd > FD_MAX || fstat((int)fd, &st) != 0 ||
	    !S_ISSOCK(st.st_mode))
		return;
	fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	notify_fd = (int)fd;
}

static void tell(const char *line, size_t len)
{
	int saved = errno;

	pthread_once(&once, learn);
	if (notify_fd >= 0 && send(notify_fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		errno = saved; /* nobody listens any more */
}

static void tell_number(const char *what, unsigned number)
{
	char line[32];
	int len = snprintf(line, sizeof(line), "%s %u\n", what, number);

	tell(line, (size_t)len);
}

void mos_notify_no_primary(void)
{
	static const char line[] = "no primary\n";

	tell(line, sizeof(line) - 1);
}

void mos_notify_ready(unsigned context)
{
	tell_number("ready", context);
}

void mos_notify_serving(unsigned shard)
{
	tell_number("serving", shard);
}

void mos_notify_yielded(unsigned shard)
{
	tell_number("yielded", shard);
}
