/*
 * Reading streams on the bench: each row of specification sections 7.2 and 7.3, each errno.
 */
#include <stdint.h>
#include <sys/uio.h>

#include "test/eal/stream_rig.h"

static void open_flow(void)
{
	sr_open(NULL);
	sr_flow(0);
}

/* ---- mtcp_peek ---- */

START_TEST(peek_copies_what_there_is_and_moves_on)
{
	open_flow();
	sr_data(MOS_SVR, 0, 100);
	sr_reads(sr.sock, MOS_SVR, 0, 40);
	sr_reads(sr.sock, MOS_SVR, 40, 60);
	sr_reads_nothing(sr.sock, MOS_SVR);
	sr_data(MOS_SVR, 100, 1400);
	sr_data(MOS_SVR, 1500, 1400);
	sr_data(MOS_CLI, 0, 10);
	sr_reads(sr.sock, MOS_SVR, 100, 2800); /* of several packets at once */
	sr_reads(sr.sock, MOS_CLI, 0, 10);     /* each side on its own */
	sr_reads_nothing(sr.sock, MOS_SVR);
}
END_TEST

START_TEST(peek_for_more_than_there_is_gives_what_there_is)
{
	char buf[64];

	open_flow();
	sr_data(MOS_SVR, 0, 50);
	ck_assert_int_eq(mtcp_peek(hs_mctx(), sr.sock, MOS_SVR, buf, sizeof(buf)), 50);
	sr_data(MOS_SVR, 50, 50); /* no length is too long */
	ck_assert_int_eq(mtcp_peek(hs_mctx(), sr.sock, MOS_SVR, buf, SIZE_MAX), 50);
	sr_is(buf, MOS_SVR, 50, 50);
	sr_data(MOS_SVR, 100, 50);
	ck_assert_int_eq(mtcp_peek(hs_mctx(), sr.sock, MOS_SVR, NULL, 0), 0);
	sr_reads(sr.sock, MOS_SVR, 100, 50);
}
END_TEST

static void read_nothing(int sock, int side)
{
	sr_reads_nothing(sock, MOS_SIDE_CLI);
	sr_reads_nothing(sock, MOS_SIDE_SVR);
}

/* The other half has not even begun. */
START_TEST(peek_before_the_first_byte_gives_0)
{
	sr_open(NULL);
	ck_assert_int_eq(mtcp_register_callback(hs_mctx(), sr.passive, MOS_ON_CONN_START,
	                                        MOS_HK_SND, hs_on_snd),
	                 0);
	hs_in_callback(MOS_ON_CONN_START, MOS_HK_SND, read_nothing, &(struct hs_pkt)SYN(1000));
	sr_flow(1);
	read_nothing(sr.sock, 0);
}
END_TEST

START_TEST(peek_stops_in_front_of_a_hole)
{
	open_flow();
	sr_data(MOS_SVR, 0, 50);
	sr_data(MOS_SVR, 100, 50);
	sr_reads(sr.sock, MOS_SVR, 0, 50);
	sr_reads_nothing(sr.sock, MOS_SVR);
	sr_data(MOS_SVR, 50, 50);
	sr_reads(sr.sock, MOS_SVR, 50, 100);
}
END_TEST

START_TEST(peek_tells_how_much_is_lost_and_goes_on_behind)
{
	open_flow();
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, 100), 0);
	sr_data(MOS_SVR, 0, 60);
	sr_data(MOS_SVR, 60, 60);
	sr_loses(sr.sock, MOS_SVR, 20);
	sr_reads(sr.sock, MOS_SVR, 20, 100);
	sr_data(MOS_SVR, 120, 101);
	sr_loses(sr.sock, MOS_SVR, 1); /* as an error looks, but for errno */
	sr_reads(sr.sock, MOS_SVR, 121, 100);
	sr_reads_nothing(sr.sock, MOS_SVR);
}
END_TEST

/* What was acknowledged and never seen is lost, not waited for. */
START_TEST(peek_goes_on_behind_bytes_that_never_came)
{
	open_flow();
	sr_data(MOS_SVR, 0, 50);
	sr_data(MOS_SVR, 100, 50);
	sr_reads(sr.sock, MOS_SVR, 0, 50);
	sr_reads_nothing(sr.sock, MOS_SVR);
	sr_ack(MOS_SVR, 150);
	sr_loses(sr.sock, MOS_SVR, 50);
	sr_reads(sr.sock, MOS_SVR, 100, 50);
}
END_TEST

/* ---- mtcp_ppeek ---- */

START_TEST(ppeek_finds_bytes_by_offset_and_moves_nothing)
{
	open_flow();
	sr_data(MOS_SVR, 0, 100);
	sr_data(MOS_SVR, 100, 100);
	sr_holds(sr.sock, MOS_SVR, 0, 200);
	sr_holds(sr.sock, MOS_SVR, 150, 50);
	sr_holds(sr.sock, MOS_SVR, 199, 1);
	sr_holds_not(sr.sock, MOS_SVR, 200);
	sr_holds_not(sr.sock, MOS_SVR, UINT64_MAX);
	sr_holds_not(sr.sock, MOS_CLI, 0);
	sr_reads(sr.sock, MOS_SVR, 0, 200);
}
END_TEST

START_TEST(ppeek_reaches_behind_a_hole_but_not_over_it)
{
	open_flow();
	sr_data(MOS_SVR, 0, 10);
	sr_data(MOS_SVR, 5000, 100);
	sr_data(MOS_SVR, 5200, 100);
	sr_holds(sr.sock, MOS_SVR, 4, 6);
	sr_holds_not(sr.sock, MOS_SVR, 10);
	sr_holds_not(sr.sock, MOS_SVR, 4999);
	sr_holds(sr.sock, MOS_SVR, 5000, 100);
	sr_holds(sr.sock, MOS_SVR, 5050, 50);
	sr_holds_not(sr.sock, MOS_SVR, 5100);
	sr_holds(sr.sock, MOS_SVR, 5299, 1);
	sr_reads(sr.sock, MOS_SVR, 0, 10);
	sr_reads_nothing(sr.sock, MOS_SVR);
}
END_TEST

START_TEST(ppeek_does_not_find_what_was_pushed_out)
{
	char buf[8];

	open_flow();
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, 100), 0);
	sr_data(MOS_SVR, 0, 150);
	sr_holds_not(sr.sock, MOS_SVR, 49);
	sr_holds(sr.sock, MOS_SVR, 50, 100);
	ck_assert_int_eq(mtcp_ppeek(hs_mctx(), sr.sock, MOS_SVR, buf, SIZE_MAX, 145), 5);
	ck_assert_int_eq(mtcp_ppeek(hs_mctx(), sr.sock, MOS_SVR, NULL, 0, 49), 0);
}
END_TEST

static void ppeek_what_was_read(int sock, int side)
{
	sr_reads(sock, side, 0, 60);
	sr_holds(sock, side, 0, 100);
	sr_reads(sock, side, 60, 40);
	sr_holds(sock, side, 30, 70);
}

START_TEST(ppeek_finds_what_the_callback_has_read)
{
	open_flow();
	sr_watch(ppeek_what_was_read);
	sr_data(MOS_SVR, 0, 100);
	ck_assert_uint_eq(sr.new_data, 1);
	sr_holds_not(sr.sock, MOS_SVR, 0); /* nobody else wants it */
}
END_TEST

/* ---- errno of all ---- */

/* One call of each kind: what differs is who asks for what. */
static ssize_t peek(int sock, int side, void *where, size_t n)
{
	return mtcp_peek(hs_mctx(), sock, side, where, n);
}

static ssize_t ppeek(int sock, int side, void *where, size_t n)
{
	return mtcp_ppeek(hs_mctx(), sock, side, where, n, 0);
}

static ssize_t peekv(int sock, int side, void *where, size_t n)
{
	return mtcp_peekv(hs_mctx(), sock, side, where, n > 0 ? 1 : 0);
}

static ssize_t gap(int sock, int side, void *where, size_t n)
{
	return mtcp_stream_gap(hs_mctx(), sock, side, where);
}

static const struct {
	const char *name;
	ssize_t (*call)(int sock, int side, void *where, size_t n);
	int null;       /* errno without a place to write to */
	int unbuffered; /* of a side that keeps none */
} calls[] = {
	{"peek", peek, EFAULT, EINVAL},
	{"ppeek", ppeek, EFAULT, EINVAL},
	{"peekv", peekv, EFAULT, EINVAL},
	{"gap", gap, EINVAL, ENODATA},
};

/* Of two mistakes the first in the order of the arguments is told. */
START_TEST(each_mistake_has_its_errno)
{
	const int no_socks[] = {-1, INT32_MIN, INT32_MAX, 63, 0, 1};
	const int no_sides[] = {MOS_SIDE_BOTH, -1, 3, 77};
	struct iovec iov[4];

	open_flow();
	ck_assert_int_eq(sr.passive, 0);
	ck_assert_int_eq(hs_raw(), 1);
	sr_data(MOS_SVR, 0, 10);
	for (unsigned i = 0; i < RTE_DIM(calls); i++) {
		for (unsigned j = 0; j < RTE_DIM(no_socks); j++)
			fails(EBADF, calls[i].call(no_socks[j], 77, NULL, 1));
		fails(EBADF, calls[i].call(sr.sock + 1, MOS_SVR, iov, 1)); /* no flow there */
		for (unsigned j = 0; j < RTE_DIM(no_sides); j++)
			fails(EINVAL, calls[i].call(sr.sock, no_sides[j], NULL, 1));
		fails(calls[i].null, calls[i].call(sr.sock, MOS_SVR, NULL, 1));
	}
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, 0), 0);
	for (unsigned i = 0; i < RTE_DIM(calls); i++) {
		fails(calls[i].null, calls[i].call(sr.sock, MOS_SVR, NULL, 1));
		fails(calls[i].unbuffered, calls[i].call(sr.sock, MOS_SVR, iov, 1));
	}
}
END_TEST

/* A call that failed has neither moved nor lost anything. */
START_TEST(failed_call_leaves_the_stream_as_it_was)
{
	struct iovec iov[4];

	open_flow();
	sr_data(MOS_SVR, 0, 10);
	for (unsigned i = 0; i < RTE_DIM(calls); i++) {
		fails(calls[i].null, calls[i].call(sr.sock, MOS_SVR, NULL, 1));
		fails(EINVAL, calls[i].call(sr.sock, MOS_SIDE_BOTH, iov, 1));
	}
	sr_reads(sr.sock, MOS_SVR, 0, 10);
}
END_TEST

START_TEST(socket_of_a_flow_that_ended_is_bad)
{
	char buf[4];

	open_flow();
	sr_data(MOS_SVR, 0, 10);
	hs_send(&(struct hs_pkt)RST(1011));
	hs_round();
	fails(EBADF, mtcp_peek(hs_mctx(), sr.sock, MOS_SVR, buf, sizeof(buf)));
}
END_TEST

TCase *peek_case(void)
{
	TCase *tc = tcase_create("peek");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, peek_copies_what_there_is_and_moves_on);
	tcase_add_test(tc, peek_for_more_than_there_is_gives_what_there_is);
	tcase_add_test(tc, peek_before_the_first_byte_gives_0);
	tcase_add_test(tc, peek_stops_in_front_of_a_hole);
	tcase_add_test(tc, peek_tells_how_much_is_lost_and_goes_on_behind);
	tcase_add_test(tc, peek_goes_on_behind_bytes_that_never_came);
	tcase_add_test(tc, ppeek_finds_bytes_by_offset_and_moves_nothing);
	tcase_add_test(tc, ppeek_reaches_behind_a_hole_but_not_over_it);
	tcase_add_test(tc, ppeek_does_not_find_what_was_pushed_out);
	tcase_add_test(tc, ppeek_finds_what_the_callback_has_read);
	tcase_add_test(tc, each_mistake_has_its_errno);
	tcase_add_test(tc, failed_call_leaves_the_stream_as_it_was);
	tcase_add_test(tc, socket_of_a_flow_that_ended_is_bad);
	return tc;
}
