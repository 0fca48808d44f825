/*
 * What the locks tell the rest of primary/eal; their calls are in eal_primary.h. Internal.
 */
#ifndef MOS_PRIMARY_EAL_LOCKS_H
#define MOS_PRIMARY_EAL_LOCKS_H

#include <stdbool.h>

/* Did mos_eal_locks_mend() ever free a heap lock? Then the heap may be torn. */
bool mos_eal_heap_is_suspect(void);

#endif
