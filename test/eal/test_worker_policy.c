/*
 * Policies of a stream on the bench: no buffer at all, sizes of several sockets, overlaps that
 * disagree, and what mtcp_stream_gap says of each MOS_ON_ERROR.
 */
#include "test/eal/stream_rig.h"

static void open_flow(void)
{
	sr_open(NULL);
	sr_flow(0);
}

/* ---- no buffer ---- */

static void has_no_buffer(int side)
{
	struct tcp_ring_fragment frag;
	struct tcp_buf_info info;
	socklen_t size = sizeof(info), one = 1;
	struct iovec iov;
	char buf[4];

	fails(EINVAL, mtcp_peek(hs_mctx(), sr.sock, side, buf, sizeof(buf)));
	fails(EINVAL, mtcp_ppeek(hs_mctx(), sr.sock, side, buf, sizeof(buf), 0));
	fails(EINVAL, mtcp_peekv(hs_mctx(), sr.sock, side, &iov, 1));
	fails(EINVAL,
	      mtcp_getsockopt(hs_mctx(), sr.sock, SOL_MONSOCKET,
	                      side == MOS_CLI ? MOS_INFO_CLIBUF : MOS_INFO_SVRBUF, &info, &size));
	fails(EINVAL, mtcp_getsockopt(hs_mctx(), sr.sock, SOL_MONSOCKET,
	                              side == MOS_CLI ? MOS_FRAGINFO_CLIBUF : MOS_FRAGINFO_SVRBUF,
	                              &frag, &one));
}

START_TEST(size_0_gives_back_what_is_held_and_keeps_no_more)
{
	open_flow();
	sr_watch(NULL);
	sr_data(MOS_SVR, 0, 1000);
	sr_data(MOS_SVR, 5000, 1000);
	sr_data(MOS_CLI, 0, 1000);
	ck_assert_uint_gt(sr_chunks_in_use(), 1);
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, 0), 0);
	hs_round();
	ck_assert_uint_eq(sr_chunks_in_use(), 1);
	has_no_buffer(MOS_SVR);
	sr_data(MOS_SVR, 1000, 1000);
	sr_ack(MOS_SVR, 6000);
	ck_assert_uint_eq(sr.new_data, 2);
	ck_assert_uint_eq(sr.errors, 0);
	ck_assert_uint_eq(sr_chunks_in_use(), 1);
	sr_reads(sr.sock, MOS_CLI, 0, 1000); /* the other side is as it was */
}
END_TEST

START_TEST(size_after_0_goes_on_with_what_comes_then)
{
	open_flow();
	sr_data(MOS_SVR, 0, 100);
	sr_reads(sr.sock, MOS_SVR, 0, 30);
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, 0), 0);
	sr_data(MOS_SVR, 100, 100);
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, 4000), 0);
	sr_data(MOS_SVR, 200, 100);
	sr_loses(sr.sock, MOS_SVR, 170);
	sr_reads(sr.sock, MOS_SVR, 200, 100);
}
END_TEST

static void switch_off(int sock, int side, event_t event, int hook)
{
	sr.errors += event == MOS_ON_ERROR;
	sr.new_data += event == MOS_ON_CONN_NEW_DATA;
	if (event == MOS_ON_ERROR)
		ck_assert_int_eq(sr_set(sock, MOS_SVRBUF, 0), 0);
}

/* In the middle of the work on a packet that is to be stored. */
START_TEST(size_0_in_the_error_ends_the_stream_there)
{
	open_flow();
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, 1500), 0);
	hs.act = switch_off;
	for (uint32_t i = 0; i < 4; i++)
		sr_data(MOS_SVR, 1000 * i, 1000);
	ck_assert_uint_eq(sr.errors, 1);
	ck_assert_uint_eq(sr.new_data, 1);
	ck_assert_uint_eq(sr_chunks_in_use(), 0);
	has_no_buffer(MOS_SVR);
}
END_TEST

START_TEST(passive_size_0_is_for_flows_to_come)
{
	open_flow();
	sr_watch(NULL);
	ck_assert_int_eq(sr_set(sr.passive, MOS_SVRBUF, 0), 0);
	sr_data(MOS_SVR, 0, 10);
	sr_reads(sr.sock, MOS_SVR, 0, 10);
	sr_flow(1);
	sr_data(MOS_SVR, 0, 10);
	has_no_buffer(MOS_SVR);
	sr_data(MOS_CLI, 0, 10);
	sr_reads(sr.sock, MOS_CLI, 0, 10);
	ck_assert_uint_eq(sr.new_data, 2);
}
END_TEST

/* ---- several sockets ---- */

/* How much of 6000 bytes is kept, when these sizes were asked for (-1: none was). */
static const struct {
	int first, second;
	uint32_t kept;
} sizes[] = {
	{1000, 2500, 2500}, {2500, 1000, 2500}, {0, 1000, 1000}, {1000, 0, 1000},
	{0, 0, 0},          {0, -1, 6000},      {10, -1, 6000},  {5, 5, 5},
};

START_TEST(largest_size_of_the_sockets_counts)
{
	for (unsigned i = 0; i < RTE_DIM(sizes); i++) {
		int second;

		if (i > 0)
			hs_close();
		sr_open(NULL);
		second = sr_passive();
		hs.root->settings.rmem_size = 6000;
		if (sizes[i].first >= 0)
			ck_assert_int_eq(sr_set(sr.passive, MOS_SVRBUF, sizes[i].first), 0);
		if (sizes[i].second >= 0)
			ck_assert_int_eq(sr_set(second, MOS_SVRBUF, sizes[i].second), 0);
		sr_flow(0);
		for (uint32_t j = 0; j < 6; j++)
			sr_data(MOS_SVR, 1000 * j, 1000);
		if (sizes[i].kept == 0) {
			has_no_buffer(MOS_SVR);
			continue;
		}
		if (sizes[i].kept < 6000)
			sr_loses(sr.sock, MOS_SVR, 6000 - sizes[i].kept);
		sr_reads(sr.sock, MOS_SVR, 6000 - sizes[i].kept, sizes[i].kept);
	}
}
END_TEST

START_TEST(configured_size_is_that_of_who_says_nothing)
{
	sr_open(NULL);
	hs.root->settings.rmem_size = 1234;
	sr_flow(0);
	sr_data(MOS_SVR, 0, 1000);
	sr_data(MOS_SVR, 1000, 1000);
	sr_loses(sr.sock, MOS_SVR, 766);
}
END_TEST

/* ---- overlaps ---- */

/* The bytes [off, + len) of the server's stream are the other version. */
static void is_other(uint64_t off, uint32_t len)
{
	uint8_t buf[2048];

	ck_assert_uint_le(len, sizeof(buf));
	ck_assert_int_eq(mtcp_ppeek(hs_mctx(), sr.sock, MOS_SVR, (char *)buf, len, off), len);
	for (uint32_t i = 0; i < len; i++)
		buf[i] ^= 0xff;
	sr_is(buf, MOS_SVR, off, len);
}

/* [100, 200) and [300, 400) lie behind a hole, the other version of [50, 350) comes. */
static void overlap(void)
{
	sr_data(MOS_SVR, 0, 10);
	sr_data(MOS_SVR, 100, 100);
	sr_data(MOS_SVR, 300, 100);
	sr_other(MOS_SVR, 50, 300);
	is_other(50, 50);
	is_other(200, 100);
	sr_holds(sr.sock, MOS_SVR, 350, 50);
}

static void expect_first(void)
{
	overlap();
	for (uint64_t off = 100; off < 200; off += 25) {
		char buf[25];

		ck_assert_int_eq(mtcp_ppeek(hs_mctx(), sr.sock, MOS_SVR, buf, 25, off), 25);
		sr_is(buf, MOS_SVR, off, 25);
	}
}

static void expect_last(void)
{
	overlap();
	is_other(100, 100);
	is_other(300, 50);
}

START_TEST(first_version_counts_unless_told_otherwise)
{
	open_flow();
	expect_first();
}
END_TEST

START_TEST(last_version_counts_from_when_it_is_set)
{
	open_flow();
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_LAST), 0);
	expect_last();
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_FIRST), 0);
	sr_data(MOS_SVR, 50, 300);
	is_other(50, 300);
}
END_TEST

START_TEST(passive_socket_sets_the_policy_of_flows_to_come)
{
	open_flow();
	ck_assert_int_eq(sr_set(sr.passive, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_LAST), 0);
	expect_first();
	sr_flow(1);
	expect_last();
	ck_assert_int_eq(sr_set(sr.passive, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_FIRST), 0);
	sr_flow(2);
	expect_first();
}
END_TEST

START_TEST(last_version_counts_if_one_socket_says_so)
{
	int second;

	sr_open(NULL);
	second = sr_passive();
	ck_assert_int_eq(sr_set(second, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_LAST), 0);
	ck_assert_int_eq(sr_set(sr.passive, MOS_CLIOVERLAP, MOS_OVERLAP_POLICY_LAST), 0);
	sr_flow(0);
	expect_last();
}
END_TEST

START_TEST(what_was_read_is_replaced_by_no_policy)
{
	open_flow();
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_LAST), 0);
	sr_data(MOS_SVR, 0, 100);
	sr_reads(sr.sock, MOS_SVR, 0, 60);
	sr_other(MOS_SVR, 0, 100);
	sr_other(MOS_SVR, 20, 100);
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_FIRST), 0);
	is_other(60, 60);
}
END_TEST

TCase *policy_case(void)
{
	TCase *tc = tcase_create("policy");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, size_0_gives_back_what_is_held_and_keeps_no_more);
	tcase_add_test(tc, size_after_0_goes_on_with_what_comes_then);
	tcase_add_test(tc, size_0_in_the_error_ends_the_stream_there);
	tcase_add_test(tc, passive_size_0_is_for_flows_to_come);
	tcase_add_test(tc, largest_size_of_the_sockets_counts);
	tcase_add_test(tc, configured_size_is_that_of_who_says_nothing);
	tcase_add_test(tc, first_version_counts_unless_told_otherwise);
	tcase_add_test(tc, last_version_counts_from_when_it_is_set);
	tcase_add_test(tc, passive_socket_sets_the_policy_of_flows_to_come);
	tcase_add_test(tc, last_version_counts_if_one_socket_says_so);
	tcase_add_test(tc, what_was_read_is_replaced_by_no_policy);
	return tc;
}
