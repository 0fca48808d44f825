#include "apps/rewrite/http_edit.h"

#include <ctype.h>
#include <string.h>

#define METHOD_MAX 32 /* bytes */
#define STATUS_LEN 4  /* with the blank before it */
#define SWITCHING  101
#define SPOILT     'X'
#define ALL_NAMES  7 /* of the fields: three in each table */

static const char version[] = "HTTP/1.", connect_method[] = "CONNECT", identity[] = "identity";

/* What a field is about: the phase of its value. */
struct field {
	const char *name;
	enum http_phase value;
	bool spoilt; /* it gets another name, by its last letter */
};

static const struct field request_fields[] = {
	{"accept-encoding", HTTP_BLANK, false},
	{"connection", HTTP_BLANK, false},
	{"range", HTTP_BLANK, false},
	{NULL, HTTP_VALUE, false},
};

/* A name is known when its last byte comes; that it is not a longer one, with the next one only. */
static const struct field response_fields[] = {
	{"content-length", HTTP_VALUE, true},
	{"content-encoding", HTTP_CODING, false},
	{"transfer-encoding", HTTP_CODING, false},
	{NULL, HTTP_VALUE, false},
};

/* One byte on its way. */
struct cursor {
	struct http_state *s;
	const struct http_plan *plan;
	const struct field *fields;
	struct edits *e;
	size_t at; /* of the byte */
	bool ok;   /* it could be edited */
};

static void overwrite(struct cursor *c, char byte)
{
	c->ok = c->ok && edits_replace(c->e, c->at, 1, &byte, 1);
}

static void go(struct http_state *s, enum http_phase phase)
{
	s->phase = (uint8_t)phase;
	s->at = 0;
}

void http_begin_request(struct http_state *s)
{
	*s = (struct http_state){.phase = HTTP_METHOD, .names = 1};
}

void http_begin_response(struct http_state *s)
{
	*s = (struct http_state){.phase = HTTP_VERSION};
}

static bool is_request(const struct cursor *c)
{
	return c->fields == request_fields;
}

/* ---- Start lines ---- */

/* A character of a method, RFC 9110 section 5.6.2. */
static bool is_token_char(char byte)
{
	return isalnum((unsigned char)byte) ||
	       (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static void on_method(struct http_state *s, char byte)
{
	if (byte == ' ' && s->at > 0) {
		bool is_connect = s->names != 0 && s->at == sizeof(connect_method) - 1;

		go(s, is_connect ? HTTP_PASS : HTTP_TARGET);
	} else if (is_token_char(byte) && s->at < METHOD_MAX) {
		if (s->at >= sizeof(connect_method) - 1 || byte != connect_method[s->at])
			s->names = 0;
		s->at++;
	} else {
		go(s, HTTP_PASS);
	}
}

static void on_target(struct http_state *s, char byte)
{
	if (byte == ' ' && s->at > 0)
		go(s, HTTP_VERSION);
	else if ((unsigned char)byte <= ' ' || byte == 0x7f)
		go(s, HTTP_PASS);
	else
		s->at = 1;
}

static void on_version(struct http_state *s, char byte)
{
	if (byte != version[s->at])
		go(s, HTTP_PASS);
	else if (++s->at == sizeof(version) - 1)
		go(s, HTTP_MINOR);
}

static void on_minor(struct cursor *c, char byte)
{
	if (!isdigit((unsigned char)byte)) {
		go(c->s, HTTP_PASS);
		return;
	}
	if (is_request(c) && byte != '0')
		overwrite(c, '0');
	go(c->s, is_request(c) ? HTTP_LINE : HTTP_STATUS);
	c->s->status = 0;
}

static void on_status(struct http_state *s, char byte)
{
	bool good = s->at == 0 ? byte == ' ' : isdigit((unsigned char)byte) != 0;

	if (!good) {
		go(s, HTTP_PASS);
		return;
	}
	if (s->at > 0)
		s->status = (uint16_t)(s->status * 10 + (byte - '0'));
	if (++s->at == STATUS_LEN)
		go(s, HTTP_LINE);
}

/* ---- Fields ---- */

static void on_head_end(struct cursor *c)
{
	struct http_state *s = c->s;
	bool coded = s->coded;

	s->coded = 0;
	if (is_request(c))
		go(s, HTTP_DONE);
	else if (s->status == SWITCHING || (s->status >= 200 && coded))
		go(s, HTTP_PASS);
	else if (s->status < 200)
		go(s, HTTP_VERSION);
	else
		go(s, HTTP_BODY);
}

/* The empty line comes: what is added goes in front of it, if there is room. */
static void add_line(struct cursor *c)
{
	if (is_request(c) && c->plan->add_len > 0 && edits_have_room(c->e, 0, c->plan->add_len))
		c->ok = c->ok && edits_replace(c->e, c->at, 0, c->plan->add, c->plan->add_len);
}

static void on_name(struct cursor *c, char byte)
{
	struct http_state *s = c->s;
	const struct field *field = NULL;

	for (unsigned i = 0; c->fields[i].name != NULL; i++) {
		const char *name = c->fields[i].name;

		if (!(s->names & 1u << i))
			continue;
		if (name[s->at] == '\0' && byte == ':')
			field = &c->fields[i];
		if (name[s->at] == '\0' || name[s->at] != tolower((unsigned char)byte))
			s->names &= (uint8_t) ~(1u << i);
		else if (c->fields[i].spoilt && name[s->at + 1] == '\0')
			overwrite(c, SPOILT);
	}
	if (byte == '\n')
		go(s, HTTP_FIELD);
	else if (byte == ':')
		go(s, field != NULL ? field->value : HTTP_VALUE);
	else if (s->names != 0)
		s->at++;
}

/* A line that begins with a blank goes on with the value before it. */
static void on_field(struct cursor *c, char byte)
{
	struct http_state *s = c->s;

	if (byte == '\r' || byte == '\n') {
		add_line(c);
		go(s, HTTP_LAST);
		if (byte == '\n')
			on_head_end(c);
	} else if (byte == ' ' || byte == '\t') {
		go(s, s->value);
	} else {
		go(s, HTTP_NAME);
		s->value = HTTP_VALUE;
		s->names = ALL_NAMES;
		on_name(c, byte);
	}
}

static void on_last(struct cursor *c, char byte)
{
	if (byte == '\n')
		on_head_end(c);
	else
		go(c->s, HTTP_PASS);
}

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

static void on_value(struct cursor *c, char byte)
{
	struct http_state *s = c->s;

	s->value = s->phase;
	if (s->phase == HTTP_BLANK && byte != '\n' && !is_space(byte))
		overwrite(c, ' ');
	if (s->phase == HTTP_CODING && byte != '\n' && !is_space(byte)) {
		/* "identity", and nothing else, is no coding. */
		if (s->at >= sizeof(identity) - 1 ||
		    tolower((unsigned char)byte) != identity[s->at])
			s->coded = 1;
		else
			s->at++;
	}
	if (byte == '\n')
		go(s, HTTP_FIELD);
}

/* ---- Bytes ---- */

static void on_byte(struct cursor *c, char byte)
{
	switch ((enum http_phase)c->s->phase) {
	case HTTP_METHOD: on_method(c->s, byte); break;
	case HTTP_TARGET: on_target(c->s, byte); break;
	case HTTP_VERSION: on_version(c->s, byte); break;
	case HTTP_MINOR: on_minor(c, byte); break;
	case HTTP_STATUS: on_status(c->s, byte); break;
	case HTTP_LINE:
		if (byte == '\n')
			go(c->s, HTTP_FIELD);
		break;
	case HTTP_FIELD: on_field(c, byte); break;
	case HTTP_NAME: on_name(c, byte); break;
	case HTTP_VALUE:
	case HTTP_BLANK:
	case HTTP_CODING: on_value(c, byte); break;
	case HTTP_LAST: on_last(c, byte); break;
	case HTTP_NOTHING:
	case HTTP_BODY:
	case HTTP_DONE:
	case HTTP_PASS: break;
	}
}

/* Returns where the head ends, or the payload. */
static size_t edit_head(struct cursor *c, size_t from)
{
	for (c->at = from; c->ok && c->at < c->e->len && c->s->phase < HTTP_BODY; c->at++)
		on_byte(c, c->e->payload[c->at]);
	return c->at;
}

bool http_edit_request(struct http_state *s, const struct http_plan *plan, struct edits *e,
                       size_t from)
{
	struct cursor c = {.s = s, .plan = plan, .fields = request_fields, .e = e, .ok = true};

	edit_head(&c, from);
	return c.ok;
}

bool http_edit_response(struct http_state *s, const struct http_plan *plan, struct edits *e,
                        size_t from, bool last, struct word_count *count)
{
	struct cursor c = {.s = s, .plan = plan, .fields = response_fields, .e = e, .ok = true};
	size_t body = edit_head(&c, from);

	if (c.ok && s->phase == HTTP_BODY)
		c.ok = word_edit(plan->word, e, body, last, &s->held, count);
	return c.ok;
}
