#include "apps/blockpage/flow.h"

#include <stdlib.h>
#include <string.h>

#include "apps/common/forge.h"
#include "apps/common/watching.h"

#define MSS_DEFAULT 536  /* RFC 9293 section 3.7.1 */
#define MSS_MAX     1400 /* fits every path */
#define LINGER_MS   1000 /* from the end of the answer until the flow is forgotten */
#define RETRY_MS    10   /* until there may be room to send */
#define TS_BYTES    12

/* ---- Life ---- */

struct flow *flow_make(mctx_t mctx, int sock, bool joined, size_t *budget, http_emit_t emit)
{
	struct flow *flow = calloc(1, sizeof(*flow));

	if (flow == NULL)
		return NULL;
	flow->mss = MSS_DEFAULT;
	flow->kept = area_taken(mctx, sock, sizeof(*flow->kept), KEPT_VERSION);
	if (flow->kept != NULL && flow->kept->mss != 0) {
		flow->mss = flow->kept->mss;
		flow->wscale = flow->kept->wscale;
	}
	http_conn_init(&flow->conn, joined, budget, emit, flow);
	mtcp_set_uctx(mctx, sock, flow);
	return flow;
}

void flow_free(mctx_t mctx, int sock, struct flow *flow)
{
	if (flow->timer != 0)
		mtcp_timer_cancel(mctx, flow->timer);
	reset_stop(&flow->reset, mctx);
	http_conn_fini(&flow->conn, mtcp_cb_get_ts_ns(mctx));
	free(flow);
	mtcp_set_uctx(mctx, sock, NULL);
}

/* Windows are scaled when both SYNs say so: RFC 7323 section 2.2. */
void flow_note_syn(struct flow *flow, int from, const struct pkt_info *p)
{
	struct tcp_options o;

	tcp_options_read(&o, p->tcph);
	if (from == MOS_SIDE_CLI) {
		flow->wscale = o.has_wscale ? o.wscale : 0;
		flow->mss = o.has_mss && o.mss >= TS_BYTES + 8 ? o.mss : MSS_DEFAULT;
		if (flow->mss > MSS_MAX)
			flow->mss = MSS_MAX;
	} else if (!o.has_wscale) {
		flow->wscale = 0;
	}
	if (flow->kept != NULL) {
		flow->kept->mss = flow->mss;
		flow->kept->wscale = flow->wscale;
	}
}

void flow_keep(struct flow *flow, enum kept_stage stage)
{
	struct kept *kept = flow->kept;

	if (kept == NULL ||
	    atomic_load_explicit(&kept->stage, memory_order_relaxed) == (uint8_t)stage)
		return;
	memcpy(kept->acked, flow->expected.acked, sizeof(kept->acked));
	atomic_store_explicit(&kept->stage, (uint8_t)stage, memory_order_release);
}

/* ---- The answer ---- */

static void forget(mctx_t mctx, int sock, struct flow *flow)
{
	flow_free(mctx, sock, flow);
	stop_watching(mctx, sock);
}

static bool send_segment(mctx_t mctx, int sock, const struct flow *flow,
                         const struct answer_segment *s)
{
	bool last = s->fin || s->len < flow->answer.mss;

	return forge_send(mctx, sock,
	                  &(struct forged_segment){
				  .from = MOS_SIDE_SVR,
				  .seq = s->seq,
				  .ack = s->ack,
				  .window = UINT16_MAX,
				  .flags = (uint8_t)(FORGE_ACK | (s->fin ? FORGE_FIN : 0) |
	                                             (s->len > 0 && last ? FORGE_PSH : 0)),
				  .has_ts = flow->client.has_ts,
				  .ts_val = flow->client.ts_ecr,
				  .ts_ecr = flow->client.ts_val,
				  .payload = flow->page + s->off,
				  .payload_len = (uint16_t)s->len,
			  });
}

static void on_timer(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

static void set_timer(mctx_t mctx, int sock, struct flow *flow, uint32_t wait_ms)
{
	struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};

	if (flow->timer != 0)
		mtcp_timer_cancel(mctx, flow->timer);
	flow->timer = wait_ms != 0 ? mtcp_timer_set(mctx, sock, &wait, on_timer) : 0;
}

/* Send what is to be sent. */
static void go_on(mctx_t mctx, int sock, struct flow *flow)
{
	struct answer_segment s;
	uint32_t wait_ms;

	flow->unsent = false;
	while (!flow->unsent && answer_next(&flow->answer, &s))
		flow->unsent = !send_segment(mctx, sock, flow, &s);
	if (flow->unsent) {
		answer_unsent(&flow->answer, &s);
		wait_ms = RETRY_MS;
	} else if (flow->answer.state == ANSWER_SENDING) {
		wait_ms = answer_wait_ms(&flow->answer);
	} else {
		wait_ms = LINGER_MS;
	}
	set_timer(mctx, sock, flow, wait_ms);
}

/* There may be room to send; time for the client to answer is over; or that after the end. */
static void on_timer(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = mtcp_get_uctx(mctx, sock);

	flow->timer = 0;
	if (!flow->unsent && flow->answer.state != ANSWER_SENDING) {
		forget(mctx, sock, flow);
		return;
	}
	if (!flow->unsent)
		answer_timeout(&flow->answer);
	if (flow->answer.state == ANSWER_GONE)
		flow_reset(mctx, sock, flow, true);
	else
		go_on(mctx, sock, flow);
}

static void on_reset_timer(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = mtcp_get_uctx(mctx, sock);

	reset_on_timer(&flow->reset, mctx, sock, on_reset_timer);
}

void flow_answer(mctx_t mctx, int sock, struct flow *flow, const struct pkt_info *p,
                 const struct page *page, bool head_only)
{
	tcp_options_read(&flow->client, p->tcph);
	flow->state = FLOW_ANSWERING;
	flow->page = page->bytes;
	reset_begin(&flow->reset, mctx, sock, RESET_SERVER, &flow->expected, on_reset_timer);
	answer_begin(&flow->answer, p, (uint32_t)p->window << flow->wscale,
	             head_only ? page->head_len : page->len,
	             flow->mss - (flow->client.has_ts ? TS_BYTES : 0u));
	go_on(mctx, sock, flow);
}

void flow_reset(mctx_t mctx, int sock, struct flow *flow, bool by_probe)
{
	flow->state = FLOW_RESETTING;
	reset_stop(&flow->reset, mctx);
	if (by_probe)
		reset_begin_by_probe(&flow->reset, mctx, sock, RESET_BOTH, &flow->expected,
		                     on_reset_timer);
	else
		reset_begin(&flow->reset, mctx, sock, RESET_BOTH, &flow->expected, on_reset_timer);
}

void flow_received(mctx_t mctx, int sock, int from, struct flow *flow, const struct pkt_info *p)
{
	if (flow->state == FLOW_RESETTING || from == MOS_SIDE_SVR) {
		reset_answer(&flow->reset, mctx, sock, from, p);
		return;
	}
	if (!p->tcph->rst)
		tcp_options_read(&flow->client, p->tcph);
	answer_received(&flow->answer, p, (uint32_t)p->window << flow->wscale);
	go_on(mctx, sock, flow);
}
