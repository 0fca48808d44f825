/*
 * The symmetric flow hash: the same value for both directions of a flow, and every input bit moves
 * every output bit, so upper bits, lower bits or a modulo pick a shard equally well.
 *
 *   mos_hash_join(mos_hash_end4(saddr, sport, seed), mos_hash_end4(daddr, dport, seed))
 *
 * Each endpoint is mixed alone, the two results are added (order does not matter) and the sum is
 * finalised. XOR of raw addresses or a CRC taken modulo a small number would put all flows between
 * two hosts on one worker. The seed keeps traffic from being built to collide; this is no
 * cryptographic hash: against an attacker who can see where flows go it does not hold.
 */
#ifndef MOS_SHARED_HASH_H
#define MOS_SHARED_HASH_H

#include <stdint.h>
#include <string.h>

/* The finaliser of MurmurHash3 (64 bit): a bijection with full avalanche. */
static inline uint64_t mos_mix64(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	x ^= x >> 33;
	x *= UINT64_C(0xc4ceb9fe1a85ec53);
	x ^= x >> 33;
	return x;
}

/*
 * Hash one IPv4 endpoint; addr and port as they stand in the packet (network order). port 0 when
 * there is none. Two different endpoints never collide: their 48 bits go through a bijection.
 */
static inline uint64_t mos_hash_end4(uint32_t addr_be, uint16_t port_be, uint64_t seed)
{
	return mos_mix64(seed ^ ((uint64_t)addr_be << 16 | port_be));
}

/*
 * Hash one IPv6 endpoint. The port and the upper half are mixed before they meet the lower half:
 * if raw bits met, whoever picks them could build endpoints that collide under every seed.
 */
static inline uint64_t mos_hash_end6(const uint8_t addr[16], uint16_t port_be, uint64_t seed)
{
	uint64_t hi, lo;

	memcpy(&hi, addr, 8);
	memcpy(&lo, addr + 8, 8);
	return mos_mix64(mos_mix64(seed ^ hi) + mos_mix64(~seed ^ port_be) + lo);
}

/* Join the two ends of a flow. */
static inline uint32_t mos_hash_join(uint64_t a, uint64_t b)
{
	return (uint32_t)(mos_mix64(a + b) >> 32);
}

#endif
