/*
 * worker_app: the application of the tests. It uses the public API only, counts flows and packets,
 * and misbehaves when it is told to.
 *
 *   worker_app -f mos.conf [--crash-at N | --loop-at N | --exit-at N] [--crash-port P]
 *              [--setup-ms MS | --setup-on-usr1] [--work-us US] [--resend] [--contexts C]
 *
 *   N   the number of a MOS_ON_PKT_IN callback, from 1
 *   P   a client's port: a packet of its flow is the end of the process
 *   MS  spent between the creation of the context and that of its socket; with --setup-on-usr1 it
 *       prints "app: waits" there and waits for the signal
 *   US  of computing on each packet
 *   C   contexts, 1 if it is not given
 *
 * With --resend each packet is sent again by the program, and itself dropped, before that work.
 *
 * It prints "app: up" when it is ready for packets, and on SIGUSR1 and at its end
 *   app: live L replayed R established E packets P
 * and on SIGUSR1, before it, "app: ports ..." with the client ports of the flows it knows.
 */
#include "mos_api.h"
#include "mos_ext.h"
#include "mtcp_util.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

struct flow {
	bool live, replayed, established;
};

enum { CONTEXTS_MAX = 8 };

static mctx_t context[CONTEXTS_MAX];

static struct {
	const char *config;
	unsigned long long crash_at, loop_at, exit_at;
	int crash_port, setup_ms, work_us;
	unsigned contexts;
	bool setup_on_usr1, resend;
} opt = {.crash_port = -1, .contexts = 1};

static struct flow flows[65536]; /* by the client's port */
static unsigned long long packets;
static volatile sig_atomic_t asked;

static void crash(void)
{
	raise(SIGSEGV);
}

/* ---- stack thread ---- */

static int client_port(mctx_t mctx, int sock)
{
	struct sockaddr_in client;
	socklen_t len = sizeof(client);

	if (mtcp_getpeername(mctx, sock, (struct sockaddr *)&client, &len, MOS_SIDE_CLI) < 0)
		return -1;
	return ntohs(client.sin_port);
}

static bool is_established(mctx_t mctx, int sock)
{
	int client = TCP_CLOSED, server = TCP_CLOSED;
	socklen_t len = sizeof(client);

	mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &client, &len);
	len = sizeof(server);
	mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_TCP_STATE_SVR, &server, &len);
	return client == TCP_ESTABLISHED && server == TCP_ESTABLISHED;
}

static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	int port = client_port(mctx, sock);
	struct pkt_info p;

	if (port < 0) {
		printf("app: a flow without a name\n");
		return;
	}
	flows[port].live = true;
	flows[port].replayed = mtcp_getlastpkt(mctx, sock, side, &p) < 0;
	flows[port].established = is_established(mctx, sock);
	mtcp_set_uctx(mctx, sock, &flows[port]);
}

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *f = mtcp_get_uctx(mctx, sock);

	if (f != NULL)
		*f = (struct flow){0};
}

static void misbehave(const struct flow *f)
{
	if (packets == opt.crash_at || (opt.crash_port >= 0 && f == &flows[opt.crash_port]))
		crash();
	if (packets == opt.exit_at)
		exit(3);
	while (packets == opt.loop_at)
		asked = asked; /* volatile: the loop may not be left out */
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void work(void)
{
	int64_t until = now_us() + opt.work_us;

	while (opt.work_us > 0 && now_us() < until)
		;
}

/* Its copy goes in its place. A death between the two calls: both go. */
static void resend(mctx_t mctx, int sock, int side)
{
	struct pkt_info p;

	if (mtcp_getlastpkt(mctx, sock, side, &p) == 0 && mtcp_sendpkt(mctx, sock, &p) == 0)
		mtcp_setlastpkt(mctx, sock, side, 0, NULL, 0, MOS_DROP);
}

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	packets++;
	if (opt.resend)
		resend(mctx, sock, side);
	work();
	misbehave(mtcp_get_uctx(mctx, sock));
}

static void print_totals(void)
{
	unsigned live = 0, replayed = 0, established = 0;

	for (unsigned port = 0; port < 65536; port++) {
		live += flows[port].live;
		replayed += flows[port].replayed;
		established += flows[port].replayed && flows[port].established;
	}
	printf("app: live %u replayed %u established %u packets %llu\n", live, replayed,
	       established, packets);
}

static void answer(void)
{
	printf("app: ports");
	for (unsigned port = 0; port < 65536; port++)
		if (flows[port].live)
			printf(" %u", port);
	printf("\n");
	print_totals();
}

static void on_timer(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
	struct timeval interval = {.tv_usec = 5000};

	if (asked) {
		asked = 0;
		answer();
	}
	mtcp_settimer(mctx, id, &interval, on_timer);
}

/* ---- main thread ---- */

static void on_usr1(int sig)
{
	asked = 1;
}

static int set_up(mctx_t mctx)
{
	struct timeval interval = {.tv_usec = 5000};
	int none = 0;
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	if (sock < 0 ||
	    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_CLIBUF, &none, sizeof(none)) < 0 ||
	    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SVRBUF, &none, sizeof(none)) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0)
		return -1;
	return mtcp_settimer(mctx, sock, &interval, on_timer);
}

static void wait_before_set_up(void)
{
	usleep((useconds_t)opt.setup_ms * 1000);
	if (!opt.setup_on_usr1)
		return;
	printf("app: waits\n");
	while (!asked)
		usleep(1000);
	asked = 0;
}

/* Its handle is good for nothing any more, and is refused like any bad one. */
static bool is_refused(mctx_t destroyed)
{
	if (mtcp_socket(destroyed, AF_INET, MOS_SOCK_MONITOR_STREAM, 0) < 0 && errno == EACCES)
		return true;
	printf("app: a destroyed context still takes calls\n");
	return false;
}

/* One that is to succeed another has none before it is set up, and may ask all the same. */
static bool knows_its_shard(mctx_t m)
{
	int shard = mtcp_own_shard(m);

	GetRSSCPUCore(htonl(0x0a090001), htonl(0x0a090002), htons(1), htons(2), 1);
	if (getenv("MOS_TAKE_OVER") == NULL ? shard >= 0 : shard == -1 && errno == EAGAIN)
		return true;
	printf("app: shard %d before the set-up\n", shard);
	return false;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"crash-at", required_argument, NULL, 'c'},
		{"loop-at", required_argument, NULL, 'l'},
		{"exit-at", required_argument, NULL, 'e'},
		{"crash-port", required_argument, NULL, 'p'},
		{"setup-ms", required_argument, NULL, 's'},
		{"setup-on-usr1", no_argument, NULL, 'u'},
		{"work-us", required_argument, NULL, 'w'},
		{"resend", no_argument, NULL, 'r'},
		{"contexts", required_argument, NULL, 'n'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "f:", options, NULL)) != -1) {
		switch (c) {
		case 'f': opt.config = optarg; break;
		case 'c': opt.crash_at = strtoull(optarg, NULL, 10); break;
		case 'l': opt.loop_at = strtoull(optarg, NULL, 10); break;
		case 'e': opt.exit_at = strtoull(optarg, NULL, 10); break;
		case 'p': opt.crash_port = (uint16_t)atoi(optarg); break;
		case 's': opt.setup_ms = atoi(optarg); break;
		case 'u': opt.setup_on_usr1 = true; break;
		case 'w': opt.work_us = atoi(optarg); break;
		case 'r': opt.resend = true; break;
		case 'n': opt.contexts = (unsigned)atoi(optarg) % (CONTEXTS_MAX + 1); break;
		default: exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	bool refused = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	prctl(PR_SET_DUMPABLE, 0); /* crashes are what it is for: no core files */
	signal(SIGUSR1, on_usr1);
	if (mtcp_init(opt.config) < 0)
		return EXIT_FAILURE;
	for (unsigned i = 0; i < opt.contexts; i++) {
		context[i] = mtcp_create_context((int)i);
		if (context[i] == NULL || !knows_its_shard(context[i]))
			return EXIT_FAILURE;
	}
	wait_before_set_up();
	for (unsigned i = 0; i < opt.contexts; i++) {
		if (set_up(context[i]) < 0) {
			perror("app: set-up");
			return EXIT_FAILURE;
		}
	}
	printf("app: up\n");
	for (unsigned i = 0; i < opt.contexts; i++)
		mtcp_app_join(context[i]);
	print_totals();
	for (unsigned i = 0; i < opt.contexts; i++) {
		mtcp_destroy_context(context[i]);
		refused &= is_refused(context[i]);
	}
	mtcp_destroy();
	return refused ? EXIT_SUCCESS : EXIT_FAILURE;
}
