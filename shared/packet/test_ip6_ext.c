/*
 * IPv6 extension header chains on the bench: a chain is a row of {kind, second byte, bytes}, put
 * before a TCP header by test_frame.h. Parsed from heap copies of exact size.
 */
#include <check.h>
#include <stdlib.h>

#include "shared/packet/packet.h"
#include "shared/packet/test_frame.h"

static struct mos_pkt_meta parse(const struct test_frame *f)
{
	struct mos_pkt_meta m;
	uint8_t *copy = malloc(f->len);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, f->b, f->len);
	mos_pkt_parse(&m, copy, f->len, f->len, 1);
	free(copy);
	return m;
}

struct ext {
	uint8_t kind, len_field;
	uint32_t bytes; /* 0 ends the row */
};

/* IPv6, the chain, and 20 bytes of TCP header with 5 bytes of payload. */
static struct test_frame chain(const struct ext *ext)
{
	struct test_frame f;

	tf_start(&f);
	tf_ip6(&f, IPPROTO_TCP);
	for (; ext->bytes > 0; ext++)
		tf_ext6(&f, ext->kind, ext->len_field, ext->bytes);
	tf_tcp(&f, 0);
	tf_payload(&f, 5);
	tf_finish(&f);
	return f;
}

START_TEST(tcp_is_found_behind_every_chain_a_host_walks)
{
	static const struct ext rows[][9] = {
		{{IPPROTO_HOPOPTS, 0, 8}},
		{{IPPROTO_HOPOPTS, 255, 2048}},
		{{IPPROTO_DSTOPTS, 3, 32}},
		{{IPPROTO_ROUTING, 4, 40}},
		{{IPPROTO_AH, 0, 8}},
		{{IPPROTO_AH, 4, 24}},
		{{IPPROTO_AH, 255, 1028}},
		{{IPPROTO_FRAGMENT, 0, 8}},  /* atomic fragment */
		{{IPPROTO_FRAGMENT, 77, 8}}, /* its second byte is reserved, no length */
		{{IPPROTO_HOPOPTS, 0, 8},
	         {IPPROTO_DSTOPTS, 1, 16},
	         {IPPROTO_ROUTING, 2, 24},
	         {IPPROTO_FRAGMENT, 0, 8},
	         {IPPROTO_AH, 4, 24},
	         {IPPROTO_DSTOPTS, 0, 8}},
		{{IPPROTO_DSTOPTS, 0, 8},
	         {IPPROTO_DSTOPTS, 0, 8},
	         {IPPROTO_DSTOPTS, 0, 8},
	         {IPPROTO_DSTOPTS, 0, 8},
	         {IPPROTO_DSTOPTS, 0, 8},
	         {IPPROTO_DSTOPTS, 0, 8},
	         {IPPROTO_DSTOPTS, 0, 8},
	         {IPPROTO_DSTOPTS, 0, 8}},
	};
	struct test_frame plain = chain(&(struct ext){0, 0, 0});

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct test_frame f = chain(rows[i]);
		struct mos_pkt_meta m = parse(&f);

		ck_assert_int_eq(m.pkt_class, MOS_PKT_TCP);
		ck_assert_uint_eq(m.ip_proto, IPPROTO_TCP);
		ck_assert_uint_eq(m.l4_off, f.l4_off);
		ck_assert_uint_eq(m.payload_off, f.payload_off);
		ck_assert_uint_eq(m.payload_len, 5);
		ck_assert_uint_eq(m.hash, parse(&plain).hash);
	}
}
END_TEST

START_TEST(chain_longer_than_the_maximum_is_a_defect)
{
	struct ext ext[MOS_IP6_EXT_MAX + 2] = {{0, 0, 0}};
	struct test_frame f;

	for (int i = 0; i < MOS_IP6_EXT_MAX + 1; i++)
		ext[i] = (struct ext){IPPROTO_DSTOPTS, 0, 8};
	f = chain(ext);
	ck_assert_int_eq(parse(&f).defect, MOS_DEFECT_IP6_EXT);
}
END_TEST

/* The header that lies is the second; it has 33 bytes till the packet's end. */
START_TEST(every_lie_about_a_header_length_is_noticed)
{
	static const uint8_t kinds[] = {IPPROTO_DSTOPTS, IPPROTO_ROUTING, IPPROTO_AH};

	for (size_t k = 0; k < sizeof(kinds); k++)
		for (uint32_t len = 0; len <= UINT8_MAX; len++) {
			struct ext ext[] = {
				{IPPROTO_HOPOPTS, 0, 8}, {kinds[k], (uint8_t)len, 8}, {0, 0, 0}};
			struct test_frame f = chain(ext);
			uint32_t bytes = kinds[k] == IPPROTO_AH ? (len + 2) * 4 : (len + 1) * 8;
			enum mos_pkt_defect want = MOS_DEFECT_NONE;

			tf_pad(&f, 4 * 1024 - f.len);
			if (bytes > 33)
				want = MOS_DEFECT_IP6_EXT;
			else if (bytes > 8) /* what it leaves is no TCP header */
				want = MOS_DEFECT_TCP_HDR_LEN;
			ck_assert_int_eq(parse(&f).defect, want);
		}
}
END_TEST

START_TEST(packet_that_ends_in_the_chain_is_a_defect)
{
	static const struct ext ext[] = {
		{IPPROTO_HOPOPTS, 1, 16}, {IPPROTO_ROUTING, 0, 8},  {IPPROTO_FRAGMENT, 0, 8},
		{IPPROTO_AH, 1, 12},      {IPPROTO_DSTOPTS, 1, 16}, {0, 0, 0},
	};
	struct test_frame f = chain(ext);
	uint32_t chain_len = f.l4_off - f.l3_hdr_end;

	for (uint32_t len = 0; len <= f.len - f.l3_hdr_end; len++) {
		enum mos_pkt_defect want = MOS_DEFECT_NONE;

		if (len == 0)
			want = MOS_DEFECT_IP_TOTAL_LEN;
		else if (len < chain_len)
			want = MOS_DEFECT_IP6_EXT;
		else if (len < chain_len + 20)
			want = MOS_DEFECT_TCP_HDR_LEN;
		tf_be16(&f, f.l3_off + 4, len);
		ck_assert_int_eq(parse(&f).defect, want);
	}
}
END_TEST

START_TEST(fragment_is_ip_and_hashes_over_addresses)
{
	static const uint16_t frag[] = {0x0001, 0x0008, 0xfff8, 0xfff9};
	struct test_frame none;

	tf_start(&none);
	tf_ip6(&none, IPPROTO_NONE);
	tf_finish(&none);
	for (size_t i = 0; i < sizeof(frag) / sizeof(frag[0]); i++) {
		struct ext ext[] = {{IPPROTO_FRAGMENT, 0, 8}, {0, 0, 0}};
		struct test_frame f = chain(ext);
		struct mos_pkt_meta m;

		tf_be16(&f, f.l3_hdr_end + 2, frag[i]);
		m = parse(&f);
		ck_assert_int_eq(m.pkt_class, MOS_PKT_IP);
		ck_assert_uint_eq(m.ip_version, 6);
		ck_assert_uint_eq(m.ip_proto, IPPROTO_TCP);
		ck_assert_uint_eq(m.hash, parse(&none).hash);
	}
}
END_TEST

START_TEST(routing_header_with_segments_left_hides_the_flow)
{
	struct ext ext[] = {{IPPROTO_ROUTING, 2, 24}, {0, 0, 0}};
	struct test_frame f = chain(ext);

	f.b[f.l3_hdr_end + 3] = 1;
	ck_assert_int_eq(parse(&f).pkt_class, MOS_PKT_IP);
	ck_assert_uint_eq(parse(&f).ip_proto, IPPROTO_ROUTING);
	f.b[f.l3_hdr_end + 3] = 0;
	ck_assert_int_eq(parse(&f).pkt_class, MOS_PKT_TCP);
}
END_TEST

START_TEST(hop_by_hop_header_is_walked_only_when_first)
{
	struct ext ext[] = {{IPPROTO_DSTOPTS, 0, 8}, {IPPROTO_HOPOPTS, 0, 8}, {0, 0, 0}};
	struct test_frame f = chain(ext);

	ck_assert_int_eq(parse(&f).pkt_class, MOS_PKT_IP);
	ck_assert_uint_eq(parse(&f).ip_proto, IPPROTO_HOPOPTS);
}
END_TEST

START_TEST(walk_ends_at_every_other_protocol)
{
	for (uint32_t next = 0; next <= UINT8_MAX; next++) {
		struct ext ext[] = {{IPPROTO_DSTOPTS, 0, 8}, {0, 0, 0}};
		struct test_frame f;

		if (next == IPPROTO_TCP || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
		    next == IPPROTO_AH || next == IPPROTO_DSTOPTS)
			continue;
		f = chain(ext);
		f.b[f.next_off] = (uint8_t)next; /* ESP, no next header, UDP, ... */
		ck_assert_int_eq(parse(&f).pkt_class, MOS_PKT_IP);
		ck_assert_uint_eq(parse(&f).ip_proto, next);
	}
}
END_TEST

START_TEST(payload_length_of_zero_is_right_only_for_no_payload)
{
	static const struct {
		uint8_t next;
		enum mos_pkt_defect defect;
	} rows[] = {
		{IPPROTO_NONE, MOS_DEFECT_NONE},
		{253, MOS_DEFECT_NONE},
		{IPPROTO_TCP, MOS_DEFECT_IP_TOTAL_LEN},
		{IPPROTO_HOPOPTS, MOS_DEFECT_IP_TOTAL_LEN}, /* jumbogram */
		{IPPROTO_DSTOPTS, MOS_DEFECT_IP6_EXT},
		{IPPROTO_FRAGMENT, MOS_DEFECT_IP6_EXT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct test_frame f;

		tf_start(&f);
		tf_ip6(&f, rows[i].next);
		tf_finish(&f);
		tf_pad(&f, 64);
		ck_assert_int_eq(parse(&f).defect, rows[i].defect);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ip6_ext");
	TCase *tc = tcase_create("walk");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, tcp_is_found_behind_every_chain_a_host_walks);
	tcase_add_test(tc, chain_longer_than_the_maximum_is_a_defect);
	tcase_add_test(tc, every_lie_about_a_header_length_is_noticed);
	tcase_add_test(tc, packet_that_ends_in_the_chain_is_a_defect);
	tcase_add_test(tc, fragment_is_ip_and_hashes_over_addresses);
	tcase_add_test(tc, routing_header_with_segments_left_hides_the_flow);
	tcase_add_test(tc, hop_by_hop_header_is_walked_only_when_first);
	tcase_add_test(tc, walk_ends_at_every_other_protocol);
	tcase_add_test(tc, payload_length_of_zero_is_right_only_for_no_payload);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
