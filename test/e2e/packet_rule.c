#include "test/e2e/packet_tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES (1 << 16)

const char *const where_names[WHERES] = {"setup", "raw",  "orphan", "start", "snd",
                                         "rcv",   "data", "end",    "timer"};

struct rule rules[RULES_MAX];
unsigned rule_count;

void fail(const char *what)
{
	fprintf(stderr, "packet_tool: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* ---- Words of a rule ---- */

const char *word(const struct rule *r, const char *key)
{
	size_t len = strlen(key);

	for (char *const *w = r->word; *w != NULL; w++)
		if (strncmp(*w, key, len) == 0 && (*w)[len] == '=')
			return *w + len + 1;
	return NULL;
}

long number(const struct rule *r, const char *key, long otherwise)
{
	const char *value = word(r, key);

	return value != NULL ? strtol(value, NULL, 0) : otherwise;
}

bool says(const struct rule *r, const char *key, const char *value)
{
	const char *given = word(r, key);

	return given != NULL && strcmp(given, value) == 0;
}

uint16_t read_bytes(const char *text, uint8_t bytes[static PART_BYTES])
{
	uint16_t len = 0;

	if (*text == 'x') {
		len = (uint16_t)atoi(text + 1);
		memset(bytes, 'x', len);
		return len;
	}
	for (unsigned value; sscanf(text + (size_t)2 * len, "%2x", &value) == 1; len++)
		bytes[len] = (uint8_t)value;
	return len;
}

/* ---- Output ---- */

void say_result(const struct rule *r, ssize_t result)
{
	printf("%u %s %zd %s", r->line, r->verb->name, result,
	       result < 0 ? strerrorname_np(errno) : "0");
}

void say(const struct rule *r, ssize_t result)
{
	if (result >= 0 && word(r, "quiet") != NULL)
		return;
	say_result(r, result);
	putchar('\n');
}

void say_bytes(const char *name, const void *bytes, size_t len)
{
	printf(" %s=", name);
	if (bytes == NULL)
		putchar('-');
	for (size_t i = 0; bytes != NULL && i < len; i++)
		printf("%02x", ((const uint8_t *)bytes)[i]);
}

/* ---- Script ---- */

static enum where find_where(const char *name)
{
	enum where where = 0;

	while (where < WHERES && strcmp(where_names[where], name) != 0)
		where++;
	return where;
}

/* False: a mistake. */
static bool parse_rule(struct rule *r, char *text)
{
	char *rest, *w = strtok_r(text, " \n", &rest);
	unsigned n = 0;

	r->where = w != NULL ? find_where(w) : WHERES;
	while ((w = strtok_r(NULL, " \n", &rest)) != NULL) {
		if (strchr(w, '=') != NULL && n < WORDS_MAX - 1)
			r->word[n++] = strdup(w);
		else if (r->verb == NULL && (r->verb = find_verb(w)) == NULL)
			return false;
	}
	r->port = (int)number(r, "port", -1);
	r->nth = (unsigned)number(r, "nth", 0);
	r->from = says(r, "from", "svr")   ? MOS_SIDE_SVR
	          : says(r, "from", "cli") ? MOS_SIDE_CLI
	                                   : -1;
	return r->where < WHERES && r->verb != NULL;
}

void read_script(const char *path)
{
	static char line[LINE_BYTES];
	FILE *file = fopen(path, "re");

	if (file == NULL)
		fail(path);
	while (fgets(line, sizeof(line), file) != NULL) {
		struct rule *r = &rules[rule_count++];

		r->line = rule_count;
		if (rule_count >= RULES_MAX || !parse_rule(r, line)) {
			fprintf(stderr, "packet_tool: %s:%u: a mistake\n", path, rule_count);
			exit(EXIT_FAILURE);
		}
	}
	fclose(file);
}
