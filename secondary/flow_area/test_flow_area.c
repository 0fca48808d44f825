/*
 * The heads of areas, on a shard that is nothing but areas: what is kept is found again by another
 * that looks at the same memory, wherever it is mapped; what is damaged leads nowhere.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/flow_area/flow_area.h"

#define FLOWS 3
#define BYTES 4096 /* the most there may be */
#define ONE   (sizeof(struct mos_area) + BYTES)

static struct mos_shard ours, theirs; /* the same areas, mapped elsewhere */
static size_t len;

static void begin(void)
{
	ours = (struct mos_shard){.max_flows = FLOWS, .user_area_bytes = ONE};
	theirs = ours;
	ours.user_areas = calloc(FLOWS, ONE);
	theirs.user_areas = malloc(FLOWS * ONE);
	ck_assert(ours.user_areas != NULL && theirs.user_areas != NULL);
}

static void end(void)
{
	free(ours.user_areas);
	free(theirs.user_areas);
}

static void succeed(void)
{
	memcpy(theirs.user_areas, ours.user_areas, FLOWS * ONE);
}

START_TEST(uctx_is_found_at_the_same_place)
{
	char *bytes = mos_flow_area_bytes(&ours, 1, &len), *at;
	void *uctx[MOS_SOCKETS_MAX];

	ck_assert_uint_eq(len, BYTES);
	for (uint32_t n = 0; n < MOS_SOCKETS_MAX; n++)
		mos_flow_area_keep_uctx(&ours, 1, n, bytes + n * (BYTES - 1) / 7);
	succeed();
	ck_assert(mos_flow_area_find_uctx(&theirs, 1, uctx));
	at = mos_flow_area_bytes(&theirs, 1, &len);
	for (uint32_t n = 0; n < MOS_SOCKETS_MAX; n++)
		ck_assert_ptr_eq(uctx[n], at + n * (BYTES - 1) / 7);
	ck_assert(!mos_flow_area_find_uctx(&theirs, 0, uctx));
	ck_assert(!mos_flow_area_find_uctx(&theirs, 2, uctx));
}
END_TEST

START_TEST(uctx_that_leads_elsewhere_is_not_kept)
{
	char *bytes = mos_flow_area_bytes(&ours, 1, &len);
	void *const bad[] = {NULL, bytes - 1, bytes + BYTES, &ours, (void *)UINTPTR_MAX};
	void *uctx[MOS_SOCKETS_MAX];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		mos_flow_area_keep_uctx(&ours, 1, 0, bytes + 5);
		mos_flow_area_keep_uctx(&ours, 1, 0, bad[i]); /* nor is the one before */
		mos_flow_area_keep_uctx(&ours, 1, MOS_SOCKETS_MAX, bytes);
		mos_flow_area_keep_uctx(&ours, 1, UINT32_MAX, bytes);
		ck_assert(!mos_flow_area_find_uctx(&ours, 1, uctx));
	}
}
END_TEST

START_TEST(any_offset_leads_into_the_area_or_nowhere)
{
	char *bytes = mos_flow_area_bytes(&ours, 2, &len);
	struct mos_area *area = mos_shard_user_area(&ours, 2);
	void *uctx[MOS_SOCKETS_MAX];

	for (unsigned off = 0; off <= UINT16_MAX; off++) {
		void *want = off >= 1 && off <= BYTES ? bytes + off - 1 : NULL;

		area->uctx[off % MOS_SOCKETS_MAX] = (uint16_t)off;
		ck_assert(mos_flow_area_find_uctx(&ours, 2, uctx) == (want != NULL));
		ck_assert_ptr_eq(uctx[off % MOS_SOCKETS_MAX], want);
		area->uctx[off % MOS_SOCKETS_MAX] = 0;
	}
}
END_TEST

START_TEST(new_flow_finds_nothing_of_the_last_one)
{
	static const char zero[BYTES];
	char *bytes = mos_flow_area_bytes(&ours, 1, &len);
	void *uctx[MOS_SOCKETS_MAX];
	uint32_t version = 0;

	memset(ours.user_areas, 0xff, FLOWS * ONE);
	mos_flow_area_begin(&ours, 1, 7);
	ck_assert_int_eq(mos_flow_area_version(&ours, 1, &version), 0);
	ck_assert_uint_eq(version, 7);
	ck_assert_mem_eq(bytes, zero, BYTES);
	ck_assert(!mos_flow_area_find_uctx(&ours, 1, uctx));
	ck_assert_int_eq(mos_flow_area_version(&ours, 0, &version), 0);
	ck_assert_uint_eq(version, UINT32_MAX); /* the neighbours are left alone */
	ck_assert_int_eq(mos_flow_area_set_version(&ours, 1, UINT32_MAX), 0);
	ck_assert_int_eq(mos_flow_area_version(&ours, 1, &version), 0);
	ck_assert_uint_eq(version, UINT32_MAX);
	ck_assert_int_eq(((unsigned char *)mos_shard_user_area(&ours, 2))[0], 0xff);
}
END_TEST

START_TEST(without_areas_nothing_is_kept)
{
	const struct mos_shard none = {.max_flows = FLOWS};
	void *uctx[MOS_SOCKETS_MAX];
	uint32_t version = 9;

	mos_flow_area_begin(&none, 0, 1);
	mos_flow_area_keep_uctx(&none, 0, 0, uctx);
	ck_assert(!mos_flow_area_find_uctx(&none, 0, uctx));
	ck_assert_ptr_null(mos_flow_area_bytes(&none, 0, &len));
	ck_assert_int_eq(mos_flow_area_version(&none, 0, &version), -ENOSYS);
	ck_assert_int_eq(mos_flow_area_set_version(&none, 0, 1), -ENOSYS);
	ck_assert_uint_eq(version, 9);
	ck_assert_int_eq(mos_flow_area_set_version(&ours, FLOWS, 1), -ENOSYS); /* no such record */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flow_area");
	TCase *tc = tcase_create("heads");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, uctx_is_found_at_the_same_place);
	tcase_add_test(tc, uctx_that_leads_elsewhere_is_not_kept);
	tcase_add_test(tc, any_offset_leads_into_the_area_or_nowhere);
	tcase_add_test(tc, new_flow_finds_nothing_of_the_last_one);
	tcase_add_test(tc, without_areas_nothing_is_kept);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
