/*
 * The raw structs of a chunk pool, for the files of this module, its tests and the debugger.
 */
#ifndef MOS_SHARED_CHUNK_POOL_LAYOUT_H
#define MOS_SHARED_CHUNK_POOL_LAYOUT_H

#include "shared/chunk_pool/chunk_pool.h"

#define MOS_CHUNK_POOL_MAGIC   UINT64_C(0x6b6e7568632d736f)
#define MOS_CHUNK_POOL_VERSION 1

/* I = immutable after mos_chunk_pool_new, which the primary calls. The chunks follow. */
struct mos_chunk_pool_hdr {
	uint64_t magic;   /* I stored last */
	uint32_t version; /* I */
	uint32_t count;   /* I chunks */
	uint64_t bytes;   /* I footprint: betrays a damaged count and another layout */
	uint8_t pad[40];
} MOS_CACHE_ALIGNED;
static_assert(sizeof(struct mos_chunk_pool_hdr) == 64, "chunks begin on a line");

/* What the holder of the shard knows of each chunk in use. Numbers of chunks, or MOS_CHUNK_NONE. */
struct mos_chunk_link {
	uint32_t prev, next;   /* in the list of its stream */
	uint32_t older, newer; /* by age */
	uint32_t hash;         /* of owner, flow and page */
};

/* ---- lists and age: chunk_pool.c ---- */

void mos_chunk_list_add(struct mos_chunk_pool *p, mos_chunk_list *list, uint32_t chunk);
void mos_chunk_list_del(struct mos_chunk_pool *p, mos_chunk_list *list, uint32_t chunk);

/* A chunk that has no age becomes the newest of those that have one. */
void mos_chunk_age_add(struct mos_chunk_pool *p, uint32_t chunk);

/* Make a chunk free; it is in no list and not in the hash. Its owner word goes with release. */
void mos_chunk_release(struct mos_chunk_pool *p, uint32_t chunk);

/* ---- hash: chunk_hash.c ---- */

/* Entries that the hash of a pool of count chunks has: a power of two, at least twice the count. */
static inline uint32_t mos_chunk_hash_size(uint32_t count)
{
	return mos_pow2_ceil(2 * count);
}

/* Enter an owned chunk; its page has none. Takes it out again. */
void mos_chunk_hash_add(struct mos_chunk_pool *p, uint32_t chunk);
void mos_chunk_hash_del(struct mos_chunk_pool *p, uint32_t chunk);

#endif
