#include "test/eal/worker_model.h"

#define SLOTS 64

/* A flow as the witness knows it, by record. */
struct life {
	bool alive;
	uint64_t id;
	int client;          /* which end of the wire opened it */
	uint8_t state[2];    /* as read last */
	uint32_t rcv_nxt[2]; /* behind the last packet */
};

static struct life lives[SLOTS];
unsigned wm_seen[MOS_EVENT_BITS];

/* The witness's notes of the round, and where the reader stands. */
static const struct wm_round *round_;
static const struct wm_note *read_[WM_NOTES + 1];
static unsigned count, at;

void wm_reset(void)
{
	memset(lives, 0, sizeof(lives));
}

unsigned wm_alive(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SLOTS; i++)
		n += lives[i].alive;
	return n;
}

static void show(void)
{
	for (unsigned i = at < 12 ? 0 : at - 12; i < count && i < at + 6; i++) {
		const struct wm_note *n = read_[i];

		fprintf(stderr, "%s pkt %d hook %#x side %d event %#x record %u id %u [%s/%s]\n",
		        i == at ? "->" : "  ", n->pkt, (unsigned)n->hook, n->side,
		        (unsigned)n->event, n->slot, (unsigned)n->id,
		        mos_tcp_state_name(n->state[0]), mos_tcp_state_name(n->state[1]));
	}
}

#define check(cond)                                              \
	do {                                                     \
		if (!(cond)) {                                   \
			show();                                  \
			ck_abort_msg("%s: %s", __func__, #cond); \
		}                                                \
	} while (0)

/* The note at hand is this event of this half. */
static bool is(int pkt, int hook, int side, event_t event)
{
	const struct wm_note *n = read_[at];

	return at < count && n->pkt == pkt && n->hook == hook && n->side == side &&
	       n->event == event;
}

/* Take it, if it is. */
static bool take(int pkt, int hook, int side, event_t event)
{
	if (!is(pkt, hook, side, event))
		return false;
	wm_seen[__builtin_ctzll(event)]++;
	at++;
	return true;
}

/* Take an ERROR of this cause, if it is at hand. */
static bool take_error(int pkt, int side, int cause)
{
	return at < count && read_[at]->cause == cause && take(pkt, MOS_NULL, side, MOS_ON_ERROR);
}

static const struct wm_note *last(void)
{
	return read_[at - 1];
}

/* The note taken last is about this flow, whose states are as known. */
static void same_flow(uint32_t slot)
{
	const struct life *l = &lives[slot];

	check(last()->slot == slot && l->alive && last()->id == l->id);
	check(memcmp(last()->state, l->state, 2) == 0);
}

/* STATE_CHANGE stands where the state of the half has changed, and nowhere else. */
static void state_change(int pkt, int hook, int side, struct life *l)
{
	const uint8_t *now = last()->state;
	bool changed = now[side] != l->state[side];

	check(now[!side] == l->state[!side]);
	l->state[side] = now[side];
	check(take(pkt, hook, side, MOS_ON_TCP_STATE_CHANGE) == changed);
}

/* ---- ends ---- */

static void end_half(uint32_t slot, int side)
{
	static const int hooks[] = {MOS_HK_RCV, MOS_HK_SND};
	struct life *l = &lives[slot];

	l->state[side] = MOS_TCPS_CLOSED;
	for (int h = 0; h < 2; h++) {
		check(take(WM_NONE, hooks[h], side, MOS_ON_TCP_STATE_CHANGE));
		same_flow(slot);
		check(take(WM_NONE, hooks[h], side, MOS_ON_CONN_END));
		same_flow(slot);
	}
}

/* Of a half that was never heard, what came out of order is told before its end. */
static bool drained(uint32_t slot, int side)
{
	bool gap = take_error(WM_NONE, side, MOS_GAP_MISSED), news;

	if (gap)
		same_flow(slot);
	news = take(WM_NONE, MOS_NULL, side, MOS_ON_CONN_NEW_DATA);
	if (news)
		same_flow(slot);
	return gap || news;
}

/* The flow ends here. first: the half that must come first, or WM_NONE. */
static void end(uint32_t slot, int first)
{
	struct life *l = &lives[slot];

	while (drained(slot, MOS_CLI) || drained(slot, MOS_SVR))
		;
	check(at < count);
	if (first == WM_NONE)
		first = read_[at]->side;
	end_half(slot, first);
	end_half(slot, !first);
	l->alive = false;
}

/* ---- a packet ---- */

static void start(uint32_t slot, int from)
{
	struct life *l = &lives[slot];

	check(!l->alive && last()->id != l->id);
	*l = (struct life){
		.alive = true,
		.id = last()->id,
		.client = from,
		.state = {MOS_TCPS_LISTEN, MOS_TCPS_LISTEN},
	};
}

/* In order, and more than the receiver had: told by its rcv_nxt before and after. */
static bool brings_data(const struct hs_pkt *p, uint32_t before, uint32_t after)
{
	uint32_t data_end = p->seq + !!(p->flags & MOS_TCP_SYN) + p->payload;

	return p->payload > 0 && mos_seq_gt(data_end, before) && mos_seq_geq(after, data_end) &&
	       after != before;
}

static void sender(int i, bool *starts)
{
	const struct hs_pkt *p = &round_->pkt[i];
	uint32_t slot = read_[at]->slot;
	int side = read_[at]->side;

	check(slot < SLOTS);
	check(take(i, MOS_HK_SND, side, MOS_ON_PKT_IN));
	*starts = is(i, MOS_HK_SND, side, MOS_ON_CONN_START);
	if (*starts) {
		start(slot, p->from);
		take(i, MOS_HK_SND, side, MOS_ON_CONN_START);
		check((p->flags & (MOS_TCP_SYN | MOS_TCP_ACK)) == MOS_TCP_SYN);
	}
	check(lives[slot].alive && lives[slot].id == last()->id);
	check(side == (p->from == lives[slot].client ? MOS_CLI : MOS_SVR));
	state_change(i, MOS_HK_SND, side, &lives[slot]);
	if (take_error(i, side, MOS_GAP_MISSED)) {
		same_flow(slot);
		check(last()->rcv_nxt[side] != lives[slot].rcv_nxt[side]);
	}
}

/* Between the two updates. Returns whether REXMIT was told. */
static bool between(int i, uint32_t slot, int side, uint32_t rcv_nxt)
{
	const struct hs_pkt *p = &round_->pkt[i];
	bool rexmit = take(i, MOS_HK_RCV, side, MOS_ON_REXMIT);

	if (rexmit) {
		same_flow(slot);
		check(p->payload > 0 && mos_seq_lt(p->seq, rcv_nxt));
	}
	if (take_error(i, side, MOS_GAP_BEYOND_WINDOW)) {
		same_flow(slot);
		check(mos_seq_gt(p->seq + p->payload, rcv_nxt + HS_WND));
	}
	if (take_error(i, side, MOS_GAP_CONFLICT)) {
		same_flow(slot);
		check(p->payload > 0);
	}
	if (take_error(i, side, MOS_GAP_OVERRUN)) {
		same_flow(slot);
		check(mos_seq_leq(p->seq, rcv_nxt) && mos_seq_gt(p->seq + p->payload, rcv_nxt));
	}
	return rexmit;
}

/* The half has bytes it had not before, in order. due: it must have. */
static void new_data(uint32_t slot, int side, uint32_t before, bool due)
{
	if (at == count || read_[at]->slot != slot ||
	    !take(WM_NONE, MOS_NULL, side, MOS_ON_CONN_NEW_DATA)) {
		check(!due);
		return;
	}
	same_flow(slot);
	check(last()->rcv_nxt[side] != before);
}

static void receiver(int i, uint32_t slot, int side, uint32_t rcv_nxt, bool starts)
{
	const struct hs_pkt *p = &round_->pkt[i];
	struct life *l = &lives[slot];
	bool rexmit = between(i, slot, side, rcv_nxt), full, due;
	uint32_t before = l->rcv_nxt[!side];

	full = take_error(i, side, MOS_GAP_NO_ROOM);
	check(take(i, MOS_HK_RCV, side, MOS_ON_PKT_IN));
	check(last()->slot == slot && last()->id == l->id);
	due = !full && brings_data(p, rcv_nxt, last()->rcv_nxt[side]);
	check(take(i, MOS_HK_RCV, side, MOS_ON_CONN_START) == starts);
	state_change(i, MOS_HK_RCV, side, l);
	if (take(i, MOS_HK_RCV, side, MOS_ON_REXMIT))
		check(!rexmit && (p->flags & (MOS_TCP_SYN | MOS_TCP_FIN)));
	memcpy(l->rcv_nxt, last()->rcv_nxt, sizeof(l->rcv_nxt));
	new_data(slot, side, rcv_nxt, due);
	new_data(slot, !side, before, false);
}

static bool both_closed(const struct life *l)
{
	return (l->state[0] == MOS_TCPS_CLOSED || l->state[0] == MOS_TCPS_TIME_WAIT) &&
	       (l->state[1] == MOS_TCPS_CLOSED || l->state[1] == MOS_TCPS_TIME_WAIT);
}

static void packet(int i)
{
	bool starts = false;
	uint32_t slot, rcv_nxt;
	int side;

	if (at < count && read_[at]->pkt == WM_NONE && read_[at]->slot < SLOTS)
		end(read_[at]->slot, WM_NONE); /* its time is over, or a new connection begins */
	if (take(i, MOS_NULL, MOS_SIDE_BOTH, MOS_ON_ORPHAN))
		return;
	check(at < count);
	slot = read_[at]->slot;
	sender(i, &starts);
	side = last()->side;
	rcv_nxt = last()->rcv_nxt[!side];
	receiver(i, slot, !side, rcv_nxt, starts);
	if (both_closed(&lives[slot]))
		end(slot, !side);
}

/* ---- a round ---- */

static void behind_the_packets(void)
{
	while (take_error(WM_NONE, MOS_CLI, MOS_GAP_NO_ROOM) ||
	       take_error(WM_NONE, MOS_SVR, MOS_GAP_NO_ROOM))
		same_flow(last()->slot);
	while (at < count) {
		check(read_[at]->slot < SLOTS);
		end(read_[at]->slot, WM_NONE);
	}
}

static bool same_event(const struct wm_note *a, const struct wm_note *b)
{
	return a->pkt == b->pkt && a->turn == b->turn && a->hook == b->hook && a->side == b->side &&
	       a->event == b->event && a->cause == b->cause && a->slot == b->slot && a->id == b->id;
}

/* In which order the sockets of the path hear of it. */
static bool backwards(const struct wm_round *r, const struct wm_note *n)
{
	if (n->event == MOS_ON_ORPHAN)
		return false;
	if (n->event == MOS_ON_CONN_NEW_DATA)
		return n->side == MOS_CLI;
	if (n->pkt == WM_NONE)
		return false;
	return r->pkt[n->pkt].from != lives[n->slot].client;
}

/* What another socket heard, the witness heard too: before it, or behind it when it goes backwards. */
static void heard_by_witness(const struct wm_round *r, unsigned i, int witness)
{
	const struct wm_note *n = &r->note[i];
	unsigned w = 0;

	while (w < r->notes && (r->note[w].sock != witness || !same_event(&r->note[w], n)))
		w++;
	ck_assert_msg(w < r->notes, "socket %d hears %#x that did not happen", n->sock,
	              (unsigned)n->event);
	if (n->slot != MOS_FLOW_NONE && lives[n->slot].id != n->id)
		return; /* who opened it is forgotten */
	ck_assert_msg((w < i) == ((n->sock > witness) != backwards(r, n)),
	              "socket %d hears %#x out of path order", n->sock, (unsigned)n->event);
}

void wm_check(const struct wm_round *r, int witness)
{
	round_ = r;
	count = at = 0;
	for (unsigned i = 0; i < r->notes; i++)
		if (r->note[i].sock == witness)
			read_[count++] = &r->note[i];
	read_[count] = NULL;
	for (int i = 0; i < r->pkts; i++)
		packet(i);
	behind_the_packets();
	for (unsigned i = 0; i < r->notes; i++)
		if (r->note[i].sock != witness && r->note[i].event < MOS_UDE_FIRST)
			heard_by_witness(r, i, witness);
}
