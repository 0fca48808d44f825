/*
 * The raw structs of a flow table, for the files of this module, benches and the debugger.
 *
 * A hash gives a home bucket; entries that find it full go to overflow buckets chained behind it.
 * A flow has an entry for its key and, when it has a second key, one for that. Every bucket of a
 * chain but its last is full, and entries stand at the front of their bucket, so n entries never
 * need more than n / 8 overflow buckets: the pool cannot run dry before the records.
 * A chain is no longer than MOS_BUCKET_CHAIN_MAX buckets, which bounds each lookup whatever the
 * hashes are. At the highest mean load, 4 entries per bucket, or 8 where all flows have two keys,
 * the hash seed being secret, an entry that finds its chain full is not met in the life of the
 * universe.
 *
 * A successor uses the index as it is, so nothing above may be relied on but for speed: numbers are
 * checked before they are followed, chains are followed for MOS_BUCKET_CHAIN_MAX buckets at most.
 */
#ifndef MOS_SHARED_FLOW_TABLE_LAYOUT_H
#define MOS_SHARED_FLOW_TABLE_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/flow_table/flow_table.h"
#include "shared/platform.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define MOS_FLOW_TABLE_MAGIC   UINT64_C(0x6c62617477306c66)
#define MOS_FLOW_TABLE_VERSION 3

#define MOS_BUCKET_SLOTS     8
#define MOS_BUCKET_LOAD      4 /* flows per home bucket of a full table, at most; 2 entries each */
#define MOS_BUCKET_CHAIN_MAX 8 /* buckets: the home bucket and 7 behind it */

/* In an entry, beside the record number: it is the entry of the flow's second key. */
#define MOS_ENTRY_OUT (1u << 31)
static_assert(MOS_FLOW_CAP_MAX < MOS_ENTRY_OUT, "a bit that no record number has");

/*
 * I = immutable after mos_flow_table_new, which the primary calls.
 * S = the worker that holds the shard, at the end of each change of the index; what was counted.
 */
struct mos_flow_table_hdr {
	uint64_t magic;     /* I stored last */
	uint32_t version;   /* I */
	uint32_t capacity;  /* I records */
	uint64_t bytes;     /* I footprint: betrays a damaged capacity and another layout */
	uint64_t whole;     /* S seal of the members below; 0 = the index is being changed */
	uint64_t next_id;   /* S */
	uint32_t count;     /* S records in use */
	uint32_t out_count; /* S of them with a second key */
	uint32_t fresh;     /* S records from here on were never used */
	uint8_t pad[12];
} MOS_CACHE_ALIGNED;
static_assert(sizeof(struct mos_flow_table_hdr) == 64, "one line");

/* What `whole` is when index, records and these members agree. Garbage has it by chance alone. */
static inline uint64_t mos_flow_table_seal(const struct mos_flow_table_hdr *h)
{
	return ((h->next_id + 1) * UINT64_C(0x9e3779b97f4a7c15) ^
	        ((uint64_t)h->count << 32 | h->out_count) * UINT64_C(0xd6e8feb86659fd93) ^
	        h->fresh * UINT64_C(0xff51afd7ed558ccd)) |
	       1;
}

/*
 * Check the header of a table, as far as mem_len reaches, and hand out its capacity and the offset
 * of its records. 0, or -errno as from mos_flow_table_join. Any process.
 */
int mos_flow_table_open(const void *mem, size_t mem_len, uint32_t *capacity, size_t *flows);

/* Written only by the worker that holds the shard. All zero: empty, and the end of its chain. */
struct mos_flow_bucket {
	uint16_t tag[MOS_BUCKET_SLOTS];  /* 0 = no entry here, nor behind it in this bucket */
	uint32_t slot[MOS_BUCKET_SLOTS]; /* record numbers, MOS_ENTRY_OUT in those of second keys */
	uint32_t next;                   /* next bucket of the chain; 0 = none, a home bucket */
	uint8_t pad[12];
} MOS_CACHE_ALIGNED;
static_assert(sizeof(struct mos_flow_bucket) == 64, "one line");

/* Home buckets of a table with room for capacity records: a power of two. */
static inline uint32_t mos_flow_homes(uint32_t capacity)
{
	return mos_pow2_ceil((capacity + MOS_BUCKET_LOAD - 1) / MOS_BUCKET_LOAD);
}

/*
 * Overflow buckets: what capacity flows with two keys need at worst. And one entry more, while a
 * second key takes the place of another: an odd number of entries needs no more than the even one
 * below it.
 */
static inline uint32_t mos_flow_overflows(uint32_t capacity)
{
	return (uint32_t)((uint64_t)capacity * 2 / MOS_BUCKET_SLOTS);
}

/*
 * Which bits of the hash chose the shard is not known here, and those are alike in all flows of
 * this table: spread the hash again before bits are taken from it.
 */
static inline uint64_t mos_flow_spread(uint32_t hash)
{
	return hash * UINT64_C(0x9e3779b97f4a7c15);
}

/* The home bucket of a spread hash. */
static inline uint32_t mos_flow_home(uint64_t spread, uint32_t bucket_mask)
{
	return (uint32_t)(spread >> 32) & bucket_mask;
}

/* The tag of a spread hash, never 0. */
static inline uint16_t mos_flow_tag(uint64_t spread)
{
	uint16_t tag = (uint16_t)(spread >> 48);

	return tag ? tag : 1;
}

/* Its number, or 0: the bucket is the last of its chain. In garbage, too. */
static inline uint32_t mos_bucket_next(const struct mos_flow_table *t,
                                       const struct mos_flow_bucket *b)
{
	uint32_t at = b->next;

	return mos_unlikely(at - t->bucket_mask - 1 < mos_flow_overflows(t->capacity)) ? at : 0;
}

/* Bit i is set when tag[i] == tag. */
static inline unsigned mos_bucket_match_portable(const struct mos_flow_bucket *b, uint16_t tag)
{
	unsigned match = 0;

	for (unsigned i = 0; i < MOS_BUCKET_SLOTS; i++)
		match |= (unsigned)(b->tag[i] == tag) << i;
	return match;
}

#if defined(__SSE2__)
static inline unsigned mos_bucket_match(const struct mos_flow_bucket *b, uint16_t tag)
{
	__m128i tags = _mm_load_si128((const __m128i *)(const void *)b->tag);
	__m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)tag));

	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
}
#else
static inline unsigned mos_bucket_match(const struct mos_flow_bucket *b, uint16_t tag)
{
	return mos_bucket_match_portable(b, tag);
}
#endif

#endif
