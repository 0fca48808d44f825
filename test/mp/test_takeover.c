/*
 * Workers that come for the shard of another: successors in a planned upgrade, and standbys.
 *
 *   seat 0, seat 1    one worker each, with the flows of its shard; traffic all the time
 *
 * No flow may be lost, whoever dies at whichever step; in a planned upgrade no packet may be lost
 * or pass by either.
 */
#include "shared/control/control_msg.h"
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

/* Started, set up, and its claim is on the way; nobody yields to it yet. */
static struct worker launch_waiting(pid_t from, unsigned shard)
{
	struct worker w = harness_launch_successor(from, shard, NULL);

	expect(harness_wait_word(&w, "ready 0", READY_MS), "pid %d does not get ready",
	       (int)proc_pid(w.proc));
	return w;
}

/* The primary has put away what the dead process left, claims first. */
static void wait_until_forgotten(pid_t pid)
{
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000;
	char dir[64], name[32];

	snprintf(dir, sizeof(dir), "/var/run/dpdk/%s", harness.prefix);
	snprintf(name, sizeof(name), "mp_socket_%d_", (int)pid);
	while (harness_files(dir, name) > 0 && now_ns() < deadline)
		usleep(1000);
	ck_assert_uint_eq(harness_files(dir, name), 0);
}

static void kill_and_wait(struct worker *w)
{
	pid_t pid = proc_pid(w->proc);

	harness_kill_worker(w);
	wait_until_forgotten(pid);
}

static void assert_is_refused(struct worker *w, const char *why)
{
	char line[LINE_LEN] = "";

	expect(proc_wait_end(w->proc, READY_MS) != -1, "pid %d waits", (int)proc_pid(w->proc));
	expect(proc_last_line(w->proc, "libmos: ", line) && strstr(line, why) != NULL,
	       "pid %d says: %s", (int)proc_pid(w->proc), line);
	ck_assert_uint_eq(proc_count_lines(w->proc, 0, "libmos: "), 1);
	harness_forget_worker(w);
}

static void assert_nobody_was_replaced(void)
{
	ck_assert_uint_eq(proc_count_lines(harness.primary, 0, "handed over"), 0);
	ck_assert_uint_eq(proc_count_lines(harness.primary, 0, "gave it back"), 0);
	for (unsigned i = 0; i < SEATS; i++) {
		expect(!proc_ended(seat[i].proc), "the worker of shard %u has ended", i);
		assert_goes_on(i, "somebody else's end");
	}
}

/* ---- planned upgrade ---- */

static void assert_handed_over(unsigned i, struct worker *old)
{
	char text[96];

	expect(harness_wait_served(&seat[i], READY_MS), "pid %d does not take over shard %u",
	       (int)proc_pid(seat[i].proc), i);
	assert_ends_well(old);
	snprintf(text, sizeof(text), "shard %u: handed over by pid %d to pid %d\n", i,
	         (int)proc_pid(old->proc), (int)proc_pid(seat[i].proc));
	assert_said(&seat[i], text);
	assert_has_all_flows(i);
	harness_forget_worker(old);
}

START_TEST(planned_upgrade_loses_no_packet_and_no_flow)
{
	begin(KEYS);
	for (unsigned k = 0; k < UPGRADES; k++) {
		unsigned i = k % SEATS;
		struct worker old = seat[i];

		seat[i] = harness_launch_successor(proc_pid(old.proc), i, NULL);
		assert_handed_over(i, &old);
	}
	end();
	ck_assert_uint_eq(harness_counter("worker_deaths"), 0);
}
END_TEST

START_TEST(successor_that_dies_before_its_turn_changes_nothing)
{
	struct worker successor;

	begin(KEYS);
	for (unsigned i = 0; i < SEATS; i++) {
		proc_freeze(seat[i].proc); /* so that it cannot yield */
		successor = launch_waiting(proc_pid(seat[i].proc), i);
		kill_and_wait(&successor);
		proc_signal(seat[i].proc, SIGCONT);
	}
	assert_nobody_was_replaced();
	end();
}
END_TEST

START_TEST(successor_that_is_stopped_before_its_turn_changes_nothing)
{
	struct worker successor;

	begin(KEYS);
	proc_freeze(seat[0].proc);
	successor = launch_waiting(proc_pid(seat[0].proc), 0);
	proc_signal(successor.proc, SIGINT);
	assert_ends_well(&successor);
	proc_signal(seat[0].proc, SIGCONT);
	assert_nobody_was_replaced();
	harness_forget_worker(&successor);
	end();
}
END_TEST

/* It has promised nothing, so the next one to ask is not refused. */
START_TEST(shard_is_promised_to_one_successor_after_the_other)
{
	struct worker old, successor;

	begin(KEYS);
	old = seat[1];
	proc_freeze(old.proc);
	successor = launch_waiting(proc_pid(old.proc), 1);
	kill_and_wait(&successor);
	seat[1] = launch_waiting(proc_pid(old.proc), 1);
	proc_signal(old.proc, SIGCONT);
	assert_handed_over(1, &old);
	end();
}
END_TEST

START_TEST(worker_that_dies_when_it_should_yield_is_succeeded_all_the_same)
{
	struct worker old;

	begin(KEYS);
	old = seat[0];
	proc_freeze(old.proc);
	seat[0] = launch_waiting(proc_pid(old.proc), 0);
	harness_kill_worker(&old);
	expect(harness_wait_served(&seat[0], READY_MS), "the successor does not take over");
	assert_has_all_flows(0);
	end();
	ck_assert_uint_eq(harness_counter("worker_deaths"), 1);
}
END_TEST

START_TEST(second_successor_and_one_of_nobody_are_refused)
{
	struct worker old, other;
	char why[64];

	begin(KEYS);
	old = seat[0];
	proc_freeze(old.proc);
	seat[0] = launch_waiting(proc_pid(old.proc), 0);
	other = harness_launch_successor(proc_pid(old.proc), 0, NULL);
	snprintf(why, sizeof(why), "pid %d is being replaced", (int)proc_pid(old.proc));
	assert_is_refused(&other, why);
	other = harness_launch_successor(getpid(), 0, NULL);
	snprintf(why, sizeof(why), "pid %d holds no shard", (int)getpid());
	assert_is_refused(&other, why);
	proc_signal(old.proc, SIGCONT);
	assert_handed_over(0, &old);
	end();
}
END_TEST

START_TEST(successor_of_another_layout_is_refused_and_the_old_one_goes_on)
{
	struct mos_ctl_msg m;
	char path[128];
	int fd;

	begin(KEYS);
	snprintf(path, sizeof(path), "/run/mos-mp/%s/control", harness.prefix);
	fd = mos_ctl_connect(path);
	ck_assert_int_ge(fd, 0);
	mos_ctl_init(&m, MOS_CTL_HELLO);
	m.layout_hash ^= 1;
	ck_assert_int_eq(mos_ctl_send(fd, &m), 0);
	ck_assert_int_eq(mos_ctl_recv(fd, &m, SOON_MS), 0);
	ck_assert_int_eq(m.type, MOS_CTL_REFUSED);
	close(fd);
	assert_nobody_was_replaced();
	end();
}
END_TEST

/* One process with both shards, by another such: two contexts wait on one socket. */
START_TEST(contexts_of_one_process_are_replaced_side_by_side)
{
	const char *const both[] = {"--contexts", "2", NULL};
	struct worker old, new;
	struct app_report r;
	uint64_t deadline;

	harness_configure(KEYS);
	harness_start_primary();
	old = harness_launch_worker(ALL_SHARDS, both);
	expect(harness_wait_up(&old, READY_MS), "no worker");
	traffic = traffic_start(END_A, END_B, FLOWS);
	ck_assert_ptr_nonnull(traffic);
	expect(traffic_establish(traffic, SOON_MS), "handshakes do not pass the box");
	traffic_pace(traffic, PACE);
	for (unsigned k = 0; k < 3; k++) {
		new = harness_launch_successor(proc_pid(old.proc), ALL_SHARDS, both);
		for (unsigned i = 0; i < SEATS; i++) {
			new.shard = i;
			expect(harness_wait_served(&new, READY_MS), "shard %u is not served", i);
		}
		assert_ends_well(&old);
		harness_forget_worker(&old);
		old = new;
		deadline = now_ns() + (uint64_t)SOON_MS * 1000000;
		do
			r = harness_ask_worker(&old);
		while (r.replayed < FLOWS && now_ns() < deadline);
		ck_assert_uint_eq(r.replayed, FLOWS);
	}
	traffic_settle(traffic, 300);
	harness_stop_worker(&old);
	harness_stop_primary();
	ck_assert_uint_eq(harness_counter("rx_packets"), harness_counter("tx_packets"));
	traffic_stop(traffic);
}
END_TEST

/* ---- standby ---- */

START_TEST(standby_takes_over_the_shard_of_a_killed_worker)
{
	struct worker standby;

	begin(KEYS);
	for (unsigned i = 0; i < SEATS; i++) {
		standby = launch_waiting(FROM_DEAD, i);
		harness_kill_worker(&seat[i]);
		seat[i] = standby;
		expect(harness_wait_served(&seat[i], READY_MS), "the standby does not take over");
		assert_has_all_flows(i);
		assert_goes_on(!i, "the other worker was killed");
	}
	end();
}
END_TEST

START_TEST(standby_serves_what_nobody_serves)
{
	begin(KEYS);
	harness_kill_worker(&seat[1]);
	seat[1] = harness_launch_successor(FROM_DEAD, 1, NULL);
	expect(harness_wait_served(&seat[1], READY_MS), "the standby does not take over");
	assert_has_all_flows(1);
	end();
}
END_TEST

START_TEST(standby_that_dies_or_ends_is_no_loss)
{
	struct worker standby, other;

	begin(KEYS);
	standby = launch_waiting(FROM_DEAD, 0);
	other = launch_waiting(FROM_DEAD, 0);
	kill_and_wait(&standby);
	proc_signal(other.proc, SIGINT);
	assert_ends_well(&other);
	assert_nobody_was_replaced();
	standby = launch_waiting(FROM_DEAD, 0);
	harness_kill_worker(&seat[0]);
	seat[0] = standby;
	expect(harness_wait_served(&seat[0], READY_MS), "the standby does not take over");
	assert_has_all_flows(0);
	harness_forget_worker(&other);
	end();
}
END_TEST

/* It is found by stall_kill, and the next standby gets the shard at once. */
START_TEST(stopped_standby_is_found_and_the_next_takes_over)
{
	struct worker stopped;

	begin(KEYS "\tstall_kill = 500\n");
	stopped = launch_waiting(FROM_DEAD, 0);
	proc_freeze(stopped.proc);
	harness_kill_worker(&seat[0]);
	expect(harness_wait_served(&stopped, READY_MS), "the standby does not get the shard");
	seat[0] = launch_waiting(FROM_DEAD, 0);
	expect(harness_wait_served(&seat[0], READY_MS), "the other standby does not take over");
	ck_assert_int_eq(WTERMSIG(proc_wait_end(stopped.proc, SOON_MS)), SIGKILL);
	harness_forget_worker(&stopped);
	assert_has_all_flows(0);
	end();
}
END_TEST

START_TEST(successor_that_never_begins_is_found_without_packets)
{
	struct worker standby;

	begin(KEYS "\tstall_kill = 500\n");
	traffic_settle(traffic, 100);
	standby = launch_waiting(FROM_DEAD, 0);
	proc_freeze(standby.proc);
	harness_kill_worker(&seat[0]);
	expect(harness_wait_served(&standby, READY_MS), "the standby does not get the shard");
	ck_assert_int_eq(WTERMSIG(proc_wait_end(standby.proc, SOON_MS)), SIGKILL);
	harness_forget_worker(&standby);
	seat[0] = harness_start_worker(0, NULL);
	traffic_pace(traffic, PACE);
	assert_has_all_flows(0);
	end();
}
END_TEST

START_TEST(waiting_workers_end_with_their_primary)
{
	struct worker standby;
	char line[LINE_LEN];

	begin(KEYS);
	standby = launch_waiting(FROM_DEAD, 0);
	traffic_settle(traffic, 100);
	harness_stop_primary();
	expect(proc_wait_end(standby.proc, SOON_MS) == 0, "the standby does not end");
	ck_assert(proc_last_line(standby.proc, "libmos: ", line));
	ck_assert_uint_eq(proc_count_lines(standby.proc, 0, "libmos: "), 1);
	harness_start_primary();
	standby = launch_waiting(FROM_DEAD, 0);
	proc_signal(harness.primary, SIGKILL);
	ck_assert_int_ne(proc_wait_end(harness.primary, SOON_MS), -1);
	expect(proc_wait_end(standby.proc, SOON_MS) == 0, "the standby does not end");
	ck_assert_uint_eq(proc_count_lines(standby.proc, 0, "libmos: "), 1);
	harness_start_primary(); /* cleans up */
	harness_stop_primary();
	traffic_stop(traffic);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("takeover");
	TCase *tc = tcase_create("takeover");

	tcase_set_timeout(tc, 240);
	tcase_add_checked_fixture(tc, harness_begin, harness_end);
	tcase_add_test(tc, planned_upgrade_loses_no_packet_and_no_flow);
	tcase_add_test(tc, successor_that_dies_before_its_turn_changes_nothing);
	tcase_add_test(tc, successor_that_is_stopped_before_its_turn_changes_nothing);
	tcase_add_test(tc, shard_is_promised_to_one_successor_after_the_other);
	tcase_add_test(tc, worker_that_dies_when_it_should_yield_is_succeeded_all_the_same);
	tcase_add_test(tc, second_successor_and_one_of_nobody_are_refused);
	tcase_add_test(tc, successor_of_another_layout_is_refused_and_the_old_one_goes_on);
	tcase_add_test(tc, contexts_of_one_process_are_replaced_side_by_side);
	tcase_add_test(tc, standby_takes_over_the_shard_of_a_killed_worker);
	tcase_add_test(tc, standby_serves_what_nobody_serves);
	tcase_add_test(tc, standby_that_dies_or_ends_is_no_loss);
	tcase_add_test(tc, stopped_standby_is_found_and_the_next_takes_over);
	tcase_add_test(tc, successor_that_never_begins_is_found_without_packets);
	tcase_add_test(tc, waiting_workers_end_with_their_primary);
	suite_add_tcase(s, tc);
	return harness_main(s);
}
