/*
 * What several applications do with the sockets that they watch connections with.
 */
#ifndef APPS_COMMON_WATCHING_H
#define APPS_COMMON_WATCHING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mos_api.h"

/* ---- Application thread, before the first packet ---- */

/*
 * Watch only connections whose first SYN this expression (option -e) accepts. False, with a line on
 * stderr that begins with the program's name, when that fails.
 */
bool watch_only(const char *program, mctx_t mctx, int sock, const char *expression);

/*
 * Both streams are read, with the room for what is unread that the configuration gives. False with
 * errno.
 */
bool watch_streams(mctx_t mctx, int sock);

/* No stream is read: the library keeps no byte of them. False with errno. */
bool watch_no_streams(mctx_t mctx, int sock);

/* A callback to register. */
struct watched {
	event_t event;
	int hook;
	callback_t callback;
};

/* Register `count` callbacks. False with errno. */
bool watch_events(mctx_t mctx, int sock, const struct watched *row, size_t count);

/* What is kept of flows to come is of this version. False with errno; true where there is no area. */
bool watch_area(mctx_t mctx, int sock, uint32_t version);

/* ---- Stack thread ---- */

/* The flow is forgotten after this packet, and costs nothing from then on. */
void stop_watching(mctx_t mctx, int sock);

/* The packet at hand does not arrive. False with errno: it does. */
bool drop_packet(mctx_t mctx, int sock, int side);

/* An end's state: enum tcpstate. */
int tcp_state_of(mctx_t mctx, int sock, int side);

/*
 * What is kept of a flow in its area: `bytes` of it, of that version. NULL: flow_area has no room for
 * it, or somebody else has stored something else there.
 */
void *area_of(mctx_t mctx, int sock, size_t bytes, uint32_t version);

/* The same, whoever had it; all zero when it was not of that version. */
void *area_taken(mctx_t mctx, int sock, size_t bytes, uint32_t version);

#endif
