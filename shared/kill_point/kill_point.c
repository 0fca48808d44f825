#include "shared/kill_point/kill_point.h"

#ifdef MOS_KILL_POINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *at; /* MOS_KILL_AT, cut behind the name; NULL = none */
static atomic_ulong left;

/* Before main: the environment is read while nobody can change it. */
__attribute__((constructor)) static void learn(void)
{
	char *count;

	at = getenv("MOS_KILL_AT");
	if (at == NULL)
		return;
	at = strdup(at);
	if (at == NULL)
		abort();
	count = strchr(at, ':');
	atomic_store(&left, count != NULL ? strtoul(count + 1, NULL, 10) : 1);
	if (count != NULL)
		*count = '\0';
}

void mos_kill_point_reached(const char *name)
{
	if (at == NULL || strcmp(at, name) != 0)
		return;
	if (atomic_fetch_sub(&left, 1) == 1)
		kill(getpid(), SIGKILL);
}

#endif
