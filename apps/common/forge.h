/*
 * TCP packets in the name of an end of a flow, which that end has not sent: what mtcp_sendpkt_ext()
 * is given, from addresses and numbers. IPv4 and IPv6.
 */
#ifndef APPS_COMMON_FORGE_H
#define APPS_COMMON_FORGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "mos_api.h"
#include "mos_ext.h"

/* Flags, as in byte 13 of the TCP header. */
enum {
	FORGE_FIN = 0x01,
	FORGE_SYN = 0x02,
	FORGE_RST = 0x04,
	FORGE_PSH = 0x08,
	FORGE_ACK = 0x10,
};

/* Host byte order. */
struct forged_segment {
	int from; /* MOS_SIDE_CLI or MOS_SIDE_SVR: in whose name */
	uint32_t seq, ack;
	uint16_t window; /* as in the header, not scaled */
	uint8_t flags;
	bool has_ts;
	uint32_t ts_val, ts_ecr;
	const uint8_t *payload; /* the caller's */
	uint16_t payload_len;
};

/* A packet and what it points at. It points into itself: not to be copied. */
struct forged {
	struct pkt_info info;
	struct pkt_info_ext ext; /* ip6h is NULL with IPv4 */
	union {
		struct iphdr ip;
		struct ip6_hdr ip6;
	};
	struct {
		struct tcphdr tcp;
		uint8_t options[12];
	} l4;
};

/* Build a packet. addr: the flow's ends, as mtcp_getpeername() tells them; client first. Pure. */
void forge(struct forged *f, const struct sockaddr_storage addr[2], const struct forged_segment *s);

/* Build and send a packet of an active socket's flow. Stack thread. False with errno: not sent. */
bool forge_send(mctx_t mctx, int sock, const struct forged_segment *s);

#endif
