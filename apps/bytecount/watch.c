#include "apps/bytecount/watch.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "mos_ext.h"
#include "apps/bytecount/kept.h"
#include "apps/bytecount/report.h"
#include "apps/common/contexts.h"
#include "apps/common/lines.h"
#include "apps/common/sum.h"
#include "apps/common/watching.h"

/* What is known of one connection; its uctx. */
struct flow {
	TAILQ_ENTRY(flow) next;
	struct flow_count count;
	struct ends ends;
	struct kept *kept; /* in its area; NULL: there is none */
};

static struct {
	_Alignas(64) TAILQ_HEAD(, flow) open;
	uint64_t now_ns; /* stack clock of the latest packet */
	sum_t begun, ended, not_counted;
	struct {
		sum_t packets, ip_bytes, payload, unique, missed;
	} volume[2];
} cores[CONTEXTS_MAX];

static int interval_s;

/* ---- Totals ---- */

static void read_totals(struct totals *t)
{
	*t = (struct totals){0};
	for (int i = 0; i < CONTEXTS_MAX; i++) {
		t->connections += sum_read(&cores[i].begun);
		if (!contexts_handed_over(i))
			t->open += sum_read(&cores[i].begun) - sum_read(&cores[i].ended);
		for (int direction = 0; direction < 2; direction++) {
			struct volume *v = &t->volume[direction];

			v->packets += sum_read(&cores[i].volume[direction].packets);
			v->ip_bytes += sum_read(&cores[i].volume[direction].ip_bytes);
			v->payload += sum_read(&cores[i].volume[direction].payload);
			v->unique += sum_read(&cores[i].volume[direction].unique);
			v->missed += sum_read(&cores[i].volume[direction].missed);
		}
	}
}

static void print_totals(uint64_t now_ns)
{
	char line[REPORT_LINE_LEN];
	struct totals t;

	read_totals(&t);
	lines_put(line, report_totals(line, &t, (int)getpid(), now_ns));
}

/* ---- Flows ---- */

/* NULL when there is no memory: the connection is not counted. */
static struct flow *make_flow(mctx_t mctx, int sock)
{
	struct flow *flow = malloc(sizeof(*flow));

	if (flow == NULL || !ends_read(&flow->ends, mctx, sock)) {
		free(flow);
		sum_add(&cores[mctx->cpu].not_counted, 1);
		stop_watching(mctx, sock);
		return NULL;
	}
	flow->kept = area_taken(mctx, sock, sizeof(*flow->kept), KEPT_VERSION);
	TAILQ_INSERT_TAIL(&cores[mctx->cpu].open, flow, next);
	sum_add(&cores[mctx->cpu].begun, 1);
	mtcp_set_uctx(mctx, sock, flow);
	return flow;
}

static void begin_count(struct flow *flow, bool joined, uint64_t now_ns)
{
	flow_count_init(&flow->count, joined, now_ns);
	if (flow->kept != NULL)
		kept_begin(flow->kept, &flow->count);
}

static void free_flow(int core, struct flow *flow)
{
	TAILQ_REMOVE(&cores[core].open, flow, next);
	flow_count_fini(&flow->count);
	free(flow);
}

static void end_flow(int core, struct flow *flow, const char *reason)
{
	char line[REPORT_LINE_LEN];

	lines_put(line, report_flow(line, &flow->ends, &flow->count, reason));
	for (int direction = 0; direction < 2; direction++)
		sum_add(&cores[core].volume[direction].missed,
		        flow_count_volume(&flow->count, direction).missed);
	free_flow(core, flow);
}

static void count_packet(int core, struct flow *flow, int direction, const struct segment *s)
{
	uint64_t added = flow_count_packet(&flow->count, direction, s);

	sum_add(&cores[core].volume[direction].packets, 1);
	sum_add(&cores[core].volume[direction].ip_bytes, s->ip_bytes);
	sum_add(&cores[core].volume[direction].payload, s->payload_bytes);
	sum_add(&cores[core].volume[direction].unique, added);
	cores[core].now_ns = s->time_ns;
}

/* ---- Callbacks ---- */

/* The connection is one that a worker before this one has seen begin. */
static void on_restore(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = make_flow(mctx, sock);

	if (flow != NULL && (flow->kept == NULL || !kept_load(flow->kept, &flow->count)))
		begin_count(flow, true, mtcp_cb_get_ts_ns(mctx));
}

/* side sends. */
static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = mtcp_get_uctx(mctx, sock);
	int direction = side == MOS_SIDE_CLI ? TO_SERVER : TO_CLIENT;
	struct pkt_info_ext x;
	struct pkt_info p;

	if (mtcp_getlastpkt_ext(mctx, sock, side, &p, &x) < 0)
		return;
	if (flow == NULL) {
		flow = make_flow(mctx, sock);
		if (flow == NULL)
			return;
		begin_count(flow, false, x.ts_ns);
	}
	count_packet(mctx->cpu, flow, direction,
	             &(struct segment){
			     .time_ns = x.ts_ns,
			     .offset = p.offset,
			     .seq = p.seq,
			     .ack_seq = p.ack_seq,
			     .ip_bytes = p.ip_len,
			     .payload_bytes = p.payloadlen,
			     .syn = p.tcph->syn,
			     .fin = p.tcph->fin,
			     .ack = p.tcph->ack,
		     });
	if (p.tcph->rst &&
	    tcp_state_of(mctx, sock, side) == TCP_CLOSED) /* else it is a forged one */
		flow->count.reset = true;
	if (flow->kept != NULL)
		kept_store(flow->kept, &flow->count, direction);
}

/* Comes once for each side; the first one ends the flow. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *flow = mtcp_get_uctx(mctx, sock);

	if (flow == NULL)
		return;
	end_flow(mctx->cpu, flow, flow_count_reason(&flow->count));
	sum_add(&cores[mctx->cpu].ended, 1);
	mtcp_set_uctx(mctx, sock, NULL);
}

static void on_timer(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
	struct timeval interval = {.tv_sec = interval_s};

	print_totals(mtcp_cb_get_ts_ns(mctx));
	mtcp_settimer(mctx, id, &interval, on_timer);
}

/* ---- Start and end ---- */

static void tell_area(mctx_t mctx)
{
	ssize_t len = mtcp_flow_area_len(mctx);

	if (mctx->cpu == 0 && len < (ssize_t)sizeof(struct kept))
		fprintf(stderr,
		        "bytecount: mos.conf has flow_area = %zd: what was counted of open "
		        "connections is lost with this process; %zu keeps it\n",
		        len, sizeof(struct kept));
}

bool watch_start(mctx_t mctx, const char *expression, int totals_interval_s)
{
	static const struct watched rows[] = {
		{MOS_ON_PKT_IN, MOS_HK_SND, on_packet},
		{MOS_ON_CONN_RESTORE, MOS_NULL, on_restore},
		{MOS_ON_CONN_END, MOS_HK_SND, on_end},
	};
	struct timeval interval = {.tv_sec = totals_interval_s};
	int sock;

	TAILQ_INIT(&cores[mctx->cpu].open);
	interval_s = totals_interval_s;
	sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	if (sock >= 0 && expression != NULL && !watch_only("bytecount", mctx, sock, expression))
		return false;
	if (sock < 0 || !watch_area(mctx, sock, KEPT_VERSION) ||
	    !watch_events(mctx, sock, rows, sizeof(rows) / sizeof(rows[0])) ||
	    (mctx->cpu == 0 && interval_s > 0 &&
	     mtcp_settimer(mctx, sock, &interval, on_timer) < 0)) {
		fprintf(stderr, "bytecount: cannot watch connections: %s\n", strerror(errno));
		return false;
	}
	tell_area(mctx);
	return true;
}

uint64_t watch_finish(void)
{
	uint64_t now_ns = 0, not_counted = 0;

	for (int i = 0; i < CONTEXTS_MAX; i++) {
		struct flow *flow;

		while ((flow = TAILQ_FIRST(&cores[i].open)) != NULL) {
			if (contexts_handed_over(i))
				free_flow(i, flow); /* its successor tells of it */
			else
				end_flow(i, flow, "open");
		}
		not_counted += sum_read(&cores[i].not_counted);
		if (cores[i].now_ns > now_ns)
			now_ns = cores[i].now_ns;
	}
	print_totals(now_ns);
	return not_counted;
}
