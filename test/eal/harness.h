/*
 * A worker on the bench, without a primary: EAL without hugepages, a root and one shard in ordinary
 * memory, and the test itself as the stack thread.
 *
 *   hs_send(packet) -> shard.rx -> hs_round(): mos_loop_round() -> shard.tx -> checked and freed
 *                                      |
 *                                      +-> callbacks -> hs.act() and lines of hs.log
 *
 * The clock is the packets' (clock = packet): hs.now_ns moves by hs_advance() alone.
 *
 * A line of the log is what one dispatch raised, as in the order tables of the specification:
 *
 *   SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]
 *
 * with the states of client and server as the callback reads them, if it is about a flow. With
 * hs.show_sock the number of the passive socket, or the id of a raw one, stands in front.
 */
#ifndef MOS_TEST_HARNESS_H
#define MOS_TEST_HARNESS_H

#include <check.h>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "secondary/context/context.h"
#include "secondary/event/event.h"
#include "secondary/loop/loop.h"
#include "secondary/pipeline/pipeline.h"

#define HS_WND      0xff00                        /* what packets advertise */
#define HS_START_NS (UINT64_C(1000) * 1000000000) /* the stack clock at hs_open */

/* What differs from the usual: zero means flows 64, ring 256, no TIME_WAIT, timeout 30 s. */
struct hs_opt {
	uint32_t flows;
	uint32_t ring;
	uint32_t tw_ms;
	uint32_t timeout_ms;
	uint32_t flow_area;
	bool no_ipv6;
	bool trust_csum;
	bool wall_clock;
	uint32_t blanks; /* packets in the blank ring, 0 = 16 */
};

/* A packet that the application sent. */
struct hs_out {
	uint8_t bytes[2048];
	uint32_t len;
	struct mos_pkt_meta meta;
	uint64_t ol_flags;
	uint32_t behind; /* so many of the network came out in front of it, since hs_clear */
};

#define HS_OUT_MAX 1024

/* A TCP packet. Client 10.0.0.1 + flow, port 40000, to server 10.0.1.2:443, or the way back. */
struct hs_pkt {
	int from; /* MOS_CLI or MOS_SVR */
	uint8_t flags;
	uint32_t seq, ack;
	uint32_t payload; /* bytes */
	uint32_t flow;    /* number of the client */
	uint16_t vlan;
	uint16_t wnd; /* 0 = HS_WND */
	bool ip6;
	bool bad_sum;        /* of TCP */
	uint32_t ts, ts_ecr; /* timestamps; no such option when ts is 0 */
	const void *bytes;   /* the payload; NULL: all x */
};

struct harness {
	struct mos_root *root;
	struct mos_shard *shard;
	struct rte_mempool *pool;
	struct mos_ctx *c; /* the worker: one of mos_worker.ctx */
	uint64_t now_ns;
	uint32_t sent, came_out; /* packets, since hs_open */
	bool may_drop;           /* the application drops packets */
	uint32_t dropped;        /* of those that came out */
	/* Called with each packet of a round that comes out, before it is freed; may be NULL. */
	void (*out)(struct rte_mbuf *m);
	struct hs_out *made; /* what the application sent since hs_clear; HS_OUT_MAX of them */
	uint32_t made_count;
	uint32_t net_count; /* packets of the network that came out since hs_clear */

	bool show_sock;
	char log[65536];
	size_t log_len;
	uint64_t last_line; /* what the line under way is about */
	/* Called by each callback before its line is written; may be NULL. */
	void (*act)(int sock, int side, event_t event, int hook);
	unsigned acted; /* how often hs_act_on's body ran */
};

extern struct harness hs;

/* Start EAL once, in main; exits with 77 where it cannot be had. */
void hs_eal(void);

/* Format root and shard and attach worker 0. NULL = all defaults. */
void hs_open(const struct hs_opt *opt);
/* Clear the worker and give everything back; checks that the pool is whole. */
void hs_close(void);

/* Let worker number i (0..) take the shard and adopt what it finds. */
void hs_attach(unsigned i);

/*
 * The worker is dead: what it had in hand is resolved as the primary does it: what was finished or
 * suspect goes out, the rest stays in the rx ring. Its heap is kept until hs_close.
 */
struct mos_ledger_verdict hs_bury(void);

/* A passive socket with the events of packets and states at SND and RCV, and a raw one at NULL. */
int hs_passive(void);
int hs_raw(void);
/* A passive socket with every event registered at every hook. */
int hs_passive_all(void);
/* The callbacks these two register. */
void hs_on_snd(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);
void hs_on_rcv(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);
void hs_on_null(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

/* Build the packet, parse it as the primary does and put it into the rx ring. */
struct rte_mbuf *hs_send(const struct hs_pkt *p);
/* Any frame of these bytes. */
struct rte_mbuf *hs_send_frame(const void *bytes, uint32_t len);
struct mos_pkt_meta *hs_meta(struct rte_mbuf *m);

/*
 * One round. Checks that the ledger is empty after it, that what left the rx ring came out of tx in
 * the same order, and takes it, with what the application sent. Returns how many packets that were.
 */
uint32_t hs_round(void);

/* Send, run a round, and compare the lines the packet caused. */
#define hs_expect(packet, lines)                  \
	do {                                      \
		hs_clear();                       \
		hs_send(&(packet));               \
		ck_assert_uint_eq(hs_round(), 1); \
		ck_assert_str_eq(hs.log, lines);  \
	} while (0)

/* Forget the log and what was sent. */
void hs_clear(void);

/* From now on, body is the application's code in callbacks of this event at this hook. */
void hs_act_on(event_t event, int hook, void (*body)(int sock, int side));

/* Send the packet and run a round with it; the body must have run. The log is cleared. */
void hs_in_callback(event_t event, int hook, void (*body)(int sock, int side),
                    const struct hs_pkt *p);

/* Let time pass, then run rounds until nothing is due. */
void hs_advance(uint64_t ms);

/* Handshake of a client, numbers from 1000 and 5000 on; log is cleared. */
void hs_handshake(uint32_t flow);

static inline mctx_t hs_mctx(void)
{
	return &hs.c->api;
}

static inline uint64_t hs_count(enum mos_counter which)
{
	return mos_counter_get(&hs.shard->counters, which);
}

#endif
