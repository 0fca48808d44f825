/*
 * The primary's side of EAL: start, what it leaves on disk, and the locks that dead workers leave.
 *
 *   wipe_stale -> init -> locks_learn -> [worker attaches / dies: locks_mend, sweep]* ->
 *   [interrupts_halt] -> fini
 *
 * EAL's shared state lives in hugepage files PREFIXmap_N on hugetlbfs and in files below
 * /var/run/dpdk/PREFIX/. Neither goes away with its processes; this module is who removes them.
 *
 * Why workers cannot wedge us for good. Of all locks in EAL's shared config an attaching worker
 * takes three, none of which the kernel gives back for it (measured: of 800 SIGKILLs spread over
 * the attach 73 left one, with a file per segment list 27; always the hotplug lock):
 *
 *   lock                     taken for                  left behind it hangs
 *   memory hotplug  (read)   mapping the hugepages      growth of the heap, rte_eal_cleanup here
 *   memzones (write, read)   first mapping; lookups     every later attach, at once
 *   arrays' own     (read)   lookups and walks          the next memzone reserved here
 *
 * Behind them a worker only reads, so putting the lock word back to "free" is a complete repair.
 * The heap lock is the exception: no worker takes it in its attach (secondary/eal keeps it away),
 * but a program that linked DPDK ahead of libmos does, and its death can leave the heap torn. It
 * is mended too, so that later attaches go on, but mos_eal_primary_fini() then leaves the heap be.
 *
 * Memory: everything is reserved at start (mem_mb); this module keeps no state in shared memory.
 * Not its job: ports beyond their being there, memzones, pools, admitting workers one at a time.
 */
#ifndef MOS_PRIMARY_EAL_PRIMARY_H
#define MOS_PRIMARY_EAL_PRIMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mos_eal_primary_opt {
	const char *file_prefix;
	const char *const *vdevs; /* "net_af_packet0,iface=eth0", ... */
	unsigned int vdev_count;
	const char *const *pci; /* "0000:00:04.0", ...; none = PCI is not looked at */
	unsigned int pci_count;
	int cpu;         /* of the I/O lcore; -1 = wherever the calling thread may run */
	uint32_t mem_mb; /* hugepages to reserve; nothing grows later */
	bool quiet;      /* only errors on stderr; MOS_EAL_LOG overrules */
};

/* Primary, before any worker is admitted. */

/*
 * Remove what a dead primary of this prefix left: its hugepage files and its runtime directory.
 * Call before init, only while holding the lock of the run directory. Does nothing if another
 * DPDK program runs as primary of that prefix; init fails then. Workers of the dead one keep their
 * mappings until they end. Returns how many files it removed.
 */
unsigned int mos_eal_primary_wipe_stale(const char *file_prefix);

/*
 * Start EAL as primary, main lcore 0 = the calling thread, which keeps its signal mask; EAL's own
 * threads take no signal. Checks first what people get wrong (root, hugetlbfs, free hugepages) and
 * afterwards that each device became a port; then hides the ports from workers: a secondary asks
 * the primary for its virtual devices, and the answer is from now on "none".
 *
 * Returns 0, or -errno with one line in err that says what to do: -EINVAL options, -EPERM not
 * root, -ENOENT no hugetlbfs mounted, -ENOMEM too few free hugepages, -ENODEV a device that
 * did not come up, else what EAL reported. After -EINVAL/-EPERM/-ENOENT/-ENOMEM it may be called
 * again; later errors are final for this process.
 */
int mos_eal_primary_init(const struct mos_eal_primary_opt *opt, char *err, size_t err_len);

/*
 * Learn where EAL's shared locks are: take each by a public call and see which word of the config
 * changes. After init, before the first worker. Returns how many were found (> 0), or -errno:
 * -ENOENT the config is not mapped from its file, -ENOTSUP a lock that is not one word.
 */
int mos_eal_locks_learn(void);

/* Primary, supervisor, while nobody attaches. */

/*
 * Free the locks that a dead worker left: those whose word is not "free" and stands still for
 * 20 ms, which no living holder makes it do. Returns how many were freed; 0 takes no time.
 */
int mos_eal_locks_mend(void);

/*
 * Remove the files of dead workers (mp_socket_*, fbarray_*) from the runtime directory. While nobody
 * attaches: whether an array is in use its flock says, which its maker takes only after making the
 * file, and fails if we are just trying it.
 */
void mos_eal_primary_sweep(const char *file_prefix);

/* Primary, at the end. */

/*
 * Have EAL's interrupt thread handle nothing any more, from the return of this call to the end of
 * the process. Some drivers, net_memif is one, leave handlers registered when their ports are
 * closed, with all that these use in memory that is freed then and unmapped in the end. Somebody who
 * connects to its socket, or one late look of the thread at its list, would be a SIGSEGV.
 *
 * From the thread that called init, more than once if need be. Nobody may wait for an interrupt
 * afterwards, as net_iavf does when it is closed. 0, -ETIMEDOUT when a handler kept the thread for
 * 10 s, or -errno; then it may still run, and handlers must find their memory in place.
 */
int mos_eal_interrupts_halt(void);

/*
 * Stop EAL and leave nothing behind: no hugepage file, no runtime directory. From the thread that
 * called init, when ports are closed and no other thread uses DPDK memory: it is unmapped. Locks
 * of dead workers are mended first, or EAL would wait for them, and interrupts are halted. When
 * they cannot be, memory stays mapped until the process ends.
 */
void mos_eal_primary_fini(void);

#endif
