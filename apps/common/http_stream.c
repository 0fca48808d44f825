#include "apps/common/http_stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PART_ROOM_MIN 256

/* ---- Lines ---- */

enum line_result { LINE_WHOLE, LINE_PART, LINE_NO_ROOM };

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void free_part(struct http_stream *s)
{
	*s->budget += s->part_room;
	free(s->part);
	s->part = NULL;
	s->part_len = s->part_room = 0;
	s->part_taken = false;
}

static bool make_room(struct http_stream *s, size_t len)
{
	size_t room = s->part_room > 0 ? s->part_room : PART_ROOM_MIN;
	char *part;

	while (room < len)
		room *= 2;
	if (room == s->part_room)
		return true;
	if (room - s->part_room > *s->budget)
		return false;
	part = realloc(s->part, room);
	if (part == NULL)
		return false;
	*s->budget -= room - s->part_room;
	s->part = part;
	s->part_room = room;
	return true;
}

/* Keep what a line has here; what is beyond the longest line is dropped. */
static bool keep(struct http_stream *s, const char *bytes, size_t len)
{
	size_t kept = min_size(len, HTTP_LINE_MAX - s->part_len);

	if (!make_room(s, s->part_len + kept))
		return false;
	if (kept > 0)
		memcpy(s->part + s->part_len, bytes, kept);
	s->part_len += kept;
	return true;
}

/* The next line without its end. Where it is not yet whole, *line is what there is. */
static enum line_result take_line(struct http_stream *s, struct http_span *in,
                                  struct http_span *line)
{
	const char *lf = in->len > 0 ? memchr(in->at, '\n', in->len) : NULL;
	size_t len = lf != NULL ? (size_t)(lf - in->at) : in->len;

	if (s->part_taken)
		free_part(s);
	*line = (struct http_span){in->at, min_size(len, HTTP_LINE_MAX)};
	if (lf == NULL || s->part != NULL) {
		if (!keep(s, in->at, len))
			return LINE_NO_ROOM;
		*line = (struct http_span){s->part, s->part_len};
	}
	len += lf != NULL;
	in->at += len;
	in->len -= len;
	if (lf == NULL)
		return LINE_PART;
	s->part_taken = s->part != NULL;
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	return LINE_WHOLE;
}

/* ---- What each state does with its bytes. HTTP_MORE: nothing is found yet. ---- */

/* RFC 9112 section 2.2: an empty line before a request is passed over. */
static bool is_empty_line(const struct http_stream *s, struct http_span line)
{
	return s->kind == HTTP_REQUEST && (line.len == 0 || (line.len == 1 && line.at[0] == '\r'));
}

static enum http_what at_start(struct http_stream *s, struct http_span *in, struct http_token *t)
{
	struct http_span line;

	switch (take_line(s, in, &line)) {
	case LINE_NO_ROOM: return HTTP_NO_ROOM;
	case LINE_PART:
		return is_empty_line(s, line) || http_may_start(s->kind, line.at, line.len)
		               ? HTTP_MORE
		               : HTTP_BAD;
	case LINE_WHOLE: break;
	}
	if (is_empty_line(s, line))
		return HTTP_MORE;
	if (!http_start_line(&t->start, s->kind, line))
		return HTTP_BAD;
	s->fields = (struct http_fields){0};
	s->body_bytes = s->body_missed = 0;
	s->state = HTTP_IN_FIELDS;
	return HTTP_START;
}

static enum http_what in_fields(struct http_stream *s, struct http_span *in, struct http_token *t)
{
	bool had_host = s->fields.host.at != NULL;
	struct http_span line;

	switch (take_line(s, in, &line)) {
	case LINE_NO_ROOM: return HTTP_NO_ROOM;
	case LINE_PART: return HTTP_MORE;
	case LINE_WHOLE: break;
	}
	if (line.len == 0) {
		s->state = HTTP_AT_BODY;
		return HTTP_HEAD;
	}
	http_field_line(&s->fields, line);
	if (had_host || s->fields.host.at == NULL)
		return HTTP_MORE;
	t->host = s->fields.host;
	return HTTP_HOST;
}

static enum http_what message_ends(struct http_stream *s)
{
	s->state = HTTP_AT_START;
	return HTTP_END;
}

/* Count the next n bytes of a body or a chunk. */
static void pass(struct http_stream *s, uint64_t n)
{
	s->body_bytes += n;
	if (s->state != HTTP_UNTIL_CLOSE)
		s->left -= n;
}

static void pass_input(struct http_stream *s, struct http_span *in)
{
	size_t n = s->state == HTTP_UNTIL_CLOSE || s->left > in->len ? in->len : (size_t)s->left;

	if (n == 0)
		return; /* in->at may be NULL */
	pass(s, n);
	in->at += n;
	in->len -= n;
}

static enum http_what in_body(struct http_stream *s, struct http_span *in)
{
	pass_input(s, in);
	return s->left == 0 ? message_ends(s) : HTTP_MORE;
}

static enum http_what in_chunk(struct http_stream *s, struct http_span *in)
{
	pass_input(s, in);
	if (s->left == 0)
		s->state = HTTP_BEHIND_CHUNK;
	return HTTP_MORE;
}

/* The lines around chunks, and those behind the last one. */
static enum http_what between_chunks(struct http_stream *s, struct http_span *in)
{
	struct http_span line;

	switch (take_line(s, in, &line)) {
	case LINE_NO_ROOM: return HTTP_NO_ROOM;
	case LINE_PART: return HTTP_MORE;
	case LINE_WHOLE: break;
	}
	if (s->state == HTTP_IN_TRAILER)
		return line.len == 0 ? message_ends(s) : HTTP_MORE;
	if (s->state == HTTP_BEHIND_CHUNK) {
		s->state = HTTP_AT_CHUNK_SIZE;
		return line.len == 0 ? HTTP_MORE : HTTP_BAD;
	}
	if (!http_chunk_line(&s->left, line))
		return HTTP_BAD;
	s->state = s->left > 0 ? HTTP_IN_CHUNK : HTTP_IN_TRAILER;
	return HTTP_MORE;
}

static enum http_what step(struct http_stream *s, struct http_span *in, struct http_token *t)
{
	switch (s->state) {
	case HTTP_AT_START: return at_start(s, in, t);
	case HTTP_IN_FIELDS: return in_fields(s, in, t);
	case HTTP_IN_BODY: return in_body(s, in);
	case HTTP_IN_CHUNK: return in_chunk(s, in);
	case HTTP_AT_CHUNK_SIZE:
	case HTTP_BEHIND_CHUNK:
	case HTTP_IN_TRAILER: return between_chunks(s, in);
	case HTTP_UNTIL_CLOSE: pass_input(s, in); return HTTP_MORE;
	case HTTP_LOST: in->len = 0; return HTTP_MORE;
	case HTTP_AT_BODY: break;
	}
	assert(!"http_stream_body() was not called");
	return HTTP_BAD;
}

/* ---- Calls ---- */

void http_stream_init(struct http_stream *s, enum http_kind kind, size_t *budget)
{
	*s = (struct http_stream){.kind = kind, .budget = budget};
}

void http_stream_fini(struct http_stream *s)
{
	free_part(s);
}

struct http_token http_stream_next(struct http_stream *s, struct http_span *in)
{
	struct http_token t = {.what = HTTP_MORE};

	if (in->len > 0 || (s->state == HTTP_IN_BODY && s->left == 0))
		do
			t.what = step(s, in, &t);
		while (t.what == HTTP_MORE && in->len > 0);
	if (t.what == HTTP_BAD || t.what == HTTP_NO_ROOM)
		http_stream_lose(s);
	return t;
}

void http_stream_body(struct http_stream *s, enum http_framing framing, uint64_t bytes)
{
	assert(s->state == HTTP_AT_BODY);
	s->left = bytes;
	switch (framing) {
	case HTTP_LENGTH: s->state = HTTP_IN_BODY; break;
	case HTTP_CHUNKED: s->state = HTTP_AT_CHUNK_SIZE; break;
	case HTTP_NO_LENGTH: s->state = HTTP_UNTIL_CLOSE; break;
	case HTTP_OTHER_CODING:
	case HTTP_BAD_LENGTH: http_stream_lose(s); break;
	}
}

uint64_t http_stream_gap(struct http_stream *s, uint64_t n)
{
	bool in_chunk = s->state == HTTP_IN_CHUNK && n <= s->left;
	uint64_t inside = n;

	if (s->state == HTTP_IN_BODY && n > s->left)
		inside = s->left;
	if (!in_chunk && s->state != HTTP_IN_BODY && s->state != HTTP_UNTIL_CLOSE) {
		http_stream_lose(s);
		return 0;
	}
	s->body_missed += inside;
	pass(s, inside);
	if (in_chunk && s->left == 0)
		s->state = HTTP_BEHIND_CHUNK;
	return n - inside;
}

void http_stream_lose(struct http_stream *s)
{
	free_part(s);
	s->state = HTTP_LOST;
}

void http_stream_resume(struct http_stream *s)
{
	assert(s->state == HTTP_LOST);
	s->state = HTTP_AT_START;
}

bool http_stream_is_idle(const struct http_stream *s)
{
	return s->state == HTTP_AT_START && (s->part == NULL || s->part_taken);
}
