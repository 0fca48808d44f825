/*
 * Streams on the bench of harness.h: two ends that send bytes known by their offset, and what the
 * sockets of one worker read of them.
 *
 * Client 0 sends from number 1001 on, its server from 5001 on; `off` counts from there.
 */
#ifndef MOS_TEST_STREAM_WIRE_H
#define MOS_TEST_STREAM_WIRE_H

#include "test/eal/worker_tests.h"

#define SW_ROOM (1 << 20)

/* What a socket has read of one half, and where it was told of a loss. */
struct sw_reader {
	uint8_t bytes[SW_ROOM]; /* at their offsets */
	uint8_t known[SW_ROOM]; /* how often each was read */
	uint64_t pos;
	uint64_t lost; /* bytes, as reading told */
};

/* MOS_ON_ERROR, as it was told. */
struct sw_error {
	int sock; /* passive number */
	struct mos_stream_told told;
};

struct stream_wire {
	struct sw_reader reader[2][2]; /* by passive number and side */
	struct sw_error error[64];
	unsigned errors;
	bool (*may_read)(int k, int side, event_t event, int hook); /* NULL: at NEW_DATA */
};

extern struct stream_wire sw;

/* The byte that the peer of `side` sends at an offset. */
uint8_t sw_byte(int side, uint64_t off);

/*
 * Open a bench with one passive socket that has all events, or two, and an established flow. They
 * read what there is at each NEW_DATA, or when may_read says so.
 */
void sw_open(const struct hs_opt *opt, int sockets);

/* Start over with what was read and told. */
void sw_clear(void);

/* Put the callbacks of a socket that reads, in place of hs_passive_all(): of a successor. */
void sw_socket(void);

/* Send [off, off + len) to `side`. */
void sw_send(int side, uint64_t off, uint32_t len);
/* The same with other bytes. */
void sw_send_other(int side, uint64_t off, uint32_t len);
/* `side` says that it has all below off. */
void sw_ack(int side, uint64_t off);

/* Let socket k read all it can, now. */
void sw_read(int k, int side);

/* Socket k has read [0, end) but for what it was told is lost, each byte once and as it was sent. */
void sw_check(int k, int side, uint64_t end, uint64_t lost);

/* The error number i was told socket k of this half. */
void sw_check_error(unsigned i, int k, int side, int cause, uint64_t from, uint64_t end);

#endif
