#include "secondary/edit/edit_model.h"

#include <string.h>

#include "mos_api.h"

static uint32_t place_of(const struct mos_pkt_meta *m, int option)
{
	if (option & MOS_ETH_HDR)
		return 0;
	if (option & MOS_IP_HDR)
		return m->l3_off;
	return option & MOS_TCP_HDR ? m->l4_off : m->payload_off;
}

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static void put_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t end_of(const struct edit_bytes *f, const struct mos_pkt_meta *m)
{
	uint32_t len = be16(f->b + m->l3_off + 2), hdr = (f->b[m->l3_off] & 0xf) * 4u;

	if (m->pkt_class == MOS_PKT_TCP)
		return (uint32_t)m->payload_off + m->payload_len;
	if (hdr < 20 || hdr > f->head - m->l3_off)
		hdr = 20;
	if (len < hdr)
		len = hdr;
	return m->l3_off + (len < f->len - m->l3_off ? len : f->len - m->l3_off);
}

/* Bytes [at, end) get n bytes more in front of them, or lose their first ones; then padding. */
static uint32_t splice(struct edit_bytes *f, uint32_t at, uint32_t end, int option,
                       const void *data, uint32_t len)
{
	uint32_t frame = f->len < 60 ? f->len : 60;

	if (option & MOS_INSERT) {
		memmove(f->b + at + len, f->b + at, end - at);
		memcpy(f->b + at, data, len);
		end += len;
	} else {
		memmove(f->b + at, f->b + at + len, end - at - len);
		end -= len;
	}
	f->len = end > frame ? end : frame;
	memset(f->b + end, 0, f->len - end);
	return end;
}

/* How many words long the IPv4 or TCP header becomes. */
static uint32_t words(const struct edit_bytes *f, const struct mos_pkt_meta *m, int option,
                      uint32_t len)
{
	uint32_t was = (uint32_t)m->payload_off - m->l4_off;

	if (option & MOS_IP_HDR) {
		was = (f->b[m->l3_off] & 0xf) * 4u;
		if (was < 20 || was > f->head - m->l3_off)
			was = 20;
		if (m->pkt_class == MOS_PKT_TCP)
			was = (uint32_t)m->l4_off - m->l3_off;
	}
	return (option & MOS_INSERT ? was + len : was - len) / 4;
}

void edit_model(struct edit_bytes *f, const struct mos_pkt_meta *m, int option, uint32_t offset,
                const void *data, uint32_t len)
{
	uint32_t at = place_of(m, option) + offset, end, n;
	uint8_t *ip = f->b + m->l3_off, *doff = f->b + m->l4_off + 12;

	if (len == 0)
		return;
	if (option & MOS_OVERWRITE) {
		memcpy(f->b + at, data, len);
		return;
	}
	n = words(f, m, option, len);
	end = splice(f, at, end_of(f, m), option, data, len);
	if (option & MOS_IP_HDR)
		ip[0] = (uint8_t)(0x40 | n);
	else if (option & MOS_TCP_HDR)
		*doff = (uint8_t)(n << 4 | (*doff & 0xf));
	if (m->ip_version == 4)
		put_be16(ip + 2, end - m->l3_off);
	else
		put_be16(ip + 4, end - m->l3_off - 40);
}

/* ---- checksums ---- */

static uint32_t sum_bytes(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum >> 16) + (sum & 0xffff);
	}
	return sum;
}

void edit_model_sum_ip4(struct edit_bytes *f, uint32_t l3_off, uint32_t ip_hdr)
{
	uint8_t *ip = f->b + l3_off;

	put_be16(ip + 10, 0);
	put_be16(ip + 10, ~sum_bytes(ip, ip_hdr, 0));
}

void edit_model_sum_tcp(struct edit_bytes *f, const struct mos_pkt_meta *m)
{
	uint32_t len = (uint32_t)(m->payload_off - m->l4_off) + m->payload_len;
	uint32_t sum = 6 + len;
	uint8_t *tcp = f->b + m->l4_off;

	sum = (sum >> 16) + (sum & 0xffff);
	if (m->ip_version == 4)
		sum = sum_bytes(f->b + m->l3_off + 12, 8, sum);
	else
		sum = sum_bytes(f->b + m->l3_off + 8, 32, sum);
	put_be16(tcp + 16, 0);
	put_be16(tcp + 16, ~sum_bytes(tcp, len, sum));
}
