/*
 * The volume of one connection, for each direction: packets, bytes of IP packets, and of the TCP
 * payload what came for the first time, what came again, and what never came by.
 *
 *   packet of the client --offset, payload--> ranges of to_server --> first seen | again
 *                        --ACK number-------> to_client: up to where its receiver has all
 *
 * What has not come by is what the receiver acknowledges and nobody sent through here; so a FIN
 * that was missed counts as a byte. Offsets are 64 bits, 0 = the first byte behind the SYN. Of a
 * connection that is joined in its middle each direction begins with the first payload seen.
 *
 * Memory: see ranges.h. Pure. One thread at a time.
 */
#ifndef BYTECOUNT_FLOW_COUNT_H
#define BYTECOUNT_FLOW_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "apps/bytecount/ranges.h"

/* Indices: MOS_SIDE_CLI is the client's direction, and so on. */
enum { TO_SERVER = 0, TO_CLIENT = 1 };

/* What is counted of one direction. payload = unique + what came again. */
struct volume {
	uint64_t packets;
	uint64_t ip_bytes;
	uint64_t payload; /* bytes */
	uint64_t unique;  /* bytes of it that came for the first time */
	uint64_t missed;  /* bytes that never came by; told at the end */
};

/* What matters of a packet. */
struct segment {
	uint64_t time_ns;
	uint64_t offset; /* of the payload; also 0 where it begins before the first byte */
	uint32_t seq, ack_seq;
	uint16_t ip_bytes, payload_bytes;
	bool syn, fin, ack;
};

struct direction {
	struct volume volume;
	struct ranges seen;
	bool begun;         /* seq_begin is known */
	bool fin;           /* it was seen */
	uint32_t seq_begin; /* sequence number of offset 0 */
	uint64_t acked;     /* the receiver has all below */
	uint64_t fin_at;    /* offset behind the last byte */
};

struct flow_count {
	struct direction direction[2];
	uint64_t begin_ns, end_ns; /* first packet, or when it was joined; last one */
	bool joined, reset;
};

/* joined: it did not begin with the packets that are going to be counted, but some time before. */
void flow_count_init(struct flow_count *f, bool joined, uint64_t now_ns);
void flow_count_fini(struct flow_count *f);

/* Count a packet of that direction. Returns how many bytes of its payload are new. */
uint64_t flow_count_packet(struct flow_count *f, int direction, const struct segment *s);

/* What was counted so far. */
struct volume flow_count_volume(const struct flow_count *f, int direction);

/* Why it ended: "fin" (of both sides), "rst", or "timeout". */
const char *flow_count_reason(const struct flow_count *f);

#endif
