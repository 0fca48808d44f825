/*
 * The server's part of a connection from the moment that we answer in its place: send the page,
 * take and ignore what the client still sends, and close.
 *
 *   SENDING --all and our FIN acknowledged, its FIN taken--> CLOSED
 *      '--its RST, or no ACK for TRIES_MAX timeouts--> GONE
 *
 *   numbers:    first          una          nxt          first + len (our FIN)
 *                 |  acknowledged |  in flight  |  to be sent  |
 *
 * A sender as small as it can be (RFC 9293, 5681, 6298): slow start, a timeout that doubles, all
 * in flight sent again after a timeout or when the client sends its request again. In CLOSED the
 * client's FIN is still acknowledged when it comes again.
 *
 * Pure: the caller sends what answer_next() tells, and keeps the time. Host byte order.
 */
#ifndef BLOCKPAGE_ANSWER_H
#define BLOCKPAGE_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "mos_api.h"

#define ANSWER_TIMEOUT_MS 1000 /* the first one */
#define ANSWER_TRIES_MAX  6

enum answer_state { ANSWER_SENDING, ANSWER_CLOSED, ANSWER_GONE };

struct answer {
	enum answer_state state;
	uint32_t first, una, nxt;
	uint32_t len;     /* bytes of the page */
	uint32_t rcv_nxt; /* that the client is to send next */
	uint32_t wnd;     /* bytes that the client can take */
	uint32_t cwnd;    /* bytes that may be in flight */
	uint32_t mss;     /* bytes of payload */
	unsigned tries;   /* timeouts in a row */
	bool client_fin;  /* has been taken */
	bool ack_due;     /* also when there is nothing to send */
	bool probe;       /* one byte may go against a closed window */
};

/* A segment that is to be sent. */
struct answer_segment {
	uint32_t seq, ack;
	uint32_t off, len; /* of the page */
	bool fin;
};

/*
 * Begin, with the client's packet in hand that brought the request in order: what it acknowledges
 * is where the page begins. wnd: its window in bytes.
 */
void answer_begin(struct answer *a, const struct pkt_info *p, uint32_t wnd, uint32_t page_len,
                  uint32_t mss);

/* A packet of the client came. */
void answer_received(struct answer *a, const struct pkt_info *p, uint32_t wnd);

/* Tell the next segment that is to be sent now; false: there is none. It counts as sent. */
bool answer_next(struct answer *a, struct answer_segment *s);

/* The segment that was told last could not be sent: it will be told again. */
void answer_unsent(struct answer *a, const struct answer_segment *s);

/* Nothing came for answer_wait_ms(). */
void answer_timeout(struct answer *a);

/* How long to wait for the client, 0 = it is its turn for as long as it likes. */
uint32_t answer_wait_ms(const struct answer *a);

#endif
