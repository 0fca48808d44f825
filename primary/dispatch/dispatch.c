#include "primary/dispatch/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_mbuf_dyn.h>

#include "primary/dispatch/dispatch_priv.h"
#include "primary/ports/ports.h"

enum {
	SPIN_ROUNDS = 64, /* without work, before the loop sleeps */
	NAP_MIN_NS = 50000,
	NAP_MAX_NS = 200000,
	TIMER_SLACK_NS = 1000,
	LAST_ROUNDS = 4096,
};

/* ---- life cycle ---- */

static void init_port(struct mos_dispatch *d, uint32_t i)
{
	const struct mos_port_row *row = &d->p->root->port[i];
	const struct mos_port *cfg = d->p->ports ? &d->p->ports->port[i] : NULL;
	struct port_io *port = &d->port[i];

	port->dpdk_port = row->dpdk_port;
	port->index = (uint8_t)i;
	port->pair = row->pair;
	port->capture = row->lossless != 0;
	port->endless = cfg != NULL && cfg->endless;
	port->running = cfg == NULL || cfg->running;
	port->link_up = row->link_up != 0;
	port->ip_max = cfg != NULL && cfg->any_length ? UINT32_MAX / 2 : row->mtu;
	port->no_chains = cfg != NULL && !cfg->chains;
	d->capture_count += port->capture;
}

static void init_shard(struct mos_dispatch *d, uint32_t i)
{
	const struct mos_shard_guard *g = &d->p->guard[i];

	d->shard[i].shard = g->shard;
	d->shard[i].index = i;
	d->shard[i].rx = g->rx;
	d->shard[i].tx = g->tx;
	d->shard[i].blank = g->blank;
}

int mos_dispatch_create(struct mos_dispatch **out, struct mos_primary *p)
{
	struct mos_dispatch *d = calloc(1, sizeof(*d));
	int flag;

	if (d == NULL)
		return -ENOMEM;
	d->shard = calloc(p->root->shard_count, sizeof(*d->shard));
	d->port = calloc(p->root->port_count, sizeof(*d->port));
	if (d->shard == NULL || d->port == NULL) {
		free(d->shard);
		free(d->port);
		free(d);
		return -ENOMEM;
	}
	d->p = p;
	d->ctr = &p->root->io;
	d->hash_seed = p->root->hash_seed;
	d->forward = p->cfg.forward;
	d->fail_open = p->cfg.fail_policy == MOS_CONFIG_FAIL_OPEN;
	d->clock_packet = p->cfg.clock == MOS_CONFIG_CLOCK_PACKET;
	d->idle_poll = p->cfg.idle == MOS_CONFIG_IDLE_POLL;
	d->tsc_hz = rte_get_tsc_hz();
	d->nap_ns = NAP_MIN_NS;
	flag = rte_mbuf_dynflag_lookup(RTE_MBUF_DYNFLAG_RX_TIMESTAMP_NAME, NULL);
	d->ts_flag = flag < 0 ? 0 : UINT64_C(1) << flag;

	d->shard_count = p->root->shard_count;
	for (uint32_t i = 0; i < d->shard_count; i++)
		init_shard(d, i);
	d->port_count = p->root->port_count;
	for (uint32_t i = 0; i < d->port_count; i++)
		init_port(d, i);
	d->patient = d->capture_count > 0;
	d->offline = d->capture_count > 0 && d->capture_count == d->port_count;

	mos_shard_map_reader_start();
	mos_shard_map_offline();
	p->dispatch = d;
	*out = d;
	return 0;
}

void mos_dispatch_destroy(struct mos_dispatch *d)
{
	for (uint32_t i = 0; i < d->shard_count; i++) {
		struct shard_io *s = &d->shard[i];

		for (; s->head != s->tail; s->head++)
			rte_pktmbuf_free(s->backlog[s->head % MOS_BACKLOG_SIZE]);
	}
	for (uint32_t i = 0; i < d->port_count; i++) {
		struct port_io *port = &d->port[i];

		rte_pktmbuf_free_bulk(port->out, port->out_count);
		rte_pktmbuf_free_bulk(port->heads + port->head, port->head_count - port->head);
	}
	mos_shard_map_reader_stop();
	d->p->dispatch = NULL;
	free(d->shard);
	free(d->port);
	free(d);
}

uint32_t mos_dispatch_held(const struct mos_dispatch *d)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < d->shard_count; i++)
		sum += mos_backlog_count(&d->shard[i]) + d->shard[i].staged;
	for (uint32_t i = 0; i < d->port_count; i++)
		sum += d->port[i].out_count + d->port[i].head_count - d->port[i].head;
	return sum;
}

/* ---- the round ---- */

/* Ten times a second: what needs system calls or is not worth a look in each round. */
static void slow_round(struct mos_dispatch *d, const struct mos_shard_map *map)
{
	if (d->p->ports != NULL)
		mos_ports_poll_links(d->p->ports, d->p->root);
	for (uint32_t i = 0; i < d->port_count; i++) {
		if (d->p->ports != NULL)
			d->port[i].running = d->p->ports->port[i].running;
		d->port[i].link_up = d->p->root->port[i].link_up != 0;
	}
	for (uint32_t s = 0; s < d->shard_count; s++)
		if (map->service[s] != MOS_SERVICE_PARKED)
			mos_shard_io_blanks(d, &d->shard[s]);
	d->next_slow = rte_rdtsc() + d->tsc_hz / 10;
}

/* What workers gave back goes out before anything new comes in. */
static unsigned round_out(struct mos_dispatch *d, const struct mos_shard_map *map)
{
	unsigned work = 0;

	for (uint32_t i = 0; i < d->shard_count; i++) {
		struct shard_io *s = &d->shard[i];
		enum mos_service service = (enum mos_service)map->service[i];
		unsigned n;

		if (service == MOS_SERVICE_PARKED)
			continue;
		n = mos_output_drain(d, s);
		if (n > 0)
			mos_shard_io_blanks(d, s);
		work += n + mos_shard_io_service(d, s, service);
	}
	return work;
}

static bool round_with(struct mos_dispatch *d, bool input)
{
	const struct mos_shard_map *map = mos_shard_map_get();
	unsigned work = round_out(d, map);

	if (input) {
		work += mos_input_live(d, map);
		work += mos_capture_read(d, map);
	}
	work += mos_output_flush(d);
	if (mos_unlikely(rte_rdtsc() >= d->next_slow))
		slow_round(d, map);
	mos_shard_map_quiescent();
	return work > 0;
}

bool mos_dispatch_round(struct mos_dispatch *d)
{
	return round_with(d, true);
}

/* Nothing to do: spin a little, then sleep a little, offline so that no grace period waits. */
static void idle(struct mos_dispatch *d)
{
	const struct timespec nap = {.tv_nsec = d->nap_ns};

	if (d->idle_poll || d->idle_rounds++ < SPIN_ROUNDS) {
		mos_pause();
		return;
	}
	mos_shard_map_offline();
	nanosleep(&nap, NULL);
	mos_shard_map_online();
	d->nap_ns = RTE_MIN(2 * d->nap_ns, (uint32_t)NAP_MAX_NS);
}

static void busy(struct mos_dispatch *d)
{
	d->idle_rounds = 0;
	d->nap_ns = NAP_MIN_NS;
}

static enum mos_dispatch_event next_event(struct mos_dispatch *d)
{
	if (mos_unlikely(__atomic_load_n(&d->p->stop, __ATOMIC_RELAXED) != 0))
		return MOS_DISPATCH_STOP;
	if (mos_unlikely(__atomic_load_n(&d->p->report, __ATOMIC_RELAXED) != 0)) {
		__atomic_store_n(&d->p->report, 0, __ATOMIC_RELAXED);
		return MOS_DISPATCH_REPORT;
	}
	return MOS_DISPATCH_NOTHING;
}

enum mos_dispatch_event mos_dispatch_run(struct mos_dispatch *d)
{
	enum mos_dispatch_event event;

	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	mos_shard_map_online();
	while ((event = next_event(d)) == MOS_DISPATCH_NOTHING) {
		if (mos_dispatch_round(d)) {
			busy(d);
			continue;
		}
		if (mos_capture_all_done(d, mos_shard_map_get())) {
			d->end_reported = true;
			event = MOS_DISPATCH_END_OF_FILE;
			break;
		}
		idle(d);
	}
	mos_shard_map_offline();
	return event;
}

/* ---- the end ---- */

static unsigned leases_held(const struct mos_dispatch *d)
{
	unsigned held = 0;

	for (uint32_t i = 0; i < d->shard_count; i++)
		held += mos_lease_state(&d->shard[i].shard->lease) != MOS_LEASE_FREE;
	return held;
}

unsigned mos_dispatch_leave(struct mos_dispatch *d, unsigned wait_ms)
{
	uint64_t deadline = rte_rdtsc() + d->tsc_hz / 1000 * wait_ms;

	mos_shard_map_online();
	while (leases_held(d) > 0 && rte_rdtsc() < deadline &&
	       __atomic_load_n(&d->p->stop, __ATOMIC_RELAXED) < 2) {
		if (round_with(d, false))
			busy(d);
		else
			idle(d);
	}
	/* What was in the tx rings when the last worker left; bounded, a port may be stuck. */
	for (int i = 0; i < LAST_ROUNDS; i++)
		if (!round_with(d, false))
			break;
	mos_shard_map_offline();
	return leases_held(d);
}
