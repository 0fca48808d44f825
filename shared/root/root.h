/*
 * The root: the one object every process looks up by name. It says what the system is made of.
 *
 *   memzone mos_root       struct mos_root: layout hash, settings, port table, the shards |
 *                          struct rte_rcu_qsbr: readers, by attach slot (secondary/readers)
 *   memzone mos_shard_<i>  struct mos_shard | rings | flow table | ...            (see shard.h)
 *
 * The primary reserves and formats everything before it lets the first worker in, and stores the
 * magic last. Nothing here holds a process-local pointer; pointers are hugepage addresses, which
 * DPDK maps alike in all processes.
 *
 * The layout hash covers size and offsets of every shared struct, and the version. A worker built
 * against another layout is refused before it maps anything (shared/control); join checks again.
 */
#ifndef MOS_SHARED_ROOT_H
#define MOS_SHARED_ROOT_H

#include <stdint.h>

#include "shared/counters/counters.h"
#include "shared/platform.h"

#define MOS_ROOT_MAGIC     UINT64_C(0x6d6f732d726f6f74) /* "mos-root" */
#define MOS_LAYOUT_VERSION 6

#define MOS_SHARD_MAX 32
#define MOS_PORT_MAX  16

/* EAL lcore ids of processes: 0 is the primary, the others are attach slots. */
#define MOS_ATTACH_SLOTS 128

/* The top bits of a flow's hash are its bucket. */
#define MOS_BUCKET_BITS 10
#define MOS_BUCKET_MAX  (1u << MOS_BUCKET_BITS)

/* mos_root.run */
enum mos_run_state {
	MOS_RUN_STARTING,
	MOS_RUN_RUNNING,
	MOS_RUN_ENDING,  /* input has ended and all rings ran dry: workers leave their loops */
	MOS_RUN_STOPPED, /* the primary is going away: touch no ring any more */
};

/* One row of the port table. Letters as in struct mos_root. */
struct mos_port_row {
	char name[64];        /* I as in mos.conf: "veth0", "net_pcap0", "0000:03:00.0" */
	uint8_t mac[6];       /* I */
	uint8_t pair;         /* I index of the port frames leave by, MOS_PORT_NONE = none */
	uint8_t lossless;     /* I a capture file: waits instead of dropping */
	uint16_t dpdk_port;   /* I */
	uint16_t mtu;         /* I bytes of IP packet */
	uint8_t link_up;      /* P */
	uint8_t at_end;       /* P the capture file has ended */
	uint8_t csum_offload; /* I checksums of IPv4 and TCP can be left to it */
};

/*
 * What a worker must know of the configuration; a copy, so that it agrees with the primary's. All
 * I.
 */
struct mos_settings {
	uint32_t max_flows;      /* records per shard */
	uint32_t flow_area;      /* bytes of user area per flow, 0 = none */
	uint32_t tcp_timeout_ms; /* idle flows end after this; 0 = never */
	uint32_t tcp_tw_ms;      /* TIME_WAIT */
	uint32_t rmem_size;      /* bytes of unread data that a side of a flow keeps, 0 = none */
	uint8_t forward;         /* 1 = forward, 0 = consume */
	uint8_t clock_packet;    /* 1 = the capture's clock is the stack's */
	uint8_t idle_poll;       /* 1 = never sleep */
	uint8_t ipv6;            /* 1 = TCP over IPv6 is tracked */
	uint8_t verify_tcp_csum; /* 1 = compute TCP checksums */
};

/* Letters: I immutable after new, P primary. */
struct mos_root {
	uint64_t magic;         /* I stored last */
	uint64_t layout_hash;   /* I */
	uint32_t shard_count;   /* I */
	uint32_t port_count;    /* I */
	int32_t primary_pid;    /* I */
	int32_t meta_offset;    /* I of struct mos_pkt_meta in an mbuf */
	uint64_t hash_seed;     /* I */
	int64_t wall_offset_ns; /* I stack clock = CLOCK_MONOTONIC + this, unless clock = packet */
	char prefix[32];        /* I */
	struct mos_settings settings;           /* I */
	struct mos_shard *shard[MOS_SHARD_MAX]; /* I hugepage VA */
	void *readers;                          /* I hugepage VA: struct rte_rcu_qsbr */
	struct mos_port_row port[MOS_PORT_MAX];
	/* I shard of each bucket; for workers: the primary goes by its own copy (shard_map) */
	uint8_t bucket[MOS_BUCKET_MAX];

	uint32_t run MOS_CACHE_ALIGNED; /* P enum mos_run_state */
	uint64_t clock_ns;              /* P time stamp of the latest packet (clock = packet) */
	uint64_t readers_now;           /* P who reads: mos_readers_count(), mos_readers_turn() */

	struct mos_counters io;         /* the I/O lcore's */
	struct mos_counters supervisor; /* the supervisor's */
} MOS_CACHE_ALIGNED;

/* ---- primary ---- */

/* Zero mem and set what is known from the start; leaves magic 0. 0 or -EINVAL. */
int mos_root_new(struct mos_root *mem, uint32_t shard_count, uint32_t port_count,
                 const char *prefix);

/* Everything is in place: store the magic with release (pairs with mos_root_join). */
void mos_root_publish(struct mos_root *root);

/* ---- any process ---- */

/* Hash over sizes and offsets of all shared structs and the layout version. */
uint64_t mos_layout_hash(void);

/*
 * Check a root found by name. 0; -EAGAIN (not published yet, try again), -EPROTO (other layout),
 * -EINVAL (shard or port count out of range, no place for readers).
 */
int mos_root_join(const struct mos_root *root);

static inline uint32_t mos_bucket_of(uint32_t hash)
{
	return hash >> (32 - MOS_BUCKET_BITS);
}

/*
 * What root->readers_now says, and shard->readers_seen: how many readers are registered, and how
 * often one has registered so far. A worker that has seen a reader's turn keeps what it removes.
 */
static inline unsigned mos_readers_count(uint64_t readers_now)
{
	return readers_now & 0xff;
}
static inline uint64_t mos_readers_turn(uint64_t readers_now)
{
	return readers_now >> 8;
}
static inline uint64_t mos_readers_word(uint64_t turn, unsigned count)
{
	return turn << 8 | count;
}

/* Where the system is in its life, with acquire. */
static inline enum mos_run_state mos_root_run(const struct mos_root *root)
{
	return (enum mos_run_state)__atomic_load_n(&root->run, __ATOMIC_ACQUIRE);
}

#endif
