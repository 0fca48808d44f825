#include "apps/midstat/conn_table.h"

#include <stdlib.h>
#include <string.h>

void conn_table_init(struct conn_table *t)
{
	t->count = 0;
	TAILQ_INIT(&t->list);
}

void conn_table_fini(struct conn_table *t)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&t->list)) != NULL)
		conn_table_remove(t, c);
}

struct conn *conn_table_insert(struct conn_table *t, const union conn_end end[static 2])
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	memcpy(c->end, end, sizeof(c->end));
	TAILQ_INSERT_TAIL(&t->list, c, by_age);
	t->count++;
	return c;
}

void conn_table_remove(struct conn_table *t, struct conn *c)
{
	TAILQ_REMOVE(&t->list, c, by_age);
	t->count--;
	free(c);
}
