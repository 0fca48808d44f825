/*
 * nat: translate the source of TCP connections that come from inside to one outside address, so
 * that many hosts inside share it.
 *
 *   nat -f mos.conf -i address [-s expression] [-p low-high] [-o file] [-v seconds] [-c cores]
 *
 * mos.conf: flow_area = 16 or more, which keeps the translations when a worker dies; fail_policy
 * closed or hold MS closed, or packets leave untranslated while no worker is there; tcp_checksum =
 * trust, or packets with a wrong checksum do.
 *
 * Translated is TCP over IPv4. Everything else passes as it is: other protocols, IPv6, and ICMP,
 * whose errors about a translated packet do not find back to the host inside.
 *
 *   stack threads  callbacks (translate.c); none waits for the output
 *   writer         prints (lines.h)
 *   main thread    makes the contexts, waits for their end, and prints the totals
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
#include "apps/nat/translate.h"

#define INTERVAL_MAX 86400 /* s */

static struct {
	const char *config_file;
	const char *out_file; /* NULL = stdout */
	int core_count;       /* 0 = as configured */
	struct translate_options translate;
} opt = {
	/* the private addresses of RFC 1918 */
	.translate.inside = "src net 10.0.0.0/8 or src net 172.16.0.0/12 or "
			    "src net 192.168.0.0/16",
	.translate.low = 1024,
	.translate.high = 65535,
};

static bool start(mctx_t mctx)
{
	return translate_start(mctx, &opt.translate);
}

/* Returns whether all was printed. */
static bool finish(void)
{
	uint64_t lost = 0;
	bool ok;

	translate_finish();
	ok = lines_close(&lost);
	if (!ok)
		fprintf(stderr, "nat: %llu lines lost\n", (unsigned long long)lost);
	return ok;
}

static void usage(FILE *f)
{
	fprintf(f,
	        "usage: nat -f mos.conf -i ADDRESS [-s EXPRESSION] [-p LOW-HIGH] [-o FILE]\n"
	        "           [-v SECONDS] [-c CORES]\n"
	        "  -f FILE        configuration, the same that mos-primary was started with;\n"
	        "                 needs flow_area = 16 or more\n"
	        "  -i ADDRESS     IPv4 address that connections from inside get as their source;\n"
	        "                 packets to it must come in on the other side\n"
	        "  -s EXPRESSION  what comes from inside, by addresses and ports, as\n"
	        "                 pcap-filter(7) (default: from 10/8, 172.16/12, 192.168/16)\n"
	        "  -p LOW-HIGH    ports of ADDRESS to use (default 1024-65535)\n"
	        "  -o FILE        append to FILE instead of printing\n"
	        "  -v SECONDS     print the totals so often (default: at the end only)\n"
	        "  -c CORES       contexts of this process (default: as configured)\n"
	        "TCP from inside that belongs to no connection is dropped, as is TCP to ADDRESS "
	        "that\n"
	        "nobody inside waits for.\n");
}

static bool take_address(const char *text)
{
	if (inet_pton(AF_INET, text, &opt.translate.outside) == 1 &&
	    opt.translate.outside.s_addr != INADDR_ANY)
		return true;
	fprintf(stderr, "nat: -i %s: expected an IPv4 address\n", text);
	return false;
}

static bool take_range(const char *text)
{
	char *end;
	unsigned long low = strtoul(text, &end, 10);
	unsigned long high = *end == '-' ? strtoul(end + 1, &end, 10) : 0;

	if (*end == '\0' && low > 0 && low <= high && high <= UINT16_MAX) {
		opt.translate.low = (uint16_t)low;
		opt.translate.high = (uint16_t)high;
		return true;
	}
	fprintf(stderr, "nat: -p %s: expected LOW-HIGH, ports from 1 to 65535\n", text);
	return false;
}

static bool take_expression(const char *text)
{
	opt.translate.inside = text;
	if (text[strspn(text, " ")] != '\0' && strlen(text) <= TRANSLATE_INSIDE_MAX)
		return true;
	fprintf(stderr, "nat: -s: expected an expression of at most %d characters\n",
	        TRANSLATE_INSIDE_MAX);
	return false;
}

static bool parse_option(int c, const char *text)
{
	switch (c) {
	case 'f': opt.config_file = text; return true;
	case 'i': return take_address(text);
	case 's': return take_expression(text);
	case 'p': return take_range(text);
	case 'o': opt.out_file = text; return true;
	case 'v':
		return number_option("nat", 'v', text, 1, INTERVAL_MAX, &opt.translate.interval_s);
	case 'c': return number_option("nat", 'c', text, 1, CONTEXTS_MAX, &opt.core_count);
	default: usage(stderr); return false;
	}
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "f:i:s:p:o:v:c:h")) != -1) {
		if (c == 'h') {
			usage(stdout);
			return EXIT_SUCCESS;
		}
		if (!parse_option(c, optarg))
			return EXIT_FAILURE;
	}
	if (opt.config_file == NULL || opt.translate.outside.s_addr == INADDR_ANY ||
	    optind != argc) {
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
		fprintf(stderr, "nat: %s: %s\n", opt.out_file != NULL ? opt.out_file : "stdout",
		        strerror(-error));
		return EXIT_FAILURE;
	}
	if (mtcp_init(opt.config_file) < 0)
		return EXIT_FAILURE; /* the library has printed why */
	contexts_take_signals();
	ok = contexts_configure("nat", 'c', opt.core_count) && contexts_run(start);
	contexts_stop();
	mtcp_destroy();
	ok = finish() && ok && mos_last_error()[0] == '\0'; /* else the primary has ended */
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
