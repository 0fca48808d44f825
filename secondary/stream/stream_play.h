/*
 * What happens on the rig, told in a few bytes: two ends of each flow that send segments in any
 * order, again, with other bytes and with holes; sockets of different habits; options that change;
 * workers that die. Random bytes make the oracle test, a fuzzer's bytes the fuzz target.
 *
 * An operation is PLAY_OP bytes:
 *   0      what (see the table in stream_play.c)
 *   1      bits 0-2 flow, bit 3 end or side, bits 4-5 socket, bits 6-7 how many mbufs
 *   2      bits 0-2 what the sequence number is near to, 3-5 the ACK number, 6-7 the length
 *   3-4    added to the sequence number, signed
 *   5-6    length of the payload, size of a read, or value of an option
 *   7-8    added to the ACK number, or offset of a read
 *   9      TCP flags besides ACK, one in 16 times; version of the payload, one in 4
 *   10     window / 256
 *   11     what the sockets do while they are called
 */
#ifndef MOS_SECONDARY_STREAM_PLAY_H
#define MOS_SECONDARY_STREAM_PLAY_H

#include "secondary/stream/stream_rig.h"

enum { PLAY_OP = 12, PLAY_SOCKETS = 4 };

/* What a socket does when it is told of new data. */
enum play_habit {
	PLAY_ALL,  /* reads until there is nothing */
	PLAY_PART, /* reads once, some */
	PLAY_VIEW, /* reads all, without a copy */
	PLAY_LATE, /* reads in timers, if at all */
};

struct play {
	struct rig rig;
	unsigned flows;
	const uint8_t *op;           /* at hand */
	uint32_t dice;               /* of the callbacks, from the operation */
	uint8_t habit[RIG_FLOWS][2]; /* 2 bits for each socket */
	uint8_t payload[RIG_PAYLOAD_MAX];
};

/* p: static memory, all zero or closed. */
void play_open(struct play *p, unsigned flows, uint32_t chunks);
void play_close(struct play *p);

void play_step(struct play *p, const uint8_t op[PLAY_OP]);

#endif
