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
 * removed one, or, if none was removed, on the byte in front of which they went in (at the end of a
 * packet: the byte behind which). So pieces of a range that is sent again, put together, are the
 * image of the range. An ACK in the midst of an image counts for no removed byte whose image it
 * does not cover.
 *
 * Memory: chunks of the shard's pool, on demand, owned as no stream owns one (mos_remap_owner): one
 * for the state of a side, more for its edits. They are not taken away by other flows' need. None
 * left: -ENOBUFS, and the packet cannot be edited now.
 *
 * Crash: the edits of a packet count from mos_remap_commit on, one store of 64 bits, while the
 * ledger names the flow; its packet has not gone out yet. A worker that dies before leaves the
 * stream as it was; one that dies behind leaves edits of a packet that is dropped (primary/crash
 * drops the suspect of such a flow), and its sender sends it again. A successor finds all by the
 * owner words: mos_remap_adopt.
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

#endif
