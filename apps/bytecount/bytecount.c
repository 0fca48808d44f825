/*
 * bytecount: how much each TCP connection has carried, and how much of that was sent again, one
 * line of JSON for each connection that ends (report.h).
 *
 *   bytecount -f mos.conf [-e expression] [-o file] [-i seconds] [-n contexts]
 *
 * With flow_area = 624 in mos.conf the counts outlive the process (kept.h).
 *
 *   stack threads  callbacks (watch.c); none waits for the output
 *   writer         prints (lines.h)
 *   main thread    makes the contexts, waits for their end, and prints what is open and the totals
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mos_api.h"
#include "mos_ext.h"
#include "apps/common/lines.h"
#include "apps/common/number.h"
#include "apps/common/program.h"
#include "apps/bytecount/watch.h"

#define INTERVAL_MAX 86400 /* s */

static struct {
	const char *expression; /* NULL = all connections */
	int interval_s;         /* 0 = totals at the end only */
} opt;

static bool start(mctx_t mctx)
{
	return watch_start(mctx, opt.expression, opt.interval_s);
}

/* Returns whether all was counted and printed. */
static bool finish(bool ran)
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

static const char usage[] =
	"usage: bytecount -f mos.conf [-e EXPRESSION] [-o FILE] [-i SECONDS] [-n CONTEXTS]\n"
	"  -f FILE        configuration, the same that mos-primary was started with\n"
	"  -e EXPRESSION  connections to count, by their first SYN, as pcap-filter(7)\n"
	"                 (default: all)\n"
	"  -o FILE        append to FILE instead of printing\n"
	"  -i SECONDS     print the totals so often (default: at the end only)\n"
	"  -n CONTEXTS    contexts of this process (default: as configured)\n"
	"Prints one line of JSON for each connection that ends: start end ms client "
	"server\n"
	"reason, and for each direction packets ip_bytes payload unique resent missed; at\n"
	"its end also those that are open, and the totals.\n";

static bool take_option(int letter, const char *text)
{
	if (letter == 'i')
		return number_option("bytecount", 'i', text, 1, INTERVAL_MAX, &opt.interval_s);
	opt.expression = text;
	return true;
}

static const struct program program = {
	.name = "bytecount",
	.usage = usage,
	.letters = "e:i:",
	.prints_lines = true,
	.take_option = take_option,
	.start = start,
	.finish = finish,
};

int main(int argc, char **argv)
{
	return program_main(&program, argc, argv);
}
