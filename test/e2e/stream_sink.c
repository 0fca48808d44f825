/*
 * stream_sink: a worker for tests that writes down what it reads. What each side of a flow receives
 * goes to a file of its own, in the callback that reads it:
 *
 *   stream_sink -f mos.conf -d DIRECTORY [-m peek|peekv|lazy|end|mixed|count] [-w US]
 *
 *   DIRECTORY/CLIENT-SERVER.SVR   what the server received: CLIENT is its address:port
 *   DIRECTORY/CLIENT-SERVER.CLI   what the client received
 *   DIRECTORY/log                 "PID WHAT CLIENT-SERVER SIDE NUMBER..."
 *
 *   peek    mtcp_peek() at each NEW_DATA, until there is no more
 *   peekv   the same with mtcp_peekv()
 *   lazy    a few bytes at each NEW_DATA, the rest at the end
 *   end     everything at the end
 *   mixed   one of these, by the client's port
 *   count   as peekv, but writes nothing down
 *
 * With -w it sleeps so long between reading and writing, for a death to come there.
 *
 * The file of a flow goes on when a successor takes the flow over: a connection is told from
 * another by its addresses, so none may come twice. In the file a byte stands at its offset in the
 * stream, with zeros for what is lost. So after a death the file and the library's read position
 * agree, unless the death was between reading and writing. WHAT is
 *
 *   start              adopted            a connection
 *   lost FROM LEN      mtcp_peek() says that these bytes are lost
 *   hole FROM LEN      found at adoption: they were read, but not written any more
 *   twice FROM LEN     found at adoption: they were written, and will be read again
 *   error CAUSE FROM LEN PKT_OFF
 *   peek-failed ERRNO  info-failed ERRNO  gap-failed ERRNO
 *   end SIZE NEXT ISS  bytes read and lost, in order, and number of the SYN; modulo 2^32
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mos_ext.h"

#define NAME_LEN   (2 * sizeof("255.255.255.255:65535"))
#define LAZY_BYTES 700
#define PIECES     4

enum mode { PEEK, PEEKV, LAZY, END, MIXED, COUNT, MODES };

static const char *const mode_names[MODES] = {"peek", "peekv", "lazy", "end", "mixed", "count"};

struct half {
	int fd;
	uint64_t size;
};

struct flow {
	char name[NAME_LEN];
	enum mode mode;
	struct half half[2]; /* by the side that receives */
};

static struct {
	const char *config, *directory;
	enum mode mode;
	useconds_t work_us;
} opt;

static int directory_fd, log_fd;
static _Atomic(mctx_t) context;

/* ---- Files ---- */

static void fail(const char *what)
{
	fprintf(stderr, "stream_sink: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* One write per line: two workers share the file, and either may be killed. */
__attribute__((format(printf, 3, 4))) static void say(const struct flow *f, int side,
                                                      const char *format, ...)
{
	static const char *const sides[] = {"CLI", "SVR", "-"};
	char text[128], line[256];
	va_list args;
	int len;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* WHAT comes first in text, its numbers behind the name. */
	len = (int)strcspn(text, " ");
	len = snprintf(line, sizeof(line), "%d %.*s %s %s%s\n", (int)getpid(), len, text, f->name,
	               sides[side], text + len);
	if (write(log_fd, line, (size_t)len) != len)
		fail("log");
}

static int open_file(const char *name)
{
	int fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	if (fd < 0)
		fail(name);
	return fd;
}

static void open_half(struct half *h, const char *name, const char *side)
{
	char path[NAME_LEN + 8];
	struct stat st;

	snprintf(path, sizeof(path), "%s.%s", name, side);
	h->fd = open_file(path);
	if (fstat(h->fd, &st) < 0)
		fail(path);
	h->size = (uint64_t)st.st_size;
}

static void put(struct flow *f, int side, struct iovec *iov, int count)
{
	struct half *h = &f->half[side];

	for (int i = 0; i < count; i++) {
		const char *at = iov[i].iov_base;
		size_t left = iov[i].iov_len;

		h->size += left;
		while (f->mode != COUNT && left > 0) {
			ssize_t n = write(h->fd, at, left);

			if (n < 0 && errno != EINTR)
				fail(f->name);
			at += n > 0 ? n : 0;
			left -= n > 0 ? (size_t)n : 0;
		}
	}
}

/* Zeros in place of bytes that are lost, which was told already. */
static void skip(struct flow *f, int side, uint64_t len)
{
	struct half *h = &f->half[side];

	h->size += len;
	if (f->mode != COUNT && ftruncate(h->fd, (off_t)h->size) < 0)
		fail(f->name);
}

/* ---- Reading ---- */

static ssize_t read_once(mctx_t mctx, int sock, struct flow *f, int side)
{
	static char buf[1 << 16];
	struct iovec iov[PIECES] = {{.iov_base = buf}};
	int count = 1;
	ssize_t n;

	if (f->mode == PEEKV || f->mode == COUNT) {
		n = mtcp_peekv(mctx, sock, side, iov, PIECES);
		for (count = 0; count < PIECES && n > 0 && iov[count].iov_len > 0;)
			count++;
	} else {
		n = mtcp_peek(mctx, sock, side, buf, f->mode == LAZY ? LAZY_BYTES : sizeof(buf));
		iov[0].iov_len = n > 0 ? (size_t)n : 0;
	}
	if (n > 0) {
		if (opt.work_us > 0)
			usleep(opt.work_us);
		put(f, side, iov, count);
	}
	return n;
}

/* Read once, past what is lost. False when there is no more. */
static bool read_some(mctx_t mctx, int sock, struct flow *f, int side)
{
	ssize_t n = read_once(mctx, sock, f, side);

	if (n >= 0)
		return n > 0;
	if (errno != ENODATA) {
		say(f, side, "peek-failed %d", errno);
		return false;
	}
	say(f, side, "lost %llu %zd", (unsigned long long)f->half[side].size, -n);
	skip(f, side, (uint64_t)-n);
	return true;
}

static void read_all(mctx_t mctx, int sock, struct flow *f, int side)
{
	while (read_some(mctx, sock, f, side))
		;
}

static bool get_info(mctx_t mctx, int sock, const struct flow *f, int side,
                     struct tcp_buf_info *info)
{
	socklen_t len = sizeof(*info);
	int name = side == MOS_SIDE_CLI ? MOS_INFO_CLIBUF : MOS_INFO_SVRBUF;

	memset(info, 0, sizeof(*info));
	if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, name, info, &len) == 0)
		return true;
	if (errno != ENODATA) /* else no byte came yet */
		say(f, side, "info-failed %d", errno);
	return false;
}

/* ---- Events ---- */

static void write_name(char name[static NAME_LEN], const struct sockaddr_in addr[static 2])
{
	char ip[2][INET_ADDRSTRLEN];

	for (int side = 0; side < 2; side++)
		inet_ntop(AF_INET, &addr[side].sin_addr, ip[side], sizeof(ip[side]));
	snprintf(name, NAME_LEN, "%s:%u-%s:%u", ip[MOS_SIDE_CLI],
	         ntohs(addr[MOS_SIDE_CLI].sin_port), ip[MOS_SIDE_SVR],
	         ntohs(addr[MOS_SIDE_SVR].sin_port));
}

static struct flow *make_flow(mctx_t mctx, int sock)
{
	struct sockaddr_in addr[2];
	socklen_t len = sizeof(addr);
	struct flow *f = calloc(1, sizeof(*f));

	if (f == NULL ||
	    mtcp_getpeername(mctx, sock, (struct sockaddr *)addr, &len, MOS_SIDE_BOTH) < 0)
		fail("a flow without a name");
	write_name(f->name, addr);
	f->mode = opt.mode == MIXED ? ntohs(addr[MOS_SIDE_CLI].sin_port) % MIXED : opt.mode;
	open_half(&f->half[MOS_SIDE_CLI], f->name, "CLI");
	open_half(&f->half[MOS_SIDE_SVR], f->name, "SVR");
	return f;
}

/* What was read when the worker before died, against what it has written. */
static void take_over(mctx_t mctx, int sock, struct flow *f, int side)
{
	struct half *h = &f->half[side];
	struct tcp_buf_info info;
	int32_t ahead;

	get_info(mctx, sock, f, side, &info);
	ahead = (int32_t)(info.tcpbi_last_byte_read - info.tcpbi_init_seq - (uint32_t)h->size);
	if (ahead > 0) {
		say(f, side, "hole %llu %d", (unsigned long long)h->size, ahead);
		skip(f, side, (uint64_t)ahead);
	} else if (ahead < 0) {
		say(f, side, "twice %llu %d", (unsigned long long)h->size + ahead, -ahead);
	}
}

static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *f = make_flow(mctx, sock);
	struct pkt_info p;

	mtcp_set_uctx(mctx, sock, f);
	if (mtcp_getlastpkt(mctx, sock, side, &p) == 0) {
		say(f, MOS_SIDE_BOTH, "start");
		return;
	}
	say(f, MOS_SIDE_BOTH, "adopted");
	take_over(mctx, sock, f, MOS_SIDE_CLI);
	take_over(mctx, sock, f, MOS_SIDE_SVR);
}

static void on_new_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *f = mtcp_get_uctx(mctx, sock);

	if (f->mode == LAZY)
		read_some(mctx, sock, f, side);
	else if (f->mode != END)
		read_all(mctx, sock, f, side);
}

static void on_error(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *f = mtcp_get_uctx(mctx, sock);
	struct mos_stream_gap gap;

	if (mtcp_stream_gap(mctx, sock, side, &gap) < 0)
		say(f, side, "gap-failed %d", errno);
	else
		say(f, side, "error %d %llu %llu %u", gap.cause, (unsigned long long)gap.offset,
		    (unsigned long long)gap.len, gap.pkt_off);
}

/* Comes once for each side; the first one ends the flow. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *f = mtcp_get_uctx(mctx, sock);
	struct tcp_buf_info info;

	if (f == NULL)
		return;
	for (side = 0; side < 2; side++) {
		f->mode = f->mode == LAZY ? PEEK : f->mode;
		read_all(mctx, sock, f, side);
		get_info(mctx, sock, f, side, &info);
		say(f, side, "end %u %u %u", (uint32_t)f->half[side].size,
		    info.tcpbi_next_byte_expected - info.tcpbi_init_seq, info.tcpbi_init_seq - 1);
		close(f->half[side].fd);
	}
	mtcp_set_uctx(mctx, sock, NULL);
	free(f);
}

/* ---- Start ---- */

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "f:d:m:w:")) != -1) {
		switch (c) {
		case 'f': opt.config = optarg; break;
		case 'd': opt.directory = optarg; break;
		case 'm':
			while (opt.mode < MODES && strcmp(mode_names[opt.mode], optarg) != 0)
				opt.mode++;
			break;
		case 'w': opt.work_us = (useconds_t)atoi(optarg); break;
		default: opt.mode = MODES;
		}
	}
	if (optind == argc && opt.config != NULL && opt.directory != NULL && opt.mode != MODES)
		return;
	fprintf(stderr, "usage: stream_sink -f mos.conf -d DIRECTORY "
	                "[-m peek|peekv|lazy|end|mixed|count] [-w US]\n");
	exit(2);
}

/* Two files for each connection. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		fail("files");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		fail("files");
}

static void watch(mctx_t mctx)
{
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	if (sock < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_new_data) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_ERROR, MOS_NULL, on_error) < 0 ||
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

/* The main thread's: the signal waits until there is something to stop. */
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
	raise_file_limit();
	directory_fd = open(opt.directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (directory_fd < 0)
		fail(opt.directory);
	log_fd = open_file("log");
	if (mtcp_init(opt.config) < 0)
		return EXIT_FAILURE;
	mtcp_register_signal(SIGTERM, on_signal);
	context = mctx = mtcp_create_context(0);
	if (mctx == NULL)
		return EXIT_FAILURE;
	watch(mctx);
	mask_term(SIG_UNBLOCK);
	mtcp_app_join(mctx);
	stop();
	mtcp_destroy();
	return EXIT_SUCCESS;
}
