#include "primary/dispatch/dispatch_priv.h"

#include <errno.h>
#include <unistd.h>

#include "primary/memory/reclaim.h"

/* The fail policy for a packet that no worker will see. Takes the packet. */
static void unmonitored(struct mos_dispatch *d, struct rte_mbuf *m, bool ring_full)
{
	const struct mos_pkt_meta *meta = mos_meta(d->p, m);

	if (!d->fail_open) {
		drop(d, m, ring_full ? MOS_CTR_DROP_RING_FULL : MOS_CTR_DROP_NO_WORKER);
	} else if (meta->verdict != MOS_VERDICT_FORWARD || meta->out_port >= d->port_count) {
		drop(d, m, MOS_CTR_DROP_NO_PAIR);
	} else {
		count(d, ring_full ? MOS_CTR_UNMONITORED_RING : MOS_CTR_UNMONITORED_NOWORKER, 1);
		mos_output_put(d, m, meta->out_port);
	}
}

/*
 * Hand packets to the worker. The owner mark is set just for those in the ring: the audit after a
 * death frees what is marked and in no ring. Returns how many went in.
 */
static unsigned ring_put(struct mos_dispatch *d, struct shard_io *s, struct rte_mbuf **m,
                         unsigned n)
{
	unsigned done;

	for (unsigned i = 0; i < n; i++)
		mos_meta(d->p, m[i])->owner = (uint8_t)(s->index + 1);
	done = rte_ring_sp_enqueue_burst(s->rx, (void **)m, n, NULL);
	for (unsigned i = done; i < n; i++)
		mos_meta(d->p, m[i])->owner = MOS_OWNER_PRIMARY;
	count(d, MOS_CTR_TO_SHARD, done);
	d->p->marked[s->index] += done;
	return done;
}

/* Append to the backlog; what does not fit gets the fail policy. */
static void backlog_put(struct mos_dispatch *d, struct shard_io *s, struct rte_mbuf **m, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (mos_backlog_count(s) == MOS_BACKLOG_SIZE)
			unmonitored(d, m[i], false);
		else
			s->backlog[s->tail++ % MOS_BACKLOG_SIZE] = m[i];
	}
}

/* A worker reads the ring, or a successor will. */
static bool ring_in_use(const struct mos_dispatch *d, enum mos_service service)
{
	return service == MOS_SERVICE_SERVED || service == MOS_SERVICE_HELD ||
	       (service == MOS_SERVICE_UNSERVED && d->offline);
}

void mos_shard_io_damaged(struct mos_dispatch *d, const struct shard_io *s)
{
	static const uint64_t one = 1;
	uint32_t bit = 1u << s->index;

	if (__atomic_fetch_or(&d->p->damaged, bit, __ATOMIC_RELEASE) & bit)
		return;
	if (d->p->wake_fd >= 0 && write(d->p->wake_fd, &one, sizeof(one)) < 0)
		errno = 0; /* it is awake already, or looks within its next tick */
}

static void flush_shard(struct mos_dispatch *d, struct shard_io *s, enum mos_service service)
{
	unsigned n = s->staged, done = 0;

	s->staged = 0;
	/* Behind what waits already, or packets of a flow would overtake each other. */
	if (service == MOS_SERVICE_PARKED || mos_backlog_count(s) > 0) {
		backlog_put(d, s, s->stage, n);
		return;
	}
	if (mos_unlikely(!mos_shard_io_sound(d, s, s->rx, d->p->ring_size)))
		service = MOS_SERVICE_UNSERVED;
	/* Nobody reads an UNSERVED shard's ring, but what is in it goes first: line up behind. */
	else if (ring_in_use(d, service) || !rte_ring_empty(s->rx))
		done = ring_put(d, s, s->stage, n);
	for (unsigned i = done; i < n; i++)
		unmonitored(d, s->stage[i], service != MOS_SERVICE_UNSERVED);
}

void mos_shard_io_flush(struct mos_dispatch *d, const struct mos_shard_map *map)
{
	uint32_t todo = d->staged_shards;

	d->staged_shards = 0;
	while (todo != 0) {
		uint32_t s = (uint32_t)__builtin_ctz(todo);

		todo &= todo - 1;
		flush_shard(d, &d->shard[s], (enum mos_service)map->service[s]);
	}
}

/*
 * Nobody reads the ring of an UNSERVED shard: the supervisor sets SERVED, and waits for the grace
 * period, before it tells a worker that the shard is its own.
 */
static unsigned drain_unserved(struct mos_dispatch *d, struct shard_io *s)
{
	unsigned moved = 0, n;
	void *obj[RX_BURST];

	do {
		n = rte_ring_sc_dequeue_burst(s->rx, obj, RX_BURST, NULL);
		for (unsigned i = 0; i < n; i++) {
			struct rte_mbuf *m = mos_packet_reclaim(d->p, s->index, obj[i]);

			if (m == NULL)
				count(d, MOS_CTR_GARBAGE, 1);
			else
				unmonitored(d, m, false);
		}
		moved += n;
	} while (n == RX_BURST && moved < RX_DRAIN);
	return moved;
}

static unsigned drain_backlog(struct mos_dispatch *d, struct shard_io *s, bool to_ring)
{
	unsigned moved = 0;

	while (mos_backlog_count(s) > 0) {
		uint32_t at = s->head % MOS_BACKLOG_SIZE;
		unsigned n = RTE_MIN(mos_backlog_count(s), (uint32_t)MOS_BACKLOG_SIZE - at);

		if (to_ring) {
			n = ring_put(d, s, s->backlog + at, n);
		} else {
			for (unsigned i = 0; i < n; i++)
				unmonitored(d, s->backlog[at + i], false);
		}
		if (n == 0)
			break;
		s->head += n;
		moved += n;
	}
	return moved;
}

unsigned mos_shard_io_service(struct mos_dispatch *d, struct shard_io *s, enum mos_service service)
{
	unsigned moved = 0;

	if (service == MOS_SERVICE_PARKED)
		return 0;
	if (mos_unlikely(!mos_shard_io_sound(d, s, s->rx, d->p->ring_size)))
		return drain_backlog(d, s, false);
	if (ring_in_use(d, service))
		return mos_backlog_count(s) > 0 ? drain_backlog(d, s, true) : 0;
	if (!rte_ring_empty(s->rx))
		moved = drain_unserved(d, s);
	if (mos_backlog_count(s) > 0 && rte_ring_empty(s->rx))
		moved += drain_backlog(d, s, false);
	return moved;
}

void mos_shard_io_blanks(struct mos_dispatch *d, struct shard_io *s)
{
	const uint32_t want = MOS_BLANK_BATCH;
	struct rte_mbuf *m[MOS_BLANK_BATCH];

	if (mos_unlikely(!mos_shard_io_sound(d, s, s->blank, 2 * MOS_BLANK_SIZE)) ||
	    rte_ring_count(s->blank) + want > d->p->blank_size)
		return;
	if (rte_pktmbuf_alloc_bulk(d->p->pool, m, want) < 0)
		return;
	for (uint32_t i = 0; i < want; i++) {
		struct mos_pkt_meta *meta = mos_meta(d->p, m[i]);

		*meta = (struct mos_pkt_meta){.owner = (uint8_t)(s->index + 1)};
	}
	if (rte_ring_sp_enqueue_bulk(s->blank, (void **)m, want, NULL) != 0) {
		d->p->marked[s->index] += want;
		return;
	}
	/*
	 * The worker bent the ring's positions. With its mark the audit would free an mbuf twice.
	 */
	for (uint32_t i = 0; i < want; i++)
		mos_meta(d->p, m[i])->owner = MOS_OWNER_PRIMARY;
	rte_pktmbuf_free_bulk(m, want);
}
