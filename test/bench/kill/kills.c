/* Kills at random moments, under connections, until there were enough. */
#include <stdio.h>

#include "test/bench/kill/conns.h"
#include "test/bench/kill/content.h"
#include "test/bench/kill/ends.h"
#include "test/bench/kill/memory_audit.h"
#include "test/bench/kill/network.h"
#include "test/bench/kill/primary_log.h"
#include "test/bench/kill/report.h"
#include "test/bench/kill/run.h"
#include "test/bench/kill/sink_lines.h"
#include "test/mp/harness.h"

enum {
	AUDIT_EVERY = 1000, /* kills */
	TOLD_MS = 10000,    /* for workers to tell of the last flows */
};

/* An mbuf that a repair has in its hands at the moment of the report is found by the next. */
static bool all_mbufs_are_found(void)
{
	run_report();
	return primary_audit_missed() == 0;
}

static void audit(void)
{
	run_wait_until(all_mbufs_are_found, TOLD_MS, "mbufs are missing");
	run_must(primary_counter("garbage") == 0, "garbage in a tx ring");
	print_progress(stdout, run_seconds());
}

static bool is_over(void)
{
	return seats_sum.kills + seats_sum.upgrades >= opt.kills ||
	       (opt.seconds_max > 0 && run_seconds() >= opt.seconds_max);
}

static void kill_again_and_again(void)
{
	uint64_t audited = 0;

	while (!is_over()) {
		run_step(true);
		if (seats_sum.kills + seats_sum.upgrades - audited >= AUDIT_EVERY) {
			audited = seats_sum.kills + seats_sum.upgrades;
			audit();
		}
	}
}

/* ---- end ---- */

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
	run_wait_until(seats_at_rest, READY_MS, "not all shards are served at the end");
	ends_finish();
	run_wait_until(all_closed, READY_MS, "not all connections end");
	run_wait_until(all_told, TOLD_MS, "connections on which no worker died were not told of");
	report_untold(sink_lines_untold(ends_sum().last));
	run_must(memory_audit_start(), "the audit does not come up");
	run_wait_until(memory_audit_is_clean, TOLD_MS, "the memory of the shards is not in order");
	run_must(memory_audit_stop(), "the audit does not end");
}

static void check_counters(void)
{
	uint64_t lost =
		network_frames(0).out + network_frames(1).out - primary_counter("rx_packets");

	report_lost_frames(lost);
	run_must(primary_counter("unmonitored_ring") + primary_counter("unmonitored_noworker") == 0,
	         "packets were not seen by any worker");
	run_must(conns_sum.packets_short <= lost,
	         "packets of connections on which no worker died were "
	         "not counted");
}

void run_kills(void)
{
	const struct ends_options ends = {
		.long_count = opt.long_count,
		.short_count = opt.short_count,
		.pause_ms = opt.pause_ms,
		.seed = random_at(opt.seed, 2),
	};

	ck_assert(network_lay());
	run_begin(true);
	run_must(ends_start(&ends), "no connections");
	run_clock();
	kill_again_and_again();
	report_seconds(run_seconds());
	come_to_rest();
	run_end();
	check_counters();
	print_report(stdout, opt.seed, run_seconds());
	if (opt.json != NULL)
		ck_assert_msg(write_json(opt.json, opt.seed), "cannot write %s", opt.json);
}
