/*
 * TSC cycles per packet of mos_pkt_parse and per call of the checksum, fed from memory.
 *
 * FLOWS frames of as many flows are parsed over and over; frames and metadata stay in the first two
 * cache levels, like a burst that was just received and prefetched. A round parses each frame once;
 * printed are the least round (what the code can do) and the median (what this machine let it do).
 */
#include <stdio.h>
#include <stdlib.h>

#include "shared/packet/packet.h"
#include "shared/packet/test_frame.h"
#include "shared/platform.h"

enum {
	FLOWS = 256,
	SLOT = 128, /* bytes from frame to frame */
	ROUNDS = 4001,
};

static uint8_t frames[FLOWS][SLOT] MOS_CACHE_ALIGNED;
static struct mos_pkt_meta metas[FLOWS] MOS_CACHE_ALIGNED;
static uint64_t rounds[ROUNDS];
static uint64_t sink; /* keeps the work from being optimised away */

static int by_value(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Print the rounds' minimum and median, each for one of `calls` calls. */
static void report(const char *name, double calls)
{
	qsort(rounds, ROUNDS, sizeof(rounds[0]), by_value);
	printf("%-24s min %7.1f  median %7.1f cycles\n", name, (double)rounds[0] / calls,
	       (double)rounds[ROUNDS / 2] / calls);
}

/* Copy f into every slot, each with another client port. */
static void fill(struct test_frame *f)
{
	tf_finish(f);
	for (uint32_t i = 0; i < FLOWS; i++) {
		if (f->l4_off < f->ip_end)
			tf_be16(f, f->l4_off, 40000 + i);
		memcpy(frames[i], f->b, SLOT);
	}
}

static void bench_parse(const char *name, struct test_frame *f)
{
	fill(f);
	for (int r = 0; r < ROUNDS; r++) {
		uint64_t start = mos_tsc();

		for (int i = 0; i < FLOWS; i++)
			sink += mos_pkt_parse(&metas[i], frames[i], f->len, f->len, 42);
		rounds[r] = mos_tsc() - start;
	}
	report(name, FLOWS);
}

static void bench_csum(const char *name, uint32_t len)
{
	static uint8_t data[2048];
	const int calls = 64;

	memset(data, 0x5a, sizeof(data));
	for (int r = 0; r < ROUNDS; r++) {
		uint64_t start = mos_tsc();

		for (int i = 0; i < calls; i++)
			sink += mos_csum_fold(mos_csum_partial(data, len, sink));
		rounds[r] = mos_tsc() - start;
	}
	report(name, calls);
}

/* Ethernet, n tags, then IPv4 or IPv6 with ext_count destination options, then TCP. */
static struct test_frame tcp_frame(int tags, int version, int ext_count)
{
	struct test_frame f;

	tf_start(&f);
	for (int i = 0; i < tags; i++)
		tf_vlan(&f, ETH_P_8021Q, (uint16_t)(5 + i));
	if (version == 4)
		tf_ip4(&f, 0, IPPROTO_TCP);
	else
		tf_ip6(&f, IPPROTO_TCP);
	for (int i = 0; i < ext_count; i++)
		tf_ext6(&f, IPPROTO_DSTOPTS, 0, 8);
	tf_tcp(&f, 12);
	return f;
}

int main(void)
{
	struct test_frame f;

	f = tcp_frame(0, 4, 0);
	bench_parse("IPv4 TCP", &f);
	f = tcp_frame(1, 4, 0);
	bench_parse("VLAN IPv4 TCP", &f);
	f = tcp_frame(2, 4, 0);
	bench_parse("QinQ IPv4 TCP", &f);
	f = tcp_frame(0, 6, 0);
	bench_parse("IPv6 TCP", &f);
	f = tcp_frame(0, 6, 1);
	bench_parse("IPv6 1 ext header TCP", &f);
	tf_start(&f);
	tf_ip4(&f, 0, IPPROTO_UDP);
	tf_payload(&f, 64);
	bench_parse("IPv4 UDP", &f);
	bench_csum("checksum 64 bytes", 64);
	bench_csum("checksum 1460 bytes", 1460);
	return sink == 0;
}
