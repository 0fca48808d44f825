/*
 * Internet checksums (RFC 1071) over headers that mos_pkt_parse accepted. Pure C, any process.
 *
 * Sums are taken over native-order words of any alignment: the one's complement sum of swapped
 * words is the swapped sum (RFC 1071 2.B), so the folded value is in network order as it stands.
 */
#ifndef MOS_SHARED_CHECKSUM_H
#define MOS_SHARED_CHECKSUM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * One's complement sum of len bytes, not folded: add several and fold once. Start with 0. Only the
 * last piece may have an odd length. The sum holds for up to 16 GB.
 */
uint64_t mos_csum_partial(const void *data, uint32_t len, uint64_t sum);

/* Fold to 16 bits and complement: the value for a checksum field, in network order. */
static inline uint16_t mos_csum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 16) + (uint16_t)sum;
	sum = (sum >> 16) + (uint16_t)sum;
	return (uint16_t)~sum;
}

/* True when the IPv4 header of hdr_len bytes (20..60) sums to zero. */
static inline bool mos_csum_ip4_ok(const void *ip, uint32_t hdr_len)
{
	uint64_t sum;
	uint32_t w[5];

	memcpy(w, ip, sizeof(w));
	sum = (uint64_t)w[0] + w[1] + w[2] + w[3] + w[4];
	if (hdr_len > sizeof(w))
		sum = mos_csum_partial((const uint8_t *)ip + sizeof(w), hdr_len - sizeof(w), sum);
	return mos_csum_fold(sum) == 0;
}

/*
 * True when the TCP checksum is right. ip points to the IPv4 or IPv6 header (version 4 or 6), tcp
 * to tcp_len contiguous bytes of TCP header and payload. tcp_len is what the IP header says, not
 * what the frame holds (padding does not count).
 */
bool mos_csum_tcp_ok(const void *ip, uint8_t version, const void *tcp, uint32_t tcp_len);

#endif
