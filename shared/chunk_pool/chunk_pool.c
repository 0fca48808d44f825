#include "shared/chunk_pool/chunk_pool.h"

#include <errno.h>
#include <string.h>

#include "shared/chunk_pool/chunk_pool_layout.h"
#include "shared/kill_point/kill_point.h"

size_t mos_chunk_pool_footprint(uint32_t count)
{
	if (count < MOS_CHUNK_COUNT_MIN || count > MOS_CHUNK_COUNT_MAX)
		return 0;
	return sizeof(struct mos_chunk_pool_hdr) + (size_t)count * sizeof(struct mos_chunk);
}

int mos_chunk_pool_new(void *mem, uint32_t count)
{
	struct mos_chunk_pool_hdr *hdr = mem;
	size_t bytes = mos_chunk_pool_footprint(count);
	struct mos_chunk *chunks;

	if (!mem || (uintptr_t)mem % MOS_CACHE_LINE || !bytes)
		return -EINVAL;
	__atomic_store_n(&hdr->magic, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE); /* nobody finds half a pool under an old magic */
	memset((uint8_t *)mem + sizeof(hdr->magic), 0, sizeof(*hdr) - sizeof(hdr->magic));
	hdr->version = MOS_CHUNK_POOL_VERSION;
	hdr->count = count;
	hdr->bytes = bytes;
	/* What a free chunk holds is nobody's business: the rest may stay as it was. */
	chunks = (struct mos_chunk *)(hdr + 1);
	for (uint32_t i = 0; i < count; i++)
		chunks[i].owner = 0;
	__atomic_store_n(&hdr->magic, MOS_CHUNK_POOL_MAGIC, __ATOMIC_RELEASE); /* pairs with join */
	return 0;
}

/* ---- lists ---- */

void mos_chunk_list_add(struct mos_chunk_pool *p, mos_chunk_list *list, uint32_t chunk)
{
	uint32_t head = mos_chunk_first(p, *list);

	p->link[chunk].prev = MOS_CHUNK_NONE;
	p->link[chunk].next = head;
	if (head != MOS_CHUNK_NONE)
		p->link[head].prev = chunk;
	*list = chunk + 1;
}

void mos_chunk_list_del(struct mos_chunk_pool *p, mos_chunk_list *list, uint32_t chunk)
{
	const struct mos_chunk_link *l = &p->link[chunk];

	if (l->next != MOS_CHUNK_NONE)
		p->link[l->next].prev = l->prev;
	if (l->prev != MOS_CHUNK_NONE) {
		p->link[l->prev].next = l->next;
		return;
	}
	assert(*list == chunk + 1);
	*list = l->next == MOS_CHUNK_NONE ? 0 : l->next + 1;
}

uint32_t mos_chunk_first(const struct mos_chunk_pool *p, mos_chunk_list list)
{
	assert(list <= p->count);
	return list ? list - 1 : MOS_CHUNK_NONE;
}

uint32_t mos_chunk_next(const struct mos_chunk_pool *p, uint32_t chunk)
{
	return p->link[chunk].next;
}

/* ---- age ---- */

bool mos_chunk_has_age(const struct mos_chunk_pool *p, uint32_t chunk)
{
	return p->link[chunk].older != MOS_CHUNK_NONE || p->oldest == chunk;
}

void mos_chunk_in_order(struct mos_chunk_pool *p, uint32_t chunk)
{
	struct mos_chunk_link *l = &p->link[chunk];

	if (!mos_chunk_has_age(p, chunk))
		return;
	if (l->older != MOS_CHUNK_NONE)
		p->link[l->older].newer = l->newer;
	else
		p->oldest = l->newer;
	if (l->newer != MOS_CHUNK_NONE)
		p->link[l->newer].older = l->older;
	else
		p->newest = l->older;
	l->older = l->newer = MOS_CHUNK_NONE;
}

void mos_chunk_out_of_order(struct mos_chunk_pool *p, uint32_t chunk)
{
	if (!mos_chunk_has_age(p, chunk))
		mos_chunk_age_add(p, chunk);
}

void mos_chunk_age_add(struct mos_chunk_pool *p, uint32_t chunk)
{
	struct mos_chunk_link *l = &p->link[chunk];

	l->older = p->newest;
	l->newer = MOS_CHUNK_NONE;
	if (p->newest != MOS_CHUNK_NONE)
		p->link[p->newest].newer = chunk;
	else
		p->oldest = chunk;
	p->newest = chunk;
}

/* ---- get and put ---- */

void mos_chunk_release(struct mos_chunk_pool *p, uint32_t chunk)
{
	/* After all that relied on the bytes: whoever dies here has not given them back yet. */
	__atomic_store_n(&p->chunks[chunk].owner, 0, __ATOMIC_RELEASE);
	mos_kill_point("chunk.free");
	p->free_stack[p->free_count++] = chunk;
}

uint32_t mos_chunk_get(struct mos_chunk_pool *p, mos_chunk_list *list, uint64_t owner,
                       uint32_t flow, uint64_t page, bool out_of_order)
{
	struct mos_chunk *c;
	uint32_t chunk;

	assert(owner != 0);
	assert(page <= MOS_CHUNK_PAGE_MAX);
	if (p->free_count == 0)
		return MOS_CHUNK_NONE;
	chunk = p->free_stack[--p->free_count];
	c = &p->chunks[chunk];

	/* Without it the page could be stored before the 0 of its last owner: a chunk of lies. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	c->page = page;
	mos_kill_point("chunk.page");
	c->stamp = p->next_stamp++;
	c->flow = flow;
	memset(c->valid, 0, sizeof(c->valid));
	mos_kill_point("chunk.cleared");
	/* Last: to a successor, a chunk without owner is free. */
	__atomic_store_n(&c->owner, owner, __ATOMIC_RELEASE);
	mos_kill_point("chunk.owned");

	mos_chunk_hash_add(p, chunk);
	mos_chunk_list_add(p, list, chunk);
	p->link[chunk].older = p->link[chunk].newer = MOS_CHUNK_NONE;
	mos_kill_point("chunk.listed");
	if (out_of_order)
		mos_chunk_age_add(p, chunk);
	return chunk;
}

void mos_chunk_put(struct mos_chunk_pool *p, mos_chunk_list *list, uint32_t chunk)
{
	assert(chunk < p->count);
	assert(p->chunks[chunk].owner != 0);
	mos_chunk_in_order(p, chunk);
	mos_chunk_list_del(p, list, chunk);
	mos_chunk_hash_del(p, chunk);
	mos_kill_point("chunk.unlisted");
	mos_chunk_release(p, chunk);
}

void mos_chunk_put_all(struct mos_chunk_pool *p, mos_chunk_list *list)
{
	while (*list)
		mos_chunk_put(p, list, mos_chunk_first(p, *list));
}
