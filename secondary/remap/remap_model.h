/*
 * Random streams, edited by a random application, over a network that loses, doubles and reorders,
 * with senders that send again with other boundaries and workers that die: the receiver must get
 * what the naive image says, and everything is acknowledged in the end.
 *
 * The naive image: whatever went to the receiver first, behind what had gone before, in order.
 *
 * All that is random is picked by the caller's m.pick, from rng or from the input of a fuzzer.
 */
#ifndef MOS_SECONDARY_REMAP_MODEL_H
#define MOS_SECONDARY_REMAP_MODEL_H

#include "secondary/remap/test_remap.h"

enum { SENT_MAX = 6000, IMAGE_MAX = 4 * SENT_MAX, NET_MAX = 12, WIRE_MAX = 1600, SACKS = 3 };

struct segment {
	uint32_t seq, len;
	bool fin;
	uint8_t bytes[WIRE_MAX];
};

struct ack {
	uint32_t ack, count;
	uint32_t left[SACKS], right[SACKS];
};

static struct model {
	uint32_t (*pick)(uint32_t below);
	uint32_t start; /* number of the first byte, at both ends */
	uint32_t mss, insert_max;
	unsigned edit_percent, loss_percent, death_percent;

	/* sender; offsets */
	uint8_t sent[SENT_MAX];
	uint32_t sent_len, una, nxt; /* una and nxt may be sent_len + 1: the FIN */
	uint8_t sacked[SENT_MAX + 1];

	/* the naive image */
	uint8_t image[IMAGE_MAX];
	uint32_t image_len, decided; /* offset */
	bool image_fin;

	/* receiver; offsets */
	uint8_t got[IMAGE_MAX + 1];
	uint32_t rcv_nxt, fin_at;
	bool fin_known;

	struct segment segs[NET_MAX];
	uint32_t seg_count;
	struct ack acks[NET_MAX];
	uint32_t ack_count;
	uint64_t steps;
} m;

static uint32_t below(uint32_t n)
{
	return m.pick(n);
}

static bool chance(unsigned percent)
{
	return below(100) < percent;
}

/* ---- the receiver ---- */

static void answer(void)
{
	struct ack a = {.ack = m.start + m.rcv_nxt};
	uint32_t at = m.rcv_nxt, end = m.image_len + 1;

	while (a.count < SACKS && at < end) {
		while (at < end && !m.got[at])
			at++;
		if (at == end)
			break;
		a.left[a.count] = m.start + at;
		while (at < end && m.got[at])
			at++;
		a.right[a.count++] = m.start + at;
	}
	if (m.ack_count < NET_MAX && !chance(m.loss_percent))
		m.acks[m.ack_count++] = a;
}

static void receive(const struct segment *s)
{
	int32_t at = (int32_t)(s->seq - m.start);

	for (uint32_t i = 0; i < s->len; i++) {
		int32_t to = at + (int32_t)i;

		if (to < 0 || (uint32_t)to < m.rcv_nxt)
			continue; /* it has that already */
		must((uint32_t)to < m.image_len);
		must(m.image[to] == s->bytes[i]);
		m.got[to] = 1;
	}
	if (s->fin) {
		must(m.image_fin && (uint32_t)at + s->len == m.image_len);
		m.got[m.image_len] = 1;
	}
	while (m.rcv_nxt < m.image_len + m.image_fin && m.got[m.rcv_nxt])
		m.rcv_nxt++;
	answer();
}

/* ---- the application, and the monitor ---- */

static void put_bytes(struct segment *s, uint32_t at, uint32_t len)
{
	memmove(s->bytes + at + len, s->bytes + at, s->len - at);
	for (uint32_t i = 0; i < len; i++)
		s->bytes[at + i] = (uint8_t)below(256);
	s->len += len;
}

static void cut_bytes(struct segment *s, uint32_t at, uint32_t len)
{
	memmove(s->bytes + at, s->bytes + at + len, s->len - at - len);
	s->len -= len;
}

/* One edit somewhere, also where it is too late. Bytes below `fixed` may not change. */
static bool edit_once(struct segment *s, uint32_t fixed)
{
	uint32_t at = below(s->len + 1), len = 1 + below(chance(20) ? s->len + 1 : 5);
	int err;

	if (chance(50)) {
		if (len > s->len - at)
			len = s->len - at;
		if (len == 0)
			return true;
		err = mos_remap_note_chomp(&b.r, at, len);
		if (err == 0)
			cut_bytes(s, at, len);
		must(err == 0 ? at >= fixed : err == -ENOBUFS || (err == -EALREADY && at < fixed));
	} else {
		if (chance(10))
			len = 1 + below(m.insert_max);
		if (len > m.mss - s->len)
			return true;
		err = mos_remap_note_insert(&b.r, at, len, m.insert_max);
		if (err == 0)
			put_bytes(s, at, len);
		must(err == 0 ? at >= fixed
		              : err == -ENOBUFS || err == -EMSGSIZE ||
		                        (err == -EALREADY && at <= fixed) ||
		                        (err == -EINVAL && s->len == 0));
	}
	return err == 0 || err == -EALREADY;
}

static bool edit(struct segment *s, uint32_t fixed)
{
	bool fits = true;

	if (!chance(m.edit_percent))
		return true;
	for (uint32_t n = 1 + below(chance(5) ? 60 : 4); n > 0 && fits; n--)
		fits = edit_once(s, fixed);
	return fits;
}

static void note_image(const uint8_t *bytes, uint32_t len)
{
	must(m.image_len + len <= IMAGE_MAX);
	memcpy(m.image + m.image_len, bytes, len);
	m.image_len += len;
}

/* What the packet of [at, at + len) brings that is new: what it holds behind `fixed` bytes. */
static void decide(const struct segment *s, uint32_t at, uint32_t len, uint32_t fixed)
{
	uint32_t end = at + len + s->fin;

	if (end <= m.decided)
		return;
	if (at > m.decided) /* it overtakes others: these are as they were sent */
		note_image(m.sent + m.decided, at - m.decided);
	note_image(s->bytes + fixed, s->len - fixed);
	m.image_fin |= s->fin;
	m.decided = end;
}

/* Put the image of the first `fixed` bytes in their place. False: not all of it has room. */
static void put_image(struct segment *s, const struct segment *as_sent, uint32_t fixed)
{
	struct mos_remap_image image;
	uint8_t rest[WIRE_MAX], *out = s->bytes;
	uint32_t rest_len = s->len - fixed;
	bool fin_fixed = s->fin && fixed == s->len && as_sent->len == fixed;

	memcpy(rest, s->bytes + fixed, rest_len);
	image = mos_remap_image(&b.r, b.flow, CLI, as_sent->seq, as_sent->bytes, fixed, fin_fixed,
	                        out, m.mss);
	must(image.len <= m.mss && image.taken <= fixed);
	s->len = image.len;
	if (image.taken < fixed || rest_len > m.mss - image.len) {
		s->fin = false;
		if (image.taken < fixed)
			return;
		rest_len = 0; /* an edit is not cut: its sender sends it again */
	}
	memcpy(out + image.len, rest, rest_len);
	s->len += rest_len;
	if (fin_fixed)
		s->fin = image.fin;
}

static void die(void)
{
	bench_die();
	must(!mos_remap_lost(bench_flow(), CLI));
}

/* The monitor gets a segment of its sender. */
static void monitor_segment(const struct segment *as_sent)
{
	struct segment s = *as_sent;
	uint32_t at = s.seq - m.start, end = at + s.len + s.fin, fixed = 0;
	bool goes, resent = end <= m.decided;

	if (at < m.decided)
		fixed = m.decided - at < s.len ? m.decided - at : s.len;
	mos_remap_packet(&b.r, b.flow, CLI, s.seq, s.len, s.fin);
	goes = edit(&s, resent && s.fin ? s.len + 1 : fixed) && !chance(3);
	if (chance(m.death_percent)) {
		die();
		return;
	}
	if (!goes) {
		mos_remap_discard(&b.r);
		return;
	}
	decide(&s, at, as_sent->len, fixed);
	mos_remap_commit(&b.r, s.bytes);
	must(mos_remap_decided(&b.r, b.flow, CLI) == m.start + m.decided);
	if (chance(m.death_percent)) {
		die(); /* the packet in hand is dropped */
		return;
	}
	if (fixed > 0 || (resent && s.fin)) {
		bool touched = mos_remap_touches(&b.r, b.flow, CLI, s.seq, fixed, resent && s.fin);
		uint32_t len = s.len;

		put_image(&s, as_sent, fixed);
		must(touched || s.len == len || len > m.mss);
	}
	s.seq = map(as_sent->seq);
	if (chance(m.loss_percent) || m.seg_count == NET_MAX)
		return;
	m.segs[m.seg_count++] = s;
}

/* The largest number whose image begins at x or before; and the smallest, at x or behind. */
static void check_unmap(uint32_t x)
{
	uint32_t u = unmap(x), v = unmap_start(x);

	must(mos_seq_leq(map(u), x) && mos_seq_gt(map(u + 1), x));
	must(mos_seq_geq(map(v), x) && mos_seq_lt(map(v - 1), x));
}

static void monitor_ack(struct ack *a)
{
	uint32_t ack = a->ack, n = 0;

	check_unmap(ack);
	check_unmap(ack + below(100) - 50);

	a->ack = unmap(ack);
	for (uint32_t i = 0; i < a->count; i++) {
		uint32_t left = unmap_start(a->left[i]), right = unmap(a->right[i]);

		if (!mos_seq_lt(left, right))
			continue;
		a->left[n] = left;
		a->right[n++] = right;
	}
	a->count = n;
	mos_remap_acked(&b.r, b.flow, CLI, ack);
	if (chance(m.death_percent))
		die();
}

/* ---- the sender ---- */

static void take_ack(const struct ack *a)
{
	uint32_t una = a->ack - m.start;

	if ((int32_t)una < 0)
		return;
	must(una <= m.nxt);
	if (una > m.una)
		m.una = una;
	for (uint32_t i = 0; i < a->count; i++) {
		uint32_t left = a->left[i] - m.start, right = a->right[i] - m.start;

		if ((int32_t)left < 0)
			continue;
		must(right <= m.nxt);
		memset(m.sacked + left, 1, right - left);
	}
}

static void send_range(uint32_t at, uint32_t end)
{
	struct segment s = {.seq = m.start + at};

	s.fin = end > m.sent_len;
	s.len = end - s.fin - at;
	memcpy(s.bytes, m.sent + at, s.len);
	if (end > m.nxt)
		m.nxt = end;
	if (!chance(m.loss_percent))
		monitor_segment(&s);
}

/* A range that begins where `from` is, of any length that one segment can have. */
static uint32_t some_end(uint32_t from)
{
	uint32_t end = from + 1 + below(chance(30) ? m.mss : m.mss / 8 + 1);

	return end <= m.sent_len + 1 ? end : m.sent_len + 1;
}

static uint32_t first_unsacked(void)
{
	uint32_t at = m.una;

	while (at < m.nxt && m.sacked[at])
		at++;
	return at;
}

static void send_something(void)
{
	uint32_t at = first_unsacked();

	if (chance(50) && m.nxt <= m.sent_len && m.nxt - m.una < 8 * m.mss)
		at = m.nxt;
	else if (chance(20) && m.nxt > m.una)
		at = m.una + below(m.nxt - m.una);
	else if (chance(5) && m.una > 0) /* it did not hear */
		at = m.una - 1 - below(m.una < 2 * m.mss ? m.una : 2 * m.mss);
	if (at <= m.sent_len)
		send_range(at, some_end(at));
}

/* ---- all together ---- */

static void deliver_segment(void)
{
	uint32_t i = below(m.seg_count);
	struct segment s = m.segs[i];

	if (!chance(5)) /* else it comes twice */
		m.segs[i] = m.segs[--m.seg_count];
	receive(&s);
}

static void deliver_ack(void)
{
	uint32_t i = below(m.ack_count);
	struct ack a = m.acks[i];

	m.acks[i] = m.acks[--m.ack_count];
	monitor_ack(&a);
	if (!chance(m.loss_percent))
		take_ack(&a);
}

static void step(void)
{
	m.steps++;
	switch (below(3)) {
	case 0: send_something(); break;
	case 1:
		if (m.seg_count > 0)
			deliver_segment();
		break;
	default:
		if (m.ack_count > 0)
			deliver_ack();
	}
}

static inline void model_begin(void)
{
	m.start = below(UINT32_MAX);
	if (chance(30))
		m.start = -below(SENT_MAX); /* numbers wrap */
	m.sent_len = below(chance(30) ? SENT_MAX : 300);
	for (uint32_t i = 0; i < m.sent_len; i++)
		m.sent[i] = (uint8_t)below(256);
	m.mss = chance(50) ? 1460 : 20 + below(200);
	m.insert_max = m.mss > MOS_REMAP_INSERT_MAX ? MOS_REMAP_INSERT_MAX : m.mss - 1;
	m.edit_percent = below(101);
	m.loss_percent = below(30);
	m.death_percent = chance(50) ? below(5) : 0;
	bench_open(m.start);
}

/* One step. False: everything was acknowledged already. */
static inline bool model_step(void)
{
	if (m.una > m.sent_len)
		return false;
	step();
	if (m.image_len > IMAGE_MAX / 2)
		m.edit_percent = 0;
	return true;
}

static inline void model_end(void)
{
	if (m.una > m.sent_len) {
		must(m.rcv_nxt == m.image_len + 1);
		mos_remap_acked(&b.r, b.flow, CLI, m.start + m.rcv_nxt);
		must(chunks_used() <= 1);
	}
	mos_remap_free_flow(&b.r, b.flow);
	must(chunks_used() == 0);
	bench_close();
}

#endif
