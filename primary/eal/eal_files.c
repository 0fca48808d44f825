#include "primary/eal/eal_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "primary/eal/eal_primary.h"
#include "shared/eal_host/eal_host.h"

#define HUGE_SIZE_MAX 8 /* page sizes, more than any processor has */
#define HUGE_SYS      "/sys/kernel/mm/hugepages"

/* One page size that is mounted. */
struct huge {
	uint64_t page_kb;
	char mount[MOS_EAL_PATH_LEN];
};

static uint64_t read_number(const char *path)
{
	uint64_t v = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	if (fscanf(f, "%" SCNu64, &v) != 1)
		v = 0;
	fclose(f);
	return v;
}

/* Of the kernel's default page size, which a mount without pagesize= has. */
static uint64_t default_page_kb(void)
{
	char line[128];
	uint64_t kb = 0;
	FILE *f = fopen("/proc/meminfo", "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Hugepagesize: %" SCNu64, &kb) == 1)
			break;
	fclose(f);
	return kb;
}

static uint64_t mount_page_kb(const struct mntent *m)
{
	const char *opt = hasmntopt(m, "pagesize");
	uint64_t size;
	char *unit;

	if (!opt || !(opt = strchr(opt, '=')))
		return default_page_kb();
	size = strtoull(opt + 1, &unit, 10);
	switch (*unit) {
	case 'G': return size << 20;
	case 'M': return size << 10;
	case 'K': return size;
	default: return size >> 10;
	}
}

/* Call fn for each hugetlbfs mount. Returns how many there are. */
static unsigned int for_each_mount(void (*fn)(const struct huge *h, void *arg), void *arg)
{
	char buf[4096];
	struct mntent m;
	unsigned int n = 0;
	FILE *f = setmntent("/proc/mounts", "re");

	if (!f)
		return 0;
	while (getmntent_r(f, &m, buf, sizeof(buf))) {
		struct huge h;

		if (strcmp(m.mnt_type, "hugetlbfs") != 0 || strlen(m.mnt_dir) >= sizeof(h.mount))
			continue;
		h.page_kb = mount_page_kb(&m);
		snprintf(h.mount, sizeof(h.mount), "%s", m.mnt_dir);
		fn(&h, arg);
		n++;
	}
	endmntent(f);
	return n;
}

/* What there is, over all page sizes that are mounted. */
struct supply {
	uint64_t free_kb;
	uint64_t page_kb; /* the smallest size; the advice is given in it */
	uint64_t seen[HUGE_SIZE_MAX];
	unsigned int seen_count;
};

static void add_supply(const struct huge *h, void *arg)
{
	struct supply *s = arg;
	char path[MOS_EAL_PATH_LEN];

	for (unsigned int i = 0; i < s->seen_count; i++)
		if (s->seen[i] == h->page_kb)
			return;
	if (h->page_kb == 0 || s->seen_count == HUGE_SIZE_MAX)
		return;
	s->seen[s->seen_count++] = h->page_kb;
	snprintf(path, sizeof(path), HUGE_SYS "/hugepages-%" PRIu64 "kB/free_hugepages",
	         h->page_kb);
	s->free_kb += read_number(path) * h->page_kb;
	if (s->page_kb == 0 || h->page_kb < s->page_kb)
		s->page_kb = h->page_kb;
}

int mos_eal_check_hugepages(uint32_t mem_mb, char *err, size_t err_len)
{
	uint64_t need_kb = (uint64_t)mem_mb << 10, pages;
	char path[MOS_EAL_PATH_LEN];
	struct supply s = {0};

	for_each_mount(add_supply, &s);
	if (s.page_kb == 0) {
		snprintf(err, err_len,
		         "no hugetlbfs is mounted; mount it: mkdir -p /dev/hugepages && "
		         "mount -t hugetlbfs nodev /dev/hugepages");
		return -ENOENT;
	}
	need_kb = (need_kb + s.page_kb - 1) / s.page_kb * s.page_kb;
	if (s.free_kb >= need_kb)
		return 0;

	snprintf(path, sizeof(path), HUGE_SYS "/hugepages-%" PRIu64 "kB/nr_hugepages", s.page_kb);
	pages = read_number(path) + (need_kb - s.free_kb + s.page_kb - 1) / s.page_kb;
	snprintf(err, err_len,
	         "%" PRIu64 " MB of hugepages are needed and %" PRIu64
	         " MB are free; reserve more: echo %" PRIu64 " > %s",
	         need_kb >> 10, s.free_kb >> 10, pages, path);
	return -ENOMEM;
}

/* Removing. */

struct wipe {
	const char *file_prefix;
	unsigned int removed;
};

/* Is it PREFIXmap_N? Another prefix cannot produce the same name. */
static bool is_hugepage_file(const char *name, const char *file_prefix)
{
	size_t len = strlen(file_prefix);

	if (strncmp(name, file_prefix, len) != 0 || strncmp(name + len, "map_", 4) != 0)
		return false;
	name += len + 4;
	return *name && strspn(name, "0123456789") == strlen(name);
}

static void wipe_mount(const struct huge *h, void *arg)
{
	struct wipe *w = arg;
	struct dirent *e;
	DIR *dir = opendir(h->mount);

	if (!dir)
		return;
	while ((e = readdir(dir)))
		if (is_hugepage_file(e->d_name, w->file_prefix) &&
		    unlinkat(dirfd(dir), e->d_name, 0) == 0)
			w->removed++;
	closedir(dir);
}

static DIR *open_runtime_dir(const char *file_prefix, char *path, size_t len)
{
	if (!mos_eal_prefix_ok(file_prefix))
		return NULL;
	snprintf(path, len, MOS_EAL_RUN_FMT, file_prefix);
	return opendir(path);
}

/* A living primary, ours or any other DPDK program's, holds a record lock on its config. */
static bool primary_lives(const char *file_prefix)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[MOS_EAL_PATH_LEN];
	bool lives;
	int fd;

	snprintf(path, sizeof(path), MOS_EAL_RUN_FMT "/config", file_prefix);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	lives = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return lives;
}

unsigned int mos_eal_primary_wipe_stale(const char *file_prefix)
{
	struct wipe w = {.file_prefix = file_prefix};
	char path[MOS_EAL_PATH_LEN];
	struct dirent *e;
	DIR *dir;

	if (!mos_eal_prefix_ok(file_prefix) || primary_lives(file_prefix))
		return 0;
	for_each_mount(wipe_mount, &w);

	dir = open_runtime_dir(file_prefix, path, sizeof(path));
	if (!dir)
		return w.removed;
	while ((e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    unlinkat(dirfd(dir), e->d_name, 0) == 0)
			w.removed++;
	closedir(dir);
	rmdir(path);
	return w.removed;
}

/* A datagram socket that nobody holds open refuses; a pid would say less (namespaces, reuse). */
static bool is_dead_socket(const char *dir, const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	bool dead;
	int fd, n;

	n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return false;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	dead = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 && errno == ECONNREFUSED;
	close(fd);
	return dead;
}

/* Whoever uses an array holds a flock on its file. */
static bool is_dead_array(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool dead;

	if (fd < 0)
		return false;
	dead = flock(fd, LOCK_EX | LOCK_NB) == 0;
	close(fd);
	return dead;
}

void mos_eal_primary_sweep(const char *file_prefix)
{
	char path[MOS_EAL_PATH_LEN];
	struct dirent *e;
	DIR *dir = open_runtime_dir(file_prefix, path, sizeof(path));

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		if ((strncmp(e->d_name, "mp_socket_", 10) == 0 &&
		     is_dead_socket(path, e->d_name)) ||
		    (strncmp(e->d_name, "fbarray_", 8) == 0 &&
		     is_dead_array(dirfd(dir), e->d_name)))
			unlinkat(dirfd(dir), e->d_name, 0);
	}
	closedir(dir);
}
