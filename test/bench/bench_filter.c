/*
 * TSC cycles per packet of a packet filter. Frames are in the cache; every other one is accepted.
 *
 *   bench_filter [EXPRESSION]...
 *
 * `padded` are ACKs of 54 bytes in frames of 60. Printed: the least round and the median.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "secondary/filter/filter.h"
#include "shared/packet/packet.h"
#include "shared/packet/test_frame.h"

enum { FRAMES = 64, CALLS = 4096, ROUNDS = 501 };

static struct test_frame frame[FRAMES];
static struct rte_mbuf mbuf[FRAMES];
static struct mos_pkt_meta meta[FRAMES];

static void make_frames(uint32_t payload, uint32_t pad)
{
	for (unsigned i = 0; i < FRAMES; i++) {
		struct test_frame *f = &frame[i];

		tf_start(f);
		tf_ip4(f, 0, IPPROTO_TCP);
		tf_tcp(f, 0);
		tf_be16(f, f->l4_off + 2, i % 2 ? 80 : 443);
		tf_payload(f, payload);
		tf_finish(f);
		tf_pad(f, pad);
		mos_pkt_parse(&meta[i], f->b, f->len, f->len, 0);
		memset(&mbuf[i], 0, sizeof(mbuf[i]));
		mbuf[i].buf_addr = f->b;
		mbuf[i].data_len = (uint16_t)f->len;
		mbuf[i].pkt_len = f->len;
		mbuf[i].nb_segs = 1;
	}
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void measure(const struct mos_filter *f, const char *frames)
{
	static uint64_t cycles[ROUNDS];
	unsigned accepted = 0;

	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t start = rte_rdtsc_precise();

		for (unsigned i = 0; i < CALLS; i++)
			accepted += mos_filter_match(f, &mbuf[i % FRAMES], &meta[i % FRAMES]);
		cycles[r] = rte_rdtsc_precise() - start;
	}
	qsort(cycles, ROUNDS, sizeof(cycles[0]), by_value);
	printf("  %-7s min %7.1f  median %7.1f cycles  (%u %% accepted)\n", frames,
	       (double)cycles[0] / CALLS, (double)cycles[ROUNDS / 2] / CALLS,
	       accepted / (ROUNDS * CALLS / 100));
}

static int run(const char *expr)
{
	struct mos_filter *f;
	char why[128];
	int rc = mos_filter_compile(&f, expr, why, sizeof(why));

	if (rc) {
		fprintf(stderr, "bench_filter: %s\n", rc == -EINVAL ? why : strerror(-rc));
		return EXIT_FAILURE;
	}
	printf("%s\n", expr);
	make_frames(100, 0);
	measure(f, "data");
	make_frames(0, 6);
	measure(f, "padded");
	mos_filter_destroy(f);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	int status = EXIT_SUCCESS;

	if (argc < 2)
		return run("tcp and dst port 80");
	for (int i = 1; i < argc && status == EXIT_SUCCESS; i++)
		status = run(argv[i]);
	return status;
}
