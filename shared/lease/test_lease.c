/*
 * The lease on the bench: a lease in shared memory, the primary's calls through one mapping and the
 * worker's through the other.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/lease/lease.h"
#include "shared/test_twice.h"

#define STATES 4
#define RACES  2000

static struct twice mem;
static struct mos_lease *primary, *worker; /* the same lease */

static void setup(void)
{
	mem = map_twice(sizeof(struct mos_lease));
	primary = mem.a;
	worker = mem.b;
}

static void teardown(void)
{
	unmap_twice(&mem);
}

enum call { GRANT, YIELD, DECLARE_DEAD, RELEASE };

/* Does the call on a lease in state `from` succeed? */
static bool call_from(enum call call, enum mos_lease_state from)
{
	*primary = (struct mos_lease){.state = from, .epoch = 7, .pid = 100};
	switch (call) {
	case GRANT: return mos_lease_grant(primary, 200, 1, 3) != 0;
	case YIELD: return mos_lease_yield(worker, 7);
	case DECLARE_DEAD: return mos_lease_declare_dead(primary);
	case RELEASE: return mos_lease_release(primary);
	}
	return false;
}

/* State after each call from each state; -1 = refused, and nothing changed. */
/* clang-format off */
static const int after[][STATES] = {
	/*                FREE            HELD                YIELDING        DEAD */
	[GRANT]        = {MOS_LEASE_HELD, -1,                 -1,             -1},
	[YIELD]        = {-1,             MOS_LEASE_YIELDING, -1,             -1},
	[DECLARE_DEAD] = {-1,             MOS_LEASE_DEAD,     MOS_LEASE_DEAD, -1},
	[RELEASE]      = {-1,             -1,                 MOS_LEASE_FREE, MOS_LEASE_FREE},
};
/* clang-format on */

START_TEST(only_the_drawn_transitions_exist)
{
	for (int call = GRANT; call <= RELEASE; call++) {
		for (int from = 0; from < STATES; from++) {
			int want = after[call][from];
			bool done = call_from((enum call)call, (enum mos_lease_state)from);

			ck_assert_msg(done == (want >= 0), "call %d from %s", call,
			              mos_lease_state_name((unsigned)from));
			ck_assert_int_eq(mos_lease_state(worker), want >= 0 ? want : from);
			if (!done) {
				ck_assert_int_eq(worker->pid, 100);
				ck_assert_uint_eq(worker->epoch, 7);
			}
		}
	}
}
END_TEST

START_TEST(grant_says_who_holds_it)
{
	ck_assert_uint_eq(mos_lease_grant(primary, 4711, 99, 5), 1);
	ck_assert_int_eq(worker->pid, 4711);
	ck_assert_uint_eq(worker->start_time, 99);
	ck_assert_uint_eq(worker->attach_slot, 5);
	ck_assert_uint_eq(worker->epoch, 1);
}
END_TEST

START_TEST(released_lease_names_nobody)
{
	mos_lease_grant(primary, 4711, 99, 5);
	mos_lease_declare_dead(primary);
	mos_lease_release(primary);
	ck_assert_int_eq(worker->pid, 0);
	ck_assert_uint_eq(worker->start_time, 0);
}
END_TEST

START_TEST(each_grant_has_another_epoch)
{
	uint32_t first = mos_lease_grant(primary, 1, 1, 1), second;

	mos_lease_yield(worker, first);
	mos_lease_release(primary);
	second = mos_lease_grant(primary, 2, 2, 2);
	ck_assert_uint_ne(first, second);
	ck_assert(!mos_lease_yield(worker, first)); /* the holder before cannot give it away */
	ck_assert(mos_lease_yield(worker, second));
}
END_TEST

START_TEST(epoch_that_wraps_is_not_a_refusal)
{
	primary->epoch = UINT32_MAX;
	ck_assert_uint_eq(mos_lease_grant(primary, 1, 1, 1), 1);
	ck_assert_int_eq(mos_lease_state(worker), MOS_LEASE_HELD);
	ck_assert(mos_lease_yield(worker, 1));
}
END_TEST

START_TEST(holder_alone_is_asked_to_yield)
{
	uint32_t first = mos_lease_grant(primary, 1, 1, 1), second;

	ck_assert(!mos_lease_is_asked(worker, first));
	mos_lease_ask(primary);
	ck_assert(mos_lease_is_asked(worker, first));
	mos_lease_ask_no_more(primary);
	ck_assert(!mos_lease_is_asked(worker, first));
	mos_lease_ask(primary);
	mos_lease_yield(worker, first);
	mos_lease_release(primary);
	second = mos_lease_grant(primary, 2, 2, 2);
	ck_assert(!mos_lease_is_asked(worker, second));
}
END_TEST

START_TEST(heartbeat_goes_on_over_holders)
{
	uint32_t epoch = mos_lease_grant(primary, 1, 1, 1);

	mos_lease_beat(worker);
	mos_lease_beat(worker);
	mos_lease_yield(worker, epoch);
	mos_lease_release(primary);
	mos_lease_grant(primary, 2, 1, 1);
	ck_assert_uint_eq(primary->heartbeat, 2);
	mos_lease_beat(worker);
	ck_assert_uint_eq(primary->heartbeat, 3);
}
END_TEST

static pthread_barrier_t barrier;
static int yielded;

static void *yielder(void *arg)
{
	for (int i = 0; i < RACES; i++) {
		pthread_barrier_wait(&barrier);
		yielded = mos_lease_yield(worker, (uint32_t)i + 1);
		pthread_barrier_wait(&barrier);
	}
	return arg;
}

/* A worker yields in the very moment in which the primary takes it for dead. */
START_TEST(yield_and_death_never_leave_it_held)
{
	pthread_t t;

	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&t, NULL, yielder, NULL);
	for (int i = 0; i < RACES; i++) {
		ck_assert_uint_eq(mos_lease_grant(primary, 1, 1, 1), (unsigned)i + 1);
		pthread_barrier_wait(&barrier);
		ck_assert(mos_lease_declare_dead(primary)); /* from HELD or from YIELDING */
		pthread_barrier_wait(&barrier);
		ck_assert_int_eq(mos_lease_state(primary), MOS_LEASE_DEAD);
		ck_assert(yielded == 0 || yielded == 1);
		ck_assert(mos_lease_release(primary));
	}
	pthread_join(t, NULL);
	pthread_barrier_destroy(&barrier);
}
END_TEST

START_TEST(every_state_has_a_name)
{
	ck_assert_str_eq(mos_lease_state_name(MOS_LEASE_FREE), "free");
	ck_assert_str_eq(mos_lease_state_name(MOS_LEASE_HELD), "held");
	ck_assert_str_eq(mos_lease_state_name(MOS_LEASE_YIELDING), "yielding");
	ck_assert_str_eq(mos_lease_state_name(MOS_LEASE_DEAD), "dead");
	ck_assert_str_eq(mos_lease_state_name(STATES), "?");
	ck_assert_str_eq(mos_lease_state_name(UINT32_MAX), "?");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lease");
	TCase *tc = tcase_create("lease");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, only_the_drawn_transitions_exist);
	tcase_add_test(tc, grant_says_who_holds_it);
	tcase_add_test(tc, released_lease_names_nobody);
	tcase_add_test(tc, each_grant_has_another_epoch);
	tcase_add_test(tc, epoch_that_wraps_is_not_a_refusal);
	tcase_add_test(tc, holder_alone_is_asked_to_yield);
	tcase_add_test(tc, heartbeat_goes_on_over_holders);
	tcase_add_test(tc, yield_and_death_never_leave_it_held);
	tcase_add_test(tc, every_state_has_a_name);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
