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
#include "apps/killer/watch.h"

static struct {
	const char *config_file;
	const char *out_file;   /* NULL = stdout */
	const char *expression; /* NULL = all connections */
	int core_count;         /* 0 = as configured */
} opt;

static struct patterns patterns;

static bool start(mctx_t mctx)
{
	return watch_start(mctx, &patterns, opt.expression);
}

/* Returns whether all was watched and printed. */
static bool finish(void)
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
	if (lost > 0)
		fprintf(stderr, "; %llu lines lost", (unsigned long long)lost);
	else if (!ok)
		fprintf(stderr, "; the last lines were not read and are lost");
	fprintf(stderr, "\n");
	return ok && sums.not_watched == 0;
}

static void usage(FILE *f)
{
	fprintf(f, "usage: killer -f mos.conf [-e EXPRESSION] [-o FILE] [-n CONTEXTS]\n"
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
	           "line of JSON for each: time client server from pattern offset.\n");
}

static bool add_pattern(int option, const char *text)
{
	const char *wrong = option == 'x' ? patterns_add_hex(&patterns, text)
	                                  : patterns_add_word(&patterns, text);

	if (wrong != NULL)
		fprintf(stderr, "killer: -%c '%s': %s\n", option, text, wrong);
	return wrong == NULL;
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv)
{
	bool ok = true;
	int c;

	while (ok && (c = getopt(argc, argv, "f:x:w:e:o:n:h")) != -1) {
		switch (c) {
		case 'f': opt.config_file = optarg; break;
		case 'x':
		case 'w': ok = add_pattern(c, optarg); break;
		case 'e': opt.expression = optarg; break;
		case 'o': opt.out_file = optarg; break;
		case 'n':
			ok = number_option("killer", 'n', optarg, 1, CONTEXTS_MAX, &opt.core_count);
			break;
		case 'h': usage(stdout); return EXIT_SUCCESS;
		default: usage(stderr); return EXIT_FAILURE;
		}
	}
	if (!ok)
		return EXIT_FAILURE;
	if (opt.config_file == NULL || patterns.count == 0 || optind != argc) {
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
		fprintf(stderr, "killer: %s: %s\n", opt.out_file != NULL ? opt.out_file : "stdout",
		        strerror(-error));
		return EXIT_FAILURE;
	}
	if (mtcp_init(opt.config_file) < 0)
		return EXIT_FAILURE; /* the library has printed why */
	contexts_take_signals();
	ok = contexts_configure("killer", 'n', opt.core_count) && contexts_run(start);
	contexts_stop();
	mtcp_destroy();
	ok = finish() && ok && mos_last_error()[0] == '\0'; /* else the primary has ended */
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
