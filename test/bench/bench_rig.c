#include "test/bench/bench_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <rte_memzone.h>
#include <rte_ring.h>
#include <rte_tcp.h>

#include "primary/eal/test_eal.h"
#include "secondary/context/context.h"
#include "secondary/loop/loop.h"
#include "shared/names.h"
#include "shared/packet/checksum.h"
#include "shared/packet/hash.h"

enum {
	CHUNKS = 16384, /* 32 MB, as a worker has unless told */
	PASS = 4096,    /* packets */
	STAMPS = 12,    /* bytes of options */
	RING = 8192,
	HEADERS = sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) +
	          sizeof(struct rte_tcp_hdr),
	PAYLOAD = RIG_FRAME - HEADERS, /* of a step */
	ROUNDS_MAX = 1000,
	HUGE_PAGES_NEEDED = 260, /* 2 MB each: a million flows */
};

static const struct {
	uint8_t flags;
	bool from_server, payload;
} steps[STEPS + 1] = {
	[OPEN] = {RTE_TCP_SYN_FLAG, false, false},
	[OPEN_ACK] = {RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG, true, false},
	[ACK] = {RTE_TCP_ACK_FLAG, false, false},
	[ASK] = {RTE_TCP_ACK_FLAG, false, true},
	[ANSWER] = {RTE_TCP_ACK_FLAG, true, true},
	[CLOSE] = {RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG, false, false},
	[CLOSE_ACK] = {RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG, true, false},
	[LAST] = {RTE_TCP_ACK_FLAG, false, false},
	[RESET] = {RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG, true, false},
};

/* What one end of a flow sends next. */
struct end {
	uint32_t seq;  /* all before it was sent */
	uint16_t hole; /* bytes from there on that were not sent */
	uint16_t late; /* bytes behind the hole that were */
	uint16_t last; /* bytes of the segment in front of seq */
};

struct ends {
	struct end end[2];
};

/* What a packet is to be. */
struct plan {
	uint32_t flow;
	bool from_server;
	uint8_t flags;
	uint32_t seq, ack;
	uint32_t payload; /* bytes */
};

struct headers {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_tcp_hdr tcp;
	uint8_t rest[STAMPS + RIG_DATA_MAX]; /* options, if any, and payload */
} __attribute__((packed, aligned(2)));

struct rig rig;

static struct rte_mbuf *packet[PASS], *data_packet[2 * PASS]; /* the second: twice the first */
static unsigned next_packet;                                  /* of rig_data */
static uint64_t payload_sum[RIG_DATA_MAX + 1];                /* checksums, by length */
static uint64_t draws;
static int meta_offset;
static struct ends *ends; /* by flow */
static uint32_t *order;   /* flows as they come */
static uint32_t clock_ts; /* of both ends of every flow: one for each of its packets */

void rig_die(const char *why)
{
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, why);
	exit(EXIT_FAILURE);
}

/* ---- setting up ---- */

static long free_hugepages(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
	long n = 0;

	if (f != NULL && fscanf(f, "%ld", &n) != 1)
		n = 0;
	if (f != NULL)
		fclose(f);
	return n;
}

static void start_eal(char *cpu)
{
	bool huge = free_hugepages() >= HUGE_PAGES_NEEDED;
	char *const huge_args[] = {"-l", cpu, "--in-memory"};
	char *const small_args[] = {"-l", cpu, "--no-shconf", "--no-huge", "-m", "400"};
	int err = huge ? test_eal_init("bench", huge_args, RTE_DIM(huge_args))
	               : test_eal_init("bench", small_args, RTE_DIM(small_args));

	if (err < 0)
		rig_die("no EAL");
	printf("memory of flows and packets: %s pages\n", huge ? "2 MB" : "small");
}

static void make_packets(void)
{
	static const struct rte_mbuf_dynfield field = {
		.name = MOS_PKT_META_FIELD,
		.size = sizeof(struct mos_pkt_meta),
		.align = __alignof__(uint64_t),
	};
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		MOS_PKT_POOL, PASS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);

	meta_offset = rte_mbuf_dynfield_register(&field);
	if (meta_offset < 0 || pool == NULL || rte_pktmbuf_alloc_bulk(pool, packet, PASS) != 0)
		rig_die("no packets");
	for (unsigned i = 0; i < PASS; i++) {
		struct headers *h = (void *)rte_pktmbuf_append(packet[i], sizeof(*h));

		memset(h, 0, HEADERS);
		memset(h->rest, RIG_BYTE, sizeof(h->rest));
		packet[i]->ol_flags = 0;
		data_packet[i] = data_packet[PASS + i] = packet[i];
	}
	for (uint32_t len = 0; len <= RIG_DATA_MAX; len++)
		payload_sum[len] = mos_csum_partial(
			rte_pktmbuf_mtod(packet[0], struct headers *)->rest, len, 0);
}

void rig_start(char *cpu)
{
	start_eal(cpu);
	make_packets();
	mos_sockets_on_stack_thread();
}

static void make_shard(uint32_t flows)
{
	size_t ring = (size_t)rte_ring_get_memsize(RING);
	const struct rte_memzone *mz;
	struct mos_shard_plan plan;

	if (mos_shard_plan(&plan, ring, ring, flows, 0, CHUNKS) != 0)
		rig_die("no plan");
	mz = rte_memzone_reserve_aligned("bench_shard", plan.total, SOCKET_ID_ANY, 0,
	                                 MOS_CACHE_LINE);
	if (mz == NULL)
		rig_die("not enough memory for the flows");
	rig.shard = mz->addr;
	memset(rig.shard, 0, plan.total);
	if (mos_shard_new(rig.shard, &plan, 0, flows) != 0 ||
	    rte_ring_init(rig.shard->rx, "rx", RING, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0 ||
	    rte_ring_init(rig.shard->tx, "tx", RING, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0)
		rig_die("no shard");
	mos_shard_publish(rig.shard);
}

static void make_context(bool verify)
{
	struct mos_root *root = &rig.root;
	struct mos_ctx *ctx = &mos_worker.ctx[0];

	if (mos_root_new(root, 1, 2, "bench") != 0)
		rig_die("no root");
	root->meta_offset = meta_offset;
	root->shard[0] = rig.shard;
	root->run = MOS_RUN_RUNNING;
	root->settings.max_flows = rig.shard->max_flows;
	root->settings.rmem_size = 65536;
	root->settings.forward = 1;
	root->settings.verify_tcp_csum = verify;
	mos_root_publish(root);
	memset(ctx, 0, sizeof(*ctx));
	ctx->root = root;
	ctx->shard = rig.shard;
	ctx->ctl_fd = -1;
	ctx->thread = pthread_self();
	if (mos_context_prepare(ctx) != 0 || mos_context_adopt(ctx) != 0)
		rig_die("no context");
	atomic_store(&ctx->state, MOS_CTX_RUNNING);
	rig.ctx = ctx;
}

static void shuffle_order(void)
{
	for (uint32_t i = 0; i < rig.flow_count; i++)
		order[i] = i;
	for (uint32_t i = rig.flow_count - 1; i > 0; i--) {
		uint32_t k = (uint32_t)(mos_mix64(i) % (i + 1)), swap = order[i];

		order[i] = order[k];
		order[k] = swap;
	}
}

void rig_open(uint32_t flows, bool verify)
{
	rig.flow_count = flows;
	ends = calloc(flows, sizeof(*ends));
	order = calloc(flows, sizeof(*order));
	if (ends == NULL || order == NULL)
		rig_die("out of memory");
	shuffle_order();
	make_shard(flows);
	make_context(verify);
	rig_forget_numbers();
}

void rig_close(void)
{
	mos_context_clear(rig.ctx);
	rte_memzone_free(rte_memzone_lookup("bench_shard"));
	free(ends);
	free(order);
}

/* ---- packets ---- */

static void write_addresses(struct headers *h, uint32_t flow, bool from_server)
{
	uint32_t client = rte_cpu_to_be_32(0x0a000000 + flow),
		 server = rte_cpu_to_be_32(0xc0a80001);
	uint16_t port = rte_cpu_to_be_16((uint16_t)(1024 + flow % 60000)),
		 http = rte_cpu_to_be_16(80);

	h->ip.src_addr = from_server ? server : client;
	h->ip.dst_addr = from_server ? client : server;
	h->tcp.src_port = from_server ? http : port;
	h->tcp.dst_port = from_server ? port : http;
}

/* Payload is summed up but once, and not touched again: it would come near for the worker. */
static void write_checksums(struct headers *h, uint32_t hdr_len, uint32_t payload)
{
	uint64_t sum = mos_csum_partial(&h->ip.src_addr, 8, payload_sum[payload]);

	sum += rte_cpu_to_be_16(IPPROTO_TCP) +
	       (uint64_t)rte_cpu_to_be_16((uint16_t)(hdr_len + payload));
	h->tcp.cksum = 0;
	h->tcp.cksum = mos_csum_fold(mos_csum_partial(&h->tcp, hdr_len, sum));
	h->ip.hdr_checksum = 0;
	h->ip.hdr_checksum = mos_csum_fold(mos_csum_partial(&h->ip, sizeof(h->ip), 0));
}

/* The timestamp of the packet before is echoed. */
static void write_stamps(struct headers *h, uint8_t flags)
{
	bool first = (flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) == RTE_TCP_SYN_FLAG;
	const uint32_t opt[] = {
		rte_cpu_to_be_32(0x0101080a),
		rte_cpu_to_be_32(1000 + clock_ts),
		rte_cpu_to_be_32(first ? 0 : 999 + clock_ts),
	};

	memcpy(h->rest, opt, sizeof(opt));
}

static void write_packet(struct rte_mbuf *m, const struct plan *p)
{
	struct headers *h = rte_pktmbuf_mtod(m, struct headers *);
	struct mos_pkt_meta *meta = RTE_MBUF_DYNFIELD(m, meta_offset, struct mos_pkt_meta *);
	uint32_t opts = rig.stamps ? STAMPS : 0, hdr_len = sizeof(h->tcp) + opts,
		 frame = RTE_MAX(HEADERS + opts + p->payload, RIG_FRAME + opts);

	h->eth.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	h->ip.version_ihl = 0x45;
	h->ip.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(h->ip) + hdr_len + p->payload));
	h->ip.time_to_live = 64;
	h->ip.next_proto_id = IPPROTO_TCP;
	write_addresses(h, p->flow, p->from_server);
	h->tcp.sent_seq = rte_cpu_to_be_32(p->seq);
	h->tcp.recv_ack = rte_cpu_to_be_32(p->ack);
	h->tcp.data_off = (uint8_t)(hdr_len / 4 << 4);
	if (rig.stamps)
		write_stamps(h, p->flags);
	else
		memset(h->rest, RIG_BYTE, STAMPS);
	h->tcp.tcp_flags = p->flags;
	h->tcp.rx_win = rte_cpu_to_be_16(UINT16_MAX);
	write_checksums(h, hdr_len, p->payload);

	m->data_len = (uint16_t)frame;
	m->pkt_len = frame;
	memset(meta, 0, sizeof(*meta));
	mos_pkt_parse(meta, (const uint8_t *)h, frame, frame, 7);
	meta->out_port = 1;
	meta->owner = 1;
}

/* The packet `step` of a flow. */
static struct plan plan_step(uint32_t flow, enum rig_step step)
{
	bool server = steps[step].from_server;
	struct end *from = &ends[flow].end[server], *to = &ends[flow].end[!server];
	struct plan p = {
		.flow = flow,
		.from_server = server,
		.flags = steps[step].flags,
		.seq = from->seq,
		.ack = step == OPEN ? 0 : to->seq,
		.payload = steps[step].payload ? PAYLOAD : 0,
	};

	from->seq += p.payload + !!(p.flags & (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG));
	rig.sent += p.payload;
	return p;
}

/* Out of 1000. */
static unsigned draw(void)
{
	return (unsigned)(mos_mix64(++draws) >> 32) % 1000;
}

static uint16_t draw_size(const struct rig_traffic *t)
{
	unsigned n = 1;

	while (n < RTE_DIM(t->size) && t->size[n] != 0)
		n++;
	return t->size[n == 1 ? 0 : draw() % n];
}

/* A data segment of a flow: what fills its hole, or is new, or leaves a hole, or comes again. */
static struct plan plan_data(uint32_t flow, bool from_server, const struct rig_traffic *t)
{
	struct end *from = &ends[flow].end[from_server];
	struct plan p = {
		.flow = flow,
		.from_server = from_server,
		.flags = RTE_TCP_ACK_FLAG,
		.seq = from->seq,
		.ack = ends[flow].end[!from_server].seq,
	};
	unsigned lot = t->swapped + t->resent > 0 ? draw() : 0;

	if (from->hole != 0) {
		p.payload = from->hole;
		from->seq += (uint32_t)from->hole + from->late;
		from->last = from->late;
		from->hole = 0;
		rig.sent += p.payload;
		return p;
	}
	if (lot < t->swapped) {
		from->hole = draw_size(t);
		from->late = draw_size(t);
		p.seq += from->hole;
		p.payload = from->late;
		rig.sent += p.payload;
		return p;
	}
	if (lot < t->swapped + t->resent && from->last != 0) {
		p.seq -= from->last;
		p.payload = from->last;
		return p;
	}
	from->last = draw_size(t);
	from->seq += from->last;
	p.payload = from->last;
	rig.sent += p.payload;
	return p;
}

void rig_forget_numbers(void)
{
	for (uint32_t i = 0; i < rig.flow_count; i++)
		ends[i] = (struct ends){{{.seq = i * 77u}, {.seq = i * 99u}}};
	rig.sent = 0;
}

/* ---- measuring ---- */

void rig_note(struct rig_samples *s, uint64_t cycles, uint64_t n)
{
	if (s != NULL && s->count < RIG_PASSES_MAX)
		s->cycles[s->count++] = cycles * 100 / n;
}

/* One pass over n packets, which were written. */
static void run_pass(struct rte_mbuf **pkts, uint32_t n, struct rig_samples *s)
{
	uint64_t start, left = n;
	void *out[PASS];

	if (rte_ring_sp_enqueue_bulk(rig.shard->rx, (void **)pkts, n, NULL) != n)
		rig_die("rx ring is full");
	start = mos_tsc();
	while (left > 0)
		left -= mos_loop_round(rig.ctx);
	rig_note(s, mos_tsc() - start, n);
	if (rte_ring_sc_dequeue_bulk(rig.shard->tx, out, n, NULL) != n)
		rig_die("packets are missing");
}

static uint32_t pass_at(uint32_t at)
{
	return RTE_MIN(rig.flow_count - at, (uint32_t)PASS);
}

void rig_step(enum rig_step step, struct rig_samples *s)
{
	clock_ts++;
	for (uint32_t at = 0; at < rig.flow_count; at += PASS) {
		uint32_t n = pass_at(at);

		for (uint32_t i = 0; i < n; i++) {
			struct plan p = plan_step(order[at + i], step);

			write_packet(packet[i], &p);
		}
		run_pass(packet, n, s);
	}
}

/* The packets of the next pass: those that were not used for longest. */
static struct rte_mbuf **take_packets(uint32_t n)
{
	struct rte_mbuf **pkts = &data_packet[next_packet];

	next_packet = (next_packet + n) % PASS;
	return pkts;
}

void rig_data(const struct rig_traffic *t, bool from_server, struct rig_samples *s)
{
	clock_ts++;
	for (uint32_t at = 0; at < rig.flow_count; at += PASS) {
		uint32_t n = pass_at(at);
		struct rte_mbuf **pkts = take_packets(n);

		for (uint32_t i = 0; i < n; i++) {
			struct plan p = plan_data(order[at + i], from_server, t);

			write_packet(pkts[i], &p);
		}
		run_pass(pkts, n, s);
	}
}

static void copy_pass(struct rte_mbuf **pkts, uint32_t n, struct rig_samples *s)
{
	static char to[RIG_DATA_MAX];
	uint64_t start = mos_tsc();

	for (uint32_t i = 0; i < n; i++) {
		const struct mos_pkt_meta *meta =
			RTE_MBUF_DYNFIELD(pkts[i], meta_offset, struct mos_pkt_meta *);

		memcpy(to, rte_pktmbuf_mtod_offset(pkts[i], char *, meta->payload_off),
		       meta->payload_len);
		__asm__ volatile("" : : "r"(to) : "memory"); /* each copy counts */
	}
	rig_note(s, mos_tsc() - start, n);
}

void rig_copy(const struct rig_traffic *t, struct rig_samples *s)
{
	for (uint32_t at = 0; at < rig.flow_count; at += PASS) {
		uint32_t n = pass_at(at);
		struct rte_mbuf **pkts = take_packets(n);

		for (uint32_t i = 0; i < n; i++) {
			struct plan p = {.flow = order[at + i], .payload = draw_size(t)};

			write_packet(pkts[i], &p);
		}
		copy_pass(pkts, n, s);
	}
}

/* ---- time ---- */

static double end_of_part;

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void rig_begin_part(double seconds)
{
	end_of_part = now_s() + seconds;
}

bool rig_goes_on(unsigned round)
{
	return round == 0 || (round < ROUNDS_MAX && now_s() < end_of_part);
}

/* ---- figures ---- */

static int by_value(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

struct rig_figure rig_figure_of(struct rig_samples *s)
{
	qsort(s->cycles, s->count, sizeof(s->cycles[0]), by_value);
	return (struct rig_figure){(double)s->cycles[0] / 100,
	                           (double)s->cycles[s->count / 2] / 100};
}
