/*
 * How ends are reset. What the library would do is done here: segments go to a list, or find no
 * room, and timers fire when the test says so.
 */
#include "apps/common/reset.h"

#include <check.h>
#include <stdlib.h>

#include "apps/common/forge.h"

enum { CLI = MOS_SIDE_CLI, SVR = MOS_SIDE_SVR };

static struct forged_segment sent[8];
static int sent_count;
static int room; /* segments that still find room */
static bool timer_set;
static struct reset r;

bool forge_send(mctx_t mctx, int sock, const struct forged_segment *s)
{
	if (room == 0)
		return false;
	room--;
	sent[sent_count++] = *s;
	return true;
}

mos_timer_t mtcp_timer_set(mctx_t mctx, int id, const struct timeval *t, callback_t cb)
{
	ck_assert(!timer_set);
	timer_set = true;
	return 1;
}

int mtcp_timer_cancel(mctx_t mctx, mos_timer_t timer)
{
	timer_set = false;
	return 0;
}

int mtcp_setsockopt(mctx_t mctx, int sock, int level, int optname, const void *optval,
                    socklen_t optlen)
{
	ck_assert(level == SOL_MONSOCKET && optname == MOS_DROP_HIDES && *(const int *)optval == 1);
	return 0;
}

static const struct expected known = {
	.next = {1000, 2000}, .acked = {900, 1900}, .known = {true, true}};

static void setup(void)
{
	sent_count = 0;
	room = INT32_MAX;
	timer_set = false;
}

static void fire(void)
{
	ck_assert(timer_set);
	timer_set = false;
	sent_count = 0;
	reset_on_timer(&r, NULL, 0, NULL);
}

static void check_segment(int i, int from, uint32_t seq, uint32_t ack, uint8_t flags)
{
	ck_assert_int_lt(i, sent_count);
	ck_assert_int_eq(sent[i].from, from);
	ck_assert_uint_eq(sent[i].seq, seq);
	ck_assert_uint_eq(sent[i].ack, ack);
	ck_assert_uint_eq(sent[i].flags, flags);
}

START_TEST(each_end_gets_the_number_it_expects_and_is_probed_later)
{
	reset_begin(&r, NULL, 0, RESET_BOTH, &known, NULL);
	ck_assert_int_eq(sent_count, 2);
	check_segment(0, SVR, 1000, 2000, FORGE_RST | FORGE_ACK);
	check_segment(1, CLI, 2000, 1000, FORGE_RST | FORGE_ACK);
	fire();
	ck_assert_int_eq(sent_count, 2);
	check_segment(0, SVR, 899, 2000, FORGE_ACK);
	check_segment(1, CLI, 1899, 1000, FORGE_ACK);
}
END_TEST

START_TEST(probing_ends_when_both_are_known_to_be_dead)
{
	struct tcphdr tcp = {.rst = 1};
	struct pkt_info p = {.seq = 2000, .tcph = &tcp};

	reset_begin(&r, NULL, 0, RESET_BOTH, &known, NULL);
	fire();
	reset_answer(&r, NULL, 0, CLI, &p);
	fire();
	ck_assert_int_eq(sent_count, 1);
	check_segment(0, CLI, 1899, 1000, FORGE_ACK);
	reset_answer(&r, NULL, 0, SVR, &p);
	fire();
	ck_assert_int_eq(sent_count, 0);
	ck_assert(!timer_set);
}
END_TEST

START_TEST(silence_is_probed_so_often)
{
	int rounds = 0;

	reset_begin(&r, NULL, 0, RESET_BOTH, &known, NULL);
	for (; timer_set; rounds++) {
		fire();
		ck_assert_int_eq(sent_count, 2);
	}
	ck_assert_int_eq(rounds, RESET_PROBES);
}
END_TEST

START_TEST(one_end_may_be_left_alone)
{
	reset_begin(&r, NULL, 0, RESET_SERVER, &known, NULL);
	ck_assert_int_eq(sent_count, 1);
	check_segment(0, CLI, 2000, 1000, FORGE_RST | FORGE_ACK);
	fire();
	ck_assert_int_eq(sent_count, 1);
	check_segment(0, CLI, 1899, 1000, FORGE_ACK);
}
END_TEST

START_TEST(what_finds_no_room_is_sent_when_there_is_some)
{
	room = 1;
	reset_begin(&r, NULL, 0, RESET_BOTH, &known, NULL);
	ck_assert_int_eq(sent_count, 1);
	fire();
	ck_assert_int_eq(sent_count, 0);
	room = 2;
	fire();
	ck_assert_int_eq(sent_count, 1);
	check_segment(0, CLI, 2000, 1000, FORGE_RST | FORGE_ACK);
	fire();
	ck_assert_int_eq(sent_count, 1);
	room = 9;
	fire();
	check_segment(0, CLI, 1899, 1000, FORGE_ACK);
}
END_TEST

START_TEST(end_that_talks_is_told_by_its_own_number)
{
	struct tcphdr tcp = {.ack = 1};
	struct pkt_info p = {.seq = 500, .ack_seq = 1234, .payloadlen = 10, .tcph = &tcp};

	reset_begin_by_probe(&r, NULL, 0, RESET_BOTH, &known, NULL);
	check_segment(0, SVR, 899, 2000, FORGE_ACK);
	sent_count = 0;
	reset_answer(&r, NULL, 0, CLI, &p);
	check_segment(0, SVR, 1234, 510, FORGE_RST | FORGE_ACK);
	ck_assert_uint_eq(r.expected.next[CLI], 1234);
	ck_assert_uint_eq(r.expected.next[SVR], 2000); /* what it sent was dropped */
	tcp.rst = 1;
	sent_count = 0;
	reset_answer(&r, NULL, 0, CLI, &p);
	ck_assert_int_eq(sent_count, 0);
}
END_TEST

START_TEST(end_of_which_nothing_is_known_is_waited_for)
{
	struct expected e = {.next = {0, 2000}, .known = {false, true}};

	reset_begin(&r, NULL, 0, RESET_BOTH, &e, NULL);
	ck_assert_int_eq(sent_count, 1);
	check_segment(0, CLI, 2000, 0, FORGE_RST | FORGE_ACK);
	reset_stop(&r, NULL);
	ck_assert(!timer_set);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("reset");
	TCase *tc = tcase_create("reset");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, each_end_gets_the_number_it_expects_and_is_probed_later);
	tcase_add_test(tc, probing_ends_when_both_are_known_to_be_dead);
	tcase_add_test(tc, silence_is_probed_so_often);
	tcase_add_test(tc, one_end_may_be_left_alone);
	tcase_add_test(tc, what_finds_no_room_is_sent_when_there_is_some);
	tcase_add_test(tc, end_that_talks_is_told_by_its_own_number);
	tcase_add_test(tc, end_of_which_nothing_is_known_is_waited_for);
	suite_add_tcase(s, tc);

	SRunner *runner = srunner_create(s);

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
