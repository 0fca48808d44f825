/*
 * Payload whose length was edited on the way: where the stream goes on. One flow, whose client
 * sends from number 1001 on and whose server has acknowledged that.
 */
#include <check.h>

#include "secondary/tcp_track/tcp_track.h"

static struct mos_flow f;

static void setup(void)
{
	memset(&f, 0, sizeof(f));
	mos_tcp_open(&f);
	f.state[MOS_CLI] = f.state[MOS_SVR] = MOS_TCPS_ESTABLISHED;
	f.half[MOS_CLI] = (struct mos_half){.iss = 1000,
	                                    .snd_nxt = 1001,
	                                    .irs = 5000,
	                                    .rcv_nxt = 5001,
	                                    .flags = MOS_HALF_ISS | MOS_HALF_RCVD};
	f.half[MOS_SVR] = (struct mos_half){.iss = 5000,
	                                    .snd_nxt = 5001,
	                                    .irs = 1000,
	                                    .rcv_nxt = 1001,
	                                    .flags = MOS_HALF_ISS | MOS_HALF_RCVD};
}

static void sent(uint32_t seq, uint32_t len, uint8_t flags)
{
	const struct mos_tcp_seg seg = {.seq = seq,
	                                .ack = 5001,
	                                .payload_len = len,
	                                .wnd = 1000,
	                                .flags = flags | MOS_TCP_ACK};

	mos_tcp_sent(&f, MOS_CLI, &seg);
}

static const struct mos_half *cli = &f.half[MOS_CLI];

START_TEST(next_number_follows_the_edit)
{
	sent(1001, 100, 0);
	mos_tcp_resized(&f, MOS_CLI, 1101, 1151, false);
	ck_assert_uint_eq(cli->snd_nxt, 1151);
	sent(1151, 100, 0);
	mos_tcp_resized(&f, MOS_CLI, 1251, 1201, false);
	ck_assert_uint_eq(cli->snd_nxt, 1201);
}
END_TEST

START_TEST(fin_follows_the_edit)
{
	sent(1001, 100, MOS_TCP_FIN);
	ck_assert_uint_eq(cli->fin_seq, 1101);
	mos_tcp_resized(&f, MOS_CLI, 1101, 1051, true);
	ck_assert_uint_eq(cli->fin_seq, 1051);
	ck_assert_uint_eq(cli->snd_nxt, 1052);
}
END_TEST

START_TEST(what_was_sent_beyond_stays)
{
	sent(1101, 100, 0);
	sent(1001, 50, 0);
	mos_tcp_resized(&f, MOS_CLI, 1051, 1041, false);
	ck_assert_uint_eq(cli->snd_nxt, 1201);
	mos_tcp_resized(&f, MOS_CLI, 1051, 1251, false);
	ck_assert_uint_eq(cli->snd_nxt, 1251);
}
END_TEST

START_TEST(segment_that_did_not_count_moves_nothing)
{
	sent(1001 + (1u << 31), 100, 0);
	ck_assert_uint_eq(cli->snd_nxt, 1001);
	mos_tcp_resized(&f, MOS_CLI, 1101, 1151, false);
	ck_assert_uint_eq(cli->snd_nxt, 1001);
	f.half[MOS_CLI].flags &= (uint8_t)~MOS_HALF_ISS;
	mos_tcp_resized(&f, MOS_CLI, 1001, 1151, false);
	ck_assert_uint_eq(cli->snd_nxt, 1001);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tcp_resized");
	TCase *tc = tcase_create("tcp_resized");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, next_number_follows_the_edit);
	tcase_add_test(tc, fin_follows_the_edit);
	tcase_add_test(tc, what_was_sent_beyond_stays);
	tcase_add_test(tc, segment_that_did_not_count_moves_nothing);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
