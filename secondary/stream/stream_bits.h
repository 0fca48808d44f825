/*
 * The bitmap of a chunk: which bytes of [0, MOS_CHUNK_PAGE) are held. By words; a range [from, end)
 * is never empty. Private to this folder.
 */
#ifndef MOS_SECONDARY_STREAM_BITS_H
#define MOS_SECONDARY_STREAM_BITS_H

#include "shared/chunk_pool/chunk_pool.h"

/* The bits of word w that lie in [from, end); w is one of the range's words. */
static inline uint64_t mos_bits_mask(uint32_t w, uint32_t from, uint32_t end)
{
	uint64_t mask = UINT64_MAX;

	if (w == from / 64)
		mask &= UINT64_MAX << from % 64;
	if (w == (end - 1) / 64)
		mask &= UINT64_MAX >> (63 - (end - 1) % 64);
	return mask;
}

static inline void mos_bits_set(uint64_t *v, uint32_t from, uint32_t end)
{
	for (uint32_t w = from / 64; w * 64 < end; w++)
		v[w] |= mos_bits_mask(w, from, end);
}

static inline void mos_bits_clear(uint64_t *v, uint32_t from, uint32_t end)
{
	for (uint32_t w = from / 64; w * 64 < end; w++)
		v[w] &= ~mos_bits_mask(w, from, end);
}

static inline uint32_t mos_bits_count(const uint64_t *v, uint32_t from, uint32_t end)
{
	uint32_t count = 0;

	for (uint32_t w = from / 64; w * 64 < end; w++)
		count += (uint32_t)__builtin_popcountll(v[w] & mos_bits_mask(w, from, end));
	return count;
}

/* The first bit of the range that is 1 after flipping with flip (0 or UINT64_MAX), or end. */
static inline uint32_t mos_bits_find(const uint64_t *v, uint32_t from, uint32_t end, uint64_t flip)
{
	for (uint32_t w = from / 64; w * 64 < end; w++) {
		uint64_t hit = (v[w] ^ flip) & mos_bits_mask(w, from, end);

		if (hit != 0)
			return w * 64 + (uint32_t)__builtin_ctzll(hit);
	}
	return end;
}

/* The first byte of the range that is held, or is not, or end. */
static inline uint32_t mos_bits_held(const uint64_t *v, uint32_t from, uint32_t end)
{
	return mos_bits_find(v, from, end, 0);
}

static inline uint32_t mos_bits_missing(const uint64_t *v, uint32_t from, uint32_t end)
{
	return mos_bits_find(v, from, end, UINT64_MAX);
}

/* Where the run of held bytes begins that ends at `end`; end itself when the byte before is not. */
static inline uint32_t mos_bits_run_start(const uint64_t *v, uint32_t end)
{
	for (uint32_t w = (end - 1) / 64 + 1; w-- > 0;) {
		uint64_t missing = ~v[w] & mos_bits_mask(w, 0, end);

		if (missing != 0)
			return w * 64 + 64 - (uint32_t)__builtin_clzll(missing);
	}
	return 0;
}

/* Behind the last byte of the chunk that is held, or 0. */
static inline uint32_t mos_bits_end(const uint64_t *v)
{
	for (uint32_t w = MOS_CHUNK_WORDS; w-- > 0;)
		if (v[w] != 0)
			return w * 64 + 64 - (uint32_t)__builtin_clzll(v[w]);
	return 0;
}

#endif
