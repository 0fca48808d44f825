/*
 * kill_sink: the application that bench_kill kills. It reads every stream, and keeps what it has
 * read in memory that outlives it: sink.h.
 *
 *   kill_sink -f mos.conf -o FILE [-w US]
 *
 *   FILE  the lines of all workers
 *   US    of sleep in every eighth callback, so that deaths meet packets in hand
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "mos_ext.h"
#include "test/bench/kill/sink.h"

static struct {
	const char *config, *file;
	useconds_t nap_us;
} opt;

static int out_fd;
static _Atomic(mctx_t) context;

static void fail(const char *what)
{
	fprintf(stderr, "kill_sink: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* ---- lines ---- */

static void write_line(const char *line, int len)
{
	if (write(out_fd, line, (size_t)len) != len)
		fail(opt.file);
}

struct name {
	unsigned client, server;
};

static struct name name_of(mctx_t mctx, int sock)
{
	struct sockaddr_in addr[2];
	socklen_t len = sizeof(addr);

	if (mtcp_getpeername(mctx, sock, (struct sockaddr *)addr, &len, MOS_SIDE_BOTH) < 0)
		fail("a flow without a name");
	return (struct name){ntohs(addr[MOS_SIDE_CLI].sin_port),
	                     ntohl(addr[MOS_SIDE_SVR].sin_addr.s_addr) & 0xffff};
}

static void say_wrong(mctx_t mctx, int sock, int side, const char *what, long long number)
{
	struct name n = name_of(mctx, sock);
	char line[128];

	write_line(line, snprintf(line, sizeof(line), "wrong %s %u %u %d %lld\n", what, n.client,
	                          n.server, side, number));
}

static void say_piece(mctx_t mctx, int sock, int side, const struct sink_slot *s)
{
	struct name n = name_of(mctx, sock);
	uint8_t digest[SHA256_BYTES];
	char line[192];
	int len =
		snprintf(line, sizeof(line), "piece %u %u %d %llu %llu ", n.client, n.server, side,
	                 (unsigned long long)s->from, (unsigned long long)(s->next - s->from));

	sha256_digest(&s->hash, digest);
	for (unsigned i = 0; i < SHA256_BYTES; i++)
		len += snprintf(line + len, sizeof(line) - (size_t)len, "%02x", digest[i]);
	line[len++] = '\n';
	write_line(line, len);
}

static void say_end(mctx_t mctx, int sock, const struct sink_flow *f)
{
	struct name n = name_of(mctx, sock);
	char line[128];

	write_line(line, snprintf(line, sizeof(line), "end %u %u %llu %llu %llu\n", n.client,
	                          n.server, (unsigned long long)f->side[MOS_SIDE_CLI].data_packets,
	                          (unsigned long long)f->side[MOS_SIDE_SVR].data_packets,
	                          (unsigned long long)f->adopted));
}

/* ---- the area: every store may be the last ---- */

static struct sink_flow *flow_of(mctx_t mctx, int sock)
{
	struct sink_flow *f = mtcp_flow_area(mctx, sock, NULL);

	if (f == NULL)
		fail("flow area");
	return f;
}

static struct sink_slot *slot_of(struct sink_side *s)
{
	return &s->slot[s->in_use];
}

static struct sink_slot *other_slot(struct sink_side *s)
{
	return &s->slot[!s->in_use];
}

/* The other slot is written: it counts from here on. */
static void commit(struct sink_side *s)
{
	__atomic_store_n(&s->in_use, !s->in_use, __ATOMIC_RELEASE);
}

static void begin_piece(struct sink_side *s, uint64_t from)
{
	struct sink_slot *slot = other_slot(s);

	slot->from = slot->next = from;
	sha256_begin(&slot->hash);
	commit(s);
}

static void add_bytes(struct sink_side *s, const void *bytes, size_t n)
{
	struct sink_slot *slot = other_slot(s);

	*slot = *slot_of(s);
	sha256_add(&slot->hash, bytes, n);
	slot->next += n;
	commit(s);
}

static void begin_flow(struct sink_flow *f)
{
	begin_piece(&f->side[MOS_SIDE_CLI], 0);
	begin_piece(&f->side[MOS_SIDE_SVR], 0);
	__atomic_store_n(&f->begun, 1, __ATOMIC_RELEASE);
}

/* ---- reading ---- */

static void nap(void)
{
	static unsigned turn;

	if (opt.nap_us > 0 && ++turn % 8 == 0)
		usleep(opt.nap_us);
}

/* Bytes up to `to` are gone: the piece ends in front of them. */
static void skip_to(mctx_t mctx, int sock, int side, struct sink_side *s, uint64_t to)
{
	if (slot_of(s)->next > slot_of(s)->from)
		say_piece(mctx, sock, side, slot_of(s));
	begin_piece(s, to);
}

/*
 * By how much the library reads behind the sink; < 0: it is ahead. It counts from the SYN, as the
 * sink does, but modulo 2^32.
 */
static int32_t behind(mctx_t mctx, int sock, int side, struct sink_side *s)
{
	int option = side == MOS_SIDE_CLI ? MOS_INFO_CLIBUF : MOS_INFO_SVRBUF;
	struct tcp_buf_info info;
	socklen_t len = sizeof(info);

	if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, option, &info, &len) == 0)
		return (int32_t)((uint32_t)slot_of(s)->next - info.tcpbi_last_byte_read +
		                 info.tcpbi_init_seq);
	if (errno != ENODATA || slot_of(s)->next != 0) /* else no byte came yet */
		say_wrong(mctx, sock, side, "info", errno);
	return 0;
}

/*
 * Bring the library to where the sink is, over what that has used already, and the sink behind what
 * the library has lost. False: the library has not got so far yet.
 */
static bool meet(mctx_t mctx, int sock, int side, struct sink_side *s)
{
	static char scratch[1 << 16];
	int32_t gap;

	while ((gap = behind(mctx, sock, side, s)) > 0) {
		size_t want = (size_t)gap < sizeof(scratch) ? (size_t)gap : sizeof(scratch);
		ssize_t n = mtcp_peek(mctx, sock, side, scratch, want);

		if (n == 0)
			return false;
		if (n < 0 && errno != ENODATA) {
			say_wrong(mctx, sock, side, "peek", errno);
			return false;
		}
	}
	if (gap < 0)
		skip_to(mctx, sock, side, s, slot_of(s)->next + (uint64_t)-gap);
	return true;
}

/* Use the bytes first, move the library's position behind them then. */
static void read_all(mctx_t mctx, int sock, int side)
{
	static char bytes[1 << 16];
	struct sink_side *s = &flow_of(mctx, sock)->side[side];
	ssize_t n;

	while (meet(mctx, sock, side, s)) {
		n = mtcp_ppeek(mctx, sock, side, bytes, sizeof(bytes), slot_of(s)->next);
		if (n > 0) {
			nap();
			add_bytes(s, bytes, (size_t)n);
			nap();
			continue;
		}
		n = mtcp_peek(mctx, sock, side, bytes, 1); /* nothing, or what is lost */
		if (n == 0)
			return;
		if (n > 0 || errno != ENODATA) {
			say_wrong(mctx, sock, side, n > 0 ? "hidden" : "peek", errno);
			return;
		}
	}
}

/* ---- events ---- */

static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct sink_flow *f = flow_of(mctx, sock);
	struct pkt_info p;

	if (!f->begun)
		begin_flow(f);
	if (mtcp_getlastpkt(mctx, sock, side, &p) == 0)
		return;
	f->adopted++;
}

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct sink_flow *f = flow_of(mctx, sock);
	struct pkt_info p;

	nap();
	if (mtcp_getlastpkt(mctx, sock, side, &p) == 0 && p.payloadlen > 0)
		f->side[side].data_packets++;
}

static void on_new_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	read_all(mctx, sock, side);
}

/* Comes for each side; the first one ends the flow. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct sink_flow *f = flow_of(mctx, sock);

	if (f->ended)
		return;
	for (side = 0; side < 2; side++) {
		struct sink_slot *slot;

		read_all(mctx, sock, side);
		slot = slot_of(&f->side[side]);
		if (slot->next > slot->from)
			say_piece(mctx, sock, side, slot);
	}
	nap();
	say_end(mctx, sock, f);
	f->ended = 1;
}

/* ---- start ---- */

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "f:o:w:")) != -1) {
		switch (c) {
		case 'f': opt.config = optarg; break;
		case 'o': opt.file = optarg; break;
		case 'w': opt.nap_us = (useconds_t)atoi(optarg); break;
		default: exit(2);
		}
	}
	if (optind == argc && opt.config != NULL && opt.file != NULL)
		return;
	fprintf(stderr, "usage: kill_sink -f mos.conf -o FILE [-w US]\n");
	exit(2);
}

static void watch(mctx_t mctx)
{
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	if (sock < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_new_data) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0)
		fail("socket");
}

/* Also the signal handler's. */
static void stop(void)
{
	mctx_t mctx = atomic_exchange(&context, NULL);

	if (mctx != NULL)
		mtcp_destroy_context(mctx);
}

static void on_signal(int signum)
{
	stop();
}

static void mask_term(int how)
{
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(how, &term, NULL);
}

int main(int argc, char **argv)
{
	mctx_t mctx;

	mask_term(SIG_BLOCK);
	parse(argc, argv);
	prctl(PR_SET_TIMERSLACK, 1000);
	out_fd = open(opt.file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (out_fd < 0)
		fail(opt.file);
	if (mtcp_init(opt.config) < 0)
		return EXIT_FAILURE;
	mtcp_register_signal(SIGTERM, on_signal);
	context = mctx = mtcp_create_context(0);
	if (mctx == NULL)
		return errno == EBUSY ? SINK_BUSY : EXIT_FAILURE;
	if (mtcp_flow_area_len(mctx) < (ssize_t)sizeof(struct sink_flow)) {
		errno = ENOSPC;
		fail("flow_area");
	}
	watch(mctx);
	mask_term(SIG_UNBLOCK);
	mtcp_app_join(mctx);
	stop();
	mtcp_destroy();
	return EXIT_SUCCESS;
}
