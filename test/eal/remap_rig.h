/*
 * Streams whose length is edited (MOS_SEQ_REMAP), on the bench (see harness.h). Client 0 sends
 * from number 1001 on, its server from 5001 on. The application writes LONGER for each "bad" and cuts out
 * each "cut", where a packet has it whole.
 */
#ifndef MOS_TEST_REMAP_RIG_H
#define MOS_TEST_REMAP_RIG_H

#include "test/eal/edit_rig.h"

#define SUMS (MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM)

/* The packet that came out last. */
struct remap_wire {
	uint32_t seq, ack, len;
	uint8_t flags;
	char bytes[2000];
	const uint8_t *opt;
};
extern struct remap_wire wire;
void read_wire(void);

/* Why the application could not edit. */
extern int edit_errno;

/* Send a packet with these bytes; wire is what becomes of it. */
void send_text(int from, uint8_t flags, uint32_t seq, uint32_t ack, const char *text);
void cli(uint32_t seq, const char *text);
void svr(uint32_t seq, uint32_t ack, const char *text);

#define expect_wire(s, text)                          \
	do {                                          \
		ck_assert_uint_eq(wire.seq, (s));     \
		ck_assert_str_eq(wire.bytes, (text)); \
	} while (0)

/* Edit the payload of the packet at hand. */
int edit(int sock, int side, off_t at, const char *data, size_t len, int option);

/* The application. Naive: it does not care whether it has seen the packet before. */
void rewrite(int sock, int side);

/* Set MOS_SEQ_REMAP. */
int option(int sock, int side, int64_t off);

/* An established flow of which both sides are edited. */
void open_flow(void);

const struct mos_flow *flow(void);

#endif
