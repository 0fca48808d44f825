/* Packets of both directions as rows, with sequence numbers that wrap, and what they add up to. */
#include "apps/bytecount/flow_count.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ISS_CLIENT 0xfffffff0u
#define ISS_SERVER 7000u

static struct flow_count f;
static uint64_t now_ns;

static void begin(void)
{
	now_ns = 0;
	flow_count_init(&f, false, now_ns);
}

static void end(void)
{
	flow_count_fini(&f);
}

/* A packet with that payload, in offsets; both directions have sent a SYN. */
static uint64_t data(int direction, int64_t offset, uint16_t len, uint64_t acked)
{
	uint32_t iss = direction == TO_SERVER ? ISS_CLIENT : ISS_SERVER;
	uint32_t peer = direction == TO_SERVER ? ISS_SERVER : ISS_CLIENT;

	return flow_count_packet(&f, direction,
	                         &(struct segment){.time_ns = now_ns += 1000,
	                                           .offset = offset > 0 ? (uint64_t)offset : 0,
	                                           .seq = iss + 1 + (uint32_t)offset,
	                                           .ack_seq = peer + 1 + (uint32_t)acked,
	                                           .ip_bytes = 40 + len,
	                                           .payload_bytes = len,
	                                           .ack = true});
}

static void syn(int direction)
{
	flow_count_packet(&f, direction,
	                  &(struct segment){.time_ns = now_ns += 1000,
	                                    .seq = direction == TO_SERVER ? ISS_CLIENT : ISS_SERVER,
	                                    .ack_seq = ISS_CLIENT + 1,
	                                    .ip_bytes = 40,
	                                    .syn = true,
	                                    .ack = direction == TO_CLIENT});
}

static void fin(int direction, uint64_t offset, uint64_t acked)
{
	uint32_t iss = direction == TO_SERVER ? ISS_CLIENT : ISS_SERVER;
	uint32_t peer = direction == TO_SERVER ? ISS_SERVER : ISS_CLIENT;

	flow_count_packet(&f, direction,
	                  &(struct segment){.time_ns = now_ns += 1000,
	                                    .offset = offset,
	                                    .seq = iss + 1 + (uint32_t)offset,
	                                    .ack_seq = peer + 1 + (uint32_t)acked,
	                                    .ip_bytes = 40,
	                                    .fin = true,
	                                    .ack = true});
}

static void handshake(void)
{
	syn(TO_SERVER);
	syn(TO_CLIENT);
	data(TO_SERVER, 0, 0, 0);
}

static void counted(int direction, struct volume expected)
{
	struct volume v = flow_count_volume(&f, direction);

	ck_assert_uint_eq(v.packets, expected.packets);
	ck_assert_uint_eq(v.ip_bytes, expected.ip_bytes);
	ck_assert_uint_eq(v.payload, expected.payload);
	ck_assert_uint_eq(v.unique, expected.unique);
	ck_assert_uint_eq(v.missed, expected.missed);
}

START_TEST(each_direction_is_counted_by_itself)
{
	handshake();
	data(TO_SERVER, 0, 100, 0);
	data(TO_CLIENT, 0, 1000, 100);
	data(TO_CLIENT, 1000, 500, 100);
	data(TO_SERVER, 100, 0, 1500);
	counted(TO_SERVER, (struct volume){4, 260, 100, 100, 0});
	counted(TO_CLIENT, (struct volume){3, 1620, 1500, 1500, 0});
	ck_assert_uint_eq(f.begin_ns, 0);
	ck_assert_uint_eq(f.end_ns, 7000);
}
END_TEST

START_TEST(what_comes_again_is_not_new)
{
	handshake();
	ck_assert_uint_eq(data(TO_SERVER, 0, 100, 0), 100);
	ck_assert_uint_eq(data(TO_SERVER, 0, 100, 0), 0);
	ck_assert_uint_eq(data(TO_SERVER, 50, 100, 0), 50);
	ck_assert_uint_eq(data(TO_SERVER, 300, 100, 0), 100);
	ck_assert_uint_eq(data(TO_SERVER, 100, 250, 0), 150);
	counted(TO_SERVER, (struct volume){7, 930, 650, 400, 0});
}
END_TEST

START_TEST(hole_is_missed_when_it_is_acknowledged)
{
	handshake();
	data(TO_SERVER, 0, 100, 0);
	data(TO_SERVER, 200, 100, 0);
	counted(TO_SERVER, (struct volume){4, 360, 200, 200, 0});
	data(TO_CLIENT, 0, 0, 150);
	counted(TO_SERVER, (struct volume){4, 360, 200, 200, 50});
	data(TO_CLIENT, 0, 0, 400);
	counted(TO_SERVER, (struct volume){4, 360, 200, 200, 200});
	ck_assert_uint_eq(data(TO_SERVER, 100, 100, 0), 100); /* it comes after all */
	counted(TO_SERVER, (struct volume){5, 500, 300, 300, 100});
}
END_TEST

START_TEST(fin_is_no_byte)
{
	handshake();
	data(TO_SERVER, 0, 100, 0);
	fin(TO_SERVER, 100, 0);
	data(TO_CLIENT, 0, 0, 101);
	counted(TO_SERVER, (struct volume){4, 260, 100, 100, 0});
	ck_assert_str_eq(flow_count_reason(&f), "timeout");
	fin(TO_CLIENT, 0, 101);
	ck_assert_str_eq(flow_count_reason(&f), "fin");
	f.reset = true;
	ck_assert_str_eq(flow_count_reason(&f), "fin");
}
END_TEST

START_TEST(reset_is_a_reason)
{
	handshake();
	f.reset = true;
	ck_assert_str_eq(flow_count_reason(&f), "rst");
}
END_TEST

START_TEST(probe_before_the_first_byte_is_nothing_new)
{
	handshake();
	ck_assert_uint_eq(data(TO_SERVER, -1, 1, 0), 0);
	ck_assert_uint_eq(data(TO_SERVER, -1, 3, 0), 2);
	ck_assert_uint_eq(data(TO_SERVER, 0, 3, 0), 1);
	counted(TO_SERVER, (struct volume){5, 207, 7, 3, 0});
}
END_TEST

START_TEST(offsets_do_not_wrap)
{
	uint64_t at = 0;

	handshake();
	for (int i = 0; i < 200000; i++, at += 60000) /* 12 GB */
		ck_assert_uint_eq(data(TO_CLIENT, (int64_t)at, 60000, 0), 60000);
	data(TO_SERVER, 0, 0, at);
	ck_assert_uint_eq(data(TO_CLIENT, 0, 60000, 0), 0);
	ck_assert_uint_eq(flow_count_volume(&f, TO_CLIENT).missed, 0);
	data(TO_SERVER, 0, 0, at + 5);
	ck_assert_uint_eq(flow_count_volume(&f, TO_CLIENT).missed, 5);
}
END_TEST

START_TEST(joined_direction_begins_with_its_first_payload)
{
	flow_count_init(&f, true, now_ns);
	data(TO_CLIENT, 5000, 0, 100);
	data(TO_SERVER, 100, 50, 6000);
	data(TO_CLIENT, 6000, 1000, 150);
	data(TO_CLIENT, 5000, 1000, 150);
	data(TO_SERVER, 150, 0, 7100);
	counted(TO_SERVER, (struct volume){2, 130, 50, 50, 0});
	counted(TO_CLIENT, (struct volume){3, 2120, 2000, 1000, 100});
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bytecount_flow_count");
	TCase *tc = tcase_create("count");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, each_direction_is_counted_by_itself);
	tcase_add_test(tc, what_comes_again_is_not_new);
	tcase_add_test(tc, hole_is_missed_when_it_is_acknowledged);
	tcase_add_test(tc, fin_is_no_byte);
	tcase_add_test(tc, reset_is_a_reason);
	tcase_add_test(tc, probe_before_the_first_byte_is_nothing_new);
	tcase_add_test(tc, offsets_do_not_wrap);
	tcase_add_test(tc, joined_direction_begins_with_its_first_payload);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
