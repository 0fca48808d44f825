/*
 * Opening a pool that somebody else may have left in the middle of anything.
 *
 * A chunk survives when it has an owner, makes sense, and the caller says so. Hash, lists, age and
 * the next stamp are worked out from the chunks alone, and all that is stored in shared memory is a
 * 0 in owner words: a worker that dies in here leaves its successor no worse off.
 */
#include "shared/chunk_pool/chunk_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "shared/chunk_pool/chunk_pool_layout.h"
#include "shared/kill_point/kill_point.h"

#define RADIX 256 /* one byte of the stamp at a time */

/* Of two that hold the same page, the first one taken stays. */
static bool stays(const struct mos_chunk_pool *p, uint32_t a, uint32_t b)
{
	return p->chunks[a].stamp < p->chunks[b].stamp;
}

static void adopt(struct mos_chunk_pool *p, uint32_t chunk, mos_chunk_keep keep, void *arg)
{
	struct mos_chunk *c = &p->chunks[chunk];
	mos_chunk_list *list = NULL;
	bool out_of_order = false;
	uint32_t twin;

	if (c->owner != 0 && c->page <= MOS_CHUNK_PAGE_MAX)
		list = keep(arg, c, &out_of_order);
	if (list == NULL) {
		mos_chunk_release(p, chunk);
		return;
	}
	twin = mos_chunk_lookup(p, c->owner, c->flow, c->page);
	if (twin != MOS_CHUNK_NONE && stays(p, twin, chunk)) {
		mos_chunk_release(p, chunk);
		return;
	}
	if (twin != MOS_CHUNK_NONE)
		mos_chunk_put(p, list, twin);
	if (c->stamp >= p->next_stamp) /* may wrap in garbage: then the order of age suffers */
		p->next_stamp = c->stamp + 1;
	mos_kill_point("adopt.chunk");
	mos_chunk_hash_add(p, chunk);
	mos_chunk_list_add(p, list, chunk);
	p->link[chunk].older = p->link[chunk].newer = MOS_CHUNK_NONE;
	if (out_of_order)
		mos_chunk_age_add(p, chunk);
}

/* Deal the chunks with an age by one byte of their stamps and take them up again, in order. */
static void sort_pass(struct mos_chunk_pool *p, unsigned shift)
{
	uint32_t head[RADIX], tail[RADIX], next;

	memset(head, 0xff, sizeof(head)); /* MOS_CHUNK_NONE */
	for (uint32_t c = p->oldest; c != MOS_CHUNK_NONE; c = next) {
		unsigned digit = p->chunks[c].stamp >> shift & (RADIX - 1);

		next = p->link[c].newer;
		if (head[digit] == MOS_CHUNK_NONE)
			head[digit] = c;
		else
			p->link[tail[digit]].newer = c;
		tail[digit] = c;
		p->link[c].newer = MOS_CHUNK_NONE;
	}
	p->oldest = p->newest = MOS_CHUNK_NONE;
	for (unsigned digit = 0; digit < RADIX; digit++) {
		for (uint32_t c = head[digit]; c != MOS_CHUNK_NONE; c = next) {
			next = p->link[c].newer;
			mos_chunk_age_add(p, c);
		}
	}
}

/* Oldest first. A pass for each byte in which the stamps differ, so the time is linear. */
static void sort_age(struct mos_chunk_pool *p)
{
	uint64_t differ = 0;

	if (p->oldest == MOS_CHUNK_NONE)
		return;
	for (uint32_t c = p->oldest; c != MOS_CHUNK_NONE; c = p->link[c].newer)
		differ |= p->chunks[c].stamp ^ p->chunks[p->oldest].stamp;
	for (unsigned shift = 0; shift < 64; shift += 8)
		if (differ >> shift & (RADIX - 1))
			sort_pass(p, shift);
}

/* Check the header as far as mem_len reaches. 0 and *count, or -errno as from join. */
static int check_header(const void *mem, size_t mem_len, uint32_t *count)
{
	const struct mos_chunk_pool_hdr *hdr = mem;
	uint64_t magic;
	uint32_t n;

	if (mem_len < sizeof(*hdr))
		return -ENOSPC;
	magic = __atomic_load_n(&hdr->magic, __ATOMIC_ACQUIRE); /* pairs with new */
	if (magic == 0)
		return -EAGAIN;
	n = __atomic_load_n(&hdr->count, __ATOMIC_RELAXED); /* once: checked is what is used */
	if (magic != MOS_CHUNK_POOL_MAGIC || hdr->version != MOS_CHUNK_POOL_VERSION ||
	    mos_chunk_pool_footprint(n) == 0 || hdr->bytes != mos_chunk_pool_footprint(n))
		return -EPROTO;
	if (mem_len < mos_chunk_pool_footprint(n))
		return -ENOSPC;
	*count = n;
	return 0;
}

/* Secret from the network, and another one in each process. */
static uint64_t new_seed(const struct mos_chunk_pool *p)
{
	uint64_t seed;

	/* It fails only while the machine boots. The address is some secret, too. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = (uintptr_t)p->link;
	return seed;
}

bool mos_chunk_pool_sound(const void *mem, size_t mem_len)
{
	uint32_t count;

	return check_header(mem, mem_len, &count) == 0;
}

int mos_chunk_pool_join(struct mos_chunk_pool *p, void *mem, size_t mem_len, mos_chunk_keep keep,
                        void *arg, uint32_t *adopted)
{
	uint32_t count, size;
	int rc;

	assert(mem && (uintptr_t)mem % MOS_CACHE_LINE == 0);
	rc = check_header(mem, mem_len, &count);
	if (rc)
		return rc;

	memset(p, 0, sizeof(*p));
	size = mos_chunk_hash_size(count);
	p->free_stack = malloc(count * sizeof(*p->free_stack));
	p->hash = calloc(size, sizeof(*p->hash));
	p->link = malloc(count * sizeof(*p->link));
	if (!p->free_stack || !p->hash || !p->link) {
		mos_chunk_pool_leave(p);
		return -ENOMEM;
	}
	p->hdr = mem;
	p->chunks = (struct mos_chunk *)(p->hdr + 1);
	p->count = count;
	p->hash_mask = size - 1;
	p->hash_seed = new_seed(p);
	p->oldest = p->newest = MOS_CHUNK_NONE;
	p->next_stamp = 1;
	/* From the last to the first: so the free stack hands out low numbers first. */
	while (count-- > 0)
		adopt(p, count, keep, arg);
	mos_kill_point("adopt.chunks");
	sort_age(p);
	if (adopted)
		*adopted = p->count - p->free_count;
	return 0;
}

void mos_chunk_pool_leave(struct mos_chunk_pool *p)
{
	free(p->free_stack);
	free(p->hash);
	free(p->link);
	memset(p, 0, sizeof(*p));
}
