#include "apps/httpwatch/watch.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mos_ext.h"
#include "apps/common/contexts.h"
#include "apps/common/http_read.h"
#include "apps/common/lines.h"
#include "apps/common/watching.h"
#include "apps/httpwatch/transaction.h"

#define BUDGET_BYTES (64u << 20) /* of what connections keep, in one context */

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

/* ---- Callbacks ---- */

/* The connection is one that a worker before this one has seen begin. */
static void on_restore(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
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
	http_read(mctx, sock, side, &flow->conn);
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
	static const struct watched rows[] = {
		{MOS_ON_CONN_RESTORE, MOS_NULL, on_restore},
		{MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data},
		{MOS_ON_ERROR, MOS_NULL, on_data},
		{MOS_ON_CONN_END, MOS_HK_SND, on_end},
	};
	int sock;

	cores[mctx->cpu].budget = BUDGET_BYTES;
	sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	if (sock >= 0 && !watch_only("httpwatch", mctx, sock, expression))
		return false;
	if (sock < 0 || !watch_events(mctx, sock, rows, sizeof(rows) / sizeof(rows[0]))) {
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
