#include "apps/bytecount/flow_count.h"

void flow_count_init(struct flow_count *f, bool joined, uint64_t now_ns)
{
	*f = (struct flow_count){.joined = joined, .begin_ns = now_ns, .end_ns = now_ns};
}

void flow_count_fini(struct flow_count *f)
{
	ranges_fini(&f->direction[TO_SERVER].seen);
	ranges_fini(&f->direction[TO_CLIENT].seen);
}

/* The offset of a sequence number; right within 2 GB of what is seen or acknowledged without hole. */
static uint64_t offset_of(const struct direction *d, uint32_t seq)
{
	uint64_t near = d->acked > d->seen.base ? d->acked : d->seen.base;
	int32_t away = (int32_t)(seq - (d->seq_begin + (uint32_t)near));

	return away < 0 && near < (uint64_t) - (int64_t)away ? 0 : near + (uint64_t)(int64_t)away;
}

/* The first packet that says where the stream begins, or goes on. */
static void begin(struct direction *d, const struct segment *s)
{
	d->begun = true;
	d->seq_begin = s->seq + s->syn - (uint32_t)s->offset;
	ranges_init(&d->seen, s->syn ? 0 : s->offset);
}

/* Keep-alive probes bring a byte that lies before the first one. */
static uint64_t count_payload(struct direction *d, const struct segment *s)
{
	uint32_t before = s->offset == 0 ? d->seq_begin - (s->seq + s->syn) : 0;

	d->volume.payload += s->payload_bytes;
	if (before >= s->payload_bytes)
		return 0;
	return ranges_add(&d->seen, s->offset, s->offset + s->payload_bytes - before);
}

static void count_ack(struct direction *d, uint32_t ack_seq)
{
	uint64_t acked = offset_of(d, ack_seq);

	if (d->fin && acked > d->fin_at)
		acked = d->fin_at;
	if (acked > d->acked)
		d->acked = acked;
}

uint64_t flow_count_packet(struct flow_count *f, int direction, const struct segment *s)
{
	struct direction *d = &f->direction[direction], *peer = &f->direction[!direction];
	uint64_t added;

	f->end_ns = s->time_ns;
	d->volume.packets++;
	d->volume.ip_bytes += s->ip_bytes;
	if (!d->begun && (s->syn || s->fin || s->payload_bytes > 0))
		begin(d, s);
	added = s->payload_bytes > 0 ? count_payload(d, s) : 0;
	d->volume.unique += added;
	if (s->fin && !d->fin) {
		d->fin = true;
		d->fin_at = offset_of(d, s->seq + s->syn + s->payload_bytes);
	}
	if (s->ack && peer->begun)
		count_ack(peer, s->ack_seq);
	return added;
}

struct volume flow_count_volume(const struct flow_count *f, int direction)
{
	const struct direction *d = &f->direction[direction];
	struct volume v = d->volume;

	v.missed = ranges_missing(&d->seen, d->acked);
	return v;
}

const char *flow_count_reason(const struct flow_count *f)
{
	if (f->direction[TO_SERVER].fin && f->direction[TO_CLIENT].fin)
		return "fin";
	return f->reset ? "rst" : "timeout";
}
