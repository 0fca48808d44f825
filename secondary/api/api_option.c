/* Socket options: specification sections 6.6 and 7.6. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "mos_ext.h"
#include "secondary/api/api_priv.h"
#include "secondary/flow_area/flow_area.h"
#include "secondary/pipeline/pipeline.h"
#include "secondary/worker.h"

/* ---- get ---- */

/* What an option is asked of: a side of a flow, as the socket with passive number k has it. */
struct asked {
	uint32_t flow;
	int side;
	unsigned k;
};

/* The length on entry is not looked at, as it never was. */
static int get_state(struct mos_ctx *c, const struct asked *a, void *optval, socklen_t *optlen)
{
	int state = mos_flow_at(&c->flows, a->flow)->state[a->side];

	if (optval == NULL)
		return EINVAL;
	memcpy(optval, &state, sizeof(state));
	if (optlen != NULL)
		*optlen = sizeof(state);
	return 0;
}

static int get_timestamp(struct mos_ctx *c, const struct asked *a, void *optval, socklen_t *optlen)
{
	uint32_t us = mos_flow_at(&c->flows, a->flow)->last_seen_ms * 1000u; /* modulo 2^32 */

	if (optval == NULL || optlen == NULL || *optlen < sizeof(us))
		return EINVAL;
	memcpy(optval, &us, sizeof(us));
	*optlen = sizeof(us);
	return 0;
}

static int get_area_version(struct mos_ctx *c, const struct asked *a, void *optval,
                            socklen_t *optlen)
{
	uint32_t version;

	if (optval == NULL || optlen == NULL || *optlen < sizeof(version))
		return EINVAL;
	if (mos_flow_area_version(c->shard, a->flow, &version) != 0)
		return ENOSYS;
	memcpy(optval, &version, sizeof(version));
	*optlen = sizeof(version);
	return 0;
}

/* ---- get: streams ---- */

static int get_info(struct mos_ctx *c, const struct asked *a, void *optval, socklen_t *optlen)
{
	struct mos_flow *f = mos_flow_at(&c->flows, a->flow);
	const struct mos_stream *s = &f->stream[a->side];
	const struct mos_half *h = &f->half[a->side];
	struct mos_stream_range unseen;
	struct tcp_buf_info info;
	uint32_t init;
	uint64_t end;

	if (optval == NULL || optlen == NULL || *optlen != sizeof(info) ||
	    (s->flags & MOS_STREAM_OFF))
		return EINVAL;
	if (s->readers == 0 && (h->flags & MOS_HALF_RCVD)) /* nobody has moved it */
		mos_stream_advance(&c->streams, a->flow, a->side, &unseen);
	end = mos_stream_end(&c->streams, a->flow, a->side);
	if (end == 0)
		return ENODATA;
	init = h->irs + 1;
	info.tcpbi_init_seq = init;
	info.tcpbi_last_byte_read = init + (uint32_t)*mos_stream_pos(f, a->side, a->k);
	info.tcpbi_next_byte_expected = init + (uint32_t)s->next;
	info.tcpbi_last_byte_received = init + (uint32_t)end;
	memcpy(optval, &info, sizeof(info));
	return 0;
}

/* The array is the application's and may lie at any address. */
static int get_fragments(struct mos_ctx *c, const struct asked *a, void *optval, socklen_t *optlen)
{
	const struct mos_stream *s = &mos_flow_at(&c->flows, a->flow)->stream[a->side];
	struct tcp_ring_fragment piece = {.len = 0};
	struct mos_stream_range range = {.end = 0};
	uint8_t *out = optval;
	socklen_t n = 0;

	if (optval == NULL || optlen == NULL || *optlen == 0 || (s->flags & MOS_STREAM_OFF))
		return EINVAL;
	while (n < *optlen && mos_stream_held(&c->streams, a->flow, a->side, range.end, &range)) {
		piece.offset = range.from;
		piece.len = (uint32_t)(range.end - range.from);
		memcpy(out + n++ * sizeof(piece), &piece, sizeof(piece));
	}
	if (n < *optlen)
		memset(out + n * sizeof(piece), 0, sizeof(piece));
	*optlen = n;
	return 0;
}

/* ---- get: lengths that are edited ---- */

static int get_remap(struct mos_ctx *c, const struct asked *a, void *optval, socklen_t *optlen)
{
	seq_remap_info info;

	if (optval == NULL || optlen == NULL || *optlen != sizeof(info))
		return EINVAL;
	memcpy(&info, optval, sizeof(info));
	if ((info.side != MOS_SIDE_CLI && info.side != MOS_SIDE_SVR) ||
	    !mos_remap_on(mos_flow_at(&c->flows, a->flow), info.side))
		return EINVAL;
	info.base_seq = mos_remap_decided(&c->remap, a->flow, info.side);
	info.seq_off = (int32_t)(mos_remap_map(&c->remap, a->flow, info.side, info.base_seq) -
	                         info.base_seq);
	memcpy(optval, &info, sizeof(info));
	return 0;
}

/* ---- get: all ---- */

static const struct getter {
	int optname;
	int side;
	int (*get)(struct mos_ctx *c, const struct asked *a, void *optval, socklen_t *optlen);
} getters[] = {
	{MOS_TCP_STATE_CLI, MOS_CLI, get_state},
	{MOS_TCP_STATE_SVR, MOS_SVR, get_state},
	{MOS_TIMESTAMP, MOS_CLI, get_timestamp},
	{MOS_INFO_CLIBUF, MOS_CLI, get_info},
	{MOS_INFO_SVRBUF, MOS_SVR, get_info},
	{MOS_FRAGINFO_CLIBUF, MOS_CLI, get_fragments},
	{MOS_FRAGINFO_SVRBUF, MOS_SVR, get_fragments},
	{MOS_AREA_VERSION, MOS_CLI, get_area_version},
	{MOS_SEQ_REMAP, MOS_CLI, get_remap}, /* of the side that is asked for */
};

static const struct getter *find_getter(int level, int optname)
{
	for (unsigned i = 0; i < sizeof(getters) / sizeof(getters[0]); i++)
		if (level == SOL_MONSOCKET && getters[i].optname == optname)
			return &getters[i];
	return NULL;
}

int mtcp_getsockopt(mctx_t mctx, int sock, int level, int optname, void *optval, socklen_t *optlen)
{
	struct mos_ctx *c = mos_ctx_live(mctx, level == SOL_MONSOCKET);
	const struct getter *g = find_getter(level, optname);
	const struct mos_mon_sock *m;
	struct asked a;
	int err;

	if (c == NULL)
		return -1;
	if (g == NULL)
		return fail(ENOSYS);
	m = mos_socket_of_active(&c->sockets, sock, &a.flow);
	if (m == NULL)
		return fail(mos_socket_mon(&c->sockets, sock) != NULL ? ENOTSOCK : EBADF);
	a.k = (unsigned)m->passive;
	a.side = g->side;
	err = g->get(c, &a, optval, optlen);
	return err == 0 ? 0 : fail(err);
}

/* ---- set ---- */

/* What an option is set on. A passive socket: flow is MOS_FLOW_NONE. */
struct target {
	struct mos_mon_sock *mon; /* the passive socket itself, or that of the active one */
	uint32_t flow;            /* looked at on the stack thread only: flows come and go there */
};

/* 0, EBADF, ENOTSOCK (raw) or EPERM (active, on another thread). */
static int find_target(struct mos_ctx *c, int sock, struct target *t)
{
	int type = mos_socket_type(&c->sockets, sock);

	if (type == MOS_SOCK_UNUSED)
		return EBADF;
	if (type == MOS_SOCK_MONITOR_RAW)
		return ENOTSOCK;
	t->flow = MOS_FLOW_NONE;
	if (type == MOS_SOCK_MONITOR_STREAM)
		t->mon = mos_socket_mon(&c->sockets, sock);
	else if (!mos_on_stack_thread(c))
		return EPERM;
	else
		t->mon = mos_socket_of_active(&c->sockets, sock, &t->flow);
	return t->mon != NULL ? 0 : EBADF; /* closed meanwhile */
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

/*
 * A flow nobody watches any more is forgotten: at once, unless its packet or its end is under way;
 * then the pipeline does it when it is done with that.
 */
static int stop_monitoring(struct mos_ctx *c, const struct target *t, int side)
{
	uint8_t sides = (uint8_t)(side == MOS_SIDE_BOTH ? MOS_BOTH_SIDES : 1 << side);

	if (side != MOS_SIDE_CLI && side != MOS_SIDE_SVR && side != MOS_SIDE_BOTH)
		return EINVAL;
	if (t->flow == MOS_FLOW_NONE)
		return EPERM;
	mos_flow_sock_stop(&t->mon->flows[t->flow], sides);
	mos_flow_not_read_by(c, t->flow, sides, (unsigned)t->mon->passive);
	if (mos_flow_in_hand(c, t->flow))
		c->stopped_flow = t->flow;
	else if (mos_sockets_unwatched(&c->sockets, t->flow))
		mos_flow_forget(c, t->flow);
	return 0;
}

/* What is set of a stream, or of the flow. */
static const struct setting {
	int optname;
	int side;
	int max;        /* 0..max */
	uint8_t flag;   /* of the stream, on or off; 0: the size of its buffer, or of the flow: */
	uint8_t option; /* MOS_SOCK_*, on or off */
} settings[] = {
	{MOS_CLIBUF, MOS_CLI, INT_MAX, 0, 0},
	{MOS_SVRBUF, MOS_SVR, INT_MAX, 0, 0},
	{MOS_CLIOVERLAP, MOS_CLI, MOS_OVERLAP_POLICY_LAST, MOS_STREAM_LAST, 0},
	{MOS_SVROVERLAP, MOS_SVR, MOS_OVERLAP_POLICY_LAST, MOS_STREAM_LAST, 0},
	{MOS_CLIKEEP, MOS_CLI, 1, MOS_STREAM_KEEP, 0},
	{MOS_SVRKEEP, MOS_SVR, 1, MOS_STREAM_KEEP, 0},
	{MOS_DROP_HIDES, MOS_CLI, 1, 0, MOS_SOCK_DROP_HIDES},
	{MOS_LAST_PACKETS, MOS_CLI, 1, 0, MOS_SOCK_LAST_PACKETS},
};

static const struct setting *find_setting(int optname)
{
	for (unsigned i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (settings[i].optname == optname)
			return &settings[i];
	return NULL;
}

static void set_for_flows_to_come(struct mos_mon_sock *m, const struct setting *s, int value)
{
	if (s->option != 0)
		mos_socket_set_option(m, s->option, value != 0);
	else if (s->flag == 0)
		mos_socket_set_buffer(m, s->side, value);
	else
		mos_socket_set_stream_flag(m, s->side, s->flag, value != 0);
}

static int set_for_flow(struct mos_ctx *c, const struct target *t, const struct setting *s,
                        int value)
{
	unsigned k = (unsigned)t->mon->passive;

	if (s->option == MOS_SOCK_LAST_PACKETS)
		return -mos_flow_set_last_packets(c, t->flow, k, value != 0);
	if (s->option == MOS_SOCK_DROP_HIDES) {
		mos_flow_set_drop_hides(c, t->flow, value != 0);
	} else if (s->flag != 0) {
		mos_flow_set_stream_flag(c, t->flow, s->side, s->flag, value != 0);
	} else {
		mos_flow_set_buffer(c, t->flow, s->side, (uint32_t)value);
		mos_flow_read_by(c, t->flow, s->side, k); /* not if value is 0 */
	}
	return 0;
}

static int set_value(struct mos_ctx *c, const struct target *t, const struct setting *s, int value)
{
	if (value < 0 || value > s->max)
		return EINVAL;
	if (t->flow != MOS_FLOW_NONE)
		return set_for_flow(c, t, s, value);
	set_for_flows_to_come(t->mon, s, value);
	return 0;
}

/* s: NULL for MOS_STOP_MON. */
static int set_option(struct mos_ctx *c, int sock, const struct setting *s, const void *optval,
                      socklen_t optlen)
{
	struct target t;
	int value, err;

	err = find_target(c, sock, &t);
	if (err == 0)
		err = read_int(optval, optlen, &value);
	if (err != 0)
		return err;
	return s != NULL ? set_value(c, &t, s, value) : stop_monitoring(c, &t, value);
}

/* ---- set: lengths that are edited ---- */

/* Shifts by the program itself are not built. */
static int edit_lengths(struct mos_ctx *c, const struct target *t, const seq_remap_info *info)
{
	if ((info->side != MOS_SIDE_CLI && info->side != MOS_SIDE_SVR) ||
	    info->seq_off < -UINT16_MAX || info->seq_off > UINT16_MAX)
		return EINVAL;
	if (info->seq_off != 0)
		return t->flow == MOS_FLOW_NONE ? EINVAL : ENOSYS;
	if (t->flow == MOS_FLOW_NONE)
		mos_socket_set_stream_flag(t->mon, !info->side, MOS_WISH_EDITED, true);
	else
		mos_flow_edit_lengths(c, t->flow, info->side);
	return 0;
}

static int set_remap(struct mos_ctx *c, int sock, const void *optval, socklen_t optlen)
{
	seq_remap_info info;
	struct target t;
	int err = find_target(c, sock, &t);

	if (err != 0)
		return err;
	if (optval == NULL)
		return EFAULT;
	if (optlen < sizeof(info))
		return EINVAL;
	memcpy(&info, optval, sizeof(info));
	return edit_lengths(c, &t, &info);
}

/* ---- set: what lies in areas ---- */

static int set_area_version(struct mos_ctx *c, int sock, const void *optval, socklen_t optlen)
{
	struct target t;
	uint32_t version;
	int err = find_target(c, sock, &t);

	if (err != 0)
		return err;
	if (optval == NULL)
		return EFAULT;
	if (optlen < sizeof(version))
		return EINVAL;
	memcpy(&version, optval, sizeof(version));
	if (c->root->settings.flow_area == 0)
		return ENOSYS;
	if (t.flow != MOS_FLOW_NONE)
		return -mos_flow_area_set_version(c->shard, t.flow, version);
	mos_socket_set_area_version(t.mon, version);
	return 0;
}

/* ---- set: all ---- */

int mtcp_setsockopt(mctx_t mctx, int sock, int level, int optname, const void *optval,
                    socklen_t optlen)
{
	MOS_CTX_HELD(c, mctx);
	const struct setting *s = find_setting(optname);
	int err;

	if (c == NULL)
		return -1;
	if (level == SOL_MONSOCKET && optname == MOS_SEQ_REMAP)
		err = set_remap(c, sock, optval, optlen);
	else if (level == SOL_MONSOCKET && optname == MOS_AREA_VERSION)
		err = set_area_version(c, sock, optval, optlen);
	else if (level == SOL_MONSOCKET && (s != NULL || optname == MOS_STOP_MON))
		err = set_option(c, sock, s, optval, optlen);
	else
		err = ENOSYS;
	return err == 0 ? 0 : fail(err);
}
