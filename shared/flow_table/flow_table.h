/*
 * Flow table of one shard: records (the truth) and an index over them (a cache).
 *
 *   shared memory:  | header | index buckets | overflow buckets | records[capacity] |
 *   index bucket:   one cache line: 8 tags (16 bit) + 8 record numbers (32 bit) + overflow link
 *
 * A lookup costs two cache misses: the bucket, and the record that is needed anyway. Both
 * directions of a flow have the same hash, so one entry serves both; the record tells the side.
 * At capacity a home bucket holds 4 flows in the mean, at most; a lookup never passes more than
 * 8 buckets, whatever the hashes are. Raw structs: flow_table_layout.h.
 *
 * A flow whose addresses or ports are translated on the way has two keys, and an entry for each:
 *
 *   client --- key ---> | us | --- out ---> server        a packet like     is
 *                                                         key               the client's
 *                                                         out, reversed     the server's
 *                                                         key, reversed     not of this flow
 *
 * No two flows expect their servers' packets from the same place: the one that came last does, the
 * other has lost its second key (mos_flow_lost_out) and is not told of its server any more. What
 * one flow's client and another's server would send alike is found as either's.
 *
 * One writer, the worker that holds the shard. The private handle (struct mos_flow_table, in that
 * worker's memory) holds the stack of free records; each successor begins with an empty one.
 *
 * Memory: the caller's, footprint() bytes, cache-line aligned: 448 bytes for each record and 32 to
 * 48 for its share of the index. Position independent: no pointers.
 * Death of the writer at any instruction: the header says whether it was changing the index. If
 * not, adopt() uses that as it is, in a time that does not depend on the number of flows, and each
 * record is checked when it is met: by a look-up, by a walk over all in the background, or by an
 * insert that looks for a free one. If it was, the index is built again from the records. IN_USE is
 * the last store of an insert and the first of a remove, so a record that was never finished is
 * free; one with an odd seqcount died inside a change and is mended.
 *
 * Limbo: while other processes may be looking at records (secondary/readers), one that is removed
 * is not given out again before they are done with it, nor is what is kept beside it:
 *
 *            remove                close                   free
 *   in use ----------> open batch ------> waiting batch ----------> free
 *                                  ...while a grace period goes by...
 *
 * A batch is closed when none waits, so a record waits for two grace periods at most. The record
 * says that it is in limbo (REMOVED), so a successor goes on where its predecessor stood: what it
 * finds so is in its open batch. Only records that join() frees for being damaged, or twins, are
 * free at once.
 *
 * Not its job: TCP states (secondary/tcp_track), timeouts (secondary/flow_timer), packets, to know
 * who reads and when a grace period is over.
 */
#ifndef MOS_SHARED_FLOW_TABLE_H
#define MOS_SHARED_FLOW_TABLE_H

#include "shared/flow_table/flow.h"

#define MOS_FLOW_NONE    UINT32_MAX /* no record */
#define MOS_FLOW_CAP_MAX (1u << 24)

struct mos_flow_table_hdr; /* in shared memory */
struct mos_flow_bucket;

/* Records that are neither in use nor free: two batches, each a chain of record numbers. */
struct mos_flow_limbo {
	bool on;          /* what is removed comes here first */
	uint32_t open;    /* first of the batch that grows, MOS_FLOW_NONE = empty */
	uint32_t waiting; /* of the batch that waits for its grace period */
	uint32_t count;   /* records in both */
	uint32_t *next;   /* heap, by record: the one behind it in its batch */
};

/* Private to the process that holds the shard; others may read capacity and count. */
struct mos_flow_table {
	struct mos_flow_table_hdr *hdr;
	struct mos_flow_bucket *buckets; /* buckets + overflow buckets */
	struct mos_flow *flows;
	uint32_t bucket_mask;
	uint32_t capacity;
	uint32_t count;     /* records in use */
	uint32_t out_count; /* of them with a second key */
	uint32_t free_count;
	uint32_t *free_slots;   /* heap: stack of free record numbers */
	uint32_t *free_buckets; /* heap: stack of free overflow buckets */
	uint32_t free_bucket_count;
	uint64_t next_id;
	struct mos_flow_limbo limbo;
	uint32_t fresh; /* records from here on were never used: free, and not on the stack */
	/* What a predecessor left: */
	uint8_t *unchecked;       /* heap, by record: 1 = it is not known what it is */
	uint32_t unchecked_count; /* of the records below fresh */
	uint32_t record_scan;     /* free records that are not on the stack lie below */
	uint32_t bucket_scan;     /* and free overflow buckets */
};

/* ---- primary ---- */

/* Bytes needed for capacity records (1..MOS_FLOW_CAP_MAX); 0 for a bad capacity. */
size_t mos_flow_table_footprint(uint32_t capacity);

/* Format mem (footprint() bytes, cache-line aligned); the magic is stored last. 0 or -EINVAL. */
int mos_flow_table_new(void *mem, uint32_t capacity);

/* ---- worker: the one that holds the shard ---- */

/*
 * Allocate what a handle needs for a table of this capacity, and touch it: 5 bytes of heap for each
 * record, and 1 for the index. 0, -EINVAL, -ENOMEM.
 */
int mos_flow_table_prepare(struct mos_flow_table *t, uint32_t capacity);

/*
 * Open a table of the capacity prepared for, to write to it. When the index is whole this takes a
 * microsecond, and what a predecessor left is unchecked; count is what that had counted until all
 * is checked. Else it takes as long as join(), and is no less than that.
 * 0, -EAGAIN (not formatted yet: try later), -EPROTO (other version or capacity, or damaged
 * header), -ENOSPC (mem_len too small). *mended receives how many torn records were mended.
 */
int mos_flow_table_adopt(struct mos_flow_table *t, void *mem, size_t mem_len, uint32_t *mended);

/*
 * Find out what a record is, and make it what join() would: before anything but its key is
 * believed. Some 0.1 us.
 */
enum mos_flow_found {
	MOS_FLOW_FREE,   /* it was free, or is so now */
	MOS_FLOW_FOUND,  /* in use and sound */
	MOS_FLOW_MENDED, /* in use: it was torn */
};
enum mos_flow_found mos_flow_table_check(struct mos_flow_table *t, uint32_t slot);

static inline bool mos_flow_table_is_checked(const struct mos_flow_table *t, uint32_t slot)
{
	return !t->unchecked[slot];
}

/*
 * Open the table, of any capacity, and recover whatever a predecessor, or anybody, left in the
 * records; of the index nothing is believed:
 *   - torn, but in use: its seqcount becomes even and it is MOS_FLOW_SUSPECT and MOS_FLOW_TORN; the
 *     key is whole, any other member may be half changed (but states and window scales are in
 *     range);
 *   - not sane (state, window scale, IP version or id out of range): freed;
 *   - two of one connection: the one with the newer id stays;
 *   - two that expect their servers' packets from the same place, or a second key that is not
 *     sane: it stays with the one with the newer id, or with none;
 *   - more than 64 entries with one home bucket: the rest is freed.
 * What the indices in a record (ports) mean is not known here: check them before use. Takes time
 * linear in the capacity (about 35 ms for 1 M flows). 0, or -errno of prepare and adopt. *mended
 * may be NULL.
 */
int mos_flow_table_join(struct mos_flow_table *t, void *mem, size_t mem_len, uint32_t *mended);

/* Give back the heap memory. The shared memory stays as it is. */
void mos_flow_table_leave(struct mos_flow_table *t);

/*
 * Start bringing the bucket of hash near; then, some work later, the first lines of the records it
 * names: MOS_FLOW_LINES, or MOS_FLOW_LINES_STREAM where streams are read. For a burst at a time;
 * test/bench/bench_flow_table.c shows what it saves.
 */
#define MOS_FLOW_LINES        3
#define MOS_FLOW_LINES_STREAM 4
void mos_flow_table_prefetch_bucket(const struct mos_flow_table *t, uint32_t hash);
uint32_t mos_flow_table_prefetch_flow(const struct mos_flow_table *t, uint32_t hash,
                                      unsigned lines);

/*
 * Find the flow of a packet with this key; *side becomes the side that sent it, MOS_CLI or MOS_SVR.
 * Returns the record number, or MOS_FLOW_NONE.
 */
uint32_t mos_flow_table_lookup(const struct mos_flow_table *t, const struct mos_flow_key *key,
                               uint32_t hash, int *side);

/*
 * Add a flow whose client sends with this key. The record is zeroed but for key, hash, flags, id,
 * and seqcount, which is even on return. The caller has looked it up before: duplicates are not
 * checked. If another flow's second key is this one, the new flow does not know its server until
 * mos_flow_table_set_out() says that it goes out so. Returns the record number, or MOS_FLOW_NONE,
 * and nothing changed, when the table is full or has 64 entries in this hash's home bucket already,
 * which a secret hash seed leaves to theory.
 */
uint32_t mos_flow_table_insert(struct mos_flow_table *t, const struct mos_flow_key *key,
                               uint32_t hash);

/*
 * The record that the next insert will take; MOS_FLOW_NONE when the table is full, or next to it and
 * not all of it is checked.
 */
uint32_t mos_flow_table_next_free(struct mos_flow_table *t);

/*
 * From now on the flow's server sees its client send as `out`: the second key, taken from whoever
 * has it. The flow's own key makes it a flow with one key again. A writer that dies in here leaves
 * the flow as it was, as it is to be, or without its second key. 0, or -ENOSPC and nothing changed:
 * the home bucket of out_hash has 64 entries.
 */
int mos_flow_table_set_out(struct mos_flow_table *t, uint32_t slot, const struct mos_flow_key *out,
                           uint32_t out_hash);

/*
 * Remove a flow in use that is checked. Its record number may be given out again by the next
 * insert; with limbo.on, after a grace period.
 */
void mos_flow_table_remove(struct mos_flow_table *t, uint32_t slot);

/* From now on, what is removed goes to limbo, or is free at once. */
static inline void mos_flow_limbo_set(struct mos_flow_table *t, bool on)
{
	t->limbo.on = on;
}

/* A batch waits: mos_flow_limbo_free() may have it when its grace period is over. */
static inline bool mos_flow_limbo_waits(const struct mos_flow_table *t)
{
	return t->limbo.waiting != MOS_FLOW_NONE;
}

/*
 * Close the open batch. True when it waits from now on: a grace period is to begin. False, and
 * nothing changed, when it is empty or another one waits.
 */
bool mos_flow_limbo_close(struct mos_flow_table *t);

/* Give back up to max records of the waiting batch. Nobody looks at them any more. */
void mos_flow_limbo_free(struct mos_flow_table *t, uint32_t max);

/* The record of a number below the capacity. */
static inline struct mos_flow *mos_flow_at(const struct mos_flow_table *t, uint32_t slot)
{
	return &t->flows[slot];
}

/*
 * Walk the flows in use: start with slot = 0, then pass the returned number + 1.
 * MOS_FLOW_NONE at the end.
 */
uint32_t mos_flow_table_next(const struct mos_flow_table *t, uint32_t slot);

/* ---- any process ---- */

/* What another process sees: the records, without an index. NULL if the header is not sound. */
const struct mos_flow *mos_flow_table_records(const void *mem, size_t mem_len, uint32_t *capacity);

/*
 * Copy a record that its writer may be changing. True when the copy is whole and in use; false
 * when it is free, or was torn in each of a bounded number of tries; *out is then undefined.
 */
bool mos_flow_snapshot(struct mos_flow *out, const struct mos_flow *f);

#endif
