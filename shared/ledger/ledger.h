/*
 * The ledger of one shard: what its worker has in hand, readable after its death.
 *
 * The rx ring itself holds the packets: a worker takes a burst by moving only cons.head (zero-copy
 * dequeue), works on it, enqueues all mbufs into the tx ring in one bulk, and only then moves
 * cons.tail. So the ledger needs no list of mbufs, only positions:
 *
 *   begin            packet(i) ... packet(i)         tx bulk            end
 *   count = n        cur = i, stage, flow            tx.prod.tail += n  count = 0
 *   rx_tail, tx_tail
 *
 * After a death the primary asks mos_ledger_resolve() what became of the n packets:
 *   count == 0                    nothing in hand; at stage AFTER a timer or an adopted flow was
 *   rx cons.tail moved            all is done, only `end` is missing
 *   tx prod.tail moved            the burst went out: complete the dequeue of n
 *   otherwise                     [0, cur) are finished: send them by their verdicts, and what
 *                                 the program has sent between them and behind them
 *                                 cur is the suspect if stage != IDLE (at stage LOOKUP without
 *                                 flow it may be tried once more: primary/crash)
 *                                 at stage DATA cur is finished too: only its flow is not
 *                                 the rest stays in the ring for the successor
 *                                 (all finished, at stage AFTER: a flow was told of a loss)
 *
 * One writer, the worker that holds the shard; between two of them the primary empties it. A dead
 * process's stores up to its last one are visible, in order, to whoever learns of its death; the
 * release stores below keep the compiler from changing that order where it is read.
 *
 * Memory: part of struct mos_shard. Not its job: the mbufs themselves (primary/crash).
 */
#ifndef MOS_SHARED_LEDGER_H
#define MOS_SHARED_LEDGER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/kill_point/kill_point.h"
#include "shared/ledger/outbox.h"
#include "shared/platform.h"

#define MOS_BURST_MAX 32

/* Where in the work on packet `cur` the worker is. */
enum mos_ledger_stage {
	MOS_STAGE_IDLE,   /* between packets: packet cur has not been started */
	MOS_STAGE_RAW,    /* raw sockets' callbacks, and what follows; callbacks for orphans */
	MOS_STAGE_LOOKUP, /* flow lookup and creation; no callback has seen the packet */
	MOS_STAGE_SND,    /* sender half and its callbacks */
	MOS_STAGE_RCV,    /* receiver half and its callbacks */
	MOS_STAGE_DATA,   /* the packet is finished; NEW_DATA, and what nobody read is stored */
	MOS_STAGE_END,    /* end of the flow and its callbacks */
	MOS_STAGE_AFTER,  /* told losses, timers, expiry: behind the packets of a burst */
};

/* Letters: S the worker that holds the shard. */
struct mos_ledger {
	uint32_t count;   /* S packets in hand, 0 = none; written last by begin, first by end */
	uint32_t rx_tail; /* S rx cons.tail before the burst */
	uint32_t tx_tail; /* S tx prod.tail before the burst */
	uint32_t outbox;  /* S packets in the outbox; says nothing while count is 0 */
	union {
		uint64_t at; /* S both of the following */
		struct {
			uint32_t cur;   /* S packet that is worked on, [0, count] */
			uint32_t stage; /* S enum mos_ledger_stage */
		};
	};
	uint32_t flow; /* S its flow record, UINT32_MAX = none */
} MOS_CACHE_ALIGNED;
static_assert(offsetof(struct mos_ledger, stage) == offsetof(struct mos_ledger, cur) + 4 &&
                      __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "mos_ledger_done stores cur and stage as one word");

/* What is to be done with a dead worker's burst. */
struct mos_ledger_verdict {
	uint32_t done;   /* first `done` packets of the ring: forward by their verdicts */
	uint32_t outbox; /* entries of the outbox that go out with them; 0 when sent */
	bool sent;       /* instead: all `done` packets were handed over; only dequeue them */
	bool suspect;    /* the next packet is the suspect */
	uint32_t flow;   /* flow it worked on, UINT32_MAX = none; also at stage AFTER */
	uint32_t stage;  /* enum mos_ledger_stage at death */
};

/* ---- worker ---- */

/* A burst of count packets is in hand; the positions are the rings' tails before it. */
static inline void mos_ledger_begin(struct mos_ledger *l, uint32_t count, uint32_t rx_tail,
                                    uint32_t tx_tail)
{
	if (MOS_UNNOTED)
		return;
	l->rx_tail = rx_tail;
	l->tx_tail = tx_tail;
	l->outbox = 0;
	l->at = (uint64_t)MOS_STAGE_IDLE << 32;
	l->flow = UINT32_MAX;
	mos_kill_point("ledger.begin");
	__atomic_store_n(&l->count, count, __ATOMIC_RELEASE); /* what it counts is written */
}

/* Enter a stage of the work on packet `cur`, or AFTER and back to IDLE when none is left. */
static inline void mos_ledger_stage(struct mos_ledger *l, enum mos_ledger_stage stage)
{
	if (MOS_UNNOTED)
		return;
	__atomic_store_n(&l->stage, stage, __ATOMIC_RELEASE); /* work of the stage before is done */
}

/* The work from here on is about this flow record; UINT32_MAX = none. */
static inline void mos_ledger_flow(struct mos_ledger *l, uint32_t flow)
{
	if (MOS_UNNOTED)
		return;
	__atomic_store_n(&l->flow, flow, __ATOMIC_RELEASE);
}

/*
 * Packet i is finished: its verdict stands in its meta data. One store says so: between two of them
 * the packet would be unfinished and not started, or its successor the suspect. The successor
 * would then work again on a packet that may have been edited, which would edit it twice, and send
 * again what was sent for it.
 */
static inline void mos_ledger_done(struct mos_ledger *l, uint32_t i)
{
	if (MOS_UNNOTED)
		return;
	__atomic_store_n(&l->at, (uint64_t)MOS_STAGE_IDLE << 32 | (i + 1), __ATOMIC_RELEASE);
	mos_kill_point("ledger.done");
	l->flow = UINT32_MAX;
}

/* A burst is in hand: what is sent goes into the outbox. */
static inline bool mos_ledger_in_hand(const struct mos_ledger *l)
{
	return l->count != 0;
}

/* The outbox now has n entries, in the order of their `before`. Only with a burst in hand. */
static inline void mos_ledger_outbox(struct mos_ledger *l, uint32_t n)
{
	__atomic_store_n(&l->outbox, n, __ATOMIC_RELEASE); /* entry and packet are written */
}

/* The burst was handed over and given back: nothing is in hand. */
static inline void mos_ledger_end(struct mos_ledger *l)
{
	__atomic_store_n(&l->count, 0, __ATOMIC_RELEASE); /* rx cons.tail has moved before */
}

/* ---- primary, after the worker's death ---- */

/*
 * Decide from the ledger and the two ring positions as the dead worker left them. Every value is
 * checked: a ledger that makes no sense (count over MOS_BURST_MAX or over `waiting`, the packets
 * between cons.tail and prod.tail; outbox over MOS_OUTBOX_MAX) gives an empty verdict and returns
 * false.
 */
bool mos_ledger_resolve(const struct mos_ledger *l, uint32_t rx_cons_tail, uint32_t tx_prod_tail,
                        uint32_t waiting, struct mos_ledger_verdict *out);

/* Make it empty. Primary, while nobody holds the shard. */
void mos_ledger_reset(struct mos_ledger *l);

/* ---- any process ---- */

/* "idle", "raw", ... "after" or "?". */
const char *mos_ledger_stage_name(unsigned stage);

#endif
