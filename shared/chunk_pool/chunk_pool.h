/*
 * The chunk pool of one shard: bytes of streams that could not be handed on at once, because they
 * came out of order or nobody has read them yet.
 *
 *   shared memory:  | header | chunk[count], 2048 bytes each |
 *   chunk:          | owner, page, stamp, flow | valid: a bit per byte | 1792 bytes |
 *
 * A chunk is one page of one stream: it holds those bytes of [page * 1792, (page + 1) * 1792) whose
 * bit is set. So a stream may have any number of holes, tiny segments that fall into one page cost
 * one chunk, and nothing is ever moved.
 *
 * The owner word is the truth: 0 is a free chunk. Taking one sets it last, giving it back sets it
 * to 0, each in one store: whoever dies at any instruction leaves chunks that are free or whole,
 * as far as the pool goes. Which of the owned ones are still good, join() asks its caller.
 *
 * Private to the worker that holds the shard, in heap memory, and worked out anew by each successor:
 *   free stack
 *   hash        (owner, flow record, page) -> chunk, with a secret seed, so that no attacker's
 *               choice of segments is slow
 *   lists       all chunks of a stream, in no order; its head is the caller's
 *   age         chunks wholly out of order, in the order in which they became so; to a successor,
 *               in the order they were taken
 * Heap: 32 to 40 bytes per chunk. Raw structs: chunk_pool_layout.h.
 *
 * Not its job: which bytes belong in there, sequence numbers, who gets what (secondary/stream).
 */
#ifndef MOS_SHARED_CHUNK_POOL_H
#define MOS_SHARED_CHUNK_POOL_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/platform.h"

#define MOS_CHUNK_BYTES     2048u
#define MOS_CHUNK_PAGE      1792u /* bytes of the stream in one chunk */
#define MOS_CHUNK_WORDS     (MOS_CHUNK_PAGE / 64)
#define MOS_CHUNK_NONE      UINT32_MAX
#define MOS_CHUNK_COUNT_MIN 64u
#define MOS_CHUNK_COUNT_MAX (1u << 26)
/* A page that has an end below 2^64. */
#define MOS_CHUNK_PAGE_MAX  (UINT64_MAX / MOS_CHUNK_PAGE - 1)

/* Letters: S the worker that holds the shard. */
struct mos_chunk {
	uint64_t owner; /* S mos_chunk_owner() of the flow's id and side; 0 = free; stored last */
	uint64_t page;  /* S which page of that stream */
	uint64_t stamp; /* S grows with each chunk taken: the order of age, for a successor */
	uint32_t flow;  /* S its flow record */
	uint32_t base;  /* S the sequence number of offset 0, when the caller stored the bytes */
	uint64_t valid[MOS_CHUNK_WORDS]; /* S bit b of word w: byte 64 w + b is held */
	uint8_t bytes[MOS_CHUNK_PAGE];   /* S */
} MOS_CACHE_ALIGNED;
static_assert(sizeof(struct mos_chunk) == MOS_CHUNK_BYTES, "one chunk");

/* Flow ids begin at 1, so no owner word is 0. */
static inline uint64_t mos_chunk_owner(uint64_t flow_id, int side)
{
	return flow_id << 1 | (unsigned)side;
}

struct mos_chunk_pool_hdr; /* in shared memory */
struct mos_chunk_link;     /* heap, one per chunk */

/*
 * All chunks of one stream: where the list begins, as number + 1; 0 = none. It lies in the flow
 * record (mos_stream.chunks) and means nothing to a successor: join() makes it anew.
 */
typedef uint32_t mos_chunk_list;

/* Private to the process that holds the shard; others may read count and free_count. */
struct mos_chunk_pool {
	struct mos_chunk_pool_hdr *hdr;
	struct mos_chunk *chunks;
	uint32_t count;
	uint32_t free_count;
	uint32_t *free_stack;        /* heap */
	uint32_t *hash;              /* heap: open addressing, chunk number + 1 */
	uint32_t hash_mask;          /* at most half of it is used */
	struct mos_chunk_link *link; /* heap */
	uint32_t oldest, newest;     /* ends of the age list, MOS_CHUNK_NONE = empty */
	uint64_t next_stamp;
	uint64_t hash_seed; /* of this process */
};

/* ---- primary ---- */

/* Bytes needed for count chunks; 0 when count is out of range. */
size_t mos_chunk_pool_footprint(uint32_t count);

/* Format mem (footprint() bytes, cache-line aligned): all free; the magic last. 0 or -EINVAL. */
int mos_chunk_pool_new(void *mem, uint32_t count);

/* Would a join find its header sound? */
bool mos_chunk_pool_sound(const void *mem, size_t mem_len);

/* ---- worker: the one that holds the shard ---- */

/*
 * Asked for each owned chunk at a join: is it still good? Returns the list it belongs to, which
 * depends on owner and flow alone, or NULL: it will be free. *out_of_order (false at the call):
 * wholly beyond what is in order, so it has an age. The members of a chunk may hold anything, but
 * for owner, which is not 0, and page, which is at most MOS_CHUNK_PAGE_MAX.
 */
typedef mos_chunk_list *(*mos_chunk_keep)(void *arg, const struct mos_chunk *chunk,
                                          bool *out_of_order);

/*
 * Open the pool and work out what is private from the chunks. The caller has emptied all lists.
 * Of two chunks of one page the older stamp stays. Linear in the count.
 * 0, -EAGAIN (not formatted), -EPROTO (other version or damaged header), -ENOSPC (mem_len too
 * small), -ENOMEM. *adopted (may be NULL): how many were kept.
 */
int mos_chunk_pool_join(struct mos_chunk_pool *p, void *mem, size_t mem_len, mos_chunk_keep keep,
                        void *arg, uint32_t *adopted);
void mos_chunk_pool_leave(struct mos_chunk_pool *p);

/*
 * Take a free chunk for a page that has none, with no valid byte, and add it to its stream's list.
 * out_of_order: it is the youngest of those with an age. Returns its number, or MOS_CHUNK_NONE when
 * none is free.
 */
uint32_t mos_chunk_get(struct mos_chunk_pool *p, mos_chunk_list *list, uint64_t owner,
                       uint32_t flow, uint64_t page, bool out_of_order);

/* Give a chunk back. list is the one it is in. */
void mos_chunk_put(struct mos_chunk_pool *p, mos_chunk_list *list, uint32_t chunk);

/* Give back all of a list. */
void mos_chunk_put_all(struct mos_chunk_pool *p, mos_chunk_list *list);

/*
 * The chunk of a page of a stream, or MOS_CHUNK_NONE. The record counts, too: ids in garbage may be
 * alike, and a chunk that was found is one of the list of its record.
 */
uint32_t mos_chunk_lookup(const struct mos_chunk_pool *p, uint64_t owner, uint32_t flow,
                          uint64_t page);

/*
 * Its first bytes are in order now: it has no age any more; or the last of these were read, so that
 * it becomes the youngest of those with an age (its stamp stays). Nothing, if it is so already.
 */
void mos_chunk_in_order(struct mos_chunk_pool *p, uint32_t chunk);
void mos_chunk_out_of_order(struct mos_chunk_pool *p, uint32_t chunk);

/* Is it one of those with an age? */
bool mos_chunk_has_age(const struct mos_chunk_pool *p, uint32_t chunk);

/* Walk a list: first, then next until MOS_CHUNK_NONE. The one at hand may be put after `next`. */
uint32_t mos_chunk_first(const struct mos_chunk_pool *p, mos_chunk_list list);
uint32_t mos_chunk_next(const struct mos_chunk_pool *p, uint32_t chunk);

static inline struct mos_chunk *mos_chunk_at(const struct mos_chunk_pool *p, uint32_t chunk)
{
	return &p->chunks[chunk];
}

#endif
