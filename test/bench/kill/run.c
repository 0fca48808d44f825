#include "test/bench/kill/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "test/bench/kill/conns.h"
#include "test/bench/kill/content.h"
#include "test/bench/kill/ends.h"
#include "test/bench/kill/primary_log.h"
#include "test/bench/kill/report.h"
#include "test/bench/kill/sink.h"
#include "test/bench/kill/sink_lines.h"
#include "test/mp/harness.h"

enum { SINK_EVERY_MS = 20 };

static char sink_file[128], worker_log[128];
static uint64_t began_ns, step_ns_max;

void run_clock(void)
{
	began_ns = now_ns();
}

double run_seconds(void)
{
	return (double)(now_ns() - began_ns) / 1e9;
}

double run_step_ms_max(void)
{
	return (double)step_ns_max / 1e6;
}

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

void run_must_be(const char *wrong)
{
	if (wrong == NULL)
		return;
	report_seconds(run_seconds());
	if (!proc_ended(harness.primary)) {
		harness_report();
		while (primary_log_next(0).what != SAID_NOTHING)
			;
	}
	save_logs();
	dump_workers();
	harness_dump();
	print_report(stderr, opt.seed, run_seconds());
	ck_abort_msg("after %" PRIu64 " kills (--seed %" PRIu64 "): %s", seats_sum.kills, opt.seed,
	             wrong);
}

void run_must(bool condition, const char *otherwise)
{
	run_must_be(condition ? NULL : otherwise);
}

/* ---- the run ---- */

static void take_said(int timeout_ms)
{
	struct primary_said s = primary_log_next(timeout_ms);

	while (s.what != SAID_NOTHING) {
		seats_take(&s);
		s = primary_log_next(0);
	}
	run_must(!proc_ended(harness.primary), "the primary has ended");
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

	run_must_be(ends_failure());
	/* Probes are not the connections that are compared. */
	if (opt.histogram || now - last_ns < SINK_EVERY_MS * 1000000)
		return;
	last_ns = now;
	run_must_be(sink_lines_take());
}

/* From one step to the next: what takes longer than it should is perhaps not the system's fault. */
static void note_step(void)
{
	static uint64_t last_ns;
	uint64_t now = now_ns();

	if (last_ns != 0 && now - last_ns > step_ns_max)
		step_ns_max = now - last_ns;
	last_ns = now;
}

void run_step(bool by_chance)
{
	note_step();
	if (by_chance)
		wait_for_moment();
	else
		take_said(2);
	run_must_be(seats_tend(now_ns(), by_chance));
	look_around();
}

void run_wait_until(bool (*done)(void), int timeout_ms, const char *otherwise)
{
	uint64_t deadline = now_ns() + (uint64_t)timeout_ms * 1000000;

	while (!done() && now_ns() < deadline)
		run_step(false);
	run_must(done(), otherwise);
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

void run_begin(bool by_chance)
{
	const struct seats_options seats = {
		.mode = opt.mode,
		.by_chance = by_chance,
		.count = opt.workers,
		.work_ms = opt.work_ms,
		.attach_ms = 60,
		.nap_us = opt.nap_us,
		.seed = random_at(opt.seed, 1),
		.sink_file = sink_file,
		.log_file = worker_log,
	};

	snprintf(sink_file, sizeof(sink_file), "%s/lines", harness.dir);
	snprintf(worker_log, sizeof(worker_log), "%s/workers", harness.dir);
	configure();
	ck_assert(conns_init(opt.seed) && sink_lines_open(sink_file));
	run_clock();
	harness_start_primary();
	seats_init(&seats);
	seats_start();
	run_wait_until(seats_at_rest, READY_MS, "the workers do not come up");
}

void run_report(void)
{
	harness_report();
	take_said(0);
}

void run_end(void)
{
	run_must_be(seats_stop());
	run_report();
	save_logs();
	harness_stop_primary();
}
