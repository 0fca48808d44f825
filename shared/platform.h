/*
 * The few things that depend on compiler and processor, in one place.
 */
#ifndef MOS_SHARED_PLATFORM_H
#define MOS_SHARED_PLATFORM_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define MOS_CACHE_LINE    64
#define MOS_CACHE_ALIGNED __attribute__((aligned(MOS_CACHE_LINE)))

/*
 * 1: nothing is noted for a successor, as if no worker ever died. For test/bench/bench_price, which
 * tells what the notes cost.
 */
#ifndef MOS_UNNOTED
#define MOS_UNNOTED 0
#endif

#define mos_likely(x)   __builtin_expect(!!(x), 1)
#define mos_unlikely(x) __builtin_expect(!!(x), 0)

/*
 * Bring the line at p near, for reading. Written as an instruction where we know it: gcc's
 * link-time optimiser takes functions that only prefetch for functions without effect, and drops
 * the calls.
 */
static inline void mos_prefetch(const void *p)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetcht0 %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 0, 3);
#endif
}

/* Wait a moment in a spin loop. */
static inline void mos_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/*
 * A counter that runs at a constant rate, cheap to read; its unit is the processor's business. For
 * benches: two reads may be reordered against the work between them by some cycles.
 */
static inline uint64_t mos_tsc(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t v;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
	return v;
#else
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
#endif
}

/* Round v up to a multiple of align (a power of two). */
static inline size_t mos_align(size_t v, size_t align)
{
	return (v + align - 1) & ~(align - 1);
}

/* Smallest power of two >= v; v in [1, 2^31]. */
static inline uint32_t mos_pow2_ceil(uint32_t v)
{
	return v <= 1 ? 1 : 1u << (32 - __builtin_clz(v - 1));
}

#endif
