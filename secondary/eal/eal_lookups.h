/*
 * Keeps rte_eal_init() of a worker from two searches that take most of its time, while a shard
 * whose worker has died waits for the next one.
 *
 *   drivers      EAL loads all libraries of its driver directory, more than a hundred. A worker
 *                probes no device and touches no mempool: it needs none.
 *   NUMA nodes   for each of 128 possible processors EAL looks into 32 possible nodes, of which
 *                there are one or two
 *
 * EAL asks by stat64() and access(), which librte_eal calls through its PLT, so libmos defines them
 * as well, as it does rte_calloc(): eal_calloc.h says when the loader takes them. While the calling
 * thread is in the window, the driver directory is not there, and no file is looked for in a node
 * that is known to be missing. All other answers, and all at any other time, are the real ones.
 */
#ifndef MOS_SECONDARY_EAL_LOOKUPS_H
#define MOS_SECONDARY_EAL_LOOKUPS_H

/* Open and close the window for the calling thread. One at a time in a process. */
void mos_eal_lookups_cut(void);
void mos_eal_lookups_restore(void);

#endif
