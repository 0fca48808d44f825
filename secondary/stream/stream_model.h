/*
 * The naive receiver that secondary/stream is held against: one byte of memory and one of state for
 * each offset, no chunks, no bits, no lists. It knows what stream.h promises, and nothing of how it
 * is done. All loops go byte by byte.
 *
 *            low                     next              high
 *   ---------|-----------------------|-----------------|------
 *    none    |  held or none         | held or none    | none
 *
 * What is left open by the promises, which bytes go when the pool is empty, the stream must tell:
 * the model puts what it tells in doubt; model_resolve() then asks the stream whether it holds
 * them, byte by byte, and nothing else may differ.
 *
 * Offsets are 64 bits; bytes lie in a ring, since only those near `next` are ever held.
 */
#ifndef MOS_SECONDARY_STREAM_MODEL_H
#define MOS_SECONDARY_STREAM_MODEL_H

#include "secondary/stream/stream.h"

/* Bytes: more than a limit, a window and a segment together. */
#define MODEL_SPAN (1u << 19)

enum model_state {
	MODEL_NONE, /* never came, was lost, or given back */
	MODEL_HELD,
	MODEL_DOUBT, /* held, and the stream is free to give it up */
};

struct model_stream {
	uint64_t next;
	uint64_t low, high; /* nothing is held outside */
	uint64_t pos[MOS_SOCKETS_MAX];
	uint32_t base;  /* sequence number of offset 0 for what is held */
	uint64_t acked; /* what its half has acknowledged, with keep */
	uint32_t limit;
	bool last, keep;
	uint8_t readers;
	uint8_t state[MODEL_SPAN]; /* enum model_state, by offset modulo MODEL_SPAN */
	uint8_t value[MODEL_SPAN];
};

/* All zero is an empty stream. Forget what it holds. */
void model_clear(struct model_stream *m);

/* A guess of irs was wrong: what is held belongs to other offsets, and next lies before. */
void model_fall_back(struct model_stream *m, uint64_t next);

/* ---- what the stream must answer ---- */

static inline bool model_holds(const struct model_stream *m, uint64_t off)
{
	return off >= m->low && off < m->high && m->state[off % MODEL_SPAN] != MODEL_NONE;
}

static inline uint8_t model_byte(const struct model_stream *m, uint64_t off)
{
	return m->value[off % MODEL_SPAN];
}

/* How many bytes from off on are held, or are not held, up to end. */
uint64_t model_held_run(const struct model_stream *m, uint64_t off, uint64_t end);
uint64_t model_lost_run(const struct model_stream *m, uint64_t off, uint64_t end);

/* The first range that is held and ends behind off. */
bool model_next_held(const struct model_stream *m, uint64_t off, struct mos_stream_range *range);

bool model_conflicts(const struct model_stream *m, const struct mos_piece *piece,
                     struct mos_stream_range *where);
uint8_t model_overrun(const struct model_stream *m, const struct mos_piece *piece,
                      struct mos_stream_range *lost);

/* ---- what happens to it ---- */

/*
 * next moves: how many of the bytes it passes are held. gap: the first range of those that are not;
 * *missing: how many these are in all.
 */
uint64_t model_advance(struct model_stream *m, uint64_t next, struct mos_stream_range *gap,
                       uint64_t *missing);

/*
 * A piece comes; afterwards next will be `next`. Bytes beyond both that and window_end are not
 * kept. next itself moves in model_advance, after the last piece of the packet. Returns how many
 * bytes of the piece were held before.
 */
uint32_t model_take(struct model_stream *m, const struct mos_piece *piece, uint64_t next,
                    uint64_t window_end);

/* Position of the slowest reader. */
uint64_t model_least(const struct model_stream *m);

/* Another copy of a held byte has taken its place. */
void model_replace(struct model_stream *m, uint64_t off, uint8_t byte);

/*
 * What all have read, or lies beyond the limit, is given back. Returns how many bytes of it
 * somebody has not read.
 */
uint64_t model_release(struct model_stream *m);

/* The same between packets, for a stream that was read: what is beyond the limit stays. */
void model_give_back(struct model_stream *m);

/* All that is held in the range is in doubt. */
void model_doubt(struct model_stream *m, const struct mos_stream_range *range);

/* Does the stream hold the byte at off? */
typedef bool (*model_ask)(void *arg, uint64_t off);

/*
 * Each byte in doubt is held, or not, as the stream says. Returns how many at or behind `from` are
 * not.
 */
uint64_t model_resolve(struct model_stream *m, uint64_t from, model_ask ask, void *arg);

#endif
