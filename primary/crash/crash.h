/*
 * Putting a shard in order after its worker is gone.
 *
 *   supervisor: pidfd says the process is gone
 *     -> lease DEAD -> shard map PARKED (grace period: the rings are ours)
 *     -> mos_crash_repair():
 *          1 rings      dead producer: prod.head = prod.tail; dead consumer: cons.head = cons.tail
 *          2 ledger     finished packets go out by their verdicts, and what the program has sent
 *                       in between (outbox) where it belongs; the suspect gets the fail
 *                       policy, but does not go out if its flow is translated, and is tried
 *                       once more if nobody has seen it (suspect.h);
 *                       the flow in hand is marked, so that its successor does not trust its
 *                       streams; the rest stays in the rx ring for the successor
 *          3 audit      every mbuf marked as owned by this shard that is in none of its rings is
 *                       freed and counted
 *     -> lease FREE -> shard map HELD or UNSERVED
 *
 * Runs in the supervisor thread while the shard is PARKED and no worker holds it: nobody else
 * touches the rings. Packets to be sent are put, with their verdicts, into the tx ring (we are its
 * only producer now), so the I/O lcore sends them in order.
 * Everything read from shared memory is what a crashed process left: checked before use. No memory
 * is taken. Not its job: leases, the shard map, reporting (primary/supervisor).
 */
#ifndef MOS_PRIMARY_CRASH_H
#define MOS_PRIMARY_CRASH_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/flow_table/flow.h"

struct mos_primary;
struct rte_ring;

struct mos_crash_report {
	uint32_t in_hand;   /* packets the ledger named */
	uint32_t rescued;   /* finished ones, sent by their verdicts */
	uint32_t sent;      /* that the program had sent meanwhile: gone out between them */
	uint32_t waiting;   /* left in the rx ring for the successor */
	uint32_t recovered; /* mbufs found only by the audit */
	bool suspect;       /* a packet was being worked on */
	bool ledger_bad;    /* the ledger made no sense: everything in the ring is left waiting */
	uint32_t stage;     /* enum mos_ledger_stage at death */
	uint32_t flow;      /* record of the flow in hand (packet or timer), UINT32_MAX = none */
	uint32_t strikes;   /* deaths on that flow so far; 0 = the record is no flow's */
	struct mos_flow_key key; /* its name, with strikes > 0 */
};

/* Repair shard. suspect_forward: the fail policy for the suspect packet (true = forward). */
void mos_crash_repair(struct mos_primary *p, uint32_t shard, bool suspect_forward,
                      struct mos_crash_report *report);

/*
 * Reset head to tail on the side of a ring that a dead process used. With a tail that cannot be,
 * the ring is emptied. Nobody else uses the ring.
 */
void mos_ring_repair_consumer(struct rte_ring *r);
void mos_ring_repair_producer(struct rte_ring *r);

#endif
