/* Filters, callbacks and user-defined events: specification sections 3.2 and 5. */
#include <errno.h>
#include <stdio.h>

#include "mos_ext.h"
#include "secondary/api/api_priv.h"
#include "secondary/event/event.h"
#include "secondary/filter/filter.h"
#include "secondary/worker.h"

/* ---- filters ---- */

#define WHY_LEN 256 /* bytes of a reason */

static _Thread_local char filter_error[WHY_LEN + 16];

const char *mtcp_filter_error(void)
{
	return filter_error;
}

/* Compile one expression of a socket; none is fine. 0 or -errno, with the reason for -EINVAL. */
static int compile(struct mos_filter **out, const char *expr, const char *which)
{
	char why[WHY_LEN] = "";
	int err;

	if (expr == NULL)
		return 0;
	err = mos_filter_compile(out, expr, why, sizeof(why));
	if (err == -EINVAL)
		snprintf(filter_error, sizeof(filter_error), "%s filter: %s", which, why);
	return err;
}

/* All that ft asks for, or nothing. */
static int compile_all(struct mos_filter *f[MOS_FILTER_USES], int type, monitor_filter_t ft)
{
	int err;

	if (type == MOS_SOCK_MONITOR_RAW)
		return compile(&f[MOS_FILTER_RAW], ft->raw_pkt_filter, "raw");
	err = compile(&f[MOS_FILTER_SYN], ft->stream_syn_filter, "syn");
	if (err == 0)
		err = compile(&f[MOS_FILTER_ORPHAN], ft->stream_orphan_filter, "orphan");
	if (err != 0)
		mos_filter_destroy(f[MOS_FILTER_SYN]);
	return err;
}

int mtcp_bind_monitor_filter(mctx_t mctx, int sock, monitor_filter_t ft)
{
	MOS_CTX_HELD(c, mctx);
	struct mos_filter *f[MOS_FILTER_USES] = {NULL};
	int type, err;

	if (c == NULL)
		return -1;
	if (ft == NULL)
		return 0;
	type = mos_socket_type(&c->sockets, sock);
	if (type == MOS_SOCK_UNUSED)
		return fail(EBADF);
	if (type != MOS_SOCK_MONITOR_RAW && type != MOS_SOCK_MONITOR_STREAM)
		return fail(ENOPROTOOPT);
	err = compile_all(f, type, ft);
	if (err == 0)
		err = mos_socket_bind(&c->sockets, sock, f);
	return err == 0 ? 0 : fail(-err);
}

/* ---- callbacks ---- */

int mtcp_register_callback(mctx_t mctx, int sock, event_t event, int hook_point, callback_t cb)
{
	MOS_CTX_HELD(c, mctx);
	enum mos_hook hook;
	unsigned root_bit;
	int err;

	if (c == NULL)
		return -1;
	err = mos_hook_from(hook_point, &hook);
	if (err == 0)
		err = mos_event_check(event, hook, &root_bit);
	if (err == 0)
		err = mos_socket_register(&c->sockets, sock, event, hook, cb);
	return err == 0 ? 0 : fail(-err);
}

/* ---- user-defined events ---- */

static event_t event_or_none(int err, event_t id)
{
	if (err == 0)
		return id;
	errno = -err;
	return MOS_NULL_EVENT;
}

event_t mtcp_define_event(event_t base, filter_t filter, struct filter_arg *arg)
{
	event_t id = MOS_NULL_EVENT;
	int err = mos_ude_define(base, filter, arg, &id);

	return event_or_none(err, id);
}

event_t mtcp_alloc_event(event_t parent)
{
	event_t id = MOS_NULL_EVENT;
	int err = mos_ude_alloc(parent, &id);

	return event_or_none(err, id);
}

int mtcp_raise_event(mctx_t mctx, event_t child)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);
	int err;

	if (c == NULL)
		return -1;
	err = mos_event_raise(c, child);
	return err == 0 ? 0 : fail(-err);
}
