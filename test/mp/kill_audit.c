/*
 * kill_audit: looks at the memory of all shards from outside. It attaches like a worker and leases
 * nothing.
 *
 *   kill_audit mos.conf
 *
 * It prints "audit: ready", and on SIGUSR1, of each shard
 *   audit: flows F chunks used U of N stray S index astray A torn T
 * where S chunks belong to no living flow, A flows are not found by the index or entries of it name
 * none, and T records are as if somebody wrote them. A worker at work makes these differ from 0 for
 * moments.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "secondary/attach/attach.h"
#include "secondary/worker.h"
#include "shared/chunk_pool/chunk_pool_layout.h"
#include "shared/flow_table/flow_table_layout.h"

static struct mos_worker worker = {.ctl_fd = -1, .ctl_lock = PTHREAD_MUTEX_INITIALIZER};

struct table {
	const struct mos_flow_bucket *buckets;
	const struct mos_flow *flows;
	uint32_t capacity, bucket_mask, bucket_count;
};

static void open_table(struct table *t, const struct mos_shard *s)
{
	t->flows = mos_flow_table_records(s->flow_table, s->flow_table_bytes, &t->capacity);
	t->buckets = (const void *)((const struct mos_flow_table_hdr *)s->flow_table + 1);
	t->bucket_mask = mos_flow_homes(t->capacity) - 1;
	t->bucket_count = mos_flow_homes(t->capacity) + mos_flow_overflows(t->capacity);
}

/* ---- flows and their index ---- */

static bool is_indexed(const struct table *t, uint32_t hash, uint32_t entry)
{
	uint64_t spread = mos_flow_spread(hash);
	uint32_t at = mos_flow_home(spread, t->bucket_mask);

	for (unsigned n = 0; n < MOS_BUCKET_CHAIN_MAX; n++) {
		const struct mos_flow_bucket *b = &t->buckets[at];

		for (unsigned i = 0; i < MOS_BUCKET_SLOTS; i++)
			if (b->tag[i] == mos_flow_tag(spread) && b->slot[i] == entry)
				return true;
		at = b->next;
		if (at == 0 || at >= t->bucket_count)
			break;
	}
	return false;
}

static unsigned count_entries(const struct table *t)
{
	unsigned n = 0;

	for (uint32_t home = 0; home <= t->bucket_mask; home++) {
		uint32_t at = home;

		for (unsigned k = 0; k < MOS_BUCKET_CHAIN_MAX; k++) {
			for (unsigned i = 0; i < MOS_BUCKET_SLOTS; i++)
				n += t->buckets[at].tag[i] != 0;
			at = t->buckets[at].next;
			if (at == 0 || at >= t->bucket_count)
				break;
		}
	}
	return n;
}

static void look_at_flows(const struct table *t, unsigned *flows, unsigned *astray, unsigned *torn)
{
	unsigned found = 0, entries = count_entries(t);

	for (uint32_t i = 0; i < t->capacity; i++) {
		const struct mos_flow *f = &t->flows[i];

		if (!(f->flags & MOS_FLOW_IN_USE))
			continue;
		*flows += 1;
		*torn += f->seqcount & 1;
		if (is_indexed(t, f->hash, i))
			found++;
		else
			*astray += 1;
		if (!mos_flow_has_out(f))
			continue;
		if (is_indexed(t, f->out_hash, i | MOS_ENTRY_OUT))
			found++;
		else
			*astray += 1;
	}
	*astray += found < entries ? entries - found : 0;
}

/* ---- chunks ---- */

/* Bytes of a stream, or edits: the top bit tells. */
static bool has_flow(const struct table *t, const struct mos_chunk *c)
{
	uint64_t id = (c->owner & INT64_MAX) >> 1;

	return c->flow < t->capacity && (t->flows[c->flow].flags & MOS_FLOW_IN_USE) &&
	       t->flows[c->flow].id == id;
}

static void audit(const struct mos_shard *s)
{
	const struct mos_chunk_pool_hdr *pool = s->chunk_pool;
	const struct mos_chunk *chunks = (const void *)(pool + 1);
	unsigned flows = 0, astray = 0, torn = 0, used = 0, stray = 0;
	struct table t;

	open_table(&t, s);
	look_at_flows(&t, &flows, &astray, &torn);
	for (uint32_t i = 0; i < pool->count; i++) {
		if (chunks[i].owner == 0)
			continue;
		used++;
		stray += !has_flow(&t, &chunks[i]);
	}
	printf("audit: flows %u chunks used %u of %u stray %u index astray %u torn %u\n", flows,
	       used, pool->count, stray, astray, torn);
}

int main(int argc, char **argv)
{
	char err[MOS_CONFIG_ERR_LEN];
	sigset_t set;
	int sig;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (argc != 2 || mos_config_load(&worker.cfg, argv[1], err, sizeof(err)) != 0 ||
	    mos_attach(&worker) != 0)
		return EXIT_FAILURE;
	printf("audit: ready\n");
	while (sigwait(&set, &sig) == 0 && sig == SIGUSR1)
		for (uint32_t i = 0; i < worker.root->shard_count; i++)
			audit(worker.root->shard[i]);
	mos_detach(&worker);
	return EXIT_SUCCESS;
}
