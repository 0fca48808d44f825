/*
 * Numbers in bytes that are not aligned: load16 and so on in the order of this machine, be16 and so
 * on in that of the network.
 */
#ifndef MOS_SHARED_BYTES_H
#define MOS_SHARED_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t mos_load16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t mos_load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t mos_load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t mos_load_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t mos_load_be32(const uint8_t *p)
{
	return (uint32_t)mos_load_be16(p) << 16 | mos_load_be16(p + 2);
}

#endif
