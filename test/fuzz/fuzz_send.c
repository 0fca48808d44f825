/*
 * Fuzz target: any headers of a caller through secondary/make_packet.
 *
 * Input: mode, payload length (2), VLAN (2), then bytes: Ethernet header with tags, IP header, TCP
 * header, payload.
 *   mode bit 0     IPv6, else IPv4
 *   mode bit 1     mend version, protocol and data offset, else hardly a mutation is accepted
 *   mode bit 2     checksums are left to the device
 *   mode bits 3-4  how many tags the frame has
 *   mode bit 5     the tag is made from the VLAN, not taken from the frame
 *
 * Each part of the caller's lies in a heap block that is as long as its own length field says. What
 * is made is taken apart here without the code that made it, and by the parser.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/make_packet/make_packet.h"
#include "shared/packet/checksum.h"
#include "shared/packet/packet.h"
#include "test/fuzz/fuzz.h"

enum { MODE_IP6 = 1, MODE_MEND = 2, MODE_OFFLOAD = 4, MODE_SET_VLAN = 32, FIXED = 5 };

/* What is left of the input; beyond its end it is zeros. */
struct input {
	const uint8_t *at;
	size_t left;
};

static uint8_t *cut(struct input *in, size_t len)
{
	uint8_t *block = calloc(1, len > 0 ? len : 1);
	size_t have = len < in->left ? len : in->left;

	CHECK(block != NULL);
	if (have > 0)
		memcpy(block, in->at, have);
	in->at += have;
	in->left -= have;
	return block;
}

static uint8_t peek(const struct input *in, size_t off)
{
	return off < in->left ? in->at[off] : 0;
}

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* Folded sum of all bytes, an odd last one padded; start: what was added before. */
static uint32_t naive_sum(const uint8_t *p, size_t len, uint32_t start)
{
	uint32_t sum = start;

	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum >> 16) + (sum & 0xffff);
	}
	return sum;
}

/* Pseudo header, TCP header and payload add up to all ones. */
static void check_tcp_sum(const struct mos_make *b, const uint8_t *ip, bool offload)
{
	uint32_t tcp_len = b->ip_len - b->ip_hdr_len, sum;
	const uint8_t *tcp = ip + b->ip_hdr_len;
	uint8_t tail[8] = {
		0, 0, 0, 6, 0, (uint8_t)(tcp_len >> 16), (uint8_t)(tcp_len >> 8), (uint8_t)tcp_len};

	sum = naive_sum(b->ip6 ? ip + 8 : ip + 12, b->ip6 ? 32 : 8, 0);
	sum = naive_sum(tail, sizeof(tail), sum);
	if (offload)
		CHECK(be16(tcp + 16) % 0xffff == sum % 0xffff);
	else
		CHECK(naive_sum(tcp, tcp_len, sum) == 0xffff);
}

static void check_ip(const struct mos_make *b, const uint8_t *ip, bool offload)
{
	const uint8_t *given = b->ip;

	if (b->ip6) {
		CHECK(memcmp(ip, given, 4) == 0 && memcmp(ip + 8, given + 8, 32) == 0);
		CHECK(be16(ip + 4) == b->ip_len - 40 && ip[6] == 6);
		CHECK(ip[7] == (given[7] ? given[7] : 64));
		return;
	}
	CHECK(memcmp(ip, given, 2) == 0 && memcmp(ip + 4, given + 4, 4) == 0);
	CHECK(memcmp(ip + 12, given + 12, b->ip_hdr_len - 12u) == 0);
	CHECK(be16(ip + 2) == b->ip_len && ip[9] == 6);
	CHECK(ip[8] == (given[8] ? given[8] : 64));
	CHECK(offload ? be16(ip + 10) == 0 : naive_sum(ip, b->ip_hdr_len, 0) == 0xffff);
}

static void check_frame(const struct mos_make *b, uint8_t *frame, bool offload)
{
	uint32_t len = mos_make_frame_len(b), l3_off = len - b->ip_len;
	uint8_t *ip = frame + l3_off;
	const uint8_t *tcp = ip + b->ip_hdr_len, *given = b->tcp;
	struct mos_pkt_meta m;
	uint16_t sum;

	CHECK(l3_off == 14u || l3_off == 18u || l3_off == 22u);
	CHECK(be16(ip - 2) == (b->ip6 ? 0x86ddu : 0x0800u));
	check_ip(b, ip, offload);
	CHECK(memcmp(tcp, given, 16) == 0 &&
	      memcmp(tcp + 18, given + 18, b->tcp_hdr_len - 18u) == 0);
	CHECK(b->payload_len == 0 || memcmp(tcp + b->tcp_hdr_len, b->payload, b->payload_len) == 0);
	check_tcp_sum(b, ip, offload);
	if (offload && !b->ip6) {
		sum = mos_csum_fold(mos_csum_partial(ip, b->ip_hdr_len, 0));
		memcpy(ip + 10, &sum, sizeof(sum));
	}
	mos_pkt_parse(&m, frame, len, len, 1);
	if (!b->ip6 && (be16(ip + 6) & 0x3fff)) { /* a fragment, as the caller wanted */
		CHECK(m.pkt_class == MOS_PKT_IP);
		return;
	}
	CHECK(m.pkt_class == MOS_PKT_TCP && m.l3_off == l3_off);
	CHECK(m.l4_off == l3_off + b->ip_hdr_len);
	CHECK(m.payload_off == m.l4_off + b->tcp_hdr_len && m.payload_len == b->payload_len);
	CHECK(m.vlan == mos_make_vlan(&b->link));
}

/* Why these headers are refused, by the words of the contract. */
static int expect(const struct mos_make *b)
{
	const uint8_t *ip = b->ip, *tcp = b->tcp;
	uint32_t hdr_len = b->ip6 ? 40 : (ip[0] & 0xf) * 4u;

	if (ip[0] >> 4 != (b->ip6 ? 6 : 4) || hdr_len < 20 || (!b->ip6 && ip[9] != 6) ||
	    tcp[12] >> 4 < 5)
		return -ENODATA;
	if ((b->ip6 ? 0 : hdr_len) + (tcp[12] >> 4) * 4u + b->payload_len > 65535)
		return -EMSGSIZE;
	return 0;
}

static void run(struct mos_make *b, bool offload)
{
	uint8_t *frame;

	CHECK(mos_make_check(b) == expect(b));
	if (expect(b) != 0)
		return;
	frame = malloc(mos_make_frame_len(b));
	CHECK(frame != NULL);
	mos_make_write(b, frame, offload);
	check_frame(b, frame, offload);
	free(frame);
}

/* The caller's frame up to the IP header: tags are looked for where they may be. */
static void take_link(struct mos_make *b, struct input *in, uint8_t mode, uint16_t vlan)
{
	size_t len = 14 + 4u * (mode >> 3 & 3);
	uint8_t *eth = cut(in, len);

	memcpy(b->link.dst, eth, 6);
	memcpy(b->link.src, eth + 6, 6);
	mos_make_take_tags(&b->link, eth, eth + len);
	CHECK(b->link.tags_len == 0 || b->link.tags_len + 14u == len);
	if (mode & MODE_SET_VLAN)
		mos_make_set_vlan(&b->link, vlan & 0xfff);
	free(eth);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct mos_make b = {0};
	struct input in;
	uint8_t mode, *ip, *tcp, *payload;
	size_t ip_len, words;

	if (size < FIXED)
		return 0;
	mode = input[0];
	in = (struct input){input + FIXED, size - FIXED};
	b.ip6 = mode & MODE_IP6;
	b.payload_len = (uint16_t)be16(input + 1);
	take_link(&b, &in, mode, (uint16_t)be16(input + 3));
	ip_len = b.ip6 ? 40 : (peek(&in, 0) & 0xf) * 4u;
	ip = cut(&in, ip_len < 20 ? 20 : ip_len);
	words = peek(&in, 12) >> 4;
	tcp = cut(&in, words < 5 ? 20 : words * 4);
	payload = cut(&in, b.payload_len);
	if (mode & MODE_MEND) {
		ip[0] = (uint8_t)((b.ip6 ? 0x60 : 0x40) | (ip[0] & 0xf));
		if (!b.ip6)
			ip[9] = 6;
		if (words < 5)
			tcp[12] |= 0x50;
		if (tcp[12] >> 4 != (words < 5 ? 5 : (int)words))
			tcp[12] = 0x50;
	}
	b.ip = ip;
	b.tcp = tcp;
	b.payload = payload;
	run(&b, mode & MODE_OFFLOAD);
	free(ip);
	free(tcp);
	free(payload);
	return 0;
}
