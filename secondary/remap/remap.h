/*
 * Streams whose length is edited on the way (MOS_SEQ_REMAP): what was edited, so that it can be
 * done again, and the numbers of the two ends.
 *
 *   sent      ... a b c d e f g h i ...      numbers of the sender
 *                    '-.-'
 *   edit:      [c, f) becomes "XY"           removed 3, inserted 2
 *                    .'.
 *   received  ... a b X Y f g h i ...        numbers of the receiver, and of everything in here
 *                                            that is about this stream: flow record, streams
 *
 *            settled            noted edits               open
 *   sent  ------------------|-----[ ]---[  ]------|---------------------
 *                       acknowledged          decided
 *
 * What lies below `decided` has gone to the receiver: its image does not change any more. When it
 * is sent again, in whatever pieces, the same bytes come out. Edits in front of what the receiver
 * has acknowledged are forgotten; the sum of their lengths stays.
 *
 * A byte in front of an edit, or behind it, has one number on the other side. Byte k of the removed
 * ones stands for byte k of the inserted ones; what is left of the inserted ones hangs on the last
 * removed one. Where none was removed, they hang on the byte in front of which they went in, as if
 * that had been removed and put in again behind them; at the end of a packet on its FIN, or else on
 * the byte behind which they went in. So pieces of a range that is sent again, put together, are
 * the image of the range. An ACK in the midst of an image counts for no removed byte whose image it
 * does not cover.
 *
 * Memory: none beyond the flow record while nothing was edited. Then chunks of the shard's pool,
 * owned as no stream owns one (mos_remap_owner): one for the state of a side, more for its edits.
 * They are not taken away by other flows' need, and go when all edits are acknowledged; that of the
 * state only if the lengths then are even. None left: -ENOBUFS, and the packet cannot be edited
 * now.
 *
 * Crash: the edits of a packet count from mos_remap_commit on, one store of 64 bits, while the
 * ledger names the flow; its packet has not gone out yet. A worker that dies before leaves the
 * stream as it was; one that dies behind leaves edits of a packet that is dropped (primary/crash
 * drops the suspect of such a flow), and its sender sends it again. A successor finds all by the
 * owner words (mos_remap_adopt), also of a flow with MOS_FLOW_TORN; and believes nothing of it.
 * What does not hold together is freed, and the stream is lost: mos_remap_lost.
 *
 * Stack thread of the worker that holds the shard. Pure: knows neither mbufs nor events.
 */
#ifndef MOS_SECONDARY_REMAP_H
#define MOS_SECONDARY_REMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/chunk_pool/chunk_pool.h"
#include "shared/flow_table/flow_table.h"

/* Bytes one edit may insert: it lies in one chunk. */
#define MOS_REMAP_INSERT_MAX  1400
/* Chunks of edits that a side may have, not counting the one of its state. */
#define MOS_REMAP_CHUNKS_MAX  64
/* Edits that one packet may have. */
#define MOS_REMAP_PENDING_MAX 256

/* No stream's: those have the top bit clear, for ids stay below 2^62. */
static inline uint64_t mos_remap_owner(uint64_t flow_id, int from)
{
	return UINT64_C(1) << 63 | mos_chunk_owner(flow_id, from);
}

/* The lengths of what side `from` of the flow sends are edited. */
static inline bool mos_remap_on(const struct mos_flow *f, int from)
{
	return f->flags & (MOS_FLOW_REMAP << from);
}

/* Of either side. */
static inline bool mos_remap_any(const struct mos_flow *f)
{
	return f->flags & (MOS_FLOW_REMAP | MOS_FLOW_REMAP << 1);
}

/* Numbers of either side differ at the two ends: without translation the flow would be corrupted. */
static inline bool mos_remap_edited(const struct mos_flow *f)
{
	return (f->remap[MOS_CLI] | f->remap[MOS_SVR]) & MOS_REMAP_EDITED;
}

/* It was edited, but how is not known any more: its packets cannot be translated. */
static inline bool mos_remap_lost(const struct mos_flow *f, int from)
{
	return (f->remap[from] & MOS_REMAP_EDITED) && f->edits[from] == 0;
}

/* An edit of the packet at hand. */
struct mos_remap_edit {
	uint32_t off;      /* in the payload as its sender has sent it */
	uint32_t removed;  /* bytes from there on */
	uint32_t inserted; /* bytes that are there now */
};

/* Private to the worker. */
struct mos_remap {
	struct mos_chunk_pool *pool;
	struct mos_flow_table *flows;

	/* the packet at hand: mos_remap_packet */
	uint32_t flow;
	int from;
	uint32_t seq; /* of its payload */
	uint32_t len; /* bytes of payload, as sent */
	bool fin;
	bool reserved;  /* chunks were taken for it */
	uint32_t count; /* edits, by ascending offset; two never touch each other */
	struct mos_remap_edit edit[MOS_REMAP_PENDING_MAX];
};

/* ---- life ---- */

void mos_remap_init(struct mos_remap *r, struct mos_chunk_pool *pool, struct mos_flow_table *flows);

/*
 * From now on what `from` sends is edited. decided: the first byte it has not sent; with known
 * false that of its next packet. Nothing, if it is so already.
 */
void mos_remap_switch_on(struct mos_flow *f, int from, bool known, uint32_t decided);

/* The stream begins anew, at this number: another SYN. Its edits are forgotten. */
void mos_remap_restart(struct mos_remap *r, uint32_t flow, int from, uint32_t decided);

/* The flow ends: give back all chunks. */
void mos_remap_free_flow(struct mos_remap *r, uint32_t flow);

/* ---- adoption ---- */

/* For a mos_chunk_keep, of chunks whose owner word has the top bit: the list, or NULL. */
mos_chunk_list *mos_remap_keep(struct mos_flow_table *flows, const struct mos_chunk *c);

/* Behind the join of the pool: free all that does not hold together. */
void mos_remap_adopt(struct mos_chunk_pool *pool, struct mos_flow_table *flows);

/* ---- numbers: of a side with mos_remap_on that is not lost ---- */

/* Its number of the first byte that may be edited. */
uint32_t mos_remap_decided(struct mos_remap *r, uint32_t flow, int from);

/* The receiver's number of the sender's seq: where the image of that byte begins. */
uint32_t mos_remap_map(struct mos_remap *r, uint32_t flow, int from, uint32_t seq);

/* The sender's number of what the receiver has acknowledged; or where what it has begins (SACK). */
uint32_t mos_remap_unmap(struct mos_remap *r, uint32_t flow, int from, uint32_t ack);
uint32_t mos_remap_unmap_start(struct mos_remap *r, uint32_t flow, int from, uint32_t start);

/* The receiver has acknowledged all below: forget edits. Of a segment that tcp_track believes. */
void mos_remap_acked(struct mos_remap *r, uint32_t flow, int from, uint32_t ack);

/* ---- a packet: in this order ---- */

/* Begin: payload of len bytes from seq on, then perhaps a FIN. Edits of the one before are gone. */
void mos_remap_packet(struct mos_remap *r, uint32_t flow, int from, uint32_t seq, uint32_t len,
                      bool fin);

/*
 * len bytes at offset `at` of the payload, as it is now, are about to go; or come in before it.
 * insert_max: bytes that may stand at one place, [1, MOS_REMAP_INSERT_MAX].
 * 0; -EALREADY: these bytes are decided; -ENOBUFS: no chunk is free; -EMSGSIZE: too long, or too
 * many edits; -EINVAL (insert): there is nothing the bytes could hang on. Nothing has changed then.
 */
int mos_remap_note_chomp(struct mos_remap *r, uint32_t at, uint32_t len);
int mos_remap_note_insert(struct mos_remap *r, uint32_t at, uint32_t len, uint32_t insert_max);

/*
 * The packet goes out: its edits count, and all of it is decided; nothing, if it has neither
 * payload nor FIN. payload: as it is now; not looked at without edits.
 */
void mos_remap_commit(struct mos_remap *r, const uint8_t *payload);

/* It does not go out, or nothing of it may be decided: its edits are forgotten. */
void mos_remap_discard(struct mos_remap *r);

/* Are there edits in the range? Then its image has to be put in its place. */
bool mos_remap_touches(struct mos_remap *r, uint32_t flow, int from, uint32_t seq, uint32_t len,
                       bool fin);

/* What became of a range: image_len bytes of image stand for taken bytes. */
struct mos_remap_image {
	uint32_t len;   /* bytes of image */
	uint32_t taken; /* bytes of the range that they stand for, less if there was no room */
	bool fin;       /* the FIN follows, too */
};

/*
 * Write the image of len bytes from seq on, all decided, then perhaps a FIN, into room bytes at
 * out.
 */
struct mos_remap_image mos_remap_image(struct mos_remap *r, uint32_t flow, int from, uint32_t seq,
                                       const uint8_t *sent, uint32_t len, bool fin, uint8_t *out,
                                       uint32_t room);

#endif
