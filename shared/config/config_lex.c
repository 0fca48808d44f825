#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "shared/config/config_parse.h"

#define NEAR_LEN_MAX 32 /* longer words get no suggestion */

/* Bytes of the file may be shown to a terminal: one line, no control characters. */
void mos_config_clean(char *err)
{
	for (; *err != '\0'; err++)
		if ((unsigned char)*err < ' ' || *err == 0x7f)
			*err = '?';
}

int mos_config_fail(struct mos_config_parser *p, unsigned int line, const char *fmt, ...)
{
	va_list args;
	int n;

	if (p->err_len == 0)
		return -EINVAL;
	n = snprintf(p->err, p->err_len, "%s:%u: ", p->name, line);
	if (n > 0 && (size_t)n < p->err_len) {
		va_start(args, fmt);
		vsnprintf(p->err + n, p->err_len - (size_t)n, fmt, args);
		va_end(args);
	}
	mos_config_clean(p->err);
	return -EINVAL;
}

/* The C library's answer depends on the locale of the application. */
bool mos_config_is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static bool is_name_char(char c)
{
	return mos_config_is_alnum(c) || c == '_' || c == '-' || c == '.';
}

/* Ends a value or a table's entry when it stands outside of quotes. */
static bool ends_words(int c)
{
	return c < 0 || c == '\n' || c == '#' || c == '}';
}

/* What no later step has to expect: NUL, other control characters, endless lines. */
int mos_config_check_bytes(struct mos_config_parser *p)
{
	const char *c, *start = p->at;
	unsigned int line = 1;

	for (c = p->at; c < p->end; c++) {
		if (*c == '\n') {
			line++;
			start = c + 1;
			continue;
		}
		if (*c == '\0')
			return mos_config_fail(p, line, "NUL byte; is this a text file?");
		if (((unsigned char)*c < ' ' && !is_space(*c)) || *c == 0x7f)
			return mos_config_fail(p, line, "control character 0x%02x",
			                       (unsigned char)*c);
		if (c - start >= MOS_CONFIG_LINE_MAX)
			return mos_config_fail(p, line, "line longer than %d bytes",
			                       MOS_CONFIG_LINE_MAX);
	}
	return 0;
}

int mos_config_peek(const struct mos_config_parser *p)
{
	return p->at < p->end ? (unsigned char)*p->at : -1;
}

void mos_config_skip_space(struct mos_config_parser *p)
{
	while (is_space(mos_config_peek(p)))
		p->at++;
}

static void skip_comment(struct mos_config_parser *p)
{
	while (p->at < p->end && *p->at != '\n')
		p->at++;
}

/* Skip to the next byte that means something, over any number of lines. */
void mos_config_skip_blank(struct mos_config_parser *p)
{
	for (;;) {
		mos_config_skip_space(p);
		switch (mos_config_peek(p)) {
		case '\n':
			p->at++;
			p->line++;
			break;
		case '#': skip_comment(p); break;
		default: return;
		}
	}
}

/* Step over the name that starts here; it stays in the text. Returns its length, 0 = none. */
size_t mos_config_scan_name(struct mos_config_parser *p, const char **name)
{
	*name = p->at;
	while (p->at < p->end && is_name_char(*p->at))
		p->at++;
	return (size_t)(p->at - *name);
}

/* Copy one word to out. Returns where it ended, NULL after a failure. */
static char *scan_word(struct mos_config_parser *p, char *out)
{
	int quote = 0;

	for (;; p->at++) {
		int c = mos_config_peek(p);

		if (quote != 0) {
			if (c < 0 || c == '\n') {
				mos_config_fail(p, p->line, "quote %c is never closed", quote);
				return NULL;
			}
			if (c == quote) {
				quote = 0;
				continue;
			}
		} else if (ends_words(c) || is_space(c)) {
			return out;
		} else if (c == '\'' || c == '"') {
			quote = c;
			continue;
		} else if (c == '{') {
			mos_config_fail(p, p->line,
			                "unexpected `{`; put text with braces in quotes");
			return NULL;
		}
		*out++ = (char)c;
	}
}

int mos_config_scan_words(struct mos_config_parser *p)
{
	struct mos_config_words *w = &p->words;
	char *out = w->buf;

	for (w->count = 0;; w->count++) {
		mos_config_skip_space(p);
		if (ends_words(mos_config_peek(p)))
			return 0;
		if (w->count == MOS_CONFIG_ARG_MAX)
			return mos_config_fail(p, p->line, "more than %d words",
			                       MOS_CONFIG_ARG_MAX);
		w->word[w->count] = out;
		out = scan_word(p, out);
		if (out == NULL)
			return -EINVAL;
		*out++ = '\0';
		assert(out <= w->buf + sizeof(w->buf));
	}
}

static unsigned int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned int)(c - 'A') + 10;
	return 16;
}

/* Decimal, 0x hex, leading-0 octal, perhaps after `-`. -EINVAL: no number, -ERANGE: too big. */
int mos_config_number(const char *text, bool *negative, uint64_t *magnitude)
{
	unsigned int base = 10;
	bool overflow = false;
	uint64_t value = 0;

	*negative = text[0] == '-';
	text += *negative;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	} else if (text[0] == '0') {
		base = 8;
	}
	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		unsigned int digit = digit_value(*text);

		if (digit >= base)
			return -EINVAL;
		overflow |= __builtin_mul_overflow(value, base, &value);
		overflow |= __builtin_add_overflow(value, digit, &value);
	}
	*magnitude = value;
	return overflow ? -ERANGE : 0;
}

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* How many letters to insert, delete, replace or swap with their neighbour to get b from a. */
static unsigned int edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned int row[3][NEAR_LEN_MAX + 1]; /* of the matrix: i mod 3 */
	size_t i, j;

	for (j = 0; j <= b_len; j++)
		row[0][j] = (unsigned int)j;
	for (i = 1; i <= a_len; i++) {
		unsigned int *cur = row[i % 3], *prev = row[(i + 2) % 3];
		const unsigned int *before = row[(i + 1) % 3];

		cur[0] = (unsigned int)i;
		for (j = 1; j <= b_len; j++) {
			unsigned int change = prev[j - 1] + (a[i - 1] != b[j - 1]);

			cur[j] = min3(prev[j] + 1, cur[j - 1] + 1, change);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < cur[j])
				cur[j] = before[j - 2] + 1;
		}
	}
	return row[a_len % 3][b_len];
}

/* Keep the candidate if it is nearer than what came before and near enough to be meant. */
void mos_config_near_try(struct mos_config_near *near, const char *candidate)
{
	size_t len = strlen(near->word), candidate_len = strlen(candidate);
	unsigned int distance, limit = len < 4 ? 1 : len < 8 ? 2 : 3;

	if (len > NEAR_LEN_MAX || candidate_len > NEAR_LEN_MAX)
		return;
	distance = edit_distance(near->word, len, candidate, candidate_len);
	if (distance > limit || (near->best != NULL && distance >= near->distance))
		return;
	near->best = candidate;
	near->distance = distance;
}
