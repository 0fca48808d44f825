/*
 * How the edits of a side lie in its chunks. Private to this folder.
 *
 *   page 0        the state: two words of 64 bits, each written in one store
 *                   fate  { decided, end of the log }
 *                   past  { sum of forgotten lengths, begin of the log }
 *   page 1 + n    page n of the log, modulo 2^24
 *
 * A position in the log is n << 8 | unit; a unit has 8 bytes, a page 224 units. A record is 16
 * bytes and what was inserted, in one page; records ascend in the numbers of both ends. Where one
 * does not fit into its page, a record that says so is left, if there is room for that.
 */
#ifndef MOS_SECONDARY_REMAP_PRIV_H
#define MOS_SECONDARY_REMAP_PRIV_H

#include "secondary/remap/remap.h"

#define MOS_LOG_UNIT  8u
#define MOS_LOG_UNITS (MOS_CHUNK_PAGE / MOS_LOG_UNIT)
#define MOS_LOG_PAGES (1u << 24)
/* No number that counts is older: the largest window there is. */
#define MOS_LOG_SPAN  (1u << 30)

struct mos_log_state {
	uint64_t fate; /* decided, end << 32 */
	uint64_t past; /* delta, begin << 32 */
};

enum mos_log_kind {
	MOS_LOG_SKIP = 1, /* the rest of the page is not used */
	MOS_LOG_EDIT,     /* the inserted bytes follow */
};

struct mos_log_rec {
	uint32_t seq;      /* of the first byte removed, or before which they went in */
	uint32_t delta;    /* what is to be added to a number in front of it */
	uint16_t removed;  /* bytes; 0: on a FIN */
	uint16_t inserted; /* bytes */
	uint32_t kind;     /* enum mos_log_kind */
};
static_assert(sizeof(struct mos_log_rec) == 2 * MOS_LOG_UNIT, "two units");

/* One side, with all that is needed to work on it. */
struct mos_log {
	struct mos_chunk_pool *pool;
	struct mos_flow *f;
	uint64_t owner;
	uint32_t flow;
	int from;
	struct mos_log_state *state; /* NULL: nothing was edited */
	uint32_t decided, end, delta, begin;
};

static inline uint32_t mos_min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t mos_log_page(uint32_t pos)
{
	return pos >> 8;
}

/* How many pages b lies behind a. */
static inline uint32_t mos_log_pages(uint32_t a, uint32_t b)
{
	return (mos_log_page(b) - mos_log_page(a)) & (MOS_LOG_PAGES - 1);
}

/* A record of that many bytes inserted takes so many units. */
static inline uint32_t mos_log_units(uint32_t bytes)
{
	return 2 + (bytes + MOS_LOG_UNIT - 1) / MOS_LOG_UNIT;
}

static inline uint32_t mos_log_next_page(uint32_t pos)
{
	return (pos & ~UINT32_C(0xff)) + 0x100;
}

/* Can a record begin here? */
static inline bool mos_log_has_room(uint32_t pos, uint32_t units)
{
	return (pos & 0xff) + units <= MOS_LOG_UNITS;
}

/* ---- remap_log.c ---- */

struct mos_log mos_log_open(struct mos_chunk_pool *pool, struct mos_flow_table *flows,
                            uint32_t flow, int from);

/* The words of the state, each in one store; without state: in the record. */
void mos_log_set_fate(struct mos_log *l, uint32_t decided, uint32_t end);
void mos_log_set_past(struct mos_log *l, uint32_t delta, uint32_t begin);

/* What is at pos, which a record covers or may cover. NULL: nothing (only in garbage). */
struct mos_log_rec *mos_log_at(const struct mos_log *l, uint32_t pos);
static inline uint8_t *mos_log_bytes(struct mos_log_rec *rec)
{
	return (uint8_t *)(rec + 1);
}

/* The position of the record at pos or, if none is there, of the next one; or the end. */
uint32_t mos_log_settle(const struct mos_log *l, uint32_t pos);
uint32_t mos_log_next(const struct mos_log *l, uint32_t pos);

/*
 * The last record whose sender's number, or receiver's number, is at most x: its position in *pos.
 * NULL: there is none; *pos is that of the first one, or the end.
 */
struct mos_log_rec *mos_log_find_sent(const struct mos_log *l, uint32_t x, uint32_t *pos);
struct mos_log_rec *mos_log_find_received(const struct mos_log *l, uint32_t x, uint32_t *pos);

/* Make the state, and pages up to that of the position last. False: no chunk is free. */
bool mos_log_reserve(struct mos_log *l, uint32_t last);

/* Give back the pages that hold no record, and the state, if it says nothing. */
void mos_log_tidy(struct mos_log *l);

/* The receiver's number of seq. */
uint32_t mos_log_map(const struct mos_log *l, uint32_t seq);

/* ---- remap_map.c ---- */

/* Forget the edits of what lies below the sender's number seq. */
void mos_log_forget_sent(struct mos_log *l, uint32_t seq);

#endif
