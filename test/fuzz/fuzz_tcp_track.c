/*
 * Fuzz target: any sequence of segments on one flow.
 *
 * Input: two initial sequence numbers (4 bytes each, big endian), then 12 bytes for each segment:
 *   0     bit 0 sender; bits 1-2 what happens (enum what); bits 3-5 and 6-7 what the sequence and
 *         the ACK number are near to
 *   1     TCP flags
 *   2-3   added to the sequence number, signed
 *   4     added to the ACK number, signed
 *   5     window / 256
 *   6-7   payload bytes; on a SYN the low byte is its window scale
 *   8     bit 7 timestamps; bits 0-2 and 3-5 what TSval and TSecr are near to
 *   9-10  added to TSval, signed
 *   11    added to TSecr, signed
 *
 * Numbers are chosen near those the record knows, else hardly a segment would be accepted.
 */
#include <stdint.h>
#include <string.h>

#include "secondary/tcp_track/tcp_track.h"
#include "test/fuzz/fuzz.h"

enum {
	ISN_LEN = 8,
	STEP_LEN = 12,
	ECHOES_MAX = 64,
	AHEAD_MAX = (1 << 30) + UINT16_MAX + 1 /* a segment 1 GB ahead, its payload, a FIN */
};

enum what {
	WHOLE, /* both updates */
	WHOLE_TOO,
	EDITED,     /* the SND hook changed the segment: the receiver sees the next one */
	INTERRUPTED /* the worker died between the updates */
};

struct bench {
	struct mos_flow flow;
	uint32_t isn[2];
	bool clean; /* each segment so far went through both updates unchanged */
	uint32_t echo[2]
		     [ECHOES_MAX]; /* what each side said it has taken of its peer's timestamps */
	unsigned echo_count[2];
};

static uint32_t near_seq(const struct bench *b, int from, const uint8_t *p)
{
	const struct mos_half *h = &b->flow.half[from], *to = &b->flow.half[!from];
	int16_t delta = (int16_t)(p[2] << 8 | p[3]);

	switch (p[0] >> 3 & 7) {
	case 0: return h->snd_nxt + (uint32_t)delta;
	case 1: return h->iss + (uint32_t)delta;
	case 2: return to->rcv_nxt + (uint32_t)delta;
	case 3: return b->isn[from] + (uint32_t)delta;
	case 4: return h->fin_seq + (uint32_t)delta;
	case 5: return to->rcv_nxt + to->rcv_wnd + (uint32_t)delta;
	case 6: return h->snd_nxt + (1u << 30) + (uint32_t)delta;
	default: return (uint32_t)delta << 16;
	}
}

static uint32_t near_ack(const struct bench *b, int from, const uint8_t *p)
{
	const struct mos_half *h = &b->flow.half[from], *to = &b->flow.half[!from];
	int8_t delta = (int8_t)p[4];

	switch (p[0] >> 6) {
	case 0: return h->rcv_nxt + (uint32_t)delta;
	case 1: return to->snd_nxt + (uint32_t)delta;
	case 2: return to->iss + (uint32_t)delta;
	default: return (uint32_t)delta << 24;
	}
}

/* Timestamps of the segment; those of a SYN are in its options. */
static void stamp(const struct bench *b, int from, const uint8_t *p, struct mos_tcp_seg *seg,
                  struct mos_tcp_opts *opts)
{
	const struct mos_flow *f = &b->flow;
	uint32_t own = f->half[from].ts_recent, peer = f->half[!from].ts_recent;
	uint32_t taken = own - f->ts_lag[from], own_taken = peer - f->ts_lag[!from];
	const uint32_t vals[8] = {
		own,         taken, own + 65535, own + (1u << 31), taken + (1u << 31),
		own - 65535, 0,     1u << 31};
	const uint32_t ecrs[8] = {peer, own_taken, peer - 65535, peer + (1u << 31),
	                          0,    0,         peer,         peer};

	opts->has_ts = p[8] >> 7;
	opts->ts_val = vals[p[8] & 7] + (uint32_t)(int16_t)(p[9] << 8 | p[10]);
	opts->ts_ecr = ecrs[p[8] >> 3 & 7] + (uint32_t)(int8_t)p[11];
	if (!mos_tcp_uses_ts(f))
		return;
	seg->has_ts = opts->has_ts;
	seg->ts_val = opts->ts_val;
	seg->ts_ecr = opts->ts_ecr;
}

static struct mos_tcp_seg segment(const struct bench *b, int from, const uint8_t *p,
                                  struct mos_tcp_opts *opts)
{
	struct mos_tcp_seg seg = {
		.seq = near_seq(b, from, p),
		.ack = near_ack(b, from, p),
		.flags = p[1],
		.wnd = (uint16_t)(p[5] << 8),
		.payload_len = (uint32_t)(p[6] << 8 | p[7]),
	};

	*opts = (struct mos_tcp_opts){.has_wscale = p[7] & 0x10, .wscale = p[7] & 0xf, .mss = 1460};
	stamp(b, from, p, &seg, opts);
	if (p[1] & MOS_TCP_SYN) {
		seg.payload_len = p[6];
		seg.opts = p[7] & 0x80 ? NULL : opts;
	}
	return seg;
}

static void check_half(const struct mos_flow *f, int side)
{
	const struct mos_half *h = &f->half[side];
	unsigned state = f->state[side];

	CHECK(state <= MOS_TCPS_TIME_WAIT);
	CHECK(strcmp(mos_tcp_state_name((int)state), "?") != 0);
	CHECK(h->wscale <= 14);
	CHECK(h->rcv_wnd <= (uint32_t)UINT16_MAX << 14);
	if (state == MOS_TCPS_LISTEN)
		CHECK(!(h->flags & (MOS_HALF_RCVD | MOS_HALF_FIN)));
	if (state == MOS_TCPS_SYN_SENT)
		CHECK((h->flags & MOS_HALF_ISS) && !(h->flags & MOS_HALF_RCVD));
	if (state == MOS_TCPS_SYN_RCVD)
		CHECK(h->flags & MOS_HALF_RCVD);
	if (state >= MOS_TCPS_ESTABLISHED)
		CHECK((h->flags & MOS_HALF_RCVD) && (h->flags & MOS_HALF_ISS));
}

/* What holds while the monitor sees what the ends see. */
static void check_pair(const struct mos_flow *f, int side)
{
	const struct mos_half *h = &f->half[side], *from = &f->half[!side];

	if ((h->flags & MOS_HALF_RCVD) && (from->flags & MOS_HALF_ISS))
		CHECK(from->snd_nxt - h->rcv_nxt <= AHEAD_MAX);
	if (f->state[side] == MOS_TCPS_FIN_WAIT_2 || f->state[side] == MOS_TCPS_TIME_WAIT)
		CHECK((h->flags & MOS_HALF_FIN) && mos_seq_gt(from->rcv_nxt, h->fin_seq));
	if (f->state[side] == MOS_TCPS_CLOSE_WAIT || f->state[side] == MOS_TCPS_TIME_WAIT)
		CHECK((from->flags & MOS_HALF_FIN) && mos_seq_gt(h->rcv_nxt, from->fin_seq));
}

/* One update: `side` is the half that may change its state. */
static void check_update(const struct mos_flow *was, const struct mos_flow *f, int side,
                         unsigned bits)
{
	CHECK(f->state[!side] == was->state[!side]);
	CHECK((f->state[side] != was->state[side]) == !!(bits & MOS_TRACK_STATE));
	CHECK(!(bits & MOS_TRACK_START) || was->state[side] == MOS_TCPS_LISTEN);
	if (bits & MOS_TRACK_BOGUS)
		CHECK(bits == MOS_TRACK_BOGUS && memcmp(was, f, sizeof(*f)) == 0);
	if (was->state[side] == MOS_TCPS_CLOSED)
		CHECK(bits == 0 && memcmp(was, f, sizeof(*f)) == 0);
	for (int i = MOS_CLI; i <= MOS_SVR; i++) {
		const struct mos_half *a = &was->half[i], *b = &f->half[i];

		CHECK((a->flags & ~b->flags & (MOS_HALF_ISS | MOS_HALF_RCVD)) == 0);
		if ((a->flags & MOS_HALF_RCVD) && a->flags == b->flags)
			CHECK(a->irs == b->irs && mos_seq_leq(a->rcv_nxt, b->rcv_nxt));
		if ((a->flags & MOS_HALF_ISS) && a->iss == b->iss)
			CHECK(mos_seq_leq(a->snd_nxt, b->snd_nxt));
		check_half(f, i);
	}
}

/* Remember what a side that was heard says it has taken. */
static void note_echo(struct bench *b, int from, const struct mos_tcp_seg *seg)
{
	const struct mos_tcp_opts *o = seg->opts;
	unsigned at = b->echo_count[from];

	if (!seg->has_ts && (o == NULL || !o->has_ts))
		return;
	b->echo_count[from]++;
	if (at < ECHOES_MAX)
		b->echo[from][at] = seg->has_ts ? seg->ts_ecr : o->ts_ecr;
}

/* The side has said that it has taken something newer, by more than a tick. */
static bool has_taken_newer(const struct bench *b, int to, uint32_t ts_val)
{
	if (b->echo_count[to] > ECHOES_MAX)
		return true; /* forgotten */
	for (unsigned i = 0; i < b->echo_count[to]; i++)
		if (mos_seq_lt(ts_val + 1, b->echo[to][i]))
			return true;
	return false;
}

/*
 * A segment that would count without its timestamp, and does not with it, is older than something
 * that its receiver has taken.
 */
static void check_refused(const struct bench *b, const struct mos_flow *was, int from,
                          const struct mos_tcp_seg *seg, unsigned bits)
{
	struct mos_tcp_seg bare = *seg;
	struct mos_flow twin = *was;

	if (!seg->has_ts || (seg->flags & (MOS_TCP_SYN | MOS_TCP_RST)))
		return;
	bare.has_ts = false;
	if (mos_tcp_sent(&twin, from, &bare) == MOS_TRACK_BOGUS) {
		CHECK(bits == MOS_TRACK_BOGUS || bits == 0);
		return;
	}
	if (has_taken_newer(b, !from, seg->ts_val))
		return;
	CHECK(bits != MOS_TRACK_BOGUS);
	for (int i = MOS_CLI; i <= MOS_SVR; i++)
		twin.half[i].ts_recent = b->flow.half[i].ts_recent;
	memcpy(twin.ts_lag, b->flow.ts_lag, sizeof(twin.ts_lag));
	CHECK(memcmp(&twin, &b->flow, sizeof(twin)) == 0);
}

static unsigned update_sent(struct bench *b, int from, const struct mos_tcp_seg *seg)
{
	struct mos_flow was = b->flow;
	unsigned bits = mos_tcp_sent(&b->flow, from, seg);

	CHECK((bits & ~(unsigned)(MOS_TRACK_START | MOS_TRACK_STATE | MOS_TRACK_BOGUS)) == 0);
	check_update(&was, &b->flow, from, bits);
	check_refused(b, &was, from, seg, bits);
	if (memcmp(&was, &b->flow, sizeof(was)) != 0)
		note_echo(b, from, seg);
	return bits;
}

static unsigned update_received(struct bench *b, int to, const struct mos_tcp_seg *seg)
{
	struct mos_flow was = b->flow;
	bool resent = mos_tcp_resent(&was, to, seg), beyond = mos_tcp_beyond_window(&was, to, seg);
	unsigned bits = mos_tcp_received(&b->flow, to, seg);

	CHECK(!resent || (bits & MOS_TRACK_REXMIT));
	CHECK(!beyond || !(bits & MOS_TRACK_BOGUS));
	CHECK(!beyond || !mos_tcp_beyond_window(&b->flow, to, seg)); /* once */
	check_update(&was, &b->flow, to, bits);
	return bits;
}

static void step(struct bench *b, const uint8_t *p, const uint8_t *next)
{
	int from = p[0] & 1;
	enum what what = p[0] >> 1 & 3;
	struct mos_tcp_opts opts;
	struct mos_tcp_seg seg = segment(b, from, p, &opts);
	unsigned sent, received;

	if (mos_tcp_syn_is_new(&b->flow, from, &seg)) {
		mos_tcp_open(&b->flow);
		b->clean = true;
		b->echo_count[MOS_CLI] = b->echo_count[MOS_SVR] = 0;
	}
	sent = update_sent(b, from, &seg);
	if (what == INTERRUPTED)
		b->clean = false;
	if (what == INTERRUPTED)
		return;
	if (what == EDITED && next != NULL) {
		seg = segment(b, from, next, &opts);
		b->clean = false;
	}
	received = update_received(b, !from, &seg);
	if (!b->clean)
		return;
	CHECK(!(sent & MOS_TRACK_BOGUS) || received == MOS_TRACK_BOGUS || received == 0);
	CHECK(!(received & MOS_TRACK_BOGUS) || sent == MOS_TRACK_BOGUS || sent == 0);
	check_pair(&b->flow, MOS_CLI);
	check_pair(&b->flow, MOS_SVR);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct bench b = {.clean = true};
	const uint8_t *end = input + size;

	if (size < ISN_LEN)
		return 0;
	b.isn[MOS_CLI] = be32(input);
	b.isn[MOS_SVR] = be32(input + 4);
	mos_tcp_open(&b.flow);
	for (const uint8_t *p = input + ISN_LEN; end - p >= STEP_LEN; p += STEP_LEN)
		step(&b, p, end - p >= 2 * STEP_LEN ? p + STEP_LEN : NULL);
	return 0;
}
