/*
 * httpwatch: print the HTTP/1.x transactions that pass, one line of JSON each (transaction.h).
 *
 *   httpwatch -f mos.conf [-e expression] [-o file] [-n contexts]
 *
 * Two user-defined events below MOS_ON_PKT_IN tell of packets in which a request or a response
 * head begins; their filters look at the start line only. The callbacks feed the bytes to the
 * connection's state (http_conn.h), which is made when there is something to keep, as uctx.
 *
 *   packet -> MOS_ON_PKT_IN -> is_request_head?  -> on_head -> http_conn_feed -> emit -> lines_put
 *                           -> is_response_head? -> on_head
 *          -> MOS_ON_REXMIT -> on_resent -> http_conn_skip
 *
 * What is seen are packets, in the order in which they pass, not yet streams. So a start line that
 * spans packets is not seen; of a head that spans packets the fields of the first one count; and a
 * chunked body with a piece that begins like a head is taken for one. Byte streams will mend this
 * here: packet_bytes() will peek instead.
 *
 * Requests that wait when a worker dies are lost with it; of their responses the successor prints
 * status and ends.
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
#include "apps/httpwatch/lines.h"
#include "apps/httpwatch/transaction.h"

#define CORES_MAX    128
#define BUDGET_BYTES (64u << 20) /* of requests that wait, in one context */

/* What is known of one connection; its uctx. */
struct flow {
	struct http_conn conn;
	struct transaction_ends ends;
};

struct core {
	_Alignas(64) _Atomic(mctx_t) mctx; /* whoever takes it destroys the context */
	size_t budget;                     /* its stack thread's */
};

/* Bytes that one side sent: from a packet, one day from a stream. */
struct bytes {
	const uint8_t *at;
	size_t len;
	uint32_t pos;
	uint64_t time_ns; /* since 1970 */
};

static struct {
	const char *config_file;
	const char *out_file; /* NULL = stdout */
	const char *expression;
	int core_count; /* 0 = as configured */
} opt = {.expression = "dst port 80"};

static struct core cores[CORES_MAX];
static int core_count;
static event_t request_head, response_head;
static atomic_ullong transactions, given_up;

/* ---- Packets: stack threads ---- */

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

/* ---- Flows: stack threads ---- */

static void write_end(char end[static TRANSACTION_END_LEN], const struct sockaddr_storage *s)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)s;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)s;
	char addr[INET6_ADDRSTRLEN];

	if (s->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, addr, sizeof(addr));
		snprintf(end, TRANSACTION_END_LEN, "%s:%u", addr, ntohs(in->sin_port));
	} else {
		inet_ntop(AF_INET6, &in6->sin6_addr, addr, sizeof(addr));
		snprintf(end, TRANSACTION_END_LEN, "[%s]:%u", addr, ntohs(in6->sin6_port));
	}
}

static bool read_ends(mctx_t mctx, int sock, struct transaction_ends *ends)
{
	struct sockaddr_storage addr[2];
	socklen_t len = sizeof(addr);

	if (mtcp_getpeername(mctx, sock, (struct sockaddr *)addr, &len, MOS_SIDE_BOTH) < 0)
		return false;
	write_end(ends->client, &addr[MOS_SIDE_CLI]);
	write_end(ends->server, &addr[MOS_SIDE_SVR]);
	return true;
}

/* The state of a connection of which there is something to keep; NULL = no memory. */
static struct flow *make_flow(mctx_t mctx, int sock)
{
	struct flow *flow = calloc(1, sizeof(*flow));

	if (flow == NULL)
		return NULL;
	if (!read_ends(mctx, sock, &flow->ends)) {
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

/* The writer's way to stop: by the thread that waits for the contexts. */
static void ask_to_stop(void)
{
	kill(getpid(), SIGTERM);
}

static bool define_events(void)
{
	request_head = mtcp_define_event(MOS_ON_PKT_IN, is_request_head, NULL);
	response_head = mtcp_define_event(MOS_ON_PKT_IN, is_response_head, NULL);
	if (request_head != MOS_NULL_EVENT && response_head != MOS_NULL_EVENT)
		return true;
	fprintf(stderr, "httpwatch: cannot define events: %s\n", strerror(errno));
	return false;
}

static bool bind_expression(mctx_t mctx, int sock)
{
	char *expression = strdup(opt.expression);
	union monitor_filter filter = {.stream_syn_filter = expression};
	bool ok = expression != NULL && mtcp_bind_monitor_filter(mctx, sock, &filter) == 0;

	if (!ok)
		fprintf(stderr, "httpwatch: -e '%s': %s\n", opt.expression,
		        errno == EINVAL ? mtcp_filter_error() : strerror(errno));
	free(expression);
	return ok;
}

/* The socket of one context. */
static bool watch(mctx_t mctx)
{
	int none = 0;
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	if (sock >= 0 && !bind_expression(mctx, sock))
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

static bool start_all(mctx_t mctx[static CORES_MAX])
{
	for (int i = 0; i < core_count; i++) {
		mctx[i] = mtcp_create_context(i);
		if (mctx[i] == NULL)
			return false; /* the library has printed why */
		cores[i].budget = BUDGET_BYTES;
		atomic_store(&cores[i].mctx, mctx[i]);
		if (!watch(mctx[i]))
			return false;
	}
	return true;
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
	mctx_t mctx[CORES_MAX];
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
		fprintf(stderr, "httpwatch: no configuration: %s\n", strerror(errno));
		return false;
	}
	if (opt.core_count > 0)
		conf.num_cores = opt.core_count;
	if (conf.num_cores > CORES_MAX) {
		fprintf(stderr, "httpwatch: %d contexts: at most %d are supported\n",
		        conf.num_cores, CORES_MAX);
		return false;
	}
	if (opt.core_count > 0 && mtcp_setconf(&conf) < 0) {
		fprintf(stderr, "httpwatch: -n %d: %s\n", opt.core_count, strerror(errno));
		return false;
	}
	core_count = conf.num_cores;
	return true;
}

/* Returns whether all was printed. */
static bool finish(void)
{
	uint64_t lost = 0;
	bool ok = lines_close(&lost);

	fprintf(stderr, "httpwatch: %llu transactions", (unsigned long long)transactions);
	if (given_up > 0)
		fprintf(stderr, "; %llu connections with too many requests under way",
		        (unsigned long long)given_up);
	if (lost > 0)
		fprintf(stderr, "; %llu lines lost", (unsigned long long)lost);
	else if (!ok)
		fprintf(stderr, "; the last lines were not read and are lost");
	fprintf(stderr, "\n");
	return ok;
}

static void usage(FILE *f)
{
	fprintf(f,
	        "usage: httpwatch -f mos.conf [-e EXPRESSION] [-o FILE] [-n CONTEXTS]\n"
	        "  -f FILE        configuration, the same that mos-primary was started with\n"
	        "  -e EXPRESSION  connections to watch, by their first SYN, as pcap-filter(7)\n"
	        "                 (default: dst port 80)\n"
	        "  -o FILE        append to FILE instead of printing\n"
	        "  -n CONTEXTS    contexts of this process (default: as configured)\n"
	        "Prints one line of JSON for each transaction: time client server method host "
	        "path\n"
	        "status ms; null for what was not seen.\n"
	        "It looks at packets, not yet at streams: a start line that spans packets is not\n"
	        "seen, and of a head that spans packets only the fields of the first one are.\n");
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv)
{
	char *end;
	long n;
	int c;

	while ((c = getopt(argc, argv, "f:e:o:n:h")) != -1) {
		switch (c) {
		case 'f': opt.config_file = optarg; break;
		case 'e': opt.expression = optarg; break;
		case 'o': opt.out_file = optarg; break;
		case 'n':
			n = strtol(optarg, &end, 10);
			if (end == optarg || *end != '\0' || n < 1 || n > CORES_MAX) {
				fprintf(stderr,
				        "httpwatch: -n %s: expected a number from 1 to %d\n",
				        optarg, CORES_MAX);
				return EXIT_FAILURE;
			}
			opt.core_count = (int)n;
			break;
		case 'h': usage(stdout); return EXIT_SUCCESS;
		default: usage(stderr); return EXIT_FAILURE;
		}
	}
	if (opt.config_file == NULL || optind != argc) {
		usage(stderr);
		return EXIT_FAILURE;
	}
	return -1;
}

/* What was opened is closed by the end of the process. */
int main(int argc, char **argv)
{
	int status = parse_options(argc, argv);
	int error;
	bool ok;

	if (status >= 0)
		return status;
	mask_signals(SIG_BLOCK);
	signal(SIGPIPE, SIG_IGN); /* lines that cannot be written end us in order */
	error = lines_open(opt.out_file, ask_to_stop);
	if (error < 0) {
		fprintf(stderr, "httpwatch: %s: %s\n",
		        opt.out_file != NULL ? opt.out_file : "stdout", strerror(-error));
		return EXIT_FAILURE;
	}
	if (!define_events() || mtcp_init(opt.config_file) < 0)
		return EXIT_FAILURE; /* the library has printed why */
	mtcp_register_signal(SIGINT, on_signal);
	mtcp_register_signal(SIGTERM, on_signal);
	ok = configure() && run();
	stop();
	mtcp_destroy();
	ok = finish() && ok && mos_last_error()[0] == '\0'; /* else the primary has ended */
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
