/*
 * Registration and user-defined events on the bench (see harness.h): specification section 5.
 *
 * Callbacks x, y, z and filters tell that they ran: "x0" is callback x for built-in event bit 0,
 * "y+2" callback y for the third event that the test defined, "?+1" the filter of the second.
 */
#include <stdio.h>

#include "test/eal/worker_tests.h"

static const struct hs_pkt syn = SYN(1000), data = DATA(1001, 5001, 5), rst = RST(1001);

static char told[4096];
static event_t ude[16]; /* by number, as the test defines them */
static unsigned defined;
static unsigned refuse; /* bit per number: its filter says no */
static int passive;

static void tell(char who, event_t event)
{
	char text[16];

	if (event < MOS_UDE_FIRST)
		snprintf(text, sizeof(text), "%s%c%d", told[0] ? " " : "", who,
		         __builtin_ctzll(event));
	else
		snprintf(text, sizeof(text), "%s%c+%d", told[0] ? " " : "", who,
		         (int)(event - ude[0]));
	ck_assert_uint_lt(strlen(told) + strlen(text), sizeof(told));
	strcat(told, text);
}

static void x(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	tell('x', event);
}

static void y(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	tell('y', event);
}

static void z(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	tell('z', event);
}

static void (*in_filter)(int sock, event_t event);

/* The bytes given to each event are its number. */
static bool ask(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	unsigned number = (unsigned)(event - ude[0]), bytes;

	ck_assert_uint_eq(arg->len, sizeof(bytes));
	memcpy(&bytes, arg->arg, sizeof(bytes));
	ck_assert_uint_eq(bytes, number);
	tell('?', event);
	if (in_filter != NULL)
		in_filter(sock, event);
	return !(refuse >> number & 1);
}

static event_t define(event_t base)
{
	unsigned bytes = defined;
	struct filter_arg arg = {.arg = &bytes, .len = sizeof(bytes)};

	ude[defined] = mtcp_define_event(base, ask, &arg);
	ck_assert_uint_ge(ude[defined], MOS_UDE_FIRST);
	return ude[defined++];
}

static event_t alloc(event_t parent)
{
	ude[defined] = mtcp_alloc_event(parent);
	ck_assert_uint_ge(ude[defined], MOS_UDE_FIRST);
	return ude[defined++];
}

static void on_snd(int sock, event_t event, callback_t cb)
{
	ck_assert_int_eq(mtcp_register_callback(hs_mctx(), sock, event, MOS_HK_SND, cb), 0);
}

static void open_bare(void)
{
	hs_open(NULL);
	mos_ude_forget_all();
	defined = refuse = 0;
	in_filter = NULL;
	told[0] = '\0';
	passive = mtcp_socket(hs_mctx(), AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	ck_assert_int_ge(passive, 0);
}

/* Send the packet: what is told meanwhile. */
#define expect(packet, text)                      \
	do {                                      \
		told[0] = '\0';                   \
		hs_send(&(packet));               \
		ck_assert_uint_eq(hs_round(), 1); \
		ck_assert_str_eq(told, text);     \
	} while (0)

/* ---- registration ---- */

START_TEST(last_callback_wins_and_null_takes_it_away)
{
	open_bare();
	on_snd(passive, MOS_ON_PKT_IN, x);
	on_snd(passive, MOS_ON_PKT_IN, x); /* the same again: no other */
	hs_handshake(0);
	expect(data, "x0");
	on_snd(passive, MOS_ON_PKT_IN, y);
	expect(rst, "x0"); /* of a flow that was there */
	expect(syn, "y0");
	expect(rst, "y0");
	on_snd(passive, MOS_ON_PKT_IN, NULL);
	on_snd(passive, MOS_ON_PKT_IN, NULL);
	expect(syn, "");
}
END_TEST

START_TEST(hooks_have_callbacks_of_their_own)
{
	open_bare();
	on_snd(passive, MOS_ON_PKT_IN, x);
	ck_assert_int_eq(mtcp_register_callback(hs_mctx(), passive, MOS_ON_PKT_IN, MOS_HK_RCV, y),
	                 0);
	ck_assert_int_eq(
		mtcp_register_callback(hs_mctx(), passive, MOS_ON_CONN_START, MOS_HK_RCV, z), 0);
	expect(syn, "x0 y0 z2");
}
END_TEST

START_TEST(user_event_is_registered_only_where_its_root_occurs)
{
	event_t start, below, raised, orphan;

	open_bare();
	start = define(MOS_ON_CONN_START);
	below = define(start);
	raised = alloc(below);
	orphan = define(MOS_ON_ORPHAN);
	for (unsigned i = 0; i < 3; i++) {
		event_t e = i == 0 ? start : i == 1 ? below : raised;

		on_snd(passive, e, x);
		ck_assert_int_eq(mtcp_register_callback(hs_mctx(), passive, e, MOS_HK_RCV, x), 0);
		fails(EINVAL, mtcp_register_callback(hs_mctx(), passive, e, MOS_NULL, x));
	}
	fails(EINVAL, mtcp_register_callback(hs_mctx(), passive, orphan, MOS_HK_SND, x));
	ck_assert_int_eq(mtcp_register_callback(hs_mctx(), passive, orphan, MOS_NULL, x), 0);
	fails(EINVAL, mtcp_register_callback(hs_mctx(), passive, orphan + 1, MOS_NULL, x));
	fails(EINVAL,
	      mtcp_register_callback(hs_mctx(), passive, start | UINT64_C(1) << 40, MOS_HK_SND, x));
	fails(EBADF, mtcp_register_callback(hs_mctx(), 50, start, MOS_HK_SND, x));
}
END_TEST

START_TEST(constructors_refuse_what_makes_no_sense)
{
	struct filter_arg no_bytes = {.arg = NULL, .len = 4}, empty = {.arg = NULL, .len = 0};
	static const event_t bad[] = {0, MOS_ON_PKT_OUT, MOS_ON_PKT_IN | MOS_ON_CONN_START,
	                              MOS_UDE_FIRST + 99, UINT64_MAX};

	open_bare();
	for (unsigned i = 0; i < RTE_DIM(bad); i++) {
		errno = 0;
		ck_assert_uint_eq(mtcp_define_event(bad[i], ask, NULL), MOS_NULL_EVENT);
		ck_assert_int_eq(errno, EINVAL);
		errno = 0;
		ck_assert_uint_eq(mtcp_alloc_event(bad[i]), MOS_NULL_EVENT);
		ck_assert_int_eq(errno, EINVAL);
	}
	errno = 0;
	ck_assert_uint_eq(mtcp_define_event(MOS_ON_PKT_IN, NULL, NULL), MOS_NULL_EVENT);
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_uint_eq(mtcp_define_event(MOS_ON_PKT_IN, ask, &no_bytes), MOS_NULL_EVENT);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_uint_eq(mtcp_define_event(MOS_ON_PKT_IN, ask, NULL),
	                  mtcp_define_event(MOS_ON_PKT_IN, ask, &empty));
	ck_assert_uint_ne(mtcp_alloc_event(MOS_ON_PKT_IN), mtcp_alloc_event(MOS_ON_PKT_IN));
}
END_TEST

static void change_own(int sock, event_t event)
{
	if (event != ude[0])
		return;
	on_snd(sock, ude[0], y);
	on_snd(sock, ude[1], NULL);
	on_snd(sock, MOS_ON_TCP_STATE_CHANGE, y);
}

/* The walk goes on over the set it began with, to its end. */
START_TEST(change_in_a_filter_counts_from_the_next_dispatch)
{
	const struct hs_pkt fin = FIN(1001, 5001);

	open_bare();
	on_snd(passive, define(MOS_ON_PKT_IN), x);
	on_snd(passive, define(MOS_ON_PKT_IN), x);
	hs_handshake(0);
	in_filter = change_own;
	expect(fin, "?+0 x+0 ?+1 x+1");
	in_filter = NULL;
	expect(rst, "?+0 y+0 y7 y7 y7"); /* RST, and the end of each half */
	expect(syn, "?+0 x+0 ?+1 x+1");  /* another flow */
}
END_TEST

/* ---- walking ---- */

START_TEST(ancestors_are_asked_but_need_no_callback)
{
	event_t a, b;

	open_bare();
	a = define(MOS_ON_PKT_IN);
	b = define(a);
	on_snd(passive, define(b), x);
	hs_handshake(0);
	expect(data, "?+0 ?+1 ?+2 x+2");
	refuse = 1 << 1;
	expect(data, "?+0 ?+1");
	refuse = 1 << 0;
	expect(data, "?+0");
	refuse = 0;
	expect(rst, "?+0 ?+1 ?+2 x+2");
}
END_TEST

START_TEST(base_comes_first_then_children_as_they_were_defined)
{
	event_t a, b, below_a;

	open_bare();
	a = define(MOS_ON_PKT_IN);
	b = define(MOS_ON_PKT_IN);
	below_a = define(a);
	on_snd(passive, below_a, z); /* in the other order */
	on_snd(passive, b, y);
	on_snd(passive, a, x);
	on_snd(passive, MOS_ON_TCP_STATE_CHANGE, y);
	on_snd(passive, MOS_ON_PKT_IN, x);
	expect(syn, "x0 ?+0 x+0 ?+2 z+2 ?+1 y+1 y7");
	refuse = 1 << 0;
	hs_send(&(struct hs_pkt)SYN_ACK(5000, 1001));
	hs_round();
	expect(data, "x0 ?+0 ?+1 y+1");
}
END_TEST

START_TEST(user_events_follow_each_hook_and_event_by_itself)
{
	event_t e;

	open_bare();
	e = define(MOS_ON_CONN_END);
	on_snd(passive, e, x);
	ck_assert_int_eq(mtcp_register_callback(hs_mctx(), passive, e, MOS_HK_RCV, y), 0);
	hs_handshake(0);
	expect(data, "");
	expect(rst, "?+0 y+0 ?+0 x+0 ?+0 y+0 ?+0 x+0");
}
END_TEST

/* ---- raising ---- */

static void raise_1_and_3(int sock, event_t event)
{
	if (event != ude[0])
		return;
	ck_assert_int_eq(mtcp_raise_event(hs_mctx(), ude[3]), 0);
	ck_assert_int_eq(mtcp_raise_event(hs_mctx(), ude[1]), 0);
	ck_assert_int_eq(mtcp_raise_event(hs_mctx(), ude[1]), 0); /* twice is once */
}

START_TEST(raised_children_run_after_their_parent_once)
{
	open_bare();
	define(MOS_ON_PKT_IN);
	for (int i = 1; i <= 3; i++)
		on_snd(passive, alloc(ude[0]), y);
	on_snd(passive, define(ude[1]), z);
	on_snd(passive, ude[0], x);
	on_snd(passive, MOS_ON_PKT_IN, x);
	hs_handshake(0);
	in_filter = raise_1_and_3;
	expect(data, "x0 ?+0 x+0 y+1 ?+4 z+4 y+3");
	in_filter = NULL;
	expect(data, "x0 ?+0 x+0"); /* what was raised is forgotten */
	in_filter = raise_1_and_3;
	refuse = 1 << 0;
	expect(data, "x0 ?+0"); /* its parent did not occur */
	in_filter = NULL;
	refuse = 0;
	expect(data, "x0 ?+0 x+0");
}
END_TEST

static void raise_0(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	tell('!', event);
	ck_assert_int_eq(mtcp_raise_event(mctx, ude[0]), 0);
}

START_TEST(callback_of_a_built_in_event_raises_its_children)
{
	open_bare();
	on_snd(passive, alloc(MOS_ON_PKT_IN), x);
	on_snd(passive, MOS_ON_PKT_IN, raise_0);
	expect(syn, "!0 x+0");
	ck_assert_int_eq(mtcp_register_callback(hs_mctx(), passive, ude[0], MOS_HK_RCV, y), 0);
	expect(rst, "!0 x+0"); /* raised at SND, not at RCV */
}
END_TEST

static void raise_childless(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	tell('!', event);
	fails(EPERM, mtcp_raise_event(mctx, ude[0]));
}

START_TEST(built_in_event_without_children_raises_nothing)
{
	open_bare();
	alloc(MOS_ON_PKT_IN);
	on_snd(passive, MOS_ON_PKT_IN, raise_childless);
	expect(syn, "!0");
}
END_TEST

static void *raise_elsewhere(void *arg)
{
	fails(EPERM, mtcp_raise_event(hs_mctx(), ude[1]));
	return arg;
}

static unsigned raised_wrong;

static void raise_wrong(int sock, event_t event)
{
	pthread_t t;

	if (event != ude[0])
		return;
	raised_wrong++;
	fails(EACCES, mtcp_raise_event(NULL, ude[1]));
	fails(EINVAL, mtcp_raise_event(hs_mctx(), ude[0]));        /* it has a filter */
	fails(EINVAL, mtcp_raise_event(hs_mctx(), MOS_ON_PKT_IN)); /* built-in */
	fails(EINVAL, mtcp_raise_event(hs_mctx(), ude[2]));        /* below another */
	fails(EINVAL, mtcp_raise_event(hs_mctx(), ude[3]));        /* not directly below */
	fails(EINVAL, mtcp_raise_event(hs_mctx(), ude[4]));        /* below the built-in one */
	fails(EINVAL, mtcp_raise_event(hs_mctx(), 0));
	fails(EINVAL, mtcp_raise_event(hs_mctx(), UINT64_MAX));
	fails(ENOENT, mtcp_raise_event(hs_mctx(), ude[5])); /* no callback */
	ck_assert_int_eq(pthread_create(&t, NULL, raise_elsewhere, NULL), 0);
	pthread_join(t, NULL);
}

static void raise_in_timer(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	raised_wrong++;
	fails(EPERM, mtcp_raise_event(mctx, ude[1]));
}

START_TEST(only_a_child_of_what_is_running_can_be_raised)
{
	struct timeval now = {0};
	event_t a, other;

	open_bare();
	raised_wrong = 0;
	a = define(MOS_ON_PKT_IN);
	alloc(a);
	other = define(MOS_ON_PKT_IN);
	ude[2] = mtcp_alloc_event(other);
	ude[3] = mtcp_alloc_event(ude[1]);
	ude[4] = mtcp_alloc_event(MOS_ON_PKT_IN);
	ude[5] = mtcp_alloc_event(a);
	on_snd(passive, a, x);
	for (int i = 1; i <= 4; i++)
		on_snd(passive, ude[i], y);
	in_filter = raise_wrong;
	hs_handshake(0);
	expect(data, "?+0 x+0 ?+2");
	ck_assert_uint_ge(raised_wrong, 2);
	fails(EPERM, mtcp_raise_event(hs_mctx(), ude[1])); /* between packets */
	raised_wrong = 0;
	ck_assert_int_eq(mtcp_settimer(hs_mctx(), 1, &now, raise_in_timer), 0);
	hs_advance(1);
	ck_assert_uint_eq(raised_wrong, 1);
}
END_TEST

TCase *event_case(void)
{
	TCase *tc = tcase_create("events");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, last_callback_wins_and_null_takes_it_away);
	tcase_add_test(tc, hooks_have_callbacks_of_their_own);
	tcase_add_test(tc, user_event_is_registered_only_where_its_root_occurs);
	tcase_add_test(tc, constructors_refuse_what_makes_no_sense);
	tcase_add_test(tc, change_in_a_filter_counts_from_the_next_dispatch);
	tcase_add_test(tc, ancestors_are_asked_but_need_no_callback);
	tcase_add_test(tc, base_comes_first_then_children_as_they_were_defined);
	tcase_add_test(tc, user_events_follow_each_hook_and_event_by_itself);
	tcase_add_test(tc, raised_children_run_after_their_parent_once);
	tcase_add_test(tc, callback_of_a_built_in_event_raises_its_children);
	tcase_add_test(tc, built_in_event_without_children_raises_nothing);
	tcase_add_test(tc, only_a_child_of_what_is_running_can_be_raised);
	return tc;
}
