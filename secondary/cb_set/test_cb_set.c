/*
 * Callback sets on the bench. The events of the picture in step_tree.h exist in each test:
 *
 *   PKT_IN +- A +- B
 *          |    +- R  (allocated)
 *          +- C
 *
 * The lock is the test's business: one thread, or a mutex where there are more.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/cb_set/cb_set.h"

#define SND MOS_HOOK_SND
#define RCV MOS_HOOK_RCV

enum { A = MOS_UDE_FIRST, C, B, R }; /* C is defined before B: order is not depth first */
enum { PKT_IN_BIT = 0, START_BIT = 2 };

static struct mos_cb_sets t;

static bool filter(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	return true;
}

static event_t define(event_t base, int n)
{
	struct filter_arg arg = {.arg = &n, .len = sizeof(n)};
	event_t id = 0;

	ck_assert_int_eq(mos_ude_define(base, filter, &arg, &id), 0);
	return id;
}

static event_t alloc_below(event_t parent)
{
	event_t id = 0;

	ck_assert_int_eq(mos_ude_alloc(parent, &id), 0);
	return id;
}

static void setup(void)
{
	ck_assert_int_eq(mos_cb_sets_init(&t), 0);
	ck_assert_uint_eq(define(MOS_ON_PKT_IN, 0), A);
	ck_assert_uint_eq(define(MOS_ON_PKT_IN, 1), C);
	ck_assert_uint_eq(define(A, 2), B);
	ck_assert_uint_eq(alloc_below(A), R);
}

static void teardown(void)
{
	mos_cb_sets_fini(&t);
	mos_ude_forget_all();
}

static void cb_x(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
}

static void cb_y(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	(void)&t; /* another body: linkers may fold equal functions into one */
}

/* One change; the reference to the old set goes, the one to the new comes. */
static struct mos_cb_set *change(struct mos_cb_set *old, event_t event, enum mos_hook hook,
                                 callback_t cb)
{
	struct mos_cb_set *set = mos_cb_sets_change(&t, old, event, hook, cb);

	ck_assert_ptr_nonnull(set);
	mos_cb_set_unref(old);
	return set;
}

static struct mos_cb_set *empty(void)
{
	return mos_cb_set_ref(t.empty);
}

/* End the search under way, if there is one, then look through the whole table. */
static void purge_all(void)
{
	while (t.cursor != 0)
		mos_cb_sets_purge(&t);
	do
		mos_cb_sets_purge(&t);
	while (t.cursor != 0);
}

/* Steps of a tree as text: "65536x 65538- 65539y" (callback x, y or none), with ends. */
static const char *steps(const struct mos_cb_set *set, enum mos_hook hook, unsigned bit)
{
	const struct mos_tree *tree = set->tree[hook][bit];
	static char text[256];
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; tree != NULL && i < tree->count; i++) {
		const struct mos_step *step = &tree->step[i];

		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u%c:%u",
		                        i > 0 ? " " : "", (unsigned)step->ude->id,
		                        step->cb == NULL   ? '-'
		                        : step->cb == cb_x ? 'x'
		                                           : 'y',
		                        step->end);
	}
	return text;
}

/* ---- what a set is ---- */

START_TEST(a_new_table_has_the_set_without_callbacks)
{
	ck_assert_uint_eq(t.count, 1);
	for (unsigned hook = 0; hook < MOS_HOOK_COUNT; hook++) {
		ck_assert_uint_eq(t.empty->mask[hook], 0);
		ck_assert_uint_eq(atomic_load(&t.wanted[hook]), 0);
	}
}
END_TEST

START_TEST(a_change_makes_another_set_and_leaves_the_old_one)
{
	struct mos_cb_set *x = change(empty(), MOS_ON_PKT_IN, SND, cb_x), *y;

	mos_cb_set_ref(x);
	y = change(x, MOS_ON_CONN_START, RCV, cb_y);
	ck_assert_uint_eq(x->mask[SND], MOS_ON_PKT_IN);
	ck_assert_uint_eq(x->mask[RCV], 0);
	ck_assert(x->cb[SND][PKT_IN_BIT] == cb_x && x->cb[RCV][START_BIT] == NULL);
	ck_assert(y->cb[SND][PKT_IN_BIT] == cb_x && y->cb[RCV][START_BIT] == cb_y);
	ck_assert_uint_eq(y->mask[RCV], MOS_ON_CONN_START);
}
END_TEST

START_TEST(equal_sets_are_one_object_whatever_their_history)
{
	struct mos_cb_set *a = empty(), *b = empty();

	a = change(a, MOS_ON_PKT_IN, SND, cb_x);
	a = change(a, B, SND, cb_y);
	a = change(a, C, SND, cb_x);
	b = change(b, C, SND, cb_y);
	b = change(b, R, SND, cb_y);
	b = change(b, B, SND, cb_y);
	b = change(b, C, SND, cb_x);
	b = change(b, MOS_ON_PKT_IN, SND, cb_x);
	ck_assert_ptr_ne(a, b);
	b = change(b, R, SND, NULL);
	ck_assert_ptr_eq(a, b);
	a = change(a, MOS_ON_PKT_IN, SND, NULL);
	a = change(a, B, SND, NULL);
	a = change(a, C, SND, NULL);
	ck_assert_ptr_eq(a, t.empty);
}
END_TEST

START_TEST(the_last_registration_wins)
{
	struct mos_cb_set *set = change(empty(), A, SND, cb_x);

	set = change(set, A, SND, cb_y);
	ck_assert_str_eq(steps(set, SND, PKT_IN_BIT), "65536y:1");
}
END_TEST

START_TEST(a_change_that_changes_nothing_returns_the_set)
{
	struct mos_cb_set *set = change(change(empty(), A, SND, cb_x), MOS_ON_PKT_IN, RCV, cb_y);
	uint32_t count = t.count;

	ck_assert_ptr_eq(change(set, A, SND, cb_x), set);
	ck_assert_ptr_eq(change(set, MOS_ON_PKT_IN, RCV, cb_y), set);
	ck_assert_ptr_eq(change(set, B, SND, NULL), set);
	ck_assert_ptr_eq(change(set, MOS_ON_CONN_START, SND, NULL), set);
	ck_assert_uint_eq(t.count, count);
	ck_assert_uint_eq(atomic_load(&set->refs), 1);
}
END_TEST

START_TEST(hooks_have_independent_callbacks)
{
	struct mos_cb_set *set = change(empty(), A, SND, cb_x);

	set = change(set, A, RCV, cb_y);
	ck_assert_str_eq(steps(set, SND, PKT_IN_BIT), "65536x:1");
	ck_assert_str_eq(steps(set, RCV, PKT_IN_BIT), "65536y:1");
	set = change(set, A, SND, NULL);
	ck_assert_uint_eq(set->mask[SND], 0);
	ck_assert_str_eq(steps(set, RCV, PKT_IN_BIT), "65536y:1");
}
END_TEST

/* ---- steps ---- */

START_TEST(steps_are_base_first_then_children_in_order_of_definition)
{
	struct mos_cb_set *set = change(empty(), R, SND, cb_x);

	set = change(set, C, SND, cb_x);
	set = change(set, B, SND, cb_y);
	set = change(set, A, SND, cb_y);
	ck_assert_str_eq(steps(set, SND, PKT_IN_BIT), "65536y:3 65538y:2 65539x:3 65537x:4");
	ck_assert_uint_eq(set->mask[SND], MOS_ON_PKT_IN);
}
END_TEST

START_TEST(what_decides_about_an_event_is_there_without_callback)
{
	struct mos_cb_set *set = change(empty(), B, SND, cb_x);

	ck_assert_str_eq(steps(set, SND, PKT_IN_BIT), "65536-:2 65538x:2");
	set = change(set, C, SND, cb_x);
	set = change(set, B, SND, NULL);
	ck_assert_str_eq(steps(set, SND, PKT_IN_BIT), "65537x:1"); /* and goes with it */
}
END_TEST

START_TEST(what_others_need_stays_when_its_callback_goes)
{
	struct mos_cb_set *set = change(empty(), B, SND, cb_x);

	set = change(set, R, SND, cb_y);
	set = change(set, A, SND, cb_y);
	set = change(set, A, SND, NULL);
	ck_assert_str_eq(steps(set, SND, PKT_IN_BIT), "65536-:3 65538x:2 65539y:3");
	set = change(set, B, SND, NULL);
	ck_assert_str_eq(steps(set, SND, PKT_IN_BIT), "65536-:2 65539y:2");
	set = change(set, R, SND, NULL);
	ck_assert_ptr_eq(set, t.empty);
}
END_TEST

START_TEST(trees_of_different_roots_are_apart)
{
	event_t end = define(MOS_ON_CONN_END, 7);
	struct mos_cb_set *set = change(change(empty(), A, SND, cb_x), end, SND, cb_y);

	ck_assert_uint_eq(set->mask[SND], MOS_ON_PKT_IN | MOS_ON_CONN_END);
	ck_assert_str_eq(steps(set, SND, PKT_IN_BIT), "65536x:1");
	ck_assert_str_eq(steps(set, SND, 10), "65540y:1");
}
END_TEST

START_TEST(raised_events_are_found_among_many)
{
	struct mos_cb_set *set = empty();
	event_t id[200];

	for (int i = 0; i < 200; i++)
		id[i] = i % 3 == 0 ? define(A, 100 + i) : alloc_below(A);
	for (int i = 199; i >= 0; i -= 2)
		set = change(set, id[i], SND, cb_x);
	for (int i = 0; i < 200; i++) {
		struct mos_step *step = mos_tree_find_raised(set->tree[SND][PKT_IN_BIT], id[i]);

		if (i % 3 != 0 && i % 2 == 1)
			ck_assert_uint_eq(step->ude->id, id[i]);
		else
			ck_assert_ptr_null(step);
	}
}
END_TEST

START_TEST(the_deepest_chain_is_compiled)
{
	struct mos_cb_set *set;
	event_t leaf = MOS_ON_PKT_IN, next;

	while (mos_ude_alloc(leaf, &next) == 0)
		leaf = next;
	set = change(empty(), leaf, SND, cb_x);
	ck_assert_uint_eq(set->tree[SND][PKT_IN_BIT]->count, MOS_UDE_MAX - 4);
	set = change(set, leaf - 1, SND, cb_x);
	set = change(set, A, SND, cb_x);
	set = change(set, leaf - 1, SND, NULL);
	set = change(set, leaf, SND, NULL);
	ck_assert_str_eq(steps(set, SND, PKT_IN_BIT), "65536x:1");
}
END_TEST

/* ---- the life of sets ---- */

START_TEST(the_same_change_on_many_flows_makes_one_set)
{
	struct mos_cb_set *base = change(empty(), MOS_ON_PKT_IN, SND, cb_x), *flow = NULL;

	for (int i = 0; i < 1000; i++)
		flow = mos_cb_sets_change(&t, base, B, SND, cb_y);
	ck_assert_uint_eq(t.count, 3);
	ck_assert_uint_eq(atomic_load(&flow->refs), 1000);
}
END_TEST

START_TEST(sets_that_nobody_holds_are_freed)
{
	struct mos_cb_set *kept = change(empty(), A, SND, cb_x), *set = mos_cb_set_ref(kept);

	set = change(set, B, SND, cb_y);
	set = change(set, MOS_ON_CONN_END, RCV, cb_y);
	ck_assert_uint_eq(t.count, 4);
	mos_cb_set_unref(set);
	purge_all();
	ck_assert_uint_eq(t.count, 2);
	ck_assert_str_eq(steps(kept, SND, PKT_IN_BIT), "65536x:1");
	mos_cb_set_unref(kept);
	purge_all();
	ck_assert_uint_eq(t.count, 1);
	ck_assert_uint_eq(t.bytes, sizeof(struct mos_cb_set));
}
END_TEST

START_TEST(a_remembered_change_does_not_lead_to_a_freed_set)
{
	struct mos_cb_set *base = change(empty(), A, SND, cb_x), *set;

	for (int i = 0; i < 3; i++) {
		set = mos_cb_sets_change(&t, base, B, SND, cb_y);
		ck_assert_str_eq(steps(set, SND, PKT_IN_BIT), "65536x:2 65538y:2");
		mos_cb_set_unref(set);
		purge_all(); /* AddressSanitizer sees the rest */
		ck_assert_uint_eq(t.count, 2);
	}
}
END_TEST

START_TEST(an_unused_set_can_be_taken_up_again)
{
	struct mos_cb_set *set = change(empty(), A, SND, cb_x), *again;

	mos_cb_set_unref(set);
	again = change(empty(), A, SND, cb_x);
	ck_assert_ptr_eq(again, set);
	purge_all();
	ck_assert_uint_eq(atomic_load(&again->refs), 1);
}
END_TEST

START_TEST(wanted_widens_at_once_and_narrows_with_a_purge)
{
	event_t start = define(MOS_ON_CONN_START, 9);
	struct mos_cb_set *set = change(empty(), MOS_ON_PKT_IN, SND, cb_x);

	set = change(set, start, RCV, cb_x);
	ck_assert_uint_eq(atomic_load(&t.wanted[SND]), MOS_ON_PKT_IN);
	ck_assert_uint_eq(atomic_load(&t.wanted[RCV]), MOS_ON_CONN_START);
	set = change(set, MOS_ON_PKT_IN, SND, NULL);
	ck_assert_uint_eq(atomic_load(&t.wanted[SND]), MOS_ON_PKT_IN);
	purge_all();
	ck_assert_uint_eq(atomic_load(&t.wanted[SND]), 0);
	ck_assert_uint_eq(atomic_load(&t.wanted[RCV]), MOS_ON_CONN_START);
}
END_TEST

enum { MANY = 2000 };

/* MANY sets, each with another event, in set[]. */
static void make_many(struct mos_cb_set *set[MANY])
{
	for (int i = 0; i < MANY; i++)
		set[i] = change(empty(), define(C, 1000 + i), SND, cb_x);
}

START_TEST(what_is_added_during_a_long_purge_is_wanted_after_it)
{
	struct mos_cb_set *set[MANY], *late;

	make_many(set);
	ck_assert_uint_gt(t.bucket_count, 256);
	ck_assert(mos_cb_sets_crowded(&t));
	for (int i = 0; i < MANY; i += 2)
		mos_cb_set_unref(set[i]);
	mos_cb_sets_purge(&t);
	ck_assert(mos_cb_sets_crowded(&t));
	late = change(empty(), MOS_ON_CONN_END, RCV, cb_x);
	for (int i = 0; mos_cb_sets_crowded(&t); i++) {
		ck_assert_int_lt(i, 100);
		mos_cb_sets_purge(&t);
	}
	ck_assert_uint_eq(t.count, 1 + MANY / 2 + 1);
	ck_assert_uint_eq(atomic_load(&t.wanted[SND]), MOS_ON_PKT_IN);
	ck_assert_uint_eq(atomic_load(&t.wanted[RCV]), MOS_ON_CONN_END);
	mos_cb_set_unref(late);
}
END_TEST

START_TEST(a_table_full_of_used_sets_is_not_searched_again_and_again)
{
	struct mos_cb_set *set[MANY], *more;

	make_many(set);
	purge_all();
	ck_assert(!mos_cb_sets_crowded(&t));
	more = change(empty(), MOS_ON_PKT_IN, SND, cb_x);
	ck_assert(!mos_cb_sets_crowded(&t));
	ck_assert_uint_eq(t.count, MANY + 2);
	mos_cb_set_unref(more);
}
END_TEST

/* ---- threads ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct mos_cb_set *) shared; /* a socket's set */
static _Atomic bool done;

/* Put a set into the socket, as registering does. Under the lock. */
static void swap_shared(struct mos_cb_set *set)
{
	mos_cb_set_unref(atomic_exchange_explicit(&shared, set, memory_order_acq_rel));
}

static void *register_all(void *seed)
{
	unsigned state = *(unsigned *)seed;

	for (int i = 0; i < 20000; i++) {
		static const event_t events[] = {A, B, C, R, MOS_ON_PKT_IN, MOS_ON_CONN_END};
		event_t event = events[(unsigned)rand_r(&state) % 6];
		callback_t cb = ((callback_t[]){cb_x, cb_y, NULL})[(unsigned)rand_r(&state) % 3];
		enum mos_hook hook = rand_r(&state) % 2 != 0 ? SND : RCV;
		struct mos_cb_set *set;

		pthread_mutex_lock(&lock);
		set = mos_cb_sets_change(&t, atomic_load(&shared), event, hook, cb);
		ck_assert_ptr_nonnull(set);
		swap_shared(set);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

/* Read all of a set without lock, and mark steps, as a dispatch does. */
static uint32_t use(struct mos_cb_set *set)
{
	uint32_t n = 0;

	for (unsigned hook = 0; hook < MOS_HOOK_COUNT; hook++)
		for (unsigned bit = 0; bit < MOS_EVENT_BITS; bit++) {
			struct mos_tree *tree = set->tree[hook][bit];

			n += set->cb[hook][bit] != NULL;
			for (uint32_t i = 0; tree != NULL && i < tree->count; i++) {
				tree->step[i].raised ^= 1;
				n += tree->step[i].ude->id >= MOS_UDE_FIRST;
			}
		}
	return n;
}

/* A round: flows take the socket's set and leave the one they had; now and then a purge. */
static void *stack_thread(void *unused)
{
	struct mos_cb_set *flow[8] = {NULL};
	uint32_t n = 0;

	while (!atomic_load(&done)) {
		for (int i = 0; i < 8; i++) {
			if (flow[i] != NULL)
				mos_cb_set_unref(flow[i]);
			flow[i] =
				mos_cb_set_ref(atomic_load_explicit(&shared, memory_order_acquire));
			n += use(flow[i]);
		}
		pthread_mutex_lock(&lock);
		mos_cb_sets_purge(&t);
		pthread_mutex_unlock(&lock);
	}
	for (int i = 0; i < 8; i++)
		if (flow[i] != NULL)
			mos_cb_set_unref(flow[i]);
	ck_assert_uint_gt(n, 0);
	return NULL;
}

START_TEST(sets_are_changed_while_flows_use_and_purge_them)
{
	unsigned seeds[2] = {1, 2};
	pthread_t stack, other[2];

	atomic_store(&done, false);
	atomic_store(&shared, empty());
	ck_assert_int_eq(pthread_create(&stack, NULL, stack_thread, NULL), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&other[i], NULL, register_all, &seeds[i]), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(other[i], NULL), 0);
	atomic_store(&done, true);
	ck_assert_int_eq(pthread_join(stack, NULL), 0);
	mos_cb_set_unref(atomic_load(&shared));
	purge_all();
	ck_assert_uint_eq(t.count, 1);
	ck_assert_uint_eq(t.bytes, sizeof(struct mos_cb_set));
}
END_TEST

static TCase *content_case(void)
{
	TCase *tc = tcase_create("content");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_new_table_has_the_set_without_callbacks);
	tcase_add_test(tc, a_change_makes_another_set_and_leaves_the_old_one);
	tcase_add_test(tc, equal_sets_are_one_object_whatever_their_history);
	tcase_add_test(tc, the_last_registration_wins);
	tcase_add_test(tc, a_change_that_changes_nothing_returns_the_set);
	tcase_add_test(tc, hooks_have_independent_callbacks);
	tcase_add_test(tc, steps_are_base_first_then_children_in_order_of_definition);
	tcase_add_test(tc, what_decides_about_an_event_is_there_without_callback);
	tcase_add_test(tc, what_others_need_stays_when_its_callback_goes);
	tcase_add_test(tc, trees_of_different_roots_are_apart);
	tcase_add_test(tc, raised_events_are_found_among_many);
	tcase_add_test(tc, the_deepest_chain_is_compiled);
	return tc;
}

static TCase *life_case(void)
{
	TCase *tc = tcase_create("life");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_same_change_on_many_flows_makes_one_set);
	tcase_add_test(tc, sets_that_nobody_holds_are_freed);
	tcase_add_test(tc, a_remembered_change_does_not_lead_to_a_freed_set);
	tcase_add_test(tc, an_unused_set_can_be_taken_up_again);
	tcase_add_test(tc, wanted_widens_at_once_and_narrows_with_a_purge);
	tcase_add_test(tc, what_is_added_during_a_long_purge_is_wanted_after_it);
	tcase_add_test(tc, a_table_full_of_used_sets_is_not_searched_again_and_again);
	tcase_add_test(tc, sets_are_changed_while_flows_use_and_purge_them);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("cb_set");
	SRunner *sr = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, content_case());
	suite_add_tcase(suite, life_case());
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
