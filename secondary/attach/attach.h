/*
 * How a process becomes a worker: control socket, EAL, root, leases (shared/control says the
 * order).
 *
 * Nothing of the shared memory is touched before the primary has said WELCOME. Every failure leaves
 * one clear line in mos_last_error().
 *
 * Several contexts of a process may wait for answers on its one socket: each finds its own by the
 * context number (ctx below) and leaves those of others. Calls for one context are made by one
 * thread at a time.
 */
#ifndef MOS_SECONDARY_ATTACH_H
#define MOS_SECONDARY_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "secondary/worker.h"

/* Attach this process: connect, HELLO, EAL, root, ATTACHED. Once per process. 0 or -errno. */
int mos_attach(struct mos_worker *w);

/* Lease a shard; preferred -1 = any. 0 or -errno (-EBUSY: no shard is free; try again later). */
int mos_attach_lease(struct mos_worker *w, uint32_t ctx, int preferred, uint32_t *shard,
                     uint32_t *epoch);

/*
 * Claim a shard that another holds: from a process id, or MOS_CTL_FROM_DEAD; preferred as above.
 * Does not wait. Then wait for it, up to timeout_ms each time: 0 and the lease; -EAGAIN, not yet;
 * -EPIPE, the primary is gone, or -ESHUTDOWN, it stops, which the caller may tell; else there is
 * none to come. Or give up: what came meanwhile is given back.
 */
int mos_attach_claim(struct mos_worker *w, uint32_t ctx, int32_t from, int preferred);
int mos_attach_await(struct mos_worker *w, uint32_t ctx, int timeout_ms, uint32_t *shard,
                     uint32_t *epoch);
void mos_attach_give_up(struct mos_worker *w, uint32_t ctx);

/* Tell the primary that the lease was yielded, and wait until it has taken the shard back. */
void mos_attach_release(struct mos_worker *w, uint32_t ctx, uint32_t shard, uint32_t epoch);

/* Leave: close the control socket and remove what EAL left behind. */
void mos_detach(struct mos_worker *w);

/* False once the primary has closed the control socket, or died. No blocking. Any thread. */
bool mos_attach_primary_lives(int ctl_fd);

/* Set what mos_last_error() returns, and print it on standard error. Returns -err. */
int mos_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
