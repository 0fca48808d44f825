/*
 * The run directory: one holder at a time, nothing left behind. Real files below /run; other
 * holders are forked processes. Skipped when not root.
 */
#include "primary/run_dir/run_dir.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char prefix[32], err[256];

static int is_there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

START_TEST(the_second_is_refused_by_name_and_the_third_gets_in)
{
	struct mos_run_dir a, b;
	char want[64];

	ck_assert_int_eq(mos_run_dir_open(&a, prefix, err, sizeof(err)), 0);
	ck_assert_int_eq(mos_run_dir_open(&b, prefix, err, sizeof(err)), -EBUSY);
	snprintf(want, sizeof(want), "(pid %d)", getpid());
	ck_assert_ptr_nonnull(strstr(err, want));
	ck_assert_ptr_nonnull(strstr(err, prefix));
	ck_assert_int_eq(b.lock_fd, -1);
	mos_run_dir_close(&b); /* harmless */

	mos_run_dir_close(&a);
	ck_assert_int_eq(mos_run_dir_open(&b, prefix, err, sizeof(err)), 0);
	mos_run_dir_close(&b);
}
END_TEST

START_TEST(nothing_is_left_behind)
{
	struct mos_run_dir a;

	ck_assert_int_eq(mos_run_dir_open(&a, prefix, err, sizeof(err)), 0);
	ck_assert(is_there(a.lock_path));
	mos_run_dir_close(&a);
	ck_assert(!is_there(a.path));
}
END_TEST

START_TEST(a_killed_holder_does_not_keep_the_next_one_out)
{
	struct mos_run_dir a;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (mos_run_dir_open(&a, prefix, err, sizeof(err)) < 0)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(mos_run_dir_open(&a, prefix, err, sizeof(err)), 0);
	mos_run_dir_close(&a);
	ck_assert(!is_there(a.path));
}
END_TEST

/* Everybody opens and closes; whoever is in must be alone. */
START_TEST(many_at_once_are_never_two)
{
	enum { PROCS = 4, TRIES = 300 };
	char inside[96];
	int status, done = 0;

	snprintf(inside, sizeof(inside), "/run/%s.inside", prefix);
	for (int i = 0; i < PROCS; i++) {
		if (fork() != 0)
			continue;
		for (int k = 0; k < TRIES; k++) {
			struct mos_run_dir a;

			int rc = mos_run_dir_open(&a, prefix, err, sizeof(err));

			if (rc == -EBUSY)
				continue;
			if (rc < 0 || mkdir(inside, 0700) < 0)
				_exit(1);
			rmdir(inside);
			mos_run_dir_close(&a);
		}
		_exit(0);
	}
	for (int i = 0; i < PROCS; i++) {
		ck_assert_int_gt(wait(&status), 0);
		done += WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	rmdir(inside);
	ck_assert_int_eq(done, PROCS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("run_dir");
	TCase *tc = tcase_create("all");
	SRunner *r;
	int failed;

	if (geteuid() != 0)
		return 77;
	snprintf(prefix, sizeof(prefix), "rd%d", getpid());
	tcase_add_test(tc, the_second_is_refused_by_name_and_the_third_gets_in);
	tcase_add_test(tc, nothing_is_left_behind);
	tcase_add_test(tc, a_killed_holder_does_not_keep_the_next_one_out);
	tcase_add_test(tc, many_at_once_are_never_two);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
