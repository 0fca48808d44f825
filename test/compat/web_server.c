/* A classic end-host server: one thread per core of the mask, level-triggered epoll, static answer. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <mos_api.h>

#define EVENTS_MAX 16384

static volatile int done;
static int core_of[16];

static void stop(int signum)
{
	done = 1;
}

static void serve(mctx_t mctx, int ep, int sock)
{
	static const char answer[] = "HTTP/1.0 200 OK\r\n\r\n";
	char buf[2048];
	ssize_t n = mtcp_read(mctx, sock, buf, sizeof(buf));

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0)
		n = mtcp_write(mctx, sock, answer, sizeof(answer) - 1);
	mtcp_epoll_ctl(mctx, ep, MOS_EPOLL_CTL_DEL, sock, NULL);
	mtcp_close(mctx, sock);
}

static int listen_on(mctx_t mctx, uint16_t port)
{
	struct sockaddr_in addr = {0};
	int sock = mtcp_socket(mctx, AF_INET, SOCK_STREAM, 0);

	addr.sin_family = AF_INET;
	addr.sin_addr.s_addr = INADDR_ANY;
	addr.sin_port = htons(port);
	if (sock < 0 || mtcp_setsock_nonblock(mctx, sock) < 0 ||
	    mtcp_bind(mctx, sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    mtcp_listen(mctx, sock, 4096) < 0)
		return -1;
	return sock;
}

static void *run(void *arg)
{
	int core = *(int *)arg, ep, listener, i, n;
	struct mtcp_epoll_event ev, *events = calloc(EVENTS_MAX, sizeof(*events));
	mctx_t mctx;

	mtcp_core_affinitize(core);
	mctx = mtcp_create_context(core);
	if (!mctx || !events)
		return NULL;
	ep = mtcp_epoll_create(mctx, 3000000);
	listener = listen_on(mctx, 80);
	if (ep < 0 || listener < 0)
		goto end;
	ev.events = MOS_EPOLLIN;
	ev.data.sock = listener;
	mtcp_epoll_ctl(mctx, ep, MOS_EPOLL_CTL_ADD, listener, &ev);
	while (!done) {
		n = mtcp_epoll_wait(mctx, ep, events, EVENTS_MAX, -1);
		if (n < 0 && errno != EINTR)
			break;
		for (i = 0; i < n; i++) {
			int sock = events[i].data.sock, c;

			if (sock != listener) {
				serve(mctx, ep, sock);
				continue;
			}
			while ((c = mtcp_accept(mctx, listener, NULL, NULL)) >= 0) {
				ev.events = MOS_EPOLLIN | MOS_EPOLLOUT;
				ev.data.sock = c;
				mtcp_setsock_nonblock(mctx, c);
				mtcp_epoll_ctl(mctx, ep, MOS_EPOLL_CTL_ADD, c, &ev);
			}
		}
	}
end:
	mtcp_destroy_context(mctx);
	free(events);
	return NULL;
}

int main(int argc, char **argv)
{
	struct mtcp_conf conf;
	pthread_t thread[16];
	int i, started = 0;

	if (argc < 2 || mtcp_init(argv[1]))
		return EXIT_FAILURE;
	mtcp_getconf(&conf);
	mtcp_register_signal(SIGINT, stop);
	for (i = 0; i < conf.num_cores && i < 16; i++)
		if ((uint64_t)1 << i & conf.app_cpu_mask[0]) {
			core_of[i] = i;
			if (pthread_create(&thread[started++], NULL, run, &core_of[i]))
				return EXIT_FAILURE;
		}
	for (i = 0; i < started; i++)
		pthread_join(thread[i], NULL);
	mtcp_destroy();
	return 0;
}
