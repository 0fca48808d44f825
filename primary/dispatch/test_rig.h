/*
 * The I/O loop on the bench: EAL without hugepages, two or three ports, a worker played by the test.
 *
 *   rig_send(port)  -> [net_ring port] -> loop -> shard[i].rx -> rig_work()  (the worker)
 *   rig.wire[port]  <- [net_ring port] <- loop <- shard[i].tx <-'
 *
 * rig_round() runs one round of the loop and takes what it sent to wire, unless plugged.
 */
#ifndef MOS_TEST_RIG_H
#define MOS_TEST_RIG_H

#include <check.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "primary/dispatch/dispatch_priv.h"

#define RIG_PORTS 3
#define RIG_WIRE  4096

struct rig_opt {
	int32_t workers;
	enum mos_config_policy policy;
	bool consume; /* forward = 0 */
	enum mos_config_clock clock;
	int lossless[RIG_PORTS]; /* these ports are capture files */
	int pair[RIG_PORTS];     /* 0 = default (0 <-> 1, 2 none), else peer + 1, -1 none */
};

struct rig {
	struct mos_primary p;
	struct mos_dispatch *d;
	struct rte_ring *rx[RIG_PORTS], *tx[RIG_PORTS]; /* of the devices */
	bool plugged; /* nobody takes what the ports send: 1023 frames fit */
	uint32_t wire_count[RIG_PORTS];
	struct rte_mbuf *wire[RIG_PORTS][RIG_WIRE];
};

/* Start EAL with the ports; once, in main. */
void rig_eal(void);

void rig_open(struct rig *r, const struct rig_opt *opt);
/* Ends the loop, frees everything and checks that the pool is whole. */
void rig_close(struct rig *r);

/* A TCP frame over IPv4 between 10.0.x.y:port; flow picks the addresses; back = other direction. */
struct rte_mbuf *rig_tcp(struct rig *r, uint32_t flow, bool back, uint32_t payload);
/* A frame of these bytes. */
struct rte_mbuf *rig_frame(struct rig *r, const void *bytes, uint32_t len);

/* Put a frame where the port will receive it. */
void rig_send(struct rig *r, unsigned port, struct rte_mbuf *m);
/* With the time stamp of a capture. */
void rig_send_at(struct rig *r, unsigned port, struct rte_mbuf *m, uint64_t ts_us);

bool rig_round(struct rig *r);
void rig_rounds(struct rig *r, unsigned n);

/* Be the worker of a shard: take up to max packets, give them back as they are. Returns how many. */
unsigned rig_work(struct rig *r, uint32_t shard, unsigned max);

/* Set the service state of all shards; the loop's thread is also the supervisor here. */
void rig_service(struct rig *r, enum mos_service service);
void rig_service_one(struct rig *r, uint32_t shard, enum mos_service service);

static inline uint64_t rig_count(const struct rig *r, enum mos_counter which)
{
	return mos_counter_get(&r->p.root->io, which);
}

#endif
