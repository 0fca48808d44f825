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

static void add_number(struct line *l, const char *name, bool known, uint64_t n)
{
	if (known)
		add(l, ",\"%s\":%llu", name, (unsigned long long)n);
	else
		add(l, ",\"%s\":null", name);
}

/* The clock is that of the packets, and a capture's need not be in order. */
static void add_duration(struct line *l, uint64_t begin_ns, uint64_t end_ns)
{
	uint64_t us = end_ns > begin_ns ? (end_ns - begin_ns) / NS_PER_US : 0;

	add(l, ",\"ms\":%llu.%03llu", (unsigned long long)(us / 1000),
	    (unsigned long long)(us % 1000));
}

static void add_notes(struct line *l, const struct http_transaction *t)
{
	uint64_t missed = t->body_missed + (t->request != NULL ? t->request->body_missed : 0);

	if (t->request != NULL && t->request->truncated)
		add(l, ",\"truncated\":true");
	if (missed > 0)
		add(l, ",\"missed\":%llu", (unsigned long long)missed);
	if (t->incomplete)
		add(l, ",\"incomplete\":true");
	if (t->resumed)
		add(l, ",\"resumed\":true");
	if (t->given_up != NULL)
		add(l, ",\"given_up\":\"%s\"", t->given_up);
}

size_t transaction_write(char line[static TRANSACTION_LINE_LEN], const struct ends *ends,
                         const struct http_transaction *t)
{
	const struct http_request *r = t->request;
	uint64_t begin_ns = r != NULL ? r->time_ns : t->time_ns;
	struct line l = {.text = line};

	add(&l, "{\"time\":%llu.%06llu,\"client\":\"%s\",\"server\":\"%s\"",
	    (unsigned long long)(begin_ns / NS_PER_S),
	    (unsigned long long)(begin_ns % NS_PER_S / NS_PER_US), ends->client, ends->server);
	add_string(&l, "method", r != NULL ? &r->method : NULL);
	add_string(&l, "host", r != NULL ? &r->host : NULL);
	add_string(&l, "path", r != NULL ? &r->target : NULL);
	add_number(&l, "status", t->status != 0, t->status);
	add_number(&l, "bytes", t->status != 0 && !t->body_unknown, t->body_bytes);
	add_number(&l, "request_bytes", r != NULL && !r->body_unknown,
	           r != NULL ? r->body_bytes : 0);
	if (r != NULL && t->status != 0)
		add_duration(&l, begin_ns, t->time_ns);
	else
		add(&l, ",\"ms\":null");
	add_notes(&l, t);
	add(&l, "}\n");
	return l.len;
}
