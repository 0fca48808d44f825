/*
 * The price of being restartable: TSC cycles per packet with and without what a worker notes for its
 * successor, the ledger and the sequence counters of the records (MOS_UNNOTED).
 *
 *   bench_price       with the notes; runs itself and the other by turns, and compares
 *   bench_price_bare  the same sources without
 *
 *   ninja -C build test/bench/bench_price test/bench/bench_price_bare
 *   build/test/bench/bench_price [TURNS [CPU]]
 *
 * Frames of 64 bytes from memory, as in bench_worker, checksums not verified; one passive socket
 * whose PKT_IN callback at SND counts.
 *
 *   connection  every packet of each flow, SYN to last ACK: 8 packets, all flows open at once
 *   data        segments of flows that are open
 *
 * Printed: the least pass of all turns of each program, and the median of the turns' medians.
 */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "mos_api.h"
#include "test/bench/bench_rig.h"

enum { DATA = STEPS, TURNS_MAX = 100, CONNECTION = 0, SEGMENTS, ROWS };

static const uint32_t flow_counts[] = {1000, 100000};

static uint64_t seen; /* by the callback */
static struct rig_samples samples[DATA + 1];

/* ---- one turn of one program ---- */

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

static void measure(uint32_t flows)
{
	unsigned turns = flows >= 100000 ? 5 : 200;
	struct rig_figure conn = {0}, data;

	rig_open(flows, false);
	make_socket();
	for (unsigned row = 0; row <= DATA; row++)
		samples[row].count = 0;
	for (unsigned t = 0; t < turns; t++) {
		rig_forget_numbers();
		for (unsigned s = 0; s < STEPS; s++)
			rig_step((enum rig_step)s, &samples[s]);
	}
	rig_forget_numbers();
	for (unsigned s = OPEN; s <= ACK; s++)
		rig_step((enum rig_step)s, NULL);
	for (unsigned t = 0; t < 4 * turns; t++)
		rig_step(t % 2 ? ANSWER : ASK, &samples[DATA]);
	for (unsigned s = 0; s < STEPS; s++) {
		struct rig_figure step = rig_figure_of(&samples[s]);

		conn.least += step.least / STEPS;
		conn.median += step.median / STEPS;
	}
	data = rig_figure_of(&samples[DATA]);
	printf("figures %u %f %f %f %f\n", flows, conn.least, conn.median, data.least, data.median);
	rig_close();
}

static int measure_all(char *cpu)
{
	rig_start(cpu);
	for (unsigned i = 0; i < RTE_DIM(flow_counts); i++)
		measure(flow_counts[i]);
	return 0;
}

/* ---- both programs by turns ---- */

struct column { /* of one program, by flows and row */
	double least[RTE_DIM(flow_counts)][ROWS];
	double median[RTE_DIM(flow_counts)][ROWS][TURNS_MAX];
	unsigned turns;
};

static void take_line(struct column *c, const char *line)
{
	struct rig_figure f[ROWS];
	unsigned flows;

	if (sscanf(line, "figures %u %lf %lf %lf %lf", &flows, &f[0].least, &f[0].median,
	           &f[1].least, &f[1].median) != 5)
		return;
	for (unsigned i = 0; i < RTE_DIM(flow_counts); i++)
		for (unsigned row = 0; flow_counts[i] == flows && row < ROWS; row++) {
			if (c->turns == 0 || f[row].least < c->least[i][row])
				c->least[i][row] = f[row].least;
			c->median[i][row][c->turns] = f[row].median;
		}
}

static void take_turn(struct column *c, const char *program, const char *cpu)
{
	char command[4096], line[256];
	FILE *f;

	snprintf(command, sizeof(command), "'%s' figures %s", program, cpu);
	f = popen(command, "r");
	if (f == NULL)
		rig_die("cannot run the other program");
	while (fgets(line, sizeof(line), f) != NULL)
		take_line(c, line);
	if (pclose(f) != 0)
		rig_die("a turn failed");
	c->turns++;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double middle(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_size);
	return v[n / 2];
}

static void compare(struct column *noted, struct column *bare)
{
	static const char *const rows[ROWS] = {"connection", "data"};

	printf("cycles per packet        least pass                 median of %u turns\n",
	       noted->turns);
	printf("   flows  row         bare  noted   price        bare  noted   price\n");
	for (unsigned i = 0; i < RTE_DIM(flow_counts); i++)
		for (unsigned row = 0; row < ROWS; row++) {
			double least = noted->least[i][row], bare_least = bare->least[i][row];
			double mid = middle(noted->median[i][row], noted->turns);
			double bare_mid = middle(bare->median[i][row], bare->turns);

			printf("%8u  %-10s %6.0f %6.0f %6.1f %%    %6.0f %6.0f %6.1f %%\n",
			       flow_counts[i], rows[row], bare_least, least,
			       100 * (least / bare_least - 1), bare_mid, mid,
			       100 * (mid / bare_mid - 1));
		}
}

int main(int argc, char **argv)
{
	static struct column noted, bare;
	char path[2048], other[2100];
	unsigned turns = argc > 1 ? (unsigned)atoi(argv[1]) : 10;
	static char first[] = "0";

	if (argc > 2 && strcmp(argv[1], "figures") == 0)
		return measure_all(argv[2]);
	snprintf(path, sizeof(path), "%s", argv[0]);
	snprintf(other, sizeof(other), "%s/bench_price_bare", dirname(path));
	if (turns < 1 || turns > TURNS_MAX)
		rig_die("1 to 100 turns");
	for (unsigned t = 0; t < turns; t++) {
		take_turn(&noted, argv[0], argc > 2 ? argv[2] : first);
		take_turn(&bare, other, argc > 2 ? argv[2] : first);
	}
	compare(&noted, &bare);
	return 0;
}
