/*
 * Where one direction of a connection stands, in memory that outlives the process.
 *
 *            before      now
 *   sent  -----|----------|--------      two versions of the state, each with the sequence number
 *              ^                         that it is good for
 *              the library says how far it has come: one of them
 *
 * The state behind a packet is stored before the library counts the packet's edits. When the
 * process dies in between, they do not count, and the packet comes again, maybe with other borders:
 * then the version before it is the right one. Which one it is tells the number up to which the
 * library has decided what the receiver gets (MOS_SEQ_REMAP). What lies below was edited; what
 * comes from there on is edited now; what comes before its time has to wait until it is sent again.
 *
 * Memory: the flow's. Pure.
 */
#ifndef REWRITE_TRACK_H
#define REWRITE_TRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "apps/rewrite/http_edit.h"

struct track {
	struct {
		uint32_t seq;
		struct http_state state;
	} version[2];
	uint32_t now; /* index of the version that is good, unless the library says otherwise */
};

/* What to do with a segment. */
enum track_answer {
	TRACK_PASS,  /* nothing of it is to be edited */
	TRACK_WAIT,  /* it has come too early: drop it */
	TRACK_EDIT,  /* edit what is new of it */
	TRACK_STRAY, /* nobody knows where it stands */
};

/* Nothing was stored. */
static inline bool track_is_new(const struct track *t)
{
	return t->version[0].state.phase == HTTP_NOTHING;
}

/* The head of a request of ours has gone by. */
static inline bool track_is_done(const struct track *t)
{
	return t->version[t->now & 1].state.phase == HTTP_DONE;
}

/* The stream begins at seq, or is only looked at from there on, with that state. */
void track_begin(struct track *t, uint32_t seq, const struct http_state *state);

/*
 * A segment from seq on takes `len` numbers, that of a FIN included, and the library has decided
 * what lies below `decided`. With TRACK_EDIT, *state is where it stands there.
 */
enum track_answer track_find(struct track *t, uint32_t decided, uint32_t seq, uint32_t len,
                             struct http_state *state);

/* Where it will stand at seq, behind the segment in hand, which begins to be new at `decided`. */
void track_store(struct track *t, uint32_t decided, uint32_t seq, const struct http_state *state);

#endif
