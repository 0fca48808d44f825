/*
 * Checksums on the bench: against the example of RFC 1071, against a sum taken 16 bits at a time,
 * and against real headers. Data lies in heap copies of exact size at every alignment.
 */
#include <check.h>
#include <stdlib.h>

#include "shared/packet/checksum.h"
#include "shared/packet/test_frame.h"

static uint64_t rng = 88172645463325252; /* fixed: xorshift64 */

static uint32_t next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 16);
}

/* RFC 1071, word by word as a textbook does it; the result in network order. */
static uint16_t naive(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		if (sum > UINT16_MAX)
			sum = (sum & UINT16_MAX) + 1;
	}
	return htons((uint16_t)~sum);
}

START_TEST(example_of_rfc_1071)
{
	static const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	/* Section 3: the sum is ddf2. */
	ck_assert_uint_eq(ntohs(mos_csum_fold(mos_csum_partial(data, sizeof(data), 0))),
	                  (uint16_t)~0xddf2);
}
END_TEST

START_TEST(any_length_and_alignment_equals_the_naive_sum)
{
	for (uint32_t len = 0; len <= 1600; len += len < 300 ? 1 : 61)
		for (uint32_t shift = 0; shift < 9; shift++) {
			uint8_t *data = malloc(shift + len + 1);
			uint8_t *p;

			ck_assert_ptr_nonnull(data);
			p = data + shift + 1;
			for (uint32_t i = 0; i < len; i++)
				p[i] = (uint8_t)next_random();
			ck_assert_uint_eq(mos_csum_fold(mos_csum_partial(p, len, 0)),
			                  naive(p, len));
			free(data);
		}
}
END_TEST

START_TEST(carries_are_never_lost)
{
	static uint8_t ones[65536];

	memset(ones, 0xff, sizeof(ones));
	for (uint32_t len = 0; len <= sizeof(ones); len += len < 100 ? 1 : 997)
		ck_assert_uint_eq(mos_csum_fold(mos_csum_partial(ones, len, 0)), naive(ones, len));
}
END_TEST

START_TEST(fold_takes_any_sum)
{
	static const uint64_t sums[] = {
		0,
		1,
		0xffff,
		0x10000,
		0x1ffff,
		0xffffffff,
		0x100000000,
		0xfffeffff0001,
		UINT64_MAX,
		UINT64_MAX - 1,
		UINT64_C(0xffffffff00000001),
		UINT64_C(0xffffffff00010000),
	};

	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
		uint64_t rest = sums[i] % 0xffff;

		if (rest == 0 && sums[i] > 0)
			rest = 0xffff; /* a sum of ones stays "minus zero" */
		ck_assert_uint_eq(mos_csum_fold(sums[i]), (uint16_t)~rest);
	}
}
END_TEST

START_TEST(pieces_sum_up_to_the_whole)
{
	uint8_t data[257];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)next_random();
	for (uint32_t cut = 0; cut <= sizeof(data); cut += 2) {
		uint64_t sum = mos_csum_partial(data, cut, 0);

		sum = mos_csum_partial(data + cut, sizeof(data) - cut, sum);
		ck_assert_uint_eq(mos_csum_fold(sum), naive(data, sizeof(data)));
	}
}
END_TEST

START_TEST(ip4_header_of_any_length_is_verified)
{
	for (uint32_t hdr_len = 20; hdr_len <= 60; hdr_len += 4)
		for (int round = 0; round < 100; round++) {
			uint8_t *ip = malloc(hdr_len);
			uint16_t sum;

			ck_assert_ptr_nonnull(ip);
			for (uint32_t i = 0; i < hdr_len; i++)
				ip[i] = (uint8_t)next_random();
			ip[10] = ip[11] = 0;
			sum = naive(ip, hdr_len);
			memcpy(ip + 10, &sum, sizeof(sum));
			ck_assert(mos_csum_ip4_ok(ip, hdr_len));
			ip[next_random() % hdr_len] ^= (uint8_t)(1 << next_random() % 8);
			ck_assert(!mos_csum_ip4_ok(ip, hdr_len));
			free(ip);
		}
}
END_TEST

/* A TCP segment with payload_len bytes; its checksum is set through a pseudo header in memory. */
static struct test_frame segment(int version, uint32_t payload_len)
{
	uint8_t whole[40 + 2048] = {0};
	uint32_t addr_len = version == 4 ? 8 : 32;
	struct test_frame f;
	uint32_t tcp_len;
	uint16_t sum;

	tf_start(&f);
	if (version == 4)
		tf_ip4(&f, 0, IPPROTO_TCP);
	else
		tf_ip6(&f, IPPROTO_TCP);
	tf_tcp(&f, 12);
	for (uint32_t i = 0; i < payload_len; i++)
		f.b[f.len++] = (uint8_t)next_random();
	tf_finish(&f);

	tcp_len = f.ip_end - f.l4_off;
	memcpy(whole, f.b + f.l3_off + (version == 4 ? 12 : 8), addr_len);
	whole[addr_len + 1] = IPPROTO_TCP;
	whole[addr_len + 2] = (uint8_t)(tcp_len >> 8);
	whole[addr_len + 3] = (uint8_t)tcp_len;
	memcpy(whole + addr_len + 4, f.b + f.l4_off, tcp_len);
	sum = naive(whole, addr_len + 4 + tcp_len);
	memcpy(f.b + f.l4_off + 16, &sum, sizeof(sum));
	return f;
}

START_TEST(tcp_segment_of_any_length_is_verified)
{
	for (uint32_t payload_len = 0; payload_len < 1500;
	     payload_len += payload_len < 70 ? 1 : 111) {
		struct test_frame f = segment(_i, payload_len);
		uint32_t tcp_len = f.ip_end - f.l4_off;
		const uint8_t *ip = f.b + f.l3_off, *tcp = f.b + f.l4_off;

		ck_assert(mos_csum_tcp_ok(ip, (uint8_t)_i, tcp, tcp_len));
		for (int round = 0; round < 32; round++) {
			uint32_t at = f.l4_off + next_random() % tcp_len;
			uint8_t bit = (uint8_t)(1 << next_random() % 8);

			f.b[at] ^= bit;
			ck_assert(!mos_csum_tcp_ok(ip, (uint8_t)_i, tcp, tcp_len));
			f.b[at] ^= bit;
		}
	}
}
END_TEST

START_TEST(tcp_checksum_covers_addresses_and_length)
{
	struct test_frame f = segment(_i, 100);
	uint32_t addr_off = _i == 4 ? 12 : 8, addr_len = _i == 4 ? 8 : 32;
	uint32_t tcp_len = f.ip_end - f.l4_off;
	uint8_t *ip = f.b + f.l3_off, *tcp = f.b + f.l4_off;

	for (uint32_t i = 0; i < addr_len; i++) {
		ip[addr_off + i] ^= 0x10;
		ck_assert(!mos_csum_tcp_ok(ip, (uint8_t)_i, tcp, tcp_len));
		ip[addr_off + i] ^= 0x10;
	}
	ck_assert(!mos_csum_tcp_ok(ip, (uint8_t)_i, tcp, tcp_len + 2)); /* two more, both zero */
	ck_assert(mos_csum_tcp_ok(ip, (uint8_t)_i, tcp, tcp_len));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("checksum");
	TCase *tc = tcase_create("sums");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, example_of_rfc_1071);
	tcase_add_test(tc, any_length_and_alignment_equals_the_naive_sum);
	tcase_add_test(tc, carries_are_never_lost);
	tcase_add_test(tc, fold_takes_any_sum);
	tcase_add_test(tc, pieces_sum_up_to_the_whole);
	tcase_add_test(tc, ip4_header_of_any_length_is_verified);
	for (int version = 4; version <= 6; version += 2) {
		tcase_add_loop_test(tc, tcp_segment_of_any_length_is_verified, version,
		                    version + 1);
		tcase_add_loop_test(tc, tcp_checksum_covers_addresses_and_length, version,
		                    version + 1);
	}
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
