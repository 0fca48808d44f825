/*
 * Processes that look at flows: mosctl, while flows come and go and workers die; mosctl itself,
 * killed at any moment; and readers that never look away.
 *
 * MOS_SEED repeats a run's choices, not its timing.
 */
#include "test/mp/churn.h"
#include "test/mp/harness.h"
#include "test/mp/traffic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	SEATS = 2,
	FLOWS = 64,
	RATE = 4000,  /* flows per second that come and go */
	MANY = 20000, /* more than both tables have records */
	LOOKS = 12,
	KILLS = 20,
	KILL_MS_MAX = 80, /* from its start to being killed */
	READERS_MAX = 8,
	OUT_LEN = 1 << 18,
};

static struct worker seats[SEATS];
static char out[OUT_LEN];

static void begin(const char *keys)
{
	char text[256];

	snprintf(text, sizeof(text),
	         "\ttcp_checksum = trust\n\tfail_policy = hold 60000 open\n\tflow_area = 16\n%s",
	         keys);
	harness_configure(text);
	harness_start_primary();
	for (unsigned i = 0; i < SEATS; i++)
		seats[i] = harness_start_worker(i, NULL);
}

static void end(void)
{
	for (unsigned i = 0; i < SEATS; i++)
		harness_stop_worker(&seats[i]);
	harness_stop_primary();
}

static const char *mosctl_path(void)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/secondary/mosctl/mosctl", harness.build);
	return path;
}

/* Run mosctl to its end; what it prints is in out. Its exit status. */
static int mosctl(const char *command, const char *option, const char *value)
{
	const char *const argv[] = {mosctl_path(), "-f",  harness.conf, command,
	                            option,        value, NULL};
	int status = proc_run(argv, out, sizeof(out), READY_MS);

	expect(WIFEXITED(status), "mosctl %s ended with wait status 0x%x: %s", command,
	       (unsigned)status, out);
	return WEXITSTATUS(status);
}

static unsigned count_in_out(const char *text)
{
	unsigned n = 0;

	for (const char *at = out; (at = strstr(at, text)) != NULL; at++)
		n++;
	return n;
}

static uint64_t number_behind(const char *name)
{
	char text[64];
	const char *at;

	snprintf(text, sizeof(text), "\"%s\":", name);
	at = strstr(out, text);
	expect(at != NULL, "no %s in: %s", name, out);
	return strtoull(at + strlen(text), NULL, 10);
}

static struct proc *start_reader(const char *mode)
{
	char path[300];
	const char *const argv[] = {path, harness.prefix, mode, NULL};

	snprintf(path, sizeof(path), "%s/test/mp/reader_app", harness.build);
	return proc_start(argv, NULL);
}

static void wait_attached(struct proc *reader)
{
	size_t mark = 0;

	expect(proc_wait_line(reader, &mark, "reader: attached", NULL, READY_MS),
	       "the reader does not come up");
}

/* ---- what it shows ---- */

START_TEST(mosctl_shows_flows_workers_and_counters)
{
	struct traffic *t;
	char pid[32];

	begin("");
	t = traffic_start(END_A, END_B, FLOWS);
	ck_assert_ptr_nonnull(t);
	expect(traffic_establish(t, SOON_MS), "the flows do not shake hands");
	ck_assert_int_eq(mosctl("flows", NULL, NULL), 0);
	ck_assert_uint_eq(count_in_out(" ESTABLISHED ESTABLISHED "), FLOWS);
	ck_assert_uint_eq(count_in_out(" 10.9.0.1:10063 > "), 1);
	ck_assert_int_eq(mosctl("flows", "-s", "SYN_SENT"), 0);
	ck_assert_uint_eq(count_in_out("\n"), 1); /* the names of the columns */
	ck_assert_int_eq(mosctl("flows", "--json", "--area"), 0);
	ck_assert_uint_eq(count_in_out("{\"shard\":"), FLOWS);
	ck_assert_uint_eq(count_in_out("\"area\":{\"version\":0,\"bytes\":\"00000000000000000000"),
	                  FLOWS);
	ck_assert_int_eq(mosctl("workers", NULL, NULL), 0);
	ck_assert_uint_eq(count_in_out(" held "), SEATS);
	for (unsigned i = 0; i < SEATS; i++) {
		snprintf(pid, sizeof(pid), " %d ", (int)proc_pid(seats[i].proc));
		ck_assert_uint_eq(count_in_out(pid), 1);
	}
	ck_assert_int_eq(mosctl("ports", NULL, NULL), 0);
	ck_assert_uint_eq(count_in_out("box_a"), 2);
	traffic_stop(t);
	ck_assert_int_eq(mosctl("counters", "--json", NULL), 0);
	harness_report();
	ck_assert_uint_eq(number_behind("w_flows_created"), FLOWS);
	ck_assert_uint_eq(number_behind("w_packets"), harness_counter("w_packets"));
	end();
}
END_TEST

START_TEST(mosctl_without_a_primary_says_so_in_one_line)
{
	harness_configure("");
	ck_assert_int_eq(mosctl("flows", NULL, NULL), 1);
	ck_assert_uint_eq(count_in_out("\n"), 1);
	ck_assert_uint_eq(count_in_out("no mos-primary runs with prefix"), 1);
}
END_TEST

/* Run mosctl in a shell, its output going where `to` says. Its exit status. */
static int mosctl_to(const char *to)
{
	char script[512];
	const char *const argv[] = {"bash", "-c", script, NULL};
	int status;

	snprintf(script, sizeof(script), "%s -p %s flows %s; exit ${PIPESTATUS[0]}", mosctl_path(),
	         harness.prefix, to);
	status = proc_run(argv, out, sizeof(out), READY_MS);
	expect(WIFEXITED(status), "bash ended with wait status 0x%x: %s", (unsigned)status, out);
	return WEXITSTATUS(status);
}

START_TEST(mosctl_ends_when_nobody_takes_its_output)
{
	harness_configure("");
	harness_start_primary();
	ck_assert_int_eq(mosctl_to("| true"), 0);
	ck_assert_str_eq(out, ""); /* who closed the pipe needs no word */
	ck_assert_int_eq(mosctl_to("> /dev/full"), 1);
	ck_assert_uint_eq(count_in_out("No space left on device"), 1);
	harness_stop_primary();
}
END_TEST

/* ---- under fire ---- */

static bool is_one_of(const char *state, const char *names)
{
	return strstr(names, state) != NULL;
}

/* Each line tells of one flow of the churn, whole. */
static void check_flows(void)
{
	char *save = NULL;

	for (char *line = strtok_r(out, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		unsigned shard, flow, ip[2], port;
		char state[2][16];

		if (strncmp(line, "shard", 5) == 0)
			continue;
		expect(sscanf(line, "%u %u 10.9.%u.%u:%u > 10.9.0.2:81 %15s %15s", &shard, &flow,
		              &ip[0], &ip[1], &port, state[0], state[1]) == 7,
		       "a line of no flow: %s", line);
		expect(shard < SEATS && port >= 20000 && port < 21000, "of another flow: %s", line);
		expect(is_one_of(state[0], "SYN_SENT CLOSED") &&
		               is_one_of(state[1], "SYN_RCVD LISTEN CLOSED"),
		       "a flow that was never so: %s", line);
	}
}

/* A table that lost records would be full by now; all that is made is taken, but at a death. */
static void check_nothing_leaks(const struct churn *c)
{
	harness_report();
	expect(harness_counter("w_flow_table_full") == 0,
	       "%" PRIu64 " flows of %" PRIu64 " met a full table",
	       harness_counter("w_flow_table_full"), churn_count(c));
}

START_TEST(mosctl_looks_on_while_flows_come_and_go_and_workers_die)
{
	struct churn *c;

	begin("");
	c = churn_start(END_A, END_B, RATE);
	for (unsigned i = 0; i < LOOKS; i++) {
		expect(mosctl("flows", NULL, NULL) == 0, "mosctl fails: %s", out);
		check_flows();
		if (i % 4 == 3) {
			harness_kill_worker(&seats[i / 4 % SEATS]);
			seats[i / 4 % SEATS] = harness_start_worker(i / 4 % SEATS, NULL);
		}
	}
	expect(harness_wait_counter("w_flows_created", MANY, READY_MS), "no flows come");
	check_nothing_leaks(c);
	churn_stop(c);
	end();
}
END_TEST

START_TEST(mosctl_may_be_killed_at_any_moment)
{
	const char *const argv[] = {mosctl_path(), "-f", harness.conf, "flows", NULL};
	const char *seed = getenv("MOS_SEED");
	struct churn *c;
	unsigned ended = 0;

	srandom(seed != NULL ? (unsigned)strtoul(seed, NULL, 0) : (unsigned)now_ns());
	begin("");
	c = churn_start(END_A, END_B, RATE);
	for (unsigned i = 0; i < KILLS; i++) {
		struct proc *p = proc_start(argv, NULL);

		usleep((useconds_t)(random() % (KILL_MS_MAX * 1000)));
		proc_signal(p, SIGKILL);
		ended += proc_wait_end(p, SOON_MS) == 0;
		proc_free(p);
	}
	printf("mosctl was killed %u times of %u\n", KILLS - ended, KILLS);
	expect(harness_wait_counter("w_flows_created", MANY, READY_MS), "no flows come");
	check_nothing_leaks(c);
	churn_stop(c);
	expect(mosctl("flows", NULL, NULL) == 0, "mosctl fails: %s", out);
	check_flows();
	end();
}
END_TEST

/* ---- readers that misbehave ---- */

/* The table is small: while records are kept it is full, and then it is not any more. */
static void outlive(struct proc *reader)
{
	struct churn *c = churn_start(END_A, END_B, RATE);
	char text[64];
	size_t mark = 0;
	uint64_t created;

	snprintf(text, sizeof(text), "reader pid %d is killed", (int)proc_pid(reader));
	expect(proc_wait_line(harness.primary, &mark, text, NULL, READY_MS),
	       "the reader is not ended");
	ck_assert_int_eq(proc_wait_end(reader, SOON_MS), SIGKILL);
	proc_free(reader);
	harness_report();
	created = harness_counter("w_flows_created");
	expect(harness_wait_counter("w_flows_created", created + MANY, READY_MS),
	       "records do not come free");
	churn_stop(c);
}

START_TEST(reader_that_never_looks_away_is_ended)
{
	struct proc *reader;

	begin("");
	reader = start_reader("hold");
	wait_attached(reader);
	outlive(reader);
	end();
}
END_TEST

START_TEST(reader_that_is_stopped_is_ended)
{
	struct proc *reader;

	begin("");
	reader = start_reader("hold");
	wait_attached(reader);
	proc_freeze(reader);
	outlive(reader);
	end();
}
END_TEST

START_TEST(reader_that_looks_at_nothing_may_stay)
{
	struct proc *reader;
	struct churn *c;

	begin("");
	reader = start_reader("idle");
	wait_attached(reader);
	proc_freeze(reader);
	c = churn_start(END_A, END_B, RATE);
	expect(harness_wait_counter("w_flows_created", MANY, READY_MS), "no flows come");
	expect(!proc_ended(reader), "a reader that holds nobody up was ended");
	churn_stop(c);
	proc_free(reader);
	end();
}
END_TEST

START_TEST(reader_that_hangs_while_it_attaches_makes_way_for_a_worker)
{
	struct proc *reader;
	size_t mark = 0;

	harness_configure("");
	harness_start_primary();
	reader = start_reader("hang");
	wait_attached(reader);
	seats[0] = harness_start_worker(0, NULL);
	expect(proc_wait_line(harness.primary, &mark, "is killed: attaching took over 3 s", NULL,
	                      0),
	       "the worker was let in before its turn");
	ck_assert_int_eq(proc_wait_end(reader, SOON_MS), SIGKILL);
	proc_free(reader);
	harness_stop_worker(&seats[0]);
	harness_stop_primary();
}
END_TEST

START_TEST(readers_are_few_and_get_no_shard)
{
	struct proc *readers[READERS_MAX], *one;
	size_t mark = 0;

	harness_configure("");
	harness_start_primary();
	one = start_reader("lease");
	expect(proc_wait_line(one, &mark, "a reader gets no shard", NULL, READY_MS),
	       "a reader was not refused a shard");
	ck_assert_int_ne(proc_wait_end(one, SOON_MS), 0);
	proc_free(one);
	for (unsigned i = 0; i < READERS_MAX; i++)
		readers[i] = start_reader("idle");
	for (unsigned i = 0; i < READERS_MAX; i++)
		wait_attached(readers[i]);
	ck_assert_int_eq(mosctl("ports", NULL, NULL), 1);
	ck_assert_uint_eq(count_in_out("too many readers are attached"), 1);
	for (unsigned i = 0; i < READERS_MAX; i++)
		proc_free(readers[i]);
	ck_assert_int_eq(mosctl("ports", NULL, NULL), 0);
	harness_stop_primary();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("readers");
	TCase *tc = tcase_create("readers");

	tcase_set_timeout(tc, 180);
	tcase_add_checked_fixture(tc, harness_begin, harness_end);
	tcase_add_test(tc, mosctl_shows_flows_workers_and_counters);
	tcase_add_test(tc, mosctl_without_a_primary_says_so_in_one_line);
	tcase_add_test(tc, mosctl_ends_when_nobody_takes_its_output);
	tcase_add_test(tc, mosctl_looks_on_while_flows_come_and_go_and_workers_die);
	tcase_add_test(tc, mosctl_may_be_killed_at_any_moment);
	tcase_add_test(tc, reader_that_never_looks_away_is_ended);
	tcase_add_test(tc, reader_that_is_stopped_is_ended);
	tcase_add_test(tc, reader_that_looks_at_nothing_may_stay);
	tcase_add_test(tc, reader_that_hangs_while_it_attaches_makes_way_for_a_worker);
	tcase_add_test(tc, readers_are_few_and_get_no_shard);
	suite_add_tcase(s, tc);
	return harness_main(s);
}
