#include "apps/httpwatch/transaction.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define NS_PER_S  1000000000ull
#define NS_PER_US 1000ull

/* A line that is written from left to right. Its room is enough for all there is: see the header. */
struct line {
	char *text;
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(l->text + l->len, TRANSACTION_LINE_LEN - l->len, format, args);
	va_end(args);
	assert(n >= 0 && (size_t)n < TRANSACTION_LINE_LEN - l->len);
	l->len += (size_t)n;
}

static void add_string(struct line *l, const char *name, const struct http_span *s)
{
	if (s == NULL || s->at == NULL) {
		add(l, ",\"%s\":null", name);
		return;
	}
	add(l, ",\"%s\":\"", name);
	for (size_t i = 0; i < s->len; i++) {
		unsigned char c = (unsigned char)s->at[i];

		if (c < ' ' || c >= 0x7f)
			add(l, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			add(l, "\\%c", c);
		else
			l->text[l->len++] = (char)c;
	}
	add(l, "\"");
}

size_t transaction_write(char line[static TRANSACTION_LINE_LEN], const struct ends *ends,
                         const struct http_request *request, unsigned status, uint64_t time_ns)
{
	struct line l = {.text = line};
	uint64_t begin_ns = request != NULL ? request->time_ns : time_ns;
	/* The clock is that of the packets, and a capture's need not be in order. */
	uint64_t us = time_ns > begin_ns ? (time_ns - begin_ns) / NS_PER_US : 0;

	add(&l, "{\"time\":%llu.%06llu,\"client\":\"%s\",\"server\":\"%s\"",
	    (unsigned long long)(begin_ns / NS_PER_S),
	    (unsigned long long)(begin_ns % NS_PER_S / NS_PER_US), ends->client, ends->server);
	add_string(&l, "method", request != NULL ? &request->method : NULL);
	add_string(&l, "host", request != NULL ? &request->host : NULL);
	add_string(&l, "path", request != NULL ? &request->target : NULL);
	if (status != 0)
		add(&l, ",\"status\":%u", status);
	else
		add(&l, ",\"status\":null");
	if (request != NULL && status != 0)
		add(&l, ",\"ms\":%llu.%03llu", (unsigned long long)(us / 1000),
		    (unsigned long long)(us % 1000));
	else
		add(&l, ",\"ms\":null");
	if (request != NULL && request->truncated)
		add(&l, ",\"truncated\":true");
	add(&l, "}\n");
	return l.len;
}
