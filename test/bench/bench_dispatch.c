/*
 * TSC cycles per packet of the primary's I/O loop, fed from memory, one core, two shards:
 *
 *   in   parse + hash + bucket + shard + rx ring          (mos_input_burst, bursts of 32)
 *   out  tx ring + checks of what came back + output port (drain and flush; net_null sends)
 *
 * A pass takes 4096 packets in and out. Before it, untimed, each packet gets the header of the next
 * flow of the set, so that the hash goes everywhere; the packets of a pass are 10 MB apart from end
 * to end and come from the L3 cache or memory, as after a NIC's DMA. Printed: the least pass and
 * the median of all. Without hugepages: TLB misses are included that a real system does not have.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include "primary/dispatch/dispatch_priv.h"
#include "primary/eal/test_eal.h"

enum {
	PACKETS = 4096,
	PASSES = 401,
	PAYLOAD = 10,
};

static struct mos_primary primary;
static struct mos_dispatch *loop;
static struct rte_mbuf *packet[PACKETS];
static uint64_t in_cycles[PASSES], out_cycles[PASSES];

static void die(const char *why)
{
	fprintf(stderr, "bench_dispatch: %s\n", why);
	exit(EXIT_FAILURE);
}

static void start_port(uint16_t id)
{
	struct mos_port_row *row = &primary.root->port[id];
	struct rte_eth_conf conf = {0};

	if (rte_eth_dev_configure(id, 1, 1, &conf) < 0 ||
	    rte_eth_rx_queue_setup(id, 0, 64, 0, NULL, primary.pool) < 0 ||
	    rte_eth_tx_queue_setup(id, 0, 64, 0, NULL) < 0 || rte_eth_dev_start(id) < 0)
		die("port does not start");
	row->dpdk_port = id;
	row->mtu = 1500;
	row->link_up = 1;
	row->pair = (uint8_t)(1 - id);
}

static void start(void)
{
	char *const args[] = {"--no-huge", "--no-shconf",
	                      "-m",        "192",
	                      "-l",        "0",
	                      "--vdev",    "net_null0,no-rx=1",
	                      "--vdev",    "net_null1,no-rx=1"};
	char err[256] = "";
	struct mos_memory_plan plan;

	if (test_eal_init("bench", args, RTE_DIM(args)) < 0)
		die("no EAL");
	primary.cfg = (struct mos_config){
		.workers = 2,
		.ring_size = 4096,
		.mbuf_size = 2048,
		.max_concurrency = 64,
		.stream_memory = 1,
		.forward = true,
		.port_count = 2,
		.idle = MOS_CONFIG_IDLE_POLL,
		.prefix = "bench",
	};
	primary.wake_fd = -1;
	if (mos_memory_plan(&plan, &primary.cfg, err, sizeof(err)) < 0 ||
	    mos_memory_new(&primary, &plan, err, sizeof(err)) < 0)
		die(err);
	start_port(0);
	start_port(1);
	if (mos_shard_map_init(primary.root) < 0 || mos_dispatch_create(&loop, &primary) < 0)
		die("out of memory");
	mos_shard_map_set(0, MOS_SERVICE_SERVED);
	mos_shard_map_set(1, MOS_SERVICE_SERVED);
	mos_shard_map_online();
}

/* A header of flow f; direction by the lowest bit of f. */
static void write_headers(struct rte_mbuf *m, uint32_t f)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(ip + 1);
	uint32_t len = sizeof(*eth) + sizeof(*ip) + sizeof(*tcp) + PAYLOAD;

	memset(eth, 0, len);
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	ip->version_ihl = 0x45;
	ip->total_length = rte_cpu_to_be_16((uint16_t)(len - sizeof(*eth)));
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_TCP;
	ip->src_addr = rte_cpu_to_be_32(0x0a000000 + f / 2);
	ip->dst_addr = rte_cpu_to_be_32(0xc0a80001);
	tcp->src_port = rte_cpu_to_be_16((uint16_t)(1024 + f / 2 % 50000));
	tcp->dst_port = rte_cpu_to_be_16(80);
	tcp->data_off = 5 << 4;
	if (f & 1) {
		RTE_SWAP(ip->src_addr, ip->dst_addr);
		RTE_SWAP(tcp->src_port, tcp->dst_port);
	}
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
}

static void take_packets(uint32_t flows, uint32_t *next)
{
	if (rte_pktmbuf_alloc_bulk(primary.pool, packet, PACKETS) < 0)
		die("pool is empty");
	for (unsigned i = 0; i < PACKETS; i++) {
		write_headers(packet[i], *next);
		*next = (*next + 1) % (2 * flows);
	}
}

static uint64_t time_in(void)
{
	static const uint8_t from[RX_BURST];
	uint64_t start_tsc = mos_tsc();

	for (unsigned i = 0; i < PACKETS; i += RX_BURST) {
		mos_input_burst(loop, mos_shard_map_get(), packet + i, from, RX_BURST);
		mos_shard_map_quiescent();
	}
	return mos_tsc() - start_tsc;
}

/* The workers: hand back everything as it is. Untimed. */
static void work(void)
{
	static void *hand[PACKETS];

	for (uint32_t s = 0; s < 2; s++) {
		struct mos_shard *shard = primary.root->shard[s];
		unsigned n = rte_ring_sc_dequeue_burst(shard->rx, hand, PACKETS, NULL);

		rte_ring_sp_enqueue_bulk(shard->tx, hand, n, NULL);
	}
}

static uint64_t time_out(void)
{
	uint64_t start_tsc = mos_tsc();
	unsigned n;

	do {
		n = mos_output_drain(loop, &loop->shard[0]);
		n += mos_output_drain(loop, &loop->shard[1]);
		mos_output_flush(loop);
	} while (n > 0);
	return mos_tsc() - start_tsc;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void report(uint32_t flows, const char *what, uint64_t *cycles)
{
	qsort(cycles, PASSES, sizeof(*cycles), by_value);
	printf("%8u flows  %-3s  min %6.1f  median %6.1f cycles/packet\n", flows, what,
	       (double)cycles[0] / PACKETS, (double)cycles[PASSES / 2] / PACKETS);
}

static void bench(uint32_t flows)
{
	uint32_t next = 0;

	for (unsigned pass = 0; pass < PASSES; pass++) {
		take_packets(flows, &next);
		in_cycles[pass] = time_in();
		work();
		out_cycles[pass] = time_out();
	}
	report(flows, "in", in_cycles);
	report(flows, "out", out_cycles);
}

int main(void)
{
	const struct mos_counters *io;

	start();
	bench(1000);
	bench(100000);
	bench(1000000);
	io = &primary.root->io;
	if (mos_counter_get(io, MOS_CTR_TX_PACKETS) != 3ull * PASSES * PACKETS)
		die("packets were lost on the way"); /* the figures would be of something else */
	return EXIT_SUCCESS;
}
