/*
 * bytecount: how much each TCP connection has carried, and how much of that was sent again, one
 * line of JSON for each connection that ends (report.h).
 *
 *   bytecount -f mos.conf [-e expression] [-o file] [-i seconds] [-c cores]
 *
 *   stack threads  callbacks (watch.c); none waits for the output
 *   writer         prints (lines.h)
 *   main thread    makes the contexts, waits for their end, and prints what is open and the totals
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mos_api.h"
#include "mos_ext.h"
#include "apps/common/contexts.h"
#include "apps/common/lines.h"
#include "apps/common/number.h"
#include "apps/bytecount/watch.h"

#define INTERVAL_MAX 86400 /* s */

static struct {
	const char *config_file;
	const char *out_file;   /* NULL = stdout */
	const char *expression; /* NULL = all connections */
	int interval_s;         /* 0 = totals at the end only */
	int core_count;         /* 0 = as configured */
} opt;

static bool start(mctx_t mctx)
{
	return watch_start(mctx, opt.expression, opt.interval_s);
}

/* Returns whether all was counted and printed. */
static bool finish(void)
{
	uint64_t lost = 0, not_counted = watch_finish();
	bool ok = lines_close(&lost);

	if (not_counted > 0)
		fprintf(stderr, "bytecount: no memory for %llu connections\n",
		        (unsigned long long)not_counted);
	if (lost > 0)
		fprintf(stderr, "bytecount: %llu lines lost\n", (unsigned long long)lost);
	else if (!ok)
		fprintf(stderr, "bytecount: the last lines were not read and are lost\n");
	return ok && not_counted == 0;
}

static void usage(FILE *f)
{
	fprintf(f,
	        "usage: bytecount -f mos.conf [-e EXPRESSION] [-o FILE] [-i SECONDS] [-c CORES]\n"
	        "  -f FILE        configuration, the same that mos-primary was started with\n"
	        "  -e EXPRESSION  connections to count, by their first SYN, as pcap-filter(7)\n"
	        "                 (default: all)\n"
	        "  -o FILE        append to FILE instead of printing\n"
	        "  -i SECONDS     print the totals so often (default: at the end only)\n"
	        "  -c CORES       contexts of this process (default: as configured)\n"
	        "Prints one line of JSON for each connection that ends: start end ms client "
	        "server\n"
	        "reason, and for each direction packets ip_bytes payload unique resent missed; at\n"
	        "its end also those that are open, and the totals.\n");
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv)
{
	bool ok = true;
	int c;

	while (ok && (c = getopt(argc, argv, "f:e:o:i:c:h")) != -1) {
		switch (c) {
		case 'f': opt.config_file = optarg; break;
		case 'e': opt.expression = optarg; break;
		case 'o': opt.out_file = optarg; break;
		case 'i':
			ok = number_option("bytecount", 'i', optarg, 1, INTERVAL_MAX,
			                   &opt.interval_s);
			break;
		case 'c':
			ok = number_option("bytecount", 'c', optarg, 1, CONTEXTS_MAX,
			                   &opt.core_count);
			break;
		case 'h': usage(stdout); return EXIT_SUCCESS;
		default: usage(stderr); return EXIT_FAILURE;
		}
	}
	if (!ok)
		return EXIT_FAILURE;
	if (opt.config_file == NULL || optind != argc) {
		usage(stderr);
		return EXIT_FAILURE;
	}
	return -1;
}

/* What was opened is closed by the end of the process. */
int main(int argc, char **argv)
{
	int status = parse_options(argc, argv);
	int error;
	bool ok;

	if (status >= 0)
		return status;
	contexts_block_signals();
	signal(SIGPIPE, SIG_IGN); /* lines that cannot be written end us in order */
	error = lines_open(opt.out_file, contexts_ask_to_stop);
	if (error < 0) {
		fprintf(stderr, "bytecount: %s: %s\n",
		        opt.out_file != NULL ? opt.out_file : "stdout", strerror(-error));
		return EXIT_FAILURE;
	}
	if (mtcp_init(opt.config_file) < 0)
		return EXIT_FAILURE; /* the library has printed why */
	contexts_take_signals();
	ok = contexts_configure("bytecount", 'c', opt.core_count) && contexts_run(start);
	contexts_stop();
	mtcp_destroy();
	ok = finish() && ok && mos_last_error()[0] == '\0'; /* else the primary has ended */
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
