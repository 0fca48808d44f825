#include "apps/nat/translate.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "mos_ext.h"
#include "apps/common/contexts.h"
#include "apps/common/lines.h"
#include "apps/common/sum.h"
#include "apps/common/watching.h"
#include "apps/nat/port_pool.h"
#include "apps/nat/report.h"

/* Where things lie in the headers: bytes. */
enum { IP_SADDR = 12, IP_DADDR = 16, TCP_SOURCE = 0, TCP_DEST = 2 };

/* -s, and what is put around it. */
#define EXPRESSION_LEN (TRANSLATE_INSIDE_MAX + 128)

/* Of one connection: what lies in its flow area. A worker may die between any two stores. */
struct translation {
	in_addr_t client, outside;
	in_port_t client_port, outside_port;
	_Atomic uint32_t valid; /* TRANSLATION_VALID, stored last */
};

#define TRANSLATION_VALID 0x4e415431
#define AREA_VERSION      0x4e415401u /* "NAT", 1: MOS_AREA_VERSION; grows with each change */

static struct {
	_Alignas(64) struct port_pool pool;
	sum_t connections, adopted, ended;
	sum_t packets[2];
	sum_t dropped[DROP_COUNT];
} cores[CONTEXTS_MAX];

static const struct translate_options *opt;

/* ---- Totals ---- */

static void print_totals(uint64_t now_ns)
{
	char line[REPORT_LINE_LEN];
	struct totals t = {0};

	for (int i = 0; i < CONTEXTS_MAX; i++) {
		t.connections += sum_read(&cores[i].connections);
		t.adopted += sum_read(&cores[i].adopted);
		if (contexts_handed_over(i)) /* none of them is ours any more */
			t.ended += sum_read(&cores[i].connections) + sum_read(&cores[i].adopted);
		else
			t.ended += sum_read(&cores[i].ended);
		for (int side = 0; side < 2; side++)
			t.packets[side] += sum_read(&cores[i].packets[side]);
		for (int reason = 0; reason < DROP_COUNT; reason++)
			t.dropped[reason] += sum_read(&cores[i].dropped[reason]);
	}
	lines_put(line, report_totals(line, &t, (int)getpid(), now_ns));
}

static void on_timer(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
	struct timeval interval = {.tv_sec = opt->interval_s};

	print_totals(mtcp_cb_get_ts_ns(mctx));
	mtcp_settimer(mctx, id, &interval, on_timer);
}

/* ---- Packets ---- */

static void drop(mctx_t mctx, int sock, int side, enum drop_reason reason)
{
	drop_packet(mctx, sock, side);
	sum_add(&cores[mctx->cpu].dropped[reason], 1);
}

static bool overwrite(mctx_t mctx, int sock, off_t ip_off, in_addr_t ip, off_t tcp_off,
                      in_port_t port)
{
	return mtcp_setlastpkt(mctx, sock, 0, ip_off, (byte *)&ip, sizeof(ip),
	                       MOS_IP_HDR | MOS_OVERWRITE) == 0 &&
	       mtcp_setlastpkt(mctx, sock, 0, tcp_off, (byte *)&port, sizeof(port),
	                       MOS_TCP_HDR | MOS_OVERWRITE | MOS_UPDATE_IP_CHKSUM |
	                               MOS_UPDATE_TCP_CHKSUM) == 0;
}

/* side sends it. What cannot be changed must not go out half changed. */
static void translate(mctx_t mctx, int sock, int side, const struct translation *t)
{
	bool ok = side == MOS_SIDE_CLI
	                  ? overwrite(mctx, sock, IP_SADDR, t->outside, TCP_SOURCE, t->outside_port)
	                  : overwrite(mctx, sock, IP_DADDR, t->client, TCP_DEST, t->client_port);

	if (ok)
		sum_add(&cores[mctx->cpu].packets[side], 1);
	else
		drop(mctx, sock, side, DROP_FAILED);
}

/* ---- Connections ---- */

static bool is_valid(const struct translation *t)
{
	return t != NULL &&
	       atomic_load_explicit(&t->valid, memory_order_relaxed) == TRANSLATION_VALID;
}

/* Where the server would send its answers to. */
struct way_back {
	mctx_t mctx;
	int shard; /* ours */
	struct sockaddr_in server, outside;
};

static bool leads_here(void *arg, uint16_t port)
{
	struct way_back *way = arg;

	way->outside.sin_port = htons(port);
	return mtcp_flow_shard(way->mctx, (struct sockaddr *)&way->server,
	                       (struct sockaddr *)&way->outside) == way->shard;
}

static uint16_t choose_port(mctx_t mctx, const struct sockaddr_in *server)
{
	struct way_back way = {
		.mctx = mctx,
		.shard = mtcp_own_shard(mctx),
		.server = *server,
		.outside = {.sin_family = AF_INET, .sin_addr = opt->outside},
	};

	return port_pool_get(&cores[mctx->cpu].pool, leads_here, &way);
}

static bool begin(mctx_t mctx, int sock, const struct sockaddr_in end[2], struct translation *t)
{
	uint16_t port = choose_port(mctx, &end[MOS_SIDE_SVR]);

	if (port == 0)
		return false;
	t->client = end[MOS_SIDE_CLI].sin_addr.s_addr;
	t->client_port = end[MOS_SIDE_CLI].sin_port;
	t->outside = opt->outside.s_addr;
	t->outside_port = htons(port);
	/* A process dies between two stores: who sees this one sees those before it. */
	atomic_store_explicit(&t->valid, TRANSLATION_VALID, memory_order_release);
	mtcp_set_uctx(mctx, sock, t);
	sum_add(&cores[mctx->cpu].connections, 1);
	return true;
}

static bool is_first_syn(mctx_t mctx, int sock, int side)
{
	struct pkt_info p;

	return side == MOS_SIDE_CLI && mtcp_getlastpkt(mctx, sock, side, &p) == 0 && p.tcph->syn &&
	       !p.tcph->ack;
}

/* A connection without translation gets one with its first SYN, or none. */
static struct translation *begin_if_first(mctx_t mctx, int sock, int side)
{
	struct translation *t = mtcp_flow_area(mctx, sock, NULL);
	struct sockaddr_in end[2];
	socklen_t len = sizeof(end);
	enum drop_reason why;

	if (mtcp_getpeername(mctx, sock, (struct sockaddr *)end, &len, MOS_SIDE_BOTH) < 0) {
		stop_watching(mctx, sock); /* IPv6: not ours */
		return NULL;
	}
	if (t == NULL || !is_first_syn(mctx, sock, side))
		why = DROP_ORPHAN; /* it was there before there was a nat */
	else if (mtcp_restoring(mctx) != 0)
		why = DROP_EARLY; /* a port that looks free may be that of a flow still to come */
	else if (!begin(mctx, sock, end, t))
		why = DROP_NO_PORT;
	else
		return t;
	drop(mctx, sock, side, why);
	stop_watching(mctx, sock);
	return NULL;
}

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct translation *t = mtcp_get_uctx(mctx, sock);

	if (t == NULL)
		t = begin_if_first(mctx, sock, side);
	if (t != NULL)
		translate(mctx, sock, side, t);
}

/*
 * What our predecessor has stored, or NULL. A flow that has begun without a translation has none;
 * nor has one whose area is of a program that we do not know.
 */
static struct translation *find_stored(mctx_t mctx, int sock)
{
	struct translation *t = area_of(mctx, sock, sizeof(*t), AREA_VERSION);

	return is_valid(t) ? t : NULL;
}

/* It was there before us. One that we cannot translate is nobody's: its packets are orphans. */
static void on_restore(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct translation *t = find_stored(mctx, sock);

	mtcp_set_uctx(mctx, sock, t);
	if (t == NULL) {
		stop_watching(mctx, sock);
		return;
	}
	port_pool_claim(&cores[mctx->cpu].pool, ntohs(t->outside_port));
	sum_add(&cores[mctx->cpu].adopted, 1);
}

/* Comes once for each side; the first one ends the connection. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct translation *t = mtcp_get_uctx(mctx, sock);

	if (t == NULL)
		return;
	mtcp_set_uctx(mctx, sock, NULL);
	port_pool_put(&cores[mctx->cpu].pool, ntohs(t->outside_port));
	sum_add(&cores[mctx->cpu].ended, 1);
}

/* ---- What belongs to no connection ---- */

static void on_orphan(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct pkt_info p;

	if (mtcp_getlastpkt(mctx, sock, side, &p) == 0 && p.iph != NULL)
		drop(mctx, sock, side, DROP_ORPHAN);
}

static void on_fragment(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct pkt_info_ext x;
	struct pkt_info p;

	if (mtcp_getlastpkt_ext(mctx, sock, side, &p, &x) == 0 && p.iph != NULL &&
	    x.ip_proto == IPPROTO_TCP && p.tcph == NULL)
		drop(mctx, sock, side, DROP_FRAGMENT);
}

/* ---- Start and end ---- */

static bool complain(const char *what, const char *why)
{
	fprintf(stderr, "nat: %s: %s\n", what, why);
	return false;
}

static bool bind_filter(mctx_t mctx, int sock, union monitor_filter *filter)
{
	return mtcp_bind_monitor_filter(mctx, sock, filter) == 0 ||
	       complain("-s", errno == EINVAL ? mtcp_filter_error() : strerror(errno));
}

static bool watch_connections(mctx_t mctx, const char *outside)
{
	static const struct watched rows[] = {
		{MOS_ON_PKT_IN, MOS_HK_SND, on_packet},
		{MOS_ON_CONN_RESTORE, MOS_NULL, on_restore},
		{MOS_ON_CONN_END, MOS_HK_SND, on_end},
		{MOS_ON_ORPHAN, MOS_NULL, on_orphan},
	};
	char syn[EXPRESSION_LEN], orphan[EXPRESSION_LEN];
	union monitor_filter filter = {.stream_syn_filter = syn, .stream_orphan_filter = orphan};
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	snprintf(syn, sizeof(syn), "(%s) and not dst host %s", opt->inside, outside);
	snprintf(orphan, sizeof(orphan), "(%s) or dst host %s", opt->inside, outside);
	if (sock >= 0 && !bind_filter(mctx, sock, &filter))
		return false;
	if (sock < 0 || !watch_area(mctx, sock, AREA_VERSION) ||
	    !watch_events(mctx, sock, rows, sizeof(rows) / sizeof(rows[0])))
		return complain("cannot watch connections", strerror(errno));
	return true;
}

static bool watch_fragments(mctx_t mctx, const char *outside)
{
	char fragment[EXPRESSION_LEN];
	union monitor_filter filter = {.raw_pkt_filter = fragment};
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_RAW, 0);

	snprintf(fragment, sizeof(fragment), "((%s) or dst host %s) and ip[6:2] & 0x3fff != 0",
	         opt->inside, outside);
	if (sock >= 0 && !bind_filter(mctx, sock, &filter))
		return false;
	if (sock < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_NULL, on_fragment) < 0)
		return complain("cannot watch fragments", strerror(errno));
	return true;
}

/* Translations have a place, and ports are ready to be given out or claimed. */
static bool prepare(mctx_t mctx)
{
	ssize_t area = mtcp_flow_area_len(mctx);
	uint64_t seed;

	if (area < (ssize_t)sizeof(struct translation)) {
		fprintf(stderr, "nat: mos.conf has flow_area = %zd; set it to %zu or more\n", area,
		        sizeof(struct translation));
		return false;
	}
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) ||
	    port_pool_init(&cores[mctx->cpu].pool, opt->low, opt->high, seed) < 0)
		return complain("cannot prepare ports", strerror(ENOMEM));
	return true;
}

bool translate_start(mctx_t mctx, const struct translate_options *o)
{
	struct timeval interval = {.tv_sec = o->interval_s};
	char outside[INET_ADDRSTRLEN];

	opt = o;
	inet_ntop(AF_INET, &o->outside, outside, sizeof(outside));
	if (!prepare(mctx) || !watch_fragments(mctx, outside) || !watch_connections(mctx, outside))
		return false;
	if (mctx->cpu == 0 && o->interval_s > 0 && mtcp_settimer(mctx, 0, &interval, on_timer) < 0)
		return complain("cannot set a timer", strerror(errno));
	return true;
}

void translate_finish(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	print_totals((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	for (int i = 0; i < CONTEXTS_MAX; i++)
		port_pool_fini(&cores[i].pool);
}
