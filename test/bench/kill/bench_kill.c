/*
 * bench_kill: kill workers at random moments, again and again, while real connections pass the box,
 * and look whether anybody notices.
 *
 *   bench_kill [--kills N] [--mode respawn|standby|upgrade|mix] [--seed S] [--seconds-max T] [--json FILE] [--logs PREFIX]
 *              [--workers W] [--long N] [--short N] [--pause-ms MS] [--work-ms MS] [--nap-us US]
 *
 *   kernel end_a --- box_a [mos-primary, W kill_sinks] box_b --- end_b kernel
 *
 * The run fails, with all logs, as soon as
 *   a byte is wrong, at an end or for the application; bytes that the application has not seen are
 *   allowed only on connections on which a worker died, as the primary says
 *   a connection breaks, or gets nothing more (a wedge)
 *   a shard is not served any more, or a worker ends by itself
 *   the primary misses mbufs, or leaves files behind
 *
 * --seconds-max ends it in order before all N kills are done. --logs keeps what the processes have
 * printed: PREFIX.primary, PREFIX.workers. Exit status 0 when all is right; 77 where it cannot run.
 */
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "test/bench/kill/conns.h"
#include "test/bench/kill/content.h"
#include "test/bench/kill/ends.h"
#include "test/bench/kill/network.h"
#include "test/bench/kill/primary_log.h"
#include "test/bench/kill/report.h"
#include "test/bench/kill/seats.h"
#include "test/bench/kill/sink.h"
#include "test/bench/kill/sink_lines.h"
#include "test/mp/harness.h"

enum {
	AUDIT_EVERY = 1000, /* kills */
	SINK_EVERY_MS = 20,
	TOLD_MS = 10000, /* for workers to tell of the last flows */
};

static struct {
	uint64_t kills, seed;
	enum seats_mode mode;
	unsigned seconds_max;
	const char *json, *logs;
	unsigned workers, long_count, short_count, pause_ms, work_ms, nap_us;
} opt = {
	.kills = 2000,
	.workers = 4,
	.long_count = 24,
	.short_count = 8,
	.pause_ms = 150,
	.work_ms = 50,
	.nap_us = 200,
};

static char sink_file[128], worker_log[128];
static uint64_t began_ns;

/* ---- how it ends when something is wrong ---- */

static void copy_file(const char *from, const char *to)
{
	FILE *in = fopen(from, "re"), *out = fopen(to, "we");
	char bytes[4096];
	size_t n;

	while (in != NULL && out != NULL && (n = fread(bytes, 1, sizeof(bytes), in)) > 0)
		fwrite(bytes, 1, n, out);
	if (in != NULL)
		fclose(in);
	if (out != NULL)
		fclose(out);
}

static void save_logs(void)
{
	char path[300];

	if (opt.logs == NULL)
		return;
	snprintf(path, sizeof(path), "%s.primary", opt.logs);
	remove(path);
	proc_save(harness.primary, path);
	snprintf(path, sizeof(path), "%s.workers", opt.logs);
	copy_file(worker_log, path);
	snprintf(path, sizeof(path), "%s.lines", opt.logs);
	copy_file(sink_file, path);
}

static void dump_workers(void)
{
	const char *const argv[] = {"tail", "-n", "40", worker_log, NULL};
	char output[8192];

	proc_run(argv, output, sizeof(output), SOON_MS);
	fprintf(stderr, "---- workers printed, at the end:\n%s----\n", output);
}

/* NULL is good. */
static void must_be(const char *wrong)
{
	if (wrong == NULL)
		return;
	report_seconds((double)(now_ns() - began_ns) / 1e9);
	if (!proc_ended(harness.primary)) {
		harness_report();
		while (primary_log_next(0).what != SAID_NOTHING)
			;
	}
	save_logs();
	dump_workers();
	harness_dump();
	print_report(stderr, opt.seed, (double)(now_ns() - began_ns) / 1e9);
	ck_abort_msg("after %" PRIu64 " kills (--seed %" PRIu64 "): %s", seats_sum.kills, opt.seed,
	             wrong);
}

static void must(bool condition, const char *otherwise)
{
	must_be(condition ? NULL : otherwise);
}

/* ---- begin ---- */

static void configure(void)
{
	char text[1024];

	snprintf(text, sizeof(text),
	         "mos {\n\tprefix = %s\n\tworkers = %u\n\tmax_concurrency = 2048\n"
	         "\tfail_policy = hold 120000 open\n\tring_size = 4096\n"
	         "\tflow_area = %zu\n\tstream_memory = 4\n\ttcp_timeout = 3600\n"
	         "\trmem_size = 262144\n\tstall_kill = 20000\n"
	         "\tnetdev {\n\t\tbox_a\n\t\tbox_b\n\t}\n"
	         "\tnic_forward_table {\n\t\tbox_a box_b\n\t}\n}\n",
	         harness.prefix, opt.workers, sizeof(struct sink_flow));
	harness_write_conf(text);
}

/* ---- the run ---- */

static void take_said(int timeout_ms)
{
	struct primary_said s = primary_log_next(timeout_ms);

	while (s.what != SAID_NOTHING) {
		seats_take(&s);
		s = primary_log_next(0);
	}
	must(!proc_ended(harness.primary), "the primary has ended");
}

static void sleep_ns(uint64_t ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / 1000000000),
	                     .tv_nsec = (long)(ns % 1000000000)};

	nanosleep(&t, NULL);
}

/* Until somebody is due, but not for ever. */
static void wait_for_moment(void)
{
	uint64_t now = now_ns(), next = seats_next_ns(now);
	uint64_t ns = next <= now ? 0 : next - now;

	take_said(ns > 5000000 ? 5 : (int)(ns / 1000000));
	now = now_ns();
	if (next > now && next - now < 1000000)
		sleep_ns(next - now);
}

static void look_around(void)
{
	static uint64_t last_ns;
	uint64_t now = now_ns();

	must_be(ends_failure());
	if (now - last_ns < SINK_EVERY_MS * 1000000)
		return;
	last_ns = now;
	must_be(sink_lines_take());
}

static void step(bool kill)
{
	if (kill)
		wait_for_moment();
	else
		take_said(2);
	must_be(seats_tend(now_ns(), kill));
	look_around();
}

static void audit(void)
{
	harness_report();
	take_said(0);
	must(primary_audit_missed() == 0, "mbufs are missing");
	must(primary_counter("garbage") == 0, "garbage in a tx ring");
	print_progress(stdout, (double)(now_ns() - began_ns) / 1e9);
}

static bool is_over(void)
{
	uint64_t s = (now_ns() - began_ns) / 1000000000;

	return seats_sum.kills + seats_sum.upgrades >= opt.kills ||
	       (opt.seconds_max > 0 && s >= opt.seconds_max);
}

static void kill_again_and_again(void)
{
	uint64_t audited = 0;

	while (!is_over()) {
		step(true);
		if (seats_sum.kills + seats_sum.upgrades - audited >= AUDIT_EVERY) {
			audited = seats_sum.kills + seats_sum.upgrades;
			audit();
		}
	}
}

/* ---- end ---- */

static void wait_until(bool (*done)(void), int timeout_ms, const char *otherwise)
{
	uint64_t deadline = now_ns() + (uint64_t)timeout_ms * 1000000;

	while (!done() && now_ns() < deadline)
		step(false);
	must(done(), otherwise);
}

static bool all_closed(void)
{
	return ends_sum().open == 0;
}

static bool all_told(void)
{
	struct untold u = sink_lines_untold(ends_sum().last);

	return u.plain <= deaths.unnamed;
}

static void come_to_rest(void)
{
	wait_until(seats_at_rest, READY_MS, "not all shards are served at the end");
	ends_finish();
	wait_until(all_closed, READY_MS, "not all connections end");
	wait_until(all_told, TOLD_MS, "connections on which no worker died were not told of");
	report_untold(sink_lines_untold(ends_sum().last));
}

static void check_counters(void)
{
	uint64_t lost =
		network_frames(0).out + network_frames(1).out - primary_counter("rx_packets");

	report_lost_frames(lost);
	must(primary_counter("unmonitored_ring") + primary_counter("unmonitored_noworker") == 0,
	     "packets were not seen by any worker");
	must(conns_sum.packets_short <= lost, "packets of connections on which no worker died were "
	                                      "not counted");
}

START_TEST(nobody_notices_kills)
{
	const struct seats_options seats = {
		.mode = opt.mode,
		.by_chance = true,
		.count = opt.workers,
		.work_ms = opt.work_ms,
		.attach_ms = 60,
		.nap_us = opt.nap_us,
		.seed = random_at(opt.seed, 1),
		.sink_file = sink_file,
		.log_file = worker_log,
	};
	const struct ends_options ends = {
		.long_count = opt.long_count,
		.short_count = opt.short_count,
		.pause_ms = opt.pause_ms,
		.seed = random_at(opt.seed, 2),
	};

	snprintf(sink_file, sizeof(sink_file), "%s/lines", harness.dir);
	snprintf(worker_log, sizeof(worker_log), "%s/workers", harness.dir);
	configure();
	ck_assert(network_lay() && conns_init(opt.seed) && sink_lines_open(sink_file));
	harness_start_primary();
	seats_init(&seats);
	seats_start();
	wait_until(seats_at_rest, READY_MS, "the workers do not come up");
	must(ends_start(&ends), "no connections");
	began_ns = now_ns();
	kill_again_and_again();
	report_seconds((double)(now_ns() - began_ns) / 1e9);
	come_to_rest();
	must_be(seats_stop());
	harness_report();
	take_said(0);
	check_counters();
	save_logs();
	harness_stop_primary();
	print_report(stdout, opt.seed, (double)(now_ns() - began_ns) / 1e9);
	if (opt.json != NULL)
		ck_assert_msg(write_json(opt.json, opt.seed), "cannot write %s", opt.json);
}
END_TEST

/* ---- options ---- */

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	if (*text != '\0' && *end == '\0')
		return n;
	fprintf(stderr, "bench_kill: not a number: %s\n", text);
	exit(2);
}

static enum seats_mode mode_of(const char *text)
{
	enum seats_mode mode = 0;

	while (mode < MODES && strcmp(seats_mode_names[mode], text) != 0)
		mode++;
	if (mode < MODES)
		return mode;
	fprintf(stderr, "bench_kill: not a mode: %s\n", text);
	exit(2);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"kills", required_argument, NULL, 'k'},
		{"mode", required_argument, NULL, 'M'},
		{"seed", required_argument, NULL, 's'},
		{"seconds-max", required_argument, NULL, 't'},
		{"json", required_argument, NULL, 'j'},
		{"logs", required_argument, NULL, 'g'},
		{"workers", required_argument, NULL, 'w'},
		{"long", required_argument, NULL, 'l'},
		{"short", required_argument, NULL, 'o'},
		{"pause-ms", required_argument, NULL, 'p'},
		{"work-ms", required_argument, NULL, 'm'},
		{"nap-us", required_argument, NULL, 'n'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'k': opt.kills = number(optarg); break;
		case 'M': opt.mode = mode_of(optarg); break;
		case 's': opt.seed = number(optarg); break;
		case 't': opt.seconds_max = (unsigned)number(optarg); break;
		case 'j': opt.json = optarg; break;
		case 'g': opt.logs = optarg; break;
		case 'w': opt.workers = (unsigned)number(optarg); break;
		case 'l': opt.long_count = (unsigned)number(optarg); break;
		case 'o': opt.short_count = (unsigned)number(optarg); break;
		case 'p': opt.pause_ms = (unsigned)number(optarg); break;
		case 'm': opt.work_ms = (unsigned)number(optarg); break;
		case 'n': opt.nap_us = (unsigned)number(optarg); break;
		default: exit(2);
		}
	}
	if (optind != argc || opt.workers == 0 || opt.workers > 16 || opt.pause_ms == 0 ||
	    opt.work_ms == 0) {
		fprintf(stderr, "bench_kill: see the head of bench_kill.c\n");
		exit(2);
	}
	if (opt.seed == 0)
		opt.seed = random_at(now_ns(), (uint64_t)getpid()) >> 32 | 1;
}

/* The harness looks for programs there: .../test/bench/kill/bench_kill. */
static void find_build(void)
{
	char path[256];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[n > 0 ? n : 0] = '\0';
	for (unsigned i = 0; i < 4; i++)
		dirname(path);
	setenv("MOS_BUILD", path, 0);
}

int main(int argc, char **argv)
{
	Suite *s = suite_create("bench_kill");
	TCase *tc = tcase_create("kill");

	parse(argc, argv);
	find_build();
	printf("bench_kill --kills %" PRIu64 " --mode %s --seed %" PRIu64 "\n", opt.kills,
	       seats_mode_names[opt.mode], opt.seed);
	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, harness_begin, harness_end);
	tcase_add_test(tc, nobody_notices_kills);
	suite_add_tcase(s, tc);
	return harness_main(s);
}
