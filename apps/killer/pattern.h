/*
 * Patterns, and the search for them in a stream that comes in pieces.
 *
 * Pure. The patterns are set up once and then only read, by any thread; a tail is of one stream.
 */
#ifndef KILLER_PATTERN_H
#define KILLER_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_LEN_MAX   64 /* bytes */
#define PATTERN_COUNT_MAX 64

struct pattern {
	uint8_t bytes[PATTERN_LEN_MAX];
	size_t len;
};

struct patterns {
	struct pattern pattern[PATTERN_COUNT_MAX];
	unsigned count;
	size_t len_max; /* of the longest */
};

/* Add the bytes of a text, or those that its hexadecimal digits tell. NULL, or what is wrong. */
const char *patterns_add_word(struct patterns *p, const char *text);
const char *patterns_add_hex(struct patterns *p, const char *text);

/* The last bytes of a stream so far: a pattern may begin in them. All zero at first. */
struct tail {
	uint8_t len;
	uint8_t bytes[PATTERN_LEN_MAX - 1];
};

/*
 * Search the next len bytes of a stream, and what begins in the tail. Returns the pattern whose
 * end comes first, or NULL; *end receives how many of the len bytes its end takes.
 */
const struct pattern *patterns_search(const struct patterns *p, struct tail *tail,
                                      const uint8_t *bytes, size_t len, size_t *end);

/* What comes next does not follow what came. */
static inline void tail_cut(struct tail *tail)
{
	tail->len = 0;
}

#endif
