#include "apps/rewrite/edits.h"

#include <string.h>

/* What the library notes of an edit takes about as many bytes. */
#define GAP_MIN 16

void edits_begin(struct edits *e, const char *payload, size_t len, size_t room, size_t most)
{
	e->payload = payload;
	e->len = e->now = len;
	e->room = room;
	e->most = most;
	e->gap = len / (EDITS_MAX / 2) > GAP_MIN ? len / (EDITS_MAX / 2) : GAP_MIN;
	e->count = 0;
	e->text_len = 0;
}

static void add_text(struct edits *e, const char *bytes, size_t n)
{
	if (n > 0)
		memcpy(e->text + e->text_len, bytes, n);
	e->text_len += n;
}

/* The bytes between the last edit and `at`. */
static size_t between(const struct edits *e, size_t at)
{
	const struct edit *last = &e->edit[e->count - 1];

	return at - (last->at + last->cut);
}

/* The last edit can go on to `at`, for it is close and does not put too much in. */
static bool goes_on(const struct edits *e, size_t at, size_t put)
{
	return e->count > 0 && between(e, at) <= e->gap &&
	       e->edit[e->count - 1].put + between(e, at) + put <= e->most;
}

bool edits_replace(struct edits *e, size_t at, size_t cut, const char *bytes, size_t put)
{
	bool goes = goes_on(e, at, put);
	size_t along = goes ? between(e, at) : 0;
	struct edit *edit;

	if (put > e->most || e->text_len + along + put > EDITS_TEXT_MAX)
		return false;
	if (!goes && (e->count == EDITS_MAX || (e->count > 0 && between(e, at) == 0)))
		return false;
	if (!goes)
		e->edit[e->count++] = (struct edit){.at = at, .text = e->text_len};
	edit = &e->edit[e->count - 1];
	add_text(e, e->payload + at - along, along);
	add_text(e, bytes, put);
	edit->cut += along + cut;
	edit->put += along + put;
	e->now = e->now - cut + put;
	return true;
}
