/* The table alone, no library below it. Leaks and stray accesses are the sanitizers' to find. */
#include "apps/midstat/conn_table.h"

#include <check.h>
#include <stdlib.h>

#define MANY 5000 /* more than the table has buckets at first */

static struct conn_table table;

static void open_table(void)
{
	ck_assert_int_eq(conn_table_init(&table), 0);
}

static void close_table(void)
{
	conn_table_fini(&table);
}

static struct conn_name name_number(unsigned i)
{
	return (struct conn_name){.addr = {htonl(0x0a000001), htonl(0x0a000002)},
	                          .port = {htons((uint16_t)i), htons(80)}};
}

START_TEST(record_is_found_by_its_name_only)
{
	struct conn_name a = name_number(1), turned = a;
	struct conn *c = conn_table_insert(&table, &a);

	turned.port[0] = a.port[1];
	turned.port[1] = a.port[0];
	ck_assert_ptr_nonnull(c);
	ck_assert_ptr_eq(conn_table_lookup(&table, &a), c);
	ck_assert_ptr_null(conn_table_lookup(&table, &turned));
	conn_table_remove(&table, c);
	ck_assert_ptr_null(conn_table_lookup(&table, &a));
}
END_TEST

START_TEST(growing_loses_no_record_and_keeps_their_order)
{
	struct conn *c;
	unsigned i = 0;

	for (i = 0; i < MANY; i++) {
		struct conn_name name = name_number(i);

		ck_assert_ptr_nonnull(conn_table_insert(&table, &name));
	}
	i = 0;
	TAILQ_FOREACH (c, &table.list, by_age) {
		struct conn_name name = name_number(i++);

		ck_assert_ptr_eq(conn_table_lookup(&table, &name), c);
	}
	ck_assert_uint_eq(i, MANY);
	ck_assert_uint_ge(table.bucket_count, MANY);
}
END_TEST

START_TEST(any_record_of_a_bucket_can_be_removed)
{
	for (unsigned i = 0; i < MANY; i++) {
		struct conn_name name = name_number(i);

		conn_table_insert(&table, &name);
	}
	for (unsigned i = 0; i < MANY; i += 2) {
		struct conn_name name = name_number(i);

		conn_table_remove(&table, conn_table_lookup(&table, &name));
	}
	for (unsigned i = 0; i < MANY; i++) {
		struct conn_name name = name_number(i);

		ck_assert_int_eq(conn_table_lookup(&table, &name) != NULL, i % 2);
	}
	ck_assert_uint_eq(table.count, MANY / 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("midstat_conn_table");
	TCase *tc = tcase_create("table");

	tcase_add_checked_fixture(tc, open_table, close_table);
	tcase_add_test(tc, record_is_found_by_its_name_only);
	tcase_add_test(tc, growing_loses_no_record_and_keeps_their_order);
	tcase_add_test(tc, any_record_of_a_bucket_can_be_removed);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
