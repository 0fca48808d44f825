/*
 * Streams on the worker's bench (see harness.h): packets whose bytes are known by their offset, and
 * checks of what is read. Calls of the test outside of callbacks are those of a timer.
 *
 *   sr_open(); sr_flow();                     one flow with the numbers of hs_handshake
 *   sr_data(MOS_SVR, 0, 100);                 the server receives [0, 100) of its stream
 *   sr_reads(sr.sock, MOS_SVR, 0, 100);       and the program reads it
 *
 * `side` is always the receiver's: that of callbacks and calls.
 */
#ifndef MOS_TEST_STREAM_RIG_H
#define MOS_TEST_STREAM_RIG_H

#include "test/eal/worker_tests.h"

#define SR_MAX 65536u /* bytes one check reads */

struct stream_rig {
	int passive;      /* it hears of NEW_DATA and ERROR, and of CONN_END at RCV */
	int sock;         /* active socket of the flow in use */
	uint32_t flow;    /* number of its client */
	uint32_t isn[2];  /* of client and server */
	uint64_t took[2]; /* offset up to which each side has acknowledged */
	uint16_t wnd;     /* what packets advertise; 0 = HS_WND */

	/* by hs.act of sr_watch */
	unsigned new_data, errors, ends;
	struct mos_stream_gap gap; /* of the last error */
	int gap_side;
};

extern struct stream_rig sr;

/* hs_open, and the passive socket. Clears sr. */
void sr_open(const struct hs_opt *opt);
int sr_passive(void);

/* Handshake of client `flow`, whose active socket on sr.passive becomes sr.sock. */
void sr_flow(uint32_t flow);

/* The same with these initial sequence numbers. */
void sr_flow_from(uint32_t flow, uint32_t isn_cli, uint32_t isn_svr);

/* The active socket of the flow in use on another passive socket. */
int sr_sock_of(int passive);

/* The byte at an offset of what side receives. */
uint8_t sr_byte(int side, uint64_t off);

/* A packet to side with [off, + len) of its stream, into the rx ring. */
void sr_send(int side, uint64_t off, uint32_t len);
/* The same, but the bytes are others, each of them. */
void sr_send_other(int side, uint64_t off, uint32_t len);

/* Send and run a round. */
void sr_data(int side, uint64_t off, uint32_t len);
void sr_other(int side, uint64_t off, uint32_t len);

/* Side has taken what lies before off, and says so with an ACK. */
void sr_ack(int side, uint64_t off);

/* Side's peer sends its FIN behind off. */
void sr_fin(int side, uint64_t off);

/* From now on, count events in sr; body, if any, runs in each of NEW_DATA. */
void sr_watch(void (*body)(int sock, int side));

/* ---- checks ---- */

/* [off, + len) comes next, at least; it is read. */
void sr_reads(int sock, int side, uint64_t off, uint32_t len);
/* There is nothing new. */
void sr_reads_nothing(int sock, int side);
/* The next n bytes are lost. */
void sr_loses(int sock, int side, int64_t n);
/* ppeek finds [off, + len), and then its end or a hole. */
void sr_holds(int sock, int side, uint64_t off, uint32_t len);
void sr_holds_not(int sock, int side, uint64_t off);
/* These are the bytes of the stream from off on. */
void sr_is(const void *bytes, int side, uint64_t off, uint32_t len);

int sr_set(int sock, int option, int value);
uint32_t sr_chunks_in_use(void);

#endif
