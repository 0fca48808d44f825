#include "apps/rewrite/word.h"

#include <string.h>

/* A piece on its way. Offsets count from the begin of what was held back in front of it. */
struct piece {
	const struct word *w;
	struct edits *e;
	size_t from; /* where the piece begins in the payload */
	size_t held; /* bytes of the word's begin in front of it that are not out yet */
};

bool word_init(struct word *w, const char *word, const char *by)
{
	size_t k = 0;

	*w = (struct word){.word = word, .by = by, .len = strlen(word), .by_len = strlen(by)};
	if (w->len == 0 || w->len > WORD_MAX || w->by_len > REPLACEMENT_MAX)
		return false;
	for (size_t i = 1; i < w->len; i++) {
		while (k > 0 && word[i] != word[k])
			k = w->border[k - 1];
		k += word[i] == word[k];
		w->border[i] = (uint8_t)k;
	}
	return true;
}

/*
 * How long the begin of the word is that ends with this byte, if one of `k` bytes ended before it.
 */
static size_t step(const struct word *w, size_t k, char byte)
{
	while (k > 0 && byte != w->word[k])
		k = w->border[k - 1];
	return k + (byte == w->word[k]);
}

/* So many bytes that were held back, those behind the first `done` ones, go out. */
static bool release(struct piece *p, size_t done, size_t n)
{
	return n == 0 || edits_replace(p->e, p->from, 0, p->w->word + done, n);
}

/*
 * The word ends before `end`. What was held back is in front of it, or a part of that, the last
 * one, belongs to it.
 */
static bool on_found(struct piece *p, size_t end, struct word_count *count)
{
	const struct word *w = p->w;
	size_t here = end - p->from < w->len ? end - p->from : w->len;
	size_t before = p->held - (w->len - here);
	bool ok = release(p, 0, before);

	if (ok && edits_have_room(p->e, here, w->by_len) &&
	    edits_replace(p->e, end - here, here, w->by, w->by_len)) {
		count->replaced++;
	} else {
		count->left++;
		ok = ok && release(p, before, p->held - before);
	}
	p->held = 0;
	return ok;
}

/* The piece ends with `k` bytes that may begin the word. */
static bool on_end(struct piece *p, size_t k)
{
	size_t len = p->e->len, n = len - p->from;
	size_t here = k < n ? k : n;

	return release(p, 0, p->held - (k - here)) &&
	       (here == 0 || edits_replace(p->e, len - here, here, NULL, 0));
}

/*
 * Nothing is begun at `at`: go on behind the next word, or to where one may begin that does not end
 * here. Returns how many bytes of the word end there: all, or none.
 */
static size_t skip(const struct word *w, const struct edits *e, size_t *at)
{
	const char *found = memmem(e->payload + *at, e->len - *at, w->word, w->len);

	if (found != NULL)
		*at = (size_t)(found - e->payload) + w->len;
	else if (e->len - *at >= w->len)
		*at = e->len - w->len + 1;
	return found != NULL ? w->len : 0;
}

bool word_edit(const struct word *w, struct edits *e, size_t from, bool last, uint16_t *held,
               struct word_count *count)
{
	struct piece p = {.w = w, .e = e, .from = from, .held = *held};
	size_t k = *held, at = from;
	bool searched = false, ok = true;

	while (ok && at < e->len) {
		if (k == 0 && !searched) {
			k = skip(w, e, &at);
			searched = k == 0;
		} else {
			k = step(w, k, e->payload[at++]);
		}
		if (k == w->len) {
			ok = on_found(&p, at, count);
			k = 0;
		}
	}
	if (last)
		k = 0;
	*held = (uint16_t)k;
	return ok && on_end(&p, k);
}
