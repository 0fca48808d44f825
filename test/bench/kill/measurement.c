/*
 * How long a shard stands still when its worker is replaced, as packets on the wire see it: one
 * shard, a probe through it, one event after the other.
 *
 *   at rest | window: event ... the new worker serves, AFTER_MS | what is still under way | again
 *
 * Blocked is the longest time that a packet sent in the window has taken. In a window of a planned
 * upgrade or a respawn falls also the attach of the successor, which competes for the CPUs. Lost as
 * CSIT has it: packets sent in the windows that never arrived, of all sent in them.
 */
#include <inttypes.h>
#include <stdio.h>

#include "test/bench/kill/histogram.h"
#include "test/bench/kill/primary_log.h"
#include "test/bench/kill/probe.h"
#include "test/bench/kill/run.h"
#include "test/mp/harness.h"

enum {
	AFTER_MS = 10,
	ARRIVE_MS = 1000,
	PAUSE_MS = 20,
};

static struct histogram blocked = {
	.name = "blocked",
	.text = "blocked, as the wire sees it (longest delay of a packet)",
};
static struct histogram dying = {
	.name = "dying",
	.text = "of that, until the kernel tells that the killed worker is gone",
};
static struct histogram quiet = {
	.name = "quiet",
	.text = "for comparison: the longest delay in as long a time without event",
};
static struct histogram unserved = {
	.name = "unserved",
	.text = "without a worker, as the primary says",
};
static uint64_t sent, received, lost_max;

static void wait_ms(unsigned ms)
{
	uint64_t until = now_ns() + (uint64_t)ms * 1000000;

	while (now_ns() < until)
		run_step(false);
}

static bool has_successor(void)
{
	return seats_sum.kills + seats_sum.upgrades == blocked.count + 1 && seats_all_serve();
}

static void note(const struct probe_window *w)
{
	uint64_t lost = w->sent - w->received;

	sent += w->sent;
	received += w->received;
	lost_max = lost > lost_max ? lost : lost_max;
	histogram_add(&blocked, (double)w->delay_ns / 1e3);
}

static void measure_event(void)
{
	uint64_t said = seats_sum.unserved_count, began, dying_ns;
	double said_ms = seats_sum.unserved_ms_total;
	struct probe_window w;
	unsigned took_ms;

	run_wait_until(seats_at_rest, READY_MS, "not all are in place");
	seats_hold(true);
	wait_ms(PAUSE_MS);
	began = now_ns();
	probe_begin();
	dying_ns = seats_replace(0);
	run_wait_until(has_successor, READY_MS, "nobody takes over");
	wait_ms(AFTER_MS);
	took_ms = (unsigned)((now_ns() - began) / 1000000);
	w = probe_end(ARRIVE_MS);
	note(&w);
	if (dying_ns > 0)
		histogram_add(&dying, (double)dying_ns / 1e3);
	if (seats_sum.unserved_count == said + 1)
		histogram_add(&unserved, (seats_sum.unserved_ms_total - said_ms) * 1e3);
	probe_begin();
	wait_ms(took_ms);
	w = probe_end(ARRIVE_MS);
	histogram_add(&quiet, (double)w.delay_ns / 1e3);
	seats_hold(false);
}

static void print(FILE *out)
{
	fprintf(out, "\nseed %" PRIu64 ", %s, %u packets per second\n", opt.seed,
	        seats_mode_names[opt.mode], opt.probe_pps);
	histogram_print(out, &blocked);
	if (dying.count > 0)
		histogram_print(out, &dying);
	histogram_print(out, &unserved);
	histogram_print(out, &quiet);
	fprintf(out,
	        "lost: %" PRIu64 " of %" PRIu64 " packets sent around the events (ratio %.2e), at "
	        "most %" PRIu64 " in one\n",
	        sent - received, sent, sent > 0 ? (double)(sent - received) / (double)sent : 0,
	        lost_max);
	fflush(out);
}

static bool write_figures(const char *path)
{
	FILE *out = fopen(path, "we");

	if (out == NULL)
		return false;
	fprintf(out,
	        "{\"mode\": \"%s\", \"seed\": %" PRIu64 ", \"sent\": %" PRIu64
	        ", \"lost\": %" PRIu64 ", \"lost_max\": %" PRIu64,
	        seats_mode_names[opt.mode], opt.seed, sent, sent - received, lost_max);
	histogram_write_json(out, &blocked);
	histogram_write_json(out, &dying);
	histogram_write_json(out, &unserved);
	histogram_write_json(out, &quiet);
	fprintf(out, "}\n");
	return fclose(out) == 0;
}

void run_measurement(void)
{
	run_begin(false);
	run_must(probe_start(opt.probe_pps), "no probe");
	run_clock();
	while (blocked.count < opt.kills &&
	       (opt.seconds_max == 0 || run_seconds() < opt.seconds_max))
		measure_event();
	run_wait_until(seats_at_rest, READY_MS, "not all are in place");
	run_end();
	run_must(primary_audit_missed() == 0, "mbufs are missing");
	print(stdout);
	if (opt.json != NULL)
		ck_assert_msg(write_figures(opt.json), "cannot write %s", opt.json);
}
