#include "test/bench/kill/ends.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mos_api.h"
#include "test/bench/kill/conns.h"
#include "test/bench/kill/content.h"
#include "test/bench/kill/network.h"
#include "test/mp/procs.h"

enum {
	LINKS_MAX = 1024,
	PIECE_MAX = 4000,  /* bytes */
	SHORT_MAX = 20000, /* bytes of one stream of a short connection */
	LISTENER = INT32_MAX,
	TICK_MS = 2,
	WEDGE_MS = 40000, /* what must not last so long */
};

struct end {
	int fd; /* -1: not yet */
	bool shut, eof;
	uint64_t sent, received, goal;
	uint64_t due_ns; /* of the next piece */
};

struct link { /* a connection that is open */
	bool used, is_long;
	uint32_t number;
	uint64_t moved_ns; /* when it last received something */
	struct end end[2];
};

static struct ends_options opt;
static struct link links[LINKS_MAX];
static int epoll_fd, listener_fd;
static unsigned long_open, short_open;
static uint64_t chance;

static pthread_t thread;
static atomic_bool finish;
static char failure_text[256];
static const char *_Atomic failure;
static _Atomic uint64_t opened, closed, bytes_right, longest_ms;
static _Atomic uint32_t next_number;

__attribute__((format(printf, 2, 3))) static void fail(const struct link *l, const char *format,
                                                       ...)
{
	va_list args;
	int len;

	if (atomic_load(&failure) != NULL)
		return;
	len = snprintf(failure_text, sizeof(failure_text),
	               "connection %u (port %u): ", l != NULL ? l->number : 0,
	               l != NULL ? conn_name(l->number).client_port : 0);
	va_start(args, format);
	vsnprintf(failure_text + len, sizeof(failure_text) - (size_t)len, format, args);
	va_end(args);
	atomic_store(&failure, failure_text);
}

static uint64_t random_below(uint64_t n)
{
	return random_at(opt.seed, ++chance) % n;
}

/* ---- one end ---- */

static void listen_to(int fd, unsigned link, unsigned side)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint64_t)link << 1 | side};

	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

static void send_piece(struct link *l, unsigned side, uint64_t now)
{
	struct end *e = &l->end[side];
	uint64_t left = e->goal - e->sent, n = 1 + random_below(PIECE_MAX);
	uint8_t bytes[PIECE_MAX];
	ssize_t done;

	if (e->fd < 0 || left == 0 || now < e->due_ns)
		return;
	n = n < left ? n : left;
	content_fill(conn_stream(l->number, !side), e->sent, bytes, n);
	done = send(e->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (done < 0 && errno != EAGAIN)
		fail(l, "side %u: send: %s", side, strerror(errno));
	e->sent += done > 0 ? (uint64_t)done : 0;
	e->due_ns = now + random_below(2000000 * (uint64_t)opt.pause_ms);
}

static void note_wait(struct link *l, uint64_t now)
{
	uint64_t ms = (now - l->moved_ns) / 1000000;

	l->moved_ns = now;
	if (ms > atomic_load(&longest_ms))
		atomic_store(&longest_ms, ms);
}

static void receive(struct link *l, unsigned side)
{
	static uint8_t bytes[1 << 16], truth[1 << 16];
	struct end *e = &l->end[side];
	ssize_t n = recv(e->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0) {
		if (errno != EAGAIN)
			fail(l, "side %u: receive: %s", side, strerror(errno));
		return;
	}
	note_wait(l, now_ns());
	if (n == 0) {
		e->eof = true;
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, e->fd, NULL);
		return;
	}
	content_fill(conn_stream(l->number, (int)side), e->received, truth, (size_t)n);
	if (memcmp(bytes, truth, (size_t)n) != 0)
		fail(l, "side %u: wrong bytes behind %" PRIu64, side, e->received);
	e->received += (uint64_t)n;
	atomic_fetch_add(&bytes_right, (uint64_t)n);
}

/* A FIN goes by itself: behind it no data comes again. */
static void shut(struct end *e)
{
	int unacked = 1;

	if (e->fd < 0 || e->shut || e->sent < e->goal || ioctl(e->fd, SIOCOUTQ, &unacked) < 0 ||
	    unacked > 0)
		return;
	e->shut = shutdown(e->fd, SHUT_WR) == 0;
}

static bool is_acked(const struct end *e, struct tcp_info *info)
{
	socklen_t len = sizeof(*info);

	return e->shut && e->eof && getsockopt(e->fd, IPPROTO_TCP, TCP_INFO, info, &len) == 0 &&
	       info->tcpi_unacked == 0;
}

/* ---- connections ---- */

static void forget(struct link *l)
{
	*(l->is_long ? &long_open : &short_open) -= 1;
	for (unsigned side = 0; side < 2; side++)
		if (l->end[side].fd >= 0)
			close(l->end[side].fd);
	l->used = false;
}

static void close_link(struct link *l)
{
	struct conn *c = &conns[l->number];
	struct tcp_info info[2];

	if (!is_acked(&l->end[0], &info[0]) || !is_acked(&l->end[1], &info[1]))
		return;
	for (unsigned side = 0; side < 2; side++) {
		if (l->end[side].received != l->end[!side].sent)
			fail(l, "side %u: ended behind %" PRIu64 " bytes of %" PRIu64, side,
			     l->end[side].received, l->end[!side].sent);
		c->sent[side] = l->end[side].sent;
		c->data_packets[side] = info[side].tcpi_data_segs_out;
	}
	atomic_store(&c->closed, true);
	atomic_fetch_add(&closed, 1);
	forget(l);
}

static void open_link(bool is_long)
{
	struct conn_name name;
	struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
	struct link *l = links;
	int one = 1, fd;

	while (l < links + LINKS_MAX && l->used)
		l++;
	if (l == links + LINKS_MAX || next_number == CONNS_MAX)
		return;
	*l = (struct link){.used = true,
	                   .is_long = is_long,
	                   .number = next_number++,
	                   .moved_ns = now_ns(),
	                   .end = {{.fd = -1}, {.fd = -1}}};
	*(is_long ? &long_open : &short_open) += 1;
	atomic_fetch_add(&opened, 1);
	for (unsigned side = 0; side < 2; side++)
		l->end[side].goal = is_long ? UINT64_MAX : random_below(SHORT_MAX);
	name = conn_name(l->number);
	from.sin_addr.s_addr = htonl(CLIENT_IP);
	from.sin_port = htons(name.client_port);
	to.sin_addr.s_addr = htonl((SERVER_IP & 0xffff0000) | name.server_low);
	to.sin_port = htons(SERVER_PORT);
	l->end[MOS_SIDE_CLI].fd = fd = network_socket(0, SOCK_STREAM);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
	    (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)) {
		fail(l, "cannot connect: %s", strerror(errno));
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	listen_to(fd, (unsigned)(l - links), MOS_SIDE_CLI);
}

static struct link *link_of(uint32_t number)
{
	for (struct link *l = links; l < links + LINKS_MAX; l++)
		if (l->used && l->number == number)
			return l;
	return NULL;
}

static void accept_links(void)
{
	struct sockaddr_in client, server;
	socklen_t len = sizeof(client), len2 = sizeof(server);
	int fd, one = 1;

	while ((fd = accept4(listener_fd, (struct sockaddr *)&client, &len,
	                     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct link *l = NULL;

		if (getsockname(fd, (struct sockaddr *)&server, &len2) == 0)
			l = link_of(conn_number(ntohs(client.sin_port),
			                        ntohl(server.sin_addr.s_addr) & 0xffff));
		if (l == NULL || l->end[MOS_SIDE_SVR].fd >= 0) {
			fail(l, "accepted, but not known");
			close(fd);
			return;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		l->end[MOS_SIDE_SVR].fd = fd;
		listen_to(fd, (unsigned)(l - links), MOS_SIDE_SVR);
	}
}

/* It is told to end, or its flow is passed unmonitored and of no more use. */
static bool is_over(const struct link *l)
{
	return l->is_long && l->end[MOS_SIDE_CLI].goal == UINT64_MAX &&
	       l->end[MOS_SIDE_SVR].fd >= 0 &&
	       (atomic_load(&finish) || atomic_load(&conns[l->number].given_up));
}

static void tend(struct link *l, uint64_t now)
{
	if (is_over(l))
		for (unsigned side = 0; side < 2; side++)
			l->end[side].goal = l->end[side].sent;
	for (unsigned side = 0; side < 2; side++) {
		send_piece(l, side, now);
		shut(&l->end[side]);
	}
	if (now > l->moved_ns + (uint64_t)WEDGE_MS * 1000000)
		fail(l,
		     "wedged: sent %" PRIu64 " and %" PRIu64 ", received %" PRIu64 " and %" PRIu64
		     " (client, server)",
		     l->end[0].sent, l->end[1].sent, l->end[0].received, l->end[1].received);
	close_link(l);
}

/* ---- the thread ---- */

static void take_events(void)
{
	struct epoll_event events[64];
	int n = epoll_wait(epoll_fd, events, 64, TICK_MS);

	for (int i = 0; i < n; i++) {
		uint64_t what = events[i].data.u64;

		if (what == LISTENER)
			accept_links();
		else if (links[what >> 1].used)
			receive(&links[what >> 1], what & 1);
	}
}

static void open_links(void)
{
	while (!finish && long_open < opt.long_count && failure == NULL)
		open_link(true);
	if (!finish && short_open < opt.short_count && failure == NULL)
		open_link(false); /* one in each tick */
}

static void *run(void *arg)
{
	uint64_t tended_ns = 0;

	while (atomic_load(&failure) == NULL) {
		uint64_t now;

		take_events();
		now = now_ns();
		if (now - tended_ns < TICK_MS * 1000000)
			continue;
		tended_ns = now;
		open_links();
		for (struct link *l = links; l < links + LINKS_MAX; l++)
			if (l->used)
				tend(l, now);
	}
	return NULL;
}

static bool make_listener(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(SERVER_PORT)};
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = LISTENER};

	listener_fd = network_socket(1, SOCK_STREAM);
	return listener_fd >= 0 && bind(listener_fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
	       listen(listener_fd, 1024) == 0 &&
	       epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener_fd, &e) == 0;
}

bool ends_start(const struct ends_options *options)
{
	opt = *options;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd >= 0 && make_listener() && pthread_create(&thread, NULL, run, NULL) == 0)
		return true;
	perror("bench_kill: ends");
	return false;
}

const char *ends_failure(void)
{
	return atomic_load(&failure);
}

struct ends_sum ends_sum(void)
{
	struct ends_sum s = {.closed = closed,
	                     .opened = opened,
	                     .bytes = bytes_right,
	                     .longest_ms = longest_ms,
	                     .last = next_number};

	s.open = (uint32_t)(s.opened - s.closed);
	return s;
}

void ends_finish(void)
{
	atomic_store(&finish, true);
}

bool ends_wait(int timeout_ms)
{
	uint64_t deadline = now_ns() + (uint64_t)timeout_ms * 1000000;

	while (failure == NULL && ends_sum().open > 0 && now_ns() < deadline)
		usleep(2000);
	return failure == NULL && ends_sum().open == 0;
}
