#include "apps/blockpage/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apps/blockpage/flow.h"
#include "apps/common/contexts.h"
#include "apps/common/ends.h"
#include "apps/common/http_read.h"
#include "apps/common/json_line.h"
#include "apps/common/lines.h"
#include "apps/common/sum.h"
#include "apps/common/watching.h"

#define BUDGET_BYTES (64u << 20) /* of what connections keep, in one context */

/* Its stack thread's; the sums are read by any. */
static struct {
	_Alignas(64) size_t budget;
	sum_t answered, reset, given_up;
} cores[CONTEXTS_MAX];

static const struct watch_settings *settings;

/* flow may be NULL. */
static void forget(mctx_t mctx, int sock, struct flow *flow)
{
	if (flow != NULL)
		flow_free(mctx, sock, flow);
	stop_watching(mctx, sock);
}

/* ---- A blocked request ---- */

static void print_block(mctx_t mctx, int sock, const char *entry, const char *action)
{
	char text[2 * END_LEN + HTTP_HOST_MAX + 256];
	struct line line = {.text = text, .room = sizeof(text)};
	struct ends ends;

	if (!ends_read(&ends, mctx, sock))
		return;
	line_add(&line, "{");
	line_add_time(&line, "time", mtcp_cb_get_ts_ns(mctx));
	line_add(&line,
	         ",\"client\":\"%s\",\"server\":\"%s\",\"blocked\":\"%s\",\"action\":\"%s\"}\n",
	         ends.client, ends.server, entry, action);
	lines_put(line.text, line.len);
}

/*
 * Whether the client's next bytes can be the page: it has got all that the server sent, which has
 * answered all before this request, and not closed its direction.
 */
static bool can_answer(mctx_t mctx, int sock, const struct flow *flow, int from,
                       const struct pkt_info *p, const struct http_request *r)
{
	int state = tcp_state_of(mctx, sock, MOS_SIDE_SVR);

	return from == MOS_SIDE_CLI && r != NULL && r == TAILQ_FIRST(&flow->conn.waiting) &&
	       flow->conn.response.status == 0 && p->tcph->ack &&
	       p->ack_seq == flow->expected.next[MOS_SIDE_CLI] &&
	       (state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT);
}

static bool is_head(const struct http_request *r)
{
	return r->method.len == 4 && memcmp(r->method.at, "HEAD", 4) == 0;
}

/*
 * The packet in hand, which `from` has sent, has shown that a request is for a blocked host. r:
 * that request, or NULL when it is no more.
 */
static void block(mctx_t mctx, int sock, int from, struct flow *flow, const struct http_request *r,
                  const char *entry)
{
	bool answer, head_only = r != NULL && is_head(r);
	struct pkt_info p;

	if (mtcp_getlastpkt(mctx, sock, from, &p) < 0)
		return;
	answer = can_answer(mctx, sock, flow, from, &p, r);
	drop_packet(mctx, sock, from);
	expected_undo(&flow->expected, &flow->before, from, &p);
	flow_keep(flow, KEPT_BLOCKED);
	if (answer) {
		sum_add(&cores[mctx->cpu].answered, 1);
		flow_answer(mctx, sock, flow, &p, &settings->page, head_only);
	} else {
		sum_add(&cores[mctx->cpu].reset, 1);
		flow_reset(mctx, sock, flow, false);
	}
	print_block(mctx, sock, entry, answer ? "page" : "reset");
}

/* ---- Bytes ---- */

/* The oldest request that is blocked, or NULL; and the entry that blocks it. */
static const struct http_request *find_blocked(const struct http_conn *conn, const char **entry)
{
	const struct http_request *r;

	TAILQ_FOREACH (r, &conn->waiting, next) {
		*entry = host_list_match_request(&settings->hosts, r);
		if (*entry != NULL)
			return r;
	}
	return NULL;
}

static bool is_in_head(const struct http_conn *conn)
{
	const struct http_stream *s = &conn->stream[HTTP_FROM_CLIENT];

	return s->state == HTTP_IN_FIELDS || (s->state == HTTP_AT_START && !http_stream_is_idle(s));
}

/* ---- Callbacks ---- */

/* Requests that are given up, for what follows them, are gone: they must not be missed. */
static void on_transaction(void *arg, const struct http_transaction *t)
{
	struct flow *flow = arg;

	if (t->request != NULL && flow->blocked == NULL)
		flow->blocked = host_list_match_request(&settings->hosts, t->request);
}

/* The connection is one that a worker before this one has seen begin. */
static void on_restore(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = flow_make(mctx, sock, true, &cores[mctx->cpu].budget, on_transaction);
	uint8_t stage = KEPT_NOTHING;

	if (flow == NULL) {
		forget(mctx, sock, NULL);
		return;
	}
	if (flow->kept != NULL)
		stage = atomic_load_explicit(&flow->kept->stage, memory_order_acquire);
	if (stage < KEPT_IN_HEAD)
		return;
	flow->expected = (struct expected){.known = {true, true}};
	memcpy(flow->expected.next, flow->kept->acked, sizeof(flow->kept->acked));
	memcpy(flow->expected.acked, flow->kept->acked, sizeof(flow->kept->acked));
	sum_add(&cores[mctx->cpu].reset, 1);
	flow_reset(mctx, sock, flow, true);
}

/* A flow that is over for its ends has sent p. */
static void on_sent_by_blocked(mctx_t mctx, int sock, int from, struct flow *flow,
                               const struct pkt_info *p)
{
	drop_packet(mctx, sock, from);
	if (p->tcph->syn &&
	    !p->tcph->ack) /* another connection: it is watched when it comes again */
		forget(mctx, sock, flow);
	else
		flow_received(mctx, sock, from, flow, p);
}

/* side sends. */
static void on_sent(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = mtcp_get_uctx(mctx, sock);
	struct pkt_info p;

	if (mtcp_getlastpkt(mctx, sock, side, &p) < 0)
		return;
	if (flow == NULL)
		flow = flow_make(mctx, sock, false, &cores[mctx->cpu].budget, on_transaction);
	if (flow == NULL) {
		drop_packet(mctx, sock, side); /* it comes again, when there may be memory */
		return;
	}
	if (flow->state != FLOW_WATCHING) {
		on_sent_by_blocked(mctx, sock, side, flow, &p);
		return;
	}
	flow->before = flow->expected;
	expected_note(&flow->expected, side, &p);
	if (p.tcph->syn)
		flow_note_syn(flow, side, &p);
}

/* What its sender had received comes first: its ACK may tell of bytes that nobody saw. */
static void on_received(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = mtcp_get_uctx(mctx, sock);
	const struct http_request *r;
	const char *entry;

	if (flow == NULL || flow->state != FLOW_WATCHING)
		return;
	http_read(mctx, sock, !side, &flow->conn);
	http_read(mctx, sock, side, &flow->conn);
	r = find_blocked(&flow->conn, &entry);
	if (r != NULL || flow->blocked != NULL) {
		block(mctx, sock, !side, flow, r, r != NULL ? entry : flow->blocked);
	} else if (flow->conn.over) {
		if (flow->conn.given_up != NULL)
			sum_add(&cores[mctx->cpu].given_up, 1);
		forget(mctx, sock, flow);
	} else {
		flow_keep(flow, is_in_head(&flow->conn) ? KEPT_IN_HEAD : KEPT_BETWEEN);
	}
}

/* Comes once for each side; the first one ends the flow. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = mtcp_get_uctx(mctx, sock);

	if (flow != NULL)
		flow_free(mctx, sock, flow);
}

/* ---- Start and end ---- */

bool watch_start(mctx_t mctx, const struct watch_settings *s)
{
	static const struct watched rows[] = {
		{MOS_ON_CONN_RESTORE, MOS_NULL, on_restore},
		{MOS_ON_PKT_IN, MOS_HK_SND, on_sent},
		{MOS_ON_PKT_IN, MOS_HK_RCV, on_received},
		{MOS_ON_CONN_END, MOS_HK_SND, on_end},
	};
	int sock;

	settings = s;
	cores[mctx->cpu].budget = BUDGET_BYTES;
	sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	if (sock >= 0 && !watch_only("blockpage", mctx, sock, s->expression))
		return false;
	if (sock < 0 || !watch_streams(mctx, sock) || !watch_area(mctx, sock, KEPT_VERSION) ||
	    !watch_events(mctx, sock, rows, sizeof(rows) / sizeof(rows[0]))) {
		fprintf(stderr, "blockpage: cannot watch connections: %s\n", strerror(errno));
		return false;
	}
	return true;
}

void watch_sum(struct watch_sums *sums)
{
	*sums = (struct watch_sums){0};
	for (int i = 0; i < CONTEXTS_MAX; i++) {
		sums->answered += sum_read(&cores[i].answered);
		sums->reset += sum_read(&cores[i].reset);
		sums->given_up += sum_read(&cores[i].given_up);
	}
}
