#include "secondary/make_packet/make_packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "shared/packet/checksum.h"
#include "shared/bytes.h"

enum {
	TAG_LEN = 4,
	IP4_HDR_LEN = 20, /* without options */
	IP6_HDR_LEN = 40,
	TCP_HDR_LEN = 20, /* without options */
	IP4_LEN_MAX = 65535,
	IP6_LEN_MAX = IP6_HDR_LEN + 65535,
	TTL = 64, /* where the caller gives none */
};

static void put_be16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put_sum(uint8_t *at, uint16_t sum)
{
	memcpy(at, &sum, sizeof(sum)); /* in network order as it stands */
}

/* ---- check ---- */

static bool check_ip4(struct mos_make *b)
{
	const uint8_t *ip = b->ip;
	uint8_t first = ip[0];

	if (first >> 4 != 4 || (first & 0xf) < 5)
		return false;
	b->ip_hdr_len = (uint8_t)((first & 0xf) * 4);
	return ip[9] == IPPROTO_TCP;
}

static bool check_ip6(struct mos_make *b)
{
	b->ip_hdr_len = IP6_HDR_LEN;
	return *(const uint8_t *)b->ip >> 4 == 6;
}

static bool check_tcp(struct mos_make *b)
{
	uint8_t words = ((const uint8_t *)b->tcp)[12] >> 4;

	b->tcp_hdr_len = (uint8_t)(words * 4);
	return words >= 5;
}

int mos_make_check(struct mos_make *b)
{
	if (b->ip == NULL || b->tcp == NULL || (b->payload == NULL && b->payload_len > 0))
		return -ENODATA;
	if (!(b->ip6 ? check_ip6(b) : check_ip4(b)) || !check_tcp(b))
		return -ENODATA;
	b->ip_len = (uint32_t)b->ip_hdr_len + b->tcp_hdr_len + b->payload_len;
	return b->ip_len <= (b->ip6 ? IP6_LEN_MAX : IP4_LEN_MAX) ? 0 : -EMSGSIZE;
}

/* ---- write ---- */

static uint8_t *write_link(const struct mos_make *b, uint8_t *at)
{
	memcpy(at, b->link.dst, 6);
	memcpy(at + 6, b->link.src, 6);
	memcpy(at + 12, b->link.tags, b->link.tags_len);
	at += 12 + b->link.tags_len;
	put_be16(at, b->ip6 ? ETH_P_IPV6 : ETH_P_IP);
	return at + 2;
}

static void write_ip4(const struct mos_make *b, uint8_t *ip, bool offload)
{
	memcpy(ip, b->ip, b->ip_hdr_len);
	ip[0] = (uint8_t)(0x40 | b->ip_hdr_len / 4);
	put_be16(ip + 2, b->ip_len);
	if (ip[8] == 0)
		ip[8] = TTL;
	ip[9] = IPPROTO_TCP;
	put_be16(ip + 10, 0);
	if (!offload)
		put_sum(ip + 10, mos_csum_fold(mos_csum_partial(ip, b->ip_hdr_len, 0)));
}

static void write_ip6(const struct mos_make *b, uint8_t *ip)
{
	memcpy(ip, b->ip, IP6_HDR_LEN);
	ip[0] = (uint8_t)(0x60 | (ip[0] & 0xf));
	put_be16(ip + 4, b->ip_len - IP6_HDR_LEN);
	ip[6] = IPPROTO_TCP;
	if (ip[7] == 0)
		ip[7] = TTL;
}

/* Of addresses, protocol and length: RFC 9293 3.1, RFC 8200 8.1. */
static uint64_t pseudo_sum(const struct mos_make *b, const uint8_t *ip)
{
	uint64_t sum = (uint64_t)htonl(b->ip_len - b->ip_hdr_len) + htonl(IPPROTO_TCP);

	return b->ip6 ? mos_csum_partial(ip + 8, 32, sum) : mos_csum_partial(ip + 12, 8, sum);
}

static void write_tcp(const struct mos_make *b, const uint8_t *ip, uint8_t *tcp, bool offload)
{
	uint64_t sum = pseudo_sum(b, ip);

	memcpy(tcp, b->tcp, b->tcp_hdr_len);
	tcp[12] = (uint8_t)((tcp[12] & 0xf) | b->tcp_hdr_len / 4 << 4);
	put_be16(tcp + 16, 0);
	if (b->payload_len > 0)
		memcpy(tcp + b->tcp_hdr_len, b->payload, b->payload_len);
	if (offload)
		put_sum(tcp + 16, (uint16_t)~mos_csum_fold(sum));
	else
		put_sum(tcp + 16,
		        mos_csum_fold(mos_csum_partial(tcp, b->ip_len - b->ip_hdr_len, sum)));
}

void mos_make_write(const struct mos_make *b, uint8_t *frame, bool offload)
{
	uint8_t *ip = write_link(b, frame);

	if (b->ip6)
		write_ip6(b, ip);
	else
		write_ip4(b, ip, offload);
	write_tcp(b, ip, ip + b->ip_hdr_len, offload);
}

/* ---- VLAN tags ---- */

static bool is_vlan(uint16_t type)
{
	return type == ETH_P_8021Q || type == ETH_P_8021AD;
}

/* len bytes from the first type on: tag, tag, type of IP. */
static bool are_tags(const uint8_t *at, uintptr_t len)
{
	uint16_t last = mos_load_be16(at + len);

	for (uintptr_t off = 0; off < len; off += TAG_LEN)
		if (!is_vlan(mos_load_be16(at + off)))
			return false;
	return last == ETH_P_IP || last == ETH_P_IPV6;
}

void mos_make_take_tags(struct mos_make_link *link, const void *eth, const void *ip)
{
	uintptr_t gap = (uintptr_t)ip - (uintptr_t)eth - ETH_HLEN; /* large when unrelated */
	const uint8_t *type = (const uint8_t *)eth + 12;

	link->tags_len = 0;
	if ((gap != TAG_LEN && gap != 2 * TAG_LEN) || !are_tags(type, gap))
		return;
	link->tags_len = (uint8_t)gap;
	memcpy(link->tags, type, gap);
}

void mos_make_set_vlan(struct mos_make_link *link, uint16_t vlan)
{
	link->tags_len = vlan != 0 ? TAG_LEN : 0;
	put_be16(link->tags, ETH_P_8021Q);
	put_be16(link->tags + 2, vlan);
}

uint16_t mos_make_vlan(const struct mos_make_link *link)
{
	for (unsigned off = 0; off < link->tags_len; off += TAG_LEN) {
		uint16_t id = mos_load_be16(link->tags + off + 2) & 0xfff;

		if (id != 0)
			return id;
	}
	return 0;
}
