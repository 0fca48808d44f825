/*
 * httpwatch: print the HTTP/1.x transactions that pass, one line of JSON each (transaction.h).
 *
 *   httpwatch -f mos.conf [-e expression] [-o file] [-n contexts]
 *
 * What a worker knows of a connection's messages dies with it; its successor goes on with the next
 * one that it can tell the begin of (http_conn.h).
 *
 *   stack threads  callbacks (watch.c); none waits for the output
 *   writer         prints (lines.h)
 *   main thread    makes the contexts and waits for their end
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
#include "apps/httpwatch/watch.h"

static struct {
	const char *config_file;
	const char *out_file; /* NULL = stdout */
	const char *expression;
	int core_count; /* 0 = as configured */
} opt = {.expression = "dst port 80"};

static bool start(mctx_t mctx)
{
	return watch_start(mctx, opt.expression);
}

/* Returns whether all was printed. */
static bool finish(void)
{
	uint64_t lost = 0, transactions, given_up;
	bool ok = lines_close(&lost);

	watch_sum(&transactions, &given_up);
	fprintf(stderr, "httpwatch: %llu transactions", (unsigned long long)transactions);
	if (given_up > 0)
		fprintf(stderr, "; %llu connections given up", (unsigned long long)given_up);
	if (lost > 0)
		fprintf(stderr, "; %llu lines lost", (unsigned long long)lost);
	else if (!ok)
		fprintf(stderr, "; the last lines were not read and are lost");
	fprintf(stderr, "\n");
	return ok;
}

static void usage(FILE *f)
{
	fprintf(f, "usage: httpwatch -f mos.conf [-e EXPRESSION] [-o FILE] [-n CONTEXTS]\n"
	           "  -f FILE        configuration, the same that mos-primary was started with\n"
	           "  -e EXPRESSION  connections to watch, by their first SYN, as pcap-filter(7)\n"
	           "                 (default: dst port 80)\n"
	           "  -o FILE        append to FILE instead of printing\n"
	           "  -n CONTEXTS    contexts of this process (default: as configured)\n"
	           "Prints one line of JSON for each transaction: time client server method host "
	           "path\n"
	           "status bytes request_bytes ms; null for what is not known. Notes behind them:\n"
	           "truncated, missed, incomplete, resumed, given_up. A connection that is not\n"
	           "HTTP/1 gives one line with given_up.\n");
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "f:e:o:n:h")) != -1) {
		switch (c) {
		case 'f': opt.config_file = optarg; break;
		case 'e': opt.expression = optarg; break;
		case 'o': opt.out_file = optarg; break;
		case 'n':
			if (!number_option("httpwatch", 'n', optarg, 1, CONTEXTS_MAX,
			                   &opt.core_count))
				return EXIT_FAILURE;
			break;
		case 'h': usage(stdout); return EXIT_SUCCESS;
		default: usage(stderr); return EXIT_FAILURE;
		}
	}
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
		fprintf(stderr, "httpwatch: %s: %s\n",
		        opt.out_file != NULL ? opt.out_file : "stdout", strerror(-error));
		return EXIT_FAILURE;
	}
	if (mtcp_init(opt.config_file) < 0)
		return EXIT_FAILURE; /* the library has printed why */
	contexts_take_signals();
	ok = contexts_configure("httpwatch", 'n', opt.core_count) && contexts_run(start);
	contexts_stop();
	mtcp_destroy();
	ok = finish() && ok && mos_last_error()[0] == '\0'; /* else the primary has ended */
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
