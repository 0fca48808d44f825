/*
 * What several applications set on the socket that they watch connections with. Application thread,
 * before the first packet.
 */
#ifndef APPS_COMMON_WATCHING_H
#define APPS_COMMON_WATCHING_H

#include <stdbool.h>

#include "mos_api.h"

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

#endif
