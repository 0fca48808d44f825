/* Numbers of one end in those of the other, and images. */
#include <string.h>

#include "secondary/remap/remap_priv.h"
#include "shared/kill_point/kill_point.h"

static struct mos_log open_side(const struct mos_remap *r, uint32_t flow, int from)
{
	return mos_log_open(r->pool, r->flows, flow, from);
}

uint32_t mos_remap_decided(struct mos_remap *r, uint32_t flow, int from)
{
	return open_side(r, flow, from).decided;
}

uint32_t mos_remap_map(struct mos_remap *r, uint32_t flow, int from, uint32_t seq)
{
	const struct mos_log l = open_side(r, flow, from);

	return mos_log_map(&l, seq);
}

/* The largest number whose image begins at ack or before: all below it has arrived. */
uint32_t mos_remap_unmap(struct mos_remap *r, uint32_t flow, int from, uint32_t ack)
{
	const struct mos_log l = open_side(r, flow, from);
	uint32_t pos, k;
	const struct mos_log_rec *rec = mos_log_find_received(&l, ack, &pos);

	if (rec == NULL)
		return ack - l.delta;
	k = ack - (rec->seq + rec->delta);
	if (k >= rec->inserted)
		return ack - (rec->delta + rec->inserted - rec->removed);
	if (rec->removed == 0)
		return rec->seq;
	return rec->seq + (k < rec->removed ? k : rec->removed - 1u);
}

/* The smallest number whose image begins at start or behind. */
uint32_t mos_remap_unmap_start(struct mos_remap *r, uint32_t flow, int from, uint32_t start)
{
	const struct mos_log l = open_side(r, flow, from);
	uint32_t pos, k;
	const struct mos_log_rec *rec = mos_log_find_received(&l, start - 1, &pos);

	if (rec == NULL)
		return start - l.delta;
	k = start - (rec->seq + rec->delta);
	if (k > rec->inserted)
		return start - (rec->delta + rec->inserted - rec->removed);
	if (rec->removed == 0)
		return rec->seq + 1;
	return rec->seq + (k < rec->removed ? k : rec->removed);
}

/* ---- forgetting ---- */

/* Does the record end at x, or before? */
static bool ends_before(const struct mos_log_rec *rec, uint32_t x, bool received)
{
	uint32_t end = rec->seq + (received ? rec->delta + rec->inserted : rec->removed);

	return mos_seq_leq(end, x);
}

static void forget(struct mos_log *l, uint32_t x, bool received)
{
	uint32_t begin = mos_log_settle(l, l->begin), pos = begin, delta = l->delta;

	while (pos != l->end) {
		const struct mos_log_rec *rec = mos_log_at(l, pos);

		if (!ends_before(rec, x, received))
			break;
		delta = rec->delta + rec->inserted - rec->removed;
		pos = mos_log_next(l, pos);
	}
	if (pos == begin)
		return;
	mos_log_set_past(l, delta, pos);
	mos_kill_point("remap.past");
	if (pos == l->end || mos_log_page(pos) != mos_log_page(begin))
		mos_log_tidy(l);
}

void mos_log_forget_sent(struct mos_log *l, uint32_t seq)
{
	if (l->state != NULL && l->begin != l->end)
		forget(l, seq, false);
}

void mos_remap_acked(struct mos_remap *r, uint32_t flow, int from, uint32_t ack)
{
	struct mos_log l = open_side(r, flow, from);

	if (l.state != NULL && l.begin != l.end && mos_seq_leq(ack, mos_log_map(&l, l.decided)))
		forget(&l, ack, true);
}

/* ---- images ---- */

/* The first record that has to do with bytes from seq on, or the end. */
static uint32_t first_record(const struct mos_log *l, uint32_t seq)
{
	uint32_t pos;
	const struct mos_log_rec *rec = mos_log_find_sent(l, seq, &pos);

	if (rec == NULL || rec->seq == seq || seq - rec->seq < rec->removed)
		return pos;
	return mos_log_next(l, pos);
}

/* Has a record, from first_record() on, to do with a range up to end, or with its FIN? */
static bool meets(const struct mos_log_rec *rec, uint32_t end, bool fin)
{
	return mos_seq_lt(rec->seq, end) || (fin && rec->seq == end && rec->removed == 0);
}

bool mos_remap_touches(struct mos_remap *r, uint32_t flow, int from, uint32_t seq, uint32_t len,
                       bool fin)
{
	const struct mos_log l = open_side(r, flow, from);
	uint32_t pos;

	if (l.state == NULL || l.begin == l.end)
		return false;
	pos = first_record(&l, seq);
	return pos != l.end && meets(mos_log_at(&l, pos), seq + len, fin);
}

/* An image that is being written. */
struct writer {
	uint8_t *out;
	uint32_t room;
	uint32_t len;
	uint32_t seq; /* the sender's number that comes next */
	bool full;
};

/* As many of n bytes as there is room for. */
static uint32_t write_some(struct writer *w, const uint8_t *bytes, uint32_t n)
{
	uint32_t room = w->room - w->len;

	if (n > room) {
		n = room;
		w->full = true;
	}
	memcpy(w->out + w->len, bytes, n);
	w->len += n;
	return n;
}

/* All, or none of them. */
static void write_all(struct writer *w, const uint8_t *bytes, uint32_t n)
{
	if (n > w->room - w->len)
		w->full = true;
	else
		write_some(w, bytes, n);
}

/* The images of the removed bytes from w->seq to end; true when the record is done with. */
static bool write_record(struct writer *w, struct mos_log_rec *rec, uint32_t end)
{
	const uint8_t *bytes = mos_log_bytes(rec);
	uint32_t last = rec->removed - 1u, at = w->seq - rec->seq, to = end - rec->seq, stop, n;

	if (rec->removed == 0) { /* on a byte: its FIN was none */
		write_all(w, bytes, rec->inserted);
		return true;
	}
	stop = mos_min_u32(to, last);
	if (at < stop) {
		n = mos_min_u32(stop, rec->inserted) - mos_min_u32(at, rec->inserted);
		n = n - write_some(w, bytes + mos_min_u32(at, rec->inserted), n);
		w->seq = rec->seq + (w->full ? mos_min_u32(stop, rec->inserted) - n : stop);
	}
	if (w->full || to <= last)
		return false;
	n = mos_min_u32(last, rec->inserted);
	write_all(w, bytes + n, rec->inserted - n);
	if (!w->full)
		w->seq = rec->seq + rec->removed;
	return true;
}

/* The bytes in front of `stop`, as they were sent. */
static void write_sent(struct writer *w, const uint8_t *sent, uint32_t stop)
{
	w->seq += write_some(w, sent, stop - w->seq);
}

struct mos_remap_image mos_remap_image(struct mos_remap *r, uint32_t flow, int from, uint32_t seq,
                                       const uint8_t *sent, uint32_t len, bool fin, uint8_t *out,
                                       uint32_t room)
{
	const struct mos_log l = open_side(r, flow, from);
	struct writer w = {.out = out, .room = room, .seq = seq};
	uint32_t pos = first_record(&l, seq), end = seq + len;

	while (!w.full && pos != l.end) {
		struct mos_log_rec *rec = mos_log_at(&l, pos);

		if (!meets(rec, end, fin))
			break;
		if (mos_seq_gt(rec->seq, w.seq))
			write_sent(&w, sent + (w.seq - seq), rec->seq);
		if (w.full || !write_record(&w, rec, end))
			break;
		pos = mos_log_next(&l, pos);
	}
	if (!w.full && mos_seq_lt(w.seq, end))
		write_sent(&w, sent + (w.seq - seq), end);
	return (struct mos_remap_image){
		.len = w.len,
		.taken = w.seq - seq,
		.fin = fin && !w.full && w.seq == end,
	};
}
