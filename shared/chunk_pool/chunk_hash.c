/*
 * The hash of a chunk pool: open addressing, linear probing, at most half full. An entry that goes
 * is filled from behind, so there are no tombstones and a look-up never gets slower with time.
 */
#include "shared/chunk_pool/chunk_pool.h"

#include "shared/chunk_pool/chunk_pool_layout.h"
#include "shared/packet/hash.h"

/* An attacker chooses pages and, in part, ids: neither meets the other, or the table, unmixed. */
static uint32_t hash_of(const struct mos_chunk_pool *p, uint64_t owner, uint32_t flow,
                        uint64_t page)
{
	uint64_t h = mos_mix64(p->hash_seed ^ owner) + mos_mix64(~p->hash_seed ^ page) + flow;

	return (uint32_t)(mos_mix64(h) >> 32);
}

static bool is_page(const struct mos_chunk *c, uint64_t owner, uint32_t flow, uint64_t page)
{
	return c->owner == owner && c->page == page && c->flow == flow;
}

uint32_t mos_chunk_lookup(const struct mos_chunk_pool *p, uint64_t owner, uint32_t flow,
                          uint64_t page)
{
	uint32_t hash = hash_of(p, owner, flow, page);

	for (uint32_t at = hash & p->hash_mask; p->hash[at]; at = (at + 1) & p->hash_mask) {
		uint32_t chunk = p->hash[at] - 1;

		if (p->link[chunk].hash == hash && is_page(&p->chunks[chunk], owner, flow, page))
			return chunk;
	}
	return MOS_CHUNK_NONE;
}

void mos_chunk_hash_add(struct mos_chunk_pool *p, uint32_t chunk)
{
	const struct mos_chunk *c = &p->chunks[chunk];
	uint32_t hash = hash_of(p, c->owner, c->flow, c->page);
	uint32_t at = hash & p->hash_mask;

	while (p->hash[at])
		at = (at + 1) & p->hash_mask;
	p->hash[at] = chunk + 1;
	p->link[chunk].hash = hash;
}

void mos_chunk_hash_del(struct mos_chunk_pool *p, uint32_t chunk)
{
	uint32_t mask = p->hash_mask, gap = p->link[chunk].hash & mask;

	while (p->hash[gap] != chunk + 1) {
		assert(p->hash[gap]);
		gap = (gap + 1) & mask;
	}
	/* Whoever stands behind the gap and began at it or before it would not be found any more. */
	for (uint32_t at = (gap + 1) & mask; p->hash[at]; at = (at + 1) & mask) {
		uint32_t home = p->link[p->hash[at] - 1].hash & mask;

		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		p->hash[gap] = p->hash[at];
		gap = at;
	}
	p->hash[gap] = 0;
}
