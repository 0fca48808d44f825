#include "test/mp/traffic_frame.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <string.h>

#include "test/mp/traffic.h"

#define MAGIC       UINT32_C(0x74657374)
#define CLIENT_ADDR UINT32_C(0x0a090001)
#define SERVER_ADDR UINT32_C(0x0a090002)
#define SERVER_PORT 80

struct payload {
	uint32_t magic, flow, direction, number;
	uint8_t rest[DATA_BYTES - 16];
};

struct headers { /* as they stand on the wire, but for the gaps between them */
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
};

enum {
	IP_AT = sizeof(struct ethhdr),
	TCP_AT = IP_AT + sizeof(struct iphdr),
	DATA_AT = TCP_AT + sizeof(struct tcphdr),
};

static uint32_t isn(uint32_t flow, uint32_t direction)
{
	return 1000000 * (direction + 1) + flow * 7919;
}

/* RFC 1071, over an even number of bytes. */
static uint32_t add(const void *bytes, size_t len, uint32_t sum)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void write_ip(struct iphdr *ip, uint32_t direction, size_t tcp_len)
{
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = IPPROTO_TCP;
	ip->tot_len = htons((uint16_t)(sizeof(*ip) + tcp_len));
	ip->saddr = htonl(direction == 0 ? CLIENT_ADDR : SERVER_ADDR);
	ip->daddr = htonl(direction == 0 ? SERVER_ADDR : CLIENT_ADDR);
	ip->check = fold(add(ip, sizeof(*ip), 0));
}

static void write_tcp(struct tcphdr *tcp, const struct frame *f)
{
	uint16_t client = htons((uint16_t)(TRAFFIC_PORT + f->flow)), server = htons(SERVER_PORT);
	uint32_t seq = isn(f->flow, f->direction), ack = isn(f->flow, !f->direction) + 1;

	tcp->source = f->direction == 0 ? client : server;
	tcp->dest = f->direction == 0 ? server : client;
	tcp->doff = 5;
	tcp->window = htons(60000);
	tcp->syn = f->kind == FRAME_SYN || f->kind == FRAME_SYN_ACK;
	tcp->ack = f->kind != FRAME_SYN;
	tcp->psh = f->kind == FRAME_DATA;
	tcp->seq = htonl(tcp->syn ? seq : seq + 1 + f->number * DATA_BYTES);
	if (tcp->ack)
		tcp->ack_seq = htonl(ack + f->acked * DATA_BYTES);
}

size_t frame_write(const struct frame *f, uint8_t *out)
{
	static const uint8_t mac[2][ETH_ALEN] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
	struct payload payload = {MAGIC, f->flow, f->direction, f->number, {0}};
	size_t data_len = f->kind == FRAME_DATA ? sizeof(payload) : 0;
	size_t tcp_len = sizeof(struct tcphdr) + data_len;
	struct headers h = {0};
	uint32_t sum;

	memcpy(h.eth.h_source, mac[f->direction], ETH_ALEN);
	memcpy(h.eth.h_dest, mac[!f->direction], ETH_ALEN);
	h.eth.h_proto = htons(ETH_P_IP);
	write_ip(&h.ip, f->direction, tcp_len);
	write_tcp(&h.tcp, f);
	sum = add(&h.ip.saddr, 8, IPPROTO_TCP + (uint32_t)tcp_len);
	sum = add(&h.tcp, sizeof(h.tcp), sum);
	h.tcp.check = fold(add(&payload, data_len, sum));
	memcpy(out, &h.eth, sizeof(h.eth));
	memcpy(out + IP_AT, &h.ip, sizeof(h.ip));
	memcpy(out + TCP_AT, &h.tcp, sizeof(h.tcp));
	memcpy(out + DATA_AT, &payload, data_len);
	return DATA_AT + data_len;
}

void frame_read(const uint8_t *bytes, size_t len, struct frame *f)
{
	struct headers h;
	struct payload payload;

	*f = (struct frame){.kind = FRAME_FOREIGN};
	if (len < DATA_AT)
		return;
	memcpy(&h.eth, bytes, sizeof(h.eth));
	memcpy(&h.ip, bytes + IP_AT, sizeof(h.ip));
	memcpy(&h.tcp, bytes + TCP_AT, sizeof(h.tcp));
	if (h.eth.h_proto != htons(ETH_P_IP) || h.ip.protocol != IPPROTO_TCP)
		return;
	f->direction = h.ip.saddr == htonl(SERVER_ADDR);
	f->flow = (uint32_t)ntohs(f->direction == 0 ? h.tcp.source : h.tcp.dest) - TRAFFIC_PORT;
	if (h.tcp.syn) {
		f->kind = h.tcp.ack ? FRAME_SYN_ACK : FRAME_SYN;
	} else if (ntohs(h.ip.tot_len) == sizeof(h.ip) + sizeof(h.tcp)) {
		f->kind = FRAME_ACK;
	} else if (len >= DATA_AT + sizeof(payload)) {
		memcpy(&payload, bytes + DATA_AT, sizeof(payload));
		if (payload.magic != MAGIC || payload.flow != f->flow ||
		    payload.direction != f->direction)
			return;
		f->kind = FRAME_DATA;
		f->number = payload.number;
	}
}
