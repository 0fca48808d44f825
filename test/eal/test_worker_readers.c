/*
 * Who reads a stream, and when, on the bench: sockets with their own positions, those that start
 * late, timers, the end of a flow.
 */
#include "test/eal/stream_rig.h"

static void open_flow(void)
{
	sr_open(NULL);
	sr_flow(0);
}

/* ---- several sockets ---- */

START_TEST(sockets_have_positions_of_their_own)
{
	int second, other;

	sr_open(NULL);
	second = sr_passive();
	sr_flow(0);
	other = sr_sock_of(second);
	sr_data(MOS_SVR, 0, 1000);
	sr_data(MOS_SVR, 1000, 1000);
	sr_reads(sr.sock, MOS_SVR, 0, 1500);
	sr_reads(other, MOS_SVR, 0, 300);
	sr_data(MOS_SVR, 2000, 1000);
	sr_reads(other, MOS_SVR, 300, 2700);
	sr_reads(sr.sock, MOS_SVR, 1500, 1500);
	hs_round();
	ck_assert_uint_eq(sr_chunks_in_use(), 0); /* both have passed */
}
END_TEST

static void read_if_first(int sock, int side)
{
	char buf[2048];

	if (sock == sr.sock)
		ck_assert_int_gt(mtcp_peek(hs_mctx(), sock, side, buf, sizeof(buf)), 0);
}

/* One that never reads loses its oldest bytes; the other none. */
START_TEST(slow_socket_loses_and_the_fast_one_does_not)
{
	int second;

	sr_open(NULL);
	second = sr_passive();
	sr_flow(0);
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, 2000), 0);
	sr_watch(read_if_first);
	for (uint32_t i = 0; i < 3; i++)
		sr_data(MOS_SVR, 1000 * i, 1000);
	ck_assert_uint_eq(sr.new_data, 6);
	ck_assert_uint_eq(sr.errors, 1); /* told to the one that loses */
	ck_assert_int_eq(sr.gap.cause, MOS_GAP_OVERRUN);
	sr_loses(sr_sock_of(second), MOS_SVR, 1000);
	sr_reads(sr_sock_of(second), MOS_SVR, 1000, 2000);
	sr_reads_nothing(sr.sock, MOS_SVR);
}
END_TEST

/* ---- late ---- */

/* A socket that has no callback for new data, and has never read. */
static void open_silent(void)
{
	memset(&sr, 0, sizeof(sr));
	hs_open(NULL);
	sr.passive = hs_passive();
	sr_flow(0);
}

START_TEST(nothing_is_kept_for_a_socket_that_does_not_read)
{
	open_silent();
	for (uint32_t i = 0; i < 20; i++)
		sr_data(MOS_SVR, 1000 * i, 1000);
	sr_data(MOS_SVR, 25000, 1000);
	ck_assert_uint_eq(sr_chunks_in_use(), 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_OVERRUN_BYTES), 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_GAP_BYTES), 0);
}
END_TEST

START_TEST(late_reader_has_lost_what_came_before)
{
	open_silent();
	sr_data(MOS_SVR, 0, 1000);
	sr_data(MOS_SVR, 1000, 1000);
	sr_loses(sr.sock, MOS_SVR, 2000);
	sr_reads_nothing(sr.sock, MOS_SVR);
	sr_data(MOS_SVR, 2000, 100);
	sr_reads(sr.sock, MOS_SVR, 2000, 100);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_OVERRUN_BYTES), 0); /* nobody had wanted them */
	sr_reads_nothing(sr.sock, MOS_CLI);
	sr_data(MOS_CLI, 0, 50);
	sr_reads(sr.sock, MOS_CLI, 0, 50);
}
END_TEST

static void start_in_a_hook(int sock, int side)
{
	if (side == MOS_SVR)
		sr_loses(sock, MOS_SVR, hs.acted == 1 ? 1000 : 100);
}

/* At SND its own packet is not lost yet. */
START_TEST(late_reader_that_starts_in_a_hook_gets_the_packet_if_it_can)
{
	open_silent();
	sr_data(MOS_SVR, 0, 1000);
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_RCV, start_in_a_hook);
	sr_data(MOS_SVR, 1000, 0);
	ck_assert_uint_eq(hs.acted, 1);
	hs.act = NULL;
	sr_data(MOS_SVR, 1000, 100);
	sr_reads(sr.sock, MOS_SVR, 1000, 100);
}
END_TEST

START_TEST(socket_that_has_read_gets_the_next_flow_from_its_first_byte)
{
	open_silent();
	sr_data(MOS_SVR, 0, 1000);
	sr_loses(sr.sock, MOS_SVR, 1000);
	sr_flow(1);
	sr_data(MOS_SVR, 0, 1000);
	sr_reads(sr.sock, MOS_SVR, 0, 1000);
}
END_TEST

START_TEST(passive_socket_with_a_buffer_reads)
{
	memset(&sr, 0, sizeof(sr));
	hs_open(NULL);
	sr.passive = hs_passive();
	ck_assert_int_eq(sr_set(sr.passive, MOS_SVRBUF, 3000), 0);
	sr_flow(0);
	sr_data(MOS_SVR, 0, 1000);
	sr_data(MOS_CLI, 0, 1000);
	sr_reads(sr.sock, MOS_SVR, 0, 1000);
	sr_loses(sr.sock, MOS_CLI, 1000);
}
END_TEST

START_TEST(active_socket_with_a_buffer_reads)
{
	open_silent();
	sr_data(MOS_SVR, 0, 10);
	ck_assert_int_eq(sr_set(sr.sock, MOS_SVRBUF, 3000), 0);
	sr_data(MOS_SVR, 10, 1000);
	sr_loses(sr.sock, MOS_SVR, 10);
	sr_reads(sr.sock, MOS_SVR, 10, 1000);
}
END_TEST

/* ---- not in hand ---- */

static int first_sock, timers;

static void in_timer(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
	ck_assert_int_eq(id, 7);
	timers++;
	sr_reads(first_sock, MOS_SVR, 0, 700);
	sr_reads(sr.sock, MOS_SVR, 0, 300);
}

START_TEST(timer_reads_flows_that_are_not_in_hand)
{
	struct timeval now = {.tv_usec = 1000};

	open_flow();
	sr_data(MOS_SVR, 0, 1000);
	first_sock = sr.sock;
	sr_flow(1);
	sr_data(MOS_SVR, 0, 300);
	timers = 0;
	ck_assert_int_eq(mtcp_settimer(hs_mctx(), 7, &now, in_timer), 0);
	hs_advance(10);
	ck_assert_int_eq(timers, 1);
	sr_reads(first_sock, MOS_SVR, 700, 300);
	hs_round();
	ck_assert_uint_eq(sr_chunks_in_use(), 0);
}
END_TEST

static void read_the_other(int sock, int side)
{
	if (sock != first_sock)
		sr_reads(first_sock, MOS_SVR, sr.flow == 1 ? 0 : 1000, 1000);
}

START_TEST(callback_of_one_flow_reads_another)
{
	open_flow();
	sr_data(MOS_SVR, 0, 1000);
	first_sock = sr.sock;
	sr_flow(1);
	sr_watch(read_the_other);
	sr_data(MOS_SVR, 0, 100);
	sr_reads_nothing(first_sock, MOS_SVR);
	sr_reads(sr.sock, MOS_SVR, 0, 100);
	hs_round();
	ck_assert_uint_eq(sr_chunks_in_use(), 0);
}
END_TEST

/* ---- NEW_DATA ---- */

static char got[SR_MAX];
static size_t got_len;

static void peek_once(int sock, int side)
{
	ssize_t n = mtcp_peek(hs_mctx(), sock, side, got + got_len, sizeof(got) - got_len);

	ck_assert_int_gt(n, 0);
	got_len += (size_t)n;
}

/* D-01: a program that peeks once per event always gets bytes; a FIN is none. */
START_TEST(peek_once_per_new_data_gets_all_up_to_the_fin)
{
	open_flow();
	got_len = 0;
	sr_watch(peek_once);
	sr_data(MOS_SVR, 0, 100);
	sr_data(MOS_SVR, 200, 100);
	sr_fin(MOS_SVR, 300); /* before the missing data */
	ck_assert_uint_eq(sr.new_data, 1);
	sr_data(MOS_SVR, 100, 100);
	ck_assert_uint_eq(sr.new_data, 2);
	ck_assert_uint_eq(got_len, 300);
	sr_is(got, MOS_SVR, 0, 300);
	sr_reads_nothing(sr.sock, MOS_SVR); /* the FIN is no byte */
	sr_fin(MOS_SVR, 300);
	ck_assert_uint_eq(sr.new_data, 2);
	ck_assert_uint_eq(sr.errors, 0);
}
END_TEST

/* D-04: half closed; who has sent its FIN may still receive. */
START_TEST(half_that_sent_its_fin_still_gets_data)
{
	open_flow();
	got_len = 0;
	sr_watch(peek_once);
	sr_fin(MOS_SVR, 0); /* the client's */
	sr_data(MOS_CLI, 0, 100);
	sr_data(MOS_CLI, 100, 1000);
	ck_assert_uint_eq(sr.new_data, 2);
	ck_assert_uint_eq(got_len, 1100);
	sr_is(got, MOS_CLI, 0, 1100);
}
END_TEST

/* ---- the end ---- */

static int drained_side;

static void drain(int sock, int side, event_t event, int hook)
{
	if (event != MOS_ON_CONN_END)
		return;
	if (sr.ends++ == 0) {
		sr_reads(sock, MOS_SVR, 0, 1000);
		sr_reads(sock, MOS_CLI, 0, 200);
		sr_reads_nothing(sock, MOS_SVR);
	} else {
		sr_reads(sock, MOS_CLI, 200, 300); /* at the second end too */
		sr_reads_nothing(sock, MOS_CLI);
	}
	drained_side = side;
}

static void check_drain(void)
{
	ck_assert_uint_eq(sr.ends, 2);
	ck_assert_uint_eq(sr_chunks_in_use(), 0);
}

static void open_undrained(void)
{
	sr_open(NULL);
	sr_flow(0);
	sr_data(MOS_SVR, 0, 1000);
	sr_data(MOS_CLI, 0, 500);
	hs.act = drain;
}

START_TEST(what_is_left_can_be_read_at_the_end_by_reset)
{
	open_undrained();
	hs_send(&(struct hs_pkt)RST(2001));
	hs_round();
	check_drain();
}
END_TEST

START_TEST(what_is_left_can_be_read_at_the_end_by_fin)
{
	open_undrained();
	sr.took[MOS_SVR] = 1000;
	sr.took[MOS_CLI] = 500;
	sr_fin(MOS_SVR, 1000);
	sr.took[MOS_SVR] = 1001;
	sr_fin(MOS_CLI, 500);
	sr.took[MOS_CLI] = 501;
	sr.took[MOS_SVR] = 1001;
	hs_send(&(struct hs_pkt)ACK(2002, 5502));
	hs_round();
	check_drain();
}
END_TEST

START_TEST(what_is_left_can_be_read_at_the_end_by_the_clock)
{
	open_undrained();
	hs_advance(31000);
	check_drain();
}
END_TEST

/* The next flow in the record begins with nothing. */
START_TEST(next_flow_of_the_record_begins_anew)
{
	open_flow();
	sr_data(MOS_SVR, 0, 1000);
	sr_data(MOS_SVR, 3000, 1000);
	sr_reads(sr.sock, MOS_SVR, 0, 10);
	hs_send(&(struct hs_pkt)RST(2001));
	hs_round();
	ck_assert_uint_eq(sr_chunks_in_use(), 0);
	sr_flow_from(0, 777000, 888000);
	sr_reads_nothing(sr.sock, MOS_SVR);
	sr_data(MOS_SVR, 0, 50);
	sr_reads(sr.sock, MOS_SVR, 0, 50);
}
END_TEST

TCase *readers_case(void)
{
	TCase *tc = tcase_create("readers");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, sockets_have_positions_of_their_own);
	tcase_add_test(tc, slow_socket_loses_and_the_fast_one_does_not);
	tcase_add_test(tc, nothing_is_kept_for_a_socket_that_does_not_read);
	tcase_add_test(tc, late_reader_has_lost_what_came_before);
	tcase_add_test(tc, late_reader_that_starts_in_a_hook_gets_the_packet_if_it_can);
	tcase_add_test(tc, socket_that_has_read_gets_the_next_flow_from_its_first_byte);
	tcase_add_test(tc, passive_socket_with_a_buffer_reads);
	tcase_add_test(tc, active_socket_with_a_buffer_reads);
	tcase_add_test(tc, timer_reads_flows_that_are_not_in_hand);
	tcase_add_test(tc, callback_of_one_flow_reads_another);
	tcase_add_test(tc, peek_once_per_new_data_gets_all_up_to_the_fin);
	tcase_add_test(tc, half_that_sent_its_fin_still_gets_data);
	tcase_add_test(tc, what_is_left_can_be_read_at_the_end_by_reset);
	tcase_add_test(tc, what_is_left_can_be_read_at_the_end_by_fin);
	tcase_add_test(tc, what_is_left_can_be_read_at_the_end_by_the_clock);
	tcase_add_test(tc, next_flow_of_the_record_begins_anew);
	return tc;
}
