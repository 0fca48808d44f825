#include "apps/httpwatch/transaction.h"

#include "apps/common/json_line.h"

static void add_string(struct line *l, const char *name, const struct http_span *s)
{
	if (s == NULL || s->at == NULL) {
		line_add(l, ",\"%s\":null", name);
		return;
	}
	line_add(l, ",\"%s\":\"", name);
	for (size_t i = 0; i < s->len; i++) {
		unsigned char c = (unsigned char)s->at[i];

		if (c < ' ' || c >= 0x7f)
			line_add(l, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			line_add(l, "\\%c", c);
		else
			l->text[l->len++] = (char)c;
	}
	line_add(l, "\"");
}

static void add_number(struct line *l, const char *name, bool known, uint64_t n)
{
	if (known)
		line_add(l, ",\"%s\":%llu", name, (unsigned long long)n);
	else
		line_add(l, ",\"%s\":null", name);
}

static void add_notes(struct line *l, const struct http_transaction *t)
{
	uint64_t missed = t->body_missed + (t->request != NULL ? t->request->body_missed : 0);

	if (t->request != NULL && t->request->truncated)
		line_add(l, ",\"truncated\":true");
	if (missed > 0)
		line_add(l, ",\"missed\":%llu", (unsigned long long)missed);
	if (t->incomplete)
		line_add(l, ",\"incomplete\":true");
	if (t->resumed)
		line_add(l, ",\"resumed\":true");
	if (t->given_up != NULL)
		line_add(l, ",\"given_up\":\"%s\"", t->given_up);
}

size_t transaction_write(char line[static TRANSACTION_LINE_LEN], const struct ends *ends,
                         const struct http_transaction *t)
{
	const struct http_request *r = t->request;
	uint64_t begin_ns = r != NULL ? r->time_ns : t->time_ns;
	struct line l = {.text = line, .room = TRANSACTION_LINE_LEN};

	line_add(&l, "{");
	line_add_time(&l, "time", begin_ns);
	line_add(&l, ",\"client\":\"%s\",\"server\":\"%s\"", ends->client, ends->server);
	add_string(&l, "method", r != NULL ? &r->method : NULL);
	add_string(&l, "host", r != NULL ? &r->host : NULL);
	add_string(&l, "path", r != NULL ? &r->target : NULL);
	add_number(&l, "status", t->status != 0, t->status);
	add_number(&l, "bytes", t->status != 0 && !t->body_unknown, t->body_bytes);
	add_number(&l, "request_bytes", r != NULL && !r->body_unknown,
	           r != NULL ? r->body_bytes : 0);
	line_add(&l, ",");
	if (r != NULL && t->status != 0)
		line_add_ms(&l, begin_ns, t->time_ns);
	else
		line_add(&l, "\"ms\":null");
	add_notes(&l, t);
	line_add(&l, "}\n");
	return l.len;
}
