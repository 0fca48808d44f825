#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/stream/stream_rig_priv.h"

enum { LIMIT_DEFAULT = 16384 };

void rig_wrong(const struct rig *r, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "\n%s, step %llu: ", r->seed != NULL ? r->seed : "streams",
	        (unsigned long long)r->step);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

static void join(struct rig *r)
{
	RIG_CHECK(r, mos_flow_table_join(&r->flows, r->table_mem, r->table_len, NULL) == 0);
	RIG_CHECK(r, mos_streams_join(&r->streams, r->pool_mem, r->pool_len, &r->flows,
	                              &r->counters) == 0);
}

void rig_open(struct rig *r, uint32_t chunks)
{
	r->table_len = mos_flow_table_footprint(RIG_FLOWS);
	r->pool_len = mos_chunk_pool_footprint(chunks);
	RIG_CHECK(r, r->table_len > 0 && r->table_len <= sizeof(r->table_mem));
	RIG_CHECK(r, r->pool_len > 0 && r->pool_len <= sizeof(r->pool_mem));
	memset(r->table_mem, 0xa5, r->table_len); /* nobody may count on zeroes */
	memset(r->pool_mem, 0xa5, r->pool_len);
	memset(&r->counters, 0, sizeof(r->counters));
	r->no_room_bytes = r->gap_bytes = r->overrun_bytes = 0;
	r->in_hand = -1;
	RIG_CHECK(r, mos_flow_table_new(r->table_mem, RIG_FLOWS) == 0);
	RIG_CHECK(r, mos_chunk_pool_new(r->pool_mem, chunks) == 0);
	join(r);
}

void rig_close(struct rig *r)
{
	for (unsigned n = 0; n < RIG_FLOWS; n++)
		if (r->flow[n].live)
			rig_end_flow(r, n);
	RIG_CHECK(r, r->streams.pool.free_count == r->streams.pool.count);
	mos_streams_leave(&r->streams);
	mos_flow_table_leave(&r->flows);
}

/* ---- flows ---- */

struct mos_flow *rig_record(const struct rig *r, unsigned n)
{
	return mos_flow_at(&r->flows, r->flow[n].slot);
}

int rig_side(const struct rig *r, unsigned n, int end)
{
	return end == r->flow[n].cli ? MOS_CLI : MOS_SVR;
}

bool rig_is_on(const struct rig *r, unsigned n, int side)
{
	const struct mos_stream *s = &rig_record(r, n)->stream[side];

	return s->readers != 0 && !(s->flags & MOS_STREAM_OFF);
}

void rig_open_flow(struct rig *r, unsigned n, int client)
{
	struct rig_flow *rf = &r->flow[n];
	struct mos_flow_key key = {.src_port_be = (uint16_t)(n + 1), .ip_version = 4};
	struct mos_flow *f;

	rf->slot = mos_flow_table_insert(&r->flows, &key, n);
	RIG_CHECK(r, rf->slot != MOS_FLOW_NONE);
	rf->live = true;
	rf->noted[MOS_CLI] = rf->noted[MOS_SVR] = false;
	rf->cli = (uint8_t)client;
	f = rig_record(r, n);
	mos_tcp_open(f);
	for (int side = MOS_CLI; side <= MOS_SVR; side++) {
		struct model_stream *m = &rf->in[side];

		m->next = 0;
		model_clear(m);
		memset(m->pos, 0, sizeof(m->pos));
		m->acked = 0;
		m->readers = 0;
		m->last = m->keep = false;
		m->limit = f->stream[side].limit = LIMIT_DEFAULT;
	}
}

void rig_forget_views(struct rig *r, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < r->view_count; i++)
		if (r->view[i].flow != n)
			r->view[kept++] = r->view[i];
	r->view_count = kept;
}

void rig_end_flow(struct rig *r, unsigned n)
{
	struct rig_flow *rf = &r->flow[n];

	rig_check_views(r, n);
	rig_forget_views(r, n);
	mos_streams_free_flow(&r->streams, rf->slot);
	mos_flow_table_remove(&r->flows, rf->slot);
	rf->live = false;
	model_clear(&rf->in[MOS_CLI]);
	model_clear(&rf->in[MOS_SVR]);
}

/* ---- a death ---- */

/* The successor goes by the record; of a torn flow nothing else counts. */
static void adopt(struct rig *r, unsigned n, int side, bool torn)
{
	struct model_stream *m = &r->flow[n].in[side];
	uint64_t target = rig_target(r, n, side);

	if (torn || !rig_is_on(r, n, side))
		model_clear(m);
	rig_check_base(r, n, side);
	if (target < m->next)
		model_fall_back(m, target);
	m->next = target;
	model_give_back(m);
	r->flow[n].noted[side] = false;
	rig_compare(r, n, side);
}

void rig_restart(struct rig *r, int torn)
{
	struct mos_counters *c = &r->counters;

	r->restarts++;
	r->view_count = 0;
	r->in_hand = -1;
	if (torn >= 0)
		rig_record(r, (unsigned)torn)->flags |= MOS_FLOW_TORN;
	mos_streams_leave(&r->streams);
	mos_flow_table_leave(&r->flows);
	join(r);
	r->gap_bytes = mos_counter_get(c, MOS_CTR_W_GAP_BYTES);
	r->overrun_bytes = mos_counter_get(c, MOS_CTR_W_OVERRUN_BYTES);
	r->no_room_bytes = mos_counter_get(c, MOS_CTR_W_NO_ROOM_BYTES);
	for (unsigned n = 0; n < RIG_FLOWS; n++) {
		if (!r->flow[n].live)
			continue;
		adopt(r, n, MOS_CLI, torn == (int)n);
		adopt(r, n, MOS_SVR, torn == (int)n);
		rig_record(r, n)->flags &= (uint8_t)~MOS_FLOW_TORN;
	}
	rig_check_pool(r);
}
