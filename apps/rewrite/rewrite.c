/*
 * rewrite: replace a word in HTTP responses, in line, by one of any length.
 *
 *   rewrite -f mos.conf -s word -r replacement [-e expression] [-x] [-n contexts]
 *
 * What is changed in requests and responses: http_edit.h. mos.conf needs flow_area = 128, and a
 * fail_policy that is closed: bytes that pass unedited would land at the wrong place of a stream.
 *
 *   stack threads  the callback (watch.c)
 *   main thread    makes the contexts and waits for their end
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mos_api.h"
#include "mos_ext.h"
#include "apps/common/contexts.h"
#include "apps/common/number.h"
#include "apps/rewrite/mss.h"
#include "apps/rewrite/watch.h"

#define MSS_ETHERNET 1460

static struct {
	const char *config_file;
	const char *word, *by;
	int core_count; /* 0 = as configured */
	struct watch_plan plan;
} opt = {.plan.expression = "dst port 80"};

static bool start(mctx_t mctx)
{
	return watch_start(mctx, &opt.plan);
}

static void finish(void)
{
	struct watch_sum sum = watch_sum();

	fprintf(stderr, "rewrite: %llu words replaced", (unsigned long long)sum.replaced);
	if (sum.left > 0)
		fprintf(stderr, "; %llu left, for want of room", (unsigned long long)sum.left);
	if (sum.strays > 0)
		fprintf(stderr, "; %llu directions lost", (unsigned long long)sum.strays);
	fprintf(stderr, "\n");
}

static void usage(FILE *f)
{
	fprintf(f,
	        "usage: rewrite -f mos.conf -s WORD -r REPLACEMENT [-e EXPRESSION] [-x]\n"
	        "               [-n CONTEXTS]\n"
	        "  -f FILE         configuration, the same that mos-primary was started with\n"
	        "  -s WORD         what is replaced in the bodies of responses: 1 to %d bytes\n"
	        "  -r REPLACEMENT  by what: 0 to %d bytes, less if WORD is short\n"
	        "  -e EXPRESSION   connections to edit, by their first SYN, as pcap-filter(7)\n"
	        "                  (default: dst port 80)\n"
	        "  -x              tell the server for whom: X-Forwarded-For in requests\n"
	        "  -n CONTEXTS     contexts of this process (default: as configured)\n"
	        "Needs flow_area = 128 in mos.conf, and fail_policy = closed, or hold MS closed.\n",
	        WORD_MAX, REPLACEMENT_MAX);
}

/* A segment full of words must have room for their replacements. */
static bool parse_words(void)
{
	struct word *w = &opt.plan.word;

	if (!word_init(w, opt.word, opt.by)) {
		fprintf(stderr, "rewrite: -s takes 1 to %d bytes, -r 0 to %d\n", WORD_MAX,
		        REPLACEMENT_MAX);
		return false;
	}
	if (mss_for_word(MSS_ETHERNET, w->len, w->by_len) == MSS_MIN) {
		fprintf(stderr, "rewrite: -r '%s' is too long for a word of %zu bytes\n", opt.by,
		        w->len);
		return false;
	}
	return true;
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "f:s:r:e:xn:h")) != -1) {
		switch (c) {
		case 'f': opt.config_file = optarg; break;
		case 's': opt.word = optarg; break;
		case 'r': opt.by = optarg; break;
		case 'e': opt.plan.expression = optarg; break;
		case 'x': opt.plan.forwarded_for = true; break;
		case 'n':
			if (!number_option("rewrite", 'n', optarg, 1, CONTEXTS_MAX,
			                   &opt.core_count))
				return EXIT_FAILURE;
			break;
		case 'h': usage(stdout); return EXIT_SUCCESS;
		default: usage(stderr); return EXIT_FAILURE;
		}
	}
	if (opt.config_file == NULL || opt.word == NULL || opt.by == NULL || optind != argc) {
		usage(stderr);
		return EXIT_FAILURE;
	}
	return parse_words() ? -1 : EXIT_FAILURE;
}

/* What was opened is closed by the end of the process. */
int main(int argc, char **argv)
{
	int status = parse_options(argc, argv);
	bool ok;

	if (status >= 0)
		return status;
	contexts_block_signals();
	if (mtcp_init(opt.config_file) < 0)
		return EXIT_FAILURE; /* the library has printed why */
	contexts_take_signals();
	ok = contexts_configure("rewrite", 'n', opt.core_count) && contexts_run(start);
	contexts_stop();
	mtcp_destroy();
	finish();
	ok = ok && mos_last_error()[0] == '\0'; /* else the primary has ended */
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
