/*
 * Sockets on the bench: the stack thread's part is played by the test itself, or by a second thread
 * that walks path and sets as dispatch does. Filters are blocks of memory here: sanitizers tell
 * whether each is freed, once, and not too early. So do references of callback sets: when
 * everything is closed and swept, the table's own is the only one.
 */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "secondary/filter/filter.h"
#include "secondary/socket/socket.h"

#define FLOWS   100
#define PASSIVE MOS_SOCK_MONITOR_STREAM
#define RAW     MOS_SOCK_MONITOR_RAW
#define ALL     UINT64_MAX /* every passive socket accepts the flow */

/* Numbers of events, as bits. */
enum { PKT_IN_BIT = 0, START_BIT = 2 };
#define PKT_IN MOS_ON_PKT_IN
#define START  MOS_ON_CONN_START

/* ---- filters that filter nothing ---- */

struct mos_filter {
	int number;
};

static _Atomic int filters; /* alive */

static struct mos_filter *new_filter(int number)
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

static struct mos_sockets s;

static void setup(void)
{
	ck_assert_int_eq(mos_sockets_init(&s, FLOWS), 0);
}

static void teardown(void)
{
	mos_sockets_fini(&s);
	ck_assert_int_eq(atomic_load(&filters), 0);
}

static void cb_a(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
}

static void cb_b(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	(void)&s; /* another body: linkers may fold equal functions into one */
}

static struct mos_cb_set *set_of(int id)
{
	return atomic_load(&s.mon[id].set);
}

static unsigned refs_of(struct mos_cb_set *set)
{
	return atomic_load(&set->refs);
}

/* What dispatch would call for a flow on passive socket number k. */
static callback_t flow_cb(int id, uint32_t flow, unsigned bit, enum mos_hook hook)
{
	const struct mos_cb_set *set = s.mon[id].flows[flow].set;

	ck_assert_ptr_nonnull(set);
	ck_assert((set->cb[hook][bit] != NULL) == (set->mask[hook] >> bit & 1));
	return set->cb[hook][bit];
}

static uint64_t path(void)
{
	return atomic_load(&s.passive_path);
}

/* ---- opening and closing ---- */

START_TEST(ids_are_given_out_from_zero_and_again)
{
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), 0);
	ck_assert_int_eq(mos_socket_open(&s, RAW), 1);
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), 2);
	ck_assert_int_eq(mos_socket_close(&s, 1), 0);
	ck_assert_int_eq(mos_socket_open(&s, RAW), 3); /* 1 is still closing */
	mos_sockets_sweep(&s);
	ck_assert_int_eq(mos_socket_open(&s, RAW), 1);
}
END_TEST

START_TEST(passive_sockets_are_limited_and_raw_ones_go_on)
{
	for (int i = 0; i < MOS_PASSIVE_MAX; i++)
		ck_assert_int_eq(mos_socket_open(&s, PASSIVE), i);
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), -ENFILE);
	for (int i = MOS_PASSIVE_MAX; i < MOS_MON_ID_MAX; i++)
		ck_assert_int_eq(mos_socket_open(&s, RAW), i);
	ck_assert_int_eq(mos_socket_open(&s, RAW), -ENFILE);
	ck_assert_uint_eq(atomic_load(&s.raw_path), UINT64_MAX << MOS_PASSIVE_MAX);

	ck_assert_int_eq(mos_socket_close(&s, 3), 0);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), 3);
	ck_assert_int_eq(s.mon[3].passive, 3); /* its number is used again too */
}
END_TEST

START_TEST(socket_of_no_such_id_is_an_answer)
{
	static const int ids[] = {
		-1, INT32_MIN, 0, 63, 64, 65, 64 + FLOWS * 8 - 1, 64 + FLOWS * 8, INT32_MAX};

	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		ck_assert_ptr_null(mos_socket_mon(&s, ids[i]));
		ck_assert_ptr_null(mos_socket_active(&s, ids[i], NULL));
		ck_assert_int_eq(mos_socket_type(&s, ids[i]), MOS_SOCK_UNUSED);
		ck_assert_int_eq(mos_socket_close(&s, ids[i]), -EBADF);
		ck_assert_int_eq(mos_socket_register(&s, ids[i], PKT_IN, MOS_HOOK_SND, cb_a),
		                 -EBADF);
	}
}
END_TEST

START_TEST(closing_twice_is_an_answer)
{
	int id = mos_socket_open(&s, PASSIVE);

	ck_assert_int_eq(mos_socket_close(&s, id), 0);
	ck_assert_int_eq(mos_socket_close(&s, id), -EBADF);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(mos_socket_close(&s, id), -EBADF);
}
END_TEST

START_TEST(new_socket_knows_nothing_of_the_one_before)
{
	int id = mos_socket_open(&s, PASSIVE);

	mos_socket_register(&s, id, PKT_IN, MOS_HOOK_SND, cb_a);
	mos_socket_mon(&s, id)->uctx = &s;
	mos_sockets_attach_flow(&s, 7, ALL);
	mos_socket_close(&s, id);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), id);
	ck_assert_ptr_null(mos_socket_mon(&s, id)->uctx);
	ck_assert_ptr_eq(set_of(id), s.sets.empty);
	ck_assert_ptr_null(s.mon[id].flows[7].set);
	ck_assert_int_eq(mos_socket_close(&s, id), 0);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(mos_socket_open(&s, RAW), id);
	ck_assert_int_eq(mos_socket_type(&s, id), RAW);
	ck_assert_uint_eq(path(), 0);
}
END_TEST

START_TEST(flow_count_that_ids_cannot_name_is_refused)
{
	struct mos_sockets other;

	ck_assert_int_eq(mos_sockets_init(&other, 0), -EINVAL);
	ck_assert_int_eq(mos_sockets_init(&other, UINT32_MAX), -EINVAL);
	ck_assert_int_eq(mos_sockets_init(&other, 1u << 28), -EINVAL);
	ck_assert_int_eq(mos_sockets_init(&other, 1u << 24), 0); /* the largest flow table */
	ck_assert_int_gt(mos_active_id(&other, MOS_PASSIVE_MAX - 1, (1u << 24) - 1), 0);
	mos_sockets_fini(&other);
}
END_TEST

/* ---- path ---- */

START_TEST(path_is_the_order_of_creation)
{
	int a = mos_socket_open(&s, PASSIVE), raw = mos_socket_open(&s, RAW);
	int b = mos_socket_open(&s, PASSIVE), c = mos_socket_open(&s, PASSIVE);

	ck_assert_uint_eq(path(),
	                  (uint64_t)(a + 1) | (uint64_t)(b + 1) << 8 | (uint64_t)(c + 1) << 16);
	ck_assert_uint_eq(atomic_load(&s.raw_path), 1u << raw);
	mos_socket_close(&s, b);
	ck_assert_uint_eq(path(), (uint64_t)(a + 1) | (uint64_t)(c + 1) << 8);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), b); /* the same id, but the last to come */
	ck_assert_uint_eq(path(),
	                  (uint64_t)(a + 1) | (uint64_t)(c + 1) << 8 | (uint64_t)(b + 1) << 16);
}
END_TEST

/* Open and close at random; a plain list says what the path must be. */
START_TEST(path_agrees_with_a_plain_list)
{
	int list[MOS_PASSIVE_MAX], n = 0;

	srandom(3);
	for (int round = 0; round < 20000; round++) {
		uint64_t want = 0;

		if (n < MOS_PASSIVE_MAX && random() % 2) {
			list[n] = mos_socket_open(&s, PASSIVE);
			ck_assert_int_ge(list[n++], 0);
		} else if (n > 0) {
			int k = (int)(random() % n);

			ck_assert_int_eq(mos_socket_close(&s, list[k]), 0);
			memmove(&list[k], &list[k + 1], (size_t)(--n - k) * sizeof(list[0]));
			mos_sockets_sweep(&s);
		}
		for (int i = 0; i < n; i++)
			want |= (uint64_t)(list[i] + 1) << (8 * i);
		if (path() != want)
			ck_abort_msg("round %d: path %lx, want %lx", round, path(), want);
	}
}
END_TEST

/* ---- callback sets ---- */

START_TEST(equal_sets_are_one_object)
{
	int a = mos_socket_open(&s, PASSIVE), b = mos_socket_open(&s, PASSIVE);

	mos_socket_register(&s, a, PKT_IN, MOS_HOOK_SND, cb_a);
	mos_socket_register(&s, a, START, MOS_HOOK_RCV, cb_b);
	ck_assert_ptr_ne(set_of(a), set_of(b));
	mos_socket_register(&s, b, START, MOS_HOOK_RCV, cb_b); /* in the other order */
	mos_socket_register(&s, b, PKT_IN, MOS_HOOK_SND, cb_a);
	ck_assert_ptr_eq(set_of(a), set_of(b));
	mos_socket_register(&s, b, PKT_IN, MOS_HOOK_SND, cb_a); /* again: nothing changes */
	ck_assert_ptr_eq(set_of(a), set_of(b));
}
END_TEST

START_TEST(last_registration_wins_and_null_takes_away)
{
	int id = mos_socket_open(&s, PASSIVE);

	mos_socket_register(&s, id, PKT_IN, MOS_HOOK_SND, cb_a);
	mos_socket_register(&s, id, PKT_IN, MOS_HOOK_SND, cb_b);
	mos_sockets_attach_flow(&s, 1, ALL);
	ck_assert_ptr_eq(flow_cb(id, 1, PKT_IN_BIT, MOS_HOOK_SND), cb_b);
	ck_assert_ptr_null(flow_cb(id, 1, PKT_IN_BIT, MOS_HOOK_RCV));
	mos_socket_register(&s, id, PKT_IN, MOS_HOOK_SND, NULL);
	ck_assert_ptr_eq(set_of(id), s.sets.empty);
	mos_socket_register(&s, id, PKT_IN, MOS_HOOK_SND, NULL); /* never there: fine */
	ck_assert_ptr_eq(set_of(id), s.sets.empty);
}
END_TEST

START_TEST(flow_keeps_the_set_it_began_with)
{
	int id = mos_socket_open(&s, PASSIVE);

	mos_socket_register(&s, id, PKT_IN, MOS_HOOK_SND, cb_a);
	mos_sockets_attach_flow(&s, 1, ALL);
	mos_socket_register(&s, id, PKT_IN, MOS_HOOK_SND, cb_b);
	mos_sockets_attach_flow(&s, 2, ALL);
	ck_assert_ptr_eq(flow_cb(id, 1, PKT_IN_BIT, MOS_HOOK_SND), cb_a);
	ck_assert_ptr_eq(flow_cb(id, 2, PKT_IN_BIT, MOS_HOOK_SND), cb_b);
}
END_TEST

START_TEST(change_on_a_flow_is_a_change_of_that_flow_alone)
{
	int id = mos_socket_open(&s, PASSIVE);

	mos_socket_register(&s, id, PKT_IN, MOS_HOOK_SND, cb_a);
	mos_sockets_attach_flow(&s, 1, ALL);
	mos_sockets_attach_flow(&s, 2, ALL);
	ck_assert_int_eq(
		mos_socket_register(&s, mos_active_id(&s, 0, 1), PKT_IN, MOS_HOOK_SND, cb_b), 0);
	ck_assert_ptr_eq(flow_cb(id, 1, PKT_IN_BIT, MOS_HOOK_SND), cb_b);
	ck_assert_ptr_eq(flow_cb(id, 2, PKT_IN_BIT, MOS_HOOK_SND), cb_a);
	mos_sockets_attach_flow(&s, 3, ALL);
	ck_assert_ptr_eq(flow_cb(id, 3, PKT_IN_BIT, MOS_HOOK_SND), cb_a);
}
END_TEST

START_TEST(the_same_change_on_many_flows_makes_one_set)
{
	int id = mos_socket_open(&s, PASSIVE);
	unsigned before;

	mos_socket_register(&s, id, PKT_IN, MOS_HOOK_SND, cb_a);
	for (uint32_t f = 0; f < FLOWS; f++)
		mos_sockets_attach_flow(&s, f, ALL);
	before = s.sets.count;
	for (uint32_t f = 0; f < FLOWS; f++)
		mos_socket_register(&s, mos_active_id(&s, 0, f), START, MOS_HOOK_SND, cb_b);
	ck_assert_uint_eq(s.sets.count, before + 1);
}
END_TEST

/* ---- active sockets ---- */

START_TEST(active_id_names_flow_and_passive_socket)
{
	mos_socket_open(&s, RAW);
	for (int k = 0; k < MOS_PASSIVE_MAX; k++)
		ck_assert_int_ge(mos_socket_open(&s, PASSIVE), 0);
	for (uint32_t f = 0; f < FLOWS; f += FLOWS - 1) {
		mos_sockets_attach_flow(&s, f, ALL);
		for (int k = 0; k < MOS_PASSIVE_MAX; k++) {
			int id = mos_active_id(&s, k, f);
			uint32_t flow = UINT32_MAX;

			ck_assert_int_ge(id, MOS_MON_ID_MAX);
			ck_assert_ptr_eq(mos_socket_active(&s, id, &flow), &s.mon[k + 1].flows[f]);
			ck_assert_uint_eq(flow, f);
			ck_assert_int_eq(mos_socket_type(&s, id), MOS_SOCK_MONITOR_STREAM_ACTIVE);
		}
	}
	ck_assert_ptr_null(mos_socket_active(&s, mos_active_id(&s, 0, 1), NULL));
	ck_assert_ptr_null(mos_socket_active(&s, mos_active_id(&s, MOS_PASSIVE_MAX, 0), NULL));
}
END_TEST

START_TEST(detached_flow_is_gone_and_the_next_one_starts_clean)
{
	int id = mos_socket_open(&s, PASSIVE), active = mos_active_id(&s, 0, 5);

	mos_sockets_attach_flow(&s, 5, ALL);
	mos_socket_active(&s, active, NULL)->uctx = &s;
	mos_sockets_detach_flow(&s, 5);
	ck_assert_ptr_null(mos_socket_active(&s, active, NULL));
	ck_assert_int_eq(mos_socket_register(&s, active, PKT_IN, MOS_HOOK_SND, cb_a), -EBADF);
	mos_sockets_attach_flow(&s, 5, ALL);
	ck_assert_ptr_null(s.mon[id].flows[5].uctx);
}
END_TEST

START_TEST(flows_of_a_closed_socket_name_nothing)
{
	int a = mos_socket_open(&s, PASSIVE), b = mos_socket_open(&s, PASSIVE);

	mos_sockets_attach_flow(&s, 5, ALL);
	mos_socket_close(&s, a);
	ck_assert_ptr_null(mos_socket_active(&s, mos_active_id(&s, 0, 5), NULL));
	ck_assert_ptr_nonnull(mos_socket_active(&s, mos_active_id(&s, 1, 5), NULL));
	ck_assert(mos_sockets_have_passive(&s));
	mos_sockets_sweep(&s);
	mos_sockets_detach_flow(&s, 5);
	mos_socket_close(&s, b);
	ck_assert(!mos_sockets_have_passive(&s));
	mos_sockets_attach_flow(&s, 6, ALL); /* with nobody there */
	mos_sockets_detach_flow(&s, 6);
}
END_TEST

START_TEST(socket_opened_later_does_not_see_older_flows)
{
	int late;

	mos_socket_open(&s, PASSIVE);
	mos_sockets_attach_flow(&s, 5, ALL);
	late = mos_socket_open(&s, PASSIVE);
	ck_assert_ptr_null(s.mon[late].flows[5].set);
	ck_assert_ptr_null(mos_socket_active(&s, mos_active_id(&s, 1, 5), NULL));
	mos_sockets_detach_flow(&s, 5);
}
END_TEST

/* ---- references: who holds a set, and when it is let go ---- */

START_TEST(each_holder_of_a_set_is_counted_once)
{
	int id = mos_socket_open(&s, PASSIVE), active = mos_active_id(&s, 0, 1);
	struct mos_cb_set *set, *other;

	ck_assert_uint_eq(refs_of(s.sets.empty), 2); /* the table and the socket */
	mos_socket_register(&s, id, PKT_IN, MOS_HOOK_SND, cb_a);
	set = set_of(id);
	ck_assert_uint_eq(refs_of(s.sets.empty), 1);
	ck_assert_uint_eq(refs_of(set), 1);
	mos_sockets_attach_flow(&s, 1, ALL);
	mos_sockets_attach_flow(&s, 2, ALL);
	ck_assert_uint_eq(refs_of(set), 3);

	mos_socket_register(&s, active, PKT_IN, MOS_HOOK_SND, cb_a); /* nothing changes */
	ck_assert_uint_eq(refs_of(set), 3);
	mos_socket_register(&s, active, START, MOS_HOOK_SND, cb_b);
	other = s.mon[id].flows[1].set;
	ck_assert_ptr_ne(other, set);
	ck_assert_uint_eq(refs_of(set), 2);
	ck_assert_uint_eq(refs_of(other), 1);

	mos_sockets_detach_flow(&s, 1);
	mos_sockets_detach_flow(&s, 1); /* again: nothing is there */
	ck_assert_uint_eq(refs_of(other), 0);
	mos_sockets_detach_flow(&s, 2);
	ck_assert_uint_eq(refs_of(set), 1);
}
END_TEST

START_TEST(closed_socket_gives_its_sets_back_in_the_sweep)
{
	int a = mos_socket_open(&s, PASSIVE), b = mos_socket_open(&s, PASSIVE);
	struct mos_cb_set *set;

	mos_socket_register(&s, a, PKT_IN, MOS_HOOK_SND, cb_a);
	mos_socket_register(&s, b, PKT_IN, MOS_HOOK_SND, cb_a);
	set = set_of(a);
	for (uint32_t f = 0; f < FLOWS; f += 3)
		mos_sockets_attach_flow(&s, f, ALL);
	ck_assert_uint_eq(refs_of(set), 2 + 2 * (FLOWS / 3 + 1));
	mos_socket_close(&s, a);
	mos_sockets_detach_flow(&s, 0); /* of b alone */
	mos_sockets_sweep(&s);
	ck_assert_uint_eq(refs_of(set), 1 + FLOWS / 3);
	mos_socket_close(&s, b);
	mos_sockets_sweep(&s);
	ck_assert_uint_eq(refs_of(set), 0);
	ck_assert_uint_eq(refs_of(s.sets.empty), 1);
}
END_TEST

/* More flows than one sweep looks at: the id stays taken until all are given back. */
START_TEST(large_socket_is_swept_in_parts)
{
	static struct mos_sockets large;
	const uint32_t flows = 100000;
	struct mos_cb_set *set;
	int id, sweeps = 0;

	ck_assert_int_eq(mos_sockets_init(&large, flows), 0);
	id = mos_socket_open(&large, PASSIVE);
	mos_socket_register(&large, id, PKT_IN, MOS_HOOK_SND, cb_a);
	set = atomic_load(&large.mon[id].set);
	for (uint32_t f = 0; f < flows; f++)
		ck_assert_uint_eq(mos_sockets_attach_flow(&large, f, ALL), 1);
	mos_socket_close(&large, id);
	while (atomic_load(&large.sweep)) {
		ck_assert_int_eq(atomic_load(&large.mon[id].state), MOS_SOCK_CLOSING);
		mos_sockets_sweep(&large);
		sweeps++;
	}
	ck_assert_int_gt(sweeps, 1);
	ck_assert_uint_eq(refs_of(set), 0);
	ck_assert_int_eq(mos_socket_open(&large, PASSIVE), id);
	mos_sockets_fini(&large);
}
END_TEST

/* Another set for each flow, again and again: what nobody holds any more must not pile up. */
START_TEST(sets_of_flows_that_are_gone_are_freed)
{
	static event_t events[512];
	unsigned most = 0;

	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), 0);
	for (unsigned i = 0; i < 512; i++)
		ck_assert_int_eq(mos_ude_alloc(PKT_IN, &events[i]), 0);
	for (unsigned round = 0; round < 30000; round++) {
		uint32_t f = round % FLOWS;
		int active = mos_active_id(&s, 0, f);

		mos_sockets_detach_flow(&s, f);
		mos_sockets_attach_flow(&s, f, ALL);
		for (int i = 0; i < 3; i++)
			ck_assert_int_eq(mos_socket_register(&s, active, events[random() % 512],
			                                     MOS_HOOK_SND, i ? cb_a : cb_b),
			                 0);
		mos_sockets_sweep(&s);
		most = s.sets.count > most ? s.sets.count : most;
	}
	ck_assert_uint_lt(most, 20 * FLOWS);
}
END_TEST

/* ---- who accepts, who watches ---- */

START_TEST(flow_is_attached_to_those_that_accept_it)
{
	int a = mos_socket_open(&s, PASSIVE), b = mos_socket_open(&s, PASSIVE);
	int c = mos_socket_open(&s, PASSIVE);

	ck_assert_uint_eq(mos_sockets_attach_flow(&s, 1, 1u << a | 1u << c), 2);
	ck_assert_ptr_nonnull(s.mon[a].flows[1].set);
	ck_assert_ptr_null(s.mon[b].flows[1].set);
	ck_assert_ptr_nonnull(s.mon[c].flows[1].set);
	ck_assert_uint_eq(mos_sockets_attach_flow(&s, 2, 0), 0);
	mos_socket_close(&s, a);
	ck_assert_uint_eq(mos_sockets_attach_flow(&s, 3, 1u << a | 1u << b), 1);
}
END_TEST

START_TEST(flow_is_watched_until_all_have_stopped_both_sides)
{
	int a = mos_socket_open(&s, PASSIVE), b = mos_socket_open(&s, PASSIVE);

	ck_assert(mos_sockets_unwatched(&s, 1));
	mos_sockets_attach_flow(&s, 1, ALL);
	ck_assert(!mos_sockets_unwatched(&s, 1));
	s.mon[a].flows[1].stopped = MOS_BOTH_SIDES;
	ck_assert(!mos_sockets_unwatched(&s, 1));
	s.mon[b].flows[1].stopped = 1 << MOS_SIDE_SVR;
	ck_assert(!mos_sockets_unwatched(&s, 1));
	mos_socket_close(&s, b);
	ck_assert(mos_sockets_unwatched(&s, 1));
	mos_sockets_detach_flow(&s, 1);
	mos_sockets_attach_flow(&s, 1, ALL); /* another flow */
	ck_assert(!mos_sockets_unwatched(&s, 1));
}
END_TEST

START_TEST(side_is_kept_as_long_as_one_socket_wants_it)
{
	int a = mos_socket_open(&s, PASSIVE), b = mos_socket_open(&s, PASSIVE);

	mos_sockets_attach_flow(&s, 1, ALL);
	mos_sockets_attach_flow(&s, 2, 1u << a);
	ck_assert_uint_eq(mos_sockets_unbuffered(&s, 1), 0);
	atomic_store(&s.mon[a].unbuffered, MOS_BOTH_SIDES);
	atomic_store(&s.mon[b].unbuffered, 1 << MOS_SIDE_SVR);
	ck_assert_uint_eq(mos_sockets_unbuffered(&s, 1), 1 << MOS_SIDE_SVR);
	ck_assert_uint_eq(mos_sockets_unbuffered(&s, 2), MOS_BOTH_SIDES);
	mos_socket_close(&s, a);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), a);
	mos_sockets_attach_flow(&s, 3, 1u << a);
	ck_assert_uint_eq(mos_sockets_unbuffered(&s, 3),
	                  0); /* it knows nothing of the one before */
}
END_TEST

/* ---- filters ---- */

static int bind_filters(int id, struct mos_filter *first, struct mos_filter *second)
{
	struct mos_filter *const f[MOS_FILTER_USES] = {first, second};

	return mos_socket_bind(&s, id, f);
}

static int filter_number(int id, int use)
{
	const struct mos_filter *f = s.mon[id].filter[use];

	return f != NULL ? f->number : 0;
}

START_TEST(filter_stays_until_it_is_replaced)
{
	int id = mos_socket_open(&s, PASSIVE);

	ck_assert_int_eq(bind_filters(id, new_filter(1), NULL), 0);
	ck_assert_int_eq(bind_filters(id, NULL, new_filter(2)), 0);
	ck_assert_int_eq(filter_number(id, MOS_FILTER_SYN), 1);
	ck_assert_int_eq(filter_number(id, MOS_FILTER_ORPHAN), 2);
	ck_assert_int_eq(bind_filters(id, NULL, NULL), 0);
	ck_assert_int_eq(bind_filters(id, new_filter(3), NULL), 0);
	ck_assert_int_eq(filter_number(id, MOS_FILTER_SYN), 3);
	ck_assert_int_eq(atomic_load(&filters), 3);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(atomic_load(&filters), 2);
	ck_assert_int_eq(filter_number(id, MOS_FILTER_ORPHAN), 2);
}
END_TEST

/* Between two rounds of the stack thread: the packet in its hands may be matched to any of them. */
START_TEST(replaced_filters_wait_for_the_sweep)
{
	int id = mos_socket_open(&s, RAW);

	for (int i = 1; i <= 100; i++)
		ck_assert_int_eq(bind_filters(id, new_filter(i), NULL), 0);
	ck_assert_int_eq(atomic_load(&filters), 100);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(atomic_load(&filters), 1);
	ck_assert_int_eq(filter_number(id, MOS_FILTER_RAW), 100);
}
END_TEST

static pthread_barrier_t taken;

static void *hold_lock(void *unused)
{
	const struct timespec nap = {.tv_nsec = 50000000};

	pthread_mutex_lock(&s.lock);
	pthread_barrier_wait(&taken);
	nanosleep(&nap, NULL);
	pthread_mutex_unlock(&s.lock);
	return NULL;
}

START_TEST(sweep_waits_for_the_lock_when_it_found_it_taken_many_times)
{
	int id = mos_socket_open(&s, RAW), sweeps = 1;
	pthread_t t;

	bind_filters(id, new_filter(1), NULL);
	bind_filters(id, new_filter(2), NULL);
	pthread_barrier_init(&taken, NULL, 2);
	ck_assert_int_eq(pthread_create(&t, NULL, hold_lock, NULL), 0);
	pthread_barrier_wait(&taken);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(atomic_load(&filters), 2);
	for (; atomic_load(&filters) == 2; sweeps++)
		mos_sockets_sweep(&s);
	ck_assert_int_lt(sweeps, 100);
	pthread_join(t, NULL);
	pthread_barrier_destroy(&taken);
}
END_TEST

START_TEST(filters_of_a_closed_socket_are_freed)
{
	int id = mos_socket_open(&s, PASSIVE);

	bind_filters(id, new_filter(1), new_filter(2));
	mos_socket_close(&s, id);
	ck_assert_int_eq(atomic_load(&filters), 2);
	mos_sockets_sweep(&s);
	ck_assert_int_eq(atomic_load(&filters), 0);
	ck_assert_int_eq(mos_socket_open(&s, RAW), id);
	ck_assert_ptr_null(s.mon[id].filter[MOS_FILTER_RAW]);
}
END_TEST

START_TEST(filter_for_no_socket_is_freed)
{
	int id = mos_socket_open(&s, PASSIVE);

	mos_socket_close(&s, id);
	ck_assert_int_eq(bind_filters(id, new_filter(1), new_filter(2)), -EBADF);
	ck_assert_int_eq(bind_filters(-1, NULL, new_filter(2)), -EBADF);
	ck_assert_int_eq(atomic_load(&filters), 0);
}
END_TEST

/* ---- threads ---- */

#define CHANGES 20000

static _Atomic bool done;
static _Atomic unsigned long calls;

static void count_call(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
}

static void walk(const struct mos_cb_set *set)
{
	for (uint32_t bits = set->mask[MOS_HOOK_SND]; bits; bits &= bits - 1) {
		unsigned bit = (unsigned)__builtin_ctz(bits);
		struct mos_tree *tree = set->tree[MOS_HOOK_SND][bit];

		if (set->cb[MOS_HOOK_SND][bit] != NULL)
			set->cb[MOS_HOOK_SND][bit](NULL, 0, 0, 0, NULL);
		for (uint32_t i = 0; tree != NULL && i < tree->count; i++) {
			tree->step[i].raised ^= 1; /* the stack thread's own */
			if (tree->step[i].cb != NULL)
				tree->step[i].cb(NULL, 0, 0, 0, NULL);
		}
	}
}

/* What a packet of the flow needs of one passive socket. */
static void visit(struct mos_mon_sock *m, uint32_t f)
{
	const struct mos_cb_set *set = atomic_load_explicit(&m->flows[f].set, memory_order_acquire);
	const struct mos_filter *filter =
		atomic_load_explicit(&m->filter[MOS_FILTER_SYN], memory_order_acquire);

	if (set != NULL)
		walk(set);
	walk(atomic_load_explicit(&m->set, memory_order_acquire));
	if (filter != NULL)
		ck_assert_int_gt(filter->number, 0);
}

/* As the stack thread: flows come and go, sets are read and called, closed sockets are swept. */
static void *stack_thread(void *arg)
{
	mos_sockets_on_stack_thread();
	for (uint32_t round = 0; !atomic_load(&done); round++) {
		uint32_t f = round % FLOWS;

		mos_sockets_detach_flow(&s, f);
		mos_sockets_attach_flow(&s, f, round % 5 ? ALL : 0);
		for (unsigned i = 0; i < 10; i++) {
			uint64_t p = atomic_load(&s.passive_path);

			for (; p != 0; p >>= 8)
				visit(&s.mon[(p & 0xff) - 1], (f + i) % FLOWS);
		}
		if (round % 7 == 0) /* a callback may change its own flow */
			mos_socket_register(&s, mos_active_id(&s, 0, f), START, MOS_HOOK_SND,
			                    round % 2 ? count_call : NULL);
		mos_sockets_sweep(&s);
	}
	return arg;
}

static event_t stress_events[16];

/* Register and unregister on passive socket 0 and on flows that come and go. */
static void *registrar(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < CHANGES; i++) {
		unsigned r = (unsigned)rand_r(&seed);
		event_t event = r % 3 ? stress_events[r / 3 % 16] : (event_t)1 << r % 12;
		int active = mos_active_id(&s, 0, r % FLOWS), err;

		ck_assert_int_eq(
			mos_socket_register(&s, 0, event, MOS_HOOK_SND, i % 3 ? count_call : NULL),
			0);
		err = mos_socket_register(&s, active, event, MOS_HOOK_SND, count_call);
		ck_assert(err == 0 || err == -EBADF);
		if (r % 8 == 0)
			bind_filters(0, new_filter(i + 1), r % 16 ? new_filter(i + 1) : NULL);
		ck_assert_int_ne(mos_socket_type(&s, active), PASSIVE);
	}
	return NULL;
}

static void *opener(void *arg)
{
	for (int i = 0; i < CHANGES; i++) {
		int id = mos_socket_open(&s, i % 2 ? PASSIVE : RAW);

		if (id < 0) { /* those closed before wait for the stack thread's sweep */
			ck_assert_int_eq(id, -ENFILE);
			continue;
		}
		mos_socket_register(&s, id, PKT_IN, MOS_HOOK_SND, count_call);
		bind_filters(id, new_filter(i + 1), i % 2 ? new_filter(i + 1) : NULL);
		ck_assert_int_eq(mos_socket_close(&s, id), 0);
	}
	return arg;
}

/* In the end nobody but the table holds a set: no reference was lost or given back twice. */
static void expect_no_references(void)
{
	mos_socket_close(&s, 0);
	mos_sockets_sweep(&s);
	for (uint32_t b = 0; b < s.sets.bucket_count; b++)
		for (struct mos_cb_set *set = s.sets.bucket[b]; set != NULL; set = set->next)
			ck_assert_uint_eq(refs_of(set), set == s.sets.empty);
	ck_assert_int_eq(atomic_load(&filters), 0);
}

START_TEST(threads_change_sockets_while_packets_flow)
{
	pthread_t stack, t[3];

	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(
			mos_ude_alloc(i % 4 ? stress_events[i - 1] : PKT_IN, &stress_events[i]), 0);
	atomic_store(&done, false);
	ck_assert_int_eq(mos_socket_open(&s, PASSIVE), 0);
	mos_socket_register(&s, 0, PKT_IN, MOS_HOOK_SND, count_call);
	pthread_create(&stack, NULL, stack_thread, NULL);
	pthread_create(&t[0], NULL, registrar, (void *)1);
	pthread_create(&t[1], NULL, registrar, (void *)2);
	pthread_create(&t[2], NULL, opener, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	atomic_store(&done, true);
	pthread_join(stack, NULL);
	ck_assert_uint_gt(atomic_load(&calls), 0);
	mos_sockets_sweep(&s);
	ck_assert_uint_eq(path(), 1); /* all but socket 0 are closed */
	ck_assert_uint_eq(atomic_load(&s.raw_path), 0);
	expect_no_references();
}
END_TEST

/*
 * A handler that waits for the stack thread, which wants the lock, on top of a thread that has it:
 * nobody would go on. So no handler runs there.
 */
static _Atomic unsigned interruptions, interruptions_with_lock;

static void on_interrupt(int signum)
{
	if (pthread_mutex_trylock(&s.lock) == 0) /* no other thread has it either */
		pthread_mutex_unlock(&s.lock);
	else
		atomic_fetch_add(&interruptions_with_lock, 1);
	atomic_fetch_add(&interruptions, 1);
}

static void *interrupter(void *arg)
{
	while (!atomic_load(&done)) {
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
		sched_yield();
	}
	return NULL;
}

START_TEST(no_handler_runs_on_a_thread_that_holds_the_lock)
{
	struct sigaction sa = {.sa_handler = on_interrupt}, before;
	pthread_t self = pthread_self(), t;
	int id = mos_socket_open(&s, PASSIVE);

	sigaction(SIGUSR1, &sa, &before);
	atomic_store(&done, false);
	pthread_create(&t, NULL, interrupter, &self);
	for (int i = 0; i < CHANGES || atomic_load(&interruptions) < 100; i++)
		mos_socket_register(&s, id, PKT_IN, MOS_HOOK_SND, i % 2 ? cb_a : NULL);
	atomic_store(&done, true);
	pthread_join(t, NULL);
	sigaction(SIGUSR1, &before, NULL);
	ck_assert_uint_eq(atomic_load(&interruptions_with_lock), 0);
}
END_TEST

static TCase *socket_case(void)
{
	TCase *tc = tcase_create("socket");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, ids_are_given_out_from_zero_and_again);
	tcase_add_test(tc, passive_sockets_are_limited_and_raw_ones_go_on);
	tcase_add_test(tc, socket_of_no_such_id_is_an_answer);
	tcase_add_test(tc, closing_twice_is_an_answer);
	tcase_add_test(tc, new_socket_knows_nothing_of_the_one_before);
	tcase_add_test(tc, flow_count_that_ids_cannot_name_is_refused);
	tcase_add_test(tc, path_is_the_order_of_creation);
	tcase_add_test(tc, path_agrees_with_a_plain_list);
	return tc;
}

static TCase *set_case(void)
{
	TCase *tc = tcase_create("sets");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, equal_sets_are_one_object);
	tcase_add_test(tc, last_registration_wins_and_null_takes_away);
	tcase_add_test(tc, flow_keeps_the_set_it_began_with);
	tcase_add_test(tc, change_on_a_flow_is_a_change_of_that_flow_alone);
	tcase_add_test(tc, the_same_change_on_many_flows_makes_one_set);
	tcase_add_test(tc, active_id_names_flow_and_passive_socket);
	tcase_add_test(tc, detached_flow_is_gone_and_the_next_one_starts_clean);
	tcase_add_test(tc, flows_of_a_closed_socket_name_nothing);
	tcase_add_test(tc, socket_opened_later_does_not_see_older_flows);
	return tc;
}

static TCase *hold_case(void)
{
	TCase *tc = tcase_create("holding");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, each_holder_of_a_set_is_counted_once);
	tcase_add_test(tc, closed_socket_gives_its_sets_back_in_the_sweep);
	tcase_add_test(tc, large_socket_is_swept_in_parts);
	tcase_add_test(tc, sets_of_flows_that_are_gone_are_freed);
	tcase_add_test(tc, flow_is_attached_to_those_that_accept_it);
	tcase_add_test(tc, flow_is_watched_until_all_have_stopped_both_sides);
	tcase_add_test(tc, side_is_kept_as_long_as_one_socket_wants_it);
	tcase_add_test(tc, filter_stays_until_it_is_replaced);
	tcase_add_test(tc, replaced_filters_wait_for_the_sweep);
	tcase_add_test(tc, sweep_waits_for_the_lock_when_it_found_it_taken_many_times);
	tcase_add_test(tc, filters_of_a_closed_socket_are_freed);
	tcase_add_test(tc, filter_for_no_socket_is_freed);
	return tc;
}

static TCase *thread_case(void)
{
	TCase *tc = tcase_create("threads");

	tcase_set_timeout(tc, 100);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, threads_change_sockets_while_packets_flow);
	tcase_add_test(tc, no_handler_runs_on_a_thread_that_holds_the_lock);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("socket");
	SRunner *sr = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, socket_case());
	suite_add_tcase(suite, set_case());
	suite_add_tcase(suite, hold_case());
	suite_add_tcase(suite, thread_case());
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
