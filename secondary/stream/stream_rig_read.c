#include <stdlib.h>
#include <string.h>

#include "secondary/stream/stream_rig_priv.h"

typedef unsigned long long ull;

/* What a read of the socket must return; its position moves. */
static int64_t model_read(struct model_stream *m, unsigned k, uint64_t len)
{
	uint64_t pos = m->pos[k], left = m->next - pos, run;

	if (len == 0)
		return 0;
	m->readers |= (uint8_t)(1u << k);
	if (left == 0)
		return 0;
	if (!model_holds(m, pos)) {
		run = model_lost_run(m, pos, m->next);
		m->pos[k] += run;
		return -(int64_t)run;
	}
	run = model_held_run(m, pos, pos + (len < left ? len : left));
	m->pos[k] += run;
	return (int64_t)run;
}

static void check_read(struct rig *r, unsigned n, int side, unsigned k, int64_t got, int64_t want)
{
	const struct model_stream *m = &r->flow[n].in[side];
	uint64_t pos = *mos_stream_pos(rig_record(r, n), side, k);

	if (got != want)
		rig_wrong(r, "flow %u side %d socket %u: read %lld, not %lld, next %llu", n, side,
		          k, (long long)got, (long long)want, (ull)m->next);
	if (pos != m->pos[k])
		rig_wrong(r, "flow %u side %d socket %u: position %llu, not %llu", n, side, k,
		          (ull)pos, (ull)m->pos[k]);
	RIG_CHECK(r, rig_record(r, n)->stream[side].readers == m->readers);
	r->bytes_read += got > 0 ? (uint64_t)got : 0;
	r->bytes_lost += got < 0 ? (uint64_t)-got : 0;
}

static void check_bytes(const struct rig *r, unsigned n, int side, const uint8_t *bytes,
                        uint64_t from, uint64_t len)
{
	const struct model_stream *m = &r->flow[n].in[side];

	for (uint64_t i = 0; i < len; i++)
		if (bytes[i] != model_byte(m, from + i))
			rig_wrong(r, "flow %u side %d: byte %llu is %02x, not %02x", n, side,
			          (ull)(from + i), bytes[i], model_byte(m, from + i));
}

static bool is_off(const struct rig *r, unsigned n, int side)
{
	return rig_record(r, n)->stream[side].flags & MOS_STREAM_OFF;
}

int64_t rig_read(struct rig *r, unsigned n, int side, unsigned k, bool in_hand, size_t len)
{
	struct model_stream *m = &r->flow[n].in[side];
	uint64_t from = m->pos[k];
	int64_t got, want;
	uint8_t *buf;

	if (is_off(r, n, side))
		return 0;
	buf = malloc(len + 1); /* of its own, to notice writes beyond */
	if (buf == NULL)
		abort();
	rig_catch_up(r, n, side);
	got = mos_stream_read(&r->streams, r->flow[n].slot, side, k, in_hand, buf, len);
	want = model_read(m, k, len);
	check_read(r, n, side, k, got, want);
	r->flow[n].noted[side] |= !in_hand && got != 0;
	if (got > 0)
		check_bytes(r, n, side, buf, from, (uint64_t)got);
	free(buf);
	return got;
}

/* Keep in mind what was handed out: as long as there is room for it. */
static void note_view(struct rig *r, unsigned n, int side, const struct iovec *v, uint64_t from)
{
	if (r->view_count == RIG_VIEWS)
		return;
	r->view[r->view_count++] = (struct rig_view){
		.bytes = v->iov_base,
		.len = (uint32_t)v->iov_len,
		.from = from,
		.flow = (uint8_t)n,
		.side = (uint8_t)side,
	};
}

int64_t rig_readv(struct rig *r, unsigned n, int side, unsigned k, bool in_hand, int iovcnt)
{
	struct model_stream *m = &r->flow[n].in[side];
	struct iovec iov[16];
	uint64_t from = m->pos[k];
	int64_t got, want, sum = 0;
	int used = iovcnt;

	if (is_off(r, n, side))
		return 0;
	rig_catch_up(r, n, side);
	got = mos_stream_readv(&r->streams, r->flow[n].slot, side, k, in_hand, iov, &used);
	RIG_CHECK(r, used >= 0 && used <= iovcnt);
	/* No more than it has entries for, but else all there is. */
	want = model_read(m, k, got > 0 && used == iovcnt ? (uint64_t)got : UINT64_MAX);
	check_read(r, n, side, k, got, want);
	RIG_CHECK(r, got > 0 || used == 0);
	r->flow[n].noted[side] |= !in_hand && got != 0;
	for (int i = 0; i < used; i++) {
		RIG_CHECK(r, iov[i].iov_len > 0);
		check_bytes(r, n, side, iov[i].iov_base, from + (uint64_t)sum, iov[i].iov_len);
		note_view(r, n, side, &iov[i], from + (uint64_t)sum);
		sum += (int64_t)iov[i].iov_len;
	}
	RIG_CHECK(r, sum == (got > 0 ? got : 0));
	return got;
}

void rig_at(struct rig *r, unsigned n, int side, uint64_t off, size_t len)
{
	const struct model_stream *m = &r->flow[n].in[side];
	uint8_t *buf = malloc(len + 1);
	uint64_t want = model_held_run(m, off, off + len), got;

	if (buf == NULL)
		abort();
	got = mos_stream_at(&r->streams, r->flow[n].slot, side, buf, len, off);
	if (got != want)
		rig_wrong(r, "flow %u side %d: %llu bytes at %llu, not %llu", n, side, (ull)got,
		          (ull)off, (ull)want);
	check_bytes(r, n, side, buf, off, got);
	free(buf);
}

void rig_held(struct rig *r, unsigned n, int side, uint64_t off)
{
	struct mos_stream_range got = {0, 0}, want = {0, 0};
	bool is = mos_stream_held(&r->streams, r->flow[n].slot, side, off, &got);

	RIG_CHECK(r, is == model_next_held(&r->flow[n].in[side], off, &want));
	if (is)
		rig_same_range(r, "held", n, side, &got, &want);
}

/* ---- options ---- */

void rig_add_reader(struct rig *r, unsigned n, int side, unsigned k)
{
	rig_catch_up(r, n, side);
	rig_record(r, n)->stream[side].readers |= (uint8_t)(1u << k);
	r->flow[n].in[side].readers |= (uint8_t)(1u << k);
}

void rig_set_limit(struct rig *r, unsigned n, int side, uint32_t limit)
{
	struct mos_stream *s = &rig_record(r, n)->stream[side];
	struct model_stream *m = &r->flow[n].in[side];

	rig_catch_up(r, n, side);
	s->limit = m->limit = limit;
	s->flags &= (uint8_t)~MOS_STREAM_OFF;
	if (limit > 0)
		return;
	s->flags |= MOS_STREAM_OFF;
	if (r->in_hand == (int)n)
		return; /* what the callback was given stays good until the packet is done */
	rig_check_views(r, n);
	rig_forget_views(r, n);
	mos_stream_free(&r->streams, r->flow[n].slot, side);
	model_clear(m);
}

static void set_flag(struct mos_stream *s, uint8_t flag, bool on)
{
	s->flags = (uint8_t)((s->flags & ~flag) | (on ? flag : 0));
}

void rig_set_last(struct rig *r, unsigned n, int side, bool last)
{
	set_flag(&rig_record(r, n)->stream[side], MOS_STREAM_LAST, last);
	r->flow[n].in[side].last = last;
}

void rig_set_keep(struct rig *r, unsigned n, int side, bool keep)
{
	struct model_stream *m = &r->flow[n].in[side];

	mos_stream_keep(rig_record(r, n), side, keep);
	if (keep && !m->keep)
		m->acked = rig_offset(r, n, side, rig_record(r, n)->half[side].rcv_nxt);
	m->keep = keep;
}

void rig_detach(struct rig *r)
{
	uint32_t slot = r->streams.tail_flow;
	bool any = r->streams.tail.len > 0;
	int side = r->streams.tail_side;

	mos_stream_detach_tail(&r->streams);
	RIG_CHECK(r, r->streams.tail.len == 0);
	for (unsigned n = 0; any && n < RIG_FLOWS; n++) {
		if (!r->flow[n].live || r->flow[n].slot != slot)
			continue;
		rig_forget_views(r, n);
		rig_take_losses(r, n, side, NULL, 0);
		rig_compare(r, n, side);
	}
}

void rig_settle_read(struct rig *r)
{
	bool full = r->streams.read_count == MOS_READ_MAX;

	mos_streams_settle_read(&r->streams);
	for (unsigned n = 0; n < RIG_FLOWS; n++) {
		if (!r->flow[n].live)
			continue;
		rig_forget_views(r, n);
		for (int side = MOS_CLI; side <= MOS_SVR && !full; side++) {
			if (r->flow[n].noted[side] && rig_is_on(r, n, side))
				model_give_back(&r->flow[n].in[side]);
			r->flow[n].noted[side] = false;
			rig_compare(r, n, side);
		}
	}
	rig_check_counters(r);
}
