/* The table alone, no library below it. Leaks and stray accesses are the sanitizers' to find. */
#include "apps/midstat/conn_table.h"

#include <check.h>
#include <stdlib.h>

#define MANY 100

static struct conn_table table;

static void open_table(void)
{
	conn_table_init(&table);
}

static void close_table(void)
{
	conn_table_fini(&table);
}

static struct conn *insert(unsigned i)
{
	const union conn_end end[2] = {
		{.in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)i)}},
		{.in = {.sin_family = AF_INET, .sin_port = htons(80)}},
	};
	struct conn *c = conn_table_insert(&table, end);

	ck_assert_ptr_nonnull(c);
	return c;
}

START_TEST(records_keep_their_ends_and_their_order)
{
	struct conn *c;
	unsigned i = 0;

	for (i = 0; i < MANY; i++)
		insert(i);
	i = 0;
	TAILQ_FOREACH (c, &table.list, by_age) {
		ck_assert_int_eq(c->end[0].family, AF_INET6);
		ck_assert_uint_eq(ntohs(c->end[0].in6.sin6_port), i++);
		ck_assert_int_eq(c->end[1].family, AF_INET);
		ck_assert_uint_eq(ntohs(c->end[1].in.sin_port), 80);
	}
	ck_assert_uint_eq(i, MANY);
	ck_assert_uint_eq(table.count, MANY);
}
END_TEST

START_TEST(records_of_the_same_ends_are_two)
{
	struct conn *a = insert(7), *b = insert(7);

	conn_table_remove(&table, a);
	ck_assert_uint_eq(table.count, 1);
	ck_assert_ptr_eq(TAILQ_FIRST(&table.list), b);
}
END_TEST

START_TEST(any_record_can_be_removed)
{
	struct conn *c[MANY];

	for (unsigned i = 0; i < MANY; i++)
		c[i] = insert(i);
	for (unsigned i = 0; i < MANY; i += 2)
		conn_table_remove(&table, c[i]);
	ck_assert_uint_eq(table.count, MANY / 2);
	ck_assert_ptr_eq(TAILQ_FIRST(&table.list), c[1]);
	conn_table_fini(&table);
	ck_assert_uint_eq(table.count, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("midstat_conn_table");
	TCase *tc = tcase_create("table");

	tcase_add_checked_fixture(tc, open_table, close_table);
	tcase_add_test(tc, records_keep_their_ends_and_their_order);
	tcase_add_test(tc, records_of_the_same_ends_are_two);
	tcase_add_test(tc, any_record_can_be_removed);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
