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
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mos_api.h"
#include "mos_ext.h"
#include "apps/blockpage/watch.h"
#include "apps/common/contexts.h"
#include "apps/common/lines.h"
#include "apps/common/number.h"

static struct {
	const char *config_file;
	const char *out_file;  /* NULL = stdout */
	const char *page_file; /* NULL = our text */
	int core_count;        /* 0 = as configured */
} opt;

static struct watch_settings settings = {.expression = "dst port 80"};

static bool start(mctx_t mctx)
{
	return watch_start(mctx, &settings);
}

/* Returns whether all was printed. */
static bool finish(void)
{
	uint64_t lost = 0;
	bool ok = lines_close(&lost);
	struct watch_sums sums;

	watch_sum(&sums);
	fprintf(stderr, "blockpage: %llu requests answered, %llu connections reset",
	        (unsigned long long)sums.answered, (unsigned long long)sums.reset);
	if (sums.given_up > 0)
		fprintf(stderr, "; %llu connections given up", (unsigned long long)sums.given_up);
	if (lost > 0)
		fprintf(stderr, "; %llu lines lost", (unsigned long long)lost);
	else if (!ok)
		fprintf(stderr, "; the last lines were not read and are lost");
	fprintf(stderr, "\n");
	return ok;
}

static void usage(FILE *f)
{
	fprintf(f,
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
	        "action.\n");
}

static bool add_host(const char *name)
{
	const char *wrong = host_list_add(&settings.hosts, name);

	if (wrong != NULL)
		fprintf(stderr, "blockpage: -b '%s': %s\n", name, wrong);
	return wrong == NULL;
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv)
{
	bool ok = true;
	int c;

	while (ok && (c = getopt(argc, argv, "f:b:p:e:o:n:h")) != -1) {
		switch (c) {
		case 'f': opt.config_file = optarg; break;
		case 'b': ok = add_host(optarg); break;
		case 'p': opt.page_file = optarg; break;
		case 'e': settings.expression = optarg; break;
		case 'o': opt.out_file = optarg; break;
		case 'n':
			ok = number_option("blockpage", 'n', optarg, 1, CONTEXTS_MAX,
			                   &opt.core_count);
			break;
		case 'h': usage(stdout); return EXIT_SUCCESS;
		default: usage(stderr); return EXIT_FAILURE;
		}
	}
	if (!ok)
		return EXIT_FAILURE;
	if (opt.config_file == NULL || settings.hosts.count == 0 || optind != argc) {
		usage(stderr);
		return EXIT_FAILURE;
	}
	return -1;
}

static bool open_files(void)
{
	int error = page_load(&settings.page, opt.page_file);

	if (error < 0) {
		fprintf(stderr, "blockpage: -p %s: %s\n",
		        opt.page_file != NULL ? opt.page_file : "", strerror(-error));
		return false;
	}
	error = lines_open(opt.out_file, contexts_ask_to_stop);
	if (error < 0)
		fprintf(stderr, "blockpage: %s: %s\n",
		        opt.out_file != NULL ? opt.out_file : "stdout", strerror(-error));
	return error == 0;
}

/* What was opened is closed by the end of the process. */
int main(int argc, char **argv)
{
	int status = parse_options(argc, argv);
	bool ok;

	if (status >= 0)
		return status;
	contexts_block_signals();
	signal(SIGPIPE, SIG_IGN); /* lines that cannot be written end us in order */
	if (!open_files())
		return EXIT_FAILURE;
	if (mtcp_init(opt.config_file) < 0)
		return EXIT_FAILURE; /* the library has printed why */
	contexts_take_signals();
	ok = contexts_configure("blockpage", 'n', opt.core_count) && contexts_run(start);
	contexts_stop();
	mtcp_destroy();
	ok = finish() && ok && mos_last_error()[0] == '\0'; /* else the primary has ended */
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
