/*
 * The run directory /run/mos-mp/<prefix>/: made by the primary, held by a lock for as long as it
 * lives, gone when it has ended. Who holds the lock is the one primary of that prefix, so whatever
 * else lies there or in EAL's files of the prefix is stale. Main thread.
 */
#ifndef MOS_PRIMARY_RUN_DIR_H
#define MOS_PRIMARY_RUN_DIR_H

#include <stddef.h>

struct mos_run_dir {
	int lock_fd;
	char path[64];
	char lock_path[64];
};

/* Make and lock it. 0 or -errno with one line in err; -EBUSY: another primary lives there. */
int mos_run_dir_open(struct mos_run_dir *rd, const char *prefix, char *err, size_t err_len);

/* Remove lock and directory. */
void mos_run_dir_close(struct mos_run_dir *rd);

#endif
