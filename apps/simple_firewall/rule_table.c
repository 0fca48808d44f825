#include "apps/simple_firewall/rule_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_LINE 64

/* ---- Making a table ---- */

static struct rule_table *no_table(struct rule_table *t, char *err, const char *name,
                                   const char *why)
{
	snprintf(err, RULES_ERROR_LEN, "%s: %s", name, why);
	rule_table_free(t);
	return NULL;
}

/* Room for one more rule. Grows by doubling. */
static struct rule *add_room(struct rule_table *t)
{
	if ((t->rule_count & (t->rule_count - 1)) == 0) {
		size_t room = t->rule_count > 0 ? 2 * (size_t)t->rule_count : 1;
		struct rule *rule = realloc(t->rule, room * sizeof(*rule));

		if (rule == NULL)
			return NULL;
		t->rule = rule;
	}
	return &t->rule[t->rule_count];
}

/* Returns what rule_parse() does, or -ENOMEM. */
static int add_line(struct rule_table *t, const char *line, size_t len, unsigned number, char *err)
{
	struct rule *rule = add_room(t);
	int n;

	if (rule == NULL) {
		snprintf(err, RULE_ERROR_LEN, "out of memory");
		return -ENOMEM;
	}
	n = rule_parse(rule, line, len, err);
	if (n == 1 && t->rule_count == RULES_MAX) {
		snprintf(err, RULE_ERROR_LEN, "more than %u rules", RULES_MAX);
		return -EINVAL;
	}
	if (n == 1) {
		rule->line = number;
		t->rule_count++;
	}
	return n;
}

static bool make_counts(struct rule_table *t, unsigned core_count)
{
	size_t bytes = (t->rule_count + 1) * sizeof(struct rule_count);

	bytes = (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	for (; t->core_count < core_count; t->core_count++) {
		t->count[t->core_count] = aligned_alloc(CACHE_LINE, bytes);
		if (t->count[t->core_count] == NULL)
			return false;
		memset(t->count[t->core_count], 0, bytes);
	}
	return true;
}

/* Read all lines of t->text. */
static int add_lines(struct rule_table *t, size_t len, const char *name, char *err)
{
	const char *line = t->text, *end = t->text + len;
	char why[RULE_ERROR_LEN];

	for (unsigned number = 1; line < end; number++) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t line_len = (size_t)((newline != NULL ? newline : end) - line);
		int n = add_line(t, line, line_len, number, why);

		if (n < 0) {
			snprintf(err, RULES_ERROR_LEN, "%s:%u: %s", name, number, why);
			return n;
		}
		line += line_len + (newline != NULL);
	}
	return 0;
}

struct rule_table *rule_table_parse(const char *name, const char *text, size_t len,
                                    unsigned core_count, char err[static RULES_ERROR_LEN])
{
	struct rule_table *t = calloc(1, sizeof(*t));

	if (t != NULL)
		t->text = malloc(len + 1); /* not 0 bytes, which may be NULL */
	if (t == NULL || t->text == NULL)
		return no_table(t, err, name, "out of memory");
	if (len > 0)
		memcpy(t->text, text, len);
	if (add_lines(t, len, name, err) < 0) {
		rule_table_free(t);
		return NULL;
	}
	if (!make_counts(t, core_count))
		return no_table(t, err, name, "out of memory");
	t->loaded = time(NULL);
	return t;
}

/* The whole file in *text, malloc'ed, also on failure. Returns its length or -errno. */
static ssize_t read_all(int fd, char **text)
{
	size_t len = 0, room = 0;
	ssize_t n = 1;

	*text = NULL;
	while (n > 0) {
		if (len == room) {
			char *more = realloc(*text, room += 65536);

			if (more == NULL)
				return -ENOMEM;
			*text = more;
		}
		n = read(fd, *text + len, room - len);
		if (n < 0)
			return -errno;
		len += (size_t)n;
		if (len > RULES_FILE_MAX)
			return -EFBIG;
	}
	return (ssize_t)len;
}

/* Without O_NONBLOCK a pipe would keep us here until somebody writes. */
struct rule_table *rule_table_load(const char *file, unsigned core_count,
                                   char err[static RULES_ERROR_LEN])
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct rule_table *t = NULL;
	struct stat st;
	char *text = NULL;
	ssize_t len;

	if (fd < 0)
		return no_table(NULL, err, file, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		no_table(NULL, err, file, "not a regular file");
	} else {
		len = read_all(fd, &text);
		if (len < 0)
			no_table(NULL, err, file, strerror((int)-len));
		else
			t = rule_table_parse(file, text, (size_t)len, core_count, err);
		free(text);
	}
	close(fd);
	return t;
}

void rule_table_free(struct rule_table *t)
{
	if (t == NULL)
		return;
	for (unsigned i = 0; i < t->core_count; i++)
		free(t->count[i]);
	free(t->rule);
	free(t->text);
	free(t);
}

/* ---- Matching and counting ---- */

unsigned rule_table_match(const struct rule_table *t, const struct rule_key *key)
{
	unsigned i = 0;

	while (i < t->rule_count && !rule_matches(&t->rule[i], key))
		i++;
	return i;
}

/* One writer: a load and a store will do. */
static void add(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, old + n, memory_order_relaxed);
}

void rule_table_count(struct rule_table *t, unsigned core, unsigned rule, uint64_t bytes)
{
	add(&t->count[core][rule].packets, 1);
	add(&t->count[core][rule].bytes, bytes);
}

void rule_table_sum(const struct rule_table *t, unsigned rule, uint64_t *packets, uint64_t *bytes)
{
	*packets = *bytes = 0;
	for (unsigned i = 0; i < t->core_count; i++) {
		const struct rule_count *c = &t->count[i][rule];

		*packets += atomic_load_explicit(&c->packets, memory_order_relaxed);
		*bytes += atomic_load_explicit(&c->bytes, memory_order_relaxed);
	}
}

void rule_table_tally(const struct rule_table *t, struct rule_tally *tally)
{
	uint64_t packets, bytes;

	for (unsigned i = 0; i <= t->rule_count; i++) {
		rule_table_sum(t, i, &packets, &bytes);
		if (i < t->rule_count && t->rule[i].drop) {
			tally->dropped += packets;
			tally->dropped_bytes += bytes;
		} else {
			tally->passed += packets;
			tally->passed_bytes += bytes;
		}
	}
}

/* ---- Replacement ---- */

void rules_publish(struct rules *s, struct rule_table *t)
{
	struct rule_table *old, **last = &s->retired;

	/* Release: the table is whole for who sees it. Pairs with rules_current(). */
	old = atomic_exchange_explicit(&s->current, t, memory_order_acq_rel);
	if (old == NULL)
		return;
	old->retired_in = atomic_load_explicit(&s->round, memory_order_relaxed) + 1;
	while (*last != NULL)
		last = &(*last)->next;
	*last = old;
	/* Release: who sees this round sees the new table. Pairs with rules_pass(). */
	atomic_store_explicit(&s->round, old->retired_in, memory_order_release);
}

struct rule_table *rules_collect(struct rules *s)
{
	struct rule_table *t = s->retired;

	if (t == NULL)
		return NULL;
	/* Acquire: what the core did with the table lies before. Pairs with rules_pass(). */
	for (unsigned i = 0; i < s->core_count; i++)
		if (atomic_load_explicit(&s->core[i].passed, memory_order_acquire) < t->retired_in)
			return NULL;
	s->retired = t->next;
	t->next = NULL;
	return t;
}

void rules_core_ended(struct rules *s, unsigned core)
{
	atomic_store_explicit(&s->core[core].passed, UINT64_MAX, memory_order_release);
}

struct rule_table *rules_current(struct rules *s)
{
	return atomic_load_explicit(&s->current, memory_order_acquire);
}

void rules_pass(struct rules *s, unsigned core)
{
	uint64_t round = atomic_load_explicit(&s->round, memory_order_acquire);

	/* Release: all use of a table that was replaced by that round lies before. */
	atomic_store_explicit(&s->core[core].passed, round, memory_order_release);
}
