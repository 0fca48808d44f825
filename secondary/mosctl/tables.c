/* The commands that print a few lines: workers, counters, ports. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_ring.h>

#include "secondary/mosctl/mosctl.h"
#include "shared/flow_table/flow_table.h"
#include "shared/root/shard.h"

/* A shard that is to be shown; NULL with one line when its memory is not sound. */
static const struct mos_shard *shard_at(const struct mosctl *m, uint32_t i)
{
	const struct mos_shard *s = m->root->shard[i];

	if (mos_shard_join(s, i) == 0)
		return s;
	fprintf(stderr, "mosctl: shard %u is not sound\n", i);
	return NULL;
}

/* The end of a command. Somebody who stops reading has had enough: no failure. */
static int printed(void)
{
	if ((fflush(stdout) == 0 && !ferror(stdout)) || errno == EPIPE)
		return 0;
	fprintf(stderr, "mosctl: standard output: %s\n", strerror(errno));
	return 1;
}

/* ---- workers ---- */

static uint32_t count_flows(const struct mos_shard *s)
{
	uint32_t capacity = 0, count = 0;
	const struct mos_flow *flows =
		mos_flow_table_records(s->flow_table, s->flow_table_bytes, &capacity);

	for (uint32_t i = 0; flows != NULL && i < capacity; i++)
		count +=
			(__atomic_load_n(&flows[i].flags, __ATOMIC_RELAXED) & MOS_FLOW_IN_USE) != 0;
	return count;
}

int mosctl_workers(const struct mosctl *m)
{
	printf("%5s  %-8s %7s %6s %12s %9s %6s %6s %6s  %s\n", "shard", "lease", "pid", "epoch",
	       "heartbeat", "flows", "rx", "tx", "blank", "stage");
	for (uint32_t i = 0; i < m->root->shard_count; i++) {
		const struct mos_shard *s = shard_at(m, i);
		const struct mos_lease *l;

		if (s == NULL)
			return 1;
		l = &s->lease;
		printf("%5u  %-8s %7d %6u %12" PRIu64 " %9u %6u %6u %6u  %s\n", i,
		       mos_lease_state_name(mos_lease_state(l)),
		       __atomic_load_n(&l->pid, __ATOMIC_RELAXED),
		       __atomic_load_n(&l->epoch, __ATOMIC_RELAXED),
		       __atomic_load_n(&l->heartbeat, __ATOMIC_RELAXED), count_flows(s),
		       rte_ring_count(s->rx), rte_ring_count(s->tx), rte_ring_count(s->blank),
		       mos_ledger_stage_name(__atomic_load_n(&s->ledger.stage, __ATOMIC_RELAXED)));
	}
	return printed();
}

/* ---- counters ---- */

static void print_block(const struct mosctl *m, const char *name, const struct mos_counters *c)
{
	if (!m->json) {
		printf("%s:\n", name);
		mos_counters_print(stdout, c, "  ");
		return;
	}
	printf("\"%s\":{", name);
	for (unsigned i = 0; i < MOS_CTR_COUNT; i++)
		printf("%s\"%s\":%" PRIu64, i ? "," : "", mos_counter_name(i),
		       mos_counter_get(c, (enum mos_counter)i));
	printf("}");
}

int mosctl_counters(const struct mosctl *m)
{
	const struct mos_root *root = m->root;
	const char *between = m->json ? "," : "";
	struct mos_counters sum = {{0}};
	char name[32];

	mos_counters_add_to(&sum, &root->io);
	mos_counters_add_to(&sum, &root->supervisor);
	for (uint32_t i = 0; i < root->shard_count; i++) {
		if (shard_at(m, i) == NULL)
			return 1;
		mos_counters_add_to(&sum, &root->shard[i]->counters);
	}
	printf("%s", m->json ? "{" : "");
	print_block(m, "sum", &sum);
	printf("%s", between);
	print_block(m, "io", &root->io);
	printf("%s", between);
	print_block(m, "supervisor", &root->supervisor);
	for (uint32_t i = 0; i < root->shard_count; i++) {
		snprintf(name, sizeof(name), "shard %u", i);
		printf("%s", between);
		print_block(m, name, &root->shard[i]->counters);
	}
	printf("%s", m->json ? "}\n" : "");
	return printed();
}

/* ---- ports ---- */

int mosctl_ports(const struct mosctl *m)
{
	const struct mos_root *root = m->root;

	printf("%4s  %-24s %-24s %-5s %5s  %-17s  %s\n", "port", "name", "pair", "link", "mtu",
	       "mac", "checksums");
	for (uint32_t i = 0; i < root->port_count; i++) {
		const struct mos_port_row *p = &root->port[i];
		const char *pair = p->pair < root->port_count ? root->port[p->pair].name : "-";

		printf("%4u  %-24.*s %-24.*s %-5s %5u  %02x:%02x:%02x:%02x:%02x:%02x  %s\n", i,
		       (int)sizeof(p->name), p->name, (int)sizeof(p->name), pair,
		       p->at_end    ? "end"
		       : p->link_up ? "up"
		                    : "down",
		       p->mtu, p->mac[0], p->mac[1], p->mac[2], p->mac[3], p->mac[4], p->mac[5],
		       p->csum_offload ? "port" : "software");
	}
	return printed();
}
