/*
 * A sum that one thread adds to and any thread reads.
 */
#ifndef APPS_COMMON_SUM_H
#define APPS_COMMON_SUM_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic(uint64_t) sum_t;

/* Its one writer only. */
static inline void sum_add(sum_t *sum, uint64_t n)
{
	uint64_t before = atomic_load_explicit(sum, memory_order_relaxed);

	atomic_store_explicit(sum, before + n, memory_order_relaxed);
}

static inline uint64_t sum_read(const sum_t *sum)
{
	return atomic_load_explicit(sum, memory_order_relaxed);
}

#endif
