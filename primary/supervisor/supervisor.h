/*
 * The supervisor thread: lets workers in, notices their deaths, gives shards to successors.
 *
 *   epoll: control socket, one connection and one pidfd per worker, wake_fd, a timer
 *
 *   event                          action
 *   connection                     HELLO checked; WELCOME when nobody else attaches
 *   LEASE                          a free shard (the wanted one first) -> LEASED, map SERVED
 *   RELEASE (lease YIELDING)       rings checked, lease FREE, map HELD or UNSERVED
 *   pidfd readable                 the process is gone: each lease it held is repaired (primary/crash)
 *   attach deadline                a worker that does not finish attaching is killed
 *   hold time over                 map UNSERVED; the I/O lcore drains the ring by the fail policy
 *   heartbeat stands, packets wait stall: logged, counted; after stall_kill the worker is killed
 *
 * It is the only thread that changes leases and the shard map. It reports on standard output, one
 * line per event, in the words that scripts and tests look for:
 *
 *   mos-primary: worker pid P attached (slot N)
 *   mos-primary: shard S: served by pid P
 *   mos-primary: shard S: pid P gave it back
 *   mos-primary: shard S: worker pid P died (SIGKILL)... rescued R, waiting W, suspect yes|no, recovered M
 *   mos-primary: shard S: without a worker for T ms
 */
#ifndef MOS_PRIMARY_SUPERVISOR_H
#define MOS_PRIMARY_SUPERVISOR_H

#include <stddef.h>

struct mos_primary;
struct mos_supervisor;

/*
 * Create run directory entries and start the thread. The caller holds the run-directory lock and
 * has formatted root and shards. 0 or -errno with one clear line in err.
 */
int mos_supervisor_start(struct mos_supervisor **out, struct mos_primary *p, char *err,
			 size_t err_len);

/*
 * End it: tells the workers (root->run has been set by the caller), waits up to grace_ms for them
 * to leave, resolves the leases of those that died, removes the socket.
 */
void mos_supervisor_stop(struct mos_supervisor *s, unsigned grace_ms);

/* True when at least one lease is held. Any thread of the primary. */
unsigned mos_supervisor_served(const struct mos_supervisor *s);

#endif
