/* Names of flows, from keys made by hand. */
#include "shared/flow_table/flow_text.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>

static struct mos_flow_key key_of(const char *src, const char *dst, uint16_t version, uint16_t vlan)
{
	struct mos_flow_key key = {.src_port_be = htons(40000),
	                           .dst_port_be = htons(80),
	                           .vlan = vlan,
	                           .ip_version = version};

	ck_assert_int_eq(inet_pton(AF_INET6, src, key.src), 1);
	ck_assert_int_eq(inet_pton(AF_INET6, dst, key.dst), 1);
	return key;
}

START_TEST(flow_is_named_by_its_two_ends)
{
	static const struct {
		const char *src, *dst;
		uint16_t version, vlan;
		const char *text;
	} rows[] = {
		{"::ffff:10.0.0.1", "::ffff:10.0.0.2", 4, 0, "10.0.0.1:40000 > 10.0.0.2:80"},
		{"::ffff:10.0.0.1", "::ffff:10.0.0.2", 4, 7, "10.0.0.1:40000 > 10.0.0.2:80 vlan 7"},
		{"fd00::1", "fd00::2", 6, 0, "[fd00::1]:40000 > [fd00::2]:80"},
	};
	char text[MOS_FLOW_TEXT_LEN];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mos_flow_key key =
			key_of(rows[i].src, rows[i].dst, rows[i].version, rows[i].vlan);

		ck_assert_str_eq(mos_flow_key_text(text, &key), rows[i].text);
	}
}
END_TEST

START_TEST(longest_name_fits)
{
	const char *addr = "1111:2222:3333:4444:5555:6666:7777:8888";
	struct mos_flow_key key = key_of(addr, addr, 6, UINT16_MAX);
	char text[MOS_FLOW_TEXT_LEN];

	key.src_port_be = key.dst_port_be = UINT16_MAX;
	ck_assert_str_eq(mos_flow_key_text(text, &key),
	                 "[1111:2222:3333:4444:5555:6666:7777:8888]:65535 > "
	                 "[1111:2222:3333:4444:5555:6666:7777:8888]:65535 vlan 65535");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("flow_text");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, flow_is_named_by_its_two_ends);
	tcase_add_test(tc, longest_name_fits);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
