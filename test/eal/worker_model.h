/*
 * A naive reference of the order in which events run (specification section 4), for test_worker_model:
 * every callback leaves a note, and after a round the notes of one socket that has everything
 * registered, the witness, must spell what the packets of the round allow:
 *
 *   packet    SND: PKT_IN [START] [STATE]  [NULL: ERROR missed]  [RCV: REXMIT]
 *             [NULL: ERROR beyond the window] [conflict] [overrun]  [NULL: ERROR no room]
 *             RCV: PKT_IN [START] [STATE] [REXMIT]
 *             [NULL: NEW_DATA of the receiver] [of the sender]  [end]
 *             or NULL: ORPHAN, or in front of it the end of the flow it found
 *   round     packets, [NULL: ERROR no room], ends
 *   end       RCV, SND of one half, RCV, SND of the other: STATE END
 *
 * It knows nothing of TCP: states and rcv_nxt are what the callbacks read. Other sockets may hear
 * only what the witness hears, in path order.
 */
#ifndef MOS_TEST_WORKER_MODEL_H
#define MOS_TEST_WORKER_MODEL_H

#include "test/eal/worker_tests.h"

#define WM_NOTES 65536
#define WM_NONE  (-1)

/* What a callback saw. */
struct wm_note {
	int pkt;       /* index in the burst, WM_NONE: no packet is current */
	uint32_t turn; /* packets finished */
	int sock;      /* number of the passive socket */
	int hook;      /* MOS_NULL, MOS_HK_SND, MOS_HK_RCV */
	int side;
	event_t event;
	int cause;     /* of an ERROR */
	uint32_t slot; /* record; MOS_FLOW_NONE: ORPHAN */
	uint64_t id;   /* of the record */
	uint8_t state[2];
	uint32_t rcv_nxt[2];
};

/* The round under way. */
struct wm_round {
	const struct hs_pkt *pkt;
	int pkts;
	struct wm_note note[WM_NOTES];
	unsigned notes;
};

void wm_reset(void);

/* Check the notes of a round: those of the witness are complete, if it has one. */
void wm_check(const struct wm_round *r, int witness);

/* How many flows the witness saw that have not ended. */
unsigned wm_alive(void);

/* How often each built-in event was seen by the witness, by bit. */
extern unsigned wm_seen[MOS_EVENT_BITS];

#endif
