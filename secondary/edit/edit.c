#include "secondary/edit/edit.h"

#include <errno.h>
#include <string.h>

#include <rte_mbuf.h>

#include "secondary/edit/chain.h"
#include "secondary/edit/sum.h"
#include "shared/bytes.h"

#define PLACES (MOS_ETH_HDR | MOS_IP_HDR | MOS_TCP_HDR | MOS_TCP_PAYLOAD)

enum {
	FRAME_MIN = 60, /* of Ethernet, without FCS: shorter ones are padded */
	HDR_MIN = 20,   /* IPv4 and TCP, without options */
	HDR_MAX = 60,
	IP6_HDR = 40,

	/* in an IPv4 header */
	IP4_LEN = 2,
	IP4_FRAG = 6,
	IP4_PROTO = 9,
	IP4_SUM = 10,
	IP4_ADDRS = 12,
	/* in an IPv6 header */
	IP6_LEN = 4,
	IP6_ADDRS = 8,
	/* in a TCP header */
	TCP_DOFF = 12,
	TCP_SUM = 16,
};

/* Part of the frame. */
struct span {
	uint32_t off, len;
};

static int outermost(int option)
{
	return option & PLACES & -(option & PLACES);
}

static uint8_t *header(const struct mos_cur_pkt *cur, uint32_t off)
{
	return rte_pktmbuf_mtod_offset(cur->mbuf, uint8_t *, off);
}

static void store16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static bool is_tcp(const struct mos_cur_pkt *cur)
{
	return cur->meta->pkt_class == MOS_PKT_TCP;
}

/* ---- where things are, by the meta data: always within the first mbuf, or the frame ---- */

/* The IPv4 header. Where no TCP header follows, only its own length says where it ends. */
static struct span ip4_header(const struct mos_cur_pkt *cur)
{
	uint32_t off = cur->meta->l3_off;
	uint32_t len = (*header(cur, off) & 0xf) * 4u;

	if (is_tcp(cur))
		return (struct span){off, (uint32_t)cur->meta->l4_off - off};
	if (len < HDR_MIN || len > (uint32_t)cur->mbuf->data_len - off)
		len = HDR_MIN;
	return (struct span){off, len};
}

/* Where the IP packet ends. */
static uint32_t ip_end(const struct mos_cur_pkt *cur)
{
	const struct mos_pkt_meta *meta = cur->meta;
	struct span ip;
	uint32_t len;

	if (is_tcp(cur))
		return (uint32_t)meta->payload_off + meta->payload_len;
	/* Of IPv6 without TCP nothing but its Ethernet header can be edited. */
	ip = ip4_header(cur);
	len = ntohs(mos_load16(header(cur, ip.off + IP4_LEN)));
	return ip.off + RTE_MIN(RTE_MAX(len, ip.len), cur->mbuf->pkt_len - ip.off);
}

/* The place that the option names; 0 or -errno. */
static int find_place(const struct mos_edit *e, struct span *place)
{
	const struct mos_pkt_meta *meta = e->cur->meta;

	switch (outermost(e->option)) {
	case MOS_ETH_HDR:
		*place = (struct span){0, ETH_HLEN};
		return e->option & MOS_OVERWRITE ? 0 : -EACCES;
	case MOS_IP_HDR:
		if (meta->ip_version != 4)
			return -EACCES;
		*place = ip4_header(e->cur);
		return 0;
	case MOS_TCP_HDR:
		*place = (struct span){meta->l4_off, (uint32_t)meta->payload_off - meta->l4_off};
		return is_tcp(e->cur) ? 0 : -EINVAL;
	case MOS_TCP_PAYLOAD:
		*place = (struct span){meta->payload_off, meta->payload_len};
		return is_tcp(e->cur) ? 0 : -EINVAL;
	default: return -EINVAL;
	}
}

/* ---- checks ---- */

static bool in_header(const struct mos_edit *e)
{
	return outermost(e->option) != MOS_TCP_PAYLOAD;
}

/* How long the frame becomes when the IP packet ends elsewhere: short ones keep their padding. */
static uint32_t frame_len(const struct mos_cur_pkt *cur, uint32_t new_end)
{
	return RTE_MAX(new_end, RTE_MIN(cur->mbuf->pkt_len, (uint32_t)FRAME_MIN));
}

/* A header that changes its length by n. */
static int check_header(const struct mos_edit *e, const struct span *place, int64_t n)
{
	int64_t len = place->len + n;

	return n % 4 == 0 && len >= HDR_MIN && len <= HDR_MAX ? 0 : -EINVAL;
}

static int check_room(const struct mos_edit *e)
{
	struct mos_cur_pkt *cur = e->cur;
	uint32_t end = ip_end(cur), new_end = end + e->len;
	uint32_t frame = frame_len(cur, new_end);

	if (new_end - cur->meta->l3_off > e->mtu)
		return -EMSGSIZE;
	if (in_header(e))
		return e->len <= rte_pktmbuf_headroom(cur->mbuf) ? 0 : -ENOBUFS;
	if (frame > cur->mbuf->pkt_len && frame - cur->mbuf->pkt_len > mos_chain_room(cur->mbuf))
		return -ENOBUFS;
	return 0;
}

int mos_edit_check(const struct mos_edit *e)
{
	struct span place;
	int64_t grows = e->option & MOS_INSERT ? (int64_t)e->len : -(int64_t)e->len;
	int err = find_place(e, &place);

	if (err != 0)
		return err;
	if (e->offset > place.len ||
	    (!(e->option & MOS_INSERT) && e->len > (uint64_t)place.len - (uint64_t)e->offset))
		return -EINVAL;
	if (!(e->option & MOS_CHOMP) && e->data == NULL && e->len > 0)
		return -EFAULT;
	if (e->option & MOS_OVERWRITE)
		return 0;
	if (in_header(e))
		err = check_header(e, &place, grows);
	return err == 0 && (e->option & MOS_INSERT) ? check_room(e) : err;
}

bool mos_edit_of_payload(const struct mos_edit *e)
{
	return !in_header(e);
}

/* ---- meta data ---- */

/* The length field of the IPv4 packet agrees with what is known of it. */
static bool ip4_len_agrees(const struct mos_cur_pkt *cur)
{
	const uint8_t *ip = header(cur, cur->meta->l3_off);

	return ntohs(mos_load16(ip + IP4_LEN)) == ip_end(cur) - cur->meta->l3_off;
}

/* The headers as they are now count if they make sense. */
static void parse(struct mos_cur_pkt *cur, uint64_t seed)
{
	const struct mos_pkt_meta *was = cur->meta;
	struct mos_pkt_meta now = *was;

	mos_pkt_parse_edited(&now, header(cur, 0), cur->mbuf->data_len, cur->mbuf->pkt_len, seed);
	if (now.pkt_class == MOS_PKT_BAD || (cur->segment && now.pkt_class != MOS_PKT_TCP))
		return;
	if (now.l3_off != was->l3_off || now.l4_off != was->l4_off ||
	    now.ip_version != was->ip_version)
		mos_edit_distrust(cur);
	if (now.payload_off + now.payload_len != was->payload_off + was->payload_len)
		cur->edit |= MOS_EDIT_TCP_ANEW;
	*cur->meta = now;
}

/* The same, but the length of the IPv4 packet stays what it is known to be. */
static void parse_but_length(struct mos_cur_pkt *cur, uint64_t seed)
{
	uint32_t off = cur->meta->l3_off;
	uint16_t len;

	if (cur->meta->ip_version != 4 || !is_tcp(cur)) {
		parse(cur, seed);
		return;
	}
	len = mos_load16(header(cur, off + IP4_LEN));
	store16(header(cur, off + IP4_LEN), htons((uint16_t)(ip_end(cur) - off)));
	parse(cur, seed);
	store16(header(cur, off + IP4_LEN), len);
}

void mos_edit_settle(struct mos_cur_pkt *cur, uint64_t seed)
{
	if (cur->meta->ip_version == 4 && is_tcp(cur) && !ip4_len_agrees(cur))
		parse(cur, seed);
}

/* ---- overwrite ---- */

static bool overlap(uint32_t off, uint32_t len, uint32_t field, uint32_t field_len)
{
	return off < field + field_len && field < off + len;
}

/* What len new bytes at off of the IPv4 header do to the sums. */
static void sum_ip4(struct mos_cur_pkt *cur, uint32_t off, const uint8_t *old, const uint8_t *now,
                    uint32_t len)
{
	uint32_t from = RTE_MAX(off, (uint32_t)IP4_ADDRS);
	uint32_t end = RTE_MIN(off + len, (uint32_t)HDR_MIN);

	cur->ip_delta = mos_sum_change(cur->ip_delta, old, now, len, off & 1);
	if (overlap(off, len, IP4_SUM, 2) || overlap(off, len, 0, 1)) /* the sum, what is summed */
		cur->edit |= MOS_EDIT_IP_ANEW;
	if (from < end) /* in TCP's pseudo header */
		cur->tcp_delta = mos_sum_change(cur->tcp_delta, old + (from - off),
		                                now + (from - off), end - from, from & 1);
}

static bool ip4_means_else(uint32_t off, uint32_t len)
{
	return overlap(off, len, 0, 1) || overlap(off, len, IP4_FRAG, 2) ||
	       overlap(off, len, IP4_PROTO, 1) || overlap(off, len, IP4_ADDRS, 8);
}

static bool tcp_means_else(uint32_t off, uint32_t len)
{
	return overlap(off, len, 0, 4) || overlap(off, len, TCP_DOFF, 1);
}

static void overwrite_header(const struct mos_edit *e, const struct span *place)
{
	struct mos_cur_pkt *cur = e->cur;
	uint32_t off = (uint32_t)e->offset;
	uint8_t *bytes = header(cur, place->off + off);
	uint8_t old[HDR_MAX];
	bool means_else;

	memcpy(old, bytes, e->len);
	memmove(bytes, e->data, e->len);
	switch (outermost(e->option)) {
	case MOS_IP_HDR:
		sum_ip4(cur, off, old, bytes, e->len);
		means_else = ip4_means_else(off, e->len);
		break;
	case MOS_TCP_HDR:
		cur->tcp_delta = mos_sum_change(cur->tcp_delta, old, bytes, e->len, off & 1);
		if (overlap(off, e->len, TCP_SUM, 2))
			cur->edit |= MOS_EDIT_TCP_ANEW;
		means_else = tcp_means_else(off, e->len);
		break;
	default: means_else = off + e->len > 2 * ETH_ALEN; /* the EtherType */
	}
	if (means_else)
		parse_but_length(cur, e->seed);
}

static void overwrite_payload(const struct mos_edit *e, const struct span *place)
{
	struct mos_cur_pkt *cur = e->cur;
	uint32_t at = place->off + (uint32_t)e->offset;
	uint32_t gone, come;

	gone = (uint16_t)~mos_sum_fold(mos_chain_sum(cur->mbuf, at, e->len));
	mos_chain_write(cur->mbuf, at, e->data, e->len);
	come = mos_sum_fold(mos_chain_sum(cur->mbuf, at, e->len));
	cur->tcp_delta = mos_sum_fold((uint64_t)cur->tcp_delta +
	                              mos_sum_swap(mos_sum_fold(gone + come), e->offset & 1));
}

/* ---- insert and chomp ---- */

/* Headers in front of `at` move towards the start of the buffer, or away from it. */
static void move_front(const struct mos_edit *e, uint32_t at)
{
	struct rte_mbuf *m = e->cur->mbuf;
	uint8_t *first = header(e->cur, 0);

	if (e->option & MOS_INSERT) {
		rte_pktmbuf_prepend(m, (uint16_t)e->len);
		memmove(first - e->len, first, at);
		memmove(first - e->len + at, e->data, e->len);
	} else {
		memmove(first + e->len, first, at);
		rte_pktmbuf_adj(m, (uint16_t)e->len);
	}
}

static void move_rear(const struct mos_edit *e, uint32_t at, uint32_t end)
{
	struct rte_mbuf *m = e->cur->mbuf;

	if (e->option & MOS_INSERT) {
		if (end + e->len > m->pkt_len)
			mos_chain_resize(m, end + e->len);
		mos_chain_move(m, at + e->len, at, end - at);
		mos_chain_write(m, at, e->data, e->len);
	} else {
		mos_chain_move(m, at, at + e->len, end - at - e->len);
	}
}

/* The IP packet ends at `end` now: zeroes up to the shortest frame, and nothing behind. */
static void pad(struct mos_cur_pkt *cur, uint32_t end, uint32_t frame)
{
	uint32_t was = cur->mbuf->pkt_len;

	frame = RTE_MIN(frame, was + mos_chain_room(cur->mbuf));
	mos_chain_resize(cur->mbuf, frame);
	if (end < RTE_MIN(was, frame))
		mos_chain_zero(cur->mbuf, end, RTE_MIN(was, frame) - end);
}

/*
 * The header of the place is len bytes long, the IP packet ends at `end`: let the headers say so.
 */
static void write_lengths(const struct mos_edit *e, uint32_t len, uint32_t end)
{
	struct mos_cur_pkt *cur = e->cur;
	uint8_t *ip = header(cur, cur->meta->l3_off);
	uint8_t *tcp = header(cur, cur->meta->l4_off);
	uint32_t ip_len = end - cur->meta->l3_off;

	if (outermost(e->option) == MOS_IP_HDR)
		ip[0] = (uint8_t)(0x40 | len / 4);
	if (outermost(e->option) == MOS_TCP_HDR)
		tcp[TCP_DOFF] = (uint8_t)(len / 4 << 4 | (tcp[TCP_DOFF] & 0xf));
	if (cur->meta->ip_version == 4)
		store16(ip + IP4_LEN, htons((uint16_t)ip_len));
	else
		store16(ip + IP6_LEN, htons((uint16_t)(ip_len - IP6_HDR)));
}

/* What lies behind the place has moved by n bytes. */
static void move_offsets(const struct mos_edit *e, int32_t n)
{
	struct mos_pkt_meta *meta = e->cur->meta;

	if (!is_tcp(e->cur))
		return;
	if (outermost(e->option) == MOS_IP_HDR)
		meta->l4_off = (uint16_t)(meta->l4_off + n);
	if (in_header(e))
		meta->payload_off = (uint16_t)(meta->payload_off + n);
	else
		meta->payload_len = (uint16_t)(meta->payload_len + n);
}

static void resize(const struct mos_edit *e, const struct span *place)
{
	struct mos_cur_pkt *cur = e->cur;
	int32_t n = e->option & MOS_INSERT ? (int32_t)e->len : -(int32_t)e->len;
	uint32_t at = place->off + (uint32_t)e->offset;
	uint32_t end = ip_end(cur), new_end = (uint32_t)((int32_t)end + n);
	uint32_t frame = frame_len(cur, new_end);

	if (in_header(e))
		move_front(e, at);
	else
		move_rear(e, at, end);
	pad(cur, new_end, frame);
	move_offsets(e, n);
	write_lengths(e, (uint32_t)((int32_t)place->len + n), new_end);
	cur->edit |= MOS_EDIT_IP_ANEW | MOS_EDIT_TCP_ANEW;
	if (in_header(e))
		parse(cur, e->seed);
}

void mos_edit_apply(const struct mos_edit *e)
{
	struct span place;

	e->cur->edited = true;
	e->cur->mbuf->ol_flags &= ~(uint64_t)RTE_MBUF_F_RX_L4_CKSUM_MASK; /* it knows the old one */
	if (e->len == 0 || find_place(e, &place) != 0)
		return;
	if (!(e->option & MOS_OVERWRITE))
		resize(e, &place);
	else if (in_header(e))
		overwrite_header(e, &place);
	else
		overwrite_payload(e, &place);
}

/* ---- checksums ---- */

static void update_ip4(struct mos_cur_pkt *cur)
{
	struct span ip = ip4_header(cur);
	uint8_t *sum = header(cur, ip.off + IP4_SUM);

	if (cur->edit & MOS_EDIT_IP_ANEW) {
		store16(sum, 0);
		store16(sum, mos_csum_fold(mos_csum_partial(header(cur, ip.off), ip.len, 0)));
	} else {
		store16(sum, mos_sum_mend(mos_load16(sum), cur->ip_delta));
	}
	cur->ip_delta = 0;
	cur->edit &= (uint8_t)~MOS_EDIT_IP_ANEW;
}

/* The sum over pseudo header, TCP header and payload. */
static uint64_t tcp_sum(const struct mos_cur_pkt *cur)
{
	const struct mos_pkt_meta *meta = cur->meta;
	uint32_t len = ip_end(cur) - meta->l4_off;
	uint64_t sum = (uint64_t)htonl(len) + htonl(IPPROTO_TCP);

	if (meta->ip_version == 4)
		sum = mos_csum_partial(header(cur, meta->l3_off + IP4_ADDRS), 8, sum);
	else
		sum = mos_csum_partial(header(cur, meta->l3_off + IP6_ADDRS), 32, sum);
	return sum + mos_chain_sum(cur->mbuf, meta->l4_off, len);
}

static void update_tcp(struct mos_cur_pkt *cur)
{
	uint8_t *sum = header(cur, cur->meta->l4_off + TCP_SUM);

	if (cur->edit & MOS_EDIT_TCP_ANEW) {
		store16(sum, 0);
		store16(sum, mos_csum_fold(tcp_sum(cur)));
	} else {
		store16(sum, mos_sum_mend(mos_load16(sum), cur->tcp_delta));
	}
	cur->tcp_delta = 0;
	cur->edit &= (uint8_t)~MOS_EDIT_TCP_ANEW;
}

void mos_edit_update(struct mos_cur_pkt *cur, uint64_t seed, int option)
{
	if (option & MOS_UPDATE_TCP_CHKSUM)
		mos_edit_settle(cur, seed);
	if ((option & MOS_UPDATE_IP_CHKSUM) && cur->meta->ip_version == 4)
		update_ip4(cur);
	if ((option & MOS_UPDATE_TCP_CHKSUM) && is_tcp(cur))
		update_tcp(cur);
}
