#include "secondary/filter/test_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "primary/eal/test_eal.h"

static struct rte_mempool *pool;
void rig_eal(void)
{
	test_eal_start("filter", "64");
	pool = rte_pktmbuf_pool_create("filter", 1023, 0, 0, RTE_PKTMBUF_HEADROOM + 10240,
	                               SOCKET_ID_ANY);
	if (pool == NULL) {
		fprintf(stderr, "no packets: skipped\n");
		exit(77);
	}
}

static struct rte_mbuf *segment_of(const uint8_t *bytes, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	ck_assert_ptr_nonnull(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), bytes, len);
	return m;
}

struct packet rig_packet(const void *bytes, uint32_t len, uint32_t seg_len)
{
	uint32_t n = RTE_MIN(seg_len, len);
	struct packet p = {.m = segment_of(bytes, n)};

	mos_pkt_parse(&p.meta, bytes, n, len, 7);
	for (uint32_t at = n; at < len; at += n) {
		n = RTE_MIN(seg_len, len - at);
		ck_assert_int_eq(rte_pktmbuf_chain(p.m, segment_of((const uint8_t *)bytes + at, n)),
		                 0);
	}
	return p;
}

struct mos_filter *rig_filter(const char *expr)
{
	struct mos_filter *f = NULL;
	char why[128] = "";
	int rc = mos_filter_compile(&f, expr, why, sizeof(why));

	ck_assert_msg(rc == 0, "%s: %s", expr, why);
	return f;
}

struct test_frame rig_tcp4(uint32_t payload)
{
	struct test_frame f;

	tf_start(&f);
	tf_ip4(&f, 0, IPPROTO_TCP);
	tf_tcp(&f, 0);
	tf_payload(&f, payload);
	tf_finish(&f);
	return f;
}
