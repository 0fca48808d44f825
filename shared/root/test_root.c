/*
 * Root and shard on the bench: formatted through one mapping of their memory, joined through
 * another, as primary and worker do. A shard holds addresses that DPDK maps alike everywhere;
 * here they are good in the first mapping only, so no test follows them in the second.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/chunk_pool/chunk_pool.h"
#include "shared/flow_table/flow_table.h"
#include "shared/root/root.h"
#include "shared/root/shard.h"
#include "shared/root/user_area.h"
#include "shared/test_twice.h"

#define RING_BYTES  1000 /* not a multiple of a line on purpose */
#define BLANK_BYTES 300
#define FLOWS       100
#define AREA        24
#define CHUNKS      70

static struct twice mem;

/* ---- root ---- */

static struct mos_root *primary_root, *worker_root; /* the same root */

static void setup_root(void)
{
	mem = map_twice(sizeof(struct mos_root));
	primary_root = mem.a;
	worker_root = mem.b;
	ck_assert_int_eq(mos_root_new(primary_root, 2, 3, "mos"), 0);
	primary_root->readers = primary_root + 1;
}

static void teardown(void)
{
	unmap_twice(&mem);
}

START_TEST(new_root_says_what_it_is_made_of)
{
	mos_root_publish(primary_root);
	ck_assert_int_eq(mos_root_join(worker_root), 0);
	ck_assert_uint_eq(worker_root->shard_count, 2);
	ck_assert_uint_eq(worker_root->port_count, 3);
	ck_assert_str_eq(worker_root->prefix, "mos");
	ck_assert_int_eq(worker_root->primary_pid, getpid());
	ck_assert_int_eq(worker_root->meta_offset, -1);
	ck_assert_int_eq(mos_root_run(worker_root), MOS_RUN_STARTING);
}
END_TEST

START_TEST(new_root_keeps_nothing_of_the_one_before)
{
	mos_root_publish(primary_root);
	primary_root->run = MOS_RUN_STOPPED;
	primary_root->settings.max_flows = 7;
	mos_counter_add(&primary_root->io, MOS_CTR_RX_PACKETS, 5);
	ck_assert_int_eq(mos_root_new(primary_root, 1, 1, "b"), 0);
	ck_assert_int_eq(mos_root_join(worker_root), -EAGAIN); /* not published anew */
	ck_assert_int_eq(mos_root_run(worker_root), MOS_RUN_STARTING);
	ck_assert_uint_eq(worker_root->settings.max_flows, 0);
	ck_assert_uint_eq(mos_counter_get(&worker_root->io, MOS_CTR_RX_PACKETS), 0);
}
END_TEST

START_TEST(root_that_is_not_published_is_to_be_waited_for)
{
	ck_assert_int_eq(mos_root_join(worker_root), -EAGAIN);
	memset(primary_root, 0, sizeof(*primary_root));
	ck_assert_int_eq(mos_root_join(worker_root), -EAGAIN);
	memset(primary_root, 0xff, sizeof(*primary_root));
	ck_assert_int_eq(mos_root_join(worker_root), -EAGAIN);
}
END_TEST

START_TEST(root_of_another_layout_is_refused)
{
	mos_root_publish(primary_root);
	for (int bit = 0; bit < 64; bit++) {
		primary_root->layout_hash ^= UINT64_C(1) << bit;
		ck_assert_int_eq(mos_root_join(worker_root), -EPROTO);
		primary_root->layout_hash ^= UINT64_C(1) << bit;
	}
	ck_assert_int_eq(mos_root_join(worker_root), 0);
}
END_TEST

START_TEST(count_out_of_range_is_refused)
{
	mos_root_publish(primary_root);
	primary_root->shard_count = 0;
	ck_assert_int_eq(mos_root_join(worker_root), -EINVAL);
	primary_root->shard_count = MOS_SHARD_MAX + 1;
	ck_assert_int_eq(mos_root_join(worker_root), -EINVAL);
	primary_root->shard_count = MOS_SHARD_MAX;
	ck_assert_int_eq(mos_root_join(worker_root), 0);
	primary_root->port_count = MOS_PORT_MAX + 1;
	ck_assert_int_eq(mos_root_join(worker_root), -EINVAL);
	primary_root->port_count = MOS_PORT_MAX;
	ck_assert_int_eq(mos_root_join(worker_root), 0);
}
END_TEST

START_TEST(root_without_a_place_for_readers_is_refused)
{
	mos_root_publish(primary_root);
	primary_root->readers = NULL;
	ck_assert_int_eq(mos_root_join(worker_root), -EINVAL);
	primary_root->readers = (char *)(primary_root + 1) + 8;
	ck_assert_int_eq(mos_root_join(worker_root), -EINVAL);
	primary_root->readers = primary_root + 1;
	ck_assert_int_eq(mos_root_join(worker_root), 0);
}
END_TEST

START_TEST(bad_parameters_make_no_root)
{
	const char fits[] = "0123456789012345678901234567890",
		   long_by_one[] = "01234567890123456789012345678901";

	ck_assert_uint_eq(sizeof(long_by_one), sizeof(primary_root->prefix) + 1);
	ck_assert_int_eq(mos_root_new(primary_root, 0, 1, "mos"), -EINVAL);
	ck_assert_int_eq(mos_root_new(primary_root, MOS_SHARD_MAX + 1, 1, "mos"), -EINVAL);
	ck_assert_int_eq(mos_root_new(primary_root, 1, MOS_PORT_MAX + 1, "mos"), -EINVAL);
	ck_assert_int_eq(mos_root_new(primary_root, 1, 1, long_by_one), -EINVAL);
	ck_assert_int_eq(mos_root_new(primary_root, MOS_SHARD_MAX, MOS_PORT_MAX, fits), 0);
	ck_assert_str_eq(worker_root->prefix, fits);
}
END_TEST

/* ---- shard ---- */

static struct mos_shard_plan plan;
static struct mos_shard *primary_shard, *worker_shard; /* the same shard */

static void setup_shard(void)
{
	ck_assert_int_eq(mos_shard_plan(&plan, RING_BYTES, BLANK_BYTES, FLOWS, AREA, CHUNKS), 0);
	mem = map_twice(plan.total);
	primary_shard = mem.a;
	worker_shard = mem.b;
	ck_assert_int_eq(mos_shard_new(primary_shard, &plan, 5, FLOWS), 0);
}

/* The parts in the order in which they lie. */
static void check_plan(const struct mos_shard_plan *p, size_t ring, size_t blank, uint32_t flows)
{
	const size_t start[] = {
		0, p->rx, p->tx, p->blank, p->flow_table, p->user_areas, p->chunk_pool, p->total};
	const size_t bytes[] = {sizeof(struct mos_shard),
	                        ring,
	                        ring,
	                        blank,
	                        p->flow_table_bytes,
	                        p->user_area_bytes * flows,
	                        p->chunk_pool_bytes};

	for (int i = 0; i < 7; i++) {
		ck_assert_uint_eq(start[i] % MOS_CACHE_LINE, 0);
		ck_assert_uint_ge(start[i + 1], start[i] + bytes[i]);
		ck_assert_uint_lt(start[i + 1], start[i] + bytes[i] + MOS_CACHE_LINE);
	}
}

START_TEST(parts_of_a_shard_do_not_overlap)
{
	static const uint32_t flows[] = {1, 7, 100, 4096, MOS_FLOW_CAP_MAX};
	static const uint32_t areas[] = {0, 1, 8, 65, 4096};
	static const uint32_t chunks[] = {MOS_CHUNK_COUNT_MIN, 65, 70, 4096, MOS_CHUNK_COUNT_MAX};
	struct mos_shard_plan p;

	for (int f = 0; f < 5; f++) {
		for (int a = 0; a < 5; a++) {
			uint32_t count = chunks[(f + a) % 5];

			ck_assert_int_eq(mos_shard_plan(&p, RING_BYTES, BLANK_BYTES, flows[f],
			                                areas[a], count),
			                 0);
			check_plan(&p, RING_BYTES, BLANK_BYTES, flows[f]);
			ck_assert_uint_eq(p.flow_table_bytes, mos_flow_table_footprint(flows[f]));
			ck_assert_uint_eq(p.chunk_pool_bytes, mos_chunk_pool_footprint(count));
			if (areas[a] != 0)
				ck_assert_uint_ge(p.user_area_bytes,
				                  areas[a] + sizeof(struct mos_area));
			ck_assert_uint_eq(p.user_area_bytes % 8, 0);
		}
	}
}
END_TEST

static int plan_of(uint32_t flows, uint32_t area, uint32_t chunks)
{
	struct mos_shard_plan p;

	return mos_shard_plan(&p, RING_BYTES, BLANK_BYTES, flows, area, chunks);
}

START_TEST(bad_parameters_make_no_plan)
{
	ck_assert_int_eq(plan_of(0, 0, CHUNKS), -EINVAL);
	ck_assert_int_eq(plan_of(MOS_FLOW_CAP_MAX + 1, 0, CHUNKS), -EINVAL);
	ck_assert_int_eq(plan_of(FLOWS, 4097, CHUNKS), -EINVAL);
	ck_assert_int_eq(plan_of(FLOWS, 0, 0), -EINVAL);
	ck_assert_int_eq(plan_of(FLOWS, 0, MOS_CHUNK_COUNT_MAX + 1), -EINVAL);
	ck_assert_int_eq(plan_of(FLOWS, 0, CHUNKS), 0);
}
END_TEST

START_TEST(shard_is_joined_once_it_is_published)
{
	ck_assert_int_eq(mos_shard_join(worker_shard, 5), -EAGAIN);
	mos_shard_publish(primary_shard);
	ck_assert_int_eq(mos_shard_join(worker_shard, 5), 0);
	ck_assert_uint_eq(worker_shard->max_flows, FLOWS);
	ck_assert_int_eq(mos_lease_state(&worker_shard->lease), MOS_LEASE_FREE);
	ck_assert_uint_eq(worker_shard->ledger.count, 0);
	ck_assert_uint_eq(worker_shard->ledger.flow, UINT32_MAX);
}
END_TEST

START_TEST(another_shard_than_the_leased_one_is_refused)
{
	mos_shard_publish(primary_shard);
	ck_assert_int_eq(mos_shard_join(worker_shard, 4), -EPROTO);
	ck_assert_int_eq(mos_shard_join(worker_shard, 6), -EPROTO);
}
END_TEST

START_TEST(damaged_magic_is_refused)
{
	mos_shard_publish(primary_shard);
	for (int bit = 0; bit < 64; bit++) {
		primary_shard->magic ^= UINT64_C(1) << bit;
		ck_assert_int_eq(mos_shard_join(worker_shard, 5), -EAGAIN);
		primary_shard->magic ^= UINT64_C(1) << bit;
	}
	ck_assert_int_eq(mos_shard_join(worker_shard, 5), 0);
}
END_TEST

START_TEST(pointers_lead_to_the_planned_places)
{
	char *base = (char *)primary_shard;

	ck_assert_ptr_eq(primary_shard->rx, base + plan.rx);
	ck_assert_ptr_eq(primary_shard->tx, base + plan.tx);
	ck_assert_ptr_eq(primary_shard->blank, base + plan.blank);
	ck_assert_ptr_eq(primary_shard->flow_table, base + plan.flow_table);
	ck_assert_ptr_eq(primary_shard->user_areas, base + plan.user_areas);
	ck_assert_ptr_eq(primary_shard->chunk_pool, base + plan.chunk_pool);
}
END_TEST

/* The table itself holds offsets only: it opens wherever its memory is mapped. */
START_TEST(flow_table_of_the_shard_opens_at_another_address)
{
	struct mos_flow_table t;

	ck_assert_int_eq(mos_flow_table_join(&t, (char *)mem.b + plan.flow_table,
	                                     worker_shard->flow_table_bytes, NULL),
	                 0);
	ck_assert_uint_eq(t.capacity, FLOWS);
	mos_flow_table_leave(&t);
}
END_TEST

static mos_chunk_list *keep_none(void *arg, const struct mos_chunk *chunk, bool *out_of_order)
{
	return NULL;
}

/* Its memory need not be zeroed. */
START_TEST(chunk_pool_of_the_shard_opens_at_another_address)
{
	struct mos_chunk_pool p;

	memset(primary_shard, 0, plan.chunk_pool);
	memset((char *)mem.a + plan.chunk_pool, 0xff, plan.chunk_pool_bytes);
	ck_assert_int_eq(mos_shard_new(primary_shard, &plan, 5, FLOWS), 0);
	ck_assert_int_eq(mos_chunk_pool_join(&p, (char *)mem.b + plan.chunk_pool,
	                                     worker_shard->chunk_pool_bytes, keep_none, NULL, NULL),
	                 0);
	ck_assert_uint_eq(p.count, CHUNKS);
	ck_assert_uint_eq(p.free_count, CHUNKS);
	mos_chunk_pool_leave(&p);
}
END_TEST

START_TEST(user_areas_lie_side_by_side_and_end)
{
	char *first = (char *)mos_shard_user_area(primary_shard, 0);
	char *last = (char *)mos_shard_user_area(primary_shard, FLOWS - 1);

	ck_assert_ptr_eq(first, (char *)primary_shard + plan.user_areas);
	ck_assert_uint_eq(last - first, (FLOWS - 1) * plan.user_area_bytes);
	ck_assert_uint_le(last + plan.user_area_bytes - (char *)primary_shard, plan.total);
	ck_assert_ptr_null(mos_shard_user_area(primary_shard, FLOWS));
	ck_assert_ptr_null(mos_shard_user_area(primary_shard, UINT32_MAX));
}
END_TEST

START_TEST(shard_without_user_areas_has_none)
{
	ck_assert_int_eq(mos_shard_plan(&plan, RING_BYTES, BLANK_BYTES, FLOWS, 0, CHUNKS), 0);
	memset(primary_shard, 0, plan.total);
	ck_assert_int_eq(mos_shard_new(primary_shard, &plan, 0, FLOWS), 0);
	ck_assert_ptr_null(primary_shard->user_areas);
	ck_assert_ptr_null(mos_shard_user_area(primary_shard, 0));
}
END_TEST

/* What different processes write lies on different lines. */
START_TEST(writers_do_not_share_a_line)
{
	ck_assert_uint_eq(offsetof(struct mos_shard, lease) % MOS_CACHE_LINE, 0);
	ck_assert_uint_eq(offsetof(struct mos_shard, ledger) % MOS_CACHE_LINE, 0);
	ck_assert_uint_eq(offsetof(struct mos_shard, counters) % MOS_CACHE_LINE, 0);
	ck_assert_uint_eq(offsetof(struct mos_lease, heartbeat) % MOS_CACHE_LINE, 0);
	ck_assert_uint_eq(offsetof(struct mos_root, run) % MOS_CACHE_LINE, 0);
	ck_assert_uint_eq(offsetof(struct mos_root, io) % MOS_CACHE_LINE, 0);
	ck_assert_uint_eq(offsetof(struct mos_root, supervisor) % MOS_CACHE_LINE, 0);
}
END_TEST

static TCase *root_case(void)
{
	TCase *tc = tcase_create("root");

	tcase_add_checked_fixture(tc, setup_root, teardown);
	tcase_add_test(tc, new_root_says_what_it_is_made_of);
	tcase_add_test(tc, new_root_keeps_nothing_of_the_one_before);
	tcase_add_test(tc, root_that_is_not_published_is_to_be_waited_for);
	tcase_add_test(tc, root_of_another_layout_is_refused);
	tcase_add_test(tc, count_out_of_range_is_refused);
	tcase_add_test(tc, root_without_a_place_for_readers_is_refused);
	tcase_add_test(tc, bad_parameters_make_no_root);
	return tc;
}

static TCase *shard_case(void)
{
	TCase *tc = tcase_create("shard");

	tcase_add_checked_fixture(tc, setup_shard, teardown);
	tcase_add_test(tc, parts_of_a_shard_do_not_overlap);
	tcase_add_test(tc, bad_parameters_make_no_plan);
	tcase_add_test(tc, shard_is_joined_once_it_is_published);
	tcase_add_test(tc, another_shard_than_the_leased_one_is_refused);
	tcase_add_test(tc, damaged_magic_is_refused);
	tcase_add_test(tc, pointers_lead_to_the_planned_places);
	tcase_add_test(tc, flow_table_of_the_shard_opens_at_another_address);
	tcase_add_test(tc, chunk_pool_of_the_shard_opens_at_another_address);
	tcase_add_test(tc, user_areas_lie_side_by_side_and_end);
	tcase_add_test(tc, shard_without_user_areas_has_none);
	tcase_add_test(tc, writers_do_not_share_a_line);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("root");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, root_case());
	suite_add_tcase(s, shard_case());
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
