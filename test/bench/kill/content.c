#include "test/bench/kill/content.h"

#include <string.h>

uint64_t random_at(uint64_t seed, uint64_t number)
{
	uint64_t z = seed + (number + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void content_fill(uint64_t stream, uint64_t offset, uint8_t *out, size_t n)
{
	while (n > 0) {
		uint64_t word = random_at(stream, offset / 8);
		size_t skip = offset % 8, part = 8 - skip < n ? 8 - skip : n;

		memcpy(out, (const uint8_t *)&word + skip, part);
		out += part;
		offset += part;
		n -= part;
	}
}
