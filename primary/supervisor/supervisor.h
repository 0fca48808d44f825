/*
 * The supervisor thread: lets workers in, notices their deaths, gives shards to successors.
 *
 *   poll: control socket, one connection and one pidfd per worker, wake_fd; a tick of 10 ms
 *
 *   event                          action
 *   connection                     HELLO checked; WELCOME when nobody else attaches
 *   LEASE                          a free shard (the wanted one first) -> LEASED, map SERVED; or
 *                                  the claim waits: a holder is asked to yield, or one to die
 *   RELEASE (lease YIELDING)       to the one that waits for the shard, the map stays SERVED; else
 *                                  map HELD or UNSERVED, lease FREE
 *   pidfd readable                 the process is gone: its shards are repaired (primary/crash), and
 *                                  go at once to those that wait for them
 *   attach deadline                a worker that does not finish attaching is killed, sooner if
 *                                  others wait for it
 *   hold time over                 map UNSERVED; the I/O lcore drains the ring by the fail policy
 *   heartbeat stands, packets wait stall: logged, counted; after stall_kill the worker is killed;
 *                                  also a successor that has not begun after some seconds
 *   memory of a shard is damaged   its holder is killed; then the shard is made anew (flows are lost)
 *   a reader holds workers up      it is killed after 2 s
 *
 * It is the only thread that changes the shard map, and that grants leases and takes them back; a
 * worker only yields. It reports on standard output, one line per event, in the words that scripts
 * and tests look for:
 *
 *   mos-primary: worker pid P attached (slot N)
 *   mos-primary: shard S: served by pid P
 *   mos-primary: shard S: pid P gave it back
 *   mos-primary: shard S: handed over by pid P to pid Q
 *   mos-primary: shard S: worker pid P died: in hand N, rescued R, waiting W, suspect yes|no,
 *                stage NAME[, flow F, strikes K], recovered M[, ledger damaged]     (one line)
 *   mos-primary: shard S: without a worker for T ms
 */
#ifndef MOS_PRIMARY_SUPERVISOR_H
#define MOS_PRIMARY_SUPERVISOR_H

#include <stddef.h>

struct mos_primary;
struct mos_supervisor;

/*
 * Make the control socket and start the thread. The caller holds the run-directory lock and has
 * formatted root and shards. Main thread. 0 or -errno with one clear line in err.
 */
int mos_supervisor_start(struct mos_supervisor **out, struct mos_primary *p, char *err,
                         size_t err_len);

/*
 * End it: refuse whoever comes (root->run has been set by the caller), wait up to grace_ms for the
 * workers to leave, resolve the leases of those that die, remove the socket. Main thread.
 */
void mos_supervisor_stop(struct mos_supervisor *s, unsigned grace_ms);

#endif
