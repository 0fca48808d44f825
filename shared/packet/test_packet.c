/*
 * mos_pkt_parse on the bench: frames are built by test_frame.h, one thing is broken, and the result
 * is compared with what the offsets in the builder say. Each frame is parsed from a heap copy of
 * exactly data_len bytes, so that the address sanitizer sees a read beyond it.
 */
#include <check.h>
#include <stdlib.h>

#include "shared/packet/packet.h"
#include "shared/packet/test_frame.h"

#define SEED UINT64_C(0x1234567890abcdef)

/* What is true of every result, whatever the frame. before: the bytes of *m before the call. */
static bool always_holds(const struct mos_pkt_meta *m, int before)
{
	bool bad = m->pkt_class == MOS_PKT_BAD, tcp = m->pkt_class == MOS_PKT_TCP;
	bool ip = m->pkt_class == MOS_PKT_IP || tcp;

	return (m->defect != MOS_DEFECT_NONE) == bad && m->defect < MOS_DEFECT_COUNT &&
	       (tcp || (m->l4_off | m->payload_off | m->payload_len) == 0) &&
	       (ip || m->hash == 0) &&
	       (ip || m->defect >= MOS_DEFECT_IP_TOTAL_LEN || m->ip_proto == 0) &&
	       (ip || bad || (m->l3_off | m->ip_version) == 0) &&
	       m->ts_ns == UINT64_C(0x0101010101010101) * before && m->in_port == before &&
	       m->out_port == before && m->owner == before && m->verdict == before;
}

/* Parse the first data_len bytes of a frame of frame_len. */
static struct mos_pkt_meta parse_cut(const struct test_frame *f, uint32_t data_len,
                                     uint32_t frame_len)
{
	struct mos_pkt_meta m;
	uint8_t *copy = malloc(data_len > 0 ? data_len : 1);
	enum mos_pkt_class got;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, f->b, data_len);
	memset(&m, 0xa5, sizeof(m));
	got = mos_pkt_parse(&m, copy, data_len, frame_len, SEED);
	free(copy);
	ck_assert(got == m.pkt_class && always_holds(&m, 0xa5));
	return m;
}

static struct mos_pkt_meta parse(const struct test_frame *f)
{
	return parse_cut(f, f->len, f->len);
}

static void assert_tcp(const struct test_frame *f, const struct mos_pkt_meta *m, int version)
{
	ck_assert_int_eq(m->pkt_class, MOS_PKT_TCP);
	ck_assert_uint_eq(m->ip_version, version);
	ck_assert_uint_eq(m->ip_proto, IPPROTO_TCP);
	ck_assert_uint_eq(m->l3_off, f->l3_off);
	ck_assert_uint_eq(m->l4_off, f->l4_off);
	ck_assert_uint_eq(m->payload_off, f->payload_off);
	ck_assert_uint_eq(m->payload_len, f->ip_end - f->payload_off);
	ck_assert_uint_ne(m->hash, 0);
}

/* One row per shape of a good TCP frame. */
struct shape {
	int tags, version;
	uint32_t ip_opt, ext_count, tcp_opt, payload, pad;
};

static const struct shape shapes[] = {
	{0, 4, 0, 0, 0, 0, 6},   /* bare ACK, padded to 60 bytes */
	{0, 4, 0, 0, 12, 10, 0}, /* timestamps */
	{0, 4, 40, 0, 40, 3, 0}, /* all the options there can be */
	{1, 4, 0, 0, 20, 7, 0},  /* one tag */
	{2, 4, 4, 0, 0, 1, 5},   /* two tags, IPv4 options, padded */
	{0, 6, 0, 0, 0, 0, 0},   /* IPv6 */
	{0, 6, 0, 0, 12, 9, 4},  /* padded */
	{0, 6, 0, 1, 0, 0, 9},   /* one extension header */
	{1, 6, 0, 2, 40, 2, 0},  /* two */
	{2, 6, 0, 8, 8, 4, 3},   /* as many as are walked */
};
#define SHAPE_COUNT ((int)(sizeof(shapes) / sizeof(shapes[0])))

static struct test_frame build(const struct shape *s)
{
	struct test_frame f;

	tf_start(&f);
	for (int i = 0; i < s->tags; i++)
		tf_vlan(&f, i == 0 && s->tags == 2 ? ETH_P_8021AD : ETH_P_8021Q, 0x6005);
	if (s->version == 4)
		tf_ip4(&f, s->ip_opt, IPPROTO_TCP);
	else
		tf_ip6(&f, IPPROTO_TCP);
	for (uint32_t i = 0; i < s->ext_count; i++)
		tf_ext6(&f, IPPROTO_DSTOPTS, 0, 8);
	tf_tcp(&f, s->tcp_opt);
	tf_payload(&f, s->payload);
	tf_finish(&f);
	tf_pad(&f, s->pad);
	return f;
}

static struct test_frame tcp4(void)
{
	return build(&(struct shape){0, 4, 0, 0, 12, 100, 0});
}

static struct test_frame tcp6(void)
{
	return build(&(struct shape){0, 6, 0, 0, 12, 100, 0});
}

START_TEST(good_tcp_frame_gives_its_offsets)
{
	struct test_frame f = build(&shapes[_i]);
	struct mos_pkt_meta m = parse(&f);

	assert_tcp(&f, &m, shapes[_i].version);
	ck_assert_uint_eq(m.vlan, shapes[_i].tags > 0 ? 5 : 0);
}
END_TEST

/* What a good TCP frame becomes when only data_len bytes are at hand of frame_len received. */
static enum mos_pkt_defect cut_defect(const struct test_frame *f, uint32_t data_len,
                                      uint32_t frame_len)
{
	if (data_len < f->l3_off)
		return MOS_DEFECT_L2_SHORT;
	if (data_len < f->l3_hdr_end)
		return MOS_DEFECT_IP_HDR_LEN;
	if (frame_len < f->ip_end)
		return MOS_DEFECT_IP_TOTAL_LEN;
	if (data_len < f->l4_off)
		return MOS_DEFECT_IP6_EXT;
	if (data_len < f->payload_off)
		return MOS_DEFECT_TCP_HDR_LEN;
	return MOS_DEFECT_NONE;
}

START_TEST(frame_cut_at_any_byte_is_named_by_what_is_missing)
{
	struct test_frame f = build(&shapes[_i]);

	for (uint32_t frame_len = 0; frame_len <= f.len; frame_len++)
		for (uint32_t data_len = 0; data_len <= frame_len; data_len++) {
			struct mos_pkt_meta m = parse_cut(&f, data_len, frame_len);

			ck_assert_int_eq(m.defect, cut_defect(&f, data_len, frame_len));
			if (m.defect == MOS_DEFECT_NONE)
				assert_tcp(&f, &m, shapes[_i].version);
		}
}
END_TEST

START_TEST(every_ihl_is_checked)
{
	for (uint32_t ihl = 0; ihl < 16; ihl++) {
		struct test_frame f = tcp4();
		struct mos_pkt_meta m;

		f.b[f.l3_off] = (uint8_t)(0x40 | ihl);
		memset(f.b + f.l4_off, 0, 40);
		f.b[f.l3_off + ihl * 4 + 12] |= 0x50; /* a TCP header wherever IHL says it begins */
		tf_ip4_sum_len(&f, ihl < 5 ? 20 : ihl * 4);
		m = parse(&f);
		ck_assert_int_eq(m.defect, ihl < 5 ? MOS_DEFECT_IP_HDR_LEN : MOS_DEFECT_NONE);
		if (ihl >= 5)
			ck_assert_uint_eq(m.l4_off, f.l3_off + ihl * 4);
	}
}
END_TEST

START_TEST(every_ip4_total_length_is_checked)
{
	uint32_t hdr_len = 20 + (uint32_t)_i;
	struct test_frame f = build(&(struct shape){0, 4, (uint32_t)_i, 0, 12, 100, 0});

	for (uint32_t total = 0; total <= UINT16_MAX; total++) {
		enum mos_pkt_defect want = MOS_DEFECT_NONE;
		struct mos_pkt_meta m;

		tf_be16(&f, f.l3_off + 2, total);
		tf_ip4_sum(&f);
		m = parse(&f);
		if (total < hdr_len || total > f.len - f.l3_off)
			want = MOS_DEFECT_IP_TOTAL_LEN;
		else if (total < hdr_len + 32)
			want = MOS_DEFECT_TCP_HDR_LEN;
		ck_assert_int_eq(m.defect, want);
		if (want == MOS_DEFECT_NONE)
			ck_assert_uint_eq(m.payload_len, total - hdr_len - 32);
	}
}
END_TEST

START_TEST(every_ip6_payload_length_is_checked)
{
	struct test_frame f = tcp6();

	for (uint32_t len = 0; len <= UINT16_MAX; len++) {
		enum mos_pkt_defect want = MOS_DEFECT_NONE;
		struct mos_pkt_meta m;

		tf_be16(&f, f.l3_off + 4, len);
		m = parse(&f);
		if (len == 0 || len > f.len - f.l3_hdr_end)
			want = MOS_DEFECT_IP_TOTAL_LEN;
		else if (len < 32)
			want = MOS_DEFECT_TCP_HDR_LEN;
		ck_assert_int_eq(m.defect, want);
		if (want == MOS_DEFECT_NONE)
			ck_assert_uint_eq(m.payload_len, len - 32);
	}
}
END_TEST

START_TEST(every_tcp_data_offset_is_checked)
{
	for (uint32_t doff = 0; doff < 16; doff++) {
		struct test_frame f = build(&(struct shape){0, _i, 0, 0, 20, 0, 9});
		struct mos_pkt_meta m;
		bool ok = doff >= 5 && doff <= 10; /* 40 bytes of TCP in the packet, then padding */

		f.b[f.l4_off + 12] = (uint8_t)(doff << 4);
		m = parse(&f);
		ck_assert_int_eq(m.defect, ok ? MOS_DEFECT_NONE : MOS_DEFECT_TCP_HDR_LEN);
		if (ok)
			ck_assert_uint_eq(m.payload_len, 40 - doff * 4);
	}
}
END_TEST

START_TEST(version_must_be_that_of_the_ethertype)
{
	for (uint32_t version = 0; version < 16; version++) {
		struct test_frame f4 = tcp4(), f6 = tcp6();

		f4.b[f4.l3_off] = (uint8_t)(version << 4 | 5);
		tf_ip4_sum(&f4);
		ck_assert_int_eq(parse(&f4).defect,
		                 version == 4 ? MOS_DEFECT_NONE : MOS_DEFECT_IP_VERSION);
		f6.b[f6.l3_off] = (uint8_t)(version << 4);
		ck_assert_int_eq(parse(&f6).defect,
		                 version == 6 ? MOS_DEFECT_NONE : MOS_DEFECT_IP_VERSION);
	}
}
END_TEST

START_TEST(any_flipped_bit_of_an_ip4_header_is_noticed)
{
	struct test_frame f = build(&(struct shape){0, 4, (uint32_t)_i, 0, 0, 80, 0});

	for (uint32_t bit = f.l3_off * 8; bit < f.l4_off * 8; bit++) {
		f.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(parse(&f).pkt_class, MOS_PKT_BAD);
		f.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	f.b[f.l3_off + 8]--; /* time to live */
	ck_assert_int_eq(parse(&f).defect, MOS_DEFECT_IP_CHECKSUM);
}
END_TEST

START_TEST(other_ethertypes_and_lengths_are_not_ip)
{
	struct test_frame f = tcp4();

	for (uint32_t type = 0; type <= UINT16_MAX; type++) {
		if (type == ETH_P_IP || type == ETH_P_IPV6 || type == ETH_P_8021Q ||
		    type == ETH_P_8021AD)
			continue;
		tf_be16(&f, 12, type);
		ck_assert_int_eq(parse(&f).pkt_class, MOS_PKT_NON_IP);
	}
}
END_TEST

START_TEST(vlan_is_the_outermost_id_that_names_one)
{
	static const struct {
		int tags;
		uint16_t tci[3], vlan;
	} rows[] = {
		{0, {0}, 0},             /* untagged */
		{1, {0}, 0},             /* priority tag */
		{1, {0xe000}, 0},        /* priority tag with a priority */
		{2, {0, 0}, 0},          /* two of them */
		{2, {0xe000, 200}, 200}, /* priority tag before a VLAN */
		{2, {100, 200}, 100},    /* outermost */
		{1, {0xf064}, 100},      /* priority and drop bits are no part of it */
		{1, {0x0fff}, 0xfff},    /* highest */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct test_frame f;
		struct mos_pkt_meta m;

		tf_start(&f);
		for (int t = 0; t < rows[i].tags; t++)
			tf_vlan(&f, t ? ETH_P_8021Q : ETH_P_8021AD, rows[i].tci[t]);
		tf_ip4(&f, 0, IPPROTO_TCP);
		tf_tcp(&f, 0);
		tf_finish(&f);
		m = parse(&f);
		assert_tcp(&f, &m, 4);
		ck_assert_uint_eq(m.vlan, rows[i].vlan);
	}
}
END_TEST

START_TEST(three_vlan_tags_are_not_ip)
{
	struct test_frame f;
	struct mos_pkt_meta m;

	tf_start(&f);
	for (uint16_t t = 0; t < 3; t++)
		tf_vlan(&f, ETH_P_8021Q, 7 + t);
	tf_ip4(&f, 0, IPPROTO_TCP);
	tf_tcp(&f, 0);
	tf_finish(&f);
	m = parse(&f);
	ck_assert_int_eq(m.pkt_class, MOS_PKT_NON_IP);
	ck_assert_uint_eq(m.vlan, 7);
}
END_TEST

START_TEST(ip4_fragment_is_ip_and_hashes_over_addresses)
{
	static const uint16_t flags[] = {0x2000, 0x0001, 0x1fff, 0x3fff, 0xe000};
	struct test_frame udp;

	tf_start(&udp);
	tf_ip4(&udp, 0, IPPROTO_UDP);
	tf_finish(&udp);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct test_frame f = tcp4();
		struct mos_pkt_meta m;

		tf_be16(&f, f.l3_off + 6, flags[i]);
		tf_ip4_sum(&f);
		m = parse(&f);
		ck_assert_int_eq(m.pkt_class, MOS_PKT_IP);
		ck_assert_uint_eq(m.ip_proto, IPPROTO_TCP);
		ck_assert_uint_eq(m.l3_off, ETH_HLEN);
		ck_assert_uint_eq(m.hash, parse(&udp).hash);
	}
}
END_TEST

START_TEST(ip4_flags_without_fragment_leave_tcp)
{
	struct test_frame f = tcp4();

	for (uint32_t flags = 0; flags < 4; flags++) { /* reserved bit, don't fragment */
		struct mos_pkt_meta m;

		tf_be16(&f, f.l3_off + 6, flags << 14 & 0xc000);
		tf_ip4_sum(&f);
		m = parse(&f);
		assert_tcp(&f, &m, 4);
	}
}
END_TEST

START_TEST(other_protocols_are_ip)
{
	for (uint32_t proto = 0; proto <= UINT8_MAX; proto++) {
		struct test_frame f;
		struct mos_pkt_meta m;

		if (proto == IPPROTO_TCP)
			continue;
		tf_start(&f);
		tf_ip4(&f, 0, (uint8_t)proto);
		tf_finish(&f);
		m = parse(&f); /* no byte behind the IP header: nothing there is ours to judge */
		ck_assert_int_eq(m.pkt_class, MOS_PKT_IP);
		ck_assert_uint_eq(m.ip_proto, proto);
		ck_assert_uint_ne(m.hash, 0);
	}
}
END_TEST

START_TEST(tcp_hash_depends_on_ports_and_not_on_vlan)
{
	struct test_frame plain = tcp4();
	struct test_frame tagged = build(&(struct shape){2, 4, 0, 0, 12, 100, 0});
	uint32_t hash = parse(&plain).hash;

	ck_assert_uint_eq(parse(&tagged).hash, hash);
	plain.b[plain.l4_off + 1]++;
	ck_assert_uint_ne(parse(&plain).hash, hash);
}
END_TEST

START_TEST(both_directions_have_one_hash)
{
	struct test_frame f = build(&shapes[_i]), back = f;
	uint32_t addr_len = shapes[_i].version == 4 ? 4 : 16;
	uint32_t addr_off = f.l3_off + (addr_len == 4 ? 12 : 8);

	memcpy(back.b + addr_off, f.b + addr_off + addr_len, addr_len);
	memcpy(back.b + addr_off + addr_len, f.b + addr_off, addr_len);
	memcpy(back.b + f.l4_off, f.b + f.l4_off + 2, 2);
	memcpy(back.b + f.l4_off + 2, f.b + f.l4_off, 2);
	ck_assert_uint_eq(parse(&f).hash, parse(&back).hash);
	memcpy(back.b + f.l4_off, f.b + f.l4_off, 4); /* addresses swapped, ports not */
	ck_assert_uint_ne(parse(&f).hash, parse(&back).hash);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("packet");
	TCase *tc = tcase_create("parse");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, good_tcp_frame_gives_its_offsets, 0, SHAPE_COUNT);
	tcase_add_loop_test(tc, frame_cut_at_any_byte_is_named_by_what_is_missing, 0, SHAPE_COUNT);
	tcase_add_test(tc, every_ihl_is_checked);
	tcase_add_loop_test(tc, every_ip4_total_length_is_checked, 0, 1);
	tcase_add_loop_test(tc, every_ip4_total_length_is_checked, 40, 41);
	tcase_add_test(tc, every_ip6_payload_length_is_checked);
	tcase_add_loop_test(tc, every_tcp_data_offset_is_checked, 4, 5);
	tcase_add_loop_test(tc, every_tcp_data_offset_is_checked, 6, 7);
	tcase_add_test(tc, version_must_be_that_of_the_ethertype);
	tcase_add_loop_test(tc, any_flipped_bit_of_an_ip4_header_is_noticed, 0, 1);
	tcase_add_loop_test(tc, any_flipped_bit_of_an_ip4_header_is_noticed, 40, 41);
	tcase_add_test(tc, other_ethertypes_and_lengths_are_not_ip);
	tcase_add_test(tc, vlan_is_the_outermost_id_that_names_one);
	tcase_add_test(tc, three_vlan_tags_are_not_ip);
	tcase_add_test(tc, ip4_fragment_is_ip_and_hashes_over_addresses);
	tcase_add_test(tc, ip4_flags_without_fragment_leave_tcp);
	tcase_add_test(tc, other_protocols_are_ip);
	tcase_add_test(tc, tcp_hash_depends_on_ports_and_not_on_vlan);
	tcase_add_loop_test(tc, both_directions_have_one_hash, 0, SHAPE_COUNT);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
