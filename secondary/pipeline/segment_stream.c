/*
 * What a segment does to the streams of its flow, step by step in the order of pipeline.h.
 *
 * Which bytes count is for secondary/tcp_track to say: those its receiver would take, now or once
 * the hole in front of them is filled.
 */
#include "secondary/pipeline/flow_stream.h"
#include "secondary/pipeline/segment_priv.h"

#include "mos_ext.h"
#include "secondary/event/event.h"
#include "shared/kill_point/kill_point.h"

/* ---- the payload, mbuf by mbuf ---- */

struct walk {
	const struct rte_mbuf *m;
	uint32_t off;  /* of the next byte in m */
	uint32_t left; /* bytes */
	uint64_t from; /* offset of the next byte in the stream */
};

static struct walk walk_payload(const struct mos_work *w)
{
	return (struct walk){
		.m = w->m,
		.off = w->meta->payload_off + w->bytes.skip,
		.left = w->bytes.len,
		.from = w->bytes.from,
	};
}

/* False: that was all. */
static bool next_piece(struct walk *at, struct mos_piece *piece)
{
	if (at->left == 0)
		return false;
	while (at->m != NULL && at->off >= at->m->data_len) {
		at->off -= at->m->data_len;
		at->m = at->m->next;
	}
	if (at->m == NULL)
		return false;
	piece->from = at->from;
	piece->bytes = rte_pktmbuf_mtod_offset(at->m, const uint8_t *, at->off);
	piece->len = RTE_MIN(at->left, at->m->data_len - at->off);
	at->off += piece->len;
	at->left -= piece->len;
	at->from += piece->len;
	return true;
}

static bool is_empty(const struct mos_stream_range *r)
{
	return r->from >= r->end;
}

/* From the first to behind the last of both. */
static void unite(struct mos_stream_range *all, const struct mos_stream_range *r)
{
	if (is_empty(r))
		return;
	if (is_empty(all)) {
		*all = *r;
		return;
	}
	all->from = RTE_MIN(all->from, r->from);
	all->end = RTE_MAX(all->end, r->end);
}

/* ---- before the receiver's half changes ---- */

/* Where the payload begins in the receiver's stream. */
static int64_t payload_offset(const struct mos_work *w, const struct mos_flow *f)
{
	return w->seg.flags & MOS_TCP_SYN ? 0 : mos_stream_offset(f, !w->from, w->seg.seq);
}

/* Bytes beyond the peer's FIN there are none. */
static bool has_fin(const struct mos_flow *f, int side)
{
	const struct mos_half *from = &f->half[!side];

	return (from->flags & MOS_HALF_FIN) && mos_seq_gt(f->half[side].rcv_nxt, from->fin_seq);
}

/* Find the bytes of the payload that count; none: bytes.len is 0. */
static void find_bytes(struct mos_work *w, const struct mos_flow *f)
{
	int64_t first = payload_offset(w, f), end = first + w->seg.payload_len;
	int64_t from = RTE_MAX(first, 0); /* a keep-alive has a byte before the first */

	if (has_fin(f, !w->from))
		end = RTE_MIN(end, (int64_t)f->stream[!w->from].next);
	if (from >= end)
		return;
	w->bytes.skip = (uint32_t)(from - first);
	w->bytes.from = (uint64_t)from;
	w->bytes.len = (uint32_t)(end - from);
}

static void tell(struct mos_ctx *c, const struct mos_work *w, int cause,
                 const struct mos_stream_range *range, uint8_t socks)
{
	struct mos_stream_told what = {
		.side = (uint8_t)!w->from,
		.cause = cause,
		.range = *range,
	};

	if (cause == MOS_GAP_CONFLICT)
		what.pkt_off = w->bytes.skip + (uint32_t)(range->from - w->bytes.from);
	mos_flow_tell_error(c, w->flow, &what, w->from, socks);
}

static void check_conflicts(struct mos_ctx *c, const struct mos_work *w)
{
	struct mos_stream_range all = {0, 0}, where;
	struct walk at = walk_payload(w);
	struct mos_piece piece;

	while (next_piece(&at, &piece))
		if (mos_stream_conflicts(&c->streams, w->flow, !w->from, &piece, &where))
			unite(&all, &where);
	if (mos_unlikely(!is_empty(&all)))
		tell(c, w, MOS_GAP_CONFLICT, &all, UINT8_MAX);
}

/*
 * How many bytes that came before follow those of the segment, which is in order; not over a FIN.
 * Only of such: they are passed now, so that nobody has us count them again and again.
 */
static uint32_t follows(struct mos_ctx *c, const struct mos_work *w, const struct mos_flow *f)
{
	const struct mos_half *from = &f->half[w->from];
	uint32_t seq_end = w->seg.seq + !!(w->seg.flags & MOS_TCP_SYN) + w->seg.payload_len;
	uint32_t n =
		mos_stream_follows(&c->streams, w->flow, !w->from, w->bytes.from + w->bytes.len);

	if ((from->flags & MOS_HALF_FIN) && mos_seq_leq(seq_end, from->fin_seq))
		n = RTE_MIN(n, from->fin_seq - seq_end);
	return n;
}

/* Bytes in order may push out others that somebody has not read: he may do so now. */
static void check_overrun(struct mos_ctx *c, const struct mos_work *w, const struct mos_flow *f)
{
	uint64_t next = f->stream[!w->from].next;
	uint64_t end = w->bytes.from + w->bytes.len + w->seg.follows;
	struct mos_piece news = {.from = next, .len = (uint32_t)(end - next)};
	struct mos_stream_range lost;
	uint8_t socks;

	socks = mos_stream_overrun(&c->streams, w->flow, !w->from, &news, &lost);
	if (mos_unlikely(socks != 0))
		tell(c, w, MOS_GAP_OVERRUN, &lost, socks);
}

void mos_segment_await(struct mos_ctx *c, const struct mos_work *w)
{
	uint8_t socks = mos_sockets_await_data(&c->sockets, w->flow, !w->from);

	if (socks & ~mos_flow_at(&c->flows, w->flow)->stream[!w->from].readers)
		mos_flow_add_readers(c, w->flow, !w->from, socks);
}

/* tell_it: ERROR of what they contradict and push out. */
static void check(struct mos_ctx *c, struct mos_work *w, const struct mos_flow *f, bool tell_it)
{
	if (mos_tcp_brings_data(f, !w->from, &w->seg))
		find_bytes(w, f);
	if (w->bytes.len == 0)
		return;
	if (f->stream[!w->from].chunks != 0) { /* else there is nothing to meet */
		if (tell_it)
			check_conflicts(c, w);
		if (mos_tcp_in_order(f, !w->from, &w->seg)) {
			w->seg.follows = follows(c, w, f);
			if (tell_it)
				check_overrun(c, w, f);
		}
	}
	w->window_end = f->half[!w->from].flags & MOS_HALF_WND
	                        ? f->stream[!w->from].next + f->wnd_max[!w->from]
	                        : UINT64_MAX;
}

void mos_segment_check(struct mos_ctx *c, struct mos_work *w, const struct mos_flow *f)
{
	check(c, w, f, true);
}

void mos_segment_check_again(struct mos_ctx *c, struct mos_work *w, const struct mos_flow *f)
{
	w->bytes.len = 0;
	if (w->seg.payload_len > 0 && mos_flow_is_read(c, w->flow, !w->from))
		check(c, w, f, false);
}

void mos_segment_beyond_window(struct mos_ctx *c, const struct mos_work *w,
                               const struct mos_flow *f)
{
	int to = !w->from;
	uint32_t edge = f->half[to].rcv_nxt + f->wnd_max[to];
	uint32_t first = mos_seq_gt(w->seg.seq, edge) ? w->seg.seq : edge;
	struct mos_stream_range range;

	mos_counter_add(&c->shard->counters, MOS_CTR_W_BEYOND_WINDOW, 1);
	if (f->stream[to].flags & MOS_STREAM_OFF)
		return;
	range.from = (uint64_t)mos_stream_offset(f, to, first);
	range.end = (uint64_t)mos_stream_offset(f, to, w->seg.seq + w->seg.payload_len);
	tell(c, w, MOS_GAP_BEYOND_WINDOW, &range, UINT8_MAX);
}

/* ---- what became of it ---- */

/*
 * A SYN/ACK that does not acknowledge the data that came with the SYN: its sender has dropped them,
 * and they need not be the same when they are sent again.
 */
static bool declines_data(const struct mos_work *w, const struct mos_flow *f)
{
	const struct mos_half *h = &f->half[w->from];

	return (w->seg.flags & MOS_TCP_SYN) && (w->seg.flags & MOS_TCP_ACK) &&
	       f->state[!w->from] == MOS_TCPS_SYN_SENT && h->rcv_nxt == h->irs + 1 &&
	       f->stream[w->from].chunks != 0;
}

/* An ACK of the half itself has moved what is in order. */
static void go_on(struct mos_ctx *c, struct mos_work *w, int side)
{
	struct mos_stream_told what = {.side = (uint8_t)side, .cause = MOS_GAP_MISSED};

	if (mos_stream_advance(&c->streams, w->flow, side, &what.range) > 0)
		w->new_data |= (uint8_t)(1 << side);
	if (mos_unlikely(!is_empty(&what.range)))
		mos_flow_tell_error(c, w->flow, &what, side, UINT8_MAX);
}

void mos_segment_acked(struct mos_ctx *c, struct mos_work *w, struct mos_flow *f)
{
	int side = w->from;

	if (w->seg.flags & MOS_TCP_ACK)
		mos_stream_acked(f, side, w->seg.ack);
	if (mos_unlikely(declines_data(w, f)))
		mos_stream_free(&c->streams, w->flow, side);
	if (mos_unlikely(f->half[side].rcv_nxt != w->rcv_nxt[side]))
		go_on(c, w, side);
}

unsigned mos_segment_arrive(struct mos_ctx *c, struct mos_work *w)
{
	struct mos_stream_range all = {0, 0}, lost;
	struct walk at = walk_payload(w);
	struct mos_piece piece;
	unsigned track = 0;
	bool news;
	uint64_t in_order = 0;

	while (next_piece(&at, &piece)) {
		in_order += mos_stream_arrive(&c->streams, w->flow, !w->from, &piece, w->window_end,
		                              at.left == 0, &lost);
		unite(&all, &lost);
	}
	if (mos_unlikely(!is_empty(&all)))
		tell(c, w, MOS_GAP_NO_ROOM, &all, UINT8_MAX);
	news = in_order > 0;
	if (mos_unlikely(mos_flow_at(&c->flows, w->flow)->stream[!w->from].ahead != 0))
		track = mos_flow_pass_hole(c, w->flow, !w->from, w->from, false, &news);
	if (news)
		w->new_data |= (uint8_t)(1 << !w->from);
	return track;
}

void mos_segment_keep_offsets(struct mos_ctx *c, const struct mos_work *w, const struct mos_flow *f)
{
	struct mos_stream_range gap;

	for (int side = 0; side < 2; side++)
		if (!mos_flow_is_read(c, w->flow, side) && (f->half[side].flags & MOS_HALF_RCVD))
			mos_stream_advance(&c->streams, w->flow, side, &gap);
}

static void tell_new_data(struct mos_ctx *c, const struct mos_work *w, int side)
{
	const struct mos_stream *st = &mos_flow_at(&c->flows, w->flow)->stream[side];

	if ((w->new_data >> side & 1) && !(st->flags & MOS_STREAM_OFF))
		mos_event_flow(c, w->flow, side, !side, MOS_HOOK_NULL, MOS_ON_CONN_NEW_DATA);
}

void mos_segment_new_data(struct mos_ctx *c, const struct mos_work *w)
{
	mos_ledger_stage(&c->shard->ledger, MOS_STAGE_DATA);
	mos_kill_point("stage.data");
	c->cur.mbuf = NULL;
	tell_new_data(c, w, !w->from);
	tell_new_data(c, w, w->from);
	mos_flow_settle(c, w->flow);
}
