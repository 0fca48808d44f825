#include "apps/midstat/conn_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mos_api.h"

static atomic_int log_fd = -1;

const char *conn_state_name(int state)
{
	static const char *const names[] = {
		[TCP_CLOSED] = "CLOSED",           [TCP_LISTEN] = "LISTEN",
		[TCP_SYN_SENT] = "SYN_SENT",       [TCP_SYN_RCVD] = "SYN_RCVD",
		[TCP_ESTABLISHED] = "ESTABLISHED", [TCP_FIN_WAIT_1] = "FIN_WAIT_1",
		[TCP_FIN_WAIT_2] = "FIN_WAIT_2",   [TCP_CLOSE_WAIT] = "CLOSE_WAIT",
		[TCP_CLOSING] = "CLOSING",         [TCP_LAST_ACK] = "LAST_ACK",
		[TCP_TIME_WAIT] = "TIME_WAIT",
	};

	if (state < 0 || (size_t)state >= sizeof(names) / sizeof(names[0]))
		return "?";
	return names[state];
}

void conn_write_end(char text[static CONN_END_LEN], const union conn_end *end)
{
	char addr[INET6_ADDRSTRLEN];

	if (end->family == AF_INET6) {
		inet_ntop(AF_INET6, &end->in6.sin6_addr, addr, sizeof(addr));
		snprintf(text, CONN_END_LEN, "[%s]:%u", addr, ntohs(end->in6.sin6_port));
	} else {
		inet_ntop(AF_INET, &end->in.sin_addr, addr, sizeof(addr));
		snprintf(text, CONN_END_LEN, "%s:%u", addr, ntohs(end->in.sin_port));
	}
}

int conn_log_open(const char *file)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	atomic_store(&log_fd, fd);
	return 0;
}

void conn_log(const char *event, const struct conn *c, const char *note)
{
	char line[256], client[CONN_END_LEN], server[CONN_END_LEN];
	int fd = atomic_load_explicit(&log_fd, memory_order_relaxed);
	struct timespec now;
	int len;

	if (fd < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	conn_write_end(client, &c->end[MOS_SIDE_CLI]);
	conn_write_end(server, &c->end[MOS_SIDE_SVR]);
	len = snprintf(line, sizeof(line), "%lld.%06ld %d %s %s %s %s %s%s%s\n",
	               (long long)now.tv_sec, now.tv_nsec / 1000, (int)getpid(), event, client,
	               server, conn_state_name(c->state[MOS_SIDE_CLI]),
	               conn_state_name(c->state[MOS_SIDE_SVR]), note[0] != '\0' ? " " : "", note);
	if (write(fd, line, (size_t)len) < 0 && atomic_exchange(&log_fd, -1) >= 0)
		fprintf(stderr, "midstat: cannot log: %s; no more events are logged\n",
		        strerror(errno));
}
