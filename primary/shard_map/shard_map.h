/*
 * Which shard a flow belongs to, and whether that shard is served: read by the I/O lcore for every
 * packet, replaced as a whole by the supervisor (urcu-qsbr).
 *
 *   hash -> bucket (top 10 bits) -> shard -> service state
 *
 *   SERVED    a worker polls its ring
 *   HELD      no worker; packets wait in the ring (fail policy `hold`)
 *   UNSERVED  no worker; packets get the fail policy at once
 *   PARKED    the supervisor works on its rings: the I/O lcore must not touch them. Short; what
 *             arrives meanwhile waits in a backlog of the I/O lcore.
 *
 * The supervisor alone publishes. mos_shard_map_set() returns after a grace period: from then on
 * the I/O lcore acts on the new state, so after setting PARKED the rings of the shard are the
 * supervisor's. The I/O lcore registers as a reader, and says in each round that it holds nothing.
 */
#ifndef MOS_PRIMARY_SHARD_MAP_H
#define MOS_PRIMARY_SHARD_MAP_H

#include <stdint.h>

#include "shared/root/root.h"

enum mos_service {
	MOS_SERVICE_UNSERVED,
	MOS_SERVICE_HELD,
	MOS_SERVICE_SERVED,
	MOS_SERVICE_PARKED,
};

struct mos_shard_map {
	uint8_t bucket[MOS_BUCKET_MAX]; /* shard of each bucket: a copy that no worker can touch */
	uint8_t service[MOS_SHARD_MAX]; /* enum mos_service of each shard */
	uint32_t shard_count;
};

/* The first map: the root's buckets, nobody served. Before the threads start. 0 or -ENOMEM. */
int mos_shard_map_init(const struct mos_root *root);
/* After the reader has ended. */
void mos_shard_map_fini(void);

/* ---- I/O lcore ---- */

/* The calling thread is the reader from here on, offline after stop. */
void mos_shard_map_reader_start(void);
void mos_shard_map_reader_stop(void);

/* The current map: valid until the next quiescent call. */
const struct mos_shard_map *mos_shard_map_get(void);

/* I hold no map: once per round, and around every sleep (offline before, online after). */
void mos_shard_map_quiescent(void);
void mos_shard_map_offline(void);
void mos_shard_map_online(void);

/* The shard of a flow by its hash. */
static inline uint32_t mos_shard_of(const struct mos_shard_map *m, uint32_t hash)
{
	return m->bucket[mos_bucket_of(hash)];
}

/* ---- supervisor ---- */

/* Publish a map with this service state for the shard, wait for the grace period. 0 or -ENOMEM. */
int mos_shard_map_set(uint32_t shard, enum mos_service service);

/*
 * The same, without the wait: for changes after which the I/O lcore does no less than it did. 0 or
 * -ENOMEM.
 */
int mos_shard_map_set_soon(uint32_t shard, enum mos_service service);

/* The service state it published last. */
enum mos_service mos_shard_map_service(uint32_t shard);

#endif
