#include "apps/common/reset.h"

#include "apps/common/forge.h"

#define RETRY_MS 10  /* until there may be room to send */
#define PROBE_MS 300 /* until the first probe: time for a RST to arrive */

static void set_timer(struct reset *r, mctx_t mctx, int sock, unsigned wait_ms, callback_t on_timer)
{
	struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};

	r->timer = mtcp_timer_set(mctx, sock, &wait, on_timer);
}

static bool send_reset(mctx_t mctx, int sock, int end, uint32_t seq, uint32_t ack)
{
	return forge_send(
		mctx, sock,
		&(struct forged_segment){
			.from = !end, .seq = seq, .ack = ack, .flags = FORGE_RST | FORGE_ACK});
}

/* A number that is too high, for what got lost behind us, would not be answered. */
static bool send_probe(mctx_t mctx, int sock, int end, const struct expected *e)
{
	return forge_send(mctx, sock,
	                  &(struct forged_segment){.from = !end,
	                                           .seq = e->acked[end] - 1,
	                                           .ack = e->next[!end],
	                                           .window = UINT16_MAX,
	                                           .flags = FORGE_ACK});
}

/* Send what is due. Of an end of which nothing is known, nothing is: it will talk. */
static void send_due(struct reset *r, mctx_t mctx, int sock, callback_t on_timer)
{
	const struct expected *e = &r->expected;

	for (int end = 0; end < 2; end++) {
		if (!(r->due >> end & 1))
			continue;
		if (!e->known[end] ||
		    (r->probes > 0 ? send_probe(mctx, sock, end, e)
		                   : send_reset(mctx, sock, end, e->next[end], e->next[!end])))
			r->due &= ~(1u << end);
	}
	if (r->due != 0)
		set_timer(r, mctx, sock, RETRY_MS, on_timer);
	else if (r->probes < RESET_PROBES)
		set_timer(r, mctx, sock, PROBE_MS << r->probes, on_timer);
}

static void begin(struct reset *r, mctx_t mctx, int sock, unsigned ends, const struct expected *e,
                  unsigned probes, callback_t on_timer)
{
	int hides = 1;

	/* Or the RST of an end would end the flow, while its peer lives. */
	mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_DROP_HIDES, &hides, sizeof(hides));
	*r = (struct reset){.expected = *e, .ends = ends, .due = ends, .probes = probes};
	send_due(r, mctx, sock, on_timer);
}

void reset_begin(struct reset *r, mctx_t mctx, int sock, unsigned ends, const struct expected *e,
                 callback_t on_timer)
{
	begin(r, mctx, sock, ends, e, 0, on_timer);
}

void reset_begin_by_probe(struct reset *r, mctx_t mctx, int sock, unsigned ends,
                          const struct expected *e, callback_t on_timer)
{
	begin(r, mctx, sock, ends, e, 1, on_timer);
}

void reset_on_timer(struct reset *r, mctx_t mctx, int sock, callback_t on_timer)
{
	r->timer = 0;
	if (r->due == 0) {
		r->due = r->ends;
		r->probes++;
	}
	if (r->ends != 0)
		send_due(r, mctx, sock, on_timer);
}

/* RFC 9293 section 3.5.2: a RST is not answered; what has no ACK number is, with an ACK of it. */
void reset_answer(struct reset *r, mctx_t mctx, int sock, int from, const struct pkt_info *p)
{
	struct expected before = r->expected;

	if (p->tcph->rst) {
		r->ends &= ~(1u << from);
		r->due &= r->ends;
		return;
	}
	expected_note(&r->expected, from, p);
	expected_undo(&r->expected, &before, from, p);
	send_reset(mctx, sock, from, p->tcph->ack ? p->ack_seq : 0, packet_end(p));
}

void reset_stop(struct reset *r, mctx_t mctx)
{
	if (r->timer != 0)
		mtcp_timer_cancel(mctx, r->timer);
	r->timer = 0;
}
