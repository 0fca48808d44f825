#include "apps/simple_firewall/report.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 1000
#define PIECE_BYTES 4096 /* that a pipe takes at once when it takes anything: PIPE_BUF */

static const char *shard_name;
static bool stdout_gone;

/* Returns 0 or -errno; -ETIMEDOUT when it cannot be written in time. */
static int write_all(int fd, const char *text, size_t len)
{
	struct pollfd writable = {.fd = fd, .events = POLLOUT};

	while (len > 0) {
		ssize_t n;

		if (poll(&writable, 1, PATIENCE_MS) == 0)
			return -ETIMEDOUT;
		n = write(fd, text, len < PIECE_BYTES ? len : PIECE_BYTES);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static void write_clock(char clock[static 16], time_t t)
{
	struct tm tm;

	strftime(clock, 16, "%H:%M:%S", localtime_r(&t, &tm));
}

static void render_head(FILE *f, const struct rule_table *t, const char *what)
{
	char now[16], loaded[16];

	write_clock(now, time(NULL));
	write_clock(loaded, t->loaded);
	fprintf(f, "simple-firewall %s  pid %d%s%s  %s: %u rules of %s\n", now, (int)getpid(),
	        shard_name != NULL ? "  shard " : "", shard_name != NULL ? shard_name : "", what,
	        t->rule_count, loaded);
	fprintf(f, "%7s %12s %14s  %s\n", "LINE", "PACKETS", "BYTES", "RULE");
}

static void render_rules(FILE *f, const struct rule_table *t)
{
	uint64_t packets, bytes;

	for (unsigned i = 0; i < t->rule_count; i++) {
		const struct rule *r = &t->rule[i];

		rule_table_sum(t, i, &packets, &bytes);
		fprintf(f, "%7u %12llu %14llu  %.*s\n", r->line, (unsigned long long)packets,
		        (unsigned long long)bytes, (int)r->text_len, r->text);
	}
	rule_table_sum(t, t->rule_count, &packets, &bytes);
	fprintf(f, "%7s %12llu %14llu  %s\n", "-", (unsigned long long)packets,
	        (unsigned long long)bytes, "pass what no rule matches");
}

static void render_sums(FILE *f, const struct report_sums *sums)
{
	const struct rule_tally *rules = &sums->rules;

	fprintf(f, "total: %llu dropped, %llu bytes; %llu passed, %llu bytes",
	        (unsigned long long)rules->dropped, (unsigned long long)rules->dropped_bytes,
	        (unsigned long long)rules->passed, (unsigned long long)rules->passed_bytes);
	if (sums->with_fragments)
		fprintf(f, "; %llu fragments dropped", (unsigned long long)sums->fragments);
	if (sums->failed > 0)
		fprintf(f, "; %llu COULD NOT BE DROPPED", (unsigned long long)sums->failed);
	fprintf(f, "\n\n");
}

void report_init(const char *shard)
{
	shard_name = shard;
}

void report_print(const struct rule_table *t, const char *what, const struct report_sums *sums)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = stdout_gone ? NULL : open_memstream(&text, &len);
	int error;

	if (f == NULL)
		return; /* the next page may find memory */
	render_head(f, t, what);
	render_rules(f, t);
	render_sums(f, sums);
	error = fclose(f) == 0 ? write_all(STDOUT_FILENO, text, len) : -ENOMEM;
	free(text);
	if (error < 0 && error != -ETIMEDOUT && error != -ENOMEM) {
		stdout_gone = true;
		report_say("cannot print: %s; no more pages, the rules stay in force",
		           strerror(-error));
	}
}

void report_say(const char *format, ...)
{
	static const char name[] = "simple-firewall: ";
	char line[sizeof(name) + RULES_ERROR_LEN + 128];
	size_t len = sizeof(name) - 1;
	va_list args;

	memcpy(line, name, len);
	va_start(args, format);
	vsnprintf(line + len, sizeof(line) - len - 1, format, args);
	va_end(args);
	len = strlen(line);
	line[len++] = '\n';
	write_all(STDERR_FILENO, line, len);
}
