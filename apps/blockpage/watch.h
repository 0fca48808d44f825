/*
 * What blockpage does with connections.
 *
 *   SND hook   note what both ends expect (expect.h); a flow that was answered or reset: drop
 *   RCV hook   read what the packet has brought into order: http_conn.h; a request whose host is
 *              blocked: drop, and
 *                answer it (answer.h), if the page is what comes next on that connection: nothing
 *                that the server has sent, or still has to send, lies before it;
 *                else reset both ends
 *
 *              .-- a blocked request --> ANSWERING --closed, and a while after--> forgotten
 *   WATCHING --+-- the same, in the middle of other answers --> RESETTING
 *              '-- what is not HTTP/1 --> forgotten: it passes
 *
 * Segments pass until the line is complete that names the host: the one with its end never arrives,
 * so the server never has the head of that request. It gets a RST.
 *
 * A worker that dies leaves in the flow area whether it was in the middle of a head, or of an
 * answer: its successor, which cannot know the rest, resets both ends of such a connection. It goes
 * on with all others.
 */
#ifndef BLOCKPAGE_WATCH_H
#define BLOCKPAGE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "mos_api.h"
#include "apps/blockpage/host_list.h"
#include "apps/blockpage/page.h"

struct watch_settings {
	struct host_list hosts;
	struct page page;
	const char *expression; /* connections to watch, by their first SYN */
};

/*
 * Have a context watch connections. Application thread. False, with a line on stderr, when that
 * fails. *settings is read as long as there are contexts.
 */
bool watch_start(mctx_t mctx, const struct watch_settings *settings);

struct watch_sums {
	uint64_t answered; /* requests, by the page */
	uint64_t reset;    /* connections */
	uint64_t given_up; /* connections that are not HTTP/1, or not understood; they pass */
};

/* Any thread. */
void watch_sum(struct watch_sums *sums);

#endif
