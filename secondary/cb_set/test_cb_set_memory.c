/*
 * Running out of memory: the modules are compiled into this file with an allocator of ours, which
 * fails when told to. Each operation is tried with its first, second, third... allocation failing,
 * until it gets all it asks for; each failure has to leave everything as it was.
 */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static int fail_at = -1; /* how many allocations to go before the one that fails; < 0: none */

static bool fails(void)
{
	return fail_at >= 0 && fail_at-- == 0;
}

static void *test_malloc(size_t size)
{
	return fails() ? NULL : malloc(size);
}

static void *test_calloc(size_t n, size_t size)
{
	return fails() ? NULL : calloc(n, size);
}

#define malloc(size)    test_malloc(size)
#define calloc(n, size) test_calloc(n, size)
#include "secondary/event_tree/event_tree.c"
#include "secondary/cb_set/cb_set.c"
#include "secondary/cb_set/step_tree.c"
#undef malloc
#undef calloc

static struct mos_cb_sets t;

static bool filter(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	return true;
}

static void cb_x(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
}

static void teardown(void)
{
	fail_at = -1;
	mos_ude_forget_all();
}

START_TEST(a_definition_without_memory_defines_nothing)
{
	struct filter_arg arg = {.arg = &arg, .len = 3};
	event_t id = 7;

	fail_at = 0;
	ck_assert_int_eq(mos_ude_define(MOS_ON_PKT_IN, filter, &arg, &id), -ENOMEM);
	fail_at = 0;
	ck_assert_int_eq(mos_ude_alloc(MOS_ON_PKT_IN, &id), -ENOMEM);
	ck_assert_uint_eq(id, 7);
	ck_assert_ptr_null(mos_ude_lookup(MOS_UDE_FIRST));
	ck_assert_int_eq(mos_ude_define(MOS_ON_PKT_IN, filter, &arg, &id), 0);
	ck_assert_uint_eq(id, MOS_UDE_FIRST);
}
END_TEST

START_TEST(a_table_without_memory_is_not_made)
{
	int err = -1;

	for (int n = 0; err != 0; n++) {
		ck_assert_int_lt(n, 10);
		fail_at = n;
		err = mos_cb_sets_init(&t);
		ck_assert(err == 0 || err == -ENOMEM);
	}
	mos_cb_sets_fini(&t);
}
END_TEST

/* The change fails at each allocation in turn, then succeeds; a failure changes nothing. */
static struct mos_cb_set *try_change(struct mos_cb_set *old, event_t event, callback_t cb)
{
	struct mos_cb_set before = *old, *set = NULL;
	uint32_t sets = t.count, refs = old->refs;
	size_t bytes = t.bytes;

	for (int n = 0; set == NULL; n++) {
		ck_assert_int_lt(n, 10);
		fail_at = n;
		set = mos_cb_sets_change(&t, old, event, MOS_HOOK_SND, cb);
		if (set != NULL)
			break;
		ck_assert_uint_eq(t.count, sets);
		ck_assert_uint_eq(t.bytes, bytes);
		ck_assert_uint_eq(old->refs, refs);
		ck_assert_mem_eq(old->cb, before.cb, sizeof(before.cb));
		ck_assert_mem_eq(old->tree, before.tree, sizeof(before.tree));
	}
	fail_at = -1;
	mos_cb_set_unref(old);
	return set;
}

START_TEST(a_change_without_memory_changes_nothing)
{
	struct mos_cb_set *set;
	event_t a, b;

	ck_assert_int_eq(mos_cb_sets_init(&t), 0);
	ck_assert_int_eq(mos_ude_define(MOS_ON_PKT_IN, filter, NULL, &a), 0);
	ck_assert_int_eq(mos_ude_alloc(a, &b), 0);
	set = try_change(mos_cb_set_ref(t.empty), MOS_ON_PKT_IN, cb_x);
	set = try_change(set, b, cb_x);
	set = try_change(set, a, cb_x);
	ck_assert_uint_eq(set->tree[MOS_HOOK_SND][0]->count, 2);
	set = try_change(set, b, NULL);
	set = try_change(set, a, NULL);
	set = try_change(set, MOS_ON_PKT_IN, NULL);
	ck_assert_ptr_eq(set, t.empty);
	mos_cb_set_unref(set);
	mos_cb_sets_purge(&t);
	ck_assert_uint_eq(t.count, 1);
	ck_assert_uint_eq(t.bytes, sizeof(*t.empty));
	mos_cb_sets_fini(&t);
}
END_TEST

START_TEST(changes_that_were_made_before_need_no_memory)
{
	struct mos_cb_set *set[16];
	event_t id[16];

	ck_assert_int_eq(mos_cb_sets_init(&t), 0);
	for (int i = 0; i < 16; i++) {
		ck_assert_int_eq(mos_ude_alloc(MOS_ON_PKT_IN, &id[i]), 0);
		set[i] = mos_cb_sets_change(&t, t.empty, id[i], MOS_HOOK_SND, cb_x);
	}
	for (int i = 0; i < 32; i++) {
		fail_at = 0;
		ck_assert_ptr_eq(mos_cb_sets_change(&t, t.empty, id[i % 16], MOS_HOOK_SND, cb_x),
		                 set[i % 16]);
	}
	fail_at = -1;
	mos_cb_sets_fini(&t);
}
END_TEST

START_TEST(a_table_that_cannot_grow_still_works)
{
	struct mos_cb_set *set[300];
	event_t id = MOS_ON_PKT_IN;

	ck_assert_int_eq(mos_cb_sets_init(&t), 0);
	for (int i = 0; i < 300; i++) {
		ck_assert_int_eq(mos_ude_alloc(id, &id), 0);
		fail_at = 3; /* path, tree, set; then the table */
		set[i] = mos_cb_sets_change(&t, t.empty, id, MOS_HOOK_SND, cb_x);
		fail_at = -1;
		ck_assert_ptr_nonnull(set[i]);
	}
	ck_assert_uint_eq(t.bucket_count, BUCKETS_MIN);
	for (int i = 0; i < 300; i++)
		ck_assert_ptr_eq(mos_cb_sets_change(&t, t.empty, MOS_UDE_FIRST + (event_t)i,
		                                    MOS_HOOK_SND, cb_x),
		                 set[i]);
	ck_assert_uint_eq(t.bucket_count, BUCKETS_MIN);
	mos_cb_sets_fini(&t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cb_set_memory");
	TCase *tc = tcase_create("cb_set_memory");
	SRunner *sr = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_test(tc, a_definition_without_memory_defines_nothing);
	tcase_add_test(tc, a_table_without_memory_is_not_made);
	tcase_add_test(tc, a_change_without_memory_changes_nothing);
	tcase_add_test(tc, changes_that_were_made_before_need_no_memory);
	tcase_add_test(tc, a_table_that_cannot_grow_still_works);
	suite_add_tcase(suite, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
