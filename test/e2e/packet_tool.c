/*
 * packet_tool: a worker for tests that reads, edits and sends packets as a script says.
 *
 *   packet_tool -f mos.conf -s SCRIPT
 *
 * Each line of the script is a rule: when it applies, and what is done then.
 *
 *   WHERE [port=N] [from=cli|svr] [nth=N] VERB [KEY=VALUE]...
 *
 *   WHERE   setup (once, before all packets), raw, orphan, start, snd, rcv, data, end, timer
 *   port    the client's; of raw and orphan either one
 *   from    who has sent the packet
 *   nth     the n-th time (1..) that all this is so; else each time
 *
 *   show    [side=N]                      mtcp_getlastpkt(), mtcp_getlastpkt_ext()
 *   keep                                  that packet, by the client's port
 *   resend                                what mtcp_getlastpkt() shows, as it is
 *   send    [of=none|kept] [l2= ip= ip6= tcp= data=BYTES] [turn=1] [flags=N] [len=N] [if=N]
 *           [vlan=N]                      the packet at hand, or that one, with other parts; turned
 *                                         around: what its receiver would send when it comes
 *   edit    option=N [off=N] [data=BYTES] [len=N]
 *   timer   ms=N                          rules of timer apply then, to this socket
 *   set     option=N value=N              an int, level SOL_MONSOCKET
 *   peek    side=N
 *   die                                   by SIGKILL, at once
 *
 * BYTES: in hex; xN for N letters x; - for none at all, a NULL pointer. All verbs also take
 *
 *   as=passive|raw|bad  another socket than that of the event (setup: the passive one)
 *   mctx=null  info=null  thread=other
 *   times=N    do it so often
 *   quiet=1    print failures only
 *
 * Each call prints "LINE VERB RESULT ERRNO", `show` and `peek` with "KEY=VALUE..." behind.
 */
#include "test/e2e/packet_tool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DUE_MAX   256 /* rules that apply to one packet */
#define NO_SOCKET 65000

static int passive_sock = -1, raw_sock = -1;
static _Atomic(mctx_t) context;

/* ---- When ---- */

struct task {
	const struct rule *r;
	struct place at;
};

static void *carry_out(void *arg)
{
	const struct task *t = arg;

	for (long n = number(t->r, "times", 1); n > 0; n--)
		t->r->verb->run(t->r, &t->at);
	return NULL;
}

static void carry_out_as_told(const struct rule *r, const struct place *at)
{
	struct task task = {r, *at};
	pthread_t other;

	if (says(r, "as", "passive"))
		task.at.sock = passive_sock;
	if (says(r, "as", "raw"))
		task.at.sock = raw_sock;
	if (says(r, "as", "bad"))
		task.at.sock = NO_SOCKET;
	if (says(r, "mctx", "null"))
		task.at.mctx = NULL;
	if (!says(r, "thread", "other")) {
		carry_out(&task);
		return;
	}
	if ((errno = pthread_create(&other, NULL, carry_out, &task)) != 0)
		fail("thread");
	pthread_join(other, NULL);
}

static bool port_fits(const struct rule *r, const struct place *at, enum where where)
{
	struct pkt_info p;

	if (r->port < 0 || where == SETUP)
		return true;
	if (where != RAW && where != ORPHAN)
		return client_port(at) == r->port;
	return mtcp_getlastpkt(at->mctx, at->sock, at->side, &p) == 0 && p.tcph != NULL &&
	       (ntohs(p.tcph->source) == r->port || ntohs(p.tcph->dest) == r->port);
}

/* Which rules apply is decided before any of them changes the packet. */
static void apply(enum where where, const struct place *at)
{
	int from = where == RCV ? !at->side : at->side;
	const struct rule *due[DUE_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < rule_count && count < DUE_MAX; i++) {
		struct rule *r = &rules[i];

		if (r->where == where && (r->from < 0 || r->from == from) &&
		    port_fits(r, at, where) && (++r->seen == r->nth || r->nth == 0))
			due[count++] = r;
	}
	for (unsigned i = 0; i < count; i++)
		carry_out_as_told(due[i], at);
}

#define CALLBACK(name, where)                                                               \
	static void name(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg) \
	{                                                                                   \
		apply(where, &(struct place){mctx, sock, side});                            \
	}

CALLBACK(on_raw, RAW)
CALLBACK(on_orphan, ORPHAN)
CALLBACK(on_start, START)
CALLBACK(on_sent, SND)
CALLBACK(on_received, RCV)
CALLBACK(on_data, DATA)
CALLBACK(on_end, END)

void on_timer(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	apply(TIMER, &(struct place){mctx, sock, side});
}

static const struct {
	event_t event;
	int hook;
	callback_t callback;
} events[WHERES] = {
	[RAW] = {MOS_ON_PKT_IN, MOS_NULL, on_raw},
	[ORPHAN] = {MOS_ON_ORPHAN, MOS_NULL, on_orphan},
	[START] = {MOS_ON_CONN_START, MOS_HK_SND, on_start},
	[SND] = {MOS_ON_PKT_IN, MOS_HK_SND, on_sent},
	[RCV] = {MOS_ON_PKT_IN, MOS_HK_RCV, on_received},
	[DATA] = {MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data},
	[END] = {MOS_ON_CONN_END, MOS_HK_SND, on_end},
};

/* Register for what the script has rules for, and no more. */
static void watch(mctx_t mctx)
{
	passive_sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	raw_sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
	if (passive_sock < 0 || raw_sock < 0)
		fail("socket");
	apply(SETUP, &(struct place){mctx, passive_sock, MOS_SIDE_BOTH});
	for (unsigned i = 0; i < rule_count; i++) {
		enum where where = rules[i].where;

		if (events[where].callback != NULL &&
		    mtcp_register_callback(mctx, where == RAW ? raw_sock : passive_sock,
		                           events[where].event, events[where].hook,
		                           events[where].callback) < 0)
			fail(where_names[where]);
	}
}

/* ---- Start and end ---- */

/* Also the signal handler's. */
static void stop(void)
{
	mctx_t mctx = atomic_exchange(&context, NULL);

	if (mctx != NULL)
		mtcp_destroy_context(mctx);
}

static void on_signal(int signum)
{
	stop();
}

int main(int argc, char **argv)
{
	mctx_t mctx;

	if (argc != 5 || strcmp(argv[1], "-f") != 0 || strcmp(argv[3], "-s") != 0) {
		fprintf(stderr, "usage: packet_tool -f mos.conf -s SCRIPT\n");
		return 2;
	}
	setlinebuf(stdout);
	read_script(argv[4]);
	if (mtcp_init(argv[2]) < 0)
		return EXIT_FAILURE;
	mtcp_register_signal(SIGTERM, on_signal);
	context = mctx = mtcp_create_context(0);
	if (mctx == NULL)
		return EXIT_FAILURE;
	watch(mctx);
	printf("ready\n");
	mtcp_app_join(mctx);
	stop();
	mtcp_destroy();
	return EXIT_SUCCESS;
}
