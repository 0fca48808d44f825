/*
 * SHA-256 (FIPS 180-4) whose state can lie in a flow's area: plain bytes that any program of this
 * bench goes on with, whichever began.
 */
#ifndef MOS_BENCH_KILL_SHA256_H
#define MOS_BENCH_KILL_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32

struct sha256 {
	uint32_t h[8];
	uint64_t len;      /* bytes so far */
	uint8_t block[64]; /* the last len % 64 of them */
};

void sha256_begin(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *bytes, size_t n);

/* The digest of what was added so far. More may be added afterwards. */
void sha256_digest(const struct sha256 *s, uint8_t digest[static SHA256_BYTES]);

#endif
