/*
 * How a process becomes a worker: control socket, EAL, root, leases (shared/control says the
 * order).
 *
 * Nothing of the shared memory is touched before the primary has said WELCOME. Every failure leaves
 * one clear line in mos_last_error(). Calls are serialised by the worker's ctl_lock.
 */
#ifndef MOS_SECONDARY_ATTACH_H
#define MOS_SECONDARY_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "secondary/worker.h"

/* Attach this process: connect, HELLO, EAL, root, ATTACHED. Once per process. 0 or -errno. */
int mos_attach(struct mos_worker *w);

/* Lease a shard; preferred -1 = any. 0 or -errno (-EBUSY: no shard is free; try again later). */
int mos_attach_lease(struct mos_worker *w, int preferred, uint32_t *shard, uint32_t *epoch);

/* Tell the primary that the lease was yielded, and wait until it has taken the shard back. */
void mos_attach_release(struct mos_worker *w, uint32_t shard, uint32_t epoch);

/* Leave: close the control socket and remove what EAL left behind. */
void mos_detach(struct mos_worker *w);

/* False once the primary has closed the control socket, or died. No blocking. Any thread. */
bool mos_attach_primary_lives(int ctl_fd);

/* Set what mos_last_error() returns, and print it on standard error. Returns -err. */
int mos_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
