#include "secondary/pipeline/segment_priv.h"

void mos_segment_edited(struct mos_ctx *c, struct mos_work *w, struct mos_flow *f)
{
	c->cur.edited = false;
	mos_counter_add(&c->shard->counters, MOS_CTR_W_EDITED, 1);
	mos_segment_read(w);
	mos_segment_read_ts(w, f);
}
