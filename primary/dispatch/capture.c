#include "primary/dispatch/dispatch_priv.h"

/*
 * Capture files. net_pcap gives a file packet by packet; a burst of 0 is its end, because the pool
 * cannot run empty (primary/memory). The driver's time stamp is in meta data already, in
 * microseconds; order is all that merging needs.
 */

/* Fill the head of a port if it is used up. False when there is nothing any more. */
static bool refill(struct mos_dispatch *d, struct port_io *port)
{
	if (port->head < port->head_count)
		return true;
	if (port->at_end)
		return false;
	port->head = 0;
	port->head_count = rte_eth_rx_burst(port->dpdk_port, 0, port->heads, RX_BURST);
	if (port->head_count == 0 && !port->endless) {
		port->at_end = true;
		__atomic_store_n(&d->p->root->port[port->index].at_end, 1, __ATOMIC_RELAXED);
	}
	return port->head_count > 0;
}

/* The port whose next packet is the oldest; NULL when all have ended. */
static struct port_io *oldest(struct mos_dispatch *d)
{
	struct port_io *best = NULL;
	uint64_t best_ts = UINT64_MAX;

	for (uint32_t i = 0; i < d->port_count; i++) {
		struct port_io *port = &d->port[i];
		uint64_t ts = 0;

		if (!port->capture || !refill(d, port))
			continue;
		if (port->heads[port->head]->ol_flags & d->ts_flag)
			ts = mos_meta(d->p, port->heads[port->head])->ts_ns;
		if (best == NULL || ts < best_ts) {
			best = port;
			best_ts = ts;
		}
	}
	return best;
}

/* Is there a worker for every packet, and room for a burst, whichever way it goes? */
static bool may_read(struct mos_dispatch *d, const struct mos_shard_map *map)
{
	for (uint32_t s = 0; s < d->shard_count; s++) {
		const struct shard_io *io = &d->shard[s];

		if (map->service[s] != MOS_SERVICE_SERVED || mos_backlog_count(io) > 0 ||
		    !mos_shard_io_sound(d, io, io->rx, d->p->ring_size) ||
		    rte_ring_free_count(io->rx) < RX_BURST)
			return false;
	}
	return mos_output_room(d) >= RX_BURST;
}

unsigned mos_capture_read(struct mos_dispatch *d, const struct mos_shard_map *map)
{
	struct rte_mbuf *m[RX_BURST];
	uint8_t from[RX_BURST];
	unsigned n = 0;

	if (d->capture_count == 0 || !may_read(d, map))
		return 0;
	while (n < RX_BURST) {
		struct port_io *port = oldest(d);

		if (port == NULL)
			break;
		from[n] = port->index;
		m[n++] = port->heads[port->head++];
	}
	if (n > 0)
		mos_input_burst(d, map, m, from, n);
	return n;
}

static bool files_ended(const struct mos_dispatch *d)
{
	for (uint32_t i = 0; i < d->port_count; i++) {
		const struct port_io *port = &d->port[i];

		if (port->capture && (!port->at_end || port->head < port->head_count))
			return false;
	}
	return d->capture_count > 0;
}

static bool shard_is_dry(const struct shard_io *s, enum mos_service service)
{
	return service != MOS_SERVICE_PARKED && mos_backlog_count(s) == 0 &&
	       rte_ring_empty(s->rx) && rte_ring_empty(s->tx) &&
	       __atomic_load_n(&s->shard->ledger.count, __ATOMIC_ACQUIRE) == 0;
}

/*
 * Empty rings alone do not prove it: a worker may be at work behind its last packet (timers that
 * send). Two full rounds of its loop after the rings were seen empty do.
 */
static bool rounds_have_passed(struct mos_dispatch *d)
{
	for (uint32_t s = 0; s < d->shard_count; s++) {
		const struct mos_lease *l = &d->shard[s].shard->lease;

		if (mos_lease_state(l) != MOS_LEASE_FREE &&
		    __atomic_load_n(&l->heartbeat, __ATOMIC_RELAXED) - d->dry_beat[s] < 2)
			return false;
	}
	return true;
}

bool mos_capture_all_done(struct mos_dispatch *d, const struct mos_shard_map *map)
{
	if (d->end_reported || !files_ended(d))
		return false;
	for (uint32_t s = 0; s < d->shard_count; s++) {
		if (!shard_is_dry(&d->shard[s], (enum mos_service)map->service[s])) {
			d->dry = false;
			return false;
		}
	}
	if (mos_output_room(d) < TX_BATCH)
		return false;
	if (!d->dry) {
		for (uint32_t s = 0; s < d->shard_count; s++)
			d->dry_beat[s] = __atomic_load_n(&d->shard[s].shard->lease.heartbeat,
			                                 __ATOMIC_RELAXED);
		d->dry = true;
		return false;
	}
	return rounds_have_passed(d);
}
