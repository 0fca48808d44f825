/*
 * TSC cycles of edits of the packet at hand (mtcp_setlastpkt), one core: an IPv4 segment of 1000
 * bytes of payload in one mbuf, which lies in the caches. bench_rig.h tells what the worker is
 * like.
 *
 *   bench_edit [CPU]
 *
 * Printed, for each edit of a list: the least batch and the median of all, in cycles.
 */
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "mos_api.h"
#include "shared/packet/test_frame.h"
#include "test/bench/bench_rig.h"

#define SUMS (MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM)
#define PAY  MOS_TCP_PAYLOAD

enum { BATCH = 256, BATCHES = 4000 };

/* What is done to one packet: up to two calls. */
static const struct work {
	const char *name;
	struct {
		int option;
		off_t offset;
		uint16_t len;
	} call[2];
} works[] = {
	{"no edit: refused, no action", {{PAY, 0, 4}}},
	{"TTL, IP checksum", {{MOS_IP_HDR | MOS_OVERWRITE | MOS_UPDATE_IP_CHKSUM, 8, 1}}},
	{"address and port, both checksums",
         {{MOS_IP_HDR | MOS_OVERWRITE, 12, 4}, {MOS_TCP_HDR | MOS_OVERWRITE | SUMS, 0, 2}}},
	{"16 bytes of payload, both checksums", {{PAY | MOS_OVERWRITE | SUMS, 100, 16}}},
	{"all of the payload, both checksums", {{PAY | MOS_OVERWRITE | SUMS, 0, 1000}}},
	{"insert and remove 16 bytes of payload",
         {{PAY | MOS_INSERT, 100, 16}, {PAY | MOS_CHOMP, 100, 16}}},
	{"the same, both checksums each",
         {{PAY | MOS_INSERT | SUMS, 100, 16}, {PAY | MOS_CHOMP | SUMS, 100, 16}}},
	{"insert and remove a TCP option",
         {{MOS_TCP_HDR | MOS_INSERT, 20, 4}, {MOS_TCP_HDR | MOS_CHOMP, 20, 4}}},
};

static struct rte_mbuf *m;
static struct mos_pkt_meta meta;

static void make_packet(void)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"bench_edit", 16, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	struct test_frame f;

	tf_start(&f);
	tf_ip4(&f, 0, IPPROTO_TCP);
	tf_tcp(&f, 12);
	tf_payload(&f, 1000);
	tf_finish(&f);
	m = pool != NULL ? rte_pktmbuf_alloc(pool) : NULL;
	if (m == NULL)
		rig_die("no packet");
	memcpy(rte_pktmbuf_append(m, (uint16_t)f.len), f.b, f.len);
	mos_pkt_parse(&meta, f.b, f.len, f.len, rig.root.hash_seed);
	meta.out_port = 0xff;
}

static void batch(const struct work *w)
{
	static byte bytes[1000];

	for (unsigned i = 0; i < BATCH; i++) {
		rig.ctx->cur = (struct mos_cur_pkt){.mbuf = m, .meta = &meta, .segment = true};
		bytes[0]++;
		for (unsigned k = 0; k < 2 && w->call[k].option != 0; k++)
			if (mtcp_setlastpkt(&rig.ctx->api, 0, 0, w->call[k].offset, bytes,
			                    w->call[k].len, w->call[k].option) != 0 &&
			    w != works)
				rig_die("an edit was refused");
	}
	rig.ctx->cur.mbuf = NULL;
}

static void measure(const struct work *w)
{
	static struct rig_samples s;
	struct rig_figure f;

	s.count = 0;
	for (unsigned i = 0; i < BATCHES; i++) {
		uint64_t start = rte_rdtsc_precise();

		batch(w);
		rig_note(&s, rte_rdtsc_precise() - start, BATCH);
	}
	f = rig_figure_of(&s);
	printf("%-40s %7.0f %7.0f\n", w->name, f.least, f.median);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static char first[] = "0";

	rig_start(argc > 1 ? argv[1] : first);
	rig_open(1000, false);
	make_packet();
	printf("%-40s %7s %7s\n", "cycles per packet", "least", "median");
	for (unsigned i = 0; i < RTE_DIM(works); i++)
		measure(&works[i]);
	return 0;
}
