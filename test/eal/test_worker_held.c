/* What is held for nobody, on the bench: closed sockets, buffers switched off, guesses put right. */
#include "test/eal/stream_rig.h"

#include "mos_ext.h"

START_TEST(nothing_is_held_for_a_closed_socket)
{
	int second;

	sr_open(NULL);
	second = sr_passive();
	sr_flow(0);
	sr_data(MOS_SVR, 0, 1000);
	sr_data(MOS_CLI, 0, 1000);
	sr_reads(sr.sock, MOS_SVR, 0, 1000);
	ck_assert_int_eq(mtcp_close(hs_mctx(), second), 0);
	hs_round();
	sr_data(MOS_SVR, 1000, 1000); /* what all have read goes with the next packet */
	sr_reads(sr.sock, MOS_SVR, 1000, 1000);
	hs_round();
	ck_assert_uint_eq(sr_chunks_in_use(), 1);
	sr_reads(sr.sock, MOS_CLI, 0, 1000);
	ck_assert_int_eq(mtcp_close(hs_mctx(), sr.passive), 0);
	hs_round();
	ck_assert_uint_eq(sr_chunks_in_use(), 0);
	sr_data(MOS_SVR, 2000, 1000);
	ck_assert_uint_eq(sr_chunks_in_use(), 0);
}
END_TEST

static unsigned told;

static void switch_off(int sock, int side, event_t event, int hook)
{
	told += event == MOS_ON_CONN_NEW_DATA;
	if (event == MOS_ON_ERROR)
		ck_assert_int_eq(sr_set(sock, MOS_SVRBUF, 0), 0);
}

START_TEST(buffer_switched_off_as_the_flow_ends_brings_no_new_data)
{
	told = 0;
	sr_open(NULL);
	sr_flow(0);
	sr_data(MOS_SVR, 100, 100); /* behind a hole; the server is not heard any more */
	hs.act = switch_off;
	hs_advance(31000);
	hs_round();
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(told, 0);
}
END_TEST

static void send_as(int from, uint8_t flags, uint32_t seq, uint32_t ack)
{
	hs_send(&(struct hs_pkt){.from = from, .flags = flags, .seq = seq, .ack = ack});
	hs_round();
}

/* The client's ACKs of a stream that somebody forged are no ACKs of the right one. */
START_TEST(right_stream_is_kept_until_it_is_acknowledged_itself)
{
	sr_open(NULL);
	ck_assert_int_eq(sr_set(sr.passive, MOS_CLIKEEP, 1), 0);
	send_as(MOS_CLI, MOS_TCP_SYN, 1000, 0);
	send_as(MOS_CLI, MOS_TCP_ACK, 1001, 5001); /* the SYN/ACK was missed, or there was none */
	sr.sock = mos_active_id(&hs.c->sockets, 0, 0);
	sr.isn[MOS_CLI] = 1000;
	sr.isn[MOS_SVR] = 5000;
	sr_data(MOS_CLI, 0, 100);
	sr_reads(sr.sock, MOS_CLI, 0, 100);
	sr_ack(MOS_CLI, 100);
	send_as(MOS_SVR, MOS_TCP_SYN | MOS_TCP_ACK, 5050, 1001);
	sr.isn[MOS_SVR] = 5050;
	sr_data(MOS_CLI, 0, 200);
	sr_reads(sr.sock, MOS_CLI, 0, 200);
	hs_round();
	sr_holds(sr.sock, MOS_CLI, 0, 200);
}
END_TEST

TCase *held_case(void)
{
	TCase *tc = tcase_create("held");

	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, nothing_is_held_for_a_closed_socket);
	tcase_add_test(tc, buffer_switched_off_as_the_flow_ends_brings_no_new_data);
	tcase_add_test(tc, right_stream_is_kept_until_it_is_acknowledged_itself);
	return tc;
}
