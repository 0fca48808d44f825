#include "apps/httpwatch/http_head.h"

#include <string.h>
#include <strings.h>

#define CONTENT_LENGTH_DIGITS 18 /* more may not fit 64 bits, and no body is that long */

/* What is left to read. */
struct input {
	const char *at;
	const char *end;
};

/* ---- Pieces ---- */

/*
 * Take the next line; *line is without its CR LF or LF. False when there is no LF, and *line is
 * all that is left.
 */
static bool take_line(struct input *in, struct http_span *line)
{
	size_t left = (size_t)(in->end - in->at);
	const char *lf = left > 0 ? memchr(in->at, '\n', left) : NULL;

	*line = (struct http_span){in->at, lf != NULL ? (size_t)(lf - in->at) : left};
	if (lf == NULL)
		return false;
	in->at = lf + 1;
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A character of a method, RFC 9110 section 5.6.2. */
static bool is_token_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || is_digit(c) ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Beyond ASCII servers take what comes. */
static bool is_target_char(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f;
}

/* "HTTP/1." and a digit, at the beginning of s. */
static bool is_version(const char *s, size_t len)
{
	return len >= 8 && memcmp(s, "HTTP/1.", 7) == 0 && is_digit(s[7]);
}

static bool is_name(const struct http_span *name, const char *expected)
{
	return name->len == strlen(expected) && strncasecmp(name->at, expected, name->len) == 0;
}

static struct http_span trim(struct http_span s)
{
	while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t')) {
		s.at++;
		s.len--;
	}
	while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* ---- Start lines. A line that is not whole may be the beginning of one that is good. ---- */

static enum http_result request_line(struct http_head *head, struct http_span line, bool whole)
{
	size_t i = 0, target;

	while (i < line.len && i <= HTTP_METHOD_MAX && is_token_char(line.at[i]))
		i++;
	if (i == line.len && !whole && i <= HTTP_METHOD_MAX)
		return HTTP_MORE;
	if (i == 0 || i > HTTP_METHOD_MAX || i == line.len || line.at[i] != ' ')
		return HTTP_NONE;
	head->method = (struct http_span){line.at, i};
	target = ++i;
	while (i < line.len && is_target_char(line.at[i]))
		i++;
	if (!whole && (i == line.len || line.at[i] == ' '))
		return HTTP_MORE;
	if (i == target || i == line.len || line.at[i] != ' ')
		return HTTP_NONE;
	head->target = (struct http_span){line.at + target, i - target};
	i++;
	return line.len - i == 8 && is_version(line.at + i, 8) ? HTTP_WHOLE : HTTP_NONE;
}

static enum http_result status_line(struct http_head *head, struct http_span line, bool whole)
{
	static const char pattern[] = "HTTP/1.d ddd"; /* d = a digit */
	size_t i;

	for (i = 0; i < line.len && i < sizeof(pattern) - 1; i++)
		if (pattern[i] == 'd' ? !is_digit(line.at[i]) : line.at[i] != pattern[i])
			return HTTP_NONE;
	if (!whole)
		return HTTP_MORE;
	if (i < sizeof(pattern) - 1 || line.at[9] == '0' || (line.len > i && line.at[i] != ' '))
		return HTTP_NONE;
	head->status = (unsigned)(line.at[9] - '0') * 100 + (unsigned)(line.at[10] - '0') * 10 +
	               (unsigned)(line.at[11] - '0');
	return HTTP_WHOLE;
}

static enum http_result start_line(struct http_head *head, enum http_kind kind, struct input *in)
{
	struct http_span line;
	bool whole = take_line(in, &line);

	return kind == HTTP_REQUEST ? request_line(head, line, whole)
	                            : status_line(head, line, whole);
}

/* ---- Fields ---- */

static void on_content_length(struct http_head *head, struct http_span value)
{
	uint64_t n = 0;
	bool good = value.len > 0 && value.len <= CONTENT_LENGTH_DIGITS;

	for (size_t i = 0; good && i < value.len; i++) {
		good = is_digit(value.at[i]);
		n = n * 10 + (uint64_t)(value.at[i] - '0');
	}
	if (!good || head->framing == HTTP_UNKNOWN_LEN ||
	    (head->framing == HTTP_LENGTH && head->body_bytes != n)) {
		head->framing = HTTP_UNKNOWN_LEN;
		head->body_bytes = 0;
		return;
	}
	head->framing = HTTP_LENGTH;
	head->body_bytes = n;
}

static void on_field(struct http_head *head, struct http_span line)
{
	const char *colon = memchr(line.at, ':', line.len);
	struct http_span name, value;

	if (colon == NULL)
		return;
	name = (struct http_span){line.at, (size_t)(colon - line.at)};
	value = trim((struct http_span){colon + 1, line.len - name.len - 1});
	if (head->host.at == NULL && is_name(&name, "host")) {
		head->host = value;
	} else if (is_name(&name, "content-length")) {
		on_content_length(head, value);
	} else if (is_name(&name, "transfer-encoding")) {
		head->framing = HTTP_UNKNOWN_LEN;
		head->body_bytes = 0;
	}
}

/* ---- Heads ---- */

enum http_result http_head_parse(struct http_head *head, enum http_kind kind, const void *bytes,
                                 size_t len)
{
	const char *begin = bytes;
	struct input in = {begin, begin + (len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX)};
	struct http_span line;
	enum http_result result;

	*head = (struct http_head){.framing = HTTP_NO_LENGTH};
	result = start_line(head, kind, &in);
	if (result == HTTP_MORE && len >= HTTP_HEAD_MAX)
		return HTTP_NONE;
	if (result != HTTP_WHOLE)
		return result;
	while (take_line(&in, &line)) {
		if (line.len == 0) {
			head->len = (size_t)(in.at - begin);
			return HTTP_WHOLE;
		}
		on_field(head, line);
	}
	return HTTP_CUT;
}

bool http_head_starts(enum http_kind kind, const void *bytes, size_t len)
{
	const char *begin = bytes;
	struct input in = {begin, begin + (len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX)};
	struct http_head head;

	return start_line(&head, kind, &in) == HTTP_WHOLE;
}
