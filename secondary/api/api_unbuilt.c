/*
 * The public calls that this version declares but does not build: each fails with ENOSYS and does
 * nothing else. A call that gets built loses its row here and its line in README.
 */
#include <errno.h>

#include "mos_api.h"
#include "mos_ext.h"

#define UNBUILT(type, failure, name, ...) \
	type name(__VA_ARGS__)            \
	{                                 \
		errno = ENOSYS;           \
		return failure;           \
	}

/* clang-format off */

/* End-host sockets */
UNBUILT(int,     -1, mtcp_pipe,             mctx_t mctx, int pipeid[2])
UNBUILT(int,     -1, mtcp_setsock_nonblock, mctx_t mctx, int sock)
UNBUILT(int,     -1, mtcp_ioctl,            mctx_t mctx, int sock, int request, void *arg)
UNBUILT(int,     -1, mtcp_bind,             mctx_t mctx, int sock, const struct sockaddr *addr,
					    socklen_t addrlen)
UNBUILT(int,     -1, mtcp_listen,           mctx_t mctx, int sock, int backlog)
UNBUILT(int,     -1, mtcp_accept,           mctx_t mctx, int sock, struct sockaddr *addr,
					    socklen_t *addrlen)
UNBUILT(int,     -1, mtcp_init_rss,         mctx_t mctx, in_addr_t saddr_base, int num_addr,
					    in_addr_t daddr, in_addr_t dport)
UNBUILT(int,     -1, mtcp_connect,          mctx_t mctx, int sock, const struct sockaddr *addr,
					    socklen_t addrlen)
UNBUILT(int,     -1, mtcp_abort,            mctx_t mctx, int sock)
UNBUILT(int,     -1, mtcp_getsockname,      mctx_t mctx, int sock, struct sockaddr *addr,
					    socklen_t *addrlen)
UNBUILT(ssize_t, -1, mtcp_recv,             mctx_t mctx, int sock, char *buf, size_t len, int flags)
UNBUILT(ssize_t, -1, mtcp_read,             mctx_t mctx, int sock, char *buf, size_t len)
UNBUILT(ssize_t, -1, mtcp_readv,            mctx_t mctx, int sock, const struct iovec *iov,
					    int iovcnt)
UNBUILT(ssize_t, -1, mtcp_write,            mctx_t mctx, int sock, const char *buf, size_t len)
UNBUILT(ssize_t, -1, mtcp_writev,           mctx_t mctx, int sock, const struct iovec *iov,
					    int iovcnt)

/* Readiness of end-host sockets */
UNBUILT(int, -1, mtcp_epoll_create, mctx_t mctx, int size)
UNBUILT(int, -1, mtcp_epoll_ctl,    mctx_t mctx, int epid, int op, int sock,
				    struct mtcp_epoll_event *event)
UNBUILT(int, -1, mtcp_epoll_wait,   mctx_t mctx, int epid, struct mtcp_epoll_event *events,
				    int maxevents, int timeout)

/* clang-format on */
