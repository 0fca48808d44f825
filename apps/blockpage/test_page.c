/*
 * The page, from our text and from files of this test.
 */
#include "apps/blockpage/page.h"

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/mos_page_XXXXXX";

static void write_file(size_t len)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	for (size_t i = 0; i < len; i++)
		fputc('x', f);
	fclose(f);
}

/* The head says how long the body is, and ends with an empty line. */
static void check_page(const struct page *page)
{
	char head[512], length[64];

	ck_assert_uint_lt(page->head_len, sizeof(head));
	memcpy(head, page->bytes, page->head_len);
	head[page->head_len] = '\0';
	snprintf(length, sizeof(length), "\r\nContent-Length: %u\r\n", page->len - page->head_len);
	ck_assert_ptr_eq(strstr(head, "HTTP/1.1 403 "), head);
	ck_assert_ptr_nonnull(strstr(head, length));
	ck_assert_ptr_eq(strstr(head, "\r\n\r\n"), head + page->head_len - 4);
}

START_TEST(our_text_is_a_page)
{
	struct page page;

	ck_assert_int_eq(page_load(&page, NULL), 0);
	check_page(&page);
	ck_assert_uint_gt(page.len, page.head_len);
	free(page.bytes);
}
END_TEST

/* A million assertions of Check take longer than a test may, with sanitizers. */
static bool all_x(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != 'x')
			return false;
	return true;
}

START_TEST(file_becomes_the_body)
{
	static const size_t lens[] = {0, 1, 5000, PAGE_BYTES_MAX};

	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		struct page page;

		write_file(lens[i]);
		ck_assert_int_eq(page_load(&page, path), 0);
		check_page(&page);
		ck_assert_uint_eq(page.len - page.head_len, lens[i]);
		ck_assert(all_x(page.bytes + page.head_len, lens[i]));
		free(page.bytes);
	}
}
END_TEST

START_TEST(file_that_is_no_page_is_an_answer)
{
	struct page page;

	write_file(PAGE_BYTES_MAX + 1);
	ck_assert_int_eq(page_load(&page, path), -EFBIG);
	ck_assert_int_eq(page_load(&page, "/nowhere/page"), -ENOENT);
	ck_assert_int_eq(page_load(&page, "/"), -EIO);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("page");
	TCase *tc = tcase_create("page");
	int fd = mkstemp(path);

	if (fd < 0)
		return EXIT_FAILURE;
	close(fd);
	tcase_add_test(tc, our_text_is_a_page);
	tcase_add_test(tc, file_becomes_the_body);
	tcase_add_test(tc, file_that_is_no_page_is_an_answer);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	unlink(path);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
