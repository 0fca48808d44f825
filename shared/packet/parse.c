#include "shared/packet/packet.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "shared/packet/checksum.h"
#include "shared/packet/hash.h"
#include "shared/platform.h"
#include "shared/bytes.h"

enum {
	VLAN_TAG_LEN = 4,
	VLAN_TAG_MAX = 2,
	VLAN_ID_MASK = 0xfff,

	IP4_HDR_LEN = 20,      /* without options */
	IP4_FRAGMENT = 0x3fff, /* more-fragments bit and offset */
	IP6_HDR_LEN = 40,
	IP6_EXT_LEN = 8,       /* shortest */
	IP6_FRAGMENT = 0xfff9, /* offset and more-fragments bit */
	TCP_HDR_LEN = 20,      /* without options */
};

/* What the caller gave, as it goes through the layers. */
struct frame {
	const uint8_t *data;
	uint32_t data_len;
	uint32_t frame_len;
	uint64_t seed;
	bool verify; /* a wrong IPv4 checksum is a defect */
};

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline void clear(struct mos_pkt_meta *m)
{
	m->hash = 0;
	m->l3_off = 0;
	m->l4_off = 0;
	m->payload_off = 0;
	m->payload_len = 0;
	m->vlan = 0;
	m->pkt_class = MOS_PKT_NON_IP;
	m->ip_version = 0;
	m->ip_proto = 0;
	m->defect = MOS_DEFECT_NONE;
}

/* Callers leave before they write hash, l4_off and payload. */
static inline enum mos_pkt_class bad(struct mos_pkt_meta *m, enum mos_pkt_defect defect)
{
	m->defect = (uint8_t)defect;
	m->pkt_class = MOS_PKT_BAD;
	return MOS_PKT_BAD;
}

static inline enum mos_pkt_class good(struct mos_pkt_meta *m, enum mos_pkt_class pkt_class,
                                      uint32_t hash)
{
	m->hash = hash;
	m->pkt_class = (uint8_t)pkt_class;
	return pkt_class;
}

static inline bool is_vlan(uint16_t type)
{
	return type == ETH_P_8021Q || type == ETH_P_8021AD;
}

/*
 * Step over up to two tags at *off. *type goes in as the type of the first and comes out as that of
 * what follows, which may be a third tag: for us no IP. False when the frame ends in a tag.
 */
static bool skip_tags(struct mos_pkt_meta *m, const struct frame *f, uint32_t *off, uint16_t *type)
{
	for (int n = 0; n < VLAN_TAG_MAX && is_vlan(*type); n++) {
		const uint8_t *tag = f->data + *off;

		if (f->data_len - *off < VLAN_TAG_LEN)
			return false;
		if (m->vlan == 0) /* a priority tag (id 0) names no VLAN: the next tag may */
			m->vlan = mos_load_be16(tag) & VLAN_ID_MASK;
		*type = mos_load_be16(tag + 2);
		*off += VLAN_TAG_LEN;
	}
	return true;
}

/*
 * Check the TCP header at l4_off of an IP packet that ends at ip_end. l4_off is within data_len and
 * ip_end. Fills offsets only if it is good.
 */
static inline bool check_tcp(struct mos_pkt_meta *m, const struct frame *f, uint32_t l4_off,
                             uint32_t ip_end)
{
	uint32_t room = min_u32(f->data_len, ip_end) - l4_off;
	uint32_t hdr_len;

	if (mos_unlikely(room < TCP_HDR_LEN))
		return false;
	hdr_len = (f->data[l4_off + 12] >> 4) * 4u;
	if (mos_unlikely(hdr_len < TCP_HDR_LEN || hdr_len > room))
		return false;
	m->l4_off = (uint16_t)l4_off;
	m->payload_off = (uint16_t)(l4_off + hdr_len);
	m->payload_len = (uint16_t)(ip_end - l4_off - hdr_len);
	return true;
}

static inline uint32_t hash4(const uint8_t *ip, uint16_t sport_be, uint16_t dport_be, uint64_t seed)
{
	return mos_hash_join(mos_hash_end4(mos_load32(ip + 12), sport_be, seed),
	                     mos_hash_end4(mos_load32(ip + 16), dport_be, seed));
}

static inline enum mos_pkt_class parse_ip4(struct mos_pkt_meta *m, const struct frame *f,
                                           uint32_t l3_off)
{
	const uint8_t *ip = f->data + l3_off, *tcp;
	uint32_t room = f->data_len - l3_off;
	uint32_t hdr_len, total_len;

	m->l3_off = (uint16_t)l3_off;
	if (mos_unlikely(room < IP4_HDR_LEN))
		return bad(m, MOS_DEFECT_IP_HDR_LEN);
	if (mos_unlikely(ip[0] >> 4 != 4))
		return bad(m, MOS_DEFECT_IP_VERSION);
	m->ip_version = 4;
	hdr_len = (ip[0] & 0xf) * 4u;
	if (mos_unlikely(hdr_len < IP4_HDR_LEN || hdr_len > room))
		return bad(m, MOS_DEFECT_IP_HDR_LEN);
	total_len = mos_load_be16(ip + 2);
	if (mos_unlikely(total_len < hdr_len || total_len > f->frame_len - l3_off))
		return bad(m, MOS_DEFECT_IP_TOTAL_LEN);
	if (f->verify && mos_unlikely(!mos_csum_ip4_ok(ip, hdr_len)))
		return bad(m, MOS_DEFECT_IP_CHECKSUM);

	m->ip_proto = ip[9];
	if (mos_unlikely(ip[9] != IPPROTO_TCP || (mos_load_be16(ip + 6) & IP4_FRAGMENT)))
		return good(m, MOS_PKT_IP, hash4(ip, 0, 0, f->seed));
	if (mos_unlikely(!check_tcp(m, f, l3_off + hdr_len, l3_off + total_len)))
		return bad(m, MOS_DEFECT_TCP_HDR_LEN);
	tcp = ip + hdr_len;
	return good(m, MOS_PKT_TCP, hash4(ip, mos_load16(tcp), mos_load16(tcp + 2), f->seed));
}

/* Where a walk along IPv6 extension headers stops. */
enum ext_walk {
	EXT_UPPER,  /* *next is a protocol, its header at *off */
	EXT_OPAQUE, /* a fragment, or a header that hides the rest */
	EXT_CUT,    /* the chain is cut off or too long */
};

/*
 * Walk from *off, a header of kind *next, up to end. What Linux and BSD hosts walk is walked here,
 * so that a monitor sees the TCP segments that they see. A header is at least 8 bytes, so the
 * chain ends.
 */
static enum ext_walk walk_ext(const struct frame *f, uint32_t end, uint32_t *off, uint8_t *next)
{
	for (int n = 0;; n++) {
		const uint8_t *ext = f->data + *off;
		uint32_t room = end - *off;
		uint32_t ext_len;

		switch (*next) {
		case IPPROTO_HOPOPTS:
			if (n > 0)
				return EXT_OPAQUE;
			break;
		case IPPROTO_ROUTING:
		case IPPROTO_FRAGMENT:
		case IPPROTO_DSTOPTS:
		case IPPROTO_AH: break;
		default: return EXT_UPPER;
		}
		if (n == MOS_IP6_EXT_MAX || room < IP6_EXT_LEN)
			return EXT_CUT;

		ext_len = (ext[1] + 1u) * 8;
		if (*next == IPPROTO_AH)
			ext_len = (ext[1] + 2u) * 4;
		else if (*next == IPPROTO_FRAGMENT)
			ext_len = IP6_EXT_LEN;
		if (ext_len > room)
			return EXT_CUT;

		if (*next == IPPROTO_ROUTING && ext[3] != 0)
			return EXT_OPAQUE;
		if (*next == IPPROTO_FRAGMENT && (mos_load_be16(ext + 2) & IP6_FRAGMENT)) {
			*next = ext[0];
			return EXT_OPAQUE;
		}
		*next = ext[0];
		*off += ext_len;
	}
}

static inline uint32_t hash6(const uint8_t *ip, uint16_t sport_be, uint16_t dport_be, uint64_t seed)
{
	return mos_hash_join(mos_hash_end6(ip + 8, sport_be, seed),
	                     mos_hash_end6(ip + 24, dport_be, seed));
}

static enum mos_pkt_class parse_ip6(struct mos_pkt_meta *m, const struct frame *f, uint32_t l3_off)
{
	const uint8_t *ip = f->data + l3_off, *tcp;
	uint32_t off = l3_off + IP6_HDR_LEN;
	enum ext_walk walk = EXT_UPPER;
	uint32_t payload_len, ip_end;

	m->l3_off = (uint16_t)l3_off;
	if (mos_unlikely(f->data_len < off))
		return bad(m, MOS_DEFECT_IP_HDR_LEN);
	if (mos_unlikely(ip[0] >> 4 != 6))
		return bad(m, MOS_DEFECT_IP_VERSION);
	m->ip_version = 6;
	m->ip_proto = ip[6];
	payload_len = mos_load_be16(ip + 4);
	if (mos_unlikely(payload_len > f->frame_len - off))
		return bad(m, MOS_DEFECT_IP_TOTAL_LEN);
	/* A jumbogram (RFC 2675) or a segment without header: 0 cannot be the length. */
	if (mos_unlikely(payload_len == 0 && (ip[6] == IPPROTO_TCP || ip[6] == IPPROTO_HOPOPTS)))
		return bad(m, MOS_DEFECT_IP_TOTAL_LEN);
	ip_end = off + payload_len;

	if (mos_unlikely(ip[6] != IPPROTO_TCP))
		walk = walk_ext(f, min_u32(f->data_len, ip_end), &off, &m->ip_proto);
	if (mos_unlikely(walk == EXT_CUT))
		return bad(m, MOS_DEFECT_IP6_EXT);
	if (mos_unlikely(walk == EXT_OPAQUE || m->ip_proto != IPPROTO_TCP))
		return good(m, MOS_PKT_IP, hash6(ip, 0, 0, f->seed));
	if (mos_unlikely(!check_tcp(m, f, off, ip_end)))
		return bad(m, MOS_DEFECT_TCP_HDR_LEN);
	tcp = f->data + off;
	return good(m, MOS_PKT_TCP, hash6(ip, mos_load16(tcp), mos_load16(tcp + 2), f->seed));
}

static inline enum mos_pkt_class parse(struct mos_pkt_meta *m, const struct frame *f)
{
	uint32_t l3_off = ETH_HLEN;
	uint16_t type;

	assert(f->frame_len >= f->data_len);
	clear(m);
	if (mos_unlikely(f->data_len < ETH_HLEN))
		return bad(m, MOS_DEFECT_L2_SHORT);
	type = mos_load_be16(f->data + 12);
	if (is_vlan(type) && mos_unlikely(!skip_tags(m, f, &l3_off, &type)))
		return bad(m, MOS_DEFECT_L2_SHORT);
	if (mos_likely(type == ETH_P_IP))
		return parse_ip4(m, f, l3_off);
	if (type == ETH_P_IPV6)
		return parse_ip6(m, f, l3_off);
	return MOS_PKT_NON_IP; /* also IEEE 802.3 frames, whose type is a length below 0x600 */
}

enum mos_pkt_class mos_pkt_parse(struct mos_pkt_meta *m, const uint8_t *data, uint32_t data_len,
                                 uint32_t frame_len, uint64_t seed)
{
	const struct frame f = {data, data_len, frame_len, seed, true};

	return parse(m, &f);
}

enum mos_pkt_class mos_pkt_parse_edited(struct mos_pkt_meta *m, const uint8_t *data,
                                        uint32_t data_len, uint32_t frame_len, uint64_t seed)
{
	const struct frame f = {data, data_len, frame_len, seed, false};

	return parse(m, &f);
}
