/* Filters on the bench: what they accept, and what is refused. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/filter/test_rig.h"

static bool accepts(const char *expr, const struct test_frame *frame)
{
	struct packet p = rig_packet(frame->b, frame->len, sizeof(frame->b));
	struct mos_filter *f = rig_filter(expr);
	bool verdict = mos_filter_match(f, p.m, &p.meta);

	mos_filter_destroy(f);
	rte_pktmbuf_free(p.m);
	return verdict;
}

/* ---- what is accepted ---- */

START_TEST(expression_is_about_the_packet_as_it_is)
{
	const struct test_frame f = rig_tcp4(100);

	ck_assert(accepts("", &f));
	ck_assert(accepts("tcp", &f));
	ck_assert(accepts("dst port 443", &f));
	ck_assert(accepts("src host 10.0.0.1 and dst net 10.0.1.0 mask 255.255.255.0", &f));
	ck_assert(accepts("tcp[tcpflags] & tcp-ack != 0", &f));
	ck_assert(!accepts("dst port 40000", &f));
	ck_assert(!accepts("udp or ip6", &f));
	ck_assert(!accepts("tcp[13] & 2 != 0", &f));
	ck_assert(!accepts("vlan", &f));
}
END_TEST

START_TEST(tagged_frame_is_matched_behind_vlan)
{
	struct test_frame f;

	tf_start(&f);
	tf_vlan(&f, ETH_P_8021AD, 5);
	tf_vlan(&f, ETH_P_8021Q, 7);
	tf_ip6(&f, IPPROTO_TCP);
	tf_tcp(&f, 0);
	tf_finish(&f);
	ck_assert(!accepts("tcp", &f));
	ck_assert(!accepts("vlan 7", &f));
	ck_assert(accepts("vlan 5 and vlan 7 and tcp dst port 443", &f));
	ck_assert(!accepts("vlan 5 and vlan 7 and tcp dst port 444", &f));
}
END_TEST

START_TEST(padding_is_no_part_of_the_length)
{
	struct test_frame f = rig_tcp4(0);

	tf_pad(&f, 60 - f.len);
	ck_assert(accepts("less 54", &f));
	ck_assert(!accepts("greater 55", &f));
	ck_assert(!accepts("ether[54] = 0xee", &f)); /* is not there */

	tf_start(&f);
	tf_vlan(&f, ETH_P_8021Q, 5);
	tf_ip6(&f, IPPROTO_UDP); /* not TCP: the length is read from the IP header */
	tf_payload(&f, 8);
	tf_finish(&f);
	tf_pad(&f, 9);
	ck_assert(accepts("len = 66", &f));
	ck_assert(!accepts("ether[66] = 0xee", &f));
}
END_TEST

START_TEST(no_filter_accepts_all)
{
	const struct test_frame f = rig_tcp4(0);
	struct packet p = rig_packet(f.b, f.len, f.len);
	struct mos_flow flow = {.key.ip_version = 4};

	ck_assert(mos_filter_match(NULL, p.m, &p.meta));
	ck_assert(mos_filter_match_flow(NULL, &flow));
	mos_filter_destroy(NULL);
	rte_pktmbuf_free(p.m);
}
END_TEST

START_TEST(offset_from_the_packet_reads_nothing_else)
{
	struct test_frame f = rig_tcp4(4);

	memset(f.b + f.l4_off + 4, 0xff, 4);
	ck_assert(accepts("tcp[4:4] = 0xffffffff", &f));
	ck_assert(!accepts("ether[ether[38:4]:2] != 77", &f));
	ck_assert(!accepts("ether[0xfffffffe:4] != 77", &f));
	ck_assert(!accepts("ether[58] != 77", &f));
	ck_assert(accepts("ether[57] = 120", &f));
	ck_assert(!accepts("ether[55:4] != 77", &f));
}
END_TEST

/* An application may write into the packet it is shown. */
START_TEST(length_that_was_changed_meanwhile_is_not_believed)
{
	static const struct {
		uint8_t kind, proto;
	} rows[] = {{4, IPPROTO_TCP}, {4, IPPROTO_UDP}, {6, IPPROTO_TCP}, {6, IPPROTO_UDP}};

	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		struct mos_filter *ft = rig_filter("len = 78");
		struct test_frame f;
		struct packet p;

		tf_start(&f);
		if (rows[i].kind == 4)
			tf_ip4(&f, 0, rows[i].proto);
		else
			tf_ip6(&f, rows[i].proto);
		tf_tcp(&f, 0);
		tf_payload(&f, 78 - f.len);
		tf_finish(&f);
		p = rig_packet(f.b, f.len, f.len);
		memset(rte_pktmbuf_mtod_offset(p.m, char *, f.l3_off + 2), 0xff, 4);
		ck_assert(mos_filter_match(ft, p.m, &p.meta));
		rte_pktmbuf_free(p.m);
		mos_filter_destroy(ft);
	}
}
END_TEST

/* ---- what cannot be compiled ---- */

static void assert_refused(const char *expr, const char *reason)
{
	struct mos_filter *f = NULL;
	char why[128] = "", few[8];

	ck_assert_int_eq(mos_filter_compile(&f, expr, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_null(f);
	ck_assert_msg(strstr(why, reason) != NULL, "%.40s: %s", expr, why);
	ck_assert_ptr_null(strchr(why, '\n'));

	memset(few, 'x', sizeof(few));
	ck_assert_int_eq(mos_filter_compile(&f, expr, few, 4), -EINVAL);
	ck_assert_uint_eq(strlen(few), 3);
	ck_assert_int_eq(few[4], 'x');
	ck_assert_int_eq(mos_filter_compile(&f, expr, few, 0), -EINVAL);
}

START_TEST(mistake_is_refused_with_its_reason)
{
	static const struct {
		const char *expr, *reason;
	} rows[] = {
		{"tcp and", "syntax error"},
		{"host 10.0.0.0/8", "Mask syntax"},
		{"port 70000", "70000"},
		{"tcp[70", "syntax error"},
		{"dst port x1y2z3", "x1y2z3"},
		{"link[0] = 1 nonsense(", "syntax error"},
		{"tcp and udp", "rejects all packets"},
		{"\xff\xfe", "syntax error"},
	};

	for (unsigned i = 0; i < RTE_DIM(rows); i++)
		assert_refused(rows[i].expr, rows[i].reason);
}
END_TEST

START_TEST(longest_expression_is_the_documented_one)
{
	static char expr[MOS_FILTER_LEN_MAX + 2];
	struct mos_filter *f = NULL;
	char why[64];

	memset(expr, ' ', MOS_FILTER_LEN_MAX);
	memcpy(expr, "tcp", 3);
	ck_assert_int_eq(mos_filter_compile(&f, expr, why, sizeof(why)), 0);
	mos_filter_destroy(f);
	expr[MOS_FILTER_LEN_MAX] = ' ';
	assert_refused(expr, "8192 characters");
}
END_TEST

START_TEST(most_words_are_the_documented_ones)
{
	static char expr[MOS_FILTER_LEN_MAX];
	const struct test_frame frame = rig_tcp4(0);
	struct mos_filter *f = NULL;
	size_t len = 0;
	char why[64];

	len = (size_t)sprintf(expr, "not ip6");
	for (int i = 2; i < MOS_FILTER_WORDS_MAX; i += 2)
		len += (size_t)sprintf(expr + len, " and tcp");
	ck_assert_int_eq(mos_filter_compile(&f, expr, why, sizeof(why)), 0);
	mos_filter_destroy(f);
	sprintf(expr + len, " and tcp");
	assert_refused(expr, "words, more than 512");

	/* As a rule file has them. */
	len = (size_t)sprintf(expr, "tcp and (host 10.9.9.9");
	for (int i = 0; i < 60; i++)
		len += (size_t)sprintf(expr + len, " or 10.1.%d.1", i);
	sprintf(expr + len, " or 10.0.1.2)");
	ck_assert(accepts(expr, &frame));
}
END_TEST

/* A port is 64 instructions until the optimiser comes, which is not asked here. */
START_TEST(long_list_runs_without_the_optimiser)
{
	static char expr[MOS_FILTER_LEN_MAX];
	const struct test_frame frame = rig_tcp4(0);
	size_t len = (size_t)sprintf(expr, "port 1000");

	for (int i = 1; i < 120; i++)
		len += (size_t)sprintf(expr + len, " or %d", 1000 + i);
	ck_assert(!accepts(expr, &frame));
	sprintf(expr + len, " or 443");
	ck_assert(accepts(expr, &frame));
}
END_TEST

TCase *filter_case(void)
{
	TCase *tc = tcase_create("filter");

	tcase_add_test(tc, expression_is_about_the_packet_as_it_is);
	tcase_add_test(tc, tagged_frame_is_matched_behind_vlan);
	tcase_add_test(tc, padding_is_no_part_of_the_length);
	tcase_add_test(tc, no_filter_accepts_all);
	tcase_add_test(tc, offset_from_the_packet_reads_nothing_else);
	tcase_add_test(tc, length_that_was_changed_meanwhile_is_not_believed);
	tcase_add_test(tc, mistake_is_refused_with_its_reason);
	tcase_add_test(tc, longest_expression_is_the_documented_one);
	tcase_add_test(tc, most_words_are_the_documented_ones);
	tcase_add_test(tc, long_list_runs_without_the_optimiser);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("filter");
	SRunner *sr = srunner_create(s);
	TCase *cases[] = {filter_case(), model_case(), syn_case()};
	int failed;

	rig_eal();
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		tcase_set_timeout(cases[i], 120);
		suite_add_tcase(s, cases[i]);
	}
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
