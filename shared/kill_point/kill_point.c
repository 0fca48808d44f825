#include "shared/kill_point/kill_point.h"

#ifdef MOS_KILL_POINTS

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of the section: the linker names its ends. */
extern const char __start_mos_kill_points[] __attribute__((visibility("hidden")));
extern const char __stop_mos_kill_points[] __attribute__((visibility("hidden")));

static struct mos_kill_order own;
static struct mos_kill_order *order = &own;

/* The compiler may have aligned the names: zeros lie between them. */
static void list(void)
{
	const char *at = __start_mos_kill_points;

	while (at < __stop_mos_kill_points) {
		if (*at != '\0')
			puts(at);
		at += strlen(at) + 1;
	}
	exit(EXIT_SUCCESS);
}

static void map(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	order = mmap(NULL, sizeof(*order), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (order == MAP_FAILED) {
		perror(path);
		abort();
	}
	close(fd);
}

static void take_order(const char *text)
{
	const char *count = strchrnul(text, ':');

	if ((size_t)(count - text) >= sizeof(own.name))
		abort();
	memcpy(own.name, text, (size_t)(count - text));
	own.left = *count != '\0' ? (uint32_t)strtoul(count + 1, NULL, 10) : 1;
}

/* Before main: the environment is read while nobody can change it. */
__attribute__((constructor)) static void learn(void)
{
	const char *text = getenv(MOS_KILL_ENV);

	if (text == NULL)
		return;
	if (strcmp(text, "?") == 0)
		list();
	if (text[0] == '@')
		map(text + 1);
	else
		take_order(text);
}

void mos_kill_point_reached(const char *name)
{
	if (__atomic_load_n(&order->left, __ATOMIC_ACQUIRE) == 0 || strcmp(order->name, name) != 0)
		return;
	if (__atomic_fetch_sub(&order->left, 1, __ATOMIC_RELAXED) == 1) {
		kill(getpid(), SIGKILL);
		for (;;)
			pause(); /* not one step more: the signal may reach another thread first */
	}
}

#endif
