/*
 * Fuzz target: any edits of any frame, against the same done on an array (edit_model.h).
 *
 * Input: mode byte, cut byte, room byte, length of the frame (2 bytes), the frame, then edits of 7
 * bytes each: option (2), offset, length (2), data, more.
 *   mode bit 0     mend the checksums first: at the end they must be right, too
 *   mode bit 1     the packet must stay a TCP segment
 *   mode bit 2     mbufs end at `cut`, then at every `cut` + 1
 *   mode bit 3     an offset or length goes as far as the place allows, as often as not
 *   mode bits 4-7  MTU: 200 bytes each, 0 = none
 *
 * Each mbuf has a heap buffer of exact size, with `room` bytes in front of the first and behind the
 * last. Whatever the headers say in between, meta data must name bytes within the frame.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>

#include "secondary/edit/edit.h"
#include "secondary/edit/edit_model.h"
#include "shared/packet/checksum.h"
#include "test/fuzz/fuzz.h"

enum {
	MODE_MEND = 1,
	MODE_SEGMENT = 2,
	MODE_CUT = 4,
	MODE_FAR = 8,
	MBUFS_MAX = 64,
	EDIT_LEN = 7,
	SEED = 7,
};

static struct edit_bytes want, got;

/* ---- a frame in mbufs ---- */

struct chain {
	struct rte_mbuf m[MBUFS_MAX];
	uint32_t count;
};

static void add_mbuf(struct chain *ch, const uint8_t *bytes, uint32_t len, uint32_t front,
                     uint32_t rear)
{
	struct rte_mbuf *m = &ch->m[ch->count];

	memset(m, 0, sizeof(*m));
	m->buf_addr = malloc(front + len + rear + 1);
	CHECK(m->buf_addr != NULL);
	m->buf_len = (uint16_t)(front + len + rear);
	m->data_off = (uint16_t)front;
	m->data_len = (uint16_t)len;
	m->nb_segs = 1;
	rte_mbuf_refcnt_set(m, 1);
	memcpy(rte_pktmbuf_mtod(m, void *), bytes, len);
	if (ch->count > 0)
		ch->m[ch->count - 1].next = m;
	ch->m[0].pkt_len += len;
	ch->m[0].nb_segs = (uint16_t)++ch->count;
}

static void make_chain(struct chain *ch, const uint8_t *frame, uint32_t len, uint32_t first,
                       uint32_t room)
{
	uint32_t done = first < len ? first : len, n;

	ch->count = 0;
	add_mbuf(ch, frame, done, room, done == len ? room : 0);
	for (; done < len; done += n) {
		n = ch->count + 1 == MBUFS_MAX ? len - done : RTE_MIN(first + 1, len - done);
		add_mbuf(ch, frame + done, n, 0, done + n == len ? room : 0);
	}
}

static void free_chain(struct chain *ch)
{
	for (uint32_t i = 0; i < ch->count; i++)
		free(ch->m[i].buf_addr);
}

/* The frame as it is in the mbufs, which are sound. */
static void read_chain(const struct chain *ch)
{
	const struct rte_mbuf *m = &ch->m[0];

	got.len = 0;
	for (; m != NULL; m = m->next) {
		CHECK((uint32_t)m->data_off + m->data_len <= m->buf_len);
		CHECK(got.len + m->data_len <= sizeof(got.b));
		memcpy(got.b + got.len, rte_pktmbuf_mtod(m, const void *), m->data_len);
		got.len += m->data_len;
	}
	CHECK(got.len == ch->m[0].pkt_len);
}

/* ---- what must hold ---- */

static void check_meta(const struct mos_cur_pkt *cur)
{
	const struct mos_pkt_meta *m = cur->meta;
	uint32_t head = cur->mbuf->data_len;

	CHECK(m->pkt_class != MOS_PKT_BAD);
	if (m->ip_version != 0)
		CHECK(m->l3_off >= 14 && m->l3_off <= 22 &&
		      m->l3_off + (m->ip_version == 4 ? 20u : 40u) <= head);
	if (m->pkt_class != MOS_PKT_TCP) {
		CHECK(!cur->segment);
		return;
	}
	CHECK(m->l3_off + (m->ip_version == 4 ? 20u : 40u) <= m->l4_off);
	CHECK(m->l4_off + 20u <= m->payload_off && m->l4_off + 60u >= m->payload_off);
	CHECK(m->payload_off <= head);
	CHECK((uint32_t)m->payload_off + m->payload_len <= cur->mbuf->pkt_len);
}

static void check_frame(const struct chain *ch)
{
	read_chain(ch);
	CHECK(got.len == want.len && memcmp(got.b, want.b, got.len) == 0);
}

/* The headers mean what the meta data says. */
static bool make_sense(const struct mos_cur_pkt *cur)
{
	const struct mos_pkt_meta *m = cur->meta;
	struct mos_pkt_meta now = *m;

	mos_pkt_parse_edited(&now, rte_pktmbuf_mtod(cur->mbuf, const uint8_t *),
	                     cur->mbuf->data_len, cur->mbuf->pkt_len, SEED);
	return now.pkt_class == m->pkt_class && now.ip_version == m->ip_version &&
	       now.l3_off == m->l3_off && now.l4_off == m->l4_off &&
	       now.payload_off == m->payload_off && now.payload_len == m->payload_len;
}

/* Checksums that were right are right again. */
static void check_sums(const struct chain *ch, struct mos_cur_pkt *cur)
{
	const struct mos_pkt_meta *m = cur->meta;

	mos_edit_update(cur, SEED, MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM);
	CHECK(m->ip_version != 4 || !(cur->edit & MOS_EDIT_IP_ANEW));
	CHECK(m->pkt_class != MOS_PKT_TCP || !(cur->edit & MOS_EDIT_TCP_ANEW));
	if (!make_sense(cur))
		return;
	read_chain(ch);
	if (m->ip_version == 4)
		CHECK(mos_csum_ip4_ok(got.b + m->l3_off, (got.b[m->l3_off] & 0xf) * 4u));
	if (m->pkt_class == MOS_PKT_TCP)
		CHECK(mos_csum_tcp_ok(got.b + m->l3_off, m->ip_version, got.b + m->l4_off,
		                      (uint32_t)(m->payload_off - m->l4_off) + m->payload_len));
}

/* ---- one edit ---- */

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* What is likely to be the length of the place. */
static uint32_t usual_len(const struct mos_pkt_meta *m, int option)
{
	if (option & MOS_ETH_HDR)
		return 14;
	if (option & MOS_IP_HDR)
		return m->pkt_class == MOS_PKT_TCP ? (uint32_t)m->l4_off - m->l3_off : 20;
	if (option & MOS_TCP_HDR)
		return (uint32_t)m->payload_off - m->l4_off;
	return m->payload_len;
}

static void fill(uint8_t *data, const uint8_t *in, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)(in[5] + i * in[6]);
}

/* The edit of these 7 bytes. */
static struct mos_edit decode(struct mos_cur_pkt *cur, const uint8_t *in, uint8_t mode,
                              uint8_t *data)
{
	static const int actions[] = {MOS_OVERWRITE, MOS_OVERWRITE, MOS_CHOMP, MOS_INSERT};
	struct mos_edit e = {
		.cur = cur,
		.seed = SEED,
		.mtu = mode >> 4 ? (mode >> 4) * 200u : MOS_EDIT_ANY_MTU,
		.option = actions[in[0] & 3] | (in[1] & 0x3f),
		.offset = in[2],
		.data = in[0] & 0x80 ? NULL : data,
		.len = be16(in + 3) % 3000,
	};
	uint32_t len = usual_len(cur->meta, e.option);

	if (mode & MODE_FAR) {
		e.offset = in[0] & 4 ? e.offset % (len + 1) : e.offset;
		if ((in[0] & 8) && e.offset <= len && len > 0)
			e.len %= len - (uint32_t)e.offset + 1;
		if ((in[0] & 16) && !(e.option & MOS_OVERWRITE))
			e.len &= ~3u;
	}
	fill(data, in, e.len);
	return e;
}

/* Padding that finds no room is left out. */
static void allow_short(const struct chain *ch, const struct mos_edit *e)
{
	uint32_t len = ch->m[0].pkt_len;

	if (len < want.len && (e->option & MOS_CHOMP) &&
	    rte_pktmbuf_tailroom(&ch->m[ch->count - 1]) == 0)
		want.len = len;
}

static void edit(struct chain *ch, const struct mos_edit *e)
{
	struct mos_pkt_meta before = *e->cur->meta;

	want.head = ch->m[0].data_len;
	if (mos_edit_check(e) != 0) {
		CHECK(memcmp(&before, e->cur->meta, sizeof(before)) == 0);
		check_frame(ch);
		return;
	}
	mos_edit_apply(e);
	edit_model(&want, &before, e->option, (uint32_t)e->offset, e->data, e->len);
	allow_short(ch, e);
	check_frame(ch);
	check_meta(e->cur);
	mos_edit_update(e->cur, e->seed, e->option);
	check_meta(e->cur);
	read_chain(ch); /* the checksums are looked at in the end */
	memcpy(want.b, got.b, got.len);
}

/* ---- the whole ---- */

static void mend(struct edit_bytes *f, const struct mos_pkt_meta *m)
{
	if (m->ip_version == 4)
		edit_model_sum_ip4(f, m->l3_off, (f->b[m->l3_off] & 0xf) * 4u);
	if (m->pkt_class == MOS_PKT_TCP)
		edit_model_sum_tcp(f, m);
}

static void run(struct chain *ch, struct mos_pkt_meta *meta, const uint8_t *edits, size_t size,
                uint8_t mode)
{
	static uint8_t data[3000];
	struct mos_cur_pkt cur = {
		.mbuf = &ch->m[0],
		.meta = meta,
		.segment = (mode & MODE_SEGMENT) && meta->pkt_class == MOS_PKT_TCP,
	};

	for (; size >= EDIT_LEN; edits += EDIT_LEN, size -= EDIT_LEN) {
		struct mos_edit e = decode(&cur, edits, mode, data);

		edit(ch, &e);
	}
	mos_edit_settle(&cur, SEED);
	check_meta(&cur);
	if (mode & MODE_MEND)
		check_sums(ch, &cur);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static struct chain ch;
	struct mos_pkt_meta meta = {.ts_ns = 1};
	uint32_t first;

	if (size < 5)
		return 0;
	want.len = RTE_MIN(be16(input + 3) % 4096, (uint32_t)size - 5);
	memcpy(want.b, input + 5, want.len);
	first = input[0] & MODE_CUT ? input[1] : want.len;
	mos_pkt_parse_edited(&meta, want.b, RTE_MIN(first, want.len), want.len, SEED);
	if (meta.pkt_class == MOS_PKT_BAD || meta.pkt_class == MOS_PKT_NON_IP)
		return 0;
	if (input[0] & MODE_MEND)
		mend(&want, &meta);
	make_chain(&ch, want.b, want.len, first, input[2]);
	run(&ch, &meta, input + 5 + want.len, size - 5 - want.len, input[0]);
	free_chain(&ch);
	return 0;
}
