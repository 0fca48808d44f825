/*
 * A line of JSON that is written from left to right. Memory: the caller's, with room for the longest
 * line and a NUL. Pure; any thread.
 */
#ifndef APPS_COMMON_JSON_LINE_H
#define APPS_COMMON_JSON_LINE_H

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct line {
	char *text;
	size_t len, room; /* bytes */
};

__attribute__((format(printf, 2, 3))) static inline void line_add(struct line *l,
                                                                  const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(l->text + l->len, l->room - l->len, format, args);
	va_end(args);
	assert(n >= 0 && (size_t)n < l->room - l->len);
	l->len += (size_t)n;
}

/* "name": seconds since 1970, with six digits behind the point. */
static inline void line_add_time(struct line *l, const char *name, uint64_t ns)
{
	uint64_t us = ns / 1000;

	line_add(l, "\"%s\":%llu.%06llu", name, (unsigned long long)(us / 1000000),
	         (unsigned long long)(us % 1000000));
}

/* "ms": from begin to end. The clock is that of the packets, and a capture's need not be in order. */
static inline void line_add_ms(struct line *l, uint64_t begin_ns, uint64_t end_ns)
{
	uint64_t us = end_ns > begin_ns ? (end_ns - begin_ns) / 1000 : 0;

	line_add(l, "\"ms\":%llu.%03llu", (unsigned long long)(us / 1000),
	         (unsigned long long)(us % 1000));
}

#endif
