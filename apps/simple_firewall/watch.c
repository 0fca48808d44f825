#include "apps/simple_firewall/watch.h"

#include <string.h>

#include "mos_ext.h"
#include "apps/common/sum.h"
#include "apps/common/watching.h"

#define PASS_MS 100 /* between two rules_pass() of a stack thread */

/* Written by the stack thread of that core. */
static struct {
	_Alignas(64) sum_t fragments; /* dropped */
	sum_t failed;                 /* should have been dropped, could not be */
} cores[RULES_CORES_MAX];

static struct rules *rules;
static event_t flow_syn, orphan_syn;

/* ---- Packets ---- */

/* Filter of both events. */
static bool is_first_syn(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct pkt_info p;

	return mtcp_getlastpkt(mctx, sock, side, &p) == 0 && p.tcph != NULL && p.tcph->syn &&
	       !p.tcph->ack;
}

/* What the rules look at. Returns the bytes of the IP packet, 0 = there is none at hand. */
static unsigned read_packet(mctx_t mctx, int sock, int side, struct rule_key *key)
{
	struct pkt_info_ext x;
	struct pkt_info p;

	memset(key, 0, sizeof(*key));
	if (mtcp_getlastpkt_ext(mctx, sock, side, &p, &x) < 0 || p.tcph == NULL)
		return 0;
	if (p.iph != NULL) {
		key->family = AF_INET;
		memcpy(&key->addr[RULE_SRC], &p.iph->saddr, sizeof(p.iph->saddr));
		memcpy(&key->addr[RULE_DST], &p.iph->daddr, sizeof(p.iph->daddr));
	} else if (x.ip6h != NULL) {
		key->family = AF_INET6;
		memcpy(&key->addr[RULE_SRC], &x.ip6h->ip6_src, sizeof(x.ip6h->ip6_src));
		memcpy(&key->addr[RULE_DST], &x.ip6h->ip6_dst, sizeof(x.ip6h->ip6_dst));
	}
	key->port[RULE_SRC] = ntohs(p.tcph->source);
	key->port[RULE_DST] = ntohs(p.tcph->dest);
	return p.ip_len;
}

static bool drop(mctx_t mctx, int sock, int side)
{
	bool ok = drop_packet(mctx, sock, side);

	if (!ok)
		sum_add(&cores[mctx->cpu].failed, 1);
	return ok;
}

/* Ask the rules about the packet at hand. */
static void decide(mctx_t mctx, int sock, int side)
{
	struct rule_table *t = rules_current(rules);
	struct rule_key key;
	unsigned bytes = read_packet(mctx, sock, side, &key), i;

	if (bytes == 0)
		return;
	i = rule_table_match(t, &key);
	rule_table_count(t, (unsigned)mctx->cpu, i, bytes);
	if (i < t->rule_count && t->rule[i].drop)
		drop(mctx, sock, side);
}

static void on_flow_syn(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	decide(mctx, sock, side);
	stop_watching(mctx, sock);
}

/* No flow was made of it: there is no room, or its other flags make no sense to the library. */
static void on_orphan_syn(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	decide(mctx, sock, side);
}

/* A worker before us has left its record: it was there before these rules. */
static void on_restore(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	stop_watching(mctx, sock);
}

/* TCP without a header that can be read. */
static void on_raw_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct pkt_info_ext x;
	struct pkt_info p;

	if (mtcp_getlastpkt_ext(mctx, sock, side, &p, &x) == 0 && x.ip_proto == IPPROTO_TCP &&
	    p.tcph == NULL && drop(mctx, sock, side))
		sum_add(&cores[mctx->cpu].fragments, 1);
}

static void on_timer(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
	struct timeval again = {.tv_usec = PASS_MS * 1000};

	rules_pass(rules, (unsigned)mctx->cpu);
	mtcp_settimer(mctx, id, &again, on_timer);
}

/* ---- Set-up ---- */

int watch_init(struct rules *r)
{
	rules = r;
	flow_syn = mtcp_define_event(MOS_ON_PKT_IN, is_first_syn, NULL);
	orphan_syn = mtcp_define_event(MOS_ON_ORPHAN, is_first_syn, NULL);
	return flow_syn != MOS_NULL_EVENT && orphan_syn != MOS_NULL_EVENT ? 0 : -1;
}

/* Packets of connections that were let in are orphans; the filter sorts out most of them. */
static bool watch_connections(mctx_t mctx, int sock)
{
	const struct watched rows[] = {
		{flow_syn, MOS_HK_SND, on_flow_syn},
		{MOS_ON_CONN_RESTORE, MOS_NULL, on_restore},
		{orphan_syn, MOS_NULL, on_orphan_syn},
	};
	char maybe_syn[] = "not (ip and tcp[13] & 0x12 != 2)";
	union monitor_filter filter = {.stream_orphan_filter = maybe_syn};

	return mtcp_bind_monitor_filter(mctx, sock, &filter) == 0 && watch_no_streams(mctx, sock) &&
	       watch_events(mctx, sock, rows, sizeof(rows) / sizeof(rows[0]));
}

/* The callback looks closer at what is not for sure an IPv4 packet without fragmentation. */
static int watch_fragments(mctx_t mctx)
{
	char maybe[] = "not (ip and ip[6:2] & 0x3fff == 0)";
	union monitor_filter filter = {.raw_pkt_filter = maybe};
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_RAW, 0);

	if (sock < 0 || mtcp_bind_monitor_filter(mctx, sock, &filter) < 0)
		return -1;
	return mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_NULL, on_raw_packet);
}

int watch_start(mctx_t mctx, bool fragments)
{
	struct timeval soon = {.tv_usec = PASS_MS * 1000};
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	if (sock < 0 || !watch_connections(mctx, sock) || (fragments && watch_fragments(mctx) < 0))
		return -1;
	return mtcp_settimer(mctx, sock, &soon, on_timer);
}

void watch_sum(uint64_t *fragments, uint64_t *failed)
{
	*fragments = *failed = 0;
	for (int i = 0; i < RULES_CORES_MAX; i++) {
		*fragments += sum_read(&cores[i].fragments);
		*failed += sum_read(&cores[i].failed);
	}
}
