/*
 * Names of everything that one process creates and another looks up.
 *
 * `prefix` is the key of that name in mos.conf; several systems may run on one host under
 * different prefixes. It is also EAL's --file-prefix, whose own names are in eal_host.h.
 */
#ifndef MOS_SHARED_NAMES_H
#define MOS_SHARED_NAMES_H

/* Directory of run-time files, one folder per prefix below it. */
#define MOS_RUN_DIR "/run/mos-mp"

/* printf formats; the argument is the prefix. */
#define MOS_RUN_PREFIX_FMT   MOS_RUN_DIR "/%s"
#define MOS_CONTROL_SOCK_FMT MOS_RUN_DIR "/%s/control"
#define MOS_RUN_LOCK_FMT     MOS_RUN_DIR "/%s/lock"

/* Memzones. The shard format takes the shard index. */
#define MOS_ROOT_ZONE      "mos_root"
#define MOS_SHARD_ZONE_FMT "mos_shard_%u"

/* Mempool of every packet, and the mbuf dynamic field that carries struct mos_pkt_meta. */
#define MOS_PKT_POOL       "mos_pkt"
#define MOS_PKT_META_FIELD "mos_pkt_meta"

/* Environment variable by which mos-run tells a worker which shard it should prefer. */
#define MOS_ENV_SHARD "MOS_SHARD"

/* The one by which it makes it the successor of a process (its id), or a standby ("dead"). */
#define MOS_ENV_TAKE_OVER "MOS_TAKE_OVER"

#endif
