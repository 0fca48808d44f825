#include "apps/common/http_conn.h"

#include <stdlib.h>
#include <string.h>

#define TURNS_FAILED_MAX 8

static const char not_http[] = "not HTTP/1", lost_track[] = "lost track",
		  too_many[] = "too many requests", no_memory[] = "no memory";

/* ---- Requests that wait ---- */

/* Keep a copy of s behind the text that there is, at most max bytes of it. */
static struct http_span keep(struct http_request *r, struct http_span s, size_t max)
{
	char *text = r->text + r->method.len + r->target.len;
	struct http_span copy = {text, s.len < max ? s.len : max};

	if (copy.len > 0)
		memcpy(text, s.at, copy.len);
	r->truncated = r->truncated || copy.len < s.len;
	return copy;
}

/* NULL when that would be too many, or too much. */
static struct http_request *add_request(struct http_conn *c, const struct http_start *start)
{
	size_t target = start->target.len < HTTP_TARGET_MAX ? start->target.len : HTTP_TARGET_MAX;
	size_t bytes = sizeof(struct http_request) + start->method.len + target + HTTP_HOST_MAX;
	struct http_request *r = NULL;

	if (c->waiting_count < HTTP_WAITING_MAX && bytes <= *c->budget)
		r = calloc(1, bytes);
	if (r == NULL)
		return NULL;
	r->time_ns = c->now_ns;
	r->bytes = bytes;
	r->method = keep(r, start->method, HTTP_METHOD_MAX);
	r->target = keep(r, start->target, HTTP_TARGET_MAX);
	*c->budget -= bytes;
	c->waiting_count++;
	TAILQ_INSERT_TAIL(&c->waiting, r, next);
	return r;
}

static void free_oldest(struct http_conn *c)
{
	struct http_request *r = TAILQ_FIRST(&c->waiting);

	if (c->reading == r)
		c->reading = NULL;
	TAILQ_REMOVE(&c->waiting, r, next);
	*c->budget += r->bytes;
	c->waiting_count--;
	free(r);
}

/* What the stream has counted of the body of the request that is read. */
static void note_request_body(struct http_conn *c)
{
	if (c->reading == NULL)
		return;
	c->reading->body_bytes = c->stream[HTTP_FROM_CLIENT].body_bytes;
	c->reading->body_missed = c->stream[HTTP_FROM_CLIENT].body_missed;
}

/* ---- What is told ---- */

/* The requests before `end` get no response. */
static void drop_waiting(struct http_conn *c, const struct http_request *end)
{
	struct http_request *r;

	note_request_body(c);
	while ((r = TAILQ_FIRST(&c->waiting)) != end) {
		c->emit(c->arg, &(struct http_transaction){.request = r,
		                                           .time_ns = c->now_ns,
		                                           .resumed = r->resumed,
		                                           .given_up = c->given_up});
		free_oldest(c);
	}
}

/* The response that has begun ends here, and with it the transaction. */
static void finish_response(struct http_conn *c, bool incomplete, bool body_unknown)
{
	const struct http_stream *s = &c->stream[HTTP_FROM_SERVER];
	const struct http_request *r = TAILQ_FIRST(&c->waiting);
	struct http_transaction t = {
		.request = r,
		.time_ns = c->response.time_ns,
		.status = c->response.status,
		.body_bytes = s->body_bytes,
		.body_missed = s->body_missed,
		.body_unknown = body_unknown,
		.incomplete = incomplete,
		.resumed = c->response.resumed || (r != NULL && r->resumed),
		.given_up = c->given_up,
	};

	note_request_body(c);
	c->response.status = 0;
	c->emit(c->arg, &t);
	if (r != NULL)
		free_oldest(c);
}

static void give_up(struct http_conn *c, const char *why)
{
	c->over = true;
	c->given_up = why;
	if (c->response.status != 0)
		finish_response(c, true, false);
	else if (TAILQ_EMPTY(&c->waiting))
		c->emit(c->arg, &(struct http_transaction){.time_ns = c->now_ns, .given_up = why});
	drop_waiting(c, NULL);
}

/* ---- Lost, and found again by turns ---- */

/* It is not known any more where messages of that direction begin. */
static void on_lost(struct http_conn *c, int from)
{
	http_stream_lose(&c->stream[from]);
	c->resuming[from] = false;
	if (from == HTTP_FROM_SERVER && c->response.status != 0) {
		finish_response(c, true, false);
	} else if (from == HTTP_FROM_CLIENT && c->reading != NULL) {
		note_request_body(c);
		c->reading->body_unknown = true;
		c->reading = NULL;
	}
	if (c->pipelined)
		give_up(c, lost_track);
}

/* What came at a turn was no message. */
static void on_resumed_in_vain(struct http_conn *c, int from)
{
	on_lost(c, from);
	if (!c->over && ++c->turns_failed == TURNS_FAILED_MAX)
		give_up(c, lost_track);
}

/* Bytes of a lost direction follow bytes of the other one: may they begin a message? */
static bool may_resume(const struct http_conn *c, int from)
{
	const struct http_stream *server = &c->stream[HTTP_FROM_SERVER];

	return from == HTTP_FROM_SERVER || server->state == HTTP_LOST ||
	       (http_stream_is_idle(server) && TAILQ_EMPTY(&c->waiting));
}

static void take_turn(struct http_conn *c, int from, bool gap)
{
	struct http_stream *s = &c->stream[from];
	bool begins = c->turn != from;

	c->turn = from;
	if (!begins || gap)
		return;
	if (from == HTTP_FROM_CLIENT)
		c->at_turn = http_stream_is_idle(s) || s->state == HTTP_LOST;
	if (s->state == HTTP_LOST && may_resume(c, from)) {
		http_stream_resume(s);
		c->resuming[from] = true;
	}
}

/* ---- What a client sends ---- */

/* A client that goes on after a request that is only believed to be one: it was none. */
static bool take_back(struct http_conn *c)
{
	const struct http_request *r = TAILQ_FIRST(&c->waiting);

	if (r == NULL || !r->resumed || c->stream[HTTP_FROM_SERVER].state != HTTP_LOST)
		return false;
	free_oldest(c);
	on_resumed_in_vain(c, HTTP_FROM_CLIENT);
	return true;
}

static void on_request(struct http_conn *c, const struct http_start *start)
{
	bool server_lost = c->stream[HTTP_FROM_SERVER].state == HTTP_LOST;
	bool at_turn = c->at_turn;

	c->at_turn = false;
	if (!TAILQ_EMPTY(&c->waiting) && !at_turn && take_back(c))
		return;
	if (!TAILQ_EMPTY(&c->waiting) && !(server_lost && at_turn))
		c->pipelined = true;
	if (c->pipelined && server_lost) {
		give_up(c, lost_track);
		return;
	}
	c->reading = add_request(c, start);
	if (c->reading == NULL) {
		give_up(c, too_many);
		return;
	}
	c->reading->resumed = c->resuming[HTTP_FROM_CLIENT];
	c->resuming[HTTP_FROM_CLIENT] = false;
}

static void on_request_head(struct http_conn *c)
{
	struct http_stream *s = &c->stream[HTTP_FROM_CLIENT];

	if (s->fields.framing == HTTP_NO_LENGTH)
		http_stream_body(s, HTTP_LENGTH, 0);
	else if (s->fields.framing == HTTP_OTHER_CODING)
		http_stream_body(s, HTTP_BAD_LENGTH, 0); /* the server has to refuse it */
	else
		http_stream_body(s, s->fields.framing, s->fields.body_bytes);
	if (s->state == HTTP_LOST)
		on_lost(c, HTTP_FROM_CLIENT);
}

static void on_client(struct http_conn *c, const struct http_token *t)
{
	if (t->what == HTTP_START) {
		on_request(c, &t->start);
	} else if (t->what == HTTP_HOST && c->reading != NULL) {
		c->reading->host = keep(c->reading, t->host, HTTP_HOST_MAX);
	} else if (t->what == HTTP_HEAD) {
		on_request_head(c);
	} else if (t->what == HTTP_END) {
		note_request_body(c);
		c->reading = NULL;
	}
}

/* ---- What a server sends ---- */

/*
 * Of a server that was lost this is the answer to the latest request; to which one, is not known
 * when the client is lost as well and may have sent others.
 */
static void pair_resumed(struct http_conn *c)
{
	struct http_request *latest = TAILQ_LAST(&c->waiting, http_requests);
	bool known = c->stream[HTTP_FROM_CLIENT].state != HTTP_LOST;

	drop_waiting(c, known ? latest : NULL);
	c->resuming[HTTP_FROM_SERVER] = false;
}

static void on_response(struct http_conn *c, unsigned status)
{
	c->response = (struct http_response){
		.status = status, .time_ns = c->now_ns, .resumed = c->resuming[HTTP_FROM_SERVER]};
	if (c->resuming[HTTP_FROM_SERVER])
		pair_resumed(c);
	if (!TAILQ_EMPTY(&c->waiting))
		c->turns_failed = 0;
}

static bool has_method(const struct http_request *r, const char *method)
{
	return r != NULL && r->method.len == strlen(method) &&
	       memcmp(r->method.at, method, r->method.len) == 0;
}

/* RFC 9112 section 6.3. */
static void on_response_head(struct http_conn *c)
{
	const struct http_request *r = TAILQ_FIRST(&c->waiting);
	struct http_stream *s = &c->stream[HTTP_FROM_SERVER];
	enum http_framing framing = s->fields.framing;
	unsigned status = c->response.status;

	if (status == 101 || (status < 300 && status >= 200 && has_method(r, "CONNECT"))) {
		finish_response(c, false, false);
		c->over = true; /* what follows is another protocol */
	} else if (status < 200 || status == 204 || status == 304 || has_method(r, "HEAD")) {
		http_stream_body(s, HTTP_LENGTH, 0);
	} else if (framing == HTTP_LENGTH && s->fields.body_bytes == 0) {
		http_stream_body(s, HTTP_LENGTH, 0);
	} else if (r == NULL || framing == HTTP_BAD_LENGTH) {
		http_stream_body(s, HTTP_BAD_LENGTH, 0); /* it may have been a HEAD */
		finish_response(c, false, true);
		on_lost(c, HTTP_FROM_SERVER);
	} else if (framing == HTTP_OTHER_CODING) {
		http_stream_body(s, HTTP_NO_LENGTH, 0);
	} else {
		http_stream_body(s, framing, s->fields.body_bytes);
	}
}

/* The response proper is still to come. */
static void on_interim(struct http_conn *c)
{
	c->resuming[HTTP_FROM_SERVER] = c->response.resumed;
	c->response.status = 0;
}

static void on_server(struct http_conn *c, const struct http_token *t)
{
	if (t->what == HTTP_START)
		on_response(c, t->start.status);
	else if (t->what == HTTP_HEAD)
		on_response_head(c);
	else if (t->what == HTTP_END && c->response.status < 200)
		on_interim(c);
	else if (t->what == HTTP_END)
		finish_response(c, false, false);
}

/* ---- Bytes ---- */

static void read_all(struct http_conn *c, int from, struct http_span in)
{
	struct http_stream *s = &c->stream[from];
	struct http_token t;

	while (!c->over && (t = http_stream_next(s, &in)).what != HTTP_MORE) {
		if (t.what == HTTP_BAD && c->resuming[from])
			on_resumed_in_vain(c, from);
		else if (t.what == HTTP_BAD)
			give_up(c, not_http);
		else if (t.what == HTTP_NO_ROOM)
			give_up(c, no_memory);
		else if (from == HTTP_FROM_CLIENT)
			on_client(c, &t);
		else
			on_server(c, &t);
	}
}

void http_conn_init(struct http_conn *c, bool joined, size_t *budget, http_emit_t emit, void *arg)
{
	*c = (struct http_conn){
		.turn = HTTP_FROM_SERVER, .budget = budget, .emit = emit, .arg = arg};
	http_stream_init(&c->stream[HTTP_FROM_CLIENT], HTTP_REQUEST, budget);
	http_stream_init(&c->stream[HTTP_FROM_SERVER], HTTP_RESPONSE, budget);
	TAILQ_INIT(&c->waiting);
	if (joined) {
		http_stream_lose(&c->stream[HTTP_FROM_CLIENT]);
		http_stream_lose(&c->stream[HTTP_FROM_SERVER]);
	}
}

/* What lasts to the end of the connection is complete now; of other bodies something is missing. */
void http_conn_fini(struct http_conn *c, uint64_t time_ns)
{
	c->now_ns = time_ns;
	if (c->response.status != 0)
		finish_response(c, c->stream[HTTP_FROM_SERVER].state != HTTP_UNTIL_CLOSE, false);
	drop_waiting(c, NULL);
	http_stream_fini(&c->stream[HTTP_FROM_CLIENT]);
	http_stream_fini(&c->stream[HTTP_FROM_SERVER]);
}

void http_conn_feed(struct http_conn *c, int from, const void *bytes, size_t len, uint64_t time_ns)
{
	if (c->over || len == 0)
		return;
	c->now_ns = time_ns;
	take_turn(c, from, false);
	read_all(c, from, (struct http_span){bytes, len});
}

void http_conn_gap(struct http_conn *c, int from, uint64_t n, uint64_t time_ns)
{
	struct http_stream *s = &c->stream[from];

	c->now_ns = time_ns;
	take_turn(c, from, true);
	while (n > 0 && !c->over) {
		n = http_stream_gap(s, n);
		read_all(c, from, (struct http_span){0});
		if (s->state == HTTP_LOST)
			on_lost(c, from);
	}
}
