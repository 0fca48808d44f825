/*
 * Filters on the bench: EAL without hugepages for the mbufs, and libpcap's bpf_filter() on the same
 * bytes as the model that every machine has to agree with.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pcap/pcap.h>
#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "primary/eal/eal_primary.h"
#include "secondary/filter/filter_priv.h"
#include "shared/packet/packet.h"
#include "shared/packet/test_frame.h"

static struct rte_mempool *pool;
static char file_prefix[32];

/* ---- packets ---- */

struct packet {
	struct rte_mbuf *m;
	struct mos_pkt_meta meta;
};

/* Put the frame into segments of seg_len bytes; the headers must lie in the first. */
static struct packet packet_of(const void *bytes, uint32_t len, uint32_t seg_len)
{
	struct packet p = {.m = rte_pktmbuf_alloc(pool)};
	uint32_t first = RTE_MIN(seg_len, len);

	ck_assert_ptr_nonnull(p.m);
	memcpy(rte_pktmbuf_append(p.m, (uint16_t)first), bytes, first);
	for (uint32_t at = first; at < len; at += seg_len) {
		struct rte_mbuf *seg = rte_pktmbuf_alloc(pool);
		uint32_t n = RTE_MIN(seg_len, len - at);

		ck_assert_ptr_nonnull(seg);
		memcpy(rte_pktmbuf_append(seg, (uint16_t)n), (const char *)bytes + at, n);
		ck_assert_int_eq(rte_pktmbuf_chain(p.m, seg), 0);
	}
	mos_pkt_parse(&p.meta, bytes, first, len, 7);
	return p;
}

static struct packet packet_of_frame(const struct test_frame *f)
{
	return packet_of(f->b, f->len, sizeof(f->b));
}

static struct mos_filter *compiled(const char *expr, enum mos_filter_backend best)
{
	struct mos_filter *f = NULL;
	char why[128] = "";

	ck_assert_msg(mos_filter_compile_for(&f, expr, best, why, sizeof(why)) == 0, "%s: %s", expr,
	              why);
	return f;
}

/* The verdict on a frame, from each machine; they must agree. */
static bool accepts(const char *expr, const struct test_frame *frame)
{
	struct packet p = packet_of_frame(frame);
	bool verdict[3];

	for (int best = MOS_FILTER_JIT; best <= MOS_FILTER_LIBPCAP; best++) {
		struct mos_filter *f = compiled(expr, (enum mos_filter_backend)best);

		verdict[best] = mos_filter_match(f, p.m, &p.meta);
		mos_filter_destroy(f);
	}
	rte_pktmbuf_free(p.m);
	ck_assert_msg(verdict[0] == verdict[1] && verdict[1] == verdict[2], "%s: %d %d %d", expr,
	              verdict[0], verdict[1], verdict[2]);
	return verdict[0];
}

static struct test_frame tcp4(uint32_t payload)
{
	struct test_frame f;

	tf_start(&f);
	tf_ip4(&f, 0, IPPROTO_TCP);
	tf_tcp(&f, 0);
	tf_payload(&f, payload);
	tf_finish(&f);
	return f;
}

/* ---- what is accepted ---- */

START_TEST(expression_is_about_the_packet_as_it_is)
{
	const struct test_frame f = tcp4(100);

	ck_assert(accepts("", &f));
	ck_assert(accepts("tcp", &f));
	ck_assert(accepts("dst port 443", &f));
	ck_assert(accepts("src host 10.0.0.1 and dst net 10.0.1.0 mask 255.255.255.0", &f));
	ck_assert(accepts("tcp[tcpflags] & tcp-ack != 0", &f));
	ck_assert(!accepts("dst port 40000", &f));
	ck_assert(!accepts("udp or ip6", &f));
	ck_assert(!accepts("tcp[13] & 2 != 0", &f));
	ck_assert(!accepts("vlan", &f));
}
END_TEST

START_TEST(padding_is_no_part_of_the_length)
{
	struct test_frame f = tcp4(0);

	tf_pad(&f, 60 - f.len);
	ck_assert(accepts("less 54", &f));
	ck_assert(!accepts("greater 55", &f));
	ck_assert(!accepts("ether[54] = 0xee", &f)); /* is not there */
}
END_TEST

START_TEST(no_filter_accepts_all)
{
	const struct test_frame f = tcp4(0);
	struct packet p = packet_of_frame(&f);
	struct mos_flow flow = {.key.ip_version = 4};

	ck_assert(mos_filter_match(NULL, p.m, &p.meta));
	ck_assert(mos_filter_match_flow(NULL, &flow));
	mos_filter_destroy(NULL);
	rte_pktmbuf_free(p.m);
}
END_TEST

/* ---- what cannot be compiled ---- */

START_TEST(mistake_is_refused_with_its_reason)
{
	static const struct {
		const char *expr, *reason;
	} rows[] = {
		{"tcp and", "syntax error"},   {"host 10.0.0.0/8", "Mask syntax"},
		{"port 70000", "70000"},       {"tcp[70", "syntax error"},
		{"dst port x1y2z3", "x1y2z3"}, {"link[0] = 1 nonsense(", "syntax error"},
	};

	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		struct mos_filter *f = NULL;
		char why[128] = "", few[8];

		ck_assert_int_eq(mos_filter_compile(&f, rows[i].expr, why, sizeof(why)), -EINVAL);
		ck_assert_ptr_null(f);
		ck_assert_msg(strstr(why, rows[i].reason) != NULL, "%s: %s", rows[i].expr, why);
		ck_assert_ptr_null(strchr(why, '\n'));
		memset(few, 'x', sizeof(few));
		ck_assert_int_eq(mos_filter_compile(&f, rows[i].expr, few, 4), -EINVAL);
		ck_assert_uint_eq(strlen(few), 3);
		ck_assert_int_eq(few[4], 'x');
	}
}
END_TEST

/* ---- the shared heap ---- */

START_TEST(compiling_takes_nothing_from_the_shared_heap)
{
	struct rte_malloc_socket_stats before, after;
	struct mos_filter *f[3];

	ck_assert_int_eq(rte_malloc_get_socket_stats(0, &before), 0);
	for (int best = MOS_FILTER_JIT; best <= MOS_FILTER_LIBPCAP; best++) {
		f[best] = compiled("tcp and dst port 80", (enum mos_filter_backend)best);
		ck_assert_int_eq(mos_filter_backend(f[best]), best);
	}
	ck_assert_int_eq(rte_malloc_get_socket_stats(0, &after), 0);
	ck_assert_mem_eq(&before, &after, sizeof(before));
	for (int best = MOS_FILTER_JIT; best <= MOS_FILTER_LIBPCAP; best++)
		mos_filter_destroy(f[best]);
}
END_TEST

/* ---- a SYN made up from a record ---- */

START_TEST(made_up_syn_is_what_the_client_sent)
{
	struct mos_flow flow = {.key.ip_version = 4, .key.vlan = 5};
	struct mos_filter *f;

	memcpy(flow.key.src, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1", 16);
	memcpy(flow.key.dst, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\1\2", 16);
	flow.key.src_port_be = htons(40000);
	flow.key.dst_port_be = htons(443);
	f = compiled("vlan 5 and src host 10.0.0.1 and dst port 443 and tcp[13] = 2",
	             MOS_FILTER_JIT);
	ck_assert(mos_filter_match_flow(f, &flow));
	flow.key.dst_port_be = htons(444);
	ck_assert(!mos_filter_match_flow(f, &flow));
	mos_filter_destroy(f);
}
END_TEST

static void end_eal(void)
{
	rte_eal_cleanup();
	mos_eal_primary_wipe_stale(file_prefix);
}

static void begin_eal(void)
{
	char prefix[64];
	char *argv[] = {"test",  "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry",
	                "-m",    "64",        "-l",          "0",        "--log-level",
	                "error", prefix};

	snprintf(file_prefix, sizeof(file_prefix), "filter%d", getpid());
	snprintf(prefix, sizeof(prefix), "--file-prefix=%s", file_prefix);
	if (rte_eal_init((int)RTE_DIM(argv), argv) < 0) {
		fprintf(stderr, "no EAL: skipped\n");
		exit(77);
	}
	atexit(end_eal);
	pool = rte_pktmbuf_pool_create("filter", 255, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE + 2048,
	                               SOCKET_ID_ANY);
	if (pool == NULL) {
		fprintf(stderr, "no packets: skipped\n");
		exit(77);
	}
}

int main(void)
{
	Suite *s = suite_create("filter");
	TCase *tc = tcase_create("filter");
	SRunner *sr = srunner_create(s);
	int failed;

	begin_eal();
	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, expression_is_about_the_packet_as_it_is);
	tcase_add_test(tc, padding_is_no_part_of_the_length);
	tcase_add_test(tc, no_filter_accepts_all);
	tcase_add_test(tc, mistake_is_refused_with_its_reason);
	tcase_add_test(tc, compiling_takes_nothing_from_the_shared_heap);
	tcase_add_test(tc, made_up_syn_is_what_the_client_sent);
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
