#include "apps/httpwatch/watch.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mos_ext.h"
#include "apps/common/lines.h"
#include "apps/httpwatch/transaction.h"

#define BUDGET_BYTES (64u << 20) /* of requests that wait, in one context */

/* What is known of one connection; its uctx. */
struct flow {
	struct http_conn conn;
	struct ends ends;
};

/* Bytes that one side sent: from a packet, one day from a stream. */
struct bytes {
	const uint8_t *at;
	size_t len;
	uint32_t pos;
	uint64_t time_ns; /* since 1970 */
};

/* Its stack thread's. */
static struct {
	_Alignas(64) size_t budget;
} cores[WATCH_CORES_MAX];

static event_t request_head, response_head;
static atomic_ullong transactions, given_up;

/* ---- Packets ---- */

/* side receives. Its peer is the one that sent. */
static int sender_of(int side)
{
	return side == MOS_SIDE_SVR ? HTTP_FROM_CLIENT : HTTP_FROM_SERVER;
}

/* The payload of the packet at hand; false when it has none. */
static bool packet_bytes(mctx_t mctx, int sock, int side, struct bytes *b)
{
	struct pkt_info_ext x;
	struct pkt_info p;

	if (mtcp_getlastpkt_ext(mctx, sock, side, &p, &x) < 0 || p.payload == NULL ||
	    p.payloadlen == 0)
		return false;
	/* A SYN takes a number of its own, before its data. */
	*b = (struct bytes){p.payload, p.payloadlen, p.seq + p.tcph->syn, x.ts_ns};
	return true;
}

/* What the filters ask: does a start line begin where one may? */
static bool has_head(mctx_t mctx, int sock, int side, enum http_kind kind)
{
	const struct flow *flow = mtcp_get_uctx(mctx, sock);
	struct bytes b;
	size_t at = 0;

	if (!packet_bytes(mctx, sock, side, &b))
		return false;
	if (flow != NULL)
		at = http_conn_head_at(&flow->conn, sender_of(side), b.pos, b.len);
	return http_head_starts(kind, b.at + at, b.len - at);
}

static bool is_request_head(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	return side == MOS_SIDE_SVR && has_head(mctx, sock, side, HTTP_REQUEST);
}

static bool is_response_head(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	return side == MOS_SIDE_CLI && has_head(mctx, sock, side, HTTP_RESPONSE);
}

/* ---- Flows ---- */

/* The state of a connection of which there is something to keep; NULL = no memory. */
static struct flow *make_flow(mctx_t mctx, int sock)
{
	struct flow *flow = calloc(1, sizeof(*flow));

	if (flow == NULL)
		return NULL;
	if (!ends_read(&flow->ends, mctx, sock)) {
		free(flow);
		return NULL;
	}
	http_conn_init(&flow->conn, &cores[mctx->cpu].budget);
	mtcp_set_uctx(mctx, sock, flow);
	return flow;
}

static void emit(void *arg, const struct http_request *request, unsigned status, uint64_t time_ns)
{
	const struct flow *flow = arg;
	char line[TRANSACTION_LINE_LEN];

	lines_put(line, transaction_write(line, &flow->ends, request, status, time_ns));
	atomic_fetch_add_explicit(&transactions, 1, memory_order_relaxed);
}

/* Requests without response are told of. */
static void free_flow(mctx_t mctx, int sock, struct flow *flow)
{
	if (flow->conn.lost)
		atomic_fetch_add_explicit(&given_up, 1, memory_order_relaxed);
	http_conn_fini(&flow->conn, 0, emit, flow);
	free(flow);
	mtcp_set_uctx(mctx, sock, NULL);
}

/* The rest of the connection is none of our business, and costs nothing from now on. */
static void stop_watching(mctx_t mctx, int sock)
{
	int side = MOS_SIDE_BOTH;

	mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_STOP_MON, &side, sizeof(side));
}

/* Callback of both events. */
static void on_head(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = mtcp_get_uctx(mctx, sock);
	struct bytes b;

	if (flow == NULL)
		flow = make_flow(mctx, sock);
	if (flow == NULL || !packet_bytes(mctx, sock, side, &b))
		return;
	http_conn_feed(&flow->conn, sender_of(side), b.pos, b.at, b.len, b.time_ns, emit, flow);
	if (flow->conn.over) {
		free_flow(mctx, sock, flow);
		stop_watching(mctx, sock);
	}
}

/*
 * Bytes that were sent before. What we have seen ourselves we know by its position; of a connection
 * that was taken over only the library knows.
 */
static void on_resent(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = mtcp_get_uctx(mctx, sock);
	struct bytes b;

	if (!packet_bytes(mctx, sock, side, &b))
		return;
	if (flow == NULL)
		flow = make_flow(mctx, sock);
	if (flow != NULL)
		http_conn_skip(&flow->conn, sender_of(side), b.pos, b.len);
}

/* Comes once for each side; the first one ends the flow. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = mtcp_get_uctx(mctx, sock);

	if (flow != NULL)
		free_flow(mctx, sock, flow);
}

/* ---- Start and end ---- */

bool watch_init(void)
{
	request_head = mtcp_define_event(MOS_ON_PKT_IN, is_request_head, NULL);
	response_head = mtcp_define_event(MOS_ON_PKT_IN, is_response_head, NULL);
	if (request_head != MOS_NULL_EVENT && response_head != MOS_NULL_EVENT)
		return true;
	fprintf(stderr, "httpwatch: cannot define events: %s\n", strerror(errno));
	return false;
}

static bool bind_expression(mctx_t mctx, int sock, const char *expression)
{
	char *copy = strdup(expression);
	union monitor_filter filter = {.stream_syn_filter = copy};
	bool ok = copy != NULL && mtcp_bind_monitor_filter(mctx, sock, &filter) == 0;

	if (!ok)
		fprintf(stderr, "httpwatch: -e '%s': %s\n", expression,
		        errno == EINVAL ? mtcp_filter_error() : strerror(errno));
	free(copy);
	return ok;
}

bool watch_start(mctx_t mctx, const char *expression)
{
	int none = 0;
	int sock;

	cores[mctx->cpu].budget = BUDGET_BYTES;
	sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	if (sock >= 0 && !bind_expression(mctx, sock, expression))
		return false;
	if (sock < 0 ||
	    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_CLIBUF, &none, sizeof(none)) < 0 ||
	    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SVRBUF, &none, sizeof(none)) < 0 ||
	    mtcp_register_callback(mctx, sock, request_head, MOS_HK_RCV, on_head) < 0 ||
	    mtcp_register_callback(mctx, sock, response_head, MOS_HK_RCV, on_head) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_REXMIT, MOS_HK_RCV, on_resent) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0) {
		fprintf(stderr, "httpwatch: cannot watch connections: %s\n", strerror(errno));
		return false;
	}
	return true;
}

void watch_sum(uint64_t *transaction_sum, uint64_t *given_up_sum)
{
	*transaction_sum = atomic_load_explicit(&transactions, memory_order_relaxed);
	*given_up_sum = atomic_load_explicit(&given_up, memory_order_relaxed);
}
