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

#include "mos_api.h"
#include "mos_ext.h"
#include "apps/common/program.h"
#include "apps/rewrite/mss.h"
#include "apps/rewrite/watch.h"

#define MSS_ETHERNET 1460

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x) /* a number's digits */

static struct {
	const char *word, *by;
	struct watch_plan plan;
} opt = {.plan.expression = "dst port 80"};

static bool start(mctx_t mctx)
{
	return watch_start(mctx, &opt.plan);
}

static bool finish(bool ran)
{
	struct watch_sum sum = watch_sum();

	fprintf(stderr, "rewrite: %llu words replaced", (unsigned long long)sum.replaced);
	if (sum.left > 0)
		fprintf(stderr, "; %llu left, for want of room", (unsigned long long)sum.left);
	if (sum.strays > 0)
		fprintf(stderr, "; %llu directions lost", (unsigned long long)sum.strays);
	fprintf(stderr, "\n");
	return true;
}

static const char usage[] =
	"usage: rewrite -f mos.conf -s WORD -r REPLACEMENT [-e EXPRESSION] [-x]\n"
	"               [-n CONTEXTS]\n"
	"  -f FILE         configuration, the same that mos-primary was started with\n"
	"  -s WORD         what is replaced in the bodies of responses: 1 to " TEXT(
		WORD_MAX) " bytes\n"
			  "  -r REPLACEMENT  by what: 0 to " TEXT(
				  REPLACEMENT_MAX) " bytes, less if WORD is short\n"
						   "  -e EXPRESSION   connections to edit, by "
						   "their first SYN, as pcap-filter(7)\n"
						   "                  (default: dst port 80)\n"
						   "  -x              tell the server for whom: "
						   "X-Forwarded-For in requests\n"
						   "  -n CONTEXTS     contexts of this process "
						   "(default: as configured)\n"
						   "Needs flow_area = 128 in mos.conf, and "
						   "fail_policy = closed, or hold MS closed.\n";

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

static bool take_option(int letter, const char *text)
{
	switch (letter) {
	case 's': opt.word = text; break;
	case 'r': opt.by = text; break;
	case 'e': opt.plan.expression = text; break;
	case 'x': opt.plan.forwarded_for = true; break;
	}
	return true;
}

static bool is_complete(bool has_config)
{
	return has_config && opt.word != NULL && opt.by != NULL;
}

static const struct program program = {
	.name = "rewrite",
	.usage = usage,
	.letters = "s:r:e:x",
	.take_option = take_option,
	.is_complete = is_complete,
	.prepare = parse_words,
	.start = start,
	.finish = finish,
};

int main(int argc, char **argv)
{
	return program_main(&program, argc, argv);
}
