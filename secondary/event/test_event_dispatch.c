/*
 * Dispatches on the bench. Each test draws its tree of events; all callbacks and filters of these
 * are the same two functions, which write down what was called (filters with a '?') and do what
 * the test asked for under the number of the event: say no, raise, stop, dispatch, change the set.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/event/dispatch.h"

#define SND MOS_HOOK_SND

enum { FIRST = MOS_UDE_FIRST, EVENTS = 16 };

/* What happens when an event of this number runs. Numbers: id - FIRST, or 16 + bit. */
struct script {
	bool no;                  /* the filter says so */
	unsigned raise_in_filter; /* bit per event */
	unsigned raise_in_cb;
	bool stop;
	event_t again;              /* start a dispatch for this one from the callback, once */
	struct mos_cb_set *replace; /* the socket gets this set */
};

static struct mos_cb_sets t;
static struct mos_cb_set *set; /* of the socket */
static struct script script[2 * EVENTS];
static struct mos_event_dispatch *under_way;
static uint8_t stopped;
static char called[512];
static int raise_result;

static struct mtcp_context *const mctx = (struct mtcp_context *)&t;

static unsigned number_of(event_t event)
{
	return event >= FIRST ? (unsigned)(event - FIRST)
	                      : EVENTS + (unsigned)__builtin_ctzll(event);
}

static void note(event_t event, const char *mark)
{
	size_t len = strlen(called);
	unsigned n = number_of(event);

	snprintf(called + len, sizeof(called) - len, "%s%s%u%s", len > 0 ? " " : "",
	         n >= EVENTS ? "b" : "", n >= EVENTS ? n - EVENTS : n, mark);
}

static void dispatch(event_t events)
{
	struct mos_event_dispatch d = {
		.mctx = mctx,
		.set = set,
		.outer = under_way,
		.stopped = &stopped,
		.sock = 77,
		.side = MOS_SIDE_SVR,
		.hook = SND,
	};

	under_way = &d;
	mos_event_dispatch_run(&d, (uint32_t)events);
	under_way = (struct mos_event_dispatch *)(uintptr_t)d.outer;
}

static void raise_all(unsigned bits)
{
	for (; bits != 0; bits &= bits - 1)
		raise_result =
			mos_event_dispatch_raise(under_way, FIRST + (event_t)__builtin_ctz(bits));
}

static void check_args(mctx_t m, int sock, int side, event_t event, const filter_arg_t *arg)
{
	ck_assert_ptr_eq(m, mctx);
	ck_assert_int_eq(sock, 77);
	ck_assert_int_eq(side, MOS_SIDE_SVR);
	ck_assert_ptr_eq(arg, event >= FIRST ? &mos_ude_lookup(event)->arg : NULL);
}

static bool on_filter(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
	const struct script *s = &script[number_of(event)];

	check_args(m, sock, side, event, arg);
	note(event, "?");
	raise_all(s->raise_in_filter);
	return !s->no;
}

static void on_event(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct script *s = &script[number_of(event)];
	event_t again = s->again;

	check_args(m, sock, side, event, arg);
	note(event, "");
	raise_all(s->raise_in_cb);
	if (s->stop)
		stopped |= 1 << MOS_SIDE_SVR;
	if (s->replace != NULL)
		set = s->replace;
	s->again = 0;
	if (again != 0)
		dispatch(again);
}

static void define(event_t base)
{
	static int distinct;
	struct filter_arg arg = {.arg = &distinct, .len = sizeof(distinct)};
	event_t id;

	ck_assert_int_eq(mos_ude_define(base, on_filter, &arg, &id), 0);
	distinct++;
}

static void alloc_below(event_t parent)
{
	event_t id;

	ck_assert_int_eq(mos_ude_alloc(parent, &id), 0);
}

static void on(event_t event)
{
	struct mos_cb_set *next = mos_cb_sets_change(&t, set, event, SND, on_event);

	ck_assert_ptr_nonnull(next);
	set = next;
}

/* What was called since the last look. */
static const char *calls(void)
{
	static char copy[sizeof(called)];

	strcpy(copy, called);
	called[0] = '\0';
	return copy;
}

static void setup(void)
{
	ck_assert_int_eq(mos_cb_sets_init(&t), 0);
	set = mos_cb_set_ref(t.empty);
	memset(script, 0, sizeof(script));
	under_way = NULL;
	stopped = 0;
	called[0] = '\0';
	raise_result = 1;
}

static void teardown(void)
{
	mos_cb_sets_fini(&t);
	mos_ude_forget_all();
}

/* ---- order ---- */

START_TEST(built_in_events_run_in_the_order_of_their_bits)
{
	on(MOS_ON_CONN_END);
	on(MOS_ON_PKT_IN);
	on(MOS_ON_CONN_START);
	dispatch(MOS_ON_CONN_END | MOS_ON_CONN_START | MOS_ON_PKT_IN | MOS_ON_REXMIT);
	ck_assert_str_eq(calls(), "b0 b2 b10");
	dispatch(MOS_ON_CONN_START);
	ck_assert_str_eq(calls(), "b2");
	dispatch(MOS_ON_REXMIT);
	ck_assert_str_eq(calls(), "");
}
END_TEST

START_TEST(base_runs_first_then_children_in_order_of_definition)
{
	define(MOS_ON_PKT_IN);     /* 0 */
	define(MOS_ON_CONN_START); /* 1 */
	define(FIRST + 0);         /* 2 */
	define(MOS_ON_PKT_IN);     /* 3 */
	define(FIRST + 0);         /* 4 */
	for (event_t id = FIRST + 4; id >= FIRST; id--)
		on(id);
	on(MOS_ON_PKT_IN);
	dispatch(MOS_ON_CONN_START | MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0 0? 0 2? 2 4? 4 3? 3 1? 1");
}
END_TEST

START_TEST(a_filter_that_says_no_takes_all_below_with_it)
{
	define(MOS_ON_PKT_IN); /* 0 */
	define(FIRST + 0);     /* 1 */
	define(FIRST + 1);     /* 2 */
	define(MOS_ON_PKT_IN); /* 3 */
	on(FIRST + 2);
	on(FIRST + 1);
	on(FIRST + 3);
	script[0].no = true;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "0? 3? 3");
	script[0].no = false;
	script[1].no = true;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "0? 1? 3? 3");
}
END_TEST

START_TEST(filters_run_once_and_for_events_without_callback)
{
	define(MOS_ON_PKT_IN); /* 0 */
	define(FIRST + 0);     /* 1 */
	define(FIRST + 0);     /* 2 */
	define(FIRST + 0);     /* 3: nobody asks for it */
	on(FIRST + 1);
	on(FIRST + 2);
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "0? 1? 1 2? 2");
}
END_TEST

/* ---- raising ---- */

/*
 * PKT_IN +- 0 +- 1 (allocated) +- 3 (allocated)
 *        |    +- 2 (allocated) +- 4
 *        +- 5 (allocated)
 */
static void raise_tree(void)
{
	define(MOS_ON_PKT_IN);
	alloc_below(FIRST + 0);
	alloc_below(FIRST + 0);
	alloc_below(FIRST + 1);
	define(FIRST + 2);
	alloc_below(MOS_ON_PKT_IN);
	for (event_t id = FIRST; id < FIRST + 6; id++)
		on(id);
	on(MOS_ON_PKT_IN);
}

START_TEST(what_nobody_raises_does_not_occur)
{
	raise_tree();
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0 0? 0");
}
END_TEST

START_TEST(a_filter_raises_what_runs_after_its_event)
{
	raise_tree();
	script[0].raise_in_filter = 1 << 2;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_int_eq(raise_result, 0);
	ck_assert_str_eq(calls(), "b0 0? 0 2 4? 4");
}
END_TEST

START_TEST(raised_events_run_in_order_of_definition_and_once)
{
	raise_tree();
	script[0].raise_in_filter = 1 << 2;
	script[0].raise_in_cb = 1 << 2 | 1 << 1;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0 0? 0 1 2 4? 4");
}
END_TEST

START_TEST(callbacks_raise_too_also_those_of_built_in_events)
{
	raise_tree();
	script[EVENTS + 0].raise_in_cb = 1 << 5;
	script[0].raise_in_cb = 1 << 1;
	script[1].raise_in_cb = 1 << 3;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0 0? 0 1 3 5");
}
END_TEST

START_TEST(an_event_is_raised_for_one_dispatch)
{
	raise_tree();
	script[0].raise_in_filter = 1 << 1;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0 0? 0 1");
	script[0].raise_in_filter = 0;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0 0? 0");
}
END_TEST

START_TEST(what_a_filter_raised_is_discarded_when_it_says_no)
{
	raise_tree();
	script[0].raise_in_filter = 1 << 1 | 1 << 2;
	script[0].no = true;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0 0?");
	script[0].raise_in_filter = 0;
	script[0].no = false;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0 0? 0");
}
END_TEST

START_TEST(only_what_was_allocated_right_below_can_be_raised)
{
	static const struct {
		unsigned in, raise;
		int result;
	} rows[] = {
		{0, 1 << 1, 0},
		{0, 1 << 3, -EINVAL}, /* further below */
		{0, 1 << 4, -EINVAL}, /* has a filter, and is further below */
		{0, 1 << 5, -EINVAL}, /* beside it */
		{0, 1 << 0, -EINVAL}, /* itself */
		{0, 1 << 6, -EINVAL}, /* no event */
		{EVENTS, 1 << 5, 0},
		{EVENTS, 1 << 0, -EINVAL}, /* has a filter */
		{EVENTS, 1 << 1, -EINVAL}, /* further below */
	};

	raise_tree();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(script, 0, sizeof(script));
		script[rows[i].in].raise_in_cb = rows[i].raise;
		dispatch(MOS_ON_PKT_IN);
		ck_assert_int_eq(raise_result, rows[i].result);
	}
}
END_TEST

START_TEST(children_of_another_built_in_event_cannot_be_raised)
{
	alloc_below(MOS_ON_CONN_START);
	on(FIRST);
	on(MOS_ON_PKT_IN);
	script[EVENTS].raise_in_cb = 1;
	dispatch(MOS_ON_PKT_IN | MOS_ON_CONN_START);
	ck_assert_int_eq(raise_result, -EINVAL);
	ck_assert_str_eq(calls(), "b0");
}
END_TEST

START_TEST(raising_what_nobody_asked_for_is_an_answer)
{
	define(MOS_ON_PKT_IN);        /* 0 */
	alloc_below(FIRST + 0);       /* 1: nobody asks for it */
	alloc_below(FIRST + 0);       /* 2 */
	alloc_below(MOS_ON_CONN_END); /* 3: no tree at all */
	on(FIRST + 2);
	on(MOS_ON_CONN_END);
	script[0].raise_in_filter = 1 << 1;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_int_eq(raise_result, -ENOENT);
	script[EVENTS + 10].raise_in_cb = 1 << 3;
	raise_result = 0;
	dispatch(MOS_ON_CONN_END);
	ck_assert_int_eq(raise_result, -ENOENT);
}
END_TEST

START_TEST(a_raised_event_without_callback_lets_pass_to_what_is_below)
{
	alloc_below(MOS_ON_PKT_IN); /* 0 */
	define(FIRST + 0);          /* 1 */
	on(FIRST + 1);
	on(MOS_ON_PKT_IN);
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0");
	script[EVENTS].raise_in_cb = 1;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0 1? 1");
}
END_TEST

/* ---- within each other ---- */

START_TEST(a_dispatch_within_another_does_not_touch_what_that_one_raised)
{
	raise_tree();
	script[0].raise_in_filter = 1 << 1 | 1 << 2;
	script[1].again = MOS_ON_PKT_IN; /* 2 is still to come, and is raised within, too */
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0 0? 0 1 b0 0? 0 1 2 4? 4 2 4? 4");
	script[0].raise_in_filter = 1 << 2;
	script[0].again = MOS_ON_PKT_IN;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0 0? 0 b0 0? 0 2 4? 4 2 4? 4");
}
END_TEST

START_TEST(too_deep_is_an_answer)
{
	struct mos_event_dispatch outer = {.depth = MOS_EVENT_NESTED_MAX - 2};

	raise_tree();
	under_way = &outer;
	script[0].raise_in_filter = 1 << 1;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_int_eq(raise_result, 0);
	ck_assert_str_eq(calls(), "b0 0? 0 1");
	outer.depth++;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_int_eq(raise_result, -ENOMEM);
	ck_assert_str_eq(calls(), "b0 0? 0");
}
END_TEST

START_TEST(a_change_of_the_set_takes_effect_at_the_next_dispatch)
{
	struct mos_cb_set *empty = mos_cb_set_ref(t.empty);

	raise_tree();
	script[EVENTS].replace = empty;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0 0? 0");
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "");
}
END_TEST

/* ---- stopping ---- */

START_TEST(stopping_takes_effect_at_once)
{
	raise_tree();
	on(MOS_ON_CONN_END);
	script[0].raise_in_filter = 1 << 1 | 1 << 2;
	script[0].stop = true;
	dispatch(MOS_ON_PKT_IN | MOS_ON_CONN_END);
	ck_assert_str_eq(calls(), "b0 0? 0");
	dispatch(MOS_ON_PKT_IN | MOS_ON_CONN_END);
	ck_assert_str_eq(calls(), "");
	stopped = 1 << MOS_SIDE_CLI; /* the other side */
	memset(script, 0, sizeof(script));
	dispatch(MOS_ON_PKT_IN | MOS_ON_CONN_END);
	ck_assert_str_eq(calls(), "b0 0? 0 b10"); /* what had been raised is forgotten */
}
END_TEST

START_TEST(a_built_in_callback_stops_all_below_it)
{
	raise_tree();
	script[EVENTS].stop = true;
	script[EVENTS].raise_in_cb = 1 << 5;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0");
	stopped = 0;
	memset(script, 0, sizeof(script));
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "b0 0? 0");
}
END_TEST

static bool stopping_filter(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
	stopped = 1 << MOS_SIDE_SVR;
	return true;
}

START_TEST(a_filter_that_stops_is_the_last_to_run)
{
	event_t id;

	ck_assert_int_eq(mos_ude_define(MOS_ON_PKT_IN, stopping_filter, NULL, &id), 0);
	on(id);
	on(MOS_ON_CONN_END);
	dispatch(MOS_ON_PKT_IN | MOS_ON_CONN_END);
	ck_assert_str_eq(calls(), "");
	ck_assert_uint_ne(stopped, 0);
}
END_TEST

/* ---- depth ---- */

START_TEST(the_deepest_tree_runs)
{
	static const char expect[] = "0? 0";
	event_t leaf = FIRST;

	define(MOS_ON_PKT_IN);
	on(FIRST);
	script[0].no = true; /* the rest says nothing that is written down */
	for (unsigned i = 1; i < MOS_UDE_MAX; i++)
		ck_assert_int_eq(mos_ude_alloc(leaf, &leaf), 0);
	set = mos_cb_sets_change(&t, set, leaf, SND, on_event);
	ck_assert_ptr_nonnull(set);
	ck_assert_uint_eq(set->tree[SND][0]->count, MOS_UDE_MAX);
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), "0?");
	script[0].no = false;
	dispatch(MOS_ON_PKT_IN);
	ck_assert_str_eq(calls(), expect);
}
END_TEST

static TCase *order_case(void)
{
	TCase *tc = tcase_create("order");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, built_in_events_run_in_the_order_of_their_bits);
	tcase_add_test(tc, base_runs_first_then_children_in_order_of_definition);
	tcase_add_test(tc, a_filter_that_says_no_takes_all_below_with_it);
	tcase_add_test(tc, filters_run_once_and_for_events_without_callback);
	tcase_add_test(tc, a_change_of_the_set_takes_effect_at_the_next_dispatch);
	tcase_add_test(tc, stopping_takes_effect_at_once);
	tcase_add_test(tc, a_built_in_callback_stops_all_below_it);
	tcase_add_test(tc, a_filter_that_stops_is_the_last_to_run);
	tcase_add_test(tc, the_deepest_tree_runs);
	return tc;
}

static TCase *raise_case(void)
{
	TCase *tc = tcase_create("raise");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_nobody_raises_does_not_occur);
	tcase_add_test(tc, a_filter_raises_what_runs_after_its_event);
	tcase_add_test(tc, raised_events_run_in_order_of_definition_and_once);
	tcase_add_test(tc, callbacks_raise_too_also_those_of_built_in_events);
	tcase_add_test(tc, an_event_is_raised_for_one_dispatch);
	tcase_add_test(tc, what_a_filter_raised_is_discarded_when_it_says_no);
	tcase_add_test(tc, only_what_was_allocated_right_below_can_be_raised);
	tcase_add_test(tc, children_of_another_built_in_event_cannot_be_raised);
	tcase_add_test(tc, raising_what_nobody_asked_for_is_an_answer);
	tcase_add_test(tc, a_raised_event_without_callback_lets_pass_to_what_is_below);
	tcase_add_test(tc, a_dispatch_within_another_does_not_touch_what_that_one_raised);
	tcase_add_test(tc, too_deep_is_an_answer);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("event_dispatch");
	SRunner *sr = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, order_case());
	suite_add_tcase(suite, raise_case());
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
