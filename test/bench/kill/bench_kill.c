/*
 * bench_kill: kill workers at random moments, again and again, while real connections pass the box,
 * and look whether anybody notices.
 *
 *   bench_kill [--kills N] [--mode respawn|standby|upgrade|mix] [--seed S] [--seconds-max T]
 *              [--json FILE] [--logs PREFIX] [--workers W] [--long N] [--short N] [--pause-ms MS]
 *              [--work-ms MS] [--nap-us US]
 *
 *   kernel end_a --- box_a [mos-primary, W kill_sinks] box_b --- end_b kernel
 *
 * The run fails, with all logs, as soon as
 *   a byte is wrong, at an end or for the application; bytes that the application has not seen are
 *   allowed only on connections on which a worker died, as the primary says
 *   a connection breaks, or gets nothing more (a wedge)
 *   a shard is not served any more, or a worker ends by itself
 *   the primary misses mbufs or leaves files behind, or shards chunks that nobody has
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

#include "test/bench/kill/content.h"
#include "test/bench/kill/run.h"
#include "test/mp/harness.h"

struct run_options opt = {
	.kills = 2000,
	.workers = 4,
	.long_count = 24,
	.short_count = 8,
	.pause_ms = 150,
	.work_ms = 50,
	.nap_us = 200,
	.probe_pps = 5000,
};

START_TEST(nobody_notices_kills)
{
	run_kills();
}
END_TEST

START_TEST(takeovers_are_measured)
{
	run_measurement();
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

/* One shard that every probe passes, and nothing else to do. */
static void prepare_histogram(void)
{
	opt.workers = 1;
	opt.nap_us = 0;
	if (opt.mode == MODE_MIX) {
		fprintf(stderr, "bench_kill: a histogram is of one mode\n");
		exit(2);
	}
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"kills", required_argument, NULL, 'k'},
		{"histogram", no_argument, NULL, 'H'},
		{"probe-pps", required_argument, NULL, 'P'},
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
		case 'H': opt.histogram = true; break;
		case 'P': opt.probe_pps = (unsigned)number(optarg); break;
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
	    opt.probe_pps == 0 || opt.work_ms == 0) {
		fprintf(stderr, "bench_kill: see the head of bench_kill.c\n");
		exit(2);
	}
	if (opt.histogram)
		prepare_histogram();
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
	if (opt.histogram)
		tcase_add_test(tc, takeovers_are_measured);
	else
		tcase_add_test(tc, nobody_notices_kills);
	suite_add_tcase(s, tc);
	return harness_main(s);
}
