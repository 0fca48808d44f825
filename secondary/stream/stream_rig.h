/*
 * The rig for the tests and the fuzz target of streams: a flow table, a chunk pool, tcp_track and
 * secondary/stream, put together as the pipeline does, with a naive model beside each stream. Each
 * call that goes to a stream goes to its model too; where the two differ, rig_wrong() says so and
 * aborts.
 *
 *     end 0 ---- monitor ---- end 1         flow n: which of the ends is the client, and the sides
 *
 * Time does not pass here. One thread.
 */
#ifndef MOS_SECONDARY_STREAM_RIG_H
#define MOS_SECONDARY_STREAM_RIG_H

#include "secondary/stream/stream_model.h"
#include "secondary/tcp_track/tcp_track.h"

enum {
	RIG_FLOWS = 6,
	RIG_VIEWS = 64,
	RIG_PAYLOAD_MAX = 65535,
	RIG_CHUNKS_MAX = 512,
	RIG_TABLE_BYTES = 8192
};

/* When the application is called: with which event, as it were. */
enum rig_when {
	RIG_GAP,     /* bytes that never came were acknowledged */
	RIG_OVERRUN, /* unread bytes are about to be pushed out */
	RIG_DATA,    /* bytes became in order */
};

/* Where the worker dies, if it does. */
enum rig_death {
	RIG_LIVES,
	RIG_DIES_SENT,     /* behind the sender's update */
	RIG_DIES_RECEIVED, /* behind the receiver's, before its stream knows */
	RIG_DIES_ARRIVED,  /* before the callbacks of the new data */
	RIG_DIES_READ,     /* behind them: nothing is settled yet */
};

struct rig_flow {
	bool live;
	uint8_t cli;   /* which end is the client */
	uint32_t slot; /* its record */
	bool noted[2]; /* read between packets */
	struct model_stream in[2];
};

/* What a readv handed out, good until the next settle. */
struct rig_view {
	const uint8_t *bytes;
	uint32_t len;
	uint64_t from;
	uint8_t flow, side;
};

struct rig {
	const char *seed; /* for messages: how to run it again */
	uint64_t step;
	size_t table_len, pool_len;
	uint8_t table_mem[RIG_TABLE_BYTES] MOS_CACHE_ALIGNED;
	uint8_t pool_mem[(RIG_CHUNKS_MAX + 1) * MOS_CHUNK_BYTES] MOS_CACHE_ALIGNED;
	int in_hand; /* flow that is worked on, or -1 */
	struct mos_flow_table flows;
	struct mos_streams streams;
	struct mos_counters counters;
	/* The application; may be NULL. Called while work on flow n is under way. */
	void (*work)(struct rig *r, unsigned n, int side, enum rig_when when);
	void *arg;
	unsigned view_count;
	struct rig_view view[RIG_VIEWS];
	/* How often things happened, to see that a run covers them. */
	uint64_t gaps, conflicts, overruns, evictions, restarts, bytes_read, bytes_lost;
	/* What the counters must say. */
	uint64_t gap_bytes, overrun_bytes, no_room_bytes;
	struct rig_flow flow[RIG_FLOWS];
};

/* Say what is wrong, and abort. */
void rig_wrong(const struct rig *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

#define RIG_CHECK(r, cond)                                                    \
	do {                                                                  \
		if (!(cond))                                                  \
			rig_wrong(r, "%s:%d: %s", __FILE__, __LINE__, #cond); \
	} while (0)

/* A pool of so many chunks, no flow. r is all zero, or was closed. */
void rig_open(struct rig *r, uint32_t chunks);

/* End all flows, see that all chunks are back, free the memory. */
void rig_close(struct rig *r);

/* ---- what comes by ---- */

/*
 * A segment of flow n. Bytes: seg->payload_len of them, in mbufs of at most mbuf_len bytes each.
 * RIG_LIVES: work is done to the end; else the worker dies, and rig_restart() must follow.
 */
void rig_segment(struct rig *r, unsigned n, int from_end, struct mos_tcp_seg *seg,
                 const uint8_t *bytes, uint32_t mbuf_len, enum rig_death death);

/* Another worker takes the shard over. torn: the flow that was worked on, or -1. */
void rig_restart(struct rig *r, int torn);

/* Both streams give back all, and the flow is no more. */
void rig_end_flow(struct rig *r, unsigned n);

/* ---- what the application does: side is the half that has received ---- */

int rig_side(const struct rig *r, unsigned n, int end);
struct mos_flow *rig_record(const struct rig *r, unsigned n);
bool rig_is_on(const struct rig *r, unsigned n, int side);

/* The socket with passive number k reads from now on, though it has not yet. */
void rig_add_reader(struct rig *r, unsigned n, int side, unsigned k);

/* in_hand: as in stream.h; outside of work it is false. Return what mos_stream_read returns. */
int64_t rig_read(struct rig *r, unsigned n, int side, unsigned k, bool in_hand, size_t len);
int64_t rig_readv(struct rig *r, unsigned n, int side, unsigned k, bool in_hand, int iovcnt);

/* What lies at an offset, wherever it is. */
void rig_at(struct rig *r, unsigned n, int side, uint64_t off, size_t len);

/* The range that is held and ends behind an offset. */
void rig_held(struct rig *r, unsigned n, int side, uint64_t off);

/* limit 0 turns the stream off. */
void rig_set_limit(struct rig *r, unsigned n, int side, uint32_t limit);
void rig_set_last(struct rig *r, unsigned n, int side, bool last);
void rig_set_keep(struct rig *r, unsigned n, int side, bool keep);

/* The application changes the packet in hand. */
void rig_detach(struct rig *r);

/* Between packets, after reads with in_hand = false. */
void rig_settle_read(struct rig *r);

/* ---- what must hold between packets ---- */

/* The ranges held, and each byte of them. */
void rig_compare(struct rig *r, unsigned n, int side);

/* Every chunk is free, or in the list of the stream that owns it; all bits are accounted for. */
void rig_check_pool(struct rig *r);

#endif
