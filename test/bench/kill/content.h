/*
 * What streams carry: for each stream bytes of its own, which anybody can compute again at any
 * offset.
 */
#ifndef MOS_BENCH_KILL_CONTENT_H
#define MOS_BENCH_KILL_CONTENT_H

#include <stddef.h>
#include <stdint.h>

/* splitmix64: the number-th value of a seed. */
uint64_t random_at(uint64_t seed, uint64_t number);

/* Write the bytes [offset, + n) of the stream. */
void content_fill(uint64_t stream, uint64_t offset, uint8_t *out, size_t n);

#endif
