/*
 * mtcp_epoll.h - readiness of end-host sockets, in the manner of epoll(7).
 *
 * The bits are not those of Linux: use the MOS_ names. Results, threads and the meaning of "bad
 * context" are as told in mtcp_api.h. All calls: application thread.
 */
#ifndef MTCP_EPOLL_H
#define MTCP_EPOLL_H

#include "mtcp_api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What mtcp_epoll_ctl() does. */
enum { MOS_EPOLL_CTL_ADD = 1, MOS_EPOLL_CTL_DEL = 2, MOS_EPOLL_CTL_MOD = 3 };

/* Events. Those marked - are defined for old programs and never occur. Section 10.3. */
enum {
	MOS_EPOLLNONE = 1 << 0,     /* - */
	MOS_EPOLLIN = 1 << 1,       /* bytes to read, FIN came, or a connection waits for accept */
	MOS_EPOLLPRI = 1 << 2,      /* - */
	MOS_EPOLLOUT = 1 << 3,      /* connect is done, or there is room to write */
	MOS_EPOLLRDNORM = 1 << 4,   /* - */
	MOS_EPOLLRDBAND = 1 << 5,   /* - */
	MOS_EPOLLWRNORM = 1 << 6,   /* - */
	MOS_EPOLLWRBAND = 1 << 7,   /* - */
	MOS_EPOLLMSG = 1 << 8,      /* - */
	MOS_EPOLLERR = 1 << 9,      /* connect failed, timeout, no memory; always watched */
	MOS_EPOLLHUP = 1 << 10,     /* both directions are closed; always watched */
	MOS_EPOLLRDHUP = 1 << 11,   /* the peer closed or reset the connection */
	MOS_EPOLLONESHOT = 1 << 30, /* watch until the first event or MOS_EPOLL_CTL_MOD */
	MOS_EPOLLET = -0x7fffffff - 1 /* bit 31: tell each change once only */
};

/* The program's own word about a socket; handed back as it was given. */
typedef union mtcp_epoll_data {
	void *ptr;
	int sock;
	uint32_t u32;
	uint64_t u64;
} mtcp_epoll_data_t;

/*
 * 16 bytes. MOS_EPOLLET is a negative int: stored into events it also sets bits 32 to 63. Only
 * bits 0 to 31 count.
 */
struct mtcp_epoll_event {
	uint64_t events;
	mtcp_epoll_data_t data;
};

/*
 * Create an epoll instance. size: how many events may be pending, 1.. ; memory is taken as
 * needed, so a large number costs nothing. Section 10.3.
 * Returns its id, or -1.
 *   EACCES  bad context
 *   EINVAL  size < 1
 *   ENFILE  all ids are in use; again, after a socket was closed
 *   ENOMEM  out of memory
 */
int mtcp_epoll_create(mctx_t mctx, int size);

/*
 * Watch sock (op ADD), change what is watched (MOD), or stop (DEL; event may be NULL). ADD and
 * MOD raise at once what already holds. *event is copied. Section 10.3.
 * Returns 0, or -1.
 *   EACCES  bad context
 *   EBADF   no such epoll instance or no such socket
 *   EINVAL  epid is not an epoll instance, unknown op, or event is NULL
 *   EEXIST  ADD: watched already
 *   ENOENT  MOD, DEL: not watched
 *   ENOMEM  out of memory
 */
int mtcp_epoll_ctl(mctx_t mctx, int epid, int op, int sock, struct mtcp_epoll_event *event);

/*
 * Wait for events and store up to maxevents of them into events[], which the caller owns. Each
 * element carries one event bit. timeout: milliseconds, 0 = do not wait, -1 = wait without end.
 * Section 10.3.
 * Returns how many were stored, 0 after the timeout, or -1.
 *   EACCES  bad context
 *   EBADF   no such epoll instance
 *   EINVAL  epid is not an epoll instance, events is NULL, or maxevents < 1
 *   EINTR   the context was interrupted or stops
 */
int mtcp_epoll_wait(mctx_t mctx, int epid, struct mtcp_epoll_event *events, int maxevents,
                    int timeout);

/*
 * Name one event bit: "NONE", "IN", "PRI", "OUT", "ERR", "HUP" or "RDHUP". Any thread. Section 9.
 * Returns a constant string that the caller must not change, or NULL for anything else; errno is
 * left alone.
 */
char *EventToString(uint32_t event);

#ifdef __cplusplus
}
#endif

#endif
