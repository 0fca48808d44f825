/*
 * killer: reset both ends of each TCP connection that carries one of the patterns.
 *
 *   killer -f mos.conf [-e expression] [-o file] [-n contexts] (-x hex | -w word)...
 *
 * One line of JSON for each: pattern in hexadecimal, from = who sent it, offset of its first byte
 * in what that one has sent.
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
#include "apps/killer/watch.h"

static const char *expression; /* NULL = all connections */
static struct patterns patterns;

static bool start(mctx_t mctx)
{
	return watch_start(mctx, &patterns, expression);
}

/* Returns whether all was watched and printed. */
static bool finish(bool ran)
{
	uint64_t lost = 0;
	bool ok = lines_close(&lost);
	struct watch_sums sums;

	watch_sum(&sums);
	fprintf(stderr, "killer: %llu connections killed, %llu packets dropped",
	        (unsigned long long)sums.killed, (unsigned long long)sums.dropped);
	if (sums.not_watched > 0)
		fprintf(stderr, "; no memory for %llu connections",
		        (unsigned long long)sums.not_watched);
	lines_tell_lost(ok, lost);
	return ok && sums.not_watched == 0;
}

static const char usage[] =
	"usage: killer -f mos.conf [-e EXPRESSION] [-o FILE] [-n CONTEXTS]\n"
	"              (-x HEX | -w WORD)...\n"
	"  -f FILE        configuration, the same that mos-primary was started with\n"
	"  -x HEX         pattern: bytes, of two hexadecimal digits each\n"
	"  -w WORD        pattern: the bytes of WORD\n"
	"  -e EXPRESSION  connections to watch, by their first SYN, as pcap-filter(7)\n"
	"                 (default: all)\n"
	"  -o FILE        append to FILE instead of printing\n"
	"  -n CONTEXTS    contexts of this process (default: as configured)\n"
	"Resets both ends of each connection that carries a pattern, in either\n"
	"direction; the packet with the end of the pattern does not arrive. Prints a\n"
	"line of JSON for each: time client server from pattern offset.\n";

static bool add_pattern(int option, const char *text)
{
	const char *wrong = option == 'x' ? patterns_add_hex(&patterns, text)
	                                  : patterns_add_word(&patterns, text);

	if (wrong != NULL)
		fprintf(stderr, "killer: -%c '%s': %s\n", option, text, wrong);
	return wrong == NULL;
}

static bool take_option(int letter, const char *text)
{
	if (letter != 'e')
		return add_pattern(letter, text);
	expression = text;
	return true;
}

static bool is_complete(bool has_config)
{
	return has_config && patterns.count > 0;
}

static const struct program program = {
	.name = "killer",
	.usage = usage,
	.letters = "x:w:e:",
	.prints_lines = true,
	.take_option = take_option,
	.is_complete = is_complete,
	.start = start,
	.finish = finish,
};

int main(int argc, char **argv)
{
	return program_main(&program, argc, argv);
}
