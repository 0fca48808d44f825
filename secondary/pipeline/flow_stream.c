#include "secondary/pipeline/flow_stream.h"

#include "mos_ext.h"
#include "secondary/event/event.h"
#include "shared/kill_point/kill_point.h"

/* ---- who reads ---- */

void mos_flow_add_readers(struct mos_ctx *c, uint32_t flow, int side, uint8_t readers)
{
	struct mos_flow *f = mos_flow_at(&c->flows, flow);
	struct mos_stream *st = &f->stream[side];
	struct mos_stream_range gap;

	if (readers == 0 || (st->flags & MOS_STREAM_OFF))
		return;
	/* Nobody kept it up to date: what came by so far is lost to the first reader. */
	if (!mos_flow_is_read(c, flow, side) && (f->half[side].flags & MOS_HALF_RCVD))
		mos_stream_advance(&c->streams, flow, side, &gap);
	st->readers |= readers;
	c->flow_flags[flow] |= (uint8_t)(MOS_FF_READ << side);
	c->streams_read = true;
}

bool mos_flow_read_by(struct mos_ctx *c, uint32_t flow, int side, unsigned k)
{
	const struct mos_stream *st = &mos_flow_at(&c->flows, flow)->stream[side];

	if (st->flags & MOS_STREAM_OFF)
		return false;
	if (mos_unlikely(!(st->readers >> k & 1))) {
		mos_sockets_note_read(&c->sockets, k, side);
		mos_flow_add_readers(c, flow, side, (uint8_t)(1 << k));
	}
	return true;
}

/* Nobody reads the half any more: what is held goes. */
static void leave_half(struct mos_ctx *c, uint32_t flow, int side)
{
	mos_stream_free(&c->streams, flow, side);
	c->flow_flags[flow] &= (uint8_t) ~(MOS_FF_READ << side);
}

static bool is_left(const struct mos_stream *st)
{
	return st->readers == 0 || (st->flags & MOS_STREAM_OFF);
}

/* In work on the flow this waits for its end: what the callback has in its iovec stays good. */
static void leave_half_if_left(struct mos_ctx *c, uint32_t flow, int side)
{
	if (!mos_flow_in_hand(c, flow) && is_left(&mos_flow_at(&c->flows, flow)->stream[side]) &&
	    mos_flow_is_read(c, flow, side))
		leave_half(c, flow, side);
}

void mos_flow_not_read_by(struct mos_ctx *c, uint32_t flow, uint8_t sides, unsigned k)
{
	struct mos_flow *f = mos_flow_at(&c->flows, flow);

	for (int side = 0; side < 2; side++) {
		if (!(sides >> side & 1))
			continue;
		f->stream[side].readers &= (uint8_t) ~(1 << k);
		leave_half_if_left(c, flow, side);
	}
}

/* ---- how it is kept ---- */

void mos_flow_set_buffer(struct mos_ctx *c, uint32_t flow, int side, uint32_t bytes)
{
	struct mos_stream *st = &mos_flow_at(&c->flows, flow)->stream[side];
	uint8_t readers = st->readers;

	st->limit = bytes;
	if (bytes != 0) {
		st->flags &= (uint8_t)~MOS_STREAM_OFF;
		mos_flow_add_readers(c, flow, side, readers);
		return;
	}
	st->flags |= MOS_STREAM_OFF;
	leave_half_if_left(c, flow, side);
}

void mos_flow_set_stream_flag(struct mos_ctx *c, uint32_t flow, int side, uint8_t flag, bool on)
{
	struct mos_flow *f = mos_flow_at(&c->flows, flow);

	if (flag == MOS_STREAM_KEEP)
		mos_stream_keep(f, side, on);
	else if (on)
		f->stream[side].flags |= flag;
	else
		f->stream[side].flags &= (uint8_t)~flag;
}

static struct mos_stream_wish wish(struct mos_ctx *c, uint32_t flow, int side)
{
	return mos_sockets_wish(&c->sockets, flow, side, c->root->settings.rmem_size);
}

void mos_flow_new_streams(struct mos_ctx *c, uint32_t flow)
{
	struct mos_flow *f = mos_flow_at(&c->flows, flow);

	for (int side = 0; side < 2; side++) {
		struct mos_stream_wish w = wish(c, flow, side);

		f->stream[side].limit = w.limit;
		f->stream[side].flags =
			(w.flags & MOS_STREAM_WISHED) | (w.limit == 0 ? MOS_STREAM_OFF : 0);
		if (w.flags & MOS_WISH_EDITED)
			mos_remap_switch_on(f, !side, false, 0);
		mos_flow_add_readers(c, flow, side, w.readers);
	}
}

void mos_flow_adopt_streams(struct mos_ctx *c, uint32_t flow)
{
	struct mos_flow *f = mos_flow_at(&c->flows, flow);

	for (int side = 0; side < 2; side++) {
		struct mos_stream_wish w = wish(c, flow, side);
		uint8_t readers = (f->stream[side].readers & w.attached) | w.readers;

		f->stream[side].readers = readers;
		if (is_left(&f->stream[side]))
			leave_half(c, flow, side);
		else
			mos_flow_add_readers(c, flow, side, readers);
	}
}

/* ---- what is told ---- */

void mos_flow_tell_error(struct mos_ctx *c, uint32_t flow, const struct mos_stream_told *what,
                         int from, uint8_t socks)
{
	c->told = *what;
	c->told.flow = flow;
	mos_event_flow_some(c, flow, what->side, from, MOS_HOOK_NULL, MOS_ON_ERROR, socks);
	c->told.flow = MOS_FLOW_NONE;
}

/* Behind which offset some socket has not read yet. */
static uint64_t least_pos(struct mos_flow *f, int side)
{
	uint64_t least = f->stream[side].next;

	for (unsigned k = 0; k < MOS_SOCKETS_MAX; k++)
		if ((f->stream[side].readers >> k & 1) && *mos_stream_pos(f, side, k) < least)
			least = *mos_stream_pos(f, side, k);
	return least;
}

void mos_flow_tell_restart(struct mos_ctx *c, uint32_t flow)
{
	struct mos_flow *f = mos_flow_at(&c->flows, flow);

	for (int side = 0; side < 2; side++) {
		struct mos_stream_told what = {
			.side = (uint8_t)side,
			.cause = MOS_GAP_RESTART,
			.range = {least_pos(f, side), f->stream[side].next},
		};

		if (mos_flow_is_read(c, flow, side) && what.range.from < what.range.end)
			mos_flow_tell_error(c, flow, &what, MOS_CLI, UINT8_MAX);
	}
	mos_flow_write_begin(f);
	f->flags &= (uint8_t)~MOS_FLOW_TORN;
	mos_flow_write_end(f);
}

static void tell_evicted(struct mos_ctx *c, const struct mos_stream_evicted *e)
{
	struct mos_stream_told what = {
		.side = e->side,
		.cause = MOS_GAP_NO_ROOM,
		.range = e->range,
	};

	mos_ledger_flow(&c->shard->ledger, e->flow);
	mos_ledger_stage(&c->shard->ledger, MOS_STAGE_AFTER);
	mos_kill_point("stage.evicted");
	mos_flow_tell_error(c, e->flow, &what, MOS_CLI, UINT8_MAX);
	mos_flow_settle(c, e->flow);
	mos_flow_forget_if_stopped(c, e->flow);
	mos_ledger_stage(&c->shard->ledger, MOS_STAGE_IDLE);
	mos_ledger_flow(&c->shard->ledger, MOS_FLOW_NONE);
}

void mos_flow_tell_evicted(struct mos_ctx *c)
{
	struct mos_streams *s = &c->streams;

	for (uint32_t i = 0; i < s->evicted_count; i++) {
		const struct mos_stream_evicted e = s->evicted[i];
		const struct mos_flow *f = mos_flow_at(&c->flows, e.flow);

		if ((f->flags & MOS_FLOW_IN_USE) && mos_chunk_owner(f->id, e.side) == e.owner &&
		    mos_flow_is_read(c, e.flow, e.side))
			tell_evicted(c, &e);
	}
	s->evicted_count = 0;
}

/* ---- holes that nobody will ever acknowledge ---- */

/* Chunks of out-of-order bytes, about 900 kB: more than a sender of today has under way. */
#define HOLE_CHUNKS 512

/* Where the stream goes on: behind the bytes that follow the first hole, or behind all. */
static uint64_t behind_hole(struct mos_ctx *c, uint32_t flow, int side, bool at_end)
{
	uint64_t next = mos_flow_at(&c->flows, flow)->stream[side].next;
	struct mos_stream_range held = {next, next};

	if (at_end)
		return mos_stream_end(&c->streams, flow, side);
	mos_stream_held(&c->streams, flow, side, next + 1, &held);
	return held.end;
}

unsigned mos_flow_pass_hole(struct mos_ctx *c, uint32_t flow, int side, int from, bool at_end,
                            bool *news)
{
	struct mos_flow *f = mos_flow_at(&c->flows, flow);
	struct mos_stream_told what = {.side = (uint8_t)side, .cause = MOS_GAP_MISSED};
	uint32_t ahead = f->stream[side].ahead, seq;
	unsigned track;

	if (mos_likely(ahead == 0) || !mos_tcp_unheard(f, side) ||
	    (!at_end && ahead < HOLE_CHUNKS && ahead < c->streams.share_max))
		return 0;
	seq = f->half[side].irs + 1 + (uint32_t)behind_hole(c, flow, side, at_end);
	mos_flow_write_begin(f);
	track = mos_tcp_skip(f, side, seq, at_end);
	mos_kill_point("record.skip");
	mos_flow_write_end(f);
	*news |= mos_stream_advance(&c->streams, flow, side, &what.range) > 0;
	if (what.range.from < what.range.end)
		mos_flow_tell_error(c, flow, &what, from, UINT8_MAX);
	return track;
}

/* ---- the work on the flow is done ---- */

void mos_flow_settle(struct mos_ctx *c, uint32_t flow)
{
	struct mos_flow *f = mos_flow_at(&c->flows, flow);

	for (int side = 0; side < 2; side++) {
		if (!mos_flow_is_read(c, flow, side))
			continue;
		if (mos_unlikely(is_left(&f->stream[side])))
			leave_half(c, flow, side);
		else
			mos_stream_settle(&c->streams, flow, side);
	}
}
