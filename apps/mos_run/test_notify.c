/*
 * The lines of notify.h: parsed one by one, and read from a socket pair into which nonsense goes
 * as well.
 */
#include "apps/mos_run/notify.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

START_TEST(each_line_is_understood)
{
	static const struct {
		const char *line;
		struct notify n;
	} rows[] = {
		{"no primary\n", {NOTIFY_NO_PRIMARY, 0}}, {"ready 0\n", {NOTIFY_READY, 0}},
		{"ready 63\n", {NOTIFY_READY, 63}},       {"serving 7\n", {NOTIFY_SERVING, 7}},
		{"serving 10\n", {NOTIFY_SERVING, 10}},   {"yielded 3\n", {NOTIFY_YIELDED, 3}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct notify n;

		ck_assert(notify_parse(&n, rows[i].line, strlen(rows[i].line)));
		ck_assert_int_eq(n.what, rows[i].n.what);
		ck_assert_uint_eq(n.number, rows[i].n.number);
	}
}
END_TEST

START_TEST(everything_else_is_refused)
{
	static const char *const lines[] = {
		"",
		"\n",
		"no primary",
		"no primary \n",
		"no primary 1\n",
		"ready\n",
		"ready \n",
		"ready x\n",
		"ready -1\n",
		"ready 1",
		"ready 64\n",
		"ready 100\n",
		"serving 01\n",
		"serving 1\n\n",
		"serving 1 \n",
		"Serving 1\n",
		"serving\n",
		"serving +1\n",
		"xserving 1\n",
		"serving 4294967296\n",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct notify n;

		ck_assert_msg(!notify_parse(&n, lines[i], strlen(lines[i])), "%s", lines[i]);
	}
}
END_TEST

START_TEST(lines_are_read_in_order_and_nonsense_between_them_is_skipped)
{
	struct notify n;
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	ck_assert_int_eq(send(fd[1], "ready 1\n", 8, 0), 8);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(send(fd[1], "\xff\0nonsense", 10, 0), 10);
	ck_assert_int_eq(send(fd[1], "serving 2\n", 10, 0), 10);
	ck_assert_int_eq(notify_read(fd[0], &n), 0);
	ck_assert(n.what == NOTIFY_READY && n.number == 1);
	ck_assert_int_eq(notify_read(fd[0], &n), 0);
	ck_assert(n.what == NOTIFY_SERVING && n.number == 2);
	ck_assert_int_eq(notify_read(fd[0], &n), -EAGAIN);
	close(fd[1]);
	ck_assert_int_eq(notify_read(fd[0], &n), -EPIPE);
	close(fd[0]);
}
END_TEST

START_TEST(a_flood_of_nonsense_does_not_hold_the_reader)
{
	struct notify n;
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(send(fd[1], "x", 1, 0), 1);
	ck_assert_int_eq(notify_read(fd[0], &n), -EAGAIN);
	ck_assert_int_eq(recv(fd[0], &n, sizeof(n), MSG_DONTWAIT), 1); /* some are left for later */
	close(fd[0]);
	close(fd[1]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mos_run_notify");
	TCase *tc = tcase_create("lines");

	tcase_add_test(tc, each_line_is_understood);
	tcase_add_test(tc, everything_else_is_refused);
	tcase_add_test(tc, lines_are_read_in_order_and_nonsense_between_them_is_skipped);
	tcase_add_test(tc, a_flood_of_nonsense_does_not_hold_the_reader);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
