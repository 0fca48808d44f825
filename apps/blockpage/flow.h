/*
 * What blockpage knows of one connection, and the packets it sends there. Stack thread.
 */
#ifndef BLOCKPAGE_FLOW_H
#define BLOCKPAGE_FLOW_H

#include <stdatomic.h>

#include "mos_api.h"
#include "mos_ext.h"
#include "apps/blockpage/answer.h"
#include "apps/blockpage/page.h"
#include "apps/common/reset.h"
#include "apps/common/tcp_options.h"
#include "apps/common/http_conn.h"

enum flow_state { FLOW_WATCHING, FLOW_ANSWERING, FLOW_RESETTING };

/* How far a worker was; stands in the flow area. The order is that of what its successor may do. */
enum kept_stage { KEPT_NOTHING, KEPT_BETWEEN, KEPT_IN_HEAD, KEPT_BLOCKED };

/* "BLK", 1: MOS_AREA_VERSION; grows with each change of the layout. */
#define KEPT_VERSION 0x424c4b01u

/* The flow area. Written by the flow's worker; read by its successor. */
struct kept {
	uint32_t acked[2]; /* by both ends */
	uint16_t mss;
	uint8_t wscale;
	_Atomic(uint8_t) stage; /* stored last */
};

/* The uctx. */
struct flow {
	enum flow_state state;
	struct expected expected;
	struct expected before; /* the packet in hand */
	uint16_t mss;           /* of the client */
	uint8_t wscale;         /* of the client's windows */
	struct kept *kept;      /* the flow area, or NULL */
	struct http_conn conn;  /* WATCHING; it emits with the flow as argument */
	const char *blocked;    /* entry that blocks a request which conn has emitted, or NULL */

	/* ANSWERING */
	struct answer answer;
	const uint8_t *page;
	struct tcp_options client; /* of its latest packet */
	mos_timer_t timer;         /* 0: none */
	bool unsent;               /* there was no room to send */

	struct reset reset; /* ANSWERING: of the server; RESETTING: of both */
};

/* NULL: no memory. */
struct flow *flow_make(mctx_t mctx, int sock, bool joined, size_t *budget, http_emit_t emit);

/* Free it, with its timer. */
void flow_free(mctx_t mctx, int sock, struct flow *flow);

/* Note the options of a SYN, before the flow is answered. */
void flow_note_syn(struct flow *flow, int from, const struct pkt_info *p);

/* Store how far we are, with what both ends expect. */
void flow_keep(struct flow *flow, enum kept_stage stage);

/* Begin to answer: the client's packet p brought the request. Only the head of the page? */
void flow_answer(mctx_t mctx, int sock, struct flow *flow, const struct pkt_info *p,
                 const struct page *page, bool head_only);

/* ANSWERING, RESETTING: an end has sent p, which is dropped. */
void flow_received(mctx_t mctx, int sock, int from, struct flow *flow, const struct pkt_info *p);

/* Begin to reset both ends; by a probe: what is known of them is from long ago. */
void flow_reset(mctx_t mctx, int sock, struct flow *flow, bool by_probe);

#endif
