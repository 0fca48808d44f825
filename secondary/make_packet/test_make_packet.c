/*
 * Making packets on the bench. A caller's packet lies in heap blocks of exact size, so that reading
 * a byte too many is seen by the sanitizer; what is built is read back byte by byte and by the
 * parser.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/make_packet/make_packet.h"
#include "shared/packet/checksum.h"
#include "shared/packet/packet.h"
#include "shared/packet/test_frame.h"

enum { PAYLOAD = 33 };

/* The headers of a caller, each a block of its own. */
struct given {
	uint8_t *ip, *tcp, *payload;
	uint32_t ip_len, tcp_len, payload_len;
	struct mos_make b;
};

static uint8_t *block(uint32_t len, uint8_t first)
{
	uint8_t *p = malloc(len > 0 ? len : 1);

	ck_assert_ptr_nonnull(p);
	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(first + i * 7);
	return p;
}

/* Every byte differs from its neighbours, but for what makes the headers valid. */
static void give(struct given *g, bool ip6, uint32_t ip_opts, uint32_t tcp_opts, uint32_t payload)
{
	g->ip_len = ip6 ? 40 : 20 + ip_opts;
	g->tcp_len = 20 + tcp_opts;
	g->payload_len = payload;
	g->ip = block(g->ip_len, 11);
	g->tcp = block(g->tcp_len, 101);
	g->payload = block(payload, 201);
	g->ip[0] = (uint8_t)(ip6 ? 0x6a : 0x40 | g->ip_len / 4);
	if (!ip6)
		g->ip[9] = IPPROTO_TCP;
	g->tcp[12] = (uint8_t)(g->tcp_len / 4 << 4 | 0x5);
	memset(&g->b, 0, sizeof(g->b));
	g->b = (struct mos_make){
		.ip = g->ip,
		.tcp = g->tcp,
		.payload = g->payload,
		.payload_len = (uint16_t)payload,
		.ip6 = ip6,
		.link = {.dst = {1, 2, 3, 4, 5, 6}, .src = {7, 8, 9, 10, 11, 12}},
	};
}

static void take_back(struct given *g)
{
	free(g->ip);
	free(g->tcp);
	free(g->payload);
}

static uint8_t *build(struct given *g, bool offload)
{
	uint8_t *frame;

	ck_assert_int_eq(mos_make_check(&g->b), 0);
	frame = malloc(mos_make_frame_len(&g->b));
	ck_assert_ptr_nonnull(frame);
	mos_make_write(&g->b, frame, offload);
	return frame;
}

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* The bytes [from, to) of a header went out as given. */
static void kept(const uint8_t *built, const uint8_t *given, uint32_t from, uint32_t to)
{
	ck_assert_mem_eq(built + from, given + from, to - from);
}

static void expect_tcp(const struct given *g, const uint8_t *tcp)
{
	kept(tcp, g->tcp, 0, 16); /* ports, numbers, flags with the reserved ones, window */
	kept(tcp, g->tcp, 18, g->tcp_len); /* urgent pointer, options */
	ck_assert_mem_eq(tcp + g->tcp_len, g->payload, g->payload_len);
}

/* The parser, which trusts nothing, finds what was asked for. */
static void expect_sound(const struct given *g, const uint8_t *frame)
{
	uint32_t len = mos_make_frame_len(&g->b);
	struct mos_pkt_meta m;

	ck_assert_int_eq(mos_pkt_parse(&m, frame, len, len, 1), MOS_PKT_TCP);
	ck_assert_uint_eq(m.l3_off, 14 + g->b.link.tags_len);
	ck_assert_uint_eq(m.l4_off, m.l3_off + g->ip_len);
	ck_assert_uint_eq(m.payload_off, m.l4_off + g->tcp_len);
	ck_assert_uint_eq(m.payload_len, g->payload_len);
	ck_assert_uint_eq(m.payload_off + m.payload_len, len);
	ck_assert_uint_eq(m.ip_version, g->b.ip6 ? 6 : 4);
	ck_assert_uint_eq(m.vlan, mos_make_vlan(&g->b.link));
	ck_assert(mos_csum_tcp_ok(frame + m.l3_off, m.ip_version, frame + m.l4_off,
	                          g->tcp_len + g->payload_len));
}

START_TEST(ip4_goes_out_as_given)
{
	for (uint32_t ip_opts = 0; ip_opts <= 40; ip_opts += 4) {
		for (uint32_t tcp_opts = 0; tcp_opts <= 40; tcp_opts += 4) {
			const uint8_t *ip;
			uint8_t *frame;
			struct given g;

			give(&g, false, ip_opts, tcp_opts, PAYLOAD);
			g.ip[6] &= 0x40; /* or it is a fragment */
			g.ip[7] = 0;
			frame = build(&g, false);
			ip = frame + 14;
			ck_assert_mem_eq(frame, "\1\2\3\4\5\6\7\10\11\12\13\14\10\0", 14);
			kept(ip, g.ip, 0, 2);             /* version, length, TOS */
			kept(ip, g.ip, 4, 10);            /* id, fragment bits, TTL, protocol */
			kept(ip, g.ip, 12, 20 + ip_opts); /* addresses, options */
			ck_assert_uint_eq(be16(ip + 2), g.ip_len + g.tcp_len + PAYLOAD);
			expect_tcp(&g, ip + g.ip_len);
			expect_sound(&g, frame);
			free(frame);
			take_back(&g);
		}
	}
}
END_TEST

START_TEST(fragment_bits_are_the_callers)
{
	struct given g;
	uint8_t *frame;

	give(&g, false, 0, 0, PAYLOAD);
	g.ip[6] = 0x60;
	g.ip[7] = 0x21;
	frame = build(&g, false);
	kept(frame + 14, g.ip, 4, 10);
	ck_assert(mos_csum_ip4_ok(frame + 14, 20));
	free(frame);
	take_back(&g);
}
END_TEST

START_TEST(ip6_goes_out_as_given)
{
	for (uint32_t tcp_opts = 0; tcp_opts <= 40; tcp_opts += 4) {
		const uint8_t *ip;
		uint8_t *frame;
		struct given g;

		give(&g, true, 0, tcp_opts, PAYLOAD);
		frame = build(&g, false);
		ip = frame + 14;
		ck_assert_uint_eq(be16(frame + 12), ETH_P_IPV6);
		kept(ip, g.ip, 0, 4); /* version, traffic class, flow label */
		ck_assert_uint_eq(be16(ip + 4), g.tcp_len + PAYLOAD);
		ck_assert_uint_eq(ip[6], IPPROTO_TCP);
		kept(ip, g.ip, 7, 40); /* hop limit, addresses */
		expect_tcp(&g, ip + 40);
		expect_sound(&g, frame);
		free(frame);
		take_back(&g);
	}
}
END_TEST

START_TEST(payloads_of_any_length_have_right_checksums)
{
	for (uint32_t len = 0; len < 300; len++) {
		struct given g;
		uint8_t *frame;

		give(&g, len & 1, 0, 12, len);
		if (!g.b.ip6)
			g.ip[6] = g.ip[7] = 0;
		frame = build(&g, false);
		expect_sound(&g, frame);
		free(frame);
		take_back(&g);
	}
}
END_TEST

START_TEST(no_ttl_and_no_hop_limit_become_64)
{
	for (int ip6 = 0; ip6 < 2; ip6++) {
		uint32_t at = ip6 ? 7 : 8;
		struct given g;
		uint8_t *frame;

		for (int ttl = 0; ttl < 256; ttl++) {
			give(&g, ip6, 0, 0, 0);
			g.ip[at] = (uint8_t)ttl;
			frame = build(&g, false);
			ck_assert_uint_eq(frame[14 + at], ttl ? (uint32_t)ttl : 64);
			free(frame);
			take_back(&g);
		}
	}
}
END_TEST

/* What a device is left to do: add up all from the TCP header on, with what stands in the field. */
START_TEST(offload_leaves_the_rest_to_the_device)
{
	for (int ip6 = 0; ip6 < 2; ip6++) {
		struct given g;
		uint8_t *frame, *tcp;
		uint16_t sum;

		give(&g, ip6, ip6 ? 0 : 8, 12, PAYLOAD);
		if (!ip6)
			g.ip[6] = g.ip[7] = 0;
		frame = build(&g, true);
		tcp = frame + 14 + g.ip_len;
		if (!ip6) {
			ck_assert_uint_eq(be16(frame + 14 + 10), 0);
			sum = mos_csum_fold(mos_csum_partial(frame + 14, g.ip_len, 0));
			memcpy(frame + 14 + 10, &sum, 2);
		}
		sum = mos_csum_fold(mos_csum_partial(tcp, g.tcp_len + PAYLOAD, 0));
		memcpy(tcp + 16, &sum, 2);
		expect_sound(&g, frame);
		free(frame);
		take_back(&g);
	}
}
END_TEST

/* ---- what is refused ---- */

static void refused(struct given *g, int err)
{
	ck_assert_int_eq(mos_make_check(&g->b), err);
}

START_TEST(headers_that_are_none_are_refused)
{
	struct given g;

	give(&g, false, 0, 0, PAYLOAD);
	g.b.ip = NULL;
	refused(&g, -ENODATA);
	g.b.ip = g.ip;
	g.b.tcp = NULL;
	refused(&g, -ENODATA);
	g.b.tcp = g.tcp;
	g.b.payload = NULL;
	refused(&g, -ENODATA);
	g.b.payload_len = 0;
	refused(&g, 0);
	take_back(&g);
}
END_TEST

START_TEST(only_the_right_version_and_length_pass)
{
	struct given g;

	give(&g, false, 40, 0, 0);
	for (unsigned first = 0; first < 256; first++) {
		g.ip[0] = (uint8_t)first;
		g.b.ip6 = false;
		refused(&g, first >> 4 == 4 && (first & 0xf) >= 5 ? 0 : -ENODATA);
		g.b.ip6 = true;
		refused(&g, first >> 4 == 6 ? 0 : -ENODATA);
	}
	take_back(&g);
}
END_TEST

START_TEST(only_tcp_passes)
{
	struct given g;

	give(&g, false, 0, 40, 0);
	for (unsigned proto = 0; proto < 256; proto++) {
		g.ip[9] = (uint8_t)proto;
		refused(&g, proto == IPPROTO_TCP ? 0 : -ENODATA);
	}
	g.ip[9] = IPPROTO_TCP;
	for (unsigned off = 0; off < 256; off++) {
		g.tcp[12] = (uint8_t)off;
		refused(&g, off >> 4 >= 5 ? 0 : -ENODATA);
	}
	take_back(&g);
}
END_TEST

START_TEST(longer_than_ip_can_say_is_refused)
{
	struct given g;

	give(&g, false, 0, 0, 65535);
	g.b.payload_len = 65535 - 40;
	refused(&g, 0);
	g.b.payload_len++;
	refused(&g, -EMSGSIZE);
	g.b.payload_len = 65535;
	refused(&g, -EMSGSIZE);
	take_back(&g);

	give(&g, true, 0, 0, 65535);
	g.b.payload_len = 65535 - 20;
	refused(&g, 0);
	g.b.payload_len++;
	refused(&g, -EMSGSIZE);
	take_back(&g);
}
END_TEST

/* Another thread of the caller writes to the headers in between. */
START_TEST(headers_that_change_behind_the_check_do_no_harm)
{
	struct given g;
	uint8_t *frame;

	give(&g, false, 8, 12, PAYLOAD);
	g.ip[6] = g.ip[7] = 0;
	ck_assert_int_eq(mos_make_check(&g.b), 0);
	g.ip[0] = 0xff;
	g.ip[9] = 17;
	g.tcp[12] = 0xff;
	frame = malloc(mos_make_frame_len(&g.b));
	mos_make_write(&g.b, frame, false);
	expect_sound(&g, frame);
	free(frame);
	take_back(&g);
}
END_TEST

/* ---- tags ---- */

START_TEST(tags_between_the_headers_are_taken)
{
	for (unsigned tags = 0; tags <= 2; tags++) {
		struct mos_make_link link = {.tags_len = 99};
		struct test_frame f;

		tf_start(&f);
		if (tags > 0)
			tf_vlan(&f, tags == 2 ? ETH_P_8021AD : ETH_P_8021Q, 0xe064);
		if (tags > 1)
			tf_vlan(&f, ETH_P_8021Q, 7);
		tf_ip4(&f, 0, IPPROTO_TCP);
		mos_make_take_tags(&link, f.b, f.b + f.l3_off);
		ck_assert_uint_eq(link.tags_len, 4 * tags);
		ck_assert_mem_eq(link.tags, f.b + 12, 4 * tags);
		ck_assert_uint_eq(mos_make_vlan(&link), tags ? 0x64 : 0);
	}
}
END_TEST

START_TEST(other_bytes_between_the_headers_are_no_tags)
{
	static const uint32_t gaps[] = {0, 1, 2, 3, 5, 6, 7, 9, 12, 16, 4096};
	struct mos_make_link link;
	struct test_frame f;

	tf_start(&f);
	tf_vlan(&f, ETH_P_8021Q, 5);
	tf_vlan(&f, ETH_P_8021Q, 6);
	tf_ip6(&f, IPPROTO_TCP);
	for (unsigned i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
		mos_make_take_tags(&link, f.b, f.b + 14 + gaps[i]);
		ck_assert_uint_eq(link.tags_len, 0);
	}
	mos_make_take_tags(&link, f.b + 100, f.b); /* the other way round */
	ck_assert_uint_eq(link.tags_len, 0);
	mos_make_take_tags(&link, f.b, f.b + f.l3_off);
	ck_assert_uint_eq(link.tags_len, 8);
	for (unsigned at = 12; at < 22; at += 4) { /* one type is another one */
		tf_be16(&f, at, 0x0806);
		mos_make_take_tags(&link, f.b, f.b + f.l3_off);
		ck_assert_uint_eq(link.tags_len, 0);
		tf_be16(&f, at, at == 20 ? ETH_P_IPV6 : ETH_P_8021Q);
	}
	mos_make_take_tags(&link, f.b, f.b + f.l3_off);
	ck_assert_uint_eq(link.tags_len, 8);
}
END_TEST

START_TEST(a_vlan_is_one_tag)
{
	struct given g;
	uint8_t *frame;

	give(&g, true, 0, 0, PAYLOAD);
	mos_make_set_vlan(&g.b.link, 4095);
	frame = build(&g, false);
	ck_assert_uint_eq(be16(frame + 12), ETH_P_8021Q);
	ck_assert_uint_eq(be16(frame + 14), 4095);
	expect_sound(&g, frame);
	free(frame);
	mos_make_set_vlan(&g.b.link, 0);
	ck_assert_uint_eq(g.b.link.tags_len, 0);
	take_back(&g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("make_packet");
	TCase *tc = tcase_create("make_packet");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, ip4_goes_out_as_given);
	tcase_add_test(tc, fragment_bits_are_the_callers);
	tcase_add_test(tc, ip6_goes_out_as_given);
	tcase_add_test(tc, payloads_of_any_length_have_right_checksums);
	tcase_add_test(tc, no_ttl_and_no_hop_limit_become_64);
	tcase_add_test(tc, offload_leaves_the_rest_to_the_device);
	tcase_add_test(tc, headers_that_are_none_are_refused);
	tcase_add_test(tc, only_the_right_version_and_length_pass);
	tcase_add_test(tc, only_tcp_passes);
	tcase_add_test(tc, longer_than_ip_can_say_is_refused);
	tcase_add_test(tc, headers_that_change_behind_the_check_do_no_harm);
	tcase_add_test(tc, tags_between_the_headers_are_taken);
	tcase_add_test(tc, other_bytes_between_the_headers_are_no_tags);
	tcase_add_test(tc, a_vlan_is_one_tag);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
