/* Monitoring sockets and their user context: specification sections 3 and 9. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "secondary/api/api_priv.h"
#include "secondary/flow_area/flow_area.h"
#include "secondary/worker.h"

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
	const struct mos_mon_sock *m;
	uint32_t flow;

	if (c == NULL)
		return;
	if (where == NULL) {
		errno = EBADF;
		return;
	}
	*where = uctx;
	m = mos_socket_of_active(&c->sockets, sock, &flow);
	if (m != NULL)
		mos_flow_area_keep_uctx(c->shard, flow, m->nth, uctx);
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
