#include "secondary/pipeline/flow_option.h"

#include <rte_mbuf.h>

#include "secondary/edit/chain.h"

static void set_flag(struct mos_ctx *c, uint32_t flow, uint8_t flag, bool on)
{
	if (on)
		c->flow_flags[flow] |= flag;
	else
		c->flow_flags[flow] &= (uint8_t)~flag;
}

void mos_flow_set_drop_hides(struct mos_ctx *c, uint32_t flow, bool on)
{
	set_flag(c, flow, MOS_FF_DROP_HIDES, on);
}

static int ask(struct mos_ctx *c, uint32_t flow, uint8_t socks)
{
	int err = mos_last_watch(&c->last, flow, socks);

	if (err == 0)
		set_flag(c, flow, MOS_FF_LAST, true);
	return err;
}

int mos_flow_set_last_packets(struct mos_ctx *c, uint32_t flow, unsigned k, bool on)
{
	if (on)
		return ask(c, flow, (uint8_t)(1 << k));
	set_flag(c, flow, MOS_FF_LAST, mos_last_unwatch(&c->last, flow, (uint8_t)(1 << k)));
	return 0;
}

void mos_flow_begin_options(struct mos_ctx *c, uint32_t flow)
{
	struct mos_flow_wish w = mos_sockets_flow_wish(&c->sockets, flow);

	mos_flow_set_drop_hides(c, flow, w.drop_hides != 0);
	if (w.last_packets != 0)
		ask(c, flow, w.last_packets); /* without memory: mtcp_getlastpkt says ENODATA */
}

void mos_flow_end_options(struct mos_ctx *c, uint32_t flow)
{
	if (mos_unlikely(mos_flow_keeps_packets(c, flow)))
		mos_last_free(&c->last, flow);
}

void mos_flow_keep_packet(struct mos_ctx *c, uint32_t flow, int from)
{
	const struct rte_mbuf *m = c->cur.mbuf;
	uint32_t len = RTE_MIN(m->pkt_len, (uint32_t)MOS_SCRATCH_BYTES);
	struct mos_last_packet *p = mos_last_keep(&c->last, flow, from, len);

	if (p == NULL)
		return;
	mos_chain_read(m, 0, p->frame, len);
	p->frame_len = m->pkt_len;
	p->now_ms = c->now_ms;
	p->meta = *c->cur.meta;
}
