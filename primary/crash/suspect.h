/*
 * Whether the packet that a worker had in hand when it died may go out as it lies there: not if
 * addresses, ports or numbers of its flow are translated. Then it may carry those of the inside, or
 * would land at the wrong place of a stream.
 */
#ifndef MOS_PRIMARY_SUSPECT_H
#define MOS_PRIMARY_SUSPECT_H

#include <stdbool.h>
#include <stdint.h>

struct mos_primary;
struct mos_shard;

/*
 * The suspect is in front of the repaired rx ring; flow: the record the ledger names, or none. Then
 * the packet's flow is searched among all records (some 30 ms for a million). True also where
 * nobody can tell: a flow that loses a packet sends it again. Supervisor, while the shard is
 * PARKED.
 */
bool mos_suspect_is_translated(struct mos_primary *p, struct mos_shard *s, uint32_t flow);

#endif
