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
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mos_api.h"
#include "mos_ext.h"
#include "apps/common/lines.h"
#include "apps/common/program.h"
#include "apps/httpwatch/watch.h"

static const char *expression = "dst port 80";

static bool start(mctx_t mctx)
{
	return watch_start(mctx, expression);
}

/* Returns whether all was printed. */
static bool finish(bool ran)
{
	uint64_t lost = 0, transactions, given_up;
	bool ok = lines_close(&lost);

	watch_sum(&transactions, &given_up);
	fprintf(stderr, "httpwatch: %llu transactions", (unsigned long long)transactions);
	if (given_up > 0)
		fprintf(stderr, "; %llu connections given up", (unsigned long long)given_up);
	lines_tell_lost(ok, lost);
	return ok;
}

static const char usage[] =
	"usage: httpwatch -f mos.conf [-e EXPRESSION] [-o FILE] [-n CONTEXTS]\n"
	"  -f FILE        configuration, the same that mos-primary was started with\n"
	"  -e EXPRESSION  connections to watch, by their first SYN, as pcap-filter(7)\n"
	"                 (default: dst port 80)\n"
	"  -o FILE        append to FILE instead of printing\n"
	"  -n CONTEXTS    contexts of this process (default: as configured)\n"
	"Prints one line of JSON for each transaction: time client server method host "
	"path\n"
	"status bytes request_bytes ms; null for what is not known. Notes behind them:\n"
	"truncated, missed, incomplete, resumed, given_up. A connection that is not\n"
	"HTTP/1 gives one line with given_up.\n";

static bool take_option(int letter, const char *text)
{
	expression = text;
	return true;
}

static const struct program program = {
	.name = "httpwatch",
	.usage = usage,
	.letters = "e:",
	.prints_lines = true,
	.take_option = take_option,
	.start = start,
	.finish = finish,
};

int main(int argc, char **argv)
{
	return program_main(&program, argc, argv);
}
