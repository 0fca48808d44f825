/*
 * Frames for tests and benches of this module: put layer upon layer, then finish.
 *
 *   struct test_frame f;
 *   tf_start(&f); tf_vlan(&f, ETH_P_8021Q, 5); tf_ip4(&f, 0, IPPROTO_TCP); tf_tcp(&f, 12);
 *   tf_payload(&f, 100); tf_finish(&f);
 *
 * Flow: client 10.0.0.1:40000 or 2001:db8::1 -> server 10.0.1.2:443 or 2001:db8:1::2, from link
 * address 02:02:02:02:02:01 to 02:02:02:02:02:02. All lengths and the IPv4 checksum are right after
 * tf_finish; a test then breaks one thing (tf_ip4_sum mends the checksum). Offsets are those that
 * mos_pkt_parse should find.
 */
#ifndef MOS_SHARED_TEST_FRAME_H
#define MOS_SHARED_TEST_FRAME_H

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "shared/packet/checksum.h"

struct test_frame {
	uint8_t b[4096];
	uint32_t len;
	uint32_t l3_off;
	uint32_t l3_hdr_end; /* behind IPv4 options, before IPv6 extension headers */
	uint32_t l4_off;
	uint32_t payload_off;
	uint32_t ip_end;
	uint32_t type_off; /* where the next EtherType goes */
	uint32_t next_off; /* where the next header's kind goes */
};

static inline void tf_be16(struct test_frame *f, uint32_t off, uint32_t v)
{
	f->b[off] = (uint8_t)(v >> 8);
	f->b[off + 1] = (uint8_t)v;
}

static inline void tf_start(struct test_frame *f)
{
	memset(f, 0, sizeof(*f));
	memset(f->b, 0x02, 12);
	f->b[11] = 0x01;
	f->type_off = 12;
	f->len = ETH_HLEN;
	f->l3_off = ETH_HLEN;
}

static inline void tf_vlan(struct test_frame *f, uint16_t tpid, uint16_t tci)
{
	tf_be16(f, f->type_off, tpid);
	tf_be16(f, f->len, tci);
	f->type_off = f->len + 2;
	f->len += 4;
	f->l3_off = f->len;
}

/* opt_len: bytes of IPv4 options (0..40, multiple of 4); they are filled with NOPs. */
static inline void tf_ip4(struct test_frame *f, uint32_t opt_len, uint8_t proto)
{
	static const uint8_t addrs[8] = {10, 0, 0, 1, 10, 0, 1, 2};
	uint8_t *ip = f->b + f->len;

	tf_be16(f, f->type_off, ETH_P_IP);
	ip[0] = (uint8_t)(0x40 | (20 + opt_len) / 4);
	ip[6] = 0x40; /* don't fragment */
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, addrs, sizeof(addrs));
	memset(ip + 20, 1, opt_len);
	f->len += 20 + opt_len;
	f->l3_hdr_end = f->l4_off = f->payload_off = f->len;
}

static inline void tf_ip6(struct test_frame *f, uint8_t next)
{
	static const uint8_t client[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	static const uint8_t server[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 2};
	uint8_t *ip = f->b + f->len;

	tf_be16(f, f->type_off, ETH_P_IPV6);
	ip[0] = 0x60;
	ip[6] = next;
	ip[7] = 64;
	memcpy(ip + 8, client, sizeof(client));
	memcpy(ip + 24, server, sizeof(server));
	f->next_off = f->len + 6;
	f->len += 40;
	f->l3_hdr_end = f->l4_off = f->payload_off = f->len;
}

/* Insert an IPv6 extension header of ext_len bytes; len_field is its second byte. */
static inline void tf_ext6(struct test_frame *f, uint8_t kind, uint8_t len_field, uint32_t ext_len)
{
	f->b[f->len] = f->b[f->next_off];
	f->b[f->next_off] = kind;
	f->b[f->len + 1] = len_field;
	f->next_off = f->len;
	f->len += ext_len;
	f->l4_off = f->payload_off = f->len;
}

/* opt_len: bytes of TCP options (0..40, multiple of 4); they are filled with NOPs. */
static inline void tf_tcp(struct test_frame *f, uint32_t opt_len)
{
	uint8_t *tcp = f->b + f->len;

	tf_be16(f, f->len, 40000);
	tf_be16(f, f->len + 2, 443);
	tcp[12] = (uint8_t)((20 + opt_len) / 4 << 4);
	tcp[13] = 0x10; /* ACK */
	memset(tcp + 20, 1, opt_len);
	f->len += 20 + opt_len;
	f->payload_off = f->len;
}

static inline void tf_payload(struct test_frame *f, uint32_t len)
{
	memset(f->b + f->len, 'x', len);
	f->len += len;
}

/* Set the IPv4 header checksum for a header of hdr_len bytes. */
static inline void tf_ip4_sum_len(struct test_frame *f, uint32_t hdr_len)
{
	uint8_t *ip = f->b + f->l3_off;
	uint16_t sum;

	ip[10] = ip[11] = 0;
	sum = mos_csum_fold(mos_csum_partial(ip, hdr_len, 0));
	memcpy(ip + 10, &sum, sizeof(sum));
}

static inline void tf_ip4_sum(struct test_frame *f)
{
	tf_ip4_sum_len(f, f->l3_hdr_end - f->l3_off);
}

static inline void tf_finish(struct test_frame *f)
{
	f->ip_end = f->len;
	if (f->b[f->l3_off] >> 4 == 4) {
		tf_be16(f, f->l3_off + 2, f->ip_end - f->l3_off);
		tf_ip4_sum(f);
	} else {
		tf_be16(f, f->l3_off + 4, f->ip_end - f->l3_hdr_end);
	}
}

/* Bytes behind the IP packet, as short frames have them on Ethernet. */
static inline void tf_pad(struct test_frame *f, uint32_t len)
{
	memset(f->b + f->len, 0xee, len);
	f->len += len;
}

#endif
