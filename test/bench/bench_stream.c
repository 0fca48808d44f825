/*
 * TSC cycles per packet, and Gb/s of payload on one core, of reading byte streams in the worker's
 * loop; how packets come is told in bench_rig.h. And what flows take of memory.
 *
 *   bench_stream [--help] [CPU [FLOWS [SECONDS]]]
 *
 * A row is a passive socket with one callback, and data segments that both ends send in turn:
 *   data        segments of open flows
 *   connection  SYN to last ACK: 8 packets, of which two are data; the mean
 *   beyond      of the least of data: what it is above that of the row "no reader"
 * "copy alone" is no worker at all, only a memcpy of the payload out of the same packets: who reads
 * a packet that is in no cache pays that in any case.
 *
 * The rows of a table take turns, as often as time allows; printed is the least pass and the
 * median. A row ends the program unless all its bytes were read, or told to be lost because the
 * pool of chunks was used up: "lost", of 100 bytes.
 *
 * By hand: "bench_stream 0 1000 3" takes 10 seconds, all three counts of flows two or three minutes.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_cycles.h>

#include "mos_api.h"
#include "mos_ext.h"
#include "secondary/loop/loop.h"
#include "shared/flow_table/flow_table.h"
#include "test/bench/bench_rig.h"

enum {
	DATA = STEPS,    /* the figure behind those of the steps */
	READ_MAX = 8192, /* bytes at once: more than any pass leaves */
	IOV_MAX_HERE = 16,
	TURNS = 4, /* of data, in a connection */
};

static uint64_t bytes_read, bytes_lost;
static uint64_t touched; /* so that no compiler leaves the touching out */

/* ---- what the application does ---- */

static void count(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	touched++;
}

/* What a read returned. Once more, if it told of lost bytes. */
static bool once_more(ssize_t n)
{
	if (n < 0) {
		bytes_lost += (size_t)-n;
		return true;
	}
	bytes_read += (size_t)n;
	return false;
}

static void peek(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	static char buf[READ_MAX];

	while (once_more(mtcp_peek(mctx, sock, side, buf, sizeof(buf))))
		;
}

static void peekv(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct iovec iov[IOV_MAX_HERE];

	while (once_more(mtcp_peekv(mctx, sock, side, iov, IOV_MAX_HERE)))
		;
}

static uint64_t touch(const char *p, size_t len)
{
	uint64_t all = 0, word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		all ^= word;
	}
	for (; len > 0; len--)
		all ^= (uint8_t)*p++;
	return all;
}

static void peekv_touch(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct iovec iov[IOV_MAX_HERE];
	ssize_t n;

	do {
		n = mtcp_peekv(mctx, sock, side, iov, IOV_MAX_HERE);
		for (const struct iovec *v = iov; n > 0 && v < iov + IOV_MAX_HERE && v->iov_len > 0;
		     v++)
			touched += touch(v->iov_base, v->iov_len);
	} while (once_more(n));
}

/* ---- rows ---- */

struct row {
	const char *name;
	event_t event;
	int hook;
	callback_t callback;
	bool reads, keeps, half_late;
	struct rig_samples samples[DATA + 1]; /* of each step, and of data */
	uint32_t chunks;                      /* in use, at most */
	uint64_t sent, lost;                  /* bytes, of all rounds */
};

enum { NO_READER, PEEK, PEEKV, TOUCH, NEVER, KEEP, LATE, ROWS };

static struct row rows[ROWS] = {
	[NO_READER] = {"no reader", MOS_ON_PKT_IN, MOS_HK_SND, count, .reads = false},
	[PEEK] = {"peek all", MOS_ON_CONN_NEW_DATA, MOS_NULL, peek, .reads = true},
	[PEEKV] = {"peekv", MOS_ON_CONN_NEW_DATA, MOS_NULL, peekv, .reads = true},
	[TOUCH] = {"peekv, touched", MOS_ON_CONN_NEW_DATA, MOS_NULL, peekv_touch, .reads = true},
	[NEVER] = {"never read", MOS_ON_CONN_NEW_DATA, MOS_NULL, count, .reads = false},
	[KEEP] = {"peek all, keep", MOS_ON_CONN_NEW_DATA, MOS_NULL, peek, .reads = true,
                  .keeps = true},
	[LATE] = {"peek all, swapped", MOS_ON_CONN_NEW_DATA, MOS_NULL, peek, .reads = true,
                  .half_late = true},
};

static const struct rig_traffic traffics[] = {
	{.name = "64 B", .size = {64}},
	{.name = "1460 B", .size = {1460}},
	{.name = "mix", .size = {64, 512, 1460}, .swapped = 10, .resent = 10},
};

/* With so many flows a round of all rows takes a minute: the first ones will do. */
enum { FEW_ROWS_FROM = 500000, FEW_ROWS = TOUCH };

static struct rig_samples copy_samples;

static struct row *rows_end(void)
{
	return rows + (rig.flow_count < FEW_ROWS_FROM ? ROWS : FEW_ROWS);
}

static int open_socket(const struct row *row)
{
	static const int keep[] = {MOS_CLIKEEP, MOS_SVRKEEP};
	mctx_t mctx = &rig.ctx->api;
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), on = 1;

	if (sock < 0 ||
	    mtcp_register_callback(mctx, sock, row->event, row->hook, row->callback) != 0)
		rig_die("no socket");
	for (unsigned i = 0; row->keeps && i < RTE_DIM(keep); i++)
		if (mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, keep[i], &on, sizeof(on)) != 0)
			rig_die("bytes that were read cannot be kept");
	return sock;
}

static void close_socket(int sock)
{
	mtcp_close(&rig.ctx->api, sock);
	while (atomic_load(&rig.ctx->sockets.mon[sock].state) != MOS_SOCK_FREE)
		mos_loop_round(rig.ctx);
}

static void note_chunks(struct row *row)
{
	const struct mos_chunk_pool *pool = &rig.ctx->streams.pool;

	row->chunks = RTE_MAX(row->chunks, pool->count - pool->free_count);
}

static void run_data(struct row *row, const struct rig_traffic *t)
{
	struct rig_traffic in_order = *t, late = *t;

	late.swapped = 1000;
	for (unsigned i = 0; i < 2 * TURNS; i++) {
		rig_data(row->half_late ? &late : t, i % 2, &row->samples[DATA]);
		if (i % 4 == 1) /* half of the holes are there */
			note_chunks(row);
	}
	in_order.swapped = in_order.resent = 0;
	for (unsigned i = 0; i < 4; i++) /* fills holes, then makes all read what is behind them */
		rig_data(&in_order, i % 2, NULL);
}

static void run_row(struct row *row, const struct rig_traffic *t)
{
	int sock = open_socket(row);

	rig_forget_numbers();
	bytes_read = bytes_lost = 0;
	for (unsigned s = OPEN; s < ASK; s++)
		rig_step((enum rig_step)s, &row->samples[s]);
	run_data(row, t);
	for (unsigned s = CLOSE; s < STEPS; s++)
		rig_step((enum rig_step)s, &row->samples[s]);
	if (rig.ctx->flows.count != 0)
		rig_die("some flows did not end");
	if (row->reads && bytes_read + bytes_lost != rig.sent)
		rig_die("not all bytes were read");
	if (bytes_lost > 0 && row->chunks < rig.ctx->streams.pool.count / 2)
		rig_die("bytes were lost, and there were chunks enough");
	row->sent += rig.sent;
	row->lost += bytes_lost;
	if (rig.ctx->streams.pool.free_count != rig.ctx->streams.pool.count)
		rig_die("chunks are missing");
	close_socket(sock);
}

/* ---- tables ---- */

static double mean_size(const struct rig_traffic *t)
{
	double sum = 0;
	unsigned n = 0;

	for (; n < RTE_DIM(t->size) && t->size[n] != 0; n++)
		sum += t->size[n];
	return sum / n;
}

static struct rig_figure connection(struct row *row, struct rig_figure data)
{
	struct rig_figure c = {2 * data.least / STEPS, 2 * data.median / STEPS};

	for (unsigned s = 0; s < STEPS; s++) {
		struct rig_figure f;

		if (s == ASK || s == ANSWER)
			continue;
		f = rig_figure_of(&row->samples[s]);
		c.least += f.least / STEPS;
		c.median += f.median / STEPS;
	}
	return c;
}

static double gbits(const struct rig_traffic *t, double cycles)
{
	return mean_size(t) * 8 * (double)rte_get_tsc_hz() / cycles / 1e9;
}

static void print_table(const struct rig_traffic *t)
{
	struct rig_figure copy = rig_figure_of(&copy_samples);
	double nobody = 0;

	for (struct row *row = rows; row < rows_end(); row++) {
		struct rig_figure data = rig_figure_of(&row->samples[DATA]),
				  conn = connection(row, data);

		if (row == rows)
			nobody = data.least;
		printf("%8u  %-7s %-18s %6.0f %6.0f %7.0f %6.1f   %6.0f %6.0f  %7u %5.1f\n",
		       rig.flow_count, t->name, row->name, data.least, data.median,
		       data.least - nobody, gbits(t, data.least), conn.least, conn.median,
		       row->chunks, 100.0 * (double)row->lost / (double)row->sent);
	}
	printf("%8u  %-7s %-18s %6.0f %6.0f %7s %6.1f\n", rig.flow_count, t->name, "copy alone",
	       copy.least, copy.median, "", gbits(t, copy.least));
	fflush(stdout);
}

static void measure(const struct rig_traffic *t, double seconds)
{
	for (struct row *row = rows; row < rows_end(); row++) {
		row->chunks = 0;
		row->sent = row->lost = 0;
		for (unsigned s = 0; s <= DATA; s++)
			row->samples[s].count = 0;
	}
	copy_samples.count = 0;
	rig_begin_part(seconds);
	for (unsigned round = 0; rig_goes_on(round); round++) {
		for (struct row *row = rows; row < rows_end(); row++)
			run_row(row, t);
		rig_copy(t, &copy_samples);
	}
	print_table(t);
}

/* ---- memory ---- */

static size_t heap_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* What a worker has on its heap for a pool of that many chunks. */
static size_t heap_of_pool(uint32_t chunks)
{
	size_t len = mos_chunk_pool_footprint(chunks), before, heap;
	void *mem = aligned_alloc(MOS_CACHE_LINE, len);
	struct mos_chunk_pool pool;

	if (mem == NULL || mos_chunk_pool_new(mem, chunks) != 0)
		rig_die("no chunks");
	before = heap_bytes();
	if (mos_chunk_pool_join(&pool, mem, len, NULL, NULL, NULL) != 0)
		rig_die("no chunks");
	heap = heap_bytes() - before;
	mos_chunk_pool_leave(&pool);
	free(mem);
	return heap;
}

/* Shared memory by its plan, heap as the allocator counts it. */
static void print_memory(size_t heap_before)
{
	const struct mos_chunk_pool *pool = &rig.ctx->streams.pool;
	size_t pool_heap = heap_of_pool(pool->count);
	int sock = open_socket(&rows[NO_READER]);
	double heap = (double)(heap_bytes() - heap_before - pool_heap);

	printf("\n%u flows: each %.0f B record and index, %.0f B heap with one socket; each chunk "
	       "%.0f B, %.0f B heap, of %u\n",
	       rig.flow_count, (double)rig.shard->flow_table_bytes / rig.flow_count,
	       heap / rig.flow_count, (double)mos_chunk_pool_footprint(pool->count) / pool->count,
	       (double)pool_heap / pool->count, pool->count);
	close_socket(sock);
}

/* ---- all of it ---- */

static void measure_flows(uint32_t flows, double seconds)
{
	size_t heap = heap_bytes();

	rig_open(flows, false);
	print_memory(heap);
	printf("   flows  payload reader             cycles median  beyond   Gb/s   connection     "
	       " chunks  lost\n");
	for (unsigned i = 0; i < RTE_DIM(traffics); i++)
		measure(&traffics[i], seconds);
	if (mos_counter_get(&rig.shard->counters, MOS_CTR_W_TCP_BOGUS) != 0)
		rig_die("some packets made no sense");
	rig_close();
}

static void help(void)
{
	printf("usage: bench_stream [CPU [FLOWS [SECONDS]]]\n"
	       "TSC cycles of reading byte streams in the worker's loop, which runs on CPU (0),\n"
	       "and what flows take of memory. FLOWS: only so many; else 1000, 100000, 1000000.\n"
	       "SECONDS: of each of the three tables (3).\n");
}

int main(int argc, char **argv)
{
	static char first[] = "0";
	uint32_t flows = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	double seconds = argc > 3 ? strtod(argv[3], NULL) : 3;

	if (argc > 4 || (argc > 1 && argv[1][0] == '-') || (argc > 2 && flows == 0)) {
		help();
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	rig_start(argc > 1 ? argv[1] : first);
	if (flows != 0) {
		measure_flows(flows, seconds);
		return 0;
	}
	measure_flows(1000, seconds);
	measure_flows(100000, 2 * seconds);
	measure_flows(1000000, seconds);
	return 0;
}
