/*
 * What is to be done to the payload of one packet, from its first byte to its last:
 *
 *   payload   The word is here, and the word is there
 *   edits         [8, 12) -> "phrase"   [27, 31) -> "phrase"
 *
 * Edits that are close to each other become one, which takes the bytes between them along: the
 * library notes each edit until its bytes are acknowledged, and takes so many of a packet only. So
 * it does with those that touch.
 *
 * Memory: the caller's. Pure. One thread at a time.
 */
#ifndef REWRITE_EDITS_H
#define REWRITE_EDITS_H

#include <stdbool.h>
#include <stddef.h>

#define EDITS_MAX      200  /* of one packet */
#define EDITS_TEXT_MAX 9600 /* bytes that go into one packet: more than a jumbo frame holds */
#define EDIT_PUT_MAX   1400 /* bytes that edits put in one place */

/* Offsets are those of the payload as it came. */
struct edit {
	size_t at, cut; /* these bytes go */
	size_t put;     /* so many come instead, from the text */
	size_t text;    /* where they begin */
};

struct edits {
	const char *payload;
	size_t len;  /* of the payload as it came */
	size_t room; /* bytes that it may become */
	size_t most; /* bytes that edits may put in one place */
	size_t now;  /* bytes that it has become */
	size_t gap;  /* edits so close are one */
	unsigned count;
	struct edit edit[EDITS_MAX];
	size_t text_len;
	char text[EDITS_TEXT_MAX];
};

/* Nothing is edited yet. most: up to EDIT_PUT_MAX. */
void edits_begin(struct edits *e, const char *payload, size_t len, size_t room, size_t most);

/* Whether the payload is not longer than there is room for with `put` bytes instead of `cut`. */
static inline bool edits_have_room(const struct edits *e, size_t cut, size_t put)
{
	return put <= cut || e->now + (put - cut) <= e->room;
}

/*
 * Replace `cut` bytes at `at`, which is not before the end of the last edit, by `put` bytes; the
 * caller knows whether there is room. False when these are too many edits, or too many bytes in one
 * place; then nothing changes.
 */
bool edits_replace(struct edits *e, size_t at, size_t cut, const char *bytes, size_t put);

#endif
