/*
 * blockpage: answer HTTP/1.x requests to blocked hosts with a page of our own, in the server's
 * place.
 *
 *   blockpage -f mos.conf [-e expression] [-p page.html] [-o file] [-n contexts] (-b host)...
 *
 * One line of JSON for each blocked request: blocked = the entry that it matched, action = what was
 * done: "page", or "reset" where a page would not have been the answer to that request (watch.h).
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
#include "apps/blockpage/watch.h"
#include "apps/common/lines.h"
#include "apps/common/program.h"

static const char *page_file; /* NULL = our text */
static struct watch_settings settings = {.expression = "dst port 80"};

static bool start(mctx_t mctx)
{
	return watch_start(mctx, &settings);
}

/* Returns whether all was printed. */
static bool finish(bool ran)
{
	uint64_t lost = 0;
	bool ok = lines_close(&lost);
	struct watch_sums sums;

	watch_sum(&sums);
	fprintf(stderr, "blockpage: %llu requests answered, %llu connections reset",
	        (unsigned long long)sums.answered, (unsigned long long)sums.reset);
	if (sums.given_up > 0)
		fprintf(stderr, "; %llu connections given up", (unsigned long long)sums.given_up);
	lines_tell_lost(ok, lost);
	return ok;
}

static const char usage[] =
	"usage: blockpage -f mos.conf [-e EXPRESSION] [-p PAGE] [-o FILE] [-n CONTEXTS]\n"
	"                 (-b HOST | -b .DOMAIN)...\n"
	"  -f FILE        configuration, the same that mos-primary was started with\n"
	"  -b HOST        a blocked host; .DOMAIN: that domain and all below it\n"
	"  -p PAGE        file with the HTML that clients get (default: a short text)\n"
	"  -e EXPRESSION  connections to watch, by their first SYN, as pcap-filter(7)\n"
	"                 (default: dst port 80)\n"
	"  -o FILE        append to FILE instead of printing\n"
	"  -n CONTEXTS    contexts of this process (default: as configured)\n"
	"Answers HTTP/1 requests to blocked hosts with 403 and the page; they do not\n"
	"reach the server. Prints a line of JSON for each: time client server blocked\n"
	"action.\n";

static bool add_host(const char *name)
{
	const char *wrong = host_list_add(&settings.hosts, name);

	if (wrong != NULL)
		fprintf(stderr, "blockpage: -b '%s': %s\n", name, wrong);
	return wrong == NULL;
}

static bool take_option(int letter, const char *text)
{
	switch (letter) {
	case 'b': return add_host(text);
	case 'p': page_file = text; return true;
	default: settings.expression = text; return true;
	}
}

static bool is_complete(bool has_config)
{
	return has_config && settings.hosts.count > 0;
}

static bool prepare(void)
{
	int error = page_load(&settings.page, page_file);

	if (error < 0)
		fprintf(stderr, "blockpage: -p %s: %s\n", page_file != NULL ? page_file : "",
		        strerror(-error));
	return error == 0;
}

static const struct program program = {
	.name = "blockpage",
	.usage = usage,
	.letters = "b:p:e:",
	.prints_lines = true,
	.take_option = take_option,
	.is_complete = is_complete,
	.prepare = prepare,
	.start = start,
	.finish = finish,
};

int main(int argc, char **argv)
{
	return program_main(&program, argc, argv);
}
