#include "secondary/edit/edit.h"
#include "secondary/pipeline/segment_priv.h"

void mos_segment_edited(struct mos_ctx *c, struct mos_work *w, struct mos_flow *f)
{
	c->cur.edited = false;
	mos_edit_settle(&c->cur, c->root->hash_seed);
	mos_segment_read(w);
	mos_segment_read_ts(w, f);
	if (mos_unlikely(w->remapped)) {
		w->seg.seq = w->canonical.seq;
		w->seg.ack = w->canonical.ack;
	}
}
