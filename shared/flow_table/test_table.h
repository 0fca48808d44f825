/*
 * The bench of the flow table's tests: memory mapped twice at different addresses, keys by number,
 * and what must hold of every table that was just opened or used.
 */
#ifndef MOS_TEST_TABLE_H
#define MOS_TEST_TABLE_H

#include <check.h>
#include <stdlib.h>

#include "shared/flow_table/flow_table.h"
#include "shared/flow_table/flow_table_layout.h"
#include "shared/packet/hash.h"
#include "shared/test_rng.h"
#include "shared/test_twice.h"

/* Key number n, as its client sends; even numbers are IPv4, odd ones IPv6. */
static inline struct mos_flow_key key_of(uint32_t n)
{
	struct mos_flow_key k = {.vlan = (uint16_t)(n % 3), .ip_version = n & 1 ? 6 : 4};

	k.src[10] = k.src[11] = k.dst[10] = k.dst[11] = n & 1 ? 0x20 : 0xff;
	memcpy(&k.src[12], &n, sizeof(n));
	k.dst[15] = (uint8_t)(n % 5);
	k.src_port_be = (uint16_t)(n * 7);
	k.dst_port_be = 0x5000;
	return k;
}

static inline struct mos_flow_key reverse_of(struct mos_flow_key k)
{
	struct mos_flow_key r;

	mos_flow_key_reverse(&r, &k);
	return r;
}

static inline uint32_t hash_of(uint32_t n)
{
	struct mos_flow_key k = key_of(n);

	return mos_hash_join(mos_hash_end6(k.src, k.src_port_be, 42),
	                     mos_hash_end6(k.dst, k.dst_port_be, 42));
}

static inline uint32_t insert_n(struct mos_flow_table *t, uint32_t n)
{
	struct mos_flow_key k = key_of(n);

	return mos_flow_table_insert(t, &k, hash_of(n));
}

static inline uint32_t lookup_n(const struct mos_flow_table *t, uint32_t n)
{
	struct mos_flow_key k = key_of(n);
	int side = -1;
	uint32_t slot = mos_flow_table_lookup(t, &k, hash_of(n), &side);

	if (slot != MOS_FLOW_NONE)
		must(side == MOS_CLI);
	return slot;
}

/* Walk one chain: note its entries in seen[]. Returns how many; *length grows by its buckets. */
static inline uint32_t check_chain(const struct mos_flow_table *t, uint32_t home, uint8_t *seen,
                                   uint32_t *length)
{
	uint32_t entries = 0, buckets = 0, at = home;

	do {
		const struct mos_flow_bucket *b = &t->buckets[at];
		unsigned used = ~mos_bucket_match(b, 0) & 0xff;

		buckets++;
		must(buckets <= MOS_BUCKET_CHAIN_MAX);
		must((used & (used + 1)) == 0); /* from the front */
		must(at == home || used);       /* no empty overflow bucket */
		must(!b->next || used == 0xff); /* full but for the last */
		for (unsigned i = 0; used >> i; i++) {
			uint32_t slot = b->slot[i] & ~MOS_ENTRY_OUT;
			bool out = b->slot[i] & MOS_ENTRY_OUT;
			const struct mos_flow *f = &t->flows[slot];
			uint64_t spread = mos_flow_spread(out ? f->out_hash : f->hash);

			must(slot < t->fresh);
			must(!(seen[slot] & 1u << out));
			must(!out || mos_flow_has_out(f));
			seen[slot] |= 1u << out;
			must(mos_flow_home(spread, t->bucket_mask) == home);
			must(mos_flow_tag(spread) == b->tag[i]);
			entries++;
		}
		at = b->next;
	} while (at);
	*length += buckets;
	return entries;
}

/* What one flow's client and another's server send alike is either's. */
static inline bool sends(const struct mos_flow *f, const struct mos_flow_key *key)
{
	return memcmp(&f->key, key, sizeof(*key)) == 0;
}

static inline bool answers(const struct mos_flow *f, const struct mos_flow_key *key)
{
	struct mos_flow_key back = reverse_of(*key);

	return memcmp(f->flags & MOS_FLOW_TWO_KEYS ? &f->out : &f->key, &back, sizeof(back)) == 0;
}

/* The record is one that may be in use, and can be found from both sides. */
static inline void check_record(const struct mos_flow_table *t, uint32_t slot)
{
	const struct mos_flow *f = &t->flows[slot];
	struct mos_flow_key back = reverse_of(f->key);
	uint32_t found;
	int side;

	must(f->seqcount % 2 == 0);
	must(f->state[0] <= 10);
	must(f->state[1] <= 10);
	must(f->key.ip_version == 4 || f->key.ip_version == 6);
	must(f->id < t->next_id);
	found = mos_flow_table_lookup(t, &f->key, f->hash, &side);
	must(found == slot || answers(&t->flows[found], &f->key));
	if (!(f->flags & MOS_FLOW_TWO_KEYS)) {
		found = mos_flow_table_lookup(t, &back, f->hash, &side);
		must(found == slot || sends(&t->flows[found], &back));
	} else if (mos_flow_has_out(f)) {
		must(f->out.ip_version == 4 || f->out.ip_version == 6);
		back = reverse_of(f->out);
		found = mos_flow_table_lookup(t, &back, f->out_hash, &side);
		must(found == slot || sends(&t->flows[found], &back));
	}
}

/* Free overflow buckets of a predecessor that were not looked for yet. */
static inline uint32_t free_buckets_below(const struct mos_flow_table *t)
{
	uint32_t count = 0;

	for (uint32_t at = t->bucket_mask + 1; at < t->bucket_scan; at++)
		count += mos_bucket_match(&t->buckets[at], 0) == 0xff;
	return count;
}

/* Every record is free or in use and in the index exactly once, and all counts agree. */
static inline void check_sound(const struct mos_flow_table *t)
{
	uint8_t *seen = calloc(t->capacity, 1);
	uint32_t entries = 0, buckets = 0, walked = 0, outs = 0;

	for (uint32_t home = 0; home <= t->bucket_mask; home++)
		entries += check_chain(t, home, seen, &buckets);
	must(entries == t->count + t->out_count);
	must(buckets + t->free_bucket_count + free_buckets_below(t) ==
	     t->bucket_mask + 1 + mos_flow_overflows(t->capacity));
	for (uint32_t s = mos_flow_table_next(t, 0); s != MOS_FLOW_NONE;
	     s = mos_flow_table_next(t, s + 1)) {
		must(seen[s] == (mos_flow_has_out(mos_flow_at(t, s)) ? 3 : 1));
		outs += seen[s] >> 1;
		check_record(t, s);
		walked++;
	}
	must(walked == t->count && outs == t->out_count);
	must(t->count + t->free_count + t->limbo.count == t->fresh && t->fresh <= t->capacity);
	must(t->unchecked_count == 0);
	for (uint32_t i = 0; i < t->free_count; i++) {
		must(t->free_slots[i] < t->fresh);
		must(seen[t->free_slots[i]]++ == 0);
	}
	free(seen);
}

/* Open a table in memory that is known to be good. */
static inline void join_or_die(struct mos_flow_table *t, void *mem, size_t len, uint32_t *mended)
{
	must(mos_flow_table_join(t, mem, len, mended) == 0);
}

/* Take over, as a worker does: what is whole stays as it is, until each record is met. */
static inline void adopt_or_die(struct mos_flow_table *t, void *mem, size_t len, uint32_t *mended)
{
	uint32_t capacity;
	size_t flows;

	must(mos_flow_table_open(mem, len, &capacity, &flows) == 0);
	must(mos_flow_table_prepare(t, capacity) == 0);
	must(mos_flow_table_adopt(t, mem, len, mended) == 0);
}

/* Check all that is left. Returns how many torn records were mended. */
static inline uint32_t check_rest(struct mos_flow_table *t)
{
	uint32_t mended = 0;

	for (uint32_t s = 0; s < t->fresh; s++)
		mended += mos_flow_table_check(t, s) == MOS_FLOW_MENDED;
	must(t->unchecked_count == 0);
	return mended;
}

/* Change a record as a packet would; afterwards all these fields agree. */
static inline void change(struct mos_flow *f)
{
	mos_flow_write_begin(f);
	f->last_seen_ms++;
	f->half[0].snd_nxt++;
	f->half[1].rcv_nxt++;
	f->packets[0]++;
	f->bytes[1]++;
	mos_flow_write_end(f);
}

static inline bool agrees(const struct mos_flow *f, uint64_t count)
{
	return f->last_seen_ms == count && f->half[0].snd_nxt == count &&
	       f->half[1].rcv_nxt == count && f->packets[0] == count && f->bytes[1] == count;
}

#endif
