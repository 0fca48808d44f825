/*
 * TSC cycles per packet that an application sends, one core: batches of 256 calls of mtcp_sendpkt()
 * on an active socket, each with a new sequence number, from a full blank ring.
 *
 *   timer   no burst is in hand: straight into the tx ring
 *   burst   into the outbox
 *   port    checksums are left to the port
 *
 * Packets lie in the caches, as those of the blank ring do that came from the I/O lcore just now;
 * what the loop adds for the outbox at the end of a burst is a copy of pointers and not measured.
 * bench_rig.h tells what the worker is like.
 *
 *   bench_packets [CPU]
 *
 * Printed: the least batch, the median of all, and what that means in packets per second.
 */
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "mos_api.h"
#include "test/bench/bench_rig.h"

enum { BATCH = 256, BATCHES = 4000, BLANKS = 512 };

static struct rte_mbuf *blank[BATCH];
static struct iphdr ip;
static struct tcphdr tcp;
static uint8_t payload[RIG_DATA_MAX];
static struct pkt_info pkt = {.iph = &ip, .tcph = &tcp, .payload = payload};
static int flow_sock;

/* Note a flow, and the headers of what its client sends. */
static void note(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct pkt_info p;

	if (mtcp_getlastpkt(mctx, sock, side, &p) != 0)
		rig_die("no packet at hand");
	ip = *p.iph;
	tcp = *p.tcph;
	ip.ihl = 5;
	tcp.doff = 5;
	flow_sock = sock;
}

static void open_flow(void)
{
	mctx_t mctx = &rig.ctx->api;
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	if (sock < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_START, MOS_HK_SND, note) != 0)
		rig_die("no socket");
	rig_forget_numbers();
	rig_step(OPEN, NULL);
	for (unsigned i = 0; i < 2; i++) {
		rig.root.port[i].mtu = 1500;
		rig.root.port[i].link_up = 1;
	}
}

static void make_blanks(void)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"bench_blanks", BLANKS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);

	if (pool == NULL || rte_pktmbuf_alloc_bulk(pool, blank, BATCH) != 0)
		rig_die("no empty packets");
}

static void fill_blank_ring(void)
{
	for (unsigned i = 0; i < BATCH; i++)
		rte_pktmbuf_reset(blank[i]);
	if (rte_ring_sp_enqueue_bulk(rig.shard->blank, (void **)blank, BATCH, NULL) != BATCH)
		rig_die("no room for empty packets");
}

static void send_batch(void)
{
	for (unsigned i = 0; i < BATCH; i++) {
		tcp.seq++;
		if (mtcp_sendpkt(&rig.ctx->api, flow_sock, &pkt) != 0)
			rig_die("a packet was not sent");
	}
}

static void measure(uint16_t len, bool burst, bool port)
{
	static struct rig_samples s;
	struct mos_ledger *ledger = &rig.shard->ledger;
	struct rig_figure f;
	void *out[BATCH];

	pkt.payloadlen = len;
	rig.root.port[0].csum_offload = rig.root.port[1].csum_offload = port;
	s.count = 0;
	for (unsigned i = 0; i < BATCHES; i++) {
		uint64_t start;

		fill_blank_ring();
		if (burst)
			mos_ledger_begin(ledger, 1, 0, 0);
		start = rte_rdtsc_precise();
		send_batch();
		rig_note(&s, rte_rdtsc_precise() - start, BATCH);
		if (burst)
			mos_ledger_end(ledger);
		else if (rte_ring_sc_dequeue_bulk(rig.shard->tx, out, BATCH, NULL) != BATCH)
			rig_die("packets are missing");
	}
	f = rig_figure_of(&s);
	printf("%8u  %-6s %-6s %7.0f %6.0f %11.2f\n", len, burst ? "burst" : "timer",
	       port ? "port" : "", f.least, f.median, (double)rte_get_tsc_hz() / f.median / 1e6);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const uint16_t lens[] = {0, 512, RIG_DATA_MAX};
	static char first[] = "0";

	rig_start(argc > 1 ? argv[1] : first);
	rig_open(1000, false);
	if (rte_ring_init(rig.shard->blank, "blank", 2 * BATCH, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0)
		rig_die("no blank ring");
	make_blanks();
	open_flow();
	printf("cycles per packet that is sent: least batch, median; million per second\n");
	printf(" payload  from   sums     least median     per second\n");
	for (unsigned i = 0; i < 2 * RTE_DIM(lens); i++) {
		measure(lens[i / 2], i % 2, false);
		measure(lens[i / 2], i % 2, true);
	}
	return 0;
}
