/* What an edit does to numbers and to bytes that are sent again. test_remap.h tells the bench. */
#include "secondary/remap/test_remap.h"

/* Below, sender's numbers begin at 1000, and what is sent are the letters from 'a' on. */
#define ISN 1000u

static const uint8_t letters[] = "abcdefghijklmnopqrstuvwxyz";
static uint8_t room[4096];
static struct mos_remap_image image;

static void packet(uint32_t seq, uint32_t len, bool fin)
{
	mos_remap_packet(&b.r, b.flow, CLI, seq, len, fin);
}

static void commit(const char *payload)
{
	mos_remap_commit(&b.r, (const uint8_t *)payload);
}

/* The image of [from, end), as a string. */
static const char *image_of(uint32_t from, uint32_t end, bool fin)
{
	image = mos_remap_image(&b.r, b.flow, CLI, from, letters + (from - ISN), end - from, fin,
	                        room, sizeof(room) - 1);
	room[image.len] = 0;
	return (const char *)room;
}

/* [1003, 1006), "def", becomes `text`. */
static void replace_def(const char *text)
{
	char payload[100];

	packet(ISN, 10, false);
	ck_assert_int_eq(mos_remap_note_chomp(&b.r, 3, 3), 0);
	if (*text)
		ck_assert_int_eq(mos_remap_note_insert(&b.r, 3, (uint32_t)strlen(text), 1400), 0);
	snprintf(payload, sizeof(payload), "abc%sghij", text);
	commit(payload);
}

static void setup(void)
{
	bench_open(ISN);
}

static void teardown(void)
{
	mos_remap_free_flow(&b.r, b.flow);
	ck_assert_uint_eq(chunks_used(), 0);
	bench_close();
}

/* ---- numbers ---- */

START_TEST(without_edits_numbers_are_the_same_and_no_chunk_is_taken)
{
	packet(ISN, 10, false);
	commit("abcdefghij");
	ck_assert_uint_eq(mos_remap_decided(&b.r, b.flow, CLI), ISN + 10);
	ck_assert_uint_eq(map(ISN + 5), ISN + 5);
	ck_assert_uint_eq(unmap(ISN + 5), ISN + 5);
	ck_assert_uint_eq(unmap_start(ISN + 5), ISN + 5);
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

/* text; sender's number; receiver's of it; what an ACK of that acknowledges; SACK from there */
static const struct {
	const char *text;
	uint32_t seq, mapped, acked, start;
} numbers[] = {
	{"XY", 2, 2, 2, 2},    {"XY", 3, 3, 3, 3},        {"XY", 4, 4, 4, 4},
	{"XY", 5, 5, 6, 5},    {"XY", 6, 5, 6, 5},        {"XY", 9, 8, 9, 9},
	{"", 3, 3, 6, 3},      {"", 5, 3, 6, 3},          {"", 6, 3, 6, 3},
	{"", 7, 4, 7, 7},      {"VWXYZ", 4, 4, 4, 4},     {"VWXYZ", 5, 5, 5, 5},
	{"VWXYZ", 6, 8, 6, 6}, {"VWXYZ", 10, 12, 10, 10},
};

START_TEST(a_number_has_one_on_the_other_side)
{
	uint32_t to;

	replace_def(numbers[_i].text);
	to = map(ISN + numbers[_i].seq);
	ck_assert_uint_eq(to, ISN + numbers[_i].mapped);
	ck_assert_uint_eq(unmap(to), ISN + numbers[_i].acked);
	ck_assert_uint_eq(unmap_start(to), ISN + numbers[_i].start);
}
END_TEST

START_TEST(ack_in_the_midst_of_an_image_acknowledges_no_byte_it_does_not_cover)
{
	replace_def("VWXYZ");
	ck_assert_uint_eq(unmap(ISN + 6), ISN + 5); /* Y is part of what f became */
	ck_assert_uint_eq(unmap(ISN + 7), ISN + 5);
	ck_assert_uint_eq(unmap(ISN + 8), ISN + 6);
	ck_assert_uint_eq(unmap_start(ISN + 6), ISN + 6);
	ck_assert_uint_eq(unmap_start(ISN + 7), ISN + 6);
}
END_TEST

START_TEST(forgotten_edits_leave_the_sum_of_their_lengths)
{
	replace_def("X");
	packet(ISN + 10, 5, false);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 2, 3, 1400), 0);
	commit("kl123mno");
	mos_remap_acked(&b.r, b.flow, CLI, ISN + 8);
	ck_assert_uint_eq(map(ISN + 10), ISN + 8);
	ck_assert_str_eq(image_of(ISN + 10, ISN + 15, false), "kl123mno");
	mos_remap_acked(&b.r, b.flow, CLI, ISN + 16);
	ck_assert_uint_eq(map(ISN + 15), ISN + 16);
	ck_assert_uint_eq(unmap(ISN + 16), ISN + 15);
	ck_assert_uint_eq(chunks_used(), 1);
}
END_TEST

START_TEST(even_lengths_leave_nothing_once_acknowledged)
{
	replace_def("XYZ");
	ck_assert_uint_eq(chunks_used(), 2);
	mos_remap_acked(&b.r, b.flow, CLI, ISN + 5);
	ck_assert_uint_eq(chunks_used(), 2);
	mos_remap_acked(&b.r, b.flow, CLI, ISN + 6);
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert_uint_eq(mos_remap_decided(&b.r, b.flow, CLI), ISN + 10);
}
END_TEST

START_TEST(ack_of_what_was_never_sent_forgets_nothing)
{
	replace_def("X");
	mos_remap_acked(&b.r, b.flow, CLI, ISN + 9);
	ck_assert_str_eq(image_of(ISN, ISN + 10, false), "abcXghij");
	mos_remap_acked(&b.r, b.flow, CLI, ISN + 8);
	ck_assert_str_eq(image_of(ISN, ISN + 10, false), "abcdefghij");
}
END_TEST

/* ---- images ---- */

static const char *const texts[] = {"", "X", "XY", "XYZ", "VWXYZ"};

START_TEST(pieces_of_any_range_put_together_are_its_image)
{
	char whole[100], pieces[100];

	replace_def(texts[_i]);
	strcpy(whole, image_of(ISN, ISN + 10, false));
	for (uint32_t i = 0; i <= 10; i++)
		for (uint32_t k = i; k <= 10; k++) {
			strcpy(pieces, image_of(ISN, ISN + i, false));
			ck_assert_uint_eq(map(ISN + i) - ISN, strlen(pieces));
			strcat(pieces, image_of(ISN + i, ISN + k, false));
			strcat(pieces, image_of(ISN + k, ISN + 10, false));
			ck_assert_str_eq(pieces, whole);
		}
}
END_TEST

START_TEST(image_without_room_ends_where_a_byte_does)
{
	replace_def("VWXYZ");
	image = mos_remap_image(&b.r, b.flow, CLI, ISN, letters, 10, true, room, 7);
	ck_assert_uint_eq(image.len, 5);
	ck_assert_uint_eq(image.taken, 5);
	ck_assert(!image.fin);
	image = mos_remap_image(&b.r, b.flow, CLI, ISN + 5, letters + 5, 5, true, room, 7);
	ck_assert_uint_eq(image.len, 7);
	ck_assert_uint_eq(image.taken, 5);
	ck_assert(image.fin);
}
END_TEST

START_TEST(bytes_put_in_at_the_end_come_with_the_byte_behind_which_they_went)
{
	packet(ISN, 3, false);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 3, 2, 1400), 0);
	commit("abc12");
	ck_assert_str_eq(image_of(ISN + 2, ISN + 3, false), "c12");
	ck_assert_str_eq(image_of(ISN + 3, ISN + 5, true), "de");
	ck_assert_uint_eq(map(ISN + 3), ISN + 5);
}
END_TEST

START_TEST(bytes_put_in_before_a_fin_come_with_the_fin)
{
	packet(ISN, 3, true);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 3, 2, 1400), 0);
	commit("abc12");
	ck_assert_str_eq(image_of(ISN, ISN + 3, false), "abc");
	ck_assert_str_eq(image_of(ISN + 3, ISN + 3, true), "12");
	ck_assert(image.fin);
	ck_assert_uint_eq(map(ISN + 3), ISN + 3);
	ck_assert_uint_eq(map(ISN + 4), ISN + 6);
	ck_assert_uint_eq(unmap(ISN + 5), ISN + 3);
	ck_assert_uint_eq(unmap(ISN + 6), ISN + 4);
}
END_TEST

START_TEST(bytes_around_the_last_byte_stay_where_they_went)
{
	packet(ISN, 3, false);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 2, 2, 1400), 0);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 5, 2, 1400), 0);
	commit("ab12c34");
	ck_assert_str_eq(image_of(ISN + 2, ISN + 3, false), "12c34");
}
END_TEST

/* ---- noting ---- */

START_TEST(edit_of_an_edit_is_one_edit)
{
	packet(ISN, 10, false);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 3, 4, 1400), 0); /* abc1234defghij */
	ck_assert_int_eq(mos_remap_note_chomp(&b.r, 5, 3), 0);        /* abc12efghij */
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 4, 1, 1400), 0); /* abc1x2efghij */
	ck_assert_uint_eq(b.r.count, 1);
	ck_assert_uint_eq(b.r.edit[0].off, 3);
	ck_assert_uint_eq(b.r.edit[0].removed, 1);
	ck_assert_uint_eq(b.r.edit[0].inserted, 3);
	commit("abc1x2efghij");
	ck_assert_str_eq(image_of(ISN, ISN + 10, false), "abc1x2efghij");
}
END_TEST

START_TEST(what_has_gone_cannot_be_edited)
{
	packet(ISN, 5, false);
	commit("abcde");
	packet(ISN + 2, 8, false);
	ck_assert_int_eq(mos_remap_note_chomp(&b.r, 2, 2), -EALREADY);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 2, 2, 1400), -EALREADY);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 3, 2, 1400), 0);
	packet(ISN, 5, false);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 5, 2, 1400), -EALREADY);
	mos_remap_discard(&b.r);
}
END_TEST

START_TEST(packet_without_payload_holds_no_edit_but_before_its_fin)
{
	packet(ISN, 0, false);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 0, 2, 1400), -EINVAL);
	packet(ISN, 0, true);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 0, 2, 1400), 0);
	commit("12");
	packet(ISN, 0, true);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 0, 2, 1400), -EALREADY);
}
END_TEST

START_TEST(too_much_in_one_place_is_refused_and_leaves_the_edits_alone)
{
	packet(ISN, 10, false);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 3, 10, 20), 0);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 3, 11, 20), -EMSGSIZE);
	ck_assert_uint_eq(b.r.count, 1);
	ck_assert_uint_eq(b.r.edit[0].inserted, 10);
	mos_remap_discard(&b.r);
}
END_TEST

START_TEST(too_many_edits_are_refused)
{
	packet(ISN, 2000, false);
	for (uint32_t i = 0; i < MOS_REMAP_PENDING_MAX; i++)
		ck_assert_int_eq(mos_remap_note_chomp(&b.r, i, 1), 0); /* every second byte */
	ck_assert_int_eq(mos_remap_note_chomp(&b.r, MOS_REMAP_PENDING_MAX, 1), -EMSGSIZE);
	ck_assert_uint_eq(b.r.count, MOS_REMAP_PENDING_MAX);
	mos_remap_discard(&b.r);
}
END_TEST

START_TEST(without_a_free_chunk_nothing_is_noted)
{
	mos_chunk_list others = 0;

	while (b.pool.free_count > 1) /* enough for the state, not for the log */
		mos_chunk_get(&b.pool, &others, 2, 1, b.pool.free_count, false);
	packet(ISN, 10, false);
	ck_assert_int_eq(mos_remap_note_chomp(&b.r, 3, 3), -ENOBUFS);
	ck_assert_uint_eq(b.r.count, 0);
	mos_remap_discard(&b.r);
	ck_assert_uint_eq(b.pool.free_count, 1);
	mos_chunk_put_all(&b.pool, &others);
	ck_assert_int_eq(mos_remap_note_chomp(&b.r, 3, 3), 0);
	mos_remap_discard(&b.r);
}
END_TEST

START_TEST(a_side_has_so_many_chunks_and_no_more)
{
	static char payload[1401];
	uint32_t seq = ISN, used;
	int err = 0;

	for (; err == 0; seq++) {
		packet(seq, 1, false);
		err = mos_remap_note_insert(&b.r, 0, 1400, 1400);
		if (err == 0)
			commit(payload);
		else
			mos_remap_discard(&b.r);
	}
	ck_assert_int_eq(err, -ENOBUFS);
	ck_assert_uint_eq(chunks_used(), MOS_REMAP_CHUNKS_MAX + 1);
	mos_remap_acked(&b.r, b.flow, CLI, ISN + 2 * 1401);
	used = chunks_used();
	ck_assert_uint_eq(used, MOS_REMAP_CHUNKS_MAX - 1);
	packet(seq - 1, 1, false);
	ck_assert_int_eq(mos_remap_note_insert(&b.r, 0, 1400, 1400), 0);
	commit(payload);
}
END_TEST

START_TEST(discarded_edits_never_were)
{
	packet(ISN, 10, false);
	ck_assert_int_eq(mos_remap_note_chomp(&b.r, 3, 3), 0);
	mos_remap_discard(&b.r);
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert_uint_eq(mos_remap_decided(&b.r, b.flow, CLI), ISN);
	ck_assert(!mos_remap_touches(&b.r, b.flow, CLI, ISN, 10, false));
}
END_TEST

START_TEST(range_beside_an_edit_is_not_touched)
{
	replace_def("X");
	ck_assert(!mos_remap_touches(&b.r, b.flow, CLI, ISN, 3, true));
	ck_assert(mos_remap_touches(&b.r, b.flow, CLI, ISN, 4, false));
	ck_assert(mos_remap_touches(&b.r, b.flow, CLI, ISN + 5, 1, false));
	ck_assert(!mos_remap_touches(&b.r, b.flow, CLI, ISN + 6, 4, true));
}
END_TEST

START_TEST(another_syn_begins_anew)
{
	replace_def("X");
	mos_remap_restart(&b.r, b.flow, CLI, 77);
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert_uint_eq(mos_remap_decided(&b.r, b.flow, CLI), 77);
	ck_assert_uint_eq(map(78), 78);
}
END_TEST

START_TEST(stream_that_is_not_known_begins_with_its_next_packet)
{
	mos_remap_switch_on(bench_flow(), SVR, false, 0);
	mos_remap_packet(&b.r, b.flow, SVR, 500, 10, false);
	ck_assert_uint_eq(mos_remap_decided(&b.r, b.flow, SVR), 500);
	mos_remap_discard(&b.r);
}
END_TEST

START_TEST(edit_that_no_window_reaches_back_to_is_forgotten)
{
	replace_def("X");
	packet(ISN + (1u << 30), 100, false);
	mos_remap_commit(&b.r, room);
	ck_assert_str_eq(image_of(ISN, ISN + 10, false), "abcdefghij");
	ck_assert_uint_eq(map(ISN + 10), ISN + 8);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("remap");
	TCase *tc = tcase_create("remap");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, without_edits_numbers_are_the_same_and_no_chunk_is_taken);
	tcase_add_loop_test(tc, a_number_has_one_on_the_other_side, 0,
	                    sizeof(numbers) / sizeof(numbers[0]));
	tcase_add_test(tc, ack_in_the_midst_of_an_image_acknowledges_no_byte_it_does_not_cover);
	tcase_add_test(tc, forgotten_edits_leave_the_sum_of_their_lengths);
	tcase_add_test(tc, even_lengths_leave_nothing_once_acknowledged);
	tcase_add_test(tc, ack_of_what_was_never_sent_forgets_nothing);
	tcase_add_loop_test(tc, pieces_of_any_range_put_together_are_its_image, 0,
	                    sizeof(texts) / sizeof(texts[0]));
	tcase_add_test(tc, image_without_room_ends_where_a_byte_does);
	tcase_add_test(tc, bytes_put_in_at_the_end_come_with_the_byte_behind_which_they_went);
	tcase_add_test(tc, bytes_put_in_before_a_fin_come_with_the_fin);
	tcase_add_test(tc, bytes_around_the_last_byte_stay_where_they_went);
	tcase_add_test(tc, edit_of_an_edit_is_one_edit);
	tcase_add_test(tc, what_has_gone_cannot_be_edited);
	tcase_add_test(tc, packet_without_payload_holds_no_edit_but_before_its_fin);
	tcase_add_test(tc, too_much_in_one_place_is_refused_and_leaves_the_edits_alone);
	tcase_add_test(tc, too_many_edits_are_refused);
	tcase_add_test(tc, without_a_free_chunk_nothing_is_noted);
	tcase_add_test(tc, a_side_has_so_many_chunks_and_no_more);
	tcase_add_test(tc, discarded_edits_never_were);
	tcase_add_test(tc, range_beside_an_edit_is_not_touched);
	tcase_add_test(tc, another_syn_begins_anew);
	tcase_add_test(tc, stream_that_is_not_known_begins_with_its_next_packet);
	tcase_add_test(tc, edit_that_no_window_reaches_back_to_is_forgotten);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
