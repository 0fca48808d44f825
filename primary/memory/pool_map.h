/*
 * Which addresses are packets of the pool: one bit per cache line of the span of its objects.
 *
 * A worker hands back mbuf pointers through shared memory. One that crashed, or is no friend, may
 * have put anything there; an address that is no mbuf of the pool must not even be read. Objects
 * start at cache lines, but their spacing has gaps where the pool's memory is not contiguous, so a
 * range and a modulo would not do; a bit per line is exact and stays in the L2 cache.
 *
 * Memory: the heap of the primary, about 1/512 of the pool. Filled once, then read only, by any
 * thread.
 */
#ifndef MOS_PRIMARY_POOL_MAP_H
#define MOS_PRIMARY_POOL_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/platform.h"

struct rte_mempool;

struct mos_pool_map {
	uintptr_t base;  /* first object */
	uintptr_t lines; /* cache lines from the first to the last object, inclusive */
	uint8_t *bit;    /* one per line: an object starts here */
};

/* Walk the pool. 0 or -ENOMEM. */
int mos_pool_map_create(struct mos_pool_map *m, struct rte_mempool *pool);
void mos_pool_map_destroy(struct mos_pool_map *m);

/* True when mbuf is the address of an object of the pool. Any value may be asked. */
static inline bool mos_pool_map_has(const struct mos_pool_map *m, const void *mbuf)
{
	uintptr_t off = (uintptr_t)mbuf - m->base; /* wraps to a large value below base */
	uintptr_t line = off / MOS_CACHE_LINE;

	return off % MOS_CACHE_LINE == 0 && line < m->lines && (m->bit[line / 8] >> (line % 8) & 1);
}

#endif
