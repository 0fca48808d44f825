/*
 * The pool by hand, and against a model: an array that knows of each port whether it is in use.
 * Servers are numbers; a port fits one if it is in the right residue class, as if there were so
 * many workers. The seed is printed; MOS_TEST_SEED repeats a run.
 */
#include "apps/nat/port_pool.h"

#include <check.h>
#include <stdlib.h>

#include "shared/test_rng.h"

#define LOW   5000
#define HIGH  5019
#define COUNT (HIGH - LOW + 1)

static struct port_pool p;
static unsigned asked; /* ports that somebody was asked about */

static void begin(void)
{
	ck_assert_int_eq(port_pool_init(&p, LOW, HIGH, 1), 0);
	asked = 0;
}

static void end(void)
{
	port_pool_fini(&p);
}

static bool every(void *arg, uint16_t port)
{
	asked++;
	return true;
}

static bool none(void *arg, uint16_t port)
{
	asked++;
	return false;
}

static bool odd(void *arg, uint16_t port)
{
	asked++;
	return port % 2 == 1;
}

START_TEST(each_port_is_given_out_once)
{
	bool seen[COUNT] = {false};

	for (int i = 0; i < COUNT; i++) {
		uint16_t port = port_pool_get(&p, every, NULL);

		ck_assert_uint_ge(port, LOW);
		ck_assert_uint_le(port, HIGH);
		ck_assert(!seen[port - LOW]);
		seen[port - LOW] = true;
	}
	ck_assert_uint_eq(p.used, COUNT);
	ck_assert_uint_eq(asked, COUNT);
	ck_assert_uint_eq(port_pool_get(&p, every, NULL), 0);
	ck_assert_uint_eq(asked, COUNT);
}
END_TEST

START_TEST(port_that_is_given_back_is_the_last_to_be_used_again)
{
	uint16_t first = port_pool_get(&p, every, NULL);

	port_pool_put(&p, first);
	ck_assert_uint_eq(p.used, 0);
	for (int i = 0; i < COUNT - 1; i++)
		ck_assert_uint_ne(port_pool_get(&p, every, NULL), first);
	ck_assert_uint_eq(port_pool_get(&p, every, NULL), first);
}
END_TEST

START_TEST(search_goes_on_where_it_stopped)
{
	for (int i = 0; i < COUNT / 2; i++)
		ck_assert_uint_eq(port_pool_get(&p, odd, NULL) % 2, 1);
	ck_assert_uint_le(asked, COUNT);
	ck_assert_uint_eq(port_pool_get(&p, odd, NULL), 0);
	ck_assert_uint_eq(p.used, COUNT / 2);
	for (int i = 0; i < COUNT / 2; i++)
		ck_assert_uint_eq(port_pool_get(&p, every, NULL) % 2, 0);
}
END_TEST

START_TEST(port_in_use_since_before_is_not_given_out)
{
	ck_assert(port_pool_claim(&p, LOW + 7));
	ck_assert(!port_pool_claim(&p, LOW + 7));
	ck_assert_uint_eq(p.used, 1);
	for (int i = 0; i < COUNT - 1; i++)
		ck_assert_uint_ne(port_pool_get(&p, every, NULL), LOW + 7);
	ck_assert_uint_eq(port_pool_get(&p, every, NULL), 0);
	port_pool_put(&p, LOW + 7);
	ck_assert_uint_eq(port_pool_get(&p, every, NULL), LOW + 7);
}
END_TEST

START_TEST(claimed_port_that_is_given_back_before_its_turn_is_there_once)
{
	ck_assert(port_pool_claim(&p, LOW));
	port_pool_put(&p, LOW);
	for (int i = 0; i < COUNT; i++)
		ck_assert_uint_ne(port_pool_get(&p, every, NULL), 0);
	ck_assert_uint_eq(port_pool_get(&p, every, NULL), 0);
}
END_TEST

START_TEST(ports_of_others_and_free_ones_are_left_alone)
{
	ck_assert(!port_pool_claim(&p, LOW - 1));
	ck_assert(!port_pool_claim(&p, HIGH + 1));
	ck_assert(!port_pool_claim(&p, 0));
	port_pool_put(&p, LOW - 1);
	port_pool_put(&p, HIGH + 1);
	port_pool_put(&p, 0);
	port_pool_put(&p, LOW);
	ck_assert_uint_eq(p.used, 0);
	ck_assert_uint_eq(p.queued, COUNT);
}
END_TEST

START_TEST(one_port_is_a_pool)
{
	struct port_pool one;

	ck_assert_int_eq(port_pool_init(&one, 65535, 65535, 0), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(port_pool_get(&one, every, NULL), 65535);
		ck_assert_uint_eq(port_pool_get(&one, every, NULL), 0);
		port_pool_put(&one, 65535);
	}
	port_pool_fini(&one);
}
END_TEST

START_TEST(search_in_a_large_pool_is_short_also_when_nothing_fits)
{
	struct port_pool large;

	ck_assert_int_eq(port_pool_init(&large, 1, 65535, 7), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(port_pool_get(&large, none, NULL), 0);
	ck_assert_uint_eq(asked, 3 * PORT_POOL_TRIES_MAX);
	ck_assert_uint_eq(large.queued, 65535);
	port_pool_fini(&large);
}
END_TEST

START_TEST(order_is_another_for_another_seed)
{
	struct port_pool a, b;
	int same = 0;

	ck_assert_int_eq(port_pool_init(&a, 1024, 65535, 1), 0);
	ck_assert_int_eq(port_pool_init(&b, 1024, 65535, 4), 0);
	for (int i = 0; i < 1000; i++) {
		uint16_t port = port_pool_get(&a, every, NULL);

		same += port == port_pool_get(&b, every, NULL);
		same += port == 1024 + i;
	}
	ck_assert_int_lt(same, 10);
	port_pool_fini(&a);
	port_pool_fini(&b);
}
END_TEST

/* ---- Against a model ---- */

#define WORKERS 3

static bool used[COUNT];

static bool fits_server(void *arg, uint16_t port)
{
	return port % WORKERS == *(unsigned *)arg;
}

static unsigned free_for(unsigned server)
{
	unsigned n = 0;

	for (unsigned i = 0; i < COUNT; i++)
		n += !used[i] && (LOW + i) % WORKERS == server;
	return n;
}

static void step(struct rng *rng)
{
	unsigned what = rng_below(rng, 8), i = rng_below(rng, COUNT);
	unsigned server = rng_below(rng, WORKERS);

	if (what < 4) {
		unsigned left = free_for(server);
		uint16_t port = port_pool_get(&p, fits_server, &server);

		must((port != 0) == (left > 0));
		if (port == 0)
			return;
		must(port >= LOW && port <= HIGH && port % WORKERS == server);
		must(!used[port - LOW]);
		used[port - LOW] = true;
	} else if (what < 5) {
		must(port_pool_claim(&p, (uint16_t)(LOW + i)) == !used[i]);
		used[i] = true;
	} else {
		port_pool_put(&p, (uint16_t)(LOW + i));
		used[i] = false;
	}
}

START_TEST(pool_is_as_its_model)
{
	struct rng rng = rng_new();

	for (int n = 0; n < 200000; n++) {
		unsigned count = 0;

		step(&rng);
		for (unsigned i = 0; i < COUNT; i++)
			count += used[i];
		must(p.used == count && p.queued + p.used >= COUNT && p.queued <= COUNT);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nat_port_pool");
	TCase *tc = tcase_create("nat_port_pool");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, each_port_is_given_out_once);
	tcase_add_test(tc, port_that_is_given_back_is_the_last_to_be_used_again);
	tcase_add_test(tc, search_goes_on_where_it_stopped);
	tcase_add_test(tc, port_in_use_since_before_is_not_given_out);
	tcase_add_test(tc, claimed_port_that_is_given_back_before_its_turn_is_there_once);
	tcase_add_test(tc, ports_of_others_and_free_ones_are_left_alone);
	tcase_add_test(tc, one_port_is_a_pool);
	tcase_add_test(tc, search_in_a_large_pool_is_short_also_when_nothing_fits);
	tcase_add_test(tc, order_is_another_for_another_seed);
	tcase_add_test(tc, pool_is_as_its_model);
	suite_add_tcase(s, tc);

	SRunner *runner = srunner_create(s);

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
