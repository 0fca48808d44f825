#include "test/bench/kill/sink_lines.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test/bench/kill/conns.h"

enum { PENDING_MAX = 4096 };

static int fd;
static char text[1 << 16];
static size_t len;

/* Those that a worker has told of before the ends had closed them. */
static uint32_t pending[PENDING_MAX];
static unsigned pending_count;

bool sink_lines_open(const char *path)
{
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		perror(path);
	return fd >= 0;
}

static const char *compare_pending(void)
{
	const char *wrong = NULL;

	for (unsigned i = 0; i < pending_count && wrong == NULL;) {
		if (!atomic_load(&conns[pending[i]].closed)) {
			i++;
			continue;
		}
		wrong = conns_compare(pending[i]);
		pending[i] = pending[--pending_count];
	}
	return wrong;
}

static const char *take_line(const char *line)
{
	uint32_t ended = CONNS_MAX;
	const char *wrong = conns_take_line(line, &ended);

	if (ended == CONNS_MAX || wrong != NULL)
		return wrong;
	if (pending_count == PENDING_MAX)
		return "flows end before their connections do";
	pending[pending_count++] = ended;
	return NULL;
}

/* The lines that are whole; the rest stays. */
static const char *take_text(void)
{
	const char *wrong = NULL;
	char *line = text, *end;

	while (wrong == NULL && (end = memchr(line, '\n', len - (size_t)(line - text))) != NULL) {
		*end = '\0';
		wrong = take_line(line);
		line = end + 1;
	}
	len -= (size_t)(line - text);
	memmove(text, line, len);
	return wrong;
}

const char *sink_lines_take(void)
{
	const char *wrong = NULL;
	ssize_t n = 0;

	while (wrong == NULL && (n = read(fd, text + len, sizeof(text) - len)) > 0) {
		len += (size_t)n;
		wrong = take_text();
	}
	if (n < 0)
		return "the workers' file cannot be read";
	return wrong != NULL ? wrong : compare_pending();
}

struct untold sink_lines_untold(uint32_t count)
{
	struct untold u = {0};

	for (uint32_t i = 0; i < count; i++) {
		if (conns[i].ended)
			continue;
		u.struck += conns[i].strikes > 0;
		u.plain += conns[i].strikes == 0;
		if (conns[i].strikes == 0)
			u.example = i;
	}
	u.plain += pending_count;
	return u;
}
