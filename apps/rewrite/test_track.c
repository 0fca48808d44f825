/*
 * The states of a stream whose packets come again, early and in other pieces, while the process
 * dies before or behind the moment at which the library counts a packet's edits.
 */
#include "apps/rewrite/track.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define BASE UINT32_C(0xffffff00) /* numbers wrap soon */

static struct track t;
static struct http_state state;

/* A state that says where it is good. */
static struct http_state state_at(uint32_t seq)
{
	return (struct http_state){.phase = HTTP_BODY, .status = (uint16_t)(seq - BASE)};
}

static void store(uint32_t from, uint32_t to)
{
	struct http_state s = state_at(to);

	track_store(&t, from, to, &s);
}

static void begin(void)
{
	struct http_state s = state_at(BASE);

	memset(&t, 0, sizeof(t));
	ck_assert(track_is_new(&t));
	track_begin(&t, BASE, &s);
	ck_assert(!track_is_new(&t));
}

static enum track_answer ask(uint32_t decided, uint32_t from, uint32_t len)
{
	return track_find(&t, BASE + decided, BASE + from, len, &state);
}

START_TEST(segments_in_order_are_edited_each_with_its_state)
{
	for (uint32_t at = 0; at < 1000; at += 10) {
		ck_assert_int_eq(ask(at, at, 10), TRACK_EDIT);
		ck_assert_uint_eq(state.status, at);
		store(BASE + at, BASE + at + 10);
	}
}
END_TEST

START_TEST(segments_that_come_again_pass_and_early_ones_wait)
{
	store(BASE, BASE + 300);
	ck_assert_int_eq(ask(300, 0, 300), TRACK_PASS);
	ck_assert_int_eq(ask(300, 290, 10), TRACK_PASS);
	ck_assert_int_eq(ask(300, 301, 10), TRACK_WAIT);
	ck_assert_int_eq(ask(300, 290, 11), TRACK_EDIT);
	ck_assert_uint_eq(state.status, 300);
}
END_TEST

START_TEST(packet_that_was_not_counted_is_edited_again)
{
	store(BASE, BASE + 100);
	store(BASE + 100, BASE + 200); /* and dies */
	ck_assert_int_eq(ask(100, 100, 50), TRACK_EDIT);
	ck_assert_uint_eq(state.status, 100);
	ck_assert_int_eq(ask(100, 200, 50), TRACK_WAIT);
	store(BASE + 100, BASE + 150);
	ck_assert_int_eq(ask(150, 150, 50), TRACK_EDIT);
	ck_assert_uint_eq(state.status, 150);
	store(BASE + 150, BASE + 200); /* and dies again, and again */
	ck_assert_int_eq(ask(150, 100, 70), TRACK_EDIT);
	ck_assert_uint_eq(state.status, 150);
	store(BASE + 150, BASE + 170);
	ck_assert_int_eq(ask(150, 100, 60), TRACK_EDIT);
	ck_assert_uint_eq(state.status, 150);
}
END_TEST

START_TEST(stream_that_is_over_goes_on_alone)
{
	struct http_state over = {.phase = HTTP_PASS};

	track_store(&t, BASE, BASE + 10, &over);
	ck_assert_int_eq(ask(0, 0, 10), TRACK_EDIT); /* it was not counted */
	ck_assert_int_eq(ask(10, 10, 10), TRACK_PASS);
	ck_assert_int_eq(ask(10, 20, 10), TRACK_PASS);
	for (uint32_t at = 1 << 28; at != 0; at += 1 << 28)
		ck_assert_int_eq(ask(at, at, 10), TRACK_PASS);
	ck_assert_int_eq(ask(0, 0, 10), TRACK_PASS);
}
END_TEST

START_TEST(strays_are_known)
{
	store(BASE, BASE + 10);
	ck_assert_int_eq(ask(5, 5, 10), TRACK_STRAY);
}
END_TEST

/*
 * Random segments, random deaths. What the library has decided is the model: it moves to the end of
 * a segment that was edited, unless the process dies before that.
 */
START_TEST(state_is_right_whatever_dies)
{
	uint32_t decided = 0;

	for (int i = 0; i < 20000; i++) {
		uint32_t from = decided + (uint32_t)rand() % 40 - 20,
			 len = 1 + (uint32_t)rand() % 30;
		int early = (int32_t)(from - decided);

		switch (ask(decided, from, len)) {
		case TRACK_PASS: ck_assert_int_le(early + (int)len, 0); break;
		case TRACK_WAIT: ck_assert_int_gt(early, 0); break;
		case TRACK_EDIT:
			ck_assert_uint_eq(state.status, (uint16_t)decided);
			store(BASE + decided, BASE + from + len);
			decided = rand() % 3 == 0 ? decided : from + len;
			break;
		case TRACK_STRAY: ck_abort(); break;
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rewrite_track");
	TCase *tc = tcase_create("track");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, segments_in_order_are_edited_each_with_its_state);
	tcase_add_test(tc, segments_that_come_again_pass_and_early_ones_wait);
	tcase_add_test(tc, packet_that_was_not_counted_is_edited_again);
	tcase_add_test(tc, stream_that_is_over_goes_on_alone);
	tcase_add_test(tc, strays_are_known);
	tcase_add_test(tc, state_is_right_whatever_dies);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
