/*
 * Fuzz target: any bytes through mos_pkt_parse, the TCP options and the checksums.
 *
 * Input: mode byte, cut byte, then the frame.
 *   mode bit 0     mend the IPv4 header checksum, else hardly a mutation gets beyond it
 *   mode bit 1     hand over all but `cut` bytes, as if the rest lay in another mbuf segment
 *   mode bits 2-7  seed of the hash
 *
 * Whatever is parsed lies in a heap copy of exact size. What mos_pkt_parse promises is asserted
 * here without using its code.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shared/packet/checksum.h"
#include "shared/packet/packet.h"
#include "test/fuzz/fuzz.h"

enum { MODE_MEND = 1, MODE_CUT = 2, FRAME_MAX = 65536 + 64 };

static uint8_t *copy_of(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	CHECK(copy != NULL);
	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

/* Where an IPv4 header begins, were this one; 0 = no IPv4 frame. */
static size_t find_ip4(const uint8_t *frame, size_t len)
{
	size_t off = 12;

	for (int tags = 0; off + 22 <= len; off += 4, tags++) {
		uint32_t type = (uint32_t)frame[off] << 8 | frame[off + 1];

		if (type == 0x0800)
			return off + 2;
		if (tags == 2 || (type != 0x8100 && type != 0x88a8))
			return 0;
	}
	return 0;
}

static void mend_ip4_checksum(uint8_t *frame, size_t len)
{
	size_t ip = find_ip4(frame, len);
	uint32_t hdr_len = ip ? (frame[ip] & 0xf) * 4u : 0;
	uint16_t sum;

	if (hdr_len < 20 || ip + hdr_len > len)
		return;
	frame[ip + 10] = frame[ip + 11] = 0;
	sum = mos_csum_fold(mos_csum_partial(frame + ip, hdr_len, 0));
	memcpy(frame + ip + 10, &sum, sizeof(sum));
}

static uint16_t naive_sum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	uint8_t be[2];
	uint16_t out;

	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum >> 16) + (sum & 0xffff);
	}
	be[0] = (uint8_t)(~sum >> 8);
	be[1] = (uint8_t)~sum;
	memcpy(&out, be, sizeof(out));
	return out;
}

static void check_meta(const struct mos_pkt_meta *m, const uint8_t *data, size_t data_len,
                       size_t frame_len)
{
	CHECK(m->pkt_class <= MOS_PKT_BAD && m->defect < MOS_DEFECT_COUNT);
	CHECK((m->pkt_class == MOS_PKT_BAD) == (m->defect != MOS_DEFECT_NONE));
	CHECK(m->vlan <= 0xfff);
	CHECK(m->ts_ns == UINT64_C(0x5a5a5a5a5a5a5a5a));
	CHECK(m->in_port == 0x5a && m->out_port == 0x5a && m->owner == 0x5a && m->verdict == 0x5a);

	if (m->pkt_class != MOS_PKT_TCP)
		CHECK(m->l4_off == 0 && m->payload_off == 0 && m->payload_len == 0);
	if (m->pkt_class == MOS_PKT_NON_IP)
		CHECK(m->l3_off == 0 && m->ip_version == 0 && m->ip_proto == 0);
	if (m->pkt_class == MOS_PKT_NON_IP || m->pkt_class == MOS_PKT_BAD)
		CHECK(m->hash == 0);
	if (m->ip_version != 0)
		CHECK(m->l3_off >= 14 && m->l3_off <= 22 && m->l3_off < data_len &&
		      data[m->l3_off] >> 4 == m->ip_version);
	if (m->pkt_class == MOS_PKT_IP || m->pkt_class == MOS_PKT_TCP)
		CHECK(m->l3_off + (m->ip_version == 4 ? 20u : 40u) <= data_len);
	if (m->pkt_class == MOS_PKT_IP && m->ip_version == 4)
		CHECK(naive_sum(data + m->l3_off, (data[m->l3_off] & 0xf) * 4u) == 0);
	if (m->pkt_class == MOS_PKT_TCP) {
		CHECK(m->ip_proto == 6);
		CHECK(m->l3_off + (m->ip_version == 4 ? 20u : 40u) <= m->l4_off);
		CHECK(m->l4_off + 20u <= m->payload_off && m->payload_off <= data_len);
		CHECK(m->l4_off + (data[m->l4_off + 12] >> 4) * 4u == m->payload_off);
		CHECK((size_t)m->payload_off + m->payload_len <= frame_len);
	}
}

/* The packet of the other direction is of the same class and has the same hash. */
static void check_reverse(const struct mos_pkt_meta *m, uint8_t *data, size_t data_len,
                          size_t frame_len, uint64_t seed)
{
	size_t addr_len = m->ip_version == 4 ? 4 : 16;
	uint8_t *src = data + m->l3_off + (m->ip_version == 4 ? 12 : 8);
	struct mos_pkt_meta back;
	uint8_t tmp[16];

	memcpy(tmp, src, addr_len);
	memcpy(src, src + addr_len, addr_len);
	memcpy(src + addr_len, tmp, addr_len);
	if (m->pkt_class == MOS_PKT_TCP) {
		memcpy(tmp, data + m->l4_off, 2);
		memcpy(data + m->l4_off, data + m->l4_off + 2, 2);
		memcpy(data + m->l4_off + 2, tmp, 2);
	}
	memset(&back, 0x5a, sizeof(back));
	CHECK(mos_pkt_parse(&back, data, (uint32_t)data_len, (uint32_t)frame_len, seed) ==
	      m->pkt_class);
	CHECK(back.hash == m->hash);
	CHECK(back.payload_off == m->payload_off && back.payload_len == m->payload_len);
}

static void check_options(const uint8_t *opt, size_t len)
{
	uint8_t *copy = copy_of(opt, len);
	struct mos_tcp_opts o;

	memset(&o, 0x5a, sizeof(o));
	mos_tcp_opts_parse(&o, copy, (uint32_t)len);
	CHECK(o.wscale <= 14 && (o.has_wscale || o.wscale == 0));
	CHECK(o.has_ts || (o.ts_val == 0 && o.ts_ecr == 0));
	CHECK(len > 0 || (o.mss == 0 && !o.sack_ok && !o.has_ts && !o.has_wscale));
	free(copy);
}

/* The checksum of what lies in data, with the pseudo header in front, against the naive sum. */
static void check_tcp_sum(const struct mos_pkt_meta *m, const uint8_t *data)
{
	size_t addr_len = m->ip_version == 4 ? 8 : 32;
	size_t tcp_len = (size_t)(m->payload_off - m->l4_off) + m->payload_len;
	uint8_t *whole = malloc(addr_len + 4 + tcp_len);
	bool ok;

	CHECK(whole != NULL);
	memcpy(whole, data + m->l3_off + (m->ip_version == 4 ? 12 : 8), addr_len);
	whole[addr_len] = 0;
	whole[addr_len + 1] = 6;
	whole[addr_len + 2] = (uint8_t)(tcp_len >> 8);
	whole[addr_len + 3] = (uint8_t)tcp_len;
	memcpy(whole + addr_len + 4, data + m->l4_off, tcp_len);
	ok = mos_csum_tcp_ok(data + m->l3_off, m->ip_version, data + m->l4_off, (uint32_t)tcp_len);
	CHECK(ok == (naive_sum(whole, addr_len + 4 + tcp_len) == 0));
	free(whole);
}

static void run(uint8_t mode, size_t cut, uint8_t *frame, size_t frame_len)
{
	size_t data_len = frame_len - (mode & MODE_CUT ? (cut < frame_len ? cut : frame_len) : 0);
	uint64_t seed = mode >> 2;
	uint8_t *data = copy_of(frame, data_len);
	struct mos_pkt_meta m;

	memset(&m, 0x5a, sizeof(m));
	CHECK(mos_pkt_parse(&m, data, (uint32_t)data_len, (uint32_t)frame_len, seed) ==
	      m.pkt_class);
	check_meta(&m, data, data_len, frame_len);
	if (m.pkt_class == MOS_PKT_TCP) {
		check_options(data + m.l4_off + 20, m.payload_off - m.l4_off - 20u);
		if ((size_t)m.payload_off + m.payload_len <= data_len)
			check_tcp_sum(&m, data);
	}
	if (m.pkt_class == MOS_PKT_IP || m.pkt_class == MOS_PKT_TCP)
		check_reverse(&m, data, data_len, frame_len, seed);
	free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	uint8_t *frame;

	if (size < 2 || size > FRAME_MAX)
		return 0;
	frame = copy_of(input + 2, size - 2);
	CHECK(mos_csum_fold(mos_csum_partial(frame, (uint32_t)(size - 2), 0)) ==
	      naive_sum(frame, size - 2));
	if (input[0] & MODE_MEND)
		mend_ip4_checksum(frame, size - 2);
	run(input[0], input[1], frame, size - 2);
	check_options(frame, size - 2 < 40 ? size - 2 : 40);
	free(frame);
	return 0;
}
