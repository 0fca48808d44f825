/*
 * What both sides have to know of the host before EAL runs: its runtime directory and our CPUs.
 *
 * EAL keeps the files that tie primary and secondaries together in
 *
 *   /var/run/dpdk/PREFIX/{config, hugepage_info, mp_socket, mp_socket_PID_TSC, fbarray_*, ...}
 *
 * unless RUNTIME_DIRECTORY is set (systemd does that for a unit), which moves the directory. One
 * side under systemd and the other in a shell would never meet, so both hide that variable from
 * EAL. Both run as root: for others EAL would look elsewhere.
 *
 * No memory of its own. Not its job: to call EAL.
 */
#ifndef MOS_SHARED_EAL_HOST_H
#define MOS_SHARED_EAL_HOST_H

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOS_EAL_RUN_FMT "/var/run/dpdk/%s" /* the argument is the file prefix */

#define MOS_EAL_PATH_LEN 256  /* enough for any path below it, with NUL */
#define MOS_EAL_CPUS_LEN 4096 /* enough for any list of CPUs, with NUL */

/* Environment variable: log level of DPDK (error, warning, notice, info, debug), for stderr. */
#define MOS_ENV_EAL_LOG "MOS_EAL_LOG"

/* May this be a file prefix? It becomes part of paths: letters, digits, "_-."; no leading dot. */
static inline bool mos_eal_prefix_ok(const char *prefix)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-.";
	size_t len = prefix ? strlen(prefix) : 0;

	return len > 0 && len < 64 && prefix[0] != '.' && strspn(prefix, allowed) == len;
}

/*
 * Write the CPUs that the calling thread may run on as EAL's --lcores takes them: "0-3,6".
 * Any process. Returns 0, -ENOSPC when buf is too short, or what sched_getaffinity said.
 */
static inline int mos_eal_cpus(char *buf, size_t len)
{
	cpu_set_t set;
	size_t used = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		return -errno;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		int first = cpu, n;

		if (!CPU_ISSET(cpu, &set))
			continue;
		while (cpu + 1 < CPU_SETSIZE && CPU_ISSET(cpu + 1, &set))
			cpu++;
		n = snprintf(buf + used, len - used, first == cpu ? "%s%d" : "%s%d-%d",
		             used ? "," : "", first, cpu);
		if (n < 0 || (size_t)n >= len - used)
			return -ENOSPC;
		used += (size_t)n;
	}
	return 0;
}

/*
 * Take RUNTIME_DIRECTORY out of the environment; the result (NULL if it was not set) goes to
 * mos_eal_env_show. The environment is only touched where the variable is set: other threads
 * might be reading it.
 */
static inline char *mos_eal_env_hide(void)
{
	const char *value = getenv("RUNTIME_DIRECTORY");
	char *saved = value ? strdup(value) : NULL;

	if (saved)
		unsetenv("RUNTIME_DIRECTORY");
	return saved;
}

/* Put back what mos_eal_env_hide took out, and free it. */
static inline void mos_eal_env_show(char *saved)
{
	if (saved)
		setenv("RUNTIME_DIRECTORY", saved, 1);
	free(saved);
}

#endif
