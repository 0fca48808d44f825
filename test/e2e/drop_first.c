/*
 * drop_first: a worker for tests. It drops the first packet of each connection, so that a client
 * has to send its SYN again, and says so:
 *
 *   drop_first -f mos.conf
 *   > dropped SYN of port 40000
 *   > again SYN of port 40000
 */
#include <stdio.h>
#include <string.h>

#include "mos_api.h"

static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct pkt_info p;

	if (mtcp_getlastpkt(mctx, sock, side, &p) == 0 &&
	    mtcp_setlastpkt(mctx, sock, side, 0, NULL, 0, MOS_DROP) == 0)
		printf("dropped SYN of port %u\n", ntohs(p.tcph->source));
}

/* Runs before the start is told, and again for each further packet. */
static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	static char first; /* what it points at does not matter */
	struct pkt_info p;

	if (mtcp_get_uctx(mctx, sock) != NULL && mtcp_getlastpkt(mctx, sock, side, &p) == 0 &&
	    p.tcph->syn && !p.tcph->ack)
		printf("again SYN of port %u\n", ntohs(p.tcph->source));
	mtcp_set_uctx(mctx, sock, &first);
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
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0)
		return 1;
	mtcp_app_join(mctx);
	mtcp_destroy_context(mctx);
	mtcp_destroy();
	return 0;
}
