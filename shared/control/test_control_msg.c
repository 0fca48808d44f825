/*
 * Messages of the control socket on the bench: a socket pair on which one end sends what a peer of
 * another build, or an enemy, might send; and real listen and connect in a directory of their own.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "shared/control/control_msg.h"
#include "shared/root/root.h"

static int us, peer; /* the two ends */
static struct mos_ctl_msg msg;

static void setup(void)
{
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	us = fd[0];
	peer = fd[1];
	mos_ctl_init(&msg, MOS_CTL_HELLO);
}

static void teardown(void)
{
	close(us);
	if (peer >= 0)
		close(peer);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

START_TEST(message_arrives_as_it_was_sent)
{
	struct mos_ctl_msg got;

	for (int type = MOS_CTL_HELLO; type < MOS_CTL_TYPE_END; type++) {
		mos_ctl_init(&msg, (enum mos_ctl_type)type);
		msg.shard = 3;
		msg.epoch = 4;
		msg.attach_slot = 5;
		msg.error = EBUSY;
		snprintf(msg.text, sizeof(msg.text), "no free shard");
		ck_assert_int_eq(mos_ctl_send(peer, &msg), 0);
		ck_assert_int_eq(mos_ctl_recv(us, &got, 0), 0);
		ck_assert_mem_eq(&got, &msg, sizeof(msg));
		ck_assert_uint_eq(got.layout_hash, mos_layout_hash());
	}
}
END_TEST

START_TEST(message_that_was_looked_at_is_still_there)
{
	struct mos_ctl_msg got;

	ck_assert_int_eq(mos_ctl_peek(us, &got), -EAGAIN);
	for (uint32_t ctx = 1; ctx <= 2; ctx++) {
		msg.ctx = ctx;
		ck_assert_int_eq(mos_ctl_send(peer, &msg), 0);
	}
	for (uint32_t ctx = 1; ctx <= 2; ctx++) {
		ck_assert_int_eq(mos_ctl_peek(us, &got), 0);
		ck_assert_uint_eq(got.ctx, ctx);
		ck_assert_int_eq(mos_ctl_recv(us, &got, 0), 0);
		ck_assert_uint_eq(got.ctx, ctx);
	}
	close(peer);
	peer = -1;
	ck_assert_int_eq(mos_ctl_peek(us, &got), -EPIPE);
}
END_TEST

/* A struct that is sent must not carry what lay on the sender's stack. */
START_TEST(fresh_message_holds_no_old_bytes)
{
	struct mos_ctl_msg again;

	memset(&msg, 0xff, sizeof(msg));
	memset(&again, 0x11, sizeof(again));
	mos_ctl_init(&msg, MOS_CTL_LEASE);
	mos_ctl_init(&again, MOS_CTL_LEASE);
	ck_assert_mem_eq(&msg, &again, sizeof(msg));
}
END_TEST

/* Send the first len bytes of msg (or zeroes behind it), as no call of ours would. */
static void send_bytes(size_t len)
{
	char bytes[2 * sizeof(msg)] = {0};

	memcpy(bytes, &msg, sizeof(msg));
	ck_assert_int_eq(send(peer, bytes, len, 0), (ssize_t)len);
}

START_TEST(message_of_another_size_is_refused)
{
	const size_t sizes[] = {1, sizeof(msg) - 1, sizeof(msg) + 1, 2 * sizeof(msg)};

	for (int i = 0; i < 4; i++) {
		send_bytes(sizes[i]);
		ck_assert_int_eq(mos_ctl_recv(us, &msg, 0), -EPROTO);
		mos_ctl_init(&msg, MOS_CTL_HELLO);
	}
	send_bytes(sizeof(msg)); /* each was taken whole: the next one is understood */
	ck_assert_int_eq(mos_ctl_recv(us, &msg, 0), 0);
}
END_TEST

START_TEST(wrong_magic_is_refused)
{
	msg.magic ^= 1;
	send_bytes(sizeof(msg));
	ck_assert_int_eq(mos_ctl_recv(us, &msg, 0), -EPROTO);
}
END_TEST

START_TEST(other_version_is_refused_and_can_still_be_named)
{
	msg.version = MOS_CTL_VERSION + 1;
	send_bytes(sizeof(msg));
	ck_assert_int_eq(mos_ctl_recv(us, &msg, 0), -EPROTO);
	ck_assert_uint_eq(msg.version, MOS_CTL_VERSION + 1);
	ck_assert_uint_eq(msg.magic, MOS_CTL_MAGIC);
}
END_TEST

START_TEST(unknown_type_is_refused)
{
	const uint16_t types[] = {0, MOS_CTL_TYPE_END, UINT16_MAX};

	for (int i = 0; i < 3; i++) {
		mos_ctl_init(&msg, MOS_CTL_HELLO);
		msg.type = types[i];
		send_bytes(sizeof(msg));
		ck_assert_int_eq(mos_ctl_recv(us, &msg, 0), -EPROTO);
	}
}
END_TEST

START_TEST(text_without_end_is_ended)
{
	memset(msg.text, 'x', sizeof(msg.text));
	send_bytes(sizeof(msg));
	ck_assert_int_eq(mos_ctl_recv(us, &msg, 0), 0);
	ck_assert_uint_eq(strlen(msg.text), MOS_CTL_TEXT - 1);
}
END_TEST

START_TEST(closed_peer_is_told_from_a_silent_one)
{
	ck_assert_int_eq(mos_ctl_recv(us, &msg, 0), -EAGAIN);
	close(peer);
	peer = -1;
	ck_assert_int_eq(mos_ctl_recv(us, &msg, 0), -EPIPE);
	ck_assert_int_eq(mos_ctl_recv(us, &msg, -1), -EPIPE);
	mos_ctl_init(&msg, MOS_CTL_HELLO);
	ck_assert_int_eq(mos_ctl_send(us, &msg), -EPIPE); /* and no SIGPIPE */
}
END_TEST

START_TEST(last_words_of_a_closed_peer_are_heard)
{
	ck_assert_int_eq(mos_ctl_send(peer, &msg), 0);
	close(peer);
	peer = -1;
	ck_assert_int_eq(mos_ctl_recv(us, &msg, 1000), 0);
	ck_assert_int_eq(mos_ctl_recv(us, &msg, 1000), -EPIPE);
}
END_TEST

START_TEST(last_words_of_a_peer_that_did_not_listen_are_heard)
{
	struct mos_ctl_msg unread;

	mos_ctl_init(&unread, MOS_CTL_HELLO);
	ck_assert_int_eq(mos_ctl_send(us, &unread), 0);
	ck_assert_int_eq(mos_ctl_send(peer, &msg), 0);
	close(peer);
	peer = -1;
	ck_assert_int_eq(mos_ctl_recv(us, &msg, 1000), 0);
	ck_assert_int_eq(mos_ctl_recv(us, &msg, 1000), -EPIPE);
}
END_TEST

START_TEST(wait_ends_at_its_time)
{
	int64_t start = now_ms();

	ck_assert_int_eq(mos_ctl_recv(us, &msg, 60), -EAGAIN);
	ck_assert_int_ge(now_ms() - start, 59);
	ck_assert_int_lt(now_ms() - start, 1000);
}
END_TEST

static void on_alarm(int signum)
{
}

/* Interrupted every 5 ms, a wait of 60 ms neither fails nor grows. */
START_TEST(signals_neither_end_nor_prolong_a_wait)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	timer_t timer;
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	struct itimerspec every = {{0, 5000000}, {0, 5000000}};
	int64_t start;

	sigaction(SIGALRM, &sa, NULL);
	ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &ev, &timer), 0);
	ck_assert_int_eq(timer_settime(timer, 0, &every, NULL), 0);
	start = now_ms();
	ck_assert_int_eq(mos_ctl_recv(us, &msg, 60), -EAGAIN);
	ck_assert_int_ge(now_ms() - start, 59);
	ck_assert_int_lt(now_ms() - start, 1000);
	timer_delete(timer);
}
END_TEST

static void *send_later(void *arg)
{
	struct timespec nap = {.tv_nsec = 30000000};

	nanosleep(&nap, NULL);
	mos_ctl_send(peer, &msg);
	return arg;
}

START_TEST(wait_ends_when_a_message_comes)
{
	struct mos_ctl_msg got;
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, send_later, NULL), 0);
	ck_assert_int_eq(mos_ctl_recv(us, &got, -1), 0);
	pthread_join(t, NULL);
}
END_TEST

/* The supervisor must not be held up by a worker that reads nothing. */
START_TEST(peer_that_reads_nothing_is_given_up_not_waited_for)
{
	int sent = 0, err;

	while ((err = mos_ctl_send(us, &msg)) == 0)
		ck_assert_int_lt(++sent, 100000);
	ck_assert_int_eq(err, -EAGAIN);
	ck_assert_int_gt(sent, 1);
	while (sent-- > 0) /* and each message that was taken is whole */
		ck_assert_int_eq(mos_ctl_recv(peer, &msg, 0), 0);
	ck_assert_int_eq(mos_ctl_recv(peer, &msg, 0), -EAGAIN);
}
END_TEST

/* ---- a socket in the file system ---- */

static char dir[] = "/tmp/test_control.XXXXXX";
static char path[128];

static void setup_path(void)
{
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/control", dir);
}

static void teardown_path(void)
{
	unlink(path);
	rmdir(dir);
}

START_TEST(worker_reaches_the_one_who_listens)
{
	int listener = mos_ctl_listen(path), a, b;

	ck_assert_int_ge(listener, 0);
	ck_assert_int_lt(accept(listener, NULL, NULL), 0);
	ck_assert_int_eq(errno, EAGAIN); /* the supervisor never blocks in accept */
	a = mos_ctl_connect(path);
	ck_assert_int_ge(a, 0);
	b = accept(listener, NULL, NULL);
	ck_assert_int_ge(b, 0);
	mos_ctl_init(&msg, MOS_CTL_HELLO);
	ck_assert_int_eq(mos_ctl_send(a, &msg), 0);
	ck_assert_int_eq(mos_ctl_recv(b, &msg, 1000), 0);
	ck_assert_int_eq(fcntl(listener, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(fcntl(a, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(a);
	close(b);
	close(listener);
}
END_TEST

START_TEST(nobody_listens_is_told_by_its_cause)
{
	int listener;

	ck_assert_int_eq(mos_ctl_connect(path), -ENOENT);
	listener = mos_ctl_listen(path);
	close(listener); /* the path stays, as after a crash */
	ck_assert_int_eq(mos_ctl_connect(path), -ECONNREFUSED);
}
END_TEST

START_TEST(stale_socket_of_a_dead_primary_is_replaced)
{
	int old = mos_ctl_listen(path), listener, fd;

	close(old);
	listener = mos_ctl_listen(path);
	ck_assert_int_ge(listener, 0);
	fd = mos_ctl_connect(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	close(listener);
}
END_TEST

START_TEST(path_that_cannot_be_is_an_error)
{
	char too_long[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];

	memset(too_long, 'x', sizeof(too_long));
	too_long[sizeof(too_long) - 1] = '\0';
	ck_assert_int_eq(mos_ctl_listen(too_long), -ENAMETOOLONG);
	ck_assert_int_eq(mos_ctl_connect(too_long), -ENAMETOOLONG);
	snprintf(path, sizeof(path), "%s/no/control", dir);
	ck_assert_int_eq(mos_ctl_listen(path), -ENOENT);
	ck_assert_int_lt(mos_ctl_listen(dir), 0); /* a directory is not replaced */
	ck_assert_int_eq(mos_ctl_connect(dir), -ECONNREFUSED);
}
END_TEST

static TCase *message_case(void)
{
	TCase *tc = tcase_create("message");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, message_arrives_as_it_was_sent);
	tcase_add_test(tc, message_that_was_looked_at_is_still_there);
	tcase_add_test(tc, fresh_message_holds_no_old_bytes);
	tcase_add_test(tc, message_of_another_size_is_refused);
	tcase_add_test(tc, wrong_magic_is_refused);
	tcase_add_test(tc, other_version_is_refused_and_can_still_be_named);
	tcase_add_test(tc, unknown_type_is_refused);
	tcase_add_test(tc, text_without_end_is_ended);
	tcase_add_test(tc, closed_peer_is_told_from_a_silent_one);
	tcase_add_test(tc, last_words_of_a_closed_peer_are_heard);
	tcase_add_test(tc, last_words_of_a_peer_that_did_not_listen_are_heard);
	tcase_add_test(tc, wait_ends_at_its_time);
	tcase_add_test(tc, signals_neither_end_nor_prolong_a_wait);
	tcase_add_test(tc, wait_ends_when_a_message_comes);
	tcase_add_test(tc, peer_that_reads_nothing_is_given_up_not_waited_for);
	return tc;
}

static TCase *path_case(void)
{
	TCase *tc = tcase_create("path");

	tcase_add_checked_fixture(tc, setup_path, teardown_path);
	tcase_add_test(tc, worker_reaches_the_one_who_listens);
	tcase_add_test(tc, nobody_listens_is_told_by_its_cause);
	tcase_add_test(tc, stale_socket_of_a_dead_primary_is_replaced);
	tcase_add_test(tc, path_that_cannot_be_is_an_error);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("control_msg");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, message_case());
	suite_add_tcase(s, path_case());
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
