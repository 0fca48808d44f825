/*
 * Faults that are no plain kill: workers that hang, stop or crash by the packets of one flow, and
 * a primary that dies or ends while workers are attached.
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
	PACE = 2000, /* packets per second */
	SOME = 50,   /* packets that prove that something goes on */
	STALL_KILL_MS = 1500,
	WORKERS_END_MS = 2000, /* after the primary died */
	BAD_FLOW = 3,
};

static struct traffic *traffic;
static struct worker seat[SEATS];
static unsigned flows_of[SEATS];
static unsigned bad_seat; /* that of BAD_FLOW */

/* ---- a running system ---- */

static void learn_flows(unsigned i)
{
	char line[LINE_LEN] = "";
	size_t mark = 0;

	flows_of[i] = harness_ask_worker(&seat[i]).live;
	expect(proc_wait_line(seat[i].proc, &mark, "app: ports", line, SOON_MS),
	       "no ports from the worker of shard %u", i);
	for (char *word = strtok(line + strlen("app: ports"), " "); word != NULL;
	     word = strtok(NULL, " ")) {
		unsigned flow = (unsigned)atoi(word) - TRAFFIC_PORT;

		traffic_set_group(traffic, flow, i);
		if (flow == BAD_FLOW)
			bad_seat = i;
	}
}

static void start_system(const char *keys)
{
	harness_configure(keys);
	harness_start_primary();
	for (unsigned i = 0; i < SEATS; i++)
		seat[i] = harness_start_worker(i, NULL);
}

/* Two workers, all flows established, traffic flowing. */
static void begin(const char *keys)
{
	start_system(keys);
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

/* Packets may be on their way in the kernel only: the system sent all that it received. */
static void end(void)
{
	traffic_settle(traffic, 300);
	for (unsigned i = 0; i < SEATS; i++)
		harness_stop_worker(&seat[i]);
	harness_stop_primary();
	expect(harness_counter("rx_packets") == harness_counter("tx_packets"),
	       "%" PRIu64 " packets received, %" PRIu64 " sent", harness_counter("rx_packets"),
	       harness_counter("tx_packets"));
	traffic_stop(traffic);
}

/* What the primary says of a shard, and of its worker's pid, behind the birth of the worker. */
static void assert_said(unsigned i, const char *fmt_pid, char *line)
{
	size_t mark = seat[i].born;
	char text[128];
	int at = snprintf(text, sizeof(text), "shard %u: ", i);

	snprintf(text + at, sizeof(text) - (size_t)at, fmt_pid, (int)proc_pid(seat[i].proc));
	expect(proc_wait_line(harness.primary, &mark, text, line, SOON_MS),
	       "the primary did not say \"%s\"", text);
}

static void assert_successor_knows_all_flows(unsigned i)
{
	struct app_report r;
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000;

	seat[i] = harness_start_worker(i, NULL);
	do
		r = harness_ask_worker(&seat[i]);
	while (r.replayed < flows_of[i] && now_ns() < deadline);
	expect(r.replayed == flows_of[i] && r.established == flows_of[i],
	       "of %u flows %u were replayed, %u of them as established", flows_of[i], r.replayed,
	       r.established);
	assert_goes_on(i, "the successor has come");
}

/* ---- workers that hang ---- */

#define HANG_KEYS "\tfail_policy = hold 120000 open\n\tring_size = 16384\n\tstall_kill = 1500\n"

static void assert_hang_is_ended(unsigned i)
{
	char line[LINE_LEN];

	assert_said(i, "pid %d makes no progress", line);
	assert_said(i, "pid %d is killed: no progress for 1500 ms (stall_kill)", NULL);
	assert_said(i, "worker pid %d died", NULL);
	ck_assert_int_eq(WTERMSIG(proc_wait_end(seat[i].proc, SOON_MS)), SIGKILL);
	assert_goes_on(!i, "the other worker hung");
	assert_successor_knows_all_flows(i);
	harness_report();
	ck_assert_uint_ge(harness_counter("stalls"), 1);
}

START_TEST(callback_that_never_returns_is_ended_by_stall_kill)
{
	const char *const loop[] = {"--loop-at", "20", NULL};

	begin(HANG_KEYS);
	harness_kill_worker(&seat[0]);
	seat[0] = harness_start_worker(0, loop);
	assert_hang_is_ended(0);
	end();
}
END_TEST

START_TEST(stopped_worker_is_ended_by_stall_kill)
{
	begin(HANG_KEYS);
	proc_freeze(seat[1].proc);
	assert_hang_is_ended(1);
	end();
}
END_TEST

START_TEST(without_stall_kill_a_hanging_worker_keeps_its_shard)
{
	begin("\tfail_policy = open\n\tring_size = 1024\n");
	proc_freeze(seat[0].proc);
	assert_said(0, "pid %d makes no progress", NULL);
	expect(harness_wait_counter("unmonitored_ring", SOME, SOON_MS),
	       "packets do not pass by a full ring");
	proc_signal(seat[0].proc, SIGCONT);
	assert_said(0, "pid %d goes on", NULL);
	assert_goes_on(0, "its worker was stopped and goes on");
	ck_assert_uint_eq(harness_ask_worker(&seat[0]).live, flows_of[0]);
	end();
}
END_TEST

/* ---- workers that crash ---- */

static void crash_once(const char *const options[], unsigned strikes)
{
	char line[LINE_LEN], text[32];
	int status;

	seat[bad_seat] = harness_launch_worker(bad_seat, options);
	status = proc_wait_end(seat[bad_seat].proc, READY_MS);
	/* A sanitizer makes a crash an exit. */
	expect(WIFSIGNALED(status) ? WTERMSIG(status) == SIGSEGV : WEXITSTATUS(status) != 0,
	       "the worker ended with wait status 0x%x", (unsigned)status);
	assert_said(bad_seat, "worker pid %d died", line);
	snprintf(text, sizeof(text), "strikes %u", strikes);
	expect(strstr(line, "suspect yes") && strstr(line, text), "no %s in: %s", text, line);
}

START_TEST(flow_that_kills_three_workers_passes_unmonitored)
{
	char port[8];
	const char *const crash[] = {"--crash-port", port, NULL};
	uint64_t before, deadline;

	begin("\tfail_policy = hold 120000 open\n\tring_size = 16384\n");
	snprintf(port, sizeof(port), "%d", TRAFFIC_PORT + BAD_FLOW);
	harness_kill_worker(&seat[bad_seat]);
	for (unsigned strikes = 1; strikes <= 3; strikes++)
		crash_once(crash, strikes);

	seat[bad_seat] = harness_start_worker(bad_seat, crash);
	before = traffic_received(traffic, BAD_FLOW);
	expect(harness_wait_counter("w_passed_suspect", SOME, SOON_MS),
	       "packets of the bad flow do not pass unmonitored");
	deadline = now_ns() + (uint64_t)SOON_MS * 1000000;
	while (traffic_received(traffic, BAD_FLOW) <= before && now_ns() < deadline)
		usleep(1000);
	expect(traffic_received(traffic, BAD_FLOW) > before, "the bad flow stands still");
	assert_goes_on(bad_seat, "one of them was found bad");
	expect(!proc_ended(seat[bad_seat].proc), "the fourth worker died as well");
	end();
}
END_TEST

START_TEST(worker_that_exits_in_a_callback_is_a_death_like_others)
{
	const char *const leave[] = {"--exit-at", "20", NULL};

	begin(HANG_KEYS);
	harness_kill_worker(&seat[0]);
	seat[0] = harness_launch_worker(0, leave);
	ck_assert_int_eq(WEXITSTATUS(proc_wait_end(seat[0].proc, READY_MS)), 3);
	assert_said(0, "worker pid %d died", NULL);
	assert_successor_knows_all_flows(0);
	end();
}
END_TEST

/* ---- the primary ---- */

/* A worker that lost its primary: it ends by itself, with one line. */
static void assert_ends_with(struct worker *w, const char *text, int timeout_ms)
{
	char line[LINE_LEN] = "";

	expect(proc_wait_end(w->proc, timeout_ms) != -1, "worker pid %d does not end",
	       (int)proc_pid(w->proc));
	expect(proc_last_line(w->proc, "libmos: ", line) && strstr(line, text) != NULL,
	       "worker pid %d says: %s", (int)proc_pid(w->proc), line);
	ck_assert_uint_eq(proc_count_lines(w->proc, 0, "libmos: "), 1);
	expect(proc_wait_end(w->proc, 0) == 0, "worker pid %d ended with wait status 0x%x",
	       (int)proc_pid(w->proc), (unsigned)proc_wait_end(w->proc, 0));
}

static void kill_primary(char text[64])
{
	snprintf(text, 64, "the primary (pid %d) is gone", (int)proc_pid(harness.primary));
	proc_signal(harness.primary, SIGKILL);
	ck_assert_int_ne(proc_wait_end(harness.primary, SOON_MS), -1);
}

START_TEST(killed_primary_takes_its_workers_along)
{
	uint64_t died, lasted_ms;
	char text[64];

	begin("");
	kill_primary(text);
	died = now_ns();
	for (unsigned i = 0; i < SEATS; i++)
		assert_ends_with(&seat[i], text, SOON_MS);
	lasted_ms = (now_ns() - died) / 1000000;
	printf("workers ended %" PRIu64 " ms after their primary\n", lasted_ms);
	ck_assert_uint_le(lasted_ms, WORKERS_END_MS);
	traffic_stop(traffic);
	harness_start_primary(); /* cleans up */
	harness_stop_primary();
}
END_TEST

START_TEST(new_primary_starts_at_once_after_a_killed_one)
{
	char text[64];

	begin("");
	kill_primary(text);
	harness_start_primary(); /* the old workers may still be there */
	for (unsigned i = 0; i < SEATS; i++) {
		assert_ends_with(&seat[i], text, SOON_MS);
		seat[i] = harness_start_worker(i, NULL);
	}
	for (unsigned i = 0; i < SEATS; i++)
		assert_goes_on(i, "a new primary was started");
	end();
}
END_TEST

START_TEST(worker_that_sleeps_over_the_change_of_primaries_harms_nobody)
{
	struct worker old;
	char text[64];

	begin("");
	proc_freeze(seat[0].proc);
	old = seat[0];
	kill_primary(text);
	harness_start_primary();
	for (unsigned i = 0; i < SEATS; i++)
		seat[i] = harness_start_worker(i, NULL);
	proc_signal(old.proc, SIGCONT);
	assert_ends_with(&old, text, SOON_MS);
	for (unsigned i = 0; i < SEATS; i++)
		assert_goes_on(i, "a worker of the old primary woke up");
	end();
}
END_TEST

START_TEST(primary_that_is_asked_to_end_ends_its_workers_in_order)
{
	char text[64];

	begin("");
	snprintf(text, sizeof(text), "the primary (pid %d) stops", (int)proc_pid(harness.primary));
	harness_stop_primary();
	for (unsigned i = 0; i < SEATS; i++) {
		assert_ends_with(&seat[i], text, SOON_MS);
		expect(proc_count_lines(harness.primary, seat[i].born, "gave it back") == SEATS,
		       "a shard was not given back");
	}
	traffic_stop(traffic);
}
END_TEST

/* ---- a program that sets up while the system ends ---- */

static const char *const late[] = {"--setup-on-usr1", NULL};

static void assert_sets_up_and_ends_well(struct worker *w)
{
	size_t mark = 0;

	proc_signal(w->proc, SIGUSR1);
	expect(proc_wait_end(w->proc, SOON_MS) == 0, "it ended with wait status 0x%x",
	       (unsigned)proc_wait_end(w->proc, 0));
	expect(proc_wait_line(w->proc, &mark, "app: up", NULL, 0), "its calls failed");
}

START_TEST(program_may_set_up_after_its_primary_has_ended)
{
	size_t mark = 0;

	harness_configure("");
	harness_start_primary();
	seat[0] = harness_launch_worker(0, late);
	expect(proc_wait_line(seat[0].proc, &mark, "app: waits", NULL, READY_MS), "no context");
	harness_stop_primary();
	assert_sets_up_and_ends_well(&seat[0]);
}
END_TEST

static void configure_empty_capture(void)
{
	static const struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t zone, figures, snaplen, link;
	} header = {0xa1b2c3d4, 2, 4, 0, 0, 65535, 1};
	char text[512], path[96];
	FILE *f;

	snprintf(path, sizeof(path), "%s/in.pcap", harness.dir);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(&header, sizeof(header), 1, f), 1);
	ck_assert_int_eq(fclose(f), 0);
	snprintf(text, sizeof(text),
	         "mos {\n\tprefix = %s\n\tworkers = 1\n\tclock = packet\n\tend_of_file = stop\n"
	         "\tnetdev {\n\t\tnet_pcap0,rx_pcap=%s\n\t\tnet_pcap1,tx_pcap=%s.out\n\t}\n"
	         "\tnic_forward_table {\n\t\tnet_pcap0 net_pcap1\n\t}\n}\n",
	         harness.prefix, path, path);
	harness_write_conf(text);
}

START_TEST(program_may_set_up_after_the_capture_has_ended)
{
	configure_empty_capture();
	harness_start_primary();
	seat[0] = harness_launch_worker(0, late);
	expect(proc_wait_end(harness.primary, READY_MS) == 0, "the primary did not end well");
	assert_sets_up_and_ends_well(&seat[0]);
	ck_assert_uint_eq(proc_count_lines(seat[0].proc, 0, "libmos: "), 0);
}
END_TEST

/* Its packets cannot be had while it lives, so the pool is not asked for. */
START_TEST(primary_ends_although_a_worker_stands_still)
{
	char left[400];

	begin("");
	proc_freeze(seat[0].proc);
	traffic_settle(traffic, 100);
	proc_signal(harness.primary, SIGTERM);
	expect(proc_wait_end(harness.primary, READY_MS) != -1, "the primary does not end");
	expect(!harness_leftovers(harness.prefix, left, sizeof(left)), "left behind: %s", left);
	proc_signal(seat[0].proc, SIGCONT);
	for (unsigned i = 0; i < SEATS; i++)
		expect(proc_wait_end(seat[i].proc, SOON_MS) == 0, "worker %u did not end well", i);
	traffic_stop(traffic);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("faults");
	TCase *tc = tcase_create("faults");

	tcase_set_timeout(tc, 240);
	tcase_add_checked_fixture(tc, harness_begin, harness_end);
	tcase_add_test(tc, callback_that_never_returns_is_ended_by_stall_kill);
	tcase_add_test(tc, stopped_worker_is_ended_by_stall_kill);
	tcase_add_test(tc, without_stall_kill_a_hanging_worker_keeps_its_shard);
	tcase_add_test(tc, flow_that_kills_three_workers_passes_unmonitored);
	tcase_add_test(tc, worker_that_exits_in_a_callback_is_a_death_like_others);
	tcase_add_test(tc, killed_primary_takes_its_workers_along);
	tcase_add_test(tc, new_primary_starts_at_once_after_a_killed_one);
	tcase_add_test(tc, worker_that_sleeps_over_the_change_of_primaries_harms_nobody);
	tcase_add_test(tc, primary_that_is_asked_to_end_ends_its_workers_in_order);
	tcase_add_test(tc, program_may_set_up_after_its_primary_has_ended);
	tcase_add_test(tc, program_may_set_up_after_the_capture_has_ended);
	tcase_add_test(tc, primary_ends_although_a_worker_stands_still);
	suite_add_tcase(s, tc);
	return harness_main(s);
}
