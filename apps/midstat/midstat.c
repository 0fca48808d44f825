/*
 * midstat: show the TCP connections that pass, with the state of both ends, packets and bytes.
 *
 *   midstat -f mos.conf [-n contexts] [-i seconds] [-r rows] [-l file]
 *
 * Each context has a stack thread that runs the callbacks below on its own table.
 * Connections that were there before this process arrive as MOS_ON_CONN_RESTORE. When they began, and
 * what they have carried, stands in their flow area, if mos.conf has flow_area = 24 or more; else
 * they begin anew.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mos_api.h"
#include "mos_ext.h"
#include "apps/common/contexts.h"
#include "apps/common/number.h"
#include "apps/common/program.h"
#include "apps/common/watching.h"
#include "apps/midstat/conn_table.h"
#include "apps/midstat/conn_text.h"
#include "apps/midstat/page.h"

#define INTERVAL_MAX 3600 /* s */
#define ROWS_MAX     1000000

/* "MID", 1: MOS_AREA_VERSION of struct conn_kept. */
#define KEPT_VERSION 0x4d494401u

struct core {
	struct conn_table table;
	struct page_totals totals;
	uint64_t clock_us; /* latest time that it knows, since 1970 */
};

static struct {
	const char *log_file;
	int interval_s;
	int rows_max; /* 0 = what fits */
} opt = {.interval_s = 1};

static struct core cores[PAGE_PARTS_MAX];
static int core_count;

/* ---- Callbacks: stack threads ---- */

static struct core *core_of(mctx_t mctx)
{
	return &cores[mctx->cpu];
}

static uint64_t clock_us(mctx_t mctx, struct core *core)
{
	core->clock_us = mtcp_cb_get_ts_ns(mctx) / 1000;
	return core->clock_us;
}

static void count_packet(struct core *core, struct conn *c, const struct pkt_info *p)
{
	c->packets++;
	c->bytes += p->ip_len;
	core->totals.packets++;
	core->totals.bytes += p->ip_len;
	if (c->kept != NULL) {
		c->kept->packets = c->packets;
		c->kept->bytes = c->bytes;
	}
}

/* NULL: no memory. */
static struct conn *make_conn(mctx_t mctx, int sock)
{
	struct core *core = core_of(mctx);
	union conn_end ends[2];
	socklen_t len = sizeof(ends);
	struct conn *c;

	if (mtcp_getpeername(mctx, sock, (struct sockaddr *)ends, &len, MOS_SIDE_BOTH) < 0)
		return NULL;
	c = conn_table_insert(&core->table, ends);
	if (c == NULL)
		return NULL;
	mtcp_set_uctx(mctx, sock, c);
	core->totals.seen++;
	c->kept = area_taken(mctx, sock, sizeof(*c->kept), KEPT_VERSION);
	c->started_us = clock_us(mctx, core);
	c->state[MOS_SIDE_CLI] = tcp_state_of(mctx, sock, MOS_SIDE_CLI);
	c->state[MOS_SIDE_SVR] = tcp_state_of(mctx, sock, MOS_SIDE_SVR);
	return c;
}

/* The packet of a new connection has passed on_packet() before, when there was no record yet. */
static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct conn *c = make_conn(mctx, sock);
	struct pkt_info p;

	if (c == NULL)
		return;
	if (c->kept != NULL)
		c->kept->started_us = c->started_us;
	if (mtcp_getlastpkt(mctx, sock, side, &p) == 0)
		count_packet(core_of(mctx), c, &p);
	conn_log("start", c, "");
}

static void on_restore(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct conn *c = make_conn(mctx, sock);

	if (c == NULL)
		return;
	c->restored = true;
	if (c->kept != NULL && c->kept->started_us != 0) {
		c->started_us = c->kept->started_us;
		c->packets = c->kept->packets;
		c->bytes = c->kept->bytes;
	} else if (c->kept != NULL) {
		c->kept->started_us = c->started_us;
	}
	conn_log("start", c, "restored");
}

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct conn *c = mtcp_get_uctx(mctx, sock);
	struct pkt_info p;

	if (c != NULL && mtcp_getlastpkt(mctx, sock, side, &p) == 0)
		count_packet(core_of(mctx), c, &p);
}

static void on_state_change(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct conn *c = mtcp_get_uctx(mctx, sock);
	int state;

	if (c == NULL || (side != MOS_SIDE_CLI && side != MOS_SIDE_SVR))
		return;
	state = tcp_state_of(mctx, sock, side);
	if (state == c->state[side])
		return;
	c->state[side] = state;
	conn_log("state", c, "");
}

/* Comes once for each side; the first one ends the record. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct conn *c = mtcp_get_uctx(mctx, sock);

	if (c == NULL)
		return;
	conn_log("end", c, "");
	conn_table_remove(&core_of(mctx)->table, c);
	mtcp_set_uctx(mctx, sock, NULL);
}

static void on_timer(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
	struct core *core = core_of(mctx);
	struct timeval interval = {.tv_sec = opt.interval_s};

	page_publish(mctx->cpu, &core->table, &core->totals, clock_us(mctx, core));
	mtcp_settimer(mctx, id, &interval, on_timer);
}

/* ---- Start and end: application threads ---- */

/* The socket of one context. Returns 0, or -1 with errno set. */
static int watch(mctx_t mctx)
{
	static const struct watched rows[] = {
		{MOS_ON_PKT_IN, MOS_HK_SND, on_packet},
		{MOS_ON_CONN_START, MOS_HK_SND, on_start},
		{MOS_ON_CONN_RESTORE, MOS_NULL, on_restore},
		{MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_state_change},
		{MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_state_change},
		{MOS_ON_CONN_END, MOS_HK_SND, on_end},
	};
	struct timeval interval = {.tv_sec = opt.interval_s};
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	if (sock < 0 || !watch_no_streams(mctx, sock) || !watch_area(mctx, sock, KEPT_VERSION) ||
	    !watch_events(mctx, sock, rows, sizeof(rows) / sizeof(rows[0])))
		return -1;
	return mtcp_settimer(mctx, sock, &interval, on_timer);
}

static bool start(mctx_t mctx)
{
	conn_table_init(&core_of(mctx)->table);
	if (watch(mctx) < 0) {
		fprintf(stderr, "midstat: cannot watch connections: %s\n", strerror(errno));
		return false;
	}
	return true;
}

static bool open_log(void)
{
	int error = opt.log_file != NULL ? conn_log_open(opt.log_file) : 0;

	if (error < 0)
		fprintf(stderr, "midstat: %s: %s\n", opt.log_file, strerror(-error));
	return error == 0;
}

static bool set_up(int context_count)
{
	core_count = context_count;
	page_init(core_count, opt.rows_max, getenv("MOS_SHARD"));
	return true;
}

static bool start_printer(void)
{
	int error = page_start(contexts_ask_to_stop);

	if (error < 0)
		fprintf(stderr, "midstat: cannot start the printer: %s\n", strerror(-error));
	return error == 0;
}

/* What the stack threads left, once they have ended. */
static bool finish(bool ran)
{
	if (!ran)
		return false;
	page_stop();
	for (int i = 0; i < core_count; i++) {
		if (contexts_handed_over(i))
			conn_table_fini(&cores[i].table); /* they are its successor's */
		page_publish(i, &cores[i].table, &cores[i].totals, cores[i].clock_us);
	}
	return page_print_last();
}

static const char usage[] =
	"usage: midstat -f mos.conf [-n CONTEXTS] [-i SECONDS] [-r ROWS] [-l FILE]\n"
	"  -f FILE      configuration, the same that mos-primary was started with\n"
	"  -n CONTEXTS  contexts of this process (default: as configured)\n"
	"  -i SECONDS   between two pages (default 1)\n"
	"  -r ROWS      most connections on a page (default: what fits the terminal,\n"
	"               else 1000)\n"
	"  -l FILE      append a line for each start, change of state and end:\n"
	"               time pid event client server client-state server-state [restored]\n";

static bool take_option(int letter, const char *text)
{
	switch (letter) {
	case 'i': return number_option("midstat", 'i', text, 1, INTERVAL_MAX, &opt.interval_s);
	case 'r': return number_option("midstat", 'r', text, 1, ROWS_MAX, &opt.rows_max);
	default: opt.log_file = text; return true;
	}
}

static const struct program program = {
	.name = "midstat",
	.usage = usage,
	.letters = "i:r:l:",
	.take_option = take_option,
	.prepare = open_log,
	.set_up = set_up,
	.start = start,
	.started = start_printer,
	.finish = finish,
};

int main(int argc, char **argv)
{
	return program_main(&program, argc, argv);
}
