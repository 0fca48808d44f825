/*
 * Byte streams: what each half of a flow has received, in order, for the sockets that read it.
 *
 *   offset 0 = first byte behind the SYN (irs + 1); 64 bits; next = offset of rcv_nxt
 *
 *                 keep          pos[k]                 next
 *   ...given back | held, or lost: read, unread        | out of order, with holes ...
 *                 '------ chunks ------'--- the tail --'------ chunks ------
 *
 * In-order bytes of the packet in hand are not copied: they are the tail, and what is read of it
 * comes from the packet. When the work on the packet is done, mos_stream_settle() copies to chunks
 * what some socket has not read; all else that is out of order or unread lies in chunks already.
 *
 * Who decides what is in order is secondary/tcp_track: `next` follows rcv_nxt and nothing else. It
 * passes bytes that came, or, by an ACK of the receiver or when nobody waits for them any more,
 * bytes that this monitor never saw: these are a gap. A byte in [0, next) is held, or it is lost;
 * reading tells which (-n, ENODATA), so no list of gaps is needed.
 *
 * Limits. Of what is in order and unread, a side keeps what lies in [next - limit, next). Out of
 * order it keeps what lies in its receiver's window, in at most a quarter of the pool. When the pool
 * is empty, first the chunk that has been out of order for longest goes, whosever it is; when there
 * is none, the oldest in order of this stream, if the bytes at hand are in order and newer; else
 * these are not kept. What was lost that way is counted, and told: by mos_stream_arrive, or by the
 * list of those who lost bytes (evicted).
 *
 * Crash: every change of a stream happens while the ledger names its flow, except that reading from
 * elsewhere moves a position (one store) and gives back chunks behind it, and that another flow's
 * pressure takes chunks (one store each). After a death the flow that was named has MOS_FLOW_TORN;
 * mos_streams_join() drops what its streams held; all others are whole.
 *
 * Stack thread of the worker that holds the shard. Pure: knows neither mbufs nor events nor clocks.
 */
#ifndef MOS_SECONDARY_STREAM_H
#define MOS_SECONDARY_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "shared/chunk_pool/chunk_pool.h"
#include "shared/counters/counters.h"
#include "shared/flow_table/flow_table.h"
#include "shared/kill_point/kill_point.h"

#define MOS_EVICTED_MAX 64
#define MOS_READ_MAX    64

/* Contiguous payload at an offset of a stream. */
struct mos_piece {
	uint64_t from;
	const uint8_t *bytes;
	uint32_t len;
};

/* [from, end) of a stream; empty when equal. */
struct mos_stream_range {
	uint64_t from, end;
};

/*
 * A stream that lost bytes for want of chunks, other than in mos_stream_arrive: to be told by the
 * pipeline.
 */
struct mos_stream_evicted {
	uint64_t owner; /* of the flow then: it may have ended since */
	uint32_t flow;
	uint8_t side;
	struct mos_stream_range range;
};

struct mos_streams {
	struct mos_chunk_pool pool;
	struct mos_flow_table *flows;
	struct mos_counters *counters;
	uint32_t share_max; /* chunks a stream may have out of order */

	/* the packet in hand: len 0 = no tail */
	uint32_t tail_flow;
	int tail_side;
	struct mos_piece tail;

	/* Streams read while their flow was not in hand: mos_streams_settle_read. */
	uint32_t read_count;
	struct {
		uint32_t flow;
		int side;
	} read[MOS_READ_MAX];

	uint32_t evicted_count; /* the reader empties it; a full list is only counted */
	struct mos_stream_evicted evicted[MOS_EVICTED_MAX];
};

/* ---- life ---- */

/*
 * What a flow of a predecessor is: mos_flow_table_check(), and members of its streams of any value
 * become such that no later step goes astray. Before anything else is done with it. False: it is
 * none.
 */
bool mos_streams_check_flow(struct mos_streams *s, uint32_t flow);

/*
 * Open the pool in mem (mem_len bytes) and take over what the flows in the table have there, which
 * checks those that have something; a table that is all checked has its streams mended, too. The
 * streams of flows with MOS_FLOW_TORN lose all they held, and go on at rcv_nxt; the flag stays, for
 * the pipeline to tell. 0 or -errno of mos_chunk_pool_join.
 */
int mos_streams_join(struct mos_streams *s, void *mem, size_t mem_len, struct mos_flow_table *flows,
                     struct mos_counters *counters);
void mos_streams_leave(struct mos_streams *s);

/* Both streams of a flow give back their chunks: it ends, or nobody reads it any more. */
void mos_streams_free_flow(struct mos_streams *s, uint32_t flow);
void mos_stream_free(struct mos_streams *s, uint32_t flow, int side);

/* ---- where things are ---- */

/* The offset of a sequence number; negative before the first byte. Right within 2 GB of next. */
static inline int64_t mos_stream_offset(const struct mos_flow *f, int side, uint32_t seq)
{
	uint64_t next = f->stream[side].next;

	return (int64_t)next + (int32_t)(seq - (f->half[side].irs + 1 + (uint32_t)next));
}

/* Where next belongs: the offset of rcv_nxt, or of a FIN that it has passed. */
static inline int64_t mos_stream_target(const struct mos_flow *f, int side)
{
	const struct mos_half *h = &f->half[side], *from = &f->half[!side];
	bool past_fin = (from->flags & MOS_HALF_FIN) && mos_seq_gt(h->rcv_nxt, from->fin_seq);

	if (mos_unlikely(!(h->flags & MOS_HALF_RCVD)))
		return (int64_t)f->stream[side].next;
	return mos_stream_offset(f, side, past_fin ? from->fin_seq : h->rcv_nxt);
}

/* Read position of the socket with passive number k. */
static inline uint64_t *mos_stream_pos(struct mos_flow *f, int side, unsigned k)
{
	return k == 0 ? &f->stream[side].pos0 : &f->pos[side][k];
}

/* ---- settings: mos_stream.limit and .flags may be changed at any time, but for MOS_STREAM_KEEP */

/* Set or clear MOS_STREAM_KEEP. What is in order by now counts as acknowledged. */
void mos_stream_keep(struct mos_flow *f, int side, bool keep);

/* What the calls below do when a stream holds chunks, or something is out of order. */
uint64_t mos_stream_advance_slow(struct mos_streams *s, uint32_t flow, int side,
                                 struct mos_stream_range *gap);
bool mos_stream_conflicts_slow(struct mos_streams *s, uint32_t flow, int side,
                               const struct mos_piece *piece, struct mos_stream_range *where);
uint8_t mos_stream_overrun_slow(struct mos_streams *s, uint32_t flow, int side,
                                const struct mos_piece *piece, struct mos_stream_range *lost);
uint32_t mos_stream_follows_slow(struct mos_streams *s, uint32_t flow, int side, uint64_t end);
uint64_t mos_stream_arrive_slow(struct mos_streams *s, uint32_t flow, int side,
                                const struct mos_piece *piece, uint64_t window_end, bool last,
                                struct mos_stream_range *lost);
void mos_stream_settle_slow(struct mos_streams *s, uint32_t flow, int side);

/* ---- a packet: in this order. For segments only that tcp_track has not refused (BOGUS) ---- */

/*
 * The half `side` has sent this ACK number: behind mos_tcp_sent, before mos_stream_advance. Only
 * MOS_STREAM_KEEP asks for it.
 */
static inline void mos_stream_acked(struct mos_flow *f, int side, uint32_t ack)
{
	struct mos_stream *st = &f->stream[side];
	uint32_t rcv_nxt = f->half[side].rcv_nxt;

	/* The number nearest below rcv_nxt counts: an ACK may come late. */
	if (mos_unlikely(st->flags & MOS_STREAM_KEEP) && rcv_nxt - ack < rcv_nxt - st->acked)
		st->acked = ack;
}

/* irs is known from now on, and nothing behind it is acknowledged. */
static inline void mos_stream_begin(struct mos_flow *f, int side)
{
	f->stream[side].acked = f->half[side].irs + 1;
}

/* A guess of irs was corrected: nothing of the stream is right, nor what it has acknowledged. */
void mos_stream_rebase(struct mos_streams *s, uint32_t flow, int side);

/*
 * next := rcv_nxt, for a half that has none of its data in hand: its own ACK may have moved it.
 * Also keeps the offsets right where nobody reads. gap: bytes it passed that are not held: the
 * first range of them. Returns how many bytes became in order that are held.
 */
static inline uint64_t mos_stream_advance(struct mos_streams *s, uint32_t flow, int side,
                                          struct mos_stream_range *gap)
{
	const struct mos_flow *f = mos_flow_at(s->flows, flow);
	const struct mos_stream *st = &f->stream[side];

	*gap = (struct mos_stream_range){0, 0};
	if (mos_likely(mos_stream_target(f, side) == (int64_t)st->next &&
	               (st->next > 0 || st->chunks == 0)))
		return 0;
	return mos_stream_advance_slow(s, flow, side, gap);
}

/*
 * Do held bytes differ from those of the piece? *where: from the first that differs to behind the
 * last.
 */
static inline bool mos_stream_conflicts(struct mos_streams *s, uint32_t flow, int side,
                                        const struct mos_piece *piece,
                                        struct mos_stream_range *where)
{
	return mos_flow_at(s->flows, flow)->stream[side].chunks != 0 &&
	       mos_stream_conflicts_slow(s, flow, side, piece, where);
}

/*
 * The sockets (bit per passive number) that have unread bytes which a piece of new bytes in order
 * would push out. *lost: of the one that is farthest behind. The bytes of the piece are not looked
 * at: it stands for a whole frame in several mbufs, too.
 */
static inline uint8_t mos_stream_overrun(struct mos_streams *s, uint32_t flow, int side,
                                         const struct mos_piece *piece,
                                         struct mos_stream_range *lost)
{
	*lost = (struct mos_stream_range){0, 0};
	if (mos_likely(mos_flow_at(s->flows, flow)->stream[side].chunks == 0))
		return 0;
	return mos_stream_overrun_slow(s, flow, side, piece, lost);
}

/* How many bytes are held from offset `end` on without a hole. */
static inline uint32_t mos_stream_follows(struct mos_streams *s, uint32_t flow, int side,
                                          uint64_t end)
{
	if (mos_likely(mos_flow_at(s->flows, flow)->stream[side].chunks == 0))
		return 0;
	return mos_stream_follows_slow(s, flow, side, end);
}

/*
 * The piece has arrived; rcv_nxt says up to where all is in order now. What is new of it becomes
 * the tail if it ends there and the tail is enough, else goes to chunks; what is held already stays
 * or is replaced by the stream's policy. window_end: offset beyond which out-of-order bytes are not
 * kept. last: false = another piece of the same packet follows (a frame in several mbufs).
 * The pieces come in ascending order, and next moves with the last. Bytes below next that are not
 * held stay lost. *lost: from the first to behind the last byte that found no room; empty if none.
 * Returns how many held bytes became in order.
 */
static inline uint64_t mos_stream_arrive(struct mos_streams *s, uint32_t flow, int side,
                                         const struct mos_piece *piece, uint64_t window_end,
                                         bool last, struct mos_stream_range *lost)
{
	struct mos_flow *f = mos_flow_at(s->flows, flow);
	struct mos_stream *st = &f->stream[side];
	uint64_t end = piece->from + piece->len;

	assert(s->tail.len == 0); /* the packet before was settled */
	*lost = (struct mos_stream_range){0, 0};
	if (mos_unlikely(st->chunks != 0 || !last || piece->from != st->next || st->readers == 0 ||
	                 (st->flags & MOS_STREAM_OFF) ||
	                 mos_stream_target(f, side) != (int64_t)end))
		return mos_stream_arrive_slow(s, flow, side, piece, window_end, last, lost);
	s->tail = *piece;
	s->tail_flow = flow;
	s->tail_side = side;
	mos_kill_point("stream.arrive");
	st->next = end;
	return piece->len;
}

/*
 * The work on the packet is done: copy what is unread of the tail, give back what all have read,
 * push out what is beyond the limit. The tail is gone.
 */
static inline void mos_stream_settle(struct mos_streams *s, uint32_t flow, int side)
{
	const struct mos_stream *st = &mos_flow_at(s->flows, flow)->stream[side];

	if (mos_likely(st->chunks == 0)) {
		if (s->tail.len == 0 || s->tail_flow != flow || s->tail_side != side)
			return;
		if (mos_likely(st->readers == 1 && st->pos0 == st->next &&
		               !(st->flags & MOS_STREAM_KEEP))) {
			s->tail.len = 0;
			return;
		}
	}
	mos_stream_settle_slow(s, flow, side);
}

/*
 * Between rounds: streams that were read elsewhere than in work on their own packet (in a timer)
 * give back what all have read. When the list is full, reading does so.
 */
void mos_streams_settle_read(struct mos_streams *s);

/* The packet's bytes are about to change or to go: copy the whole tail to chunks now. */
void mos_stream_detach_tail(struct mos_streams *s);

/*
 * ---- reading: k is a passive number, its bit in readers is set by the first read ----
 * No chunk is taken while a callback runs, so what readv filled in stays good, even if it was given
 * back. in_hand: the flow is the one whose packet is worked on, so a settle follows; else it is noted
 * for later.
 */

/*
 * Copy up to len bytes from pos[k] and move it. How many; 0 at next; -n: the next n bytes are lost,
 * and pos[k] is behind them.
 */
int64_t mos_stream_read(struct mos_streams *s, uint32_t flow, int side, unsigned k, bool in_hand,
                        void *buf, size_t len);

/*
 * The same without a copy: fill up to *iovcnt entries that point into chunks and the packet; they
 * are good until the next mos_stream_settle or _arrive of this stream. *iovcnt: how many are used.
 */
int64_t mos_stream_readv(struct mos_streams *s, uint32_t flow, int side, unsigned k, bool in_hand,
                         struct iovec *iov, int *iovcnt);

/* Copy up to len bytes held from offset off on, up to the first hole. 0: not held. */
size_t mos_stream_at(struct mos_streams *s, uint32_t flow, int side, void *buf, size_t len,
                     uint64_t off);

/* Behind the last byte that is held; next, if none is beyond it. */
uint64_t mos_stream_end(struct mos_streams *s, uint32_t flow, int side);

/*
 * The first range that is held and ends behind off: walk all of them with off = 0, then range.end.
 * False: there is none. Ranges never touch each other.
 */
bool mos_stream_held(struct mos_streams *s, uint32_t flow, int side, uint64_t off,
                     struct mos_stream_range *range);

#endif
