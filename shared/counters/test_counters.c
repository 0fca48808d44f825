/*
 * Counters on the bench: one block in shared memory, its writer at one address and a reader at the
 * other.
 */
#include <check.h>
#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shared/counters/counters.h"
#include "shared/test_twice.h"

static struct twice mem;
static struct mos_counters *writer, *reader; /* the same block */

static void setup(void)
{
	mem = map_twice(sizeof(struct mos_counters));
	writer = mem.a;
	reader = mem.b;
}

static void teardown(void)
{
	unmap_twice(&mem);
}

START_TEST(each_counter_has_its_own_place)
{
	for (unsigned i = 0; i < MOS_CTR_COUNT; i++)
		mos_counter_add(writer, (enum mos_counter)i, i + 1);
	for (unsigned i = 0; i < MOS_CTR_COUNT; i++)
		ck_assert_uint_eq(mos_counter_get(reader, (enum mos_counter)i), i + 1);
}
END_TEST

START_TEST(names_are_unique_lower_case_and_explained)
{
	for (unsigned i = 0; i < MOS_CTR_COUNT; i++) {
		const char *name = mos_counter_name(i);

		ck_assert_ptr_nonnull(name);
		ck_assert_uint_gt(strlen(mos_counter_text(i)), 3);
		ck_assert_uint_lt(strlen(name), 31); /* not cut off */
		for (const char *p = name; *p != '\0'; p++)
			ck_assert_msg(islower(*p) || isdigit(*p) || *p == '_', "%s", name);
		for (unsigned k = 0; k < i; k++)
			ck_assert_str_ne(name, mos_counter_name(k));
	}
	ck_assert_str_eq(mos_counter_name(MOS_CTR_DROP_RING_FULL), "drop_ring_full");
}
END_TEST

START_TEST(number_out_of_range_has_no_name)
{
	ck_assert_ptr_null(mos_counter_name(MOS_CTR_COUNT));
	ck_assert_ptr_null(mos_counter_name(UINT32_MAX));
	ck_assert_ptr_null(mos_counter_text(MOS_CTR_COUNT));
	ck_assert_ptr_null(mos_counter_text(UINT32_MAX));
}
END_TEST

START_TEST(blocks_are_summed)
{
	struct mos_counters sum = {{0}}, other = {{0}};

	mos_counter_add(writer, MOS_CTR_W_PACKETS, 3);
	mos_counter_add(&other, MOS_CTR_W_PACKETS, 4);
	mos_counter_add(&other, MOS_CTR_W_BYTES, UINT64_C(1) << 40);
	mos_counters_add_to(&sum, reader);
	mos_counters_add_to(&sum, &other);
	ck_assert_uint_eq(mos_counter_get(&sum, MOS_CTR_W_PACKETS), 7);
	ck_assert_uint_eq(mos_counter_get(&sum, MOS_CTR_W_BYTES), UINT64_C(1) << 40);
	ck_assert_uint_eq(mos_counter_get(&sum, MOS_CTR_RX_PACKETS), 0);
}
END_TEST

static char *printed(const struct mos_counters *c, const char *indent)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(out);
	mos_counters_print(out, c, indent);
	fclose(out);
	return text;
}

START_TEST(only_what_happened_is_printed)
{
	char *text = printed(reader, "  ");

	ck_assert_str_eq(text, "");
	free(text);
	mos_counter_add(writer, MOS_CTR_DROP_TX_FULL, UINT64_MAX);
	text = printed(reader, "--");
	ck_assert(strncmp(text, "--drop_tx_full ", 15) == 0);
	ck_assert_ptr_nonnull(strstr(text, "18446744073709551615"));
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
}
END_TEST

#define ADDS 200000

static void *count(void *arg)
{
	for (int i = 0; i < ADDS; i++)
		mos_counter_add(writer, MOS_CTR_W_TCP, 1);
	return arg;
}

START_TEST(reader_sees_a_counter_only_grow)
{
	uint64_t last = 0, now;
	pthread_t t;

	pthread_create(&t, NULL, count, NULL);
	do {
		now = mos_counter_get(reader, MOS_CTR_W_TCP);
		ck_assert_uint_ge(now, last);
		last = now;
	} while (now < ADDS);
	pthread_join(t, NULL);
	ck_assert_uint_eq(mos_counter_get(reader, MOS_CTR_W_TCP), ADDS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("counters");
	TCase *tc = tcase_create("counters");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, each_counter_has_its_own_place);
	tcase_add_test(tc, names_are_unique_lower_case_and_explained);
	tcase_add_test(tc, number_out_of_range_has_no_name);
	tcase_add_test(tc, blocks_are_summed);
	tcase_add_test(tc, only_what_happened_is_printed);
	tcase_add_test(tc, reader_sees_a_counter_only_grow);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
