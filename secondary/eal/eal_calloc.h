/*
 * Keeps rte_eal_init() of a worker out of the shared heap.
 *
 * In every process rte_eal_init() calls rte_service_init(), which takes two blocks from the heap in
 * shared memory. A worker killed later leaks them, a worker killed in that moment leaves the heap
 * locked and perhaps torn. Both blocks are private to the process by nature, and both come from
 * rte_calloc(), which librte_eal calls through its PLT. So libmos defines rte_calloc() as well:
 * while the calling thread is inside the window it serves process memory, at any other time it is
 * the real one.
 *
 * The loader takes libmos's definition where libmos comes before librte_eal in the search order:
 * a program that links libmos. Where it does not (a program linking DPDK first), the real one is
 * called and all works, with the leak. A version script must not give rte_calloc a version other
 * than DPDK's own.
 *
 * rte_free() needs no twin: each block follows a zeroed element header, which the heap refuses
 * ("Invalid memory") without touching anything.
 */
#ifndef MOS_SECONDARY_EAL_CALLOC_H
#define MOS_SECONDARY_EAL_CALLOC_H

/* Open and close the window for the calling thread. */
void mos_eal_calloc_divert(void);
void mos_eal_calloc_restore(void);

#endif
