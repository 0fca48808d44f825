/* Lines of flows, for people and as JSON; the longest ones fit. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/mosctl/flow_line.h"

static struct flow_view view;
static char text[FLOW_LINE_MAX];

static void set_key(struct mos_flow_key *k, uint8_t version, uint8_t host, uint16_t port)
{
	memset(k, 0, sizeof(*k));
	k->src[10] = k->src[11] = k->dst[10] = k->dst[11] = 0xff;
	memcpy(&k->src[12], (const uint8_t[]){10, 9, 0, host}, 4);
	memcpy(&k->dst[12], (const uint8_t[]){10, 9, 0, 2}, 4);
	k->src_port_be = __builtin_bswap16(port);
	k->dst_port_be = __builtin_bswap16(80);
	k->ip_version = version;
}

static void setup(void)
{
	struct mos_flow *f = &view.flow;

	memset(&view, 0, sizeof(view));
	view.shard = 1;
	view.slot = 7;
	view.now_ms = 5000;
	set_key(&f->key, 4, 1, 40000);
	f->id = 9;
	f->flags = MOS_FLOW_IN_USE;
	f->state[MOS_CLI] = 4;
	f->state[MOS_SVR] = 3;
	f->packets[MOS_CLI] = 12;
	f->packets[MOS_SVR] = 10;
	f->bytes[MOS_CLI] = 1400;
	f->bytes[MOS_SVR] = 12000;
	f->start_ms = 1750;
	f->last_seen_ms = 4990;
}

static const char *as_text(void)
{
	ck_assert_uint_eq(flow_line_text(text, &view), strlen(text));
	ck_assert_uint_eq(text[strlen(text) - 1], '\n');
	return text;
}

static const char *as_json(void)
{
	ck_assert_uint_eq(flow_line_json(text, &view), strlen(text));
	return text;
}

static void assert_has(const char *line, const char *part)
{
	ck_assert_msg(strstr(line, part) != NULL, "no `%s` in: %s", part, line);
}

START_TEST(line_says_what_the_record_says)
{
	const char *line = as_text();

	ck_assert_int_eq(strncmp(line, "    1       7  10.9.0.1:40000 > 10.9.0.2:80 ", 44), 0);
	assert_has(line, " ESTABLISHED SYN_RCVD ");
	assert_has(line, " 12         10         1400        12000 ");
	assert_has(line, " 3.250     0.010  -\n");
}
END_TEST

START_TEST(columns_stand_under_their_names)
{
	const char *head = strstr(flow_line_head, "age s"),
		   *flags = strstr(flow_line_head, "flags");
	const char *line = as_text();

	ck_assert_ptr_eq(strchr(line, '-'), line + (flags - flow_line_head));
	ck_assert_int_eq(line[head + 5 - flow_line_head], ' '); /* behind 3.250 */
	ck_assert_int_eq(line[head + 4 - flow_line_head], '0');
}
END_TEST

START_TEST(line_tells_what_is_not_as_usual)
{
	struct mos_flow *f = &view.flow;

	f->flags |=
		MOS_FLOW_SUSPECT | MOS_FLOW_TORN | MOS_FLOW_TWO_KEYS | MOS_FLOW_REMAP << MOS_SVR;
	f->strikes = 2;
	set_key(&f->out, 4, 254, 20000);
	assert_has(as_text(), "  suspect torn strikes=2 server-edited "
	                      "translated=(10.9.0.254:20000 > 10.9.0.2:80)\n");
	f->out.ip_version = 0;
	assert_has(as_text(), "translated=lost\n");
}
END_TEST

START_TEST(clock_that_was_read_too_early_makes_no_age)
{
	view.flow.start_ms = view.flow.last_seen_ms = view.now_ms + 3;
	assert_has(as_text(), " 0.000     0.000 ");
	view.now_ms = 2; /* it has wrapped */
	view.flow.start_ms = UINT32_MAX;
	assert_has(as_text(), " 0.003 ");
}
END_TEST

START_TEST(json_is_one_object)
{
	ck_assert_str_eq(
		as_json(),
		"{\"shard\":1,\"flow\":7,\"id\":9,\"client\":\"10.9.0.1:40000\","
		"\"server\":\"10.9.0.2:80\",\"vlan\":0,\"state\":[\"ESTABLISHED\",\"SYN_RCVD\"],"
		"\"packets\":[12,10],\"bytes\":[1400,12000],\"age_ms\":3250,\"idle_ms\":10,"
		"\"suspect\":false,\"strikes\":0,\"edited\":[false,false],\"translated\":false}\n");
	view.flow.flags |= MOS_FLOW_TWO_KEYS;
	set_key(&view.flow.out, 4, 254, 20000);
	view.area = true;
	view.area_version = 3;
	view.area_len = 2;
	view.area_bytes[1] = 0xa5;
	assert_has(as_json(), "\"translated\":true,\"out\":{\"client\":\"10.9.0.254:20000\","
	                      "\"server\":\"10.9.0.2:80\",\"vlan\":0},"
	                      "\"area\":{\"version\":3,\"bytes\":\"00a5\"}}\n");
}
END_TEST

/* Whatever another process has left in the record. */
START_TEST(longest_line_fits)
{
	view.shard = view.slot = view.area_version = UINT32_MAX;
	memset(&view.flow, 0xff, sizeof(view.flow));
	view.area = true;
	view.area_len = FLOW_AREA_MAX;
	memset(view.area_bytes, 0xff, sizeof(view.area_bytes));
	ck_assert_uint_lt(strlen(as_text()), FLOW_LINE_MAX);
	ck_assert_uint_lt(strlen(as_json()), FLOW_LINE_MAX);
	assert_has(as_json(), "\"state\":[\"?\",\"?\"]");
	view.flow.out.ip_version = 0;
	assert_has(as_text(), "translated=lost  area v4294967295 ffff");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mosctl_flow_line");
	TCase *tc = tcase_create("line");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, line_says_what_the_record_says);
	tcase_add_test(tc, columns_stand_under_their_names);
	tcase_add_test(tc, line_tells_what_is_not_as_usual);
	tcase_add_test(tc, clock_that_was_read_too_early_makes_no_age);
	tcase_add_test(tc, json_is_one_object);
	tcase_add_test(tc, longest_line_fits);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
