#include "apps/midstat/conn_table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>

#define BUCKET_COUNT_MIN 1024

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

static struct conn **bucket_of(const struct conn_table *t, const struct conn_name *name)
{
	uint64_t addrs = (uint64_t)name->addr[0] << 32 | name->addr[1];
	uint64_t ports = (uint64_t)name->port[0] << 16 | name->port[1];

	return &t->bucket[mix(mix(addrs ^ t->seed) + ports) & (t->bucket_count - 1)];
}

static bool same_name(const struct conn_name *a, const struct conn_name *b)
{
	return a->addr[0] == b->addr[0] && a->addr[1] == b->addr[1] && a->port[0] == b->port[0] &&
	       a->port[1] == b->port[1];
}

static void link_conn(struct conn_table *t, struct conn *c)
{
	struct conn **bucket = bucket_of(t, &c->name);

	c->next = *bucket;
	*bucket = c;
}

/* Without memory for more buckets the table stays correct and only gets slower. */
static void grow(struct conn_table *t)
{
	struct conn **bucket = calloc(t->bucket_count * 2, sizeof(*bucket));
	struct conn *c;

	if (bucket == NULL)
		return;
	free(t->bucket);
	t->bucket = bucket;
	t->bucket_count *= 2;
	TAILQ_FOREACH (c, &t->list, by_age)
		link_conn(t, c);
}

int conn_table_init(struct conn_table *t)
{
	*t = (struct conn_table){.bucket_count = BUCKET_COUNT_MIN};
	TAILQ_INIT(&t->list);
	t->bucket = calloc(t->bucket_count, sizeof(*t->bucket));
	if (t->bucket == NULL)
		return -ENOMEM;
	/* Early in the life of a machine there may be no entropy; then the seed is 0. */
	if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) < 0)
		t->seed = 0;
	return 0;
}

void conn_table_fini(struct conn_table *t)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&t->list)) != NULL) {
		TAILQ_REMOVE(&t->list, c, by_age);
		free(c);
	}
	free(t->bucket);
	*t = (struct conn_table){0};
}

struct conn *conn_table_lookup(const struct conn_table *t, const struct conn_name *name)
{
	struct conn *c = *bucket_of(t, name);

	while (c != NULL && !same_name(&c->name, name))
		c = c->next;
	return c;
}

struct conn *conn_table_insert(struct conn_table *t, const struct conn_name *name)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	if (t->count >= t->bucket_count)
		grow(t);
	c->name = *name;
	link_conn(t, c);
	TAILQ_INSERT_TAIL(&t->list, c, by_age);
	t->count++;
	return c;
}

void conn_table_remove(struct conn_table *t, struct conn *c)
{
	struct conn **link = bucket_of(t, &c->name);

	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	TAILQ_REMOVE(&t->list, c, by_age);
	t->count--;
	free(c);
}
