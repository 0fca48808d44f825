#include "test/bench/kill/report.h"

#include <inttypes.h>

#include "test/bench/kill/conns.h"
#include "test/bench/kill/ends.h"
#include "test/bench/kill/memory_audit.h"
#include "test/bench/kill/primary_log.h"
#include "test/bench/kill/run.h"
#include "test/bench/kill/seats.h"

enum { ROWS_MAX = 64 };

struct row {
	const char *name, *text;
	double value;
};

static double killing_s;
static struct untold untold;
static uint64_t lost_frames;

void report_seconds(double seconds)
{
	killing_s = seconds;
}

void report_untold(struct untold u)
{
	untold = u;
}

void report_lost_frames(uint64_t n)
{
	lost_frames = n;
}

static double ratio(double a, double b)
{
	return b > 0 ? a / b : 0;
}

static unsigned make_rows(struct row rows[static ROWS_MAX])
{
	const struct ends_sum e = ends_sum();
	const struct seats_sum *s = &seats_sum;
	const struct conns_sum *c = &conns_sum;
	const struct row all[] = {
		{"kills", "workers killed", s->kills},
		{"kills_others", "spares, successors, and workers before they served", s->others},
		{"kills_serving", "while they served one", s->serving},
		{"kills_per_s", "", ratio(s->kills, killing_s)},
		{"upgrades", "planned, finished", s->upgrades},
		{"given_back", "shards, since the successor was killed meanwhile", s->given_back},
		{"refused", "successors that came too early, or too late", s->refused},
		{"deaths", "that the primary has noticed on a shard", deaths.count},
		{"deaths_in_hand", "with packets in hand", deaths.in_hand},
		{"suspects", "packets that were worked on", deaths.suspects},
		{"suspects_unnamed", "of these, of no flow", deaths.unnamed},
		{"given_up", "flows with three deaths, unmonitored from then on", deaths.given_up},
		{"rescued", "finished packets, sent by the primary", deaths.rescued},
		{"waiting", "packets that waited for a successor", deaths.waiting},
		{"recovered", "mbufs found by the audit after a death", deaths.recovered},
		{"ledger_bad", "ledgers that made no sense", deaths.ledger_bad},
		{"unserved_ms_mean", "a shard without a worker",
	         ratio(s->unserved_ms_total, s->unserved_count)},
		{"unserved_ms_max", "", s->unserved_ms_max},
		{"step_ms_max", "that this program itself stood still", run_step_ms_max()},
		{"connections", "opened", e.opened},
		{"connections_ended", "in order, at both ends", e.closed},
		{"bytes", "received by the ends, all right", e.bytes},
		{"silence_ms_max", "of a connection that was to receive", e.longest_ms},
		{"flows_ended", "told of to the end by workers", c->ended},
		{"flows_adopted", "times that a flow was taken over", c->adopted},
		{"flows_suspect", "of those that ended, some worker died on", c->suspects},
		{"untold_suspect", "suspects that were not told of to the end", untold.struck},
		{"untold", "other connections that were not", untold.plain},
		{"bytes_hashed", "read by workers, SHA-256 is right", c->bytes},
		{"pieces", "in so many pieces", c->pieces},
		{"holes", "in what workers have read of suspects", c->holes},
		{"hole_bytes", "", c->hole_bytes},
		{"said_twice", "lines of workers that died behind them", c->again},
		{"packets_suspect", "data packets of suspects not, or twice, counted",
	         c->packets_suspect},
		{"packets_short", "data packets of other flows not counted", c->packets_short},
		{"records_left", "flow records in use at the end: suspects", memory_sum.flows},
		{"chunks", "of streams, in all pools", memory_sum.chunks},
		{"chunks_left", "in use at the end, by flows that are left", memory_sum.used},
		{"chunks_stray", "in use at the end, by nobody", memory_sum.stray},
		{"index_astray", "flows at the end that the index does not find",
	         memory_sum.astray},
		{"frames_lost", "before the primary, by the kernel", lost_frames},
	};
	unsigned n = sizeof(all) / sizeof(all[0]);

	for (unsigned i = 0; i < n; i++)
		rows[i] = all[i];
	return n;
}

void print_progress(FILE *out, double seconds)
{
	const struct ends_sum e = ends_sum();

	fprintf(out,
	        "%.0f s: %" PRIu64 " kills (%.1f/s), %" PRIu64 " suspects, %" PRIu64
	        " connections, %" PRIu64 " bytes, all right so far\n",
	        seconds, seats_sum.kills, ratio((double)seats_sum.kills, seconds), deaths.suspects,
	        e.opened, e.bytes);
}

void print_report(FILE *out, uint64_t seed, double seconds)
{
	struct row rows[ROWS_MAX];
	unsigned n = make_rows(rows);

	fprintf(out, "\nseed %" PRIu64 ", %.1f s\n", seed, seconds);
	for (unsigned i = 0; i < n; i++)
		fprintf(out, "  %-18s %14.*f  %s\n", rows[i].name,
		        rows[i].value == (double)(uint64_t)rows[i].value ? 0 : 1, rows[i].value,
		        rows[i].text);
	for (unsigned i = 0; i < STAGES_MAX && deaths.stage_name[i][0] != '\0'; i++)
		fprintf(out, "  death at %-9s %14" PRIu64 "\n", deaths.stage_name[i],
		        deaths.stage[i]);
	fprintf(out, "counters of the primary and the workers:\n");
	primary_print_counters(out, "  %-22s %10" PRIu64 "\n");
	fflush(out);
}

bool write_json(const char *path, uint64_t seed)
{
	struct row rows[ROWS_MAX];
	unsigned n = make_rows(rows);
	FILE *out = fopen(path, "we");

	if (out == NULL)
		return false;
	fprintf(out, "{\"seed\": %" PRIu64 ", \"seconds\": %.1f", seed, killing_s);
	for (unsigned i = 0; i < n; i++)
		fprintf(out, ", \"%s\": %.17g", rows[i].name, rows[i].value);
	for (unsigned i = 0; i < STAGES_MAX && deaths.stage_name[i][0] != '\0'; i++)
		fprintf(out, ", \"stage_%s\": %" PRIu64, deaths.stage_name[i], deaths.stage[i]);
	fprintf(out, ", \"counters\": {\"reports\": 1");
	primary_print_counters(out, ", \"%s\": %" PRIu64);
	fprintf(out, "}}\n");
	return fclose(out) == 0;
}
