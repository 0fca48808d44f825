/*
 * The output on a pipe whose reader is the test. Each test is a process of its own (Check forks),
 * because the output is one per process.
 */
#include "apps/common/lines.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS    4
#define PER_THREAD 2000

static char path[] = "/tmp/mos_lines_XXXXXX";
static atomic_int failures;

static void on_failure(void)
{
	atomic_fetch_add(&failures, 1);
}

/* Put a pipe in place of stdout; returns its reading end. */
static int pipe_for_stdout(void)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
	close(ends[1]);
	return ends[0];
}

START_TEST(line_arrives_before_the_output_is_closed)
{
	int in = pipe_for_stdout();
	char text[64];
	uint64_t lost;

	ck_assert_int_eq(lines_open(NULL, on_failure), 0);
	ck_assert(lines_put("one\n", 4));
	ck_assert_int_eq(read(in, text, sizeof(text)), 4);
	ck_assert_mem_eq(text, "one\n", 4);
	ck_assert(lines_close(&lost));
	ck_assert_uint_eq(lost, 0);
}
END_TEST

static void *put_many(void *arg)
{
	char line[32];

	for (int i = 0; i < PER_THREAD; i++) {
		int len = snprintf(line, sizeof(line), "%d %d\n", *(int *)arg, i);

		ck_assert(lines_put(line, (size_t)len));
	}
	return NULL;
}

START_TEST(lines_of_all_threads_arrive_whole_behind_what_is_there)
{
	int number[THREADS], next[THREADS] = {0}, count = 0, t, i;
	pthread_t thread[THREADS];
	uint64_t lost;
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "before\n");
	fclose(f);
	ck_assert_int_eq(lines_open(path, on_failure), 0);
	for (t = 0; t < THREADS; t++) {
		number[t] = t;
		ck_assert_int_eq(pthread_create(&thread[t], NULL, put_many, &number[t]), 0);
	}
	for (t = 0; t < THREADS; t++)
		pthread_join(thread[t], NULL);
	ck_assert(lines_close(&lost));

	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "before "), 0);
	while (fscanf(f, "%d %d ", &t, &i) == 2) {
		ck_assert(t >= 0 && t < THREADS);
		ck_assert_int_eq(i, next[t]++);
		count++;
	}
	ck_assert(feof(f));
	ck_assert_int_eq(count, THREADS * PER_THREAD);
	fclose(f);
}
END_TEST

START_TEST(reader_that_does_not_read_costs_lines_not_time)
{
	static char line[4096];
	uint64_t lost;
	int put = 0;

	pipe_for_stdout();
	memset(line, 'x', sizeof(line));
	ck_assert_int_eq(lines_open(NULL, on_failure), 0);
	while (lines_put(line, sizeof(line))) /* two buffers and a pipe, at most */
		ck_assert_int_lt(put++, 3 * (int)(LINES_BUFFER_BYTES / sizeof(line)));
	ck_assert(!lines_close(&lost));
	ck_assert_uint_eq(lost, 1);
}
END_TEST

START_TEST(reader_that_has_gone_is_told_once)
{
	uint64_t lost;

	signal(SIGPIPE, SIG_IGN);
	close(pipe_for_stdout());
	ck_assert_int_eq(lines_open(NULL, on_failure), 0);
	ck_assert(lines_put("one\n", 4));
	while (atomic_load(&failures) == 0)
		poll(NULL, 0, 1);
	ck_assert(!lines_put("two\n", 4));
	ck_assert(!lines_close(&lost));
	ck_assert_int_eq(atomic_load(&failures), 1);
}
END_TEST

START_TEST(file_that_cannot_be_opened_is_an_answer)
{
	ck_assert_int_lt(lines_open("/nowhere/lines", on_failure), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lines");
	TCase *tc = tcase_create("lines");
	int fd = mkstemp(path);

	if (fd < 0)
		return EXIT_FAILURE;
	close(fd);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, line_arrives_before_the_output_is_closed);
	tcase_add_test(tc, lines_of_all_threads_arrive_whole_behind_what_is_there);
	tcase_add_test(tc, reader_that_does_not_read_costs_lines_not_time);
	tcase_add_test(tc, reader_that_has_gone_is_told_once);
	tcase_add_test(tc, file_that_cannot_be_opened_is_an_answer);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	unlink(path);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
