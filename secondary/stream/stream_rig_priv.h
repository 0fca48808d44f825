/* What the files of the rig share. */
#ifndef MOS_SECONDARY_STREAM_RIG_PRIV_H
#define MOS_SECONDARY_STREAM_RIG_PRIV_H

#include "secondary/stream/stream_rig.h"

enum { RIG_PIECES_MAX = 8, RIG_WINDOW_UNKNOWN = 150000 };

void rig_open_flow(struct rig *r, unsigned n, int client);

/* The stream is about to look at its bytes: those of an irs that was guessed wrong go. */
void rig_check_base(struct rig *r, unsigned n, int side);

/* The offset of a sequence number, at least 0. */
uint64_t rig_offset(const struct rig *r, unsigned n, int side, uint32_t seq);

/* Up to where all is in order: rcv_nxt, but a FIN is no byte. */
uint64_t rig_target(const struct rig *r, unsigned n, int side);

/* A stream that nobody reads: next := rcv_nxt. */
void rig_catch_up(struct rig *r, unsigned n, int side);

/* All that readv handed out of flow n is still what it was. */
void rig_check_views(const struct rig *r, unsigned n);
void rig_forget_views(struct rig *r, unsigned n);

void rig_same_range(const struct rig *r, const char *what, unsigned n, int side,
                    const struct mos_stream_range *got, const struct mos_stream_range *want);
void rig_check_counters(const struct rig *r);

/* Ask the stream for all bytes in doubt. Returns how many are gone that somebody has not read. */
uint64_t rig_resolve(struct rig *r, unsigned n, int side);

/*
 * Whatever the stream said it lost may be lost; each byte of it is counted. Of the stream named,
 * which had work done, also what all have read, and KEEP kept, may be gone. lost: of that stream,
 * or NULL.
 * again: so many bytes of the piece at hand were held before; their old copies may have been given
 * up, and counted, to make room for the new.
 */
void rig_take_losses(struct rig *r, unsigned n, int side, const struct mos_stream_range *lost,
                     uint32_t again);

#endif
