/*
 * Files that EAL leaves: hugepage files and the runtime directory. Internal to primary/eal.
 */
#ifndef MOS_PRIMARY_EAL_FILES_H
#define MOS_PRIMARY_EAL_FILES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Are mem_mb of hugepages free on mounted hugetlbfs? Returns 0, -ENOENT (nothing mounted) or
 * -ENOMEM (too few), with the command that mends it in err.
 */
int mos_eal_check_hugepages(uint32_t mem_mb, char *err, size_t err_len);

#endif
