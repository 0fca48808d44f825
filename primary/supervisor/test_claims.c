/* The table of claims on the bench: alone, nobody holds or grants anything. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "primary/supervisor/claims.h"

static struct mos_claims claims;

static void setup(void)
{
	claims.count = 0;
}

static int add(uint32_t worker, uint32_t ctx, uint32_t shard)
{
	struct mos_claim claim = {worker, ctx, shard};

	return mos_claims_add(&claims, &claim);
}

/* Who gets the shard next; -1: nobody. */
static int next_for(uint32_t shard)
{
	const struct mos_claim *c = mos_claims_next(&claims, shard);

	return c != NULL ? (int)c->worker : -1;
}

START_TEST(nobody_waits_at_first)
{
	struct mos_claim out;

	ck_assert_int_eq(next_for(0), -1);
	ck_assert_ptr_null(mos_claims_promised(&claims, 0));
	ck_assert(!mos_claims_remove(&claims, 0, 0, &out));
	ck_assert(!mos_claims_remove_any(&claims, 0, &out));
}
END_TEST

START_TEST(standbys_are_served_in_order_of_arrival)
{
	struct mos_claim out;

	for (uint32_t worker = 5; worker > 2; worker--)
		ck_assert_int_eq(add(worker, 0, MOS_CLAIM_ANY), 0);
	for (int worker = 5; worker > 2; worker--) {
		ck_assert_int_eq(next_for(7), worker);
		ck_assert(mos_claims_remove(&claims, (uint32_t)worker, 0, &out));
	}
	ck_assert_int_eq(next_for(7), -1);
}
END_TEST

START_TEST(promise_goes_before_older_standbys)
{
	ck_assert_int_eq(add(1, 0, MOS_CLAIM_ANY), 0);
	ck_assert_int_eq(add(2, 0, 7), 0);
	ck_assert_int_eq(next_for(7), 2);
	ck_assert_int_eq(next_for(6), 1);
	ck_assert_uint_eq(mos_claims_promised(&claims, 7)->worker, 2);
	ck_assert_ptr_null(mos_claims_promised(&claims, 6));
}
END_TEST

START_TEST(shard_is_promised_once)
{
	struct mos_claim out;

	ck_assert_int_eq(add(1, 0, 7), 0);
	ck_assert_int_eq(add(2, 0, 7), -EBUSY);
	ck_assert(mos_claims_remove(&claims, 1, 0, &out));
	ck_assert_uint_eq(out.shard, 7);
	ck_assert_int_eq(add(2, 0, 7), 0);
}
END_TEST

START_TEST(context_waits_for_one_shard_at_a_time)
{
	ck_assert_int_eq(add(1, 0, MOS_CLAIM_ANY), 0);
	ck_assert_int_eq(add(1, 0, 7), -EEXIST);
	ck_assert_int_eq(add(1, 0, MOS_CLAIM_ANY), -EEXIST);
	ck_assert_int_eq(add(1, 1, 7), 0);
	ck_assert_int_eq(add(2, 0, MOS_CLAIM_ANY), 0);
}
END_TEST

START_TEST(worker_that_is_gone_waits_with_none_of_its_contexts)
{
	struct mos_claim out;

	ck_assert_int_eq(add(1, 0, 3), 0);
	ck_assert_int_eq(add(2, 0, MOS_CLAIM_ANY), 0);
	ck_assert_int_eq(add(1, 1, 4), 0);
	for (uint32_t shard = 3; shard <= 4; shard++) {
		ck_assert(mos_claims_remove_any(&claims, 1, &out));
		ck_assert_uint_eq(out.shard, shard);
	}
	ck_assert(!mos_claims_remove_any(&claims, 1, &out));
	ck_assert_int_eq(next_for(3), 2);
	ck_assert_uint_eq(claims.count, 1);
}
END_TEST

START_TEST(full_table_is_an_answer)
{
	struct mos_claim out;

	for (uint32_t i = 0; i < MOS_CLAIM_MAX; i++)
		ck_assert_int_eq(add(i, 0, MOS_CLAIM_ANY), 0);
	ck_assert_int_eq(add(MOS_CLAIM_MAX, 0, MOS_CLAIM_ANY), -ENOSPC);
	ck_assert(mos_claims_remove(&claims, MOS_CLAIM_MAX - 1, 0, &out));
	ck_assert_int_eq(add(MOS_CLAIM_MAX, 0, MOS_CLAIM_ANY), 0);
	ck_assert_int_eq(next_for(0), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("claims");
	TCase *tc = tcase_create("claims");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, nobody_waits_at_first);
	tcase_add_test(tc, standbys_are_served_in_order_of_arrival);
	tcase_add_test(tc, promise_goes_before_older_standbys);
	tcase_add_test(tc, shard_is_promised_once);
	tcase_add_test(tc, context_waits_for_one_shard_at_a_time);
	tcase_add_test(tc, worker_that_is_gone_waits_with_none_of_its_contexts);
	tcase_add_test(tc, full_table_is_an_answer);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
