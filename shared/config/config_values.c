#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "shared/config/config_keys.h"

#define HOLD_MS_MAX 3600000

static bool is_range_value(const struct mos_config_key *key, int64_t value)
{
	if ((key->flags & KEY_SPECIAL) != 0 && value == key->special)
		return true;
	if (value < key->min || value > key->max)
		return false;
	return (key->flags & KEY_POW2) == 0 || (value & (value - 1)) == 0;
}

void mos_config_key_range(const struct mos_config_key *key, char *text, size_t len)
{
	int n = 0;

	switch (key->kind) {
	case KEY_BOOL: snprintf(text, len, "0|1"); break;
	case KEY_INT:
		if ((key->flags & KEY_SPECIAL) != 0)
			n = snprintf(text, len, "%" PRId32 " (%s) or ", key->special,
			             key->special_meaning);
		assert(n >= 0 && (size_t)n < len);
		snprintf(text + n, len - (size_t)n, "%" PRId32 "..%" PRId32 "%s", key->min,
		         key->max, (key->flags & KEY_POW2) != 0 ? ", power of two" : "");
		break;
	case KEY_MASK: snprintf(text, len, "1..0x%" PRIx64, UINT64_MAX); break;
	case KEY_PATH: snprintf(text, len, "0..%zu bytes", key->size - 1); break;
	case KEY_PREFIX: snprintf(text, len, "1..%zu of A-Za-z0-9_-", key->size - 1); break;
	case KEY_CHOICE:
	case KEY_OTHER: snprintf(text, len, "%s", key->range); break;
	}
}

/* Read a number; what is not one, or not an int64_t, is a failure. */
static int read_int(struct mos_config_parser *p, const char *text, int64_t *value)
{
	uint64_t magnitude;
	bool negative;
	int rc;

	rc = mos_config_number(text, &negative, &magnitude);
	if (rc == -EINVAL)
		return mos_config_fail(p, p->line, "`%.40s` is not a number", text);
	if (rc != 0 || magnitude > INT64_MAX)
		return mos_config_fail(p, p->line, "number `%.40s` is too big", text);
	*value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	return 0;
}

int mos_config_mask(struct mos_config_parser *p, const char *text, uint64_t *mask)
{
	bool negative;
	int rc;

	rc = mos_config_number(text, &negative, mask);
	if (rc == -EINVAL || (rc == 0 && negative))
		return mos_config_fail(p, p->line, "`%.40s` is not a CPU mask", text);
	if (rc != 0)
		return mos_config_fail(p, p->line, "CPU mask `%.40s` has more than 64 bits", text);
	if (*mask == 0)
		return mos_config_fail(p, p->line, "CPU mask 0 names no CPU");
	return 0;
}

static int set_int(struct mos_config_parser *p, const struct mos_config_key *key, const char *word,
                   int32_t *field)
{
	char range[80];
	int64_t value = 0;

	if (read_int(p, word, &value) != 0)
		return -EINVAL;
	if (!is_range_value(key, value)) {
		mos_config_key_range(key, range, sizeof(range));
		return mos_config_fail(p, p->line, "`%s` is out of range: %s", key->name, range);
	}
	if ((key->flags & KEY_ROUND8) != 0)
		value = (value + 7) & ~(int64_t)7;
	*field = (int32_t)value;
	return 0;
}

static int set_bool(struct mos_config_parser *p, const struct mos_config_key *key, const char *word,
                    bool *field)
{
	int64_t value = 0;

	if (read_int(p, word, &value) != 0)
		return -EINVAL;
	if (value != 0 && value != 1)
		return mos_config_fail(p, p->line, "`%s` is out of range: 0|1", key->name);
	*field = value == 1;
	return 0;
}

static int set_choice(struct mos_config_parser *p, const struct mos_config_key *key,
                      const char *word, void *field)
{
	size_t len = strlen(word);
	const char *choice = key->range;
	unsigned int value = 0;

	for (;;) {
		size_t choice_len = strcspn(choice, "|");

		if (choice_len == len && strncmp(choice, word, len) == 0)
			break;
		choice += choice_len;
		if (*choice++ == '\0')
			return mos_config_fail(p, p->line, "`%s` is %s, not `%.40s`", key->name,
			                       key->range, word);
		value++;
	}
	assert(key->size == sizeof(value));
	memcpy(field, &value, sizeof(value));
	return 0;
}

static int set_text(struct mos_config_parser *p, const struct mos_config_key *key, const char *word,
                    char *field)
{
	if (strlen(word) >= key->size)
		return mos_config_fail(p, p->line, "`%s` is longer than %zu bytes", key->name,
		                       key->size - 1);
	strcpy(field, word);
	return 0;
}

static int set_prefix(struct mos_config_parser *p, const struct mos_config_key *key,
                      const char *word, char *field)
{
	const char *c;

	for (c = word; mos_config_is_alnum(*c) || *c == '_' || *c == '-'; c++)
		;
	if (*c != '\0' || c == word)
		return mos_config_fail(p, p->line, "`%s` takes letters, digits, _ and - only",
		                       key->name);
	return set_text(p, key, word, field);
}

int mos_config_key_set(struct mos_config_parser *p, const struct mos_config_key *key, void *base)
{
	const struct mos_config_words *w = &p->words;
	void *field = (char *)base + key->offset;

	if (key->kind == KEY_OTHER)
		return key->set(p, base);
	if (w->count == 0 && key->kind != KEY_PATH)
		return mos_config_fail(p, p->line, "`%s` has no value", key->name);
	if (w->count > 1)
		return mos_config_fail(p, p->line, "stray `%.40s` after the value of `%s`",
		                       w->word[1], key->name);
	switch (key->kind) {
	case KEY_BOOL: return set_bool(p, key, w->word[0], field);
	case KEY_INT: return set_int(p, key, w->word[0], field);
	case KEY_MASK: return mos_config_mask(p, w->word[0], field);
	case KEY_CHOICE: return set_choice(p, key, w->word[0], field);
	case KEY_PATH: return set_text(p, key, w->count == 0 ? "" : w->word[0], field);
	case KEY_PREFIX: return set_prefix(p, key, w->word[0], field);
	case KEY_OTHER: break;
	}
	assert(false);
	return -EINVAL;
}

int mos_config_set_type(struct mos_config_parser *p, void *base)
{
	const struct mos_config_words *w = &p->words;
	struct mos_config_app *app = base;

	if (w->count == 1 && strcmp(w->word[0], "end") == 0)
		app->type = MOS_CONFIG_APP_END;
	else if (w->count == 1 && strcmp(w->word[0], "monitor") == 0)
		app->type = MOS_CONFIG_APP_MONITOR;
	else
		return mos_config_fail(p, p->line, "`type` is end or monitor");
	return 0;
}

int mos_config_set_run(struct mos_config_parser *p, void *base)
{
	const struct mos_config_words *w = &p->words;
	struct mos_config_app *app = base;
	const char *last;
	uint32_t i;

	if (w->count == 0 || w->word[0][0] == '\0')
		return mos_config_fail(p, p->line, "`run` names no program");
	static_assert(sizeof(app->args) == sizeof(w->buf), "all words fit");
	last = w->word[w->count - 1];
	memcpy(app->args, w->buf, (size_t)(last - w->buf) + strlen(last) + 1);
	for (i = 0; i < w->count; i++)
		app->arg_offset[i] = (uint16_t)(w->word[i] - w->buf);
	app->argc = w->count;
	return 0;
}

int mos_config_set_stat_print(struct mos_config_parser *p, void *base)
{
	const struct mos_config_words *w = &p->words;
	struct mos_config *cfg = base;
	unsigned int i;

	for (i = 0; i < w->count; i++) {
		int port = mos_config_port_ref(p, w->word[i]);

		if (port < 0)
			return port;
		cfg->stat_print |= 1u << port;
	}
	return 0;
}

int mos_config_set_ignored(struct mos_config_parser *p, void *base)
{
	return 0;
}

/* `<core>`, `<core> master`, `<core> slave` or, as upstream's setup script writes it, `slave`. */
int mos_config_set_multiprocess(struct mos_config_parser *p, void *base)
{
	const struct mos_config_words *w = &p->words;
	unsigned int i = 0;
	uint64_t core;
	bool negative;

	if (i < w->count && mos_config_number(w->word[i], &negative, &core) == 0 && !negative)
		i++;
	if (i < w->count && (strcmp(w->word[i], "master") == 0 || strcmp(w->word[i], "slave") == 0))
		i++;
	if (i == 0 || i < w->count)
		return mos_config_fail(p, p->line, "`multiprocess` is `[core] [master|slave]`");
	return 0;
}

int mos_config_set_fail_policy(struct mos_config_parser *p, void *base)
{
	const struct mos_config_words *w = &p->words;
	struct mos_config *cfg = base;
	const char *policy;
	int64_t hold_ms = 0;

	if (w->count == 3 && strcmp(w->word[0], "hold") == 0) {
		if (read_int(p, w->word[1], &hold_ms) != 0)
			return -EINVAL;
		if (hold_ms < 1 || hold_ms > HOLD_MS_MAX)
			return mos_config_fail(p, p->line, "`hold` is out of range: 1..%d ms",
			                       HOLD_MS_MAX);
		policy = w->word[2];
	} else {
		policy = w->count == 1 ? w->word[0] : "";
	}
	if (strcmp(policy, "open") == 0)
		cfg->fail_policy = MOS_CONFIG_FAIL_OPEN;
	else if (strcmp(policy, "closed") == 0)
		cfg->fail_policy = MOS_CONFIG_FAIL_CLOSED;
	else
		return mos_config_fail(p, p->line,
		                       "`fail_policy` is open, closed, or hold <ms> open|closed");
	cfg->fail_hold_ms = (int32_t)hold_ms;
	return 0;
}
