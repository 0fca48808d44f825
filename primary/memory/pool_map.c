#include "primary/memory/pool_map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <rte_mempool.h>

struct span {
	uintptr_t first, last;
};

static void widen(struct rte_mempool *pool, void *arg, void *obj, unsigned i)
{
	struct span *s = arg;
	uintptr_t a = (uintptr_t)obj;

	if (a < s->first)
		s->first = a;
	if (a > s->last)
		s->last = a;
}

static void mark(struct rte_mempool *pool, void *arg, void *obj, unsigned i)
{
	struct mos_pool_map *m = arg;
	uintptr_t off = (uintptr_t)obj - m->base;
	uintptr_t line = off / MOS_CACHE_LINE;

	assert(off % MOS_CACHE_LINE == 0);
	m->bit[line / 8] |= (uint8_t)(1u << (line % 8));
}

int mos_pool_map_create(struct mos_pool_map *m, struct rte_mempool *pool)
{
	struct span s = {.first = UINTPTR_MAX, .last = 0};

	rte_mempool_obj_iter(pool, widen, &s);
	assert(s.first <= s.last);
	m->base = s.first;
	m->lines = (s.last - s.first) / MOS_CACHE_LINE + 1;
	m->bit = calloc(m->lines / 8 + 1, 1);
	if (m->bit == NULL)
		return -ENOMEM;
	rte_mempool_obj_iter(pool, mark, m);
	return 0;
}

void mos_pool_map_destroy(struct mos_pool_map *m)
{
	free(m->bit);
	*m = (struct mos_pool_map){0};
}
