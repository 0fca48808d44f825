#include "secondary/eal/eal_calloc.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_malloc.h>

#include "shared/platform.h"

/* Zeroed bytes before each block, more than an element header of the heap (128). */
#define HEADER_LEN 256

typedef void *(*calloc_fn)(const char *type, size_t num, size_t size, unsigned int align);

static _Thread_local bool diverted;

void mos_eal_calloc_divert(void)
{
	diverted = true;
}

void mos_eal_calloc_restore(void)
{
	diverted = false;
}

static void *process_calloc(size_t num, size_t size, unsigned int align)
{
	size_t len, lead, total;
	char *mem;

	if (align < MOS_CACHE_LINE)
		align = MOS_CACHE_LINE;
	lead = mos_align(HEADER_LEN, align);
	if (!rte_is_power_of_2(align) || __builtin_mul_overflow(num, size, &len) ||
	    __builtin_add_overflow(len, lead + align, &total))
		return NULL;
	total = mos_align(lead + len, align);
	mem = aligned_alloc(align, total);
	if (!mem)
		return NULL;
	memset(mem, 0, total);
	return mem + lead;
}

/* Takes the place of EAL's rte_calloc for the whole process, hence no mos_ in its name. */
__attribute__((visibility("default"))) void *rte_calloc(const char *type, size_t num, size_t size,
                                                        unsigned int align)
{
	static calloc_fn next;
	calloc_fn fn;

	if (diverted)
		return process_calloc(num, size, align);

	fn = __atomic_load_n(&next, __ATOMIC_RELAXED);
	if (!fn) {
		/* Threads that get here together find the same function. */
		*(void **)&fn = dlsym(RTLD_NEXT, "rte_calloc");
		if (!fn)
			return NULL;
		__atomic_store_n(&next, fn, __ATOMIC_RELAXED);
	}
	return fn(type, num, size, align);
}
