/* What a program asks that takes over the flows of another, or whose flows are taken over. */
#include <errno.h>

#include "mos_ext.h"
#include "secondary/api/api_priv.h"
#include "secondary/pipeline/pipeline.h"
#include "secondary/worker.h"

int mtcp_restoring(mctx_t mctx)
{
	const struct mos_ctx *c = mos_ctx_live(mctx, true);

	return c != NULL ? c->to_restore != NULL : -1;
}

int mtcp_handed_over(mctx_t mctx)
{
	MOS_CTX_HELD(c, mctx);

	return c != NULL ? atomic_load_explicit(&c->handed_over, memory_order_acquire) : -1;
}

/* ---- mtcp_foreach_flow ---- */

#define BEAT_EVERY 256 /* flows: a long walk is no stall */

typedef int (*flow_cb)(mctx_t mctx, int sock, void *arg);

/* The flow is on this socket, and it has not turned its back on it. */
static bool is_watched(const struct mos_mon_sock *m, uint32_t flow)
{
	const struct mos_flow_sock *a = &m->flows[flow];

	return atomic_load_explicit(&a->set, memory_order_relaxed) != NULL &&
	       !(a->stopped >> MOS_SIDE_BOTH & 1);
}

/*
 * Any flow may end in a callback, and none begins: so the record behind the last one is where to go
 * on. A closed socket keeps its entries until this round is over.
 */
static int walk(struct mos_ctx *c, int sock, const struct mos_mon_sock *m, flow_cb cb, void *arg)
{
	uint32_t told = 0;
	int res = 0;

	for (uint32_t i = mos_flow_table_next(&c->flows, 0);
	     i != MOS_FLOW_NONE && res == 0 && mos_socket_mon(&c->sockets, sock) == m;
	     i = mos_flow_table_next(&c->flows, i + 1)) {
		if (!is_watched(m, i))
			continue;
		res = cb(&c->api, mos_active_id(&c->sockets, m->passive, i), arg);
		if (++told % BEAT_EVERY == 0)
			mos_lease_beat(&c->shard->lease);
	}
	return res;
}

/* Restoring names flows in the ledger, so there must not be one already, nor a packet. */
static bool may_restore(const struct mos_ctx *c)
{
	const struct mos_ledger *ledger = &c->shard->ledger;

	return !mos_ledger_in_hand(ledger) && ledger->flow == MOS_FLOW_NONE;
}

int mtcp_foreach_flow(mctx_t mctx, int sock, flow_cb cb, void *arg)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);
	const struct mos_mon_sock *m;
	struct rte_mbuf *at_hand;
	int res;

	if (c == NULL)
		return -1;
	m = mos_socket_mon(&c->sockets, sock);
	if (m == NULL)
		return fail(EBADF);
	if (cb == NULL || m->type != MOS_SOCK_MONITOR_STREAM)
		return fail(EINVAL);
	if (c->to_restore != NULL) {
		if (!may_restore(c))
			return fail(EAGAIN);
		mos_restore_all(c);
	}
	at_hand = c->cur.mbuf;
	c->cur.mbuf = NULL; /* it is of one flow alone */
	res = walk(c, sock, m, cb, arg);
	c->cur.mbuf = at_hand;
	return res;
}
