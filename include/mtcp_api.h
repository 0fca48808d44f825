/*
 * mtcp_api.h - contexts, life cycle, configuration, and end-host sockets.
 *
 * A program includes mos_api.h, which includes this file. The order of calls is
 *
 *   mtcp_init -> [mtcp_getconf, mtcp_setconf] -> [mtcp_register_signal, mtcp_define_event]
 *     -> per core: mtcp_create_context -> sockets, filters, callbacks, timers
 *     -> mtcp_app_join (monitors) or an mtcp_epoll_wait loop (end hosts)
 *     -> mtcp_destroy_context -> mtcp_destroy
 *
 * Threads. Each context has one *stack thread*, started by mtcp_create_context(): it alone
 * handles packets and runs every callback, filter and timer of the context. The comment of each
 * call names who may call it:
 *   any thread          any thread of the process, also while packets flow, also a callback
 *   stack thread        only inside a callback, filter or timer of that context
 *   application thread  any thread but the stack thread, one at a time for one context
 *
 * Results. A failing call returns -1 (NULL, 0 or MOS_NULL_EVENT where its type asks for it) and
 * sets errno. Where trying the same call again can help, its error says "again". No call ends the
 * process. What this version of the library does not build yet (calls, options, kinds of sockets)
 * fails with ENOSYS; README lists it. "Bad context" below means: mctx is NULL, was not returned
 * by mtcp_create_context() of this process, or was destroyed. A context whose stack thread has
 * ended (see mtcp_app_join) is no bad one: the system may end while a program still sets up. Its
 * sockets, callbacks and timers are made and closed as before, and nothing comes of them.
 *
 * Socket ids are non-negative integers, valid with the context that created them.
 * Monitoring sockets and end-host sockets share one id space. An id is used again after its
 * socket is gone.
 *
 * Section numbers refer to the functional specification of the API.
 */
#ifndef MTCP_API_H
#define MTCP_API_H

#include <stdint.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <netinet/in.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef UNUSED
#define UNUSED(x) ((void)(x)) /* says that x is not used on purpose */
#endif

#define INPORT_ANY ((uint16_t)0) /* a port number left to the stack */

#define APP_NAME_LEN 40 /* bytes, with the final NUL */
#define MOS_APP      20 /* most `application` blocks in struct mtcp_conf */
#define MOS_APP_ARGC 20 /* most words of one `run` line in struct mtcp_conf */

/*
 * What a program holds of one core's stack (section 1.2). The library owns the memory, from
 * mtcp_create_context() to mtcp_destroy_context().
 */
struct mtcp_context {
	int cpu; /* the number given to mtcp_create_context(); programs may read it */
};
typedef struct mtcp_context *mctx_t;

#ifndef __MTCP_MANAGER
#define __MTCP_MANAGER
typedef struct mtcp_manager *mtcp_manager_t; /* never complete outside the library */
#endif

#ifndef __SOCKET_MAP
#define __SOCKET_MAP
typedef struct socket_map *socket_map_t; /* never complete outside the library */
#endif

typedef void (*mtcp_sighandler_t)(int signum);

/* Kinds of sockets (section 1.3). Those marked + are what mtcp_socket() takes as `type`. */
enum socket_type {
	MOS_SOCK_UNUSED,                /* a free id */
	MOS_SOCK_STREAM_LISTEN,         /* + end host; the number equals POSIX SOCK_STREAM */
	MOS_SOCK_PROXY_LISTEN,          /* reserved */
	MOS_SOCK_MONITOR_STREAM,        /* + passive: stands for a set of flows */
	MOS_SOCK_STREAM,                /* + end host, the same as POSIX SOCK_STREAM */
	MOS_SOCK_PROXY,                 /* reserved */
	MOS_SOCK_MONITOR_STREAM_ACTIVE, /* one flow of a passive socket; made by the stack only */
	MOS_SOCK_MONITOR_RAW,           /* + every IP packet that its filter accepts */
	MOS_SOCK_EPOLL,                 /* made by mtcp_epoll_create() */
	MOS_SOCK_PIPE                   /* made by mtcp_pipe() */
};

/*
 * The part of the configuration a program sees (section 1.4; 3488 bytes). Both times are in
 * seconds. mtcp_getconf() fills all of it; mtcp_setconf() takes the fields marked s.
 */
struct mtcp_conf {
	int num_cores;       /* s contexts of this process, 1.. */
	int max_concurrency; /* s most flows of one context at a time, 1.. */
	uint64_t cpu_mask;   /* bit c: context c may be created */
	int max_num_buffers; /* not used: read as 0 */
	int rcvbuf_size;     /* s bytes of reassembly buffer of one side, 0 = none */
	int sndbuf_size;     /* s bytes of send buffer of one end-host socket */
	int tcp_timewait;    /* s seconds in TIME_WAIT, 0.. */
	int tcp_timeout;     /* s idle seconds until a flow is forgotten, 1.. ; -1 = never */

	/* One entry per `application` block, num_app in use. The library owns the strings. */
	uint64_t app_cpu_mask[MOS_APP];
	char *app_argv[MOS_APP][MOS_APP_ARGC]; /* the words of `run` */
	int app_argc[MOS_APP];
	int num_app;
};

/* Declared for old programs only; the library uses neither. */
struct conn_filter;

struct app_context {
	mctx_t mctx;
	int socket_id;
	struct conn_filter *cf;
	int ep_id;
};

struct app_ops {
	void (*app_init)(int argc, char **argv);
	void (*thread_init)(mctx_t mctx, void **app_ctx);
	void (*run)(mctx_t mctx, void **app_ctx);
	int enable;
};

/* ---- Life cycle: application thread ---- */

/*
 * Read the configuration file and attach this process to the mos-primary it names. Once, before
 * any other call but mtcp_register_signal() and mtcp_define_event(). The file name is not kept.
 * Section 2.2.
 *
 * Returns 0, or -1; mos_last_error() of mos_ext.h then holds one line that names cause and
 * remedy.
 *   EINVAL     config_file is NULL, or the file has a mistake (the line names file and line)
 *   ENOENT     there is no such file
 *   EACCES     the file, or the control socket of the primary, may not be opened
 *   EPERM      not root
 *   EALREADY   this process was attached before, or uses DPDK otherwise
 *   ENOTCONN   no mos-primary runs with that prefix, or it ended; again, once one runs
 *   ESHUTDOWN  the primary is about to end; again, once another one runs
 *   EPROTO     the primary is of another version
 *   EBUSY      the primary has no free place for one more process; again, after one has left
 *   ETIMEDOUT  the primary did not answer; again
 *   ENOMEM     out of memory
 * Other errors are those of DPDK while it maps the primary's memory. A process whose DPDK did not
 * come up cannot try again: EALREADY.
 */
int mtcp_init(const char *config_file);

/*
 * Detach from the primary and free what mtcp_init() took; contexts that still live are destroyed
 * first. Section 2.2.
 * Returns 0, also when there is nothing to free, or -1.
 *   EDEADLK  called from a callback, which would wait for itself: contexts were only asked to stop
 */
int mtcp_destroy(void);

/*
 * Fill *conf with the configuration in force. The caller owns *conf; the strings app_argv points
 * at stay the library's and live until mtcp_destroy(). Any thread. Section 2.2.
 * Returns 0, or -1.
 *   EINVAL  conf is NULL
 *   EPERM   mtcp_init() has not succeeded yet
 */
int mtcp_getconf(struct mtcp_conf *conf);

/*
 * Take the fields marked s in struct mtcp_conf, all or none; the others are ignored. Times are in
 * seconds, so that a value from mtcp_getconf() can be handed back. Before the first
 * mtcp_create_context(). Section 2.2.
 * Returns 0, or -1.
 *   EINVAL  conf is NULL, or a field is out of its range
 *   EPERM   mtcp_init() has not succeeded yet
 *   EBUSY   a context exists
 *   ENOSYS  another value than in force, of anything but num_cores: it is the primary's
 */
int mtcp_setconf(const struct mtcp_conf *conf);

/*
 * Pin the calling thread to processor cpu, numbered from 0 as the kernel does. Any thread; does
 * not need mtcp_init(). Section 2.2.
 * Returns 0, or -1.
 *   EINVAL  there is no such processor, or this process may not use it
 */
int mtcp_core_affinitize(int cpu);

/*
 * Lease a share of the traffic, start the stack thread for it, and wait until it runs. cpu: 0 to
 * num_cores - 1, one context each. The stack thread takes its first packet when the program calls
 * mtcp_app_join(), or 0.2 s later if it does not: time to make sockets and callbacks. With flows
 * to take over the 0.2 s count from its first passive socket on, 5 s at most.
 * Section 2.2.
 *
 * Returns the context, or NULL; mos_last_error() then holds one line that names cause and remedy.
 *   EINVAL     cpu is out of range
 *   EPERM      mtcp_init() has not succeeded yet
 *   EEXIST     this process has a context for cpu
 *   EBUSY      all shares are leased to living processes; again, after one has left
 *   ENOTCONN   the primary has ended
 *   ESHUTDOWN  the primary is about to end
 *   ETIMEDOUT  the primary did not answer; again
 *   EAGAIN     the thread could not be started; again
 *   ENOMEM     out of memory
 */
mctx_t mtcp_create_context(int cpu);

/*
 * Stop the stack thread, wait for it, give the share back, and free the context with its sockets.
 * Flows stay, for the next process that leases the share. Application thread, also the handler
 * given to mtcp_register_signal() for SIGINT while another thread waits in mtcp_app_join().
 * Called by the stack thread itself it only asks for the stop. A context that is destroyed
 * already, or whose stack thread has ended, is no error. Section 2.2.
 * Returns 0, or -1.
 *   EACCES  mctx is NULL or was never a context
 */
int mtcp_destroy_context(mctx_t mctx);

/*
 * Have handler called on signal signum. For SIGINT the library keeps its own handler: without one
 * registered here, every context stops; with one, the first SIGINT makes mtcp_epoll_wait() and a
 * blocking mtcp_accept() return EINTR and calls handler(SIGINT), and a second SIGINT within a
 * second stops every context. Other signals: as signal(2). The handler runs in signal context.
 * Any thread. Section 2.2.
 * Returns the handler that was in place before, or SIG_ERR.
 *   EINVAL  there is no such signal, or it cannot be caught
 */
mtcp_sighandler_t mtcp_register_signal(int signum, mtcp_sighandler_t handler);

/* ---- Sockets of both families: any thread, except where noted ---- */

/*
 * Create a socket. domain: AF_INET. type: a kind marked + in enum socket_type. protocol: ignored.
 * Sections 3.1, 10.2.
 * Returns the id, or -1.
 *   EACCES        bad context
 *   EAFNOSUPPORT  other domain
 *   EINVAL        other type
 *   ENFILE        all ids are in use; again, after a socket was closed
 *   ENOMEM        out of memory
 */
int mtcp_socket(mctx_t mctx, int domain, int type, int protocol);

/*
 * Close a socket. Sections 3.3, 10.2.
 *
 * Monitoring sockets: the filter, callbacks and uctx of the socket go, and between two rounds of
 * the stack thread its id becomes free: till then it counts as in use. Connections are not
 * touched: flows of a closed passive socket are detached without MOS_ON_CONN_END. The active
 * socket of a flow is the stack's and cannot be closed.
 *
 * End-host sockets: what is in the send buffer is still sent, then FIN. Closing during connect
 * works.
 *
 * Returns 0, or -1.
 *   EACCES  bad context
 *   EBADF   no such socket, or an active one
 *   EAGAIN  the queue to the stack thread is full; again
 */
int mtcp_close(mctx_t mctx, int sock);

/*
 * Read an option of sock. level SOL_MONSOCKET: one of enum mos_socket_opts (mos_api.h), on active
 * sockets, stack thread. level SOL_SOCKET: SO_ERROR, on end-host sockets, application thread:
 * *optval is an int and receives 0, ETIMEDOUT, ECONNRESET or ECONNREFUSED; the error is not
 * cleared. *optlen is the room at optval, in bytes except where the option says otherwise, and
 * receives what was used. The caller owns both. Sections 7.6, 10.6.
 *
 * Returns 0, or -1.
 *   EACCES       bad context
 *   EPERM        level SOL_MONSOCKET outside the stack thread
 *   EBADF        no such socket
 *   ENOTSOCK     the socket is not of the kind that has this option
 *   EINVAL       optval or optlen is NULL, *optlen does not fit the option, or the side asked
 *                about keeps no buffer
 *   ENODATA      no byte has come of the stream asked about; again, after data has arrived
 *   EINPROGRESS  SO_ERROR while connecting; *optval holds EINPROGRESS too
 *   ENOSYS       no such option or level
 */
int mtcp_getsockopt(mctx_t mctx, int sock, int level, int optname, void *optval, socklen_t *optlen);

/*
 * Set an option of sock: level SOL_MONSOCKET, one of enum mos_socket_opts (mos_api.h) or
 * mos_ext_socket_opts (mos_ext.h); optval points to an int of optlen bytes and is copied. On a
 * passive socket the new value counts for flows that begin later; on an active one for its flow, at
 * once. Section 7.6.
 *
 * Returns 0, or -1.
 *   EACCES    bad context
 *   EBADF     no such socket
 *   ENOTSOCK  the socket is not of the kind that has this option
 *   EFAULT    optval is NULL
 *   EINVAL    optlen or the value is out of range
 *   EPERM     MOS_STOP_MON on a passive socket, or an active socket outside the stack thread
 *   ENOMEM    out of memory
 *   ENOSYS    no such option or level
 */
int mtcp_setsockopt(mctx_t mctx, int sock, int level, int optname, const void *optval,
                    socklen_t optlen);

/*
 * Count the flows this context tracks, half-open and closing ones included, and its end-host
 * connections. Section 9.
 * Returns the count, or (uint32_t)-1.
 *   EACCES  bad context
 */
uint32_t mtcp_get_connection_cnt(mctx_t mctx);

/* ---- End-host sockets: application thread ---- */

/*
 * Make two connected ids: what is written to one end can be read at the other; 10240 bytes fit
 * between. pipeid receives both. Section 10.2.
 * Returns 0, or -1.
 *   EACCES  bad context
 *   EFAULT  pipeid is NULL
 *   ENFILE  fewer than two ids are free
 *   ENOMEM  out of memory
 */
int mtcp_pipe(mctx_t mctx, int pipeid[2]);

/*
 * Make every later call on sock return -1/EAGAIN instead of waiting. New sockets wait. Section
 * 10.1.
 * Returns 0, or -1.
 *   EACCES  bad context
 *   EBADF   no such socket
 */
int mtcp_setsock_nonblock(mctx_t mctx, int sock);

/*
 * FIONREAD: store the number of bytes that can be read into *(int *)arg. FIONBIO: stop waiting if
 * *(int *)arg is not 0, else wait again. Section 9.
 * Returns 0, or -1.
 *   EACCES  bad context
 *   EBADF   no such stream or listening socket
 *   EFAULT  arg is NULL
 *   EINVAL  other request
 */
int mtcp_ioctl(mctx_t mctx, int sock, int request, void *arg);

/*
 * Give sock a local address, a struct sockaddr_in of addrlen bytes; INADDR_ANY stands for the
 * addresses of all ports. Section 10.2.
 * Returns 0, or -1.
 *   EACCES      bad context
 *   EBADF       no such socket
 *   ENOTSOCK    not a stream socket
 *   EINVAL      addr is NULL, too short or not AF_INET, or sock is bound already
 *   EADDRINUSE  another socket of this context listens there
 */
int mtcp_bind(mctx_t mctx, int sock, const struct sockaddr *addr, socklen_t addrlen);

/*
 * Accept connections on a bound socket. backlog: how many may wait for mtcp_accept(), 1 to
 * max_concurrency. Section 10.2.
 * Returns 0, or -1.
 *   EACCES      bad context
 *   EBADF       no such socket
 *   ENOTSOCK    not a stream socket
 *   EINVAL      backlog is out of range, or sock is not bound
 *   EADDRINUSE  another socket of this context listens there
 *   ENOMEM      out of memory
 */
int mtcp_listen(mctx_t mctx, int sock, int backlog);

/*
 * Take the next connection of a listening socket. addr and addrlen may both be NULL; else
 * *addrlen is the room at addr, and they receive the peer's address and its size. Waits, unless
 * non-blocking. Section 10.2.
 * Returns the id of the connection, or -1.
 *   EACCES  bad context
 *   EBADF   no such socket
 *   EINVAL  not a listening socket, or the room is too small
 *   EAGAIN  non-blocking and nothing waits; again
 *   EINTR   the context was interrupted or stops
 *   ENFILE  all ids are in use; again, after a socket was closed
 */
int mtcp_accept(mctx_t mctx, int sock, struct sockaddr *addr, socklen_t *addrlen);

/*
 * Prepare the local addresses and ports from which mtcp_connect() to (daddr, dport) chooses:
 * those whose replies reach this context. num_addr addresses from saddr_base upwards, ports from
 * 1025; INADDR_ANY is the address of the port that leads to daddr. All in network byte order,
 * dport too, although its type is that of an address. Once per destination, before the first
 * connect. Section 10.2.
 * Returns 0, or -1.
 *   EACCES  bad context
 *   EINVAL  num_addr < 1, or no route leads to daddr
 *   ENOMEM  out of memory
 */
int mtcp_init_rss(mctx_t mctx, in_addr_t saddr_base, int num_addr, in_addr_t daddr,
                  in_addr_t dport);

/*
 * Open a connection to addr, a struct sockaddr_in of addrlen bytes. Waits until it is open,
 * unless non-blocking. Section 10.2.
 * Returns 0, or -1.
 *   EACCES        bad context
 *   EBADF         no such socket
 *   ENOTSOCK      not a stream socket
 *   EFAULT        addr is NULL
 *   EAFNOSUPPORT  addr is too short or not AF_INET
 *   EINPROGRESS   non-blocking: under way; MOS_EPOLLOUT or MOS_EPOLLERR tells the outcome
 *   EALREADY      non-blocking: still under way
 *   EISCONN       connected already
 *   EINVAL        no route leads there, or replies to the bound address reach another context
 *   EAGAIN        no local port is free, or the queue to the stack thread is full; again
 *   ECONNREFUSED  the peer answered with RST
 *   ETIMEDOUT     the peer did not answer; again
 *   ENOMEM        out of memory; again
 */
int mtcp_connect(mctx_t mctx, int sock, const struct sockaddr *addr, socklen_t addrlen);

/*
 * End a connection with RST and free the id; unsent and unread bytes are lost. Section 10.2.
 * Returns 0, or -1.
 *   EACCES      bad context
 *   EBADF       no such socket
 *   ENOTSOCK    not a stream socket
 *   ENOTCONN    not connected
 *   ECONNRESET  the connection is reset already
 *   EAGAIN      the queue to the stack thread is full; again
 */
int mtcp_abort(mctx_t mctx, int sock);

/*
 * Store the local address of sock: the one bound, chosen by connect, or that a peer connected to;
 * zeroes if there is none. *addrlen is the room at addr and receives the size. Section 9.
 * Returns 0, or -1.
 *   EACCES    bad context
 *   EBADF     no such socket
 *   ENOTSOCK  not a stream or listening socket
 *   EINVAL    addr or addrlen is NULL, or *addrlen is 0
 */
int mtcp_getsockname(mctx_t mctx, int sock, struct sockaddr *addr, socklen_t *addrlen);

/*
 * Read up to len bytes into buf, which the caller owns. flags: 0, or MSG_PEEK to leave the bytes
 * to be read again. Waits for the first byte, unless non-blocking. Section 10.2.
 * Returns how many bytes were read, 0 when the peer has closed and nothing is left, or -1.
 *   EACCES    bad context
 *   EBADF     no such socket
 *   ENOTSOCK  not a stream socket or pipe
 *   ENOTCONN  not connected
 *   EFAULT    buf is NULL and len is not 0
 *   EINVAL    other flags
 *   EAGAIN    non-blocking and nothing to read; again
 */
ssize_t mtcp_recv(mctx_t mctx, int sock, char *buf, size_t len, int flags);

/* mtcp_recv() with flags 0: same results, same errors. Section 10.2. */
ssize_t mtcp_read(mctx_t mctx, int sock, char *buf, size_t len);

/*
 * Read into iovcnt pieces, in order, until one cannot be filled; not for pipes. Section 10.2.
 * Returns the sum; errors as mtcp_recv(), and
 *   EINVAL  iov is NULL or iovcnt < 0
 */
ssize_t mtcp_readv(mctx_t mctx, int sock, const struct iovec *iov, int iovcnt);

/*
 * Copy up to len bytes from buf into the send buffer; buf stays the caller's. Waits for room,
 * unless non-blocking; may take fewer than len. Section 10.2.
 * Returns how many bytes were taken, or -1.
 *   EACCES    bad context
 *   EBADF     no such socket
 *   ENOTSOCK  not a stream socket or pipe
 *   ENOTCONN  not connected, or the sending side is closed
 *   EFAULT    buf is NULL and len is not 0
 *   EAGAIN    non-blocking and no room; again
 *   EPIPE     the other end of the pipe is closed
 *   ENOMEM    no send buffer could be had; again
 */
ssize_t mtcp_write(mctx_t mctx, int sock, const char *buf, size_t len);

/*
 * Write iovcnt pieces, in order, until one does not fit whole; not for pipes. Section 10.2.
 * Returns the sum; errors as mtcp_write(), and
 *   EINVAL  iov is NULL or iovcnt < 0
 */
ssize_t mtcp_writev(mctx_t mctx, int sock, const struct iovec *iov, int iovcnt);

#ifdef __cplusplus
}
#endif

#endif
