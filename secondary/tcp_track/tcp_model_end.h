/*
 * A naive TCP endpoint for the model test of tcp_track: RFC 9293 section 3.10 as it is written,
 * with the challenge ACKs of RFC 5961, timestamps as in RFC 7323 if both ends offer them, a byte map
 * instead of a buffer and a fixed window. It knows
 * nothing of the tracker's code; only segment and state numbers are shared.
 *
 * Time is counted in ticks. Segments to send are left in out[]; timestamps are in the segment itself,
 * also those of a SYN.
 */
#ifndef MOS_SECONDARY_TCP_MODEL_END_H
#define MOS_SECONDARY_TCP_MODEL_END_H

#include "secondary/tcp_track/tcp_track.h"

enum { MODEL_WND = 4000, MODEL_BYTES_MAX = 600, MODEL_OUT_MAX = 8, MODEL_RTO = 12 };

struct model_rng {
	uint64_t state; /* not 0 */
};

static inline uint32_t model_random(struct model_rng *r, uint32_t below)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return (uint32_t)((r->state >> 11) % below);
}

struct model_end {
	struct model_rng *rng;
	uint8_t state; /* MOS_TCPS_* */
	bool refuses;  /* LISTEN answers a SYN with RST */
	bool silent;   /* once closed in good order, it answers late segments with no RST */
	bool closing;  /* the application has closed: FIN behind the last byte */
	bool fin_sent, fin_known;
	uint32_t bytes; /* it wants to send, in all */
	uint32_t iss, snd_una, snd_nxt, irs, rcv_nxt;
	uint32_t peer_fin;
	uint32_t idle; /* ticks since something new was acknowledged or sent again */
	bool offers_ts, uses_ts;
	uint32_t clock; /* that timestamps are taken from: the caller keeps it */
	uint32_t ts_recent, last_ack_sent;
	bool got[MODEL_BYTES_MAX];
	struct mos_tcp_seg out[MODEL_OUT_MAX];
	unsigned out_count;
};

/* The application opens actively: the first SYN goes out. */
void model_open(struct model_end *e);

/* One tick: new data, FIN, what timers send again. */
void model_tick(struct model_end *e);

/* The application aborts: RST, unless there is nobody to tell. */
void model_abort(struct model_end *e);

/* Returns whether the segment counted; false: it was thrown away, maybe answered. */
bool model_receive(struct model_end *e, const struct mos_tcp_seg *seg);

#endif
