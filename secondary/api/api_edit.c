/* Changing the packet in hand: specification section 8.2. */
#include <errno.h>

#include "secondary/api/api_priv.h"
#include "secondary/edit/edit.h"
#include "secondary/pipeline/pipeline.h"
#include "secondary/worker.h"

#define ACTIONS (MOS_DROP | MOS_OVERWRITE | MOS_CHOMP | MOS_INSERT)

static void count(struct mos_ctx *c)
{
	if (c->cur.edit & MOS_EDIT_COUNTED)
		return;
	c->cur.edit |= MOS_EDIT_COUNTED;
	mos_counter_add(&c->shard->counters, MOS_CTR_W_EDITED, 1);
}

/* Bytes of the payload come or go: 0, or why that cannot be. */
static int note(struct mos_ctx *c, const struct mos_edit *e)
{
	if (!mos_edit_of_payload(e) || (e->option & MOS_OVERWRITE))
		return 0;
	return mos_flow_note_edit(c, (uint32_t)e->offset, e->option & MOS_CHOMP ? e->len : 0,
	                          e->option & MOS_INSERT ? e->len : 0);
}

/* 0 or -errno; then nothing has changed. */
static int edit(struct mos_ctx *c, const struct mos_edit *e)
{
	int err = mos_edit_check(e);

	if (err != 0)
		return err;
	err = note(c, e);
	if (err != 0)
		return err;
	if (mos_edit_of_payload(e))
		mos_stream_detach_tail(&c->streams); /* what its receiver has got does not change */
	mos_edit_apply(e);
	mos_edit_update(e->cur, e->seed, e->option);
	count(c);
	return 0;
}

int mtcp_setlastpkt(mctx_t mctx, int sock, int side, off_t offset, byte *data, uint16_t datalen,
                    int option)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);
	struct mos_edit e;
	int err;

	if (c == NULL)
		return -1;
	if (c->cur.mbuf == NULL)
		return fail(ENODATA);
	if (offset < 0)
		return fail(EINVAL);
	if (__builtin_popcount((unsigned)option & ACTIONS) != 1)
		return fail(EAGAIN);
	if (option & MOS_DROP) {
		c->cur.meta->verdict = MOS_VERDICT_DROP;
		return 0;
	}
	e = (struct mos_edit){
		.cur = &c->cur,
		.seed = c->root->hash_seed,
		.mtu = mos_edit_mtu(c->root, c->cur.meta),
		.option = option,
		.offset = offset,
		.data = data,
		.len = datalen,
	};
	err = edit(c, &e);
	return err == 0 ? 0 : fail(-err);
}
