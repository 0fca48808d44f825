/* Monitoring sockets, callbacks, options: specification sections 3, 5, 7.6 and 9. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "secondary/event/event.h"
#include "secondary/worker.h"

static int fail(int err)
{
	errno = err;
	return -1;
}

int mtcp_socket(mctx_t mctx, int domain, int type, int protocol)
{
	MOS_CTX_HELD(c, mctx);
	int id;

	if (c == NULL)
		return -1;
	if (domain != AF_INET)
		return fail(EAFNOSUPPORT);
	if (type == MOS_SOCK_STREAM_LISTEN || type == MOS_SOCK_STREAM)
		return fail(ENOSYS); /* end-host sockets */
	if (type != MOS_SOCK_MONITOR_STREAM && type != MOS_SOCK_MONITOR_RAW)
		return fail(EINVAL);
	id = mos_socket_open(&c->sockets, type);
	return id >= 0 ? id : fail(-id);
}

int mtcp_close(mctx_t mctx, int sock)
{
	MOS_CTX_HELD(c, mctx);
	int err;

	if (c == NULL)
		return -1;
	err = mos_socket_close(&c->sockets, sock);
	return err == 0 ? 0 : fail(-err);
}

/*
 * An active socket, as far as the calling thread may look: flows come and go on the stack thread.
 */
static bool is_active(struct mos_ctx *c, int sock)
{
	return mos_on_stack_thread(c) && mos_socket_active(&c->sockets, sock, NULL) != NULL;
}

int mtcp_bind_monitor_filter(mctx_t mctx, int sock, monitor_filter_t ft)
{
	MOS_CTX_HELD(c, mctx);
	struct mos_mon_sock *m;

	if (c == NULL)
		return -1;
	if (ft == NULL)
		return 0;
	m = mos_socket_mon(&c->sockets, sock);
	if (m == NULL)
		return fail(is_active(c, sock) ? ENOPROTOOPT : EBADF);
	if (m->type == MOS_SOCK_MONITOR_RAW && ft->raw_pkt_filter == NULL)
		return 0;
	if (m->type == MOS_SOCK_MONITOR_STREAM && ft->stream_syn_filter == NULL &&
	    ft->stream_orphan_filter == NULL)
		return 0;
	return fail(ENOSYS);
}

/* ---- callbacks ---- */

#define AT_NULL (1u << MOS_HOOK_NULL)
#define AT_SND  (1u << MOS_HOOK_SND)
#define AT_RCV  (1u << MOS_HOOK_RCV)

/* Hooks at which each built-in event may be registered (specification section 4.2). */
static const struct {
	uint32_t event;
	unsigned hooks;
} registrable[] = {
	{MOS_ON_PKT_IN, AT_SND | AT_RCV | AT_NULL},
	{MOS_ON_CONN_START, AT_SND | AT_RCV},
	{MOS_ON_TCP_STATE_CHANGE, AT_SND | AT_RCV},
	{MOS_ON_REXMIT, AT_SND | AT_RCV},
	{MOS_ON_CONN_END, AT_SND | AT_RCV},
	{MOS_ON_CONN_NEW_DATA, AT_NULL},
	{MOS_ON_ERROR, AT_NULL},
	{MOS_ON_ORPHAN, AT_NULL},
};

static int hook_from(int hook_point, enum mos_hook *hook)
{
	switch (hook_point) {
	case MOS_NULL: *hook = MOS_HOOK_NULL; return 0;
	case MOS_HK_SND: *hook = MOS_HOOK_SND; return 0;
	case MOS_HK_RCV: *hook = MOS_HOOK_RCV; return 0;
	default: return -EINVAL;
	}
}

static int check_event(event_t event, enum mos_hook hook)
{
	for (size_t i = 0; i < sizeof(registrable) / sizeof(registrable[0]); i++) {
		if (registrable[i].event != event)
			continue;
		if (!(registrable[i].hooks & 1u << hook))
			return -EINVAL;
		return event & MOS_EVENTS_BUILT ? 0 : -ENOSYS;
	}
	return -EINVAL;
}

int mtcp_register_callback(mctx_t mctx, int sock, event_t event, int hook_point, callback_t cb)
{
	MOS_CTX_HELD(c, mctx);
	enum mos_hook hook;
	int err;

	if (c == NULL)
		return -1;
	err = hook_from(hook_point, &hook);
	if (err == 0)
		err = check_event(event, hook);
	if (err == 0)
		err = mos_socket_register(&c->sockets, sock, (unsigned)__builtin_ctzll(event), hook,
		                          cb);
	return err == 0 ? 0 : fail(-err);
}

/* ---- user context ---- */

/* Where the pointer of any monitoring socket is kept; NULL if the id names none. */
static void **uctx_of(struct mos_ctx *c, int sock)
{
	struct mos_mon_sock *m = mos_socket_mon(&c->sockets, sock);
	struct mos_flow_sock *a;

	if (m != NULL)
		return &m->uctx;
	a = mos_socket_active(&c->sockets, sock, NULL);
	return a != NULL ? &a->uctx : NULL;
}

void mtcp_set_uctx(mctx_t mctx, int sock, void *uctx)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);
	void **where = c != NULL ? uctx_of(c, sock) : NULL;

	if (c == NULL)
		return;
	if (where == NULL)
		errno = EBADF;
	else
		*where = uctx;
}

void *mtcp_get_uctx(mctx_t mctx, int sock)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);
	void **where = c != NULL ? uctx_of(c, sock) : NULL;

	if (c == NULL)
		return NULL;
	if (where == NULL)
		errno = EBADF;
	return where != NULL ? *where : NULL;
}

/* ---- options ---- */

/* The flow behind an active socket; NULL + errno. Stack thread only. */
static const struct mos_flow *flow_of(struct mos_ctx *c, int sock)
{
	uint32_t flow;

	if (mos_socket_active(&c->sockets, sock, &flow) != NULL)
		return mos_flow_at(&c->flows, flow);
	errno = mos_socket_mon(&c->sockets, sock) != NULL ? ENOTSOCK : EBADF;
	return NULL;
}

int mtcp_getsockopt(mctx_t mctx, int sock, int level, int optname, void *optval, socklen_t *optlen)
{
	struct mos_ctx *c = mos_ctx_live(mctx, level == SOL_MONSOCKET);
	const struct mos_flow *f;
	int state;

	if (c == NULL)
		return -1;
	if (level != SOL_MONSOCKET ||
	    (optname != MOS_TCP_STATE_CLI && optname != MOS_TCP_STATE_SVR))
		return fail(ENOSYS);
	f = flow_of(c, sock);
	if (f == NULL)
		return -1;
	if (optval == NULL)
		return fail(EINVAL);
	state = f->state[optname == MOS_TCP_STATE_CLI ? MOS_CLI : MOS_SVR];
	memcpy(optval, &state, sizeof(state));
	if (optlen != NULL) /* its value on entry is ignored, as it always was */
		*optlen = sizeof(state);
	return 0;
}

/* Streams are not buffered yet: asking for no buffer is granted, any other size is not built. */
int mtcp_setsockopt(mctx_t mctx, int sock, int level, int optname, const void *optval,
                    socklen_t optlen)
{
	MOS_CTX_HELD(c, mctx);
	struct mos_mon_sock *m;
	int value;

	if (c == NULL)
		return -1;
	if (level != SOL_MONSOCKET || (optname != MOS_CLIBUF && optname != MOS_SVRBUF))
		return fail(ENOSYS);
	m = mos_socket_mon(&c->sockets, sock);
	if (m == NULL && !is_active(c, sock))
		return fail(EBADF);
	if (m != NULL && m->type == MOS_SOCK_MONITOR_RAW)
		return fail(ENOTSOCK);
	if (optval == NULL)
		return fail(EFAULT);
	if (optlen < sizeof(value))
		return fail(EINVAL);
	memcpy(&value, optval, sizeof(value));
	if (value < 0)
		return fail(EINVAL);
	return value == 0 ? 0 : fail(ENOSYS);
}
