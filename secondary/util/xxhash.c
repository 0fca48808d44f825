/*
 * XXH32 and XXH64, written from the published description of the algorithm.
 *
 * Both work alike: four accumulators eat stripes of four little-endian lanes, their sum and the
 * length go through what is left (lanes, then bytes), and an avalanche mixes the result.
 */
#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "mtcp_util.h"

#define P32_1 0x9E3779B1U
#define P32_2 0x85EBCA77U
#define P32_3 0xC2B2AE3DU
#define P32_4 0x27D4EB2FU
#define P32_5 0x165667B1U

#define P64_1 0x9E3779B185EBCA87ULL
#define P64_2 0xC2B2AE3D27D4EB4FULL
#define P64_3 0x165667B19E3779F9ULL
#define P64_4 0x85EBCA77C2B2AE63ULL
#define P64_5 0x27D4EB2F165667C5ULL

static uint32_t rotl32(uint32_t v, int bits)
{
	return v << bits | v >> (32 - bits);
}

static uint64_t rotl64(uint64_t v, int bits)
{
	return v << bits | v >> (64 - bits);
}

static uint32_t lane32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t lane64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static uint32_t round32(uint32_t acc, uint32_t lane)
{
	return rotl32(acc + lane * P32_2, 13) * P32_1;
}

static uint64_t round64(uint64_t acc, uint64_t lane)
{
	return rotl64(acc + lane * P64_2, 31) * P64_1;
}

static uint64_t merge64(uint64_t hash, uint64_t acc)
{
	return (hash ^ round64(0, acc)) * P64_1 + P64_4;
}

unsigned int XXH32(const void *input, size_t len, unsigned int seed)
{
	const unsigned char *p = input;
	size_t left = len;
	uint32_t hash = seed + P32_5;

	if (left >= 16) {
		uint32_t acc[4] = {seed + P32_1 + P32_2, seed + P32_2, seed, seed - P32_1};

		for (; left >= 16; left -= 16, p += 16)
			for (int i = 0; i < 4; i++)
				acc[i] = round32(acc[i], lane32(p + 4 * i));
		hash = rotl32(acc[0], 1) + rotl32(acc[1], 7) + rotl32(acc[2], 12) +
		       rotl32(acc[3], 18);
	}
	hash += (uint32_t)len;

	for (; left >= 4; left -= 4, p += 4)
		hash = rotl32(hash + lane32(p) * P32_3, 17) * P32_4;
	for (; left > 0; left--, p++)
		hash = rotl32(hash + *p * P32_5, 11) * P32_1;

	hash = (hash ^ hash >> 15) * P32_2;
	hash = (hash ^ hash >> 13) * P32_3;
	return hash ^ hash >> 16;
}

unsigned long long XXH64(const void *input, size_t len, unsigned long long seed)
{
	const unsigned char *p = input;
	size_t left = len;
	uint64_t hash = seed + P64_5;

	if (left >= 32) {
		uint64_t acc[4] = {seed + P64_1 + P64_2, seed + P64_2, seed, seed - P64_1};

		for (; left >= 32; left -= 32, p += 32)
			for (int i = 0; i < 4; i++)
				acc[i] = round64(acc[i], lane64(p + 8 * i));
		hash = rotl64(acc[0], 1) + rotl64(acc[1], 7) + rotl64(acc[2], 12) +
		       rotl64(acc[3], 18);
		for (int i = 0; i < 4; i++)
			hash = merge64(hash, acc[i]);
	}
	hash += len;

	for (; left >= 8; left -= 8, p += 8)
		hash = rotl64(hash ^ round64(0, lane64(p)), 27) * P64_1 + P64_4;
	for (; left >= 4; left -= 4, p += 4)
		hash = rotl64(hash ^ lane32(p) * P64_1, 23) * P64_2 + P64_3;
	for (; left > 0; left--, p++)
		hash = rotl64(hash ^ *p * P64_5, 11) * P64_1;

	hash = (hash ^ hash >> 33) * P64_2;
	hash = (hash ^ hash >> 29) * P64_3;
	return hash ^ hash >> 32;
}
