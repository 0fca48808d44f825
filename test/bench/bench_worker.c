/*
 * TSC cycles per packet of the worker's loop, fed from memory, one core: rounds of mos_loop_round()
 * from a full rx ring into an empty tx ring, with one passive socket whose PKT_IN callback at SND
 * counts and does nothing else.
 *
 *   connection  every packet of each flow, SYN to last ACK: 8 packets, all flows open at once
 *   data        segments of flows that are open
 *
 * Frames of 64 bytes, 76 in the rows "stamps"; bench_rig.h tells how they come.
 *
 *   bench_worker [CPU]
 *
 * Printed: the least pass and the median of all; for connections the mean over their packets.
 */
#include <stdio.h>
#include <string.h>

#include <rte_common.h>

#include "mos_api.h"
#include "test/bench/bench_rig.h"

enum { DATA = STEPS }; /* the row behind those of the steps */

static uint64_t seen; /* by the callback */

static struct rig_samples samples[DATA + 1]; /* of each step and of DATA */

static void count(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	seen++;
}

static void make_socket(void)
{
	mctx_t mctx = &rig.ctx->api;
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	if (sock < 0 || mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, count) != 0)
		rig_die("no socket");
}

static void run_all(unsigned turns)
{
	for (unsigned row = 0; row <= DATA; row++)
		samples[row].count = 0;
	for (unsigned t = 0; t < turns; t++) {
		rig_forget_numbers();
		for (unsigned s = 0; s < STEPS; s++)
			rig_step((enum rig_step)s, &samples[s]);
	}
	if (rig.ctx->flows.count != 0)
		rig_die("some flows did not end");
	rig_forget_numbers();
	for (unsigned s = OPEN; s <= ACK; s++)
		rig_step((enum rig_step)s, &samples[s]);
	for (unsigned t = 0; t < 2 * turns; t++)
		rig_step(t % 2 ? ANSWER : ASK, &samples[DATA]);
}

static void print_figures(bool verify)
{
	struct rig_figure conn = {0}, data = rig_figure_of(&samples[DATA]), step[STEPS];

	for (unsigned s = 0; s < STEPS; s++) {
		step[s] = rig_figure_of(&samples[s]);
		conn.least += step[s].least / STEPS;
		conn.median += step[s].median / STEPS;
	}
	printf("%8u  %-6s %-6s %7.0f %6.0f %7.0f %6.0f %7.0f %6.0f %7.0f %6.0f\n", rig.flow_count,
	       verify ? "verify" : "trust", rig.stamps ? "stamps" : "", conn.least, conn.median,
	       data.least, data.median, step[OPEN].least, step[OPEN].median, step[LAST].least,
	       step[LAST].median);
	fflush(stdout);
}

static void measure(uint32_t flows, bool verify)
{
	const struct mos_counters *ctr;

	rig_open(flows, verify);
	make_socket();
	seen = 0;
	run_all(flows >= 1000000 ? 3 : flows >= 100000 ? 10 : 300);
	print_figures(verify);
	ctr = &rig.shard->counters;
	if (seen != mos_counter_get(ctr, MOS_CTR_W_TCP) ||
	    mos_counter_get(ctr, MOS_CTR_W_TCP_BOGUS) != 0)
		rig_die("not every packet was seen, or some made no sense");
	rig_close();
}

int main(int argc, char **argv)
{
	static const uint32_t flows[] = {1000, 100000, 1000000};
	static char first[] = "0";

	rig_start(argc > 1 ? argv[1] : first);
	printf("cycles per packet of %d bytes: least pass, median\n", RIG_FRAME);
	printf("   flows  tcp sum  options  connection         data  of it:  SYN     last ACK\n");
	for (unsigned i = 0; i < 2 * RTE_DIM(flows); i++) {
		rig.stamps = i % 2;
		measure(flows[i / 2], false);
		measure(flows[i / 2], true);
	}
	return 0;
}
