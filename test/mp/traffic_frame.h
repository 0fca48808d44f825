/*
 * The frames of the test traffic: plain bytes in, plain facts out. No sockets, no clock.
 */
#ifndef MOS_TEST_TRAFFIC_FRAME_H
#define MOS_TEST_TRAFFIC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX  128
#define DATA_BYTES 32 /* payload of each data packet */

enum frame_kind { FRAME_SYN, FRAME_SYN_ACK, FRAME_ACK, FRAME_DATA, FRAME_FOREIGN };

struct frame {
	enum frame_kind kind;
	uint32_t flow;
	uint32_t direction; /* 0 from the client, 1 from the server */
	uint32_t number;    /* of a data packet, from 0, in its flow and direction */
	uint32_t acked;     /* data packets of the other direction its sender has seen */
};

/* Write the frame with right lengths and checksums to out (FRAME_MAX bytes). Returns its length. */
size_t frame_write(const struct frame *f, uint8_t *out);

/* Say what a received frame is: FRAME_FOREIGN when it is none of ours. */
void frame_read(const uint8_t *bytes, size_t len, struct frame *f);

#endif
