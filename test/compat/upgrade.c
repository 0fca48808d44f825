/*
 * A program whose data about a flow outlive it, as README shows it; C and C++ alike. It counts what
 * each connection carries, and at its end, unless a successor goes on, what all have carried.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <mos_ext.h>

/* What lies in a flow's area: all zero when the flow begins. */
struct kept {
	uint64_t packets;
	uint64_t bytes; /* since version 2 */
};

static struct kept total;

/* A flow that was not there before: an empty area of our version. */
static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	mtcp_set_uctx(mctx, sock, mtcp_flow_area(mctx, sock, NULL));
}

/* A flow of the program before this one. */
static void on_restore(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct kept *k = (struct kept *)mtcp_flow_area(mctx, sock, NULL);
	uint32_t version = 0;
	socklen_t len = sizeof(version);

	mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_AREA_VERSION, &version, &len);
	if (version == 2)
		return; /* uctx is as it was */
	if (version != 1)
		k->packets = 0; /* whatever it was */
	k->bytes = 0;
	mtcp_set_uctx(mctx, sock, k);
	version = 2; /* last: who dies before begins again */
	mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_AREA_VERSION, &version, sizeof(version));
}

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct kept *k = (struct kept *)mtcp_get_uctx(mctx, sock);
	struct pkt_info p;

	if (mtcp_getlastpkt(mctx, sock, side, &p) == 0) {
		k->packets++;
		k->bytes += p.ip_len;
	}
}

static int add(mctx_t mctx, int sock, void *arg)
{
	struct kept *k = (struct kept *)mtcp_get_uctx(mctx, sock), *sum = (struct kept *)arg;

	sum->packets += k->packets;
	sum->bytes += k->bytes;
	return 0;
}

/* id: the socket. */
static void on_second(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
	struct timeval second = {1, 0};

	total.packets = total.bytes = 0;
	mtcp_foreach_flow(mctx, id, add, &total);
	mtcp_settimer(mctx, id, &second, on_second);
}

static int run(mctx_t mctx)
{
	struct timeval second = {1, 0};
	uint32_t version = 2;
	int sock;

	if (mtcp_flow_area_len(mctx) < (ssize_t)sizeof(struct kept))
		return -1;
	sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_AREA_VERSION, &version, sizeof(version));
	mtcp_register_callback(mctx, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start);
	mtcp_register_callback(mctx, sock, MOS_ON_CONN_RESTORE, MOS_NULL, on_restore);
	mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet);
	mtcp_settimer(mctx, sock, &second, on_second);
	mtcp_app_join(mctx);
	if (mtcp_handed_over(mctx) != 1)
		printf("%" PRIu64 " packets, %" PRIu64 " bytes\n", total.packets, total.bytes);
	return 0;
}

int main(int argc, char **argv)
{
	mctx_t mctx = NULL;

	if (argc > 1 && mtcp_init(argv[1]) == 0)
		mctx = mtcp_create_context(0);
	if (mctx == NULL || run(mctx) < 0) {
		fprintf(stderr, "upgrade: %s\n", mos_last_error());
		return EXIT_FAILURE;
	}
	mtcp_destroy_context(mctx);
	mtcp_destroy();
	return EXIT_SUCCESS;
}
