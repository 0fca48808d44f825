/*
 * reset_on: a worker for tests. A connection whose client sends bytes that begin with "reset" is
 * reset at both ends, by packets of its own; the packet that asked for it does not arrive. On bytes
 * that begin with "die" it does the same, and is killed at once.
 *
 *   reset_on -f mos.conf
 *   > reset port 40000
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "mos_api.h"
#include "mos_ext.h"

static void must(int rc, const char *what)
{
	if (rc < 0)
		perror(what);
}

/* The packet becomes one of the other direction. */
static void turn(struct pkt_info *p, struct pkt_info_ext *x)
{
	uint16_t port = p->tcph->source;

	p->tcph->source = p->tcph->dest;
	p->tcph->dest = port;
	if (x->ip6h != NULL) {
		struct in6_addr addr = x->ip6h->ip6_src;

		x->ip6h->ip6_src = x->ip6h->ip6_dst;
		x->ip6h->ip6_dst = addr;
	} else {
		uint32_t addr = p->iph->saddr;

		p->iph->saddr = p->iph->daddr;
		p->iph->daddr = addr;
	}
}

static void reset(mctx_t mctx, int sock, struct pkt_info *p, struct pkt_info_ext *x)
{
	uint32_t seq = p->tcph->seq;

	p->payloadlen = 0;
	p->tcph->doff = 5;
	p->tcph->psh = 0;
	p->tcph->rst = 1;
	must(mtcp_sendpkt_ext(mctx, sock, p, x), "to the server");
	turn(p, x);
	p->tcph->seq = p->tcph->ack_seq;
	p->tcph->ack_seq = seq;
	must(mtcp_sendpkt_ext(mctx, sock, p, x), "to the client");
}

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct pkt_info_ext x;
	struct pkt_info p;
	bool die;

	if (side != MOS_SIDE_CLI || mtcp_getlastpkt_ext(mctx, sock, side, &p, &x) < 0)
		return;
	die = p.payloadlen >= 3 && memcmp(p.payload, "die", 3) == 0;
	if (!die && (p.payloadlen < 5 || memcmp(p.payload, "reset", 5) != 0))
		return;
	printf("reset port %u\n", ntohs(p.tcph->source));
	must(mtcp_setlastpkt(mctx, sock, side, 0, NULL, 0, MOS_DROP), "drop");
	reset(mctx, sock, &p, &x);
	if (die)
		raise(SIGKILL);
}

int main(int argc, char **argv)
{
	mctx_t mctx;
	int sock;

	if (argc != 3 || strcmp(argv[1], "-f") != 0 || mtcp_init(argv[2]) < 0)
		return 1;
	setlinebuf(stdout);
	mctx = mtcp_create_context(0);
	if (mctx == NULL)
		return 1;
	sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	if (sock < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0)
		return 1;
	mtcp_app_join(mctx);
	mtcp_destroy_context(mctx);
	mtcp_destroy();
	return 0;
}
