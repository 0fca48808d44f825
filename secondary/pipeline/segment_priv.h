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
	int from; /* side that sent it */
};

/*
 * Find the flow of the segment and the side that sent it, or make one for a first SYN; the ledger
 * names the flow. What has to be told of a flow before its packet is told here: its start, if it
 * was adopted; its end, if its time is over or another connection begins. False: the segment
 * belongs to none.
 */
bool mos_segment_find(struct mos_ctx *c, struct mos_work *w);

#endif
