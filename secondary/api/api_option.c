/* Socket options: specification sections 6.6 and 7.6. */
#include <errno.h>
#include <string.h>

#include "secondary/api/api_priv.h"
#include "secondary/pipeline/pipeline.h"
#include "secondary/worker.h"

/* ---- get ---- */

/* MOS_TCP_STATE_CLI/SVR: the length on entry is not looked at, as it never was. */
static int get_state(const struct mos_flow *f, int side, void *optval, socklen_t *optlen)
{
	int state = f->state[side];

	if (optval == NULL)
		return fail(EINVAL);
	memcpy(optval, &state, sizeof(state));
	if (optlen != NULL)
		*optlen = sizeof(state);
	return 0;
}

static int get_timestamp(const struct mos_flow *f, void *optval, socklen_t *optlen)
{
	uint32_t us = f->last_seen_ms * 1000u; /* modulo 2^32 */

	if (optval == NULL || optlen == NULL || *optlen < sizeof(us))
		return fail(EINVAL);
	memcpy(optval, &us, sizeof(us));
	*optlen = sizeof(us);
	return 0;
}

int mtcp_getsockopt(mctx_t mctx, int sock, int level, int optname, void *optval, socklen_t *optlen)
{
	struct mos_ctx *c = mos_ctx_live(mctx, level == SOL_MONSOCKET);
	const struct mos_flow *f;
	uint32_t flow;

	if (c == NULL)
		return -1;
	if (level != SOL_MONSOCKET || (optname != MOS_TCP_STATE_CLI &&
	                               optname != MOS_TCP_STATE_SVR && optname != MOS_TIMESTAMP))
		return fail(ENOSYS);
	if (mos_socket_active(&c->sockets, sock, &flow) == NULL)
		return fail(mos_socket_mon(&c->sockets, sock) != NULL ? ENOTSOCK : EBADF);
	f = mos_flow_at(&c->flows, flow);
	if (optname == MOS_TIMESTAMP)
		return get_timestamp(f, optval, optlen);
	return get_state(f, optname == MOS_TCP_STATE_CLI ? MOS_CLI : MOS_SVR, optval, optlen);
}

/* ---- set ---- */

/*
 * What an option is set on. A passive or raw socket: mon is not NULL. An active one: entry and
 * flow; it may be looked at on the stack thread only, since flows come and go there.
 */
struct target {
	struct mos_mon_sock *mon;
	struct mos_flow_sock *entry;
	uint32_t flow;
};

/* 0, EBADF, ENOTSOCK (raw) or EPERM (active, on another thread). */
static int find_target(struct mos_ctx *c, int sock, struct target *t)
{
	int type = mos_socket_type(&c->sockets, sock);

	if (type == MOS_SOCK_UNUSED)
		return EBADF;
	if (type == MOS_SOCK_MONITOR_RAW)
		return ENOTSOCK;
	if (type == MOS_SOCK_MONITOR_STREAM) {
		t->mon = mos_socket_mon(&c->sockets, sock);
		return t->mon != NULL ? 0 : EBADF; /* closed meanwhile */
	}
	if (!mos_on_stack_thread(c))
		return EPERM;
	t->entry = mos_socket_active(&c->sockets, sock, &t->flow);
	return t->entry != NULL ? 0 : EBADF;
}

static int read_int(const void *optval, socklen_t optlen, int *value)
{
	if (optval == NULL)
		return EFAULT;
	if (optlen < sizeof(*value))
		return EINVAL;
	memcpy(value, optval, sizeof(*value));
	return 0;
}

/* Streams are not kept yet: no buffer is what can be asked for. */
static int set_buffer(struct mos_ctx *c, const struct target *t, int side, int bytes)
{
	if (bytes < 0)
		return EINVAL;
	if (bytes > 0)
		return ENOSYS;
	if (t->mon != NULL)
		mos_socket_set_buffer(t->mon, side, 0);
	else
		mos_flow_set_buffer(c, t->flow, side, 0);
	return 0;
}

/*
 * A flow nobody watches any more is forgotten: at once, unless its packet or its end is under way;
 * then the pipeline does it when it is done with that.
 */
static int stop_monitoring(struct mos_ctx *c, const struct target *t, int side)
{
	if (side != MOS_SIDE_CLI && side != MOS_SIDE_SVR && side != MOS_SIDE_BOTH)
		return EINVAL;
	if (t->mon != NULL)
		return EPERM;
	t->entry->stopped |= (uint8_t)(side == MOS_SIDE_BOTH ? MOS_BOTH_SIDES : 1 << side);
	if (t->flow == c->shard->ledger.flow)
		c->stopped_flow = t->flow;
	else if (mos_sockets_unwatched(&c->sockets, t->flow))
		mos_flow_forget(c, t->flow);
	return 0;
}

static int set_option(struct mos_ctx *c, int sock, int optname, const void *optval,
                      socklen_t optlen)
{
	struct target t = {.mon = NULL};
	int value, err;

	err = find_target(c, sock, &t);
	if (err == 0)
		err = read_int(optval, optlen, &value);
	if (err != 0)
		return err;
	if (optname == MOS_STOP_MON)
		return stop_monitoring(c, &t, value);
	return set_buffer(c, &t, optname == MOS_CLIBUF ? MOS_CLI : MOS_SVR, value);
}

int mtcp_setsockopt(mctx_t mctx, int sock, int level, int optname, const void *optval,
                    socklen_t optlen)
{
	MOS_CTX_HELD(c, mctx);
	int err = ENOSYS;

	if (c == NULL)
		return -1;
	if (level == SOL_MONSOCKET &&
	    (optname == MOS_CLIBUF || optname == MOS_SVRBUF || optname == MOS_STOP_MON))
		err = set_option(c, sock, optname, optval, optlen);
	return err == 0 ? 0 : fail(err);
}
