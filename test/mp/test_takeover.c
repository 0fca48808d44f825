/*
 * Workers that come for the shard of another: successors in a planned upgrade, and standbys.
 *
 *   seat 0, seat 1    one worker each, with the flows of its shard; traffic all the time
 *
 * No flow may be lost, whoever dies at whichever step; in a planned upgrade no packet may be lost
 * or pass by either.
 */
#include "test/mp/harness.h"
#include "test/mp/traffic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SEATS = 2,
	FLOWS = 64,
	PACE = 4000, /* packets per second */
	SOME = 50,   /* packets that prove that something goes on */
	UPGRADES = 6,
};

#define KEYS "\tfail_policy = hold 120000 open\n\tring_size = 8192\n\tstream_memory = 16\n"

static struct traffic *traffic;
static struct worker seat[SEATS];
static unsigned flows_of[SEATS];

/* ---- a running system ---- */

static void learn_flows(unsigned i)
{
	char line[LINE_LEN] = "";
	size_t mark = 0;

	flows_of[i] = harness_ask_worker(&seat[i]).live;
	expect(proc_wait_line(seat[i].proc, &mark, "app: ports", line, SOON_MS),
	       "no ports from the worker of shard %u", i);
	for (char *word = strtok(line + strlen("app: ports"), " "); word != NULL;
	     word = strtok(NULL, " "))
		traffic_set_group(traffic, (unsigned)atoi(word) - TRAFFIC_PORT, i);
}

static void begin(const char *keys)
{
	harness_configure(keys);
	harness_start_primary();
	for (unsigned i = 0; i < SEATS; i++)
		seat[i] = harness_start_worker(i, NULL);
	traffic = traffic_start(END_A, END_B, FLOWS);
	ck_assert_ptr_nonnull(traffic);
	expect(traffic_establish(traffic, SOON_MS), "handshakes do not pass the box");
	for (unsigned i = 0; i < SEATS; i++)
		learn_flows(i);
	expect(flows_of[0] + flows_of[1] == FLOWS, "%u and %u flows of %d", flows_of[0],
	       flows_of[1], FLOWS);
	traffic_pace(traffic, PACE);
}

static void assert_goes_on(unsigned i, const char *after)
{
	uint64_t n = traffic_group_received(traffic, i);

	expect(traffic_wait_group(traffic, i, n + SOME, SOON_MS),
	       "the flows of shard %u stand still after %s", i, after);
}

static void end(void)
{
	traffic_settle(traffic, 300);
	for (unsigned i = 0; i < SEATS; i++)
		harness_stop_worker(&seat[i]);
	harness_stop_primary();
	expect(harness_counter("rx_packets") == harness_counter("tx_packets"),
	       "%" PRIu64 " packets received, %" PRIu64 " sent", harness_counter("rx_packets"),
	       harness_counter("tx_packets"));
	expect(harness_counter("unmonitored_ring") + harness_counter("unmonitored_noworker") == 0,
	       "packets passed by the workers");
	traffic_stop(traffic);
}

/* The primary says so behind the birth of w. */
static void assert_said(const struct worker *w, const char *text)
{
	size_t mark = w->born;

	expect(proc_wait_line(harness.primary, &mark, text, NULL, SOON_MS),
	       "the primary did not say \"%s\"", text);
}

/* All flows of the seat are known to its new worker, by a replay. */
static void assert_has_all_flows(unsigned i)
{
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000;
	struct app_report r;

	do
		r = harness_ask_worker(&seat[i]);
	while (r.replayed < flows_of[i] && now_ns() < deadline);
	expect(r.replayed == flows_of[i] && r.established == flows_of[i],
	       "of %u flows %u were replayed, %u of them as established", flows_of[i], r.replayed,
	       r.established);
	assert_goes_on(i, "the successor has come");
}

static void assert_ends_well(struct worker *w)
{
	int status = proc_wait_end(w->proc, SOON_MS);

	expect(status == 0, "pid %d ended with wait status 0x%x", (int)proc_pid(w->proc),
	       (unsigned)status);
	ck_assert_uint_eq(proc_count_lines(w->proc, 0, "libmos: "), 0);
}

/* ---- planned upgrade ---- */

static void upgrade(unsigned i)
{
	struct worker old = seat[i];
	char text[96];

	seat[i] = harness_launch_successor(proc_pid(old.proc), i, NULL);
	expect(harness_wait_served(&seat[i], READY_MS), "pid %d does not take over shard %u",
	       (int)proc_pid(seat[i].proc), i);
	assert_ends_well(&old);
	snprintf(text, sizeof(text), "shard %u: handed over by pid %d to pid %d\n", i,
	         (int)proc_pid(old.proc), (int)proc_pid(seat[i].proc));
	assert_said(&seat[i], text);
	assert_has_all_flows(i);
	proc_free(old.proc);
}

START_TEST(planned_upgrade_loses_no_packet_and_no_flow)
{
	begin(KEYS);
	for (unsigned i = 0; i < UPGRADES; i++)
		upgrade(i % SEATS);
	end();
	ck_assert_uint_eq(harness_counter("worker_deaths"), 0);
}
END_TEST

/* ---- standby ---- */

START_TEST(standby_takes_over_the_shard_of_a_killed_worker)
{
	struct worker standby;
	size_t mark = 0;

	begin(KEYS);
	for (unsigned i = 0; i < SEATS; i++) {
		standby = harness_launch_successor(FROM_DEAD, i, NULL);
		expect(proc_wait_line(standby.proc, &mark, "app: up", NULL, READY_MS),
		       "no standby");
		mark = 0;
		harness_kill_worker(&seat[i]);
		seat[i] = standby;
		expect(harness_wait_served(&seat[i], READY_MS), "the standby does not take over");
		assert_has_all_flows(i);
		assert_goes_on(!i, "the other worker was killed");
	}
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("takeover");
	TCase *tc = tcase_create("takeover");

	tcase_set_timeout(tc, 240);
	tcase_add_checked_fixture(tc, harness_begin, harness_end);
	tcase_add_test(tc, planned_upgrade_loses_no_packet_and_no_flow);
	tcase_add_test(tc, standby_takes_over_the_shard_of_a_killed_worker);
	suite_add_tcase(s, tc);
	return harness_main(s);
}
