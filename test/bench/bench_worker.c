/*
 * TSC cycles per packet of the worker's loop, fed from memory, one core: rounds of mos_loop_round()
 * from a full rx ring into an empty tx ring, with one passive socket whose PKT_IN callback at SND
 * counts and does nothing else.
 *
 *   connection  every packet of each flow, SYN to last ACK: 8 packets, all flows open at once
 *   data        segments of flows that are open
 *
 * Frames of 64 bytes. A pass takes 4096 packets. Before it, untimed, each mbuf gets the headers of
 * the next flow in a random order, is parsed as the primary does it, and put into the ring: packets
 * come from the caches, as after a NIC's DMA; records and index come from wherever they are. No two
 * packets of a burst belong to one flow, which is the worst case.
 *
 *   bench_worker [CPU]
 *
 * Printed: the least pass and the median of all; for connections the mean over their packets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <rte_memzone.h>
#include <rte_ring.h>
#include <rte_tcp.h>

#include "primary/eal/eal_primary.h"
#include "secondary/context/context.h"
#include "secondary/loop/loop.h"
#include "shared/names.h"
#include "shared/packet/checksum.h"
#include "shared/packet/hash.h"

enum {
	PASS = 4096, /* packets */
	RING = 8192,
	FRAME = 64,
	PAYLOAD = FRAME - sizeof(struct rte_ether_hdr) - sizeof(struct rte_ipv4_hdr) -
	          sizeof(struct rte_tcp_hdr),
	PASSES_MAX = 4096,
	DATA = 8,                /* the row behind those of the steps */
	HUGE_PAGES_NEEDED = 200, /* 2 MB each: a million flows */
};

/* The packets of a connection; the last ACK ends it. */
enum step { OPEN, OPEN_ACK, ACK, ASK, ANSWER, CLOSE, CLOSE_ACK, LAST, STEPS };

static const struct {
	uint8_t flags;
	bool from_server, payload;
} steps[STEPS] = {
	[OPEN] = {RTE_TCP_SYN_FLAG, false, false},
	[OPEN_ACK] = {RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG, true, false},
	[ACK] = {RTE_TCP_ACK_FLAG, false, false},
	[ASK] = {RTE_TCP_ACK_FLAG, false, true},
	[ANSWER] = {RTE_TCP_ACK_FLAG, true, true},
	[CLOSE] = {RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG, false, false},
	[CLOSE_ACK] = {RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG, true, false},
	[LAST] = {RTE_TCP_ACK_FLAG, false, false},
};

/* What the two ends of a flow send next. */
struct ends {
	uint32_t seq[2];
};

struct headers {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_tcp_hdr tcp;
	uint8_t payload[PAYLOAD];
} __attribute__((packed, aligned(2)));

static struct mos_root root;
static struct mos_shard *shard;
static struct mos_ctx *ctx;
static struct rte_mbuf *packet[PASS];
static int meta_offset;

static uint32_t flow_count;
static struct ends *ends; /* by flow */
static uint32_t *order;   /* flows as they come */
static uint64_t seen;     /* by the callback */

/* Cycles of 100 packets, pass by pass, of each step and of DATA. */
static uint64_t pass_cycles[DATA + 1][PASSES_MAX];
static unsigned pass_count[DATA + 1];

static void die(const char *why)
{
	fprintf(stderr, "bench_worker: %s\n", why);
	exit(EXIT_FAILURE);
}

/* ---- setting up ---- */

static char file_prefix[32];

/* EAL leaves its runtime directory behind. */
static void end_eal(void)
{
	rte_eal_cleanup();
	mos_eal_primary_wipe_stale(file_prefix);
}

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
	char prefix[64];
	char *argv[] = {"bench",
	                "-l",
	                cpu,
	                "--no-pci",
	                "--no-telemetry",
	                "--log-level",
	                "error",
	                prefix,
	                huge ? "--in-memory" : "--no-shconf",
	                "--no-huge",
	                "-m",
	                "400"};

	snprintf(file_prefix, sizeof(file_prefix), "bench%d", getpid());
	snprintf(prefix, sizeof(prefix), "--file-prefix=%s", file_prefix);
	if (rte_eal_init((int)RTE_DIM(argv) - (huge ? 3 : 0), argv) < 0)
		die("no EAL");
	atexit(end_eal);
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
		die("no packets");
	for (unsigned i = 0; i < PASS; i++) {
		memset(rte_pktmbuf_append(packet[i], FRAME), 0, FRAME);
		packet[i]->ol_flags = 0;
	}
}

static void count(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	seen++;
}

static void start_worker(bool verify)
{
	mctx_t mctx;
	int sock;

	if (mos_root_new(&root, 1, 2, "bench") != 0)
		die("no root");
	root.meta_offset = meta_offset;
	root.shard[0] = shard;
	root.run = MOS_RUN_RUNNING;
	root.settings.max_flows = shard->max_flows;
	root.settings.forward = 1;
	root.settings.verify_tcp_csum = verify;
	mos_root_publish(&root);
	ctx = &mos_worker.ctx[0];
	memset(ctx, 0, sizeof(*ctx));
	ctx->root = &root;
	ctx->shard = shard;
	ctx->ctl_fd = -1;
	ctx->thread = pthread_self();
	if (mos_context_prepare(ctx) != 0)
		die("no context");
	atomic_store(&ctx->state, MOS_CTX_RUNNING);
	mctx = &ctx->api;
	sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	if (sock < 0 || mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, count) != 0)
		die("no socket");
}

static void make_shard(uint32_t flows)
{
	size_t ring = (size_t)rte_ring_get_memsize(RING);
	const struct rte_memzone *mz;
	struct mos_shard_plan plan;

	if (mos_shard_plan(&plan, ring, ring, flows, 0) != 0)
		die("no plan");
	mz = rte_memzone_reserve_aligned("bench_shard", plan.total, SOCKET_ID_ANY, 0,
	                                 MOS_CACHE_LINE);
	if (mz == NULL)
		die("not enough memory for the flows");
	shard = mz->addr;
	memset(shard, 0, plan.total);
	if (mos_shard_new(shard, &plan, 0, flows) != 0 ||
	    rte_ring_init(shard->rx, "rx", RING, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0 ||
	    rte_ring_init(shard->tx, "tx", RING, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0)
		die("no shard");
	mos_shard_publish(shard);
}

static void shuffle_order(void)
{
	for (uint32_t i = 0; i < flow_count; i++)
		order[i] = i;
	for (uint32_t i = flow_count - 1; i > 0; i--) {
		uint32_t k = (uint32_t)(mos_mix64(i) % (i + 1)), swap = order[i];

		order[i] = order[k];
		order[k] = swap;
	}
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

static void write_checksums(struct headers *h, uint32_t tcp_len)
{
	uint64_t sum = mos_csum_partial(&h->ip.src_addr, 8, 0);

	sum += rte_cpu_to_be_16(IPPROTO_TCP) + (uint64_t)rte_cpu_to_be_16((uint16_t)tcp_len);
	h->tcp.cksum = 0;
	h->tcp.cksum = mos_csum_fold(mos_csum_partial(&h->tcp, tcp_len, sum));
	h->ip.hdr_checksum = 0;
	h->ip.hdr_checksum = mos_csum_fold(mos_csum_partial(&h->ip, sizeof(h->ip), 0));
}

/* Make m the packet `step` of a flow. */
static void write_packet(struct rte_mbuf *m, uint32_t flow, enum step step)
{
	struct headers *h = rte_pktmbuf_mtod(m, struct headers *);
	struct mos_pkt_meta *meta = RTE_MBUF_DYNFIELD(m, meta_offset, struct mos_pkt_meta *);
	uint32_t payload = steps[step].payload ? PAYLOAD : 0, tcp_len = sizeof(h->tcp) + payload;
	bool server = steps[step].from_server;
	struct ends *e = &ends[flow];

	h->eth.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	h->ip.version_ihl = 0x45;
	h->ip.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(h->ip) + tcp_len));
	h->ip.time_to_live = 64;
	h->ip.next_proto_id = IPPROTO_TCP;
	write_addresses(h, flow, server);
	h->tcp.sent_seq = rte_cpu_to_be_32(e->seq[server]);
	h->tcp.recv_ack = rte_cpu_to_be_32(step == OPEN ? 0 : e->seq[!server]);
	h->tcp.data_off = sizeof(h->tcp) / 4 << 4;
	h->tcp.tcp_flags = steps[step].flags;
	h->tcp.rx_win = rte_cpu_to_be_16(UINT16_MAX);
	write_checksums(h, tcp_len);
	e->seq[server] += payload + !!(steps[step].flags & (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG));

	memset(meta, 0, sizeof(*meta));
	mos_pkt_parse(meta, (const uint8_t *)h, FRAME, FRAME, 7);
	meta->out_port = 1;
	meta->owner = 1;
}

/* ---- measuring ---- */

/* One pass over n packets, which were written. */
static void run_pass(uint32_t n, unsigned row)
{
	uint64_t start, left = n;
	void *out[PASS];

	if (rte_ring_sp_enqueue_bulk(shard->rx, (void **)packet, n, NULL) != n)
		die("rx ring is full");
	start = mos_tsc();
	while (left > 0)
		left -= mos_loop_round(ctx);
	if (pass_count[row] < PASSES_MAX)
		pass_cycles[row][pass_count[row]++] = (mos_tsc() - start) * 100 / n;
	if (rte_ring_sc_dequeue_bulk(shard->tx, out, n, NULL) != n)
		die("packets are missing");
}

/* The same packet of every flow. */
static void run_step(enum step step, unsigned row)
{
	for (uint32_t at = 0; at < flow_count; at += PASS) {
		uint32_t n = flow_count - at < PASS ? flow_count - at : PASS;

		for (uint32_t i = 0; i < n; i++)
			write_packet(packet[i], order[at + i], step);
		run_pass(n, row);
	}
}

static int by_value(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Cycles per packet. */
struct figure {
	double least, median;
};

static struct figure figure_of(unsigned row)
{
	uint64_t *cycles = pass_cycles[row];

	qsort(cycles, pass_count[row], sizeof(cycles[0]), by_value);
	return (struct figure){(double)cycles[0] / 100, (double)cycles[pass_count[row] / 2] / 100};
}

static void forget_numbers(void)
{
	for (uint32_t i = 0; i < flow_count; i++)
		ends[i] = (struct ends){{i * 77u, i * 99u}};
}

static void run_all(unsigned turns)
{
	memset(pass_count, 0, sizeof(pass_count));
	for (unsigned t = 0; t < turns; t++) {
		forget_numbers();
		for (unsigned s = 0; s < STEPS; s++)
			run_step((enum step)s, s);
	}
	if (ctx->flows.count != 0)
		die("some flows did not end");
	forget_numbers();
	for (unsigned s = OPEN; s <= ACK; s++)
		run_step((enum step)s, s);
	for (unsigned t = 0; t < 2 * turns; t++)
		run_step(t % 2 ? ANSWER : ASK, DATA);
}

static void print_figures(bool verify)
{
	struct figure conn = {0}, data = figure_of(DATA), step[STEPS];

	for (unsigned s = 0; s < STEPS; s++) {
		step[s] = figure_of(s);
		conn.least += step[s].least / STEPS;
		conn.median += step[s].median / STEPS;
	}
	printf("%8u  %-6s %7.0f %6.0f %7.0f %6.0f %7.0f %6.0f %7.0f %6.0f\n", flow_count,
	       verify ? "verify" : "trust", conn.least, conn.median, data.least, data.median,
	       step[OPEN].least, step[OPEN].median, step[LAST].least, step[LAST].median);
	fflush(stdout);
}

static void measure(uint32_t flows, bool verify)
{
	flow_count = flows;
	ends = calloc(flows, sizeof(*ends));
	order = calloc(flows, sizeof(*order));
	if (ends == NULL || order == NULL)
		die("out of memory");
	shuffle_order();
	make_shard(flows);
	start_worker(verify);
	seen = 0;
	run_all(flows >= 1000000 ? 3 : flows >= 100000 ? 10 : 300);
	print_figures(verify);
	if (seen != mos_counter_get(&shard->counters, MOS_CTR_W_TCP) ||
	    mos_counter_get(&shard->counters, MOS_CTR_W_TCP_BOGUS) != 0)
		die("not every packet was seen, or some made no sense");
	mos_context_clear(ctx);
	rte_memzone_free(rte_memzone_lookup("bench_shard"));
	free(ends);
	free(order);
}

int main(int argc, char **argv)
{
	static const uint32_t flows[] = {1000, 100000, 1000000};
	static char first[] = "0";

	start_eal(argc > 1 ? argv[1] : first);
	make_packets();
	printf("cycles per packet of %d bytes: least pass, median\n", FRAME);
	printf("   flows  tcp sum   connection         data  of it:  SYN     last ACK\n");
	for (unsigned i = 0; i < RTE_DIM(flows); i++) {
		measure(flows[i], false);
		measure(flows[i], true);
	}
	return 0;
}
