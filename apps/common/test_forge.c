/*
 * Packets that are made up, field by field, and the options that are read from them.
 */
#include "apps/common/forge.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "apps/common/tcp_options.h"

static struct sockaddr_storage addr[2];

static void use_ip4(void)
{
	static const char *const text[] = {"10.0.0.1", "10.0.0.2"};

	for (int side = 0; side < 2; side++) {
		struct sockaddr_in *in = (struct sockaddr_in *)&addr[side];

		*in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(1000 + side)};
		inet_pton(AF_INET, text[side], &in->sin_addr);
	}
}

static void use_ip6(void)
{
	static const char *const text[] = {"fd00::1", "fd00::2"};

	for (int side = 0; side < 2; side++) {
		struct sockaddr_in6 *in = (struct sockaddr_in6 *)&addr[side];

		*in = (struct sockaddr_in6){.sin6_family = AF_INET6,
		                            .sin6_port = htons(1000 + side)};
		inet_pton(AF_INET6, text[side], &in->sin6_addr);
	}
}

START_TEST(reset_of_ipv4_is_complete)
{
	struct forged f;

	use_ip4();
	forge(&f, addr,
	      &(struct forged_segment){.from = MOS_SIDE_SVR,
	                               .seq = 0x01020304,
	                               .ack = 0xa0b0c0d0,
	                               .flags = FORGE_RST | FORGE_ACK});
	ck_assert_ptr_eq(f.info.iph, &f.ip);
	ck_assert_ptr_null(f.ext.ip6h);
	ck_assert_uint_eq(f.ip.version, 4);
	ck_assert_uint_eq(f.ip.ihl, 5);
	ck_assert_uint_eq(f.ip.protocol, IPPROTO_TCP);
	ck_assert_uint_eq(f.ip.frag_off, htons(IP_DF));
	ck_assert_uint_gt(f.ip.ttl, 0);
	ck_assert_uint_eq(f.ip.saddr, htonl(0x0a000002));
	ck_assert_uint_eq(f.ip.daddr, htonl(0x0a000001));
	ck_assert_uint_eq(f.info.tcph->source, htons(1001));
	ck_assert_uint_eq(f.info.tcph->dest, htons(1000));
	ck_assert_uint_eq(f.info.tcph->seq, htonl(0x01020304));
	ck_assert_uint_eq(f.info.tcph->ack_seq, htonl(0xa0b0c0d0));
	ck_assert_uint_eq(f.info.tcph->doff, 5);
	ck_assert_uint_eq(((const uint8_t *)f.info.tcph)[13], FORGE_RST | FORGE_ACK);
	ck_assert_uint_eq(f.info.payloadlen, 0);
}
END_TEST

START_TEST(data_of_ipv6_are_complete)
{
	static const uint8_t data[] = "data";
	struct tcp_options o;
	struct forged f;

	use_ip6();
	forge(&f, addr,
	      &(struct forged_segment){.from = MOS_SIDE_CLI,
	                               .seq = 7,
	                               .ack = 9,
	                               .window = 500,
	                               .flags = FORGE_FIN | FORGE_PSH,
	                               .has_ts = true,
	                               .ts_val = 0x11223344,
	                               .ts_ecr = 0x55667788,
	                               .payload = data,
	                               .payload_len = 4});
	ck_assert_ptr_null(f.info.iph);
	ck_assert_ptr_eq(f.ext.ip6h, &f.ip6);
	ck_assert_uint_eq(f.ip6.ip6_vfc >> 4, 6);
	ck_assert_uint_eq(f.ip6.ip6_nxt, IPPROTO_TCP);
	ck_assert_mem_eq(&f.ip6.ip6_src, &((struct sockaddr_in6 *)&addr[0])->sin6_addr, 16);
	ck_assert_mem_eq(&f.ip6.ip6_dst, &((struct sockaddr_in6 *)&addr[1])->sin6_addr, 16);
	ck_assert_uint_eq(f.info.tcph->source, htons(1000));
	ck_assert_uint_eq(f.info.tcph->window, htons(500));
	ck_assert_uint_eq(f.info.tcph->ack_seq, 0); /* there is no ACK flag */
	ck_assert_uint_eq(((const uint8_t *)f.info.tcph)[13], FORGE_FIN | FORGE_PSH);
	ck_assert_uint_eq(f.info.tcph->doff, 8);
	ck_assert_ptr_eq(f.info.payload, data);
	ck_assert_uint_eq(f.info.payloadlen, 4);
	tcp_options_read(&o, f.info.tcph);
	ck_assert(o.has_ts && !o.has_mss && !o.has_wscale);
	ck_assert_uint_eq(o.ts_val, 0x11223344);
	ck_assert_uint_eq(o.ts_ecr, 0x55667788);
}
END_TEST

/* Read options from a header that ends where its memory does. */
static struct tcp_options read_options(const uint8_t *options, size_t len)
{
	struct tcphdr *tcp = calloc(1, sizeof(*tcp) + len);
	struct tcp_options o;

	tcp->doff = (sizeof(*tcp) + len) / 4 & 15;
	memcpy(tcp + 1, options, len);
	tcp_options_read(&o, tcp);
	free(tcp);
	return o;
}

START_TEST(options_of_a_syn_are_read)
{
	static const uint8_t linux_syn[] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0,
	                                    0, 1, 0, 0,    0, 2, 1, 3,  3, 7};
	struct tcp_options o = read_options(linux_syn, sizeof(linux_syn));

	ck_assert(o.has_mss && o.has_ts && o.has_wscale);
	ck_assert_uint_eq(o.mss, 1460);
	ck_assert_uint_eq(o.ts_val, 1);
	ck_assert_uint_eq(o.ts_ecr, 2);
	ck_assert_uint_eq(o.wscale, 7);
}
END_TEST

START_TEST(options_that_lie_end_the_reading)
{
	static const uint8_t lies[][4] = {
		{2, 0, 5, 0xb4}, {2, 1, 5, 0xb4}, {2, 5, 5, 0xb4},
		{1, 1, 1, 2},    {0, 2, 4, 5},    {3, 4, 7, 7},
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct tcp_options o = read_options(lies[i], 4);

		ck_assert(!o.has_mss && !o.has_ts && !o.has_wscale);
	}
	ck_assert_uint_eq(read_options((const uint8_t[]){3, 3, 200, 0}, 4).wscale, 14);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("forge");
	TCase *tc = tcase_create("forge");

	tcase_add_test(tc, reset_of_ipv4_is_complete);
	tcase_add_test(tc, data_of_ipv6_are_complete);
	tcase_add_test(tc, options_of_a_syn_are_read);
	tcase_add_test(tc, options_that_lie_end_the_reading);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
