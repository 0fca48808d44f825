/* Clock and timers of applications, on the bench: see harness.h. */
#include <limits.h>
#include <signal.h>

#include "test/eal/worker_tests.h"

static const struct hs_pkt data = DATA(1001, 5001, 5);

static int fired[64], fired_count;

static void on_timer(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
	struct pkt_info p;

	ck_assert_ptr_eq(m, hs_mctx());
	ck_assert_int_eq(side, 0);
	ck_assert_uint_eq(event, 0);
	ck_assert_ptr_null(arg);
	ck_assert_int_eq(mtcp_getlastpkt(m, 0, 0, &p), -1);
	ck_assert_uint_eq(hs.shard->ledger.stage, MOS_STAGE_AFTER);
	ck_assert_uint_eq(hs.shard->ledger.flow, MOS_FLOW_NONE);
	ck_assert_int_lt(fired_count, 64);
	fired[fired_count++] = id;
}

static void again(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
	struct timeval zero = {0};

	on_timer(m, id, side, event, arg);
	ck_assert_int_eq(mtcp_settimer(m, id, &zero, again), 0);
}

static mos_timer_t set_timer(int id, long ms, callback_t cb)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	mos_timer_t timer = mtcp_timer_set(hs_mctx(), id, &tv, cb);

	ck_assert_uint_ne(timer, 0);
	memset(&tv, 0xff, sizeof(tv)); /* it was copied */
	return timer;
}

START_TEST(timers_fire_in_order_of_time_without_any_flow)
{
	hs_open(NULL);
	fired_count = 0;
	set_timer(1, 300, on_timer);
	set_timer(2, 100, on_timer);
	set_timer(3, 100, on_timer);
	set_timer(4, 3600000, on_timer);
	hs_advance(99);
	ck_assert_int_eq(fired_count, 0);
	hs_advance(1);
	ck_assert_int_eq(fired_count, 2);
	ck_assert_int_eq(fired[0], 2);
	ck_assert_int_eq(fired[1], 3);
	hs_advance(5000);
	ck_assert_int_eq(fired_count, 3);
	ck_assert_int_eq(fired[2], 1);
}
END_TEST

START_TEST(timer_set_again_at_once_runs_once_a_round)
{
	hs_open(NULL);
	fired_count = 0;
	set_timer(9, 0, again);
	for (int i = 1; i <= 10; i++) {
		hs_round();
		ck_assert_int_eq(fired_count, i);
	}
}
END_TEST

START_TEST(timer_fires_after_the_packets_of_its_round)
{
	hs_open(NULL);
	hs_passive();
	hs_handshake(0);
	fired_count = 0;
	set_timer(1, 50, on_timer);
	hs.now_ns += 100 * UINT64_C(1000000);
	hs_send(&data);
	hs_round(); /* the packet's time stamp is the clock */
	ck_assert_int_eq(fired_count, 1);
}
END_TEST

/* The call gives no timer and this errno. */
#define no_timer(err, call)                                                  \
	do {                                                                 \
		errno = 0;                                                   \
		ck_assert_uint_eq((call), 0);                                \
		ck_assert_msg(errno == (err), "%s: errno %d", #call, errno); \
	} while (0)

START_TEST(times_that_are_none_are_refused)
{
	struct timeval second = {.tv_sec = 1};
	struct timeval bad[] = {{-1, 0}, {0, -1}, {0, 1000000}, {LONG_MAX, 0}};

	hs_open(NULL);
	for (unsigned i = 0; i < RTE_DIM(bad); i++) {
		fails(EINVAL, mtcp_settimer(hs_mctx(), 1, &bad[i], on_timer));
		no_timer(EINVAL, mtcp_timer_set(hs_mctx(), 1, &bad[i], on_timer));
	}
	fails(EINVAL, mtcp_settimer(hs_mctx(), 1, NULL, on_timer));
	fails(EINVAL, mtcp_settimer(hs_mctx(), 1, &second, NULL));
	no_timer(EINVAL, mtcp_timer_set(hs_mctx(), 1, NULL, on_timer));
	no_timer(EINVAL, mtcp_timer_set(hs_mctx(), 1, &second, NULL));
}
END_TEST

START_TEST(clock_counts_microseconds)
{
	hs_open(NULL);
	ck_assert_uint_eq(mtcp_cb_get_ts(hs_mctx()), (uint32_t)(HS_START_NS / 1000));
	ck_assert_uint_eq(mtcp_cb_get_ts_ns(hs_mctx()), HS_START_NS);
	hs_advance(5);
	ck_assert_uint_eq(mtcp_cb_get_ts_ns(hs_mctx()), HS_START_NS + 5000000);
	ck_assert_uint_eq(mtcp_cb_get_ts(hs_mctx()), (uint32_t)(HS_START_NS / 1000) + 5000);
}
END_TEST

/* ---- cancel ---- */

static mos_timer_t own, other;

static void cancel_two(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
	on_timer(m, id, side, event, arg);
	fails(ENOENT, mtcp_timer_cancel(m, own)); /* it is running */
	ck_assert_int_eq(mtcp_timer_cancel(m, other), 0);
}

/* Both are due in one round: the one that runs first takes the other back. */
START_TEST(timer_cancelled_by_a_callback_does_not_run)
{
	hs_open(NULL);
	fired_count = 0;
	own = set_timer(1, 100, cancel_two);
	other = set_timer(2, 100, on_timer);
	hs_advance(200);
	ck_assert_int_eq(fired_count, 1);
	ck_assert_int_eq(fired[0], 1);
	fails(ENOENT, mtcp_timer_cancel(hs_mctx(), own));
	fails(ENOENT, mtcp_timer_cancel(hs_mctx(), other));
}
END_TEST

START_TEST(timer_is_cancelled_once_and_others_stay)
{
	mos_timer_t timer[3];

	hs_open(NULL);
	fired_count = 0;
	for (int i = 0; i < 3; i++)
		timer[i] = set_timer(5, 100, on_timer); /* one id, three timers */
	ck_assert_int_eq(mtcp_timer_cancel(hs_mctx(), timer[1]), 0);
	fails(ENOENT, mtcp_timer_cancel(hs_mctx(), timer[1]));
	fails(ENOENT, mtcp_timer_cancel(hs_mctx(), 0));
	fails(ENOENT, mtcp_timer_cancel(hs_mctx(), UINT64_MAX));
	hs_advance(100);
	ck_assert_int_eq(fired_count, 2);
}
END_TEST

static void *cancel_elsewhere(void *arg)
{
	const mos_timer_t *timer = arg;

	return mtcp_timer_cancel(hs_mctx(), *timer) == 0 ? arg : NULL;
}

START_TEST(timer_cancelled_by_another_thread_does_not_run)
{
	mos_timer_t timer;
	void *res = NULL;
	pthread_t t;

	hs_open(NULL);
	fired_count = 0;
	timer = set_timer(1, 100, on_timer);
	ck_assert_int_eq(pthread_create(&t, NULL, cancel_elsewhere, &timer), 0);
	pthread_join(t, &res);
	ck_assert_ptr_eq(res, &timer);
	hs_advance(200);
	ck_assert_int_eq(fired_count, 0);
}
END_TEST

#define SETS 20000

static atomic_int handled;
static atomic_bool setting;

static void cancel_in_handler(int signum)
{
	int err = errno;

	mtcp_timer_cancel(hs_mctx(), 0);
	atomic_fetch_add(&handled, 1);
	errno = err;
}

static void *set_and_cancel(void *arg)
{
	const struct timeval second = {.tv_sec = 1};
	int good = 0;

	for (int i = 0; i < SETS; i++) {
		mos_timer_t timer = mtcp_timer_set(hs_mctx(), 1, &second, on_timer);

		good += mtcp_timer_cancel(hs_mctx(), timer) == 0;
	}
	atomic_store(&setting, false);
	return good == SETS ? arg : NULL;
}

/* Its handler would wait for a lock that the thread below it has. */
START_TEST(thread_with_the_timers_in_hand_is_not_interrupted)
{
	struct sigaction old, sa = {.sa_handler = cancel_in_handler};
	void *res = NULL;
	pthread_t t;

	hs_open(NULL);
	sigaction(SIGUSR1, &sa, &old);
	atomic_store(&setting, true);
	ck_assert_int_eq(pthread_create(&t, NULL, set_and_cancel, &res), 0);
	while (atomic_load(&setting))
		pthread_kill(t, SIGUSR1);
	pthread_join(t, &res);
	sigaction(SIGUSR1, &old, NULL);
	ck_assert_ptr_eq(res, &res);
	ck_assert_int_gt(handled, 0);
	ck_assert(mos_app_timers_idle(&hs.c->timers, UINT64_MAX - 1));
}
END_TEST

TCase *time_case(void)
{
	TCase *tc = tcase_create("time");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, timers_fire_in_order_of_time_without_any_flow);
	tcase_add_test(tc, timer_set_again_at_once_runs_once_a_round);
	tcase_add_test(tc, timer_fires_after_the_packets_of_its_round);
	tcase_add_test(tc, times_that_are_none_are_refused);
	tcase_add_test(tc, clock_counts_microseconds);
	tcase_add_test(tc, timer_cancelled_by_a_callback_does_not_run);
	tcase_add_test(tc, timer_is_cancelled_once_and_others_stay);
	tcase_add_test(tc, timer_cancelled_by_another_thread_does_not_run);
	tcase_add_test(tc, thread_with_the_timers_in_hand_is_not_interrupted);
	return tc;
}
