/* The symmetric hash of a flow's key, as shared/packet computes it of a packet. */
#ifndef MOS_SHARED_FLOW_HASH_H
#define MOS_SHARED_FLOW_HASH_H

#include "shared/flow_table/flow.h"
#include "shared/packet/hash.h"

static inline uint32_t mos_flow_key_hash(const struct mos_flow_key *key, uint64_t seed)
{
	uint32_t src4, dst4;

	if (key->ip_version != 4)
		return mos_hash_join(mos_hash_end6(key->src, key->src_port_be, seed),
		                     mos_hash_end6(key->dst, key->dst_port_be, seed));
	memcpy(&src4, key->src + 12, sizeof(src4)); /* IPv4-mapped */
	memcpy(&dst4, key->dst + 12, sizeof(dst4));
	return mos_hash_join(mos_hash_end4(src4, key->src_port_be, seed),
	                     mos_hash_end4(dst4, key->dst_port_be, seed));
}

#endif
