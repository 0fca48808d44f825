/*
 * What programs do with streams, raw sockets, orphans, retransmissions and user-defined events
 * that are raised by hand: each call as the specification shows it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <mos_api.h>

static event_t pattern, found[2];

static void on_data(mctx_t mctx, int sock, int side, uint64_t event, filter_arg_t *arg)
{
	char buf[4096];
	ssize_t n;

	while ((n = mtcp_peek(mctx, sock, side, buf, sizeof(buf))) > 0)
		;
	if (n < 0 && errno == ENODATA)
		fprintf(stderr, "lost %zd bytes\n", -n);
	(void)mtcp_ppeek(mctx, sock, side, buf, 16, 0);
}

static void on_error(mctx_t mctx, int sock, int side, uint64_t event, filter_arg_t *arg)
{
	struct tcp_ring_fragment frag[8];
	struct tcp_buf_info info;
	socklen_t len = sizeof(info), count = 8;
	int size = 65536, last = MOS_OVERLAP_POLICY_LAST;

	(void)mtcp_getsockopt(mctx, sock, SOL_MONSOCKET,
	                      side == MOS_SIDE_CLI ? MOS_INFO_CLIBUF : MOS_INFO_SVRBUF, &info,
	                      &len);
	(void)mtcp_getsockopt(mctx, sock, SOL_MONSOCKET,
	                      side == MOS_SIDE_CLI ? MOS_FRAGINFO_CLIBUF : MOS_FRAGINFO_SVRBUF,
	                      frag, &count);
	(void)mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SVRBUF, &size, sizeof(size));
	(void)mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SVROVERLAP, &last, sizeof(last));
}

static bool has_pattern(mctx_t mctx, int sock, int side, uint64_t event, filter_arg_t *arg)
{
	const char *word = arg->arg;
	struct pkt_info p;

	if (mtcp_getlastpkt(mctx, sock, side, &p) < 0 || p.payloadlen < arg->len)
		return false;
	if (memcmp(p.payload, word, arg->len) != 0)
		return false;
	return mtcp_raise_event(mctx, found[p.payload[0] & 1]) == 0;
}

static void on_found(mctx_t mctx, int sock, int side, uint64_t event, filter_arg_t *arg)
{
	if (event == found[0])
		mtcp_register_callback(mctx, sock, event, MOS_HK_RCV, NULL);
	printf("%u us, %u connections\n", mtcp_cb_get_ts(mctx), mtcp_get_connection_cnt(mctx));
}

static void on_any(mctx_t mctx, int sock, int side, uint64_t event, filter_arg_t *arg)
{
	struct pkt_info p, answer;

	memset(&p, 0, sizeof(p));
	if (mtcp_getlastpkt(mctx, sock, side, &p) < 0 || !p.tcph)
		return;
	memcpy(&answer, &p, PKT_INFO_LEN);
	switch ((int)event) {
	case MOS_ON_ORPHAN:
	case MOS_ON_REXMIT: printf("%d\n", p.in_ifidx); break;
	case MOS_ON_PKT_IN: mtcp_sendpkt(mctx, sock, &p); break;
	case MOS_ON_PKT_OUT:
	case MOS_ON_CONN_SETUP:
	case MOS_ON_TIMEOUT: break;
	}
}

int main(int argc, char **argv)
{
	struct filter_arg word = {"GET ", 4};
	union monitor_filter ft = {.raw_pkt_filter = "udp or icmp"};
	mctx_t ctx;
	int raw, sock;

	if (argc < 2 || mtcp_init(argv[1]))
		return EXIT_FAILURE;
	pattern = mtcp_define_event(MOS_ON_PKT_IN, has_pattern, &word);
	found[0] = mtcp_alloc_event(pattern);
	found[1] = mtcp_alloc_event(pattern);
	if (!(ctx = mtcp_create_context(0)))
		return EXIT_FAILURE;
	raw = mtcp_socket(ctx, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
	mtcp_bind_monitor_filter(ctx, raw, &ft);
	mtcp_register_callback(ctx, raw, MOS_ON_PKT_IN, MOS_NULL, on_any);
	sock = mtcp_socket(ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	ft.stream_syn_filter = "tcp and dst port 80";
	ft.stream_orphan_filter = "tcp";
	mtcp_bind_monitor_filter(ctx, sock, &ft);
	mtcp_register_callback(ctx, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data);
	mtcp_register_callback(ctx, sock, MOS_ON_ERROR, MOS_NULL, on_error);
	mtcp_register_callback(ctx, sock, MOS_ON_ORPHAN, MOS_NULL, on_any);
	mtcp_register_callback(ctx, sock, MOS_ON_REXMIT, MOS_HK_RCV, on_any);
	mtcp_register_callback(ctx, sock, found[0], MOS_HK_RCV, on_found);
	mtcp_register_callback(ctx, sock, found[1], MOS_HK_RCV, on_found);
	mtcp_app_join(ctx);
	mtcp_destroy_context(ctx);
	return mtcp_destroy();
}
