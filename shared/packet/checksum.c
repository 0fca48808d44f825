#include "shared/packet/checksum.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/*
 * 32-bit halves are added into 64-bit sums, so that no carry has to be looked after; two sums keep
 * the additions independent.
 */
uint64_t mos_csum_partial(const void *data, uint32_t len, uint64_t sum)
{
	const uint8_t *p = data;
	uint64_t high = 0;
	uint32_t word;
	uint16_t half;

	for (; len >= 32; p += 32, len -= 32) {
		uint64_t a = load64(p), b = load64(p + 8), c = load64(p + 16), d = load64(p + 24);

		sum += (uint64_t)(uint32_t)a + (uint32_t)b + (uint32_t)c + (uint32_t)d;
		high += (a >> 32) + (b >> 32) + (c >> 32) + (d >> 32);
	}
	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	if (len >= 2) {
		memcpy(&half, p, sizeof(half));
		sum += half;
		p += 2;
	}
	if (len & 1) {
		half = 0; /* the missing byte counts as zero; the last one keeps its place */
		memcpy(&half, p, 1);
		sum += half;
	}
	return sum + high;
}

bool mos_csum_tcp_ok(const void *ip, uint8_t version, const void *tcp, uint32_t tcp_len)
{
	const uint8_t *addr = ip;
	uint64_t sum = (uint64_t)htonl(tcp_len) + htonl(IPPROTO_TCP);

	/* Pseudo headers: RFC 9293 3.1, RFC 8200 8.1. Unlike in UDP a zero sum is no exception. */
	if (version == 4) {
		sum = mos_csum_partial(addr + 12, 8, sum);
	} else {
		assert(version == 6);
		sum = mos_csum_partial(addr + 8, 32, sum);
	}
	return mos_csum_fold(mos_csum_partial(tcp, tcp_len, sum)) == 0;
}
