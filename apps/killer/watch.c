#include "apps/killer/watch.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mos_ext.h"
#include "apps/common/contexts.h"
#include "apps/common/ends.h"
#include "apps/common/json_line.h"
#include "apps/common/lines.h"
#include "apps/common/reset.h"
#include "apps/common/sum.h"
#include "apps/common/watching.h"

#define PIECES       16          /* that are read at a time */
#define KEPT_VERSION 0x4b494c01u /* "KIL", 1: MOS_AREA_VERSION of struct kept */

/* What is known of one connection; its uctx. */
struct flow {
	struct expected expected;
	struct expected before; /* the packet in hand */
	struct tail tail[2];    /* of what each side received */
	uint64_t read[2];       /* bytes of each side's stream */
	bool killed;
	struct reset reset; /* then */
};

/* The flow area. Written by the flow's worker; read by its successor. */
struct kept {
	uint32_t acked[2];        /* by both ends */
	_Atomic(uint32_t) killed; /* stored last */
};

/* Written by its stack thread. */
static struct {
	_Alignas(64) sum_t killed;
	sum_t dropped, not_watched;
} cores[CONTEXTS_MAX];

static const struct patterns *patterns;

static void drop(mctx_t mctx, int sock, int side)
{
	if (drop_packet(mctx, sock, side))
		sum_add(&cores[mctx->cpu].dropped, 1);
}

/* ---- Flows ---- */

/* NULL = no memory: the connection is not watched. */
static struct flow *make_flow(mctx_t mctx, int sock)
{
	struct flow *flow = calloc(1, sizeof(*flow));

	if (flow == NULL) {
		sum_add(&cores[mctx->cpu].not_watched, 1);
		stop_watching(mctx, sock);
		return NULL;
	}
	mtcp_set_uctx(mctx, sock, flow);
	return flow;
}

static void free_flow(mctx_t mctx, int sock)
{
	struct flow *flow = mtcp_get_uctx(mctx, sock);

	if (flow == NULL)
		return;
	reset_stop(&flow->reset, mctx);
	free(flow);
	mtcp_set_uctx(mctx, sock, NULL);
}

static void keep_killed(mctx_t mctx, int sock, const struct flow *flow)
{
	struct kept *kept = area_of(mctx, sock, sizeof(*kept), KEPT_VERSION);

	if (kept == NULL)
		return;
	memcpy(kept->acked, flow->expected.acked, sizeof(kept->acked));
	atomic_store_explicit(&kept->killed, 1, memory_order_release);
}

/* ---- The kill ---- */

/* end: the offset behind the pattern in the stream that `to` receives. */
static void print_kill(mctx_t mctx, int sock, int to, const struct pattern *pattern, uint64_t end)
{
	char text[2 * END_LEN + 2 * PATTERN_LEN_MAX + 256];
	struct line line = {.text = text, .room = sizeof(text)};
	struct ends ends;

	if (!ends_read(&ends, mctx, sock))
		return;
	line_add(&line, "{");
	line_add_time(&line, "time", mtcp_cb_get_ts_ns(mctx));
	line_add(&line, ",\"client\":\"%s\",\"server\":\"%s\",\"from\":\"%s\",\"pattern\":\"",
	         ends.client, ends.server, to == MOS_SIDE_SVR ? "client" : "server");
	for (size_t i = 0; i < pattern->len; i++)
		line_add(&line, "%02x", pattern->bytes[i]);
	line_add(&line, "\",\"offset\":%llu}\n", (unsigned long long)(end - pattern->len));
	lines_put(line.text, line.len);
}

static void on_timer(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = mtcp_get_uctx(mctx, sock);

	reset_on_timer(&flow->reset, mctx, sock, on_timer);
}

/* The packet in hand, which `to` receives, has completed a pattern. It does not arrive. */
static void kill_flow(mctx_t mctx, int sock, int to, struct flow *flow)
{
	struct pkt_info p;

	if (mtcp_getlastpkt(mctx, sock, to, &p) < 0)
		return;
	drop(mctx, sock, to);
	flow->killed = true;
	expected_undo(&flow->expected, &flow->before, !to, &p);
	keep_killed(mctx, sock, flow);
	sum_add(&cores[mctx->cpu].killed, 1);
	reset_begin(&flow->reset, mctx, sock, RESET_BOTH, &flow->expected, on_timer);
}

/*
 * A killed flow's end talks. A SYN begins another connection, on the same ports: it is forgotten
 * with this flow, and watched when it comes again.
 */
static void answer(mctx_t mctx, int sock, int from, struct flow *flow, const struct pkt_info *p)
{
	drop(mctx, sock, from);
	if (p->tcph->syn && !p->tcph->ack) {
		free_flow(mctx, sock);
		stop_watching(mctx, sock);
		return;
	}
	reset_answer(&flow->reset, mctx, sock, from, p);
}

/* ---- Bytes ---- */

/* Search what `to` has received since the last time. Returns the pattern, NULL: none. */
static const struct pattern *search_stream(mctx_t mctx, int sock, int to, struct flow *flow,
                                           uint64_t *end_offset)
{
	struct iovec piece[PIECES];
	const struct pattern *found;
	size_t end;
	ssize_t n;

	while ((n = mtcp_peekv(mctx, sock, to, piece, PIECES)) != 0) {
		if (n < 0 && errno != ENODATA)
			return NULL;
		if (n < 0) {
			tail_cut(&flow->tail[to]);
			flow->read[to] += (uint64_t)-n;
		}
		for (int i = 0; n > 0 && i < PIECES && piece[i].iov_len > 0; i++) {
			found = patterns_search(patterns, &flow->tail[to], piece[i].iov_base,
			                        piece[i].iov_len, &end);
			*end_offset = flow->read[to] + end;
			if (found != NULL)
				return found;
			flow->read[to] += piece[i].iov_len;
		}
	}
	return NULL;
}

/* ---- Callbacks ---- */

/* The connection is one that a worker before this one has seen begin. */
static void on_restore(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct kept *kept = area_of(mctx, sock, sizeof(*kept), KEPT_VERSION);
	struct flow *flow;

	if (kept == NULL || !atomic_load_explicit(&kept->killed, memory_order_acquire))
		return;
	flow = make_flow(mctx, sock);
	if (flow == NULL)
		return;
	flow->killed = true;
	flow->expected = (struct expected){.known = {true, true}};
	memcpy(flow->expected.next, kept->acked, sizeof(kept->acked));
	memcpy(flow->expected.acked, kept->acked, sizeof(kept->acked));
	reset_begin_by_probe(&flow->reset, mctx, sock, RESET_BOTH, &flow->expected, on_timer);
}

/* side sends. */
static void on_sent(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = mtcp_get_uctx(mctx, sock);
	struct pkt_info p;

	if (mtcp_getlastpkt(mctx, sock, side, &p) < 0)
		return;
	if (flow == NULL)
		flow = make_flow(mctx, sock);
	if (flow == NULL)
		return;
	if (flow->killed) {
		answer(mctx, sock, side, flow, &p);
		return;
	}
	flow->before = flow->expected;
	expected_note(&flow->expected, side, &p);
}

/* What its sender had received comes first: its ACK may tell of bytes that nobody saw. */
static void on_received(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = mtcp_get_uctx(mctx, sock);
	const struct pattern *found;
	uint64_t end = 0;
	int to = !side;

	if (flow == NULL || flow->killed)
		return;
	found = search_stream(mctx, sock, to, flow, &end);
	if (found == NULL)
		found = search_stream(mctx, sock, to = side, flow, &end);
	if (found == NULL)
		return;
	kill_flow(mctx, sock, side, flow);
	print_kill(mctx, sock, to, found, end);
}

/* Comes once for each side; the first one ends the flow. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	free_flow(mctx, sock);
}

/* ---- Start and end ---- */

bool watch_start(mctx_t mctx, const struct patterns *p, const char *expression)
{
	static const struct watched rows[] = {
		{MOS_ON_CONN_RESTORE, MOS_NULL, on_restore},
		{MOS_ON_PKT_IN, MOS_HK_SND, on_sent},
		{MOS_ON_PKT_IN, MOS_HK_RCV, on_received},
		{MOS_ON_CONN_END, MOS_HK_SND, on_end},
	};
	int sock;

	patterns = p;
	sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	if (sock >= 0 && expression != NULL && !watch_only("killer", mctx, sock, expression))
		return false;
	if (sock < 0 || !watch_streams(mctx, sock) || !watch_area(mctx, sock, KEPT_VERSION) ||
	    !watch_events(mctx, sock, rows, sizeof(rows) / sizeof(rows[0]))) {
		fprintf(stderr, "killer: cannot watch connections: %s\n", strerror(errno));
		return false;
	}
	return true;
}

void watch_sum(struct watch_sums *sums)
{
	*sums = (struct watch_sums){0};
	for (int i = 0; i < CONTEXTS_MAX; i++) {
		sums->killed += sum_read(&cores[i].killed);
		sums->dropped += sum_read(&cores[i].dropped);
		sums->not_watched += sum_read(&cores[i].not_watched);
	}
}
