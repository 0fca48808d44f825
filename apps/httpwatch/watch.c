#include "apps/httpwatch/watch.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mos_ext.h"
#include "apps/common/contexts.h"
#include "apps/common/lines.h"
#include "apps/common/watching.h"
#include "apps/httpwatch/transaction.h"

#define BUDGET_BYTES (64u << 20) /* of what connections keep, in one context */
#define PIECES       16          /* that are read at a time */

/* What is known of one connection; its uctx. */
struct flow {
	struct http_conn conn;
	struct ends ends;
};

/* The uctx of a connection that was there before this process, until its first byte comes. */
static char joined;

/* Its stack thread's. */
static struct {
	_Alignas(64) size_t budget;
} cores[CONTEXTS_MAX];

static atomic_ullong transactions, given_up;

/* ---- Flows ---- */

static void emit(void *arg, const struct http_transaction *t)
{
	const struct flow *flow = arg;
	char line[TRANSACTION_LINE_LEN];

	lines_put(line, transaction_write(line, &flow->ends, t));
	if (t->request != NULL || t->status != 0)
		atomic_fetch_add_explicit(&transactions, 1, memory_order_relaxed);
}

/* The state of a connection of which the first byte comes; NULL = no memory. */
static struct flow *make_flow(mctx_t mctx, int sock, bool is_joined)
{
	struct flow *flow = malloc(sizeof(*flow));

	if (flow == NULL)
		return NULL;
	if (!ends_read(&flow->ends, mctx, sock)) {
		free(flow);
		return NULL;
	}
	http_conn_init(&flow->conn, is_joined, &cores[mctx->cpu].budget, emit, flow);
	mtcp_set_uctx(mctx, sock, flow);
	return flow;
}

static void free_flow(mctx_t mctx, int sock, struct flow *flow)
{
	http_conn_fini(&flow->conn, mtcp_cb_get_ts_ns(mctx));
	if (flow->conn.given_up != NULL)
		atomic_fetch_add_explicit(&given_up, 1, memory_order_relaxed);
	free(flow);
	mtcp_set_uctx(mctx, sock, NULL);
}

/* The rest of the connection is none of our business, and costs nothing from now on. */
static void stop_watching(mctx_t mctx, int sock)
{
	int side = MOS_SIDE_BOTH;

	mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_STOP_MON, &side, sizeof(side));
}

/* ---- Bytes ---- */

/* side receives. Its peer is the one that sent. */
static int sender_of(int side)
{
	return side == MOS_SIDE_SVR ? HTTP_FROM_CLIENT : HTTP_FROM_SERVER;
}

/* Read all that is there: bytes, and how many of them never came by. */
static void read_stream(mctx_t mctx, int sock, int side, struct http_conn *conn)
{
	uint64_t now_ns = mtcp_cb_get_ts_ns(mctx);
	int from = sender_of(side);
	struct iovec piece[PIECES];
	ssize_t n;

	while (!conn->over && (n = mtcp_peekv(mctx, sock, side, piece, PIECES)) != 0) {
		if (n < 0 && errno != ENODATA)
			return;
		if (n < 0)
			http_conn_gap(conn, from, (uint64_t)-n, now_ns);
		for (int i = 0; n > 0 && i < PIECES && piece[i].iov_len > 0; i++)
			http_conn_feed(conn, from, piece[i].iov_base, piece[i].iov_len, now_ns);
	}
}

/* ---- Callbacks ---- */

/* A packet is at hand, or the connection is one that a worker before this one has seen begin. */
static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct pkt_info p;

	if (mtcp_getlastpkt(mctx, sock, side, &p) < 0)
		mtcp_set_uctx(mctx, sock, &joined);
}

/* New data. Also errors: bytes that were missed are told of before the answer to them comes. */
static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	void *uctx = mtcp_get_uctx(mctx, sock);
	struct flow *flow = uctx;

	if (uctx == NULL || uctx == &joined)
		flow = make_flow(mctx, sock, uctx == &joined);
	if (flow == NULL) {
		stop_watching(mctx, sock);
		return;
	}
	read_stream(mctx, sock, side, &flow->conn);
	if (flow->conn.over) {
		free_flow(mctx, sock, flow);
		stop_watching(mctx, sock);
	}
}

/* Comes once for each side; the first one ends the flow. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	void *uctx = mtcp_get_uctx(mctx, sock);

	if (uctx != NULL && uctx != &joined)
		free_flow(mctx, sock, uctx);
}

/* ---- Start and end ---- */

bool watch_start(mctx_t mctx, const char *expression)
{
	int sock;

	cores[mctx->cpu].budget = BUDGET_BYTES;
	sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	if (sock >= 0 && !watch_only("httpwatch", mctx, sock, expression))
		return false;
	if (sock < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_ERROR, MOS_NULL, on_data) < 0 ||
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
