#include "secondary/remap/remap.h"

#include <string.h>

#include "shared/kill_point/kill_point.h"

void mos_remap_init(struct mos_remap *r, struct mos_chunk_pool *pool, struct mos_flow_table *flows)
{
	memset(r, 0, sizeof(*r));
	r->pool = pool;
	r->flows = flows;
	r->flow = MOS_FLOW_NONE;
}

void mos_remap_switch_on(struct mos_flow *f, int from, bool known, uint32_t decided)
{
	if (mos_remap_on(f, from))
		return;
	f->decided[from] = decided;
	f->remap[from] = known ? MOS_REMAP_KNOWN : 0;
	mos_kill_point("remap.switch_on");
	mos_flow_write_begin(f);
	f->flags |= (uint8_t)(MOS_FLOW_REMAP << from);
	mos_kill_point("remap.switched_on");
	mos_flow_write_end(f);
}

void mos_remap_restart(struct mos_remap *r, uint32_t flow, int from, uint32_t decided)
{
	struct mos_flow *f = mos_flow_at(r->flows, flow);

	/* Not known, then free: whoever dies in between leaves a stream that begins anew. */
	__atomic_store_n(&f->remap[from], 0, __ATOMIC_RELEASE);
	mos_kill_point("remap.restart");
	mos_chunk_put_all(r->pool, &f->edits[from]);
	mos_kill_point("remap.restart_freed");
	f->decided[from] = decided;
	mos_kill_point("remap.restart_decided");
	__atomic_store_n(&f->remap[from], MOS_REMAP_KNOWN, __ATOMIC_RELEASE);
}

void mos_remap_free_flow(struct mos_remap *r, uint32_t flow)
{
	struct mos_flow *f = mos_flow_at(r->flows, flow);

	mos_chunk_put_all(r->pool, &f->edits[MOS_CLI]);
	mos_kill_point("remap.free_flow");
	mos_chunk_put_all(r->pool, &f->edits[MOS_SVR]);
}
