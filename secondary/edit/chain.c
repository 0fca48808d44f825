#include "secondary/edit/chain.h"

#include <string.h>

#include <rte_mbuf.h>

#include "secondary/edit/sum.h"

#define STEP 512 /* bytes that are moved at once between mbufs */

/* A contiguous part of a range. */
struct part {
	uint8_t *bytes;
	uint32_t len;
};

/* What is left of a range. */
struct walk {
	const struct rte_mbuf *m;
	uint32_t off; /* of the next byte in m */
	uint32_t left;
};

static bool next_part(struct walk *w, struct part *part)
{
	while (w->m != NULL && w->off >= w->m->data_len) {
		w->off -= w->m->data_len;
		w->m = w->m->next;
	}
	if (w->left == 0 || w->m == NULL)
		return false;
	part->bytes = rte_pktmbuf_mtod_offset(w->m, uint8_t *, w->off);
	part->len = RTE_MIN(w->left, w->m->data_len - w->off);
	w->off += part->len;
	w->left -= part->len;
	return true;
}

void mos_chain_read(const struct rte_mbuf *m, uint32_t off, void *to, uint32_t len)
{
	struct walk w = {m, off, len};
	struct part part;

	for (uint8_t *at = to; next_part(&w, &part); at += part.len)
		memcpy(at, part.bytes, part.len);
}

void mos_chain_write(struct rte_mbuf *m, uint32_t off, const void *from, uint32_t len)
{
	struct walk w = {m, off, len};
	struct part part;

	for (const uint8_t *at = from; next_part(&w, &part); at += part.len)
		memmove(part.bytes, at, part.len); /* from may point into the frame */
}

void mos_chain_zero(struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	struct walk w = {m, off, len};
	struct part part;

	while (next_part(&w, &part))
		memset(part.bytes, 0, part.len);
}

uint64_t mos_chain_sum(const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	struct walk w = {m, off, len};
	struct part part;
	uint64_t sum = 0;
	bool odd = false;

	while (next_part(&w, &part)) {
		if (part.len == len) /* in one piece, as nearly always */
			return mos_csum_partial(part.bytes, len, 0);
		sum += mos_sum_swap(mos_sum_fold(mos_csum_partial(part.bytes, part.len, 0)), odd);
		odd ^= part.len & 1;
	}
	return sum;
}

void mos_chain_move(struct rte_mbuf *m, uint32_t to, uint32_t from, uint32_t len)
{
	uint8_t step[STEP];

	if (m->nb_segs == 1) {
		memmove(rte_pktmbuf_mtod_offset(m, void *, to),
		        rte_pktmbuf_mtod_offset(m, void *, from), len);
		return;
	}
	for (uint32_t done = 0, n; done < len; done += n) {
		uint32_t at;

		n = RTE_MIN(len - done, (uint32_t)STEP);
		at = to < from ? done : len - done - n; /* what is overwritten has been moved */
		mos_chain_read(m, from + at, step, n);
		mos_chain_write(m, to + at, step, n);
	}
}

void mos_chain_resize(struct rte_mbuf *m, uint32_t len)
{
	uint32_t was = m->pkt_len, left = len;

	m->pkt_len = len;
	if (len > was) {
		struct rte_mbuf *last = rte_pktmbuf_lastseg(m);

		last->data_len = (uint16_t)(last->data_len + len - was);
		mos_chain_zero(m, was, len - was);
		return;
	}
	for (; m != NULL; m = m->next) {
		m->data_len = (uint16_t)RTE_MIN(left, (uint32_t)m->data_len);
		left -= m->data_len;
	}
}

uint32_t mos_chain_room(struct rte_mbuf *m)
{
	return rte_pktmbuf_tailroom(rte_pktmbuf_lastseg(m));
}
