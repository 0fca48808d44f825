#include "secondary/eal/eal_lookups.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_config.h>

#define NODE     "/sys/devices/system/node/node"
#define NODE_MAX 64

typedef int (*stat_fn)(const char *path, struct stat64 *st);
typedef int (*access_fn)(const char *path, int mode);

static _Thread_local bool cut;
static uint64_t missing; /* nodes: bit per number; within the window */

/* The next definition in the loader's order. Threads that get here together find the same one. */
static void *next_of(void **known, const char *name)
{
	void *fn = __atomic_load_n(known, __ATOMIC_RELAXED);

	if (fn == NULL) {
		fn = dlsym(RTLD_NEXT, name);
		__atomic_store_n(known, fn, __ATOMIC_RELAXED);
	}
	return fn;
}

static int real_stat(const char *path, struct stat64 *st)
{
	static void *next;
	stat_fn fn;

	*(void **)&fn = next_of(&next, "stat64");
	if (fn != NULL)
		return fn(path, st);
	errno = ENOSYS;
	return -1;
}

static int real_access(const char *path, int mode)
{
	static void *next;
	access_fn fn;

	*(void **)&fn = next_of(&next, "access");
	if (fn != NULL)
		return fn(path, mode);
	errno = ENOSYS;
	return -1;
}

static void find_missing_nodes(void)
{
	char path[sizeof(NODE) + 8];

	missing = 0;
	for (unsigned i = 0; i < NODE_MAX; i++) {
		snprintf(path, sizeof(path), NODE "%u", i);
		if (real_access(path, F_OK) != 0 && errno == ENOENT)
			missing |= UINT64_C(1) << i;
	}
}

/* Is this a path into a node that is not there? */
static bool is_in_missing_node(const char *path)
{
	const size_t len = sizeof(NODE) - 1;
	unsigned long node;
	char *end;

	if (strncmp(path, NODE, len) != 0 || path[len] < '0' || path[len] > '9')
		return false;
	node = strtoul(path + len, &end, 10);
	return *end == '/' && node < NODE_MAX && (missing >> node & 1);
}

void mos_eal_lookups_cut(void)
{
	find_missing_nodes();
	cut = true;
}

void mos_eal_lookups_restore(void)
{
	cut = false;
}

/* ---- in the place of libc's, for the whole process: hence no mos_ in their names ---- */

#define STANDS_IN __attribute__((visibility("default")))

STANDS_IN int stat64(const char *path, struct stat64 *st)
{
	if (cut && strcmp(path, RTE_EAL_PMD_PATH) == 0) {
		errno = ENOENT;
		return -1;
	}
	return real_stat(path, st);
}

STANDS_IN int access(const char *path, int mode)
{
	if (cut && is_in_missing_node(path)) {
		errno = ENOENT;
		return -1;
	}
	return real_access(path, mode);
}
