#include "primary/report/report.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512

static unsigned lost_lines;

/* True when a write of up to PIPE_BUF bytes would not wait. */
static bool would_go(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLOUT | POLLERR | POLLHUP)) == POLLOUT;
}

static void put(const char *line, size_t len)
{
	if (!would_go() || write(STDOUT_FILENO, line, len) != (ssize_t)len)
		__atomic_fetch_add(&lost_lines, 1, __ATOMIC_RELAXED);
}

static void put_line(const char *line, size_t len)
{
	unsigned lost = __atomic_load_n(&lost_lines, __ATOMIC_RELAXED);
	char note[LINE_MAX_BYTES];

	if (lost != 0 && would_go()) {
		lost = __atomic_exchange_n(&lost_lines, 0, __ATOMIC_RELAXED);
		put(note,
		    (size_t)snprintf(note, sizeof(note),
		                     "mos-primary: %u lines left out: nobody read them\n", lost));
	}
	put(line, len);
}

void mos_report(const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	size_t at = (size_t)snprintf(line, sizeof(line), "mos-primary: ");
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line + at, sizeof(line) - at - 1, fmt, ap); /* cut if too long */
	va_end(ap);
	at = strlen(line);
	line[at] = '\n';
	put_line(line, at + 1);
}

void mos_report_text(const char *text, size_t len)
{
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t line = end != NULL ? (size_t)(end - text) + 1 : len;

		put_line(text, line < PIPE_BUF ? line : PIPE_BUF);
		text += line;
		len -= line;
	}
}
