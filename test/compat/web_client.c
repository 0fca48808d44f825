/* A classic end-host load generator: non-blocking connects counted against the concurrency. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <mos_api.h>
#include <mtcp_util.h>

static int connect_one(mctx_t mctx, int ep, in_addr_t ip, in_port_t port)
{
	struct mtcp_epoll_event ev;
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = port};
	int sock = mtcp_socket(mctx, AF_INET, SOCK_STREAM, 0);

	if (sock < 0 || mtcp_setsock_nonblock(mctx, sock) < 0)
		return -1;
	addr.sin_addr.s_addr = ip;
	if (mtcp_connect(mctx, sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 &&
	    errno != EINPROGRESS) {
		mtcp_close(mctx, sock);
		return -1;
	}
	ev.events = MOS_EPOLLOUT;
	ev.data.sock = sock;
	return mtcp_epoll_ctl(mctx, ep, MOS_EPOLL_CTL_ADD, sock, &ev);
}

static void on_event(mctx_t mctx, int ep, struct mtcp_epoll_event *event)
{
	int sock = event->data.sock, err = 0, waiting = 0;
	socklen_t len = sizeof(err);
	struct mtcp_epoll_event ev;
	char buf[1024];

	if (event->events == MOS_EPOLLERR) {
		mtcp_getsockopt(mctx, sock, SOL_SOCKET, SO_ERROR, &err, &len);
		mtcp_abort(mctx, sock);
	} else if (event->events == MOS_EPOLLOUT) {
		mtcp_write(mctx, sock, "GET / HTTP/1.0\r\n\r\n", 18);
		ev.events = MOS_EPOLLIN;
		ev.data.sock = sock;
		mtcp_epoll_ctl(mctx, ep, MOS_EPOLL_CTL_MOD, sock, &ev);
	} else if (event->events == MOS_EPOLLIN) {
		mtcp_ioctl(mctx, sock, FIONREAD, &waiting);
		if (mtcp_recv(mctx, sock, buf, sizeof(buf), 0) == 0)
			mtcp_close(mctx, sock);
	} else {
		char *name = EventToString((uint32_t)event->events);

		printf("%s\n", name ? name : "?");
	}
}

int main(int argc, char **argv)
{
	struct mtcp_epoll_event events[64];
	struct mtcp_conf conf;
	in_addr_t daddr;
	int words = 0, ends[2], ep, i, n, rounds;
	char *word[8], line[] = "one \"two words\" three";
	mctx_t mctx;

	if (argc < 3 || StrToArgs(line, &words, word, 7) != 0 || mtcp_init(argv[1]))
		return EXIT_FAILURE;
	daddr = inet_addr(argv[2]);
	mtcp_getconf(&conf);
	conf.max_concurrency = 3 * 100;
	mtcp_setconf(&conf);
	if (!(mctx = mtcp_create_context(0)))
		return EXIT_FAILURE;
	mtcp_init_rss(mctx, INADDR_ANY, 1, daddr, htons(80));
	ep = mtcp_epoll_create(mctx, 300);
	if (mtcp_pipe(mctx, ends) == 0)
		mtcp_close(mctx, ends[0]);
	for (rounds = 0; rounds < 100; rounds++) {
		while (mtcp_get_connection_cnt(mctx) < 100)
			if (connect_one(mctx, ep, daddr, htons(80)) < 0)
				break;
		n = mtcp_epoll_wait(mctx, ep, events, 64, 10);
		for (i = 0; i < n; i++)
			on_event(mctx, ep, &events[i]);
	}
	printf("%u %llu\n", XXH32(word[0], 3, 0), XXH64(word[1], 3, 0));
	mtcp_destroy_context(mctx);
	return mtcp_destroy();
}
