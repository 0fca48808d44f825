/*
 * Building a TCP packet from headers that an application filled in.
 *
 *   caller:  ip header + options   tcp header + options   payload
 *                 |                       |                  |
 *   frame:   | dst src [tags] type | IPv4 + options, IPv6 | TCP + options | payload |
 *
 * Two steps, so that nothing is taken before it is known that the packet can be built:
 * mos_make_check() looks at the headers, mos_make_write() writes the frame. What the headers say
 * goes out as it is, but for lengths and checksums, which are computed, a TTL or hop limit of 0,
 * which becomes 64, and the IPv6 next header, which is TCP: no extension headers.
 *
 * Of the caller's headers no more is read than their own length fields say, and those are read
 * once, in the first step: should another thread change them, the frame is still sound. Headers may
 * lie at any address.
 *
 * Pure: no mbufs, no flows, no clock, no memory. Any thread. Not its job: ports, MTU, who may send.
 */
#ifndef MOS_SECONDARY_MAKE_PACKET_H
#define MOS_SECONDARY_MAKE_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#define MOS_MAKE_TAGS_MAX 8 /* bytes: two VLAN tags */

/* Link layer. */
struct mos_make_link {
	uint8_t dst[6];
	uint8_t src[6];
	uint8_t tags[MOS_MAKE_TAGS_MAX]; /* as they stand in the frame: type, id, type, id */
	uint8_t tags_len;                /* 0, 4 or 8 */
};

struct mos_make {
	/* the caller's, borrowed until the frame is written */
	const void *ip; /* IPv4 or IPv6 header, by ip6 */
	const void *tcp;
	const void *payload;
	uint16_t payload_len;
	bool ip6;
	struct mos_make_link link;

	/* found by mos_make_check */
	uint8_t ip_hdr_len;
	uint8_t tcp_hdr_len;
	uint32_t ip_len; /* of the whole packet */
};

/*
 * Check the headers and find the lengths. 0, or -ENODATA: ip or tcp is NULL, a version that is not
 * the one of ip6, IHL or data offset below 5, an IPv4 protocol other than TCP, payload NULL and
 * payload_len not 0; -EMSGSIZE: longer than an IP packet can be.
 */
int mos_make_check(struct mos_make *b);

/* Bytes of the frame, after check. */
static inline uint32_t mos_make_frame_len(const struct mos_make *b)
{
	return 14u + b->link.tags_len + b->ip_len;
}

/*
 * Write the frame, mos_make_frame_len() bytes; it overlaps nothing of the caller's. With offload
 * the checksum of IPv4 is left 0, and that of TCP is the sum of the pseudo header, as devices want
 * them that fill in the rest.
 */
void mos_make_write(const struct mos_make *b, uint8_t *frame, bool offload);

/* ---- VLAN tags ---- */

/*
 * Take the tags that lie between an Ethernet header and the IP header of the same frame, if that is
 * where ip is: 4 or 8 bytes behind eth, with types that say so. eth and ip may be unrelated.
 */
void mos_make_take_tags(struct mos_make_link *link, const void *eth, const void *ip);

/* One tag of this id, 0 = none. */
void mos_make_set_vlan(struct mos_make_link *link, uint16_t vlan);

/* The outermost id of the tags that is not 0; 0 = none names a VLAN. As mos_pkt_meta.vlan. */
uint16_t mos_make_vlan(const struct mos_make_link *link);

#endif
