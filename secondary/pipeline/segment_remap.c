/*
 * Segments of flows whose lengths are edited (MOS_SEQ_REMAP), between the numbers of both ends:
 *
 *   as sent        seq, payload of its sender; ack, SACK as its sender counts what it received
 *   canonical      seq, payload_len as the receiver will count: of all that is kept here. The ack
 *                  of a packet is canonical as it is sent
 *   as it goes     seq and payload for the receiver; ack, SACK as that counts what it has sent
 *
 * Until the SND hook is done the packet is as it was sent, while mos_work.seg is canonical. Then
 * the edits of the hook count, what was edited before is put in its place again, and the packet is
 * as it goes. What cannot be brought in order is dropped: its sender sends it again.
 */
#include <errno.h>
#include <string.h>

#include "secondary/edit/chain.h"
#include "secondary/edit/edit.h"
#include "secondary/pipeline/flow_option.h"
#include "secondary/pipeline/segment_priv.h"
#include "shared/kill_point/kill_point.h"
#include "shared/bytes.h"

/* Farther than that from what is decided, no number of a segment is believed. */
#define FAR (1u << 30)

/* Of each header that is longest: an image that fits behind these fits into any packet. */
#define TCP_HDR_MAX 60u

/* ---- before the sender's half ---- */

static bool is_far(struct mos_ctx *c, const struct mos_work *w, uint32_t seq)
{
	return seq - mos_remap_decided(&c->remap, w->flow, w->from) + FAR > 2 * FAR;
}

/* A SYN with another number, from an end that was not heard by the other yet. */
static bool is_new_syn(const struct mos_work *w, const struct mos_flow *f)
{
	const struct mos_half *h = &f->half[w->from];

	return (w->seg.flags & MOS_TCP_SYN) && f->state[w->from] <= MOS_TCPS_SYN_RCVD &&
	       (!(h->flags & MOS_HALF_ISS) || h->iss != w->seg.seq);
}

/* What the bytes from `from` on, and the FIN, are to the receiver: seg as it will be. */
static void make_canonical(struct mos_ctx *c, struct mos_work *w)
{
	const struct mos_remap *r = &c->remap;
	uint32_t first = mos_remap_map(&c->remap, w->flow, w->from, r->seq);
	uint32_t end = mos_remap_map(&c->remap, w->flow, w->from, r->seq + r->len + r->fin);

	w->seg.seq = first - !!(w->seg.flags & MOS_TCP_SYN);
	if (!(w->seg.flags & MOS_TCP_RST))
		w->seg.payload_len = end - r->fin - first;
}

/* What of the segment counts as its sender's stream. */
static void look_at_packet(struct mos_ctx *c, const struct mos_work *w)
{
	bool rst = w->seg.flags & MOS_TCP_RST;

	mos_remap_packet(&c->remap, w->flow, w->from, w->seg.seq + !!(w->seg.flags & MOS_TCP_SYN),
	                 rst ? 0 : w->seg.payload_len,
	                 !rst && (w->seg.flags & MOS_TCP_FIN) && !(w->seg.flags & MOS_TCP_SYN));
}

/* Wherever they are, its receiver knows best; and they bring no byte. */
static bool is_asked_back(const struct mos_remap *r, const struct mos_work *w)
{
	return (w->seg.flags & (MOS_TCP_RST | MOS_TCP_SYN)) && r->len == 0;
}

static bool lose(struct mos_ctx *c, const struct mos_work *w)
{
	mos_counter_add(&c->shard->counters, MOS_CTR_W_REMAP_LOST, 1);
	w->meta->verdict = MOS_VERDICT_DROP;
	return false;
}

bool mos_segment_remap_begin(struct mos_ctx *c, struct mos_work *w, const struct mos_flow *f)
{
	if (mos_unlikely(mos_remap_lost(f, MOS_CLI) || mos_remap_lost(f, MOS_SVR)))
		return lose(c, w);
	if (!mos_remap_on(f, w->from))
		return true;
	if (is_new_syn(w, f))
		mos_remap_restart(&c->remap, w->flow, w->from, w->seg.seq + 1);
	look_at_packet(c, w);
	if (mos_unlikely(is_far(c, w, c->remap.seq)) && !is_asked_back(&c->remap, w))
		return lose(c, w);
	make_canonical(c, w);
	w->canonical = w->seg;
	return true;
}

/* ---- edits ---- */

/* The packet at hand is as its sender sent it: it is the SND hook's turn. */
static bool at_snd_hook(const struct mos_ctx *c)
{
	return c->cur.mbuf != NULL && c->cur.work != NULL &&
	       c->shard->ledger.stage == MOS_STAGE_SND;
}

/* Bytes that may stand in one place: their image must fit into any packet of the sender. */
static uint32_t insert_max(const struct mos_ctx *c)
{
	const struct mos_pkt_meta *meta = c->cur.meta;
	uint32_t hdrs = (uint32_t)(meta->l4_off - meta->l3_off) + TCP_HDR_MAX + 1;
	uint32_t mtu = mos_edit_mtu(c->root, meta);

	if (mtu <= hdrs)
		return 1;
	return RTE_MIN(mtu - hdrs, (uint32_t)MOS_REMAP_INSERT_MAX);
}

int mos_flow_note_edit(struct mos_ctx *c, uint32_t at, uint32_t removed, uint32_t inserted)
{
	uint32_t flow = c->shard->ledger.flow;
	const struct mos_flow *f;

	if (flow == MOS_FLOW_NONE || !c->cur.segment || c->cur.work == NULL)
		return 0;
	f = mos_flow_at(&c->flows, flow);
	if (mos_likely(!mos_remap_on(f, c->cur.from)))
		return 0;
	if (!at_snd_hook(c))
		return -EACCES;
	if (removed == 0 && inserted == 0)
		return 0;
	return removed > 0 ? mos_remap_note_chomp(&c->remap, at, removed)
	                   : mos_remap_note_insert(&c->remap, at, inserted, insert_max(c));
}

/* ---- behind the SND hook: the payload ---- */

/* How long the payload may be in this packet. */
static uint32_t payload_room(const struct mos_ctx *c, const struct mos_work *w)
{
	uint32_t mtu = mos_edit_mtu(c->root, w->meta);
	uint32_t hdrs = (uint32_t)(w->meta->payload_off - w->meta->l3_off);
	uint32_t room = w->meta->payload_len + mos_chain_room(w->m);

	return RTE_MAX(RTE_MIN(mtu > hdrs ? mtu - hdrs : 0, room), (uint32_t)w->meta->payload_len);
}

/* One edit that cannot fail. */
static void apply(struct mos_ctx *c, int option, uint32_t at, const void *data, uint32_t len)
{
	const struct mos_edit e = {
		.cur = &c->cur,
		.seed = c->root->hash_seed,
		.mtu = MOS_EDIT_ANY_MTU,
		.option = option,
		.offset = at,
		.data = data,
		.len = len,
	};

	if (len > 0)
		mos_edit_apply(&e);
}

/* The first n bytes of the payload become others. */
static void replace(struct mos_ctx *c, uint32_t n, const uint8_t *bytes, uint32_t len)
{
	if (len > n)
		apply(c, MOS_TCP_PAYLOAD | MOS_INSERT, 0, bytes, len - n);
	else
		apply(c, MOS_TCP_PAYLOAD | MOS_CHOMP, 0, NULL, n - len);
	apply(c, MOS_TCP_PAYLOAD | MOS_OVERWRITE, 0, bytes, len);
}

/* Where an image is written: behind what mtcp_getlastpkt() shows. */
static uint8_t *image_area(const struct mos_ctx *c)
{
	return c->scratch + MOS_SCRATCH_OFF + MOS_SCRATCH_BYTES;
}

/* len bytes of the payload in one piece. */
static const uint8_t *payload_bytes(struct mos_ctx *c, const struct mos_work *w, uint32_t len)
{
	return rte_pktmbuf_read(w->m, w->meta->payload_off, len, c->scratch);
}

static void clear_flags(struct mos_ctx *c, const struct mos_work *w, uint8_t flags)
{
	uint8_t left = rte_pktmbuf_mtod_offset(w->m, const struct rte_tcp_hdr *, w->meta->l4_off)
	                       ->tcp_flags &
	               (uint8_t)~flags;

	apply(c, MOS_TCP_HDR | MOS_OVERWRITE, offsetof(struct rte_tcp_hdr, tcp_flags), &left, 1);
}

/*
 * The first `fixed` bytes, and the FIN if fixed_fin, have gone before: they become what they were
 * then. What has no room is left for its sender to send again.
 */
static void put_image(struct mos_ctx *c, const struct mos_work *w, uint32_t fixed, bool fixed_fin)
{
	uint32_t room = payload_room(c, w), rest = w->meta->payload_len - fixed;
	uint8_t *out = image_area(c);
	struct mos_remap_image image = mos_remap_image(
		&c->remap, w->flow, w->from, c->remap.seq, payload_bytes(c, w, fixed), fixed,
		fixed_fin, out, RTE_MIN(room, (uint32_t)MOS_SCRATCH_BYTES));

	if (image.taken < fixed || rest > room - image.len || (fixed_fin && !image.fin)) {
		clear_flags(c, w, MOS_TCP_FIN);
		mos_counter_add(&c->shard->counters, MOS_CTR_W_REMAP_CUT, 1);
		fixed = w->meta->payload_len; /* at once: mbufs that became empty are no room */
	}
	replace(c, fixed, out, image.len);
	mos_kill_point("remap.image");
}

/* How the packet's payload differs in length from what was sent: as its edits say? */
static bool edits_add_up(const struct mos_ctx *c, const struct mos_work *w)
{
	uint32_t len = c->remap.len;

	for (uint32_t i = 0; i < c->remap.count; i++)
		len += c->remap.edit[i].inserted - c->remap.edit[i].removed;
	return len == w->meta->payload_len || (w->canonical.flags & MOS_TCP_RST);
}

/*
 * Would its receiver take bytes that have not gone before? Else they are not decided. What it is
 * sent before it was heard again cannot be more than the window of its SYN.
 */
static bool is_taken(const struct mos_work *w, const struct mos_flow *f)
{
	const struct mos_half *to = &f->half[!w->from];
	uint8_t state = f->state[!w->from];
	uint32_t wnd = f->wnd_max[!w->from];

	if (w->track & MOS_TRACK_BOGUS)
		return false;
	if (state > MOS_TCPS_FIN_WAIT_2) /* it has the FIN, so nothing is new behind it */
		return mos_seq_leq(w->canonical.seq + w->canonical.payload_len +
		                           !!(w->canonical.flags & MOS_TCP_FIN),
		                   to->rcv_nxt);
	if ((w->canonical.flags & MOS_TCP_SYN) && state >= MOS_TCPS_ESTABLISHED)
		return false;
	if (!(to->flags & MOS_HALF_WND)) {
		if (state != MOS_TCPS_SYN_RCVD || !(to->flags & MOS_HALF_ISS))
			return true;
		wnd = UINT16_MAX;
	}
	return state < MOS_TCPS_SYN_RCVD || mos_seq_leq(w->canonical.seq, to->rcv_nxt + wnd);
}

/* The stream goes on behind the edits. */
static void resize(struct mos_ctx *c, const struct mos_work *w, struct mos_flow *f)
{
	const struct mos_remap *r = &c->remap;
	uint32_t syn = !!(w->canonical.flags & MOS_TCP_SYN);
	uint32_t old_end = w->canonical.seq + syn + w->canonical.payload_len;
	uint32_t end =
		mos_remap_map(&c->remap, w->flow, w->from, r->seq + r->len + r->fin) - r->fin;

	if (end == old_end)
		return;
	mos_flow_write_begin(f);
	mos_tcp_resized(f, w->from, old_end, end, r->fin);
	mos_kill_point("record.resized");
	mos_flow_write_end(f);
}

/* Make the edits count, and bring the payload in order. False: the packet cannot go. */
static bool settle_payload(struct mos_ctx *c, struct mos_work *w, struct mos_flow *f)
{
	struct mos_remap *r = &c->remap;
	uint32_t decided = mos_remap_decided(r, w->flow, w->from), fixed = 0;
	uint32_t end = r->seq + r->len + r->fin;
	bool fixed_fin = r->fin && mos_seq_leq(end, decided);
	bool is_new = end != r->seq && (mos_seq_gt(end, decided) || r->count > 0);

	if (!edits_add_up(c, w))
		return lose(c, w);
	if (is_new && !is_taken(w, f)) {
		w->meta->verdict = MOS_VERDICT_DROP;
		return false;
	}
	if (mos_seq_gt(decided, r->seq))
		fixed = RTE_MIN(decided - r->seq, r->len);
	if (is_new) {
		mos_kill_point("remap.commit");
		mos_remap_commit(r,
		                 r->count > 0 ? payload_bytes(c, w, w->meta->payload_len) : NULL);
		resize(c, w, f);
	}
	mos_kill_point("remap.committed");
	if ((fixed > 0 || fixed_fin) &&
	    mos_remap_touches(r, w->flow, w->from, r->seq, fixed, fixed_fin))
		put_image(c, w, fixed, fixed_fin);
	return true;
}

/* ---- behind the SND hook: the numbers ---- */

static void store32(struct mos_ctx *c, const struct mos_work *w, uint32_t at, uint32_t value)
{
	const uint8_t *tcp = rte_pktmbuf_mtod_offset(w->m, const uint8_t *, w->meta->l4_off);
	uint32_t be = rte_cpu_to_be_32(value);

	if (memcmp(tcp + at, &be, sizeof(be)) != 0)
		apply(c, MOS_TCP_HDR | MOS_OVERWRITE, at, &be, sizeof(be));
}

/* Removed bytes alone do not reach their receiver: it is asked where it stands (RFC 9293 3.8.4). */
static bool became_empty(const struct mos_ctx *c, const struct mos_work *w)
{
	uint8_t flags = rte_pktmbuf_mtod_offset(w->m, const struct rte_tcp_hdr *, w->meta->l4_off)
	                        ->tcp_flags;

	return c->remap.len > 0 && w->meta->payload_len == 0 &&
	       !(flags & (MOS_TCP_SYN | MOS_TCP_FIN | MOS_TCP_RST));
}

static void translate_seq(struct mos_ctx *c, struct mos_work *w)
{
	uint32_t seq = mos_remap_map(&c->remap, w->flow, w->from, c->remap.seq) -
	               !!(w->canonical.flags & MOS_TCP_SYN);

	w->canonical.seq = seq;
	store32(c, w, offsetof(struct rte_tcp_hdr, sent_seq), seq - became_empty(c, w));
}

enum { OPT_END = 0, OPT_NOP = 1, OPT_SACK = 5, SACK_BLOCK = 8 };

/* Blocks of which nothing is left to its receiver go; no-operations fill their place. */
static void translate_sack(struct mos_ctx *c, const struct mos_work *w, uint32_t at, uint32_t len)
{
	uint8_t opt[40], old[40];
	uint32_t n = 2;

	memcpy(old, rte_pktmbuf_mtod_offset(w->m, const uint8_t *, w->meta->l4_off + at), len);
	memset(opt, OPT_NOP, sizeof(opt));
	for (uint32_t i = 2; i + SACK_BLOCK <= len; i += SACK_BLOCK) {
		uint32_t left =
			mos_remap_unmap_start(&c->remap, w->flow, !w->from, mos_load_be32(old + i));
		uint32_t right =
			mos_remap_unmap(&c->remap, w->flow, !w->from, mos_load_be32(old + i + 4));

		if (!mos_seq_lt(left, right))
			continue;
		left = rte_cpu_to_be_32(left);
		right = rte_cpu_to_be_32(right);
		memcpy(opt + n, &left, sizeof(left));
		memcpy(opt + n + 4, &right, sizeof(right));
		n += SACK_BLOCK;
	}
	if (n > 2) {
		opt[0] = OPT_SACK;
		opt[1] = (uint8_t)n;
	}
	if (memcmp(opt, old, len) != 0)
		apply(c, MOS_TCP_HDR | MOS_OVERWRITE, at, opt, len);
}

/* Options may say anything: a length beyond them ends the walk. */
static void translate_sacks(struct mos_ctx *c, const struct mos_work *w)
{
	uint32_t end = (uint32_t)(w->meta->payload_off - w->meta->l4_off), len;

	for (uint32_t at = sizeof(struct rte_tcp_hdr); at < end; at += len) {
		const uint8_t *opt =
			rte_pktmbuf_mtod_offset(w->m, const uint8_t *, w->meta->l4_off + at);

		if (opt[0] == OPT_END)
			return;
		len = opt[0] == OPT_NOP ? 1 : at + 1 < end ? opt[1] : 0;
		if (len == 0 || (len < 2 && opt[0] != OPT_NOP) || len > end - at)
			return;
		if (opt[0] == OPT_SACK)
			translate_sack(c, w, at, len);
	}
}

static void translate_ack(struct mos_ctx *c, struct mos_work *w)
{
	uint32_t ack = w->seg.ack;

	w->canonical.ack = ack;
	store32(c, w, offsetof(struct rte_tcp_hdr, recv_ack),
	        mos_remap_unmap(&c->remap, w->flow, !w->from, ack));
	translate_sacks(c, w);
	if (!(w->track & MOS_TRACK_BOGUS))
		mos_remap_acked(&c->remap, w->flow, !w->from, ack);
}

/* The packet does not go out: if its FIN has never done so, nobody has it. */
static void withhold_fin(struct mos_ctx *c, const struct mos_work *w, struct mos_flow *f)
{
	const struct mos_remap *r = &c->remap;

	if (!r->fin ||
	    !mos_seq_gt(r->seq + r->len + 1, mos_remap_decided(&c->remap, w->flow, w->from)))
		return;
	mos_flow_write_begin(f);
	mos_tcp_fin_withheld(f, w->from);
	mos_kill_point("record.withheld");
	mos_flow_write_end(f);
}

bool mos_segment_remap(struct mos_ctx *c, struct mos_work *w, struct mos_flow *f)
{
	bool of_sender = mos_remap_on(f, w->from);

	c->cur.edited = false; /* by us */
	if (of_sender && (w->meta->verdict == MOS_VERDICT_DROP || !settle_payload(c, w, f))) {
		mos_remap_discard(&c->remap);
		withhold_fin(c, w, f);
		return false;
	}
	if (w->meta->verdict == MOS_VERDICT_DROP) /* not sent on: its numbers are canonical */
		return !mos_flow_hides(c, w->flow);
	mos_segment_read(w);
	w->canonical.seq = w->seg.seq;
	w->canonical.ack = w->seg.ack;
	if (of_sender)
		translate_seq(c, w);
	if (mos_remap_on(f, !w->from) && (w->seg.flags & MOS_TCP_ACK))
		translate_ack(c, w);
	mos_kill_point("remap.translated");
	if (c->cur.edited) {
		mos_edit_update(&c->cur, c->root->hash_seed,
		                MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM);
		mos_counter_add(&c->shard->counters, MOS_CTR_W_REMAPPED, 1);
	}
	w->remapped = true;
	mos_segment_edited(c, w, f);
	return true;
}

uint32_t mos_flow_canonical(struct mos_ctx *c, uint32_t flow, int from, bool in_hand, uint32_t seq)
{
	const struct mos_flow *f = mos_flow_at(&c->flows, flow);

	if (mos_likely(!mos_remap_on(f, from)) || mos_remap_lost(f, from) ||
	    (in_hand && c->cur.work != NULL && c->cur.work->remapped))
		return seq;
	return mos_remap_map(&c->remap, flow, from, seq);
}

/* ---- switching it on ---- */

/* The first byte that the packet at hand, which was sent by that side, is the first to bring. */
static uint32_t first_new(const struct mos_work *w)
{
	uint32_t first = w->seg.seq + !!(w->seg.flags & MOS_TCP_SYN);

	if (!(w->snd_flags & MOS_HALF_ISS))
		return first;
	return mos_seq_gt(w->snd_nxt, first) || !(w->seg.flags & MOS_TCP_SYN) ? w->snd_nxt : first;
}

void mos_flow_edit_lengths(struct mos_ctx *c, uint32_t flow, int from)
{
	struct mos_flow *f = mos_flow_at(&c->flows, flow);
	bool in_hand = at_snd_hook(c) && c->shard->ledger.flow == flow && c->cur.from == from;

	if (mos_remap_on(f, from))
		return;
	if (in_hand)
		mos_remap_switch_on(f, from, true, first_new(c->cur.work));
	else
		mos_remap_switch_on(f, from, f->half[from].flags & MOS_HALF_ISS,
		                    f->half[from].snd_nxt);
	if (in_hand) {
		look_at_packet(c, c->cur.work);
		c->cur.work->canonical = c->cur.work->seg;
	}
}
