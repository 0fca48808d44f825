/*
 * The I/O loop: takes frames from the ports, hands the IP packets to the shards' workers, sends
 * what comes back, and sees to it that a frame always ends in a port, a ring, or a counter.
 *
 *   ports ----> parse ---- BAD -----------------------------------> counted by defect, freed
 *                 |------- NON_IP --------------------------------> pair port
 *                 '------- IP, TCP -> hash -> bucket -> shard
 *                                                        | SERVED, HELD: rx ring
 *                                                        | PARKED: backlog (then as the state says)
 *                                                        ' UNSERVED, ring full: fail policy
 *   tx rings -> FORWARD: out_port | DROP, CONSUME: freed, counted | no sound packet: counted
 *
 * Capture files (lossless ports) are read only while every shard is served, every rx ring and every
 * output batch has room for a burst: nothing of them is ever dropped for lack of room. Several
 * files are merged in the order of their time stamps. With such a port the loop is patient: what an
 * output port does not take is offered again instead of dropped.
 *
 * The loop runs on the main thread, EAL's main lcore. Per packet it makes no system call, takes no
 * lock, allocates nothing but mbufs, and writes no log. It is the only reader of the shard map and
 * tells urcu-qsbr at the end of each round that it holds no map.
 *
 * Units: nanoseconds (wall clock, or the capture's clock) in meta data. Memory: heap, at create.
 */
#ifndef MOS_PRIMARY_DISPATCH_H
#define MOS_PRIMARY_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

struct mos_primary;
struct mos_dispatch;

/* Why mos_dispatch_run() returned. */
enum mos_dispatch_event {
	MOS_DISPATCH_NOTHING,     /* never returned */
	MOS_DISPATCH_STOP,        /* p->stop is set */
	MOS_DISPATCH_REPORT,      /* p->report was set (and is cleared); call again */
	MOS_DISPATCH_END_OF_FILE, /* once: all capture files ended and all their packets are done */
};

/*
 * Ready the loop: memory is reserved, root->port[] is filled, the shard map is there. Sets
 * p->dispatch. Registers the calling thread as reader of the map (offline until run). 0 or -ENOMEM.
 */
int mos_dispatch_create(struct mos_dispatch **out, struct mos_primary *p);

/* Free every packet it still holds, and itself. Same thread. */
void mos_dispatch_destroy(struct mos_dispatch *d);

/* Run until there is something for the caller to decide. Same thread. */
enum mos_dispatch_event mos_dispatch_run(struct mos_dispatch *d);

/*
 * Take in nothing more, but go on sending what workers hand back, until no lease is held, wait_ms
 * are over, or p->stop is 2. root->run has been set to ENDING or STOPPED. Returns how many leases
 * are still held. Same thread.
 */
unsigned mos_dispatch_leave(struct mos_dispatch *d, unsigned wait_ms);

/* One round of the loop, for tests and benchmarks; the reader must be online. True = some work. */
bool mos_dispatch_round(struct mos_dispatch *d);

/*
 * Packets in the loop's own hands: backlogs, output batches, heads of capture files. Exact between
 * two rounds, that is after run() has returned.
 */
uint32_t mos_dispatch_held(const struct mos_dispatch *d);

#endif
