/*
 * The worker's loop on the bench: when it begins to take packets, and why it ends.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "test/eal/worker_tests.h"

static const struct hs_pkt data = DATA(1001, 5001, 5);

static void open_flow(void)
{
	hs_open(NULL);
	hs_passive();
	hs_handshake(0);
}

static void stop_in_callback(int sock, int side)
{
	ck_assert_int_eq(mtcp_destroy_context(hs_mctx()),
	                 0); /* asks, and does not wait for itself */
}

START_TEST(context_destroyed_in_a_callback_ends_after_the_round)
{
	open_flow();
	atomic_store(&hs.c->open, true);
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, stop_in_callback);
	for (int i = 0; i < 3; i++)
		hs_send(&data);
	ck_assert_int_eq(mos_loop_run(hs.c), MOS_LOOP_STOPPED);
	ck_assert_uint_eq(hs.acted, 3); /* the burst is finished and handed over */
	ck_assert_uint_eq(hs.shard->ledger.count, 0);
	ck_assert_uint_eq(rte_ring_count(hs.shard->tx), 3);
	ck_assert(rte_ring_empty(hs.shard->rx));
}
END_TEST

START_TEST(loop_ends_with_the_input_once_its_ring_is_dry)
{
	open_flow();
	atomic_store(&hs.c->open, true);
	for (int i = 0; i < 3 * MOS_BURST_MAX; i++)
		hs_send(&data);
	hs.root->run = MOS_RUN_ENDING;
	ck_assert_int_eq(mos_loop_run(hs.c), MOS_LOOP_INPUT_ENDED);
	ck_assert(rte_ring_empty(hs.shard->rx));
	ck_assert_uint_eq(rte_ring_count(hs.shard->tx), 3 * MOS_BURST_MAX);
}
END_TEST

START_TEST(loop_ends_with_the_primary)
{
	int pair[2];

	open_flow();
	atomic_store(&hs.c->open, true);
	hs.root->run = MOS_RUN_STOPPED;
	hs_send(&data);
	ck_assert_int_eq(mos_loop_run(hs.c), MOS_LOOP_PRIMARY_STOPS);
	ck_assert_uint_eq(rte_ring_count(hs.shard->rx), 1); /* touched no more */

	hs.root->run = MOS_RUN_RUNNING;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	hs.c->ctl_fd = pair[0];
	close(pair[1]);
	ck_assert_int_eq(mos_loop_run(hs.c), MOS_LOOP_PRIMARY_GONE);
	close(pair[0]);
	hs.c->ctl_fd = -1;
}
END_TEST

static void *open_later(void *arg)
{
	struct timespec nap = {.tv_nsec = 30000000};

	nanosleep(&nap, NULL);
	ck_assert_uint_eq(rte_ring_count(hs.shard->rx), 1); /* nothing was taken meanwhile */
	atomic_store(&hs.c->open, true);
	return arg;
}

START_TEST(no_packet_is_taken_before_the_program_has_set_up)
{
	pthread_t t;

	open_flow();
	hs_send(&data);
	hs.root->run = MOS_RUN_ENDING;
	ck_assert_int_eq(pthread_create(&t, NULL, open_later, NULL), 0);
	ck_assert_int_eq(mos_loop_run(hs.c), MOS_LOOP_INPUT_ENDED);
	pthread_join(t, NULL);
	ck_assert(rte_ring_empty(hs.shard->rx));
}
END_TEST

/* Opens as many sockets as there can be, and then one in the place of each. */
static void *replace_sockets(void *arg)
{
	const struct timespec nap = {.tv_nsec = 100000};
	int id[MOS_PASSIVE_MAX - 1];

	for (unsigned i = 0; i < RTE_DIM(id); i++)
		id[i] = hs_passive();
	for (unsigned i = 0; i < RTE_DIM(id); i++) {
		ck_assert_int_eq(mtcp_close(hs_mctx(), id[i]), 0);
		while (mtcp_socket(hs_mctx(), AF_INET, MOS_SOCK_MONITOR_STREAM, 0) < 0)
			nanosleep(&nap, NULL);
	}
	ck_assert_uint_eq(rte_ring_count(hs.shard->rx), 1); /* it is still the set-up */
	atomic_store(&hs.c->open, true);
	return arg;
}

START_TEST(closed_sockets_are_given_back_before_the_program_has_set_up)
{
	pthread_t t;

	open_flow();
	hs_send(&data);
	hs.root->run = MOS_RUN_ENDING;
	ck_assert_int_eq(pthread_create(&t, NULL, replace_sockets, NULL), 0);
	ck_assert_int_eq(mos_loop_run(hs.c), MOS_LOOP_INPUT_ENDED);
	pthread_join(t, NULL);
}
END_TEST

TCase *loop_case(void)
{
	TCase *tc = tcase_create("loop");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, context_destroyed_in_a_callback_ends_after_the_round);
	tcase_add_test(tc, loop_ends_with_the_input_once_its_ring_is_dry);
	tcase_add_test(tc, loop_ends_with_the_primary);
	tcase_add_test(tc, no_packet_is_taken_before_the_program_has_set_up);
	tcase_add_test(tc, closed_sockets_are_given_back_before_the_program_has_set_up);
	return tc;
}
