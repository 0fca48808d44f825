/*
 * Patterns, and the search compared with a naive one over streams cut anywhere.
 */
#include "apps/killer/pattern.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct patterns words(const char *const *text, int count)
{
	struct patterns p = {0};

	for (int i = 0; i < count; i++)
		ck_assert_ptr_null(patterns_add_word(&p, text[i]));
	return p;
}

/* Where the first pattern ends in the stream when it comes in pieces of that size; 0 = nowhere. */
static size_t find(const struct patterns *p, const char *stream, size_t len, size_t piece)
{
	struct tail tail = {0};

	for (size_t at = 0; at < len; at += piece) {
		size_t n = len - at < piece ? len - at : piece, end;

		if (patterns_search(p, &tail, (const uint8_t *)stream + at, n, &end) != NULL)
			return at + end;
	}
	return 0;
}

START_TEST(pattern_is_found_wherever_the_stream_is_cut)
{
	static const char *const text[] = {"attack"};
	static const char stream[] = "an attattack is an attack";
	struct patterns p = words(text, 1);

	for (size_t piece = 1; piece <= sizeof(stream); piece++)
		ck_assert_uint_eq(find(&p, stream, strlen(stream), piece), 12);
}
END_TEST

START_TEST(it_is_the_one_that_ends_first)
{
	static const char *const text[] = {"long pattern", "pat", "g", "tern"};
	struct patterns p = words(text, 4);
	struct tail tail = {0};
	size_t end = 0;

	ck_assert_ptr_eq(patterns_search(&p, &tail, (const uint8_t *)"a lo", 4, &end), NULL);
	ck_assert_ptr_eq(patterns_search(&p, &tail, (const uint8_t *)"ng pattern", 10, &end),
	                 &p.pattern[2]);
	ck_assert_uint_eq(end, 2);
}
END_TEST

START_TEST(nothing_is_found_across_a_cut)
{
	static const char *const text[] = {"attack"};
	struct patterns p = words(text, 1);
	struct tail tail = {0};
	size_t end;

	ck_assert_ptr_null(patterns_search(&p, &tail, (const uint8_t *)"att", 3, &end));
	tail_cut(&tail);
	ck_assert_ptr_null(patterns_search(&p, &tail, (const uint8_t *)"ack", 3, &end));
	ck_assert_ptr_null(patterns_search(&p, &tail, (const uint8_t *)"", 0, &end));
}
END_TEST

/* The naive search. */
static size_t first_end(const struct patterns *p, const char *stream, size_t len)
{
	for (size_t end = 1; end <= len; end++)
		for (unsigned i = 0; i < p->count; i++)
			if (p->pattern[i].len <= end &&
			    memcmp(stream + end - p->pattern[i].len, p->pattern[i].bytes,
			           p->pattern[i].len) == 0)
				return end;
	return 0;
}

START_TEST(search_agrees_with_a_naive_one)
{
	srandom(1);
	for (int round = 0; round < 20000; round++) {
		char stream[200], text[PATTERN_LEN_MAX + 1];
		size_t len = (size_t)random() % sizeof(stream);
		struct patterns p = {0};

		for (size_t i = 0; i < len; i++)
			stream[i] = (char)('a' + random() % 3);
		for (int n = 1 + (int)(random() % 3); n > 0; n--) {
			size_t text_len = 1 + (size_t)random() % (random() % 8 == 0 ? 64 : 8);

			for (size_t i = 0; i < text_len; i++)
				text[i] = (char)('a' + random() % 3);
			text[text_len] = '\0';
			ck_assert_ptr_null(patterns_add_word(&p, text));
		}
		ck_assert_uint_eq(find(&p, stream, len, 1 + (size_t)random() % 20),
		                  first_end(&p, stream, len));
	}
}
END_TEST

START_TEST(hexadecimal_digits_are_bytes)
{
	struct patterns p = {0};

	ck_assert_ptr_null(patterns_add_hex(&p, "00fF7a"));
	ck_assert_uint_eq(p.pattern[0].len, 3);
	ck_assert_mem_eq(p.pattern[0].bytes, "\x00\xff\x7a", 3);
	ck_assert_uint_eq(p.len_max, 3);
}
END_TEST

START_TEST(what_is_no_pattern_is_refused)
{
	static char text[2 * PATTERN_LEN_MAX + 3];
	struct patterns p = {0};

	ck_assert_ptr_nonnull(patterns_add_word(&p, ""));
	ck_assert_ptr_nonnull(patterns_add_hex(&p, ""));
	ck_assert_ptr_nonnull(patterns_add_hex(&p, "0"));
	ck_assert_ptr_nonnull(patterns_add_hex(&p, "0g"));
	memset(text, 'a', PATTERN_LEN_MAX + 1);
	ck_assert_ptr_nonnull(patterns_add_word(&p, text));
	memset(text, 'a', 2 * PATTERN_LEN_MAX + 2);
	ck_assert_ptr_nonnull(patterns_add_hex(&p, text));
	ck_assert_uint_eq(p.count, 0);
	for (int i = 0; i < PATTERN_COUNT_MAX; i++)
		ck_assert_ptr_null(patterns_add_word(&p, "a"));
	ck_assert_ptr_nonnull(patterns_add_word(&p, "a"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pattern");
	TCase *tc = tcase_create("pattern");

	tcase_add_test(tc, pattern_is_found_wherever_the_stream_is_cut);
	tcase_add_test(tc, it_is_the_one_that_ends_first);
	tcase_add_test(tc, nothing_is_found_across_a_cut);
	tcase_add_test(tc, search_agrees_with_a_naive_one);
	tcase_add_test(tc, hexadecimal_digits_are_bytes);
	tcase_add_test(tc, what_is_no_pattern_is_refused);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
