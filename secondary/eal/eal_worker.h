/*
 * Makes this process a DPDK secondary of the primary with the given file prefix.
 *
 *   WELCOME -> mos_eal_worker_init -> memzone lookup -> ATTACHED ... -> mos_eal_worker_fini
 *             |<--- the attach window: one worker at a time --->|
 *
 * Within the window EAL takes locks in shared memory that no kernel releases for a dead process:
 * the memzone lock and the memory hotplug lock. The primary mends them (primary/eal). Behind those
 * two a secondary changes nothing. What would change something is kept away from it:
 *
 *   ports   are not probed: the primary answers "none" when the vdev bus asks, and --no-pci
 *   heap    rte_service_init would take 160 KB of the shared heap, under its lock; eal_calloc.c
 *           hands it process memory instead
 *
 * Memory: the capture stream for EAL's messages and those 160 KB, from malloc, for the life of
 * the process. Not its job: the control socket, finding the root, anything after the attach.
 */
#ifndef MOS_SECONDARY_EAL_WORKER_H
#define MOS_SECONDARY_EAL_WORKER_H

#include <stddef.h>

/*
 * Attach to the running primary of file_prefix, as lcore lcore_id, which no living process of that
 * prefix may hold. Worker only, once per process, from the thread that is to be EAL's main lcore;
 * it keeps its CPU affinity, name and signal mask, and the threads that EAL starts take no signal.
 * Signals that arrive meanwhile are delivered on return. May take 5 s if the primary is stopped.
 *
 * EAL prints nothing but "EAL: FATAL" lines unless MOS_EAL_LOG names a log level.
 *
 * Returns 0, or -errno with one line in err: -EALREADY second call or EAL is in use already,
 * -EINVAL bad prefix or lcore, -EPERM not root, -ENOENT no primary (retry once there is one),
 * else what EAL reported. After a failure the process cannot try again.
 */
int mos_eal_worker_init(const char *file_prefix, unsigned int lcore_id, char *err, size_t err_len);

/*
 * Remove this process's files from EAL's runtime directory. Worker, any thread, before exit; does
 * nothing without a successful init or in a forked child.
 *
 * rte_eal_cleanup() is left out on purpose: in a secondary it walks the buses, which is known to
 * reset devices of the primary, and it would unmap rings that other threads may still poll. All it
 * would gain is given back by the exit itself.
 */
void mos_eal_worker_fini(void);

#endif
