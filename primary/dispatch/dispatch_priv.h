/*
 * Inside of the I/O loop, shared by its files only. Everything is private to the main thread.
 *
 *   input.c        frames from live ports; what becomes of a burst
 *   capture.c      frames from capture files, merged by time; their end
 *   shard_io.c     rx rings, backlogs, fail policy, blank rings
 *   output.c       tx rings of the workers, batches of the output ports
 *   dispatch.c     the round, waiting, life cycle
 */
#ifndef MOS_PRIMARY_DISPATCH_PRIV_H
#define MOS_PRIMARY_DISPATCH_PRIV_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "primary/dispatch/dispatch.h"
#include "primary/memory/memory.h"
#include "primary/shard_map/shard_map.h"
#include "primary/topology.h"

enum {
	RX_BURST = 32,
	TX_DRAIN = 64,  /* from a worker's tx ring per round */
	TX_BATCH = 64,  /* per output port */
	RX_DRAIN = 256, /* by the fail policy, from a shard without worker, per round */
	PREFETCH_AHEAD = 4,
};
static_assert(2 * RX_BURST + TX_BATCH <= MOS_PORT_HAND, "counted in the size of the pool");

/* One shard as the loop sees it. */
struct shard_io {
	struct mos_shard *shard;
	struct rte_ring *rx, *tx, *blank;
	uint32_t index;
	uint32_t staged; /* packets of the burst in hand */
	struct rte_mbuf *stage[RX_BURST];
	uint32_t head, tail; /* of the backlog: free running */
	struct rte_mbuf *backlog[MOS_BACKLOG_SIZE];
};

/* One port as the loop sees it. */
struct port_io {
	uint16_t dpdk_port;
	uint8_t index;
	uint8_t pair; /* MOS_PORT_NONE = none */
	bool capture; /* read by capture.c */
	bool endless;
	bool running; /* frames may be received and sent */
	bool link_up;
	bool at_end;     /* the capture file has ended */
	bool no_chains;  /* sends packets of one mbuf only */
	uint32_t ip_max; /* longest IP packet it sends */

	uint32_t out_count;
	uint64_t out_bytes;
	struct rte_mbuf *out[TX_BATCH];

	uint32_t head, head_count; /* read from the capture, not yet merged: [head, head_count) */
	struct rte_mbuf *heads[RX_BURST];
};

struct mos_dispatch {
	struct mos_primary *p;
	struct mos_counters *ctr;
	uint64_t hash_seed;
	uint64_t clock_ns; /* latest capture time published */
	bool forward;      /* configuration: forward = 1 */
	bool fail_open;
	bool clock_packet;
	bool idle_poll;
	bool patient; /* a capture is read: wait for output ports */
	bool offline; /* only captures are read: packets wait for a worker, whatever time */
	bool dry;     /* captures ended, rings seen empty: see capture.c */
	bool end_reported;
	uint64_t dry_beat[MOS_SHARD_MAX];

	uint64_t ts_flag;   /* ol_flags of a driver's receive time stamp */
	uint64_t next_slow; /* TSC of the next slow round */
	uint64_t tsc_hz;
	uint32_t idle_rounds;
	uint32_t nap_ns;

	uint32_t shard_count, port_count, capture_count;
	uint32_t staged_shards; /* bit s: shard s has staged packets */
	struct shard_io *shard; /* [shard_count] */
	struct port_io *port;   /* [port_count] */
};

static inline void count(struct mos_dispatch *d, enum mos_counter which, uint64_t n)
{
	mos_counter_add(d->ctr, which, n);
}

static inline void drop(struct mos_dispatch *d, struct rte_mbuf *m, enum mos_counter why)
{
	count(d, why, 1);
	rte_pktmbuf_free(m);
}

/* ---- input.c ---- */

/* One burst of each live port. Returns packets. */
unsigned mos_input_live(struct mos_dispatch *d, const struct mos_shard_map *map);

/* Parse and place a burst of n <= RX_BURST frames; in_port of each is told by port[i]. */
void mos_input_burst(struct mos_dispatch *d, const struct mos_shard_map *map, struct rte_mbuf **m,
                     const uint8_t *port, unsigned n);

/* ---- capture.c ---- */

/* Up to one burst from the capture files. Returns packets. */
unsigned mos_capture_read(struct mos_dispatch *d, const struct mos_shard_map *map);

/* After a round without work: have all captures ended, and is every packet of them done? */
bool mos_capture_all_done(struct mos_dispatch *d, const struct mos_shard_map *map);

/* ---- shard_io.c ---- */

/* Remember a packet for its shard; mos_shard_io_flush() places it. */
static inline void mos_shard_io_stage(struct mos_dispatch *d, uint32_t shard, struct rte_mbuf *m)
{
	struct shard_io *s = &d->shard[shard];

	s->stage[s->staged++] = m;
	d->staged_shards |= 1u << shard;
}

void mos_shard_io_flush(struct mos_dispatch *d, const struct mos_shard_map *map);

/* The rings of a shard are not as they were made: have the supervisor look at it. */
void mos_shard_io_damaged(struct mos_dispatch *d, const struct shard_io *s);

/* May a ring of the shard be used? Else it is reported; its packets get the fail policy. */
static inline bool mos_shard_io_sound(struct mos_dispatch *d, const struct shard_io *s,
                                      const struct rte_ring *r, uint32_t size)
{
	if (mos_likely(mos_ring_sound(r, size)))
		return true;
	mos_shard_io_damaged(d, s);
	return false;
}

/* What is due for a shard in each round: backlog, rx ring without worker. Returns packets moved. */
unsigned mos_shard_io_service(struct mos_dispatch *d, struct shard_io *s, enum mos_service service);

/* Put another batch into the blank ring, if there is room: short enough for one round. */
void mos_shard_io_blanks(struct mos_dispatch *d, struct shard_io *s);

static inline uint32_t mos_backlog_count(const struct shard_io *s)
{
	return s->tail - s->head;
}

/* ---- output.c ---- */

/* Is a packet longer than the MTU of a port? */
bool mos_output_too_long(const struct mos_dispatch *d, const struct rte_mbuf *m,
                         const struct port_io *port);

/* Send a packet by its port, or drop it with a reason. Takes the packet. */
void mos_output_put(struct mos_dispatch *d, struct rte_mbuf *m, uint8_t port);

/* Offer all batches to their ports. Returns packets sent. */
unsigned mos_output_flush(struct mos_dispatch *d);

/* How many packets can be put without any being dropped for lack of room. */
uint32_t mos_output_room(const struct mos_dispatch *d);

/* Take packets back from a worker and do what their verdicts say. Returns packets. */
unsigned mos_output_drain(struct mos_dispatch *d, struct shard_io *s);

#endif
