/*
 * How much memory a configuration needs: plain arithmetic, no EAL.
 */
#include "primary/memory/memory.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/chunk_pool/chunk_pool.h"

static struct mos_config cfg;
static struct mos_memory_plan plan;
static char err[256];

static void usual(void)
{
	cfg = (struct mos_config){
		.workers = 2,
		.ring_size = 4096,
		.mbuf_size = 2048,
		.max_concurrency = 100000,
		.stream_memory = 32,
		.port_count = 2,
	};
}

static uint64_t everywhere(void)
{
	return (uint64_t)cfg.workers *
	       (2 * (uint32_t)cfg.ring_size + MOS_BLANK_SIZE + MOS_BACKLOG_SIZE);
}

START_TEST(the_pool_covers_all_rings_at_once)
{
	static const int32_t sizes[] = {256, 1024, 4096, 65536};

	usual();
	for (cfg.workers = 1; cfg.workers <= 32; cfg.workers++) {
		for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			cfg.ring_size = sizes[i];
			ck_assert_int_eq(mos_memory_plan(&plan, &cfg, err, sizeof(err)), 0);
			ck_assert_uint_gt(plan.mbufs, everywhere() + 2 * MOS_PORT_HAND);
			ck_assert_uint_gt(plan.huge_mb, plan.total_bytes >> 20);
		}
	}
}
END_TEST

START_TEST(too_few_mbufs_are_refused_with_the_number_that_would_do)
{
	const char *need;

	usual();
	cfg.mbufs = 4096;
	ck_assert_int_eq(mos_memory_plan(&plan, &cfg, err, sizeof(err)), -EINVAL);
	need = strstr(err, "need ");
	ck_assert_ptr_nonnull(need);
	cfg.mbufs = atoi(need + strlen("need "));
	ck_assert_int_eq(mos_memory_plan(&plan, &cfg, err, sizeof(err)), 0);
	ck_assert_uint_eq(plan.mbufs, (uint32_t)cfg.mbufs);
	cfg.mbufs--;
	ck_assert_int_eq(mos_memory_plan(&plan, &cfg, err, sizeof(err)), -EINVAL);
}
END_TEST

START_TEST(a_flow_table_beyond_the_limit_is_refused)
{
	usual();
	cfg.max_concurrency = 1 << 26;
	ck_assert_int_eq(mos_memory_plan(&plan, &cfg, err, sizeof(err)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "max_concurrency"));
}
END_TEST

START_TEST(user_areas_are_counted)
{
	size_t without;

	usual();
	ck_assert_int_eq(mos_memory_plan(&plan, &cfg, err, sizeof(err)), 0);
	without = plan.total_bytes;
	cfg.flow_area = 256;
	ck_assert_int_eq(mos_memory_plan(&plan, &cfg, err, sizeof(err)), 0);
	ck_assert_uint_ge(plan.total_bytes, without + 2ull * plan.max_flows * 256);
}
END_TEST

/* The chunks fill it; some bytes come on top for the pool's header. */
START_TEST(stream_memory_is_counted)
{
	size_t small;

	usual();
	cfg.stream_memory = 1;
	ck_assert_int_eq(mos_memory_plan(&plan, &cfg, err, sizeof(err)), 0);
	ck_assert_uint_eq((size_t)plan.shard.chunk_count * MOS_CHUNK_BYTES, 1 << 20);
	small = plan.total_bytes;
	cfg.stream_memory = 65536;
	ck_assert_int_eq(mos_memory_plan(&plan, &cfg, err, sizeof(err)), 0);
	ck_assert_uint_eq((size_t)plan.shard.chunk_count * MOS_CHUNK_BYTES, (size_t)65536 << 20);
	ck_assert_uint_eq(plan.total_bytes - small, 2 * ((size_t)65535 << 20));
	cfg.workers = 32;
	ck_assert_int_eq(mos_memory_plan(&plan, &cfg, err, sizeof(err)), 0);
	ck_assert_uint_ge(plan.huge_mb, 32 * 65536);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memory_plan");
	TCase *tc = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(tc, the_pool_covers_all_rings_at_once);
	tcase_add_test(tc, too_few_mbufs_are_refused_with_the_number_that_would_do);
	tcase_add_test(tc, a_flow_table_beyond_the_limit_is_refused);
	tcase_add_test(tc, user_areas_are_counted);
	tcase_add_test(tc, stream_memory_is_counted);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
