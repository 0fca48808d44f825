/*
 * Which bytes of a stream have been seen, as ranges of offsets.
 *
 *   0        base      from   end       from end
 *   |========|.........|======|.........|====|.......
 *    seen      hole     range[0]  hole   range[1]
 *
 * A stream that comes in order is `base` and nothing else. Ranges above it lie in a sorted array
 * from malloc, RANGES_MAX at most. When one more is needed, or there is no memory, the smallest
 * hole is closed: its bytes count as seen from then on, and as given up. So what is told is exact
 * as long as no more than RANGES_MAX holes are open, and wrong by the smallest amount beyond.
 *
 * Pure. One thread at a time.
 */
#ifndef BYTECOUNT_RANGES_H
#define BYTECOUNT_RANGES_H

#include <stdint.h>

#define RANGES_MAX 64

struct range {
	uint64_t from, end; /* [from, end) */
};

struct ranges {
	uint64_t base;        /* all below was seen, or given up */
	uint64_t given_up;    /* bytes of the holes that were closed */
	uint32_t count, room; /* of range */
	struct range *range;  /* above base; none touches another, or base */
};

/* Nothing was seen; what lies below base is not asked for. */
void ranges_init(struct ranges *r, uint64_t base);
void ranges_fini(struct ranges *r);

/*
 * Copy what lies above base to `to`, and store base and given_up: as if only `room` ranges were
 * kept, with the lowest holes given up. Returns how many ranges there are.
 */
uint32_t ranges_save(const struct ranges *r, struct range *to, uint32_t room, uint64_t *base,
                     uint64_t *given_up);

/* As ranges_init(), with what was saved. */
void ranges_load(struct ranges *r, const struct range *from, uint32_t count, uint64_t base,
                 uint64_t given_up);

/* See [from, end). Returns how many of these bytes are new. */
uint64_t ranges_add(struct ranges *r, uint64_t from, uint64_t end);

/* How many bytes below `end` were not seen, with all that were given up. */
uint64_t ranges_missing(const struct ranges *r, uint64_t end);

#endif
