#include "secondary/stream/stream_play.h"

#include <string.h>

enum { LIMIT_MAX = 100000 };

static uint32_t be16(const uint8_t *b)
{
	return (uint32_t)b[0] << 8 | b[1];
}

static int32_t signed16(const uint8_t *b)
{
	return (int16_t)be16(b);
}

/* Of the callbacks: what is random in a run of random operations. */
static uint32_t roll(struct play *p, uint32_t below)
{
	p->dice = p->dice * 1664525u + 1013904223u;
	return (p->dice >> 8) % below;
}

/* ---- sockets ---- */

static void read_all(struct play *p, unsigned n, int side, unsigned k, bool in_hand)
{
	size_t len = roll(p, 4) == 0 ? 1 + roll(p, 300) : 100000;

	while (rig_read(&p->rig, n, side, k, in_hand, len) != 0)
		;
}

static void view_all(struct play *p, unsigned n, int side, unsigned k, bool in_hand)
{
	while (rig_readv(&p->rig, n, side, k, in_hand, 1 + (int)roll(p, 16)) != 0)
		;
}

static void called(struct play *p, unsigned n, int side, unsigned k)
{
	switch (p->habit[n][side] >> 2 * k & 3) {
	case PLAY_ALL: read_all(p, n, side, k, true); break;
	case PLAY_PART: rig_read(&p->rig, n, side, k, true, roll(p, 3000)); break;
	case PLAY_VIEW: view_all(p, n, side, k, true); break;
	default: break;
	}
}

/* What lies around next: read, unread, out of order. */
static void look_around(struct play *p, unsigned n, int side)
{
	uint64_t next = p->rig.flow[n].in[side].next, back = roll(p, 8000);

	rig_at(&p->rig, n, side, next > back ? next - back : 0, roll(p, 4000));
	rig_at(&p->rig, n, side, next + roll(p, 8000), roll(p, 4000));
	back = roll(p, 2000);
	rig_held(&p->rig, n, side, next > back ? next - back : 0);
	rig_held(&p->rig, n, side, next + back);
}

static void elsewhere(struct play *p, unsigned n)
{
	unsigned other = roll(p, p->flows);
	int side = (int)roll(p, 2);

	if (other != n && p->rig.flow[other].live && rig_is_on(&p->rig, other, side))
		rig_read(&p->rig, other, side, roll(p, PLAY_SOCKETS), false, roll(p, 5000));
}

static void work(struct rig *r, unsigned n, int side, enum rig_when when)
{
	struct play *p = r->arg;
	uint8_t readers = r->flow[n].in[side].readers;
	uint32_t limit = r->flow[n].in[side].limit;

	if (when == RIG_OVERRUN && limit < LIMIT_MAX && roll(p, 4) == 0)
		rig_set_limit(r, n, side, limit + roll(p, 20000));
	if (when != RIG_DATA && roll(p, 2) == 0)
		return;
	if (roll(p, 8) == 0)
		rig_compare(r, n, side);
	for (unsigned k = 0; k < PLAY_SOCKETS; k++)
		if (readers & 1u << k)
			called(p, n, side, k);
	switch (roll(p, 16)) {
	case 0: rig_detach(r); break;
	case 1: look_around(p, n, side); break;
	case 2: elsewhere(p, n); break;
	case 3: rig_read(r, n, side, roll(p, PLAY_SOCKETS), true, 10); break;
	default: break;
	}
	for (unsigned k = 0; k < PLAY_SOCKETS; k++)
		if (readers & 1u << k && roll(p, 4) == 0)
			called(p, n, side, k);
}

/* ---- segments ---- */

/* The byte with this number, in one of several versions. */
static uint8_t byte_of(uint32_t seq, unsigned version)
{
	uint32_t x = (seq ^ version << 24) * 0x9e3779b1u;

	return (uint8_t)(x >> 24 ^ x >> 9);
}

static uint32_t near_seq(const struct play *p, unsigned n, int from)
{
	const struct mos_half *h = &rig_record(&p->rig, n)->half[from];
	const struct mos_half *to = &rig_record(&p->rig, n)->half[!from];
	int32_t delta = signed16(p->op + 3);

	switch (p->op[2] & 7) {
	case 0: return h->snd_nxt;
	case 1: return h->snd_nxt + (uint32_t)(delta / 16);
	case 2: return to->rcv_nxt + (uint32_t)(delta / 256);
	case 3: return to->rcv_nxt + (uint32_t)(delta / 8);
	case 4: return to->rcv_nxt + (uint32_t)delta;
	case 5: return to->irs + 1 + (uint32_t)(delta / 1024);
	default: return to->rcv_nxt;
	}
}

static uint32_t near_ack(const struct play *p, unsigned n, int from)
{
	const struct mos_half *h = &rig_record(&p->rig, n)->half[from];
	const struct mos_half *to = &rig_record(&p->rig, n)->half[!from];
	int32_t delta = signed16(p->op + 7);

	/* Most ACKs prove nothing new: else no hole would last, and no pool run dry. */
	switch (p->op[2] >> 3 & 7) {
	case 0: return p->op[8] % 8 == 0 ? to->snd_nxt : h->rcv_nxt;
	case 1: return h->rcv_nxt + (uint32_t)(delta / 64);
	case 2: return p->op[8] % 8 == 0 ? to->snd_nxt + (uint32_t)(delta / 256) : h->rcv_nxt;
	case 3: return delta % 64 == 0 ? h->rcv_nxt + (uint32_t)delta * 30000u : h->rcv_nxt;
	default: return h->rcv_nxt;
	}
}

static uint32_t payload_len(const struct play *p)
{
	uint32_t value = be16(p->op + 5);

	switch (p->op[2] >> 6) {
	case 0: return value % 64;
	case 1: return value % 1461;
	case 2: return value % 4000;
	default: return value % 16 == 0 ? value % 20000 : 1460;
	}
}

static void send(struct play *p, unsigned n, int end, struct mos_tcp_seg *seg, enum rig_death death)
{
	unsigned version = p->op[9] % 4 == 3 ? p->op[9] >> 2 & 3 : 0;
	uint32_t first = seg->seq + !!(seg->flags & MOS_TCP_SYN);
	unsigned mbufs = p->op[1] >> 6;

	for (uint32_t i = 0; i < seg->payload_len; i++)
		p->payload[i] = byte_of(first + i, version);
	rig_segment(&p->rig, n, end, seg, p->payload,
	            mbufs < 2 ? RIG_PAYLOAD_MAX : 1 + seg->payload_len / (mbufs + 1), death);
}

static void send_near(struct play *p, unsigned n, int end, uint8_t flags, enum rig_death death)
{
	int from = rig_side(&p->rig, n, end);
	struct mos_tcp_seg seg = {
		.seq = near_seq(p, n, from),
		.ack = near_ack(p, n, from),
		.payload_len = payload_len(p),
		.flags = flags,
		.wnd = (uint16_t)((p->op[10] | 8) << 8),
	};

	send(p, n, end, &seg, death);
	if (death != RIG_LIVES)
		rig_restart(&p->rig, (int)n);
}

/* ISNs near the wrap, near the change of sign, and anywhere. */
static uint32_t isn(const struct play *p)
{
	uint32_t any = be16(p->op + 5) * 0x9e3779b1u;

	switch (p->op[2] & 3) {
	case 0: return UINT32_MAX - any % 3000;
	case 1: return 0x7fffffff - any % 3000;
	default: return any;
	}
}

/* The half has had many bytes already: as many as make its offsets pass a multiple of 4 GB soon. */
static void lift(struct play *p, unsigned n, int side)
{
	struct mos_flow *f = rig_record(&p->rig, n);
	uint64_t by = ((uint64_t)(1 + p->op[7] % 3) << 32) - p->op[8] * 16u - 1;

	f->half[side].rcv_nxt += (uint32_t)by;
	f->half[!side].snd_nxt += (uint32_t)by;
	f->stream[side].next = p->rig.flow[n].in[side].next = by;
	model_clear(&p->rig.flow[n].in[side]);
	if (p->rig.flow[n].in[side].keep) {
		rig_set_keep(&p->rig, n, side, false);
		rig_set_keep(&p->rig, n, side, true); /* what was acknowledged is as far now */
	}
}

static void set_up(struct play *p, unsigned n, int side)
{
	p->habit[n][side] = (uint8_t)roll(p, 256);
	for (unsigned k = 0; k < PLAY_SOCKETS; k++)
		if (roll(p, 3) == 0)
			rig_add_reader(&p->rig, n, side, k);
	rig_set_last(&p->rig, n, side, roll(p, 2));
	rig_set_keep(&p->rig, n, side, roll(p, 4) == 0);
	if (roll(p, 2))
		rig_set_limit(&p->rig, n, side, 1 + roll(p, 60000));
}

/* The first SYN; once in a while it comes again, with data. */
static void send_syn(struct play *p, unsigned n, int end, uint32_t isn)
{
	const struct mos_tcp_opts opts = {.mss = 1460};
	struct mos_tcp_seg seg = {.seq = isn, .flags = MOS_TCP_SYN, .wnd = 8000, .opts = &opts};

	send(p, n, end, &seg, RIG_LIVES);
	set_up(p, n, MOS_CLI);
	set_up(p, n, MOS_SVR);
	if (p->op[9] % 8 > 1)
		return;
	seg.payload_len = payload_len(p);
	send(p, n, end, &seg, RIG_LIVES);
}

/* A handshake, sometimes without its middle. Data of the SYN may be taken. */
static void open_flow(struct play *p, unsigned n)
{
	const struct mos_tcp_opts opts = {.mss = 1460};
	uint32_t c = isn(p), s = isn(p) + be16(p->op + 3), ack;
	int end = p->op[1] >> 3 & 1;
	struct mos_tcp_seg seg;

	send_syn(p, n, end, c);
	ack = p->op[9] % 8 == 1 ? rig_record(&p->rig, n)->half[MOS_CLI].snd_nxt : c + 1;
	seg = (struct mos_tcp_seg){.seq = s,
	                           .ack = ack,
	                           .flags = MOS_TCP_SYN | MOS_TCP_ACK,
	                           .wnd = 8000,
	                           .opts = &opts};
	if (p->op[9] % 16 != 0)
		send(p, n, !end, &seg, RIG_LIVES);
	seg = (struct mos_tcp_seg){
		.seq = ack, .ack = s + 1, .flags = MOS_TCP_ACK, .wnd = (uint16_t)(p->op[10] << 8)};
	send(p, n, end, &seg, RIG_LIVES);
	for (int side = MOS_CLI; side <= MOS_SVR && p->rig.flow[n].live; side++)
		if (p->op[7] % 4 == 0 && p->op[9] % 8 > 1)
			lift(p, n, side);
}

/* ---- operations ---- */

static void in_timer(struct play *p, unsigned n, int side)
{
	unsigned k = p->op[1] >> 4 & 3;

	p->rig.step++;
	switch (p->op[9] & 7) {
	case 0: view_all(p, n, side, k, false); break;
	case 1: read_all(p, n, side, k, false); break;
	case 2: look_around(p, n, side); break;
	case 3: rig_compare(&p->rig, n, side); break;
	default: rig_read(&p->rig, n, side, k, false, be16(p->op + 5) % 8000); break;
	}
	if (p->op[9] & 8)
		rig_settle_read(&p->rig);
}

static void option(struct play *p, unsigned n, int side)
{
	p->rig.step++;
	switch (p->op[9] & 7) {
	case 0: rig_set_last(&p->rig, n, side, p->op[5] & 1); break;
	case 1: rig_set_keep(&p->rig, n, side, p->op[5] & 1); break;
	case 2: rig_add_reader(&p->rig, n, side, p->op[1] >> 4 & 3); break;
	case 3: rig_set_limit(&p->rig, n, side, p->op[5] % 8 == 0 ? 0 : p->op[6]); break;
	case 4: p->habit[n][side] = p->op[6]; break;
	default: rig_set_limit(&p->rig, n, side, 1 + be16(p->op + 5)); break;
	}
}

static void die(struct play *p, unsigned n, int end)
{
	static const enum rig_death deaths[4] = {RIG_DIES_SENT, RIG_DIES_RECEIVED, RIG_DIES_ARRIVED,
	                                         RIG_DIES_READ};

	if (p->op[9] & 4) {
		p->rig.step++;
		rig_restart(&p->rig, -1); /* between two packets */
	} else {
		send_near(p, n, end, MOS_TCP_ACK, deaths[p->op[9] & 3]);
	}
}

/* Of 256: segments; reads elsewhere; options; FIN; other flags; deaths; ends. */
enum { SEGMENT = 200, TIMER = 224, OPTION = 240, FIN = 244, FLAGS = 246, DEATH = 252, END = 255 };

void play_step(struct play *p, const uint8_t op[PLAY_OP])
{
	unsigned n = (op[1] & 7) % p->flows;
	int end = op[1] >> 3 & 1;

	p->op = op;
	p->dice = op[11] * 0x9e3779b1u + be16(op + 5) + op[3];
	if (!p->rig.flow[n].live) {
		open_flow(p, n);
		return;
	}
	if (op[0] < SEGMENT)
		send_near(p, n, end, MOS_TCP_ACK, RIG_LIVES);
	else if (op[0] < TIMER)
		in_timer(p, n, end);
	else if (op[0] < OPTION)
		option(p, n, end);
	else if (op[0] < FIN)
		send_near(p, n, end, MOS_TCP_ACK | MOS_TCP_FIN, RIG_LIVES);
	else if (op[0] < FLAGS)
		send_near(p, n, end, op[9], RIG_LIVES);
	else if (op[0] < DEATH)
		die(p, n, end);
	else if (op[0] < END)
		rig_check_pool(&p->rig);
	else
		rig_end_flow(&p->rig, n);
}

void play_open(struct play *p, unsigned flows, uint32_t chunks)
{
	p->rig.work = work;
	p->rig.arg = p;
	p->flows = flows;
	rig_open(&p->rig, chunks);
}

void play_close(struct play *p)
{
	rig_check_pool(&p->rig);
	rig_close(&p->rig);
}
