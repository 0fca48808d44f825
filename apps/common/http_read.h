/*
 * A flow's streams, read where the bytes lie, go to http_conn.h. Stack thread.
 */
#ifndef APPS_COMMON_HTTP_READ_H
#define APPS_COMMON_HTTP_READ_H

#include "mos_api.h"
#include "apps/common/http_conn.h"

/* Read all that `side` has received: bytes, and how many of them never came by. */
void http_read(mctx_t mctx, int sock, int side, struct http_conn *conn);

#endif
