/*
 * What becomes of the packet that a worker had in hand when it died. Whether it may go out as it
 * lies there: not if
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

/*
 * Nothing of the application has seen the packet, and no flow was found for it: the successor may
 * work on it as if nobody had. Once: if that one dies of it as well, it is a suspect like others.
 * Call at the death, in the place of the above.
 */
bool mos_suspect_tries_again(struct mos_primary *p, struct mos_shard *s, uint32_t stage,
                             uint32_t flow);

#endif
