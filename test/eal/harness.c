#include "test/eal/harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_mbuf_dyn.h>

#include "mos_ext.h"
#include "primary/crash/crash.h"
#include "primary/eal/test_eal.h"
#include "shared/names.h"
#include "shared/packet/test_frame.h"

#define POOL    2047
#define CHUNKS  512
#define WORKERS 4 /* one after the other, in one test */

struct harness hs;

static const struct rte_mbuf_dynfield meta_field = {
	.name = MOS_PKT_META_FIELD,
	.size = sizeof(struct mos_pkt_meta),
	.align = __alignof__(uint64_t),
};
static int meta_offset;
static struct mos_shard_plan plan;
static unsigned attached;    /* workers so far */
static unsigned in_the_pool; /* packets at hs_open: a test that failed may keep some */
static struct rte_mbuf *blank[HS_OUT_MAX]; /* of hs_open, and not sent yet */
static uint32_t blank_count;
static struct hs_out made[HS_OUT_MAX];

void hs_eal(void)
{
	test_eal_start("worker", "128");
	meta_offset = rte_mbuf_dynfield_register(&meta_field);
	hs.pool = rte_pktmbuf_pool_create(MOS_PKT_POOL, POOL, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
	                                  SOCKET_ID_ANY);
	if (meta_offset < 0 || hs.pool == NULL) {
		fprintf(stderr, "no dynamic field or no packets: skipped\n");
		exit(77);
	}
}

/* ---- root, shard, worker ---- */

static void *lines(size_t bytes)
{
	void *mem = aligned_alloc(MOS_CACHE_LINE, mos_align(bytes, MOS_CACHE_LINE));

	ck_assert_ptr_nonnull(mem);
	memset(mem, 0, bytes);
	return mem;
}

static void new_ring(struct rte_ring *r, const char *name, uint32_t count)
{
	ck_assert_int_eq(rte_ring_init(r, name, count, RING_F_SP_ENQ | RING_F_SC_DEQ), 0);
}

static void new_shard(uint32_t flows, uint32_t ring, uint32_t area)
{
	size_t ring_bytes = (size_t)rte_ring_get_memsize(ring);
	size_t blank_bytes = (size_t)rte_ring_get_memsize(HS_OUT_MAX);

	ck_assert_int_eq(mos_shard_plan(&plan, ring_bytes, blank_bytes, flows, area, CHUNKS), 0);
	hs.shard = lines(plan.total);
	ck_assert_int_eq(mos_shard_new(hs.shard, &plan, 0, flows), 0);
	new_ring(hs.shard->rx, "rx", ring);
	new_ring(hs.shard->tx, "tx", ring);
	new_ring(hs.shard->blank, "blank", HS_OUT_MAX);
	mos_shard_publish(hs.shard);
}

static void fill_blanks(uint32_t n)
{
	ck_assert_uint_le(n, HS_OUT_MAX);
	ck_assert_int_eq(rte_pktmbuf_alloc_bulk(hs.pool, blank, n), 0);
	for (uint32_t i = 0; i < n; i++) {
		*hs_meta(blank[i]) = (struct mos_pkt_meta){.owner = 1};
		ck_assert_int_eq(rte_ring_sp_enqueue(hs.shard->blank, blank[i]), 0);
	}
	blank_count = n;
}

static void fill_ports(void)
{
	for (uint8_t i = 0; i < hs.root->port_count; i++) {
		struct mos_port_row *row = &hs.root->port[i];

		row->pair = !i;
		row->mtu = 1500;
		row->link_up = 1;
	}
}

void hs_open(const struct hs_opt *opt)
{
	static const struct hs_opt usual;
	struct mos_settings *set;

	if (opt == NULL)
		opt = &usual;
	new_shard(opt->flows ? opt->flows : 64, opt->ring ? opt->ring : 256, opt->flow_area);
	hs.root = lines(sizeof(*hs.root));
	ck_assert_int_eq(mos_root_new(hs.root, 1, 2, "test"), 0);
	hs.root->meta_offset = meta_offset;
	hs.root->port[0].mtu = hs.root->port[1].mtu = 1500;
	hs.root->hash_seed = 7;
	hs.root->shard[0] = hs.shard;
	hs.root->run = MOS_RUN_RUNNING;
	set = &hs.root->settings;
	set->max_flows = hs.shard->max_flows;
	set->tcp_timeout_ms = opt->timeout_ms ? opt->timeout_ms : 30000;
	set->tcp_tw_ms = opt->tw_ms;
	set->rmem_size = 8192;
	set->flow_area = opt->flow_area;
	set->forward = 1;
	set->clock_packet = !opt->wall_clock;
	set->ipv6 = !opt->no_ipv6;
	set->verify_tcp_csum = !opt->trust_csum;
	hs.now_ns = HS_START_NS;
	hs.root->clock_ns = hs.now_ns;
	fill_ports();
	mos_root_publish(hs.root);
	hs.made = made;
	hs.sent = hs.came_out = hs.dropped = 0;
	hs.may_drop = false;
	in_the_pool = rte_mempool_avail_count(hs.pool);
	fill_blanks(opt->blanks ? opt->blanks : 16);
	hs.show_sock = false;
	hs.act = NULL;
	hs.out = NULL;
	attached = 0;
	hs_attach(0);
	hs_clear();
}

void hs_attach(unsigned i)
{
	struct mos_ctx *c = &mos_worker.ctx[i];

	ck_assert_uint_lt(i, WORKERS);
	memset(c, 0, sizeof(*c));
	c->api.cpu = (int)i;
	c->root = hs.root;
	c->shard = hs.shard;
	c->ctl_fd = -1;
	c->thread = pthread_self();
	c->epoch = mos_lease_grant(&hs.shard->lease, (int32_t)(100 + i), 1, i + 1);
	ck_assert_uint_ne(c->epoch, 0);
	ck_assert_int_eq(mos_context_prepare(c), 0);
	ck_assert_int_eq(mos_context_adopt(c), 0);
	atomic_store(&c->state, MOS_CTX_RUNNING);
	hs.c = c;
	attached = i + 1;
}

/* Send what was sent in front of packet i. */
static void bury_outbox(uint32_t count, uint32_t i, uint32_t *next)
{
	const struct mos_outbox_entry *e = hs.shard->outbox.entry;

	for (; *next < count && e[*next].before <= i; (*next)++)
		ck_assert_int_eq(rte_ring_sp_enqueue(hs.shard->tx, e[*next].mbuf), 0);
}

struct mos_ledger_verdict hs_bury(void)
{
	struct mos_shard *s = hs.shard;
	struct mos_ledger_verdict v;
	uint32_t next = 0;
	void *m;

	atomic_store(&hs.c->state, MOS_CTX_BUSY); /* nobody will use it again */
	ck_assert(mos_lease_declare_dead(&s->lease));
	mos_ring_repair_consumer(s->rx);
	mos_ring_repair_producer(s->tx);
	ck_assert(mos_ledger_resolve(&s->ledger, s->rx->cons.tail, s->tx->prod.tail,
	                             rte_ring_count(s->rx), &v));
	for (uint32_t i = 0; i < v.done + v.suspect; i++) {
		bury_outbox(v.outbox, i, &next);
		ck_assert_int_eq(rte_ring_sc_dequeue(s->rx, &m), 0);
		if (!v.sent)
			ck_assert_int_eq(rte_ring_sp_enqueue(s->tx, m), 0);
	}
	bury_outbox(v.outbox, v.done, &next);
	ck_assert_uint_eq(next, v.outbox);
	if (v.flow != MOS_FLOW_NONE)
		mos_flow_at(&hs.c->flows, v.flow)->flags |= MOS_FLOW_TORN;
	mos_ledger_reset(&s->ledger);
	ck_assert(mos_lease_release(&s->lease));
	return v;
}

/* ---- log ---- */

void hs_clear(void)
{
	hs.log_len = 0;
	hs.log[0] = '\0';
	hs.last_line = 0;
	hs.made_count = hs.net_count = 0;
}

static const char *event_name(event_t event)
{
	switch (event) {
	case MOS_ON_PKT_IN: return "PKT_IN";
	case MOS_ON_CONN_START: return "CONN_START";
	case MOS_ON_TCP_STATE_CHANGE: return "STATE_CHANGE";
	case MOS_ON_CONN_END: return "CONN_END";
	case MOS_ON_REXMIT: return "REXMIT";
	case MOS_ON_CONN_NEW_DATA: return "NEW_DATA";
	case MOS_ON_ERROR: return "ERROR";
	case MOS_ON_ORPHAN: return "ORPHAN";
	case MOS_ON_CONN_RESTORE: return "RESTORE";
	default: return "?";
	}
}

__attribute__((format(printf, 1, 2))) static void append(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(hs.log + hs.log_len, sizeof(hs.log) - hs.log_len, fmt, ap);
	va_end(ap);
	hs.log_len += (size_t)n;
	ck_assert_uint_lt(hs.log_len, sizeof(hs.log));
}

static int state_of(mctx_t mctx, int sock, int which)
{
	int state = -1;
	socklen_t len = sizeof(state);

	return mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, which, &state, &len) == 0 ? state : -1;
}

static const char *side_name(int side)
{
	return side == MOS_SIDE_CLI ? "CLI" : side == MOS_SIDE_SVR ? "SVR" : "BOTH";
}

/* Begin a line, or take back the end of the one under way when the event belongs to it. */
static void begin_line(int sock, int side, event_t event, const char *hook, const char *states)
{
	uint64_t line = (uint64_t)(unsigned)sock << 16 | (unsigned)side << 8 | (uint8_t)hook[0];
	static event_t last_event;
	size_t tail = strlen(states) + 4; /* " [" "]\n" */

	if (line == hs.last_line && event > last_event && hs.log_len > tail &&
	    strncmp(hs.log + hs.log_len - tail + 2, states, strlen(states)) == 0) {
		hs.log_len -= tail;
	} else {
		if (hs.show_sock)
			append("%d ", sock >= MOS_MON_ID_MAX
			                      ? (sock - MOS_MON_ID_MAX) / (int)hs.shard->max_flows
			                      : sock);
		append("%s %s:", hook, side_name(side));
	}
	hs.last_line = line;
	last_event = event;
}

static void on(mctx_t mctx, int sock, int side, event_t event, const char *hook, int hook_point)
{
	char states[64] = "";

	if (hs.act != NULL)
		hs.act(sock, side, event, hook_point);
	if (sock >= MOS_MON_ID_MAX)
		snprintf(states, sizeof(states), "%s/%s",
		         mos_tcp_state_name(state_of(mctx, sock, MOS_TCP_STATE_CLI)),
		         mos_tcp_state_name(state_of(mctx, sock, MOS_TCP_STATE_SVR)));
	begin_line(sock, side, event, hook, states);
	append(" %s [%s]\n", event_name(event), states);
}

void hs_on_snd(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	on(mctx, sock, side, event, "SND", MOS_HK_SND);
}

void hs_on_rcv(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	on(mctx, sock, side, event, "RCV", MOS_HK_RCV);
}

void hs_on_null(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	on(mctx, sock, side, event, "NULL", MOS_NULL);
}

static void hs_register(int sock, event_t event, int hook, callback_t cb)
{
	ck_assert_int_eq(mtcp_register_callback(hs_mctx(), sock, event, hook, cb), 0);
}

int hs_passive(void)
{
	static const event_t events[] = {MOS_ON_PKT_IN, MOS_ON_CONN_START, MOS_ON_TCP_STATE_CHANGE,
	                                 MOS_ON_CONN_END};
	int sock = mtcp_socket(hs_mctx(), AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	ck_assert_int_ge(sock, 0);
	for (unsigned i = 0; i < RTE_DIM(events); i++) {
		hs_register(sock, events[i], MOS_HK_SND, hs_on_snd);
		hs_register(sock, events[i], MOS_HK_RCV, hs_on_rcv);
	}
	return sock;
}

int hs_passive_all(void)
{
	static const event_t at_null[] = {MOS_ON_PKT_IN, MOS_ON_CONN_NEW_DATA, MOS_ON_ERROR,
	                                  MOS_ON_ORPHAN};
	int sock = hs_passive();

	hs_register(sock, MOS_ON_REXMIT, MOS_HK_SND, hs_on_snd);
	hs_register(sock, MOS_ON_REXMIT, MOS_HK_RCV, hs_on_rcv);
	for (unsigned i = 0; i < RTE_DIM(at_null); i++)
		hs_register(sock, at_null[i], MOS_NULL, hs_on_null);
	return sock;
}

int hs_raw(void)
{
	mctx_t mctx = hs_mctx();
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_RAW, 0);

	ck_assert_int_ge(sock, 0);
	ck_assert_int_eq(mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_NULL, hs_on_null),
	                 0);
	return sock;
}

/* ---- packets ---- */

struct mos_pkt_meta *hs_meta(struct rte_mbuf *m)
{
	return RTE_MBUF_DYNFIELD(m, meta_offset, struct mos_pkt_meta *);
}

struct rte_mbuf *hs_send_frame(const void *bytes, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(hs.pool);
	struct mos_pkt_meta *meta;

	ck_assert_ptr_nonnull(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), bytes, len);
	meta = hs_meta(m);
	memset(meta, 0, sizeof(*meta));
	mos_pkt_parse(meta, bytes, len, len, hs.root->hash_seed);
	meta->ts_ns = hs.now_ns;
	meta->in_port = 0;
	meta->out_port = 1;
	meta->owner = 1;
	meta->verdict = MOS_VERDICT_FORWARD;
	hs.root->clock_ns = hs.now_ns;
	ck_assert_int_eq(rte_ring_sp_enqueue(hs.shard->rx, m), 0);
	hs.sent++;
	return m;
}

static void swap_bytes(uint8_t *a, uint8_t *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint8_t t = a[i];

		a[i] = b[i];
		b[i] = t;
	}
}

static void put32(uint8_t *at, uint32_t v)
{
	v = htonl(v);
	memcpy(at, &v, sizeof(v));
}

/* The checksum of TCP over the frame as it stands. */
static void put_tcp_sum(struct test_frame *f, bool ip6)
{
	uint32_t len = f->len - f->l4_off, addrs = ip6 ? 8 : 12, addrs_len = ip6 ? 32 : 8;
	uint64_t sum = mos_csum_partial(f->b + f->l3_off + addrs, addrs_len, 0);
	uint16_t folded;

	sum += htons((uint16_t)len) + (uint64_t)htons(IPPROTO_TCP);
	memset(f->b + f->l4_off + 16, 0, 2);
	folded = mos_csum_fold(mos_csum_partial(f->b + f->l4_off, len, sum));
	memcpy(f->b + f->l4_off + 16, &folded, sizeof(folded));
}

struct rte_mbuf *hs_send(const struct hs_pkt *p)
{
	uint32_t addr_len = p->ip6 ? 16 : 4;
	struct test_frame f;
	uint8_t *src, *tcp;

	tf_start(&f);
	if (p->vlan != 0)
		tf_vlan(&f, ETH_P_8021Q, p->vlan);
	if (p->ip6)
		tf_ip6(&f, IPPROTO_TCP);
	else
		tf_ip4(&f, 0, IPPROTO_TCP);
	src = f.b + f.l3_off + (p->ip6 ? 8 : 12);
	src[addr_len - 1] = (uint8_t)(1 + p->flow);
	src[addr_len - 2] = (uint8_t)((1 + p->flow) >> 8);
	tf_tcp(&f, p->ts != 0 ? 12 : 0);
	tcp = f.b + f.l4_off;
	tf_payload(&f, p->payload);
	if (p->bytes != NULL)
		memcpy(f.b + f.payload_off, p->bytes, p->payload);
	if (p->from == MOS_SVR) {
		swap_bytes(src, src + addr_len, addr_len);
		swap_bytes(tcp, tcp + 2, 2);
	}
	put32(tcp + 4, p->seq);
	put32(tcp + 8, p->ack);
	tcp[13] = p->flags;
	tcp[14] = (uint8_t)((p->wnd ? p->wnd : HS_WND) >> 8);
	tcp[15] = (uint8_t)(p->wnd ? p->wnd : HS_WND);
	if (p->ts != 0) {
		put32(tcp + 20, 0x0101080a);
		put32(tcp + 24, p->ts);
		put32(tcp + 28, p->ts_ecr);
	}
	tf_finish(&f);
	put_tcp_sum(&f, p->ip6);
	if (p->bad_sum)
		tcp[17] ^= 1;
	if (f.len < 60)
		tf_pad(&f, 60 - f.len);
	return hs_send_frame(f.b, f.len);
}

/* ---- rounds ---- */

/* True once: the pool may give it to the network later. */
static bool was_blank(const struct rte_mbuf *m)
{
	for (uint32_t i = 0; i < blank_count; i++) {
		if (blank[i] == m) {
			blank[i] = blank[--blank_count];
			return true;
		}
	}
	return false;
}

/* Note what the application has sent. */
static void take_sent(struct rte_mbuf *m)
{
	struct hs_out *o = &hs.made[hs.made_count++];

	ck_assert_uint_le(hs.made_count, HS_OUT_MAX);
	ck_assert_uint_eq(hs_meta(m)->owner, 1);
	ck_assert_uint_eq(hs_meta(m)->verdict, MOS_VERDICT_FORWARD);
	ck_assert_uint_eq(m->nb_segs, 1);
	ck_assert_uint_eq(m->data_len, m->pkt_len);
	o->len = m->pkt_len;
	ck_assert_uint_le(o->len, sizeof(o->bytes));
	memcpy(o->bytes, rte_pktmbuf_mtod(m, const void *), o->len);
	o->meta = *hs_meta(m);
	o->ol_flags = m->ol_flags;
	o->behind = hs.net_count;
	rte_pktmbuf_free(m);
}

/* What the tx ring holds is what was first in the rx ring, whole and with a verdict. */
static void take_out(void *const *first, uint32_t n)
{
	struct rte_mbuf *m = NULL;
	uint32_t i = 0;

	while (rte_ring_sc_dequeue(hs.shard->tx, (void **)&m) == 0) {
		uint8_t verdict;

		if (was_blank(m)) {
			take_sent(m);
			continue;
		}
		ck_assert_uint_lt(i, n);
		ck_assert_ptr_eq(m, first[i++]);
		hs.net_count++;
		ck_assert_uint_eq(hs_meta(m)->owner, 1);
		verdict = hs_meta(m)->verdict;
		ck_assert(verdict == MOS_VERDICT_FORWARD ||
		          (verdict == MOS_VERDICT_DROP && hs.may_drop));
		hs.dropped += verdict == MOS_VERDICT_DROP;
		if (hs.out != NULL)
			hs.out(m);
		rte_pktmbuf_free(m);
	}
	ck_assert_uint_eq(i, n);
	hs.came_out += n;
}

/* Take what a worker that is dead by now, or its burial, left in the tx ring. */
static void take_leftovers(void)
{
	struct rte_mbuf *m = NULL;

	while (rte_ring_sc_dequeue(hs.shard->tx, (void **)&m) == 0) {
		if (was_blank(m)) {
			take_sent(m);
			continue;
		}
		rte_pktmbuf_free(m);
		hs.came_out++;
		hs.net_count++;
	}
}

uint32_t hs_round(void)
{
	struct rte_ring *rx = hs.shard->rx;
	void *first[MOS_BURST_MAX];
	uint32_t waiting = rte_ring_count(rx), beats = (uint32_t)hs.shard->lease.heartbeat, n;

	take_leftovers();
	for (uint32_t i = 0; i < waiting && i < MOS_BURST_MAX; i++)
		first[i] = ((void **)&rx[1])[(rx->cons.tail + i) & rx->mask];
	n = mos_loop_round(hs.c);
	ck_assert_uint_eq(n, waiting < MOS_BURST_MAX ? waiting : MOS_BURST_MAX);
	ck_assert_uint_eq(rte_ring_count(rx), waiting - n);
	ck_assert_uint_eq(rx->cons.head, rx->cons.tail);
	ck_assert_uint_eq(hs.shard->ledger.count, 0);
	ck_assert_uint_eq(hs.shard->ledger.stage, MOS_STAGE_IDLE);
	ck_assert_uint_eq(hs.shard->ledger.flow, MOS_FLOW_NONE);
	ck_assert_uint_eq((uint32_t)hs.shard->lease.heartbeat, beats + 1);
	take_out(first, n);
	ck_assert(rte_ring_empty(hs.shard->tx));
	return n;
}

void hs_advance(uint64_t ms)
{
	hs.now_ns += ms * 1000000;
	hs.root->clock_ns = hs.now_ns;
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(hs_round(), 0);
}

static event_t act_on;
static int act_hook;
static void (*act_body)(int sock, int side);

static void act_filtered(int sock, int side, event_t event, int hook)
{
	if (event == act_on && hook == act_hook) {
		hs.acted++;
		act_body(sock, side);
	}
}

void hs_act_on(event_t event, int hook, void (*body)(int sock, int side))
{
	act_on = event;
	act_hook = hook;
	act_body = body;
	hs.acted = 0;
	hs.act = act_filtered;
}

void hs_in_callback(event_t event, int hook, void (*body)(int sock, int side),
                    const struct hs_pkt *p)
{
	hs_act_on(event, hook, body);
	hs_send(p);
	hs_round();
	ck_assert_uint_gt(hs.acted, 0);
	hs.act = NULL;
	hs_clear();
}

void hs_handshake(uint32_t flow)
{
	const struct hs_pkt p[] = {
		{MOS_CLI, MOS_TCP_SYN, 1000, .flow = flow},
		{MOS_SVR, MOS_TCP_SYN | MOS_TCP_ACK, 5000, 1001, .flow = flow},
		{MOS_CLI, MOS_TCP_ACK, 1001, 5001, .flow = flow},
	};

	for (int i = 0; i < 3; i++) {
		hs_send(&p[i]);
		ck_assert_uint_eq(hs_round(), 1);
	}
	hs_clear();
}

void hs_close(void)
{
	struct rte_mbuf *m = NULL;

	for (unsigned i = 0; i < attached; i++)
		mos_context_clear(&mos_worker.ctx[i]);
	for (unsigned i = 0; i < attached; i++)
		memset(&mos_worker.ctx[i], 0, sizeof(struct mos_ctx));
	take_leftovers();
	while (rte_ring_sc_dequeue(hs.shard->rx, (void **)&m) == 0) {
		rte_pktmbuf_free(m);
		hs.came_out++;
	}
	ck_assert_uint_eq(hs.came_out, hs.sent);
	while (rte_ring_sc_dequeue(hs.shard->blank, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	ck_assert_uint_eq(rte_mempool_avail_count(hs.pool), in_the_pool);
	free(hs.shard);
	free(hs.root);
}
