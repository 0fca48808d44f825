/*
 * The classic way to translate addresses: rewrite the client's side and the server's side at
 * MOS_HK_SND, keep the translation as user context, choose ports by where replies will arrive.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <mos_api.h>
#include <mtcp_util.h>

enum { OFF_IP_SADDR = 12, OFF_IP_DADDR = 16, OFF_TCP_SPORT = 0, OFF_TCP_DPORT = 2 };

struct translation {
	in_addr_t client, outside;
	in_port_t client_port, outside_port;
};

enum { CORES_MAX = 16, FIRST_PORT = 1025, LAST_PORT = 65535 };

static in_addr_t outside;
static int cores;
static unsigned last_port[CORES_MAX]; /* each context looks on from its own */

static in_port_t choose_port(mctx_t mctx, const struct sockaddr_in *server)
{
	unsigned *port = &last_port[mctx->cpu], tries;

	for (tries = 0; tries < LAST_PORT - FIRST_PORT; tries++) {
		*port = *port < FIRST_PORT || *port >= LAST_PORT ? FIRST_PORT : *port + 1;
		if (GetRSSCPUCore(outside, server->sin_addr.s_addr, htons((uint16_t)*port),
		                  server->sin_port, cores) == mctx->cpu)
			return htons((uint16_t)*port);
	}
	return 0;
}

static struct translation *make(mctx_t mctx, int sock)
{
	struct sockaddr addr[2];
	socklen_t len = sizeof(struct sockaddr_in) * 2;
	struct translation *t = calloc(1, sizeof(*t));
	struct sockaddr_in *in = (struct sockaddr_in *)addr;

	if (!t || mtcp_getpeername(mctx, sock, addr, &len, MOS_SIDE_BOTH) < 0)
		exit(EXIT_FAILURE);
	t->client = in[MOS_SIDE_CLI].sin_addr.s_addr;
	t->client_port = in[MOS_SIDE_CLI].sin_port;
	t->outside = outside;
	t->outside_port = choose_port(mctx, &in[MOS_SIDE_SVR]);
	mtcp_set_uctx(mctx, sock, t);
	return t;
}

static void rewrite(mctx_t mctx, int sock, off_t ip_off, off_t tcp_off, in_addr_t *ip,
                    in_port_t *port)
{
	mtcp_setlastpkt(mctx, sock, 0, ip_off, (byte *)ip, sizeof(*ip), MOS_IP_HDR | MOS_OVERWRITE);
	mtcp_setlastpkt(mctx, sock, 0, tcp_off, (byte *)port, sizeof(*port),
	                MOS_TCP_HDR | MOS_OVERWRITE | MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM);
}

static void on_packet(mctx_t mctx, int sock, int side, uint64_t event, filter_arg_t *arg)
{
	struct translation *t = mtcp_get_uctx(mctx, sock);

	if (!t)
		t = make(mctx, sock);
	if (side == MOS_SIDE_CLI)
		rewrite(mctx, sock, OFF_IP_SADDR, OFF_TCP_SPORT, &t->outside, &t->outside_port);
	else
		rewrite(mctx, sock, OFF_IP_DADDR, OFF_TCP_DPORT, &t->client, &t->client_port);
}

static void on_end(mctx_t mctx, int sock, int side, uint64_t event, filter_arg_t *arg)
{
	free(mtcp_get_uctx(mctx, sock));
	mtcp_set_uctx(mctx, sock, NULL);
}

static mctx_t start(int cpu)
{
	union monitor_filter ft = {0};
	mctx_t ctx = mtcp_create_context(cpu);
	int sock;

	if (!ctx)
		exit(EXIT_FAILURE);
	sock = mtcp_socket(ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	ft.stream_syn_filter = "src net 10.0.0.0 mask 255.0.0.0 and not dst port 22";
	if (sock < 0 || mtcp_bind_monitor_filter(ctx, sock, &ft) < 0 ||
	    mtcp_register_callback(ctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0 ||
	    mtcp_register_callback(ctx, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0)
		exit(EXIT_FAILURE);
	return ctx;
}

int main(int argc, char **argv)
{
	mctx_t ctx[CORES_MAX];
	int i;

	if (argc < 4 || (outside = inet_addr(argv[2])) == INADDR_NONE)
		return EXIT_FAILURE;
	cores = atoi(argv[3]);
	if (cores < 1 || cores > CORES_MAX || mtcp_init(argv[1]))
		return EXIT_FAILURE;
	for (i = 0; i < cores; i++)
		ctx[i] = start(i);
	for (i = 0; i < cores; i++)
		mtcp_app_join(ctx[i]);
	mtcp_destroy();
	return EXIT_SUCCESS;
}
