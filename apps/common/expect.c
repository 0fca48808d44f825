#include "apps/common/expect.h"

#include "apps/common/seq.h"

uint32_t packet_end(const struct pkt_info *p)
{
	return p->seq + p->payloadlen + p->tcph->syn + p->tcph->fin;
}

static void raise_to(struct expected *e, int side, uint32_t next)
{
	if (!e->known[side])
		e->acked[side] = next;
	if (!e->known[side] || seq_before(e->next[side], next))
		e->next[side] = next;
	e->known[side] = true;
}

static void take_ack(struct expected *e, int side, uint32_t ack)
{
	raise_to(e, side, ack);
	if (seq_before(e->acked[side], ack))
		e->acked[side] = ack;
}

/* The data of a SYN need not be taken by its receiver. */
static void note_syn(struct expected *e, int from, const struct pkt_info *p)
{
	raise_to(e, !from, p->seq + 1);
	if (p->tcph->ack)
		take_ack(e, from, p->ack_seq);
}

void expected_note(struct expected *e, int from, const struct pkt_info *p)
{
	int to = !from;

	if (p->tcph->rst)
		return; /* its ACK number may mean nothing */
	if (p->tcph->syn) {
		note_syn(e, from, p);
		return;
	}
	if (p->tcph->ack)
		take_ack(e, from, p->ack_seq);
	if (!e->known[to])
		raise_to(e, to, p->seq);
	if (seq_upto(p->seq, e->next[to]))
		raise_to(e, to, packet_end(p));
}

void expected_undo(struct expected *e, const struct expected *before, int from,
                   const struct pkt_info *p)
{
	int to = !from;

	e->next[to] = before->known[to] ? before->next[to] : p->seq;
	e->acked[to] = before->known[to] ? before->acked[to] : p->seq;
	e->known[to] = true;
}
