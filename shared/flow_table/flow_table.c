#include "shared/flow_table/flow_table.h"

#include <errno.h>

#include "shared/flow_table/flow_index.h"
#include "shared/flow_table/flow_limbo.h"
#include "shared/flow_table/flow_out.h"
#include "shared/flow_table/flow_table_layout.h"
#include "shared/kill_point/kill_point.h"
#include "shared/bytes.h"

/* Tries of a reader. A writer that is not descheduled inside a change is done within a few. */
#define SNAPSHOT_TRIES 64

/* Words of a record: what a reader copies at a time. */
#define FLOW_WORDS (sizeof(struct mos_flow) / sizeof(uint64_t))

static size_t buckets_offset(void)
{
	return sizeof(struct mos_flow_table_hdr);
}

static size_t flows_offset(uint32_t capacity)
{
	size_t buckets = (size_t)mos_flow_homes(capacity) + mos_flow_overflows(capacity);

	return buckets_offset() + buckets * sizeof(struct mos_flow_bucket);
}

size_t mos_flow_table_footprint(uint32_t capacity)
{
	if (capacity < 1 || capacity > MOS_FLOW_CAP_MAX)
		return 0;
	return flows_offset(capacity) + capacity * sizeof(struct mos_flow);
}

int mos_flow_table_new(void *mem, uint32_t capacity)
{
	struct mos_flow_table_hdr *hdr = mem;
	size_t bytes = mos_flow_table_footprint(capacity);

	if (!mem || (uintptr_t)mem % MOS_CACHE_LINE || !bytes)
		return -EINVAL;
	__atomic_store_n(&hdr->magic, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE); /* nobody finds half a table under an old magic */
	memset((uint8_t *)mem + sizeof(hdr->magic), 0, bytes - sizeof(hdr->magic));
	hdr->version = MOS_FLOW_TABLE_VERSION;
	hdr->capacity = capacity;
	hdr->bytes = bytes;
	hdr->next_id = 1;
	hdr->whole = mos_flow_table_seal(hdr); /* an index without entries is whole */
	__atomic_store_n(&hdr->magic, MOS_FLOW_TABLE_MAGIC, __ATOMIC_RELEASE); /* pairs with open */
	return 0;
}

int mos_flow_table_open(const void *mem, size_t mem_len, uint32_t *capacity, size_t *flows)
{
	const struct mos_flow_table_hdr *hdr = mem;
	uint64_t magic;
	uint32_t cap;

	if (mem_len < sizeof(*hdr))
		return -ENOSPC;
	magic = __atomic_load_n(&hdr->magic, __ATOMIC_ACQUIRE); /* pairs with new */
	if (magic == 0)
		return -EAGAIN;
	cap = __atomic_load_n(&hdr->capacity, __ATOMIC_RELAXED); /* once: checked is what is used */
	if (magic != MOS_FLOW_TABLE_MAGIC || hdr->version != MOS_FLOW_TABLE_VERSION ||
	    mos_flow_table_footprint(cap) == 0 || hdr->bytes != mos_flow_table_footprint(cap))
		return -EPROTO;
	if (mem_len < mos_flow_table_footprint(cap))
		return -ENOSPC;
	*capacity = cap;
	*flows = flows_offset(cap);
	return 0;
}

void mos_flow_table_prefetch_bucket(const struct mos_flow_table *t, uint32_t hash)
{
	mos_prefetch(&t->buckets[mos_flow_home(mos_flow_spread(hash), t->bucket_mask)]);
}

uint32_t mos_flow_table_prefetch_flow(const struct mos_flow_table *t, uint32_t hash, unsigned lines)
{
	uint64_t spread = mos_flow_spread(hash);
	const struct mos_flow_bucket *b = &t->buckets[mos_flow_home(spread, t->bucket_mask)];
	unsigned match = mos_bucket_match(b, mos_flow_tag(spread));
	uint32_t slot = MOS_FLOW_NONE;

	for (; match; match &= match - 1) {
		uint32_t entry = b->slot[__builtin_ctz(match)];
		const struct mos_flow *f;

		slot = entry & ~MOS_ENTRY_OUT;
		f = &t->flows[slot];
		for (unsigned line = 0; line < lines; line++)
			mos_prefetch((const uint8_t *)f + line * MOS_CACHE_LINE);
		if (mos_unlikely(entry & MOS_ENTRY_OUT))
			mos_prefetch(&f->out);
	}
	return slot;
}

/* A key as words that are compared: in registers during a lookup. */
struct key_words {
	uint64_t src[2], dst[2];
	uint32_t ports; /* source and destination: the other direction's is rotated by 16 bits */
	uint32_t rest;  /* VLAN and IP version */
};
static_assert(offsetof(struct mos_flow_key, src_port_be) == 32 &&
                      offsetof(struct mos_flow_key, vlan) == 36,
              "two 32-bit words");

static inline struct key_words words_of(const struct mos_flow_key *key)
{
	return (struct key_words){
		.src = {mos_load64(key->src), mos_load64(key->src + 8)},
		.dst = {mos_load64(key->dst), mos_load64(key->dst + 8)},
		.ports = mos_load32(&key->src_port_be),
		.rest = mos_load32(&key->vlan),
	};
}

/*
 * Whether the key is that of the flow, in either direction. Without a branch per direction: which
 * one a packet takes is as good as random.
 */
static inline bool matches(const struct key_words *k, const struct mos_flow_key *key, int *side)
{
	struct key_words o = words_of(key);
	uint32_t ports_back = k->ports << 16 | k->ports >> 16;
	uint64_t forward = (k->src[0] ^ o.src[0]) | (k->src[1] ^ o.src[1]) |
	                   (k->dst[0] ^ o.dst[0]) | (k->dst[1] ^ o.dst[1]) | (k->ports ^ o.ports);
	uint64_t reverse = (k->src[0] ^ o.dst[0]) | (k->src[1] ^ o.dst[1]) |
	                   (k->dst[0] ^ o.src[0]) | (k->dst[1] ^ o.src[1]) | (ports_back ^ o.ports);

	if (((forward != 0) & (reverse != 0)) | (k->rest != o.rest))
		return false;
	*side = forward ? MOS_SVR : MOS_CLI;
	return true;
}

/* Whether the key is this one reversed. */
static inline bool is_reverse(const struct key_words *k, const struct mos_flow_key *key)
{
	struct mos_flow_key back;
	struct key_words o;

	mos_flow_key_reverse(&back, key);
	o = words_of(&back);
	return memcmp(k, &o, sizeof(o)) == 0;
}

/*
 * Whether an entry of the index is that of a packet with this key. A flow with two keys does not
 * know its server by the first, and has an entry of its own for the second. In garbage, entries
 * name records that are free.
 */
static inline bool entry_matches(const struct key_words *k, const struct mos_flow *f, bool out,
                                 int *side)
{
	if (mos_unlikely(out)) {
		*side = MOS_SVR;
		return (f->flags & MOS_FLOW_IN_USE) && mos_flow_has_out(f) &&
		       is_reverse(k, &f->out);
	}
	return mos_likely(matches(k, &f->key, side)) && mos_likely(f->flags & MOS_FLOW_IN_USE) &&
	       (*side == MOS_CLI || mos_likely(!(f->flags & MOS_FLOW_TWO_KEYS)));
}

uint32_t mos_flow_table_lookup(const struct mos_flow_table *t, const struct mos_flow_key *key,
                               uint32_t hash, int *side)
{
	uint64_t spread = mos_flow_spread(hash);
	uint16_t tag = mos_flow_tag(spread);
	uint32_t at = mos_flow_home(spread, t->bucket_mask);
	unsigned left = MOS_BUCKET_CHAIN_MAX;
	struct key_words k = words_of(key);

	do {
		const struct mos_flow_bucket *b = &t->buckets[at];
		unsigned match = mos_bucket_match(b, tag);

		for (; match; match &= match - 1) {
			uint32_t entry = b->slot[__builtin_ctz(match)];
			uint32_t slot = entry & ~MOS_ENTRY_OUT;

			if (mos_likely(slot < t->fresh) &&
			    mos_likely(entry_matches(&k, &t->flows[slot], entry & MOS_ENTRY_OUT,
			                             side)))
				return slot;
		}
		at = mos_bucket_next(t, b);
	} while (mos_unlikely(at) && --left);
	return MOS_FLOW_NONE;
}

uint32_t mos_flow_table_insert(struct mos_flow_table *t, const struct mos_flow_key *key,
                               uint32_t hash)
{
	uint8_t flags = MOS_FLOW_IN_USE;
	struct mos_flow *f;
	uint32_t slot;

	slot = mos_flow_table_next_free(t);
	if (slot == MOS_FLOW_NONE)
		return MOS_FLOW_NONE;
	mos_flow_index_begin(t);
	if (!mos_flow_index_add(t, hash, slot)) {
		mos_flow_index_end(t);
		return MOS_FLOW_NONE;
	}
	mos_kill_point("insert.indexed");
	t->free_count--;
	t->count++;

	f = &t->flows[slot];
	mos_flow_write_begin(f);
	f->key = *key;
	f->hash = hash;
	mos_kill_point("insert.key");
	memset(f->state, 0, sizeof(f->state));
	f->strikes = 0;
	f->last_seen_ms = 0;
	f->id = t->next_id++;
	memset(f->half, 0, sizeof(*f) - offsetof(struct mos_flow, half));
	mos_flow_write_end(f);
	mos_kill_point("insert.whole");
	if (mos_unlikely(t->out_count != 0) &&
	    mos_flow_find_out(t, slot, key, hash) != MOS_FLOW_NONE)
		flags |= MOS_FLOW_TWO_KEYS; /* and none: the server's packets are another flow's */
	/* Last: to a successor, a record without IN_USE was never there. */
	__atomic_store_n(&f->flags, flags, __ATOMIC_RELEASE);
	mos_kill_point("insert.in_use");
	mos_flow_index_end(t);
	return slot;
}

void mos_flow_table_remove(struct mos_flow_table *t, uint32_t slot)
{
	struct mos_flow *f = &t->flows[slot];
	bool two_keys;

	assert(slot < t->capacity);
	assert(f->flags & MOS_FLOW_IN_USE);
	/*
	 * First: the record is free before anything says so. The fence in write_begin keeps the
	 * next insert behind it.
	 */
	two_keys = mos_flow_has_out(f);
	mos_flow_index_begin(t);
	__atomic_store_n(&f->flags, t->limbo.on ? MOS_FLOW_REMOVED : 0, __ATOMIC_RELEASE);
	mos_kill_point("remove.free");
	mos_flow_index_del(t, f->hash, slot);
	mos_kill_point("remove.unindexed");
	if (mos_unlikely(two_keys)) {
		t->out_count -= mos_flow_index_del(t, f->out_hash, slot | MOS_ENTRY_OUT);
		mos_kill_point("remove.second");
	}
	if (mos_unlikely(t->limbo.on))
		mos_flow_limbo_add(t, slot);
	else
		mos_flow_free_put(t, slot);
	t->count--;
	mos_flow_index_end(t);
}

uint32_t mos_flow_table_next(const struct mos_flow_table *t, uint32_t slot)
{
	for (; slot < t->fresh; slot++)
		if (t->flows[slot].flags & MOS_FLOW_IN_USE)
			return slot;
	return MOS_FLOW_NONE;
}

const struct mos_flow *mos_flow_table_records(const void *mem, size_t mem_len, uint32_t *capacity)
{
	size_t flows;

	if (mos_flow_table_open(mem, mem_len, capacity, &flows) != 0)
		return NULL;
	return (const void *)((const uint8_t *)mem + flows);
}

bool mos_flow_snapshot(struct mos_flow *out, const struct mos_flow *f)
{
	const uint64_t *from = (const void *)f;
	uint64_t *to = (void *)out;

	for (int tries = 0; tries < SNAPSHOT_TRIES; tries++) {
		/* Pairs with write_end: of what came before it, all is seen. */
		uint32_t before = __atomic_load_n(&f->seqcount, __ATOMIC_ACQUIRE);

		if (!(__atomic_load_n(&f->flags, __ATOMIC_RELAXED) & MOS_FLOW_IN_USE))
			return false;
		if (before & 1) {
			mos_pause();
			continue;
		}
		for (size_t i = 0; i < FLOW_WORDS; i++)
			to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
		/* Pairs with the fence in write_begin: a word of a change shows the counter odd. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&f->seqcount, __ATOMIC_RELAXED) == before)
			return out->flags & MOS_FLOW_IN_USE;
	}
	return false;
}
