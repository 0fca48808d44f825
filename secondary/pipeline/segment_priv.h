/* What the parts of a segment's way share. Private to this folder. */
#ifndef MOS_SECONDARY_SEGMENT_PRIV_H
#define MOS_SECONDARY_SEGMENT_PRIV_H

#include <rte_mbuf.h>
#include <rte_tcp.h>

#include "secondary/pipeline/pipeline.h"

/* A segment and where it stands in the tables. */
struct mos_work {
	struct rte_mbuf *m;
	struct mos_pkt_meta *meta;
	const struct rte_tcp_hdr *tcp;
	struct mos_flow_key key; /* as in this packet */
	struct mos_tcp_seg seg;
	struct mos_tcp_opts opts;
	uint32_t ip_len; /* bytes of the IP packet */
	uint32_t flow;
	int from;       /* side that sent it */
	unsigned track; /* MOS_TRACK_* of the sender's update */

	/* lengths that are edited: segment_remap.c */
	uint32_t snd_nxt;  /* of the sender's half before it */
	uint8_t snd_flags; /* and its flags */
	bool remapped;     /* the packet is as it goes; seg has the numbers of canonical */
	struct mos_tcp_seg canonical; /* at the sender's update; then seq and ack of the packet */

	/* streams: segment_stream.c */
	uint32_t rcv_nxt[2]; /* of both halves before it */
	struct {
		uint64_t from; /* offset in the receiver's stream */
		uint32_t skip; /* bytes of the payload before it */
		uint32_t len;  /* 0: the segment brings none */
	} bytes;               /* of the payload that count */
	uint64_t window_end;   /* beyond which they are not kept out of order */
	uint8_t new_data;      /* halves whose readers have new bytes: bit per side */
};

/*
 * Find the flow of the segment and the side that sent it, or make one for a first SYN; the ledger
 * names the flow. What has to be told of a flow before its packet is told here: its start, if it
 * was adopted; its end, if its time is over or another connection begins. False: the segment
 * belongs to none.
 */
bool mos_segment_find(struct mos_ctx *c, struct mos_work *w);

/* Read key and segment of w->m, by its meta data, into *w. */
void mos_segment_read(struct mos_work *w);
/* And the timestamps, if both ends of its flow use them. */
void mos_segment_read_ts(struct mos_work *w, const struct mos_flow *f);

/*
 * Behind the SND hook, when a callback has changed the packet: its receiver gets it as it is now.
 * Also when one of those that are told of the payload has, before the receiver's half changes.
 */
void mos_segment_edited(struct mos_ctx *c, struct mos_work *w, struct mos_flow *f);

/* A first SYN of a flow whose server has not been heard: by this, or one that came before. */
static inline bool mos_segment_opens(const struct mos_work *w, const struct mos_flow *f)
{
	return (w->seg.flags & (MOS_TCP_SYN | MOS_TCP_ACK | MOS_TCP_RST)) == MOS_TCP_SYN &&
	       w->from == MOS_CLI && !(f->half[MOS_SVR].flags & MOS_HALF_ISS);
}

/*
 * Such a SYN, behind the SND hook: the addresses it goes out with are those by which the server's
 * packets are recognised.
 */
void mos_segment_out(struct mos_ctx *c, const struct mos_work *w, const struct mos_flow *f);

/*
 * Workers have died on the flow too often, or it has lost its second key: its packets are passed as
 * they are, or dropped if it is translated. False: this one is worked on, for it opens the flow.
 */
bool mos_segment_passes_by(struct mos_ctx *c, const struct mos_work *w, const struct mos_flow *f);

/*
 * Lengths that are edited, if mos_remap_any(). begin: before the sender's half is updated; seg is
 * canonical then. False: the packet cannot be translated, and is dropped.
 */
bool mos_segment_remap_begin(struct mos_ctx *c, struct mos_work *w, const struct mos_flow *f);

/*
 * remap: behind the SND hook. The packet is as it goes. False: it does not, nothing of it counts.
 */
bool mos_segment_remap(struct mos_ctx *c, struct mos_work *w, struct mos_flow *f);

/*
 * The streams' part of the work, in this order; what is asked for in each case is in segment.c.
 *
 * acked: behind the sender's update, if somebody reads that half. Its own ACK may have moved what
 * is in order, over bytes that are held and over a gap: ERROR.
 */
void mos_segment_acked(struct mos_ctx *c, struct mos_work *w, struct mos_flow *f);

/* beyond_window: tell of payload that its receiver cannot take; whether or not anybody reads it. */
void mos_segment_beyond_window(struct mos_ctx *c, const struct mos_work *w,
                               const struct mos_flow *f);

/*
 * await: a socket that has registered for NEW_DATA since the flow began reads the receiver's half.
 */
void mos_segment_await(struct mos_ctx *c, const struct mos_work *w);

/*
 * check: which bytes count, ERROR of what they contradict and what they would push out, and what
 * the receiver's update must know. If somebody reads the receiver's half; so the next.
 */
void mos_segment_check(struct mos_ctx *c, struct mos_work *w, const struct mos_flow *f);

/* check_again: a callback has changed the packet since. Nothing is told twice. */
void mos_segment_check_again(struct mos_ctx *c, struct mos_work *w, const struct mos_flow *f);

/*
 * arrive: behind the receiver's update. ERROR of what finds no room, and of a hole that is given
 * up. Returns MOS_TRACK_* bits of that.
 */
unsigned mos_segment_arrive(struct mos_ctx *c, struct mos_work *w);

/*
 * new_data: the packet is finished, if somebody reads a half of its flow. NEW_DATA, then what is
 * left unread is stored.
 */
void mos_segment_new_data(struct mos_ctx *c, const struct mos_work *w);

/* keep_offsets: a half that nobody reads has come so far that its 64-bit offset must follow. */
void mos_segment_keep_offsets(struct mos_ctx *c, const struct mos_work *w,
                              const struct mos_flow *f);

#endif
