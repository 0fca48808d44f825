/*
 * For tests of shared objects: the same memory at two addresses, as the process that writes and
 * one that reads see it. An object that keeps a process-local pointer shows itself here.
 */
#ifndef MOS_SHARED_TEST_TWICE_H
#define MOS_SHARED_TEST_TWICE_H

#include <sys/mman.h>
#include <unistd.h>

#include "shared/test_rng.h"

struct twice {
	void *a, *b;
	size_t len;
};

/* Map len bytes of zeroes twice. */
static inline struct twice map_twice(size_t len)
{
	int fd = memfd_create("twice", MFD_CLOEXEC);
	struct twice m = {.len = len};

	must(fd >= 0);
	must(ftruncate(fd, (off_t)len) == 0);
	m.a = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	m.b = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(m.a != MAP_FAILED && m.b != MAP_FAILED && m.a != m.b);
	close(fd);
	return m;
}

static inline void unmap_twice(struct twice *m)
{
	munmap(m->a, m->len);
	munmap(m->b, m->len);
}

#endif
