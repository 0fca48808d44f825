#include "apps/common/forge.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define HOPS 64

static_assert(offsetof(struct forged, l4.options) ==
                      offsetof(struct forged, l4.tcp) + sizeof(struct tcphdr),
              "options follow their header");

static uint16_t port_of(const struct sockaddr_storage *s)
{
	return s->ss_family == AF_INET ? ((const struct sockaddr_in *)s)->sin_port
	                               : ((const struct sockaddr_in6 *)s)->sin6_port;
}

static void write_ip4(struct forged *f, const struct sockaddr_storage *src,
                      const struct sockaddr_storage *dst)
{
	f->ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.ttl = HOPS,
		.protocol = IPPROTO_TCP,
		.frag_off = htons(IP_DF),
		.saddr = ((const struct sockaddr_in *)src)->sin_addr.s_addr,
		.daddr = ((const struct sockaddr_in *)dst)->sin_addr.s_addr,
	};
	f->info.iph = &f->ip;
}

static void write_ip6(struct forged *f, const struct sockaddr_storage *src,
                      const struct sockaddr_storage *dst)
{
	f->ip6 = (struct ip6_hdr){
		.ip6_flow = htonl(6u << 28),
		.ip6_nxt = IPPROTO_TCP,
		.ip6_hlim = HOPS,
		.ip6_src = ((const struct sockaddr_in6 *)src)->sin6_addr,
		.ip6_dst = ((const struct sockaddr_in6 *)dst)->sin6_addr,
	};
	f->ext.ip6h = &f->ip6;
}

/* As ends send it: two times NOP in front of the timestamps. RFC 7323 appendix A. */
static void write_ts(uint8_t options[static 12], uint32_t ts_val, uint32_t ts_ecr)
{
	static const uint8_t head[] = {1, 1, 8, 10};
	uint32_t be[2] = {htonl(ts_val), htonl(ts_ecr)};

	memcpy(options, head, sizeof(head));
	memcpy(options + sizeof(head), be, sizeof(be));
}

static void write_tcp(struct forged *f, uint16_t src_port_be, uint16_t dst_port_be,
                      const struct forged_segment *s)
{
	f->l4.tcp = (struct tcphdr){
		.source = src_port_be,
		.dest = dst_port_be,
		.seq = htonl(s->seq),
		.ack_seq = htonl(s->flags & FORGE_ACK ? s->ack : 0),
		.doff = s->has_ts ? 8 : 5,
		.window = htons(s->window),
		.fin = !!(s->flags & FORGE_FIN),
		.syn = !!(s->flags & FORGE_SYN),
		.rst = !!(s->flags & FORGE_RST),
		.psh = !!(s->flags & FORGE_PSH),
		.ack = !!(s->flags & FORGE_ACK),
	};
	if (s->has_ts)
		write_ts(f->l4.options, s->ts_val, s->ts_ecr);
	f->info.tcph = &f->l4.tcp;
}

void forge(struct forged *f, const struct sockaddr_storage addr[2], const struct forged_segment *s)
{
	const struct sockaddr_storage *src = &addr[s->from], *dst = &addr[!s->from];

	memset(f, 0, sizeof(*f));
	if (src->ss_family == AF_INET)
		write_ip4(f, src, dst);
	else
		write_ip6(f, src, dst);
	write_tcp(f, port_of(src), port_of(dst), s);
	f->info.payloadlen = s->payload_len;
	memcpy(&f->info.payload, &s->payload, sizeof(s->payload)); /* which is only read */
}
