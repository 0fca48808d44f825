/*
 * What becomes of packets that no worker takes: every fail policy, each packet counted.
 *
 * Half of the flows fall to each of the two shards. They shake no hands: a policy is about packets.
 */
#include "test/mp/harness.h"
#include "test/mp/traffic.h"

#include <inttypes.h>

enum {
	FLOWS = 64,
	FEW = 200,   /* fit into the rings */
	MANY = 4000, /* do not */
};

static struct traffic *traffic;

static void begin(const char *keys)
{
	harness_configure(keys);
	harness_start_primary();
	traffic = traffic_start(END_A, END_B, FLOWS);
	ck_assert_ptr_nonnull(traffic);
}

static void end(void)
{
	traffic_stop(traffic);
	harness_stop_primary();
}

static void assert_counter(const char *name, uint64_t n)
{
	expect(harness_wait_counter(name, n, SOON_MS), "%s is %" PRIu64 ", not %" PRIu64, name,
	       harness_counter(name), n);
	expect(harness_counter(name) == n, "%s is %" PRIu64 ", not %" PRIu64, name,
	       harness_counter(name), n);
}

static void assert_received(uint64_t n)
{
	expect(traffic_wait_received(traffic, n, SOON_MS) && traffic_count(traffic).received == n,
	       "%" PRIu64 " packets came out, not %" PRIu64, traffic_count(traffic).received, n);
}

START_TEST(open_passes_packets_that_have_no_worker)
{
	begin("\tfail_policy = open\n");
	traffic_send(traffic, FEW);
	assert_received(FEW);
	assert_counter("unmonitored_noworker", FEW);
	assert_counter("tx_packets", FEW);
	end();
}
END_TEST

START_TEST(closed_drops_packets_that_have_no_worker)
{
	begin("\tfail_policy = closed\n");
	traffic_send(traffic, FEW);
	assert_counter("drop_no_worker", FEW);
	assert_counter("tx_packets", 0);
	assert_received(0);
	end();
}
END_TEST

START_TEST(hold_keeps_packets_for_the_worker_that_comes)
{
	struct worker w[2];

	begin("\tfail_policy = hold 3600000 closed\n");
	traffic_send(traffic, FEW);
	assert_counter("to_shard", FEW);
	assert_counter("tx_packets", 0);
	assert_received(0);
	for (unsigned i = 0; i < 2; i++)
		w[i] = harness_start_worker(i, NULL);
	assert_received(FEW);
	assert_counter("w_packets", FEW);
	assert_counter("drop_no_worker", 0);
	for (unsigned i = 0; i < 2; i++)
		harness_stop_worker(&w[i]);
	end();
}
END_TEST

static void assert_hold_ends(const char *text)
{
	size_t mark[2] = {0};

	expect(proc_wait_line(harness.primary, &mark[0], "shard 0: no worker within 1500 ms", NULL,
	                      SOON_MS),
	       "the hold of shard 0 does not end");
	expect(proc_wait_line(harness.primary, &mark[1], "shard 1: no worker within 1500 ms", NULL,
	                      SOON_MS),
	       "the hold of shard 1 does not end");
	ck_assert_uint_eq(proc_count_lines(harness.primary, 0, text), 2);
}

START_TEST(hold_open_passes_packets_when_its_time_is_over)
{
	begin("\tfail_policy = hold 1500 open\n");
	traffic_send(traffic, FEW);
	assert_hold_ends("packets are forwarded unmonitored");
	assert_received(FEW);
	assert_counter("unmonitored_noworker", FEW);
	traffic_send(traffic, FEW);
	assert_received(2 * FEW);
	end();
}
END_TEST

START_TEST(hold_closed_drops_packets_when_its_time_is_over)
{
	begin("\tfail_policy = hold 1500 closed\n");
	traffic_send(traffic, FEW);
	assert_hold_ends("packets are dropped");
	assert_counter("drop_no_worker", FEW);
	traffic_send(traffic, FEW);
	assert_counter("drop_no_worker", 2 * FEW);
	assert_received(0);
	end();
}
END_TEST

/* Workers that stand still while MANY packets come; then they go on. */
static void overrun(struct worker w[2])
{
	for (unsigned i = 0; i < 2; i++) {
		w[i] = harness_start_worker(i, NULL);
		proc_freeze(w[i].proc);
	}
	traffic_send(traffic, MANY);
	expect(traffic_wait_sent(traffic, MANY, SOON_MS), "the traffic does not come out");
	assert_counter("rx_packets", MANY);
}

static void go_on(struct worker w[2], uint64_t received)
{
	for (unsigned i = 0; i < 2; i++)
		proc_signal(w[i].proc, SIGCONT);
	assert_received(received);
	for (unsigned i = 0; i < 2; i++)
		harness_stop_worker(&w[i]);
}

START_TEST(open_passes_what_a_full_ring_does_not_take)
{
	struct worker w[2];

	begin("\tfail_policy = open\n\tring_size = 256\n");
	overrun(w);
	expect(harness_counter("unmonitored_ring") >= MANY / 2, "too few passed the full rings");
	go_on(w, MANY);
	end();
}
END_TEST

START_TEST(closed_drops_what_a_full_ring_does_not_take)
{
	struct worker w[2];
	uint64_t dropped;

	begin("\tfail_policy = closed\n\tring_size = 256\n");
	overrun(w);
	dropped = harness_counter("drop_ring_full");
	expect(dropped >= MANY / 2, "too few were dropped");
	expect(harness_counter("tx_packets") == 0, "a packet passed although the policy is closed");
	go_on(w, MANY - dropped);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("policy");
	TCase *tc = tcase_create("policy");

	tcase_set_timeout(tc, 180);
	tcase_add_checked_fixture(tc, harness_begin, harness_end);
	tcase_add_test(tc, open_passes_packets_that_have_no_worker);
	tcase_add_test(tc, closed_drops_packets_that_have_no_worker);
	tcase_add_test(tc, hold_keeps_packets_for_the_worker_that_comes);
	tcase_add_test(tc, hold_open_passes_packets_when_its_time_is_over);
	tcase_add_test(tc, hold_closed_drops_packets_when_its_time_is_over);
	tcase_add_test(tc, open_passes_what_a_full_ring_does_not_take);
	tcase_add_test(tc, closed_drops_what_a_full_ring_does_not_take);
	suite_add_tcase(s, tc);
	return harness_main(s);
}
