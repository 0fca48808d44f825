#include "secondary/pipeline/segment_priv.h"

#include <string.h>

#include <rte_ip.h>

#include "secondary/event/event.h"
#include "secondary/pipeline/flow_option.h"
#include "secondary/pipeline/flow_stream.h"
#include "shared/kill_point/kill_point.h"
#include "shared/packet/checksum.h"

static void read_key4(struct mos_work *w, const struct rte_ipv4_hdr *ip)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	memcpy(w->key.src, mapped, 12);
	memcpy(w->key.src + 12, &ip->src_addr, 4);
	memcpy(w->key.dst, mapped, 12);
	memcpy(w->key.dst + 12, &ip->dst_addr, 4);
}

static void read_key6(struct mos_work *w, const struct rte_ipv6_hdr *ip)
{
	memcpy(w->key.src, ip->src_addr, 16);
	memcpy(w->key.dst, ip->dst_addr, 16);
}

/* Read headers at the offsets that the primary checked. They lie at any address: packed structs. */
void mos_segment_read(struct mos_work *w)
{
	const struct mos_pkt_meta *meta = w->meta;
	const void *ip = rte_pktmbuf_mtod_offset(w->m, const void *, meta->l3_off);
	const struct rte_tcp_hdr *tcp =
		rte_pktmbuf_mtod_offset(w->m, const struct rte_tcp_hdr *, meta->l4_off);

	if (meta->ip_version == 4)
		read_key4(w, ip);
	else
		read_key6(w, ip);
	w->tcp = tcp;
	w->key.src_port_be = tcp->src_port;
	w->key.dst_port_be = tcp->dst_port;
	w->key.vlan = meta->vlan;
	w->key.ip_version = meta->ip_version;
	w->ip_len = (uint32_t)(meta->payload_off - meta->l3_off) + meta->payload_len;

	w->seg = (struct mos_tcp_seg){
		.seq = rte_be_to_cpu_32(tcp->sent_seq),
		.ack = rte_be_to_cpu_32(tcp->recv_ack),
		.payload_len = meta->payload_len,
		.wnd = rte_be_to_cpu_16(tcp->rx_win),
		.flags = tcp->tcp_flags,
	};
	if (w->seg.flags & MOS_TCP_SYN) {
		mos_tcp_opts_parse(&w->opts, (const uint8_t *)(tcp + 1),
		                   (uint32_t)(meta->payload_off - meta->l4_off) - 20);
		w->seg.opts = &w->opts;
	}
}

void mos_segment_read_ts(struct mos_work *w, const struct mos_flow *f)
{
	if (mos_tcp_uses_ts(f))
		mos_tcp_read_ts(&w->seg, (const uint8_t *)(w->tcp + 1),
		                (uint32_t)(w->meta->payload_off - w->meta->l4_off) - 20);
}

static bool checksum_ok(const struct mos_ctx *c, const struct mos_work *w)
{
	uint32_t tcp_len =
		(uint32_t)(w->meta->payload_off - w->meta->l4_off) + w->meta->payload_len;
	uint64_t known = w->m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	if (!c->root->settings.verify_tcp_csum || known == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		return true;
	if (known == RTE_MBUF_F_RX_L4_CKSUM_BAD)
		return false;
	if (w->m->nb_segs > 1) /* the payload is not contiguous: such frames are not verified */
		return true;
	return mos_csum_tcp_ok(rte_pktmbuf_mtod_offset(w->m, const void *, w->meta->l3_off),
	                       w->meta->ip_version, w->tcp, tcp_len);
}

static uint32_t event_bits(unsigned track)
{
	return MOS_ON_PKT_IN | (track & MOS_TRACK_START ? MOS_ON_CONN_START : 0) |
	       (track & MOS_TRACK_STATE ? MOS_ON_TCP_STATE_CHANGE : 0) |
	       (track & MOS_TRACK_REXMIT ? MOS_ON_REXMIT : 0);
}

static void sender_side(struct mos_ctx *c, struct mos_work *w, struct mos_flow *f)
{
	unsigned track;

	w->snd_nxt = f->half[w->from].snd_nxt;
	w->snd_flags = f->half[w->from].flags;
	mos_flow_write_begin(f);
	if (w->seg.has_ts && mos_unlikely(c->now_ms - f->last_seen_ms > MOS_TS_OUTDATED_MS))
		mos_tcp_ts_outdated(f);
	track = w->track = mos_tcp_sent(f, w->from, &w->seg);
	mos_kill_point("record.sender");
	f->last_seen_ms = c->now_ms;
	f->packets[w->from]++;
	f->bytes[w->from] += w->ip_len;
	mos_flow_write_end(f);
	if (mos_unlikely(track & MOS_TRACK_BOGUS))
		mos_counter_add(&c->shard->counters, MOS_CTR_W_TCP_BOGUS, 1);
	mos_event_flow(c, w->flow, w->from, w->from, MOS_HOOK_SND, event_bits(track));
	if (mos_flow_is_read(c, w->flow, w->from) && !(track & MOS_TRACK_BOGUS))
		mos_segment_acked(c, w, f);
}

/* What is told of a payload before the receiver's half changes. */
static void before_receiver(struct mos_ctx *c, struct mos_work *w, struct mos_flow *f, bool resent)
{
	if (mos_unlikely(resent))
		mos_event_flow(c, w->flow, !w->from, w->from, MOS_HOOK_RCV, MOS_ON_REXMIT);
	if (mos_unlikely(c->cur.edited))
		mos_segment_edited(c, w, f); /* what is told next is of the packet as it is */
	if (mos_unlikely(mos_tcp_beyond_window(f, !w->from, &w->seg)))
		mos_segment_beyond_window(c, w, f);
	if (mos_event_wanted(c, MOS_HOOK_NULL, MOS_ON_CONN_NEW_DATA) &&
	    !mos_sockets_all_read(&c->sockets, f->stream[!w->from].readers))
		mos_segment_await(c, w);
	if (mos_flow_is_read(c, w->flow, !w->from))
		mos_segment_check(c, w, f);
	if (mos_unlikely(c->cur.edited)) {
		mos_segment_edited(c, w, f);
		mos_segment_check_again(c, w, f);
	}
}

static void receiver_side(struct mos_ctx *c, struct mos_work *w, struct mos_flow *f)
{
	bool resent = mos_tcp_resent(f, !w->from, &w->seg);
	uint32_t irs = f->half[!w->from].irs;
	bool opened = f->half[!w->from].flags & MOS_HALF_RCVD;
	unsigned track;

	if (w->seg.payload_len > 0)
		before_receiver(c, w, f, resent);

	mos_flow_write_begin(f);
	track = mos_tcp_received(f, !w->from, &w->seg);
	mos_kill_point("record.receiver");
	mos_flow_write_end(f);
	if (mos_unlikely(track & MOS_TRACK_REXMIT))
		mos_counter_add(&c->shard->counters, MOS_CTR_W_REXMIT, 1);
	if (resent)
		track &= ~(unsigned)MOS_TRACK_REXMIT; /* once per packet */
	if (mos_unlikely(!opened && (f->half[!w->from].flags & MOS_HALF_RCVD)))
		mos_stream_begin(f, !w->from);
	else if (mos_unlikely(irs != f->half[!w->from].irs))
		mos_stream_rebase(&c->streams, w->flow, !w->from); /* a forged one */
	if (w->bytes.len > 0)
		track |= mos_segment_arrive(c, w);
	mos_event_flow(c, w->flow, !w->from, w->from, MOS_HOOK_RCV, event_bits(track));
}

/* The worker has come through another packet of a flow on which one died. */
static void survive(struct mos_flow *f)
{
	mos_flow_write_begin(f);
	mos_kill_point("record.survive");
	if (++f->survived >= MOS_STRIKES_FORGET) {
		f->strikes = 0;
		f->flags &= (uint8_t)~MOS_FLOW_SUSPECT;
	}
	mos_flow_write_end(f);
}

/* The offset of rcv_nxt is told from one that is less than 2 GB away: 1 GB is often enough. */
static bool came_far(const struct mos_work *w, const struct mos_flow *f)
{
	return ((w->rcv_nxt[MOS_CLI] ^ f->half[MOS_CLI].rcv_nxt) |
	        (w->rcv_nxt[MOS_SVR] ^ f->half[MOS_SVR].rcv_nxt)) >>
	               30 !=
	       0;
}

/* After the packet: end the flow, or look at it sooner if it entered TIME_WAIT. */
static void after_segment(struct mos_ctx *c, struct mos_work *w, struct mos_flow *f,
                          const uint8_t state_before[2])
{
	if (mos_likely(f->state[0] == state_before[0] && f->state[1] == state_before[1]))
		return;
	if (mos_tcp_finished(f, mos_flow_tw_ms(c, f))) {
		c->cur.mbuf = NULL;
		mos_ledger_stage(&c->shard->ledger, MOS_STAGE_END);
		mos_kill_point("stage.end");
		mos_flow_end(c, w->flow, !w->from);
		return;
	}
	if (f->state[0] == MOS_TCPS_TIME_WAIT || f->state[1] == MOS_TCPS_TIME_WAIT)
		mos_flow_timer_arm(&c->flow_timer, w->flow, mos_flow_deadline_ms(c, f));
}

/* The receiver's side sees the packet. */
static bool reaches_receiver(struct mos_ctx *c, struct mos_work *w, struct mos_flow *f)
{
	if (mos_unlikely(mos_remap_any(f)))
		return mos_segment_remap(c, w, f);
	return !mos_flow_hides(c, w->flow);
}

void mos_segment(struct mos_ctx *c, struct rte_mbuf *m, struct mos_pkt_meta *meta)
{
	struct mos_counters *ctr = &c->shard->counters;
	struct mos_work w; /* zeroing all of it takes more cycles than filling it in */
	uint8_t before[2];
	struct mos_flow *f;

	if (mos_unlikely(meta->ip_version == 6 && !c->root->settings.ipv6)) {
		mos_counter_add(ctr, MOS_CTR_W_IPV6_IGNORED, 1);
		return;
	}
	c->cur.segment = true;
	w.m = m;
	w.meta = meta;
	mos_segment_read(&w);
	if (mos_unlikely(!checksum_ok(c, &w))) {
		mos_counter_add(ctr, MOS_CTR_W_TCP_CHECKSUM, 1);
		return;
	}
	if (!mos_segment_find(c, &w)) {
		mos_counter_add(ctr, MOS_CTR_W_ORPHANS, 1);
		mos_ledger_stage(&c->shard->ledger, MOS_STAGE_RAW);
		mos_event_orphan(c);
		return;
	}
	f = mos_flow_at(&c->flows, w.flow);
	if (mos_unlikely(f->strikes >= MOS_STRIKES_MAX || mos_flow_lost_out(f)) &&
	    mos_segment_passes_by(c, &w, f))
		return;
	mos_counter_add(ctr, MOS_CTR_W_TCP, 1);
	c->cur.from = (uint8_t)w.from;
	c->cur.work = &w;
	w.remapped = false;
	memcpy(before, f->state, 2);
	mos_segment_read_ts(&w, f);
	w.rcv_nxt[MOS_CLI] = f->half[MOS_CLI].rcv_nxt;
	w.rcv_nxt[MOS_SVR] = f->half[MOS_SVR].rcv_nxt;
	w.bytes.len = 0;
	w.new_data = 0;
	if (mos_unlikely(mos_flow_keeps_packets(c, w.flow)))
		mos_flow_keep_packet(c, w.flow, w.from);
	mos_ledger_stage(&c->shard->ledger, MOS_STAGE_SND);
	mos_kill_point("stage.snd");
	if (mos_unlikely(mos_remap_any(f)) && !mos_segment_remap_begin(c, &w, f))
		return;
	sender_side(c, &w, f);
	mos_ledger_stage(&c->shard->ledger, MOS_STAGE_RCV);
	mos_kill_point("stage.rcv");
	if (mos_unlikely(c->cur.edited))
		mos_segment_edited(c, &w, f);
	if (mos_unlikely(mos_segment_opens(&w, f)))
		mos_segment_out(c, &w, f);
	if (mos_likely(reaches_receiver(c, &w, f)))
		receiver_side(c, &w, f);
	if (mos_flow_is_read(c, w.flow, MOS_CLI) || mos_flow_is_read(c, w.flow, MOS_SVR))
		mos_segment_new_data(c, &w);
	if (mos_unlikely(came_far(&w, f)))
		mos_segment_keep_offsets(c, &w, f);
	if (mos_unlikely(f->strikes != 0))
		survive(f);
	if (!mos_flow_forget_if_stopped(c, w.flow))
		after_segment(c, &w, f, before);
}
