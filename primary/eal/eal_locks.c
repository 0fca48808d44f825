/*
 * The structure of EAL's shared config is private to it. What is public: calls that take one of its
 * locks, and code of ours that runs while it is held (lock/unlock pairs, a walk's callback, a
 * stream that a dump writes to). So each lock is found as the word that differs from a copy of the
 * config taken at rest. No offset is compiled in.
 */
#include "primary/eal/eal_locks.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_eal_memconfig.h>
#include <rte_fbarray.h>
#include <rte_malloc.h>
#include <rte_memory.h>
#include <rte_memzone.h>

#include "primary/eal/eal_primary.h"

#define LOCK_MAX     256
#define WATCH_ROUNDS 20 /* looks at a lock, 1 ms apart, before it counts as left */
#define LEARN_TRIES  10 /* more, 1 ms apart, while others take locks beside us */

enum lock_kind { LOCK_CONFIG, LOCK_HEAP };

static struct lock {
	uint32_t *word; /* 0 = free, for spinlocks and rwlocks alike */
	enum lock_kind kind;
} locks[LOCK_MAX];
static unsigned int lock_count;
static bool heap_suspect;

/* The config in memory and a copy of it at rest. Only set while learning. */
static struct {
	uint32_t *words;
	uint32_t *rest;
	size_t count;
	unsigned int found;  /* by the probe that runs */
	enum lock_kind kind; /* of what it looks for */
} cfg;

bool mos_eal_heap_is_suspect(void)
{
	return heap_suspect;
}

static void add_lock(uint32_t *word, enum lock_kind kind)
{
	for (unsigned int i = 0; i < lock_count; i++)
		if (locks[i].word == word)
			return;
	if (lock_count < LOCK_MAX)
		locks[lock_count++] = (struct lock){word, kind};
}

/* The file's mapping in this process. Its path is resolved: /var/run is mostly a link. */
static int find_config(void)
{
	char file[PATH_MAX], path[PATH_MAX], line[PATH_MAX + 128];
	int rc = -ENOENT;
	FILE *maps;

	snprintf(file, sizeof(file), "%s/config", rte_eal_get_runtime_dir());
	if (!realpath(file, path))
		return -errno;
	maps = fopen("/proc/self/maps", "re");
	if (!maps)
		return -errno;
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		char *name = strchr(line, '/');

		line[strcspn(line, "\n")] = '\0';
		if (!name || strcmp(name, path) != 0 ||
		    sscanf(line, "%lx-%lx rw-s", &start, &end) != 2)
			continue;
		cfg.words = (uint32_t *)start;
		cfg.count = (end - start) / sizeof(uint32_t);
		rc = 0;
		break;
	}
	fclose(maps);
	return rc;
}

/* Called with a lock held: what was 0 at rest and is not now is that lock. */
static void note_changes(void)
{
	for (size_t i = 0; i < cfg.count; i++) {
		if (__atomic_load_n(&cfg.words[i], __ATOMIC_RELAXED) == cfg.rest[i])
			continue;
		cfg.found += cfg.rest[i] == 0 ? 1 : LOCK_MAX;
		add_lock(&cfg.words[i], cfg.kind);
	}
}

static void on_memzone(const struct rte_memzone *mz, void *arg)
{
	note_changes();
}

static ssize_t on_dump(void *cookie, const char *buf, size_t len)
{
	note_changes();
	return (ssize_t)len;
}

static int probe_hotplug(void)
{
	rte_mcfg_mem_write_lock();
	note_changes();
	rte_mcfg_mem_write_unlock();
	return 0;
}

static int probe_tailq(void)
{
	rte_mcfg_tailq_write_lock();
	note_changes();
	rte_mcfg_tailq_write_unlock();
	return 0;
}

static int probe_mempool(void)
{
	rte_mcfg_mempool_write_lock();
	note_changes();
	rte_mcfg_mempool_write_unlock();
	return 0;
}

static int probe_timer(void)
{
	rte_mcfg_timer_lock();
	note_changes();
	rte_mcfg_timer_unlock();
	return 0;
}

static int probe_memzone(void)
{
	rte_memzone_walk(on_memzone, NULL);
	return 0;
}

/* Unbuffered, so that each line is written while its heap is locked. */
static int probe_heaps(void)
{
	static const cookie_io_functions_t io = {.write = on_dump};
	FILE *f = fopencookie(NULL, "w", io);

	if (!f)
		return -ENOMEM;
	setvbuf(f, NULL, _IONBF, 0);
	rte_malloc_dump_heaps(f);
	fclose(f);
	return 0;
}

/* Each probe must find exactly one word, and one per heap for the heaps. */
static const struct probe {
	int (*run)(void);
	enum lock_kind kind;
} probes[] = {
	{probe_hotplug, LOCK_CONFIG}, {probe_tailq, LOCK_CONFIG},   {probe_mempool, LOCK_CONFIG},
	{probe_timer, LOCK_CONFIG},   {probe_memzone, LOCK_CONFIG}, {probe_heaps, LOCK_HEAP},
};

static int run_probe(const struct probe *p)
{
	unsigned int before = lock_count;
	int rc;

	cfg.found = 0;
	cfg.kind = p->kind;
	rc = p->run();
	if (rc)
		return rc;
	if (p->kind == LOCK_CONFIG && lock_count != before + 1)
		return -ENOTSUP;
	return cfg.found > 0 && cfg.found < LOCK_MAX ? 0 : -ENOTSUP;
}

/* The arrays of segments have a lock each; struct rte_fbarray is public. */
static int add_segment_list(const struct rte_memseg_list *msl, void *arg)
{
	add_lock((uint32_t *)(uintptr_t)&msl->memseg_arr.rwlock, LOCK_CONFIG);
	return 0;
}

/* The array of memzones is in the config too; it is known by its name and its element size. */
static void add_memzone_array(void)
{
	static const char name[RTE_FBARRAY_NAME_LEN] = "memzone";
	size_t len = cfg.count * sizeof(uint32_t);

	for (size_t at = 0; at + sizeof(struct rte_fbarray) <= len; at += sizeof(uint64_t)) {
		struct rte_fbarray *arr = (void *)((char *)cfg.words + at);

		if (memcmp(arr->name, name, sizeof(name)) == 0 &&
		    arr->elt_sz == sizeof(struct rte_memzone) && arr->len == RTE_MAX_MEMZONE)
			add_lock((uint32_t *)(uintptr_t)&arr->rwlock, LOCK_CONFIG);
	}
}

static int learn(void)
{
	const struct rte_memzone *probe_zone;
	int rc = find_config();

	lock_count = 0;
	if (rc)
		return rc;
	/* The walk needs a memzone to call us for. */
	probe_zone = rte_memzone_reserve("mos_eal_probe", 64, SOCKET_ID_ANY, 0);
	cfg.rest = malloc(cfg.count * sizeof(uint32_t));
	if (!probe_zone || !cfg.rest) {
		rc = -ENOMEM;
		goto out;
	}
	memcpy(cfg.rest, cfg.words, cfg.count * sizeof(uint32_t));
	for (size_t i = 0; !rc && i < RTE_DIM(probes); i++)
		rc = run_probe(&probes[i]);
	add_memzone_array();
	rte_memseg_list_walk(add_segment_list, NULL);
out:
	free(cfg.rest);
	cfg.rest = NULL;
	if (probe_zone)
		rte_memzone_free(probe_zone);
	if (rc)
		lock_count = 0;
	return rc ? rc : (int)lock_count;
}

int mos_eal_locks_learn(void)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	int rc = learn();

	/* A driver that allocates meanwhile, in EAL's interrupt thread, makes a lock look like two. */
	for (int i = 0; rc == -ENOTSUP && i < LEARN_TRIES; i++) {
		nanosleep(&pause, NULL);
		rc = learn();
	}
	return rc;
}

/* Has the word of each lock the same value that is not "free" for all the time we watch? */
static unsigned int watch(uint32_t *seen)
{
	const struct timespec ms = {.tv_nsec = 1000000};
	unsigned int stuck = 0;

	for (unsigned int i = 0; i < lock_count; i++) {
		seen[i] = __atomic_load_n(locks[i].word, __ATOMIC_RELAXED);
		stuck += seen[i] != 0;
	}
	for (unsigned int round = 0; stuck && round < WATCH_ROUNDS; round++) {
		nanosleep(&ms, NULL);
		stuck = 0;
		for (unsigned int i = 0; i < lock_count; i++) {
			if (__atomic_load_n(locks[i].word, __ATOMIC_RELAXED) != seen[i])
				seen[i] = 0;
			stuck += seen[i] != 0;
		}
	}
	return stuck;
}

int mos_eal_locks_mend(void)
{
	uint32_t seen[LOCK_MAX];
	int mended = 0;

	if (watch(seen) == 0)
		return 0;
	for (unsigned int i = 0; i < lock_count; i++) {
		/* Release: the next holder must see what the dead one wrote. */
		if (seen[i] == 0 ||
		    !__atomic_compare_exchange_n(locks[i].word, &seen[i], 0, false,
		                                 __ATOMIC_RELEASE, __ATOMIC_RELAXED))
			continue;
		mended++;
		if (locks[i].kind == LOCK_HEAP)
			heap_suspect = true;
	}
	return mended;
}
