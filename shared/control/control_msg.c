#include "shared/control/control_msg.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "shared/root/root.h"

#define LISTEN_BACKLOG 64

void mos_ctl_init(struct mos_ctl_msg *m, enum mos_ctl_type type)
{
	memset(m, 0, sizeof(*m));
	m->magic = MOS_CTL_MAGIC;
	m->version = MOS_CTL_VERSION;
	m->type = type;
	m->layout_hash = mos_layout_hash();
}

int mos_ctl_send(int fd, const struct mos_ctl_msg *m)
{
	ssize_t n;

	do {
		n = send(fd, m, sizeof(*m), MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return n == (ssize_t)sizeof(*m) ? 0 : -EIO;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Wait until fd can be read. Signals do not prolong the wait. */
static int wait_readable(int fd, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (;;) {
		int n = poll(&p, 1, timeout_ms);

		if (n > 0)
			return 0;
		if (n == 0)
			return -EAGAIN;
		if (errno != EINTR)
			return -errno;
		if (timeout_ms > 0) {
			int64_t left = deadline - now_ms();

			timeout_ms = left > 0 ? (int)left : 0;
		}
	}
}

static int receive(int fd, struct mos_ctl_msg *m, int timeout_ms, int flags)
{
	ssize_t n;
	int err = wait_readable(fd, timeout_ms);

	if (err != 0)
		return err;
	memset(m, 0, sizeof(*m));
	/* ECONNRESET: the peer closed and left something unread. What it said lies behind it. */
	do {
		n = recv(fd, m, sizeof(*m), MSG_DONTWAIT | MSG_TRUNC | flags);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n == 0)
		return -EPIPE;
	if (n < 0)
		return -errno;
	m->text[sizeof(m->text) - 1] = '\0';
	if (n != (ssize_t)sizeof(*m) || m->magic != MOS_CTL_MAGIC ||
	    m->version != MOS_CTL_VERSION || m->type == 0 || m->type >= MOS_CTL_TYPE_END)
		return -EPROTO;
	return 0;
}

int mos_ctl_recv(int fd, struct mos_ctl_msg *m, int timeout_ms)
{
	return receive(fd, m, timeout_ms, 0);
}

int mos_ctl_peek(int fd, struct mos_ctl_msg *m)
{
	return receive(fd, m, 0, MSG_PEEK);
}

static int make_address(struct sockaddr_un *a, const char *path)
{
	if (strlen(path) >= sizeof(a->sun_path))
		return -ENAMETOOLONG;
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path, path, strlen(path) + 1);
	return 0;
}

int mos_ctl_listen(const char *path)
{
	struct sockaddr_un a;
	int fd, err = make_address(&a, path);

	if (err != 0)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if ((unlink(path) != 0 && errno != ENOENT) ||
	    bind(fd, (const struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(fd, LISTEN_BACKLOG) != 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int mos_ctl_connect(const char *path)
{
	struct sockaddr_un a;
	int fd, err = make_address(&a, path);

	if (err != 0)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) != 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}
