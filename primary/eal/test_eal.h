/*
 * EAL for tests and benchmarks: a process of its own, without PCI, with a file prefix that nobody
 * else has. What it leaves on disk goes when the process exits.
 */
#ifndef MOS_PRIMARY_TEST_EAL_H
#define MOS_PRIMARY_TEST_EAL_H

#include <stddef.h>

/*
 * Start EAL with these arguments besides its own. Once, in main. name: of the test, part of the
 * file prefix. Returns 0, or -1: EAL has said why.
 */
int test_eal_init(const char *name, char *const *args, size_t arg_count);

/* The same for a test: small pages, so many MB, CPU 0. Exits with 77 where that cannot be had. */
void test_eal_start(const char *name, char *mbytes);

#endif
