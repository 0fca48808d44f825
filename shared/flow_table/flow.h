/*
 * The flow record: all that is known of one TCP connection, both directions, in shared memory.
 * It is the truth; index, timers and sockets are caches that a successor rebuilds from it.
 *
 *   line 0  identity and what every packet looks at
 *   line 1  the two halves (client, server)
 *   line 2  what is looked at rarely
 *   line 3  the two streams: where they are, and what the first socket has read
 *   line 4, 5  what the other sockets have read
 *   line 6  what the application has made of it: its second key, edits of its streams
 *
 * One writer: the worker that holds the shard. Other processes read under the sequence counter:
 * it is odd while the writer changes the record. A worker that dies inside leaves it odd, so a
 * torn record is known, and the successor mends it (mos_flow_table_join).
 *
 * Sequence numbers wrap: compare them only with mos_seq_lt() and friends.
 * Time base: the stack clock in milliseconds, modulo 2^32.
 */
#ifndef MOS_SHARED_FLOW_H
#define MOS_SHARED_FLOW_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "shared/platform.h"

/* A directed 5-tuple. IPv4 addresses are stored IPv4-mapped (::ffff:a.b.c.d). */
struct mos_flow_key {
	uint8_t src[16];
	uint8_t dst[16];
	uint16_t src_port_be;
	uint16_t dst_port_be;
	uint16_t vlan;       /* 0 = untagged */
	uint16_t ip_version; /* 4 or 6 */
};
static_assert(sizeof(struct mos_flow_key) == 40, "no padding: it is compared as words");

/* The key of the other direction. */
static inline void mos_flow_key_reverse(struct mos_flow_key *out, const struct mos_flow_key *in)
{
	memcpy(out->src, in->dst, 16);
	memcpy(out->dst, in->src, 16);
	out->src_port_be = in->dst_port_be;
	out->dst_port_be = in->src_port_be;
	out->vlan = in->vlan;
	out->ip_version = in->ip_version;
}

static inline bool mos_seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
static inline bool mos_seq_leq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}
static inline bool mos_seq_gt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}
static inline bool mos_seq_geq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) >= 0;
}

/* Side indices: the same numbers as MOS_SIDE_CLI and MOS_SIDE_SVR. */
enum { MOS_CLI = 0, MOS_SVR = 1 };

/* mos_half.flags */
enum {
	MOS_HALF_ISS = 1 << 0,    /* iss is known: this half has sent a SYN */
	MOS_HALF_FIN = 1 << 1,    /* fin_seq is known: this half has sent a FIN */
	MOS_HALF_WSCALE = 1 << 2, /* its SYN carried a window scale */
	MOS_HALF_RCVD = 1 << 3,   /* irs and rcv_nxt are valid: it has received a SYN */
	MOS_HALF_WND = 1 << 4,    /* its window is known, not guessed: secondary/tcp_track */
	MOS_HALF_TS = 1 << 5,     /* its SYN carried a timestamp */
};

/* One end as the monitor emulates it. Names as in RFC 9293 3.3.1. */
struct mos_half {
	uint32_t iss;       /* sequence number of its SYN */
	uint32_t snd_nxt;   /* one past the highest sequence number it has sent */
	uint32_t irs;       /* sequence number of the SYN it received */
	uint32_t rcv_nxt;   /* next in-order sequence number it expects */
	uint32_t fin_seq;   /* sequence number of the FIN it sent (valid with MOS_HALF_FIN) */
	uint32_t rcv_wnd;   /* last window it advertised, scaled, bytes */
	uint32_t ts_recent; /* newest timestamp it sent */
	uint16_t mss;
	uint8_t wscale; /* shift of its advertised windows, 0..14 */
	uint8_t flags;
};
static_assert(sizeof(struct mos_half) == 32, "two halves fill one line");

/* mos_flow.ts_lag: it is not known which timestamps the peer has taken, or they are too old. */
#define MOS_TS_LAG_UNKNOWN UINT16_MAX

/* mos_flow.flags */
enum {
	MOS_FLOW_IN_USE = 1 << 0,
	MOS_FLOW_SUSPECT = 1 << 1, /* a worker died while it worked on this flow */
	MOS_FLOW_TORN = 1 << 2, /* and its streams are not to be trusted: the successor clears it */
	MOS_FLOW_TWO_KEYS = 1 << 3, /* addresses or ports are translated: `out` says to what */
	/*
	 * Of MOS_CLI, shift by the side: the lengths of what it sends are edited, so that numbers
	 * are translated (secondary/remap).
	 */
	MOS_FLOW_REMAP = 1 << 4,
	/* Without IN_USE: in limbo (flow_table.h). The flow is gone, the record is not free yet. */
	MOS_FLOW_REMOVED = 1 << 6,
};

/*
 * A packet of such a flow that goes out as it came in does harm: addresses of the inside leak, or
 * bytes land at the wrong place of a stream.
 */
#define MOS_FLOW_TRANSLATED (MOS_FLOW_TWO_KEYS | MOS_FLOW_REMAP | MOS_FLOW_REMAP << 1)

/* mos_flow.remap, by sender: secondary/remap */
enum {
	MOS_REMAP_KNOWN = 1 << 0,  /* `decided` is valid, unless: */
	MOS_REMAP_EDITED = 1 << 1, /* its state lies in a chunk */
};

/* mos_stream.flags */
enum {
	MOS_STREAM_LAST = 1 << 0, /* of two versions of a byte the later counts, unless read */
	MOS_STREAM_KEEP = 1 << 1, /* bytes that were read stay until they are acknowledged */
	MOS_STREAM_OFF = 1 << 2,  /* no buffer: MOS_CLIBUF or MOS_SVRBUF = 0 */
};

#define MOS_SOCKETS_MAX 8 /* of a flow: passive numbers */

/* The bytes one half has received: secondary/stream. */
struct mos_stream {
	uint64_t next;   /* offset of rcv_nxt, without the FIN: all below came, or is lost */
	uint64_t pos0;   /* offset up to which the socket with passive number 0 has read */
	uint32_t limit;  /* bytes of unread data that are kept */
	uint32_t acked;  /* latest ACK number of the half (with MOS_STREAM_KEEP) */
	uint32_t chunks; /* a mos_chunk_list; nothing to a successor */
	uint8_t flags;   /* MOS_STREAM_* */
	uint8_t readers; /* bit per passive number: it reads, so bytes are kept for it */
	uint16_t ahead;  /* how many of the chunks are out of order; nothing to a successor */
};
static_assert(sizeof(struct mos_stream) == 32, "two streams fill one line");

/*
 * Deaths of workers on one flow after which it is passed unmonitored. A flow that has since come
 * through MOS_STRIKES_FORGET packets did not cause them: an operator's kill -9 hits some flow too.
 */
#define MOS_STRIKES_MAX    3
#define MOS_STRIKES_FORGET 256

/* Letters: S the worker that holds the shard; * also the primary, after that worker's death. */
struct mos_flow {
	/* line 0 */
	struct mos_flow_key key; /* S as the client sends */
	uint32_t hash;           /* S symmetric flow hash */
	uint32_t seqcount;       /* S odd = being written */
	uint8_t state[2];        /* S enum tcpstate of client and server half */
	uint8_t flags;           /* * MOS_FLOW_* */
	uint8_t strikes;         /* * deaths of workers on this flow */
	uint32_t last_seen_ms;   /* S */
	uint64_t id;             /* S serial number in this shard, never reused */
	/* line 1 */
	struct mos_half half[2]; /* S */
	/* line 2 */
	uint32_t start_ms;   /* S time of the first SYN */
	uint8_t in_port[2];  /* S port on which packets of each side come in */
	uint16_t survived;   /* * packets since the last strike */
	uint64_t packets[2]; /* S sent by client, by server */
	uint64_t bytes[2];   /* S IP bytes sent by client, by server */
	uint8_t mac[2][6];   /* S link address of each side, as in the first SYN */
	uint16_t ts_lag[2];  /* S how far behind ts_recent of each side its peer's TS.Recent is */
	uint32_t wnd_max[2]; /* S largest window of each half so far, bytes */
	/* line 3 */
	struct mos_stream stream[2]; /* S what client and server have received */
	/* lines 4 and 5: read positions of passive numbers 1..7; [0]: no chunk holds bytes below */
	uint64_t pos[2][MOS_SOCKETS_MAX]; /* S */
	/* line 6 */
	/*
	 * S with MOS_FLOW_TWO_KEYS: as the server sees the client send. ip_version 0: taken by a
	 * newer flow, or lost.
	 */
	struct mos_flow_key out;
	uint32_t out_hash;   /* S its hash */
	uint32_t edits[2];   /* S by sender, mos_chunk_list: its edits; nothing to a successor */
	uint32_t decided[2]; /* S by sender, its number: below, all has gone to the receiver */
	uint8_t remap[2];    /* S by sender: MOS_REMAP_* */
} MOS_CACHE_ALIGNED;
static_assert(offsetof(struct mos_flow, half) == 64, "line 1");
static_assert(offsetof(struct mos_flow, start_ms) == 128, "line 2");
static_assert(offsetof(struct mos_flow, stream) == 192, "line 3");
static_assert(offsetof(struct mos_flow, out) == 384, "line 6");
static_assert(sizeof(struct mos_flow) == 448, "seven lines");

/* The server is known by a second key. */
static inline bool mos_flow_has_out(const struct mos_flow *f)
{
	return (f->flags & MOS_FLOW_TWO_KEYS) && f->out.ip_version != 0;
}

/*
 * It was, but the key belongs to another flow now, or was found damaged: nobody may believe that
 * what its client sends still goes where it went.
 */
static inline bool mos_flow_lost_out(const struct mos_flow *f)
{
	return (f->flags & MOS_FLOW_TWO_KEYS) && f->out.ip_version == 0;
}

/* Bracket every change of a record. The fences keep the counter outside the change. */
static inline void mos_flow_write_begin(struct mos_flow *f)
{
	if (MOS_UNNOTED)
		return;
	__atomic_store_n(&f->seqcount, f->seqcount + 1, __ATOMIC_RELAXED);
	/* Pairs with the fence in snapshot: a reader that sees the change sees it odd. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void mos_flow_write_end(struct mos_flow *f)
{
	if (MOS_UNNOTED)
		return;
	__atomic_store_n(&f->seqcount, f->seqcount + 1, __ATOMIC_RELEASE); /* pairs with snapshot */
}

#endif
