/*
 * What a frame says about itself, read once, without trusting any length in it.
 *
 *   | Ethernet [VLAN [VLAN]] | IPv4 + options, IPv6 + ext. | TCP + options | payload | pad |
 *   0                        l3_off                        l4_off          payload_off
 *
 * The primary parses each frame once and leaves the result in the mbuf as struct mos_pkt_meta
 * (an mbuf dynamic field); the worker only reads headers at offsets that were checked here.
 *
 * Units: bytes from the first byte of the frame. Ports and addresses in network order where the
 * type or the name (_be) says so. Pure: no DPDK, no allocation, no clock.
 *
 * Not its job: the TCP checksum (see checksum.h; only the IPv4 header's is verified here),
 * reassembly of IP fragments (a fragment is MOS_PKT_IP), tunnels (the outer packet is MOS_PKT_IP).
 */
#ifndef MOS_SHARED_PACKET_H
#define MOS_SHARED_PACKET_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* What the system does with a frame. */
enum mos_pkt_class {
	MOS_PKT_NON_IP, /* ARP, LLDP, three VLAN tags, ...: forwarded untouched by the primary */
	MOS_PKT_IP,     /* IP but not a whole TCP segment: seen by raw sockets, forwarded */
	MOS_PKT_TCP,    /* IPv4 or IPv6 with a complete TCP header */
	MOS_PKT_BAD,    /* a length or version lies: dropped, counted by `defect` */
};

/*
 * Why a frame is MOS_PKT_BAD. Rows of the drop counters: shared/counters/counters.h.
 * "Beyond the frame" includes a header that lies in the frame but not wholly in its first data_len
 * bytes: headers that are split over mbuf segments are not read.
 */
enum mos_pkt_defect {
	MOS_DEFECT_NONE,
	MOS_DEFECT_L2_SHORT,     /* no whole Ethernet or VLAN header */
	MOS_DEFECT_IP_VERSION,   /* EtherType and version field disagree */
	MOS_DEFECT_IP_HDR_LEN,   /* IHL < 5, or the header reaches beyond the frame */
	MOS_DEFECT_IP_TOTAL_LEN, /* shorter than the header or longer than the frame; jumbograms */
	MOS_DEFECT_IP_CHECKSUM,  /* IPv4 header checksum wrong */
	MOS_DEFECT_IP6_EXT,      /* extension header chain too long or cut off */
	MOS_DEFECT_TCP_HDR_LEN,  /* data offset < 5, or the header reaches beyond the IP packet */
	MOS_DEFECT_COUNT
};

/* Extension headers between the IPv6 and the TCP header; one more is MOS_DEFECT_IP6_EXT. */
#define MOS_IP6_EXT_MAX 8

/* mos_pkt_meta.owner */
#define MOS_OWNER_PRIMARY 0 /* otherwise shard index + 1 */

/* mos_pkt_meta.verdict: what the primary does with an mbuf that comes back in a tx ring. */
enum mos_verdict {
	MOS_VERDICT_FORWARD, /* to out_port */
	MOS_VERDICT_DROP,    /* the application dropped it */
	MOS_VERDICT_CONSUME, /* no output port, or forward = 0 */
};

#define MOS_PORT_NONE 0xff /* mos_pkt_meta.out_port: no output */

/*
 * What travels with each mbuf. 32 bytes: it lies in the mbuf's dynamic fields.
 * Writer letters: P primary (before it hands the mbuf over), W worker (while it owns the mbuf).
 */
struct mos_pkt_meta {
	uint64_t ts_ns;       /* P arrival: wall clock, or the capture's clock (clock = packet) */
	uint32_t hash;        /* P symmetric flow hash, same both ways; 0 when NON_IP or BAD */
	uint16_t l3_off;      /* P start of the IP header; 0 when NON_IP or no whole L2 header */
	uint16_t l4_off;      /* P start of the TCP header; 0 unless class is TCP */
	uint16_t payload_off; /* P start of the TCP payload; 0 unless class is TCP */
	uint16_t payload_len; /* P TCP payload bytes according to the IP length */
	uint16_t vlan;        /* P outermost VLAN id that is not 0 (1..4095); 0 = untagged */
	uint8_t pkt_class;    /* P enum mos_pkt_class */
	uint8_t ip_version;   /* P 4, 6, or 0: not IP, or the version field could not be trusted */
	uint8_t ip_proto;     /* P protocol, or the next header field read last; 0 when not read */
	uint8_t in_port;      /* P index in the port table */
	uint8_t out_port;     /* P default: the pair of in_port; W may change it */
	uint8_t owner;        /* P MOS_OWNER_PRIMARY or shard + 1 */
	uint8_t verdict;      /* P default, W final: enum mos_verdict */
	uint8_t defect;       /* P enum mos_pkt_defect; NONE unless class is BAD */
};
static_assert(sizeof(struct mos_pkt_meta) == 32, "must fit the mbuf's dynamic fields");

/*
 * Parse a frame. Any process, any thread.
 *   data, data_len  the contiguous first bytes (first mbuf segment); headers must lie in them
 *   frame_len       length of the whole frame, >= data_len
 *   seed            of the hash: one random number per running system
 * Fills hash, offsets, vlan, class, ip_version, ip_proto and defect of *meta and touches no other
 * member. Returns the class. Never reads beyond data_len; bytes of the frame behind the IP packet
 * are padding and ignored.
 *
 * TCP hashes over addresses and ports, any other IP packet over addresses alone; VLAN is not
 * hashed (both directions may be tagged differently).
 *
 * MOS_PKT_IP, although the protocol may be TCP, are:
 *   - frames with a fragment offset or the more-fragments bit (an IPv6 fragment header with
 *     neither, RFC 6946, is skipped: receivers take it for the whole packet it is);
 *   - IPv6 with a routing header that has segments left: its ends are not those of the IPv6 header;
 *   - IPv6 with a hop-by-hop header that is not the first: receivers refuse it (RFC 8200 4.1);
 *   - whatever lies in ESP, in IPv4 AH, or behind a next header that is not known here.
 */
enum mos_pkt_class mos_pkt_parse(struct mos_pkt_meta *meta, const uint8_t *data, uint32_t data_len,
                                 uint32_t frame_len, uint64_t seed);

/* The same in the midst of an edit: the IPv4 header checksum need not be right. */
enum mos_pkt_class mos_pkt_parse_edited(struct mos_pkt_meta *meta, const uint8_t *data,
                                        uint32_t data_len, uint32_t frame_len, uint64_t seed);

/* TCP options a monitor needs, read from a SYN (RFC 9293 3.2, RFC 7323). */
struct mos_tcp_opts {
	uint16_t mss;   /* 0 = not given */
	uint8_t wscale; /* 0..14; larger values are clamped as RFC 7323 2.3 demands */
	bool has_wscale;
	bool has_ts;
	bool sack_ok;
	uint32_t ts_val, ts_ecr; /* host order */
};

/*
 * Read TCP options. Any process, any thread. opt points behind the fixed header; len = doff * 4 -
 * 20 (0..40). Of an option given twice the last counts; one whose length is not the one its RFC
 * gives is skipped. An option with a length of 0 or 1, or one that reaches beyond len, ends the
 * list: what was read before it counts. Returns false when the list ended that way.
 */
bool mos_tcp_opts_parse(struct mos_tcp_opts *o, const uint8_t *opt, uint32_t len);

#endif
