#include "apps/blockpage/answer.h"

#include "apps/common/expect.h"
#include "apps/common/seq.h"

#define INITIAL_SEGMENTS 10 /* RFC 6928 */

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Behind our FIN. */
static uint32_t our_end(const struct answer *a)
{
	return a->first + a->len + 1;
}

void answer_begin(struct answer *a, const struct pkt_info *p, uint32_t wnd, uint32_t page_len,
                  uint32_t mss)
{
	*a = (struct answer){
		.first = p->ack_seq,
		.una = p->ack_seq,
		.nxt = p->ack_seq,
		.len = page_len,
		.rcv_nxt = packet_end(p),
		.wnd = wnd,
		.cwnd = INITIAL_SEGMENTS * mss,
		.mss = mss,
		.client_fin = p->tcph->fin,
		.ack_due = true,
	};
}

/* ---- What comes ---- */

/* Send again from the first byte that is not acknowledged. */
static void go_back(struct answer *a)
{
	a->nxt = a->una;
}

static void take_ack(struct answer *a, uint32_t ack)
{
	if (!seq_before(a->una, ack) || seq_before(our_end(a), ack))
		return;
	a->cwnd = min_u32(a->cwnd + (ack - a->una), 1u << 30);
	a->una = ack;
	if (seq_before(a->nxt, ack))
		a->nxt = ack;
	a->tries = 0;
	a->probe = false;
}

/* Bytes of the client: none is looked at. Those that come too early it will send again. */
static void take_bytes(struct answer *a, const struct pkt_info *p)
{
	uint32_t end = packet_end(p);

	if (end == p->seq)
		return;
	a->ack_due = true;
	if (seq_upto(p->seq, a->rcv_nxt) && seq_before(a->rcv_nxt, end)) {
		a->rcv_nxt = end;
		a->client_fin = a->client_fin || p->tcph->fin;
	}
}

static bool is_sent_again(const struct answer *a, const struct pkt_info *p)
{
	return p->payloadlen > 0 && seq_upto(packet_end(p), a->rcv_nxt);
}

/* RFC 5961: one that is not exactly what is expected gets an ACK, and comes again if it is true. */
static void take_reset(struct answer *a, const struct pkt_info *p)
{
	if (p->seq == a->rcv_nxt)
		a->state = ANSWER_GONE;
	else
		a->ack_due = true;
}

void answer_received(struct answer *a, const struct pkt_info *p, uint32_t wnd)
{
	uint32_t una = a->una;

	if (a->state == ANSWER_GONE)
		return;
	if (p->tcph->rst) {
		take_reset(a, p);
		return;
	}
	if (p->tcph->syn || !p->tcph->ack) {
		a->ack_due = true;
		return;
	}
	if (seq_before(p->seq, a->rcv_nxt) && packet_end(p) == p->seq)
		a->ack_due = true; /* a keep-alive */
	take_ack(a, p->ack_seq);
	if (!seq_before(p->ack_seq, a->una))
		a->wnd = wnd;
	if (a->una == una && is_sent_again(a, p))
		go_back(a);
	take_bytes(a, p);
	if (a->una == our_end(a) && a->client_fin)
		a->state = ANSWER_CLOSED;
}

/* ---- What is sent ---- */

/* How many more bytes may be in flight; our FIN needs no room. */
static uint32_t room(const struct answer *a)
{
	uint32_t limit = min_u32(a->wnd, a->cwnd), flight = a->nxt - a->una;

	if (a->probe && limit == 0)
		limit = 1;
	return limit > flight ? limit - flight : 0;
}

/* Pieces of a segment wait until it is their turn alone: RFC 9293 section 3.8.6.2.1. */
static bool next_data(struct answer *a, struct answer_segment *s)
{
	uint32_t off = a->nxt - a->first, len;
	bool fin;

	if (a->state != ANSWER_SENDING || off > a->len)
		return false;
	len = min_u32(min_u32(a->len - off, a->mss), room(a));
	fin = off + len == a->len;
	if (!fin && len < a->mss && (len == 0 || a->nxt != a->una))
		return false;
	s->off = off;
	s->len = len;
	s->fin = fin;
	a->nxt += len + fin;
	return true;
}

bool answer_next(struct answer *a, struct answer_segment *s)
{
	*s = (struct answer_segment){.seq = a->nxt, .ack = a->rcv_nxt};
	if (a->state == ANSWER_GONE || (!next_data(a, s) && !a->ack_due))
		return false;
	a->ack_due = false;
	return true;
}

void answer_unsent(struct answer *a, const struct answer_segment *s)
{
	a->nxt = s->seq;
	a->ack_due = true;
}

/* ---- Time ---- */

void answer_timeout(struct answer *a)
{
	if (a->state != ANSWER_SENDING || a->una == our_end(a))
		return;
	if (a->tries == ANSWER_TRIES_MAX) {
		a->state = ANSWER_GONE;
		return;
	}
	a->tries++;
	a->cwnd = a->mss;
	a->probe = true;
	go_back(a);
}

uint32_t answer_wait_ms(const struct answer *a)
{
	if (a->state != ANSWER_SENDING || a->una == our_end(a))
		return 0;
	return ANSWER_TIMEOUT_MS << a->tries;
}
