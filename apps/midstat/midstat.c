/*
 * midstat: show the TCP connections that pass, with the state of both ends, packets and bytes.
 *
 *   midstat -f mos.conf [-c cores] [-i seconds] [-n rows] [-l file]
 *
 * One context per core, each with a stack thread that runs the callbacks below on its own table.
 * Connections that were there before this process began arrive as MOS_ON_CONN_START too, without
 * a packet at hand.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mos_api.h"
#include "mos_ext.h"
#include "apps/common/number.h"
#include "apps/midstat/conn_table.h"
#include "apps/midstat/conn_text.h"
#include "apps/midstat/page.h"

#define INTERVAL_MAX 3600 /* s, less than the stack clock takes to wrap */
#define ROWS_MAX     1000000

struct core {
	_Atomic(mctx_t) mctx; /* whoever takes it destroys the context */
	struct conn_table table;
	struct page_totals totals;
	uint64_t clock_us; /* stack clock, widened to 64 bits */
	uint32_t clock_low_us;
};

static struct {
	const char *config_file;
	const char *log_file;
	int core_count; /* 0 = as configured */
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

/* The stack clock counts 32 bits of microseconds; the timer looks often enough to widen it. */
static uint64_t clock_us(mctx_t mctx, struct core *core)
{
	uint32_t low_us = mtcp_cb_get_ts(mctx);

	core->clock_us += (uint32_t)(low_us - core->clock_low_us);
	core->clock_low_us = low_us;
	return core->clock_us;
}

static int read_state(mctx_t mctx, int sock, int side)
{
	int option = side == MOS_SIDE_CLI ? MOS_TCP_STATE_CLI : MOS_TCP_STATE_SVR;
	int state = TCP_CLOSED;
	socklen_t len = sizeof(state);

	mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, option, &state, &len);
	return state;
}

static void count_packet(struct core *core, struct conn *c, const struct pkt_info *p)
{
	c->packets++;
	c->bytes += p->ip_len;
	core->totals.packets++;
	core->totals.bytes += p->ip_len;
}

/* The packet of a new connection has passed on_packet() before, when there was no record yet. */
static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct core *core = core_of(mctx);
	union conn_end ends[2];
	socklen_t len = sizeof(ends);
	struct pkt_info p;
	struct conn *c;
	bool adopted = mtcp_getlastpkt(mctx, sock, side, &p) < 0;

	if (mtcp_getpeername(mctx, sock, (struct sockaddr *)ends, &len, MOS_SIDE_BOTH) < 0)
		return;
	c = conn_table_insert(&core->table, ends);
	if (c == NULL)
		return;
	mtcp_set_uctx(mctx, sock, c);
	c->started_us = clock_us(mctx, core);
	core->totals.seen++;
	if (!adopted)
		count_packet(core, c, &p);
	c->state[MOS_SIDE_CLI] = read_state(mctx, sock, MOS_SIDE_CLI);
	c->state[MOS_SIDE_SVR] = read_state(mctx, sock, MOS_SIDE_SVR);
	conn_log("start", c, adopted ? "adopted" : "");
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
	state = read_state(mctx, sock, side);
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

/* Also the signal handler's. */
static void stop(void)
{
	for (int i = 0; i < core_count; i++) {
		mctx_t mctx = atomic_exchange(&cores[i].mctx, NULL);

		if (mctx != NULL)
			mtcp_destroy_context(mctx);
	}
}

static void on_signal(int signum)
{
	stop();
}

/*
 * The printer's way to stop: by the thread that waits for the contexts, which then are not freed
 * under its feet.
 */
static void ask_to_stop(void)
{
	kill(getpid(), SIGTERM);
}

/* The socket of one context. Returns 0, or -1 with errno set. */
static int watch(mctx_t mctx)
{
	static const struct {
		event_t event;
		int hook;
		callback_t callback;
	} rows[] = {
		{MOS_ON_PKT_IN, MOS_HK_SND, on_packet},
		{MOS_ON_CONN_START, MOS_HK_SND, on_start},
		{MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_state_change},
		{MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_state_change},
		{MOS_ON_CONN_END, MOS_HK_SND, on_end},
	};
	struct timeval interval = {.tv_sec = opt.interval_s};
	int none = 0;
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	if (sock < 0 ||
	    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_CLIBUF, &none, sizeof(none)) < 0 ||
	    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SVRBUF, &none, sizeof(none)) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (mtcp_register_callback(mctx, sock, rows[i].event, rows[i].hook,
		                           rows[i].callback) < 0)
			return -1;
	return mtcp_settimer(mctx, sock, &interval, on_timer);
}

static bool start_core(int cpu)
{
	struct core *core = &cores[cpu];
	mctx_t mctx;

	conn_table_init(&core->table);
	mctx = mtcp_create_context(cpu);
	if (mctx == NULL)
		return false; /* the library has printed why */
	atomic_store(&core->mctx, mctx);
	if (watch(mctx) < 0) {
		fprintf(stderr, "midstat: cannot watch connections: %s\n", strerror(errno));
		return false;
	}
	return true;
}

static bool start_all(mctx_t mctx[static PAGE_PARTS_MAX])
{
	int error;

	for (int i = 0; i < core_count; i++) {
		if (!start_core(i))
			return false;
		mctx[i] = atomic_load(&cores[i].mctx);
	}
	error = page_start(ask_to_stop);
	if (error < 0)
		fprintf(stderr, "midstat: cannot start the printer: %s\n", strerror(-error));
	return error == 0;
}

/*
 * The signals wait until there is something for their handler to stop, and are then handled by
 * this thread: those that are started meanwhile keep them blocked.
 */
static void mask_signals(int how)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(how, &signals, NULL);
}

/* Until all contexts have ended. */
static bool run(void)
{
	mctx_t mctx[PAGE_PARTS_MAX];
	bool started = start_all(mctx);

	mask_signals(SIG_UNBLOCK);
	for (int i = 0; started && i < core_count; i++)
		mtcp_app_join(mctx[i]);
	return started;
}

static bool configure(void)
{
	struct mtcp_conf conf;

	if (mtcp_getconf(&conf) < 0) {
		fprintf(stderr, "midstat: no configuration: %s\n", strerror(errno));
		return false;
	}
	if (opt.core_count > 0)
		conf.num_cores = opt.core_count;
	if (conf.num_cores > PAGE_PARTS_MAX) {
		fprintf(stderr, "midstat: %d cores: at most %d are supported\n", conf.num_cores,
		        PAGE_PARTS_MAX);
		return false;
	}
	if (opt.core_count > 0 && mtcp_setconf(&conf) < 0) {
		fprintf(stderr, "midstat: -c %d: %s\n", opt.core_count, strerror(errno));
		return false;
	}
	core_count = conf.num_cores;
	page_init(core_count, opt.rows_max, getenv("MOS_SHARD"));
	return true;
}

/* What the stack threads left, once they have ended. */
static bool print_rest(void)
{
	page_stop();
	for (int i = 0; i < core_count; i++)
		page_publish(i, &cores[i].table, &cores[i].totals, cores[i].clock_us);
	return page_print_last();
}

static void usage(FILE *f)
{
	fprintf(f,
	        "usage: midstat -f mos.conf [-c CORES] [-i SECONDS] [-n ROWS] [-l FILE]\n"
	        "  -f FILE     configuration, the same that mos-primary was started with\n"
	        "  -c CORES    contexts of this process (default: as configured)\n"
	        "  -i SECONDS  between two pages (default 1)\n"
	        "  -n ROWS     most connections on a page (default: what fits the terminal,\n"
	        "              else 1000)\n"
	        "  -l FILE     append a line for each start, change of state and end:\n"
	        "              time pid event client server client-state server-state [adopted]\n");
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv)
{
	bool ok = true;
	int c;

	while (ok && (c = getopt(argc, argv, "f:c:i:n:l:h")) != -1) {
		switch (c) {
		case 'f': opt.config_file = optarg; break;
		case 'l': opt.log_file = optarg; break;
		case 'c':
			ok = number_option("midstat", 'c', optarg, 1, PAGE_PARTS_MAX,
			                   &opt.core_count);
			break;
		case 'i':
			ok = number_option("midstat", 'i', optarg, 1, INTERVAL_MAX,
			                   &opt.interval_s);
			break;
		case 'n':
			ok = number_option("midstat", 'n', optarg, 1, ROWS_MAX, &opt.rows_max);
			break;
		case 'h': usage(stdout); return EXIT_SUCCESS;
		default: usage(stderr); return EXIT_FAILURE;
		}
	}
	if (!ok)
		return EXIT_FAILURE;
	if (opt.config_file == NULL || optind != argc) {
		usage(stderr);
		return EXIT_FAILURE;
	}
	return -1;
}

int main(int argc, char **argv)
{
	int status = parse_options(argc, argv);
	int error;
	bool ok;

	if (status >= 0)
		return status;
	error = opt.log_file != NULL ? conn_log_open(opt.log_file) : 0;
	if (error < 0) {
		fprintf(stderr, "midstat: %s: %s\n", opt.log_file, strerror(-error));
		return EXIT_FAILURE;
	}
	signal(SIGPIPE, SIG_IGN); /* a page that cannot be printed ends us in order */
	if (mtcp_init(opt.config_file) < 0)
		return EXIT_FAILURE; /* the library has printed why */
	mask_signals(SIG_BLOCK);
	mtcp_register_signal(SIGINT, on_signal);
	mtcp_register_signal(SIGTERM, on_signal);
	ok = configure() && run();
	stop();
	mtcp_destroy();
	if (ok)
		ok = print_rest() && mos_last_error()[0] == '\0'; /* else the primary has ended */
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
