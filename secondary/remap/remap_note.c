/* Edits of the packet at hand: noted, then made to count or forgotten. */
#include <errno.h>
#include <string.h>

#include "secondary/remap/remap_priv.h"
#include "shared/kill_point/kill_point.h"

static struct mos_log open_log(const struct mos_remap *r)
{
	return mos_log_open(r->pool, r->flows, r->flow, r->from);
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

void mos_remap_packet(struct mos_remap *r, uint32_t flow, int from, uint32_t seq, uint32_t len,
                      bool fin)
{
	struct mos_flow *f = mos_flow_at(r->flows, flow);

	r->flow = flow;
	r->from = from;
	r->seq = seq;
	r->len = len;
	r->fin = fin;
	r->reserved = false;
	r->count = 0;
	if (mos_unlikely(!(f->remap[from] & MOS_REMAP_KNOWN))) {
		f->decided[from] = seq;
		mos_kill_point("remap.known");
		__atomic_store_n(&f->remap[from], f->remap[from] | MOS_REMAP_KNOWN,
		                 __ATOMIC_RELEASE); /* decided is written */
	}
}

/* ---- what will be written ---- */

/* A record to be: of the edit, or of two with one byte between them. */
struct planned {
	uint32_t off, removed, inserted; /* as in struct mos_remap_edit */
	uint32_t at;                     /* of the inserted bytes, in the payload as it is now */
};

/* Bytes that were put in without removing any hang on a byte: that is now one of them. */
static void hang(const struct mos_remap *r, struct planned *p, uint32_t *n)
{
	struct planned *e = &p[*n];

	if (e->off < r->len) {
		e->removed = 1;
		e->inserted++;
	} else if (!r->fin && *n > 0 && e[-1].off + e[-1].removed == e->off) {
		e[-1].inserted += e->inserted; /* that byte is spoken for */
		(*n)--;
	} else if (!r->fin) {
		e->off--;
		e->at--;
		e->removed = 1;
		e->inserted++;
	}
}

static uint32_t plan(const struct mos_remap *r, struct planned p[MOS_REMAP_PENDING_MAX])
{
	uint32_t n = 0, at = 0, off = 0;

	for (uint32_t i = 0; i < r->count; i++) {
		const struct mos_remap_edit *e = &r->edit[i];

		at += e->off - off;
		p[n] = (struct planned){e->off, e->removed, e->inserted, at};
		at += e->inserted;
		off = e->off + e->removed;
		if (e->removed == 0 && e->inserted == 0)
			continue;
		if (e->removed == 0)
			hang(r, p, &n);
		n++;
	}
	return n;
}

/* Where the record goes that comes at pos or behind. */
static uint32_t place(uint32_t pos, uint32_t bytes)
{
	return mos_log_has_room(pos, mos_log_units(bytes)) ? pos : mos_log_next_page(pos);
}

/* Take the chunks that all edits will need. 0, -ENOBUFS or -EMSGSIZE. */
static int reserve(struct mos_remap *r, uint32_t insert_max)
{
	struct planned p[MOS_REMAP_PENDING_MAX];
	uint32_t n = plan(r, p), pos, last;
	struct mos_log l = open_log(r);

	pos = last = l.end;
	for (uint32_t i = 0; i < n; i++) {
		if (p[i].inserted > insert_max + 1)
			return -EMSGSIZE;
		last = place(pos, p[i].inserted);
		pos = last + mos_log_units(p[i].inserted);
	}
	if (n == 0)
		return 0;
	if (mos_log_pages(l.begin, last) >= MOS_REMAP_CHUNKS_MAX)
		return -ENOBUFS;
	r->reserved = true;
	mos_kill_point("remap.reserve");
	return mos_log_reserve(&l, last) ? 0 : -ENOBUFS;
}

/* ---- noting ---- */

/* The edits, copied to be changed: nothing counts if one of the checks fails. */
struct draft {
	struct mos_remap_edit edit[MOS_REMAP_PENDING_MAX + 2];
	uint32_t count;
};

/* Add an edit behind the others; two that touch become one. */
static void emit(struct draft *d, uint32_t off, uint32_t removed, uint32_t inserted)
{
	struct mos_remap_edit *last = &d->edit[d->count - (d->count > 0)];

	if (d->count > 0 && last->off + last->removed == off) {
		last->removed += removed;
		last->inserted += inserted;
		return;
	}
	if (d->count == MOS_REMAP_PENDING_MAX + 2)
		return; /* one call adds one: seen by whoever takes the draft over */
	d->edit[d->count++] = (struct mos_remap_edit){off, removed, inserted};
}

static int take_over(struct mos_remap *r, const struct draft *d, uint32_t insert_max)
{
	struct mos_remap_edit old[MOS_REMAP_PENDING_MAX];
	uint32_t count = r->count;
	int err;

	if (d->count > MOS_REMAP_PENDING_MAX)
		return -EMSGSIZE;
	memcpy(old, r->edit, count * sizeof(old[0]));
	memcpy(r->edit, d->edit, d->count * sizeof(old[0]));
	r->count = d->count;
	err = reserve(r, insert_max);
	if (err != 0) {
		memcpy(r->edit, old, count * sizeof(old[0]));
		r->count = count;
	}
	return err;
}

/* How much of [a, b) lies in [at, at + len). */
static uint32_t common(uint32_t a, uint32_t b, uint32_t at, uint32_t len)
{
	uint32_t from = max_u32(a, at), to = mos_min_u32(b, at + len);

	return from < to ? to - from : 0;
}

int mos_remap_note_chomp(struct mos_remap *r, uint32_t at, uint32_t len)
{
	uint32_t decided = open_log(r).decided, cursor = 0, off = 0, n;
	struct draft d;

	d.count = 0;
	for (uint32_t i = 0; i <= r->count; i++) {
		const struct mos_remap_edit *e = &r->edit[i];
		uint32_t end = i < r->count ? e->off : r->len;

		n = common(cursor, cursor + (end - off), at, len);
		if (n > 0) {
			uint32_t first = off + max_u32(cursor, at) - cursor;

			if (mos_seq_lt(r->seq + first, decided))
				return -EALREADY;
			emit(&d, first, n, 0);
		}
		cursor += end - off;
		if (i == r->count)
			break;
		n = common(cursor, cursor + e->inserted, at, len);
		emit(&d, e->off, e->removed, e->inserted - n);
		cursor += e->inserted;
		off = e->off + e->removed;
	}
	return take_over(r, &d, MOS_REMAP_INSERT_MAX);
}

/* May bytes go in at offset off, where nothing was edited yet? */
static int check_place(const struct mos_remap *r, uint32_t off)
{
	uint32_t hung_on = r->seq + off, decided = open_log(r).decided;

	if (off == r->len && !r->fin) {
		if (r->len == 0)
			return -EINVAL;
		hung_on--;
	}
	return mos_seq_lt(hung_on, decided) ? -EALREADY : 0;
}

int mos_remap_note_insert(struct mos_remap *r, uint32_t at, uint32_t len, uint32_t insert_max)
{
	uint32_t cursor = 0, off = 0;
	bool done = false;
	struct draft d;
	int err;

	d.count = 0;
	for (uint32_t i = 0; i <= r->count; i++) {
		const struct mos_remap_edit *e = &r->edit[i];
		uint32_t end = i < r->count ? e->off : r->len;
		uint32_t here = 0, next = cursor + (end - off);

		/* Where an edit is, or was before it, it is that which grows. */
		if (!done && (at < next || i == r->count)) {
			if (at > next)
				return -EINVAL;
			err = check_place(r, off + (at - cursor));
			if (err != 0)
				return err;
			emit(&d, off + (at - cursor), 0, len);
			done = true;
		}
		cursor = next;
		if (i == r->count)
			break;
		if (!done && at <= cursor + e->inserted) {
			here = len;
			done = true;
		}
		emit(&d, e->off, e->removed, e->inserted + here);
		cursor += e->inserted;
		off = e->off + e->removed;
	}
	return take_over(r, &d, insert_max);
}

/* ---- what becomes of them ---- */

static void write_rec(const struct mos_log *l, uint32_t pos, const struct mos_log_rec *rec,
                      const uint8_t *bytes)
{
	struct mos_log_rec *to = mos_log_at(l, pos);

	*to = *rec;
	mos_kill_point("remap.rec");
	memcpy(mos_log_bytes(to), bytes, rec->inserted);
}

/* Write the records behind the end, where nobody reads. Returns the new end. */
static uint32_t write_recs(struct mos_remap *r, const struct mos_log *l, const uint8_t *payload)
{
	struct planned p[MOS_REMAP_PENDING_MAX];
	uint32_t n = plan(r, p), pos = l->end, delta = mos_log_map(l, l->decided) - l->decided;

	for (uint32_t i = 0; i < n; i++) {
		const struct mos_log_rec rec = {
			.seq = r->seq + p[i].off,
			.delta = delta,
			.removed = (uint16_t)p[i].removed,
			.inserted = (uint16_t)p[i].inserted,
			.kind = MOS_LOG_EDIT,
		};
		uint32_t at = place(pos, p[i].inserted);

		if (at != pos && mos_log_has_room(pos, 2))
			mos_log_at(l, pos)->kind = MOS_LOG_SKIP;
		write_rec(l, at, &rec, payload + p[i].at);
		pos = at + mos_log_units(p[i].inserted);
		delta += p[i].inserted - p[i].removed;
	}
	return pos;
}

void mos_remap_commit(struct mos_remap *r, const uint8_t *payload)
{
	uint32_t decided = r->seq + r->len + r->fin, end;
	struct mos_log l = open_log(r);

	if (r->len + r->fin > 0 && (mos_seq_gt(decided, l.decided) || r->count > 0)) {
		end = r->count > 0 ? write_recs(r, &l, payload) : l.end;
		mos_kill_point("remap.recs");
		mos_log_set_fate(&l, mos_seq_gt(decided, l.decided) ? decided : l.decided, end);
		mos_kill_point("remap.fate");
	}
	r->count = 0;
	if (r->reserved)
		mos_log_tidy(&l);
	r->reserved = false;
	/* No receiver is that far behind; numbers must not come round. */
	mos_log_forget_sent(&l, l.decided - MOS_LOG_SPAN);
}

void mos_remap_discard(struct mos_remap *r)
{
	struct mos_log l;

	r->count = 0;
	if (!r->reserved)
		return;
	r->reserved = false;
	l = open_log(r);
	mos_log_tidy(&l);
}
