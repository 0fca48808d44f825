/*
 * nat: translate the source of TCP connections that come from inside to one outside address, so
 * that many hosts inside share it.
 *
 *   nat -f mos.conf -i address [-s expression] [-p low-high] [-o file] [-v seconds] [-n contexts]
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
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mos_api.h"
#include "mos_ext.h"
#include "apps/common/lines.h"
#include "apps/common/number.h"
#include "apps/common/program.h"
#include "apps/nat/translate.h"

#define INTERVAL_MAX 86400 /* s */

static struct translate_options translate = {
	/* the private addresses of RFC 1918 */
	.inside = "src net 10.0.0.0/8 or src net 172.16.0.0/12 or "
		  "src net 192.168.0.0/16",
	.low = 1024,
	.high = 65535,
};

static bool start(mctx_t mctx)
{
	return translate_start(mctx, &translate);
}

/* Returns whether all was printed. */
static bool finish(bool ran)
{
	uint64_t lost = 0;
	bool ok;

	translate_finish();
	ok = lines_close(&lost);
	if (!ok)
		fprintf(stderr, "nat: %llu lines lost\n", (unsigned long long)lost);
	return ok;
}

static const char usage[] =
	"usage: nat -f mos.conf -i ADDRESS [-s EXPRESSION] [-p LOW-HIGH] [-o FILE]\n"
	"           [-v SECONDS] [-n CONTEXTS]\n"
	"  -f FILE        configuration, the same that mos-primary was started with;\n"
	"                 needs flow_area = 16 or more\n"
	"  -i ADDRESS     IPv4 address that connections from inside get as their source;\n"
	"                 packets to it must come in on the other side\n"
	"  -s EXPRESSION  what comes from inside, by addresses and ports, as\n"
	"                 pcap-filter(7) (default: from 10/8, 172.16/12, 192.168/16)\n"
	"  -p LOW-HIGH    ports of ADDRESS to use (default 1024-65535)\n"
	"  -o FILE        append to FILE instead of printing\n"
	"  -v SECONDS     print the totals so often (default: at the end only)\n"
	"  -n CONTEXTS    contexts of this process (default: as configured)\n"
	"TCP from inside that belongs to no connection is dropped, as is TCP to ADDRESS "
	"that\n"
	"nobody inside waits for.\n";

static bool take_address(const char *text)
{
	if (inet_pton(AF_INET, text, &translate.outside) == 1 &&
	    translate.outside.s_addr != INADDR_ANY)
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
		translate.low = (uint16_t)low;
		translate.high = (uint16_t)high;
		return true;
	}
	fprintf(stderr, "nat: -p %s: expected LOW-HIGH, ports from 1 to 65535\n", text);
	return false;
}

static bool take_expression(const char *text)
{
	translate.inside = text;
	if (text[strspn(text, " ")] != '\0' && strlen(text) <= TRANSLATE_INSIDE_MAX)
		return true;
	fprintf(stderr, "nat: -s: expected an expression of at most %d characters\n",
	        TRANSLATE_INSIDE_MAX);
	return false;
}

static bool take_option(int letter, const char *text)
{
	switch (letter) {
	case 'i': return take_address(text);
	case 's': return take_expression(text);
	case 'p': return take_range(text);
	default: return number_option("nat", 'v', text, 1, INTERVAL_MAX, &translate.interval_s);
	}
}

static bool is_complete(bool has_config)
{
	return has_config && translate.outside.s_addr != INADDR_ANY;
}

static const struct program program = {
	.name = "nat",
	.usage = usage,
	.letters = "i:s:p:v:",
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
