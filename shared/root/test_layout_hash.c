/*
 * The layout hash on the bench: layout_hash.c is compiled again and again into this file, each time
 * as a build would see it in which one thing differs.
 */
#include <check.h>
#include <stdlib.h>

#include "shared/control/control_msg.h"
#include "shared/flow_table/flow.h"
#include "shared/packet/packet.h"
#include "shared/root/root.h"
#include "shared/root/shard.h"

/* This build, by another name: what the others are compared with. */
#define mos_layout_hash hash_alike
#define mix             mix_alike
uint64_t hash_alike(void);
#include "shared/root/layout_hash.c"
#undef mos_layout_hash
#undef mix

/* Another version of what the structs mean. */
#define mos_layout_hash hash_version
#define mix             mix_version
uint64_t hash_version(void);
#pragma push_macro("MOS_LAYOUT_VERSION")
#undef MOS_LAYOUT_VERSION
#define MOS_LAYOUT_VERSION 99
#include "shared/root/layout_hash.c"
#pragma pop_macro("MOS_LAYOUT_VERSION")
#undef mos_layout_hash
#undef mix

/* A longer burst. */
#define mos_layout_hash hash_burst
#define mix             mix_burst
uint64_t hash_burst(void);
#pragma push_macro("MOS_BURST_MAX")
#undef MOS_BURST_MAX
#define MOS_BURST_MAX 64
#include "shared/root/layout_hash.c"
#pragma pop_macro("MOS_BURST_MAX")
#undef mos_layout_hash
#undef mix

/* Room for more shards. */
#define mos_layout_hash hash_shards
#define mix             mix_shards
uint64_t hash_shards(void);
#pragma push_macro("MOS_SHARD_MAX")
#undef MOS_SHARD_MAX
#define MOS_SHARD_MAX 64
#include "shared/root/layout_hash.c"
#pragma pop_macro("MOS_SHARD_MAX")
#undef mos_layout_hash
#undef mix

/* A lease that grew behind its last member. */
struct lease_with_more {
	struct mos_lease known;
	uint32_t asked;
	uint64_t heartbeat;
};
#define mos_layout_hash hash_lease
#define mix             mix_lease
#define mos_lease       lease_with_more
uint64_t hash_lease(void);
#include "shared/root/layout_hash.c"
#undef mos_layout_hash
#undef mix
#undef mos_lease

/* Meta data of the same size whose members changed places. */
struct meta_in_other_order {
	uint8_t verdict;
	uint8_t rest[sizeof(struct mos_pkt_meta) - 1];
};
#define mos_layout_hash hash_order
#define mix             mix_order
#define mos_pkt_meta    meta_in_other_order
uint64_t hash_order(void);
#include "shared/root/layout_hash.c"
#undef mos_layout_hash
#undef mix
#undef mos_pkt_meta

START_TEST(builds_alike_agree)
{
	ck_assert_uint_eq(mos_layout_hash(), hash_alike());
	ck_assert_uint_eq(mos_layout_hash(), mos_layout_hash());
}
END_TEST

START_TEST(every_difference_makes_another_hash)
{
	const uint64_t hash[] = {mos_layout_hash(), hash_version(), hash_burst(),
	                         hash_shards(),     hash_lease(),   hash_order()};

	for (int i = 0; i < 6; i++)
		for (int k = 0; k < i; k++)
			ck_assert_msg(hash[i] != hash[k], "builds %d and %d agree", i, k);
}
END_TEST

START_TEST(hash_is_not_what_empty_memory_reads)
{
	ck_assert_uint_ne(mos_layout_hash(), 0);
	ck_assert_uint_ne(mos_layout_hash(), UINT64_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("layout_hash");
	TCase *tc = tcase_create("layout_hash");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, builds_alike_agree);
	tcase_add_test(tc, every_difference_makes_another_hash);
	tcase_add_test(tc, hash_is_not_what_empty_memory_reads);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
