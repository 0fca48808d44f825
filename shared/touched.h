/*
 * Heap memory whose pages are there: what is needed within microseconds must not wait for the
 * kernel to find and clear them.
 */
#ifndef MOS_SHARED_TOUCHED_H
#define MOS_SHARED_TOUCHED_H

#include <stdint.h>
#include <stdlib.h>

#define MOS_PAGE_BYTES 4096 /* the smallest there are */

/* As calloc(): zeroed; free() it. */
static inline void *mos_alloc_touched(size_t count, size_t size)
{
	volatile unsigned char *p = calloc(count, size);

	for (size_t i = 0; p != NULL && i < count * size; i += MOS_PAGE_BYTES)
		p[i] = 0;
	return (void *)(uintptr_t)p;
}

#endif
