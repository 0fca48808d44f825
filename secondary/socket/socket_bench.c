#include "secondary/socket/socket_bench.h"

#include <stdlib.h>

/* ---- filters that filter nothing ---- */

_Atomic int filters; /* alive */

struct mos_filter *new_filter(int number)
{
	struct mos_filter *f = malloc(sizeof(*f));

	ck_assert_ptr_nonnull(f);
	f->number = number;
	atomic_fetch_add(&filters, 1);
	return f;
}

void mos_filter_destroy(struct mos_filter *f)
{
	if (f == NULL)
		return;
	f->number = -1;
	free(f);
	atomic_fetch_sub(&filters, 1);
}

struct mos_sockets socks;

void setup(void)
{
	ck_assert_int_eq(mos_sockets_init(&socks, FLOWS), 0);
}

void teardown(void)
{
	mos_sockets_fini(&socks);
	ck_assert_int_eq(atomic_load(&filters), 0);
}

void cb_a(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
}

void cb_b(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	(void)&socks; /* another body: linkers may fold equal functions into one */
}

struct mos_cb_set *set_of(int id)
{
	return atomic_load(&socks.mon[id].set);
}

unsigned refs_of(struct mos_cb_set *set)
{
	return atomic_load(&set->refs);
}

/* What dispatch would call for a flow on passive socket number k. */
callback_t flow_cb(int id, uint32_t flow, unsigned bit, enum mos_hook hook)
{
	const struct mos_cb_set *set = socks.mon[id].flows[flow].set;

	ck_assert_ptr_nonnull(set);
	ck_assert((set->cb[hook][bit] != NULL) == (set->mask[hook] >> bit & 1));
	return set->cb[hook][bit];
}

uint64_t path(void)
{
	return atomic_load(&socks.passive_path);
}

int bind_filters(int id, struct mos_filter *first, struct mos_filter *second)
{
	struct mos_filter *const f[MOS_FILTER_USES] = {first, second};

	return mos_socket_bind(&socks, id, f);
}
