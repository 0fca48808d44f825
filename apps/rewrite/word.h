/*
 * Replace a word in a stream that comes in pieces, each of which goes on at once.
 *
 *   pieces   ..a wo|rd and a w|olf
 *   they go  ..a   |phrase and a |wolf       word -> phrase
 *
 * What may be the begin of the word at the end of a piece is held back: it is cut off there, and
 * goes out in front of the next piece, or with the last one. As it is a begin of the word, it is
 * enough to know how long it is.
 *
 * Occurrences do not overlap, and the leftmost one counts. Bytes are compared as they are.
 *
 * Pure. No memory but the caller's.
 */
#ifndef REWRITE_WORD_H
#define REWRITE_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apps/rewrite/edits.h"

#define WORD_MAX        64  /* bytes */
#define REPLACEMENT_MAX 512 /* bytes */

struct word {
	const char *word, *by;    /* the caller's */
	size_t len, by_len;       /* len > 0 */
	uint8_t border[WORD_MAX]; /* of word[0..i]: length of its longest end that is its begin */
};

/* What was done. */
struct word_count {
	uint64_t replaced;
	uint64_t left; /* there was no room for the replacement */
};

/* The strings stay the caller's, and stay. False when a length is beyond its limit. */
bool word_init(struct word *w, const char *word, const char *by);

/*
 * Edit the payload of *e from `from` on. held: how much of the word's begin was held back by the
 * piece before, and is by this one. last: nothing comes behind this piece. False when what was held
 * back finds no room; the edits are then of no use.
 */
bool word_edit(const struct word *w, struct edits *e, size_t from, bool last, uint16_t *held,
               struct word_count *count);

#endif
