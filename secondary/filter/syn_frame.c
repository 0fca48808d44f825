#include "secondary/filter/syn_frame.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "shared/packet/checksum.h"

enum {
	IP4_LEN = 20,
	IP6_LEN = 40,
	TCP_LEN = 20,
	TTL = 64,
	FLAG_SYN = 0x02,
	WINDOW = 65535,
};

/* Writes upwards. */
struct writer {
	uint8_t *at;
};

static void put(struct writer *w, const void *bytes, size_t len)
{
	memcpy(w->at, bytes, len);
	w->at += len;
}

static void put8(struct writer *w, uint8_t v)
{
	*w->at++ = v;
}

static void put16(struct writer *w, uint16_t v)
{
	v = htons(v);
	put(w, &v, sizeof(v));
}

static void put32(struct writer *w, uint32_t v)
{
	v = htonl(v);
	put(w, &v, sizeof(v));
}

static void put_link(struct writer *w, const struct mos_flow *flow)
{
	put(w, flow->mac[MOS_SVR], ETH_ALEN);
	put(w, flow->mac[MOS_CLI], ETH_ALEN);
	if (flow->key.vlan != 0) {
		put16(w, ETH_P_8021Q);
		put16(w, flow->key.vlan);
	}
	put16(w, flow->key.ip_version == 4 ? ETH_P_IP : ETH_P_IPV6);
}

static void put_ip4(struct writer *w, const struct mos_flow_key *key)
{
	uint8_t *ip = w->at;
	uint16_t sum;

	put8(w, 0x45);
	put8(w, 0);
	put16(w, IP4_LEN + TCP_LEN);
	put16(w, 0);
	put16(w, 0x4000); /* don't fragment */
	put8(w, TTL);
	put8(w, IPPROTO_TCP);
	put16(w, 0);
	put(w, key->src + 12, 4); /* IPv4-mapped */
	put(w, key->dst + 12, 4);
	sum = mos_csum_fold(mos_csum_partial(ip, IP4_LEN, 0));
	memcpy(ip + 10, &sum, sizeof(sum));
}

static void put_ip6(struct writer *w, const struct mos_flow_key *key)
{
	put32(w, 0x60000000);
	put16(w, TCP_LEN);
	put8(w, IPPROTO_TCP);
	put8(w, TTL);
	put(w, key->src, 16);
	put(w, key->dst, 16);
}

static void put_tcp(struct writer *w, const struct mos_flow *flow)
{
	const struct mos_flow_key *key = &flow->key;
	uint8_t *tcp = w->at;
	uint64_t sum = (uint64_t)htonl(TCP_LEN) + htonl(IPPROTO_TCP);
	uint16_t folded;

	put(w, &key->src_port_be, 2);
	put(w, &key->dst_port_be, 2);
	put32(w, flow->half[MOS_CLI].iss);
	put32(w, 0);
	put8(w, TCP_LEN / 4 << 4);
	put8(w, FLAG_SYN);
	put16(w, WINDOW);
	put32(w, 0);
	/* The constant part of mapped addresses would add to the sum. */
	if (key->ip_version == 4)
		sum = mos_csum_partial(key->src + 12, 4, mos_csum_partial(key->dst + 12, 4, sum));
	else
		sum = mos_csum_partial(key->src, 16, mos_csum_partial(key->dst, 16, sum));
	folded = mos_csum_fold(mos_csum_partial(tcp, TCP_LEN, sum));
	memcpy(tcp + 16, &folded, sizeof(folded));
}

uint32_t mos_syn_frame(uint8_t frame[MOS_SYN_FRAME_MAX], const struct mos_flow *flow)
{
	struct writer w = {.at = frame};

	put_link(&w, flow);
	if (flow->key.ip_version == 4)
		put_ip4(&w, &flow->key);
	else
		put_ip6(&w, &flow->key);
	put_tcp(&w, flow);
	return (uint32_t)(w.at - frame);
}
