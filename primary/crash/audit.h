/*
 * Where every mbuf is.
 *
 *   pool (free) | rings of the shards | in the I/O lcore's hands | kept by ports
 *
 * Each mbuf that was handed to a shard carries owner = shard + 1 in its meta data until it comes
 * back. So after a death the mbufs of that owner that are in none of its rings are the ones the
 * worker lost: they are freed and counted. Ring entries that are no mbuf of the shard, or stand
 * there twice, are taken out on the way. No memory is taken.
 *
 * The primary counts what it has marked (mos_primary.marked): when as many stand in the rings,
 * nothing is lost and the pool is not searched, which would take longer than all else of a repair.
 */
#ifndef MOS_PRIMARY_AUDIT_H
#define MOS_PRIMARY_AUDIT_H

#include <stdint.h>

struct mos_primary;

/*
 * Free the mbufs of a shard that are in none of its rings. Supervisor, while the shard is PARKED
 * and no worker holds it. Returns how many.
 */
uint32_t mos_audit_shard(struct mos_primary *p, uint32_t shard);

/*
 * Count the mbufs of the pool by where they are. Main thread, between two rounds of the I/O loop,
 * while workers work. Returns how many of pool_size are in none of the known places (0 = all
 * found).
 */
uint32_t mos_mbuf_audit(struct mos_primary *p);

#endif
