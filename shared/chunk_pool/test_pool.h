/*
 * The bench of the chunk pool's tests: a few flows with two streams each, in place of the records
 * of a flow table, and what must hold of every pool that was just opened or used.
 */
#ifndef MOS_TEST_POOL_H
#define MOS_TEST_POOL_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "shared/chunk_pool/chunk_pool.h"
#include "shared/chunk_pool/chunk_pool_layout.h"
#include "shared/test_rng.h"
#include "shared/test_twice.h"

enum { FLOWS = 5, STREAMS = 2 * FLOWS };

/* Stream n is side n % 2 of flow record n / 2. */
struct streams {
	mos_chunk_list list[STREAMS];
	uint64_t edge[STREAMS]; /* pages from here on are out of order */
};

static inline uint32_t flow_of(uint32_t n)
{
	return n / 2;
}

static inline uint64_t owner_of(uint32_t n)
{
	return mos_chunk_owner(100 + flow_of(n), (int)(n % 2));
}

/* A mos_chunk_keep: what belongs to a stream that exists is good. */
static inline mos_chunk_list *keep_known(void *arg, const struct mos_chunk *c, bool *out_of_order)
{
	struct streams *s = arg;
	uint32_t n = 2 * c->flow + (c->owner & 1);

	must(!*out_of_order);
	must(c->owner != 0 && c->page <= MOS_CHUNK_PAGE_MAX);
	if (c->flow >= FLOWS || c->owner != owner_of(n))
		return NULL;
	*out_of_order = c->page >= s->edge[n];
	return &s->list[n];
}

static inline uint32_t get_n(struct mos_chunk_pool *p, struct streams *s, uint32_t n, uint64_t page)
{
	return mos_chunk_get(p, &s->list[n], owner_of(n), flow_of(n), page, page >= s->edge[n]);
}

static inline uint32_t lookup_n(const struct mos_chunk_pool *p, uint32_t n, uint64_t page)
{
	return mos_chunk_lookup(p, owner_of(n), flow_of(n), page);
}

/* By the stamps, as they were taken: after a join, and until mos_chunk_out_of_order. */
static inline void check_age_is_by_stamp(const struct mos_chunk_pool *p)
{
	for (uint32_t c = p->oldest; c != p->newest; c = p->link[c].newer)
		must(p->chunks[c].stamp <= p->chunks[p->link[c].newer].stamp);
}

/* Open a pool in memory that is known to be good. */
static inline void join_or_die(struct mos_chunk_pool *p, void *mem, size_t len, struct streams *s)
{
	uint32_t adopted;

	memset(s->list, 0, sizeof(s->list));
	must(mos_chunk_pool_join(p, mem, len, keep_known, s, &adopted) == 0);
	must(adopted == p->count - p->free_count);
	check_age_is_by_stamp(p);
}

/* Walk a stream's list: note its chunks in seen[]. Returns how many. */
static inline uint32_t check_list(const struct mos_chunk_pool *p, const struct streams *s,
                                  uint32_t n, uint8_t *seen)
{
	uint32_t before = MOS_CHUNK_NONE, length = 0;

	for (uint32_t c = mos_chunk_first(p, s->list[n]); c != MOS_CHUNK_NONE;
	     c = mos_chunk_next(p, c)) {
		must(c < p->count);
		must(seen[c]++ == 0);
		must(p->link[c].prev == before);
		must(mos_chunk_at(p, c)->owner == owner_of(n));
		must(mos_chunk_at(p, c)->flow == flow_of(n));
		must(lookup_n(p, n, mos_chunk_at(p, c)->page) == c);
		before = c;
		length++;
	}
	return length;
}

/* Oldest first, alike in both directions; all of them are in use. */
static inline uint32_t check_age(const struct mos_chunk_pool *p, const uint8_t *seen)
{
	uint32_t older = MOS_CHUNK_NONE, length = 0;

	for (uint32_t c = p->oldest; c != MOS_CHUNK_NONE; c = p->link[c].newer) {
		must(++length <= p->count);
		must(seen[c] == 1);
		must(p->link[c].older == older);
		must(mos_chunk_has_age(p, c));
		older = c;
	}
	must(p->newest == older);
	return length;
}

/* Every chunk is free, or in one list and in the hash exactly once. Returns how many have an age. */
static inline uint32_t check_sound(const struct mos_chunk_pool *p, const struct streams *s)
{
	uint8_t *seen = calloc(p->count, 1);
	uint32_t used = 0, entries = 0, aged;

	for (uint32_t n = 0; n < STREAMS; n++)
		used += check_list(p, s, n, seen);
	must(used + p->free_count == p->count);
	for (uint32_t at = 0; at <= p->hash_mask; at++)
		entries += p->hash[at] != 0;
	must(entries == used);
	aged = check_age(p, seen);
	for (uint32_t i = 0; i < p->free_count; i++) {
		must(p->free_stack[i] < p->count);
		must(p->chunks[p->free_stack[i]].owner == 0);
		must(seen[p->free_stack[i]]++ == 0);
	}
	free(seen);
	return aged;
}

#endif
