/*
 * Words in streams that are cut into random pieces, against a search in the whole. The pieces are
 * made as the library makes packets: edit by edit, from the last one to the first.
 */
#include "apps/rewrite/word.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STREAM_MAX 4096
#define OUT_MAX    (STREAM_MAX * 40)

static struct word w;
static struct word_count count;
static struct edits e;
static char out[OUT_MAX], expected[OUT_MAX];
static size_t out_len;

/* Append the piece as its edits make it. */
static void apply(void)
{
	static char piece[STREAM_MAX + EDITS_TEXT_MAX];
	size_t len = e.len;

	memcpy(piece, e.payload, len);
	for (unsigned i = e.count; i-- > 0;) {
		const struct edit *edit = &e.edit[i];

		ck_assert_uint_le(edit->at + edit->cut, e.len);
		ck_assert(i == 0 || edit->at >= edit[-1].at + edit[-1].cut);
		ck_assert_uint_le(edit->put, EDIT_PUT_MAX);
		memmove(piece + edit->at + edit->put, piece + edit->at + edit->cut,
		        len - edit->at - edit->cut);
		memcpy(piece + edit->at, e.text + edit->text, edit->put);
		len += edit->put - edit->cut;
	}
	ck_assert_uint_eq(len, e.now);
	memcpy(out + out_len, piece, len);
	out_len += len;
}

static size_t replace_all(const char *stream, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len;) {
		if (len - i >= w.len && memcmp(stream + i, w.word, w.len) == 0) {
			memcpy(expected + n, w.by, w.by_len);
			n += w.by_len;
			i += w.len;
		} else {
			expected[n++] = stream[i++];
		}
	}
	return n;
}

/* Random pieces up to `max` bytes; each begins somewhere in its payload, as if resent in part. */
static void check(const char *stream, size_t len, size_t max)
{
	uint16_t held = 0;

	out_len = 0;
	for (size_t at = 0, n; at <= len; at += n) {
		bool last;

		n = (size_t)rand() % (max + 1);
		n = n < len - at ? n : len - at;
		last = at + n == len && rand() % 2;
		edits_begin(&e, stream, at + n, SIZE_MAX, EDIT_PUT_MAX);
		e.payload = stream;
		ck_assert(word_edit(&w, &e, at, last, &held, &count));
		ck_assert_uint_lt(held, w.len);
		for (unsigned i = 0; i < e.count; i++)
			e.edit[i].at -= at;
		e.payload += at;
		e.len -= at;
		e.now -= at;
		apply();
		if (last)
			break;
	}
	ck_assert_uint_eq(held, 0);
	ck_assert_uint_eq(out_len, replace_all(stream, len));
	ck_assert_int_eq(memcmp(out, expected, out_len), 0);
}

static void checks(const char *word, const char *by, const char *stream)
{
	ck_assert(word_init(&w, word, by));
	for (int i = 0; i < 60; i++)
		check(stream, strlen(stream), 1 + (size_t)i % 9);
}

START_TEST(words_across_pieces_are_replaced)
{
	checks("word", "phrase", "a word, wo wor words wwoword wordword wo");
	checks("word", "no", "a word, wo wor words wwoword wordword wor");
	checks("word", "", "a word, wo wor words wwoword wordword wordword");
	checks("word", "WORD", "a word, wo wor words wwoword wordword w");
	checks("w", "vv", "wwwwwwwowowo");
	checks("w", "", "wwwwwwwowowo");
}
END_TEST

START_TEST(words_that_repeat_themselves_are_found_as_a_whole_text_shows_them)
{
	checks("aa", "b", "aaaaabaaabaa");
	checks("aab", "x", "aaaaabaaabaabaa");
	checks("abab", "", "abababababbababaabab");
	checks("abcabd", "-", "abcabcabdabcababcabd");
}
END_TEST

START_TEST(random_streams_come_out_as_replaced_at_once)
{
	static const char *const words[] = {"a", "ab", "aba", "aabaa", "bbbb", "abababab"};
	static const char *const bys[] = {"", "b", "ab", "aaaaaaa", "abaabaaabaaaabaaaaab"};
	static char stream[STREAM_MAX];
	unsigned seed = (unsigned)time(NULL);

	printf("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 800; i++) {
		size_t len = (size_t)rand() % (i % 30 == 0 ? STREAM_MAX : 200);

		for (size_t k = 0; k < len; k++)
			stream[k] = "aaabc"[rand() % 5];
		ck_assert(word_init(&w, words[rand() % 6], bys[rand() % 5]));
		check(stream, len, 1 + (size_t)rand() % (i % 2 ? 10 : 60));
	}
}
END_TEST

START_TEST(words_that_find_no_room_stay_and_are_counted)
{
	uint16_t held = 2;

	word_init(&w, "word", "phrases");
	count = (struct word_count){0};
	out_len = 0;
	/* Room for what was held back, and for one word. */
	edits_begin(&e, "rd word, a word.", 16, 16 + 2 + 3, EDIT_PUT_MAX);
	ck_assert(word_edit(&w, &e, 0, false, &held, &count));
	apply();
	ck_assert_uint_eq(count.replaced, 1);
	ck_assert_uint_eq(count.left, 2);
	ck_assert_uint_eq(held, 0);
	ck_assert_uint_eq(out_len, 21);
}
END_TEST

START_TEST(what_was_held_back_comes_out_also_without_room)
{
	uint16_t held = 3;

	word_init(&w, "word", "phrases");
	count = (struct word_count){0};
	out_len = 0;
	edits_begin(&e, "d!", 2, 2, EDIT_PUT_MAX);
	ck_assert(word_edit(&w, &e, 0, false, &held, &count));
	apply();
	ck_assert_uint_eq(count.left, 1);
	ck_assert_uint_eq(out_len, 5);
	ck_assert_int_eq(memcmp(out, "word!", 5), 0);
}
END_TEST

START_TEST(empty_last_piece_brings_what_was_held_back)
{
	uint16_t held = 3;

	word_init(&w, "word", "x");
	out_len = 0;
	edits_begin(&e, "", 0, 1460, EDIT_PUT_MAX);
	ck_assert(word_edit(&w, &e, 0, true, &held, &count));
	apply();
	ck_assert_uint_eq(held, 0);
	ck_assert_uint_eq(out_len, 3);
	ck_assert_int_eq(memcmp(out, "wor", 3), 0);
}
END_TEST

START_TEST(dense_words_are_few_edits)
{
	static char text[9000];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 30 == 0 ? 'w' : '.';
	word_init(&w, "w", "v");
	count = (struct word_count){0};
	for (size_t len = 1; len <= sizeof(text); len += 50) {
		uint16_t held = 0;

		out_len = 0;
		edits_begin(&e, text, len, len, EDIT_PUT_MAX);
		ck_assert(word_edit(&w, &e, 0, false, &held, &count));
		apply();
		ck_assert_uint_eq(memchr(out, 'w', out_len) == NULL, true);
	}
	ck_assert_uint_eq(count.left, 0);
}
END_TEST

START_TEST(lengths_have_limits)
{
	static char long_word[WORD_MAX + 2], long_by[REPLACEMENT_MAX + 2];

	ck_assert(!word_init(&w, "", "x"));
	memset(long_word, 'w', WORD_MAX);
	ck_assert(word_init(&w, long_word, ""));
	long_word[WORD_MAX] = 'w';
	ck_assert(!word_init(&w, long_word, ""));
	memset(long_by, 'b', REPLACEMENT_MAX);
	ck_assert(word_init(&w, "w", long_by));
	long_by[REPLACEMENT_MAX] = 'b';
	ck_assert(!word_init(&w, "w", long_by));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rewrite_word");
	TCase *tc = tcase_create("word");

	tcase_add_test(tc, words_across_pieces_are_replaced);
	tcase_add_test(tc, words_that_repeat_themselves_are_found_as_a_whole_text_shows_them);
	tcase_add_test(tc, random_streams_come_out_as_replaced_at_once);
	tcase_add_test(tc, words_that_find_no_room_stay_and_are_counted);
	tcase_add_test(tc, what_was_held_back_comes_out_also_without_room);
	tcase_add_test(tc, empty_last_piece_brings_what_was_held_back);
	tcase_add_test(tc, dense_words_are_few_edits);
	tcase_add_test(tc, lengths_have_limits);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
