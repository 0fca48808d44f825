/*
 * Last packets on the bench: a few flows, whose frames are strings.
 */
#include "secondary/last_packet/last_packet.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define FLOWS 4

static struct mos_last_packets l;

static void open_flows(void)
{
	mos_last_init(&l, FLOWS);
}

static void close_flows(void)
{
	mos_last_fini(&l);
}

static void keep(uint32_t flow, int side, const char *frame, uint32_t len)
{
	struct mos_last_packet *p = mos_last_keep(&l, flow, side, len);

	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(p->len, len);
	memcpy(p->frame, frame, len);
}

static void is_kept(uint32_t flow, int side, const char *frame)
{
	const struct mos_last_packet *p = mos_last_get(&l, flow, side);

	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(p->len, strlen(frame));
	ck_assert_mem_eq(p->frame, frame, p->len);
}

START_TEST(each_side_keeps_its_last)
{
	ck_assert_int_eq(mos_last_watch(&l, 1, 1), 0);
	ck_assert_ptr_null(mos_last_get(&l, 1, 0));
	keep(1, 0, "first", 5);
	keep(1, 0, "again", 5);
	ck_assert_ptr_null(mos_last_get(&l, 1, 1));
	keep(1, 1, "answer", 6);
	keep(1, 0, "no", 2);
	is_kept(1, 0, "no");
	is_kept(1, 1, "answer");
}
END_TEST

/* Memory is asked for when a longer frame comes than ever before, and then not again. */
START_TEST(frames_of_any_length_find_room)
{
	static char frame[70000];
	const uint32_t lens[] = {54, 1514, 60, 256, 257, 9014, 65664, 1};
	const uint8_t *last = NULL;

	memset(frame, 'x', sizeof(frame));
	ck_assert_int_eq(mos_last_watch(&l, 0, 1), 0);
	for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		keep(0, 1, frame, lens[i]);
	last = mos_last_get(&l, 0, 1)->frame;
	keep(0, 1, frame, 65000);
	ck_assert_ptr_eq(mos_last_get(&l, 0, 1)->frame, last);
}
END_TEST

START_TEST(flow_is_watched_while_a_socket_asks)
{
	ck_assert(!mos_last_is_watched(&l, 2, 0));
	ck_assert(!mos_last_unwatch(&l, 2, 0xff));
	ck_assert_int_eq(mos_last_watch(&l, 2, 1 << 7), 0);
	ck_assert_int_eq(mos_last_watch(&l, 2, 1 << 3), 0);
	keep(2, 0, "kept", 4);
	ck_assert(mos_last_is_watched(&l, 2, 3));
	ck_assert(!mos_last_is_watched(&l, 2, 0));
	ck_assert(!mos_last_is_watched(&l, 1, 3));
	ck_assert(mos_last_unwatch(&l, 2, 1 << 3));
	ck_assert(!mos_last_is_watched(&l, 2, 3));
	is_kept(2, 0, "kept");
	ck_assert(!mos_last_unwatch(&l, 2, 1 << 7));
	ck_assert(!mos_last_is_watched(&l, 2, 7));
}
END_TEST

START_TEST(flow_that_begins_anew_has_none)
{
	ck_assert_int_eq(mos_last_watch(&l, 3, 1), 0);
	keep(3, 0, "old", 3);
	mos_last_free(&l, 3);
	mos_last_free(&l, 3);
	ck_assert_int_eq(mos_last_watch(&l, 3, 1), 0);
	ck_assert_ptr_null(mos_last_get(&l, 3, 0));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("last_packet");
	TCase *tc = tcase_create("kept");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, open_flows, close_flows);
	tcase_add_test(tc, each_side_keeps_its_last);
	tcase_add_test(tc, frames_of_any_length_find_room);
	tcase_add_test(tc, flow_is_watched_while_a_socket_asks);
	tcase_add_test(tc, flow_that_begins_anew_has_none);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
