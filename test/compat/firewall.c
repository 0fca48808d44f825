/*
 * The classic way to drop by rule: a user-defined event "SYN without ACK", defined before any
 * context exists; its filter and its callback look at the packet; what is decided once is not
 * looked at again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <mos_api.h>

static struct in_addr blocked;
static uint16_t blocked_port;
static int hits[16];

static bool is_syn(mctx_t mctx, int sock, int side, uint64_t event, filter_arg_t *arg)
{
	struct pkt_info p;

	if (mtcp_getlastpkt(mctx, sock, side, &p) < 0)
		exit(EXIT_FAILURE);
	return p.tcph->syn && !p.tcph->ack;
}

static void on_syn(mctx_t mctx, int sock, int side, uint64_t event, filter_arg_t *arg)
{
	struct pkt_info p;
	int both = MOS_SIDE_BOTH;

	if (mtcp_getlastpkt(mctx, sock, side, &p) < 0)
		exit(EXIT_FAILURE);
	if (p.iph->daddr == blocked.s_addr && ntohs(p.tcph->dest) == blocked_port) {
		hits[mctx->cpu]++;
		mtcp_setlastpkt(mctx, sock, side, 0, NULL, 0, MOS_DROP);
	}
	if (mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both)) < 0)
		exit(EXIT_FAILURE);
}

static void print_hits(mctx_t mctx, int sock, int side, event_t event, struct filter_arg *arg)
{
	struct timeval tv = {.tv_sec = 1, .tv_usec = 0};

	printf("core %d: %d\n", mctx->cpu, hits[mctx->cpu]);
	if (mtcp_settimer(mctx, sock, &tv, print_hits))
		fprintf(stderr, "no timer\n");
}

int main(int argc, char **argv)
{
	struct timeval tv = {.tv_sec = 1, .tv_usec = 0};
	struct mtcp_conf conf;
	mctx_t ctx[16];
	int sock[16], cores = 1, i;
	event_t syn;

	if (argc < 4 || !inet_aton(argv[2], &blocked))
		return EXIT_FAILURE;
	blocked_port = (uint16_t)atoi(argv[3]);
	if (mtcp_init(argv[1]) < 0 || mtcp_getconf(&conf) < 0)
		return EXIT_FAILURE;
	conf.num_cores = cores;
	if (mtcp_setconf(&conf) < 0)
		return EXIT_FAILURE;
	syn = mtcp_define_event(MOS_ON_PKT_IN, is_syn, NULL);
	if (syn == MOS_NULL_EVENT)
		return EXIT_FAILURE;
	for (i = 0; i < cores; i++) {
		if (!(ctx[i] = mtcp_create_context(i)))
			return EXIT_FAILURE;
		sock[i] = mtcp_socket(ctx[i], AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
		if (sock[i] < 0 ||
		    mtcp_register_callback(ctx[i], sock[i], syn, MOS_HK_SND, on_syn) < 0 ||
		    mtcp_settimer(ctx[i], sock[i], &tv, print_hits) < 0)
			return EXIT_FAILURE;
	}
	for (i = 0; i < cores; i++)
		mtcp_app_join(ctx[i]);
	for (i = 0; i < cores; i++) {
		mtcp_close(ctx[i], sock[i]);
		mtcp_destroy_context(ctx[i]);
	}
	mtcp_destroy();
	return EXIT_SUCCESS;
}
