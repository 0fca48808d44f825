/*
 * Counters by reason. One block per writer (the primary's I/O lcore, each shard's worker); nobody
 * adds to another's block, readers sum. Monotone from the start of the primary: a worker's
 * successor goes on counting in the block of its shard.
 *
 * Every packet that is dropped is counted where it is dropped, under the reason.
 */
#ifndef MOS_SHARED_COUNTERS_H
#define MOS_SHARED_COUNTERS_H

#include <stdint.h>
#include <stdio.h>

#include "shared/platform.h"

/*
 * Name, meaning. Rows are grouped by who counts them: the primary's I/O lcore, its supervisor,
 * and the worker of a shard.
 */
#define MOS_COUNTERS(X)                                                                     \
	/* primary, I/O lcore */                                                            \
	X(RX_PACKETS, "frames received from ports")                                         \
	X(RX_BYTES, "bytes received from ports")                                            \
	X(TX_PACKETS, "frames given to ports")                                              \
	X(TX_BYTES, "bytes given to ports")                                                 \
	X(NON_IP_FORWARDED, "frames without IP, forwarded untouched")                       \
	X(TO_SHARD, "packets handed to a worker's ring")                                    \
	X(FROM_SHARD, "packets taken back from workers")                                    \
	X(UNMONITORED_RING, "forwarded unmonitored: worker's ring full (fail open)")        \
	X(UNMONITORED_NOWORKER, "forwarded unmonitored: shard without worker (fail open)")  \
	X(DROP_RING_FULL, "dropped: worker's ring full (fail closed)")                      \
	X(DROP_NO_WORKER, "dropped: shard without worker (fail closed)")                    \
	X(DROP_TX_FULL, "dropped: output port took no more")                                \
	X(DROP_LINK_DOWN, "dropped: output port has no link")                               \
	X(DROP_TOO_LONG, "dropped: longer than a port takes, or cut off by one")            \
	X(DROP_NO_PAIR, "consumed: input port has no pair, or forward = 0")                 \
	X(DROP_BY_APP, "dropped: the application's verdict")                                \
	X(DROP_AT_STOP, "dropped: still with a worker or in its ring at the end")           \
	X(DROP_L2_SHORT, "dropped: no whole Ethernet header")                               \
	X(DROP_IP_VERSION, "dropped: EtherType and IP version disagree")                    \
	X(DROP_IP_HDR_LEN, "dropped: IP header length")                                     \
	X(DROP_IP_TOTAL_LEN, "dropped: IP total length")                                    \
	X(DROP_IP_CHECKSUM, "dropped: IP header checksum")                                  \
	X(DROP_IP6_EXT, "dropped: IPv6 extension headers")                                  \
	X(DROP_TCP_HDR_LEN, "dropped: TCP header length")                                   \
	X(GARBAGE, "entries of a tx ring that were no sound packet of its worker")          \
	/* primary, supervisor */                                                           \
	X(WORKER_DEATHS, "workers that died while holding a shard")                         \
	X(SUSPECT_FORWARDED, "packets in hand at a death, forwarded (fail open)")           \
	X(SUSPECT_DROPPED, "packets in hand at a death, not sent: part of drop_by_app")     \
	X(RESCUED, "packets a dead worker had finished or sent, sent by the primary")       \
	X(MBUFS_RECOVERED, "mbufs a dead worker had lost, found by the audit")              \
	X(SHARDS_RENEWED, "shards whose memory was damaged, made anew without their flows") \
	X(STALLS, "workers found without progress while packets waited")                    \
	/* worker */                                                                        \
	X(W_PACKETS, "packets processed")                                                   \
	X(W_BYTES, "bytes of these")                                                        \
	X(W_TCP, "TCP segments of monitored flows")                                         \
	X(W_ORPHANS, "TCP segments without a flow")                                         \
	X(W_OTHER_IP, "IP packets that are no whole TCP segment")                           \
	X(W_TCP_CHECKSUM, "TCP segments with a wrong checksum: forwarded, no events")       \
	X(W_TCP_BOGUS, "segments their receiver would refuse (RST, handshake ACK, old)")    \
	X(W_REXMIT, "segments sent again: data, SYN or FIN")                                \
	X(W_BEYOND_WINDOW, "segments beyond what their receiver can take")                  \
	X(W_GAP_BYTES, "bytes of streams that never came by")                               \
	X(W_OVERRUN_BYTES, "unread bytes pushed out by newer ones")                         \
	X(W_NO_ROOM_BYTES, "bytes given up, or not kept: chunk pool used up")               \
	X(W_CONFLICTS, "segments with other bytes than those held")                         \
	X(W_EDITED, "packets the application has changed")                                  \
	X(W_SENT, "packets the application sent")                                           \
	X(W_SEND_NO_ROOM, "packets it could not send: no empty one, or no room")            \
	X(W_REMAPPED, "packets whose sequence numbers were translated")                     \
	X(W_REMAP_CUT, "edited payloads cut: sent again by their sender")                   \
	X(W_REMAP_LOST, "dropped: translated flow, and its translation is not known")       \
	X(W_IPV6_IGNORED, "TCP over IPv6 while ipv6 = 0: forwarded, raw sockets only")      \
	X(W_PASSED_SUSPECT, "segments of flows on which workers died too often: no events") \
	X(W_FLOWS_CREATED, "flows created")                                                 \
	X(W_FLOWS_ENDED, "flows ended")                                                     \
	X(W_FLOWS_FORGOTTEN, "flows nobody watches any more")                               \
	X(W_FLOWS_ADOPTED, "flows taken over from a predecessor")                           \
	X(W_FLOWS_MENDED, "torn flow records mended at adoption")                           \
	X(W_FLOW_TABLE_FULL, "flows not created: table full")                               \
	X(W_EXPIRED, "flows ended by timeout")                                              \
	X(W_TX_WAITS, "rounds that waited for room in the tx ring")

enum mos_counter {
#define MOS_COUNTER_ENUM(name, text) MOS_CTR_##name,
	MOS_COUNTERS(MOS_COUNTER_ENUM)
#undef MOS_COUNTER_ENUM
		MOS_CTR_COUNT
};

struct mos_counters {
	uint64_t v[MOS_CTR_COUNT];
} MOS_CACHE_ALIGNED;

/* Add n. Only the block's one writer may call it; readers may see the old or the new value. */
static inline void mos_counter_add(struct mos_counters *c, enum mos_counter which, uint64_t n)
{
	__atomic_store_n(&c->v[which], c->v[which] + n, __ATOMIC_RELAXED);
}

/* Read one counter. Any process. */
static inline uint64_t mos_counter_get(const struct mos_counters *c, enum mos_counter which)
{
	return __atomic_load_n(&c->v[which], __ATOMIC_RELAXED);
}

/* Lower-case name of a counter ("drop_ring_full") and what it counts; NULL when out of range. */
const char *mos_counter_name(unsigned which);
const char *mos_counter_text(unsigned which);

/* sum += c, counter by counter. */
void mos_counters_add_to(struct mos_counters *sum, const struct mos_counters *c);

/* Print the counters that are not zero, one `name value meaning` per line, each behind `indent`. */
void mos_counters_print(FILE *out, const struct mos_counters *c, const char *indent);

#endif
