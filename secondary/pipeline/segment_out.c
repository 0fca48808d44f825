/*
 * Flows whose addresses or ports are translated: the second key, and packets that must not go out
 * as they came in.
 */
#include "secondary/pipeline/segment_priv.h"

#include "shared/flow_table/flow_hash.h"

void mos_segment_out(struct mos_ctx *c, const struct mos_work *w, const struct mos_flow *f)
{
	if (w->meta->verdict == MOS_VERDICT_DROP)
		return; /* the server does not see it */
	if (mos_flow_table_set_out(&c->flows, w->flow, &w->key,
	                           mos_flow_key_hash(&w->key, c->root->hash_seed)) == 0)
		return;
	/* The answers would not be recognised. */
	mos_counter_add(&c->shard->counters, MOS_CTR_W_FLOW_TABLE_FULL, 1);
	w->meta->verdict = MOS_VERDICT_DROP;
}

bool mos_segment_passes_by(struct mos_ctx *c, const struct mos_work *w, const struct mos_flow *f)
{
	bool struck = f->strikes >= MOS_STRIKES_MAX;

	if (!struck && mos_segment_opens(w, f))
		return false; /* it will have one again */
	if (f->flags & MOS_FLOW_TRANSLATED) {
		mos_counter_add(&c->shard->counters, MOS_CTR_W_REMAP_LOST, 1);
		w->meta->verdict = MOS_VERDICT_DROP;
	} else {
		mos_counter_add(&c->shard->counters, MOS_CTR_W_PASSED_SUSPECT, 1);
	}
	return true;
}
