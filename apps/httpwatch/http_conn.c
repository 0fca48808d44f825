#include "apps/httpwatch/http_conn.h"

#include <stdlib.h>
#include <string.h>

#define BODY_MAX     (1u << 30) /* a longer one is no length to skip: positions have 32 bits */
#define RESEND_BYTES (1u << 20) /* how far behind a head a sender may go back */

/* ---- Requests that wait ---- */

/* Keep a copy of s at *text, at most max bytes of it. */
static struct http_span keep(struct http_request *r, char **text, struct http_span s, size_t max)
{
	struct http_span copy = {s.at != NULL ? *text : NULL, s.len < max ? s.len : max};

	if (copy.len > 0)
		memcpy(*text, s.at, copy.len);
	*text += copy.len;
	r->truncated = r->truncated || copy.len < s.len;
	return copy;
}

/* Too many to follow: nothing after this could be paired. */
static void give_up(struct http_conn *c)
{
	c->over = c->lost = true;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void on_request(struct http_conn *c, const struct http_head *head, uint64_t time_ns)
{
	size_t bytes = sizeof(struct http_request) + head->method.len +
	               min_size(head->target.len, HTTP_TARGET_MAX) +
	               min_size(head->host.len, HTTP_HOST_MAX);
	struct http_request *r = NULL;
	char *text;

	if (c->waiting_count < HTTP_WAITING_MAX && bytes <= *c->budget)
		r = calloc(1, bytes);
	if (r == NULL) {
		give_up(c);
		return;
	}
	r->time_ns = time_ns;
	r->bytes = bytes;
	text = r->text;
	r->method = keep(r, &text, head->method, HTTP_METHOD_MAX);
	r->target = keep(r, &text, head->target, HTTP_TARGET_MAX);
	r->host = keep(r, &text, head->host, HTTP_HOST_MAX);
	*c->budget -= bytes;
	c->waiting_count++;
	STAILQ_INSERT_TAIL(&c->waiting, r, next);
}

static void free_oldest(struct http_conn *c)
{
	struct http_request *r = STAILQ_FIRST(&c->waiting);

	STAILQ_REMOVE_HEAD(&c->waiting, next);
	*c->budget += r->bytes;
	c->waiting_count--;
	free(r);
}

/* ---- Responses ---- */

static bool has_method(const struct http_request *r, const char *method)
{
	return r != NULL && r->method.len == strlen(method) &&
	       memcmp(r->method.at, method, r->method.len) == 0;
}

/* A response that has no body whatever its fields say: RFC 9112 section 6.3. */
static bool is_bodiless(const struct http_request *r, unsigned status)
{
	return status < 200 || status == 204 || status == 304 || has_method(r, "HEAD");
}

static void on_response(struct http_conn *c, struct http_head *head, uint64_t time_ns,
                        http_emit_t emit, void *arg)
{
	const struct http_request *r = STAILQ_FIRST(&c->waiting);
	unsigned status = head->status;

	if (is_bodiless(r, status)) {
		head->framing = HTTP_LENGTH;
		head->body_bytes = 0;
	} else if (head->framing == HTTP_NO_LENGTH) {
		head->framing = HTTP_UNKNOWN_LEN; /* to the end of the connection */
	}
	if (status < 200 && status != 101)
		return; /* the response proper is still to come */
	c->over = status == 101 || (status < 300 && has_method(r, "CONNECT"));
	emit(arg, r, status, time_ns);
	if (r != NULL)
		free_oldest(c);
}

/* ---- Bytes ---- */

/*
 * The next head of this direction begins behind this one, which lies at offset in the piece, and
 * its body. Returns where that is, from the begin of the piece.
 */
static size_t move_on(struct http_conn *c, int from, uint32_t pos, size_t len, size_t offset,
                      const struct http_head *head, bool whole)
{
	bool known = whole && head->framing != HTTP_UNKNOWN_LEN && head->body_bytes <= BODY_MAX;
	uint32_t body = known ? (uint32_t)head->body_bytes : 0;
	size_t next = known ? offset + head->len + body : len;

	c->dir[from].begun = true;
	c->dir[from].head_at = pos + (uint32_t)next;
	c->dir[from].body_len = body;
	return next;
}

void http_conn_init(struct http_conn *c, size_t *budget)
{
	*c = (struct http_conn){.budget = budget};
	STAILQ_INIT(&c->waiting);
}

void http_conn_fini(struct http_conn *c, uint64_t time_ns, http_emit_t emit, void *arg)
{
	while (!STAILQ_EMPTY(&c->waiting)) {
		if (emit != NULL)
			emit(arg, STAILQ_FIRST(&c->waiting), 0, time_ns);
		free_oldest(c);
	}
}

/*
 * Positions wrap, so only what lies a body and a resent window behind is held to be old; all else
 * is ahead.
 */
size_t http_conn_head_at(const struct http_conn *c, int from, uint32_t pos, size_t len)
{
	uint32_t behind = c->dir[from].head_at - pos;

	if (!c->dir[from].begun || behind > c->dir[from].body_len + RESEND_BYTES)
		return 0;
	return behind < len ? behind : len;
}

void http_conn_skip(struct http_conn *c, int from, uint32_t pos, size_t len)
{
	if (c->dir[from].begun)
		return;
	c->dir[from].begun = true;
	c->dir[from].head_at = pos + (uint32_t)len;
}

void http_conn_feed(struct http_conn *c, int from, uint32_t pos, const void *bytes, size_t len,
                    uint64_t time_ns, http_emit_t emit, void *arg)
{
	size_t offset = http_conn_head_at(c, from, pos, len);
	enum http_result result;
	struct http_head head;

	while (offset < len && !c->over) {
		result = http_head_parse(&head,
		                         from == HTTP_FROM_CLIENT ? HTTP_REQUEST : HTTP_RESPONSE,
		                         (const char *)bytes + offset, len - offset);
		if (result != HTTP_CUT && result != HTTP_WHOLE)
			return;
		if (from == HTTP_FROM_CLIENT)
			on_request(c, &head, time_ns);
		else
			on_response(c, &head, time_ns, emit, arg);
		offset = move_on(c, from, pos, len, offset, &head, result == HTTP_WHOLE);
	}
}
