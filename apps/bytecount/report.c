#include "apps/bytecount/report.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define NS_PER_S  1000000000ull
#define NS_PER_US 1000ull

/* A line that is written from left to right. Its room is enough for all there is. */
struct line {
	char *text;
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(l->text + l->len, REPORT_LINE_LEN - l->len, format, args);
	va_end(args);
	assert(n >= 0 && (size_t)n < REPORT_LINE_LEN - l->len);
	l->len += (size_t)n;
}

static void add_time(struct line *l, const char *name, uint64_t ns)
{
	add(l, "\"%s\":%llu.%06llu,", name, (unsigned long long)(ns / NS_PER_S),
	    (unsigned long long)(ns % NS_PER_S / NS_PER_US));
}

static void add_volume(struct line *l, const char *name, const struct volume *v)
{
	add(l,
	    ",\"%s\":{\"packets\":%llu,\"ip_bytes\":%llu,\"payload\":%llu,\"unique\":%llu,"
	    "\"resent\":%llu,\"missed\":%llu}",
	    name, (unsigned long long)v->packets, (unsigned long long)v->ip_bytes,
	    (unsigned long long)v->payload, (unsigned long long)v->unique,
	    (unsigned long long)(v->payload - v->unique), (unsigned long long)v->missed);
}

size_t report_flow(char line[static REPORT_LINE_LEN], const struct ends *ends,
                   const struct flow_count *f, const char *reason)
{
	struct volume to_server = flow_count_volume(f, TO_SERVER);
	struct volume to_client = flow_count_volume(f, TO_CLIENT);
	/* The clock is that of the packets, and a capture's need not be in order. */
	uint64_t us = f->end_ns > f->begin_ns ? (f->end_ns - f->begin_ns) / NS_PER_US : 0;
	struct line l = {.text = line};

	add(&l, "{");
	add_time(&l, "start", f->begin_ns);
	add_time(&l, "end", f->end_ns);
	add(&l, "\"ms\":%llu.%03llu,\"client\":\"%s\",\"server\":\"%s\",\"reason\":\"%s\"",
	    (unsigned long long)(us / 1000), (unsigned long long)(us % 1000), ends->client,
	    ends->server, reason);
	add_volume(&l, "to_server", &to_server);
	add_volume(&l, "to_client", &to_client);
	add(&l, "%s}\n", f->joined ? ",\"joined\":true" : "");
	return l.len;
}

size_t report_totals(char line[static REPORT_LINE_LEN], const struct totals *t, int pid,
                     uint64_t time_ns)
{
	struct line l = {.text = line};

	add(&l, "{");
	add_time(&l, "time", time_ns);
	add(&l, "\"pid\":%d,\"connections\":%llu,\"open\":%llu", pid,
	    (unsigned long long)t->connections, (unsigned long long)t->open);
	add_volume(&l, "to_server", &t->volume[TO_SERVER]);
	add_volume(&l, "to_client", &t->volume[TO_CLIENT]);
	add(&l, "}\n");
	return l.len;
}
