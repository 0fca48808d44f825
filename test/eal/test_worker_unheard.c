/*
 * A worker on the bench that hears one side only: no ACK tells which holes are final. The server
 * sends its SYN/ACK and then nothing that passes here. stream_wire.h sends and reads.
 */
#include "test/eal/stream_wire.h"

#define SEGMENT 1792u /* as large as a chunk, so that the bench's pool is used up soon */

static const struct mos_stream *stream(void)
{
	return &mos_flow_at(&hs.c->flows, 0)->stream[MOS_SVR];
}

static void send_round(uint64_t off, uint32_t len)
{
	sw_send(MOS_SVR, off, len);
	hs_round();
}

/* Send behind a hole at [100, 200) until the worker gives it up; returns the end of what was sent. */
static uint64_t send_until_given_up(void)
{
	uint64_t end = 200;

	send_round(0, 100);
	for (unsigned i = 0; i < hs.c->streams.pool.count && sw.errors == 0; i++) {
		send_round(end, SEGMENT);
		end += SEGMENT;
	}
	return end;
}

START_TEST(stream_goes_on_behind_a_hole_that_nobody_acknowledges)
{
	uint64_t end;

	sw_open(NULL, 1);
	end = send_until_given_up();
	ck_assert_uint_eq(sw.errors, 1);
	sw_check_error(0, 0, MOS_SVR, MOS_GAP_MISSED, 100, 200);
	sw_check(0, MOS_SVR, end, 100);
	send_round(end, 100); /* and stays in step */
	sw_check(0, MOS_SVR, end + 100, 100);
	ck_assert_uint_eq(sw.errors, 1);
}
END_TEST

START_TEST(hole_is_waited_for_as_long_as_the_other_side_is_heard)
{
	sw_open(NULL, 1);
	sw_ack(MOS_SVR, 0);
	send_round(0, 100);
	for (uint64_t off = 200; off < 60000; off += 1000)
		send_round(off, 1000);
	ck_assert_uint_eq(sw.errors, 0);
	ck_assert_uint_eq(stream()->next, 100);
	send_round(100, 100);
	sw_check(0, MOS_SVR, 60200, 0);
}
END_TEST

START_TEST(hole_in_a_little_data_is_filled_by_a_late_segment)
{
	sw_open(NULL, 1);
	send_round(0, 100);
	send_round(200, 1000);
	send_round(100, 100);
	sw_check(0, MOS_SVR, 1200, 0);
	ck_assert_uint_eq(sw.errors, 0);
}
END_TEST

START_TEST(what_lies_behind_holes_is_read_before_the_flow_ends)
{
	sw_open(NULL, 1);
	send_round(0, 100);
	send_round(200, 100);
	send_round(5000, 100);
	hs_advance(31000); /* its time is over */
	hs_round();
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(sw.errors, 1);
	sw_check_error(0, 0, MOS_SVR, MOS_GAP_MISSED, 100, 200);
	sw_check(0, MOS_SVR, 5100, 4800);
}
END_TEST

START_TEST(reset_does_not_take_what_lies_behind_holes)
{
	sw_open(NULL, 1);
	send_round(0, 100);
	send_round(200, 100);
	hs_send(&(struct hs_pkt)RST(1101));
	hs_round();
	ck_assert_uint_eq(hs.c->flows.count, 0);
	sw_check(0, MOS_SVR, 300, 100);
}
END_TEST

static unsigned new_data;

static void count_new_data(int sock, int side, event_t event, int hook)
{
	new_data += event == MOS_ON_CONN_NEW_DATA;
}

/* Who refuses the connection has not taken what came with its SYN. */
START_TEST(data_of_a_syn_that_is_refused_is_nobodys)
{
	new_data = 0;
	hs_open(NULL);
	hs_passive_all();
	hs.act = count_new_data;
	hs_send(&(struct hs_pkt){.flags = MOS_TCP_SYN, .seq = 1000, .payload = 100});
	hs_round();
	ck_assert_uint_eq(hs.c->flows.count, 1);
	hs_send(&(struct hs_pkt){.from = MOS_SVR, .flags = MOS_TCP_RST | MOS_TCP_ACK, .ack = 1001});
	hs_round();
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(new_data, 0);
}
END_TEST

TCase *unheard_case(void)
{
	TCase *tc = tcase_create("unheard");

	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, stream_goes_on_behind_a_hole_that_nobody_acknowledges);
	tcase_add_test(tc, hole_is_waited_for_as_long_as_the_other_side_is_heard);
	tcase_add_test(tc, hole_in_a_little_data_is_filled_by_a_late_segment);
	tcase_add_test(tc, what_lies_behind_holes_is_read_before_the_flow_ends);
	tcase_add_test(tc, reset_does_not_take_what_lies_behind_holes);
	tcase_add_test(tc, data_of_a_syn_that_is_refused_is_nobodys);
	return tc;
}
