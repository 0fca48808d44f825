#include "apps/common/http_head.h"

#include <string.h>
#include <strings.h>

#define LENGTH_DIGITS 18 /* more may not fit 64 bits, and no body is that long */
#define CHUNK_DIGITS  15

/* A status line up to the status; d = a digit. */
static const char status_pattern[] = "HTTP/1.d ddd";
#define STATUS_AT 9

/* ---- Characters and words ---- */

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

static bool is_word(struct http_span s, const char *expected)
{
	return s.len == strlen(expected) && strncasecmp(s.at, expected, s.len) == 0;
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

/* What of s lies behind its last `c`; all of it when there is none. */
static struct http_span behind_last(struct http_span s, char c)
{
	const char *last = s.len > 0 ? memrchr(s.at, c, s.len) : NULL;

	if (last == NULL)
		return s;
	return (struct http_span){last + 1, s.len - (size_t)(last + 1 - s.at)};
}

/* ---- Start lines ---- */

/* How many bytes a method takes at the beginning of a line. */
static size_t method_len(const char *bytes, size_t len)
{
	size_t n = 0;

	while (n < len && n <= HTTP_METHOD_MAX && is_token_char(bytes[n]))
		n++;
	return n;
}

static bool request_line(struct http_start *start, struct http_span line)
{
	size_t method = method_len(line.at, line.len), begin = method + 1, end = begin;

	if (method == 0 || method > HTTP_METHOD_MAX || method == line.len || line.at[method] != ' ')
		return false;
	while (end < line.len && is_target_char(line.at[end]))
		end++;
	if (end == begin || line.len - end != strlen(" HTTP/1.x") ||
	    memcmp(line.at + end, " HTTP/1.", strlen(" HTTP/1.")) != 0 ||
	    !is_digit(line.at[line.len - 1]))
		return false;
	start->method = (struct http_span){line.at, method};
	start->target = (struct http_span){line.at + begin, end - begin};
	return true;
}

/* How many bytes of the pattern are there. */
static size_t status_len(const char *bytes, size_t len)
{
	size_t n = 0;

	while (n < len && n < sizeof(status_pattern) - 1 &&
	       (status_pattern[n] == 'd' ? is_digit(bytes[n]) : bytes[n] == status_pattern[n]))
		n++;
	return n;
}

static bool status_line(struct http_start *start, struct http_span line)
{
	const char *digit = line.at + STATUS_AT;
	size_t n = status_len(line.at, line.len);

	if (n < sizeof(status_pattern) - 1 || (line.len > n && line.at[n] != ' ') ||
	    digit[0] == '0')
		return false;
	start->status = (unsigned)(digit[0] - '0') * 100 + (unsigned)(digit[1] - '0') * 10 +
	                (unsigned)(digit[2] - '0');
	return true;
}

bool http_start_line(struct http_start *start, enum http_kind kind, struct http_span line)
{
	*start = (struct http_start){0};
	return kind == HTTP_REQUEST ? request_line(start, line) : status_line(start, line);
}

bool http_may_start(enum http_kind kind, const char *bytes, size_t len)
{
	size_t n;

	if (kind == HTTP_RESPONSE)
		return status_len(bytes, len) ==
		       (len < sizeof(status_pattern) - 1 ? len : sizeof(status_pattern) - 1);
	n = method_len(bytes, len);
	return n == len ? n <= HTTP_METHOD_MAX : n > 0 && n <= HTTP_METHOD_MAX && bytes[n] == ' ';
}

/* ---- Fields ---- */

/* A coding decides whatever lengths say; what cannot be understood stays so. */
static void on_content_length(struct http_fields *fields, struct http_span value)
{
	bool good = value.len > 0 && value.len <= LENGTH_DIGITS;
	uint64_t n = 0;

	if (fields->framing == HTTP_CHUNKED || fields->framing == HTTP_OTHER_CODING)
		return;
	for (size_t i = 0; good && i < value.len; i++) {
		good = is_digit(value.at[i]);
		n = n * 10 + (uint64_t)(value.at[i] - '0');
	}
	if (!good || fields->framing == HTTP_BAD_LENGTH ||
	    (fields->framing == HTTP_LENGTH && fields->body_bytes != n)) {
		fields->framing = HTTP_BAD_LENGTH;
		fields->body_bytes = 0;
		return;
	}
	fields->framing = HTTP_LENGTH;
	fields->body_bytes = n;
}

/* The last coding of the last field is the outermost. */
static void on_transfer_encoding(struct http_fields *fields, struct http_span value)
{
	bool chunked = is_word(trim(behind_last(value, ',')), "chunked");

	fields->framing = chunked ? HTTP_CHUNKED : HTTP_OTHER_CODING;
	fields->body_bytes = 0;
}

void http_field_line(struct http_fields *fields, struct http_span line)
{
	const char *colon = line.len > 0 ? memchr(line.at, ':', line.len) : NULL;
	struct http_span name, value;

	if (colon == NULL)
		return;
	name = (struct http_span){line.at, (size_t)(colon - line.at)};
	value = trim((struct http_span){colon + 1, line.len - name.len - 1});
	if (fields->host.at == NULL && is_word(name, "host"))
		fields->host = value;
	else if (is_word(name, "content-length"))
		on_content_length(fields, value);
	else if (is_word(name, "transfer-encoding"))
		on_transfer_encoding(fields, value);
}

/* ---- Chunks ---- */

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool http_chunk_line(uint64_t *size, struct http_span line)
{
	size_t n = 0;

	*size = 0;
	while (n < line.len && n <= CHUNK_DIGITS && hex_value(line.at[n]) >= 0)
		*size = *size * 16 + (uint64_t)hex_value(line.at[n++]);
	return n > 0 && n <= CHUNK_DIGITS &&
	       (n == line.len || line.at[n] == ';' || line.at[n] == ' ' || line.at[n] == '\t');
}
