#include "apps/rewrite/edits.h"

#include <string.h>

/* What the library notes of an edit takes about as many bytes. */
#define GAP_MIN 16

void edits_begin(struct edits *e, const char *payload, size_t len, size_t room)
{
	e->payload = payload;
	e->len = e->now = len;
	e->room = room;
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

/* The last edit goes on to `at`, if that is close and it does not put too much in. */
static struct edit *extend(struct edits *e, size_t at, size_t put)
{
	struct edit *last = e->count > 0 ? &e->edit[e->count - 1] : NULL;
	size_t between = last != NULL ? at - (last->at + last->cut) : 0;

	if (last == NULL || between > e->gap || last->put + between + put > EDIT_PUT_MAX ||
	    e->text_len + between + put > EDITS_TEXT_MAX)
		return NULL;
	add_text(e, e->payload + last->at + last->cut, between);
	last->cut += between;
	last->put += between;
	return last;
}

bool edits_replace(struct edits *e, size_t at, size_t cut, const char *bytes, size_t put)
{
	struct edit *edit;

	edit = extend(e, at, put);
	if (edit == NULL) {
		if (e->count == EDITS_MAX || put > EDIT_PUT_MAX ||
		    e->text_len + put > EDITS_TEXT_MAX)
			return false;
		edit = &e->edit[e->count++];
		*edit = (struct edit){.at = at, .text = e->text_len};
	}
	add_text(e, bytes, put);
	edit->cut += cut;
	edit->put += put;
	e->now = e->now - cut + put;
	return true;
}
