/*
 * Interrupts that come when EAL has ended. This process is a primary with a net_memif port, whose
 * driver goes on listening on its socket; after the end somebody connects. Needs root, 64 MB of
 * free hugepages and the driver, else it is skipped.
 */
#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "primary/eal/eal_primary.h"

enum { MEM_MB = 64, SKIPPED = 77 };

static char name[48]; /* of prefix and socket */

static void connect_to_port(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t len = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path + 1, name, strlen(name));
	ck_assert_int_ge(sock, 0);
	ck_assert_int_eq(connect(sock, (struct sockaddr *)&addr, (socklen_t)len), 0);
}

START_TEST(interrupt_after_the_end_finds_nobody)
{
	static const struct timespec while_it_would_be_handled = {.tv_nsec = 200000000};

	mos_eal_primary_fini();
	connect_to_port();
	nanosleep(&while_it_would_be_handled, NULL);
}
END_TEST

START_TEST(interrupts_are_halted_once_and_for_all)
{
	ck_assert_int_eq(mos_eal_interrupts_halt(), 0);
	ck_assert_int_eq(mos_eal_interrupts_halt(), 0);
}
END_TEST

int main(void)
{
	char vdev[128], err[256] = "";
	const char *const vdevs[] = {vdev};
	struct mos_eal_primary_opt opt = {.file_prefix = name,
	                                  .vdevs = vdevs,
	                                  .vdev_count = 1,
	                                  .cpu = -1,
	                                  .mem_mb = MEM_MB,
	                                  .quiet = true};
	Suite *s = suite_create("interrupts");
	TCase *tc = tcase_create("interrupts");
	SRunner *sr;
	int rc, failed;

	snprintf(name, sizeof(name), "mos-test-%d", (int)getpid());
	snprintf(vdev, sizeof(vdev), "net_memif0,role=server,socket=%s,socket-abstract=yes", name);
	rc = mos_eal_primary_init(&opt, err, sizeof(err));
	if (rc < 0) {
		fprintf(stderr, "%s\n", err);
		if (rc == -EPERM || rc == -ENOENT || rc == -ENOMEM || rc == -ENODEV)
			return SKIPPED;
		return EXIT_FAILURE;
	}
	tcase_add_test(tc, interrupt_after_the_end_finds_nobody);
	tcase_add_test(tc, interrupts_are_halted_once_and_for_all);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
